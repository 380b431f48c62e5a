"""How Ctrl-C and signals reach a run: first a clean end, then at once.

io. `entry` drives a run with it, and the command hears signals around that.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
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


def plain_signals() -> tuple[signal.Signals, ...]:
    """Return Ctrl-C if nobody but Python itself would hear it in this thread, else nothing.

    So it is in a script and at a prompt. Where an event loop runs, see `run_here`; a handler of the
    caller's own decides by itself.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return ()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return (signal.SIGINT,)
    return ()


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return Ctrl-C, SIGTERM and that of a closed terminal: what asks a command to end."""
    names = [signal.SIGINT, signal.SIGTERM]
    # Windows has no SIGHUP; `nohup` has it ignored, and it stays so.
    hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        names.append(hang_up)
    return tuple(names)


@contextlib.contextmanager
def drained(analyzer: Stoppable, signals: Sequence[signal.Signals] | None = None) -> Iterator[None]:
    """First signal: nothing new is sent, what is in flight may end; second: at once.

    `signals` are by default `ending_signals`.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # a coroutine always runs in a task

    def hear() -> None:
        if analyzer.stop_reason == INTERRUPTED:
            task.cancel()
        else:
            analyzer.stop(INTERRUPTED)
            loop.call_later(DRAIN_S, task.cancel)

    with hear_signals(lambda *_: loop.call_soon_threadsafe(hear), signals):
        yield


@contextlib.contextmanager
def hear_signals(
    handler: Callable[..., object], signals: Sequence[signal.Signals] | None = None
) -> Iterator[None]:
    """Call `handler` on the signals, by default `ending_signals`; only in the main thread."""
    names = ending_signals() if signals is None else signals
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
