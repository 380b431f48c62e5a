"""Each open question about the Responses API tells of the service what the service does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.check.wires import Patience
from analysis.settings import DEFAULT_MODELS
from analysis.simulator.profile import PROFILE, Profile
from tests.check.asking import SHORT, answers_to, facts_of
from tests.check.endpoints import service_at


def rules(**options: Any) -> Profile:
    """Return a profile whose Responses API has other rules."""
    return replace(PROFILE, responses=replace(PROFILE.responses, **options))


@pytest.mark.parametrize("is_told", [True, False])
def test_the_frames_of_a_warm_up_are_listed(is_told: bool) -> None:
    """As they came, with usage, and whether a request can go on from it."""
    with service_at(profile=rules(is_warmup_progress_told=is_told)) as endpoint:
        facts = facts_of(endpoint, "12.2a")
    between = ["response.in_progress"] if is_told else []
    assert ["response.created", *between, "response.completed"] == facts["events"]
    assert (0, "completed") == (facts["output_items"], facts["status"])
    assert facts["usage"]["input_tokens"] > 0
    assert "response.completed" == facts["follow_up"]


def test_a_refused_warm_up_is_an_answer() -> None:
    """A model that is not there is refused with an error frame."""
    with service_at() as endpoint:
        models = DEFAULT_MODELS | {"responses-ws": "gpt-7-nova"}
        facts = facts_of(endpoint, "12.2a", models=models)
    assert "model_not_found" == facts["refusal"]["code"]


@pytest.mark.parametrize("is_headed", [True, False])
def test_the_headers_of_an_error_frame_are_told(is_headed: bool) -> None:
    """There are some or none; the frame costs nothing."""
    with service_at(profile=rules(is_error_headed=is_headed)) as endpoint:
        (answer,) = answers_to(endpoint, "12.2c")
    headers = answer.facts["headers"]
    assert isinstance(headers, dict)
    assert is_headed is ("x-ratelimit-limit-requests" in headers)
    assert (0, "model_not_found") == (answer.spent.requests, answer.facts["code"])


def test_pings_of_the_server_are_counted() -> None:
    """Three are enough to know the interval."""
    with service_at(profile=rules(ping_interval_s=0.02)) as endpoint:
        facts = facts_of(endpoint, "12.2d", patience=replace(SHORT, ping_s=2.0))
    assert facts["pings"] >= 3
    assert facts["pings"] == len(facts["gaps_s"]) + 1


def test_a_server_that_does_not_ping_is_left_alone_in_time() -> None:
    """No interval is claimed."""
    with service_at() as endpoint:
        facts = facts_of(endpoint, "12.2d", patience=replace(SHORT, ping_s=0.1))
    assert (0, [], "") == (facts["pings"], facts["gaps_s"], facts["ended"])


def test_a_socket_that_ends_while_pings_are_awaited_is_told_of() -> None:
    """A gateway may close what is idle."""
    with service_at(profile=rules(connection_max_age_s=0.05)) as endpoint:
        facts = facts_of(endpoint, "12.2d", patience=replace(SHORT, ping_s=2.0))
    assert "code 1000" in facts["ended"]


def test_the_end_of_an_old_socket_is_told() -> None:
    """The last event with its code, the close code and the reason."""
    with service_at(profile=rules(connection_max_age_s=0.05)) as endpoint:
        facts = facts_of(endpoint, "12.2b", is_long=True)
    assert [1000, "websocket_connection_limit_reached"] == [
        facts["code"],
        facts["events"][-1]["code"],
    ]


def test_a_socket_that_does_not_end_is_told_of() -> None:
    """After the longest wait it is closed by us, and no code is claimed."""
    with service_at() as endpoint:
        patience = Patience(reply_s=10.0, age_s=0.05)
        (answer,) = answers_to(endpoint, "12.2b", is_long=True, patience=patience)
    assert "still open" in answer.message
    assert answer.facts["code"] is None


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_limits_of_both_sides_are_told(dialect: str) -> None:
    """Headers of the text model, the event of the Realtime one."""
    with service_at(rpm=500, tpm=200_000, dialect=dialect) as endpoint:
        (answer,) = answers_to(endpoint, "12.3")
    facts: dict[str, Any] = dict(answer.facts)
    headers = facts[DEFAULT_MODELS["rest"]]["headers"]
    stated = facts[DEFAULT_MODELS["realtime"]]["rate_limits"]
    assert ["500", "200000"] == [
        headers[f"x-ratelimit-limit-{name}"] for name in ("requests", "tokens")
    ]
    assert {"name": "tokens", "limit": 200_000}.items() <= stated[-1].items()
    assert "200000" in answer.message


def test_a_refused_request_does_not_pass_for_limits() -> None:
    """The question failed, with the words of the service."""
    with service_at(faults={"error_500": 1.0}) as endpoint:
        (answer,) = answers_to(endpoint, "12.3")
    assert "failed" == answer.outcome
    assert "500" in answer.message
