"""One Responses WebSocket: silence, a dead way, junk."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from analysis.errors import TransportError
from analysis.records import Ending, Request
from analysis.transport.handshake import CLOSE_S
from analysis.wire.lanes import LANES
from tests.virtual_loop import virtual

from .examples import request
from .scripted import Service, Session
from .scripted_lanes import (
    QUICK,
    after,
    answer,
    ask_all,
    contents,
    obedient,
    requests,
    route,
    silent,
    texts,
)

SILENCE_S = 15.0
QUIET = replace(QUICK, silence_s=SILENCE_S)


async def deaf(session: Session) -> None:
    """Take the first request and read nothing more, pings included: a half-open socket."""
    await session.heard()
    session.socket.transport.pause_reading()
    await asyncio.sleep(1_000.0)


@virtual
async def test_a_half_open_socket_is_dropped_after_the_time_of_silence() -> None:
    """Neither frame nor pong: what waits ends as unknown, and the next request goes elsewhere."""
    loop = asyncio.get_running_loop()
    async with route(Service(deaf, obedient), settings=QUIET) as transport:
        begun = loop.time()
        (error,) = await ask_all(transport, requests(1))
        assert isinstance(error, TransportError)
        assert (Ending.UNKNOWN, "1006") == (error.ending, error.code)
        assert f"no sign of life for {SILENCE_S:g} s" in str(error)
        assert SILENCE_S <= loop.time() - begun <= SILENCE_S + 1.0
        assert 1 == transport.counters.silences
        asked = requests(3, "s")
        assert contents(asked) == texts(await ask_all(transport, asked))


def bulky(count: int) -> list[Request]:
    """Return so many requests that no buffer takes."""
    return [replace(one, ask=replace(one.ask, content="x" * 1_000_000)) for one in requests(count)]


@virtual
async def test_a_blocked_way_is_silence_too() -> None:
    """The other side reads nothing, so that even a ping cannot be written any more."""
    loop = asyncio.get_running_loop()
    async with route(Service(deaf), settings=QUIET) as transport:
        errors = await ask_all(transport, bulky(LANES))
        assert [Ending.UNKNOWN] * LANES == [getattr(one, "ending", None) for one in errors]
        assert loop.time() <= SILENCE_S * 4 / 3 + 1.0


@virtual
async def test_a_blocked_way_does_not_hold_up_the_closing() -> None:
    """Nor does it when nobody waits any more, so that nobody looks for silence."""
    loop = asyncio.get_running_loop()
    async with route(Service(deaf), settings=QUIET) as transport:
        asked = asyncio.create_task(ask_all(transport, bulky(LANES)))
        await asyncio.sleep(1.0)
        asked.cancel()
        await asyncio.wait([asked])
        await transport.close()
        assert loop.time() <= 1.0 + 3 * CLOSE_S


@virtual
async def test_a_service_that_thinks_is_not_taken_for_a_dead_one() -> None:
    """It answers pings; minutes without a frame are fine."""
    async with route(Service(after(300.0)), settings=QUIET) as transport:
        asked = requests(2)
        assert contents(asked) == texts(await ask_all(transport, asked))
        spare = 1
        assert (1 + spare, 0) == (transport.counters.connections, transport.counters.silences)


@virtual
async def test_an_idle_socket_may_be_silent() -> None:
    """Nobody waits, so nothing is lost."""
    async with route(Service(obedient), settings=QUIET) as transport:
        await transport.ask(request("r1"))
        await asyncio.sleep(200.0)
        await transport.ask(request("r2"))
        assert 1 == transport.counters.connections


@virtual
async def test_a_frame_above_the_limit_ends_only_what_waits() -> None:
    """The library closes the socket; the next one works."""

    async def bloated(session: Session) -> None:
        await session.heard()
        await session.socket.send("x" * 3_000)

    async with route(Service(bloated, obedient), frame_bytes=2_048) as transport:
        (error,) = await ask_all(transport, requests(1))
        assert isinstance(error, TransportError)
        assert (Ending.UNKNOWN, "1009") == (error.ending, error.code)
        assert request("r2").ask.content == (await transport.ask(request("r2"))).text


@virtual
async def test_junk_is_counted_and_the_answer_still_comes() -> None:
    """Binary junk, broken JSON, unknown names."""

    async def noisy(session: Session) -> None:
        for junk in (b"\x00\xff", "{", '{"type":"response.x"}'):
            await session.socket.send(junk)
        await obedient(session)

    async with route(Service(noisy)) as transport:
        assert request("r1").ask.content == (await transport.ask(request("r1"))).text
        counters = transport.counters
        assert ({"malformed": 2}, {"response.x": 1}) == (counters.violations, counters.ignored)


@virtual
async def test_a_caller_that_goes_leaves_its_lane_to_the_server() -> None:
    """The late reply is counted, and the next request gets its own."""
    gate = asyncio.Event()

    async def late(session: Session) -> None:
        first = await session.heard()
        await gate.wait()
        await answer(session, first)
        await obedient(session)

    async with route(Service(late)) as transport:
        await transport.open()
        lost = asyncio.create_task(transport.ask(request("r1")))
        await asyncio.sleep(0)
        lost.cancel()
        await asyncio.wait([lost])
        gate.set()
        asked = requests(20, "s")
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert 1 == transport.counters.late_replies


@virtual
async def test_closing_ends_what_waits() -> None:
    """As unknown: it was sent."""
    async with route(Service(silent)) as transport:
        asked = asyncio.create_task(ask_all(transport, requests(3)))
        await asyncio.sleep(1.0)
        await transport.close()
        await transport.close()
        assert [Ending.UNKNOWN] * 3 == [getattr(one, "ending", None) for one in await asked]


@virtual
async def test_a_crowd_on_a_socket_that_was_just_lost_makes_no_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """None was sent, and asyncio has no reason to warn of writes that lead nowhere."""
    async with route(Service(obedient)) as transport:
        await transport.open()
        (socket,) = transport._sockets
        asking = [asyncio.create_task(socket.ask(one)) for one in requests(10)]
        socket._socket.transport.abort()
        errors = await asyncio.gather(*asking, return_exceptions=True)
    endings = [one.ending for one in errors if isinstance(one, TransportError)]
    assert [Ending.UNSENT] * 10 == endings
    assert [] == [record.message for record in caplog.records if record.name == "asyncio"]
