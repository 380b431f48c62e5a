"""Count packs, tokens, cost and time of chunks that stream by, before anything is sent.

Pure. The analyzers make it, a run's estimate feeds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.analyzer import Estimate
from analysis.control.packing import Cutter, Piece, obstacle
from analysis.labels.prompt import PromptBuilder
from analysis.labels.tokens import estimate as estimate_tokens
from analysis.prices import DEFAULT_TIER, price_table
from analysis.records import Chunk, Item, Pack, Usage
from analysis.settings import Settings

ANSWER_TOKENS = 20
"""Expected output tokens per chunk, for estimates: short id, one label, JSON marks."""

REQUEST_S = 1.0
"""Seconds per request assumed for estimates of time."""


class PackTally:
    """Counts packs, tokens, cost and time of chunks that stream by; see `analyzer.Tally`."""

    def __init__(
        self,
        builder: PromptBuilder,
        *,
        topic: str | None,
        chunks_per_request: int,
        model: str,
        in_flight: int,
        settings: Settings,
        as_choices: bool = False,
        tier: str = DEFAULT_TIER,
    ) -> None:
        self._builder = builder
        self._as_choices = as_choices
        self._topic = topic
        self._cutter = Cutter(chunks_per_request=chunks_per_request, settings=settings)
        self._model = model
        self._tier = tier
        self._in_flight = in_flight
        self._settings = settings
        self._chunks = self._unsendable = self._requests = 0
        self._usage = Usage()

    def add(self, chunks: Sequence[Chunk], is_wanted: Sequence[bool] | None = None) -> None:
        """Count chunks; those that are not wanted shape the packs and are not counted."""
        wanted = [True] * len(chunks) if is_wanted is None else is_wanted
        for chunk, flag in zip(chunks, wanted, strict=True):
            tokens = estimate_tokens(chunk.text)
            if obstacle(chunk.text, tokens, self._settings) is not None:
                self._unsendable += flag
                continue
            topic = chunk.topic or self._topic
            self._count(
                self._cutter.add(Piece(chunk=chunk, tokens=tokens, topic=topic, is_wanted=flag))
            )

    def estimate(self) -> Estimate:
        """Return the figures for everything counted so far."""
        self._count(self._cutter.finish())
        knobs, table, usage = self._settings, price_table(), self._usage
        tokens = usage.input_tokens + usage.output_tokens
        return Estimate(
            chunks=self._chunks,
            unsendable=self._unsendable,
            requests=self._requests,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=table.cost_usd(self._model, usage, tier=self._tier),
            duration_s=max(
                self._requests * 60 / knobs.requests_per_minute,
                tokens * 60 / knobs.tokens_per_minute,
                self._requests * REQUEST_S / self._in_flight,
            ),
            price_date=table.date,
        )

    def _count(self, window: tuple[Piece, ...] | None) -> None:
        items = tuple(
            Item(ticket=place, chunk=piece.chunk, tokens=piece.tokens)
            for place, piece in enumerate(window or ())
            if piece.is_wanted
        )
        if window and items:
            pack = Pack(items=items, topic=window[0].topic)
            asked = self._builder.input_tokens(pack, as_choices=self._as_choices)
            written = 0 if self._as_choices else ANSWER_TOKENS * len(items)
            self._requests += 1
            self._chunks += len(items)
            self._usage += Usage(input_tokens=asked, output_tokens=written)
