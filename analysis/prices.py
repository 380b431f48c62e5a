"""What tokens cost: a dated table, and the cost of a usage.

Pure, but for reading the package's own table. Estimates, budgets and summaries call it and name the
date.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from typing import Any

from analysis.errors import ConfigurationError
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

    def price_of(self, model: str, *, tier: str = DEFAULT_TIER) -> Price | None:
        """Return the price of a model at a tier, or None if the table does not know them."""
        price, factor = self._price(model), self.tiers.get(tier)
        if price is None or factor is None:
            return None
        written = price.input if price.written is None else price.written
        return Price(
            input=factor * price.input,
            cached=factor * price.cached,
            output=factor * price.output,
            written=factor * written,
            long_above=price.long_above,
        )

    def _price(self, model: str) -> Price | None:
        known = [name for name in self.prices if is_dated(model, name)]
        return self.prices.get(model) or (self.prices[known[0]] if known else None)


def is_dated(model: str, name: str) -> bool:
    """Tell whether a model is a dated one of a name: `gpt-6-luna-2026-09-22` of `gpt-6-luna`."""
    return model.startswith(f"{name}-20")


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


def own_prices(text: str, *, name: str) -> PriceTable:
    """Return the package's table with the prices of a user's file before its own.

    Args:
        text: TOML in the form of the package's own file: `date`, and per model a table
            `[models."NAME"]` with `input`, `cached` and `output`, if wanted `written` and
            `long_above`; US dollars per million tokens. `[tiers]` adds service tiers.
        name: Of the file, for messages and, where it has no date, beside that of the package.

    Raises:
        ConfigurationError: Names what cannot be read, and where.
    """
    base = price_table()
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The price table {name} is no TOML: {error}.") from error
    if unknown := found.keys() - {"date", "models", "tiers"}:
        raise ConfigurationError(
            f"The price table {name} has {', '.join(sorted(unknown))}, which means nothing. It may "
            "have date, models and tiers."
        )
    models = _table(name, "models", found.get("models", {}))
    tiers = _table(name, "tiers", found.get("tiers", {}))
    return PriceTable(
        date=str(found.get("date", f"{base.date} and {name}")),
        prices={**base.prices, **{model: _read(name, model, one) for model, one in models.items()}},
        tiers={
            **base.tiers,
            **{tier: _amount(name, f"tiers {tier}", one) for tier, one in tiers.items()},
        },
        long=base.long,
    )


def _table(file: str, name: str, found: object) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise ConfigurationError(f"In the price table {file}, {name} has to be a table.")
    return found


def _read(file: str, model: str, entry: object) -> Price:
    """Return one price of a file."""
    known = {one.name for one in fields(Price)}
    values = _table(file, f"models {model!r}", entry)
    missing = {"input", "cached", "output"} - values.keys()
    if missing or values.keys() - known:
        wrong = ", ".join(sorted(missing or values.keys() - known))
        what = "lacks" if missing else "does not know"
        raise ConfigurationError(
            f"The price of {model!r} in {file} {what} {wrong}. It takes input, cached and output, "
            "and if wanted written and long_above: US dollars per million tokens."
        )
    amounts = {name: _amount(file, f"{model!r} {name}", one) for name, one in values.items()}
    return Price(
        input=amounts["input"],
        cached=amounts["cached"],
        output=amounts["output"],
        written=amounts.get("written"),
        long_above=int(amounts["long_above"]) if "long_above" in amounts else None,
    )


def _amount(file: str, what: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(float(str(value))) or float(str(value)) < 0:
        raise ConfigurationError(
            f"In the price table {file}, {what} is {value!r}. Write a number from 0 on, in US "
            "dollars per million tokens."
        )
    return float(str(value))
