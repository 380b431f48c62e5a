"""The Responses route over HTTP as the vendor's SDK sees it, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from analysis.simulator.server import LocalService, start_in_thread
from analysis.simulator.service import Service
from tests.conformance.counted import checked
from tests.simulator.examples import body, labels_of, pack, service

ROUTE = "responses"
stream_events: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

VARIANTS = pytest.mark.parametrize(
    ("options", "changes", "status"),
    [
        ({}, {}, "completed"),
        ({}, {"reasoning": {"effort": "low"}}, "completed"),
        ({}, {"include": ["message.output_text.logprobs"], "top_logprobs": 2}, "completed"),
        ({"faults": {"refusal": 1.0}}, {"include": ["message.output_text.logprobs"]}, "completed"),
        ({}, {"input": pack(*"abcdef"), "max_output_tokens": 16}, "incomplete"),
        ({"faults": {"refusal": 1.0}}, {}, "completed"),
        ({}, {"text": {"format": {"type": "json_object"}}, "service_tier": "flex"}, "completed"),
        ({}, {"metadata": {}, "instructions": "x", "temperature": 0, "store": False}, "completed"),
    ],
)


def client(base_url: str) -> AsyncOpenAI:
    """Return the SDK's client without retries."""
    return AsyncOpenAI(base_url=base_url, api_key="key-1", max_retries=0)


@pytest.mark.asyncio
@VARIANTS
async def test_whole_answers_have_the_type(
    options: dict[str, Any], changes: dict[str, Any], status: str
) -> None:
    """The body passes the SDK's strict type."""
    async with LocalService(service(**options)) as local, client(local.base_url) as sdk:
        raw = await sdk.responses.with_raw_response.create(**body(**changes))
    response = Response.model_validate(json.loads(raw.content), strict=True)
    assert status == response.status
    checked(ROUTE, "to service")
    checked(ROUTE, "to client")


@pytest.mark.asyncio
@VARIANTS
async def test_streamed_events_have_their_types(
    options: dict[str, Any], changes: dict[str, Any], status: str
) -> None:
    """Each event is the one of its name, and the last one tells the status."""
    account = service(ms_per_token=0.1, **options)
    async with (
        LocalService(account) as local,
        client(local.base_url) as sdk,
        sdk.responses.with_streaming_response.create(**body(stream=True, **changes)) as raw,
    ):
        lines = [line async for line in raw.iter_lines() if line.startswith("data: ")]
    frames = [json.loads(line.removeprefix("data: ")) for line in lines]
    for frame in frames:
        event = stream_events.validate_python(frame, strict=True)
        assert (frame["type"],) == type(event).model_fields["type"].annotation.__args__
    assert status == frames[-1]["response"]["status"]
    checked(ROUTE, "to service")
    checked(f"{ROUTE} stream", "to client", len(frames))


@pytest.mark.asyncio
async def test_stream_helper_puts_the_answer_together() -> None:
    """Its final response has the labels."""
    account = service(ms_per_token=0.1)
    asked: Any = body()
    async with (
        LocalService(account) as local,
        client(local.base_url) as sdk,
        sdk.responses.stream(**asked) as stream,
    ):
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert labels_of("one", "two") == json.loads(final.output_text)
    checked(ROUTE, "to service")
    checked(f"{ROUTE} stream", "to client", len(events))


@pytest.mark.asyncio
async def test_failing_stream_ends_with_its_error() -> None:
    """The SDK gives the event and raises nothing."""
    account = service(faults={"error_500": 1.0})
    async with LocalService(account) as local, client(local.base_url) as sdk:
        asked: Any = body(stream=True)
        events: list[Any] = [event async for event in await sdk.responses.create(**asked)]
    assert ("response.failed", "server_error") == (events[-1].type, events[-1].response.error.code)
    checked(f"{ROUTE} stream", "to client", len(events))


def ask_in_turn(account: Service) -> tuple[Any, list[Any], Any]:
    """Ask through the blocking client: whole, streamed, and going on from the first answer."""
    asked: Any = body()
    with (
        start_in_thread(account) as base_url,
        OpenAI(base_url=base_url, api_key="key-1", max_retries=0) as sdk,
    ):
        whole = sdk.responses.create(**asked)
        events = list(sdk.responses.create(**asked, stream=True))
        follower = sdk.responses.create(**asked, previous_response_id=whole.id)
    return whole, events, follower


def test_blocking_client_is_answered() -> None:
    """In one piece, as a stream and as a continuation."""
    whole, events, follower = ask_in_turn(service(ms_per_token=0.1))
    assert labels_of("one", "two") == json.loads(whole.output_text)
    assert whole.output_text == events[-1].response.output_text
    assert whole.id == follower.previous_response_id
    checked(ROUTE, "to service", 3)
    checked(ROUTE, "to client", 2)
    checked(f"{ROUTE} stream", "to client", len(events))
