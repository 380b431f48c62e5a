"""The decisions route against a small server in the same loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from analysis.errors import (
    AccountClosed,
    AnswerDefect,
    ConfigurationError,
    DeadlinePassed,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Choice, Ending, RateLimit, Request
from analysis.transport.decisions import DecisionsTransport
from analysis.wire import decisions
from analysis.wire.places import Place
from tests.virtual_loop import virtual

from .examples import request as text_request
from .http_server import FOREVER_S, Answer, error_body, fixed

KEYS = ("key_thesis", "example")


def request(rid: str = "r1") -> Request:
    """Return a request in the choice form for one chunk."""
    made = text_request(rid)
    return replace(made, route="decisions", ask=replace(made.ask, schema={}, choices=KEYS))


def shares_of(body: dict[str, Any]) -> tuple[float, float]:
    """Return the probabilities that the server gives: a function of the content."""
    odd = sum(body["input"][1]["content"].encode()) % 2
    return (0.75, 0.25) if odd else (0.25, 0.75)


async def obedient(asked: web.Request) -> web.StreamResponse:
    """Answer every question."""
    body = await asked.json()
    shares = shares_of(body)
    probabilities = [
        {"value": key, "probability": share} for key, share in zip(KEYS, shares, strict=True)
    ]
    answers = [
        {
            "type": "choice",
            "name": question["name"],
            "choice": KEYS[shares.index(0.75)],
            "confidence": 0.5,
            "probabilities": probabilities,
        }
        for question in body["questions"]
    ]
    reply = {"model": "gpt-6-luna", "answers": answers, "usage": {"input_tokens": 9}}
    headers = {"x-request-id": "req_7", "x-ratelimit-limit-requests": "60"}
    return web.json_response(reply, headers=headers)


@contextlib.asynccontextmanager
async def route(
    answer: Answer, *, safety_identifier: str | None = None, path: str = "decisions", **options: Any
) -> AsyncIterator[DecisionsTransport]:
    """Run a server with one endpoint, and a transport that speaks to it."""

    async def handle(asked: web.Request) -> web.StreamResponse:
        return await answer(asked)

    app = web.Application()
    app.router.add_post(f"/v1/{path}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place = Place(
        base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1",
        api_key="sk-secret-key",
        safety_identifier=safety_identifier,
    )
    transport = DecisionsTransport(place=place, **options)
    try:
        async with asyncio.timeout(FOREVER_S):
            yield transport
    finally:
        await transport.close()
        await runner.cleanup()


@virtual
async def test_a_request_is_one_post_with_our_body_and_key() -> None:
    """The body is the one of wire/decisions; our id is in a header, the service's comes back."""
    seen: list[tuple[Any, str, str]] = []

    async def answer(asked: web.Request) -> web.StreamResponse:
        headers = asked.headers
        seen.append((await asked.json(), headers["Authorization"], headers["X-Client-Request-Id"]))
        return await obedient(asked)

    async with route(answer, safety_identifier="u1", is_cached=True) as transport:
        await transport.open()
        reply = await transport.ask(request())
    body = decisions.body(request(), is_cached=True, safety_identifier="u1")
    assert [(body, "Bearer sk-secret-key", "r1")] == seen
    assert ("gpt-6-luna", 9, "req_7", ["a0"]) == (
        reply.model,
        reply.usage.input_tokens,
        reply.service_request_id,
        list(reply.choices),
    )


@virtual
async def test_many_requests_at_once_get_their_own_answers() -> None:
    """They are under way together; nothing but the exchange itself binds a reply to a request."""
    count = 50
    gathered = asyncio.Barrier(count)

    async def together(asked: web.Request) -> web.StreamResponse:
        await gathered.wait()
        return await obedient(asked)

    asked = [request(f"r{number}") for number in range(count)]
    async with route(together) as transport:
        replies = await asyncio.gather(*(transport.ask(one) for one in asked))
    expected = [
        Choice(probabilities=dict(zip(KEYS, shares_of(decisions.body(one)), strict=True)))
        for one in asked
    ]
    assert expected == [reply.choices["a0"] for reply in replies]
    assert 2 == len({max(one.probabilities, key=one.probabilities.__getitem__) for one in expected})


@pytest.mark.parametrize("answer", [obedient, fixed(429, b"", x_ratelimit_limit_requests="60")])
@virtual
async def test_limits_reach_the_listener_with_answers_and_refusals(answer: Answer) -> None:
    """Under the name of this route."""
    heard: list[tuple[str, tuple[RateLimit, ...], str | None]] = []
    async with route(answer, on_limits=lambda *said: heard.append(said)) as transport:
        with contextlib.suppress(RateLimited):
            await transport.ask(request())
    assert [("decisions", (RateLimit(name="requests", limit=60),), "r1")] == heard


@pytest.mark.parametrize(
    ("answer", "expected", "ending"),
    [
        (fixed(400, error_body("array_above_max_length")), RequestRejected, None),
        (fixed(400, error_body("model_not_found")), RouteClosed, None),
        (fixed(401, error_body("invalid_api_key")), AccountClosed, None),
        (fixed(404, error_body("model_not_found")), RouteClosed, None),
        (fixed(429, error_body("rate_limit_exceeded")), RateLimited, Ending.REFUSED),
        (fixed(429, error_body("insufficient_quota")), AccountClosed, None),
        (fixed(503), TransportError, Ending.REFUSED),
        (fixed(200), TransportError, Ending.UNKNOWN),
        (fixed(200, b"<html>"), AnswerDefect, None),
        (fixed(200, b'{"answers": []}'), AnswerDefect, None),
    ],
)
@virtual
async def test_statuses_become_our_errors(
    answer: Answer, expected: type, ending: Ending | None
) -> None:
    """One request is one POST, whatever comes back."""
    calls = 0

    async def counting(asked: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return await answer(asked)

    async with route(counting) as transport:
        with pytest.raises(expected) as caught:
            await transport.ask(request())
    assert (expected, ending, 1) == (caught.type, getattr(caught.value, "ending", None), calls)


@pytest.mark.parametrize("status", [404, 405, 501])
@virtual
async def test_a_server_without_the_address_closes_the_route(status: int) -> None:
    """The sentence says what to do; the next route of a run takes over."""
    async with route(fixed(status)) as transport:
        with pytest.raises(RouteClosed, match=rf"has no /decisions .*HTTP {status}.*another route"):
            await transport.ask(request())


@virtual
async def test_a_server_that_does_not_answer_in_time_may_have_been_paid() -> None:
    """The limit covers the whole exchange."""
    forever = asyncio.Event()

    async def silent(asked: web.Request) -> web.StreamResponse:
        await forever.wait()
        return web.Response()

    async with route(silent, timeout_s=0.05) as transport:
        with pytest.raises(DeadlinePassed) as caught:
            await transport.ask(request())
        forever.set()
    assert Ending.UNKNOWN == caught.value.ending


def test_a_long_safety_identifier_is_refused_before_anything_is_sent() -> None:
    """The service refuses every request with it."""
    with pytest.raises(ConfigurationError, match="65 characters"):
        DecisionsTransport(
            place=Place(base_url="http://127.0.0.1:1", api_key="k", safety_identifier="x" * 65)
        )
