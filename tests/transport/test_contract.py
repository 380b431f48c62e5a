"""All transports against the same service: what dispatch may rely on, whatever the route."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import pytest

from analysis.errors import AccountClosed, RateLimited, RequestRejected, RouteClosed, TransportError
from analysis.records import Ending, RateLimit, Request, TextReply
from analysis.simulator.server import LocalService
from analysis.simulator.service import Service, digest_answerer
from analysis.transport import LimitsListener, Transport
from analysis.transport.lanes import LanesFacts
from analysis.transport.offline import OfflineTransport
from analysis.transport.pool import LanesTransport
from analysis.transport.rest import RestFacts, RestTransport
from analysis.transport.websocket import RealtimeTransport, SessionFacts
from analysis.wire.places import Place

from .examples import SETTINGS, request

KEYS = ("key_thesis", "example")
FOREVER_S = 240.0
"""A limit that no test reaches unless something hangs."""

Maker: TypeAlias = Callable[[str, str, str, LimitsListener | None], Transport]


def realtime(base_url: str, key: str, model: str, on_limits: LimitsListener | None) -> Transport:
    """Return the realtime route."""
    return RealtimeTransport(
        place=Place(base_url=base_url, api_key=key),
        settings=replace(SETTINGS, model=model if "realtime" in model else SETTINGS.model),
        rng=random.Random(1),
        on_limits=on_limits,
        backoff_base_s=0.0,
    )


def rest(base_url: str, key: str, model: str, on_limits: LimitsListener | None) -> Transport:
    """Return the rest route."""
    return RestTransport(place=Place(base_url=base_url, api_key=key), on_limits=on_limits)


def lanes(base_url: str, key: str, model: str, on_limits: LimitsListener | None) -> Transport:
    """Return the responses-ws route."""
    return LanesTransport(
        place=Place(base_url=base_url, api_key=key), rng=random.Random(1), on_limits=on_limits
    )


def offline(base_url: str, key: str, model: str, on_limits: LimitsListener | None) -> Transport:
    """Return the offline route with the labels of the service."""
    return OfflineTransport(digest_answerer(KEYS).label, model="digest-labels")


@dataclass(frozen=True, kw_only=True)
class Way:
    """A transport and the kind of service to which it speaks."""

    name: str
    make: Maker
    service: Mapping[str, Any] = field(default_factory=dict)


WAYS = [
    Way(name="realtime-ga", make=realtime),
    Way(name="realtime-beta", make=realtime, service={"dialect": "beta"}),
    Way(name="responses-ws", make=lanes),
    Way(name="responses", make=rest),
    Way(name="chat", make=rest, service={"endpoints": ("chat",)}),
    Way(name="responses-plain", make=rest, service={"has_json_schema": False}),
    Way(
        name="chat-plain",
        make=rest,
        service={"endpoints": ("chat",), "has_json_schema": False},
    ),
]
every_way = pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])


def serving(way: Way, **options: Any) -> LocalService:
    """Return the service of a way, with labels by digest."""
    return LocalService(Service(digest_answerer(KEYS), **(dict(way.service) | options)))


def texts_of(number: int) -> tuple[str, str]:
    """Return the texts of one request, different for each number."""
    return f"first text of request {number}", f"second text of request {number}"


def expected_answer(number: int) -> dict[str, object]:
    """Return the answer that belongs to these texts: a function of their digests."""
    labels = digest_answerer(KEYS).label(texts_of(number), None)
    return {"answers": [{"id": f"a{i}", "labels": list(found)} for i, found in enumerate(labels)]}


def asks(count: int) -> list[Request]:
    """Return different requests."""
    return [request(f"r{number}", *texts_of(number)) for number in range(count)]


@pytest.mark.parametrize(
    "way", [*WAYS, Way(name="offline", make=offline)], ids=lambda way: way.name
)
@pytest.mark.parametrize("faults", [{}, {"shuffle": 1.0}], ids=["calm", "shuffled"])
@pytest.mark.asyncio
async def test_every_request_gets_its_own_answer(way: Way, faults: dict[str, float]) -> None:
    """Sixty at once, in any order of arrival: labels are digests of the texts, so a swap shows."""
    async with serving(way, faults=faults) as local, asyncio.timeout(FOREVER_S):
        transport = way.make(local.base_url, "k", "", None)
        await transport.open()
        replies = await asyncio.gather(*(transport.ask(one) for one in asks(60)))
        await transport.close()
    texts = [reply for reply in replies if isinstance(reply, TextReply)]
    assert [expected_answer(number) for number in range(60)] == [
        json.loads(reply.text) for reply in texts
    ]
    assert {("digest-labels", False)} == {(reply.model, reply.is_cut) for reply in texts}


@every_way
@pytest.mark.asyncio
async def test_usage_limits_and_the_service_id_are_reported(way: Way) -> None:
    """Money and pace are known after the first answer; lanes tell of limits in errors only."""
    heard: list[tuple[str, tuple[RateLimit, ...]]] = []
    async with serving(way, rpm=60, tpm=100_000) as local, asyncio.timeout(FOREVER_S):
        transport = way.make(local.base_url, "k", "", lambda *said: heard.append(said[:2]))
        first = await transport.ask(request("r1"))
        second = await transport.ask(request("r2"))
        await transport.close()
    assert first.usage.input_tokens > 0 and first.usage.output_tokens > 0
    assert first.service_request_id and first.service_request_id != second.service_request_id
    if way.name == "responses-ws":
        assert [] == heard
        return
    route, limits = heard[0]
    assert transport.route == route
    assert 100_000 in {limit.limit for limit in limits if limit.name == "tokens"}


@every_way
@pytest.mark.asyncio
async def test_a_wrong_key_closes_the_account(way: Way) -> None:
    """Both routes of an account end with the same kind."""
    async with serving(way, api_key="right") as local:
        transport = way.make(local.base_url, "wrong", "", None)
        with pytest.raises(AccountClosed):
            await transport.ask(request())
        await transport.close()


@pytest.mark.asyncio
async def test_an_unknown_model_closes_the_route() -> None:
    """The service says so after the upgrade."""
    async with LocalService(Service(digest_answerer(KEYS))) as local:
        transport = realtime(local.base_url, "k", "gpt-realtime-none", None)
        with pytest.raises(RouteClosed):
            await transport.ask(request())
        await transport.close()


@every_way
@pytest.mark.parametrize(
    ("fault", "ending"), [("error_500", Ending.REFUSED), ("drop", Ending.UNKNOWN)]
)
@pytest.mark.asyncio
async def test_faults_end_requests_as_unpaid_or_unknown(
    way: Way, fault: str, ending: Ending
) -> None:
    """A server error was not paid; a lost connection may have been."""
    async with serving(way, faults={fault: 1.0}) as local:
        transport = way.make(local.base_url, "k", "", None)
        async with asyncio.timeout(FOREVER_S):
            found = await asyncio.gather(
                *(transport.ask(one) for one in asks(3)), return_exceptions=True
            )
        await transport.close()
    assert [(TransportError, ending)] * 3 == [
        (type(error), getattr(error, "ending", None)) for error in found
    ]


@every_way
@pytest.mark.asyncio
async def test_a_rate_limit_refuses_and_says_how_long_to_wait(way: Way) -> None:
    """The first requests pass, one too many does not, and nothing is lost."""
    async with serving(way, rpm=2) as local:
        transport = way.make(local.base_url, "k", "", None)
        async with asyncio.timeout(FOREVER_S):
            found = await asyncio.gather(
                *(transport.ask(one) for one in asks(6)), return_exceptions=True
            )
        await transport.close()
    limited = [error for error in found if isinstance(error, RateLimited)]
    answered = [reply for reply in found if isinstance(reply, TextReply)]
    assert 6 == len(limited) + len(answered)
    assert answered and limited
    assert all((error.retry_after_s or 0) > 0 for error in limited)


REST_FACTS = {
    name: RestFacts(endpoint=endpoint, format=form, service_tiers=("default",))
    for name, endpoint, form in (
        ("responses", "responses", "json_schema"),
        ("chat", "chat", "json_schema"),
        ("responses-plain", "responses", "json_object"),
        ("chat-plain", "chat", "json_object"),
    )
}


@every_way
@pytest.mark.asyncio
async def test_a_transport_knows_what_its_server_can_do(way: Way) -> None:
    """Dialect and settings, or endpoint and format, found out by asking."""
    async with serving(way) as local:
        transport = way.make(local.base_url, "k", "", None)
        await transport.ask(request())
        await transport.close()
    facts = getattr(transport, "facts", None)
    if isinstance(facts, SessionFacts):
        assert f"realtime-{facts.dialect}" == way.name
        assert SETTINGS.instructions == facts.settings["instructions"]
        assert (facts.dialect == "beta") == (facts.settings.get("temperature") == 0.6)
    elif isinstance(facts, LanesFacts):
        assert (True, "json_schema", "digest-labels") == (
            facts.has_lanes,
            facts.format,
            facts.model,
        )
    else:
        assert REST_FACTS[way.name] == facts


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.asyncio
async def test_a_session_is_changed_while_requests_are_in_flight(dialect: str) -> None:
    """Taken or refused by the service, an update costs no request its answer."""
    service = Service(digest_answerer(KEYS), dialect=dialect, latency_ms=30)
    async with LocalService(service) as local, asyncio.timeout(FOREVER_S):
        transport = RealtimeTransport(
            place=Place(base_url=local.base_url, api_key="k"),
            settings=SETTINGS,
            rng=random.Random(1),
        )
        await transport.open()
        asked = asyncio.gather(*(transport.ask(one) for one in asks(20)))
        await asyncio.sleep(0)
        facts = await transport.update(replace(SETTINGS, instructions="Other."))
        with pytest.raises(RequestRejected, match=r"output_tokens") as caught:
            await transport.update(replace(SETTINGS, max_output_tokens=100_000))
        replies = await asked
        await transport.ask(request("last"))
        await transport.close()
    assert (RequestRejected, "Other.") == (caught.type, facts.settings["instructions"])
    assert transport.facts == facts
    assert 1 == transport.counters.connections
    assert [expected_answer(number) for number in range(20)] == [
        json.loads(reply.text) for reply in replies
    ]


@pytest.mark.parametrize(
    ("forced", "spoken", "cure"),
    [
        ("beta", "ga", "Do not force the dialect 'beta': use 'auto' or 'ga'"),
        ("ga", "beta", "Use dialect 'auto' or 'beta'"),
    ],
)
@pytest.mark.asyncio
async def test_a_forced_dialect_that_is_not_spoken_closes_the_route(
    forced: str, spoken: str, cure: str
) -> None:
    """The message names the cure, as it does at the vendor's address."""
    async with LocalService(Service(digest_answerer(KEYS), dialect=spoken)) as local:
        transport = RealtimeTransport(
            place=Place(base_url=local.base_url, api_key="k"),
            settings=replace(SETTINGS, dialect=forced),
            rng=random.Random(1),
        )
        with pytest.raises(RouteClosed) as caught:
            await transport.ask(request())
        await transport.close()
    assert cure in str(caught.value)


@pytest.mark.asyncio
async def test_a_forced_beta_is_served_where_it_is_spoken() -> None:
    """The header goes with the handshake, and the service takes it."""
    async with LocalService(Service(digest_answerer(KEYS), dialect="beta")) as local:
        transport = RealtimeTransport(
            place=Place(base_url=local.base_url, api_key="k"),
            settings=replace(SETTINGS, dialect="beta", temperature=1.2),
            rng=random.Random(1),
        )
        reply = await transport.ask(request("r0", *texts_of(0)))
        await transport.close()
    assert expected_answer(0) == json.loads(reply.text)
    assert transport.facts is not None
    assert 1.2 == transport.facts.settings["temperature"]


@pytest.mark.asyncio
async def test_a_service_without_text_endpoints_closes_the_rest_route() -> None:
    """Neither responses nor chat completions are there."""
    async with LocalService(Service(digest_answerer(KEYS), endpoints=("realtime",))) as local:
        transport = rest(local.base_url, "k", "", None)
        with pytest.raises(RouteClosed, match="neither /responses nor /chat/completions"):
            await transport.ask(request())
        await transport.close()
