"""Schedulers with a bug planted on purpose, to show that the invariants catch it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from analysis.control.breaker import Gate
from analysis.control.decisions import Decision, Send, Settled, WaitUntil
from analysis.control.pacing import Pacer
from analysis.control.routes import RoutePlan, RouteState
from analysis.control.scheduler import Scheduler
from analysis.errors import AnalysisError, RateLimited, TransportError
from analysis.records import Labeled, Pack, StopCause
from analysis.settings import SETTINGS, Settings
from tests.simulation.chunk_invariants import (
    a_copy_is_the_only_second_request,
    a_declined_chunk_is_not_asked_there_again,
    a_label_that_was_paid_is_kept,
    a_verdict_belongs_to_its_chunk,
    attempts_are_bounded,
    copies_are_few,
    every_chunk_ends_once,
    nobody_waits_for_all_others,
    nothing_is_sent_after_a_stop,
)
from tests.simulation.invariants import Invariant
from tests.simulation.pace_invariants import (
    limits_hold_in_every_window,
    no_bucket_overflows,
    nothing_idles,
    refusals_are_few,
    time_is_used,
    what_is_drawn_is_what_was_used,
)
from tests.simulation.route_invariants import (
    a_route_that_speaks_is_not_silent,
    a_wait_that_was_asked_for_is_kept,
    another_model_gets_only_what_the_rules_allow,
    in_flight_stays_below_its_limit,
    no_hold_is_broken,
    nothing_goes_to_a_shut_route_but_probes,
    nothing_is_left_at_the_end,
    waits_lead_somewhere,
)


class Reckless(Scheduler):
    """Takes a safety off every route before it decides."""

    def poll(self, *, now: float) -> Decision:
        """Decide without it."""
        for route in self._routes:
            self.loosen(route, now)
        return super().poll(now=now)

    def loosen(self, route: RouteState, now: float) -> None:
        """Take the safety off; this one leaves all of them on."""


class WithoutLimit(Scheduler):
    """Ignores the limit in flight."""

    def __init__(self, routes: Sequence[RoutePlan], **given: Any) -> None:
        """Allow any number."""
        super().__init__([replace(plan, in_flight=1_000) for plan in routes], **given)


class WithoutPace(Reckless):
    """Ignores rate limits and holds."""

    def loosen(self, route: RouteState, now: float) -> None:
        """Forget everything drawn and every hold."""
        knobs = replace(SETTINGS, requests_per_minute=1_000_000, tokens_per_minute=1_000_000_000)
        route.pacer = Pacer(now=now, rng=random.Random(1), settings=knobs)


class WithoutBreaker(Reckless):
    """Ignores the breaker."""

    def loosen(self, route: RouteState, now: float) -> None:
        """Let everything pass."""
        if route.breaker.gate(now) is not Gate.PASS:
            route.breaker.on_contact()


class Impatient(Reckless):
    """Goes to another model at once."""

    def loosen(self, route: RouteState, now: float) -> None:
        """Believe that the route never worked."""
        route.breaker.ever_worked = False


class Mishearing(Scheduler):
    """Makes something else of the verdicts of an answer."""

    def on_answer(self, request_id: str, **heard: Any) -> Settled:
        """Hear an answer and twist what follows."""
        return self.twisted(super().on_answer(request_id, **heard))

    def twisted(self, settled: Settled) -> Settled:
        """Return other verdicts; this one returns the same."""
        return settled


class Forgetful(Mishearing):
    """Loses the last verdict of every answer."""

    def twisted(self, settled: Settled) -> Settled:
        """Drop one."""
        return settled[:-1]


class Generous(Mishearing):
    """Gives the first verdict of every answer twice."""

    def twisted(self, settled: Settled) -> Settled:
        """Double one."""
        return settled + settled[:1]


class Swapping(Mishearing):
    """Gives neighbours each other's labels."""

    def twisted(self, settled: Settled) -> Settled:
        """Move the labels by one chunk, and leave the ids right."""
        found = [(item, verdict) for item, verdict in settled if isinstance(verdict, Labeled)]
        moved = [verdict.labels for _, verdict in found[1:] + found[:1]]
        swapped = tuple(
            (item, replace(verdict, labels=labels))
            for (item, verdict), labels in zip(found, moved, strict=True)
        )
        return swapped + tuple(one for one in settled if not isinstance(one[1], Labeled))


class Insistent(Scheduler):
    """Takes what was declined for what was forgotten."""

    def on_answer(self, request_id: str, **heard: Any) -> Settled:
        """Hear an answer that declines nothing."""
        return super().on_answer(request_id, **(heard | {"refused": ()}))


class Remembering(Scheduler):
    """Remembers which pack it sent under which id."""

    def __init__(self, routes: Sequence[RoutePlan], **given: Any) -> None:
        """Start with nothing sent."""
        super().__init__(routes, **given)
        self.packs: dict[str, Pack] = {}
        self.done = 0

    def poll(self, *, now: float) -> Decision:
        """Decide, and remember what is sent."""
        decision = super().poll(now=now)
        if isinstance(decision, Send):
            self.packs[decision.request_id] = decision.pack
        return decision


class Spendthrift(Remembering):
    """Asks for the whole pack again although a part of it was answered, five times a run."""

    def on_answer(self, request_id: str, **heard: Any) -> Settled:
        """Offer what was answered once more."""
        settled = super().on_answer(request_id, **heard)
        if self.done < 5 and heard["labels"]:
            self.done += 1
            self.offer(self.packs[request_id], now=heard["now"])
        return settled


class Stubborn(Remembering):
    """Asks a second time for what is on its way, five times a run."""

    def poll(self, *, now: float) -> Decision:
        """Offer again what is sent."""
        decision = super().poll(now=now)
        if isinstance(decision, Send) and self.done < 5:
            self.done += 1
            self.offer(decision.pack, now=now)
        return decision


class Twofold(Remembering):
    """Copies its first forty requests, and calls the second ones copies."""

    def __init__(self, routes: Sequence[RoutePlan], **given: Any) -> None:
        """Start with nothing to copy."""
        super().__init__(routes, **given)
        self.copying: set[int] = set()

    def poll(self, *, now: float) -> Decision:
        """Offer again what is sent, and mark it when it goes."""
        decision = super().poll(now=now)
        if not isinstance(decision, Send):
            return decision
        tickets = {item.ticket for item in decision.pack.items}
        if tickets <= self.copying:
            self.copying -= tickets
            return replace(decision, is_copy=True)
        if not decision.is_probe and self.done < 40:
            self.done += 1
            self.copying |= tickets
            self.offer(decision.pack, now=now)
        return decision


class Restless(Scheduler):
    """Asks ten times a run to be polled again at once."""

    stalls = 0

    def poll(self, *, now: float) -> Decision:
        """Return a wait that is over when it begins."""
        decision = super().poll(now=now)
        if not isinstance(decision, WaitUntil) or decision.at is None or self.stalls >= 20:
            return decision
        self.stalls += 1
        return WaitUntil(now)


class Endless(Remembering):
    """Asks again after each failure, eighty times a run."""

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """Settle nothing, and offer it as if it was new."""
        settled = super().on_failure(request_id, error, now=now)
        if not settled or self.done >= 80:
            return settled
        self.done += 1
        for item, _ in settled:
            self.offer(Pack(items=(item,)), now=now)
        return ()


class Hasty(Scheduler):
    """Does not listen to the wait that a failing service asks for."""

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """Hear of the failure without its wait."""
        if isinstance(error, TransportError) and not isinstance(error, RateLimited):
            error = TransportError(str(error), ending=error.ending, code=error.code)
        return super().on_failure(request_id, error, now=now)


class Unstoppable(Scheduler):
    """Goes on for a while after a stop."""

    def __init__(self, routes: Sequence[RoutePlan], **given: Any) -> None:
        """Start with nothing to stop."""
        super().__init__(routes, **given)
        self.asked_for: tuple[str, AnalysisError | None, StopCause] | None = None
        self.polls = 0

    def stop(
        self,
        reason: str,
        error: AnalysisError | None = None,
        cause: StopCause = StopCause.INTERRUPTED,
    ) -> None:
        """Keep it for later."""
        self.asked_for = reason, error, cause

    def poll(self, *, now: float) -> Decision:
        """Stop after twenty more decisions."""
        self.polls += self.asked_for is not None
        if self.asked_for is not None and self.polls > 20:
            super().stop(*self.asked_for)
        return super().poll(now=now)


class Backward(Reckless):
    """Sends what was offered last."""

    def loosen(self, route: RouteState, now: float) -> None:
        """Turn the queue round."""
        route.queue.rotate(1)


class Wasteful(Scheduler):
    """Gives no tokens back."""

    def __init__(self, routes: Sequence[RoutePlan], **given: Any) -> None:
        """Take it from the limiters."""
        super().__init__(routes, **given)
        for route in self._routes:
            route.pacer.refund = keep  # type: ignore[method-assign]


def keep(tokens: int, now: float) -> None:
    """Give nothing back."""


class Overflowing(Reckless):
    """Fills the buckets of a limiter beyond their caps."""

    def loosen(self, route: RouteState, now: float) -> None:
        """Put into the minute bucket what no minute holds."""
        route.pacer.requests._level = 2 * route.pacer.requests.per_minute


class Lazy(Scheduler):
    """Goes on only when something ends."""

    def poll(self, *, now: float) -> Decision:
        """Send one at a time."""
        if self.in_flight:
            return WaitUntil(None)
        return super().poll(now=now)


class Deaf(Scheduler):
    """Hears neither what a service states nor its refusals."""

    def on_limits(self, *given: Any, **named: Any) -> None:
        """Hear nothing."""

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """Hear of a refusal as of a moment's pause."""
        if isinstance(error, RateLimited):
            error = RateLimited(str(error), code="other", retry_after_s=0.3)
        return super().on_failure(request_id, error, now=now)


class Timid(Scheduler):
    """Uses a small part of what it may, and hears of no more."""

    def __init__(self, routes: Sequence[RoutePlan], *, settings: Settings, **given: Any) -> None:
        """Assume the least."""
        slow = replace(settings, requests_per_minute=20)
        super().__init__(routes, settings=slow, **given)

    def on_limits(self, *given: Any, **named: Any) -> None:
        """Hear nothing of more."""


class Suspicious(Scheduler):
    """Calls the first route silent when it has answered."""

    def on_answer(self, request_id: str, **heard: Any) -> Settled:
        """Hear an answer and hear nothing."""
        settled = super().on_answer(request_id, **heard)
        route = self._routes[0]
        if route.breaker.on_silence(now=heard["now"]):
            self._run.tell("route_down", "It is silent.", route=route.plan.name)
        return settled


class Leaky(Scheduler):
    """Does not hear that a request was given up."""

    def cancel(self, request_id: str, *, was_sent: bool, now: float) -> None:
        """Forget to take note."""


PLANTED: tuple[tuple[type[Scheduler], Invariant], ...] = (
    (Stubborn, a_copy_is_the_only_second_request),
    (Twofold, copies_are_few),
    (Backward, nobody_waits_for_all_others),
    (Suspicious, a_route_that_speaks_is_not_silent),
    (Leaky, nothing_is_left_at_the_end),
    (Wasteful, what_is_drawn_is_what_was_used),
    (Overflowing, no_bucket_overflows),
    (Lazy, nothing_idles),
    (Deaf, refusals_are_few),
    (Timid, time_is_used),
    (WithoutLimit, in_flight_stays_below_its_limit),
    (WithoutPace, limits_hold_in_every_window),
    (WithoutPace, no_hold_is_broken),
    (WithoutBreaker, nothing_goes_to_a_shut_route_but_probes),
    (Impatient, another_model_gets_only_what_the_rules_allow),
    (Forgetful, every_chunk_ends_once),
    (Generous, every_chunk_ends_once),
    (Swapping, a_verdict_belongs_to_its_chunk),
    (Spendthrift, a_label_that_was_paid_is_kept),
    (Restless, waits_lead_somewhere),
    (Endless, attempts_are_bounded),
    (Hasty, a_wait_that_was_asked_for_is_kept),
    (Unstoppable, nothing_is_sent_after_a_stop),
    (Insistent, a_declined_chunk_is_not_asked_there_again),
)
"""Each bug with the invariant that it breaks."""
