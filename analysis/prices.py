"""What tokens cost: a dated table, and the cost of a usage.

Pure, but for reading the package's own table. Estimates and summaries call it and name the date.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from analysis.records import Usage

MILLION = 1_000_000

DEFAULT_TIER = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens of one model.

    Attributes:
        input: Input that is neither read from the prompt cache nor written to it.
        cached: Input that is read from the prompt cache.
        output: Output, reasoning included.
        written: Input that is written to the prompt cache; None costs what `input` costs.
        long_above: Input tokens of one request above which its prices rise; None never.
    """

    input: float
    cached: float
    output: float
    written: float | None = None
    long_above: int | None = None

    def input_cost(self, usage: Usage) -> float:
        """Return what the input costs, in millionths of a dollar; cached and written are parts."""
        written = self.input if self.written is None else self.written
        plain = usage.input_tokens - usage.cached_tokens - usage.written_tokens
        return (
            plain * self.input + usage.cached_tokens * self.cached + usage.written_tokens * written
        )

    def output_cost(self, usage: Usage) -> float:
        """Return what the output costs, in millionths of a dollar; reasoning is a part."""
        return usage.output_tokens * self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class LongFactors:
    """Factors on the price of a request above `long_above` input tokens."""

    input: float = 1.0
    output: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices by model name, and the day they were read.

    Attributes:
        date: The day, ISO 8601.
        prices: Model -> price at the standard tier.
        tiers: Service tier, as asked for or as reported -> factor on all prices.
        long: Factors for requests above `long_above` input tokens.
    """

    date: str
    prices: Mapping[str, Price]
    tiers: Mapping[str, float] = field(default_factory=lambda: {DEFAULT_TIER: 1.0})
    long: LongFactors = LongFactors()

    def cost_usd(
        self, model: str, usage: Usage, *, tier: str = DEFAULT_TIER, requests: int = 1
    ) -> float | None:
        """Return the cost in US dollars, or None if the table does not know model or tier.

        Dated names (`gpt-6-luna-2026-09-22`) cost what their undated name costs. Surcharges of
        regional hosts are not counted.

        Args:
            model: As the service named it.
            usage: Of one request, or the sum of several of one model and tier.
            tier: Service tier.
            requests: How many requests `usage` sums up. Whether the prices of long inputs hold is
                decided by their mean, which is exact while packs are far below `long_above`.
        """
        price, factor = self._price(model), self.tiers.get(tier)
        if price is None or factor is None:
            return None
        limit = price.long_above
        is_long = limit is not None and usage.input_tokens > limit * max(requests, 1)
        long = self.long if is_long else LongFactors()
        cost = long.input * price.input_cost(usage) + long.output * price.output_cost(usage)
        return factor * cost / MILLION

    def _price(self, model: str) -> Price | None:
        known = [name for name in self.prices if model.startswith(f"{name}-20")]
        return self.prices.get(model) or (self.prices[known[0]] if known else None)


@cache
def price_table() -> PriceTable:
    """Return the table that ships with the package."""
    source = resources.files("analysis").joinpath("prices.toml").read_text(encoding="utf-8")
    table = tomllib.loads(source)
    return PriceTable(
        date=table["date"],
        prices={name: Price(**entry) for name, entry in table["models"].items()},
        tiers=table["tiers"],
        long=LongFactors(**table["long"]),
    )
