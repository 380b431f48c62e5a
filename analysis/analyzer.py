"""What all analyzers promise.

Pure. pipeline works with this protocol and never with a concrete analyzer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias

from analysis.records import Chunk, Journal, Verdict

ChunkLike: TypeAlias = Chunk | Mapping[str, Any] | tuple[str, str]
"""A `Chunk`, a mapping with `id` and `text` (and, if wanted, `topic` and `document`), or a pair
(id, text)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What labelling some chunks will take, before anything is sent.

    Attributes:
        chunks: Chunks that would be sent.
        unsendable: Chunks that cannot be sent: empty or too long.
        requests: Requests at the packing that would be used.
        input_tokens: Estimated; instructions and schema are counted in every request.
        output_tokens: Estimated.
        cost_usd: By the price table for the first route's model; None if it is not listed.
        duration_s: At the limits assumed before the service states its own.
        price_date: Day of the price table.
        alone: Chunks kept apart from their neighbours, in requests of their own: their text looks
            like orders to the model, or is unusually long.
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
    ) -> AsyncIterator[tuple[Chunk, Verdict]]:
        """Yield (chunk, verdict) for every chunk that the journal does not hold yet."""
        ...

    def tally(self, *, topic: str | None, chunks_per_request: int) -> Tally:
        """Return a counter for an estimate."""
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
