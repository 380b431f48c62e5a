"""The Responses API over HTTPS: the body of a request, the reply in a body, limits in headers.

Pure. `transport/rest.py` calls it; statuses other than 2xx are read by `wire/failures.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from analysis.errors import AnswerDefect, ModelRefused, TransportError
from analysis.records import Ending, RateLimit, Request, TextReply, Usage
from analysis.wire import failures
from analysis.wire.forms import STRICTEST, Form

FAMILIES: tuple[tuple[str, str | None, bool], ...] = (
    ("gpt-6-astra", None, False),
    ("gpt-6", "none", True),
    ("gpt-5.6", "none", True),
    ("", None, True),
)
"""Prefix of the model's name -> reasoning effort to send, whether it takes a temperature.

The first match counts. GPT-6 takes a temperature only at effort `none`, which gpt-6-astra does
not have; a model that is not known gets nothing but the temperature. Source: model pages and
migration article of OpenAI, 2026-10.
"""

LEAST_OUTPUT_TOKENS = 16
"""The API refuses a smaller cap. Source: user reports, 2026."""

_BAD_BODY = (msgspec.MsgspecError, ValueError, RecursionError)


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    content: list[_Part] | None = None


class _Reason(msgspec.Struct):
    reason: str | None = None


class _Error(msgspec.Struct):
    code: str | None = None
    type: str | None = None
    message: str | None = None


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _CachedTokens | None = None


class _Body(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    error: _Error | None = None
    incomplete_details: _Reason | None = None
    output: list[_Item] | None = None
    usage: _Usage | None = None
    metadata: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Body).decode


def family(model: str) -> tuple[str | None, bool]:
    """Return the reasoning effort to send for a model, and whether it takes a temperature."""
    name = model.rpartition("/")[2]
    return next((effort, takes) for prefix, effort, takes in FAMILIES if name.startswith(prefix))


def body(request: Request, *, form: Form = STRICTEST, temperature: float = 0.0) -> dict[str, Any]:
    """Return the JSON body of `POST /responses` for one request."""
    ask = request.ask
    effort, takes_temperature = family(request.model)
    fields: dict[str, Any] = {
        "model": request.model,
        "instructions": ask.instructions,
        "input": [{"role": "user", "content": ask.content}],
        "max_output_tokens": max(LEAST_OUTPUT_TOKENS, ask.max_output_tokens),
        "store": False,
        "metadata": {"rid": request.request_id},
    }
    if form.format == "json_schema":
        schema = {"name": ask.schema_name, "strict": True, "schema": ask.schema}
        fields["text"] = {"format": {"type": "json_schema", **schema}}
    elif form.format == "json_object":
        fields["text"] = {"format": {"type": "json_object"}}
    if effort is not None:
        fields["reasoning"] = {"effort": effort}
    if takes_temperature:
        fields["temperature"] = temperature
    return fields


def read(content: bytes, *, request_id: str, service_request_id: str | None = None) -> TextReply:
    """Return the reply in the body of a 2xx answer.

    Args:
        content: The raw body.
        request_id: Our id, as sent in `metadata.rid`.
        service_request_id: The header `x-request-id`; without it the response's id stands in.

    Raises:
        TransportError: If the body is empty, or the service failed or cancelled the response.
        RequestRejected: If the service refused the request for good, or the model declined.
        AnswerDefect: If there is no usable answer in the body.
    """
    failures.check_body(content, service_request_id)
    try:
        found = _decode(content)
    except _BAD_BODY as error:
        raise AnswerDefect(
            "The body is no JSON of a response object.", defect="malformed_reply"
        ) from error
    service_id = service_request_id or found.id
    if found.metadata and found.metadata.get("rid", request_id) != request_id:
        raise AnswerDefect(
            f"The reply to request {request_id} carries another request's id; nobody gets it.",
            defect="foreign_id",
        )
    usage = _usage_of(found.usage)
    with failures.billed(usage):
        is_cut = _check_status(found, service_id)
        text = _text_of(found.output or [], service_id)
        if not text.strip() and not is_cut:
            raise AnswerDefect("The response holds no text.", defect="empty")
    return TextReply(
        text=text,
        model=found.model or "",
        usage=usage,
        is_cut=is_cut,
        service_request_id=service_id,
    )


def _check_status(found: _Body, service_id: str | None) -> bool:
    """Return whether the answer was cut by its cap; raise if the status allows no answer."""
    reason = (found.incomplete_details or _Reason()).reason
    match found.status:
        case "completed":
            return False
        case "incomplete" if reason == "max_output_tokens":
            return True
        case "incomplete" if reason == "content_filter":
            raise ModelRefused(
                "The content filter stopped the answer.",
                code="content_filter",
                request_id=service_id,
            )
        case "failed":
            stated = found.error or _Error()
            raise failures.from_code(
                code=stated.code or "",
                kind=stated.type or "",
                message=stated.message or "",
                request_id=service_id,
            )
        case "cancelled":
            raise TransportError(
                "The service cancelled the response.",
                ending=Ending.UNKNOWN,
                code="cancelled",
                request_id=service_id,
            )
        case status:
            raise AnswerDefect(
                f"The response has status {failures.spoken(str(status))} "
                f"({failures.spoken(str(reason))}), which is no end that is known.",
                defect="unknown_status",
            )


def _text_of(items: list[_Item], service_id: str | None) -> str:
    parts = [part for item in items if item.type == "message" for part in item.content or ()]
    if any(part.type == "refusal" for part in parts):
        raise ModelRefused("The model declined to answer.", code="refusal", request_id=service_id)
    return "".join(part.text or "" for part in parts if part.type == "output_text")


def _usage_of(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    return Usage(
        input_tokens=usage.input_tokens or 0,
        cached_tokens=(usage.input_tokens_details or _CachedTokens()).cached_tokens or 0,
        output_tokens=usage.output_tokens or 0,
    )


def limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """Return the rate limits that the headers state, empty if they state none.

    Where a project has a token limit of its own, the smaller of the two counts.

    Args:
        headers: Header names in lower case, or a mapping that does not mind the case.
    """
    requests, tokens, project = (
        _limit(headers, name, field)
        for name, field in (
            ("requests", "requests"),
            ("tokens", "tokens"),
            ("tokens", "project-tokens"),
        )
    )
    if project is not None and (tokens is None or _is_tighter(project, tokens)):
        tokens = project
    return tuple(limit for limit in (requests, tokens) if limit is not None)


def _limit(headers: Mapping[str, str], name: str, field: str) -> RateLimit | None:
    stated = headers.get(f"x-ratelimit-limit-{field}")
    remaining = headers.get(f"x-ratelimit-remaining-{field}")
    reset = headers.get(f"x-ratelimit-reset-{field}")
    if stated is None and remaining is None and reset is None:
        return None
    return RateLimit(
        name=name,
        limit=_count(stated),
        remaining=_count(remaining),
        reset_s=None if reset is None else failures.duration_s(reset.strip()),
    )


def _count(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if re.fullmatch(r"[0-9]{1,18}", stripped) else None


def _is_tighter(one: RateLimit, other: RateLimit) -> bool:
    return one.limit is not None and (other.limit is None or one.limit < other.limit)
