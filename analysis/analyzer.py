"""What all analyzers promise.

Pure. pipeline works with this protocol and never with a concrete analyzer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self, TypeAlias

from analysis.prices import PriceTable
from analysis.records import Chunk, Journal, StopCause, Verdict

ChunkLike: TypeAlias = Chunk | Mapping[str, Any] | tuple[str, str]
"""A `Chunk`, a mapping with `id` and `text` (and, if wanted, `topic`, `title` and `document`), or a
pair (id, text)."""

ESTIMATE_VERSION = 1
"""Moves when a field of an estimate as JSON changes its meaning or goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What labelling some chunks will take, before anything is sent.

    Attributes:
        chunks: Chunks that would be sent.
        unsendable: Chunks that cannot be sent: empty or too long.
        too_long: Of them, those that are too long.
        requests: Requests at the packing that would be used.
        input_tokens: Estimated; instructions and schema are counted in every request.
        output_tokens: Estimated.
        cost_usd: By the price table for the route's model, nothing read from the prompt cache, and
            written to it by every request what can be; None if the model is not listed.
        duration_s: At the limits that an earlier run has learned, else at assumed ones; a run takes
            less or more than the latter once the service states its own. See `is_learned`.
        price_date: Day of the price table.
        alone: Chunks kept apart from their neighbours, in requests of their own: their text or
            topic looks like orders to the model, or the text is unusually long.
        cached_tokens: Of the input, the most that may be read from the prompt cache; no service
            promises it.
        least_cost_usd: The cost if all of that is; None like `cost_usd`.
        route: The route that would be used.
        model: The model that would be asked for.
        is_learned: `duration_s` goes by limits that an earlier run has learned.
    """

    chunks: int
    unsendable: int
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    duration_s: float
    price_date: str
    alone: int = 0
    too_long: int = 0
    cached_tokens: int = 0
    least_cost_usd: float | None = None
    route: str = ""
    model: str = ""
    is_learned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEstimate:
    """What labelling a file would take.

    Attributes:
        rows: Rows of the input.
        packing: Chunks in one request, for people.
        routes: For each route of the list: what it would take if all went over it alone.
    """

    rows: int
    packing: str
    routes: tuple[Estimate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON-ready values, with the version of their form."""
        first = self.routes[0]
        shared = ("chunks", "unsendable", "too_long", "alone", "price_date")
        return {
            "estimate_version": ESTIMATE_VERSION,
            "rows": self.rows,
            "to_send": first.chunks,
            "empty": first.unsendable - first.too_long,
            "too_long": first.too_long,
            "alone": first.alone,
            "chunks_per_request": self.packing,
            "price_date": first.price_date,
            "routes": [
                {name: value for name, value in asdict(one).items() if name not in shared}
                for one in self.routes
            ],
        }


class Tally(Protocol):
    """Counts chunks as they stream by, for an estimate."""

    def add(self, chunks: Sequence[Chunk], is_wanted: Sequence[bool] | None = None) -> None:
        """Count chunks; those that are not wanted shape the packs and are not counted."""
        ...

    def estimate(self) -> Estimate:
        """Return the figures for everything counted so far; nothing is added after it."""
        ...


class Analyzer(Protocol):
    """Chunks in, one verdict for each of them out."""

    @property
    def run_key(self) -> Mapping[str, str]:
        """Whatever, beside a chunk itself, changes what its label means."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """Route -> JSON of what is in effect there, as far as the service has said."""
        ...

    @property
    def stop_reason(self) -> str | None:
        """Why nothing is sent any more, or None."""
        ...

    @property
    def stop_cause(self) -> StopCause | None:
        """Who or what stopped it, or None."""
        ...

    @property
    def prices(self) -> PriceTable:
        """What tokens cost, for estimates, budgets and bills."""
        ...

    def check_budget(self, budget_usd: float) -> None:
        """Raise ConfigurationError if a run cannot keep this budget."""
        ...

    async def analyze_chunk(
        self, chunk_id: str, chunk_text: str, topic: str | None = None
    ) -> Verdict:
        """Return the verdict on one chunk."""
        ...

    async def analyze_batch(
        self, chunks: Iterable[ChunkLike], topic: str | None = None
    ) -> list[Verdict]:
        """Return the verdicts in input order."""
        ...

    def stream(
        self, chunks: Iterable[ChunkLike], topic: str | None = None
    ) -> AsyncIterator[Verdict]:
        """Yield verdicts as they settle."""
        ...

    def run(
        self,
        slices: AsyncIterator[Sequence[Chunk]],
        *,
        topic: str | None,
        chunks_per_request: int,
        journal: Journal | None,
        budget_usd: float | None = None,
        stop_after_s: float | None = None,
        max_failed: int | None = None,
        requests: int = 0,
    ) -> AsyncIterator[tuple[Chunk, Verdict]]:
        """Yield (chunk, verdict) for every chunk that the journal does not hold yet.

        Args:
            slices: The chunks.
            topic: Of chunks without one of their own.
            chunks_per_request: Largest pack.
            journal: The record of the run.
            budget_usd: What requests sent from now on may cost.
            stop_after_s: Seconds from now on after which nothing is sent.
            max_failed: Failed chunks above which nothing is sent; None: any number.
            requests: That it will take, as estimated; 0: nobody has counted.
        """
        ...

    def tally(
        self, *, topic: str | None, chunks_per_request: int, route: str | None = None
    ) -> Tally:
        """Return a counter for an estimate, by default for the first route."""
        ...

    def estimate(self, chunks: Iterable[ChunkLike], topic: str | None = None) -> Estimate:
        """Return what labelling these chunks will take."""
        ...

    def statistics(self) -> dict[str, Any]:
        """Return counters of this analyzer and of each route."""
        ...

    def stop(self, reason: str) -> None:
        """Send nothing more; what is in flight still ends and counts."""
        ...

    async def close(self) -> None:
        """End all connections; may be called more than once."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...
