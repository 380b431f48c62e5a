"""The realtime route: connecting, and every way in which it fails."""

from __future__ import annotations

import asyncio
import random
import socket
from dataclasses import replace

import pytest

from analysis.errors import (
    AccountClosed,
    RateLimited,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, TextReply
from analysis.transport.websocket import RealtimeTransport
from analysis.wire.places import Place
from tests.virtual_loop import virtual

from .examples import SETTINGS, request
from .scripted import Handler, Service, Session, obedient, obedient_beta, route


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def bad_key(session: Session) -> None:
    """Refuse the key as the service does: an event, then a close, in one go."""
    error = {"type": "invalid_request_error", "code": "invalid_api_key", "message": "no"}
    await session.say("error", error=error)
    await session.socket.close(3000, "invalid_request_error.invalid_api_key")


async def close_3000(session: Session) -> None:
    """Refuse the key by the close alone."""
    await session.socket.close(3000, "invalid_request_error.invalid_api_key")


async def close_4000(session: Session) -> None:
    """Refuse the model by the close alone."""
    await session.socket.close(4000, "invalid_request_error.invalid_model")


async def beta_refused(session: Session) -> None:
    """Refuse the beta header as OpenAI does: an event, then a close, in one go."""
    code = "beta_api_shape_disabled"
    error = {"type": "invalid_request_error", "code": code, "message": "no"}
    await session.say("error", error=error)
    await session.socket.close(4000, f"invalid_request_error.{code}")


async def bare(session: Session) -> None:
    """Greet in no dialect that can be told."""
    await session.say("session.created", session={"id": "s"})


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (bad_key, AccountClosed),
        (close_3000, AccountClosed),
        (close_4000, RouteClosed),
        (beta_refused, RouteClosed),
        (bare, RouteClosed),
    ],
)
@virtual
async def test_a_final_refusal_is_not_tried_again(handler: Handler, expected: type) -> None:
    """A key, a model or a dialect does not get better."""
    async with route(service := Service(handler), connect_attempts=3) as transport:
        with pytest.raises(expected) as caught:
            await transport.ask(request())
        assert (expected, 1) == (caught.type, service.connections)


@pytest.mark.parametrize(
    ("wanted", "server", "header"),
    [
        ("auto", obedient, None),
        ("auto", obedient_beta, None),
        ("ga", obedient, None),
        ("beta", obedient_beta, "realtime=v1"),
    ],
)
@virtual
async def test_only_a_forced_beta_sends_its_header(
    wanted: str, server: Handler, header: str | None
) -> None:
    """Whoever leaves the dialect open gets an answer from servers of either."""
    settings = replace(SETTINGS, dialect=wanted)
    async with route(service := Service(server), settings=settings) as transport:
        assert isinstance(await transport.ask(request()), TextReply)
        assert header == service.requests[0].headers.get("OpenAI-Beta")


@pytest.mark.parametrize(
    ("wanted", "server", "cure"),
    [
        ("beta", obedient, "Use dialect 'auto' or 'ga'"),
        ("ga", obedient_beta, "Use dialect 'auto' or 'beta'"),
        ("beta", beta_refused, "use 'auto' or 'ga'"),
        ("beta", close_4000, "RouteClosed"),
        ("auto", bare, "Name it as dialect"),
    ],
)
@virtual
async def test_a_dialect_that_is_not_spoken_is_final_and_names_the_cure(
    wanted: str, server: Handler, cure: str
) -> None:
    """One connection, no retry, and the message says what to change."""
    settings = replace(SETTINGS, dialect=wanted)
    async with route(service := Service(server), settings=settings) as transport:
        with pytest.raises(RouteClosed) as caught:
            await transport.open()
        assert cure in f"{caught.type.__name__}: {caught.value}"
        assert 1 == service.connections


@pytest.mark.parametrize(
    ("status", "expected", "attempts"),
    [
        (401, AccountClosed, 1),
        (403, AccountClosed, 1),
        (404, RouteClosed, 1),
        (400, RouteClosed, 1),
        (307, RouteClosed, 1),
        (429, RateLimited, 3),
        (503, TransportError, 3),
    ],
)
@virtual
async def test_a_refused_handshake(status: int, expected: type, attempts: int) -> None:
    """Final statuses end at once, the others after all attempts; redirects are not followed."""
    service = Service(obedient, status=status, Location="/elsewhere", retry_after="0")
    async with route(service, connect_attempts=3) as transport:
        with pytest.raises(expected) as caught:
            await transport.open()
        assert (expected, attempts) == (caught.type, service.connections)
        assert getattr(caught.value, "ending", None) is not Ending.UNKNOWN


@virtual
async def test_a_lost_handshake_is_tried_again() -> None:
    """A server that drops the first connection and greets on the second is reached."""

    async def drop(session: Session) -> None:
        session.socket.transport.abort()

    async with route(service := Service(drop, obedient)) as transport:
        assert isinstance(await transport.ask(request()), TextReply)
        assert (2, 1) == (service.connections, transport.counters.connections)


@virtual
async def test_nobody_there_means_that_nothing_was_sent() -> None:
    """The waits are drawn from the given random source, each up to three times the last one."""
    drawn: list[tuple[float, float]] = []

    class Recorder(random.Random):
        def uniform(self, a: float, b: float) -> float:
            drawn.append((a, b))
            return b

    transport = RealtimeTransport(
        place=Place(base_url=f"http://127.0.0.1:{free_port()}/v1", api_key="k"),
        settings=SETTINGS,
        rng=Recorder(),
        connect_attempts=4,
        backoff_base_s=0.25,
        backoff_cap_s=1.0,
    )
    with pytest.raises(TransportError) as caught:
        await transport.ask(request())
    assert Ending.UNSENT is caught.value.ending
    assert [(0.25, 0.75), (0.25, 2.25), (0.25, 3.0)] == drawn[:3]


@virtual
async def test_those_who_wait_for_an_opening_share_its_failure() -> None:
    """A dead endpoint is tried once for all of them, and anew for whoever comes later."""
    service = Service(obedient, status=503)
    async with route(service, connect_attempts=2) as transport:
        asks = [transport.ask(request(f"r{number}")) for number in range(8)]
        errors = await asyncio.gather(*asks, return_exceptions=True)
        assert [TransportError] * 8 == [type(error) for error in errors]
        assert 2 == service.connections
        with pytest.raises(TransportError):
            await transport.open()
        assert 4 == service.connections


@pytest.mark.parametrize("is_greeting", [False, True])
@virtual
async def test_a_silent_server_is_given_up(is_greeting: bool) -> None:
    """No greeting, or no confirmation, within the time-out: nothing was sent."""

    async def silent(session: Session) -> None:
        if is_greeting:
            await session.greet()
            await session.heard()

    async with route(Service(silent), connect_timeout_s=0.2, connect_attempts=1) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.ask(request())
        assert ("timeout", Ending.UNSENT) == (caught.value.code, caught.value.ending)


@virtual
async def test_a_socket_lost_while_configuring_means_that_nothing_was_sent() -> None:
    """The request had not left yet."""

    async def drop(session: Session) -> None:
        await session.greet()
        await session.heard()
        session.socket.transport.abort()

    async with route(Service(drop)) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.ask(request())
        assert Ending.UNSENT is caught.value.ending


async def raw_server(answer: bytes) -> tuple[asyncio.Server, str]:
    """Start a server that answers whatever comes with these bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: d3Jvbmc=\r\n\r\n",
            RouteClosed,
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", RouteClosed),
        (b"SSH-2.0-something\r\n", TransportError),
        (b"", TransportError),
    ],
)
@virtual
async def test_what_does_not_speak_websocket(answer: bytes, expected: type) -> None:
    """A wrong Sec-WebSocket-Accept is no matter of trying again; silence may be."""
    server, base_url = await raw_server(answer)
    async with server:
        transport = RealtimeTransport(
            place=Place(base_url=base_url, api_key="k"),
            settings=SETTINGS,
            rng=random.Random(1),
            connect_attempts=1,
        )
        with pytest.raises(expected) as caught:
            await transport.open()
        assert expected is caught.type


@pytest.mark.parametrize("base_url", ["nonsense", "ftp://127.0.0.1/v1"])
@virtual
async def test_an_address_that_is_none_closes_the_route(base_url: str) -> None:
    """The message asks to check the base URL."""
    transport = RealtimeTransport(
        place=Place(base_url=base_url, api_key="k"), settings=SETTINGS, rng=random.Random(1)
    )
    with pytest.raises(RouteClosed, match="base URL"):
        await transport.open()
