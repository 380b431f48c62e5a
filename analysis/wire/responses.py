"""The Responses API: the body of a request, the reply in a response object, limits in headers.

Pure. `transport/rest.py` calls it for HTTPS and `wire/lanes.py` for WebSockets, where the same body
is a frame and the same object ends a stream; refusals are read by `wire/failures.py`.

Prompt caching. The models of `EXPLICIT_CACHE` bill text that is written to the cache at 1.25 times
the price, and by default they write each prompt of 1,024 tokens or more up to its end: here, up to
chunks that never come again. So the explicit mode is asked for, in which nothing is cached without
a breakpoint, and the only breakpoint stands behind the instructions, if they are long enough.
`instructions` cannot carry one, so they move into a developer message then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from analysis.errors import AnswerDefect, ModelRefused, TransportError
from analysis.records import Ending, RateLimit, Request, TextReply
from analysis.wire import failures, token_logprobs
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.usage import StatedUsage, usage_of

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

LOGPROBS = "message.output_text.logprobs"
"""Value of `include` that asks for the log probability of each token of the text. `top_logprobs`
is left out: it asks for other tokens beside them, and alone for nothing. Source: types of
openai-python 3.52.0; answers of users on the vendor's forum, 2025-09."""

LEAST_OUTPUT_TOKENS = 16
"""The API refuses a smaller cap. Source: user reports, 2026."""

EXPLICIT_CACHE = ("gpt-6", "gpt-5.6")
"""Prefixes of the models that bill writes to the prompt cache and know the explicit mode. Source:
OpenAI guide on prompt caching, autumn 2026."""

CACHE_PREFIX_TOKENS = 1_024
"""A shorter prefix is never cached. Source: the same guide."""

BYTES_PER_TOKEN = 4
"""Of instructions and schema. English has 4.3, other scripts up to 6; who counts too many tokens
sets a breakpoint that has no effect, who counts too few pays ten times the price of a read."""

_CACHE = {"mode": "explicit"}

BAD_JSON = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises on junk: wrong JSON or types, wrong Unicode, nesting without end."""


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


class _Object(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    error: _Error | None = None
    incomplete_details: _Reason | None = None
    output: list[_Item] | None = None
    usage: StatedUsage | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a response object holds; `service_tier` is the one that served it, if it says so."""

    reply: TextReply
    service_tier: str | None = None


_decode = msgspec.json.Decoder(_Object).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_encode = msgspec.json.Encoder().encode


def family(model: str) -> tuple[str | None, bool]:
    """Return the reasoning effort to send for a model, and whether it takes a temperature."""
    name = _name_of(model)
    return next((effort, takes) for prefix, effort, takes in FAMILIES if name.startswith(prefix))


def states_logprobs(model: str) -> bool:
    """Tell whether a model may state log probabilities: only without reasoning, as temperature."""
    return family(model)[1]


def body(
    request: Request,
    *,
    form: Form = STRICTEST,
    temperature: float = 0.0,
    service_tier: str | None = None,
    safety_identifier: str | None = None,
) -> dict[str, Any]:
    """Return the JSON body of `POST /responses` for one request.

    Args:
        request: The question.
        form: How it is asked.
        temperature: Sent to models that take one.
        service_tier: Such as `flex`; None leaves it to the account's own setting.
        safety_identifier: Hashed id of the end user, or None.
    """
    ask = request.ask
    effort, takes_temperature = family(request.model)
    fields: dict[str, Any] = {
        "model": request.model,
        **_prompt(request, form),
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
        if form.has_logprobs:
            fields["include"] = [LOGPROBS]
    if service_tier is not None:
        fields["service_tier"] = service_tier
    if safety_identifier is not None:
        fields["safety_identifier"] = safety_identifier
    return {name: value for name, value in fields.items() if name not in form.without}


def _prompt(request: Request, form: Form) -> dict[str, Any]:
    """Return instructions and input, with a breakpoint between them where it has an effect."""
    ask = request.ask
    user = {"role": "user", "content": ask.content}
    plain: dict[str, Any] = {"instructions": ask.instructions, "input": [user]}
    if not form.has_cache_options or not _name_of(request.model).startswith(EXPLICIT_CACHE):
        return plain
    plain["prompt_cache_options"] = _CACHE
    prefix_bytes = len(ask.instructions.encode()) + len(_encode(ask.schema))
    if prefix_bytes < CACHE_PREFIX_TOKENS * BYTES_PER_TOKEN:
        return plain
    part = {
        "type": "input_text",
        "text": ask.instructions,
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }
    developer = {"role": "developer", "content": [part]}
    return {"input": [developer, user], "prompt_cache_options": _CACHE}


def _name_of(model: str) -> str:
    return model.rpartition("/")[2]


def read(
    content: bytes,
    *,
    request_id: str,
    service_request_id: str | None = None,
    form: Form = STRICTEST,
) -> Answer:
    """Return what the body of a 2xx answer holds.

    Args:
        content: The raw body.
        request_id: Our id, as sent in `metadata.rid`.
        service_request_id: The header `x-request-id`; without it the response's id stands in.
        form: How it was asked.

    Raises:
        TransportError: If the body is empty, or the service failed or cancelled the response.
        RequestRejected: If the service refused the request for good, or the model declined.
        AnswerDefect: If there is no usable answer in the body.
    """
    failures.check_body(content, service_request_id)
    return read_object(
        content, request_id=request_id, service_request_id=service_request_id, form=form
    )


def read_object(
    content: bytes | msgspec.Raw,
    *,
    request_id: str,
    service_request_id: str | None = None,
    status: str | None = None,
    pieces: Sequence[bytes] = (),
    form: Form = STRICTEST,
) -> Answer:
    """Return what a response object holds, wherever it stood.

    Args:
        content: The object as JSON.
        request_id: Our id, as sent in `metadata.rid`.
        service_request_id: The service's own id of the request; else the response's id stands in.
        status: What the type of the frame around the object says; the object must not contradict.
        pieces: Output items as JSON, in their order, for an object that comes without its output.
        form: How it was asked.

    Raises:
        TransportError: If the service failed or cancelled the response.
        RequestRejected: If the service refused the request for good, or the model declined.
        AnswerDefect: If there is no usable answer in the object.
    """
    try:
        found = _decode(content)
        items = found.output or [_decode_item(piece) for piece in pieces]
    except BAD_JSON as error:
        raise AnswerDefect(
            "There is no response object in JSON.", defect="malformed_reply"
        ) from error
    service_id = service_request_id or found.id
    if found.metadata and found.metadata.get("rid", request_id) != request_id:
        raise AnswerDefect(
            f"The reply to request {request_id} carries another request's id; nobody gets it.",
            defect="foreign_id",
        )
    usage = usage_of(found.usage)
    with failures.billed(usage):
        is_cut = _check_status(found, _status_of(found, status), service_id)
        text = _text_of(items, service_id)
        if not text.strip() and not is_cut:
            raise AnswerDefect("The response holds no text.", defect="empty")
    reply = TextReply(
        text=text,
        model=found.model or "",
        usage=usage,
        is_cut=is_cut,
        service_request_id=service_id,
        tokens=token_logprobs.of_response(content, pieces) if form.has_logprobs else (),
    )
    return Answer(reply=reply, service_tier=found.service_tier)


def _status_of(found: _Object, expected: str | None) -> str | None:
    if expected is None or found.status in (None, expected):
        return found.status or expected
    return f"{found.status} within {expected}"


def _check_status(found: _Object, stated_status: str | None, service_id: str | None) -> bool:
    """Return whether the answer was cut by its cap; raise if the status allows no answer."""
    reason = (found.incomplete_details or _Reason()).reason
    match stated_status:
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
