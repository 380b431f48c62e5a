"""A run ends at the cap of its user, over real sockets: what is paid is kept, and no more is paid.

What was paid is read from the log of the service, at prices of the test's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import ConfigurationError
from analysis.prices import Price, price_table
from analysis.records import Chunk, Failed, FailureKind, Labeled, StopCause, Verdict
from tests.observed_service import ObservedService, chunks_of, serving
from tests.virtual_loop import virtual

USD_PER_TOKEN = 1e-3
PRICES = replace(price_table(), prices={"gpt-6-luna": Price(input=1e3, cached=1e3, output=1e3)})


async def slices_of(count: int) -> AsyncIterator[Sequence[Chunk]]:
    """Hand chunks out in slices of fifty."""
    chunks = [Chunk(id=name, text=text) for name, text in chunks_of(count)]
    for start in range(0, count, 50):
        yield chunks[start : start + 50]


async def run_of(analyzer: Any, count: int, **caps: Any) -> list[Verdict]:
    """Return the verdicts of a run, five chunks in a request."""
    found = analyzer.run(slices_of(count), topic="t", chunks_per_request=5, journal=None, **caps)
    return [verdict async for _, verdict in found]


def paid_usd(service: ObservedService) -> float:
    """Return what the service was paid, also for answers that never arrived."""
    tokens: int = sum(one["input_tokens"] + one["output_tokens"] for one in service.payments)
    return tokens * USD_PER_TOKEN


@virtual
async def test_a_budget_ends_a_run_and_loses_nothing() -> None:
    """Every chunk has a verdict: a label, or that it was stopped; at most the budget was paid."""
    async with serving("hybrid", routes="rest", prices=PRICES) as (analyzer, service):
        verdicts = await run_of(analyzer, 400, budget_usd=20.0)
        labeled = [one for one in verdicts if isinstance(one, Labeled)]
        failed = [one for one in verdicts if isinstance(one, Failed)]
        assert 400 == len(verdicts)
        assert len(labeled) == service.paid_chunks() > 50
        assert {FailureKind.STOPPED} == {one.error.kind for one in failed}
        assert {"the budget of 20 USD is used up"} == {one.error.message for one in failed}
        assert 15.0 < paid_usd(service) <= 20.0
        assert StopCause.BUDGET is analyzer.stop_cause
        assert pytest.approx(paid_usd(service)) == analyzer.statistics()["budget"]["spent_usd"]


@virtual
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("route", ["rest", "responses-ws"])
async def test_faults_do_not_break_a_budget(route: str, seed: int) -> None:
    """Paid answers that never arrive count with what was reserved for them."""
    faults = {"drop": 0.1, "hang": 0.02, "malformed": 0.1, "error_500": 0.1, "missing_item": 0.1}
    service = ObservedService(latency_ms=50, faults=faults, seed=seed)
    options = {"routes": route, "prices": PRICES, "timeout_s": 5.0}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await run_of(analyzer, 300, budget_usd=20.0)
        assert 300 == len(verdicts)
        assert StopCause.BUDGET is analyzer.stop_cause
        assert paid_usd(service) <= 20.0


@virtual
async def test_a_budget_is_that_of_a_run_and_not_of_the_analyzer() -> None:
    """The next run has none, or its own."""
    async with serving("hybrid", routes="rest", prices=PRICES) as (analyzer, service):
        await run_of(analyzer, 10, budget_usd=20.0)
        verdicts = await run_of(analyzer, 100)
        assert all(isinstance(one, Labeled) for one in verdicts)
        assert analyzer.statistics()["budget"] is None
        assert paid_usd(service) > 20.0


@virtual
async def test_after_its_seconds_a_run_sends_nothing_more() -> None:
    """Requests on their way end and count."""
    service = ObservedService(latency_ms=1_000)
    options = {"routes": "rest", "max_concurrent": 2}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await run_of(analyzer, 100, stop_after_s=2.5)
        labeled = [one for one in verdicts if isinstance(one, Labeled)]
        assert (100, service.paid_chunks()) == (len(verdicts), len(labeled))
        assert StopCause.TIME is analyzer.stop_cause
        assert 10 <= len(labeled) <= 60


@virtual
async def test_too_many_failed_rows_end_a_run() -> None:
    """A model that declines everything is not paid for the rest of the rows."""
    service = ObservedService(latency_ms=50, faults={"refusal": 1.0})
    options = {"routes": "rest", "max_concurrent": 2}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await run_of(analyzer, 300, max_failed=20)
        kinds = [one.error.kind for one in verdicts if isinstance(one, Failed)]
        assert 300 == len(kinds)
        assert 20 < len(kinds) - kinds.count(FailureKind.STOPPED) < 60
        assert StopCause.FAILURES is analyzer.stop_cause


@virtual
async def test_as_many_failed_rows_as_are_allowed_do_not_end_a_run() -> None:
    """Rows without text are no failures."""
    async with serving("hybrid", routes="rest") as (analyzer, _):
        chunks = [Chunk(id=str(place), text="" if place % 2 else "One.") for place in range(20)]

        async def source() -> AsyncIterator[Sequence[Chunk]]:
            yield chunks

        found = analyzer.run(source(), topic="t", chunks_per_request=5, journal=None, max_failed=0)
        assert 20 == len([one async for one in found])
        assert analyzer.stop_cause is None


@virtual
@pytest.mark.parametrize(
    ("options", "budget_usd", "match"),
    [
        ({"model": "mystery-1"}, 1.0, "none for 'mystery-1' on the route rest.*--prices"),
        ({"service_tier": "ultrafast"}, 1.0, "at the service tier ultrafast"),
        ({}, 0.0, "above 0"),
        ({}, float("nan"), "above 0"),
    ],
)
async def test_a_budget_that_cannot_be_kept_is_refused_before_anything_is_sent(
    options: dict[str, Any], budget_usd: float, match: str
) -> None:
    """The message names the model and the cure."""
    async with serving("hybrid", routes="rest", **options) as (analyzer, service):
        with pytest.raises(ConfigurationError, match=match):
            await run_of(analyzer, 5, budget_usd=budget_usd)
        assert [] == service.payments


@virtual
async def test_the_estimate_follows_what_is_billed() -> None:
    """Texts that take more tokens than estimated are reserved with what they take."""
    async with serving("hybrid", routes="rest") as (analyzer, _):
        strange = [(str(place), "ღ" * 800 + str(place)) for place in range(40)]
        await analyzer.analyze_batch(strange, chunks_per_request=5)
        assert analyzer.statistics()["billed_to_estimated"]["rest"] != 1.0
