"""The rest route against a small server in the same loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from analysis.errors import (
    AccountClosed,
    AnswerDefect,
    DeadlinePassed,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, RateLimit
from analysis.transport.rest import RestTransport
from analysis.wire import responses
from analysis.wire.places import Place
from tests.virtual_loop import virtual

from .examples import request
from .http_server import Answer, error_body, fixed, obedient, obedient_chat, route


@virtual
async def test_a_request_is_one_post_with_our_body_and_key() -> None:
    """The body is the one of wire/responses, byte for byte what the server reads."""
    seen: list[tuple[Any, str]] = []

    async def answer(asked: web.Request) -> web.StreamResponse:
        seen.append((await asked.json(), asked.headers["Authorization"]))
        return await obedient(asked)

    async with route(answer, temperature=0.5) as transport:
        await transport.open()
        reply = await transport.ask(request())
    assert [(responses.body(request(), temperature=0.5), "Bearer sk-secret-key")] == seen
    assert (request().ask.content, "gpt-6-luna-2026", 3, "req_7") == (
        reply.text,
        reply.model,
        reply.usage.input_tokens,
        reply.service_request_id,
    )


@virtual
async def test_many_requests_are_under_way_at_once() -> None:
    """No pool holds back what dispatch decided to send."""
    count = 100
    gathered = asyncio.Barrier(count)

    async def together(asked: web.Request) -> web.StreamResponse:
        await gathered.wait()
        return await obedient(asked)

    async with route(together, endpoint="responses") as transport:
        asked = [request(f"r{number}") for number in range(count)]
        replies = await asyncio.gather(*(transport.ask(one) for one in asked))
        assert [one.ask.content for one in asked] == [reply.text for reply in replies]


@pytest.mark.parametrize("answer", [obedient, fixed(429, b"", x_ratelimit_limit_requests="60")])
@virtual
async def test_limits_reach_the_listener_with_answers_and_refusals(answer: Answer) -> None:
    """A 429 tells most about the limits."""
    heard: list[tuple[str, tuple[RateLimit, ...], str | None]] = []
    async with route(answer, on_limits=lambda *said: heard.append(said)) as transport:
        with contextlib.suppress(RateLimited):
            await transport.ask(request("r7"))
    assert [("rest", (RateLimit(name="requests", limit=60),), "r7")] == heard


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"limit": "60"}, (RateLimit(name="requests", limit=60),)),
        ({"limit": " 60 ", "reset": "soon"}, (RateLimit(name="requests", limit=60),)),
        ({"limit": "-1", "remaining": "-1"}, (RateLimit(name="requests"),)),
        ({"limit": "0", "remaining": "0"}, (RateLimit(name="requests", limit=0, remaining=0),)),
        ({"limit": "60;w=60"}, (RateLimit(name="requests"),)),
        ({"limit": "6e4"}, (RateLimit(name="requests"),)),
        ({"remaining": "7", "reset": "1.5"}, (RateLimit(name="requests", remaining=7),)),
        ({"reset": "1m2s"}, (RateLimit(name="requests", reset_s=62.0),)),
        ({}, ()),
    ],
)
@virtual
async def test_headers_in_other_units_state_nothing(
    stated: dict[str, str], expected: tuple[RateLimit, ...]
) -> None:
    """What is no count or no duration is left out; the rest still counts."""
    heard: list[RateLimit] = []
    names = {f"x_ratelimit_{name}_requests": value for name, value in stated.items()}
    async with route(
        fixed(429, b"", **names), on_limits=lambda *said: heard.extend(said[1])
    ) as transport:
        with pytest.raises(RateLimited):
            await transport.ask(request())
    assert list(expected) == heard


@pytest.mark.parametrize("endpoint", ["responses", "chat"])
@virtual
async def test_tier_and_safety_identifier_stand_in_the_body(endpoint: str) -> None:
    """The tier that served is kept, and told once where it is another one."""
    seen: list[Any] = []
    told: list[str] = []

    async def downgrade(asked: web.Request) -> web.StreamResponse:
        seen.append(await asked.json())
        reply = await (obedient if endpoint == "responses" else obedient_chat)(asked)
        assert isinstance(reply, web.Response) and isinstance(reply.text, str)
        return web.json_response(json.loads(reply.text) | {"service_tier": "default"})

    options = {"endpoint": endpoint, "service_tier": "flex", "on_notice": told.append}
    async with route(downgrade, downgrade, safety_identifier="u", **options) as transport:
        for rid in ("r1", "r2"):
            await transport.ask(request(rid))
        assert ("default",) == transport.facts.service_tiers
    assert [("flex", "u")] * 2 == [
        (body["service_tier"], body["safety_identifier"]) for body in seen
    ]
    assert ["Service tier flex was asked for; 127.0.0.1 answered by default."] == told


@virtual
async def test_a_tier_that_is_not_taken_closes_the_route() -> None:
    """It is not left out in silence, since it is a matter of money."""
    refusal = error_body("invalid_value", "Invalid value: 'flex'", "service_tier")
    async with route(fixed(400, refusal), service_tier="flex") as transport:
        with pytest.raises(RouteClosed, match="Leave the service tier out"):
            await transport.ask(request())


@pytest.mark.parametrize(
    ("answer", "expected", "ending"),
    [
        (fixed(401, error_body("invalid_api_key")), AccountClosed, None),
        (fixed(403), AccountClosed, None),
        (fixed(404, error_body("model_not_found")), RouteClosed, None),
        (fixed(404), RouteClosed, None),
        (fixed(307, location="http://127.0.0.1:1/v1/responses"), RouteClosed, None),
        (fixed(400, error_body("unknown_parameter")), RequestRejected, None),
        (fixed(422), RequestRejected, None),
        (fixed(429, error_body("rate_limit_exceeded")), RateLimited, Ending.REFUSED),
        (fixed(429, error_body("insufficient_quota")), AccountClosed, None),
        (fixed(429, error_body("x", "Request too large for m")), RequestRejected, None),
        (fixed(500), TransportError, Ending.REFUSED),
        (fixed(503), TransportError, Ending.REFUSED),
        (fixed(504), TransportError, Ending.UNKNOWN),
        (fixed(408), TransportError, Ending.UNKNOWN),
        (fixed(200), TransportError, Ending.UNKNOWN),
        (fixed(204), TransportError, Ending.UNKNOWN),
        (fixed(200, b"<html>"), AnswerDefect, None),
    ],
)
@virtual
async def test_statuses_become_our_errors(
    answer: Answer, expected: type, ending: Ending | None
) -> None:
    """One request is one POST, whatever comes back: the carrier's retries are off."""
    calls = 0

    async def counting(asked: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return await answer(asked)

    async with route(counting) as transport:
        with pytest.raises(expected) as caught:
            await transport.ask(request())
    assert (expected, ending, 1) == (caught.type, getattr(caught.value, "ending", None), calls)


@virtual
async def test_a_wait_asked_for_in_headers_is_kept() -> None:
    """The finest source counts, and the service's id of the request is kept."""
    answer = fixed(429, error_body("slow_down"), retry_after_ms="250", x_request_id="req_9")
    async with route(answer) as transport:
        with pytest.raises(RateLimited) as caught:
            await transport.ask(request())
    assert (0.25, "slow_down", "req_9") == (
        caught.value.retry_after_s,
        caught.value.code,
        caught.value.request_id,
    )


@contextlib.asynccontextmanager
async def raw(answer: bytes) -> AsyncIterator[RestTransport]:
    """Run a server that writes these bytes and closes, and a transport that speaks to it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport = RestTransport(place=Place(base_url=f"http://127.0.0.1:{port}/v1", api_key="k"))
        yield transport
        await transport.close()


@virtual
async def test_nobody_there_means_that_nothing_was_sent() -> None:
    """A refused connection is surely unpaid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    transport = RestTransport(place=Place(base_url=f"http://127.0.0.1:{port}/v1", api_key="k"))
    with pytest.raises(TransportError) as caught:
        await transport.ask(request())
    await transport.close()
    assert (TransportError, Ending.UNSENT) == (caught.type, caught.value.ending)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"Connection: close\r\n\r\n{", TransportError),
        (b"Content-Length: 1\r\n\r\n{", AnswerDefect),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n", AnswerDefect),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", TransportError),
    ],
)
@virtual
async def test_half_a_reply_is_a_bad_answer_only_if_it_is_whole(
    head: bytes, expected: type
) -> None:
    """Where the end of the connection is the end of the body, nobody can tell."""
    async with raw(b"HTTP/1.1 200 OK\r\n" + head) as transport:
        with pytest.raises(expected) as caught:
            await transport.ask(request())
    assert expected is caught.type
    assert Ending.UNKNOWN is getattr(caught.value, "ending", Ending.UNKNOWN)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"


@pytest.mark.parametrize("answer", [b"", HEAD, HEAD + b'{"id":', b"nonsense\r\n\r\n"])
@virtual
async def test_a_reply_that_breaks_off_may_have_been_paid(answer: bytes) -> None:
    """The request had been written, so nobody knows."""
    async with raw(answer) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.ask(request())
    assert (TransportError, Ending.UNKNOWN) == (caught.type, caught.value.ending)


@virtual
async def test_no_reply_in_time_is_a_passed_deadline() -> None:
    """It may have been generated, so the ending is unknown."""
    never = asyncio.Event()

    async def hang(asked: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async with route(hang, timeout_s=0.1) as transport:
        with pytest.raises(DeadlinePassed) as caught:
            await transport.ask(request())
        never.set()
    assert Ending.UNKNOWN is caught.value.ending


@virtual
async def test_a_body_without_end_is_not_read_to_its_end() -> None:
    """Memory stays bounded; whether the answer was paid is not known."""

    async def flood(asked: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(asked)
        with contextlib.suppress(ConnectionError):
            while True:
                await reply.write(bytes(1 << 20))
        return reply

    async with route(flood) as transport:
        with pytest.raises(TransportError, match="longer than 16 MiB") as caught:
            await transport.ask(request())
    assert (Ending.UNKNOWN, "body_too_large") == (caught.value.ending, caught.value.code)


@virtual
async def test_cancelling_an_ask_passes_through() -> None:
    """Cancellation is no error of ours."""
    started, never = asyncio.Event(), asyncio.Event()

    async def hang(asked: web.Request) -> web.StreamResponse:
        started.set()
        await never.wait()
        return web.Response()

    async with route(hang) as transport:
        task = asyncio.create_task(transport.ask(request()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        never.set()


@virtual
async def test_closing_may_be_repeated_and_an_ask_opens_again() -> None:
    """A closed transport holds no connections."""
    async with route(obedient) as transport:
        await transport.ask(request())
        await transport.close()
        await transport.close()
        assert request().ask.content == (await transport.ask(request())).text
