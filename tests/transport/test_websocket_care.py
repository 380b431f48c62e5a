"""The realtime route: sessions that are replaced, lost, or of servers that take turns only."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import RouteClosed, TransportError
from analysis.records import Ending, TextReply
from tests.virtual_loop import virtual

from .examples import SETTINGS, request
from .scripted import Handler, Service, Session, obedient, obedient_beta, route


@pytest.mark.parametrize("is_stated", [False, True])
@virtual
async def test_a_session_is_replaced_before_it_grows_too_old(is_stated: bool) -> None:
    """New requests go to the new one, the old one ends its own and is closed; nothing is lost."""
    is_asked, may_end, is_closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def aging(session: Session) -> None:
        if is_stated:
            session.session["expires_at"] = time.time() + 60.0
        await session.greet()
        await session.take_update()
        ask = await session.heard()
        is_asked.set()
        await may_end.wait()
        await session.finish(ask, "p1")
        await session.socket.wait_closed()
        is_closed.set()

    async def noting(session: Session) -> None:
        replaced_at.append(asyncio.get_running_loop().time())
        await obedient(session)

    replaced_at: list[float] = []
    age_s = 3_600.0 if is_stated else 60.0
    service = Service(aging, noting)
    async with route(service, session_age_s=age_s, limit_s=90.0) as transport:
        loop = asyncio.get_running_loop()
        old = asyncio.create_task(transport.ask(request("r1")))
        await is_asked.wait()
        opened_at = loop.time()
        await asyncio.sleep(57.0)
        assert 49.0 <= replaced_at[0] - opened_at <= 56.0
        assert isinstance(await transport.ask(request("r2")), TextReply)
        may_end.set()
        assert request("r1").ask.content == (await old).text
        await is_closed.wait()
        assert (2, 1) == (service.connections, transport.counters.rotations)


@virtual
async def test_a_session_that_cannot_be_replaced_goes_on_to_its_end() -> None:
    """A refused settings update or a dead endpoint is the next opening's business."""

    async def strict(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.heard(), "invalid_value")

    async with route(service := Service(obedient, strict), session_age_s=12.0) as transport:
        await transport.open()
        await asyncio.sleep(12.0)
        assert isinstance(await transport.ask(request()), TextReply)
        assert (2, 0) == (service.connections, transport.counters.rotations)


@virtual
async def test_an_expired_session_gets_no_request() -> None:
    """The server says so before it closes: what runs may end, what comes goes elsewhere."""
    is_asked, is_told = asyncio.Event(), asyncio.Event()

    async def expiring(session: Session) -> None:
        await session.greet()
        await session.take_update()
        ask = await session.heard()
        is_asked.set()
        error = {"type": "invalid_request_error", "code": "session_expired", "message": "60 min"}
        await session.say("error", error=error)
        await is_told.wait()
        await session.finish(ask, "p1")
        await session.socket.close(1001, "Your session hit the maximum duration of 60 minutes.")

    async def next_one(session: Session) -> None:
        is_opened.set()
        await obedient(session)

    is_opened = asyncio.Event()
    async with route(service := Service(expiring, next_one)) as transport:
        old = asyncio.create_task(transport.ask(request("r1")))
        await is_asked.wait()
        await is_opened.wait()
        assert isinstance(await transport.ask(request("r2")), TextReply)
        is_told.set()
        assert request("r1").ask.content == (await old).text
        assert (2, {}) == (service.connections, transport.counters.ignored)


@virtual
async def test_a_request_may_find_out_first_that_its_session_ends() -> None:
    """It waited for an update while the server announced the end: it gets the new session."""
    is_updating, may_go = asyncio.Event(), asyncio.Event()

    async def expiring(session: Session) -> None:
        await session.greet()
        await session.take_update()
        update = await session.heard()
        is_updating.set()
        await may_go.wait()
        error = {"type": "invalid_request_error", "code": "session_expired", "message": "60 min"}
        await session.say("error", error=error)
        await session.confirm(update)

    async with route(service := Service(expiring, obedient)) as transport:
        await transport.open()
        updating = asyncio.create_task(transport.update(replace(SETTINGS, instructions="Other.")))
        await is_updating.wait()
        asking = asyncio.create_task(transport.ask(request()))
        await asyncio.sleep(0)
        may_go.set()
        await updating
        assert isinstance(await asking, TextReply)
        assert transport.facts is not None
        assert ("Other.", 2) == (transport.facts.settings["instructions"], service.connections)


@virtual
async def test_closing_ends_a_replacement_that_is_under_way() -> None:
    """Nobody waits for the greeting of a server that never greets."""

    async def silent(session: Session) -> None:
        await session.heard()

    async with route(service := Service(obedient, silent), session_age_s=12.0) as transport:
        await transport.open()
        await asyncio.sleep(12.0)
        await transport.close()
        assert (2, 12.0) == (service.connections, round(asyncio.get_running_loop().time(), 1))


@pytest.mark.parametrize(
    ("code", "is_at_once"), [(1001, True), (1012, True), (1013, True), (1011, False)]
)
@virtual
async def test_only_a_healthy_end_is_followed_at_once(code: int, is_at_once: bool) -> None:
    """A server that takes the settings and fails, again and again, is called with pauses."""

    async def ending(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.heard()
        await session.socket.close(code)

    service = Service(ending, ending, obedient)
    async with route(service, backoff_base_s=2.0, backoff_cap_s=8.0) as transport:
        loop = asyncio.get_running_loop()
        for rid in ("r1", "r2"):
            with pytest.raises(TransportError):
                await transport.ask(request(rid))
        assert isinstance(await transport.ask(request("r3")), TextReply)
        assert is_at_once == (loop.time() < 1.0)
        assert is_at_once or loop.time() >= 4.0
        assert 3 == service.connections


@virtual
async def test_an_opening_has_a_budget() -> None:
    """However many attempts there are: none begins after the budget."""
    service = Service(obedient, status=503)
    options: dict[str, Any] = {"connect_attempts": 20, "backoff_base_s": 4.0, "backoff_cap_s": 4.0}
    async with route(service, connect_budget_s=9.0, **options) as transport:
        with pytest.raises(TransportError):
            await transport.open()
        assert (3, 8.0) == (service.connections, round(asyncio.get_running_loop().time(), 3))


async def one_conversation(session: Session) -> None:
    """Answer everything from the default conversation, and name nobody."""
    await session.greet()
    await session.take_update()
    items: dict[str, str] = {}
    number = 0
    while True:
        event = await session.heard()
        match event["type"]:
            case "conversation.item.create":
                items[event["item"]["id"]] = event["item"]["content"][0]["text"]
                await session.say("conversation.item.created", item=event["item"])
            case "conversation.item.delete":
                del items[event["item_id"]]
                await session.say("conversation.item.deleted", item_id=event["item_id"])
            case "response.create":
                number += 1
                await session.answer(f"p{number}", " ".join(items.values()) or "nothing")


@virtual
async def test_a_server_without_out_of_band_responses_is_asked_in_turns() -> None:
    """Found out once, said once, remembered over sessions; each answer is its own request's."""
    told: list[str] = []
    service = Service(one_conversation)
    async with route(service, on_notice=told.append) as transport:
        errors = await asyncio.gather(
            *(transport.ask(request(f"x{number}")) for number in range(3)), return_exceptions=True
        )
        assert {("out_of_band_ignored", Ending.UNKNOWN)} == {
            (error.code, error.ending) for error in errors if isinstance(error, TransportError)
        }
        asked = [request(f"r{number}") for number in range(10)]
        replies = await asyncio.gather(*(transport.ask(one) for one in asked))
        assert [one.ask.content for one in asked] == [reply.text for reply in replies]
        await transport.close()
        assert request("y").ask.content == (await transport.ask(request("y"))).text
        (message,) = told
        assert "take turns" in message
        assert 3 == service.connections


@virtual
async def test_a_turn_that_is_given_up_costs_a_session() -> None:
    """Whoever waited for his turn has sent nothing, and a new session is clean."""
    is_asked = asyncio.Event()

    async def stuck(session: Session) -> None:
        await session.greet()
        await session.take_update()
        creation = await session.heard()
        await session.say("conversation.item.created", item=creation["item"])
        await session.heard()
        is_asked.set()

    service = Service(one_conversation, stuck, one_conversation)
    async with route(service) as transport:
        with pytest.raises(TransportError, match="one conversation"):
            await transport.ask(request("r0"))
        leaving = asyncio.create_task(transport.ask(request("r1")))
        await is_asked.wait()
        waiting = asyncio.create_task(transport.ask(request("r2")))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(TransportError) as caught:
            await waiting
        assert Ending.UNSENT is caught.value.ending
        assert request("r3").ask.content == (await transport.ask(request("r3"))).text
        assert 3 == service.connections


@virtual
async def test_turns_may_be_forbidden() -> None:
    """Then such a server closes the route."""
    async with route(service := Service(one_conversation), may_take_turns=False) as transport:
        with pytest.raises(RouteClosed, match="metadata"):
            await transport.ask(request())
        assert 1 == service.connections


@pytest.mark.parametrize(
    ("dialect", "server", "more"),
    [
        ("auto", obedient, []),
        ("ga", obedient, []),
        ("beta", obedient_beta, ["openai-beta.realtime-v1"]),
    ],
)
@virtual
async def test_a_key_in_the_subprotocol_leaves_no_header(
    dialect: str, server: Handler, more: list[str]
) -> None:
    """For places where headers are stripped, and for servers that want them this way."""
    settings = replace(SETTINGS, dialect=dialect)
    place = {"is_key_in_subprotocol": True, "organization": "org-1", "project": "proj-1"}
    async with route(service := Service(server), settings=settings, place=place) as transport:
        assert isinstance(await transport.ask(request()), TextReply)
    (asked,) = service.requests
    assert {"Authorization", "OpenAI-Beta", "OpenAI-Organization"}.isdisjoint(asked.headers)
    account = ["openai-organization.org-1", "openai-project.proj-1"]
    expected = ["realtime", "openai-insecure-api-key.sk-secret-key", *account, *more]
    assert expected == asked.headers["Sec-WebSocket-Protocol"].split(", ")
