"""Files and batches as the vendor's SDK sees them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Batch, FileDeleted, FileObject
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from analysis.simulator.profile import PROFILE
from analysis.simulator.server import LocalService, start_in_thread
from tests.conformance.counted import checked
from tests.simulator.batch_examples import lines, row
from tests.simulator.examples import chat, labels_of, pack, service

COUNT = 20


def quick(**rules: Any) -> Any:
    """Return a service on which a day passes in no time, with other rules for batches."""
    batch = replace(PROFILE.batch, speed=1e6, **rules)
    return service(profile=replace(PROFILE, batch=batch))


def input_file(endpoint: str) -> bytes:
    """Return rows for an endpoint whose texts are t0, t1 and so on."""
    if endpoint == "/v1/responses":
        return lines(*(row(f"c{index}", f"t{index}") for index in range(COUNT)))
    bodies = [chat(messages=[{"role": "user", "content": pack(f"t{n}")}]) for n in range(COUNT)]
    return lines(*(row(f"c{n}", url=endpoint, body=body) for n, body in enumerate(bodies)))


def text_of(endpoint: str, body: dict[str, Any]) -> str:
    """Return the text of an answer after the SDK's strict type has taken it."""
    if endpoint == "/v1/responses":
        return Response.model_validate(body, strict=True).output_text
    completion = ChatCompletion.model_validate(body, strict=True)
    return completion.choices[0].message.content or ""


async def ended(sdk: AsyncOpenAI, batch: Batch) -> Batch:
    """Ask for a batch until it has ended; each state passes the SDK's strict type."""
    while True:
        raw = await sdk.batches.with_raw_response.retrieve(batch.id)
        batch = Batch.model_validate(json.loads(raw.content), strict=True)
        checked("batches", "to client")
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch


@pytest.mark.asyncio
@pytest.mark.parametrize("endpoint", ["/v1/responses", "/v1/chat/completions"])
async def test_whole_life_of_a_batch(endpoint: Any) -> None:
    """Upload, create, wait, read, list and delete; every row is right and joined by its id."""
    async with (
        LocalService(quick()) as local,
        AsyncOpenAI(base_url=local.base_url, api_key="k", max_retries=0) as sdk,
    ):
        made = await sdk.files.create(
            file=("rows.jsonl", input_file(endpoint)),
            purpose="batch",
            expires_after={"anchor": "created_at", "seconds": 3_600},
        )
        FileObject.model_validate(made.to_dict(), strict=True)
        batch = await sdk.batches.create(
            input_file_id=made.id,
            endpoint=endpoint,
            completion_window="24h",
            metadata={"run": "1"},
            output_expires_after={"anchor": "created_at", "seconds": 3_600},
        )
        last = await ended(sdk, batch)
        assert ("completed", {"run": "1"}) == (last.status, last.metadata)
        content = await sdk.files.content(last.output_file_id or "")
        listed = [each.id async for each in sdk.batches.list(limit=1)]
        names = [each.id async for each in sdk.files.list(limit=1)]
        deleted = await sdk.files.delete(made.id)
        FileDeleted.model_validate(deleted.to_dict(), strict=True)
        with pytest.raises(openai.NotFoundError):
            await sdk.files.retrieve(made.id)
    assert ([batch.id], [last.output_file_id, made.id]) == (listed, names)
    found = [json.loads(line) for line in content.text.splitlines()]
    assert {f"c{index}" for index in range(COUNT)} == {each["custom_id"] for each in found}
    for each in found:
        text = text_of(endpoint, each["response"]["body"])
        assert labels_of(f"t{each['custom_id'][1:]}") == json.loads(text)
    checked("batches", "to service", 2)
    checked("batch rows", "to client", COUNT)
    checked("files", "to service", 2)
    checked("files", "to client", 3)


def test_sync_client_cancels() -> None:
    """A batch under way goes to cancelling."""
    with (
        start_in_thread(service()) as base_url,
        OpenAI(base_url=base_url, api_key="k", max_retries=0) as sdk,
    ):
        made = sdk.files.create(file=input_file("/v1/responses"), purpose="batch")
        batch = sdk.batches.create(
            input_file_id=made.id, endpoint="/v1/responses", completion_window="24h"
        )
        wished = sdk.batches.cancel(batch.id)
        assert made.to_dict() == sdk.files.retrieve(made.id).to_dict()
    assert ("validating", "cancelling") == (batch.status, wished.status)
    checked("batches", "to service", 2)
    checked("batches", "to client", 2)
    checked("files", "to service")
    checked("files", "to client", 2)


@pytest.mark.asyncio
async def test_failed_and_expired_batches_have_the_type() -> None:
    """Bad input is told by line; a slow batch delivers what it has."""
    async with (
        LocalService(quick(rows_per_s=1e-4)) as local,
        AsyncOpenAI(base_url=local.base_url, api_key="k", max_retries=0) as sdk,
    ):
        states = []
        for content in (b"{\n", input_file("/v1/responses")):
            made = await sdk.files.create(file=("rows.jsonl", content), purpose="batch")
            batch = await sdk.batches.create(
                input_file_id=made.id, endpoint="/v1/responses", completion_window="24h"
            )
            states.append(await ended(sdk, batch))
        with pytest.raises(openai.BadRequestError, match="Supported values are"):
            await sdk.batches.create(
                input_file_id=made.id,
                endpoint="/v1/decisions",  # type: ignore[arg-type]
                completion_window="24h",
            )
    failed, expired = states
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert ("failed", 1) == (failed.status, failed.errors.data[0].line)
    counts = expired.request_counts
    assert counts is not None
    assert ("expired", 8, 12) == (expired.status, counts.completed, counts.failed)
    checked("batches", "to service", 2)
    checked("files", "to service", 2)
    checked("files", "to client", 2)
