"""Cost is usage times the prices of a dated table."""

from __future__ import annotations

import datetime

import pytest

from analysis.prices import Price, PriceTable, price_table
from analysis.records import Usage
from analysis.settings import DEFAULT_MODELS

TABLE = PriceTable(
    date="2026-01-01",
    prices={
        "gpt": Price(input=10.0, cached=1.0, output=100.0),
        "gpt-mini": Price(input=1.0, cached=0.1, output=10.0),
    },
)
USAGE = Usage(input_tokens=1_000, cached_tokens=400, output_tokens=50)


def test_cached_tokens_are_a_part_of_the_input() -> None:
    """600 fresh, 400 cached and 50 answered tokens at their prices per million."""
    expected = (600 * 10.0 + 400 * 1.0 + 50 * 100.0) / 1e6
    assert expected == TABLE.cost_usd("gpt", USAGE)
    assert 0.0 == TABLE.cost_usd("gpt", Usage())


def test_a_dated_name_costs_what_its_undated_name_costs() -> None:
    """And not what another name with the same beginning costs."""
    assert TABLE.cost_usd("gpt", USAGE) == TABLE.cost_usd("gpt-2026-09-22", USAGE)
    assert TABLE.cost_usd("gpt-mini", USAGE) == TABLE.cost_usd("gpt-mini-2026-09-22", USAGE)


@pytest.mark.parametrize("model", ["", "gpt-nano", "gpt-minimal", "gp", "gpt-mini-latest"])
def test_an_unknown_model_has_no_cost(model: str) -> None:
    """None, and not zero."""
    assert TABLE.cost_usd(model, USAGE) is None


def test_the_table_of_the_package_knows_the_default_models() -> None:
    """With a date, and prices in the order that services have: cached, input, output."""
    table = price_table()
    assert table is price_table()
    assert datetime.date.fromisoformat(table.date) >= datetime.date(2026, 1, 1)
    assert set(DEFAULT_MODELS.values()) <= set(table.prices)
    for price in table.prices.values():
        assert 0 <= price.cached <= price.input <= price.output
    assert 0.0 == table.cost_usd("offline-rules", USAGE)
