"""The virtual clock on which a contestant meets the market, and what is counted on the way.

Pure. `ours` and `naive` play on it: they send requests and are told how these end.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from zlib import crc32

from benchmarks.score import constants
from benchmarks.score.constants import Regime
from benchmarks.score.market import Fate, Kind, Market, bound_of, cheapest_of

Chunks = Sequence[int]
"""Numbers of chunks, from 0."""

Heard = Callable[[Fate, frozenset[int]], None]
"""Takes how a request ended and which chunks now have a usable answer from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The figures of one run; seconds are virtual.

    Attributes:
        seed: Of the market and the contestant.
        window_s: Hidden window of the market.
        is_silent: An outage in this run was silent.
        makespan_s: From the start to the last answer; the cut-off for a run that is not complete.
        bound_s: The shortest time with packs of any size up to the largest.
        bound_ten_s: The same with packs up to ten.
        is_complete: Every chunk got an answer before the cut-off.
        requests: Sent, those refused included.
        limited: 429s.
        paid_tokens: Billed.
        twice_tokens: Part of them: hedged and rescued, that is, for requests with a chunk that was
            in flight in another one at that time.
        fewest_tokens: The least for which the job can be had.
        lost: Chunks that the contestant gave up, or forgot.
        doubled: Chunks that got two verdicts.
        trace: A checksum of when and how each request ended.
    """

    seed: int
    window_s: float
    is_silent: bool
    makespan_s: float
    bound_s: float
    bound_ten_s: float
    is_complete: bool
    requests: int
    limited: int
    paid_tokens: int
    twice_tokens: int
    fewest_tokens: float
    lost: int
    doubled: int
    trace: int

    @property
    def ratio(self) -> float:
        """Makespan / bound."""
        return self.makespan_s / self.bound_s

    @property
    def ratio_ten(self) -> float:
        """Makespan / bound with packs up to ten."""
        return self.makespan_s / self.bound_ten_s


class Contestant(Protocol):
    """A way to send a job; made for one run on one stage."""

    def start(self) -> None:
        """Send the first requests, or set the first timers."""
        ...


class Stage:
    """One run: clock, market and counters.

    Attributes:
        now: Virtual seconds since the start.
        market: The service.
        rng: Chance of the way and of the contestant.
        open_chunks: Chunks without an answer.
    """

    def __init__(
        self, regime: Regime, seed: int, make: Callable[[Regime, int], Market] = Market
    ) -> None:
        self.now = 0.0
        self.market = make(regime, seed)
        self.rng = random.Random(f"way {regime.name} {seed}")
        self.open_chunks = set(range(regime.chunks))
        self.bound_s = bound_of(self.market)
        self._seed = seed
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._opened: dict[str, float] = {}
        self._in_flight: Counter[int] = Counter()
        self._settled: Counter[int] = Counter()
        self._requests = 0
        self._twice_tokens = 0
        self._last_answer_s = 0.0
        self._trace = 0

    # For contestants

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Call later; `when` in virtual seconds."""
        heapq.heappush(self._events, (max(when, self.now), next(self._order), action))

    def send(
        self, way: str, chunks: Chunks, heard: Heard, *, timeout_s: float = constants.TIMEOUT_S
    ) -> None:
        """Send a request; the first one on a way opens its connection."""
        self._requests += 1
        ready = self._opened.setdefault(way, self.now + constants.CONNECT_S)
        jitter_s = self.rng.uniform(0, constants.ARRIVAL_JITTER_S)
        is_twice = any(self._in_flight[one] for one in chunks)
        self._in_flight.update(chunks)
        arrive = partial(self._arrive, way, chunks, heard, timeout_s, is_twice)
        self.at(max(self.now, ready) + jitter_s, arrive)

    def settle(self, chunk: int, *, is_answered: bool) -> None:
        """Note the verdict on a chunk; an answered one is done."""
        self._settled[chunk] += 1
        if is_answered:
            self.open_chunks.discard(chunk)
            self._last_answer_s = self.now

    # The run

    def run(self, contestant: Contestant) -> Run:
        """Play to the end, or to the cut-off, and return the figures."""
        cut_off_s = max(self.bound_s * constants.CUT_OFF, constants.CUT_OFF_LEAST_S)
        contestant.start()
        is_cut_off = False
        while self._events:
            when, _, action = heapq.heappop(self._events)
            if when > cut_off_s:
                is_cut_off = True
                break
            self.now = when
            action()
        return self._figures(is_cut_off, cut_off_s)

    def _figures(self, is_cut_off: bool, cut_off_s: float) -> Run:
        market, is_complete = self.market, not self.open_chunks
        return Run(
            seed=self._seed,
            window_s=market.window_s,
            is_silent=market.is_outage_silent and market.regime.outage is not None,
            makespan_s=self._last_answer_s if is_complete else cut_off_s,
            bound_s=self.bound_s,
            bound_ten_s=bound_of(market, largest_pack=10),
            is_complete=is_complete,
            requests=self._requests,
            limited=market.limited,
            paid_tokens=market.paid_tokens,
            twice_tokens=self._twice_tokens,
            fewest_tokens=cheapest_of(market),
            lost=0 if is_cut_off else len(self.open_chunks),
            doubled=sum(1 for count in self._settled.values() if count > 1),
            trace=self._trace,
        )

    def _arrive(
        self, way: str, chunks: Chunks, heard: Heard, timeout_s: float, is_twice: bool
    ) -> None:
        paid_before = self.market.paid_tokens
        fate = self.market.ask(way, len(chunks), self.now)
        if is_twice:
            self._twice_tokens += self.market.paid_tokens - paid_before
        if fate.after_s > timeout_s:  # the client gives up; the answer may still be written
            fate = Fate(kind=Kind.SILENT, after_s=timeout_s)
        self.at(self.now + fate.after_s, partial(self._end, chunks, heard, fate))

    def _end(self, chunks: Chunks, heard: Heard, fate: Fate) -> None:
        self._in_flight.subtract(chunks)
        line = f"{self.now!r} {fate.kind.value} {chunks[0]} {len(chunks)}"
        self._trace = crc32(line.encode(), self._trace)
        answered: frozenset[int] = frozenset()
        if fate.kind is Kind.ANSWERED:
            answered = frozenset(
                chunk for place, chunk in enumerate(chunks) if place not in fate.missing
            )
        heard(fate, answered)
