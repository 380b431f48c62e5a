"""One Realtime socket: silence, giving up, items."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from analysis.errors import RequestRejected, TransportError
from analysis.records import Ending, TextReply
from analysis.wire.session import ContextItem
from tests.virtual_loop import virtual

from .examples import SETTINGS, request
from .scripted import Json, Service, Session, obedient, route

FIELDS = ContextItem(role="user", text="the outline")


@virtual
async def test_a_half_open_socket_is_given_up() -> None:
    """Nothing comes any more, not even a pong: the request may have been paid, the next is not."""

    async def frozen(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.heard()
        session.socket.transport.pause_reading()

    async with route(service := Service(frozen, obedient), silence_s=15.0) as transport:
        loop = asyncio.get_running_loop()
        await transport.open()
        began_at = loop.time()
        with pytest.raises(TransportError) as caught:
            await transport.ask(request("r1"))
        assert (Ending.UNKNOWN, "silent") == (caught.value.ending, caught.value.code)
        assert 15.0 <= loop.time() - began_at < 20.0
        assert isinstance(await transport.ask(request("r2")), TextReply)
        assert (2, 1) == (service.connections, transport.counters.silences)


@virtual
async def test_a_server_that_thinks_is_not_given_up() -> None:
    """Its pongs are signs of life, however long the answer takes."""

    async def slow(session: Session) -> None:
        await session.greet()
        await session.take_update()
        ask = await session.heard()
        await asyncio.sleep(300.0)
        await session.finish(ask, "p1")

    async with route(service := Service(slow), silence_s=3.0, limit_s=400.0) as transport:
        assert isinstance(await transport.ask(request()), TextReply)
        assert (1, 0) == (service.connections, transport.counters.silences)


@pytest.mark.parametrize("cancels", [True, False])
@virtual
async def test_giving_up_tells_the_server_if_that_is_wanted(cancels: bool) -> None:
    """The response is named as soon as the server has named it."""
    heard: list[Json] = []
    is_asked, may_begin, is_heard = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def server(session: Session) -> None:
        await session.greet()
        await session.take_update()
        first = await session.heard()
        is_asked.set()
        await may_begin.wait()
        await session.begin(first, "p1")
        if cancels:
            heard.append(await session.heard())
        is_heard.set()
        heard.append(await session.heard())
        await session.finish(heard[-1], "p2")

    async with route(Service(server), cancels_abandoned=cancels) as transport:
        leaving = asyncio.create_task(transport.ask(request("r1")))
        await is_asked.wait()
        leaving.cancel()
        await asyncio.wait([leaving])
        may_begin.set()
        await is_heard.wait()
        assert isinstance(await transport.ask(request("r2")), TextReply)
    stops = [one["response_id"] for one in heard if one["type"] == "response.cancel"]
    assert (["p1"] if cancels else []) == stops


@virtual
async def test_items_are_created_read_and_deleted() -> None:
    """Each call returns when the server has confirmed it; a refusal has the server's words."""

    async def server(session: Session) -> None:
        await session.greet()
        await session.take_update()
        creation = await session.heard()
        item = creation["item"]
        await session.say("conversation.item.added", item=item)
        await session.say("conversation.item.done", item=item)
        look = await session.heard()
        await session.say("conversation.item.retrieved", item=item | {"id": look["item_id"]})
        deletion = await session.heard()
        await session.say("conversation.item.deleted", item_id=deletion["item_id"])
        await session.refuse(await session.heard(), "item_delete_invalid_item_id")

    async with route(Service(server)) as transport:
        item_id = await transport.create_item(FIELDS, previous_item_id="root")
        assert "the outline" == (await transport.retrieve_item(item_id))["content"][0]["text"]
        await transport.delete_item(item_id)
        with pytest.raises((RequestRejected, TransportError), match="no"):
            await transport.delete_item(item_id)


@virtual
async def test_an_item_without_confirmation_is_given_up() -> None:
    """Nobody knows whether it is there."""

    async def silent(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.heard()

    async with route(Service(silent)) as transport:
        with pytest.raises(TransportError, match="did not confirm an item") as caught:
            await transport.create_item(FIELDS)
        assert ("timeout", Ending.UNKNOWN) == (caught.value.code, caught.value.ending)


@virtual
async def test_a_context_is_in_place_before_the_first_request() -> None:
    """It is created once on each session, and every request refers to it."""
    inputs: list[list[Json]] = []

    async def server(session: Session) -> None:
        await session.greet()
        await session.take_update()
        creation = await session.heard()
        await session.say("conversation.item.added", item=creation["item"])
        for number in range(2):
            ask = await session.heard()
            inputs.append(ask["response"]["input"])
            ask["response"]["input"] = ask["response"]["input"][1:]
            await session.finish(ask, f"p{number}")

    settings = replace(SETTINGS, context=(FIELDS,))
    async with route(Service(server), settings=settings) as transport:
        for rid in ("r1", "r2"):
            assert request(rid).ask.content == (await transport.ask(request(rid))).text
    reference = {"type": "item_reference", "id": "item_own_1"}
    assert [reference, reference] == [one[0] for one in inputs]
    assert [2, 2] == [len(one) for one in inputs]


@virtual
async def test_a_frame_beyond_the_bound_ends_the_socket() -> None:
    """Memory is bounded; what waited may have been paid."""

    async def verbose(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.heard()
        await session.say("response.output_text.delta", delta="x" * 5_000)

    async with route(Service(verbose), frame_bytes=4_096) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.ask(request())
        assert ("1009", Ending.UNKNOWN) == (caught.value.code, caught.value.ending)


@virtual
async def test_a_crowd_on_a_socket_that_was_just_lost_makes_no_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """None was sent, and asyncio has no reason to warn of writes that lead nowhere."""
    async with route(Service(obedient)) as transport:
        await transport.open()
        link = transport._link
        assert link is not None
        asking = [asyncio.create_task(link.ask(request(f"r{n}"), cancels=True)) for n in range(10)]
        link.socket.transport.abort()
        errors = await asyncio.gather(*asking, return_exceptions=True)
    endings = [one.ending for one in errors if isinstance(one, TransportError)]
    assert [Ending.UNSENT] * 10 == endings
    assert [] == [record.message for record in caplog.records if record.name == "asyncio"]
