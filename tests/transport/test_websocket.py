"""The realtime route: requests and answers, against a server in the same loop."""

from __future__ import annotations

import asyncio
import logging

import pytest

from analysis.errors import (
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, RateLimit, TextReply
from analysis.transport.websocket import SessionFacts
from tests.virtual_loop import virtual

from .examples import request
from .scripted import Handler, Service, Session, obedient, obedient_beta, route


@virtual
async def test_the_handshake_goes_to_the_realtime_address_with_the_key() -> None:
    """The model stands in the address, the key in the header, and no beta header is sent."""
    async with route(service := Service(obedient)) as transport:
        await transport.open()
        (asked,) = service.requests
        assert "/v1/realtime?model=gpt-realtime-2.1-mini" == asked.path
        assert "Bearer sk-secret-key" == asked.headers["Authorization"]
        assert {"OpenAI-Beta", "Sec-WebSocket-Extensions"}.isdisjoint(asked.headers)


@virtual
@pytest.mark.parametrize("server", [obedient, obedient_beta])
async def test_many_requests_share_one_connection_and_get_their_own_answers(
    server: Handler,
) -> None:
    """Concurrent first asks connect once; each answer is the content of its own request."""
    async with route(service := Service(server)) as transport:
        asked = [request(f"r{number}") for number in range(20)]
        replies = await asyncio.gather(*(transport.ask(one) for one in asked))
        assert [one.ask.content for one in asked] == [reply.text for reply in replies]
        assert (1, 1, 0) == (
            service.connections,
            transport.counters.connections,
            transport.counters.reconnects,
        )


@virtual
async def test_answers_in_reverse_order_reach_their_own_requests() -> None:
    """Matching is by id, so the order of arrival does not matter."""

    async def reversing(session: Session) -> None:
        await session.greet()
        await session.take_update()
        asks = [await session.heard() for _ in range(5)]
        for number, ask in enumerate(asks):
            await session.begin(ask, f"p{number}")
        for number, ask in reversed(list(enumerate(asks))):
            await session.finish(ask, f"p{number}")

    async with route(Service(reversing)) as transport:
        asked = [request(f"r{number}") for number in range(5)]
        replies = await asyncio.gather(*(transport.ask(one) for one in asked))
        assert [one.ask.content for one in asked] == [reply.text for reply in replies]


@virtual
@pytest.mark.parametrize(
    ("server", "dialect", "name"),
    [(obedient, "ga", "output_modalities"), (obedient_beta, "beta", "modalities")],
)
async def test_facts_are_what_the_server_said(server: Handler, dialect: str, name: str) -> None:
    """First its dialect and defaults, then the settings in effect."""
    async with route(Service(server)) as transport:
        seen = [transport.facts]
        await transport.connect()
        seen.append(transport.facts)
        await transport.open()
        seen.append(transport.facts)
    before, greeted, configured = seen
    assert before is None
    assert isinstance(greeted, SessionFacts) and isinstance(configured, SessionFacts)
    assert (dialect, "m-2026") == (greeted.dialect, greeted.model)
    assert dialect == configured.dialect
    assert ("audio" in greeted.settings[name], ["text"]) == (True, configured.settings[name])


@virtual
async def test_limits_reach_the_listener_under_the_routes_name() -> None:
    """Whoever paces hears what the service says."""

    async def telling(session: Session) -> None:
        await session.say("rate_limits.updated", rate_limits=[{"name": "tokens", "limit": 9}])
        await obedient(session)

    heard: list[tuple[str, tuple[RateLimit, ...], str | None]] = []
    service = Service(telling)
    async with route(service, on_limits=lambda *said: heard.append(said)) as transport:
        await transport.open()
    assert [("realtime", (RateLimit(name="tokens", limit=9),), None)] == heard


@virtual
@pytest.mark.parametrize("server", [obedient, obedient_beta])
async def test_a_sign_of_each_request_reaches_the_listener(server: Handler) -> None:
    """Once each, when its answer begins."""
    heard: list[str] = []
    async with route(Service(server), on_sign=heard.append) as transport:
        asked = [request(f"r{number}") for number in range(5)]
        await asyncio.gather(*(transport.ask(one) for one in asked))
    assert sorted(one.request_id for one in asked) == sorted(heard)


@virtual
async def test_a_sign_comes_before_the_answer() -> None:
    """The listener hears it while the request still waits."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hesitating(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.begin(await session.heard(), "p1")
        await session.heard()

    async with route(Service(hesitating), on_sign=heard.put_nowait) as transport:
        asking = asyncio.create_task(transport.ask(request("r1")))
        assert "r1" == await heard.get()
        assert not asking.done()
        asking.cancel()
        await asyncio.wait([asking])


@virtual
async def test_a_dead_socket_ends_what_waits_and_the_next_ask_reconnects() -> None:
    """What was on the wire may have been paid; the next request gets a new session."""

    async def dying(session: Session) -> None:
        await session.greet()
        await session.take_update()
        for _ in range(3):
            await session.heard()
        session.socket.transport.abort()

    async with route(service := Service(dying, obedient)) as transport:
        asked = [transport.ask(request(f"r{number}")) for number in range(3)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert [(TransportError, Ending.UNKNOWN)] * 3 == [
            (type(error), getattr(error, "ending", None)) for error in errors
        ]
        reply = await transport.ask(request("r9"))
        assert (request("r9").ask.content, 2, 1) == (
            reply.text,
            service.connections,
            transport.counters.reconnects,
        )


@virtual
async def test_a_cancelled_ask_is_forgotten_and_its_late_reply_counted() -> None:
    """The reply to somebody who has gone reaches nobody."""
    first_heard, go_on = asyncio.Event(), asyncio.Event()

    async def late(session: Session) -> None:
        await session.greet()
        await session.take_update()
        first = await session.heard()
        first_heard.set()
        await go_on.wait()
        await session.begin(first, "p1")
        await session.finish(first, "p1")
        heard = {one["type"]: one for one in (await session.heard(), await session.heard())}
        assert "p1" == heard["response.cancel"]["response_id"]
        await session.finish(heard["response.create"], "p2")

    async with route(Service(late)) as transport:
        leaving = asyncio.create_task(transport.ask(request("r1")))
        await first_heard.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        go_on.set()
        reply = await transport.ask(request("r2"))
        assert (request("r2").ask.content, 1) == (reply.text, transport.counters.late_replies)
        assert {"late_reply": 1} == transport.counters.violations


@virtual
async def test_unknown_events_are_counted() -> None:
    """A new event of the service changes nothing."""

    async def chatty(session: Session) -> None:
        await session.greet()
        await session.say("brand.new")
        await session.take_update()

    async with route(Service(chatty)) as transport:
        await transport.open()
        assert {"brand.new": 1} == transport.counters.ignored


@virtual
async def test_settings_refused_on_opening_close_the_route() -> None:
    """No request of this route can work, and nobody tries again."""

    async def strict(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.heard(), "unknown_parameter")

    async with route(service := Service(strict)) as transport:
        with pytest.raises(RouteClosed, match="unknown_parameter"):
            await transport.open()
        assert 1 == service.connections


@virtual
async def test_closing_ends_what_waits_and_may_be_repeated() -> None:
    """A request on the wire may have been paid; a later ask opens a new session."""

    async def silent(session: Session) -> None:
        await session.greet()
        await session.take_update()
        heard.set()

    heard = asyncio.Event()
    async with route(service := Service(silent, obedient)) as transport:
        waiting = asyncio.create_task(transport.ask(request("r1")))
        await heard.wait()
        await asyncio.sleep(0)
        await transport.close()
        await transport.close()
        with pytest.raises(TransportError):
            await waiting
        assert isinstance(await transport.ask(request("r2")), TextReply)
        assert 2 == service.connections


@virtual
async def test_the_key_never_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """Not even when everything is logged at the finest level."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="analysis.transport.handshake.frames")
    async with route(Service(obedient)) as transport:
        await transport.ask(request())
    ours = [one.getMessage() for one in caplog.records if one.name != "websockets.server"]
    assert [] == [text for text in ours if "sk-secret-key" in text or "text of r1" in text]
