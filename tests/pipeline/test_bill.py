"""What requests cost: by tier, by the model that answered, simulated ones by the one asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.pipeline.bill import all_runs, cost_of, possible_usd, served_tier, total_of
from analysis.pipeline.ledger_rows import LedgerTotals, RouteTotals, UnknownRequests
from analysis.prices import price_table
from analysis.records import Usage

PRICES = price_table()
USAGE = Usage(input_tokens=1_000_000, output_tokens=100_000)
REAL = RouteTotals(
    route="rest",
    model="gpt-6-luna",
    requests=10_000,
    chunks=10_000,
    usage=USAGE,
    asked="gpt-6-luna",
)
FULL = PRICES.cost_usd("gpt-6-luna", USAGE, requests=10_000) or 0.0
TOTALS = LedgerTotals(
    run=(REAL,),
    overall=(REAL,),
    run_states={"done": 10_000},
    overall_states={"done": 10_000},
    late=0,
    runs=1,
    tiers=("",),
)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "default"),
        ({"rest": '{"endpoint": "responses", "service_tiers": []}'}, "default"),
        ({"rest": '{"service_tiers": ["flex"]}', "realtime": '{"model": "m"}'}, "flex"),
        ({"rest": '{"service_tiers": ["default", "flex"]}'}, None),
        ({"rest": '{"service_tier": "priority"}'}, "priority"),
        ({"rest": '{"service_tier": null}'}, "default"),
    ],
)
def test_a_route_is_priced_by_the_tier_that_answered(
    facts: dict[str, str], expected: str | None
) -> None:
    """As the service names it; of several nobody knows which request had which."""
    assert expected == served_tier(facts, "rest")


def test_simulated_requests_are_priced_by_the_model_asked_for() -> None:
    """The model of the local service has no price; another unknown model has none either."""
    assert FULL == pytest.approx(cost_of(REAL, {}, PRICES))
    rules = replace(REAL, model="offline-rules")
    assert FULL == pytest.approx(cost_of(rules, {}, PRICES))
    assert 0.0 == cost_of(replace(rules, asked="offline-rules"), {}, PRICES)
    assert cost_of(replace(REAL, model="unheard-of"), {}, PRICES) is None


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    """Its tokens are summed all the same."""
    other = replace(REAL, model="unheard-of")
    assert (USAGE + USAGE, None) == total_of([REAL, other], {}, PRICES)
    assert pytest.approx(FULL) == total_of([REAL], {}, PRICES)[1]
    unknown = UnknownRequests(requests=1, chunks=1, possible=(REAL,))
    assert pytest.approx(FULL) == possible_usd(unknown, {}, PRICES)
    assert possible_usd(replace(unknown, unestimated=1), {}, PRICES) is None


def test_all_runs_are_priced_by_the_tier_they_asked_for() -> None:
    """Also by a run that sent nothing itself; of two tiers nobody knows which answered."""
    found = all_runs(TOTALS, {}, PRICES, is_simulated=False)
    assert (1, {"done": 10_000}, False) == (found["runs"], found["requests"], found["simulated"])
    assert FULL == pytest.approx(found["cost_usd"])
    flex = all_runs(replace(TOTALS, tiers=("flex",)), {}, PRICES, is_simulated=False)
    assert FULL / 2 == pytest.approx(flex["cost_usd"])
    both = all_runs(replace(TOTALS, tiers=("", "flex")), {}, PRICES, is_simulated=False)
    assert both["cost_usd"] is None
    empty = all_runs(replace(TOTALS, overall=(), tiers=(), runs=0), {}, PRICES, is_simulated=False)
    assert (0, 0.0) == (empty["runs"], empty["cost_usd"])


def test_one_simulated_run_marks_the_sum() -> None:
    """A figure with a part that is not real is not real."""
    rules = replace(REAL, route="realtime", model="digest-labels")
    mixed = all_runs(replace(TOTALS, overall=(REAL, rules)), {}, PRICES, is_simulated=False)
    assert mixed["simulated"] is True
