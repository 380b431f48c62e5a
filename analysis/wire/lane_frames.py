"""The frames of the Responses API on a WebSocket, and what `LanesConnection` tells of them.

Pure. `wire/lanes.py` reads frames here and decides whose they are. Functions that decode raise one
of `responses.BAD_JSON` on a frame that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from analysis.errors import AccountClosed, RouteClosed
from analysis.wire import failures, forms
from analysis.wire.events import (
    Answered,
    Begun,
    ConnectionFault,
    Ignored,
    LimitsSeen,
    RequestEnded,
    Violation,
)
from analysis.wire.forms import Form

ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
"""Type of a terminal event -> the status that its response has."""

PASSING = frozenset(
    {
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
    }
)
"""Events of the normal course that nobody waits for."""

PASSING_STARTS = tuple(f'{{"type":"{name}"'.encode() for name in sorted(PASSING))
"""How such an event begins where the type stands first, as it does in captures: most frames are
deltas, and these need not be read at all."""


CONNECTION_LIMIT = "websocket_connection_limit_reached"
NAME_LIMIT = "websocket_stream_limit_reached"
BAD_NAME = "invalid_stream_id"
_NAME_FIELD = "stream_id"

_REFUSING_STATUSES = frozenset({None, 400, 422})
_EMPTY = frozenset({b"", b"null", b"[]"})
_NOTHING = msgspec.Raw()


class _Peek(msgspec.Struct):
    type: str
    stream_id: str | None = None


class _ResponseFrame(msgspec.Struct):
    response: msgspec.Raw


class _Ids(msgspec.Struct):
    id: str | None = None
    metadata: dict[str, Any] | None = None
    output: msgspec.Raw = _NOTHING


class _Piece(msgspec.Struct):
    type: str
    item: msgspec.Raw = _NOTHING
    text: str = ""
    refusal: str = ""
    logprobs: msgspec.Raw = _NOTHING


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None
    headers: dict[str, Any] | None = None


class _ErrorFrame(msgspec.Struct):
    error: _Error | None = None
    status: int | None = None
    status_code: int | None = None
    headers: dict[str, Any] | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


_peek = msgspec.json.Decoder(_Peek).decode
_response_frame = msgspec.json.Decoder(_ResponseFrame).decode
_ids = msgspec.json.Decoder(_Ids).decode
_piece = msgspec.json.Decoder(_Piece).decode
_error_frame = msgspec.json.Decoder(_ErrorFrame).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAgain:
    """The server refused a field of this request, and nothing was generated.

    Attributes:
        request_id: Ours; it may be used again.
        form: The form to ask in.
        has_lanes: Whether the server takes lanes.
    """

    request_id: str
    form: Form
    has_lanes: bool


LaneEvent: TypeAlias = (
    Begun | Answered | RequestEnded | AskAgain | LimitsSeen | ConnectionFault | Ignored | Violation
)
Events: TypeAlias = tuple[LaneEvent, ...]


@dataclass(frozen=True, slots=True)
class Ids:
    """What a response object says of itself: its id, our id, and whether it has an output."""

    id: str | None
    rid: str | None
    has_output: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneError:
    """An error event, in whichever of its shapes it came.

    Attributes:
        status: The HTTP status that it names, or None.
        headers: Names in lower case.
        stated: Its code, type, message and parameter.
        content: The whole frame.
    """

    status: int | None
    headers: Mapping[str, str]
    stated: failures.Stated
    content: bytes

    @property
    def name(self) -> str:
        """Its code, else its type."""
        return self.stated.code or self.stated.kind

    @property
    def is_connection_limit(self) -> bool:
        """The socket has reached its largest age."""
        return self.stated.code == CONNECTION_LIMIT

    @property
    def is_name_limit(self) -> bool:
        """The socket takes no further names of lanes."""
        return self.stated.code == NAME_LIMIT

    @property
    def is_about_lanes(self) -> bool:
        """The server does not take the lane that was named, or no lanes at all."""
        if self.is_name_limit or self.stated.code == BAD_NAME:
            return True
        names_field = _NAME_FIELD in (self.stated.param or self.stated.message)
        return names_field and self.status in _REFUSING_STATUSES

    @property
    def hits_all(self) -> bool:
        """Every request that the server has not begun has the same fault."""
        is_for_all = isinstance(self.failure(), AccountClosed | RouteClosed)
        return self.is_connection_limit or self.is_about_lanes or is_for_all

    def simpler(self, form: Form) -> Form | None:
        """Return the form to ask in if only a field of this one was refused, else None."""
        return forms.simpler(form, status=self.status or 400, content=self.content)

    def failure(self) -> failures.Failure:
        """Return what it means for a request; a new exception at every call."""
        return failures.from_error(
            self.stated,
            status=self.status,
            headers=self.headers,
            request_id=self.headers.get("x-request-id"),
        )


def peek(frame: bytes | str) -> tuple[str, str | None]:
    """Return the type of an event and the name of its lane."""
    found = _peek(frame)
    return found.type, found.stream_id


def response_of(frame: bytes | str) -> msgspec.Raw:
    """Return the response object of an event, as JSON."""
    return _response_frame(frame).response


def ids_of(content: msgspec.Raw) -> Ids:
    """Return what a response object says of itself."""
    found = _ids(content)
    rid = (found.metadata or {}).get("rid")
    return Ids(
        id=found.id,
        rid=rid if isinstance(rid, str) else None,
        has_output=bytes(found.output).strip() not in _EMPTY,
    )


def items_of(frames: Sequence[bytes | str]) -> list[bytes]:
    """Return the output items that the events of finished parts tell of.

    Whole items count if there are any; else messages are made of the parts.
    """
    pieces = [_piece(frame) for frame in frames]
    whole = [bytes(piece.item) for piece in pieces if bytes(piece.item)]
    return whole or [_message(piece) for piece in pieces]


def _message(piece: _Piece) -> bytes:
    kind = "refusal" if piece.type.startswith("response.refusal") else "output_text"
    part: dict[str, object] = {"type": kind, "text": piece.text}
    if bytes(piece.logprobs):
        part["logprobs"] = piece.logprobs
    return msgspec.json.encode({"type": "message", "content": [part]})


def read_error(frame: bytes | str) -> LaneError:
    """Return an error event, nested or flat."""
    found = _error_frame(frame)
    error = found.error or _Error(code=found.code, message=found.message, param=found.param)
    headers = (found.headers or {}) | (error.headers or {})
    return LaneError(
        status=found.status if found.status is not None else found.status_code,
        headers={name.lower(): text for name, text in headers.items() if isinstance(text, str)},
        stated=failures.Stated(
            code=str(error.code or ""),
            kind=error.type or "",
            message=error.message or "",
            param=error.param or "",
        ),
        content=frame.encode() if isinstance(frame, str) else frame,
    )
