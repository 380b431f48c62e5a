"""The doors of the simulated service: HTTP and WebSocket on a loopback address.

io. Moves bytes and keeps timers; every decision is made in `routes` and `realtime`. The command
`simulate`, `--local` and tests start it, in their own event loop (`LocalService`) or in a thread
(`start_in_thread`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

from aiohttp import WSMsgType, web

from analysis.errors import ConfigurationError
from analysis.simulator.handshake import SUBPROTOCOL, read_handshake
from analysis.simulator.outcomes import Delivery, HttpOutcome
from analysis.simulator.outputs import Close, Cut, Output, Silence, SocketSession, Torn
from analysis.simulator.realtime import RealtimeSession
from analysis.simulator.refusals import Json
from analysis.simulator.routes import REALTIME_PATH, refuse_upgrade, respond
from analysis.simulator.service import Service, encode

LARGEST_BODY_BYTES = 32 * 1024 * 1024
LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024
"""The protocol names 15 MiB for one event, section 4.4."""
LARGEST_BACKLOG_BYTES = 64 * 1024 * 1024
"""A client that leaves so much unread is cut off, so that memory stays bounded."""
CLOSE_TIMEOUT_S = 0.25
"""How long a peer may take to answer a close frame, and a request to end at shutdown."""


class PaymentLog:
    """A file of payment records, one JSON object per line, each flushed as it is written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def write(self, record: Json) -> None:
        """Append one record; hand this method to `Service` as `payment`."""
        self._file.write(encode(record) + b"\n")
        self._file.flush()

    def __enter__(self) -> PaymentLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


class LocalService:
    """The service in the running event loop; use as `async with LocalService(service) as local`.

    Args:
        service: The account to serve.
        host: A loopback address.
        port: 0 takes a free port.

    Raises:
        ConfigurationError: If the host is not a loopback address.
    """

    def __init__(self, service: Service, *, host: str = "127.0.0.1", port: int = 0) -> None:
        if not _is_loopback(host):
            raise ConfigurationError(
                f"Host {host!r} is not a loopback address. The service has no protection of its "
                "own and binds 127.0.0.1, ::1 or localhost only."
            )
        self._service = service
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None
        self._connections: set[_Connection] = set()

    @property
    def base_url(self) -> str:
        """What clients take as their base URL, such as `http://127.0.0.1:8080/v1`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/v1"

    async def __aenter__(self) -> LocalService:
        loop = asyncio.get_running_loop()
        self._service.epoch_s = time.time() - loop.time()
        self._service.started_at = loop.time()

        def make_request(
            message: Any, payload: Any, protocol: Any, writer: Any, task: Any
        ) -> web.BaseRequest:
            return web.BaseRequest(
                message,
                payload,
                protocol,
                writer,
                task,
                loop,
                client_max_size=LARGEST_BODY_BYTES,
            )

        server = web.Server(
            self._handle,
            request_factory=make_request,
            handler_cancellation=True,
            access_log=None,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=CLOSE_TIMEOUT_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(one.shut_down() for one in list(self._connections)))
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        if request.path == REALTIME_PATH:
            refused = refuse_upgrade(self._service, now=loop.time())
            if refused is not None:
                return _http(refused)
            socket = self._make_socket()
            if socket.can_prepare(request).ok:
                return await self._serve_realtime(request, socket)
        body = await request.read()
        outcome = respond(
            self._service,
            method=request.method,
            path=request.path,
            headers=request.headers,
            body=body,
            now=loop.time(),
        )
        receipt = outcome.receipt
        try:
            if outcome.at > loop.time():
                await asyncio.sleep(outcome.at - loop.time())
            if outcome.delivery is Delivery.HANG:
                await loop.create_future()
        except asyncio.CancelledError:
            if receipt is not None:
                self._service.pay(receipt, is_delivered=False, now=loop.time())
            raise
        if outcome.delivery is Delivery.DROP and request.transport is not None:
            request.transport.abort()
        if receipt is not None:
            is_connected = request.transport is not None and not request.transport.is_closing()
            self._service.pay(receipt, is_delivered=is_connected, now=loop.time())
        return _http(outcome)

    def _make_socket(self) -> web.WebSocketResponse:
        return web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            compress=False,
            heartbeat=self._service.profile.ping_interval_s,
            max_msg_size=LARGEST_MESSAGE_BYTES,
            timeout=CLOSE_TIMEOUT_S,
        )

    async def _serve_realtime(
        self, request: web.BaseRequest, socket: web.WebSocketResponse
    ) -> web.StreamResponse:
        await socket.prepare(request)
        handshake = read_handshake(request.query, request.headers)
        session = RealtimeSession(self._service, handshake, now=asyncio.get_running_loop().time())
        connection = _Connection(request, socket, session)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
        return socket


class _Connection:
    """One WebSocket: feeds the session, writes what it returns, keeps its timer."""

    def __init__(
        self, request: web.BaseRequest, socket: web.WebSocketResponse, session: SocketSession
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket
        self._transport = request.transport
        self._session = session
        self._timer: asyncio.TimerHandle | None = None
        self._closer: asyncio.Task[bool] | None = None
        self._is_silent = False

    async def run(self) -> None:
        """Serve until the socket is gone."""
        try:
            self._wake()
            async for message in self._socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._write(self._session.receive(message.data, now=self._loop.time()))
                    self._arm()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._session.end(now=self._loop.time())
            if self._closer is not None:
                await self._closer

    async def shut_down(self) -> None:
        """Tell the peer that the service goes away."""
        await self._socket.close(code=1001, message=b"The service shuts down.")

    def _wake(self) -> None:
        self._write(self._session.poll(now=self._loop.time()))
        self._arm()

    def _arm(self) -> None:
        at = self._session.next_at
        if self._timer is not None:
            if self._timer.when() == at and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = None if at is None else self._loop.call_at(at, self._wake)

    def _write(self, outputs: list[Output]) -> None:
        """Write all frames at once; they are whole, so pings of aiohttp may stand between."""
        data = bytearray()
        for output in outputs:
            match output:
                case bytes():
                    data += _header(len(output))
                    data += output
                case Close(code=code, reason=reason):
                    self._send(data)
                    data = bytearray()
                    closing = self._socket.close(code=code, message=reason.encode())
                    self._closer = self._loop.create_task(closing)
                case Cut():
                    self._send(data)
                    data = bytearray()
                    if self._transport is not None:
                        self._transport.abort()
                case Torn(frame=frame):
                    data += _header(len(frame))
                    self._send(data + frame[: len(frame) // 2])
                    data = bytearray()
                    if self._transport is not None:
                        self._transport.close()
                case Silence():
                    self._send(data)
                    data = bytearray()
                    self._silence()
        self._send(data)

    def _silence(self) -> None:
        """Leave the peer alone with an open socket, as a network that lost its state does."""
        self._is_silent = True
        if isinstance(self._transport, asyncio.ReadTransport):
            self._transport.pause_reading()

    def _send(self, data: bytearray) -> None:
        transport = self._transport
        if self._is_silent:
            return
        if not data or transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > LARGEST_BACKLOG_BYTES:
            transport.abort()
        else:
            transport.write(data)


def _http(outcome: HttpOutcome) -> web.Response:
    return web.Response(body=outcome.body, status=outcome.status, headers=outcome.headers)


def _header(size_bytes: int) -> bytes:
    """Return the header of an unmasked, final text frame (RFC 6455, section 5.2)."""
    if size_bytes < 126:
        return bytes((0x81, size_bytes))
    if size_bytes < 1 << 16:
        return b"\x81\x7e" + size_bytes.to_bytes(2)
    return b"\x81\x7f" + size_bytes.to_bytes(8)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def start_in_thread(service: Service, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Run the service in a thread with a loop of its own; yield its base URL.

    Leaving the context ends the service and joins the thread.

    Raises:
        ConfigurationError: If the host is not a loopback address.
        OSError: If the port cannot be bound.
    """
    local = LocalService(service, host=host, port=port)
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with local:
            # From here on nothing but a defect can fail, and the thread reports it by itself.
            started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except (ConfigurationError, OSError) as error:
            started.set_exception(error)

    thread = Thread(target=run, name="simulated-service", daemon=True)
    thread.start()
    try:
        loop, stop = started.result()
        try:
            yield local.base_url
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join()
