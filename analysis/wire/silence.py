"""When a connection on which somebody waits has been silent for too long.

Pure. The transports over sockets call it. A half-open socket (the other side is gone, and nobody
said so) looks like a service that thinks; but a living one answers pings while it thinks, so
silence means: neither a frame nor a pong, for the whole limit, while requests wait.
"""

from __future__ import annotations

LATE_SHARE = 1.5
"""Intervals of pings after the last look from which on a look is late; timers of a busy loop are
late by milliseconds."""


class SilenceWatch:
    """Says when to give a connection up. All times are monotonic seconds.

        state    input      next     due at
        resting  begin(t)   waiting  t + limit
        waiting  heard(t)   waiting  t + limit
        waiting  rest()     resting  never

    Args:
        limit_s: Silence after which the connection counts as dead.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._due_at: float | None = None
        self._looked_at = 0.0

    def __repr__(self) -> str:
        return f"SilenceWatch({self._limit_s:g} s, due at {self._due_at})"

    @property
    def due_at(self) -> float | None:
        """When the silence will have been too long; None while nobody waits."""
        return self._due_at

    @property
    def ping_s(self) -> float:
        """Seconds between the pings while somebody waits: two may be lost without harm."""
        return self._limit_s / 3

    def begin(self, now: float) -> None:
        """Note that somebody waits; changes nothing if somebody did already."""
        if self._due_at is None:
            self._due_at = now + self._limit_s
            self._looked_at = now

    def rest(self) -> None:
        """Note that nobody waits any more."""
        self._due_at = None

    def heard(self, now: float) -> None:
        """Note a frame or a pong."""
        if self._due_at is not None:
            self._due_at = now + self._limit_s

    def is_dead(self, now: float) -> bool:
        """Tell whether the connection is to be given up; to be asked once in every `ping_s`.

        A look that comes much later than that after the one before shows that this process stood
        still, not the other side: what came in meanwhile was not read yet. Then the limit begins
        anew.
        """
        stood_still = now - self._looked_at > LATE_SHARE * self.ping_s
        self._looked_at = now
        if self._due_at is None or now < self._due_at:
            return False
        if stood_still:
            self._due_at = now + self._limit_s
        return not stood_still
