"""The route responses-ws in bad company: cold servers, dying sockets, closing in between."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from analysis.errors import TransportError
from analysis.records import Ending, RateLimit, TextReply
from analysis.transport.pool import SPARE_AFTER_S, LanesTransport
from analysis.wire.places import Place
from tests.virtual_loop import virtual

from .examples import request
from .scripted import Json, Service, Session
from .scripted_lanes import (
    QUICK,
    after,
    answer,
    ask_all,
    begin,
    contents,
    finish,
    obedient,
    refuse,
    requests,
    route,
    silent,
    texts,
)

WARM = replace(QUICK, responses_ws_warm_up=True)


def is_warm_up(ask: Json) -> bool:
    """Tell whether nothing is to be generated."""
    return ask.get("generate") is False


async def slow_to_warm(session: Session) -> None:
    """Answer the warm-up after five seconds."""
    while True:
        ask = await session.heard()
        if is_warm_up(ask):
            await begin(session, ask)
            await asyncio.sleep(5.0)
            await finish(session, ask)
        else:
            await answer(session, ask)


# The warm-up


@virtual
async def test_a_warm_up_without_answer_holds_nobody_up_for_long() -> None:
    """As long as a connection may take, and only once."""

    async def cold(session: Session) -> None:
        while True:
            ask = await session.heard()
            if not is_warm_up(ask):
                await answer(session, ask)

    loop = asyncio.get_running_loop()
    async with route(Service(cold), settings=WARM) as transport:
        asked = requests(3)
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert WARM.connect_timeout_s == round(loop.time(), 3)


@virtual
async def test_a_failed_opening_before_the_warm_up_is_not_kept() -> None:
    """The service was down at the first request; the second one is answered."""
    service = Service(obedient, status=503)
    async with route(service, settings=WARM) as transport:
        with pytest.raises(TransportError):
            await transport.ask(request("r1"))
        service._status = None
        assert isinstance(await transport.ask(request("r2")), TextReply)


@virtual
async def test_the_cost_of_a_warm_up_whose_caller_went_is_on_the_next_reply() -> None:
    """No usage is lost."""
    async with route(Service(slow_to_warm), settings=WARM) as transport:
        gone = asyncio.create_task(transport.ask(request("r1")))
        await asyncio.sleep(1.0)
        gone.cancel()
        replies = [await transport.ask(request(rid)) for rid in ("r2", "r3")]
        assert [240, 120] == [reply.usage.input_tokens for reply in replies]


@virtual
async def test_closing_during_the_warm_up_ends_who_waits() -> None:
    """As unsent, and not as if they had been cancelled."""
    async with route(Service(slow_to_warm), settings=WARM) as transport:
        asked = asyncio.create_task(ask_all(transport, requests(3)))
        await asyncio.sleep(1.0)
        await transport.close()
        assert [Ending.UNSENT] * 3 == [getattr(one, "ending", None) for one in await asked]


# Sockets that end


@virtual
async def test_a_socket_that_has_begun_to_close_gets_no_request() -> None:
    """It is open in name only; the request goes over another one."""
    async with route(service := Service(obedient)) as transport:
        await transport.ask(request("r1"))
        (socket,) = transport._sockets
        closing = asyncio.create_task(socket._socket.close())
        await asyncio.sleep(0)
        assert (True, 0) == (socket in transport._sockets, socket.room)
        assert request("r2").ask.content == (await transport.ask(request("r2"))).text
        await closing
        assert 2 == service.connections


@virtual
async def test_a_server_that_takes_sockets_and_drops_them_is_dialled_within_the_budget() -> None:
    """64 wait, nobody is ever answered, and all hear of it; none was sent or all may have been."""

    async def dropping(session: Session) -> None:
        session.socket.transport.abort()

    loop = asyncio.get_running_loop()
    settings = replace(QUICK, connects_per_s=2.0, connect_burst=8)
    async with route(service := Service(dropping), settings=settings) as transport:
        number = 0
        while loop.time() < 60.0:
            number += 1
            outcomes = await ask_all(transport, requests(64, f"n{number}-"))
            assert all(isinstance(one, TransportError) for one in outcomes)
        assert service.connections <= 8 + 2 * 60 + 8


@virtual
async def test_nothing_is_left_after_closing_in_the_midst_of_everything() -> None:
    """Openings, a rotation, draining sockets, waiting callers: no task and no timer stays."""
    settings = replace(QUICK, session_age_s=3.0, responses_ws_sockets=2)
    before = asyncio.all_tasks()
    for instant in (0.0, 0.001, 0.5, 2.5, 2.6, 2.7, 2.75):
        async with route(Service(after(1.0)), settings=settings) as transport:
            asked = asyncio.create_task(ask_all(transport, requests(70, f"n{instant}-")))
            await asyncio.sleep(instant)
            await transport.close()
            outcomes = await asked
            assert all(isinstance(one, TextReply | TransportError) for one in outcomes)
            with pytest.raises(TransportError, match="closed"):
                await transport.ask(request("late"))
            facts = transport.facts
            assert facts is None or 0 == facts.sockets
            assert not (transport._openings or transport._closings or transport._timers)
            assert not transport._waiters
    await asyncio.sleep(5.0)
    assert before == asyncio.all_tasks()


# Lanes


@virtual
async def test_a_server_with_few_names_serves_requests_one_after_the_other() -> None:
    """The first refused name tells that there are no more."""

    async def few(session: Session) -> None:
        known: set[str] = set()
        while True:
            ask = await session.heard()
            name = ask["stream_id"]
            if len(known | {name}) > 4:
                await refuse(session, "websocket_stream_limit_reached", name)
            else:
                known.add(name)
                await answer(session, ask)

    async with route(service := Service(few)) as transport:
        for number in range(20):
            asked = request(f"r{number}")
            assert asked.ask.content == (await transport.ask(asked)).text
        assert 1 == service.connections


@virtual
async def test_callers_that_give_up_leave_no_lane_and_no_place() -> None:
    """Waves of 64 that are cancelled in their midst; the next wave is answered in full."""
    async with route(Service(silent, silent, silent, silent, after(1.0))) as transport:
        given_up = asyncio.create_task(ask_all(transport, requests(64)))
        await asyncio.sleep(1.0)
        given_up.cancel()
        await asyncio.wait([given_up])
        asked = requests(64, "s")
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert not transport._waiters and 4 == len(transport._sockets)


@virtual
async def test_a_listener_that_fails_ends_what_waits_and_the_socket() -> None:
    """Whoever waits hears of it; no socket stays open that nobody reads."""

    def broken(route: str, limits: tuple[RateLimit, ...]) -> None:
        raise ValueError(route)

    async def telling(session: Session) -> None:
        await session.heard()
        headers = {"x-ratelimit-limit-requests": "60"}
        await refuse(session, "rate_limit_exceeded", "w15", headers=headers)

    async with route(Service(telling), on_limits=broken) as transport:
        await transport.open()
        (socket,) = transport._sockets
        (error,) = await ask_all(transport, requests(1))
        assert Ending.UNKNOWN is getattr(error, "ending", None)
        await socket._socket.wait_closed()


@virtual
async def test_a_handshake_that_is_swallowed_is_tried_once() -> None:
    """A proxy that takes the connection and says nothing: the next route has its turn soon."""
    heard: list[asyncio.StreamWriter] = []
    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(
        lambda _, peer: heard.append(peer), "127.0.0.1", 0
    ) as one:
        port = one.sockets[0].getsockname()[1]
        transport = LanesTransport(
            place=Place(base_url=f"http://127.0.0.1:{port}/v1", api_key="k"),
            rng=random.Random(1),
            settings=QUICK,
        )
        with pytest.raises(TransportError) as caught:
            await transport.ask(request("q1"))
        assert (Ending.UNSENT, 1) == (caught.value.ending, len(heard))
        assert QUICK.connect_timeout_s == round(loop.time(), 1)
        await transport.close()
        for peer in heard:
            peer.close()


@virtual
async def test_a_long_run_keeps_one_socket_more_than_it_needs() -> None:
    """The loss of one then leaves room for all; a short run opens none."""

    async def slow(session: Session) -> None:
        while True:
            ask = await session.heard()
            await begin(session, ask)
            await asyncio.sleep(1.0)
            await finish(session, ask)

    service = Service(slow)
    async with route(service) as transport:
        for number in range(int(SPARE_AFTER_S) - 1):
            await transport.ask(request(f"q{number}"))
        assert 1 == service.connections
        for number in range(5):
            await transport.ask(request(f"r{number}"))
        assert 2 == service.connections
