"""What the questions of the live check cost: tokens as reported, dollars by the price table.

Pure. `wires` charges every request; `live` asks what may still be spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.errors import AnalysisError
from analysis.prices import PriceTable, price_table
from analysis.records import Usage


class BudgetSpent(AnalysisError):
    """What was agreed to is spent; the request was not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a question takes at most from one model.

    Attributes:
        model: A route, which stands for its model, or the name of a model.
        requests: How many requests that generate.
        input_tokens: Of one request.
        output_tokens: Of one request; the cap that is sent with it.
    """

    model: str
    requests: int
    input_tokens: int
    output_tokens: int = 0

    def usd(self, models: Mapping[str, str], table: PriceTable) -> float | None:
        """Return the cost in US dollars, or None if the model has no price in the table."""
        usage = Usage(
            input_tokens=self.requests * self.input_tokens,
            written_tokens=self.requests * self.input_tokens,
            output_tokens=self.requests * self.output_tokens,
        )
        model = models.get(self.model, self.model)
        return table.cost_usd(model, usage, requests=self.requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was sent and what it cost.

    Attributes:
        requests: Requests that could be paid for.
        reported: Those whose usage the service reported; a refused request reports none.
        usage: Their tokens.
        usd: Their cost in US dollars; None if a model has no price in the table.
    """

    requests: int = 0
    reported: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float | None = 0.0

    def __add__(self, other: Spent) -> Spent:
        is_known = self.usd is not None and other.usd is not None
        return Spent(
            requests=self.requests + other.requests,
            reported=self.reported + other.reported,
            usage=self.usage + other.usage,
            usd=(self.usd or 0.0) + (other.usd or 0.0) if is_known else None,
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain values, ready for JSON."""
        return {
            "requests": self.requests,
            "reported": self.reported,
            "tokens": self.usage.to_dict(),
            "usd": None if self.usd is None else round(self.usd, 6),
        }


class Spending:
    """Adds up requests and usages, and refuses to start one above a limit.

    Args:
        limit_usd: What was agreed to; None has no bound.
        table: Prices.
    """

    def __init__(self, limit_usd: float | None, table: PriceTable | None = None) -> None:
        self.limit_usd = limit_usd
        self._table = table or price_table()
        self._all = Spent()
        self._part = Spent()

    def __repr__(self) -> str:
        return f"Spending({self.total!r} of {self.limit_usd})"

    @property
    def total(self) -> Spent:
        """All that was spent."""
        return self._all + self._part

    def take_part(self) -> Spent:
        """Return what was spent since the last call."""
        part, self._part = self._part, Spent()
        self._all += part
        return part

    def start(self) -> None:
        """Note that a request goes out which can be paid for.

        Raises:
            BudgetSpent: If the limit is reached; nothing must be sent then.
        """
        spent = self.total.usd
        if self.limit_usd is not None and spent is not None and spent >= self.limit_usd:
            raise BudgetSpent(
                f"{spent:.4f} USD are spent, and {self.limit_usd:.4f} USD were agreed to; nothing "
                "more is asked."
            )
        self._part += Spent(requests=1)

    def add(self, model: str, usage: Usage) -> None:
        """Note what the service reported for one request."""
        usd = self._table.cost_usd(model, usage)
        self._part += Spent(reported=1, usage=usage, usd=usd)


def usage_of(value: object) -> Usage | None:
    """Return the usage in an object of any route, or None if it is none.

    The Realtime API writes `input_token_details` where the others write `input_tokens_details`,
    and chat completions have names of their own, which no question meets.
    """
    if not isinstance(value, dict):
        return None
    read = _part(value, "input_tokens_details") or _part(value, "input_token_details")
    made = _part(value, "output_tokens_details") or _part(value, "output_token_details")
    return Usage(
        input_tokens=_count(value, "input_tokens"),
        cached_tokens=_count(read, "cached_tokens"),
        written_tokens=_count(read, "cache_write_tokens"),
        output_tokens=_count(value, "output_tokens"),
        reasoning_tokens=_count(made, "reasoning_tokens"),
    )


def _part(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _count(value: Mapping[str, object], name: str) -> int:
    count = value.get(name)
    return count if isinstance(count, int) and not isinstance(count, bool) else 0
