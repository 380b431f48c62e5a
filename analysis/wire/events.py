"""The vocabulary of a Realtime connection: what `RealtimeConnection` tells its transport.

Pure. `wire/realtime.py` makes these values, `transport/link.py` acts on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from analysis.errors import AnswerDefect, RequestRejected, TransportError
from analysis.records import RateLimit, TextReply

RequestFailure: TypeAlias = TransportError | RequestRejected | AnswerDefect
"""Every way in which a request ends without an answer."""


class Breach(StrEnum):
    """What a peer did against the protocol; the reason of a `Violation`."""

    MALFORMED = "malformed"
    LATE_REPLY = "late_reply"
    UNKNOWN_REPLY = "unknown_reply"
    CROSSED_IDS = "crossed_ids"
    REPEATED_GREETING = "repeated_greeting"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionGreeted:
    """The server opened a session in a dialect that we take; `settings` are its defaults."""

    model: str
    dialect: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfigured:
    """The server confirmed our settings; `settings` is the session as it is in effect."""

    model: str
    dialect: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused:
    """The server refused our settings, or confirmed others than ours."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The service has begun to answer the request of this id: its first sign, given once."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer to the request of this id arrived."""

    request_id: str
    reply: TextReply


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEnded:
    """The request of this id ended without an answer; `error` says why."""

    request_id: str
    error: RequestFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDue:
    """The connection has something to say; the transport sends `frame` as soon as it can."""

    frame: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemConfirmed:
    """The server did what the event of this id asked for.

    Attributes:
        event_id: The id of our event.
        item_id: The item that was created, deleted or retrieved, by the server's id.
        item: The item as the server described it; empty after a deletion.
    """

    event_id: str
    item_id: str
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRefused:
    """The server refused the event of this id, which was about an item."""

    event_id: str
    error: TransportError | RequestRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnding:
    """The server will end the session because of its age; no request may be given to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfBandIgnored:
    """The server answers in its one conversation only: a new session must take turns there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSeen:
    """The server stated its rate limits."""

    limits: tuple[RateLimit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFault:
    """The connection is over; every waiting request has ended before this event."""

    error: TransportError | RequestRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """An event that nobody here needs; `type` is its name, or `error.<code>`."""

    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """The peer broke the protocol; `detail` holds ids and names, never a text."""

    reason: Breach
    detail: str


Event: TypeAlias = (
    SessionGreeted
    | SessionConfigured
    | SessionRefused
    | Begun
    | Answered
    | RequestEnded
    | FrameDue
    | ItemConfirmed
    | ItemRefused
    | SessionEnding
    | OutOfBandIgnored
    | LimitsSeen
    | ConnectionFault
    | Ignored
    | Violation
)
