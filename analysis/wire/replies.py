"""What a finished Realtime response says: its ids, its text, its tokens, or why there is none.

Pure. `wire/outofband.py` and `wire/turns.py` call it after it has found out whose response it is.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from analysis.errors import AnswerDefect, ModelRefused, RequestRejected, TransportError
from analysis.records import Ending, TextReply, Usage
from analysis.wire import failures
from analysis.wire.events import Answered, RequestEnded
from analysis.wire.usage import stated_usage

BAD_FRAME = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises on junk: wrong JSON or types, wrong Unicode, nesting without end."""

Count: TypeAlias = Annotated[int, msgspec.Meta(le=2**63 - 1)]
"""Any larger number could not be made a float; the bound itself is some servers' word for none."""

_NOTHING = msgspec.Raw()


class ServiceError(msgspec.Struct):
    type: str | None = None
    code: str | None = None
    message: str | None = None
    event_id: str | None = None
    param: str | None = None


class Response(msgspec.Struct):
    """The parts that decide whose reply it is are typed, the others are decoded after that."""

    id: str | None = None
    status: str | None = None
    metadata: dict[str, Any] | None = None
    status_details: msgspec.Raw = _NOTHING
    output: msgspec.Raw = _NOTHING
    usage: msgspec.Raw = _NOTHING

    @property
    def request_id(self) -> str | None:
        rid = (self.metadata or {}).get("rid")
        return rid if isinstance(rid, str) else None


class _Details(msgspec.Struct):
    reason: str | None = None
    error: ServiceError | None = None


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None


class _Item(msgspec.Struct):
    id: str | None = None
    type: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: list[_Part] | None = None


class _InputTokens(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputTokens(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _InputTokens | None = None
    output_token_details: _OutputTokens | None = None


_details = msgspec.json.Decoder(_Details | None).decode
_output = msgspec.json.Decoder(list[_Item] | None).decode
_usage = msgspec.json.Decoder(_Usage | None).decode


def _text_of(items: list[_Item], tool_name: str) -> str:
    """Return the arguments of the call of our function, else the text of the messages.

    Raises:
        AnswerDefect: If the function was called twice with different arguments.
    """
    calls = {
        item.arguments or ""
        for item in items
        if item.type == "function_call" and item.name == tool_name
    }
    if len(calls) > 1:
        raise AnswerDefect(
            f"The model called {tool_name} {len(calls)} times with different arguments.",
            defect="many_calls",
        )
    if calls:
        return calls.pop()
    return "".join(
        part.text or ""
        for item in items
        if item.type == "message"
        for part in item.content or ()
        if part.type in ("output_text", "text")
    )


def _usage_of(raw: msgspec.Raw) -> Usage:
    """Return the billed tokens; a usage object that cannot be read counts as none."""
    try:
        found = _usage(raw) if raw else None
    except BAD_FRAME:
        found = None
    if found is None:
        return Usage()
    return stated_usage(
        taken=found.input_tokens,
        cached=(found.input_token_details or _InputTokens()).cached_tokens,
        given=found.output_tokens,
        reasoning=(found.output_token_details or _OutputTokens()).reasoning_tokens,
    )


def settled(rid: str, response: Response, *, model: str, tool_name: str) -> Answered | RequestEnded:
    """Return what a finished response is for the request that it belongs to."""
    try:
        reply = read(response, model=model, tool_name=tool_name)
    except (AnswerDefect, TransportError, RequestRejected) as error:
        return RequestEnded(request_id=rid, error=error)
    return Answered(request_id=rid, reply=reply)


def item_ids(response: Response) -> tuple[str, ...]:
    """Return the ids of the items that a response has put into the conversation."""
    try:
        items = (_output(response.output) if response.output else None) or []
    except BAD_FRAME:
        return ()
    return tuple(item.id for item in items if item.id is not None)


def read(response: Response, *, model: str, tool_name: str) -> TextReply:
    """Return the reply that a finished response holds.

    Raises:
        AnswerDefect, ModelRefused, TransportError, RequestRejected: If it holds none; `usage` of
            the error says what was billed all the same.
    """
    usage = _usage_of(response.usage)
    with failures.billed(usage):
        return _read(response, usage, model=model, tool_name=tool_name)


def _read(response: Response, usage: Usage, *, model: str, tool_name: str) -> TextReply:
    try:
        details = (_details(response.status_details) if response.status_details else None) or (
            _Details()
        )
        items = (_output(response.output) if response.output else None) or []
    except BAD_FRAME as error:
        raise AnswerDefect(
            "The response object has fields of a wrong type.", defect="malformed_reply"
        ) from error
    match response.status, details.reason:
        case ("completed", _) | ("incomplete", "max_output_tokens"):
            is_cut = response.status == "incomplete"
            text = _text_of(items, tool_name)
            if not text.strip() and not is_cut:
                raise AnswerDefect("The response holds no text and no call.", defect="empty")
            return TextReply(
                text=text,
                model=model,
                usage=usage,
                is_cut=is_cut,
                service_request_id=response.id,
            )
        case "incomplete", "content_filter":
            raise ModelRefused(
                "The content filter stopped the answer.",
                code="content_filter",
                request_id=response.id,
            )
        case "failed", _:
            stated = details.error or ServiceError()
            raise failures.from_code(
                code=stated.code or "",
                kind=stated.type or "",
                message=stated.message or "",
                request_id=response.id,
            )
        case "cancelled", reason:
            raise TransportError(
                f"The service cancelled the response ({failures.spoken(reason or 'no reason')}).",
                ending=Ending.UNKNOWN,
                code="cancelled",
                request_id=response.id,
            )
        case status, reason:
            raise AnswerDefect(
                f"The response ended with status {failures.spoken(str(status))} "
                f"({failures.spoken(str(reason))}), which is not known.",
                defect="unknown_status",
            )
