"""Decides which chunks go, in which request, over which route, when; and what follows an outcome.

Pure. `now` is passed in (monotonic seconds, never going back), chance and ids are arguments of the
constructor. dispatch drives it: `offer` chunks, `poll` until it says wait, report each ending with
`on_answer`, `on_failure` or `cancel`.

Theory of operation. Chunks travel as parcels that share one history. Each parcel waits in the queue
of one route, the present stage of its own order of routes. It may be sent over another route that
asks the same model the same question on the same account (`choice`). A parcel leaves a route for a
later one
- when its chunks failed there (too often on the way, or alone because of themselves), or were
  declined there one by one,
- when the route is closed for the run,
- when it failed there and the breaker of the route is open,
- without having failed itself, only if the route is away: its breaker is open and it never worked,
  or it has been down for `other_model_after_s`; or at once if the next route has the same model.
So a route with another model gets only rows that the route before it failed on or refused. In the
last two cases a parcel leaves only when the later route can send it at once: what is left in the
queue when a route returns stays there, and keeps probing it until then.

A request that takes too long may be sent a second time (`copies`); the first answer counts.
Where the instructions are cached, one request may go before the others (`warming`).

    poll() ->                 meaning
    Send                      hand this pack to that route now
    Cancel(request_id)        give up this request: its copy was answered
    WaitUntil(at)             nothing to do before `at`, or before an outcome if `at` is None
    Finished                  nothing is queued and nothing in flight
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from analysis.control import caps, closures
from analysis.control.aftermath import Aftermath
from analysis.control.choice import Preference, route_for
from analysis.control.copies import Copies
from analysis.control.decisions import (
    Cancel,
    Costs,
    Decision,
    Finished,
    Notify,
    Send,
    Settled,
    WaitUntil,
)
from analysis.control.departures import Departures, head_of
from analysis.control.leases import Load, Share
from analysis.control.parcels import Flight, Parcel
from analysis.control.queues import Queues, bring_fresh, turns
from analysis.control.retry_budget import RetryBudget
from analysis.control.routes import (
    NEVER,
    RoutePlan,
    RouteState,
    all_down_since,
    all_full,
    open_routes,
    way_back,
    way_out,
)
from analysis.control.runstate import RunState
from analysis.control.scouts import scout_of
from analysis.control.sharing import Known, known_of, load_of, routes_on
from analysis.control.warming import Warming
from analysis.control.watch import Watch, is_word_due
from analysis.errors import AnalysisError, LocalProtocolError, RequestTooLarge
from analysis.records import Pack, RateLimit, StopCause, Usage
from analysis.settings import SETTINGS, Settings


class Scheduler:
    """The queue, the routes and the rules of one analyzer."""

    def __init__(
        self,
        routes: Sequence[RoutePlan],
        *,
        cost_of: Costs,
        rng: random.Random,
        new_id: Callable[[], str],
        notify: Notify,
        now: float,
        settings: Settings = SETTINGS,
    ) -> None:
        """Set up the routes; those with the same model and account share one pacer.

        Args:
            routes: In the order of preference, at least one.
            cost_of: Tells what a request for a pack costs on a route.
            rng: Source of jitter.
            new_id: Makes request ids.
            notify: Told (name, message, fields) when something changes.
            now: Monotonic seconds.
            settings: Knobs.
        """
        if not routes:
            raise LocalProtocolError("A scheduler needs at least one route.")
        self._routes = open_routes(routes, rng=rng, now=now, settings=settings)
        self._all = tuple(range(len(self._routes)))
        self._queues = Queues(self._routes)
        self._run = RunState(
            routes=self._routes,
            queues=self._queues,
            cost_of=cost_of,
            rng=rng,
            notify=notify,
            settings=settings,
            now=now,
            busy_since=now,
            warming=Warming(self._routes, notify=notify, settings=settings) or None,
        )
        self._are_all_peers = len(self._routes[0].peers) == len(self._routes) - 1
        self._budget = RetryBudget(settings=settings)
        self._aftermath = Aftermath(self._run, self._budget)
        self._copies = Copies(settings=settings)
        self._departures = Departures(self._run, self._budget, self._copies, new_id)
        self._preference = Preference(settings=settings)
        self._watch = Watch(self._run)
        self._review_at = self._silent_at = now
        self._asked_for = NEVER

    @property
    def stop_reason(self) -> str | None:
        """Why nothing is sent any more, or None while the run goes on."""
        return self._run.stop_reason

    @property
    def stop_error(self) -> AnalysisError | None:
        """The error behind a stop, if one was."""
        return self._run.stop_error

    @property
    def stop_cause(self) -> StopCause | None:
        """Who or what stopped the run, or None."""
        return self._run.stop_cause

    # What the shell tells

    def offer(self, pack: Pack, *, now: float, order: tuple[int, ...] | None = None) -> None:
        """Queue a pack; `order` lists route indexes, all routes in their order by default."""
        if now != self._run.now:
            self._advance(now)
        if self._run.is_idle:
            self._run.busy_since = now  # the time without work says nothing about the routes
        self._queues.put(Parcel(pack, order or self._all, now))

    def expect(self, requests: int, *, now: float) -> None:
        """Hear how many requests will be offered later, beyond what is queued: how long work is."""
        self._advance(now)
        self._run.ahead = requests

    def foresee(self, requests: int) -> None:
        """Hear how many requests a run will take: what pays only in a long one depends on it."""
        if self._run.warming is not None:
            self._run.warming.foresee(requests)

    def on_limits(
        self,
        route: str,
        limits: Iterable[RateLimit],
        *,
        now: float,
        request_id: str | None = None,
    ) -> None:
        """Hear what a service says about its limits, with which request if that is known."""
        self._advance(now)
        flight = None if request_id is None else self._run.flights.get(request_id)
        call = None if flight is None else flight.call
        self._route(route).pacer.learn(limits, now, call=call)

    def on_sign(self, request_id: str, *, now: float) -> None:
        """Hear that the first event of an answer came."""
        self._advance(now)
        flight = self._run.flights.get(request_id)
        if flight is not None:
            route = self._routes[flight.route_index]
            flight.has_begun = True
            route.signed_at, route.silent_at = now, None
            route.latency.note_first(now - flight.sent_at)

    def on_answer(
        self,
        request_id: str,
        *,
        labels: Mapping[int, tuple[str, ...]],
        defect: str | None,
        note: str,
        usage: Usage,
        model: str,
        latency_s: float,
        now: float,
        confidences: Mapping[int, float] = MappingProxyType({}),
        refused: Collection[int] = (),
    ) -> Settled:
        """Hear that a request was answered; return the verdicts that this settles.

        Args:
            request_id: Of the Send.
            labels: Ticket -> labels, for the chunks with a usable item.
            defect: What voided the whole answer, or None.
            note: What was wrong, for people.
            usage: As billed.
            model: As the service reported it.
            latency_s: Send to terminal event.
            now: Monotonic seconds.
            confidences: Ticket -> probability of the label, where the service states one.
            refused: Tickets of chunks that the service declined, each by itself.
        """
        flight, route = self._end(request_id, now)
        if self._run.warming is not None:
            self._run.warming.answered(route, now)
        what = f"{defect}: {note}" if defect else note
        return self._aftermath.answered(
            flight, route, labels, confidences, refused, what, usage, model, latency_s
        )

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """Hear that a request failed; return the verdicts that this settles, if any."""
        flight, route = self._end(request_id, now)
        return self._aftermath.failed(flight, route, error)

    def limit_in_flight(self, limit: int | None) -> None:
        """Allow so many requests at once on every route; None returns to each route's own."""
        for route in self._routes:
            route.concurrency.set_cap(limit)

    def cap(self, *, budget_usd: float | None, seconds: float | None, now: float) -> None:
        """Spend no more, and send no longer, than this from now on; see `caps`."""
        self._advance(now)
        caps.begin(self._run, budget_usd=budget_usd, seconds=seconds)

    def stop(
        self,
        reason: str,
        error: AnalysisError | None = None,
        cause: StopCause = StopCause.INTERRUPTED,
    ) -> None:
        """Send nothing more; everything queued is abandoned, what is in flight may still end."""
        self._run.stop(reason, error, cause=cause)

    def withdraw(self, is_unwanted: Callable[[Pack], bool], *, now: float) -> None:
        """Forget queued packs that nobody waits for any more; requests in flight still end."""
        self._advance(now)
        self._queues.withdraw(is_unwanted)

    def cancel(self, request_id: str, *, was_sent: bool, now: float) -> None:
        """Hear that a request was given up; its chunks are forgotten, or settled by its copy."""
        flight, route = self._end(request_id, now)
        route.cancelled += 1
        if flight.is_probe and flight.parcel.is_settled:  # another route has answered before it
            route.breaker.on_failure(now=now, is_probe=True)
        if not was_sent:
            route.pacer.refund(tokens=flight.cost_tokens, now=now)
        caps.settle(self._run, route, flight, Usage(), is_free=not was_sent)

    def take_abandoned(self) -> Settled:
        """Return the verdicts on chunks given up because of a stop; each one once."""
        return self._queues.take_abandoned()

    def share(self, account: str, model: str, share: Share, *, now: float) -> None:
        """Use this part of an account's limits of a model from now on, and turns."""
        self._advance(now)
        routes_on(self._routes, account, model)[0].pacer.share(share, now)

    # What the shell asks

    def poll(self, *, now: float) -> Decision:
        """Return what to do now; see the table at the top of the module."""
        if now != self._run.now:
            self._advance(now)
        self._asked_for = NEVER
        run, queues = self._run, self._queues
        while run.losers:
            request_id = run.losers.pop()
            if request_id in run.flights:
                return Cancel(request_id)
        is_whole = run.is_whole or closures.settle(run)
        if run.ends_at is not None:
            caps.stop_if_over(run)
        if queues.next_at <= now:
            queues.wake(now)
        if now >= self._review_at:
            self._review(now)
        if now >= self._silent_at:
            self._silent_at = self._watch.look(now)
            is_whole = False
        is_full = is_whole and all_full(self._routes) and self._budget.may_retry()
        at: Send | float = NEVER
        if self._copies.largest > 1 and self._copies.is_first(run):
            at = self._copy(now, is_first=True)
        if at == NEVER and not is_full:
            at = self._next(now)  # unpaid retries step aside for what is fresh
        if isinstance(at, Send):
            return at
        if not (self._are_all_peers and self._routes[0].queue):  # else there is other work
            copy = self._copy(now)
            if isinstance(copy, Send):
                return copy
            if copy < at:
                at = copy
            if run.is_idle:
                return Finished()
        self._silent_at = silent_at = self._watch.look(now)
        if silent_at < at:
            at = silent_at
        if queues.next_at < at:
            at = queues.next_at
        if run.ends_at is not None:
            at = min(at, caps.over_at(run))
        self._asked_for = at
        return WaitUntil(None if at == NEVER else at)

    @property
    def in_flight(self) -> int:
        """Requests handed out that have not ended."""
        return len(self._run.flights)

    def budgets(self, route: str) -> Mapping[str, tuple[float | None, float]]:
        """Return `requests` and `tokens` of a route -> (left now or None, units per second)."""
        return self._route(route).pacer.budget(self._run.now)

    def latency_s(self, route: str, chunks: int) -> float:
        """Return the usual seconds of a request with so many chunks on a route, as measured."""
        return self._route(route).latency.predict(chunks)

    def load(self, account: str, model: str, *, now: float) -> Load:
        """Return how busy the limits of a model at an account are; for the leases on them."""
        group = routes_on(self._routes, account, model)
        return load_of(group, self._routes, cost_of=self._run.cost_of, now=now)

    def learned(self) -> Mapping[str, Known]:
        """Return what services have stated so far, by route; for the next run."""
        return known_of(self._routes)

    def awaits_limits(self, *, now: float) -> bool:
        """Tell whether an answer that will state limits is on its way and not late."""
        return is_word_due(self._routes, now, self._run.settings)

    def statistics(self) -> dict[str, object]:
        """Return counters of the run and of each route."""
        return self._copies.statistics() | self._run.statistics()

    # Choosing

    def _next(self, now: float) -> Send | float:
        """Return a Send, or when to look again."""
        while True:
            wake = NEVER
            for route in turns(self._routes):
                if not route.queue:
                    continue
                found = self._next_of(route, now)
                if isinstance(found, Send):
                    return found
                if found is None:
                    break  # look at all of them again
                if found < wake:
                    wake = found
            else:
                return wake if self._run.stop_reason is None else NEVER  # a stop leaves no work

    def _next_of(self, route: RouteState, now: float) -> Send | float | None:
        """Return a Send, when to look again (`NEVER`: after an outcome), or None: a parcel left."""
        run = self._run
        if route.closed is not None:
            self._queues.leave(route.queue.popleft(), at_front=False)
            return None
        parcel = route.queue[0]
        if parcel.attempts and run.flights and not self._budget.may_retry():
            bring_fresh(route)
            parcel = route.queue[0]
            if parcel.attempts:
                return NEVER  # retries wait until enough other requests were answered
        if not (run.is_whole or route.is_up):
            back = way_back(parcel, self._routes)
            if back is not None:
                parcel.move_to(back)
                self._queues.put(route.queue.popleft(), at_front=True)
                return None
        preferred = self._preference.take()
        over = route_for(route, parcel, self._routes, preferred, now, run.settings)
        try:
            ready_at = over.ready_at(parcel, run.cost_of, now)
        except RequestTooLarge as error:
            self._aftermath.too_large(route.queue.popleft(), error)
            return None
        if ready_at <= now:
            if run.warming is not None:
                held_until = run.warming.held_until(route, over, run.ahead, now)
                if held_until > now:
                    return held_until
            if over is route:
                over = scout_of(route, self._routes, now, run.ahead)
                if over is not route:
                    over.asked = None
            if run.purse is not None and not caps.affords(run, over, parcel):
                return NEVER
            return self._departures.send(head_of(route, over, now), over, now)
        down_since = route.breaker.down_since
        if down_since is None:
            return ready_at
        after_s = run.settings.other_model_after_s
        exit_at, stage = way_out(
            parcel, self._routes, cost_of=run.cost_of, after_s=after_s, now=now
        )
        if exit_at <= now:
            other = self._routes[parcel.order[stage]]
            if run.warming is not None:
                held_until = run.warming.held_until(route, other, run.ahead, now)
                if held_until > now:
                    return held_until
            if not caps.affords(run, other, parcel):
                return NEVER
            parcel = head_of(route, other, now)
            parcel.move_to(stage)
            return self._departures.send(parcel, other, now)
        if stage != parcel.stage:
            return min(ready_at, exit_at)
        over_at = closures.over_at(run, all_down_since(self._routes) or down_since)  # all: a stop
        if over_at <= now:
            route.queue.popleft()
            self._queues.abandon(self._queues.give_up(parcel))
            return None
        return min(ready_at, exit_at, over_at)

    def _copy(self, now: float, *, is_first: bool = False) -> Send | float:
        """Return a copy of a request, or when to look again; `is_first`: before what waits."""
        if self._run.stop_reason is not None or not self._budget.may_retry():
            return NEVER
        copies = self._copies
        found = (copies.next_first if is_first else copies.next)(self._run, now)
        if isinstance(found, float):
            return found
        return self._departures.launch(found[0].parcel, found[1], now, False, True)

    # Housekeeping

    def _review(self, now: float) -> None:
        """Look at which of equal routes is the better one, once a second."""
        self._review_at = now + 1.0
        if (found := self._preference.review(self._routes, now)) is not None:
            name, why = found[0].plan.name, found[1]
            self._run.tell("route_preferred", f"{name} is preferred now: {why}.", route=name)

    def _advance(self, now: float) -> None:
        run = self._run
        if run.now <= now <= self._asked_for:
            run.now = now
            return
        if now < run.now:
            raise LocalProtocolError(f"Time went back from {run.now} to {now}.")
        late_s = now - max(self._asked_for, run.now)
        if late_s > run.settings.suspended_s:
            closures.excuse(run, late_s)
        run.now = now
        self._asked_for = NEVER if late_s > 0 else self._asked_for

    def _end(self, request_id: str, now: float) -> tuple[Flight, RouteState]:
        if now != self._run.now:
            self._advance(now)
        flight = self._run.flights.pop(request_id, None)
        if flight is None:
            raise LocalProtocolError(f"Request {request_id} is not in flight.")
        route = self._routes[flight.route_index]
        del route.flights[request_id]
        route.silent_at = None
        flight.parcel.flights -= 1
        route.pacer.end(flight.call)
        if flight.is_probe:
            route.is_probed = False
        if self._run.warming is not None:
            self._run.warming.ended(route, request_id, now)
        return flight, route

    def _route(self, name: str) -> RouteState:
        return next(route for route in self._routes if route.plan.name == name)
