"""The realtime route: changing the settings of a session, in a server in the same loop."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from analysis.errors import (
    AccountClosed,
    ConfigurationError,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import TextReply
from tests.virtual_loop import virtual

from .examples import SETTINGS, request
from .scripted import Handler, Service, Session, obedient, obedient_beta, route

OTHER = replace(SETTINGS, instructions="Other.")


@virtual
async def test_a_refused_update_keeps_the_session_of_before() -> None:
    """The server's words reach the caller, and asking goes on."""

    async def strict(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.refuse(await session.heard(), "invalid_value")
        ask = await session.heard()
        await session.finish(ask, "p1")

    async with route(service := Service(strict)) as transport:
        await transport.open()
        with pytest.raises(RequestRejected, match="no") as caught:
            await transport.configure(replace(SETTINGS, instructions="Other."))
        assert "invalid_value" == caught.value.code
        assert isinstance(await transport.ask(request()), TextReply)
        assert 1 == service.connections


@virtual
async def test_a_new_configuration_outlives_the_socket() -> None:
    """After a reconnect the session has the settings that were confirmed last."""

    async def dying(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.take_update()
        await session.heard()
        await session.socket.close()

    async with route(Service(dying, obedient)) as transport:
        await transport.open()
        await transport.configure(replace(SETTINGS, instructions="Other."))
        with pytest.raises(TransportError):
            await transport.ask(request("r1"))
        await transport.ask(request("r2"))
        assert transport.facts is not None
        assert "Other." == transport.facts.settings["instructions"]


@virtual
async def test_another_model_needs_another_session() -> None:
    """The mistake is named before anything is sent."""
    async with route(service := Service(obedient)) as transport:
        with pytest.raises(ConfigurationError, match="gpt-realtime-mini"):
            await transport.configure(replace(SETTINGS, model="gpt-realtime-mini"))
        assert 0 == service.connections


@pytest.mark.parametrize("is_beta", [False, True])
@virtual
async def test_a_live_update_leaves_requests_in_flight_alone(is_beta: bool) -> None:
    """Those asked before end under the settings of before; later ones wait for the new ones."""
    is_asked, may_confirm = asyncio.Event(), asyncio.Event()
    heard: list[str] = []

    async def server(session: Session) -> None:
        if is_beta:
            session.speak_beta()
        await session.greet()
        await session.take_update()
        first, second = await session.heard(), await session.heard()
        is_asked.set()
        update = await session.heard()
        heard.append(update["type"])
        await session.finish(first, "p1")
        await may_confirm.wait()
        await session.confirm(update)
        third = await session.heard()
        heard.append(third["response"]["metadata"]["rid"])
        await session.finish(second, "p2")
        await session.finish(third, "p3")

    async with route(service := Service(server)) as transport:
        asks = [asyncio.create_task(transport.ask(request(rid))) for rid in ("r1", "r2")]
        await is_asked.wait()
        updating = asyncio.create_task(transport.update(OTHER))
        assert request("r1").ask.content == (await asks[0]).text
        late = asyncio.create_task(transport.ask(request("r3")))
        may_confirm.set()
        facts = await updating
        assert request("r2").ask.content == (await asks[1]).text
        assert request("r3").ask.content == (await late).text
        assert (facts, "Other.") == (transport.facts, facts.settings["instructions"])
        assert ("beta" if is_beta else "ga") == facts.dialect
        assert (["session.update", "r3"], 1) == (heard, service.connections)


@virtual
async def test_a_refused_live_update_keeps_the_old_settings_everywhere() -> None:
    """The caller reads the server's words; requests, facts and a reconnect know the old ones."""
    is_asked = asyncio.Event()

    async def strict(session: Session) -> None:
        await session.greet()
        await session.take_update()
        waiting = await session.heard()
        is_asked.set()
        await session.refuse(await session.heard(), "invalid_value")
        await session.finish(waiting, "p1")
        await session.finish(await session.heard(), "p2")
        await session.heard()
        session.socket.transport.abort()

    async with route(service := Service(strict, obedient)) as transport:
        first = asyncio.create_task(transport.ask(request("r1")))
        await is_asked.wait()
        with pytest.raises(RequestRejected, match=r"invalid_value\): no") as caught:
            await transport.update(OTHER)
        assert (RequestRejected, "invalid_value") == (caught.type, caught.value.code)
        assert request("r1").ask.content == (await first).text
        assert request("r2").ask.content == (await transport.ask(request("r2"))).text
        assert transport.facts is not None
        assert SETTINGS.instructions == transport.facts.settings["instructions"]
        with pytest.raises(TransportError):
            await transport.ask(request("r3"))
        assert isinstance(await transport.ask(request("r4")), TextReply)
        assert 2 == service.connections
        assert SETTINGS.instructions == transport.facts.settings["instructions"]


@virtual
async def test_other_settings_than_ours_are_put_back() -> None:
    """A server that takes half of an update gets the last good settings again."""
    updates: list[str] = []

    async def wilful(session: Session) -> None:
        await session.greet()
        await session.take_update()
        updates.append((await session.heard())["session"]["instructions"])
        odd = session.session | {"instructions": "Half."}
        await session.say("session.updated", session=odd)
        update = await session.heard()
        updates.append(update["session"]["instructions"])
        await session.confirm(update)
        await session.finish(await session.heard(), "p1")

    async with route(Service(wilful)) as transport:
        await transport.open()
        with pytest.raises(RequestRejected, match=r"session\.instructions"):
            await transport.update(OTHER)
        assert ["Other.", SETTINGS.instructions] == updates
        assert isinstance(await transport.ask(request()), TextReply)
        assert transport.facts is not None
        assert SETTINGS.instructions == transport.facts.settings["instructions"]


@virtual
async def test_an_update_opens_the_session_first_by_the_settings_of_before() -> None:
    """So that there is a good session whether the update is taken or refused."""
    updates: list[str] = []

    async def server(session: Session) -> None:
        await session.greet()
        for _ in range(2):
            update = await session.heard()
            updates.append(update["session"]["instructions"])
            await session.confirm(update)

    async with route(Service(server)) as transport:
        await transport.update(OTHER)
    assert [SETTINGS.instructions, "Other."] == updates


@virtual
async def test_an_update_without_confirmation_ends_the_session() -> None:
    """Nobody knows what is in effect, so the next request gets a new one with the old settings."""

    async def silent(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.heard()

    async with route(service := Service(silent, obedient), connect_timeout_s=0.3) as transport:
        await transport.open()
        with pytest.raises(TransportError, match="did not confirm"):
            await transport.update(OTHER)
        assert isinstance(await transport.ask(request()), TextReply)
        assert transport.facts is not None
        assert (SETTINGS.instructions, 2) == (
            transport.facts.settings["instructions"],
            service.connections,
        )


@virtual
async def test_a_session_that_ends_during_an_update_says_why() -> None:
    """The reason of the close is the caller's error, and nothing is put back."""

    async def closing(session: Session) -> None:
        await session.greet()
        await session.take_update()
        await session.heard()
        await session.socket.close(3000, "invalid_request_error.invalid_api_key")

    async with route(service := Service(closing)) as transport:
        await transport.open()
        with pytest.raises(AccountClosed):
            await transport.update(OTHER)
        assert 1 == service.connections


@pytest.mark.parametrize(
    ("server", "forced"), [(obedient, "beta"), (obedient_beta, "ga")], ids=["ga", "beta"]
)
@virtual
async def test_an_open_session_cannot_change_its_dialect(server: Handler, forced: str) -> None:
    """The mistake is named, whether the session is open already or opened for the update."""
    for is_open in (True, False):
        async with route(Service(server)) as transport:
            if is_open:
                await transport.open()
            with pytest.raises(ConfigurationError, match="use dialect 'auto'"):
                await transport.update(replace(OTHER, dialect=forced))
            reply = await transport.ask(request())
            assert isinstance(reply, TextReply)


@virtual
async def test_the_dialect_that_is_spoken_may_be_named_later() -> None:
    """A session that was opened with `auto` takes settings that force its own dialect."""
    async with route(Service(obedient_beta)) as transport:
        await transport.open()
        facts = await transport.update(replace(OTHER, dialect="beta"))
        assert "beta" == facts.dialect


@virtual
async def test_a_first_configuration_may_force_a_dialect() -> None:
    """Nothing is open yet, so the header goes with the handshake."""
    async with route(service := Service(obedient_beta)) as transport:
        await transport.configure(replace(SETTINGS, dialect="beta"))
        assert "realtime=v1" == service.requests[0].headers["OpenAI-Beta"]


@virtual
async def test_settings_refused_on_opening_close_the_route_for_an_update_too() -> None:
    """There is no session that could go on."""

    async def strict(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.heard(), "unknown_parameter")

    async with route(Service(strict)) as transport:
        with pytest.raises(RouteClosed, match="unknown_parameter"):
            await transport.update(OTHER)
