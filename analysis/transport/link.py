"""One Realtime socket: its state machine, its reader, its writer, and those who wait for it.

io. `transport/websocket.py` opens links, replaces and closes them. What frames mean is decided in
`wire/realtime.py`, when a socket counts as dead in `wire/silence.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from analysis.errors import RequestRejected, TransportError
from analysis.records import Ending, Request, TextReply
from analysis.transport.handshake import hang_up, is_open
from analysis.wire.events import (
    Answered,
    ConnectionFault,
    Event,
    FrameDue,
    ItemConfirmed,
    ItemRefused,
    RequestEnded,
    SessionConfigured,
    SessionEnding,
    SessionGreeted,
    SessionRefused,
)
from analysis.wire.realtime import RealtimeConnection
from analysis.wire.silence import SilenceWatch

SILENT = "silent"
"""Code of the endings on a socket that was given up because of its silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What the server said about its session.

    Attributes:
        model: As the server names it.
        settings: The ones in effect, spelled as in the dialect.
        dialect: `ga` or `beta`.
    """

    model: str
    settings: Mapping[str, Any]
    dialect: str


class Link:
    """One open socket; `start` it before anything else, and `close` it at last.

    Args:
        socket: Opened by `handshake.dial`.
        connection: New, for this socket.
        silence_s: Given up when so long nothing came, not even a pong, while somebody waits.
        on_event: Told about every event, after those who wait for it were woken.
    """

    def __init__(
        self,
        socket: ClientConnection,
        connection: RealtimeConnection,
        *,
        silence_s: float,
        on_event: Callable[[Link, Event], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.socket = socket
        self.connection = connection
        self.greeted: asyncio.Future[SessionFacts] = loop.create_future()
        self.configured: asyncio.Future[SessionFacts] = loop.create_future()
        self.is_ending = False
        self.has_answered = False
        self.is_dropped = False
        self._loop = loop
        self._on_event = on_event
        self._loss = object()
        self._replies: dict[str, asyncio.Future[TextReply]] = {}
        self._operations: dict[str, asyncio.Future[ItemConfirmed]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._watch = SilenceWatch(silence_s)
        self._timer: asyncio.TimerHandle | None = None
        self._outbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_alive(self) -> bool:
        """Whether the connection is not over yet."""
        return not self.connection.is_closed

    @property
    def takes_requests(self) -> bool:
        """Whether neither side has begun to end it."""
        return self.is_alive and not self.is_ending and is_open(self.socket)

    @property
    def is_ready(self) -> bool:
        """Whether requests may be given to it."""
        return self.connection.is_ready and self.takes_requests

    def start(self) -> None:
        """Begin to read and to write."""
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    async def ask(self, request: Request, *, cancels: bool) -> TextReply:
        """Send one request and return its reply.

        Args:
            request: Asked under the settings in effect.
            cancels: If the caller gives up, the server is told to stop.
        """
        rid = request.request_id
        frames = self.connection.ask(request)
        reply: asyncio.Future[TextReply] = self._loop.create_future()
        self._replies[rid] = reply
        self._begin_waiting()
        is_unsent = bool(frames) and not is_open(self.socket)
        try:
            for frame in frames:
                await self._send(frame)
            return await reply
        except TransportError as error:
            if is_unsent and error.ending is Ending.UNKNOWN:
                error.ending = Ending.UNSENT
            raise
        finally:
            del self._replies[rid]
            give_up = self.connection.cancel if cancels else self.connection.forget
            self._act(give_up(rid))
            self._end_waiting()

    async def operate(self, event_id: str, frame: str) -> ItemConfirmed:
        """Send a frame about an item and return the server's confirmation."""
        waiter: asyncio.Future[ItemConfirmed] = self._loop.create_future()
        self._operations[event_id] = waiter
        self._begin_waiting()
        try:
            await self._send(frame)
            return await waiter
        finally:
            del self._operations[event_id]
            self._end_waiting()

    async def configure(self, frame: str) -> SessionFacts:
        """Send the settings and return what is in effect after the server's confirmation."""
        self.configured = self._loop.create_future()
        await self._send(frame)
        return await self.configured

    async def until_idle(self) -> None:
        """Wait until nobody waits for an answer on this link any more."""
        await self._idle.wait()

    async def close(self) -> None:
        """Close the socket and wait until everything that waited has ended."""
        self.is_dropped = True
        await hang_up(self.socket)
        if self._tasks:
            await asyncio.wait(self._tasks)

    # Inside

    def _begin_waiting(self) -> None:
        self._idle.clear()
        if self._watch.due_at is None:
            self._watch.begin(self._loop.time())
            self._timer = self._loop.call_later(self._watch.ping_s, self._look)

    def _end_waiting(self) -> None:
        if self._replies or self._operations:
            return
        self._idle.set()
        self._watch.rest()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Give a dead socket up, or ask a living one for a sign."""
        if not self.is_alive:
            return
        if self._watch.is_dead(self._loop.time()):
            words = "The connection was silent, and no ping was answered."
            self._act(self.connection.given_up(words, SILENT))
            self.socket.transport.abort()
            return
        self._outbox.put_nowait(None)
        self._timer = self._loop.call_later(self._watch.ping_s, self._look)

    async def _write(self) -> None:
        """Send what the state machine has to say, and pings (None), until the socket closes."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                frame = await self._outbox.get()
                if not self.is_alive:
                    return
                if frame is None:
                    pong = asyncio.ensure_future(await self.socket.ping())
                    pong.add_done_callback(self._hear_pong)
                else:
                    await self._send(frame)

    async def _send(self, frame: str) -> None:
        """Send a frame, unless the socket is lost: then the reader ends whoever waits.

        asyncio would complain on stderr of every write after the loss and before its news.
        """
        if is_open(self.socket):
            with contextlib.suppress(websockets.ConnectionClosed):
                await self.socket.send(frame)

    def _hear_pong(self, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._watch.heard(self._loop.time())

    async def _read(self) -> None:
        """Feed frames to the state machine until the socket closes, then end all that waits."""
        code, reason = 1006, "the reader ended"
        try:
            while self.is_alive:
                frame = await self.socket.recv(decode=False)
                self._watch.heard(self._loop.time())
                self._act(self.connection.receive(frame))
        except websockets.ConnectionClosed as closed:
            last = closed.rcvd or closed.sent
            code, reason = (last.code, last.reason) if last else (1006, "")
        finally:
            self._act(self.connection.closed(code, reason))
        await hang_up(self.socket)

    def _act(self, events: Iterable[Event]) -> None:
        """Do what events say; nothing is decided here."""
        for event in events:
            if isinstance(event, SessionEnding) and self.is_ending:
                continue  # once is enough, however often it is said
            self._wake(event)
            self._on_event(self, event)

    def _wake(self, event: Event) -> None:
        match event:
            case Answered():
                self.has_answered = True
                _resolve(self._replies.get(event.request_id), event.reply)
            case RequestEnded():
                if self.connection.is_closed and isinstance(event.error, TransportError):
                    event.error.loss = self._loss
                _fail(self._replies.get(event.request_id), event.error)
            case FrameDue():
                self._outbox.put_nowait(event.frame)
            case ItemConfirmed():
                _resolve(self._operations.get(event.event_id), event)
            case ItemRefused():
                _fail(self._operations.get(event.event_id), event.error)
            case SessionGreeted():
                _resolve(self.greeted, _facts(event))
            case SessionConfigured():
                _resolve(self.configured, _facts(event))
            case SessionRefused():
                text = f"The server refused the session settings ({event.code}): {event.message}"
                _fail(self.configured, RequestRejected(text, code=event.code))
            case SessionEnding():
                self.is_ending = True
            case ConnectionFault():
                _fail(self.greeted, event.error)
                _fail(self.configured, event.error)
                self._end()
            case _:
                pass  # for whoever listens

    def _end(self) -> None:
        """Let writer and reader come to their ends; the reader closes the socket."""
        self._outbox.put_nowait(None)
        self._tasks.append(asyncio.create_task(hang_up(self.socket)))


def _facts(event: SessionGreeted | SessionConfigured) -> SessionFacts:
    return SessionFacts(model=event.model, settings=event.settings, dialect=event.dialect)


def _resolve(waiter: asyncio.Future[Any] | None, value: Any) -> None:
    """Wake a waiter, unless it was cancelled in this very turn of the loop."""
    if waiter is not None and not waiter.done():
        waiter.set_result(value)


def _fail(waiter: asyncio.Future[Any] | None, error: BaseException) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_exception(error)
        waiter.exception()  # Marks it as seen: nobody may be waiting at this moment.
