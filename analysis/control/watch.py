"""Notices that a route says nothing any more although requests wait for it.

Pure. The scheduler asks at every poll. A silent route is taken down like one that fails, and what
is on its way over it is marked, so that it is sent over another one at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from analysis.control.routes import NEVER, RouteState
from analysis.control.runstate import RunState
from analysis.settings import SETTINGS, Settings


class Watch:
    """Looks at each route that has enough requests on their way."""

    def __init__(self, run: RunState) -> None:
        self._run = run

    def look(self, now: float) -> float:
        """Take down the routes that are silent; return when to look again."""
        least, wake = self._run.settings.silence_calls, NEVER
        for route in self._run.routes:
            at = route.silent_at
            if at is None:
                at = NEVER
                if len(route.flights) >= least and (self._run.is_whole or route.is_up):
                    at = self._silent_at(route, least)
                route.silent_at = at
            if at <= now:
                self._take_down(route, now)
            elif at < wake:
                wake = at
        return wake

    def _silent_at(self, route: RouteState, least: int) -> float:
        """Return from when on the route counts as silent if nothing is heard until then.

        An answer that has begun gives no sign before its end, so it has the time of a whole one.
        """
        flights, latency, knobs = route.flights.values(), route.latency, self._run.settings
        decisive = next(islice(flights, least - 1, None))
        since, signed_at = decisive.sent_at, route.signed_at
        if signed_at > since:
            since = signed_at
        at = since + patience_s(latency.predict(len(decisive.pack.items)), knobs)
        first_s = latency.first
        if first_s is None:
            return at
        unbegun = (flight for flight in flights if not flight.has_begun)
        late = next(islice(unbegun, least - 1, None), None)
        if late is None:
            return at
        return min(at, max(late.sent_at, signed_at) + patience_s(first_s, knobs))

    def _take_down(self, route: RouteState, now: float) -> None:
        run, name = self._run, route.plan.name
        route.breaker.on_silence(now=now)
        route.silent_at, run.is_whole = None, False
        for flight in route.flights.values():
            flight.is_stranded = True
        count = len(route.flights)
        message = f"{name} is silent while {count} requests wait for it."
        route.last_error = message
        run.tell("route_down", message, route=name)


def is_word_due(routes: Sequence[RouteState], now: float, settings: Settings) -> bool:
    """Tell whether an answer that will state limits is on its way and not late."""
    return any(
        now - flight.sent_at <= settings.hedge_blind * route.latency.predict(len(flight.pack.items))
        for route in routes
        if route.plan.states_limits
        for flight in route.flights.values()
    )


def is_quiet(route: RouteState, now: float, settings: Settings) -> bool:
    """Tell whether nothing comes from a route although a request has waited for long.

    One late request is no silence, but no reason to send more the same way either.
    """
    if not route.flights or now - route.signed_at <= settings.silence_floor_s:
        return False
    waiting = next((one for one in route.flights.values() if not one.has_begun), None)
    if waiting is None:
        return False
    since = max(waiting.sent_at, route.signed_at)
    expected_s = route.latency.first or route.latency.predict(len(waiting.pack.items))
    return now - since > patience_s(expected_s, settings)


def patience_s(expected_s: float, settings: Settings = SETTINGS) -> float:
    """Return the seconds without a sign that are still ordinary.

    One late request says nothing, since one answer in a hundred is late; a sign for any request
    says that the route lives. Source: pacing notes, section 5.

    Args:
        expected_s: Usual time to the first event of an answer; to the whole answer where the route
            shows no first events, or where it has begun.
        settings: Knobs.
    """
    floor_s, usual_s = settings.silence_floor_s, settings.silence_factor * expected_s
    return usual_s if usual_s > floor_s else floor_s
