"""Which request goes over another route for what that route says about the limits.

Pure. Only the scheduler uses it.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.control.breaker import Gate
from analysis.control.routes import RouteState


def scout_of(
    route: RouteState, routes: Sequence[RouteState], now: float, ahead: int = 0
) -> RouteState:
    """Return the route that sends the head of this one's queue: itself, or one that tells limits.

    A route that does not state its limits cannot tell how much of a minute is left. So the first
    request of long work goes over a later route of the same model and account that states them, and
    so does one every few seconds while requests have to wait for a limit. What it hears paces both.
    Small jobs are not long work: another route has to connect first. If the scout fails, its own
    route is the next one. `ahead`: requests that will be queued later.
    """
    parcel, pacer = route.queue[0], route.pacer
    waiting = len(route.queue) + ahead
    if pacer.may_begin:
        tokens = waiting * parcel.pack.tokens
        pacer.begin(requests=waiting, tokens=tokens, is_mute=not route.is_heard)
    if route.plan.states_limits:
        pacer.note_asked(now)
        return route
    if not pacer.wants_statement(now):
        return route
    if not pacer.is_long(requests=waiting, tokens=waiting * parcel.pack.tokens):
        return route
    for index in parcel.order[parcel.stage + 1 :]:
        other = routes[index]
        is_free = not other.queue and other.has_slot and other.closed is None
        is_telling = other.plan.states_limits and other.plan.asks_like(route.plan)
        if other.pacer is pacer and is_telling and is_free and other.breaker.gate(now) is Gate.PASS:
            pacer.note_asked(now)
            return other
    return route
