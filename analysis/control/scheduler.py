"""Decides which chunks go, in which request, over which route, when; and what follows an outcome.

Pure: `now` is passed in (monotonic seconds, never going back), chance and ids are arguments of the
constructor. dispatch drives it: `offer` chunks, `poll` until it says wait, report each ending with
`on_answer` or `on_failure`.

Theory of operation. Chunks travel as parcels that share one history. Each parcel waits in the queue
of one route, the present stage of its own order of routes. A parcel leaves a route for a later one
- when its chunks failed there (too often on the way, or alone because of themselves), or were
  declined there one by one,
- when the route is closed for the run,
- when it failed there and the breaker of the route is open,
- without having failed itself, only if the route is away: its breaker is open and it never worked,
  or it has been down for `other_model_after_s`; or at once if the next route has the same model.
So a route with another model gets only rows that the route before it failed on or refused. In the
last two cases a parcel leaves only when the later route can send it at once: what is left in the
queue when a route returns stays there, and keeps probing it until then.

    poll() ->                 meaning
    Send                      hand this pack to that route now
    WaitUntil(at)             nothing to do before `at`, or before an outcome if `at` is None
    Finished                  nothing is queued and nothing in flight
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from analysis.control.breaker import Gate
from analysis.control.decisions import Costs, Decision, Finished, Notify, Send, Settled, WaitUntil
from analysis.control.queues import Queues
from analysis.control.retry import (
    DECLINED,
    Fate,
    Fates,
    Follow,
    after_adapting,
    after_bad_answer,
    after_declined,
    after_lost_way,
    after_rejection,
    after_too_large,
    backoff_s,
    is_unpaid,
    rule_for,
)
from analysis.control.routes import (
    NEVER,
    Flight,
    Parcel,
    RoutePlan,
    RouteState,
    all_down_since,
    has_open_route_after,
    label_items,
    open_routes,
    scout_of,
    way_out,
)
from analysis.errors import (
    AnalysisError,
    LocalProtocolError,
    RateLimited,
    RequestTooLarge,
    TransportError,
)
from analysis.records import ErrorDetail, FailureKind, Item, Pack, RateLimit, Usage, Verdict
from analysis.settings import SETTINGS, Settings


class Scheduler:
    """The queue, the routes and the rules of one analyzer.

    Attributes:
        stop_reason: Why nothing is sent any more, or None while the run goes on.
        stop_error: The error behind it, if one was.
    """

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
            notify: Told (name, message, fields) when a route changes.
            now: Monotonic seconds.
            settings: Knobs.
        """
        if not routes:
            raise LocalProtocolError("A scheduler needs at least one route.")
        self.stop_reason: str | None = None
        self.stop_error: AnalysisError | None = None
        self._cost_of = cost_of
        self._rng = rng
        self._new_id = new_id
        self._notify = notify
        self._settings = settings
        self._now = now
        self._flights: dict[str, Flight] = {}
        self._retries = 0
        self._answered_chunks = 0
        self._busy_since = now
        self._routes = open_routes(routes, rng=rng, now=now, settings=settings)
        self._queues = Queues(self._routes)

    # What the shell tells

    def offer(self, pack: Pack, *, now: float, order: tuple[int, ...] | None = None) -> None:
        """Queue a pack; `order` lists route indexes, all routes in their order by default."""
        self._advance(now)
        if self._is_idle():
            self._busy_since = now  # the time without work says nothing about the routes
        order = order or tuple(range(len(self._routes)))
        self._queues.put(Parcel(pack=pack, order=order, since=now))

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
        flight = None if request_id is None else self._flights.get(request_id)
        for state in self._routes:
            if state.plan.name == route:
                state.pacer.learn(limits, now, call=None if flight is None else flight.call)

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
        route.answered += 1
        route.count_usage(usage)
        if usage.input_tokens:
            used = usage.input_tokens + usage.output_tokens
            route.pacer.refund(tokens=flight.cost_tokens - used, now=now)
        route.pacer.confirm(flight.call)
        if route.breaker.on_success(is_probe=flight.is_probe):
            self._tell("route_up", f"{route.plan.name} answers again.", route=route.plan.name)
        parcel = flight.parcel
        settled: list[tuple[Item, Verdict]] = [
            *label_items(parcel, route.plan.name, labels, usage, model, latency_s, confidences)
        ]
        route.chunks_labeled += len(settled)
        self._answered_chunks += len(settled)
        if len(settled) == len(parcel.pack.items):
            return tuple(settled)
        has_next = has_open_route_after(parcel, self._routes)
        if declined := parcel.part(refused):
            declined.last = DECLINED
            settled.extend(self._carry_out(after_declined(declined, has_next=has_next)))
        asked_for = {item.ticket for item in parcel.pack.items}
        if rest := parcel.part(asked_for - labels.keys() - set(refused)):
            what = f"{defect}: {note}" if defect else note
            rest.last = ErrorDetail(kind=FailureKind.DEFECT, message=what)
            asked = len(parcel.pack.items)
            fates = after_bad_answer(rest, asked=asked, has_next=has_next, settings=self._settings)
            settled.extend(self._carry_out(fates))
        return tuple(settled)

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """Hear that a request failed; return the verdicts that this settles, if any."""
        rule = rule_for(error)
        flight, route = self._end(request_id, now)
        parcel = flight.parcel
        parcel.last = ErrorDetail(kind=rule.kind, message=str(error))
        route.failed += 1
        route.count_usage(error.usage)
        if is_unpaid(error):
            route.pacer.refund(tokens=flight.cost_tokens, now=now)
        if flight.is_probe and rule.follow is not Follow.AGAIN and route.breaker.on_contact():
            self._tell("route_up", f"{route.plan.name} answers again.", route=route.plan.name)
        has_next, knobs = has_open_route_after(parcel, self._routes), self._settings
        match rule.follow:
            case Follow.WAIT:
                self._hold(flight, route, error)
            case Follow.AGAIN if isinstance(error, TransportError):
                return self._after_lost_way(flight, route, error, has_next=has_next)
            case Follow.ADAPT if isinstance(error, TransportError):
                fates = after_adapting(parcel, error, has_next=has_next, settings=knobs)
                return self._carry_out(fates)
            case Follow.DIVIDE:
                return self._carry_out(after_rejection(parcel, has_next=has_next))
            case Follow.REASK:
                asked = len(parcel.pack.items)
                fates = after_bad_answer(parcel, asked=asked, has_next=has_next, settings=knobs)
                return self._carry_out(fates)
            case Follow.CLOSE_ROUTE:
                self._queues.put(parcel, at_front=True)
                self._close([route], error)
            case Follow.CLOSE_ACCOUNT:
                parcel.attempts -= 1
                self._queues.put(parcel, at_front=True)
                same = [other for other in self._routes if other.plan.account == route.plan.account]
                self._close(same, error)
        return ()

    def limit_in_flight(self, limit: int | None) -> None:
        """Allow so many requests at once on every route; None returns to each route's own."""
        for route in self._routes:
            route.limit = route.plan.in_flight if limit is None else limit

    def stop(self, reason: str, error: AnalysisError | None = None) -> None:
        """Send nothing more; everything queued is abandoned, what is in flight may still end."""
        if self.stop_reason is not None:
            return
        self.stop_reason, self.stop_error = reason, error
        self._tell("stopped", reason)
        self._queues.stop(reason)

    def withdraw(self, is_unwanted: Callable[[Pack], bool], *, now: float) -> None:
        """Forget queued packs that nobody waits for any more; requests in flight still end."""
        self._advance(now)
        self._queues.withdraw(is_unwanted)

    def cancel(self, request_id: str, *, was_sent: bool, now: float) -> None:
        """Hear that nobody waits for a request any more; forget its chunks."""
        flight, route = self._end(request_id, now)
        if not was_sent:
            route.pacer.refund(tokens=flight.cost_tokens, now=now)

    def take_abandoned(self) -> Settled:
        """Return the verdicts on chunks given up because of a stop; each one once."""
        return self._queues.take_abandoned()

    # What the shell asks

    def poll(self, *, now: float) -> Decision:
        """Return what to do now; see the table at the top of the module."""
        self._advance(now)
        self._stop_if_all_away()
        self._reopen(now)
        self._queues.wake(now)
        wake: list[float] = []
        place = 0
        while place < len(self._routes):
            found = self._next_of(self._routes[place], now)
            if isinstance(found, Send):
                return found
            if found is None:  # look at all of them again
                wake.clear()
                place = 0
            else:
                wake.append(found)
                place += 1
        if self._is_idle():
            return Finished()
        at = min(*wake, self._queues.next_at)
        return WaitUntil(None if at == NEVER else at)

    @property
    def in_flight(self) -> int:
        """Requests handed out that have not ended."""
        return len(self._flights)

    def statistics(self) -> dict[str, object]:
        """Return counters of the run and of each route."""
        return {
            "chunks_labeled": self._answered_chunks,
            "retries": self._retries,
            "in_flight": len(self._flights),
            "stopped": self.stop_reason,
            "routes": {route.plan.name: route.statistics() for route in self._routes},
        }

    # Choosing

    def _next_of(self, route: RouteState, now: float) -> Send | float | None:
        """Return a Send, the time to look again (`NEVER`: after an outcome), or None.

        None: a parcel left the queue for another one, or for good.
        """
        if not route.queue:
            return NEVER
        parcel = route.queue[0]
        if route.closed is not None:
            route.queue.popleft()
            self._queues.leave(parcel)
            return None
        try:
            ready_at = route.ready_at(parcel, cost_of=self._cost_of, now=now)
        except RequestTooLarge as error:
            self._divide(route.queue.popleft(), error)
            return None
        if ready_at <= now:
            return self._send(scout_of(route, self._routes, now), now)
        after_s = self._settings.other_model_after_s
        exit_at, stage = way_out(
            parcel, self._routes, cost_of=self._cost_of, after_s=after_s, now=now
        )
        if exit_at <= now:
            parcel.move_to(stage)
            other = self._routes[parcel.route_index]
            other.queue.appendleft(route.queue.popleft())
            return self._send(other, now)
        down_since = route.breaker.down_since
        if stage != parcel.stage or down_since is None:
            return min(ready_at, exit_at)
        over_at = self._over_at(all_down_since(self._routes) or down_since)  # all: it is a stop
        if over_at <= now:
            route.queue.popleft()
            self._queues.abandon(self._queues.give_up(parcel))
            return None
        return min(ready_at, exit_at, over_at)

    def _divide(self, parcel: Parcel, error: RequestTooLarge) -> None:
        """Ask for fewer chunks at once; one that is too large by itself is not asked here."""
        parcel.last = ErrorDetail(kind=FailureKind.TOO_LONG, message=str(error))
        has_next = has_open_route_after(parcel, self._routes)
        self._queues.abandon(self._carry_out(after_too_large(parcel, has_next=has_next)))

    def _send(self, route: RouteState, now: float) -> Send:
        parcel = route.queue.popleft()
        is_probe = route.breaker.gate(now) is Gate.PROBE
        parcel, *rest = route.portion(parcel, is_probe=is_probe)
        route.queue.extendleft(rest)
        cost = self._cost_of(route.plan.name, parcel.pack)
        call = route.pacer.take(cost_tokens=cost, now=now)
        route.in_flight += 1
        route.is_probed = route.is_probed or is_probe
        route.sent += 1
        parcel.attempts += 1
        request_id = self._new_id()
        index = parcel.route_index
        self._flights[request_id] = Flight(
            parcel=parcel, route_index=index, cost_tokens=cost, is_probe=is_probe, call=call
        )
        return Send(
            request_id=request_id,
            route=route.plan.name,
            model=route.plan.model,
            pack=parcel.pack,
            attempt=parcel.attempts,
            is_probe=is_probe,
        )

    # After failures

    def _carry_out(self, fates: Fates, *, asked_s: float | None = None) -> Settled:
        """Do with each parcel as decided; return the verdicts on those that nothing helps.

        Args:
            fates: From retry.
            asked_s: Seconds that the service asked to wait, if it did.
        """
        settled: list[tuple[Item, Verdict]] = []
        knobs = self._settings
        self._retries += any(fate is not Fate.FAILED for fate, _ in fates)
        for fate, parcel in reversed(fates):
            match fate:
                case Fate.AT_ONCE:
                    self._queues.put(parcel, at_front=True)
                case Fate.AFTER_PAUSE:
                    pause_s = backoff_s(parcel.way_failures, rng=self._rng, settings=knobs)
                    pause_s = max(pause_s, min(asked_s or 0.0, knobs.retry_after_cap_s))
                    self._queues.delay(parcel, self._now + pause_s)
                case Fate.BEHIND:
                    self._queues.put(parcel)
                case Fate.NEXT_ROUTE:
                    self._queues.leave(parcel)
                case Fate.FAILED:
                    settled.extend(self._queues.give_up(parcel))
        return tuple(settled)

    def _hold(self, flight: Flight, route: RouteState, error: AnalysisError) -> None:
        assert isinstance(error, RateLimited)  # only these are to be waited for
        parcel, asked_s = flight.parcel, error.retry_after_s
        route.rate_limited += 1
        parcel.attempts -= 1
        self._queues.put(parcel, at_front=True)
        until = route.pacer.hold(
            retry_after_s=asked_s, now=self._now, call=flight.call, refusal=error
        )
        knobs = self._settings
        refused_s = route.pacer.refused_for(self._now, since=self._busy_since)
        same = [other for other in self._routes if other.pacer is route.pacer]
        if (asked_s or 0.0) > knobs.retry_after_cap_s:
            self._close(same, error, until=until)
            return
        if refused_s >= knobs.outage_limit_s:
            self._close(same, error)
            return
        name, wait_s = route.plan.name, until - self._now
        message = f"{name} asks to slow down for {wait_s:.1f} s."
        self._tell("rate_limited", message, route=name, seconds=wait_s)

    def _after_lost_way(
        self, flight: Flight, route: RouteState, error: TransportError, *, has_next: bool
    ) -> Settled:
        is_probe, name, knobs = flight.is_probe, route.plan.name, self._settings
        if route.lose(error, is_probe=is_probe, now=self._now):
            self._tell("route_down", f"{name} is down: {error}", route=name)
        parcel = flight.parcel
        fates = after_lost_way(parcel, error, is_probe=is_probe, has_next=has_next, settings=knobs)
        return self._carry_out(fates, asked_s=error.retry_after_s)

    def _close(
        self, routes: Sequence[RouteState], error: AnalysisError, *, until: float = NEVER
    ) -> None:
        """Take routes out, for the run or until a time; stop if none is left."""
        span = "this run" if until == NEVER else f"{until - self._now:.0f} s"
        for route in routes:
            if route.closed is None:
                route.closed, route.opens_at = str(error), until
                name = route.plan.name
                self._tell("route_closed", f"{name} is out for {span}: {error}", route=name)
        if all(route.closed is not None for route in self._routes):
            self.stop(str(error), error)

    def _reopen(self, now: float) -> None:
        """Use routes again whose pause is over."""
        for route in self._routes:
            if route.closed is not None and route.opens_at <= now:
                route.closed, name = None, route.plan.name
                self._tell("route_up", f"{name} may be used again.", route=name)

    def _stop_if_all_away(self) -> None:
        down_since = all_down_since(self._routes)
        if self.stop_reason is not None or down_since is None or self._is_idle():
            return
        if self._over_at(down_since) <= self._now:
            last = next((route.last_error for route in self._routes if route.last_error), "")
            seconds = self._patience_s()
            reason = f"No route answered for {seconds:.0f} s. Last error: {last}"
            self.stop(reason, TransportError(reason))

    def _over_at(self, down_since: float) -> float:
        """Return when a route, or all, have been down for so long that nobody has to wait."""
        return max(down_since, self._busy_since) + self._patience_s()

    def _patience_s(self) -> float:
        has_worked = any(route.breaker.ever_worked for route in self._routes)
        return self._settings.outage_limit_s if has_worked else self._settings.first_contact_s

    # Housekeeping

    def _advance(self, now: float) -> None:
        if now < self._now:
            raise LocalProtocolError(f"Time went back from {self._now} to {now}.")
        self._now = now

    def _end(self, request_id: str, now: float) -> tuple[Flight, RouteState]:
        self._advance(now)
        flight = self._flights.pop(request_id, None)
        if flight is None:
            raise LocalProtocolError(f"Request {request_id} is not in flight.")
        route = self._routes[flight.route_index]
        route.pacer.end(flight.call)
        route.in_flight -= 1
        route.is_probed = route.is_probed and not flight.is_probe
        return flight, route

    def _is_idle(self) -> bool:
        return not (self._flights or self._queues)

    def _tell(self, name: str, message: str, **fields: str | float) -> None:
        self._notify(name, message, fields)
