"""How long an analyzer lives: from its first call on an event loop until something ends it.

io. Each analyzer has one. An analyzer ends by `close`; one that nobody closed ends with its event
loop, or when its last reference goes, for example because its cell of a notebook ran again. Else
its sockets would stay open, or asyncio and the libraries would complain on stderr of what the end
of the loop tore apart.

The end of the loop is heard by a task that waits for nothing: `asyncio.run` cancels all tasks at
its end and runs the loop until they are done. That task is held here, since a loop holds its tasks
weakly, and holds the connections, but not the analyzer.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import ParamSpec

from analysis.errors import ConfigurationError
from analysis.transport import Transport

P = ParamSpec("P")

_WATCHES: set[asyncio.Task[None]] = set()
"""The tasks of the analyzers that live."""


class Lifetime:
    """The life of one analyzer.

    Attributes:
        is_closed: It has ended; nothing can be asked any more.
        on_close: Ends whatever works for it, before its connections are closed.
    """

    def __init__(self, owner: object, transports: Mapping[str, Transport]) -> None:
        """Begin with no event loop; `transports` may get more entries, and `owner` is not held."""
        self.is_closed = False
        self.on_close: Callable[[], Awaitable[None]] | None = None
        self._name = type(owner).__name__
        self._transports = transports
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None
        self._is_lost = False
        weakref.finalize(owner, self._lose).atexit = False

    def check(self) -> None:
        """Take the running loop for its own at the first call.

        Raises:
            ConfigurationError: If it is closed, belongs to another loop, or there is none.
        """
        if self._is_lost:
            raise self._elsewhere()
        if self.is_closed:
            raise ConfigurationError("This analyzer is closed. Make a new one.")
        here = _running_loop()
        if self._loop is not None:
            if here not in (self._loop, None):  # a plain function may stop it
                raise self._elsewhere()
        elif here is None:
            raise ConfigurationError(
                "This analyzer does not work yet, and no event loop runs here. Call it from an "
                "async function."
            )
        else:
            self._loop = here
            self._watch = here.create_task(self._until_lost())
            _WATCHES.add(self._watch)
            self._watch.add_done_callback(_WATCHES.discard)

    async def close(self) -> None:
        """End the work and all connections; may be called more than once, and from another loop.

        Raises:
            ConfigurationError: If its own loop neither runs nor is closed, so that nothing can end.
        """
        home, here = self._loop, asyncio.get_running_loop()
        self.is_closed = True
        if home is None or home is here:
            watch, self._watch = self._watch, None
            if watch is not None:
                watch.cancel()
            await self._end()
        elif home.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.close(), home))
        elif not home.is_closed():  # else nothing can be ended any more
            self.is_closed = False
            raise self._elsewhere()

    async def _end(self) -> None:
        self.is_closed = True
        work, self.on_close = self.on_close, None
        if work is not None:
            await work()
        for transport in self._transports.values():
            await transport.close()

    async def _until_lost(self) -> None:
        """Wait for the end of the loop or of the analyzer; end what nobody has closed."""
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if self._watch is None:
                return
            self._watch, self._is_lost = None, True
            await self._end()
            warnings.warn(
                f"A {self._name} was not closed. Use `async with {self._name}(...) as analyzer` or "
                "`await analyzer.close()`.",
                ResourceWarning,
                stacklevel=2,
            )

    def _lose(self) -> None:
        """Hear, in whatever thread, that nobody has the analyzer any more."""
        if self._loop is not None and self._watch is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._watch.cancel)

    def _elsewhere(self) -> ConfigurationError:
        return ConfigurationError(
            "This analyzer belongs to the event loop of its first call, which is another one or "
            "has ended: each asyncio.run makes a new loop. Put all calls into one async function, "
            "or make an analyzer for each loop."
        )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def weakly(method: Callable[P, None]) -> Callable[P, None]:
    """Return a function that calls a method as long as its object lives, and does not hold it."""
    found = weakref.WeakMethod(method)

    def call(*args: P.args, **named: P.kwargs) -> None:
        alive = found()
        if alive is not None:
            alive(*args, **named)

    return call
