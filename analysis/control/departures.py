"""What is done when a request is sent: limits and money are drawn, and it is noted as on its way.

Pure. The scheduler decides before that it goes, when, and over which route.
"""

from __future__ import annotations

from collections.abc import Callable

from analysis.control import caps
from analysis.control.copies import Copies
from analysis.control.decisions import Send
from analysis.control.parcels import Flight, Parcel, cut
from analysis.control.retry_budget import RetryBudget
from analysis.control.routes import RouteState
from analysis.control.runstate import RunState


class Departures:
    """Sends parcels; called for every request, so with positions instead of keywords."""

    def __init__(
        self, run: RunState, budget: RetryBudget, copies: Copies, new_id: Callable[[], str]
    ) -> None:
        self._run = run
        self._budget = budget
        self._copies = copies
        self._new_id = new_id

    def send(self, parcel: Parcel, over: RouteState, now: float) -> Send:
        """Send a parcel; a retry is paid for."""
        is_probe = not (self._run.is_whole or over.breaker.is_closed) and over.is_to_probe(now)
        if parcel.attempts:
            self._budget.spend(parcel.debt)
            parcel.debt = 0.0
        return self.launch(parcel, over, now, is_probe, False)

    def launch(
        self, parcel: Parcel, route: RouteState, now: float, is_probe: bool, is_copy: bool
    ) -> Send:
        """Draw what a request costs and note that it is on its way.

        Args:
            parcel: Taken out of its queue, or on its way in another request.
            route: That takes it now.
            now: Monotonic seconds.
            is_probe: The route was away.
            is_copy: Another request with these chunks is on its way.
        """
        run, pack, plan, asked = self._run, parcel.pack, route.plan, route.asked
        if asked is None or asked[0] is not pack:  # else `ready_at` has asked for this decision
            asked = pack, run.cost_of(plan.name, pack)
        route.asked, cost = None, asked[1]
        call = route.pacer.take(cost, now)
        if is_probe:
            route.is_probed = True
        route.sent += 1
        route.used_at = now
        if len(route.flights) < run.settings.silence_calls or route.latency.first is not None:
            route.silent_at = None  # else older ones decide
        self._copies.sent += 1
        if len(pack.items) > self._copies.largest:
            self._copies.largest = len(pack.items)
        parcel.attempts += 1
        parcel.flights += 1
        request_id = self._new_id()
        is_echo = is_copy and any(one.parcel is parcel for one in route.flights.values())
        flight = Flight(
            request_id, parcel, pack, route.index, cost, is_probe, call, now, is_copy, is_echo
        )
        run.flights[request_id] = route.flights[request_id] = flight
        if run.purse is not None:
            caps.reserve(run, route, flight)
        if run.warming is not None and not is_probe:
            run.warming.sent(route, request_id, len(pack.items), now)
        return Send(request_id, plan.name, plan.model, pack, parcel.attempts, is_probe, is_copy)


def head_of(home: RouteState, over: RouteState, now: float) -> Parcel:
    """Take the head of a queue, or what one request takes of it; the rest stays."""
    parcel = home.queue.popleft()
    if (most := over.most_at(now)) < len(parcel.pack.items):
        parcel, rest = cut(parcel, most)
        home.queue.appendleft(rest)
    return parcel
