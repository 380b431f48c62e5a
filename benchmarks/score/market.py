"""The service of the score: limits, hidden windows, latencies and faults by seed, on virtual time.

Pure: `now` is handed in and never goes back; chance comes from the seed. It is a program of its own
and shares nothing with the package or with the local service. `stage` sends it requests.

What a real service may do otherwise, as far as anyone knows: a request reserves its input and the
cap of its output, and what was not used comes back with its end; a refused request costs a unit of
the minute's requests, also below zero, down to a wait of a minute; the wait that a 429 names is the
time until its request would pass, that unit included; `remaining` tells of the minute and never of
the hidden window.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field, replace
from enum import Enum

from benchmarks.score import constants
from benchmarks.score.bound import Job, Limiter, cheapest, expected_max, strict
from benchmarks.score.constants import Regime, Way

SMALL = 20
"""Up to so many chunks the slowest draw of the latency is the makespan, and the bound an
expectation. Source: pacing notes, section 1."""

ROUNDING = 1e-9


class Kind(Enum):
    """How a request ends."""

    ANSWERED = "answered"
    VOID = "void"  # an answer that is of no use
    LIMITED = "limited"  # 429
    SERVER_ERROR = "server_error"  # 500
    DROPPED = "dropped"  # the connection broke after the request was sent
    UNREACHED = "unreached"  # no connection; nothing was sent
    SILENT = "silent"  # nothing comes until the client gives up


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What an answer says about one limit, `requests` or `tokens`, per minute."""

    name: str
    limit: int
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a request.

    Attributes:
        kind: How it ends.
        after_s: The client learns it so long after the request arrived; infinite if never.
        missing: Places of the chunks that the answer leaves out.
        first_s: The first event of the answer comes so long after the request arrived, on a way
            that streams; None if none comes or the way does not stream.
        wait_s: What a 429 asks to wait.
        stated: What the answer says about the limits.
    """

    kind: Kind
    after_s: float
    missing: frozenset[int] = frozenset()
    first_s: float | None = None
    wait_s: float | None = None
    stated: tuple[Stated, ...] = ()


@dataclass(slots=True, kw_only=True)
class Budget:
    """A bucket: refills at `rate` up to `capacity`."""

    capacity: float
    rate: float
    level: float
    at: float = 0.0

    def refill(self, now: float) -> None:
        """Bring the level up to now."""
        self.level = min(self.capacity, self.level + self.rate * (now - self.at))
        self.at = now

    def lacks_s(self, amount: float) -> float:
        """Return how long it takes until so much is there."""
        return max(0.0, amount - self.level) / self.rate


@dataclass(slots=True)
class Limit:
    """A minute's limit of one dimension with its hidden window, or with none that is shorter."""

    name: str
    minute: Budget
    window: Budget | None
    returns: list[tuple[float, float]] = field(default_factory=list)

    def budgets(self) -> list[Budget]:
        """Return the buckets that a request draws from."""
        return [self.minute] if self.window is None else [self.minute, self.window]

    def bring_up(self, now: float) -> None:
        """Refill, and give back what requests that ended meanwhile did not use."""
        while self.returns and self.returns[0][0] <= now:
            at, amount = heapq.heappop(self.returns)
            for budget in self.budgets():
                budget.refill(max(at, budget.at))
                budget.level = min(budget.capacity, budget.level + amount)
        for budget in self.budgets():
            budget.refill(now)

    def lacks_s(self, amount: float) -> float:
        """Return how long it takes until so much may be drawn."""
        return max(budget.lacks_s(amount) for budget in self.budgets())

    def draw(self, amount: float) -> None:
        """Take it; the caller has looked whether it is there."""
        for budget in self.budgets():
            budget.level -= amount

    def fine(self) -> None:
        """Take a unit for a refused request.

        A minute's limit looks back a minute, so the debt never makes anybody wait for longer.
        """
        self.minute.level = max(self.minute.level - 1, 1 - self.minute.capacity)

    def stated(self) -> Stated:
        """Return what an answer says about this limit."""
        left = max(0, math.floor(self.minute.level))
        return Stated(name=self.name, limit=round(self.minute.capacity), remaining=left)


class Market:
    """One account during one run.

    Attributes:
        window_s: The hidden window of this seed; 60 means that there is none.
        fills: How full requests and tokens were at the start.
        is_outage_silent: An outage says nothing; else it refuses connections.
        limited: 429s given.
        paid_tokens: Billed so far, used or not.
    """

    def __init__(self, regime: Regime, seed: int) -> None:
        self.regime = regime
        self._ways = {way.name: way for way in regime.ways}
        self._first = regime.ways[0].name
        self._chance = random.Random(f"{regime.name} {seed}")
        self.window_s = self._chance.choice(regime.windows_s)
        self.fills = (
            self._chance.uniform(*regime.fill),
            self._chance.uniform(*regime.fill),
        )
        is_silent = self._chance.random() < 0.5
        self.is_outage_silent = is_silent if (told := regime.is_outage_silent) is None else told
        self.limited = 0
        self.paid_tokens = 0
        self._requests = self._limit("requests", regime.rpm, self.fills[0], least=1.0)
        least = regime.sizes.reserved_tokens(constants.LARGEST_PACK)
        self._tokens = self._limit("tokens", regime.tpm, self.fills[1], least=least)

    def _limit(self, name: str, per_minute: int, fill: float, *, least: float) -> Limit:
        rate = per_minute / 60.0
        minute = Budget(capacity=per_minute, rate=rate, level=per_minute * fill)
        if self.window_s >= 60.0:
            return Limit(name, minute, None)
        room = max(least, rate * self.window_s)
        return Limit(name, minute, Budget(capacity=room, rate=rate, level=room))

    def ask(self, way: str, chunks: int, now: float) -> Fate:
        """Take a request for so many chunks that arrives now."""
        regime, place = self.regime, self._ways[way]
        # Drawn before the limits are looked at, so that a refusal shifts no later draw.
        first_s, fault = self._first_token_s(place), self._chance.random()
        bad = frozenset(
            position
            for position in range(chunks)
            if self._chance.random() < regime.faults.bad_chunk
        )
        if self._is_dead(way, now):
            return self._lost(way, now)
        for limit in (self._requests, self._tokens):
            limit.bring_up(now)
        reserve, used = regime.sizes.reserved_tokens(chunks), regime.sizes.used_tokens(chunks)
        wait_s = max(self._requests.lacks_s(1), self._tokens.lacks_s(reserve))
        if wait_s > ROUNDING:
            self.limited += 1
            self._requests.fine()
            wait_s = max(wait_s, self._requests.lacks_s(1))
            return Fate(
                kind=Kind.LIMITED,
                after_s=constants.REFUSAL_S,
                wait_s=wait_s,
                stated=self._stated(place),
            )
        self._requests.draw(1)
        self._tokens.draw(reserve)
        stated = self._stated(place)
        end_s = first_s + regime.sizes.output_tokens(chunks) / regime.tokens_per_s
        kind = self._kind(fault)
        if kind is Kind.SERVER_ERROR:
            self._give_back(now + constants.REFUSAL_S, reserve)
            return Fate(kind=kind, after_s=constants.REFUSAL_S, stated=stated)
        self.paid_tokens += used
        self._give_back(now + end_s, reserve - used)
        sign_s = first_s if place.streams else None
        if self._dies_between(way, now, now + end_s):
            lost = self._lost(way, now)
            return (
                lost
                if self._dies_between(way, now, now + first_s)
                else replace(lost, first_s=sign_s)
            )
        match kind:
            case Kind.SILENT:
                return Fate(kind=kind, after_s=math.inf)
            case Kind.DROPPED:
                return Fate(kind=kind, after_s=first_s)
            case _:
                return Fate(kind=kind, after_s=end_s, missing=bad, first_s=sign_s, stated=stated)

    def _stated(self, way: Way) -> tuple[Stated, ...]:
        if not way.tells_limits:
            return ()
        return (self._requests.stated(), self._tokens.stated())

    def _give_back(self, at: float, amount: float) -> None:
        heapq.heappush(self._tokens.returns, (at, amount))

    def _first_token_s(self, way: Way) -> float:
        if self._chance.random() < self.regime.tail_chance:
            slow = constants.TAIL_START * self._chance.paretovariate(constants.TAIL_ALPHA)
            return min(constants.TAIL_CAP_S, way.ttft_s * slow)
        return way.ttft_s * self._chance.lognormvariate(0.0, self.regime.ttft_sigma)

    def _kind(self, draw: float) -> Kind:
        faults = self.regime.faults
        for share, kind in (
            (faults.hang, Kind.SILENT),
            (faults.server_error, Kind.SERVER_ERROR),
            (faults.drop, Kind.DROPPED),
            (faults.void, Kind.VOID),
        ):
            if draw < share:
                return kind
            draw -= share
        return Kind.ANSWERED

    def _is_dead(self, way: str, now: float) -> bool:
        span = self.regime.outage
        return span is not None and way == self._first and span[0] <= now < span[1]

    def _dies_between(self, way: str, begin: float, end: float) -> bool:
        span = self.regime.outage
        return span is not None and way == self._first and begin < span[0] < end

    def _lost(self, way: str, now: float) -> Fate:
        """Return what a request on a dead way comes to.

        A way that refuses breaks what is on it when it dies. On a silent one the client notices
        after `silence_s` that its connections are dead; those it opens afterwards time out.
        """
        assert self.regime.outage is not None
        begin, end = self.regime.outage
        if not self.is_outage_silent:
            if now < begin:
                return Fate(kind=Kind.DROPPED, after_s=begin - now)
            return Fate(kind=Kind.UNREACHED, after_s=constants.REFUSAL_S)
        noticed = begin + (self._ways[way].silence_s or math.inf)
        if now < noticed:
            return Fate(kind=Kind.DROPPED, after_s=noticed - now)
        return Fate(kind=Kind.UNREACHED, after_s=min(constants.CONNECT_TIMEOUT_S, end - now))

    # For the score

    def job(self, largest_pack: int = constants.LARGEST_PACK) -> Job:
        """Return what the bound has to know, with the true levels at the start."""
        regime, sizes = self.regime, self.regime.sizes
        floor = math.exp(regime.ttft_sigma * constants.FLOOR_QUANTILE_Z)
        return Job(
            chunks=regime.chunks,
            largest_pack=largest_pack,
            instruction=sizes.instruction,
            chunk=sizes.chunk,
            extra=sizes.extra_per_chunk,
            output=sizes.output_per_chunk,
            output_request=sizes.output_per_request,
            ttft_s=fastest_s(regime) * floor,
            tokens_per_s=regime.tokens_per_s,
            connect_s=regime.connect_s,
            slots=sum(way.in_flight for way in self._ways.values()),
            requests=limiters_of(self._requests, self.regime.rpm, self.fills[0]),
            tokens=limiters_of(self._tokens, self.regime.tpm, self.fills[1]),
        )


def limiters_of(limit: Limit, per_minute: int, fill: float) -> tuple[Limiter, ...]:
    """Return the limiters of one dimension as they stood at time 0."""
    rate = per_minute / 60.0
    levels = [per_minute * fill]
    if limit.window is not None:
        levels.append(limit.window.capacity)
    return tuple(Limiter(level=level, rate=rate) for level in levels)


def fastest_s(regime: Regime) -> float:
    """Return the least median of the time to the first token."""
    return min(way.ttft_s for way in regime.ways)


def survival(regime: Regime, seconds: float) -> float:
    """Return the chance that the first token takes longer on the fastest way."""
    if seconds <= 0:
        return 1.0
    if seconds >= constants.TAIL_CAP_S:
        return 0.0
    x = seconds / fastest_s(regime)
    usual = 0.5 * math.erfc(math.log(x) / (regime.ttft_sigma * math.sqrt(2)))
    tail = min(1.0, math.pow(x / constants.TAIL_START, -constants.TAIL_ALPHA))
    return (1 - regime.tail_chance) * usual + regime.tail_chance * tail


def bound_of(market: Market, largest_pack: int = constants.LARGEST_PACK) -> float:
    """Return the shortest time for the regime of a market.

    Up to `SMALL` chunks it allows for the slowest of that many draws, each the better of two, and
    is an expectation: a single run may be faster.
    """
    job = market.job(largest_pack)
    shortest = strict(job)
    if job.chunks > SMALL:
        return shortest
    slowest = expected_max(
        lambda seconds: survival(market.regime, seconds),
        draws=job.chunks,
        copies=2,
        cap=constants.TAIL_CAP_S,
    )
    output = job.output_request + job.output
    return max(shortest, job.connect_s + slowest + output / job.tokens_per_s)


def cheapest_of(market: Market, largest_pack: int = constants.LARGEST_PACK) -> float:
    """Return the fewest tokens for the regime of a market."""
    return cheapest(market.job(largest_pack))
