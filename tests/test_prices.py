"""Cost is usage times the prices of a dated table."""

from __future__ import annotations

import datetime
from dataclasses import fields

import pytest

from analysis.errors import ConfigurationError
from analysis.prices import LongFactors, Price, PriceTable, is_dated, own_prices, price_table
from analysis.records import Usage
from analysis.settings import DEFAULT_MODELS, Settings

TABLE = PriceTable(
    date="2026-01-01",
    prices={
        "gpt": Price(input=10.0, cached=1.0, output=100.0),
        "gpt-mini": Price(input=1.0, cached=0.1, output=10.0),
        "gpt-new": Price(input=10.0, cached=1.0, output=100.0, written=12.5, long_above=1_000),
    },
    tiers={"default": 1.0, "flex": 0.5, "priority": 2.0},
    long=LongFactors(input=2.0, output=1.5),
)
USAGE = Usage(input_tokens=1_000, cached_tokens=400, output_tokens=50)


def test_cached_tokens_are_a_part_of_the_input() -> None:
    """600 fresh, 400 cached and 50 answered tokens at their prices per million."""
    expected = (600 * 10.0 + 400 * 1.0 + 50 * 100.0) / 1e6
    assert expected == TABLE.cost_usd("gpt", USAGE)
    assert 0.0 == TABLE.cost_usd("gpt", Usage())


def test_written_tokens_have_a_price_of_their_own() -> None:
    """100 plain, 400 read and 500 written tokens; where no price of a write is listed, as input."""
    usage = Usage(
        input_tokens=1_000,
        cached_tokens=400,
        written_tokens=500,
        output_tokens=50,
        reasoning_tokens=20,
    )
    read_and_answered = 400 * 1.0 + 50 * 100.0
    written = (100 * 10.0 + 500 * 12.5 + read_and_answered) / 1e6
    assert written == TABLE.cost_usd("gpt-new", usage)
    as_input = (600 * 10.0 + read_and_answered) / 1e6
    assert as_input == TABLE.cost_usd("gpt", usage)


@pytest.mark.parametrize(("tier", "factor"), [("default", 1.0), ("flex", 0.5), ("priority", 2.0)])
def test_a_service_tier_has_a_factor(tier: str, factor: float) -> None:
    """On all that is billed."""
    cost = TABLE.cost_usd("gpt", USAGE)
    assert cost is not None
    assert factor * cost == TABLE.cost_usd("gpt", USAGE, tier=tier)


def test_an_unknown_tier_has_no_cost() -> None:
    """None, and not the price of another tier."""
    assert TABLE.cost_usd("gpt", USAGE, tier="scale") is None


def test_long_inputs_cost_more_above_the_limit_of_the_model() -> None:
    """Input twice, output one and a half times; at the limit not yet, nor for a sum of requests."""
    long = Usage(input_tokens=1_001, output_tokens=10)
    assert (2 * 1_001 * 10.0 + 1.5 * 10 * 100.0) / 1e6 == TABLE.cost_usd("gpt-new", long)
    plain = (1_001 * 10.0 + 10 * 100.0) / 1e6
    assert plain == TABLE.cost_usd("gpt", long)
    assert plain == TABLE.cost_usd("gpt-new", long, requests=2)
    assert 0.01 == TABLE.cost_usd("gpt-new", Usage(input_tokens=1_000))


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
        assert price.written in (None, pytest.approx(1.25 * price.input))
    assert 0.0 == table.cost_usd("offline-rules", USAGE)
    assert {"default", "auto", "flex", "batch", "fast", "priority"} == set(table.tiers)
    assert table.tiers["fast"] == table.tiers["priority"]
    assert LongFactors(input=2.0, output=1.5) == table.long


def test_packs_are_far_below_the_limit_for_long_inputs() -> None:
    """So the mean of several requests decides as each of them would."""
    limits = [price.long_above for price in price_table().prices.values() if price.long_above]
    (knob,) = [entry for entry in fields(Settings) if entry.name == "pack_tokens"]
    assert 2 * knob.metadata["high"] < min(limits)


def test_own_prices_come_before_those_of_the_package() -> None:
    """What the file does not name stays as shipped; its date says how old its prices are."""
    text = """
    date = "2027-01-31"
    [models."gpt-6-luna"]
    input = 1
    cached = 0.5
    output = 2.0
    written = 1.5
    long_above = 1000
    [models."house-model"]
    input = 0
    cached = 0
    output = 0
    [tiers]
    house = 0.25
    """
    table = own_prices(text, name="mine.toml")
    assert "2027-01-31" == table.date
    assert table.prices["gpt-6-luna"] == Price(
        input=1.0, cached=0.5, output=2.0, written=1.5, long_above=1_000
    )
    assert 0.0 == table.cost_usd("house-model", USAGE, tier="house")
    shipped = price_table().cost_usd("gpt-5-nano", USAGE)
    assert shipped is not None
    assert shipped / 4 == table.cost_usd("gpt-5-nano", USAGE, tier="house")


def test_own_prices_without_a_date_are_named_beside_that_of_the_package() -> None:
    """An empty file changes nothing else."""
    table = own_prices("", name="mine.toml")
    assert f"{price_table().date} and mine.toml" == table.date
    assert price_table().prices == table.prices


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[models", "mine.toml is no TOML"),
        ("modles = 1", "modles, which means nothing"),
        ("models = 1", "models has to be a table"),
        ("models.m = 1", "models 'm' has to be a table"),
        ("models.m = {input = 1, output = 1}", "'m' in mine.toml lacks cached"),
        ("models.m = {input = 1, cached = 1, output = 1, inpt = 2}", "does not know inpt"),
        ("models.m = {input = '1', cached = 1, output = 1}", "'m' input is '1'"),
        ("models.m = {input = -1, cached = 1, output = 1}", "number from 0 on"),
        ("models.m = {input = nan, cached = 1, output = 1}", "number from 0 on"),
        ("models.m = {input = true, cached = 1, output = 1}", "number from 0 on"),
        ("tiers.flex = 'half'", "tiers flex is 'half'"),
    ],
)
def test_a_price_table_that_cannot_be_read_says_where(text: str, match: str) -> None:
    """A wrong price would make every figure wrong."""
    with pytest.raises(ConfigurationError, match=match):
        own_prices(text, name="mine.toml")


@pytest.mark.parametrize(
    ("model", "tier", "expected"),
    [
        ("gpt", "default", True),
        ("gpt-2026-09-22", "default", True),
        ("gpt", "mystery", False),
        ("other", "default", False),
    ],
)
def test_a_price_costs_what_the_table_says(model: str, tier: str, expected: bool) -> None:
    """The same as by the table, and None where the table has no cost."""
    price = TABLE.price_of(model, tier=tier)
    assert expected == (price is not None)
    if price is not None:
        usd = (price.input_cost(USAGE) + price.output_cost(USAGE)) / 1e6
        assert pytest.approx(TABLE.cost_usd(model, USAGE, tier=tier)) == usd


def test_a_dated_name_is_told_from_another_model() -> None:
    """Only a year makes it one; no other ending is guessed at."""
    assert is_dated("gpt-2026-09-22", "gpt")
    assert not any(is_dated(model, "gpt") for model in ("gpt", "gpt-mini", "gpt-mini-2026-09-22"))
