"""One WebSocket of the route responses-ws: frames in both directions, and whether it still lives.

io. `transport/pool.py` opens and drops these; what frames mean is decided in `wire/lanes.py`.

Keepalive. The websockets package pings every 20 s and gives up 20 s after a ping without pong, so a
half-open socket would hold its requests for up to 40 s. While requests wait, this module asks
sooner: when no frame came for a third of `silence_s`, it pings, and when neither frame nor pong
comes for the rest of it, it drops the socket. A service that is silent because it thinks answers
the ping, so it is not taken for a dead one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeAlias

import websockets
from websockets.asyncio.client import ClientConnection

from analysis.records import Request, TextReply
from analysis.settings import SETTINGS
from analysis.wire.events import Answered, RequestEnded
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.lane_frames import AskAgain, LaneEvent
from analysis.wire.lanes import LanesConnection

PING_SHARE = 3
"""A ping goes out when one in so many parts of the time of silence is over."""

Reply: TypeAlias = TextReply | AskAgain


class LaneSocket:
    """An open socket with its state machine, its reader and those who wait for a reply.

    Args:
        socket: Open, and nothing was sent on it.
        connection: New.
        on_event: Told what concerns no single request.
        on_change: Told when lanes may have become free, and when the socket is over.
        silence_s: Seconds without frame or pong, while requests wait, after which it is dropped.
    """

    def __init__(
        self,
        socket: ClientConnection,
        connection: LanesConnection,
        *,
        on_event: Callable[[LaneEvent], None],
        on_change: Callable[[LaneSocket], None],
        silence_s: float = SETTINGS.silence_s,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.connection = connection
        self.opened_at = loop.time()
        self.has_answered = False
        self.is_silent = False
        self._socket = socket
        self._on_event = on_event
        self._on_change = on_change
        self._silence_s = silence_s
        self._has_heard = False
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._reader = loop.create_task(self._read())
        self._watch = loop.create_task(self._watch_silence())

    def __repr__(self) -> str:
        return f"<LaneSocket {self.connection!r}>"

    @property
    def is_over(self) -> bool:
        """Whether the socket has closed; nothing waits for it any more."""
        return self.connection.is_closed

    @property
    def is_idle(self) -> bool:
        """Whether no request waits."""
        return not self._replies

    async def ask(
        self, request: Request, *, form: Form = STRICTEST, is_warm_up: bool = False
    ) -> Reply:
        """Send one request and return its reply, or in which form to ask again.

        The lane is taken before the first pause, so whoever saw room may rely on it.

        Raises:
            LocalProtocolError: If there is no room.
            TransportError: If no reply came.
            RequestRejected: If the service refused the request for good.
            AnswerDefect: If the reply cannot be used.
        """
        rid = request.request_id
        frame = self.connection.ask(request, form=form, is_warm_up=is_warm_up)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[rid] = reply
        try:
            # A socket that dies under the write ends the reply by way of the reader.
            with contextlib.suppress(websockets.ConnectionClosed):
                await self._socket.send(frame)
            return await reply
        finally:
            del self._replies[rid]
            self.connection.forget(rid)
            self._on_change(self)

    async def close(self) -> None:
        """Close the socket; requests that wait end as unknown. May be called again."""
        self._watch.cancel()
        await self._socket.close()
        await asyncio.wait([self._reader, self._watch])

    async def _read(self) -> None:
        """Feed frames to the state machine until the socket closes, then end all that waits."""
        code, reason = 1006, "the reader ended"
        try:
            while not self.connection.is_closed:
                frame = await self._socket.recv(decode=False)
                self._has_heard = True
                self._act(self.connection.receive(frame))
        except websockets.ConnectionClosed as closed:
            last = closed.rcvd or closed.sent
            silence = f"no sign of life for {self._silence_s:g} s" if self.is_silent else ""
            code, reason = (last.code, last.reason) if last else (1006, silence)
        finally:
            self._act(self.connection.closed(code, reason))
            self._on_change(self)
        self._watch.cancel()
        await self._socket.close()

    def _act(self, events: tuple[LaneEvent, ...]) -> None:
        """Do what events say; nothing is decided here."""
        for event in events:
            match event:
                case Answered():
                    self.has_answered = True
                    _resolve(self._replies.get(event.request_id), event.reply)
                case AskAgain():
                    _resolve(self._replies.get(event.request_id), event)
                case RequestEnded():
                    _fail(self._replies.get(event.request_id), event.error)
                case _:
                    self._on_event(event)
        if events:
            self._on_change(self)

    async def _watch_silence(self) -> None:
        """Ping while requests wait in silence; drop the socket when even that has no echo."""
        ping_s = self._silence_s / PING_SHARE
        with contextlib.suppress(websockets.ConnectionClosed):
            while not self.is_over:
                self._has_heard = False
                await asyncio.sleep(ping_s)
                if self._has_heard or not self._replies:
                    continue
                pong = await self._socket.ping()
                try:
                    async with asyncio.timeout(self._silence_s - ping_s):
                        await pong
                except TimeoutError:
                    if not self._has_heard:
                        self.is_silent = True
                        self._socket.transport.abort()
                        return


def _resolve(waiter: asyncio.Future[Reply] | None, value: Reply) -> None:
    """Wake a waiter, unless it was cancelled in this very turn of the loop."""
    if waiter is not None and not waiter.done():
        waiter.set_result(value)


def _fail(waiter: asyncio.Future[Reply] | None, error: BaseException) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_exception(error)
        waiter.exception()  # Marks it as seen: the caller may be about to be cancelled.
