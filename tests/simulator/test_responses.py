"""Behaviour of the HTTP side, on time that is handed in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Model
from openai.types.responses import Response

from analysis.simulator.responses import Delivery, respond
from tests.simulator.examples import (
    HEADERS,
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
        ({"stream": True}, 400, "unsupported_value", "stream"),
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
        ({"text": form(type="xml")}, 400, "invalid_value", "text.format.type"),
        ({"text": form(extra=1)}, 400, "unknown_parameter", "text.format.extra"),
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
    changes: dict[str, Any], status: int, code: str, param: str
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


def test_body_that_is_no_json_is_refused() -> None:
    """A broken body is a 400 without code."""
    outcome = respond(
        service(), method="POST", path="/v1/responses", headers=HEADERS, body=b"{", now=0.0
    )
    assert (400, None, None) == error_of(outcome)


def test_keys_are_checked() -> None:
    """A wrong key and a missing one are 401."""
    account = service(api_key="other")
    assert (401, "invalid_api_key", None) == error_of(post(account))
    outcome = respond(account, method="POST", path="/v1/responses", headers={}, body=b"", now=0.0)
    assert (401, None, None) == error_of(outcome)


def test_rate_limit_answers_429_with_hints() -> None:
    """Body, `retry-after` and `retry-after-ms` say when to come back, and then it passes."""
    account = service(rpm=60)
    for _ in range(60):
        assert 200 == post(account).status
    outcome = post(account)
    assert (429, "rate_limit_exceeded", None) == error_of(outcome)
    assert ("1", "1000") == (outcome.headers["retry-after"], outcome.headers["retry-after-ms"])
    assert "0" == outcome.headers["x-ratelimit-remaining-requests"]
    assert 200 == post(account, now=1.0).status


def test_request_above_the_minute_has_no_retry_header() -> None:
    """What cannot pass at all is a 429 without a hint."""
    outcome = post(service(tpm=50))
    assert "Request too large" in json.loads(outcome.body)["error"]["message"]
    assert 429 == outcome.status
    assert "retry-after" not in outcome.headers


def test_limit_headers_report_the_buckets() -> None:
    """Limit, rest and time to refill, the latter as a Go duration."""
    headers = post(
        service(rpm=60, tpm=60_000, latency_ms=100), body(max_output_tokens=1_000)
    ).headers
    assert ("60", "59", "1s") == tuple(
        headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining", "reset")
    )
    assert "60000" == headers["x-ratelimit-limit-tokens"]
    assert int(headers["x-ratelimit-remaining-tokens"]) < 59_000
    assert headers["x-ratelimit-reset-tokens"].startswith("1.")


def test_answer_leaves_after_the_latency() -> None:
    """The outcome says when it is due."""
    outcome = post(service(latency_ms=100), now=7.0)
    assert 7.0 < outcome.at < 8.0
    assert str(round((outcome.at - 7.0) * 1_000)) == outcome.headers["openai-processing-ms"]


@pytest.mark.parametrize(
    ("fault", "delivery", "status", "paid"),
    [
        ("drop", Delivery.DROP, 200, [False]),
        ("hang", Delivery.HANG, 200, [False]),
        ("error_500", Delivery.SEND, 500, []),
    ],
)
def test_faults_end_the_request(
    fault: str, delivery: Delivery, status: int, paid: list[bool]
) -> None:
    """A dropped and a hanging request are paid as lost, a failed one is free."""
    records: list[dict[str, Any]] = []
    outcome = post(service(faults={fault: 1.0}, payment=records.append))
    assert (delivery, status, None) == (outcome.delivery, outcome.status, outcome.receipt)
    assert paid == [record["delivered"] for record in records]


def test_same_seed_same_run() -> None:
    """Two services with one seed give byte-identical outcomes to the same requests."""
    faults = {"drop": 0.2, "error_500": 0.2, "hang": 0.1, "delay": 0.2, "shuffle": 0.2}
    first, second = (service(seed=3, latency_ms=50, faults=faults) for _ in range(2))
    assert [post(first, now=n) for n in range(50)] == [post(second, now=n) for n in range(50)]


def get(path: str) -> Any:
    """Send a GET request; return status and decoded body."""
    outcome = respond(service(), method="GET", path=path, headers=HEADERS, body=b"", now=0.0)
    return outcome.status, json.loads(outcome.body)


def test_models_are_listed() -> None:
    """The list and the single model have the SDK's shape; the answerer is one of them."""
    models = [Model.model_validate(model, strict=True) for model in get("/v1/models")[1]["data"]]
    assert {"gpt-6-luna", "gpt-realtime-2.1-mini", "digest-labels"} <= {m.id for m in models}
    assert (200, "2027-01-14") == (
        get("/v1/models/gpt-4o-mini")[0],
        get("/v1/models/gpt-4o-mini")[1]["shutdown_date"],
    )


@pytest.mark.parametrize("path", ["/v1/models/gpt-4", "/v1/chat/completions", "/"])
def test_unknown_addresses_are_not_found(path: str) -> None:
    """Retired models and routes that are not offered are 404."""
    assert 404 == get(path)[0]
