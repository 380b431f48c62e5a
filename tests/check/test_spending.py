"""What is charged, what is refused, and which usage objects are read."""

from __future__ import annotations

import pytest

from analysis.check.spending import BudgetSpent, Cost, Spending, Spent, usage_of
from analysis.prices import Price, PriceTable, price_table
from analysis.records import Usage

TABLE = PriceTable(date="2026-11-21", prices={"m": Price(input=1.0, cached=0.1, output=2.0)})


def test_requests_and_reported_tokens_add_up() -> None:
    """A request counts when it goes out, its tokens and dollars when they are reported."""
    spending = Spending(None, TABLE)
    spending.start()
    spending.start()
    spending.add("m", Usage(input_tokens=1_000, output_tokens=500))
    expected = Spent(
        requests=2, reported=1, usage=Usage(input_tokens=1_000, output_tokens=500), usd=0.002
    )
    assert expected == spending.total


def test_a_part_is_taken_once() -> None:
    """The total keeps what the parts gave away."""
    spending = Spending(None, TABLE)
    spending.start()
    assert 1 == spending.take_part().requests
    assert 0 == spending.take_part().requests
    assert 1 == spending.total.requests


def test_nothing_starts_above_the_limit() -> None:
    """What goes beyond it is not sent and not counted."""
    spending = Spending(0.001, TABLE)
    spending.start()
    spending.add("m", Usage(input_tokens=1_000))
    with pytest.raises(BudgetSpent, match=r"0\.0010 USD are spent"):
        spending.start()
    assert 1 == spending.total.requests


def test_a_model_without_price_makes_the_cost_unknown() -> None:
    """Tokens still count; no dollar figure is invented."""
    spending = Spending(0.001, TABLE)
    spending.add("other", Usage(input_tokens=5))
    assert (5, None) == (spending.total.usage.input_tokens, spending.total.usd)
    assert spending.total.to_dict()["usd"] is None


def test_a_cost_counts_all_input_as_written() -> None:
    """A bound has to hold for the dearest kind of input: 1.25 times the price for Luna."""
    cost = Cost(model="rest", requests=2, input_tokens=500_000, output_tokens=1)
    expected = 2 * (0.125 * 500_000 * 2.0 + 0.5 * 1 * 1.5) / 1_000_000
    assert expected == cost.usd({"rest": "gpt-6-luna"}, price_table())
    assert cost.usd({"rest": "a-deployment"}, price_table()) is None


@pytest.mark.parametrize("names", ["input_tokens_details", "input_token_details"])
def test_both_spellings_of_the_details_are_read(names: str) -> None:
    """The Realtime API has its own."""
    usage = {"input_tokens": 9, names: {"cached_tokens": 4, "cache_write_tokens": 3}}
    expected = Usage(input_tokens=9, cached_tokens=4, written_tokens=3)
    assert expected == usage_of(usage)


@pytest.mark.parametrize("value", [None, "5", [], 7])
def test_what_is_no_object_is_no_usage(value: object) -> None:
    """Events of the course have null there."""
    assert usage_of(value) is None


def test_counts_that_are_no_numbers_are_zero() -> None:
    """A service may leave them out, or write them otherwise."""
    assert Usage() == usage_of({"input_tokens": "9", "output_tokens": True})
