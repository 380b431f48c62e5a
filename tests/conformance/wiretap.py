"""Stands between a client and the service and keeps every byte; reads them when all is over.

io for `Wiretap`, which copies bytes and understands none; pure for `read`, which knows HTTP by h11
and WebSocket frames by the websockets package, so that neither side's own reading is trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

_COPY_BYTES = 65_536


@dataclass(slots=True)
class Line:
    """The bytes of one TCP connection, in both directions."""

    to_service: bytearray = field(default_factory=bytearray)
    to_client: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One HTTP request with its answer, or one WebSocket from its opening on.

    Attributes:
        method: Of the request.
        path: With its query.
        headers: Of the request, names in lower case.
        body: Of the request.
        status: Of the answer; 0 if none came.
        content_type: Of the answer.
        answer: The body of the answer, as far as it came.
        is_whole: The answer came to its end.
        sent: Texts of the client's WebSocket messages.
        received: Texts of the service's.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    content_type: str
    answer: bytes
    is_whole: bool
    sent: tuple[str, ...] = ()
    received: tuple[str, ...] = ()


class Wiretap:
    """A relay in front of a service; use as `async with Wiretap(base_url) as tap`.

    Attributes:
        lines: One for each connection, oldest first.
    """

    def __init__(self, base_url: str) -> None:
        self.lines: list[Line] = []
        self._target = urlsplit(base_url)
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """What clients take in place of the service's own."""
        return f"http://127.0.0.1:{self._port}{self._target.path}"

    async def __aenter__(self) -> Wiretap:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(relay)
        relay.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line()
        self.lines.append(line)
        far_reader, far_writer = await asyncio.open_connection(
            self._target.hostname, self._target.port
        )
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(
                _copy(reader, far_writer, line.to_service),
                _copy(far_reader, writer, line.to_client),
            )
        finally:
            self._writers -= {writer, far_writer}
            for one in (writer, far_writer):
                one.transport.abort()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    """Hand on what comes until the end, and then the end, in the way in which it came."""
    try:
        while data := await reader.read(_COPY_BYTES):
            kept += data
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        writer.transport.abort()
    else:
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()


def read(line: Line) -> Iterator[Exchange]:
    """Return what was said on a connection, in order; a torn end is left out."""
    asked, answered = bytes(line.to_service), bytes(line.to_client)
    while asked:
        request, body, asked, is_asked = _message(h11.SERVER, asked)
        if not isinstance(request, h11.Request) or not is_asked:
            return
        headers = _headers(request)
        answer, content, answered, is_whole = _message(h11.CLIENT, answered, request)
        status = answer.status_code if isinstance(answer, h11.Response) else 0
        sent: tuple[str, ...] = ()
        received: tuple[str, ...] = ()
        if isinstance(answer, h11.InformationalResponse):
            sent = tuple(_texts(asked, is_masked=True))
            received = tuple(_texts(answered, is_masked=False))
            status, asked = answer.status_code, b""
        yield Exchange(
            method=request.method.decode(),
            path=request.target.decode(),
            headers=headers,
            body=body,
            status=status,
            content_type=_headers(answer).get("content-type", "") if answer else "",
            answer=content,
            is_whole=is_whole,
            sent=sent,
            received=received,
        )


def _headers(message: Any) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in message.headers}


def _message(
    side: Any, data: bytes, request: h11.Request | None = None
) -> tuple[Any, bytes, bytes, bool]:
    """Return head, body, the bytes behind them, and whether the message is whole."""
    connection = h11.Connection(side)
    if request is not None:
        # The body was sent long ago; what counts is which answers fit to the method.
        connection.send(_without_body(request))
        connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    is_ended = not data
    head, body = None, b""
    while True:
        try:
            event: Any = connection.next_event()
        except h11.RemoteProtocolError:
            return head, body, b"", False
        if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
            return event, b"", connection.trailing_data[0], True
        if isinstance(event, h11.EndOfMessage):
            return head, body, connection.trailing_data[0], True
        if isinstance(event, h11.Request | h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif event is h11.NEED_DATA and not is_ended:
            # The end of the connection ends some messages and tears the others.
            is_ended = True
            connection.receive_data(b"")
        elif not isinstance(event, h11.InformationalResponse):
            return head, body, b"", False


def _without_body(request: h11.Request) -> h11.Request:
    about_body = (b"content-length", b"transfer-encoding")
    kept = [(name, value) for name, value in request.headers if name not in about_body]
    return h11.Request(method=request.method, target=request.target, headers=kept)


def _texts(data: bytes, *, is_masked: bool) -> Iterator[str]:
    """Return the text messages in the bytes of one direction."""
    reader = StreamReader()
    reader.feed_data(data)
    parts: list[bytes] = []
    while True:
        parser = Frame.parse(reader.read_exact, mask=is_masked, max_size=None)
        try:
            next(parser)
        except StopIteration as stop:
            frame: Frame = stop.value
        except ProtocolError:
            return
        else:
            return
        if frame.opcode in (Opcode.TEXT, Opcode.CONT):
            parts.append(bytes(frame.data))
            if frame.fin:
                yield b"".join(parts).decode()
                parts = []
