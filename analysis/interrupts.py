"""How Ctrl-C and signals reach a run: first a clean end, then at once.

io. `entry` drives a run with it, and the command hears signals around that.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

INTERRUPTED = "interrupted"
"""Reason of a stop that the user asked for with Ctrl-C or SIGTERM."""

DRAIN_S = 15.0
"""Seconds that requests in flight get to end after a run was interrupted."""

_T = TypeVar("_T")


class Stoppable(Protocol):
    """What can be asked to send nothing more."""

    @property
    def stop_reason(self) -> str | None:
        """Why nothing is sent any more, or None."""

    def stop(self, reason: str) -> None:
        """Send nothing more; what is in flight may end."""


@contextlib.contextmanager
def drained(analyzer: Stoppable) -> Iterator[None]:
    """First Ctrl-C or SIGTERM: nothing new is sent, what is in flight may end; second: at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # a coroutine always runs in a task

    def hear() -> None:
        if analyzer.stop_reason == INTERRUPTED:
            task.cancel()
        else:
            analyzer.stop(INTERRUPTED)
            loop.call_later(DRAIN_S, task.cancel)

    with hear_signals(lambda *_: loop.call_soon_threadsafe(hear)):
        yield


@contextlib.contextmanager
def hear_signals(handler: Callable[..., object]) -> Iterator[None]:
    """Call `handler` on Ctrl-C, SIGTERM and a closed terminal; only in the main thread."""
    names = [signal.SIGINT, signal.SIGTERM]
    # Windows has no SIGHUP; `nohup` has it ignored, and it stays so.
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        names.append(hang_up)
    before = [signal.signal(name, handler) for name in names]
    try:
        yield
    finally:
        for name, old in zip(names, before, strict=True):
            signal.signal(name, old)


def run_here(work: Coroutine[Any, Any, _T], *, on_interrupt: Callable[[], None]) -> _T:
    """Run a coroutine to its end, also when this thread already has a running event loop.

    Then it runs in a thread of its own, where a Ctrl-C does not arrive: the first one here calls
    `on_interrupt` on the loop of the coroutine, a second one cancels it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()
    ended: Future[_T] = Future()

    async def tell() -> _T:
        task = asyncio.current_task()
        assert task is not None  # a coroutine always runs in a task
        started.set_result((asyncio.get_running_loop(), task))
        return await work

    def target() -> None:
        try:
            ended.set_result(asyncio.run(tell()))
        except BaseException as error:  # noqa: BLE001 (task boundary: raised again by the caller)
            ended.set_exception(error)

    threading.Thread(target=target, name="semfn-run").start()
    is_first = True
    while True:
        try:
            return ended.result()
        except KeyboardInterrupt:
            if ended.done():
                raise
            loop, task = started.result()
            loop.call_soon_threadsafe(on_interrupt if is_first else task.cancel)
            is_first = False
