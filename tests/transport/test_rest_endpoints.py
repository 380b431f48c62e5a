"""The rest route finds out what a server can do: which endpoint, which answer format."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from analysis.errors import (
    AccountClosed,
    ConfigurationError,
    RateLimited,
    RequestRejected,
    RouteClosed,
)
from analysis.records import RateLimit
from analysis.transport.rest import RestFacts, RestTransport
from analysis.wire import chat
from analysis.wire.forms import Form
from analysis.wire.places import Place
from tests.virtual_loop import virtual

from .examples import request
from .http_server import Answer, error_body, fixed, obedient, obedient_chat, route

CHAT_FACTS = RestFacts(endpoint="chat", format="json_schema")


class Counting:
    """An answerer that counts its requests and keeps their bodies."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.bodies: list[Any] = []

    @property
    def count(self) -> int:
        """How many requests came."""
        return len(self.bodies)

    async def __call__(self, asked: web.Request) -> web.StreamResponse:
        self.bodies.append(json.loads(await asked.text()))
        return await self.answer(asked)


@virtual
async def test_a_server_with_responses_is_never_asked_for_chat() -> None:
    """What works is kept, and nobody is told anything."""
    told: list[str] = []
    used, unused = Counting(obedient), Counting(obedient_chat)
    async with route(used, unused, on_notice=told.append) as transport:
        for rid in ("r1", "r2"):
            await transport.ask(request(rid))
        assert RestFacts(endpoint="responses", format="json_schema") == transport.facts
    assert (2, 0, []) == (used.count, unused.count, told)


@pytest.mark.parametrize(
    "missing",
    [
        None,
        fixed(404, b"404 page not found"),
        fixed(404, error_body("", "Invalid URL (POST /v1/responses)")),
        fixed(405),
        fixed(501),
    ],
)
@virtual
async def test_a_server_without_responses_is_asked_for_chat(missing: Answer | None) -> None:
    """The same request is asked again there, later ones at once, and it is said once."""
    told: list[str] = []
    absent = Counting(missing) if missing else None
    completions = Counting(obedient_chat)
    async with route(absent, completions, on_notice=told.append) as transport:
        for rid in ("r1", "r2", "r3"):
            reply = await transport.ask(request(rid))
            assert (request(rid).ask.content, "local-2026", 3, "req_8") == (
                reply.text,
                reply.model,
                reply.usage.input_tokens,
                reply.service_request_id,
            )
        assert CHAT_FACTS == transport.facts
    assert [chat.body(request(rid)) for rid in ("r1", "r2", "r3")] == completions.bodies
    assert absent is None or 1 == absent.count
    assert ["127.0.0.1 has no /responses: /chat/completions is used."] == told


@pytest.mark.parametrize("count", [2, 40])
@virtual
async def test_concurrent_first_requests_find_out_once(count: int) -> None:
    """One asks and switches, the others follow; each gets its own answer."""
    told: list[str] = []
    absent, completions = Counting(fixed(404)), Counting(obedient_chat)
    async with route(absent, completions, on_notice=told.append) as transport:
        asked = [request(f"r{number}") for number in range(count)]
        replies = await asyncio.gather(*(transport.ask(one) for one in asked))
    assert [one.ask.content for one in asked] == [reply.text for reply in replies]
    assert (1, count, 1) == (absent.count, completions.count, len(told))


@virtual
async def test_a_first_request_that_hangs_holds_nobody_up() -> None:
    """The others wait for a bounded time, then ask for themselves."""
    never = asyncio.Event()

    async def first_hangs(asked: web.Request) -> web.StreamResponse:
        body = await asked.json()
        if body["metadata"]["rid"] == "r0":
            await never.wait()
        return await obedient(asked)

    async with route(first_hangs, probe_s=0.05) as transport:
        asks = [asyncio.create_task(transport.ask(request(f"r{n}"))) for n in range(4)]
        for number in (1, 2, 3):
            assert request(f"r{number}").ask.content == (await asks[number]).text
        assert not asks[0].done()
        never.set()
        assert request("r0").ask.content == (await asks[0]).text


@virtual
async def test_a_first_request_that_fails_lets_the_others_go() -> None:
    """A failure tells nothing about the endpoint, so each asks /responses and may still switch."""
    answers = iter([fixed(429, error_body("rate_limit_exceeded"))])

    async def limited_first(asked: web.Request) -> web.StreamResponse:
        return await next(answers, fixed(404))(asked)

    async with route(limited_first, obedient_chat) as transport:
        asks = [transport.ask(request(f"r{number}")) for number in range(3)]
        first, *others = await asyncio.gather(*asks, return_exceptions=True)
        assert isinstance(first, RateLimited)
        assert [request("r1").ask.content, request("r2").ask.content] == [
            getattr(one, "text", one) for one in others
        ]
        assert CHAT_FACTS == transport.facts


@virtual
async def test_a_late_404_follows_a_switch_that_another_request_made() -> None:
    """A request that was under way when others had been answered by chat is asked again there."""
    first_may_end = asyncio.Event()

    async def absent(asked: web.Request) -> web.StreamResponse:
        body = await asked.json()
        if body["metadata"]["rid"] == "r0":
            await first_may_end.wait()
        return web.Response(status=404)

    async with route(absent, obedient_chat, probe_s=0.05) as transport:
        slow = asyncio.create_task(transport.ask(request("r0")))
        assert request("r1").ask.content == (await transport.ask(request("r1"))).text
        first_may_end.set()
        assert request("r0").ask.content == (await slow).text


@pytest.mark.parametrize(
    "body",
    [
        error_body("model_not_found"),
        error_body("", "The model `m` does not exist or you do not have access to it."),
        error_body("DeploymentNotFound", "The API deployment does not exist."),
    ],
)
@virtual
async def test_an_unknown_model_is_no_missing_endpoint(body: bytes) -> None:
    """The route closes, and chat is not tried."""
    unused = Counting(obedient_chat)
    async with route(fixed(404, body), unused) as transport:
        with pytest.raises(RouteClosed, match="does not know this model"):
            await transport.ask(request())
        assert "responses" == transport.facts.endpoint
    assert 0 == unused.count


@pytest.mark.parametrize("endpoint", [None, fixed(405)])
@virtual
async def test_a_server_with_neither_endpoint_closes_the_route(endpoint: Answer | None) -> None:
    """The message names both, and no switch is announced."""
    told: list[str] = []
    async with route(endpoint, endpoint, on_notice=told.append) as transport:
        with pytest.raises(RouteClosed, match=r"neither /responses nor /chat/completions.*base"):
            await transport.ask(request())
    assert [] == told


@virtual
async def test_an_endpoint_that_answered_once_is_not_left() -> None:
    """A 404 in the middle of a run is a fault, not a capability."""
    answers = iter([obedient])
    unused = Counting(obedient_chat)

    async def once(asked: web.Request) -> web.StreamResponse:
        return await next(answers, fixed(404))(asked)

    async with route(once, unused) as transport:
        await transport.ask(request("r1"))
        with pytest.raises(RouteClosed, match="no such address"):
            await transport.ask(request("r2"))
    assert 0 == unused.count


@virtual
async def test_a_named_endpoint_is_used_without_finding_out() -> None:
    """Neither of the two falls back to the other, and nothing is said."""
    told: list[str] = []
    responses, completions = Counting(fixed(404)), Counting(obedient_chat)
    async with route(responses, completions, endpoint="chat", on_notice=told.append) as transport:
        await transport.ask(request())
    assert (0, 1, []) == (responses.count, completions.count, told)
    async with route(responses, completions, endpoint="responses") as transport:
        with pytest.raises(RouteClosed):
            await transport.ask(request())
    assert (1, 1) == (responses.count, completions.count)


def test_an_endpoint_that_does_not_exist_is_refused() -> None:
    """The mistake is named before anything is sent."""
    with pytest.raises(ConfigurationError, match="auto, responses, chat"):
        RestTransport(
            place=Place(base_url="http://127.0.0.1:1/v1", api_key="k"), endpoint="completions"
        )


def taking(*formats: str | None, cap: str = "max_completion_tokens") -> Answer:
    """Return a chat server that takes these answer formats and this name of the cap only."""

    async def answer(asked: web.Request) -> web.StreamResponse:
        body = await asked.json()
        found = (body.get("response_format") or {}).get("type")
        if found not in formats:
            no_format = error_body("invalid_value", f"no {found}", "response_format.type")
            return web.Response(status=400, body=no_format)
        if cap not in body:
            no_cap = error_body("unsupported_parameter", "Unsupported", "max_completion_tokens")
            return web.Response(status=400, body=no_cap)
        return await obedient_chat(asked)

    return answer


@pytest.mark.parametrize(
    ("server", "form", "refusals"),
    [
        (taking("json_object"), Form(format="json_object"), 1),
        (taking(None), Form(format="text"), 2),
        (taking("json_schema", cap="max_tokens"), Form(cap="max_tokens"), 1),
        (taking(None, cap="max_tokens"), Form(format="text", cap="max_tokens"), 3),
    ],
)
@virtual
async def test_a_refused_form_is_replaced_once_and_remembered(
    server: Answer, form: Form, refusals: int
) -> None:
    """Each step is said once, later requests start with the form that works."""
    told: list[str] = []
    completions = Counting(server)
    async with route(None, completions, on_notice=told.append) as transport:
        asked = [request(f"r{number}") for number in range(5)]
        replies = await asyncio.gather(*(transport.ask(one) for one in asked))
        assert RestFacts(endpoint="chat", format=form.format) == transport.facts
    assert [one.ask.content for one in asked] == [reply.text for reply in replies]
    assert 5 + refusals == completions.count
    assert all(chat.body(one, form=form) in completions.bodies for one in asked)
    assert 1 + refusals == len(told) == len(set(told))


@virtual
async def test_responses_without_a_schema_are_asked_more_simply() -> None:
    """A refused answer format is no reason to leave the endpoint."""

    async def plain(asked: web.Request) -> web.StreamResponse:
        body = await asked.json()
        if "text" in body:
            return web.Response(status=400, body=error_body("", "no", "text.format"))
        return await obedient(asked)

    told: list[str] = []
    used, unused = Counting(plain), Counting(obedient_chat)
    async with route(used, unused, on_notice=told.append) as transport:
        for rid in ("r1", "r2"):
            assert request(rid).ask.content == (await transport.ask(request(rid))).text
        assert RestFacts(endpoint="responses", format="text") == transport.facts
    assert (4, 0, 2) == (used.count, unused.count, len(told))


@pytest.mark.parametrize("endpoint", ["responses", "chat"])
@virtual
async def test_a_field_that_is_not_taken_is_left_out(endpoint: str) -> None:
    """Temperature, effort and the like: each is said once and remembered for the run."""
    effort = {"responses": "reasoning", "chat": "reasoning_effort"}[endpoint]

    async def plain(asked: web.Request) -> web.StreamResponse:
        body = await asked.json()
        for name in ("temperature", effort):
            if name in body:
                words = f"Unsupported value: '{name}' is not supported with this model."
                refusal = error_body("unsupported_value", words, name)
                return web.Response(status=400, body=refusal)
        return await (obedient if endpoint == "responses" else obedient_chat)(asked)

    told: list[str] = []
    server = Counting(plain)
    async with route(server, server, endpoint=endpoint, on_notice=told.append) as transport:
        for rid in ("r1", "r2"):
            assert request(rid).ask.content == (await transport.ask(request(rid))).text
        assert tuple(sorted(("temperature", effort))) == transport.facts.without
    assert (4, 2) == (server.count, len(told))


@virtual
async def test_requests_refused_at_once_step_together() -> None:
    """Refusals of one form simplify it once, however many requests were under way in it."""
    count = 6
    gathered = asyncio.Barrier(count)

    async def together(asked: web.Request) -> web.StreamResponse:
        body = await asked.json()
        if (body.get("response_format") or {}).get("type") == "json_schema":
            await gathered.wait()
        return await taking("json_object")(asked)

    completions = Counting(together)
    async with route(None, completions, endpoint="chat") as transport:
        asks = [transport.ask(request(f"r{number}")) for number in range(count)]
        await asyncio.gather(*asks)
        assert RestFacts(endpoint="chat", format="json_object") == transport.facts
    assert 2 * count == completions.count


@virtual
async def test_a_server_that_refuses_every_form_says_why() -> None:
    """There is no endless asking: the last refusal is the caller's."""
    completions = Counting(taking("xml"))
    async with route(None, completions) as transport:
        with pytest.raises(RequestRejected, match="no None") as caught:
            await transport.ask(request())
        assert RequestRejected is caught.type
    assert 3 == completions.count


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fixed(401, error_body("invalid_api_key")), AccountClosed),
        (
            fixed(429, error_body("rate_limit_exceeded"), x_ratelimit_limit_requests="9"),
            RateLimited,
        ),
        (fixed(404, error_body("model_not_found")), RouteClosed),
        (fixed(400, error_body("context_length_exceeded")), RequestRejected),
    ],
)
@virtual
async def test_refusals_of_chat_mean_what_they_mean_everywhere(
    answer: Answer, expected: type
) -> None:
    """Limits in their headers are heard, too."""
    heard: list[tuple[RateLimit, ...]] = []
    completions = Counting(answer)
    async with route(None, completions, on_limits=lambda *said: heard.append(said[1])) as transport:
        with pytest.raises(expected) as caught:
            await transport.ask(request())
    assert (expected, 1) == (caught.type, completions.count)
    limits = [(RateLimit(name="requests", limit=9),)] if expected is RateLimited else []
    assert limits == heard


@pytest.mark.parametrize(
    ("base_url", "is_known"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://notapi.openai.com/v1", False),
        ("https://api.openai.com.example/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_openai_hosts_need_no_finding_out(base_url: str, is_known: bool) -> None:
    """There the first requests go out together."""
    transport = RestTransport(place=Place(base_url=base_url, api_key="k"))
    assert is_known == transport.is_endpoint_known
