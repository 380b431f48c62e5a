"""The HTTP side of the simulated service: POST /v1/responses and GET /v1/models.

Pure: bytes and `now` in, an `HttpOutcome` out that says when and what to send. `server` carries
it out. Sources: sections 5.2, 5.3, 6.3 and 7.1 of the protocol notes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec

from analysis.simulator.limits import go_duration
from analysis.simulator.profile import (
    DEFAULT_EFFORTS,
    EFFORTS,
    MODELS_CREATED_AT,
    MODELS_WITHOUT_NONE,
    REALTIME_MODELS,
    RESPONSES_FIELDS,
    RESPONSES_MIN_OUTPUT_TOKENS,
    SERVICE_TIERS,
    SHUTDOWN_DATES,
    TEXT_MODELS,
)
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_fields,
    check_metadata,
    check_type,
    invalid_value,
    missing_parameter,
)
from analysis.simulator.schemas import strict_problem
from analysis.simulator.service import (
    Job,
    Question,
    Receipt,
    Service,
    encode,
    key_of,
)

NO_HEADERS: Mapping[str, str] = {}
SCHEMA_PATH = "text.format.schema"
_MESSAGE_FIELDS = frozenset({"type", "role", "content", "id", "status", "phase"})
_PART_FIELDS = frozenset({"type", "text", "prompt_cache_breakpoint", "annotations", "logprobs"})
_ROLES = ("user", "assistant", "system", "developer")
_PART_TYPES = ("input_text", "output_text")
_FORMAT_FIELDS = {
    "text": frozenset({"type"}),
    "json_object": frozenset({"type"}),
    "json_schema": frozenset({"type", "name", "description", "schema", "strict"}),
}
_ABOVE = {"temperature": ("above", "max", "<= 2"), "top_p": ("above", "max", "<= 1")}
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Delivery(StrEnum):
    """What the carrier does with an outcome when its time has come."""

    SEND = "send"
    DROP = "drop"
    HANG = "hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOutcome:
    """What to send, and when.

    Attributes:
        at: When the answer leaves.
        status: HTTP status.
        headers: Response headers, names in lower case.
        body: JSON.
        delivery: Send it, cut the connection instead, or never answer.
        receipt: To be paid at `at` with `service.pay`, before sending; None when it is free or
            already paid as lost.
    """

    at: float
    status: int
    headers: Mapping[str, str]
    body: bytes
    delivery: Delivery = Delivery.SEND
    receipt: Receipt | None = None


def respond(
    service: Service, *, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float
) -> HttpOutcome:
    """Answer one HTTP request.

    Args:
        service: The account.
        method: `GET` or `POST`.
        path: Path of the URL, decoded.
        headers: Names in lower case, or a case-insensitive mapping.
        body: The whole body.
        now: Monotonic seconds.
    """
    try:
        key = service.check_key(key_of(headers))
        if method == "POST" and path == "/v1/responses":
            return _respond(service, key, body, now)
        if method == "GET" and path == "/v1/models":
            names = sorted({*TEXT_MODELS, *REALTIME_MODELS, service.answerer.name})
            models = {"object": "list", "data": [_model(name) for name in names]}
            return _outcome(service, models, at=now)
        if method == "GET" and path.startswith("/v1/models/"):
            return _outcome(service, _find_model(service, path.split("/", 3)[3]), at=now)
        raise Refusal(
            f"Invalid URL ({method} {path}). This service offers POST /v1/responses, "
            "GET /v1/models and the WebSocket /v1/realtime.",
            status=404,
        )
    except Refusal as refusal:
        return _refuse(service, refusal, at=now)


def _model(name: str) -> Json:
    return {
        "id": name,
        "object": "model",
        "created": MODELS_CREATED_AT,
        "owned_by": "simulated",
        "shutdown_date": SHUTDOWN_DATES.get(name),
    }


def _find_model(service: Service, name: str) -> Json:
    if name not in TEXT_MODELS | REALTIME_MODELS | {service.answerer.name}:
        raise _model_not_found(name)
    return _model(name)


def _model_not_found(name: str) -> Refusal:
    return Refusal(
        f"The model `{name}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
        param="model",
    )


def _outcome(
    service: Service,
    content: Json,
    *,
    at: float,
    status: int = 200,
    headers: Mapping[str, str] = NO_HEADERS,
) -> HttpOutcome:
    fixed = {"content-type": "application/json", "x-request-id": service.new_id("req")}
    return HttpOutcome(at=at, status=status, headers={**fixed, **headers}, body=encode(content))


def _refuse(
    service: Service, refusal: Refusal, *, at: float, headers: Mapping[str, str] = NO_HEADERS
) -> HttpOutcome:
    extra = dict(headers)
    if refusal.retry_after_s is not None:
        extra["retry-after"] = str(math.ceil(refusal.retry_after_s))
        extra["retry-after-ms"] = str(math.ceil(refusal.retry_after_s * 1_000))
    content = {"error": refusal.fields()}
    return _outcome(service, content, at=at, status=refusal.status, headers=extra)


def _limit_headers(service: Service, cost_tokens: int, now: float) -> dict[str, str]:
    headers = {}
    for state in service.limits.report(cost_tokens, now):
        headers[f"x-ratelimit-limit-{state.name}"] = str(state.limit)
        headers[f"x-ratelimit-remaining-{state.name}"] = str(state.remaining)
        headers[f"x-ratelimit-reset-{state.name}"] = go_duration(state.reset_s)
    return headers


def _respond(service: Service, key: str, body: bytes, now: float) -> HttpOutcome:
    try:
        request = _check_request(service, _decode(body))
        job = service.start(_question(request, key), now)
    except msgspec.DecodeError:
        problem = "We could not parse the JSON body of your request. Send a JSON object."
        return _refuse(service, Refusal(problem), at=now)
    except Refusal as refusal:
        limits = {} if refusal.status == 404 else _limit_headers(service, 0, now)
        return _refuse(service, refusal, at=now, headers=limits)
    headers = _limit_headers(service, job.cost_tokens, now)
    headers["openai-processing-ms"] = str(round(job.latency_s * 1_000))
    if job.failure:
        return _refuse(service, job.failure, at=job.at, headers=headers)
    outcome = _outcome(service, _response(service, request, job, now), at=job.at, headers=headers)
    if not (job.draw.is_dropped or job.draw.is_hanging):
        return replace(outcome, receipt=job.receipt)
    service.pay(job.receipt, is_delivered=False, now=now)
    delivery = Delivery.DROP if job.draw.is_dropped else Delivery.HANG
    return replace(outcome, delivery=delivery)


def _check_request(service: Service, body: Json) -> Json:
    """Return the body if the service takes it.

    Raises:
        Refusal: Else.
    """
    request = check_fields(body, RESPONSES_FIELDS, "")
    model = check_type(request.get("model", ""), str, "a string", "model")
    if not model:
        raise missing_parameter("model")
    if model not in TEXT_MODELS and model != service.answerer.name:
        raise _model_not_found(model)
    if not request.get("input"):
        raise missing_parameter("input")
    for name in ("stream", "background"):
        if request.get(name):
            raise Refusal(
                f"This service gives whole answers only. Leave '{name}' out or send false.",
                code="unsupported_value",
                param=name,
            )
    if request.get("previous_response_id") or request.get("conversation"):
        raise Refusal(
            f"Previous response with id '{request.get('previous_response_id')}' not found. "
            "This service stores no responses and no conversations.",
            code="previous_response_not_found",
            param="previous_response_id",
        )
    if request.get("instructions") is not None:
        check_type(request["instructions"], str, "a string", "instructions")
    tier = request.get("service_tier") or "auto"
    if tier not in SERVICE_TIERS:
        raise _unsupported(tier, SERVICE_TIERS, "service_tier")
    check_metadata(request.get("metadata"), "metadata")
    _check_output_cap(request.get("max_output_tokens"))
    if model != service.answerer.name:
        _check_sampling(model, request)
    _check_format(request)
    return request


def _unsupported(value: object, allowed: Any, param: str) -> Refusal:
    names = ", ".join(f"'{name}'" for name in allowed)
    return invalid_value(f"Invalid value: '{value}'. Supported values are: {names}.", param)


def _check_output_cap(cap: object) -> None:
    if cap is None:
        return
    tokens: int = check_type(cap, int, "an integer", "max_output_tokens")
    if tokens < RESPONSES_MIN_OUTPUT_TOKENS:
        raise Refusal(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
            f"{RESPONSES_MIN_OUTPUT_TOKENS}, but got {tokens} instead.",
            code="integer_below_min_value",
            param="max_output_tokens",
        )


def _check_sampling(model: str, request: Json) -> None:
    """Refuse efforts that the model lacks, and sampling options beside reasoning."""
    reasoning = check_fields(
        request.get("reasoning") or {}, ("effort", "summary", "generate_summary"), "reasoning"
    )
    default = DEFAULT_EFFORTS.get(model, "medium")
    effort = reasoning.get("effort") or default
    if effort is not None and effort not in EFFORTS:
        raise _unsupported(effort, EFFORTS, "reasoning.effort")
    if default is None and effort is not None:
        raise _unsupported_parameter("reasoning.effort")
    if effort == "none" and model in MODELS_WITHOUT_NONE:
        raise Refusal(
            "Unsupported value: 'reasoning.effort' does not support 'none' with this model.",
            code="unsupported_value",
            param="reasoning.effort",
        )
    for name, top in (("temperature", 2), ("top_p", 1)):
        value = request.get(name)
        if value is None:
            continue
        if effort not in (None, "none"):
            raise _unsupported_parameter(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            check_type(value, float, "a decimal", name)
        if not 0 <= value <= top:
            side, extreme, bound = ("below", "min", ">= 0") if value < 0 else _ABOVE[name]
            raise Refusal(
                f"Invalid '{name}': decimal {side} {extreme}imum value. Expected a value {bound}, "
                f"but got {value} instead.",
                code=f"decimal_{side}_{extreme}_value",
                param=name,
            )


def _unsupported_parameter(name: str) -> Refusal:
    return Refusal(
        f"Unsupported parameter: '{name}' is not supported with this model.",
        code="unsupported_parameter",
        param=name,
    )


def _check_format(request: Json) -> None:
    text = check_fields(request.get("text") or {}, ("format", "verbosity"), "text")
    form = text.get("format")
    if form is None:
        return
    kind = check_type(form, dict, "an object", "text.format").get("type")
    if kind not in _FORMAT_FIELDS:
        raise _unsupported(kind, _FORMAT_FIELDS, "text.format.type")
    check_fields(form, _FORMAT_FIELDS[kind], "text.format")
    if kind != "json_schema":
        return
    for name in ("name", "schema"):
        if name not in form:
            raise missing_parameter(f"text.format.{name}")
    name = check_type(form["name"], str, "a string", "text.format.name")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise invalid_value(
            f"Invalid 'text.format.name': '{name}' does not match '^[a-zA-Z0-9_-]{{1,64}}$'.",
            "text.format.name",
        )
    schema = check_type(form["schema"], dict, "an object", SCHEMA_PATH)
    problem = strict_problem(encode(schema)) if form.get("strict") else None
    if problem:
        raise Refusal(
            f"Invalid schema for response_format '{name}': {problem}",
            code="invalid_json_schema",
            param=SCHEMA_PATH,
        )


def _question(request: Json, key: str) -> Question:
    """Return the account's view of a checked request.

    Raises:
        Refusal: If `input` has a form that the service does not take.
    """
    content, size_bytes = _read_input(request["input"])
    form = (request.get("text") or {}).get("format") or {}
    return Question(
        route="responses",
        model=request["model"],
        key=key,
        content=content,
        size_bytes=size_bytes + len((request.get("instructions") or "").encode()),
        schema=form.get("schema"),
        max_output_tokens=request.get("max_output_tokens"),
        metadata=request.get("metadata") or {},
    )


def _read_input(value: object) -> tuple[str, int]:
    """Return the last user content and the bytes of all inputs."""
    if isinstance(value, str):
        return value, len(value.encode())
    content, size_bytes = None, 0
    for index, item in enumerate(check_type(value, list, "a string or an array", "input")):
        path = f"input[{index}]"
        message = check_fields(item, _MESSAGE_FIELDS, path)
        if message.get("type", "message") != "message":
            raise _unsupported(message["type"], ("message",), f"{path}.type")
        if message.get("role") not in _ROLES:
            raise _unsupported(message.get("role"), _ROLES, f"{path}.role")
        text = _read_content(message.get("content"), f"{path}.content")
        size_bytes += len(text.encode())
        if message["role"] == "user":
            content = text
    if content is None:
        raise invalid_value("Invalid 'input': it holds no user message.", "input")
    return content, size_bytes


def _read_content(content: object, path: str) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for index, part in enumerate(check_type(content, list, "a string or an array", path)):
        where = f"{path}[{index}]"
        kind = check_type(part, dict, "an object", where).get("type")
        if kind not in _PART_TYPES:
            raise _unsupported(kind, _PART_TYPES, f"{where}.type")
        text = check_fields(part, _PART_FIELDS, where).get("text")
        texts.append(check_type(text, str, "a string", f"{where}.text"))
    return "".join(texts)


def _response(service: Service, request: Json, job: Job, now: float) -> Json:
    status = "incomplete" if job.is_cut else "completed"
    receipt = job.receipt
    part = {"type": "output_text", "text": job.text, "annotations": [], "logprobs": []}
    message = {
        "id": service.new_id("msg"),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [part],
    }
    text = request.get("text") or {}
    reasoning = request.get("reasoning") or {}
    temperature, top_p = request.get("temperature"), request.get("top_p")
    is_parallel = request.get("parallel_tool_calls")
    return {
        "id": service.new_id("resp"),
        "object": "response",
        "created_at": int(service.unix_time(now)),
        "status": status,
        "background": False,
        "completed_at": None if job.is_cut else int(service.unix_time(job.at)),
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if job.is_cut else None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "max_tool_calls": request.get("max_tool_calls"),
        "metadata": request.get("metadata") or {},
        "model": service.answerer.name,
        "output": [message],
        "parallel_tool_calls": True if is_parallel is None else is_parallel,
        "previous_response_id": None,
        "prompt_cache_key": request.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": request.get("safety_identifier"),
        "service_tier": SERVICE_TIERS[request.get("service_tier") or "auto"],
        "store": request.get("store") is not False,
        "temperature": 1.0 if temperature is None else temperature,
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "top_logprobs": 0,
        "top_p": 1.0 if top_p is None else top_p,
        "truncation": request.get("truncation") or "disabled",
        "usage": {
            "input_tokens": receipt.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": receipt.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": receipt.input_tokens + receipt.output_tokens,
        },
        "user": request.get("user"),
    }
