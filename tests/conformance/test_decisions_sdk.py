"""The Decisions API as the vendor's SDK sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Decision

from analysis.simulator.profile import PROFILE
from analysis.simulator.server import LocalService, start_in_thread
from tests.conformance.counted import checked
from tests.simulator.examples import KEYS, pack, service

ROUTE = "decisions"
TEXTS = tuple(f"text {index}" for index in range(30))
TRUTH = [keys[0] for keys in service().answerer.label(TEXTS, None)]


def asked(count: int = len(TEXTS), **changes: Any) -> dict[str, Any]:
    """Return the arguments of a call with a question per text."""
    choices = [{"value": key} for key in KEYS]
    return {
        "model": "gpt-6-luna",
        "input": [
            {"role": "developer", "content": "Labels: a = first; b = second."},
            {"role": "user", "content": pack(*TEXTS[:count])},
        ],
        "questions": [
            {
                "type": "choice",
                "name": f"i{index}",
                "instructions": f"Main label of chunk i{index}.",
                "choices": choices,
            }
            for index in range(count)
        ],
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        **changes,
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
async def test_answers_have_their_types(share: float) -> None:
    """Body and answers pass the SDK's strict types; what is not refused has the right label."""
    rules = replace(PROFILE.decisions, refused_share=share)
    account = service(profile=replace(PROFILE, decisions=rules))
    async with (
        LocalService(account) as local,
        AsyncOpenAI(base_url=local.base_url, api_key="k", max_retries=0) as sdk,
    ):
        raw = await sdk.decisions.with_raw_response.create(**asked())
    decision = Decision.model_validate(json.loads(raw.content), strict=True)
    labels = [each.choice if each.type == "choice" else None for each in decision.answers]
    assert [label for label in labels if label] == [
        truth for truth, label in zip(TRUTH, labels, strict=True) if label
    ]
    assert raw.headers["x-request-id"] == raw.parse()._request_id
    assert 0 == decision.usage.output_tokens
    checked(ROUTE, "to service")
    checked(ROUTE, "to client")


def test_sync_client_gets_every_type_of_answer() -> None:
    """Predicates, scores and choices over strings and booleans come as objects of their own."""
    levels: list[Any] = [{"label": "low"}, {"label": "high", "description": "d"}]
    values: list[Any] = [{"value": True}, {"value": "true"}, {"value": "no"}]
    with (
        start_in_thread(service()) as base_url,
        OpenAI(base_url=base_url, api_key="k", max_retries=0) as sdk,
    ):
        decision = sdk.decisions.create(
            model="gpt-6-luna",
            input="Cycling.",
            questions=[
                {"type": "predicate", "instructions": "It is about sport."},
                {"type": "score", "instructions": "How strong?", "levels": levels, "name": "s"},
                {"type": "choice", "instructions": "Which?", "choices": values, "name": "c"},
            ],
            prompt_cache_key="key",
            safety_identifier="user",
        )
    predicate, score, choice = decision.answers
    assert ("predicate", None, "score", "s", "choice", "c") == (
        predicate.type,
        predicate.name,
        score.type,
        score.name,
        choice.type,
        choice.name,
    )
    assert choice.type == "choice"
    assert [True, "true", "no"] == [each.value for each in choice.probabilities]
    checked(ROUTE, "to service")
    checked(ROUTE, "to client")


@pytest.mark.asyncio
async def test_errors_have_their_classes() -> None:
    """400 and 429 become the SDK's own errors."""
    async with (
        LocalService(service(rpm=1)) as local,
        AsyncOpenAI(base_url=local.base_url, api_key="k", max_retries=0) as sdk,
    ):
        with pytest.raises(openai.BadRequestError, match="array too short"):
            await sdk.decisions.create(**asked(questions=[]))
        await sdk.decisions.create(**asked())
        with pytest.raises(openai.RateLimitError) as caught:
            await sdk.decisions.create(**asked())
    assert "retry-after-ms" in caught.value.response.headers
    checked(f"{ROUTE} errors", "to client", 2)
