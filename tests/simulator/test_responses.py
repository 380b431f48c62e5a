"""Behaviour of the Responses route."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseOutputMessage

from tests.simulator.examples import (
    SCHEMA,
    body,
    error_of,
    labels_of,
    pack,
    post,
    service,
)


def test_answer_is_a_whole_response_object() -> None:
    """The SDK's own type accepts it; model, labels, usage and metadata are there."""
    outcome = post(service(epoch_s=1_790_000_000.0), body(service_tier="fast"), now=5.0)
    response = Response.model_validate(json.loads(outcome.body))
    assert (200, "completed", "digest-labels", "priority", {"rid": "17"}) == (
        outcome.status,
        response.status,
        response.model,
        response.service_tier,
        response.metadata,
    )
    assert 1_790_000_005 == response.created_at
    assert labels_of("one", "two") == json.loads(response.output_text)
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + 17


def test_last_user_message_is_the_content() -> None:
    """Lists of messages and of parts are read; the last user message is the question."""
    parts = [{"type": "input_text", "text": pack("one")}]
    messages = [
        {"role": "developer", "content": "x"},
        {"role": "user", "content": "y"},
        {"type": "message", "role": "user", "content": parts},
        {"role": "assistant", "content": "z"},
    ]
    response = Response.model_validate(json.loads(post(service(), body(input=messages)).body))
    assert labels_of("one") == json.loads(response.output_text)


def test_cut_answer_is_incomplete() -> None:
    """The cap of 16 tokens leaves 64 bytes and the status says why."""
    outcome = post(service(), body(input=pack(*"abcdef"), max_output_tokens=16))
    response = Response.model_validate(json.loads(outcome.body))
    assert ("incomplete", 64) == (response.status, len(response.output_text))
    assert response.incomplete_details is not None
    assert "max_output_tokens" == response.incomplete_details.reason


def form(**changes: Any) -> dict[str, Any]:
    """Return a `text` field with changes to its format."""
    base = {"type": "json_schema", "name": "x", "strict": True, "schema": SCHEMA}
    return {"format": {k: v for k, v in (base | changes).items() if v is not ...}}


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({"bogus": 1}, 400, "unknown_parameter", "bogus"),
        ({"model": ...}, 400, "missing_required_parameter", "model"),
        ({"model": "gpt-4"}, 404, "model_not_found", "model"),
        ({"model": "gpt-realtime"}, 404, "model_not_found", "model"),
        ({"input": ...}, 400, "missing_required_parameter", "input"),
        ({"input": 5}, 400, "invalid_type", "input"),
        ({"input": [{"role": "tool", "content": ""}]}, 400, "invalid_value", "input[0].role"),
        ({"input": [{"type": "reasoning"}]}, 400, "invalid_value", "input[0].type"),
        ({"input": [{"role": "system", "content": ""}]}, 400, "invalid_value", "input"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            400,
            "invalid_value",
            "input[0].content[0].type",
        ),
        ({"stream": 1}, 400, "invalid_type", "stream"),
        ({"stream_options": {}}, 400, None, "stream_options"),
        ({"conversation": "conv_1"}, 400, "unsupported_value", "conversation"),
        ({"previous_response_id": {}, "input": "x"}, 400, "invalid_type", "previous_response_id"),
        ({"prompt_cache_options": {"mode": 5}}, 400, "invalid_value", "prompt_cache_options.mode"),
        ({"background": True}, 400, "unsupported_value", "background"),
        ({"instructions": 5}, 400, "invalid_type", "instructions"),
        (
            {"previous_response_id": "resp_1"},
            400,
            "previous_response_not_found",
            "previous_response_id",
        ),
        ({"max_output_tokens": 15}, 400, "integer_below_min_value", "max_output_tokens"),
        ({"max_output_tokens": True}, 400, "invalid_type", "max_output_tokens"),
        ({"service_tier": ["auto"]}, 400, "invalid_type", "service_tier"),
        ({"service_tier": "gold"}, 400, "invalid_value", "service_tier"),
        ({"metadata": {"k": "v" * 513}}, 400, "string_above_max_length", "metadata.k"),
        ({"metadata": {"k": 5}}, 400, "invalid_type", "metadata.k"),
        (
            {"metadata": {str(n): "" for n in range(17)}},
            400,
            "object_above_max_properties",
            "metadata",
        ),
        ({"reasoning": ..., "temperature": 0}, 400, "unsupported_parameter", "temperature"),
        ({"reasoning": {"effort": "low"}, "top_p": 1}, 400, "unsupported_parameter", "top_p"),
        ({"temperature": -0.1}, 400, "decimal_below_min_value", "temperature"),
        ({"temperature": 2.1}, 400, "decimal_above_max_value", "temperature"),
        ({"temperature": "0"}, 400, "invalid_type", "temperature"),
        ({"reasoning": {"effort": "huge"}}, 400, "invalid_value", "reasoning.effort"),
        ({"reasoning": {"depth": 1}}, 400, "unknown_parameter", "reasoning.depth"),
        ({"model": "gpt-6-astra"}, 400, "unsupported_value", "reasoning.effort"),
        ({"model": "gpt-4o-mini"}, 400, "unsupported_parameter", "reasoning.effort"),
        ({"text": {"form": 1}}, 400, "unknown_parameter", "text.form"),
        ({"text": form(type=[])}, 400, "invalid_type", "text.format.type"),
        ({"text": form(type="xml")}, 400, "invalid_value", "text.format.type"),
        ({"text": form(extra=1)}, 400, "unknown_parameter", "text.format.extra"),
        ({"text": form(strict="yes")}, 400, "invalid_type", "text.format.strict"),
        ({"text": form(description=1)}, 400, "invalid_type", "text.format.description"),
        ({"text": form(name=...)}, 400, "missing_required_parameter", "text.format.name"),
        ({"text": form(name="a b")}, 400, "invalid_value", "text.format.name"),
        (
            {"text": form(schema=SCHEMA | {"required": []})},
            400,
            "invalid_json_schema",
            "text.format.schema",
        ),
    ],
)
def test_wrong_bodies_are_refused(
    changes: dict[str, Any], status: int, code: str | None, param: str
) -> None:
    """Each wrong field gets the status, code and param of the protocol."""
    assert (status, code, param) == error_of(post(service(), body(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0},
        {"model": "gpt-4o-mini", "reasoning": ..., "temperature": 1},
        {"model": "digest-labels", "reasoning": ..., "temperature": 1},
        {"text": form(strict=False, schema=SCHEMA | {"required": []})},
        {"text": ...},
        {"store": False, "prompt_cache_options": {"mode": "explicit"}},
    ],
)
def test_good_bodies_are_answered(changes: dict[str, Any]) -> None:
    """Sampling without reasoning, loose schemas that are not strict, and no schema at all pass."""
    assert 200 == post(service(), body(**changes)).status


def test_stored_answer_can_be_continued() -> None:
    """Its conversation counts as input; an answer that must not be stored is not found."""
    account = service()
    first = Response.model_validate(json.loads(post(account).body))
    follower = body(previous_response_id=first.id, store=False)
    second = Response.model_validate(json.loads(post(account, follower).body))
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.total_tokens
    lost = body(previous_response_id=second.id)
    assert (400, "previous_response_not_found", "previous_response_id") == error_of(
        post(account, lost)
    )


def test_reasoning_comes_before_the_message() -> None:
    """With an effort the first item is no message; the SDK finds the text all the same."""
    outcome = post(service(), body(reasoning={"effort": "low"}))
    response = Response.model_validate(json.loads(outcome.body))
    assert ["reasoning", "message"] == [item.type for item in response.output]
    assert labels_of("one", "two") == json.loads(response.output_text)


def test_declined_answer_has_a_refusal_part() -> None:
    """It has no text."""
    outcome = post(service(faults={"refusal": 1.0}))
    response = Response.model_validate(json.loads(outcome.body))
    (message,) = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert ("refusal", "") == (message.content[0].type, response.output_text)


def test_cached_and_written_tokens_are_reported() -> None:
    """The second request reads what the first one wrote up to its breakpoint."""
    point = {"type": "input_text", "text": "x" * 8_000, "prompt_cache_breakpoint": {}}
    messages = [{"role": "developer", "content": [point]}, {"role": "user", "content": pack("a")}]
    asked = body(input=messages, prompt_cache_options={"mode": "explicit"}, text=...)
    account = service()
    details = []
    for now in (0.0, 1.0):
        usage = Response.model_validate(json.loads(post(account, asked, now=now).body)).usage
        assert usage is not None
        details.append(usage.input_tokens_details)
    assert [(0, 2_000), (2_000, 0)] == [(d.cached_tokens, d.cache_write_tokens) for d in details]


def test_server_without_json_schema_refuses_it() -> None:
    """A 400 that names the parameter; answers without a schema are given."""
    account = service(has_json_schema=False)
    assert (400, None, "text.format") == error_of(post(account))
    assert 200 == post(account, body(text={"format": {"type": "json_object"}})).status
