"""Schedulers with a bug planted on purpose, to show that the invariants catch it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from analysis.control.breaker import Gate
from analysis.control.decisions import Decision, Settled, WaitUntil
from analysis.control.pacing import Pacer
from analysis.control.routes import RouteState
from analysis.control.scheduler import Scheduler
from analysis.errors import AnalysisError, RateLimited, TransportError
from analysis.records import Labeled
from tests.simulation.invariants import (
    Trace,
    a_declined_chunk_is_not_asked_there_again,
    a_label_that_was_paid_is_kept,
    a_verdict_belongs_to_its_chunk,
    a_wait_that_was_asked_for_is_kept,
    another_model_gets_only_what_the_rules_allow,
    attempts_are_bounded,
    every_chunk_ends_once,
    in_flight_stays_below_its_limit,
    limits_hold_in_every_window,
    no_hold_is_broken,
    nothing_goes_to_a_shut_route_but_probes,
    nothing_is_sent_after_a_stop,
    waits_lead_somewhere,
)
from tests.simulation.world import Scenario


class Reckless(Scheduler):
    """Takes a safety off every route before it decides."""

    def poll(self, *, now: float) -> Decision:
        """Decide without it."""
        for route in self._routes:
            self.loosen(route, now)
        return super().poll(now=now)

    def loosen(self, route: RouteState, now: float) -> None:
        """Take the safety off; this one leaves all of them on."""


class WithoutLimit(Reckless):
    """Ignores the limit in flight."""

    def loosen(self, route: RouteState, now: float) -> None:
        """Allow any number."""
        route.limit = 1_000


class WithoutPace(Reckless):
    """Ignores rate limits and holds."""

    def loosen(self, route: RouteState, now: float) -> None:
        """Forget everything drawn and every hold."""
        route.pacer = Pacer(now=now, rng=random.Random(1), settings=self._settings)


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


class Spendthrift(Scheduler):
    """Asks for the whole pack again although a part of it was answered."""

    def on_answer(self, request_id: str, **heard: Any) -> Settled:
        """Offer what was answered once more, five times a run."""
        pack = self._flights[request_id].parcel.pack
        settled = super().on_answer(request_id, **heard)
        if self._answered_chunks <= 5 and heard["labels"]:
            self.offer(pack, now=heard["now"])
        return settled


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


class Endless(Scheduler):
    """Forgets failures, up to some point."""

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """Hear of the failure as if it was the first."""
        parcel = self._flights[request_id].parcel
        if parcel.attempts < 80:
            parcel.way_failures = parcel.answers = parcel.lone_failures = 0
        return super().on_failure(request_id, error, now=now)


class Hasty(Scheduler):
    """Does not listen to the wait that a failing service asks for."""

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """Hear of the failure without its wait."""
        if isinstance(error, TransportError) and not isinstance(error, RateLimited):
            error = TransportError(str(error), ending=error.ending, code=error.code)
        return super().on_failure(request_id, error, now=now)


class Unstoppable(Scheduler):
    """Goes on for a while after a stop."""

    def stop(self, reason: str, error: AnalysisError | None = None) -> None:
        """Keep what waits in the first queue."""
        queue = self._routes[0].queue
        kept = list(queue)
        queue.clear()
        super().stop(reason, error)
        queue.extend(kept)


PLANTED: tuple[tuple[type[Scheduler], Callable[[Scenario, Trace], None]], ...] = (
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
