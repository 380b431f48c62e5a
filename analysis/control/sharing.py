"""What the scheduler tells of its limits to those outside: other processes, and the next run.

Pure. Only the scheduler uses it; `account` passes on what it returns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.control.breaker import Gate
from analysis.control.decisions import Costs
from analysis.control.learned import Learned
from analysis.control.leases import Load
from analysis.control.pacing import Pacer
from analysis.control.routes import RouteState
from analysis.errors import LocalProtocolError, RequestTooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a run leaves to the next one about a model and route.

    Attributes:
        limits: Of the account and model.
        latency_s: Usual seconds from send to end, or None.
    """

    limits: Learned
    latency_s: float | None = None

    def __post_init__(self) -> None:
        if self.latency_s is not None and self.latency_s <= 0:
            raise ValueError(f"latency_s is {self.latency_s}; it must be above 0.")


def routes_on(routes: Sequence[RouteState], account: str, model: str) -> list[RouteState]:
    """Return the routes of a model at an account; they share one pacer.

    Raises:
        LocalProtocolError: If there is none.
    """
    found = [one for one in routes if (one.plan.account, one.plan.model) == (account, model)]
    if not found:
        raise LocalProtocolError(f"No route asks the model {model} at this account.")
    return found


def load_of(
    group: Sequence[RouteState], routes: Sequence[RouteState], *, cost_of: Costs, now: float
) -> Load:
    """Return how busy the pacer of a group of routes is.

    Args:
        group: Of `routes_on`.
        routes: All routes of the run.
        cost_of: Tells what a request for a pack costs on a route.
        now: Monotonic seconds.
    """
    pacer, is_waiting, ready_at = group[0].pacer, False, math.inf
    for route in group:
        if not (route.queue and _has_place(route, routes, now)):
            continue
        cost = cost_of(route.plan.name, route.queue[0].pack)
        try:
            is_waiting = is_waiting or pacer.ready_at(cost_tokens=cost, now=now) > now
        except RequestTooLarge:
            continue
        ready_at = min(ready_at, pacer.ready_apart_from_turns(cost_tokens=cost, now=now))
    return Load(
        is_waiting=is_waiting,
        ready_in_s=ready_at - now,
        requests=pacer.requests.drawn,
        tokens=pacer.tokens.drawn,
        requests_per_s=pacer.requests.rate,
        tokens_per_s=pacer.tokens.rate,
        spacing=pacer.spacing(),
        has_turn=pacer.has_turn,
    )


def known_of(routes: Sequence[RouteState]) -> dict[str, Known]:
    """Return what was heard of limits by route, for those that were answered and heard any."""
    found = {}
    for route in routes:
        limits = _stated(route.pacer)
        if route.answered and limits != Learned():
            latency_s = route.latency.predict(1) if route.latency.samples else None
            found[route.plan.name] = Known(limits=limits, latency_s=latency_s)
    return found


def _stated(pacer: Pacer) -> Learned:
    """Return the limits that a service has stated in this run: those alone are dated by it."""
    requests, tokens = (
        one.learned() if one.is_stated else None for one in (pacer.requests, pacer.tokens)
    )
    return Learned(requests=requests, tokens=tokens)


def _has_place(route: RouteState, routes: Sequence[RouteState], now: float) -> bool:
    """Tell whether the head of a queue could go over its route or an equal one."""
    return any(
        one.closed is None and one.has_slot and one.breaker.gate(now) is not Gate.SHUT
        for one in (route, *(routes[index] for index in route.peers))
    )
