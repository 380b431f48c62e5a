"""When a request that takes too long is sent a second time.

Pure. The scheduler asks when nothing else is to be sent. A copy goes over another route of the same
model where there is one, else over another lane of the same. Whoever answers first settles the
chunks; the other one is cancelled, and what it cost is counted.

    request                                              copied
    slower than the slowest twentieth, by the prediction  within the share allowed
    on a route that fell silent                           always ("rescued")
    a probe; a copy; one that has a copy                  never
"""

from __future__ import annotations

from collections.abc import Iterable

from analysis.control.caps import affords_copy
from analysis.control.parcels import Flight
from analysis.control.routes import NEVER, RouteState
from analysis.control.runstate import RunState
from analysis.errors import RequestTooLarge
from analysis.settings import Settings


class Copies:
    """How many requests were sent, copied and rescued."""

    def __init__(self, *, settings: Settings) -> None:
        self.sent = 0
        self.hedged = 0
        self.rescued = 0
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
        if flight.parcel.flights > 1 or flight.is_probe or flight.parcel.is_settled:
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
            factor = self.factor(route)
            for flight in route.flights.values():
                at = self.due_at(flight, route, factor)
                if at > now:
                    wake = min(wake, at)
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
