"""All transports against the same service: what dispatch may rely on, whatever the route."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from analysis.errors import AccountClosed, RateLimited, RouteClosed, TransportError
from analysis.records import Ending, RateLimit, Request, TextReply
from analysis.simulator.server import LocalService
from analysis.simulator.service import Service, digest_answerer
from analysis.transport import LimitsListener, Transport
from analysis.transport.offline import OfflineTransport
from analysis.transport.rest import RestTransport
from analysis.transport.websocket import RealtimeTransport

from .examples import SETTINGS, request

KEYS = ("key_thesis", "example")
FOREVER_S = 30.0
"""A limit that no test reaches unless something hangs."""

Maker: TypeAlias = Callable[[str, str, str, LimitsListener | None], Transport]


def realtime(base_url: str, key: str, model: str, on_limits: LimitsListener | None) -> Transport:
    """Return the realtime route."""
    return RealtimeTransport(
        base_url=base_url,
        api_key=key,
        settings=replace(SETTINGS, model=model if "realtime" in model else SETTINGS.model),
        rng=random.Random(1),
        on_limits=on_limits,
        backoff_base_s=0.0,
    )


def rest(base_url: str, key: str, model: str, on_limits: LimitsListener | None) -> Transport:
    """Return the rest route."""
    return RestTransport(base_url=base_url, api_key=key, on_limits=on_limits)


def offline(base_url: str, key: str, model: str, on_limits: LimitsListener | None) -> Transport:
    """Return the offline route with the labels of the service."""
    return OfflineTransport(digest_answerer(KEYS).label, model="digest-labels")


ROUTES: list[Maker] = [realtime, rest]


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


@pytest.mark.parametrize("make", [*ROUTES, offline])
@pytest.mark.parametrize("faults", [{}, {"shuffle": 1.0}], ids=["calm", "shuffled"])
@pytest.mark.asyncio
async def test_every_request_gets_its_own_answer(make: Maker, faults: dict[str, float]) -> None:
    """Sixty at once, in any order of arrival: labels are digests of the texts, so a swap shows."""
    service = Service(digest_answerer(KEYS), faults=faults)
    async with LocalService(service) as local, asyncio.timeout(FOREVER_S):
        transport = make(local.base_url, "k", "", None)
        await transport.open()
        replies = await asyncio.gather(*(transport.ask(one) for one in asks(60)))
        await transport.close()
    assert [expected_answer(number) for number in range(60)] == [
        json.loads(reply.text) for reply in replies
    ]
    assert {("digest-labels", False)} == {(reply.model, reply.is_cut) for reply in replies}


@pytest.mark.parametrize("make", ROUTES)
@pytest.mark.asyncio
async def test_usage_limits_and_the_service_id_are_reported(make: Maker) -> None:
    """Money and pace are known after the first answer."""
    heard: list[tuple[str, tuple[RateLimit, ...]]] = []
    service = Service(digest_answerer(KEYS), rpm=60, tpm=100_000)
    async with LocalService(service) as local, asyncio.timeout(FOREVER_S):
        transport = make(
            local.base_url, "k", "", lambda route, limits: heard.append((route, limits))
        )
        first = await transport.ask(request("r1"))
        second = await transport.ask(request("r2"))
        await transport.close()
    assert first.usage.input_tokens > 0 and first.usage.output_tokens > 0
    assert first.service_request_id and first.service_request_id != second.service_request_id
    route, limits = heard[0]
    assert transport.route == route
    assert 100_000 in {limit.limit for limit in limits if limit.name == "tokens"}


@pytest.mark.parametrize("make", ROUTES)
@pytest.mark.asyncio
async def test_a_wrong_key_closes_the_account(make: Maker) -> None:
    """Both routes of an account end with the same kind."""
    async with LocalService(Service(digest_answerer(KEYS), api_key="right")) as local:
        transport = make(local.base_url, "wrong", "", None)
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


@pytest.mark.parametrize("make", ROUTES)
@pytest.mark.parametrize(
    ("fault", "ending"), [("error_500", Ending.REFUSED), ("drop", Ending.UNKNOWN)]
)
@pytest.mark.asyncio
async def test_faults_end_requests_as_unpaid_or_unknown(
    make: Maker, fault: str, ending: Ending
) -> None:
    """A server error was not paid; a lost connection may have been."""
    async with LocalService(Service(digest_answerer(KEYS), faults={fault: 1.0})) as local:
        transport = make(local.base_url, "k", "", None)
        async with asyncio.timeout(FOREVER_S):
            found = await asyncio.gather(
                *(transport.ask(one) for one in asks(3)), return_exceptions=True
            )
        await transport.close()
    assert [(TransportError, ending)] * 3 == [
        (type(error), getattr(error, "ending", None)) for error in found
    ]


@pytest.mark.parametrize("make", ROUTES)
@pytest.mark.asyncio
async def test_a_rate_limit_refuses_and_says_how_long_to_wait(make: Maker) -> None:
    """The first requests pass, one too many does not, and nothing is lost."""
    async with LocalService(Service(digest_answerer(KEYS), rpm=2)) as local:
        transport = make(local.base_url, "k", "", None)
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
