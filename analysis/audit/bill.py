"""What the requests of an arm were billed, added up as they end.

Pure. `asking` hands it to the analyzer where nothing is kept; `kept` makes one of a ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analysis.pipeline.bill import served_tier
from analysis.prices import PriceTable
from analysis.records import Chunk, Ending, Failed, Request, Settlement, Usage


@dataclass(slots=True)
class Bill:
    """A journal that keeps no verdicts and adds up what requests were billed.

    Attributes:
        requests: Sent.
        unknown: Of them, those that ended without an answer and may have been billed.
        usage: (route, model) -> tokens as billed.
        answers: (route, model) -> requests with billed tokens.
    """

    requests: int = 0
    unknown: int = 0
    usage: dict[tuple[str, str], Usage] = field(default_factory=dict)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    _open: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def missing(self, chunks: Sequence[Chunk]) -> Sequence[bool]:
        """Ask for all chunks."""
        return [True] * len(chunks)

    async def intend(self, request: Request) -> None:
        """Count a request; `settle` takes it back if it did not reach the service."""
        self.requests += 1
        self._open[request.request_id] = (request.route, request.model)

    async def settle(self, settlement: Settlement) -> None:
        """Add what it was billed."""
        route, asked = self._open.pop(settlement.request_id)
        self.unknown += settlement.ending is Ending.UNKNOWN
        self.requests -= settlement.ending is Ending.UNSENT
        if settlement.usage.input_tokens or settlement.usage.output_tokens:
            place = (route, settlement.model or asked)
            self.usage[place] = self.usage.get(place, Usage()) + settlement.usage
            self.answers[place] += 1

    async def fail(self, chunk: Chunk, verdict: Failed) -> None:
        """A verdict without a request costs nothing."""

    @property
    def total(self) -> Usage:
        """All billed tokens."""
        return sum(self.usage.values(), Usage())

    def usd(self, prices: PriceTable, facts: Mapping[str, str]) -> float | None:
        """Return the bill in US dollars, or None if a model or its service tier has no price."""
        total = 0.0
        for (route, model), usage in self.usage.items():
            tier = served_tier(facts, route)
            count = self.answers[route, model]
            cost = tier and prices.cost_usd(model, usage, tier=tier, requests=count)
            if cost is None:
                return None
            total += float(cost)
        return total
