"""What tokens cost: a dated table, and the cost of a usage.

Pure, but for reading the package's own table. Estimates and summaries call it and name the date.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from analysis.records import Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens of one model."""

    input: float
    cached: float
    output: float

    def cost_usd(self, usage: Usage) -> float:
        """Return what a usage costs; cached tokens are a part of the input tokens."""
        fresh = usage.input_tokens - usage.cached_tokens
        return (
            fresh * self.input
            + usage.cached_tokens * self.cached
            + usage.output_tokens * self.output
        ) / MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices by model name, and the day they were read."""

    date: str
    prices: Mapping[str, Price]

    def cost_usd(self, model: str, usage: Usage) -> float | None:
        """Return the cost in US dollars, or None if the table does not know the model.

        Dated names (`gpt-6-luna-2026-09-22`) cost what their undated name costs.
        """
        if model in self.prices:
            return self.prices[model].cost_usd(usage)
        known = [name for name in self.prices if model.startswith(f"{name}-20")]
        return self.prices[known[0]].cost_usd(usage) if known else None


@cache
def price_table() -> PriceTable:
    """Return the table that ships with the package."""
    source = resources.files("analysis").joinpath("prices.toml").read_text(encoding="utf-8")
    table = tomllib.loads(source)
    prices = {name: Price(**entry) for name, entry in table["models"].items()}
    return PriceTable(date=table["date"], prices=prices)
