"""Count chunks that stream by, before anything is sent: what a job holds, and what it will take.

Pure. The analyzers make both counters, a run feeds them. `JobSizer` gives the planner its figures,
`PackTally` counts packs, tokens, cost and time at the packing that was chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat

from analysis.analyzer import Estimate
from analysis.control.packing import Cutter, Piece, Window, kept_apart, obstacle, parts
from analysis.control.planner import Budgets, JobSize
from analysis.labels.prompt import CONTENT_TOKENS, PromptBuilder, around_tokens, heading_tokens
from analysis.labels.tokens import estimate as estimate_tokens
from analysis.prices import DEFAULT_TIER, PriceTable, price_table
from analysis.records import Chunk, FailureKind, Item, Pack, Usage
from analysis.settings import CHOICE_ROUTES, Settings

ANSWER_TOKENS = 12
"""Expected output tokens per chunk, for estimates: short id, one label, JSON marks."""

ANSWER_FRAME_TOKENS = 4
"""Expected output tokens around the answers of a request."""

REQUEST_S = 1.0
"""Seconds per request assumed for estimates of time."""

SESSION_ROUTES = frozenset({"realtime"})
"""Routes on which a session reads what it has in common with its last request."""

CACHE_ROUTES = frozenset({"responses-ws", "rest", "decisions"})
"""Routes on which all requests of a run share what is cached."""

SESSION_PREFIX_TOKENS = 64
CACHE_PREFIX_TOKENS = 1_024
"""A prompt cache reads nothing below so many. Source: OpenAI guide "Prompt caching", autumn 2026;
sessions by user reports. Sessions, and models before GPT-5.6, read in steps of 64 and 128 tokens,
others exactly. No step is counted: it is finer than the estimate of the tokens, and what is counted
is the most that may be read."""


class JobSizer:
    """Counts what a job holds, as far as packing is concerned; see `planner.JobSize`."""

    def __init__(
        self,
        builder: PromptBuilder,
        *,
        topic: str | None,
        settings: Settings,
        as_choices: bool = False,
        every: int = 1,
    ) -> None:
        """Count for one run; the tokens of each `every`-th chunk stand for those of all."""
        self._builder = builder
        self._topic = topic
        self._settings = settings
        self._as_choices = as_choices
        self._every = every
        self._stretches = Counter[int]()
        self._length = 0
        self._last: tuple[str | None, ...] | None = None
        self._seen = self._measured = self._tokens = self._around = 0

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Count chunks; those that cannot be sent are left out where their tokens are looked at."""
        is_all = self._every == 1
        looks = self._builder.looks.keep(chunks, has_orders=False) if is_all else repeat(None)
        for chunk, look in zip(chunks, looks, strict=False):
            self._seen += 1
            if self._seen % self._every == 0:
                tokens = estimate_tokens(chunk.text) if look is None else look[0]
                if obstacle(chunk.text, tokens, self._settings) is not None:
                    continue
                self._measured += 1
                self._tokens += tokens
                self._around += around_tokens(_alone(chunk, tokens))
            place = (chunk.document, chunk.title, chunk.topic or self._topic)
            if place != self._last:
                self._end_stretch()
                self._last = place
            self._length += 1

    def size(self) -> JobSize:
        """Return the figures for everything counted so far; nothing is added after it."""
        self._end_stretch()
        once, each = self._frame_tokens()
        knobs, is_text = self._settings, not self._as_choices
        return JobSize(
            stretches=tuple(sorted(self._stretches.items())),
            chunk_tokens=self._tokens / max(1, self._measured),
            item_tokens=each,
            request_tokens=once + self._around // max(1, self._measured),
            answer_tokens=ANSWER_TOKENS * is_text,
            request_answer_tokens=ANSWER_FRAME_TOKENS * is_text,
            largest_answer_tokens=knobs.output_tokens_per_chunk * is_text,
        )

    def _end_stretch(self) -> None:
        if self._length:
            self._stretches[self._length] += 1
        self._length = 0

    def _frame_tokens(self) -> tuple[int, int]:
        """Return what a request and what a chunk takes beside its text, as the prompt counts."""
        items = _alone(Chunk(id="", text=""), 0).items
        one, two = (
            self._builder.input_tokens(
                Pack(items=items * count, topic=self._topic), as_choices=self._as_choices
            )
            for count in (1, 2)
        )
        return 2 * one - two, two - one


def _alone(chunk: Chunk, tokens: int) -> Pack:
    """Return a pack of one chunk."""
    return Pack(items=(Item(ticket=0, chunk=chunk, tokens=tokens),))


def prefix_tokens(builder: PromptBuilder, route: str) -> int:
    """Return the estimated tokens of a request that a service may cache; 0 if there are too few."""
    if route in CHOICE_ROUTES:
        tokens = builder.choice_prefix_tokens
    else:
        tokens = builder.request_tokens - CONTENT_TOKENS
    least = SESSION_PREFIX_TOKENS if route in SESSION_ROUTES else CACHE_PREFIX_TOKENS
    return 0 if tokens < least else tokens


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
        is_whole: bool = False,
        route: str = "rest",
        prices: PriceTable | None = None,
        budgets: Budgets | None = None,
        is_learned: bool = False,
    ) -> None:
        """Count for one route; `prices` and `budgets` by default as shipped and as assumed.

        `is_learned`: the budgets are those that an earlier run was told.
        """
        self._builder = builder
        self._as_choices = as_choices
        self._topic = topic
        self._are_packed = chunks_per_request > 1
        self._cutter = Cutter(
            chunks_per_request=chunks_per_request, settings=settings, is_whole=is_whole
        )
        self._model = model
        self._tier = tier
        self._in_flight = in_flight
        self._settings = settings
        self._route = route
        self._prices = prices or price_table()
        self._is_learned = is_learned
        self._budgets = budgets or Budgets.assumed(settings)
        self._chunks = self._unsendable = self._too_long = self._requests = self._alone = 0
        self._input_tokens = self._output_tokens = self._cached_tokens = 0
        self._shared = prefix_tokens(builder, route)
        self._heading: tuple[str | None, str | None] | None = None

    def add(self, chunks: Sequence[Chunk], is_wanted: Sequence[bool] | None = None) -> None:
        """Count chunks; those that are not wanted shape the packs and are not counted."""
        wanted = [True] * len(chunks) if is_wanted is None else is_wanted
        looks = self._builder.looks.keep(chunks, has_orders=self._are_packed)
        for chunk, flag, (tokens, is_alone) in zip(chunks, wanted, looks, strict=True):
            if (problem := obstacle(chunk.text, tokens, self._settings)) is not None:
                self._unsendable += flag
                self._too_long += flag and problem is FailureKind.TOO_LONG
                continue
            piece = Piece(
                chunk=chunk,
                tokens=tokens,
                topic=chunk.topic or self._topic,
                is_wanted=flag,
                is_alone=is_alone,
            )
            if window := self._cutter.add(piece):
                self._count(window)

    def estimate(self) -> Estimate:
        """Return the figures for everything counted so far."""
        while window := self._cutter.finish():
            self._count(window)
        budgets = self._budgets
        usage = Usage(input_tokens=self._input_tokens, output_tokens=self._output_tokens)
        tokens = usage.input_tokens + usage.output_tokens
        cached = self._cached_tokens
        kept = self._shared if self._route in CACHE_ROUTES else 0
        return Estimate(
            chunks=self._chunks,
            unsendable=self._unsendable,
            requests=self._requests,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=self._cost_usd(replace(usage, written_tokens=self._requests * kept)),
            duration_s=max(
                self._requests / budgets.requests.per_second,
                tokens / budgets.tokens.per_second,
                self._requests * REQUEST_S / self._in_flight,
            ),
            price_date=self._prices.date,
            alone=self._alone,
            too_long=self._too_long,
            cached_tokens=cached,
            least_cost_usd=self._cost_usd(
                replace(usage, cached_tokens=cached, written_tokens=kept if cached else 0)
            ),
            route=self._route,
            model=self._model,
            is_learned=self._is_learned,
        )

    def _cost_usd(self, usage: Usage) -> float | None:
        return self._prices.cost_usd(
            self._model, usage, tier=self._tier, requests=max(1, self._requests)
        )

    def _count(self, window: Window) -> None:
        """Count the requests that a window makes."""
        self._alone += len(kept_apart(window, self._settings))
        for pieces in parts(window, self._settings):
            items = tuple(
                Item(ticket=place, chunk=piece.chunk, tokens=piece.tokens)
                for place, piece in enumerate(pieces)
            )
            pack = Pack(items=items, topic=window[0].topic)
            asked = self._builder.input_tokens(pack, as_choices=self._as_choices)
            written = ANSWER_FRAME_TOKENS + ANSWER_TOKENS * len(items)
            self._cached_tokens += self._read_tokens(pack)
            self._requests += 1
            self._chunks += len(items)
            self._input_tokens += asked
            self._output_tokens += 0 if self._as_choices else written

    def _read_tokens(self, pack: Pack) -> int:
        """Return what the next request may read from the cache: in a session also its heading."""
        heading = (pack.title, pack.topic)
        is_same, self._heading = heading == self._heading, heading
        if not self._requests or not self._shared:
            return 0
        has_heading = is_same and self._route in SESSION_ROUTES
        return self._shared + (heading_tokens(pack) if has_heading else 0)
