"""The doors of the simulated service: HTTP and WebSocket on a loopback address.

io. Moves bytes and keeps timers; every decision is made in `routes`, `realtime` and `lanes`. The
command `simulate`, `--local` and tests start it, in their own event loop (`LocalService`) or in a
thread (`start_in_thread`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from ssl import SSLContext
from threading import Thread
from types import TracebackType
from typing import Any

from aiohttp import WSMsgType, web

from analysis.errors import ConfigurationError
from analysis.simulator.addresses import LANES_PATH, Address
from analysis.simulator.handshake import SUBPROTOCOL, read_handshake
from analysis.simulator.lanes import LanesSession
from analysis.simulator.outcomes import Delivery, HttpOutcome
from analysis.simulator.outputs import Close, Cut, Output, Silence, SocketSession, Torn
from analysis.simulator.realtime import RealtimeSession
from analysis.simulator.refusals import Json
from analysis.simulator.routes import (
    find_socket,
    largest_body,
    refuse_lanes,
    refuse_upgrade,
    respond,
)
from analysis.simulator.service import Service, encode

LARGEST_BODY_BYTES = 32 * 1024 * 1024
LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024
"""The protocol names 15 MiB for one event, section 4.4."""
LARGEST_BACKLOG_BYTES = 64 * 1024 * 1024
"""A client that leaves so much unread is cut off, so that memory stays bounded."""
LONGEST_SILENCE_S = 3_600.0
"""How long a half-open socket is kept."""
_PING = b"\x89\x00"
"""An unmasked PING frame without payload (RFC 6455, section 5.5.2)."""
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
        tls: Certificate and key of a TLS door; None serves without encryption.

    Raises:
        ConfigurationError: If the host is not a loopback address.
    """

    def __init__(
        self,
        service: Service,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: SSLContext | None = None,
    ) -> None:
        if not _is_loopback(host):
            raise ConfigurationError(
                f"Host {host!r} is not a loopback address. The service has no protection of its "
                "own and binds 127.0.0.1, ::1 or localhost only."
            )
        self._service = service
        self._host = host
        self._port = port
        self._tls = tls
        self._runner: web.ServerRunner | None = None
        self._connections: set[_Connection] = set()

    @property
    def base_url(self) -> str:
        """What clients take as their base URL, such as `http://127.0.0.1:8080/v1`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}/v1"

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
                client_max_size=largest_body(self._service, message.path, LARGEST_BODY_BYTES),
            )

        server = web.Server(
            self._handle,
            request_factory=make_request,
            handler_cancellation=True,
            access_log=None,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=CLOSE_TIMEOUT_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls)
        await site.start()
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
        address = find_socket(request.path, request.query) if request.method == "GET" else None
        if address is not None:
            is_lanes = address.path == LANES_PATH
            interval_s = self._ping_interval_s(is_lanes)
            socket = _make_socket()
            if socket.can_prepare(request).ok:
                refused = self._refuse_upgrade(request, address)
                if refused is not None:
                    return _http(refused)
                await socket.prepare(request)
                session = self._open_session(request, address)
                return await self._serve(_Connection(request, socket, session, interval_s))
        outcome = respond(
            self._service,
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=await request.read(),
            now=asyncio.get_running_loop().time(),
        )
        return await _Answer(self._service, request, outcome).deliver()

    def _ping_interval_s(self, is_lanes: bool) -> float | None:
        profile = self._service.profile
        return profile.responses.ping_interval_s if is_lanes else profile.ping_interval_s

    def _refuse_upgrade(self, request: web.BaseRequest, address: Address) -> HttpOutcome | None:
        now = asyncio.get_running_loop().time()
        query, headers = request.query, request.headers
        if address.path == LANES_PATH:
            return refuse_lanes(self._service, headers=headers, now=now)
        return refuse_upgrade(self._service, address=address, query=query, headers=headers, now=now)

    def _open_session(self, request: web.BaseRequest, address: Address) -> SocketSession:
        now = asyncio.get_running_loop().time()
        handshake = read_handshake(request.query, request.headers, address)
        if address.path == LANES_PATH:
            return LanesSession(self._service, key=handshake.key or "", now=now)
        return RealtimeSession(self._service, handshake, now=now)

    async def _serve(self, connection: _Connection) -> web.StreamResponse:
        self._connections.add(connection)
        try:
            return await connection.run()
        finally:
            self._connections.discard(connection)


class _Answer:
    """One HTTP answer: waits until it is due, pays and sends it, whole or in parts."""

    def __init__(self, service: Service, request: web.BaseRequest, outcome: HttpOutcome) -> None:
        self._loop = asyncio.get_running_loop()
        self._service = service
        self._request = request
        self._outcome = outcome
        self._unpaid = outcome.receipt

    async def deliver(self) -> web.StreamResponse:
        """Send the answer or what its delivery makes of it."""
        outcome = self._outcome
        try:
            await self._wait_until(outcome.at)
            if outcome.chunks:
                return await self._stream()
            if outcome.delivery is Delivery.HANG:
                await self._loop.create_future()
            if outcome.delivery is Delivery.TORN:
                return await self._tear()
            if outcome.delivery is Delivery.DROP:
                self._abort()
            self._pay()
            return _http(outcome)
        finally:
            # Whoever went away before the end has lost a paid answer.
            self._pay(is_lost=True)

    async def _wait_until(self, at: float) -> None:
        if at > self._loop.time():
            await asyncio.sleep(at - self._loop.time())

    async def _stream(self) -> web.StreamResponse:
        response = web.StreamResponse(status=self._outcome.status, headers=self._outcome.headers)
        await response.prepare(self._request)
        *chunks, (last_at, last) = self._outcome.chunks
        delivery = self._outcome.delivery
        try:
            for at, data in chunks:
                await self._wait_until(at)
                await response.write(data)
            await self._wait_until(last_at)
            if delivery is Delivery.TORN:
                last = last[: len(last) // 2]
            self._pay()
            if last:
                # An empty part would end the body as if it were whole.
                await response.write(last)
            if delivery is Delivery.SEND:
                await response.write_eof()
        except ConnectionResetError:
            return response
        if delivery is Delivery.HANG:
            await self._loop.create_future()
        if delivery is not Delivery.SEND:
            self._close()
        return response

    async def _tear(self) -> web.StreamResponse:
        """Send the first half of the body under the length of the whole."""
        body = self._outcome.body
        response = web.StreamResponse(status=self._outcome.status, headers=self._outcome.headers)
        response.content_length = len(body)
        await response.prepare(self._request)
        await response.write(body[: len(body) // 2])
        self._close()
        return response

    def _abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    def _close(self) -> None:
        """End the connection after what has been written."""
        if self._request.transport is not None:
            self._request.transport.close()

    def _pay(self, *, is_lost: bool = False) -> None:
        receipt, self._unpaid = self._unpaid, None
        if receipt is not None:
            transport = self._request.transport
            is_connected = transport is not None and not transport.is_closing() and not is_lost
            self._service.pay(receipt, is_delivered=is_connected, now=self._loop.time())


class _Connection:
    """One WebSocket: feeds the session, writes what it returns, keeps its timer."""

    def __init__(
        self,
        request: web.BaseRequest,
        socket: web.WebSocketResponse,
        session: SocketSession,
        ping_interval_s: float | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket
        self._transport = request.transport
        self._session = session
        self._timer: asyncio.TimerHandle | None = None
        self._ping_interval_s = ping_interval_s
        self._ping_timer: asyncio.TimerHandle | None = None
        self._closer: asyncio.Task[bool] | None = None
        self._is_silent = False

    async def run(self) -> web.StreamResponse:
        """Serve until the socket is gone."""
        try:
            self._plan_ping()
            self._wake()
            # A ping that is read after the socket was lost cannot be answered.
            with suppress(ConnectionResetError):
                async for message in self._socket:
                    if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) and not self._is_silent:
                        self._write(self._session.receive(message.data, now=self._loop.time()))
                        self._arm()
        finally:
            for timer in (self._timer, self._ping_timer):
                if timer is not None:
                    timer.cancel()
            self._session.end(now=self._loop.time())
            if self._closer is not None:
                await self._closer
        return self._socket

    async def shut_down(self) -> None:
        """Tell the peer that the service goes away."""
        if self._is_silent:
            self._abort()
        else:
            await self._socket.close(code=1001, message=b"The service shuts down.")

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _plan_ping(self) -> None:
        if self._ping_interval_s is not None:
            self._ping_timer = self._loop.call_later(self._ping_interval_s, self._ping)

    def _ping(self) -> None:
        """Send a PING of our own, since those of aiohttp do not know a silent connection."""
        self._send(bytearray(_PING))
        self._plan_ping()

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
                    self._abort()
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
        """Leave the peer alone with an open socket, as a network that lost its state does.

        Nothing tells when the peer has gone, so that the socket ends at an age of its own.
        """
        self._is_silent = True
        if isinstance(self._transport, asyncio.ReadTransport):
            self._transport.pause_reading()
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        self._ping_timer = self._loop.call_later(LONGEST_SILENCE_S, self._abort)

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


def _make_socket() -> web.WebSocketResponse:
    return web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        compress=False,
        max_msg_size=LARGEST_MESSAGE_BYTES,
        timeout=CLOSE_TIMEOUT_S,
    )


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
def start_in_thread(
    service: Service, *, host: str = "127.0.0.1", port: int = 0, tls: SSLContext | None = None
) -> Iterator[str]:
    """Run the service in a thread with a loop of its own; yield its base URL.

    Leaving the context ends the service and joins the thread.

    Raises:
        ConfigurationError: If the host is not a loopback address.
        OSError: If the port cannot be bound.
    """
    local = LocalService(service, host=host, port=port, tls=tls)
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
