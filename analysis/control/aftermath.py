"""What follows from the outcome of a request: for its chunks, its route and the run.

Pure. The scheduler hands in each flight that has ended. If another request with the same chunks is
still on its way, a failure here changes nothing for the chunks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from analysis.control import caps, closures
from analysis.control.decisions import Settled
from analysis.control.parcels import Flight, Parcel, label_items
from analysis.control.retry import (
    DECLINED,
    SHARED_BLAME,
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
from analysis.control.retry_budget import RetryBudget
from analysis.control.routes import RouteState, has_open_route_after
from analysis.control.runstate import RunState
from analysis.errors import AT_ONCE, AnalysisError, RateLimited, RequestTooLarge, TransportError
from analysis.records import Ending, ErrorDetail, FailureKind, Item, Usage, Verdict


class Aftermath:
    """Carries out what the rules say about outcomes."""

    def __init__(self, run: RunState, budget: RetryBudget) -> None:
        self._run = run
        self._budget = budget

    def answered(
        self,
        flight: Flight,
        route: RouteState,
        labels: Mapping[int, tuple[str, ...]],
        confidences: Mapping[int, float],
        refused: Collection[int],
        what: str,
        usage: Usage,
        model: str,
        latency_s: float,
    ) -> Settled:
        """Follow an answer; return the verdicts that it settles."""
        run, parcel = self._run, flight.parcel
        self._count_answer(flight, route, usage, latency_s)
        if parcel.is_settled:
            route.late += 1
            return ()
        name = route.plan.name
        settled = label_items(flight, name, labels, usage, model, latency_s, confidences)
        route.chunks_labeled += len(settled)
        run.labeled += len(settled)
        if len(settled) == len(parcel.pack.items):
            parcel.is_settled = True
        else:
            parcel.drop(labels)
            if refused:
                parcel.declined |= {(ticket, flight.route_index) for ticket in refused}
        if parcel.is_settled:
            self._give_up_copy(parcel)
        elif not parcel.flights:  # else the copy may still answer what is left
            settled.extend(self._turn_away(parcel))
            if parcel.has_rest:
                settled.extend(self._ask_again(flight, what))
        return tuple(settled)

    def failed(self, flight: Flight, route: RouteState, error: AnalysisError) -> Settled:
        """Follow a failure; return the verdicts that it settles, if any."""
        run, parcel, rule = self._run, flight.parcel, rule_for(error)
        if not parcel.is_settled:
            parcel.last = ErrorDetail(kind=rule.kind, message=str(error))
        route.failed += 1
        route.count_usage(error.usage)
        is_lost = isinstance(error, TransportError) and error.ending is not Ending.REFUSED
        if flight.is_copy and isinstance(error, TransportError) and not error.was_sent:
            parcel.attempts -= 1  # the chunks travelled in the first request only
        if not is_lost:
            route.signed_at = run.now  # the service speaks
        if is_free := is_unpaid(error):
            route.pacer.refund(tokens=flight.cost_tokens, now=run.now)
        elif is_lost:
            route.pacer.lose(flight.call, run.now)
        caps.settle(run, route, flight, error.usage, is_free=is_free)
        if flight.is_probe and rule.follow is not Follow.AGAIN and route.breaker.on_contact():
            self._tell_up(route)
        match rule.follow:
            case Follow.WAIT:
                parcel.attempts -= 1
                self._put_back(parcel)
                if not self._crowd(route, error):
                    self._hold(flight, route, error)
                return ()
            case Follow.CLOSE_ROUTE:
                self._put_back(parcel)
                closures.close(run, [route], error)
                return ()
            case Follow.CLOSE_ACCOUNT:
                parcel.attempts -= 1
                self._put_back(parcel)
                account = route.plan.account
                same = [other for other in run.routes if other.plan.account == account]
                closures.close(run, same, error)
                return ()
            case Follow.AGAIN if isinstance(error, TransportError):
                self._lose(flight, route, error)
        if parcel.is_settled:
            return ()
        has_wait = isinstance(error, TransportError) and bool(error.retry_after_s)
        if parcel.flights or (parcel.declined and has_wait):  # those may come here next
            parcel.rests_until = run.now + self._pause_s(parcel.attempts, error)
        if parcel.flights:
            return ()
        settled = self._turn_away(parcel)
        if not parcel.has_rest:
            return settled
        parcel.stand_at(flight.route_index)
        shared = isinstance(error, TransportError) and error.loss is not None
        parcel.debt = SHARED_BLAME if shared else 1.0
        fates = self._fates(flight, error, rule.follow)
        return (*settled, *self.carry_out(fates, error=error))

    def too_large(self, parcel: Parcel, error: RequestTooLarge) -> None:
        """Ask for fewer chunks at once; one that is too large by itself is not asked here."""
        parcel.last = ErrorDetail(kind=FailureKind.TOO_LONG, message=str(error))
        has_next = has_open_route_after(parcel, self._run.routes)
        fates = after_too_large(parcel, has_next=has_next)
        self._run.queues.abandon(self.carry_out(fates))

    def carry_out(self, fates: Fates, *, error: AnalysisError | None = None) -> Settled:
        """Do with each parcel as decided; return the verdicts on those that nothing helps.

        Args:
            fates: From retry.
            error: Why; it may ask for a wait.
        """
        run = self._run
        settled: list[tuple[Item, Verdict]] = []
        queues = run.queues
        is_retry = any(fate is not Fate.FAILED for fate, _ in fates)
        run.retries += is_retry
        may_retry = self._budget.may_retry()
        for fate, parcel in reversed(fates):
            match fate:
                case Fate.AT_ONCE if parcel.rests_until > run.now:  # as its copy was asked to
                    queues.delay(parcel, parcel.rests_until)
                case Fate.AT_ONCE:
                    queues.put(parcel, at_front=may_retry)
                case Fate.AFTER_PAUSE:
                    until = run.now + self._pause_s(parcel.way_failures, error)
                    queues.delay(parcel, max(until, parcel.rests_until))
                case Fate.BEHIND:
                    queues.put(parcel)
                case Fate.NEXT_ROUTE:
                    queues.leave(parcel, until=parcel.rests_until)
                case Fate.FAILED:
                    settled.extend(queues.give_up(parcel))
        return tuple(settled)

    def _pause_s(self, failures: float, error: AnalysisError | None) -> float:
        """Return how long chunks wait before they are sent again: by chance, or as asked."""
        run, knobs = self._run, self._run.settings
        asked_s = error.retry_after_s if isinstance(error, TransportError) else None
        pause_s = backoff_s(failures, rng=run.rng, settings=knobs)
        return max(pause_s, min(asked_s or 0.0, knobs.retry_after_cap_s))

    # Answers

    def _count_answer(
        self, flight: Flight, route: RouteState, usage: Usage, latency_s: float
    ) -> None:
        run, now, chunks = self._run, self._run.now, len(flight.pack.items)
        route.answered += 1
        route.signed_at = now
        route.count_usage(usage)
        if run.purse is not None:
            caps.settle(run, route, flight, usage)
        if usage.input_tokens:
            used = usage.input_tokens + usage.output_tokens
            route.pacer.refund(flight.cost_tokens - used, now)
        route.pacer.confirm(flight.call)
        self._budget.earn()
        latency, concurrency = route.latency, route.concurrency
        is_slow = latency.note(chunks, latency_s) >= run.settings.concurrency_slow
        concurrency.on_success(len(route.flights) + 1, latency_s, is_slow, now)
        if latency.is_inflated():
            usual_s = latency.predict(chunks)
            if concurrency.on_inflation(latency_s=usual_s, now=now):
                why = f"answers take {latency.inflation:.1f} times as long as usual"
                self._tell_limit(route, why)
        if route.breaker.on_success(flight.is_probe):
            concurrency.after_outage()
            self._tell_up(route)

    def _give_up_copy(self, parcel: Parcel) -> None:
        """Let whoever still carries these chunks be cancelled."""
        if parcel.flights:
            flights = self._run.flights.values()
            self._run.losers.extend(one.request_id for one in flights if one.parcel is parcel)

    def _turn_away(self, parcel: Parcel) -> Settled:
        """Decide on the chunks that the service declined, each by itself, and nobody labelled."""
        if not parcel.declined:
            return ()
        groups: dict[tuple[int, ...], list[int]] = {}
        for ticket in sorted({ticket for ticket, _ in parcel.declined}):
            indexes = sorted(index for one, index in parcel.declined if one == ticket)
            groups.setdefault(tuple(indexes), []).append(ticket)
        parcel.declined = frozenset()
        settled: list[tuple[Item, Verdict]] = []
        for places, tickets in groups.items():
            if (declined := parcel.part(tickets)) is None:
                continue  # the other request has labelled them
            parcel.drop(tickets)
            declined.last = DECLINED
            declined.stand_at(places[-1])
            declined.failed_routes += len(places) - 1
            has_next = has_open_route_after(declined, self._run.routes)
            settled.extend(self.carry_out(after_declined(declined, has_next=has_next)))
        return tuple(settled)

    def _ask_again(self, flight: Flight, what: str) -> Settled:
        """Decide on the chunks of which the answer said nothing that is of use."""
        run, parcel = self._run, flight.parcel
        parcel.last = ErrorDetail(kind=FailureKind.DEFECT, message=what)
        parcel.stand_at(flight.route_index)
        has_next, asked = has_open_route_after(parcel, run.routes), len(flight.pack.items)
        fates = after_bad_answer(parcel, asked=asked, has_next=has_next, settings=run.settings)
        return self.carry_out(fates)

    # Failures

    def _fates(self, flight: Flight, error: AnalysisError, follow: Follow) -> Fates:
        run, parcel = self._run, flight.parcel
        has_next, knobs = has_open_route_after(parcel, run.routes), run.settings
        match follow:
            case Follow.AGAIN if isinstance(error, TransportError):
                is_probe = flight.is_probe
                return after_lost_way(
                    parcel, error, is_probe=is_probe, has_next=has_next, settings=knobs
                )
            case Follow.ADAPT if isinstance(error, TransportError):
                return after_adapting(parcel, error, has_next=has_next, settings=knobs)
            case Follow.DIVIDE:
                return after_rejection(parcel, has_next=has_next)
            case _:
                asked = len(flight.pack.items)
                return after_bad_answer(parcel, asked=asked, has_next=has_next, settings=knobs)

    def _put_back(self, parcel: Parcel) -> None:
        """Queue a parcel as it was, unless another request still carries its chunks."""
        if parcel.is_settled or parcel.flights:
            return
        self._run.queues.abandon(self._turn_away(parcel))
        if parcel.has_rest:
            self._run.queues.put(parcel, at_front=True)

    def _hold(self, flight: Flight, route: RouteState, error: AnalysisError) -> None:
        assert isinstance(error, RateLimited)  # only these are to be waited for
        run, asked_s = self._run, error.retry_after_s
        route.rate_limited += 1
        until = route.pacer.hold(
            retry_after_s=asked_s, now=run.now, call=flight.call, refusal=error
        )
        knobs = run.settings
        refused_s = route.pacer.refused_for(run.now, since=run.busy_since)
        same = [other for other in run.routes if other.pacer is route.pacer]
        if (asked_s or 0.0) > knobs.retry_after_cap_s:
            closures.close(run, same, error, until=until)
            return
        if refused_s >= knobs.outage_limit_s:
            closures.close(run, same, error)
            return
        name, wait_s = route.plan.name, until - run.now
        message = f"{name} asks to slow down for {wait_s:.1f} s."
        run.tell("rate_limited", message, route=name, seconds=wait_s)
        if (left := route.pacer.take_slowed()) is not None:
            kept_s = knobs.slow_down_s
            message = (
                f"{name} asks to slow down: {left:.0%} of the rate is used for the next "
                f"{kept_s / 60:.0f} min, then more bit by bit."
            )
            run.tell("rate_cut", message, route=name, share=left, seconds=kept_s)

    def _crowd(self, route: RouteState, error: AnalysisError) -> bool:
        """Send fewer at once to a service that takes no more; False if that is not the point.

        With a single request at once there is nothing left to lower: then it is a wait like others.
        """
        if not isinstance(error, RateLimited) or error.dimension != AT_ONCE:
            return False
        run = self._run
        if not route.concurrency.on_crowded(in_flight=route.in_flight + 1, now=run.now):
            return route.in_flight >= route.concurrency.limit
        route.rate_limited += 1
        self._tell_limit(route, str(error))
        return True

    def _tell_limit(self, route: RouteState, why: str) -> None:
        name, limit = route.plan.name, route.concurrency.limit
        message = f"{name} gets {limit} requests at once: {why}"
        self._run.tell("in_flight_limit", message, route=name, limit=limit)

    def _lose(self, flight: Flight, route: RouteState, error: TransportError) -> None:
        """Count a request that got lost on its way."""
        run, name = self._run, route.plan.name
        if flight.is_echo:
            return  # the same chunks at the same place: no further evidence about the route
        if route.lose(error, is_probe=flight.is_probe, now=run.now):
            run.is_whole = False
            run.tell("route_down", f"{name} is down: {error}", route=name)
        if error.was_sent and route.breaker.recent_failures >= run.settings.loss_burst:
            expected_s = route.latency.predict(len(flight.pack.items))
            if route.concurrency.on_loss(latency_s=expected_s, now=run.now):
                self._tell_limit(route, str(error))

    def _tell_up(self, route: RouteState) -> None:
        for flight in route.flights.values():
            flight.is_stranded = False
        name = route.plan.name
        self._run.tell("route_up", f"{name} answers again.", route=name)
