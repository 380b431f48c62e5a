"""Behaviour of the chat route."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from tests.simulator.examples import (
    SCHEMA,
    chat,
    error_of,
    labels_of,
    pack,
    post_chat,
    service,
)

USER = {"role": "user", "content": pack("one")}


def completion(content: bytes) -> ChatCompletion:
    """Return the answer after the SDK's strict type has taken it."""
    return ChatCompletion.model_validate(json.loads(content), strict=True)


def test_answer_is_a_whole_completion() -> None:
    """The SDK's own type accepts it; model, labels, tier, reason and usage are there."""
    account = service(epoch_s=1_790_000_000.0)
    outcome = post_chat(account, chat(service_tier="flex"), now=5.0)
    answer = completion(outcome.body)
    (choice,) = answer.choices
    assert (200, "digest-labels", "flex", "stop", "assistant", 1_790_000_005) == (
        outcome.status,
        answer.model,
        answer.service_tier,
        choice.finish_reason,
        choice.message.role,
        answer.created,
    )
    assert labels_of("one", "two") == json.loads(choice.message.content or "")
    assert outcome.receipt is not None
    assert json.loads(outcome.body)["usage"] == {
        "prompt_tokens": outcome.receipt.input_tokens,
        "completion_tokens": 17,
        "total_tokens": outcome.receipt.input_tokens + 17,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "audio_tokens": 0,
        },
    }


def test_input_is_counted_as_on_the_other_routes() -> None:
    """Four bytes of messages and schema are a token."""
    with_schema = post_chat(service(), chat(messages=[USER])).receipt
    without = post_chat(service(), chat(messages=[USER], response_format=...)).receipt
    assert with_schema is not None
    assert without is not None
    size_bytes = len(pack("one").encode())
    schema_bytes = len(json.dumps(SCHEMA, separators=(",", ":")).encode())
    assert (-(-size_bytes // 4), -(-(size_bytes + schema_bytes) // 4)) == (
        without.input_tokens,
        with_schema.input_tokens,
    )


def test_last_user_message_is_the_content() -> None:
    """Strings and lists of text parts are read, in all roles."""
    messages = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "y", "name": "n"},
        {"role": "user", "content": [{"type": "text", "text": pack("one")}]},
        {"role": "assistant", "content": "z"},
    ]
    answer = completion(post_chat(service(), chat(messages=messages)).body)
    assert labels_of("one") == json.loads(answer.choices[0].message.content or "")


@pytest.mark.parametrize("cap", ["max_completion_tokens", "max_tokens"])
def test_cut_answer_says_length(cap: str) -> None:
    """Three tokens leave twelve bytes."""
    request = chat(model="gpt-4o-mini", reasoning_effort=..., **{cap: 3})
    answer = completion(post_chat(service(), request).body)
    assert ("length", '{"answers":[') == (
        answer.choices[0].finish_reason,
        answer.choices[0].message.content,
    )


def form(**changes: Any) -> dict[str, Any]:
    """Return a response format with changes to its schema part."""
    base = {"name": "x", "strict": True, "schema": SCHEMA}
    fields = {name: value for name, value in (base | changes).items() if value is not ...}
    return {"type": "json_schema", "json_schema": fields}


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({"bogus": 1}, 400, "unknown_parameter", "bogus"),
        ({"input": "x"}, 400, "unknown_parameter", "input"),
        ({"model": ...}, 400, "missing_required_parameter", "model"),
        ({"model": "gpt-4"}, 404, "model_not_found", "model"),
        ({"messages": ...}, 400, "missing_required_parameter", "messages"),
        ({"messages": "x"}, 400, "invalid_type", "messages"),
        ({"messages": [{"role": "tool"}]}, 400, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user"}]}, 400, "invalid_type", "messages[0].content"),
        ({"messages": [USER | {"x": 1}]}, 400, "unknown_parameter", "messages[0].x"),
        ({"messages": [{"role": "system", "content": ""}]}, 400, "invalid_value", "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_text", "text": ""}]}]},
            400,
            "invalid_value",
            "messages[0].content[0].type",
        ),
        ({"stream": "yes"}, 400, "invalid_type", "stream"),
        ({"response_format": {"type": []}}, 400, "invalid_type", "response_format.type"),
        ({"tools": [{}]}, 400, "unsupported_value", "tools"),
        ({"n": 2}, 400, "unsupported_value", "n"),
        ({"user": 5}, 400, "invalid_type", "user"),
        ({"safety_identifier": 5}, 400, "invalid_type", "safety_identifier"),
        ({"store": "yes"}, 400, "invalid_type", "store"),
        ({"store": False}, 400, None, None),
        ({"store": ...}, 400, None, None),
        ({"metadata": {"k": 5}}, 400, "invalid_type", "metadata.k"),
        ({"service_tier": "gold"}, 400, "invalid_value", "service_tier"),
        ({"max_tokens": 64}, 400, "unsupported_parameter", "max_tokens"),
        ({"max_completion_tokens": 0}, 400, "integer_below_min_value", "max_completion_tokens"),
        ({"reasoning_effort": "huge"}, 400, "invalid_value", "reasoning_effort"),
        ({"reasoning_effort": ..., "temperature": 0}, 400, "unsupported_parameter", "temperature"),
        ({"temperature": -0.1}, 400, "decimal_below_min_value", "temperature"),
        ({"model": "gpt-6-astra"}, 400, "unsupported_value", "reasoning_effort"),
        ({"model": "gpt-4o-mini"}, 400, "unsupported_parameter", "reasoning_effort"),
        (
            {
                "model": "gpt-4o-mini",
                "reasoning_effort": ...,
                "max_tokens": 5,
                "max_completion_tokens": 5,
            },
            400,
            "invalid_parameter_combination",
            None,
        ),
        ({"response_format": {"type": "xml"}}, 400, "invalid_value", "response_format.type"),
        (
            {"response_format": {"type": "json_schema"}},
            400,
            "missing_required_parameter",
            "response_format.json_schema",
        ),
        (
            {"response_format": {"type": "json_schema", "name": "x"}},
            400,
            "unknown_parameter",
            "response_format.name",
        ),
        (
            {"response_format": form(name=...)},
            400,
            "missing_required_parameter",
            "response_format.json_schema.name",
        ),
        (
            {"response_format": form(schema=SCHEMA | {"required": []})},
            400,
            None,
            "response_format",
        ),
        (
            {"messages": [USER], "response_format": {"type": "json_object"}},
            400,
            None,
            "messages",
        ),
    ],
)
def test_wrong_bodies_are_refused(
    changes: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    """Each wrong field gets the status, code and param of the protocol."""
    assert (status, code, param) == error_of(post_chat(service(), chat(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0, "max_completion_tokens": 64},
        {"model": "gpt-4o-mini", "reasoning_effort": ..., "max_tokens": 64, "temperature": 1},
        {"model": "digest-labels", "reasoning_effort": ..., "max_tokens": 64, "temperature": 1},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "text"}},
        {"response_format": ..., "n": 1, "stream": False},
        {"response_format": form(strict=False, schema=SCHEMA | {"required": []})},
        {"metadata": ..., "store": False, "user": "u", "safety_identifier": "s"},
    ],
)
def test_good_bodies_are_answered(changes: dict[str, Any]) -> None:
    """The pack is answered in JSON, with and without a format."""
    answer = completion(post_chat(service(), chat(**changes)).body)
    assert labels_of("one", "two") == json.loads(answer.choices[0].message.content or "")


def test_old_name_of_the_cap_names_the_new_one() -> None:
    """The refusal says what to send."""
    outcome = post_chat(service(), chat(max_tokens=64))
    assert (
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead."
    ) == json.loads(outcome.body)["error"]["message"]


def test_server_without_json_schema_refuses_it() -> None:
    """A 400 that names the parameter; the loose formats are still taken."""
    account = service(has_json_schema=False)
    outcome = post_chat(account)
    assert (400, None, "response_format") == error_of(outcome)
    assert (
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
        "model."
    ) == json.loads(outcome.body)["error"]["message"]
    assert 200 == post_chat(account, chat(response_format={"type": "json_object"})).status


@pytest.mark.parametrize(
    ("changes", "headers", "expected"),
    [
        ({}, {"x-client-request-id": "18"}, "17"),
        ({"metadata": ..., "store": ...}, {"x-client-request-id": "18"}, "18"),
        ({"metadata": ..., "store": ...}, {}, None),
    ],
)
def test_payment_names_the_request(
    changes: dict[str, Any], headers: dict[str, Any], expected: str | None
) -> None:
    """Route `chat`; the id comes from metadata, else from the header."""
    records: list[dict[str, Any]] = []
    account = service(payment=records.append)
    outcome = post_chat(account, chat(**changes), **headers)
    assert outcome.receipt is not None
    account.pay(outcome.receipt, is_delivered=True, now=1.0)
    assert [("chat", expected, 2)] == [
        (record["route"], record["request"], record["chunks"]) for record in records
    ]
