"""Over which of several equal routes a request goes.

Pure. Equal routes ask the same model the same question on the same account, so no label depends on
the choice, and the price is the same. The scheduler asks for every request.

    situation                                        goes over
    the limits of the account hold requests back     the one with the fewest on their way, of those
                                                     that are not quiet (`watch`)
    the preferred one has no slot left               any other with a slot
    the chunks failed on the preferred one           any other with a slot
    figures of another one are old                   that one, a single request
    else                                             the preferred one

A full route that answers faster than this machine can ask keeps what waits for it: a place on it is
free before another one has connected.

Spreading where the limits hold requests back costs nothing, and less is lost with a route that
dies. A route that was not used yet would have to connect, so it is left to the scouts. The
preferred one is the first, unless another one has been faster by a margin for a while.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.control.parcels import Parcel
from analysis.control.routes import RouteState
from analysis.control.watch import is_quiet
from analysis.settings import Settings


def route_for(
    home: RouteState,
    parcel: Parcel,
    routes: Sequence[RouteState],
    preferred: int | None,
    now: float,
    settings: Settings,
) -> RouteState:
    """Return the route over which a parcel should go that waits for `home`.

    Args:
        home: Its present route.
        parcel: The head of the queue.
        routes: All routes of the run.
        preferred: Index of the one to prefer; None stands for the first of its order.
        now: Monotonic seconds.
        settings: Knobs.
    """
    if not home.peers or not home.is_up:
        return home
    is_bound = home.pacer.is_rate_bound(now)
    has_slot = len(home.flights) < home.concurrency.limit
    is_usual = not is_bound and has_slot and not parcel.has_failed_here
    if is_usual and (preferred is None or preferred == home.index):
        return home
    size, peers, others = len(parcel.pack.items), home.peers, []
    for index in parcel.order[parcel.stage + 1 :]:  # as a loop: asked for every request
        other = routes[index]
        if len(other.flights) >= other.concurrency.limit or index not in peers:
            continue
        most = other.plan.most_chunks
        if other.is_up and (most is None or size <= most):
            others.append(other)
    if not others:
        return home
    if is_usual:
        return next((one for one in others if one.index == preferred), home)
    if not (has_slot or _leaves_time(home, size, settings)):
        return home
    if not is_bound:
        return others[0]
    if has_slot and not parcel.has_failed_here:
        others = [home, *(one for one in others if one.latency.samples)]
    return min(others, key=lambda one: (is_quiet(one, now, settings), one.in_flight))


def _leaves_time(route: RouteState, chunks: int, settings: Settings) -> bool:
    """Tell whether a full route leaves this machine time to use another one as well.

    A route that answers as fast as this machine can ask is not made faster by a second one.
    """
    if not route.latency.samples:
        return False
    per_s = route.concurrency.limit * chunks / route.latency.predict(chunks)
    return per_s < settings.spill_below_per_s


class Preference:
    """Which of equal routes is preferred, by measured seconds per chunk and errors.

    Attributes:
        index: Of the route to prefer among all routes; None: the first of each order.
    """

    def __init__(self, *, settings: Settings) -> None:
        self.index: int | None = None
        self._explore: int | None = None
        self._settings = settings
        self._better: int | None = None
        self._better_since = 0.0
        self._switched_at: float | None = None

    def take(self) -> int | None:
        """Return the route to prefer for one request."""
        if self._explore is None:
            return self.index
        index, self._explore = self._explore, None
        return index

    def review(self, routes: Sequence[RouteState], now: float) -> tuple[RouteState, str] | None:
        """Look at the figures; return the new preferred route and why, if it changes.

        A route whose figures are old gets one request.
        """
        first = next((route for route in routes if route.peers), None)
        if first is None:
            return None
        current = routes[self.index] if self.index is not None else first
        others = [routes[index] for index in current.peers]
        best = min((current, *others), key=_score)
        knobs = self._settings
        for other in others:
            if other.latency.samples and now - other.used_at >= knobs.explore_every_s:
                self._explore = other.index
        if best is current or _score(best) > (1 - knobs.prefer_margin) * _score(current):
            self._better = None
            return None
        if best.index != self._better:
            self._better, self._better_since = best.index, now
        is_settled = now - self._better_since >= knobs.prefer_after_s
        if self._switched_at is not None:
            is_settled = is_settled and now - self._switched_at >= knobs.prefer_every_s
        if not is_settled:
            return None
        self.index, self._switched_at, self._better = best.index, now, None
        why = (
            f"{_score(best):.2f} s per chunk over {best.plan.name}, "
            f"{_score(current):.2f} s over {current.plan.name}"
        )
        return best, why


def _score(route: RouteState) -> float:
    """Return seconds per usable chunk; without a measurement a route is no alternative."""
    seconds = route.latency.seconds_per_chunk
    if seconds is None or not route.is_up:
        return float("inf")
    return seconds / max(0.01, 1.0 - route.breaker.error_rate)
