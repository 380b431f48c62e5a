"""A time limit that counts only time in which this process could have heard an answer.

io. `dispatch` and the carrier put it around a request.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

STEPS = 4
"""The time passes in so many steps; one in which the process stood still does not count."""

STILL_S = 1.0
"""A timer that is later than this, and than its own step, shows that the process stood still; those
of a busy loop are late by milliseconds."""


class Patience:
    """Ends the work inside as `asyncio.timeout` does, but waits on after a standstill.

    After Ctrl-Z and `fg`, or a pause of the machine, answers lie unread in the sockets while their
    time is over: `asyncio.timeout` would end the requests before anybody reads what is paid for.

    Args:
        timeout_s: Seconds until the work is cancelled and `TimeoutError` raised.
    """

    def __init__(self, timeout_s: float) -> None:
        self._step_s = timeout_s / STEPS
        self._left = STEPS
        self._due_at = 0.0
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"Patience({self._left} of {STEPS} steps of {self._step_s:g} s left)"

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._wait(asyncio.get_running_loop())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due_at = loop.time() + self._step_s
        self._timer = loop.call_at(self._due_at, self._end_step, loop)

    def _end_step(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        if now - self._due_at <= max(self._step_s, STILL_S):
            self._left -= 1
        if self._left:
            self._wait(loop)
        else:
            self._limit.reschedule(now)
