"""The state of one route inside the scheduler, and what is on its way over it.

Pure. Only the scheduler uses it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.control.breaker import Breaker, Gate
from analysis.control.decisions import Costs
from analysis.control.pacing import Call, Pacer
from analysis.errors import RequestTooLarge, TransportError
from analysis.records import ErrorDetail, Failed, FailureKind, Item, Labeled, Pack, Usage, Verdict
from analysis.settings import Settings

SCOUT_WORTH_S = 0.5
"""Seconds that what is queued takes at the assumed rate, from which on a scout is sent: about what
a first request over HTTPS takes, the import of its client included."""

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
    """

    name: str
    model: str
    account: str
    in_flight: int
    most_chunks: int | None = None
    states_limits: bool = True
    prompt: str = "text"

    def asks_like(self, other: RoutePlan) -> bool:
        """Tell whether both ask the same model the same question, so that no label differs."""
        return (self.model, self.prompt) == (other.model, other.prompt)


@dataclass(slots=True, kw_only=True)
class Parcel:
    """Chunks that share one history: a pack as offered, or what is left of it.

    Attributes:
        pack: The chunks.
        order: Indexes of the routes to try, first one first.
        stage: Place in `order`.
        attempts: Requests sent so far in which these chunks travelled.
        way_failures: Failures of the way on the present route; a shared one counts in part.
        answers: Unusable answers on the present route.
        lone_failures: Failures on the present route, while alone, that the chunk itself caused.
        failed_routes: Routes left because of such failures.
        last: Why the last request failed.
        since: When it was offered, monotonic seconds.
    """

    pack: Pack
    order: tuple[int, ...]
    since: float
    stage: int = 0
    attempts: int = 0
    way_failures: float = 0
    answers: int = 0
    lone_failures: int = 0
    failed_routes: int = 0
    last: ErrorDetail | None = None

    @property
    def route_index(self) -> int:
        """Index of the route that this parcel waits for."""
        return self.order[self.stage]

    @property
    def has_failed_here(self) -> bool:
        """Whether these chunks failed on, or were refused by, the present route."""
        return bool(self.way_failures or self.answers or self.lone_failures)

    def with_pack(self, pack: Pack) -> Parcel:
        """Return a parcel of the same history with fewer chunks."""
        return Parcel(
            pack=pack,
            order=self.order,
            since=self.since,
            stage=self.stage,
            attempts=self.attempts,
            way_failures=self.way_failures,
            answers=self.answers,
            lone_failures=self.lone_failures,
            failed_routes=self.failed_routes,
            last=self.last,
        )

    def part(self, tickets: Collection[int]) -> Parcel | None:
        """Return a parcel of the same history with these chunks only; None if there are none."""
        items = tuple(item for item in self.pack.items if item.ticket in tickets)
        return self.with_pack(Pack(items=items, topic=self.pack.topic)) if items else None

    def move_to(self, stage: int) -> None:
        """Turn to a later route of the order, with a clean record there."""
        self.stage = stage
        self.way_failures = self.answers = self.lone_failures = 0


@dataclass(slots=True, kw_only=True)
class Flight:
    """A request that was handed out and has not ended yet."""

    parcel: Parcel
    route_index: int
    cost_tokens: int
    is_probe: bool
    call: Call


@dataclass(slots=True, kw_only=True)
class RouteState:
    """A route during a run: health, pace, queue and counters.

    Attributes:
        is_probed: A probe is on its way.
        closed: Why the route is out, or None.
        opens_at: When a closed route is open again; `NEVER`: it is out for the whole run.
        last_error: What was wrong the last time that a request got lost.
    """

    plan: RoutePlan
    breaker: Breaker
    pacer: Pacer
    limit: int
    queue: deque[Parcel] = field(default_factory=deque)
    in_flight: int = 0
    is_probed: bool = False
    closed: str | None = None
    opens_at: float = NEVER
    last_error: str = ""
    sent: int = 0
    answered: int = 0
    failed: int = 0
    rate_limited: int = 0
    chunks_labeled: int = 0
    usage: Usage = field(default_factory=Usage)

    def ready_at(self, parcel: Parcel, *, cost_of: Costs, now: float) -> float:
        """Return when a request for this parcel, or a probe of it, may go; `now` if at once.

        `NEVER` means: after an outcome.

        Raises:
            RequestTooLarge: If the request exceeds a whole minute's limit.
        """
        gate = self.breaker.gate(now)
        if gate is Gate.SHUT:
            return self.breaker.opens_at or now
        if self.in_flight >= self.limit or (gate is Gate.PROBE and self.is_probed):
            return NEVER
        sent = self.portion(parcel, is_probe=gate is Gate.PROBE)[0]
        return self.pacer.ready_at(cost_tokens=cost_of(self.plan.name, sent.pack), now=now)

    def portion(self, parcel: Parcel, *, is_probe: bool) -> list[Parcel]:
        """Return what one request takes of a parcel, and what is left of it, if anything."""
        most = 1 if is_probe else self.plan.most_chunks
        if most is None or len(parcel.pack.items) <= most:
            return [parcel]
        return cut(parcel, most)

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
        self.usage += usage

    def statistics(self) -> dict[str, float | int | str | bool | None]:
        """Return counters and present limits as plain values."""
        return {
            "model": self.plan.model,
            "requests_sent": self.sent,
            "requests_answered": self.answered,
            "requests_failed": self.failed,
            "rate_limited": self.rate_limited,
            "chunks_labeled": self.chunks_labeled,
            **self.usage.to_dict(),
            "in_flight": self.in_flight,
            "in_flight_limit": self.limit,
            "requests_per_minute": self.pacer.requests.per_minute,
            "tokens_per_minute": self.pacer.tokens.per_minute,
            "is_open": self.closed is None,
            "closed_because": self.closed,
        }


def cut(parcel: Parcel, first: int) -> list[Parcel]:
    """Divide a parcel after its first so many chunks."""
    items, topic = parcel.pack.items, parcel.pack.topic
    parts = [items[:first], items[first:]]
    return [parcel.with_pack(Pack(items=part, topic=topic)) for part in parts if part]


def singles(parcel: Parcel) -> list[Parcel]:
    """Divide a parcel into one per chunk."""
    topic = parcel.pack.topic
    return [parcel.with_pack(Pack(items=(item,), topic=topic)) for item in parcel.pack.items]


def open_routes(
    plans: Sequence[RoutePlan], *, rng: random.Random, now: float, settings: Settings
) -> list[RouteState]:
    """Return the state of each route; those of one account and model share a pacer."""
    pacers: dict[tuple[str, str], Pacer] = {}
    states = []
    for plan in plans:
        share = (plan.account, plan.model)
        if share not in pacers:
            pacers[share] = Pacer(now=now, rng=rng, settings=settings)
        breaker = Breaker(rng=rng, settings=settings)
        state = RouteState(plan=plan, breaker=breaker, pacer=pacers[share], limit=plan.in_flight)
        states.append(state)
    return states


def label_items(
    parcel: Parcel,
    route: str,
    labels: Mapping[int, tuple[str, ...]],
    usage: Usage,
    model: str,
    latency_s: float,
    confidences: Mapping[int, float],
) -> Iterator[tuple[Item, Verdict]]:
    """Yield the verdict on each chunk of an answered request that got a label."""
    shares = usage.shares(len(parcel.pack.items))
    for item, share in zip(parcel.pack.items, shares, strict=True):
        if item.ticket in labels:
            yield (
                item,
                Labeled(
                    chunk_id=item.chunk.id,
                    labels=labels[item.ticket],
                    confidence=confidences.get(item.ticket),
                    route=route,
                    model=model,
                    attempts=parcel.attempts,
                    pack=len(parcel.pack.items),
                    latency_s=latency_s,
                    usage=share,
                ),
            )


def fail_items(parcel: Parcel, plan: RoutePlan) -> tuple[tuple[Item, Verdict], ...]:
    """Return the verdicts on chunks that nothing helped, with what went wrong last."""
    detail = parcel.last or ErrorDetail(kind=FailureKind.UNAVAILABLE, message="no answer")
    return tuple(
        (
            item,
            Failed(
                chunk_id=item.chunk.id,
                error=detail,
                route=plan.name,
                model=plan.model,
                attempts=parcel.attempts,
                pack=len(parcel.pack.items),
            ),
        )
        for item in parcel.pack.items
    )


def scout_of(route: RouteState, routes: Sequence[RouteState], now: float) -> RouteState:
    """Return the route that sends the head of this one's queue: itself, or one that tells limits.

    A route that does not state its limits is paced by assumed ones. Once these hold a request back,
    one request goes over a later route of the same model and account that states them, and what it
    hears paces both. Small jobs never get there. If the scout fails, its own route is the next one.
    What is queued has to be worth it: a first request over another route has to connect.
    """
    parcel, pacer = route.queue[0], route.pacer
    if len(route.queue) < pacer.requests.rate * SCOUT_WORTH_S:
        return route
    if route.plan.states_limits or pacer.is_scouted or not (pacer.is_guessed and pacer.is_short):
        return route
    for index in parcel.order[parcel.stage + 1 :]:
        other = routes[index]
        is_free = not other.queue and other.in_flight < other.limit and other.closed is None
        is_telling = other.plan.states_limits and other.plan.asks_like(route.plan)
        if other.pacer is pacer and is_telling and is_free and other.breaker.gate(now) is Gate.PASS:
            pacer.is_scouted = True
            parcel.order = (index, *(one for one in parcel.order[parcel.stage :] if one != index))
            parcel.move_to(0)
            other.queue.appendleft(route.queue.popleft())
            return other
    return route


def stop_items(parcel: Parcel, reason: str) -> Iterator[tuple[Item, Verdict]]:
    """Yield the verdicts on chunks that are not sent any more because the run was stopped."""
    detail = ErrorDetail(kind=FailureKind.STOPPED, message=reason)
    for item in parcel.pack.items:
        yield item, Failed(chunk_id=item.chunk.id, error=detail, attempts=parcel.attempts)


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
    usable = [route.breaker.down_since for route in routes if route.closed is None]
    downs = [down for down in usable if down is not None]
    return max(downs) if downs and len(downs) == len(usable) else None


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
