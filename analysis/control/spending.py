"""What a run may spend: reserved before a request is sent, settled when it has ended.

Pure. `caps` asks for the scheduler; whoever plans the routes hands in their prices.

    ending of a request                          what counts as spent
    answered, or failed, with usage reported     the price of that usage
    refused, or not sent                         nothing
    not known, or without usage                  what was reserved, since it may be billed

So what is spent is above the limit only where an answer cost more than was reserved for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.records import Usage

MILLION = 1_000_000

UNITS = 1_000_000_000
"""Amounts are kept as whole parts of a dollar, so many of them, so that adding and taking away
leaves nothing over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What tokens cost on a route, in US dollars per million, and how large an answer may get.

    Attributes:
        input: Input that is neither read from the prompt cache nor written to it.
        cached: Input that is read from the prompt cache.
        written: Input that is written to it.
        output: Output, reasoning included.
        answer_tokens: Largest answer to a request, beside its chunks.
        answer_tokens_each: The same for each chunk.
    """

    input: float
    cached: float
    written: float
    output: float
    answer_tokens: int = 0
    answer_tokens_each: int = 0

    def most_usd(self, cost_tokens: int, chunks: int) -> float:
        """Return what a request may cost: nothing cached, the largest answer.

        Args:
            cost_tokens: Estimated input and largest output together.
            chunks: In the request.
        """
        answer = min(cost_tokens, self.answer_tokens + self.answer_tokens_each * chunks)
        asked = cost_tokens - answer
        return (asked * max(self.input, self.written) + answer * self.output) / MILLION

    def bill_usd(self, usage: Usage) -> float:
        """Return what a usage costs."""
        plain = usage.input_tokens - usage.cached_tokens - usage.written_tokens
        asked = plain * self.input
        asked += usage.cached_tokens * self.cached + usage.written_tokens * self.written
        return (asked + usage.output_tokens * self.output) / MILLION


class Purse:
    """A limit in US dollars, what is spent of it, and what requests on their way may still cost.

    Attributes:
        limit_usd: The limit.
    """

    __slots__ = ("_limit", "_reserved", "_reserved_sum", "_spent", "limit_usd")

    def __init__(self, limit_usd: float) -> None:
        """Open a purse; `limit_usd` is above 0."""
        self.limit_usd = limit_usd
        self._limit = round(limit_usd * UNITS)
        self._spent = self._reserved_sum = 0
        self._reserved: dict[str, int] = {}

    def __repr__(self) -> str:
        return (
            f"Purse({self.spent_usd:.6f} spent and {self.reserved_usd:.6f} reserved "
            f"of {self.limit_usd:g} USD)"
        )

    @property
    def spent_usd(self) -> float:
        """What ended requests cost, or may have cost."""
        return self._spent / UNITS

    @property
    def reserved_usd(self) -> float:
        """What requests on their way may cost."""
        return self._reserved_sum / UNITS

    @property
    def left_usd(self) -> float:
        """What is neither spent nor reserved; below 0 only after an answer cost more."""
        return (self._limit - self._spent - self._reserved_sum) / UNITS

    def statistics(self) -> dict[str, float]:
        """Return limit, spent and reserved, in US dollars."""
        return {
            "limit_usd": self.limit_usd,
            "spent_usd": round(self.spent_usd, 9),
            "reserved_usd": round(self.reserved_usd, 9),
        }

    def has(self, usd: float) -> bool:
        """Tell whether so much is left."""
        return self._spent + self._reserved_sum + _units(usd) <= self._limit

    def may_have(self, usd: float) -> bool:
        """Tell whether so much is left if everything on its way costs nothing."""
        return self._spent + _units(usd) <= self._limit

    def reserve(self, request_id: str, usd: float) -> bool:
        """Keep so much for a request; False, and nothing is kept, if it is not there."""
        if not self.has(usd):
            return False
        self._reserved[request_id] = amount = _units(usd)
        self._reserved_sum += amount
        return True

    def settle(self, request_id: str, usd: float | None) -> None:
        """Hear what a request cost; None: nobody knows, so all of its reservation counts as spent.

        A request without a reservation was sent before there was a limit and counts nothing.
        """
        amount = self._reserved.pop(request_id, None)
        if amount is not None:
            self._reserved_sum -= amount
            self._spent += amount if usd is None else _units(usd)

    def release(self, request_id: str) -> None:
        """Hear that a request was refused or never sent, so it cost nothing."""
        self.settle(request_id, 0.0)


def _units(usd: float) -> int:
    return math.ceil(round(usd * UNITS, 3))
