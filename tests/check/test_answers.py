"""One chunk over a route: label, usage, and the limits that the service states."""

from __future__ import annotations

import asyncio

import pytest

from analysis.check import PROBE_TEXT, limits, round_trip
from analysis.endpoint import Endpoint
from analysis.settings import DEFAULT_MODELS
from tests.check.endpoints import DIGEST, NOBODY, service_at

(LABEL,) = DIGEST.label([PROBE_TEXT], None)[0]
ROUTES = pytest.mark.parametrize("route", ["realtime", "responses-ws", "rest", "decisions"])


@ROUTES
@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_a_round_trip_brings_label_model_and_usage(route: str, dialect: str) -> None:
    """The label is that of the text, the model the one that the service reports."""
    with service_at(dialect=dialect) as endpoint:
        finding = asyncio.run(round_trip(endpoint, route))
    assert (f"round trip {route}", True) == (finding.name, finding.ok)
    assert [LABEL, "digest-labels"] == [finding.facts["label"], finding.facts["model"]]
    usage = finding.facts["usage"]
    assert isinstance(usage, dict)
    assert usage["input_tokens"] > 0
    assert (usage["output_tokens"] > 0) is (route != "decisions")
    assert finding.message.endswith("(simulated)")


def test_the_offline_route_needs_no_endpoint() -> None:
    """Labels from rules, and the model says so."""
    finding = asyncio.run(round_trip(Endpoint.none(), "offline"))
    assert (True, "offline-rules") == (finding.ok, finding.facts["model"])


@ROUTES
def test_a_failing_service_is_asked_once(route: str) -> None:
    """The first failure is the finding; nothing is tried again behind its back."""
    with service_at(faults={"error_500": 1.0}) as endpoint:
        finding = asyncio.run(round_trip(endpoint, route))
    assert (False, 1) == (finding.ok, finding.facts["attempts"])
    assert finding.cure


@ROUTES
def test_a_refused_key_ends_the_round_trip(route: str) -> None:
    """The cure names the variable."""
    with service_at(api_key="another") as endpoint:
        finding = asyncio.run(round_trip(endpoint, route))
    assert not finding.ok
    assert "OPENAI_API_KEY" in finding.cure


@pytest.mark.parametrize("route", ["realtime", "rest", "decisions"])
def test_an_answer_that_never_comes_is_a_time_out(route: str) -> None:
    """Both probes end after the time given to them."""
    with service_at(faults={"hang": 1.0}) as endpoint:
        trip = asyncio.run(round_trip(endpoint, route, timeout_s=0.2))
        said = asyncio.run(limits(endpoint, route, timeout_s=0.2))
    assert ["timeout", "DeadlinePassed"] == [trip.facts["error"], said.facts["error"]]


@pytest.mark.parametrize(
    ("route", "dialect", "names"),
    [
        ("rest", "ga", ["requests", "tokens"]),
        ("decisions", "ga", ["requests", "tokens"]),
        ("realtime", "ga", ["tokens"]),
        ("realtime", "beta", ["requests", "tokens"]),
    ],
)
def test_stated_limits_are_heard(route: str, dialect: str, names: list[str]) -> None:
    """In headers, or in an event after the answer; GA states tokens only."""
    with service_at(dialect=dialect, rpm=500, tpm=200_000) as endpoint:
        finding = asyncio.run(limits(endpoint, route))
    said = finding.facts["limits"]
    assert isinstance(said, list)
    per_minute = {"requests": 500, "tokens": 200_000}
    assert [(name, per_minute[name]) for name in names] == [
        (one["name"], one["limit"]) for one in said
    ]
    assert "200,000 tokens per minute" in finding.message


def test_a_route_without_statements_is_asked_nothing() -> None:
    """No chunk is sent to hear what never comes."""
    payments: list[object] = []
    with service_at(payment=payments.append) as endpoint:
        finding = asyncio.run(limits(endpoint, "responses-ws"))
    assert (True, [], []) == (finding.ok, finding.facts["limits"], payments)


def test_no_statement_is_no_failure() -> None:
    """What is assumed then is named; the offline route never states any."""
    finding = asyncio.run(limits(Endpoint.none(), "offline", asked=DEFAULT_MODELS, wait_s=0.0))
    assert (True, []) == (finding.ok, finding.facts["limits"])
    assert "5,000 requests and 2,000,000 tokens per minute are assumed" in finding.message


@pytest.mark.parametrize("route", ["realtime", "rest", "decisions"])
def test_limits_of_a_dead_endpoint_are_a_failure(route: str) -> None:
    """No answer is told from an answer without limits."""
    finding = asyncio.run(limits(NOBODY, route))
    assert not finding.ok
    assert "proxy" in finding.cure
