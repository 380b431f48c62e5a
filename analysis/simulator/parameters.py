"""Checks of the parameters that the Responses and the chat route have in common.

Pure. Sources: sections 5.3 and 7.1 of the protocol notes; wordings that they do not give are
guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from analysis.simulator.cache import Block, Rendered
from analysis.simulator.profile import (
    DEFAULT_EFFORTS,
    EFFORTS,
    MODELS_WITHOUT_NONE,
    SERVICE_TIERS,
    SHUTDOWN_DATES,
    TEXT_MODELS,
)
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_choice,
    check_decimal,
    check_fields,
    check_integer,
    check_type,
    invalid_value,
    missing_parameter,
    unsupported,
)
from analysis.simulator.schemas import strict_problem
from analysis.simulator.service import Service, encode

_CACHE_FIELDS = frozenset({"mode", "ttl", "comparison_response_id", "prewarm"})
_CACHE_MODES = ("implicit", "explicit")
INCLUDED_LOGPROBS = "message.output_text.logprobs"
"""Value of `include` that asks the Responses API for the log probabilities of tokens."""
_INCLUDABLE = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    INCLUDED_LOGPROBS,
)
"""Values of `include`, openai-python 3.52.0."""
_MOST_TOP_LOGPROBS = 20
_SCHEMA_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def model_not_found(name: str) -> Refusal:
    """Return the refusal of a model that is not there."""
    return Refusal(
        f"The model `{name}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
        param="model",
    )


def check_model(service: Service, request: Json) -> str:
    """Return the model that the request names, else raise `Refusal`."""
    model: str = check_type(request.get("model", ""), str, "a string", "model")
    if not model:
        raise missing_parameter("model")
    if model not in TEXT_MODELS and model != service.answerer.name:
        raise model_not_found(model)
    return model


def is_shut_down(service: Service, model: str, now: float) -> bool:
    """Return whether the shutdown date of a model has come, by the clock of the service (UTC)."""
    if not service.profile.is_shutdown_enforced or model not in SHUTDOWN_DATES:
        return False
    today = datetime.fromtimestamp(service.unix_time(now), UTC).date()
    return SHUTDOWN_DATES[model] <= today.isoformat()


def check_shutdown(service: Service, model: str, now: float) -> None:
    """Raise `Refusal` if the model is shut down; it is not found any more (G)."""
    if is_shut_down(service, model, now):
        raise model_not_found(model)


def check_tier(request: Json) -> None:
    """Raise `Refusal` if the request asks for an unknown service tier."""
    tier = check_type(request.get("service_tier") or "auto", str, "a string", "service_tier")
    if tier not in SERVICE_TIERS:
        raise unsupported(tier, SERVICE_TIERS, "service_tier")


def unsupported_parameter(name: str, hint: str = "") -> Refusal:
    """Return the refusal of a parameter that the model does not take."""
    return Refusal(
        f"Unsupported parameter: '{name}' is not supported with this model.{hint}",
        code="unsupported_parameter",
        param=name,
    )


def not_offered(name: str) -> Refusal:
    """Return the refusal of a feature that this service leaves out."""
    return Refusal(
        f"This service gives one whole answer of text. Leave '{name}' out or switch it off.",
        code="unsupported_value",
        param=name,
    )


def check_stream(request: Json, options: frozenset[str]) -> None:
    """Raise `Refusal` if `stream` is no boolean, or has unknown options or options alone."""
    if request.get("stream") is not None:
        check_type(request["stream"], bool, "a boolean", "stream")
    given = request.get("stream_options")
    if given is None:
        return
    if not request.get("stream"):
        raise Refusal(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    for name, value in check_fields(given, options, "stream_options").items():
        check_type(value, bool, "a boolean", f"stream_options.{name}")


def check_included(service: Service, request: Json) -> bool:
    """Return whether a request to the Responses API asks for log probabilities.

    Raises:
        Refusal: If `include` or `top_logprobs` cannot be used.
    """
    included = check_type(request.get("include") or [], list, "an array", "include")
    for index, value in enumerate(included):
        check_choice(value, _INCLUDABLE, f"include[{index}]")
    _check_top(request)
    is_asked = INCLUDED_LOGPROBS in included
    if is_asked and not service.has_logprobs:
        raise unsupported_parameter("include")
    return is_asked


def check_logprobs(service: Service, request: Json) -> bool:
    """Return whether a request for a chat completion asks for log probabilities.

    Raises:
        Refusal: If `logprobs` or `top_logprobs` cannot be used.
    """
    is_asked: bool = check_type(request.get("logprobs") or False, bool, "a boolean", "logprobs")
    if _check_top(request) and not is_asked:
        raise Refusal(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            param="top_logprobs",
        )
    if is_asked and not service.has_logprobs:
        raise unsupported_parameter("logprobs")
    return is_asked


def _check_top(request: Json) -> bool:
    """Return whether likeliest tokens are asked for, by a number within bounds."""
    top = request.get("top_logprobs")
    return top is not None and check_integer(top, 0, _MOST_TOP_LOGPROBS, "top_logprobs") >= 0


def check_sampling(
    model: str, effort: str | None, effort_param: str, request: Json, *, logprobs: str | None
) -> None:
    """Raise `Refusal` for an effort that the model lacks, and for sampling beside reasoning.

    Args:
        model: Asked for.
        effort: Asked for, or None.
        effort_param: Where it stands.
        request: With the fields of sampling.
        logprobs: The parameter that asks for log probabilities, or None.
    """
    default = DEFAULT_EFFORTS.get(model, "medium")
    if effort is not None and effort not in EFFORTS:
        raise unsupported(effort, EFFORTS, effort_param)
    if default is None and effort is not None:
        raise unsupported_parameter(effort_param)
    if effort == "none" and model in MODELS_WITHOUT_NONE:
        raise Refusal(
            f"Unsupported value: '{effort_param}' does not support 'none' with this model.",
            code="unsupported_value",
            param=effort_param,
        )
    for name, top in (("temperature", 2), ("top_p", 1)):
        value = request.get(name)
        if value is None:
            continue
        if (effort or default) not in (None, "none"):
            raise unsupported_parameter(name)
        check_decimal(value, 0, top, name)
    if logprobs is not None and (effort or default) not in (None, "none"):
        raise unsupported_parameter(logprobs)


def check_schema(form: Json, *, param: str, schema_param: str, schema_code: str | None) -> None:
    """Raise `Refusal` if name and schema of an answer format cannot be used.

    Args:
        form: Object with `name`, `schema` and perhaps `strict`.
        param: Its path.
        schema_param: What an error about the schema itself names.
        schema_code: The code of such an error.
    """
    for name in ("name", "schema"):
        if name not in form:
            raise missing_parameter(f"{param}.{name}")
    name = check_type(form["name"], str, "a string", f"{param}.name")
    if not _SCHEMA_NAME.fullmatch(name):
        raise invalid_value(
            f"Invalid '{param}.name': '{name}' does not match '^[a-zA-Z0-9_-]{{1,64}}$'.",
            f"{param}.name",
        )
    for field, kind, words in (("strict", bool, "a boolean"), ("description", str, "a string")):
        if form.get(field) is not None:
            check_type(form[field], kind, words, f"{param}.{field}")
    schema = check_type(form["schema"], dict, "an object", f"{param}.schema")
    problem = strict_problem(encode(schema)) if form.get("strict") else None
    if problem:
        raise Refusal(
            f"Invalid schema for response_format '{name}': {problem}",
            code=schema_code,
            param=schema_param,
        )


def schema_not_served(param: str) -> Refusal:
    """Return the refusal of a JSON schema by a server that knows none."""
    return Refusal(
        f"Invalid parameter: '{param}' of type 'json_schema' is not supported with this model.",
        param=param,
    )


def check_cache_options(request: Json) -> None:
    """Raise `Refusal` if `prompt_cache_options` is unknown in a field or its mode."""
    given = check_fields(
        request.get("prompt_cache_options") or {}, _CACHE_FIELDS, "prompt_cache_options"
    )
    mode = given.get("mode") or "implicit"
    if mode not in _CACHE_MODES:
        raise unsupported(mode, _CACHE_MODES, "prompt_cache_options.mode")


def rendered(request: Json, blocks: Iterable[Block], *settings: object) -> Rendered:
    """Return a checked request as the prompt cache sees it.

    Args:
        request: The request.
        blocks: Instructions and messages in order.
        settings: What else has to be equal for a prefix to match.
    """
    options = request.get("prompt_cache_options") or {}
    return Rendered(
        blocks=tuple(blocks),
        settings=encode([*settings, request.get("parallel_tool_calls")]).decode(),
        is_implicit=options.get("mode") != "explicit",
        key=request.get("prompt_cache_key") or "",
    )


def read_blocks(
    content: object, path: str, *, role: str, types: tuple[str, ...], fields: frozenset[str]
) -> list[Block]:
    """Return a message's content, a string or a list of text parts, as blocks.

    Raises:
        Refusal: If a part is of another type or has an unknown field.
    """
    if isinstance(content, str):
        return [Block(role=role, text=content)]
    blocks = []
    for index, part in enumerate(check_type(content, list, "a string or an array", path)):
        where = f"{path}[{index}]"
        kind = check_type(part, dict, "an object", where).get("type")
        if kind not in types:
            raise unsupported(kind, types, f"{where}.type")
        given = check_fields(part, fields, where).get("text")
        text: str = check_type(given, str, "a string", f"{where}.text")
        is_breakpoint = part.get("prompt_cache_breakpoint") is not None
        blocks.append(Block(role=role, text=text, is_breakpoint=is_breakpoint))
    return blocks
