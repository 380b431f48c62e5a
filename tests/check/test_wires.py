"""Raw bodies and frames go out and come in, are charged, and stand in the transcript."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from analysis.check.spending import BudgetSpent, Spending
from analysis.check.transcript import Mask, Transcript
from analysis.check.wires import HttpReply, Wires, error_facts
from analysis.endpoint import Endpoint
from analysis.errors import AccountClosed, DeadlinePassed, RouteClosed, TransportError
from analysis.settings import DEFAULT_MODELS
from analysis.simulator.profile import PROFILE
from tests.check.asking import SHORT, wires_to
from tests.check.endpoints import scripted, service_at

BODY = {"model": "gpt-6-luna", "input": "x", "max_output_tokens": 16}


def posted(wires: Wires, path: str, body: dict[str, Any]) -> HttpReply:
    """Send a body and close."""

    async def run() -> HttpReply:
        try:
            return await wires.post(path, body)
        finally:
            await wires.close()

    return asyncio.run(run())


def test_a_reply_is_charged_as_the_model_that_was_asked() -> None:
    """The service may name another one, which has no price."""
    with service_at() as endpoint:
        wires = wires_to(endpoint)
        reply = posted(wires, "/responses", BODY)
    usage = reply.body["usage"]
    total = wires.spending.total
    assert (200, 1, 1) == (reply.status, total.requests, total.reported)
    assert usage["input_tokens"] == total.usage.input_tokens
    assert total.usd is not None and total.usd > 0


def test_a_refusal_is_a_reply_with_its_error() -> None:
    """Questions ask for refusals."""
    with service_at() as endpoint:
        reply = posted(wires_to(endpoint), "/responses", BODY | {"model": "gpt-7-nova"})
    assert (404, "model_not_found") == (reply.error["status"], reply.error["code"])


def test_a_refusal_where_an_answer_is_needed_is_an_error() -> None:
    """The question fails with the service's words."""
    with service_at() as endpoint:
        wires = wires_to(endpoint)

        async def run() -> HttpReply:
            try:
                return await wires.answer("/responses", BODY | {"model": "gpt-7-nova"})
            finally:
                await wires.close()

        with pytest.raises(RouteClosed, match="model_not_found"):
            asyncio.run(run())


def test_a_refused_key_and_an_unknown_address_are_errors() -> None:
    """They hit every question of the account or of the route."""
    with service_at(api_key="another") as endpoint, pytest.raises(AccountClosed):
        posted(wires_to(endpoint), "/responses", BODY)
    with service_at(endpoints=("models",)) as endpoint, pytest.raises(RouteClosed):
        posted(wires_to(endpoint), "/responses", BODY)


def test_nothing_is_sent_above_the_limit() -> None:
    """The service sees no request."""
    payments: list[object] = []
    with service_at(payment=payments.append) as endpoint:
        with pytest.raises(BudgetSpent):
            posted(wires_to(endpoint, limit_usd=0.0), "/responses", BODY)

        async def send() -> None:
            wires = wires_to(endpoint, limit_usd=0.0)
            async with wires.socket("responses", "gpt-6-luna", is_model_named=False) as talk:
                await talk.send({"type": "response.create", **BODY}, is_paid=True)

        with pytest.raises(BudgetSpent):
            asyncio.run(send())
    assert [] == payments


def test_a_silent_socket_ends_the_wait() -> None:
    """The responses socket says nothing before it is asked."""

    async def run(endpoint: Endpoint) -> None:
        wires = wires_to(endpoint)
        async with wires.socket("responses", "gpt-6-luna", is_model_named=False) as talk:
            with pytest.raises(DeadlinePassed):
                await talk.next(wait_s=0.01)

    with service_at() as endpoint:
        asyncio.run(run(endpoint))


def test_a_closed_socket_is_told_with_its_code() -> None:
    """What was no JSON object before passed by."""

    async def talk_to_us(socket: ServerConnection) -> None:
        await socket.send("no JSON")
        await socket.send("[5]")
        await socket.send('{"type": "hello"}')
        await socket.close(4321, "enough")

    async def run() -> tuple[object, str]:
        async with (
            scripted(talk_to_us) as endpoint,
            wires_to(endpoint).socket("responses", "m", is_model_named=False) as talk,
        ):
            first = await talk.next()
            with pytest.raises(TransportError, match="code 4321 enough"):
                await talk.next()
            with pytest.raises(TransportError, match="code 4321 enough"):
                await talk.send({})
            assert (4321, "enough") == (talk.close_code, talk.close_reason)
            return first["type"], endpoint.host

    assert "hello" == asyncio.run(run())[0]


def test_pings_reach_us_and_are_answered() -> None:
    """The library answers them; the socket lives on."""
    lanes = replace(PROFILE.responses, ping_interval_s=0.01)

    async def run(endpoint: Endpoint) -> int:
        wires = wires_to(endpoint)
        async with wires.socket("responses", "gpt-6-luna", is_model_named=False) as talk:
            while len(talk.pings) < 2:
                with pytest.raises(DeadlinePassed):
                    await talk.next(wait_s=0.02)
            return len(talk.pings)

    with service_at(profile=replace(PROFILE, responses=lanes)) as endpoint:
        assert asyncio.run(run(endpoint)) >= 2


def test_the_transcript_has_all_frames_and_no_key(tmp_path: Path) -> None:
    """What was opened, sent, received and closed, in order."""
    path, key = tmp_path / "frames.jsonl", "very-secret-0123456789"

    async def run(endpoint: Endpoint, transcript: Transcript) -> None:
        wires = Wires(
            endpoint,
            models=DEFAULT_MODELS,
            spending=Spending(None),
            transcript=transcript,
            clock=time.monotonic,
            nonce="",
            patience=SHORT,
        )
        await wires.post("/responses", BODY | {"input": f"my key is {key}"})
        async with wires.socket("realtime", "gpt-realtime-2.1-mini") as talk:
            await talk.until("session.created")
            await talk.send({"type": key})
            await talk.until("error")
        await wires.close()

    with service_at(api_key=key) as endpoint:
        known = replace(endpoint, api_key=key)
        with Transcript(path, mask=Mask(known), clock=time.monotonic) as transcript:
            asyncio.run(run(known, transcript))
    text = path.read_text("utf-8")
    assert key not in text
    lines = [json.loads(line) for line in text.splitlines()]
    http, socket = "POST /responses", "realtime"
    expected = [(http, "sent"), (http, "received"), (socket, "opened"), (socket, "received")]
    expected += [(socket, "sent"), (socket, "received"), (socket, "closed")]
    assert expected == [(line["door"], line["what"]) for line in lines]
    assert "[masked]" in lines[4]["frame"]


def test_an_error_that_is_no_object_has_no_facts() -> None:
    """Long words are cut, keys in them masked."""
    assert {} == error_facts("no")
    facts = error_facts({"code": 5, "message": "sk-abcdefgh " * 100})
    assert {"type": None, "code": 5, "param": None}.items() <= facts.items()
    assert "sk-" not in str(facts["message"])
