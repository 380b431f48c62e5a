"""One WebSocket of the route responses-ws: frames in both directions, and whether it still lives.

io. `transport/pool.py` opens and drops these; what frames mean is decided in `wire/lanes.py`.

Keepalive. The websockets package pings every 20 s and gives up 20 s after a ping without pong, so a
half-open socket would hold its requests for up to 40 s. While requests wait, this module asks
sooner, three times in `silence_s`, and drops the socket when neither frame nor pong came for all of
it (`wire/silence.py`). A service that is silent because it thinks answers the ping, so it is not
taken for a dead one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import websockets
from websockets.asyncio.client import ClientConnection

from analysis.errors import TransportError
from analysis.records import Ending, Request, TextReply
from analysis.settings import SETTINGS
from analysis.transport.handshake import hang_up, is_open
from analysis.wire.events import Answered, ConnectionFault, RequestEnded, RequestFailure
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.lane_frames import AskAgain, LaneEvent
from analysis.wire.lanes import LanesConnection
from analysis.wire.silence import SilenceWatch

Reply: TypeAlias = TextReply | AskAgain


@dataclass(frozen=True, slots=True, kw_only=True)
class LanesFacts:
    """What is known of the server.

    Attributes:
        model: As the server names it; empty before the first answer.
        has_lanes: Whether it takes several requests at once on a socket.
        format: `json_schema`, `json_object` or `text`: how the form of answers is asked for.
        service_tiers: Tiers that served answers, as stated; they may differ from the one asked for.
        sockets: Open now.
    """

    model: str
    has_lanes: bool
    format: str
    service_tiers: tuple[str, ...]
    sockets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LanesCounters:
    """What happened beside the answers, since the transport was made.

    Attributes:
        connections: Sockets opened.
        rotations: Sockets that were replaced because of their age, or because they were worn.
        reconnects: Sockets opened in place of one that was lost.
        silences: Sockets dropped because they gave no sign of life.
        late_replies: Ends of requests that had ended already; also under `violations`.
        ignored: Name of an event that nobody needed -> how often it came.
        violations: What the peer did against the protocol -> how often.
    """

    connections: int
    rotations: int
    reconnects: int
    silences: int
    late_replies: int
    ignored: Mapping[str, int]
    violations: Mapping[str, int]


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
        self.fault: RequestFailure | None = None
        self._socket = socket
        self._on_event = on_event
        self._on_change = on_change
        self._silence_s = silence_s
        self._silence = SilenceWatch(silence_s)
        self._loss = object()
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._echo: asyncio.Future[None] = loop.create_future()
        self._echo.set_result(None)
        self._reader = loop.create_task(self._read())
        self._watch = loop.create_task(self._watch_silence())

    def __repr__(self) -> str:
        return f"<LaneSocket {self.connection!r}>"

    @property
    def is_over(self) -> bool:
        """Whether the socket has closed; nothing waits for it any more."""
        return self.connection.is_closed

    @property
    def room(self) -> int:
        """How many more requests it takes now; none once it has begun to close."""
        return self.connection.room if is_open(self._socket) else 0

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
        self._silence.begin(asyncio.get_running_loop().time())
        # A socket that is lost before or under the write ends the reply by way of the reader.
        # asyncio would complain on stderr of every write after the loss and before its news.
        is_sent = is_open(self._socket)
        try:
            if is_sent:
                with contextlib.suppress(websockets.ConnectionClosed):
                    await self._socket.send(frame)
            return await reply
        except TransportError as error:
            if not is_sent and error.ending is Ending.UNKNOWN:
                error.ending = Ending.UNSENT
            raise
        finally:
            del self._replies[rid]
            if not self._replies:
                self._silence.rest()
            self.connection.forget(rid)
            self._on_change(self)

    async def close(self) -> None:
        """Close the socket; requests that wait end as unknown. May be called again."""
        self._watch.cancel()
        await hang_up(self._socket)
        await asyncio.wait([self._reader, self._watch, self._echo])

    async def _read(self) -> None:
        """Feed frames to the state machine until the socket closes, then end all that waits."""
        code, reason = 1006, "the reader ended"
        clock = asyncio.get_running_loop().time
        try:
            while not self.connection.is_closed:
                frame = await self._socket.recv(decode=False)
                self._silence.heard(clock())
                self._act(self.connection.receive(frame))
        except websockets.ConnectionClosed as closed:
            last = closed.rcvd or closed.sent
            silence = f"no sign of life for {self._silence_s:g} s" if self.is_silent else ""
            code, reason = (last.code, last.reason) if last else (1006, silence)
        finally:
            self._act(self.connection.closed(code, reason))
            self._on_change(self)
            self._watch.cancel()
            await hang_up(self._socket)

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
                    if self.connection.is_closed and isinstance(event.error, TransportError):
                        event.error.loss = self._loss
                    _fail(self._replies.get(event.request_id), event.error)
                case ConnectionFault():
                    self.fault = event.error
                case _:
                    self._on_event(event)
        if events:
            self._on_change(self)

    async def _watch_silence(self) -> None:
        """Ping while requests wait; drop the socket when nothing comes, not even a pong."""
        clock = asyncio.get_running_loop().time
        while not self.is_over:
            await asyncio.sleep(self._silence.ping_s)
            if self._silence.is_dead(clock()):
                self.is_silent = True
                self._socket.transport.abort()
                return
            if self._replies and self._echo.done():
                self._echo = asyncio.ensure_future(self._ping())

    async def _ping(self) -> None:
        """Send a ping and wait for the pong; on a way that is blocked even the sending waits."""
        with contextlib.suppress(websockets.ConnectionClosed):
            await (await self._socket.ping())
            self._silence.heard(asyncio.get_running_loop().time())


def _resolve(waiter: asyncio.Future[Reply] | None, value: Reply) -> None:
    """Wake a waiter, unless it was cancelled in this very turn of the loop."""
    if waiter is not None and not waiter.done():
        waiter.set_result(value)


def _fail(waiter: asyncio.Future[Reply] | None, error: BaseException) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_exception(error)
        waiter.exception()  # Marks it as seen: the caller may be about to be cancelled.
