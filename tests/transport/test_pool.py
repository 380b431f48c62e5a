"""The sockets of the route responses-ws: how many, when they change, what a lost one costs."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from analysis.errors import AccountClosed, RouteClosed, TransportError
from analysis.records import Ending, RateLimit
from analysis.settings import SETTINGS
from analysis.transport.lanes import LanesFacts
from analysis.transport.pool import LanesTransport
from analysis.wire.lanes import LANES
from analysis.wire.places import Place
from tests.virtual_loop import virtual

from .examples import request
from .scripted import Service, Session
from .scripted_lanes import (
    QUICK,
    LaneHandler,
    after,
    answer,
    ask_all,
    begin,
    contents,
    finish,
    obedient,
    refuse,
    requests,
    rid_of,
    route,
    silent,
    texts,
)

HOUR_S = 3_600.0


@virtual
async def test_the_handshake_goes_to_the_responses_address_with_the_key() -> None:
    """The model stands in the body, and nothing asks for a beta."""
    async with route(service := Service(obedient)) as transport:
        assert None is transport.facts
        await transport.open()
        (asked,) = service.requests
        assert ("/v1/responses", "Bearer sk-secret-key") == (
            asked.path,
            asked.headers["Authorization"],
        )
        assert "OpenAI-Beta" not in asked.headers
        await transport.ask(request())
        expected = LanesFacts(
            model="gpt-6-luna-2026-09-22",
            has_lanes=True,
            format="json_schema",
            service_tiers=("default",),
            sockets=1,
        )
        assert expected == transport.facts


@virtual
async def test_there_are_as_many_sockets_as_the_requests_in_flight_need() -> None:
    """One for 16 requests, opened when they come; each request gets its own answer."""
    async with route(service := Service(after(1.0))) as transport:
        found: list[int] = []
        for count in (1, LANES, LANES + 1, 4 * LANES, 4 * LANES):
            asked = requests(count, f"n{count}-{len(found)}-")
            assert contents(asked) == texts(await ask_all(transport, asked))
            found.append(service.connections)
        assert [1, 1, 2, 4, 4] == found


@virtual
async def test_requests_spread_over_the_sockets() -> None:
    """A lost socket then costs as little as it can."""
    seen: Counter[int] = Counter()

    async def counting(session: Session) -> None:
        number = len(seen)
        seen[number] = 0
        while True:
            ask = await session.heard()
            seen[number] += 1
            await answer(session, ask)

    async with route(Service(after(1.0))) as warm, route(Service(counting)) as transport:
        await ask_all(warm, requests(1))
        await ask_all(transport, requests(4 * LANES))
        before = dict(seen)
        await ask_all(transport, requests(8, "s"))
        assert [2, 2, 2, 2] == [seen[number] - before[number] for number in range(4)]


@virtual
async def test_no_more_sockets_than_allowed_are_opened() -> None:
    """The others wait for a lane and get their answers, too."""
    settings = replace(QUICK, responses_ws_sockets=2)
    async with route(service := Service(after(1.0)), settings=settings) as transport:
        asked = requests(5 * LANES)
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert 2 == service.connections


# Rotation


@virtual
async def test_a_thousand_requests_survive_a_rotation() -> None:
    """Three sockets, a rotation in their midst: none lost, none swapped, none waits for ever."""
    settings = replace(QUICK, session_age_s=40.0)
    async with route(service := Service(after(1.0)), settings=settings) as transport:
        gate = asyncio.Semaphore(3 * LANES)

        async def one(number: int) -> tuple[str, str]:
            asked = request(f"r{number}")
            async with gate:
                return asked.ask.content, (await transport.ask(asked)).text

        found = await asyncio.gather(*(one(number) for number in range(3_000)))
        assert 3_000 == sum(content == text for content, text in found)
        counters = transport.counters
        assert (3, 0, 0) == (counters.rotations, counters.reconnects, counters.late_replies)
        spare = 1
        assert 6 + spare == counters.connections == service.connections


@virtual
async def test_a_socket_ends_its_requests_before_it_goes() -> None:
    """Its successor is there before, between 50 and 55 minutes, and no two at the same time."""
    loop = asyncio.get_running_loop()
    starts: list[float] = []

    async def timing(session: Session) -> None:
        starts.append(loop.time())
        await after(400.0)(session)

    settings = replace(QUICK, silence_s=600.0)
    async with route(Service(timing), settings=settings) as transport:
        await ask_all(transport, requests(3 * LANES))
        await asyncio.sleep(49 * 60 - loop.time())
        asked = requests(3 * LANES, "s")
        assert contents(asked) == texts(await ask_all(transport, asked))
        # Three at the start, the spare of a long run, and a successor for each.
        successors = starts[4:]
        assert (4, 4) == (transport.counters.rotations, len(set(successors)))
        assert all(50 * 60 <= at <= 55 * 60 for at in successors)
        facts = transport.facts
        assert facts is not None and 4 == facts.sockets


@virtual
async def test_an_idle_socket_is_not_replaced() -> None:
    """It goes at its age, and the next request opens another."""
    async with route(service := Service(obedient)) as transport:
        await transport.ask(request("r1"))
        await asyncio.sleep(2 * HOUR_S)
        assert (1, 1) == (service.connections, transport.counters.rotations)
        await transport.ask(request("r2"))
        assert 2 == service.connections


def limited(age_s: float) -> LaneHandler:
    """Return a server that ends its sockets at an age, with the error and then the close."""

    async def handle(session: Session) -> None:
        try:
            async with asyncio.timeout(age_s):
                await after(1.0)(session)
        except TimeoutError:
            await refuse(session, "websocket_connection_limit_reached")
            await session.socket.close(1000)

    return handle


@virtual
async def test_a_shorter_age_is_believed_after_the_first_time() -> None:
    """The first socket loses what had not ended, as unknown; later ones go before that age."""
    async with route(Service(limited(60.0))) as transport:
        outcomes = []
        for number in range(400):
            outcomes += await ask_all(transport, requests(4, f"n{number}-"))
        lost = [one for one in outcomes if isinstance(one, BaseException)]
        assert len(lost) <= 4
        assert all(getattr(one, "ending", None) is Ending.UNKNOWN for one in lost)
        assert transport.counters.rotations >= 400 // 60


# Lost sockets


@virtual
async def test_a_lost_socket_fails_its_own_requests_only() -> None:
    """Ten wait on it, ten end as unknown; the others go on, and it is replaced at once."""

    async def dying(session: Session) -> None:
        await answer(session, await session.heard())
        for _ in range(10):
            await session.heard()
        session.socket.transport.abort()

    async with route(service := Service(dying, after(1.0))) as transport:
        await transport.ask(request("first"))
        outcomes = await ask_all(transport, requests(10))
        assert [(TransportError, Ending.UNKNOWN)] * 10 == [
            (type(one), getattr(one, "ending", None)) for one in outcomes
        ]
        await asyncio.sleep(0.5)
        assert 2 == service.connections
        asked = requests(5, "s")
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert (2, 1) == (transport.counters.connections, transport.counters.reconnects)


@virtual
async def test_a_server_that_drops_every_socket_is_not_dialled_without_end() -> None:
    """The budget is shared by all sockets; who waits hears of each loss."""

    async def dropping(session: Session) -> None:
        await session.heard()
        session.socket.transport.abort()

    loop = asyncio.get_running_loop()
    settings = replace(QUICK, connects_per_s=2.0, connect_burst=8)
    async with route(service := Service(dropping), settings=settings) as transport:
        until = loop.time() + 30.0
        number = 0
        while loop.time() < until:
            number += 1
            await ask_all(transport, requests(4, f"n{number}-"))
        assert 8 + 2 * 30 - 5 <= service.connections <= 8 + 2 * 30 + 5


@virtual
async def test_callers_share_an_opening_and_its_failure() -> None:
    """64 requests do not dial 64 times at a dead endpoint; nothing was sent."""
    service = Service(obedient, status=503)
    async with route(service) as transport:
        outcomes = await ask_all(transport, requests(64))
        assert [(TransportError, Ending.UNSENT)] * 64 == [
            (type(one), getattr(one, "ending", None)) for one in outcomes
        ]
        # The first of the four openings to fail speaks for the others.
        attempts = SETTINGS.connect_attempts
        assert attempts <= service.connections <= attempts * 4


@virtual
async def test_callers_that_keep_coming_do_not_put_the_failure_off() -> None:
    """The opening that began first speaks for the younger ones while no socket is open."""
    loop = asyncio.get_running_loop()
    async with route(Service(obedient, status=503), settings=SETTINGS) as transport:
        began, ends = loop.time(), []

        async def ask_later(number: int) -> None:
            await asyncio.sleep(number * 0.05)
            with pytest.raises(TransportError):
                await transport.ask(request(f"n{number}"))
            ends.append(loop.time() - began)

        await asyncio.gather(*map(ask_later, range(64)))
        waits_s = SETTINGS.backoff_base_s * (1 + 3)  # of the eldest opening, each at its most
        assert min(ends) <= waits_s + 0.001


@virtual
@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AccountClosed), (404, RouteClosed), (426, RouteClosed), (400, RouteClosed)],
)
async def test_a_refused_upgrade_closes_account_or_route(
    status: int, error: type[Exception]
) -> None:
    """At the first attempt, for everybody."""
    service = Service(obedient, status=status)
    async with route(service) as transport:
        assert {error} == {type(one) for one in await ask_all(transport, requests(3))}
        with pytest.raises(error):
            await transport.open()
        assert 2 == service.connections


@virtual
async def test_nobody_at_the_address_is_a_failure_to_connect() -> None:
    """Nothing was sent."""
    place = Place(base_url="http://127.0.0.1:9/v1", api_key="k")
    transport = LanesTransport(place=place, rng=random.Random(1), settings=QUICK)
    with pytest.raises(TransportError) as caught:
        await transport.open()
    assert Ending.UNSENT is caught.value.ending
    await transport.close()


@virtual
async def test_a_gateway_that_closes_with_a_reason_closes_the_route() -> None:
    """101 first, then 1011 with the words of the gateway."""

    async def gateway(session: Session) -> None:
        await session.socket.close(1011, "Unsupported upstream URL scheme http://")

    async with route(Service(gateway)) as transport:
        with pytest.raises(RouteClosed, match="gateway"):
            await transport.ask(request())


# What a server cannot do


async def without_lanes(session: Session) -> None:
    """Refuse every request that names a lane; answer the others one at a time."""
    while True:
        ask = await session.heard()
        if "stream_id" in ask:
            await refuse(session, "unknown_parameter", param="stream_id")
        else:
            await answer(session, ask)


@virtual
async def test_a_server_without_lanes_gets_one_request_at_a_time_per_socket() -> None:
    """Nobody fails for it; it is said once and remembered."""
    said: list[str] = []
    async with route(Service(without_lanes), on_notice=said.append) as transport:
        asked = requests(20)
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert 1 == len(said) and "takes no lanes" in said[0]
        assert transport.facts is not None and not transport.facts.has_lanes


@virtual
async def test_a_server_that_ignores_lanes_is_taken_for_one_without() -> None:
    """It leaves the name out of its events; our own id finds the request."""

    async def ignoring(session: Session) -> None:
        while True:
            ask = await session.heard()
            ask.pop("stream_id", None)
            await answer(session, ask)

    said: list[str] = []
    async with route(Service(ignoring), on_notice=said.append) as transport:
        asked = requests(20)
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert transport.facts is not None and not transport.facts.has_lanes
        assert 1 == len(said)


@virtual
async def test_another_tier_than_the_one_asked_for_is_told_once() -> None:
    """As over HTTPS; what served is kept."""

    async def downgrading(session: Session) -> None:
        while True:
            ask = await session.heard()
            assert "flex" == ask["service_tier"]
            await begin(session, ask)
            await finish(session, ask, service_tier="default")

    said: list[str] = []
    service = Service(downgrading)
    async with route(service, on_notice=said.append, service_tier="flex") as transport:
        asked = requests(3)
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert transport.facts is not None and ("default",) == transport.facts.service_tiers
    assert ["Service tier flex was asked for; 127.0.0.1 answered by default."] == said


@virtual
async def test_a_refused_answer_format_is_asked_again_in_the_next_one() -> None:
    """As over HTTPS; said once."""

    async def plain(session: Session) -> None:
        while True:
            ask = await session.heard()
            if "text" in ask:
                await refuse(session, "invalid_value", ask["stream_id"], param="text.format")
            else:
                await answer(session, ask)

    said: list[str] = []
    async with route(Service(plain), on_notice=said.append) as transport:
        asked = requests(10)
        assert contents(asked) == texts(await ask_all(transport, asked))
        assert transport.facts is not None and "text" == transport.facts.format
        assert 2 == len(said)


@virtual
async def test_a_server_that_refuses_every_form_closes_the_route() -> None:
    """There is an end to asking again."""

    async def never(session: Session) -> None:
        while True:
            ask = await session.heard()
            await refuse(session, "invalid_stream_id", ask.get("stream_id"))

    async with route(Service(never)) as transport:
        with pytest.raises(RouteClosed):
            await transport.ask(request())


@virtual
async def test_limits_reach_the_listener_under_the_routes_name() -> None:
    """They stand in the headers of an error."""
    heard: list[tuple[str, tuple[RateLimit, ...]]] = []

    async def telling(session: Session) -> None:
        ask = await session.heard()
        headers = {"x-ratelimit-limit-requests": "60"}
        await refuse(session, "rate_limit_exceeded", ask["stream_id"], headers=headers)

    async with route(Service(telling), on_limits=lambda *said: heard.append(said[:2])) as transport:
        await ask_all(transport, requests(1))
    assert [("responses-ws", (RateLimit(name="requests", limit=60),))] == heard


@virtual
async def test_a_sign_of_each_request_reaches_the_listener() -> None:
    """Once each, and while the request still waits: this server begins and never ends."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hesitating(session: Session) -> None:
        while True:
            await begin(session, await session.heard())

    async with route(Service(hesitating), on_sign=heard.put_nowait) as transport:
        asking = [asyncio.create_task(transport.ask(one)) for one in requests(20)]
        signs = [await heard.get() for _ in asking]
        assert sorted(one.request_id for one in requests(20)) == sorted(signs)
        assert heard.empty() and not any(task.done() for task in asking)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)


@virtual
async def test_a_warm_up_goes_first_and_its_cost_is_on_the_first_reply() -> None:
    """Nobody else is sent before it has ended; it happens once."""
    order: list[str] = []

    async def noting(session: Session) -> None:
        while True:
            ask = await session.heard()
            order.append(rid_of(ask))
            if ask.get("generate") is False:
                ask["input"][-1]["content"] = ""
                await begin(session, ask)
                await asyncio.sleep(0)
            await finish(session, ask)

    settings = replace(QUICK, responses_ws_warm_up=True)
    async with route(Service(noting), settings=settings) as transport:
        replies = await asyncio.gather(*map(transport.ask, requests(3)))
        assert ("r0.warm", 4) == (order[0], len(order))
        assert [240, 120, 120] == [reply.usage.input_tokens for reply in replies]


@virtual
async def test_a_caller_that_is_cancelled_while_it_waits_for_room_takes_none() -> None:
    """Its turn passes to the next one."""
    settings = replace(QUICK, responses_ws_sockets=1)
    async with route(Service(after(1.0)), settings=settings) as transport:
        running = asyncio.gather(*map(transport.ask, requests(LANES)))
        await asyncio.sleep(0.5)
        first, second = (asyncio.create_task(transport.ask(one)) for one in requests(2, "s"))
        await asyncio.sleep(0.1)
        first.cancel()
        await running
        assert request("s1").ask.content == (await second).text


@virtual
async def test_closing_fails_who_waits_for_room() -> None:
    """Nothing was sent for them."""
    settings = replace(QUICK, responses_ws_sockets=1)
    async with route(Service(silent), settings=settings) as transport:
        asked = asyncio.create_task(ask_all(transport, requests(LANES + 2)))
        await asyncio.sleep(1.0)
        await transport.close()
        endings = Counter(getattr(one, "ending", None) for one in await asked)
        assert {Ending.UNKNOWN: LANES, Ending.UNSENT: 2} == dict(endings)
