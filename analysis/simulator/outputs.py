"""What a WebSocket of the service puts out, and what its door asks of a connection.

Pure values. `realtime` and `lanes` make them, `server` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """End the connection with a close frame."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """End the connection without a close frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """Send the first half of this frame, then end the connection without a close frame."""

    frame: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Send nothing more and read nothing more, pings included, but keep the socket open."""


Output: TypeAlias = bytes | Close | Cut | Torn | Silence


class SocketSession(Protocol):
    """One connection as its door sees it: messages and `now` in, outputs out."""

    is_open: bool

    @property
    def next_at(self) -> float | None:
        """When to call `poll` next, or None."""
        ...

    def receive(self, message: str | bytes, *, now: float) -> list[Output]:
        """Take a text (str) or binary (bytes) message; return what to send at once."""
        ...

    def poll(self, *, now: float) -> list[Output]:
        """Return what has become due."""
        ...

    def end(self, *, now: float) -> None:
        """Take note that the socket is gone: answers under way are paid and lost."""
        ...
