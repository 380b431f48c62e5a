"""What the scheduler moves: chunks that share one history, and the requests in which they travel.

Pure. A parcel waits in a queue, travels in one request, or in two at once if a slow request was
copied. Whoever answers first settles its chunks; the other request then settles nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from analysis.control.calls import Call
from analysis.records import ErrorDetail, Failed, FailureKind, Item, Labeled, Pack, Usage, Verdict


@dataclass(slots=True)
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
        flights: Requests that are on their way with it.
        declined: (ticket, index of the route) of chunks that one of two requests declined: the
            other one may still label them.
        rests_until: No copy is sent before, after one that failed.
        debt: What its next request takes from the budget of retries.
        is_settled: Every chunk has its verdict.
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
    flights: int = 0
    declined: frozenset[tuple[int, int]] = frozenset()
    rests_until: float = 0.0
    debt: float = 0.0
    is_settled: bool = False

    @property
    def route_index(self) -> int:
        """Index of the route that this parcel waits for."""
        return self.order[self.stage]

    @property
    def has_rest(self) -> bool:
        """Whether chunks of it are left to be decided on."""
        return not self.is_settled

    @property
    def has_failed_here(self) -> bool:
        """Whether these chunks failed on, or were refused by, the present route."""
        return bool(self.way_failures or self.answers or self.lone_failures)

    def with_pack(self, pack: Pack) -> Parcel:
        """Return a parcel of the same history with fewer chunks, on its way in no request."""
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
            rests_until=self.rests_until,
            debt=self.debt,
        )

    def part(self, tickets: Collection[int]) -> Parcel | None:
        """Return a parcel of the same history with these chunks only; None if there are none."""
        items = tuple(item for item in self.pack.items if item.ticket in tickets)
        return self.with_pack(Pack(items=items, topic=self.pack.topic)) if items else None

    def drop(self, tickets: Collection[int]) -> None:
        """Forget chunks that are decided on; without any left the parcel is settled."""
        items = tuple(item for item in self.pack.items if item.ticket not in tickets)
        if items:
            self.pack = Pack(items=items, topic=self.pack.topic)
        else:
            self.is_settled = True

    def move_to(self, stage: int) -> None:
        """Turn to a later route of the order, with a clean record there."""
        self.stage = stage
        self.way_failures = self.answers = self.lone_failures = 0

    def stand_at(self, index: int) -> None:
        """Make a route that is still to come the present one; the record stays.

        For requests that went over another route of the same model: what they met there counts as
        met at the present one, so that no change of routes adds attempts.
        """
        rest = tuple(one for one in self.order[self.stage :] if one != index)
        self.order = (*self.order[: self.stage], index, *rest)


@dataclass(slots=True, eq=False)
class Flight:
    """A request that was handed out and has not ended yet.

    Attributes:
        request_id: Of the Send.
        parcel: What travels; may be smaller by now than `pack`.
        pack: The chunks of the request.
        route_index: The route that it went over.
        cost_tokens: Reserved for it.
        is_probe: A probe of a route that was away.
        call: As the pacer knows it.
        sent_at: Monotonic seconds.
        is_copy: It was sent while another request with its chunks was on the way.
        is_echo: It was, over the same route as that one.
        is_stranded: Its route fell silent.
        has_begun: The first event of its answer came.
    """

    request_id: str
    parcel: Parcel
    pack: Pack
    route_index: int
    cost_tokens: int
    is_probe: bool
    call: Call
    sent_at: float
    is_copy: bool = False
    is_echo: bool = False
    is_stranded: bool = False
    has_begun: bool = False


def cut(parcel: Parcel, first: int) -> list[Parcel]:
    """Divide a parcel after its first so many chunks."""
    items, topic = parcel.pack.items, parcel.pack.topic
    parts = [items[:first], items[first:]]
    return [parcel.with_pack(Pack(items=part, topic=topic)) for part in parts if part]


def singles(parcel: Parcel) -> list[Parcel]:
    """Divide a parcel into one per chunk."""
    topic = parcel.pack.topic
    return [parcel.with_pack(Pack(items=(item,), topic=topic)) for item in parcel.pack.items]


def label_items(
    flight: Flight,
    route: str,
    labels: Mapping[int, tuple[str, ...]],
    usage: Usage,
    model: str,
    latency_s: float,
    confidences: Mapping[int, float],
) -> list[tuple[Item, Verdict]]:
    """Return the verdict on each chunk of an answered request that got a label first here."""
    parcel, items = flight.parcel, flight.pack.items
    count = len(items)
    settled: list[tuple[Item, Verdict]] = []
    open_tickets: Collection[int] = labels
    if parcel.pack is not flight.pack:  # a copy has settled a part of it
        open_tickets = {item.ticket for item in parcel.pack.items}
    shares = (usage,) if count == 1 else usage.shares(count)
    for item, share in zip(items, shares, strict=True):
        ticket = item.ticket
        if ticket in labels and ticket in open_tickets:
            verdict = Labeled(
                chunk_id=item.chunk.id,
                labels=labels[ticket],
                confidence=confidences.get(ticket),
                route=route,
                model=model,
                attempts=parcel.attempts,
                pack=count,
                latency_s=latency_s,
                usage=share,
            )
            settled.append((item, verdict))
    return settled


def fail_items(parcel: Parcel, *, route: str, model: str) -> tuple[tuple[Item, Verdict], ...]:
    """Return the verdicts on chunks that nothing helped, with what went wrong last."""
    detail = parcel.last or ErrorDetail(kind=FailureKind.UNAVAILABLE, message="no answer")
    return tuple(
        (
            item,
            Failed(
                chunk_id=item.chunk.id,
                error=detail,
                route=route,
                model=model,
                attempts=parcel.attempts,
                pack=len(parcel.pack.items),
            ),
        )
        for item in parcel.pack.items
    )


def stop_items(parcel: Parcel, reason: str) -> Iterator[tuple[Item, Verdict]]:
    """Yield the verdicts on chunks that are not sent any more because the run was stopped."""
    detail = ErrorDetail(kind=FailureKind.STOPPED, message=reason)
    for item in parcel.pack.items:
        yield item, Failed(chunk_id=item.chunk.id, error=detail, attempts=parcel.attempts)
