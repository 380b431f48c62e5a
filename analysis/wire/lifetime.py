"""When to replace a session that has a longest age, and how long to wait before a new one.

Pure. `transport/websocket.py` calls it, and keeps the timers.
"""

from __future__ import annotations

import random

from analysis.errors import TransportError

ROTATE_FROM, ROTATE_TO = 50 / 60, 55 / 60
"""Share of a session's longest age at which it is replaced: 50 to 55 minutes of an hour. The rest
is for what is in flight; the spread keeps many sockets from being replaced at once."""

LEAST_S = 10.0
"""A fresh session that is said to end sooner was dated by another clock; to replace it by one that
is no better would open a connection every second."""

OPENING_ENDS = frozenset({"1001", "1012", "1013", "session_expired"})
"""Close codes and an error code by which a server ends a healthy session: going away, restart, try
again later, longest age. A new session is opened at once."""


def rotate_after_s(
    *, age_s: float, expires_at: float | None, wall_now: float, rng: random.Random
) -> float:
    """Return in how many seconds a fresh session is to be replaced.

    Args:
        age_s: The longest age that sessions are known to reach.
        expires_at: Seconds since the epoch at which the service ends this one, or None; only a
            nearer end than `age_s` counts, and none nearer than `LEAST_S`, since the two clocks may
            differ.
        wall_now: Seconds since the epoch.
        rng: Draws the place between the two shares.
    """
    left_s = age_s if expires_at is None else expires_at - wall_now
    return (left_s if LEAST_S <= left_s < age_s else age_s) * rng.uniform(ROTATE_FROM, ROTATE_TO)


class Backoff:
    """Waits between attempts to connect: decorrelated jitter.

    A wait is drawn from `base` to three times the one before, and never exceeds the cap. The last
    wait outlives a session that never answered anything, so that a server which greets and closes
    is not called without pause. Source: AWS Architecture Blog, "Exponential Backoff and Jitter".

    Args:
        base_s: Shortest wait.
        cap_s: Longest wait.
        rng: Draws the waits.
    """

    def __init__(self, *, base_s: float, cap_s: float, rng: random.Random) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._rng = rng
        self._last_s: float | None = None

    def __repr__(self) -> str:
        return f"Backoff(last wait {self._last_s} s)"

    def next_s(self, error: BaseException | None = None) -> float:
        """Return the wait before the next attempt: the service's own wish, else a drawn one."""
        if isinstance(error, TransportError) and error.retry_after_s is not None:
            return min(error.retry_after_s, self._cap_s)
        reach = 3 * (self._base_s if self._last_s is None else self._last_s)
        self._last_s = min(self._cap_s, self._rng.uniform(self._base_s, max(self._base_s, reach)))
        return self._last_s

    def reset(self) -> None:
        """Forget the waits of before: the service works."""
        self._last_s = None
