"""One Realtime socket in bad company: a blocked way, a close under way, a server that repeats."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from analysis.errors import TransportError
from analysis.records import Ending, RateLimit, TextReply
from analysis.transport.handshake import CLOSE_S
from tests.virtual_loop import virtual

from .examples import request
from .scripted import Service, Session, obedient, route


@virtual
async def test_a_blocked_way_does_not_hold_up_the_closing() -> None:
    """Nothing can be written any more, a close frame neither; nobody waits for an answer."""

    async def deaf(session: Session) -> None:
        await session.greet()
        await session.take_update()
        session.socket.transport.pause_reading()
        await asyncio.sleep(1_000.0)

    loop = asyncio.get_running_loop()
    async with route(Service(deaf), limit_s=10_000.0) as transport:
        asked = [request(f"r{number}") for number in range(16)]
        bulky = [replace(one, ask=replace(one.ask, content="x" * 1_000_000)) for one in asked]
        asking = [asyncio.create_task(transport.ask(one)) for one in bulky]
        await asyncio.sleep(1.0)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        await transport.close()
        assert loop.time() <= 1.0 + 3 * CLOSE_S


@virtual
async def test_a_session_that_has_begun_to_close_gets_no_request() -> None:
    """It is open in name only; the request goes to a new session."""
    async with route(service := Service(obedient)) as transport:
        await transport.ask(request("r1"))
        link = transport._link
        assert link is not None
        closing = asyncio.create_task(link.socket.close())
        await asyncio.sleep(0)
        assert (True, False) == (link.is_alive, link.takes_requests)
        assert isinstance(await transport.ask(request("r2")), TextReply)
        await closing
        assert 2 == service.connections


@virtual
async def test_an_end_that_is_announced_again_and_again_is_one_end() -> None:
    """One new session is opened, and nothing piles up."""

    async def repeating(session: Session) -> None:
        await session.greet()
        await session.take_update()
        error = {"type": "invalid_request_error", "code": "session_expired", "message": "old"}
        for _ in range(1_000):
            await session.say("error", error=error)
        await session.heard()

    async with route(service := Service(repeating, obedient)) as transport:
        await transport.open()
        for _ in range(100):
            await asyncio.sleep(0.001)
            assert len(transport._tasks) <= 2
        assert isinstance(await transport.ask(request("r1")), TextReply)
        assert (2, 1) == (service.connections, transport.counters.rotations)


@virtual
async def test_no_timer_is_left_by_an_opening_that_ends_while_the_route_closes() -> None:
    """The caller gets its session, and the close that waited for it takes it away."""

    async def slow(session: Session) -> None:
        await asyncio.sleep(5.0)
        await obedient(session)

    async with route(Service(slow)) as transport:
        opening = asyncio.create_task(transport.open())
        await asyncio.sleep(1.0)
        await transport.close()
        await asyncio.wait([opening])
        rotation = transport._rotation
        assert rotation is not None and rotation.cancelled()


@virtual
async def test_a_listener_that_fails_ends_what_waits_and_the_socket() -> None:
    """Whoever waits hears of it; no socket stays open that nobody reads."""

    def broken(route: str, limits: tuple[RateLimit, ...]) -> None:
        raise ValueError(route)

    async def telling(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.heard()
        await session.say("rate_limits.updated", rate_limits=[{"name": "requests", "limit": 1}])

    async with route(Service(telling), on_limits=broken) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.ask(request("r1"))
        assert Ending.UNKNOWN is caught.value.ending
