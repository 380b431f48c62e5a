"""When a request that takes too long is sent a second time.

Pure. The scheduler asks when nothing else is to be sent. A copy goes over another route of the same
model where there is one, else over another lane of the same. Whoever answers first settles the
chunks; the other one is cancelled, and what it cost is counted.

    request                                              copied
    slower than the slowest twentieth, by the prediction  within the share allowed
    on a route that fell silent                           always ("rescued")
    a copy; one that has a copy                           never

Near the end a late request is copied before smaller ones that still wait, since its answer takes
longer than theirs.
"""

from __future__ import annotations

from collections.abc import Iterable

from analysis.control.caps import affords_copy
from analysis.control.parcels import Flight
from analysis.control.queues import is_last_lap
from analysis.control.routes import NEVER, RouteState
from analysis.control.runstate import RunState
from analysis.errors import RequestTooLarge
from analysis.settings import Settings


class Copies:
    """How many requests were sent, copied and rescued.

    Attributes:
        sent: Requests, copies included.
        hedged: Copies of slow requests.
        rescued: Copies of requests on a route that fell silent.
        largest: Most chunks in a request so far.
    """

    def __init__(self, *, settings: Settings) -> None:
        self.sent = 0
        self.hedged = 0
        self.rescued = 0
        self.largest = 0
        self._settings = settings

    def statistics(self) -> dict[str, object]:
        """Return how many requests were copied because they were slow, or rescued."""
        return {"requests_copied": self.hedged, "requests_rescued": self.rescued}

    @property
    def has_share(self) -> bool:
        """Whether one more slow request may be copied."""
        knobs = self._settings
        return self.hedged + 1 <= knobs.hedge_extra + knobs.hedge_share * self.sent

    def factor(self, route: RouteState) -> float | None:
        """Return how many times the predicted latency a request may take; None: not known."""
        knobs, latency = self._settings, route.latency
        if not latency.samples:
            return None
        high = latency.quantile(knobs.hedge_quantile)
        return knobs.hedge_blind if high is None else max(knobs.hedge_floor, high)

    def due_at(self, flight: Flight, route: RouteState, factor: float | None) -> float:
        """Return when a request should be copied; `NEVER` if it should not."""
        if flight.parcel.flights > 1 or flight.parcel.is_settled:
            return NEVER
        if flight.parcel.declined:
            return NEVER  # they are not asked there again
        rests_until = flight.parcel.rests_until
        if flight.is_stranded:
            return max(flight.sent_at, rests_until)
        if not (self.has_share and route.plan.may_copy):
            return NEVER
        if factor is None:
            return max(flight.sent_at + self._settings.hedge_unknown_s, rests_until)
        usual_s = route.latency.predict(len(flight.pack.items))
        late_s = max(factor * usual_s, usual_s + self._settings.hedge_least_s)
        return max(flight.sent_at + late_s, rests_until)

    def next(self, run: RunState, now: float) -> tuple[Flight, RouteState] | float:
        """Return a request to be copied now and over which route, counted; or when to look again.

        While there is other work, waiting for one request costs nothing.
        """
        wake = NEVER
        for route in run.routes:
            if not route.flights or route.queue or _any_queued(run, route.peers):
                continue
            found = self._look(run, route, now)
            if not isinstance(found, float):
                return found
            wake = min(wake, found)
        return wake

    def is_first(self, run: RunState) -> bool:
        """Tell whether a copy may go before what waits: that is the rest, and all small."""
        most = 0
        for route in run.routes:
            if queue := route.queue:
                if not is_last_lap(queue):
                    return False
                most = max(most, len(queue[0].pack.items))
        return 0 < most < self.largest and not run.ahead

    def next_first(self, run: RunState, now: float) -> tuple[Flight, RouteState] | float:
        """Return a copy that goes before what waits, counted; or when it may go, `NEVER`: none.

        It is of a late request that is larger than what waits, so its answer will take longer.
        """
        wake = NEVER
        most = max(len(route.queue[0].pack.items) for route in run.routes if route.queue)
        for route in run.routes:
            found = self._look(run, route, now, above=most)
            if not isinstance(found, float):
                return found
            wake = min(wake, found)
        return wake

    def _look(
        self, run: RunState, route: RouteState, now: float, *, above: int = 0
    ) -> tuple[Flight, RouteState] | float:
        """Look at what is on its way over a route.

        Args:
            run: Of the route.
            route: One that may have requests on their way.
            now: Monotonic seconds.
            above: Only requests with more chunks, and of these only such as are due.
        """
        wake, factor = NEVER, self.factor(route)
        for flight in route.flights.values():
            if len(flight.parcel.pack.items) <= above:
                continue
            at = self.due_at(flight, route, factor)
            if at > now:
                wake = wake if above else min(wake, at)
                continue
            other, at = other_way(run, flight, route, now)
            if other is not None:
                self._count(route, is_rescue=flight.is_stranded)
                return flight, other
            wake = min(wake, at)
        return wake

    def _count(self, route: RouteState, *, is_rescue: bool) -> None:
        if is_rescue:
            self.rescued += 1
            route.rescued += 1
        else:
            self.hedged += 1
            route.copied += 1


def _any_queued(run: RunState, indexes: Iterable[int]) -> bool:
    for index in indexes:  # noqa: SIM110 (asked for every request, and twice as fast as any())
        if run.routes[index].queue:
            return True
    return False


def other_way(
    run: RunState, flight: Flight, route: RouteState, now: float
) -> tuple[RouteState | None, float]:
    """Return over which route a copy may go now, or None and when to look again.

    Other routes that ask alike come first; the same one is the last choice, and none if it fell
    silent.
    """
    wake, parcel = NEVER, flight.parcel
    order = parcel.order[parcel.stage :]
    for other in (*(run.routes[index] for index in route.peers), route):
        if not (other.is_up and other.has_slot) or other.index not in order:
            continue
        if other is route and flight.is_stranded:
            continue
        most = other.plan.most_chunks
        if most is not None and len(parcel.pack.items) > most:
            continue
        try:
            at = other.ready_at(parcel, cost_of=run.cost_of, now=now)
        except RequestTooLarge:
            continue
        if at > now:
            wake = min(wake, at)
        elif affords_copy(run, other, parcel):
            return other, now
    return None, wake
