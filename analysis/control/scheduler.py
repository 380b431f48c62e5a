"""Decides which chunks go, in which request, over which route, when; and what follows an outcome.

Pure: `now` is passed in (monotonic seconds, never going back), chance and ids are arguments of the
constructor. dispatch drives it: `offer` chunks, `poll` until it says wait, report each ending with
`on_answer` or `on_failure`.

Theory of operation. Chunks travel as parcels that share one history. Each parcel waits in the queue
of one route, the present stage of its own order of routes. A parcel leaves a route for the next one
- when its chunks failed there (too often on the way, or alone because of themselves),
- when it failed there and the breaker of the route is open,
- when the route is closed for the run,
- without having failed itself, only if the route is away: its breaker is open and it never worked,
  or it has been down for `other_model_after_s`; or at once if the next route has the same model.
So a route with another model gets only rows that the route before it failed on or refused.

    poll() ->                 meaning
    Send                      hand this pack to that route now
    WaitUntil(at)             nothing to do before `at`, or before an outcome if `at` is None
    Finished                  nothing is queued and nothing in flight
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from analysis.control.breaker import Gate
from analysis.control.decisions import (
    Costs,
    Decision,
    Finished,
    Notify,
    Send,
    Settled,
    WaitUntil,
)
from analysis.control.retry import Follow, backoff_s, is_unpaid, rule_for
from analysis.control.routes import (
    Flight,
    Parcel,
    RoutePlan,
    RouteState,
    all_down_since,
    cut,
    fail_items,
    label_items,
    open_routes,
    singles,
)
from analysis.errors import AnalysisError, LocalProtocolError, TransportError
from analysis.records import (
    Ending,
    ErrorDetail,
    Failed,
    FailureKind,
    Item,
    Pack,
    RateLimit,
    Usage,
    Verdict,
)
from analysis.settings import SETTINGS, Settings

PACKED_ANSWERS = 2
"""Unusable answers of a pack before its chunks travel alone. Source: pacing notes, section 2."""

LONE_FAILURES = 2
"""Failures that end a chunk: alone on so many routes, or so often on the only one (design 4.1)."""

FIRST_CONTACT_S = 15.0
"""Seconds after which a run ends if no route was ever reached: a wrong address, not an outage."""


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
            cost_of: Estimated input tokens plus output cap of a request for a pack.
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
        self._delayed: list[tuple[float, int, Parcel]] = []
        self._sequence = 0
        self._abandoned: list[tuple[Item, Verdict]] = []
        self._retries = 0
        self._answered_chunks = 0
        self._routes = open_routes(routes, rng=rng, now=now, settings=settings)

    # What the shell tells

    def offer(self, pack: Pack, *, now: float, order: tuple[int, ...] | None = None) -> None:
        """Queue a pack; `order` lists route indexes, all routes in their order by default."""
        self._advance(now)
        order = order or tuple(range(len(self._routes)))
        self._queue(Parcel(pack=pack, order=order, since=now))

    def on_limits(self, route: str, limits: Iterable[RateLimit], *, now: float) -> None:
        """Hear what a service says about its limits."""
        self._advance(now)
        for state in self._routes:
            if state.plan.name == route:
                state.pacer.learn(limits, now)

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
        """
        flight, route = self._end(request_id, now)
        route.count_answer(usage)
        if usage.input_tokens:
            used = usage.input_tokens + usage.output_tokens
            route.pacer.refund(tokens=flight.cost_tokens - used, now=now)
        route.pacer.confirm()
        if route.breaker.on_success():
            self._tell("route_up", f"{route.plan.name} answers again.", route=route.plan.name)
        parcel = flight.parcel
        settled: list[tuple[Item, Verdict]] = [
            *label_items(parcel, route.plan.name, labels, usage, model, latency_s)
        ]
        route.chunks_labeled += len(settled)
        self._answered_chunks += len(settled)
        missing = tuple(item for item in parcel.pack.items if item.ticket not in labels)
        if missing:
            rest = parcel.with_pack(Pack(items=missing, topic=parcel.pack.topic))
            what = f"{defect}: {note}" if defect else note
            rest.last = ErrorDetail(kind=FailureKind.DEFECT, message=what)
            settled.extend(self._reask(rest))
        return tuple(settled)

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """Hear that a request failed; return the verdicts that this settles, if any."""
        rule = rule_for(error)
        flight, route = self._end(request_id, now)
        parcel = flight.parcel
        parcel.last = ErrorDetail(kind=rule.kind, message=str(error))
        route.failed += 1
        if is_unpaid(error):
            route.pacer.refund(tokens=flight.cost_tokens, now=now)
        match rule.follow:
            case Follow.WAIT:
                return self._wait(parcel, route, error)
            case Follow.AGAIN:
                return self._again(flight, route, error)
            case Follow.DIVIDE:
                return self._divide(parcel)
            case Follow.REASK:
                return self._reask(parcel)
            case Follow.CLOSE_ROUTE:
                parcel.way_failures += 1
                self._queue(parcel, at_front=True)
                self._close([route], error)
            case Follow.CLOSE_ACCOUNT:
                parcel.attempts -= 1
                self._queue(parcel, at_front=True)
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
        waiting = [parcel for _, _, parcel in self._delayed]
        for route in self._routes:
            waiting.extend(route.queue)
            route.queue.clear()
        self._delayed.clear()
        for parcel in waiting:
            self._abandon(parcel)

    def withdraw(self, is_unwanted: Callable[[Pack], bool], *, now: float) -> None:
        """Forget queued packs that nobody waits for any more; requests in flight still end."""
        self._advance(now)
        self._delayed = [entry for entry in self._delayed if not is_unwanted(entry[2].pack)]
        heapq.heapify(self._delayed)
        for route in self._routes:
            kept = [parcel for parcel in route.queue if not is_unwanted(parcel.pack)]
            route.queue.clear()
            route.queue.extend(kept)

    def cancel(self, request_id: str, *, now: float) -> None:
        """Hear that a request was not sent, since nobody waits for it; forget its chunks."""
        flight, route = self._end(request_id, now)
        route.pacer.refund(tokens=flight.cost_tokens, now=now)

    def take_abandoned(self) -> Settled:
        """Return the verdicts on chunks given up because of a stop; each one once."""
        settled, self._abandoned = tuple(self._abandoned), []
        return settled

    # What the shell asks

    def poll(self, *, now: float) -> Decision:
        """Return what to do now; see the table at the top of the module."""
        self._advance(now)
        while self._delayed and self._delayed[0][0] <= now:
            self._queue(heapq.heappop(self._delayed)[2], at_front=True)
        self._stop_if_all_away(now)
        wake = [self._delayed[0][0]] if self._delayed else []
        settled = False
        while not settled:
            settled = True
            for index, route in enumerate(self._routes):
                found = self._next_of(index, route, now)
                if isinstance(found, Send):
                    return found
                if found is None:  # parcels moved to another route: look at all of them again
                    settled = False
                else:
                    wake.append(found)
        if not self._flights and not self._delayed and not any(r.queue for r in self._routes):
            return Finished()
        at = min(wake, default=_NEVER)
        return WaitUntil(None if at == _NEVER else at)

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

    def _next_of(self, index: int, route: RouteState, now: float) -> Send | float | None:
        """Return a Send, the time to look again (`_NEVER`: after an outcome), or None if moved."""
        while route.queue:
            parcel = route.queue[0]
            if route.closed is not None or self._may_leave(parcel, route, now):
                route.queue.popleft()
                self._leave(parcel)
                return None
            gate = route.breaker.gate(now)
            if gate is Gate.SHUT:
                return self._away_at(parcel, route, route.breaker.opens_at or now)
            if route.in_flight >= (1 if gate is Gate.PROBE else route.limit):
                return _NEVER
            if gate is Gate.PROBE and len(parcel.pack.items) > 1:
                route.queue.popleft()
                one, *others = cut(parcel, 1)
                route.queue.extendleft(reversed([one, *others]))
                parcel = one
            cost = self._cost_of(parcel.pack)
            ready = route.pacer.ready_at(cost_tokens=cost, now=now)
            if ready > now:
                return ready
            route.queue.popleft()
            return self._send(parcel, index, route, cost, gate is Gate.PROBE, now)
        return _NEVER

    def _send(
        self, parcel: Parcel, index: int, route: RouteState, cost: int, is_probe: bool, now: float
    ) -> Send:
        route.pacer.take(cost_tokens=cost, now=now)
        route.in_flight += 1
        route.sent += 1
        parcel.attempts += 1
        request_id = self._new_id()
        self._flights[request_id] = Flight(
            parcel=parcel, route_index=index, cost_tokens=cost, is_probe=is_probe
        )
        return Send(
            request_id=request_id,
            route=route.plan.name,
            model=route.plan.model,
            pack=parcel.pack,
            attempt=parcel.attempts,
            is_probe=is_probe,
        )

    def _may_leave(self, parcel: Parcel, route: RouteState, now: float) -> bool:
        down_since = route.breaker.down_since
        if down_since is None or not self._has_open_route_after(parcel):
            return False
        if parcel.has_failed_here or not route.breaker.ever_worked:
            return True
        if self._routes[parcel.order[parcel.stage + 1]].plan.model == route.plan.model:
            return True
        return now >= down_since + self._settings.other_model_after_s

    def _away_at(self, parcel: Parcel, route: RouteState, probe_at: float) -> float:
        """Return when a shut route deserves another look: for a probe, or to give up on it."""
        away_at = (route.breaker.down_since or 0.0) + self._settings.other_model_after_s
        return min(probe_at, away_at) if self._has_open_route_after(parcel) else probe_at

    def _has_open_route_after(self, parcel: Parcel) -> bool:
        later = parcel.order[parcel.stage + 1 :]
        return any(self._routes[index].closed is None for index in later)

    # After failures

    def _wait(self, parcel: Parcel, route: RouteState, error: AnalysisError) -> Settled:
        route.rate_limited += 1
        parcel.attempts -= 1
        asked = error.retry_after_s if isinstance(error, TransportError) else None
        self._queue(parcel, at_front=True)
        if asked is not None and asked > self._settings.retry_after_cap_s:
            self._close([route], error)
            return ()
        until = route.pacer.hold(retry_after_s=asked, now=self._now)
        name = route.plan.name
        message = f"{name} asks to slow down for {until - self._now:.1f} s."
        self._tell("rate_limited", message, route=name, seconds=until - self._now)
        return ()

    def _again(self, flight: Flight, route: RouteState, error: AnalysisError) -> Settled:
        parcel = flight.parcel
        is_unsent = isinstance(error, TransportError) and error.ending is Ending.UNSENT
        if route.breaker.on_failure(now=self._now, is_refused_connection=is_unsent):
            name = route.plan.name
            self._tell("route_down", f"{name} does not answer: {error}", route=name)
        self._retries += 1
        # A failed probe says nothing about its chunk, which was free to be any other one.
        parcel.way_failures += 0 if flight.is_probe else 1
        if parcel.way_failures >= self._settings.attempts_per_route:
            return self._next_route_or_give_up(parcel)
        self._delay(
            parcel, backoff_s(max(1, parcel.way_failures), rng=self._rng, settings=self._settings)
        )
        return ()

    def _divide(self, parcel: Parcel) -> Settled:
        count = len(parcel.pack.items)
        if count == 1:
            return self._lone_failure(parcel)
        self._retries += 1
        parcel.answers += 1
        for half in reversed(cut(parcel, (count + 1) // 2)):
            self._queue(half, at_front=True)
        return ()

    def _reask(self, parcel: Parcel) -> Settled:
        parcel.answers += 1
        if len(parcel.pack.items) == 1:
            return self._lone_failure(parcel)
        self._retries += 1
        parts = [parcel] if parcel.answers < PACKED_ANSWERS else singles(parcel)
        for part in reversed(parts):
            self._queue(part, at_front=True)
        return ()

    def _lone_failure(self, parcel: Parcel) -> Settled:
        """A chunk alone in its request failed because of itself: once more, or not."""
        parcel.lone_failures += 1
        if parcel.failed_routes + 1 >= LONE_FAILURES:
            return self._give_up(parcel)
        if self._has_open_route_after(parcel):
            parcel.failed_routes += 1
            return self._next_route_or_give_up(parcel)
        if parcel.lone_failures >= LONE_FAILURES:
            return self._give_up(parcel)
        self._retries += 1
        self._delay(parcel, backoff_s(1, rng=self._rng, settings=self._settings))
        return ()

    def _next_route_or_give_up(self, parcel: Parcel) -> Settled:
        if not self._has_open_route_after(parcel):
            return self._give_up(parcel)
        self._leave(parcel)
        return ()

    def _leave(self, parcel: Parcel) -> None:
        """Move to the next route, or give up if this was the last one."""
        if parcel.has_next_route:
            parcel.move_on()
            self._queue(parcel, at_front=True)
        elif self.stop_reason is None:
            self._abandoned.extend(self._give_up(parcel))
        else:
            self._abandon(parcel)

    def _give_up(self, parcel: Parcel) -> Settled:
        return fail_items(parcel, self._routes[parcel.route_index].plan)

    def _abandon(self, parcel: Parcel) -> None:
        message = self.stop_reason or "no route is left"
        detail = ErrorDetail(kind=FailureKind.STOPPED, message=message)
        for item in parcel.pack.items:
            verdict = Failed(chunk_id=item.chunk.id, error=detail, attempts=parcel.attempts)
            self._abandoned.append((item, verdict))

    def _close(self, routes: Sequence[RouteState], error: AnalysisError) -> None:
        for route in routes:
            if route.closed is None:
                route.closed = str(error)
                name = route.plan.name
                self._tell("route_closed", f"{name} is out for this run: {error}", route=name)
        if all(route.closed is not None for route in self._routes):
            self.stop(str(error), error)

    def _stop_if_all_away(self, now: float) -> None:
        down_since = all_down_since(self._routes)
        if self.stop_reason is not None or down_since is None:
            return
        has_worked = any(route.breaker.ever_worked for route in self._routes)
        limit = self._settings.outage_limit_s if has_worked else FIRST_CONTACT_S
        if now - down_since >= limit:
            last = next((parcel.last for _, _, parcel in self._delayed if parcel.last), None)
            detail = f" Last error: {last.message}" if last else ""
            reason = f"No route answered for {limit:.0f} s.{detail}"
            self.stop(reason, TransportError(reason))

    # Housekeeping

    def _advance(self, now: float) -> None:
        if now < self._now:
            raise LocalProtocolError(f"Time went back from {self._now} to {now}.")
        self._now = now

    def _queue(self, parcel: Parcel, *, at_front: bool = False) -> None:
        if self.stop_reason is not None:
            self._abandon(parcel)
            return
        queue = self._routes[parcel.route_index].queue
        if at_front:
            queue.appendleft(parcel)
        else:
            queue.append(parcel)

    def _delay(self, parcel: Parcel, seconds: float) -> None:
        if self.stop_reason is not None:
            self._abandon(parcel)
            return
        self._sequence += 1
        heapq.heappush(self._delayed, (self._now + seconds, self._sequence, parcel))

    def _end(self, request_id: str, now: float) -> tuple[Flight, RouteState]:
        self._advance(now)
        flight = self._flights.pop(request_id, None)
        if flight is None:
            raise LocalProtocolError(f"Request {request_id} is not in flight.")
        route = self._routes[flight.route_index]
        route.in_flight -= 1
        return flight, route

    def _tell(self, name: str, message: str, **fields: str | float) -> None:
        self._notify(name, message, fields)


_NEVER = float("inf")
