"""The virtual clock on which a contestant meets the market, and what is counted on the way.

Pure. `ours` and `naive` play on it: they send requests and are told how these end.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
        own_bound_s: The same with packs up to what this contestant may send.
        is_complete: Every chunk got an answer before the cut-off.
        requests: Sent, those refused included.
        limited: 429s.
        paid_tokens: Billed.
        twice_tokens: Part of them: hedged and rescued, that is, for requests with a chunk that was
            in flight in another one at that time, or that came back from a cancelled one.
        cancelled: Requests that the contestant gave up; they are billed like all others.
        late: Answers about chunks of which all had one already.
        fewest_tokens: The least for which the job can be had, with packs as for `own_bound_s`.
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
    own_bound_s: float
    is_complete: bool
    requests: int
    limited: int
    paid_tokens: int
    twice_tokens: int
    cancelled: int
    late: int
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

    @property
    def own_ratio(self) -> float:
        """Makespan / bound with packs up to what the contestant may send."""
        return self.makespan_s / self.own_bound_s


@dataclass(slots=True, kw_only=True)
class Flight:
    """A request under way, as `Stage.send` returns it.

    Attributes:
        way: Over which it goes.
        chunks: Asked about.
        heard: Told how it ends, unless it was cancelled.
        sign: Told when the first event of its answer comes, unless it was cancelled.
        timeout_s: The client gives it up after so long.
        is_twice: One of its chunks was in flight in another request, or in a cancelled one.
        is_cancelled: Nobody waits for it any more.
        is_over: It has ended.
        connection: What goes over the same one; None if it has one to itself.
    """

    way: str
    chunks: Chunks
    heard: Heard
    sign: Callable[[], None] | None
    timeout_s: float
    is_twice: bool
    is_cancelled: bool = False
    is_over: bool = False
    connection: list[Flight] | None = None


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
        self,
        regime: Regime,
        seed: int,
        make: Callable[[Regime, int], Market] = Market,
        *,
        largest_pack: int = constants.LARGEST_PACK,
    ) -> None:
        self.now = 0.0
        self.market = make(regime, seed)
        self.rng = random.Random(f"way {regime.name} {seed}")
        self.open_chunks = set(range(regime.chunks))
        self.bound_s = bound_of(self.market)
        self._largest_pack = largest_pack
        self._seed = seed
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._opened: dict[str, float] = {}
        self._ways = {way.name: way for way in regime.ways}
        self._connections: dict[str, list[list[Flight]]] = {way.name: [] for way in regime.ways}
        self._in_flight: Counter[int] = Counter()
        self._settled: Counter[int] = Counter()
        self._requests = 0
        self._twice_tokens = 0
        self._given_up: set[int] = set()
        self._cancelled = 0
        self._late = 0
        self._last_answer_s = 0.0
        self._trace = 0

    # For contestants

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Call later; `when` in virtual seconds."""
        heapq.heappush(self._events, (max(when, self.now), next(self._order), action))

    def send(
        self,
        way: str,
        chunks: Chunks,
        heard: Heard,
        *,
        timeout_s: float | None = None,
        sign: Callable[[], None] | None = None,
    ) -> Flight:
        """Send a request; the first one on a way opens its connection.

        Args:
            way: Over which.
            chunks: Asked about.
            heard: Told how it ends.
            timeout_s: Given up after so long; by default after the time of the regime.
            sign: Told when the first event of the answer comes, where the way streams.
        """
        regime = self.market.regime
        self._requests += 1
        ready = self._opened.setdefault(way, self.now + regime.connect_s)
        jitter_s = self.rng.uniform(0, regime.arrival_jitter_s)
        is_rescue = not self._given_up.isdisjoint(chunks)
        self._given_up.difference_update(chunks)
        flight = Flight(
            way=way,
            chunks=chunks,
            heard=heard,
            sign=sign,
            timeout_s=regime.timeout_s if timeout_s is None else timeout_s,
            is_twice=is_rescue or any(self._in_flight[one] for one in chunks),
        )
        self._in_flight.update(chunks)
        self._connect(flight)
        self.at(max(self.now, ready) + jitter_s, partial(self._arrive, flight))
        return flight

    def cancel(self, flight: Flight) -> None:
        """Give a request up: it is billed as if nobody had, and never heard of again.

        What the vendor bills for a cancelled request is not known; this is the most it can be.
        """
        flight.is_cancelled = True
        self._cancelled += 1
        self._in_flight.subtract(flight.chunks)
        self._given_up.update(self.open_chunks.intersection(flight.chunks))

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
            own_bound_s=bound_of(market, self._largest_pack),
            is_complete=is_complete,
            requests=self._requests,
            limited=market.limited,
            paid_tokens=market.paid_tokens,
            twice_tokens=self._twice_tokens,
            cancelled=self._cancelled,
            late=self._late,
            fewest_tokens=cheapest_of(market, self._largest_pack),
            lost=0 if is_cut_off else len(self.open_chunks),
            doubled=sum(1 for count in self._settled.values() if count > 1),
            trace=self._trace,
        )

    def _connect(self, flight: Flight) -> None:
        """Give a request a place on the connection with the most room, or on a new one."""
        most = self._ways[flight.way].per_connection
        if most > 1:
            connections = self._connections[flight.way]
            connection = min(connections, key=len, default=[])
            if not connections or len(connection) >= most:
                connection = []
                connections.append(connection)
            flight.connection = connection
            connection.append(flight)

    def _disconnect(self, flight: Flight, fate: Fate) -> list[Flight]:
        """Take a request from its connection; return those that are lost with it."""
        if flight.connection is None:
            return []
        if fate.kind is not Kind.DROPPED:
            flight.connection[:] = [one for one in flight.connection if one is not flight]
            return []
        lost = [one for one in flight.connection if one is not flight]
        flight.connection.clear()
        return lost

    def _arrive(self, flight: Flight) -> None:
        if flight.is_over:  # its connection broke meanwhile
            return
        paid_before = self.market.paid_tokens
        fate = self.market.ask(flight.way, len(flight.chunks), self.now)
        if flight.is_twice:
            self._twice_tokens += self.market.paid_tokens - paid_before
        if fate.after_s > flight.timeout_s:  # the client gives up; the answer may still be written
            fate = replace(fate, kind=Kind.SILENT, after_s=flight.timeout_s, stated=())
        if fate.first_s is not None and flight.sign is not None and fate.first_s < fate.after_s:
            self.at(self.now + fate.first_s, partial(self._sign, flight))
        self.at(self.now + fate.after_s, partial(self._end, flight, fate))

    def _sign(self, flight: Flight) -> None:
        if not flight.is_over and not flight.is_cancelled and flight.sign is not None:
            flight.sign()

    def _end(self, flight: Flight, fate: Fate) -> None:
        if flight.is_over:
            return
        lost = [flight, *self._disconnect(flight, fate)]
        for one in lost:
            one.is_over = True
        for one in lost:
            self._tell(one, fate)

    def _tell(self, flight: Flight, fate: Fate) -> None:
        chunks = flight.chunks
        line = f"{self.now!r} {fate.kind.value} {chunks[0]} {len(chunks)}"
        self._trace = crc32(line.encode(), self._trace)
        if flight.is_cancelled:
            return
        self._in_flight.subtract(chunks)
        answered: frozenset[int] = frozenset()
        if fate.kind is Kind.ANSWERED:
            answered = frozenset(
                chunk for place, chunk in enumerate(chunks) if place not in fate.missing
            )
            self._late += bool(answered) and answered.isdisjoint(self.open_chunks)
        flight.heard(fate, answered)
