"""POST /v1/responses: how a request is read and an answer spelled.

Pure. `routes` leads here. Sources: sections 5.3, 6.3 and 7.1 of the protocol notes.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.simulator.outcomes import Form
from analysis.simulator.parameters import (
    check_model,
    check_sampling,
    check_schema,
    check_tier,
    not_offered,
    read_content,
    schema_not_served,
)
from analysis.simulator.profile import RESPONSES_MIN_OUTPUT_TOKENS, SERVICE_TIERS
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_fields,
    check_integer,
    check_metadata,
    check_type,
    invalid_value,
    missing_parameter,
    unsupported,
)
from analysis.simulator.service import Job, Question, Service, key_of

_FIELDS = frozenset(
    [
        "access_programs",
        "background",
        "context_management",
        "conversation",
        "image",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
"""Top-level fields, openai-python 3.52.0."""
_MESSAGE_FIELDS = frozenset({"type", "role", "content", "id", "status", "phase"})
_PART_FIELDS = frozenset({"type", "text", "prompt_cache_breakpoint", "annotations", "logprobs"})
_ROLES = ("user", "assistant", "system", "developer")
_PART_TYPES = ("input_text", "output_text")
_REASONING_FIELDS = frozenset({"effort", "summary", "generate_summary"})
_FORMAT_FIELDS = {
    "text": frozenset({"type"}),
    "json_object": frozenset({"type"}),
    "json_schema": frozenset({"type", "name", "description", "schema", "strict"}),
}


def _check_request(service: Service, body: Json) -> Json:
    """Return the body if the service takes it.

    Raises:
        Refusal: Else.
    """
    request = check_fields(body, _FIELDS, "")
    model = check_model(service, request)
    if not request.get("input"):
        raise missing_parameter("input")
    for name in ("stream", "background"):
        if request.get(name):
            raise not_offered(name)
    if request.get("previous_response_id") or request.get("conversation"):
        raise Refusal(
            f"Previous response with id '{request.get('previous_response_id')}' not found. "
            "This service stores no responses and no conversations.",
            code="previous_response_not_found",
            param="previous_response_id",
        )
    if request.get("instructions") is not None:
        check_type(request["instructions"], str, "a string", "instructions")
    check_tier(request)
    check_metadata(request.get("metadata"), "metadata")
    if request.get("max_output_tokens") is not None:
        cap = request["max_output_tokens"]
        check_integer(cap, RESPONSES_MIN_OUTPUT_TOKENS, None, "max_output_tokens")
    if model != service.answerer.name:
        reasoning = check_fields(request.get("reasoning") or {}, _REASONING_FIELDS, "reasoning")
        check_sampling(model, reasoning.get("effort"), "reasoning.effort", request)
    _check_format(service, request)
    return request


def _check_format(service: Service, request: Json) -> None:
    text = check_fields(request.get("text") or {}, ("format", "verbosity"), "text")
    form = text.get("format")
    if form is None:
        return
    kind = check_type(form, dict, "an object", "text.format").get("type")
    if kind not in _FORMAT_FIELDS:
        raise unsupported(kind, _FORMAT_FIELDS, "text.format.type")
    check_fields(form, _FORMAT_FIELDS[kind], "text.format")
    if kind == "json_schema":
        if not service.has_json_schema:
            raise schema_not_served("text.format")
        check_schema(
            form,
            param="text.format",
            schema_param="text.format.schema",
            schema_code="invalid_json_schema",
        )


def _question(request: Json, headers: Mapping[str, str]) -> Question:
    """Return the account's view of a checked request.

    Raises:
        Refusal: If `input` has a form that the service does not take.
    """
    content, size_bytes = _read_input(request["input"])
    form = (request.get("text") or {}).get("format") or {}
    return Question(
        route="responses",
        model=request["model"],
        key=key_of(headers) or "",
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
            raise unsupported(message["type"], ("message",), f"{path}.type")
        if message.get("role") not in _ROLES:
            raise unsupported(message.get("role"), _ROLES, f"{path}.role")
        text = read_content(
            message.get("content"), f"{path}.content", types=_PART_TYPES, fields=_PART_FIELDS
        )
        size_bytes += len(text.encode())
        if message["role"] == "user":
            content = text
    if content is None:
        raise invalid_value("Invalid 'input': it holds no user message.", "input")
    return content, size_bytes


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


RESPONSES = Form(check=_check_request, question=_question, answer=_response)
"""The form of this route; `outcomes.complete` uses it."""
