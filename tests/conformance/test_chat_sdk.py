"""The chat route as the vendor's SDK sees it, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from analysis.simulator.server import LocalService, start_in_thread
from tests.conformance.counted import checked
from tests.simulator.examples import chat, labels_of, service

ROUTE = "chat"

VARIANTS = pytest.mark.parametrize(
    ("options", "changes", "reason"),
    [
        ({}, {}, "stop"),
        ({}, {"max_completion_tokens": 3}, "length"),
        ({}, {"logprobs": True, "top_logprobs": 2}, "stop"),
        ({"faults": {"refusal": 1.0}}, {"logprobs": True}, "stop"),
        ({"faults": {"refusal": 1.0}}, {}, "stop"),
        ({}, {"response_format": {"type": "json_object"}, "service_tier": "flex"}, "stop"),
        ({}, {"metadata": ..., "store": ..., "temperature": 0}, "stop"),
    ],
)


def client(base_url: str) -> AsyncOpenAI:
    """Return the SDK's client without retries."""
    return AsyncOpenAI(base_url=base_url, api_key="key-1", max_retries=0)


@pytest.mark.asyncio
@VARIANTS
async def test_whole_completions_have_the_type(
    options: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    """The body passes the SDK's strict type."""
    async with LocalService(service(**options)) as local, client(local.base_url) as sdk:
        raw = await sdk.chat.completions.with_raw_response.create(**chat(**changes))
    completion = ChatCompletion.model_validate(json.loads(raw.content), strict=True)
    assert reason == completion.choices[0].finish_reason
    checked(ROUTE, "to service")
    checked(ROUTE, "to client")


@pytest.mark.asyncio
@VARIANTS
async def test_streamed_chunks_have_the_type(
    options: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    """Each chunk passes the SDK's strict type; the sign of the end closes them."""
    account = service(ms_per_token=0.1, **options)
    asked = chat(stream=True, stream_options={"include_usage": True}, **changes)
    async with (
        LocalService(account) as local,
        client(local.base_url) as sdk,
        sdk.chat.completions.with_streaming_response.create(**asked) as raw,
    ):
        *lines, last = [line async for line in raw.iter_lines() if line]
    chunks = [
        ChatCompletionChunk.model_validate(json.loads(line.removeprefix("data: ")), strict=True)
        for line in lines
    ]
    assert ("data: [DONE]", reason) == (last, chunks[-2].choices[0].finish_reason)
    assert chunks[-1].usage is not None
    checked(ROUTE, "to service")
    checked(f"{ROUTE} stream", "to client", len(chunks))


@pytest.mark.asyncio
async def test_stream_helper_puts_the_completion_together() -> None:
    """Its final completion has the labels."""
    asked: Any = chat()
    async with (
        LocalService(service(ms_per_token=0.1)) as local,
        client(local.base_url) as sdk,
        sdk.chat.completions.stream(**asked) as stream,
    ):
        count = len([event async for event in stream if event.type == "chunk"])
        final: Any = await stream.get_final_completion()
    assert labels_of("one", "two") == json.loads(final.choices[0].message.content)
    checked(ROUTE, "to service")
    checked(f"{ROUTE} stream", "to client", count)


@pytest.mark.asyncio
async def test_failing_stream_is_an_error_of_the_sdk() -> None:
    """It comes before the first chunk, with its status."""
    asked: Any = chat(stream=True)
    account = service(faults={"error_500": 1.0})
    async with LocalService(account) as local, client(local.base_url) as sdk:
        with pytest.raises(openai.InternalServerError):
            await sdk.chat.completions.create(**asked)


def test_blocking_client_is_answered() -> None:
    """In one piece and as a stream."""
    asked: Any = chat()
    with (
        start_in_thread(service(ms_per_token=0.1)) as base_url,
        OpenAI(base_url=base_url, api_key="key-1", max_retries=0) as sdk,
    ):
        whole = sdk.chat.completions.create(**asked)
        chunks = list(sdk.chat.completions.create(**asked, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert whole.choices[0].message.content == text
    checked(ROUTE, "to service", 2)
    checked(ROUTE, "to client")
    checked(f"{ROUTE} stream", "to client", len(chunks))
