"""Whether a route is healthy enough to be used.

Pure. The scheduler asks `gate` before each request and reports every ending. Rate limits (429),
rejections (400) and answers that the model spoiled are no failures of the route; after a probe they
are reported as contact. Requests that were lost together, with one socket, are one failure.

    state      event                                             next state
    closed     failures in a row, or half of the window failed   open
    closed     refused connection                                open
    open       its pause is over                                 half-open (one probe of one chunk)
    half-open  probe failed                                      open, pause x 1.6
    half-open  the service refused the probe                     closed
    half-open  the probe was answered                            closed
    closed     requests wait and no sign comes (`on_silence`)    open
    open       after a silence: any answer                       closed
    any        other request, sent before it opened, ended       the same
"""

from __future__ import annotations

import random
from collections import deque
from enum import Enum

from analysis.settings import SETTINGS, Settings

GROWTH = 1.6
"""Factor from pause to pause. Source: pacing notes, section 5."""


LOSSES = 64
"""Lost sockets that are remembered, so that each counts once; as many as a route has at once."""


class Gate(Enum):
    """What a route may be used for now."""

    PASS = "pass"  # nosec B105
    PROBE = "probe"
    SHUT = "shut"


class Breaker:
    """Health of one route.

    Attributes:
        ever_worked: At least one request was answered.
        is_closed: The route is in use.
        down_since: Monotonic seconds at which it left the state closed, or None.
    """

    def __init__(self, *, rng: random.Random, settings: Settings = SETTINGS) -> None:
        self.ever_worked = False
        self.is_closed = True
        self.down_since: float | None = None
        self._rng = rng
        self._settings = settings
        self._open_until: float | None = None
        self._is_silent = False
        self._openings = 0
        self._in_a_row = 0
        self._window: deque[bool] = deque(maxlen=settings.breaker_window)
        self._losses: deque[object] = deque(maxlen=LOSSES)

    def __repr__(self) -> str:
        return f"Breaker(open_until={self._open_until}, in_a_row={self._in_a_row})"

    def gate(self, now: float) -> Gate:
        """Return what the route may be used for at this time."""
        if self._open_until is None:
            return Gate.PASS
        return Gate.PROBE if now >= self._open_until else Gate.SHUT

    @property
    def opens_at(self) -> float | None:
        """When a probe may go; None while the route is closed, that is, in use."""
        return self._open_until

    @property
    def error_rate(self) -> float:
        """Return the share of failures among the last requests; 0 without any."""
        return self._window.count(False) / len(self._window) if self._window else 0.0

    @property
    def recent_failures(self) -> int:
        """Return how many of the last requests failed; the window of `breaker_window`."""
        return self._window.count(False)

    @property
    def state(self) -> str:
        """Return `closed` while the route is in use, else `open`."""
        return "closed" if self._open_until is None else "open"

    def on_success(self, is_probe: bool = True) -> bool:
        """Report an answer; return True if this closed the breaker.

        An answer to a request that was sent before it opened, so to no probe, does not close it: it
        may have been written before the service went away. After a silence it does: the service was
        slow, and it speaks again.
        """
        self.ever_worked = True
        if self._open_until is not None and not (is_probe or self._is_silent):
            return False
        was_open = self.on_contact()
        self._in_a_row = 0
        self._window.append(True)
        return was_open

    def on_contact(self) -> bool:
        """Report that a probe was refused by the service itself; return True if it was open."""
        if self._open_until is None:
            return False
        self.down_since = None
        self.is_closed, self._open_until = True, None
        self._is_silent = False
        self._openings = 0
        self._in_a_row = 0
        self._window.clear()
        return True

    def on_silence(self, *, now: float) -> bool:
        """Report that requests wait and no sign of life comes; return True if this opened it."""
        if self._open_until is not None:
            return False
        self._is_silent = True
        self.down_since = now
        self._open(now)
        return True

    def excuse(self, seconds: float) -> None:
        """Do not count so long a time as an outage: the clock ran while nobody could ask."""
        if self.down_since is not None:
            self.down_since += seconds

    def on_failure(
        self,
        *,
        now: float,
        is_probe: bool = False,
        is_refused_connection: bool = False,
        loss: object | None = None,
    ) -> bool:
        """Report a failure of the way; return True if this opened the breaker.

        Failures of requests that were sent before it opened do not prolong the pause, and those
        that were lost with one socket count once.
        """
        if self._open_until is not None:
            if is_probe and now >= self._open_until:
                self._open(now)
            return False
        if loss is not None:
            if any(loss is one for one in self._losses):
                return False
            self._losses.append(loss)
        self._in_a_row += 1
        self._window.append(False)
        failed = self._window.count(False)
        is_sick = is_refused_connection or self._in_a_row >= self._settings.breaker_failures
        is_full = len(self._window) == self._window.maxlen
        if is_sick or (is_full and failed * 2 >= len(self._window)):
            self.down_since = now
            self._open(now)
            return True
        return False

    def _open(self, now: float) -> None:
        knobs = self._settings
        pause = min(knobs.breaker_open_cap_s, knobs.breaker_open_s * GROWTH**self._openings)
        self._openings += 1
        self.is_closed, self._open_until = False, now + pause * self._rng.uniform(0.8, 1.2)
