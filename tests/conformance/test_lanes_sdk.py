"""The Responses API in WebSocket mode as the vendor's SDK sees it, with its lane helper."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.responses_websocket import (
    AsyncResponsesWebSocketSession,
    ResponsesWebSocketError,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
)
from openai.types.beta import BetaResponsesServerEvent
from openai.types.responses.responses_server_event import ResponsesServerEvent
from pydantic import TypeAdapter

from analysis.simulator.server import LocalService, start_in_thread
from tests.conformance.counted import checked
from tests.simulator.examples import body, labels_of, pack, service
from tests.simulator.lane_examples import rules

ROUTE = "responses-ws"
server_events: TypeAdapter[Any] = TypeAdapter(ResponsesServerEvent)
beta_events: TypeAdapter[Any] = TypeAdapter(BetaResponsesServerEvent)
SOCKET: Any = {"max_size": None}
LIMITS = ResponsesWebSocketLimits(
    max_lanes=33,
    max_events_per_lane=1_000,
    max_events=10_000,
    max_bytes_per_lane=1 << 24,
    max_bytes=1 << 25,
)
LAST = ("response.completed", "response.incomplete", "response.failed", "error")


def client(base_url: str) -> AsyncOpenAI:
    """Return the SDK's client without retries."""
    return AsyncOpenAI(base_url=base_url, api_key="key-1", max_retries=0)


def create(text: str, /, **changes: Any) -> Any:
    """Return the client event that asks about one text."""
    return {"type": "response.create", **body(**{"input": pack(text), "store": False, **changes})}


async def frames_of(connection: Any, ends: int) -> list[dict[str, Any]]:
    """Read until so many requests have ended; every frame passes the SDK's strict types."""
    frames: list[dict[str, Any]] = []
    while ends:
        frame = json.loads(await connection.recv_bytes())
        for types in (server_events, beta_events):
            event = types.validate_python(frame, strict=True)
            assert (frame["type"],) == type(event).model_fields["type"].annotation.__args__
        ends -= frame["type"] in LAST
        frames.append(frame)
    checked(ROUTE, "to client", len(frames))
    return frames


@pytest.mark.asyncio
async def test_every_frame_has_its_type() -> None:
    """Answers of all kinds, a warm-up, refusals and a failed steering."""
    account = service(ms_per_token=0.1, rpm=8, profile=rules(is_error_headed=True))
    asked: list[dict[str, Any]] = [
        create("one"),
        create("two", stream_id="a"),
        create("three", stream_id="a", reasoning={"effort": "low"}),
        create("x", stream_id="b", input=pack(*"abcdef"), max_output_tokens=16),
        create("four", stream_id="b", generate=False),
        create("five", stream_id="b", previous_response_id="resp_0"),
        create("six", stream_id=""),
        create("seven", stream_id="c", bogus=1),
        create("eight", stream_id="c"),
        create("nine", stream_id="c"),
        create("ten", stream_id="c"),
        create("eleven", stream_id="c"),
        {"type": "response.bogus"},
    ]
    async with (
        LocalService(account) as local,
        client(local.base_url) as sdk,
        sdk.responses.connect(websocket_connection_options=SOCKET) as connection,
    ):
        for event in asked:
            await connection.send_raw(json.dumps(event))
        frames = await frames_of(connection, len(asked))
        target = frames[-1].get("response", {}).get("id", "resp_0")
        await connection.response.steer(previous_response_id=target, input="x")
        steered = json.loads(await connection.recv_bytes())
    assert steered["type"] == server_events.validate_python(steered, strict=True).type
    assert {"response.completed", "response.incomplete"} < {frame["type"] for frame in frames}
    codes = {frame["error"]["code"] for frame in frames if frame["type"] == "error"}
    assert {
        "previous_response_not_found",
        "invalid_stream_id",
        "unknown_parameter",
        "rate_limit_exceeded",
        "invalid_value",
    } == codes
    checked(ROUTE, "to service", len(asked) + 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["refusal", "error_500"])
async def test_frames_of_refusals_and_failures_have_their_types(fault: str) -> None:
    """Their events differ from those of an answer."""
    async with (
        LocalService(service(faults={fault: 1.0}, ms_per_token=0.1)) as local,
        client(local.base_url) as sdk,
        sdk.responses.connect(websocket_connection_options=SOCKET) as connection,
    ):
        await connection.send(create("one", stream_id="a"))
        frames = await frames_of(connection, 1)
    expected = "response.completed" if fault == "refusal" else "response.failed"
    assert expected == frames[-1]["type"]
    checked(ROUTE, "to service")


@pytest.mark.asyncio
async def test_lane_helper_gets_every_answer_to_its_question() -> None:
    """Twenty lanes, three requests each, sixteen at a time."""

    async def work(lane: Any, name: int) -> int:
        frames = 0
        for turn in range(3):
            text = f"{name} {turn}"
            await lane.send(create(text))
            final = await lane.get_final_response()
            assert labels_of(text) == json.loads(final.output_text)
            frames += 1
        return frames

    account = service(latency_ms=2, ms_per_token=0.1)
    async with (
        LocalService(account) as local,
        client(local.base_url) as sdk,
        sdk.responses.connect(websocket_connection_options=SOCKET) as connection,
        AsyncResponsesWebSocketSession(connection, limits=LIMITS) as session,
    ):
        lanes = [session.lane(f"w{number:02}") for number in range(20)]
        answered = await asyncio.gather(*(work(lane, name) for name, lane in enumerate(lanes)))
    assert [3] * 20 == answered
    checked(ROUTE, "to service", 60)


@pytest.mark.asyncio
async def test_lane_helper_survives_a_bare_end() -> None:
    """Without output in the last event and without announcements it rebuilds the answer."""
    profile = rules(is_terminal_bare=True, has_item_events=False)
    async with (
        LocalService(service(profile=profile)) as local,
        client(local.base_url) as sdk,
        sdk.responses.connect(websocket_connection_options=SOCKET) as connection,
        AsyncResponsesWebSocketSession(connection, limits=LIMITS) as session,
    ):
        lane = session.lane("a")
        await lane.send(create("one"))
        final = await lane.get_final_response()
    assert labels_of("one") == json.loads(final.output_text)


@pytest.mark.asyncio
async def test_error_of_a_lane_leaves_the_others() -> None:
    """The helper raises it on its lane only; that lane takes the next request."""
    async with (
        LocalService(service(latency_ms=5)) as local,
        client(local.base_url) as sdk,
        sdk.responses.connect(websocket_connection_options=SOCKET) as connection,
        AsyncResponsesWebSocketSession(connection, limits=LIMITS) as session,
    ):
        bad, good = session.lane("bad"), session.lane("good")
        await bad.send(create("one", previous_response_id="resp_0"))
        await good.send(create("two"))
        with pytest.raises(ResponsesWebSocketError) as refused:
            await bad.get_final_response()
        assert "completed" == (await good.get_final_response()).status
        await bad.send(create("three"))
        assert "completed" == (await bad.get_final_response()).status
    told: Any = refused.value.event
    assert (400, "previous_response_not_found") == (told.status, told.error.code)


@pytest.mark.asyncio
async def test_typed_calls_of_both_resources_are_taken() -> None:
    """`responses` and `beta.responses` create by keyword and read typed events."""
    asked: Any = body(input=pack("one"), store=False)
    async with LocalService(service()) as local, client(local.base_url) as sdk:
        for resource in (sdk.responses, sdk.beta.responses):
            async with resource.connect(websocket_connection_options=SOCKET) as connection:
                create: Any = connection.response.create
                await create(stream_id="w00", **asked)
                types = []
                async for event in connection:
                    assert "w00" == getattr(event, "stream_id", None)
                    types.append(event.type)
                    if event.type == "response.completed":
                        break
            checked(ROUTE, "to service")
            checked(ROUTE, "to client", len(types))


@pytest.mark.asyncio
async def test_bad_key_is_refused_before_the_upgrade() -> None:
    """The SDK sees the HTTP status."""
    async with LocalService(service(api_key="other")) as local, client(local.base_url) as sdk:
        with pytest.raises(Exception, match="401"):
            async with sdk.responses.connect(websocket_connection_options=SOCKET):
                pytest.fail("The key was bad.")


def test_blocking_lane_helper_is_answered() -> None:
    """A lane and the default one, then a continuation and a warm-up before another."""
    with (
        start_in_thread(service(ms_per_token=0.1)) as base_url,
        OpenAI(base_url=base_url, api_key="key-1", max_retries=0) as sdk,
        sdk.responses.connect(websocket_connection_options=SOCKET) as connection,
        ResponsesWebSocketSession(connection, limits=LIMITS) as session,
    ):
        lane = session.lane("a")
        lane.send(create("one"))
        first = lane.get_final_response(timeout=10)
        session.default.send(create("two"))
        second = session.default.get_final_response(timeout=10)
        lane.send(create("three", previous_response_id=first.id))
        third = lane.get_final_response(timeout=10)
        lane.send(create("four", generate=False))
        warm = lane.get_final_response(timeout=10)
    assert [labels_of("one"), labels_of("two"), labels_of("three")] == [
        json.loads(response.output_text) for response in (first, second, third)
    ]
    assert (first.id, []) == (third.previous_response_id, warm.output)
    checked(ROUTE, "to service", 4)
