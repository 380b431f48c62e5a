"""Each open question about Realtime tells of the service what the service does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.check.ask_realtime import OLDER_MODEL, ROUNDS, STEPS
from analysis.endpoint import Endpoint
from analysis.settings import DEFAULT_MODELS
from analysis.simulator.profile import PROFILE
from tests.check.asking import answers_to, facts_of
from tests.check.endpoints import service_at

DIALECTS = pytest.mark.parametrize("dialect", ["ga", "beta"])


def at(endpoint: Endpoint, path: str) -> Endpoint:
    """Return the endpoint at another path of its host."""
    return replace(endpoint, base_url=endpoint.base_url.removesuffix("/v1") + path)


@DIALECTS
def test_the_number_of_parallel_responses_is_found(dialect: str) -> None:
    """Six run, the seventh of eight is refused; the refusal is quoted and nothing more is sent."""
    profile = replace(PROFILE, parallel_responses=6, parallel_refusal_code="too_many")
    with service_at(profile=profile, latency_ms=50.0, dialect=dialect) as endpoint:
        facts = facts_of(endpoint, "12.1")
    counts = [
        [step[name] for name in ("sent", "running_at_most", "completed", "refused")]
        for step in facts["steps"]
    ]
    assert [[4, 4, 4, 0], [8, 6, 6, 2]] == counts
    assert ("error", "too_many", dialect) == (
        facts["refusal"]["by"],
        facts["refusal"]["code"],
        facts["dialect"],
    )
    assert facts["refusal"]["message"]


def test_without_a_bound_all_run_at_once() -> None:
    """Each step runs whole, and no refusal is claimed."""
    with service_at(latency_ms=100.0) as endpoint:
        (answer,) = answers_to(endpoint, "12.1")
    assert list(STEPS) == [step["running_at_most"] for step in _steps(answer.facts)]
    assert answer.facts["refusal"] is None
    assert "none was refused" in answer.message
    assert [sum(STEPS)] * 2 == [answer.spent.requests, answer.spent.reported]


def _steps(facts: Any) -> list[dict[str, Any]]:
    steps = facts["steps"]
    assert isinstance(steps, list)
    return steps


def test_a_refusal_inside_of_the_last_event_is_one() -> None:
    """Rate limits come in `response.done`; the first step has some, and none is sent after it."""
    with service_at(rpm=2) as endpoint:
        facts = facts_of(endpoint, "12.1")
    assert "response.done" == facts["refusal"]["by"]
    assert "rate_limit_exceeded" == facts["refusal"]["code"]
    assert [4] == [step["sent"] for step in facts["steps"]]


@DIALECTS
def test_the_refused_temperature_is_quoted(dialect: str) -> None:
    """Beta has a lowest one, GA has none at all."""
    with service_at(dialect=dialect) as endpoint:
        facts = facts_of(endpoint, "12.4a")
    codes = {"ga": "unknown_parameter", "beta": "decimal_below_min_value"}
    assert [dialect, codes[dialect], "session.temperature"] == [
        facts[name] for name in ("dialect", "code", "param")
    ]


def test_the_idle_cancel_is_quoted() -> None:
    """The code is the one of the notes, and the words stand beside it."""
    with service_at() as endpoint:
        facts = facts_of(endpoint, "12.4b")
    assert ("refused", "response_cancel_not_active") == (facts["outcome"], facts["code"])
    assert facts["message"]


def test_caps_are_tried_on_both_models() -> None:
    """What is taken is told from what is refused, with the refusal."""
    with service_at() as endpoint:
        facts = facts_of(endpoint, "12.5")
    assert ["gpt-realtime-2.1", DEFAULT_MODELS["realtime"]] == list(facts)
    for outcomes in facts.values():
        assert "accepted" == outcomes["4096"]
        assert "session.max_output_tokens" == outcomes["4097"]["param"]


def test_the_dated_form_is_asked_of_azure_only() -> None:
    """Elsewhere there is no such address."""
    with service_at() as endpoint:
        (elsewhere,) = answers_to(endpoint, "12.6")
        facts = facts_of(at(endpoint, "/openai/v1"), "12.6")
    assert ("not asked", "the endpoint is no Azure resource") == (
        elsewhere.outcome,
        elsewhere.message,
    )
    assert ("answered", "session.created") == (facts["outcome"], facts["first_event"])


def test_a_dated_form_that_is_gone_is_an_answer() -> None:
    """The words of the refusal are facts, and nothing failed."""
    with service_at(endpoints=("responses", "models")) as endpoint:
        facts = facts_of(at(endpoint, "/openai/v1"), "12.6")
    assert "refused" == facts["outcome"]
    assert facts["words"]


def test_two_models_are_measured_by_turns() -> None:
    """The first answer of each is not counted; the newer one is asked at effort minimal."""
    newer = DEFAULT_MODELS["realtime"]
    with service_at() as endpoint:
        (answer,) = answers_to(endpoint, "12.7")
    facts: dict[str, Any] = dict(answer.facts)
    assert [newer, OLDER_MODEL] == list(facts)
    assert [ROUNDS, ROUNDS] == [len(facts[model]["ms"]) for model in facts]
    assert {"effort": "minimal"} == facts[newer]["reasoning"]
    assert 2 * (ROUNDS + 1) == answer.spent.requests


@pytest.mark.parametrize(
    ("dialect", "model", "words"),
    [
        ("beta", DEFAULT_MODELS["realtime"], "beta dialect"),
        ("ga", OLDER_MODEL, "is the older one"),
    ],
)
def test_effort_is_no_question_everywhere(dialect: str, model: str, words: str) -> None:
    """The beta dialect has none, and a model cannot be compared with itself."""
    with service_at(dialect=dialect) as endpoint:
        (answer,) = answers_to(endpoint, "12.7", models=DEFAULT_MODELS | {"realtime": model})
    assert "not asked" == answer.outcome
    assert words in answer.message
    assert 0 == answer.spent.requests
