"""The state of one route inside the scheduler, and what is on its way over it.

Pure. Only the scheduler uses it.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.control.breaker import Breaker, Gate
from analysis.control.concurrency import Concurrency
from analysis.control.decisions import Costs
from analysis.control.latency import Latency
from analysis.control.learned import Learned
from analysis.control.pacing import Pacer
from analysis.control.parcels import Flight, Parcel, cut
from analysis.control.spending import Rates
from analysis.errors import RequestTooLarge, TransportError
from analysis.records import Pack, Usage
from analysis.settings import Settings

NEVER = float("inf")
"""Not at any time that is known yet: only an outcome or an offer can change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePlan:
    """What the scheduler has to know of a route.

    Attributes:
        name: Such as `realtime`.
        model: The model that is asked for.
        account: Equal for routes that share key and host; a refused key closes them together.
        in_flight: Most requests at once.
        most_chunks: Most chunks in one request; None leaves the packs as they are.
        states_limits: Its service tells requests and tokens per minute with its answers.
        prompt: Name of the form in which it asks; rows of one run should share it.
        may_copy: A request that takes too long may be sent a second time.
        learned: Limits of its model at its account that an earlier run ended with, or None.
        latency_s: Usual seconds of an answer in an earlier run, or None.
        rates: What its tokens cost; None: nobody knows.
        cached_prefix_tokens: Of the instructions, which its service caches; 0: it does not.
    """

    name: str
    model: str
    account: str
    in_flight: int
    most_chunks: int | None = None
    states_limits: bool = True
    prompt: str = "text"
    may_copy: bool = True
    learned: Learned | None = None
    latency_s: float | None = None
    rates: Rates | None = None
    cached_prefix_tokens: int = 0

    def asks_like(self, other: RoutePlan) -> bool:
        """Tell whether both ask the same model the same question, so that no label differs."""
        return (self.model, self.prompt) == (other.model, other.prompt)


@dataclass(slots=True, kw_only=True, eq=False)
class RouteState:
    """A route during a run: health, pace, queue and counters.

    Attributes:
        index: Place among the routes of the run.
        peers: Indexes of the other routes that ask the same model the same question on the same
            account, so that a request may go over any of them.
        is_heard: It, or one that shares its pacer, states limits.
        flights: Requests on their way over it, in the order in which they were sent.
        is_probed: A probe is on its way.
        signed_at: When it gave the last sign of life: an answer, or the first event of one.
        silent_at: From when it counts as silent if nothing is heard until then; `NEVER`: it is not
            watched; None: to be found out again, since something has changed.
        used_at: When a request was handed to it last.
        closed: Why the route is out, or None.
        opens_at: When a closed route is open again; `NEVER`: it is out for the whole run.
        asked: For which pack `ready_at` was asked last, and its cost; None: that may be old.
        last_error: What was wrong the last time that a request got lost.
    """

    index: int
    plan: RoutePlan
    breaker: Breaker
    pacer: Pacer
    latency: Latency
    concurrency: Concurrency
    peers: tuple[int, ...] = ()
    is_heard: bool = True
    queue: deque[Parcel] = field(default_factory=deque)
    flights: dict[str, Flight] = field(default_factory=dict)
    is_probed: bool = False
    signed_at: float = 0.0
    silent_at: float | None = None
    used_at: float = 0.0
    closed: str | None = None
    opens_at: float = NEVER
    asked: tuple[Pack, int] | None = None
    last_error: str = ""
    sent: int = 0
    answered: int = 0
    failed: int = 0
    copied: int = 0
    rescued: int = 0
    late: int = 0
    cancelled: int = 0
    rate_limited: int = 0
    chunks_labeled: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def in_flight(self) -> int:
        """Requests on their way over it."""
        return len(self.flights)

    @property
    def has_slot(self) -> bool:
        """Whether one more request may be on its way."""
        return len(self.flights) < self.concurrency.limit

    @property
    def is_up(self) -> bool:
        """Whether it is in use: neither closed nor away."""
        return self.closed is None and self.breaker.is_closed

    def ready_at(self, parcel: Parcel, cost_of: Costs, now: float) -> float:
        """Return when a request for this parcel, or a probe of it, may go; `now` if at once.

        `NEVER` means: after an outcome.

        Raises:
            RequestTooLarge: If the request exceeds a whole minute's limit.
        """
        breaker, is_probe = self.breaker, False
        if not breaker.is_closed:
            if breaker.gate(now) is Gate.SHUT:
                return breaker.opens_at or now
            is_probe = True
        if len(self.flights) >= self.concurrency.limit or (is_probe and self.is_probed):
            return NEVER
        pack, most = parcel.pack, 1 if is_probe else self.plan.most_chunks
        if most is not None and most < len(pack.items):
            pack = cut(parcel, most)[0].pack
        cost = cost_of(self.plan.name, pack)
        self.asked = pack, cost
        return self.pacer.ready_at(cost, now)

    def is_to_probe(self, now: float) -> bool:
        """Tell whether a request that is sent now would be a probe."""
        return not self.breaker.is_closed and self.breaker.gate(now) is Gate.PROBE

    def most_at(self, now: float) -> int:
        """Return how many chunks one request takes that is sent now; a probe takes one."""
        if self.is_to_probe(now):
            return 1
        most = self.plan.most_chunks
        return sys.maxsize if most is None else most

    def room_at(self, parcel: Parcel, *, cost_of: Costs, now: float) -> float:
        """Return when this route may take a parcel of a route that is away.

        Parcels come over only when they can be sent at once, so that the rest stays with its own
        route, which may return; and parcels that were offered earlier go first.
        """
        if self.queue and self.queue[0].since < parcel.since:
            return NEVER
        try:
            return self.ready_at(parcel, cost_of=cost_of, now=now)
        except RequestTooLarge:
            return NEVER

    def lose(self, error: TransportError, *, is_probe: bool, now: float) -> bool:
        """Count a request that got lost; return True if that took the route down."""
        self.last_error = str(error)
        return self.breaker.on_failure(
            now=now,
            is_probe=is_probe,
            is_refused_connection=not error.was_sent,
            loss=error.loss,
        )

    def count_usage(self, usage: Usage) -> None:
        """Count what a request was billed."""
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_tokens += usage.cached_tokens
        self.written_tokens += usage.written_tokens
        self.reasoning_tokens += usage.reasoning_tokens

    @property
    def usage(self) -> Usage:
        """What its requests were billed so far."""
        return Usage(
            input_tokens=self.input_tokens,
            cached_tokens=self.cached_tokens,
            written_tokens=self.written_tokens,
            output_tokens=self.output_tokens,
            reasoning_tokens=self.reasoning_tokens,
        )

    def statistics(self) -> dict[str, float | int | str | bool | None]:
        """Return counters and present limits as plain values."""
        return {
            "model": self.plan.model,
            "requests_sent": self.sent,
            "requests_answered": self.answered,
            "requests_failed": self.failed,
            "requests_copied": self.copied,
            "requests_rescued": self.rescued,
            "requests_cancelled": self.cancelled,
            "answers_late": self.late,
            "rate_limited": self.rate_limited,
            "chunks_labeled": self.chunks_labeled,
            **self.usage.to_dict(),
            "in_flight": self.in_flight,
            "in_flight_limit": self.concurrency.limit,
            "latency_s": self.latency.predict(1) if self.latency.samples else None,
            "seconds_per_chunk": self.latency.seconds_per_chunk,
            "tokens_reserved": self.pacer.tokens_reserved,
            "tokens_refunded": self.pacer.tokens_refunded,
            "requests_per_minute": self.pacer.requests.per_minute,
            "tokens_per_minute": self.pacer.tokens.per_minute,
            "breaker": self.breaker.state,
            "is_open": self.closed is None,
            "closed_because": self.closed,
        }


def open_routes(
    plans: Sequence[RoutePlan], *, rng: random.Random, now: float, settings: Settings
) -> list[RouteState]:
    """Return the state of each route; those of one account and model share a pacer."""
    pacers: dict[tuple[str, str], Pacer] = {}
    states = []
    for index, plan in enumerate(plans):
        share = (plan.account, plan.model)
        if share not in pacers:
            known = [one.learned for one in plans if share == (one.account, one.model)]
            learned = next((one for one in known if one is not None), None)
            pacers[share] = Pacer(now=now, rng=rng, settings=settings, learned=learned)
        peers = tuple(
            place
            for place, other in enumerate(plans)
            if place != index and other.account == plan.account and other.asks_like(plan)
        )
        states.append(
            RouteState(
                index=index,
                plan=plan,
                breaker=Breaker(rng=rng, settings=settings),
                pacer=pacers[share],
                latency=Latency(settings=settings, usual_s=plan.latency_s),
                concurrency=Concurrency(cap=plan.in_flight, settings=settings),
                peers=peers,
                is_heard=any(
                    one.states_limits for one in plans if share == (one.account, one.model)
                ),
                signed_at=now,
                used_at=now,
            )
        )
    return states


def all_up(routes: Sequence[RouteState]) -> bool:
    """Tell whether every route is in use."""
    for route in routes:  # noqa: SIM110 (asked at every poll, and twice as fast as all())
        if route.closed is not None or not route.breaker.is_closed:
            return False
    return True


def all_full(routes: Sequence[RouteState]) -> bool:
    """Tell whether no route takes one more request."""
    for route in routes:  # noqa: SIM110 (as above)
        if len(route.flights) < route.concurrency.limit:
            return False
    return True


def lets_go_at(route: RouteState, other: RouteState, *, has_failed: bool, after_s: float) -> float:
    """Return from when on a parcel may go from a route to one after it; `NEVER` if it is up.

    Args:
        route: The one to leave.
        other: The one after it.
        has_failed: The chunks failed on, or were refused by, `route` themselves.
        after_s: How long other chunks wait for a route that worked, before another model.
    """
    down_since = route.breaker.down_since
    if down_since is None:
        return NEVER
    if has_failed or not route.breaker.ever_worked or other.plan.asks_like(route.plan):
        return down_since
    return down_since + after_s


def all_down_since(routes: Sequence[RouteState]) -> float | None:
    """Return when the last usable route went down; None if one is up or none is usable."""
    latest = None
    for route in routes:
        if route.closed is None:
            down_since = route.breaker.down_since
            if down_since is None:
                return None
            latest = down_since if latest is None else max(latest, down_since)
    return latest


def has_open_route_after(parcel: Parcel, routes: Sequence[RouteState]) -> bool:
    """Tell whether a later route of the parcel's order can still be tried in this run."""
    return any(routes[index].closed is None for index in parcel.order[parcel.stage + 1 :])


def way_out(
    parcel: Parcel, routes: Sequence[RouteState], *, cost_of: Costs, after_s: float, now: float
) -> tuple[float, int]:
    """Return when, and to which stage of its order, a parcel may leave a route that is away.

    Routes that are away themselves are passed over. If there is no later route, or its own route
    is up: `NEVER` and the present stage.
    """
    best, stage = NEVER, parcel.stage
    at, here, has_failed = now, routes[parcel.route_index], parcel.has_failed_here
    for later in range(parcel.stage + 1, len(parcel.order)):
        other = routes[parcel.order[later]]
        if other.closed is not None:
            continue
        at = max(at, lets_go_at(here, other, has_failed=has_failed, after_s=after_s))
        if at == NEVER:
            break
        room_at = max(at, other.room_at(parcel, cost_of=cost_of, now=now))
        if stage == parcel.stage or room_at < best:
            best, stage = room_at, later
        here, has_failed = other, False
    return best, stage


def way_back(parcel: Parcel, routes: Sequence[RouteState]) -> int | None:
    """Return an earlier stage whose route is up again, for chunks that were never sent.

    Only to a route that asks alike: they had left it because it was away.
    """
    if parcel.attempts:
        return None
    here = routes[parcel.route_index]
    stages = range(parcel.stage)
    return next(
        (
            one
            for one in stages
            if parcel.order[one] in here.peers and routes[parcel.order[one]].is_up
        ),
        None,
    )
