"""Whole runs over the route `decisions`, against the simulated service.

Labels are digests of the texts, so a label that belongs to another chunk shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from analysis.records import Failed, FailureKind
from analysis.simulator.profile import ROUTES, DecisionRules, Profile
from analysis.telemetry import Event
from tests.observed_service import UNPACED, ObservedService, chunks_of, serving, wrong_labels
from tests.virtual_loop import virtual

CHUNKS = chunks_of(400)
packed = pytest.mark.parametrize("per_request", [1, 10, 20])


@asynccontextmanager
async def decisions(
    routes: str = "decisions",
    *,
    rules: DecisionRules | None = None,
    service: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Any, Any]]:
    """Run a service with these rules and an analyzer over these routes."""
    profile = replace(Profile(), decisions=rules or DecisionRules())
    served = ObservedService(profile=profile, latency_ms=50, **(service or {}))
    async with serving("hybrid", served, routes=routes, **options) as found:
        yield found


@packed
@virtual
async def test_every_chunk_gets_its_own_label_and_its_confidence(per_request: int) -> None:
    """One request for each pack, answered once and with nothing to pay for output."""
    async with decisions() as (analyzer, service):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=per_request)
        assert [] == wrong_labels(CHUNKS, verdicts)
        assert all(0.75 < verdict.confidence <= 1.0 for verdict in verdicts)
        assert any(verdict.confidence == 1.0 for verdict in verdicts)
        assert {("decisions", "gpt-6-luna")} == set(service.asked)
        assert 400 // per_request == len(service.asked)
        counters = analyzer.statistics()["routes"]["decisions"]
        assert 0 == counters["output_tokens"] < counters["input_tokens"]


@packed
@virtual
async def test_faults_lose_and_swap_nothing(per_request: int) -> None:
    """Dropped, hanging, late and refused requests: one right label for every chunk."""
    faults = {"drop": 0.02, "error_500": 0.05, "hang": 0.01, "delay": 0.05}
    settings = replace(UNPACED, attempts_per_route=20)
    async with decisions(
        service={"faults": faults}, timeout_s=3.0, settings=settings, max_concurrent=32
    ) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=per_request)
        assert [] == wrong_labels(CHUNKS, verdicts)
        assert 0 == analyzer.statistics()["in_flight"]


@packed
@virtual
async def test_answers_of_every_wrong_form_swap_nothing(per_request: int) -> None:
    """Cut lists, missing, further and doubled answers, values that were not offered, no JSON."""
    names = ("truncated", "missing_item", "extra_item", "doubled_item", "out_of_enum", "malformed")
    settings = replace(UNPACED, answer_attempts=6)
    async with decisions(service={"faults": dict.fromkeys(names, 0.03)}, settings=settings) as (
        analyzer,
        service,
    ):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=per_request)
    wrong = wrong_labels(CHUNKS, verdicts)
    failed = [verdict.chunk_id for verdict in verdicts if isinstance(verdict, Failed)]
    assert failed == wrong
    assert len(failed) < 40
    assert service.paid_chunks() > 400


@pytest.mark.parametrize(
    "rules",
    [
        DecisionRules(is_order_wrong=True),
        DecisionRules(has_extra_fields=True),
        DecisionRules(probability_sum=0.99),
        DecisionRules(questions=10),
        DecisionRules(certain_share=1.0),
    ],
)
@virtual
async def test_what_a_server_may_do_changes_no_label(rules: DecisionRules) -> None:
    """Another order, fields of a later version, rounding, fewer questions, certainty."""
    async with decisions(rules=rules) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=20)
    assert [] == wrong_labels(CHUNKS, verdicts)


@virtual
async def test_a_server_with_fewer_questions_gets_packs_of_that_size() -> None:
    """No request is wasted on finding out."""
    settings = replace(UNPACED, decision_questions=8)
    async with decisions(rules=DecisionRules(questions=8), settings=settings) as (
        analyzer,
        service,
    ):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=20)
        assert [] == wrong_labels(CHUNKS, verdicts)
        assert {8: 40, 4: 20} == Counter(payment["chunks"] for payment in service.payments)
        assert 0 == analyzer.statistics()["retries"]


@virtual
async def test_refused_chunks_go_to_the_next_route_and_are_asked_once() -> None:
    """The refusal is pinned to the text, so asking again would be paid for nothing."""
    async with decisions("decisions,rest", rules=DecisionRules(refused_share=0.1)) as (
        analyzer,
        service,
    ):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=10)
        assert [] == wrong_labels(CHUNKS, verdicts)
        routes = Counter(verdict.route for verdict in verdicts)
        assert 0 < routes["rest"] < 80
        assert 400 + routes["rest"] == service.paid_chunks()
        assert {None} == {verdict.confidence for verdict in verdicts if verdict.route == "rest"}


@virtual
async def test_refused_chunks_fail_where_there_is_no_other_route() -> None:
    """Each after one request; the others are labelled."""
    async with decisions(rules=DecisionRules(refused_share=0.1)) as (analyzer, service):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=10)
        failed = [verdict for verdict in verdicts if isinstance(verdict, Failed)]
        assert failed
        assert {(FailureKind.REFUSED, 1)} == {(one.error.kind, one.attempts) for one in failed}
        assert [one.chunk_id for one in failed] == wrong_labels(CHUNKS, verdicts)
        assert 400 == service.paid_chunks()


@pytest.mark.parametrize(
    "rules",
    [
        DecisionRules(has_missing_answer=True),
        DecisionRules(has_extra_answer=True),
        DecisionRules(probability_sum=0.9),
        DecisionRules(is_all_refused=True),
    ],
)
@virtual
async def test_answers_that_cannot_be_used_leave_the_chunks_to_the_next_route(
    rules: DecisionRules,
) -> None:
    """Not one label is taken from them."""
    chunks = CHUNKS[:30]
    async with decisions("decisions,rest", rules=rules) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=10)
    assert [] == wrong_labels(chunks, verdicts)
    assert {"rest"} == {verdict.route for verdict in verdicts}


@virtual
async def test_an_answer_of_an_unknown_type_costs_its_chunk_alone() -> None:
    """The other chunks of the request keep their answers."""
    chunks = CHUNKS[:10]
    rules = DecisionRules(has_unknown_type=True)
    async with decisions("decisions,rest", rules=rules) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=10)
    assert [] == wrong_labels(chunks, verdicts)
    assert "decisions" in {verdict.route for verdict in verdicts}


@virtual
async def test_a_server_without_the_route_leaves_all_to_the_next_one() -> None:
    """Said once; the size of the job does not turn the order round."""
    told: list[Event] = []
    endpoints = frozenset(ROUTES) - {"decisions"}
    async with decisions(
        "decisions,rest", service={"endpoints": endpoints}, on_event=told.append
    ) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=10)
    assert [] == wrong_labels(CHUNKS, verdicts)
    assert {"rest"} == {verdict.route for verdict in verdicts}
    (closed,) = [event.message for event in told if event.name == "route_closed"]
    assert "has no /decisions" in closed
