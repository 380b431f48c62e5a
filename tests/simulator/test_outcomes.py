"""Behaviour of HTTP outcomes, the same on the Responses and the chat route."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from analysis.simulator.outcomes import Delivery, HttpOutcome
from analysis.simulator.profile import PROFILE
from analysis.simulator.routes import respond
from tests.simulator.examples import HEADERS, body, error_of, post, post_chat, service

ROUTES = pytest.mark.parametrize("ask", [post, post_chat])
PATHS = pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
Ask = Callable[..., HttpOutcome]


@PATHS
def test_body_that_is_no_json_is_refused(path: str) -> None:
    """A broken body is a 400 without code."""
    outcome = respond(service(), method="POST", path=path, headers=HEADERS, body=b"{", now=0.0)
    assert (400, None, None) == error_of(outcome)


@PATHS
def test_keys_are_checked(path: str) -> None:
    """A wrong key and a missing one are 401."""
    account = service(api_key="other")
    outcomes = [
        respond(account, method="POST", path=path, headers=headers, body=b"", now=0.0)
        for headers in (HEADERS, {})
    ]
    assert [(401, "invalid_api_key", None), (401, None, None)] == [
        error_of(outcome) for outcome in outcomes
    ]


@ROUTES
def test_rate_limit_answers_429_with_hints(ask: Ask) -> None:
    """Body, `retry-after` and `retry-after-ms` say when to come back, and then it passes."""
    account = service(rpm=60)
    for _ in range(60):
        assert 200 == ask(account).status
    outcome = ask(account)
    assert (429, "rate_limit_exceeded", None) == error_of(outcome)
    assert ("1", "1000") == (outcome.headers["retry-after"], outcome.headers["retry-after-ms"])
    assert "0" == outcome.headers["x-ratelimit-remaining-requests"]
    assert 200 == ask(account, now=1.0).status


@ROUTES
def test_request_above_the_minute_has_no_retry_header(ask: Ask) -> None:
    """What cannot pass at all is a 429 without a hint."""
    outcome = ask(service(tpm=50))
    assert "Request too large" in json.loads(outcome.body)["error"]["message"]
    assert 429 == outcome.status
    assert "retry-after" not in outcome.headers


def test_limit_headers_report_the_buckets() -> None:
    """Limit, rest and time to refill, the latter as a Go duration."""
    account = service(rpm=60, tpm=60_000, latency_ms=100)
    headers = post(account, body(max_output_tokens=1_000)).headers
    assert ("60", "59", "1s") == tuple(
        headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining", "reset")
    )
    assert "60000" == headers["x-ratelimit-limit-tokens"]
    assert int(headers["x-ratelimit-remaining-tokens"]) < 59_000
    assert headers["x-ratelimit-reset-tokens"].startswith("1.")


@ROUTES
def test_answer_leaves_after_the_latency(ask: Ask) -> None:
    """The outcome says when it is due."""
    outcome = ask(service(latency_ms=100), now=7.0)
    assert 7.0 < outcome.at < 8.0
    assert str(round((outcome.at - 7.0) * 1_000)) == outcome.headers["openai-processing-ms"]


@ROUTES
def test_generation_adds_to_the_latency(ask: Ask) -> None:
    """Every token of the answer adds its time; the whole answer leaves at the end."""
    account = service(latency_ms=100, ms_per_token=2, profile=replace(PROFILE, latency_sigma=0.0))
    outcome = ask(account, now=7.0)
    assert outcome.receipt is not None
    assert pytest.approx(7.1 + 0.002 * outcome.receipt.output_tokens) == outcome.at


@ROUTES
@pytest.mark.parametrize(
    ("fault", "delivery", "status", "paid"),
    [
        ("drop", Delivery.DROP, 200, [False]),
        ("hang", Delivery.HANG, 200, [False]),
        ("error_500", Delivery.SEND, 500, []),
    ],
)
def test_faults_end_the_request(
    ask: Ask, fault: str, delivery: Delivery, status: int, paid: list[bool]
) -> None:
    """A dropped and a hanging request are paid as lost, a failed one is free."""
    records: list[dict[str, Any]] = []
    outcome = ask(service(faults={fault: 1.0}, payment=records.append))
    assert (delivery, status, None) == (outcome.delivery, outcome.status, outcome.receipt)
    assert paid == [record["delivered"] for record in records]


@ROUTES
def test_same_seed_same_run(ask: Ask) -> None:
    """Two services with one seed give byte-identical outcomes to the same requests."""
    faults = {"drop": 0.2, "error_500": 0.2, "hang": 0.1, "delay": 0.2, "shuffle": 0.2}
    first, second = (service(seed=3, latency_ms=50, faults=faults) for _ in range(2))
    assert [ask(first, now=n) for n in range(50)] == [ask(second, now=n) for n in range(50)]
