"""An event loop whose clock runs only while nobody has anything to do.

Tests with latencies, time-outs and outages run at once on it and see exact times: when no socket is
ready, the clock jumps to the next timer. Client and service must share the loop; both ends of a
loopback socket are then served before the clock moves. While a thread of the executor works, the
clock stands.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, Unpack

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

GRACE_S = 0.001
"""Real seconds for the system to hand on what was written, before the clock makes a jump."""

LONG_JUMP_S = 0.2
"""Shorter jumps need no grace: no time-out is that short."""

DEADLOCK_S = 120.0
"""Real seconds without timer and without traffic after which the test has hung."""


class _Selector(selectors.SelectSelector):
    """Returns what is ready, else moves `now` to the end of the wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.threads = 0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.threads:
            ready = super().select(DEADLOCK_S)
            if not ready:
                raise RuntimeError("Nobody has a timer or traffic: the test has hung.")
            return ready
        if timeout >= LONG_JUMP_S and (ready := super().select(GRACE_S)):
            return ready
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module; `time()` begins at 0."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self._virtual.now

    def stand_still(self, seconds: float) -> None:
        """Let the clock go on while the process does nothing, as after SIGSTOP."""
        self._virtual.now += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a function in a thread; the clock stands until it is done."""
        self._virtual.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._count_down)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for threads to end: later Pythons give them seconds, which pass at once here."""
        self._virtual.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._virtual.threads -= 1

    def _count_down(self, _: asyncio.Future[Any]) -> None:
        self._virtual.threads -= 1


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a plain test of an async one that runs on a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
