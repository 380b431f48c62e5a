"""A world on virtual time: services that answer, fail and vanish by seed, around a real scheduler.

The world plays dispatch and the services. It writes down what happened as a trace of entries; the
invariants read the trace and share no code with the scheduler.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from analysis.control.decisions import Cancel, Decision, Finished, Send, Settled, WaitUntil
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.tape import Recorder
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    DeadlinePassed,
    LocalProtocolError,
    ModelRefused,
    RateLimited,
    RequestRejected,
    TransportError,
)
from analysis.records import Chunk, Ending, Item, Pack, RateLimit, Usage
from tests.simulation.accounts import Account
from tests.simulation.scenario import (
    COST_PER_CHUNK,
    COST_PER_REQUEST,
    NIGHT_S,
    SLOWNESS,
    Bucket,
    Entry,
    Scenario,
    Service,
    Trace,
    is_within,
    true_label,
)

POLLS = 200_000
"""Polls after which a run counts as endless."""

MakeScheduler = Callable[..., Scheduler | Recorder]


class World:
    """One run from first offer to the end.

    Attributes:
        trace: What happened, in order.
        scheduler: The scheduler at work.
        account: The limits at work, if the scenario has any.
    """

    def __init__(
        self, scenario: Scenario, seed: int, make: MakeScheduler = Scheduler, start: float = 0.0
    ) -> None:
        self.scenario = scenario
        self.trace: Trace = []
        self.now = start
        self._start = start
        self._chance = random.Random(f"world {seed}")
        self.account: Account | None = None
        if scenario.limits is not None:
            self.account = Account(scenario.limits, self._chance, start)
        self._services = {service.name: service for service in scenario.services}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._asked: dict[str, Send] = {}
        self._sent_at: dict[str, float] = {}
        self._told: list[tuple[str, str, str]] = []
        self._is_awake = scenario.suspended_at is None
        self._gone: set[int] = set()
        ids = itertools.count(1)
        self.scheduler = make(
            [
                RoutePlan(
                    name=service.name,
                    model=service.model,
                    account=service.account,
                    in_flight=service.in_flight,
                    states_limits=service.states_limits,
                )
                for service in scenario.services
            ],
            cost_of=cost_of,
            rng=random.Random(f"scheduler {seed}"),
            new_id=lambda: f"q{next(ids)}",
            notify=self._hear,
            now=start,
            settings=scenario.settings,
        )
        self._feed()

    def run(self, polls: int = POLLS) -> Trace:
        """Run to the end, in so many polls at most, and return the trace."""
        for _ in range(polls):
            decision = self.scheduler.poll(now=self.now)
            self._note_told()
            self._give(self.scheduler.take_abandoned())
            match decision:
                case Send():
                    self._carry(decision)
                case Finished() if not self._events:
                    self._note("finished", buckets=self._buckets())
                    return self.trace
                case Finished():
                    self._turn(None)
                case WaitUntil(at=at):
                    self._check_same(decision)
                    self._note("wait", until=at, crowded=self._crowded(), buckets=self._buckets())
                    self._turn(at)
                case Cancel(request_id=request_id):
                    self._cancel(self._asked[request_id])
        raise AssertionError(f"the run does not end; it stands at {self.now:.1f} s")

    # Inside

    def _note(self, kind: str, **fields: Any) -> None:
        self.trace.append(
            Entry(kind=kind, at=self.now, in_flight=self.scheduler.in_flight, **fields)
        )

    def _hear(self, name: str, message: str, fields: Mapping[str, str | float]) -> None:
        """Take an event; the scheduler is in the midst of a call."""
        self._told.append((name, str(fields.get("route", "")), message))

    def _note_told(self) -> None:
        for name, route, message in self._told:
            self._note(name, route=route, message=message)
        self._told.clear()

    def _routes(self) -> list[Any]:
        """Return the scheduler's own state of each route, to look at."""
        scheduler = self.scheduler
        inner = scheduler.scheduler if isinstance(scheduler, Recorder) else scheduler
        return list(inner._routes)

    def _crowded(self) -> frozenset[str]:
        routes: Any = self.scheduler.statistics()["routes"]
        return frozenset(
            name for name, one in routes.items() if one["in_flight"] >= one["in_flight_limit"]
        )

    def _buckets(self) -> tuple[Bucket, ...]:
        pacers = {(route.plan.account, route.plan.model): route.pacer for route in self._routes()}
        return tuple(
            Bucket(
                group=group,
                name=name,
                drawn=one.drawn,
                level=one.level(self.now),
                per_minute=one.per_minute,
            )
            for group, pacer in pacers.items()
            for name, at_work in (("requests", pacer.requests), ("tokens", pacer.tokens))
            for one in [copy.copy(at_work)]  # looking must not touch the one at work
        )

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    def _turn(self, until: float | None) -> None:
        """Move to the next event, or to the time at which the scheduler wants to be asked."""
        due = self._events[0][0] if self._events else None
        upcoming = min((at for at in (due, until) if at is not None), default=None)
        if upcoming is None:
            raise AssertionError(f"deadlock at {self.now:.1f} s: nothing is in flight")
        asleep_at = self._start + (self.scenario.suspended_at or 0.0)
        if not self._is_awake and upcoming >= asleep_at:
            self._sleep(asleep_at)
        elif due is not None and due == upcoming:
            when, _, action = heapq.heappop(self._events)
            self.now = max(self.now, when)
            action()
        else:
            self.now = max(self.now, upcoming)

    def _sleep(self, asleep_at: float) -> None:
        """Let hours pass in which nobody does anything; sockets do not outlast them."""
        self._is_awake = True
        self.now = asleep_at + NIGHT_S
        self._note("night")
        for send in self._asked.values():
            lost = TransportError("the connection is gone", code="1006")
            tickets = tuple(item.ticket for item in send.pack.items)
            self._at(self.now, partial(self._end, send, tickets, lost))

    def _check_same(self, decision: Decision) -> None:
        again = self.scheduler.poll(now=self.now)
        assert decision == again, f"a second poll says {again} instead of {decision}"

    def _feed(self) -> None:
        scenario = self.scenario
        size, pause_s = scenario.chunks_per_request, scenario.feed_s
        for place, first in enumerate(range(0, scenario.chunks, size)):
            tickets = range(first, min(first + size, scenario.chunks))
            self._at(self._start + place * pause_s, partial(self._offer, tickets))
        if scenario.stop_at is not None:
            self._at(self._start + scenario.stop_at, self._stop)
        if scenario.withdraw_at is not None:
            self._at(self._start + scenario.withdraw_at, self._withdraw)

    def _offer(self, tickets: range) -> None:
        items = tuple(
            Item(
                ticket=ticket,
                chunk=Chunk(id=f"c{ticket}", text="x"),
                tokens=self.scenario.tokens_of(ticket),
            )
            for ticket in tickets
        )
        self._note("offer", tickets=tuple(tickets))
        self.scheduler.offer(Pack(items=items), now=self.now)

    def _stop(self) -> None:
        self.scheduler.stop("the test stops it")
        self._note("stop")
        self._note_told()

    def _withdraw(self) -> None:
        """Let the reader of every second pack go, as dispatch does: queue first, then requests."""
        size, tickets = self.scenario.chunks_per_request, set[int]()

        def is_unwanted(pack: Pack) -> bool:
            is_odd = bool(pack.items[0].ticket // size % 2)
            if is_odd:
                tickets.update(item.ticket for item in pack.items)
            return is_odd

        self.scheduler.withdraw(is_unwanted, now=self.now)
        for send in [send for send in self._asked.values() if is_unwanted(send.pack)]:
            self._cancel(send)
        self._gone |= tickets
        self._note("withdraw", tickets=tuple(sorted(tickets)))

    def _cancel(self, send: Send) -> None:
        del self._asked[send.request_id]
        self.scheduler.cancel(send.request_id, was_sent=True, now=self.now)
        tickets = tuple(item.ticket for item in send.pack.items)
        self._note("cancel", request_id=send.request_id, route=send.route, tickets=tickets)
        self._note_told()

    def _give(self, settled: Settled) -> None:
        if settled:
            labels = {
                item.ticket: verdict.labels[0] if verdict.labels else None
                for item, verdict in settled
            }
            wrong = [item for item, verdict in settled if item.chunk.id != verdict.chunk_id]
            assert not wrong, f"verdicts under another chunk's id: {wrong}"
            tickets = tuple(item.ticket for item, _ in settled)
            self._note("verdicts", tickets=tickets, labels=labels)

    def _carry(self, send: Send) -> None:
        tickets = tuple(item.ticket for item in send.pack.items)
        self._asked[send.request_id] = send
        self._sent_at[send.request_id] = self.now
        self._note(
            "send",
            request_id=send.request_id,
            route=send.route,
            tickets=tickets,
            cost_tokens=cost_of(send.route, send.pack),
            is_probe=send.is_probe,
            is_copy=send.is_copy,
        )
        if self._gone.intersection(tickets):
            self._cancel(send)  # nobody wants to pay for this
            return
        if self.account is not None:
            way_s = self._chance.uniform(0.01, 0.04)
            self._at(self.now + way_s, partial(self._arrive, send, tickets, self.account))
            return
        seconds, error = self._fate(self._services[send.route], tickets)
        self._foretell(send, seconds, error)
        self._at(self.now + seconds, lambda: self._end_or_cut(send, tickets, error))

    def _foretell(self, send: Send, seconds: float, error: AnalysisError | None) -> None:
        """Let the first event of an answer come, where the service sends any."""
        if error is None and self._services[send.route].streams:
            self._at(self.now + 0.3 * seconds, partial(self._sign, send))

    def _sign(self, send: Send) -> None:
        if send.request_id in self._asked:
            self._note("sign", request_id=send.request_id, route=send.route)
            self.scheduler.on_sign(send.request_id, now=self.now)

    def _end_or_cut(
        self, send: Send, tickets: tuple[int, ...], error: AnalysisError | None
    ) -> None:
        """End a request, unless it was lost before; it may take all of its route with it."""
        if send.request_id not in self._asked:
            return
        if self._chance.random() >= self._services[send.route].cut:
            self._end(send, tickets, error)
            return
        loss = object()
        for other in [one for one in self._asked.values() if one.route == send.route]:
            lost = TransportError("cut", code="1006")
            lost.loss = loss
            self._end(other, tuple(item.ticket for item in other.pack.items), lost)

    def _arrive(self, send: Send, tickets: tuple[int, ...], account: Account) -> None:
        """Let the account decide, then play what the service does with the request."""
        cost = cost_of(send.route, send.pack)
        error: AnalysisError | None
        error, stated = account.arrive(cost, self.now)
        seconds = 0.02
        if error is None:
            seconds, error = self._fate(self._services[send.route], tickets)
            unused = cost - COST_PER_REQUEST // 2 - COST_PER_CHUNK * len(tickets)
            back_s = max(0.0, seconds - 0.02)
            self._at(self.now + back_s, lambda: account.give_back(unused, self.now))
            self._foretell(send, seconds, error)
        service = self._services[send.route]
        if error is not None and isinstance(error, RateLimited):
            error.retry_after_s = misstated(error.retry_after_s, service.waits)
        if service.states_limits and not service.names_requests:
            self._at(self.now + 0.02, partial(self._state, send.route, stated, None))
            stated = ()
        self._at(self.now + seconds, lambda: self._end(send, tickets, error, stated))

    def _state(self, route: str, stated: tuple[RateLimit, ...], request_id: str | None) -> None:
        self._note("stated", route=route, stated=stated)
        self.scheduler.on_limits(route, stated, now=self.now, request_id=request_id)

    def _end(
        self,
        send: Send,
        tickets: tuple[int, ...],
        error: AnalysisError | None,
        stated: tuple[RateLimit, ...] = (),
    ) -> None:
        if self._asked.pop(send.request_id, None) is None:
            return  # it was given up, or lost, before
        before = self.scheduler.stop_reason
        if stated and self._services[send.route].states_limits:
            self._state(send.route, stated, send.request_id)
        if error is not None:
            self._note(
                "failure",
                request_id=send.request_id,
                route=send.route,
                tickets=tickets,
                error=error,
            )
            settled = self.scheduler.on_failure(send.request_id, error, now=self.now)
        else:
            settled = self._answer(send, tickets)
        self._note_told()
        self._give(settled)
        if before is None and self.scheduler.stop_reason is not None:
            self._note("stop")

    def _answer(self, send: Send, tickets: tuple[int, ...]) -> Settled:
        service, chance = self._services[send.route], self._chance
        is_void = chance.random() < service.malformed
        answered = [t for t in tickets if not is_void and chance.random() >= service.short]
        declined = frozenset(t for t in answered if chance.random() < service.declines)
        labels = {t: true_label(t) for t in answered if t not in declined}
        used = COST_PER_REQUEST // 2 + COST_PER_CHUNK * len(tickets)
        self._note(
            "answer",
            request_id=send.request_id,
            route=send.route,
            tickets=tickets,
            labels=labels,
            declined=declined,
            usage_tokens=used,
        )
        hear = partial(
            self.scheduler.on_answer,
            send.request_id,
            labels={ticket: (label,) for ticket, label in labels.items()},
            defect="foreign_id" if is_void else None,
            note="",
            usage=Usage(input_tokens=used),
            model=send.model,
            latency_s=self.now - self._sent_at[send.request_id],
            now=self.now,
            refused=declined,
        )
        settled = hear()
        if service.twice and chance.random() < service.twice:
            self._hear_again(hear)
        return settled

    def _hear_again(self, hear: Callable[[], Settled]) -> None:
        """An answer that comes twice is an error of whoever passes it on, and changes nothing."""
        before = self.scheduler.statistics()
        with pytest.raises(LocalProtocolError):
            hear()
        assert before == self.scheduler.statistics(), "a second answer changed something"

    def _fate(
        self, service: Service, tickets: tuple[int, ...]
    ) -> tuple[float, AnalysisError | None]:
        """Return when a request ends, and its error unless it is answered."""
        chance, now, asked = self._chance, self.now - self._start, frozenset(tickets)
        latency_s = 0.2 + chance.lognormvariate(-1.0, 0.6)
        if (certain := self._certain_fate(service, now)) is not None:
            return certain
        if is_within(service.slow, now):
            latency_s *= SLOWNESS
        if asked & self.scenario.deadly:
            return latency_s, TransportError("broken", code="1011")
        if asked & self.scenario.rejected:
            return 0.1, RequestRejected("400", code="invalid_request_error")
        if asked & self.scenario.refused:
            return latency_s, ModelRefused("no", code="refusal")
        draw = chance.random()
        for share, seconds, error in (
            (service.drop, latency_s / 2, TransportError("dropped", code="1006")),
            (
                service.server_error,
                0.1,
                TransportError(
                    "500", ending=Ending.REFUSED, retry_after_s=chance.choice([None, 2.0])
                ),
            ),
            (service.hang, self.scenario.settings.timeout_s, DeadlinePassed("late")),
            (
                service.limited,
                0.05,
                RateLimited("slow", retry_after_s=chance.choice([None, 0.0, 0.3, 2.0])),
            ),
            (0.01, latency_s, AnswerDefect("no JSON", defect="malformed_reply")),
        ):
            if draw < share:
                return seconds, error
            draw -= share
        return latency_s, None

    def _certain_fate(
        self, service: Service, now: float
    ) -> tuple[float, AnalysisError | None] | None:
        """Return what happens to every request at this time of the run, if anything does."""
        if is_within(service.away, now):
            return 0.05, TransportError("refused", ending=Ending.UNSENT, code="connect")
        if is_within(service.silent, now):
            return self.scenario.settings.timeout_s, DeadlinePassed("late")
        if service.closed_from is not None and now >= service.closed_from:
            return 0.1, AccountClosed("no quota", code="insufficient_quota")
        if service.limited_from is not None and now >= service.limited_from:
            asked_s = self._chance.choice([None, 0.0, 5.0])
            return 0.1, RateLimited("slow down", retry_after_s=asked_s)
        if service.hour_from is not None and 0 <= now - service.hour_from < 3_600.0:
            rest_s = service.hour_from + 3_600.0 - now
            return 0.1, RateLimited("wait", retry_after_s=rest_s)
        return None


def misstated(wait_s: float | None, waits: str) -> float | None:
    """Return what a service says in place of the time to wait."""
    match waits:
        case "absent":
            return None
        case "zero":
            return 0.0
        case "short":
            return None if wait_s is None else wait_s / 4
        case "long":
            return None if wait_s is None else wait_s * 4
    return wait_s


def cost_of(route: str, pack: Pack) -> int:
    """Return the tokens that a request for a pack reserves."""
    return COST_PER_REQUEST + sum(item.tokens for item in pack.items)


def play(
    scenario: Scenario, seed: int, make: MakeScheduler = Scheduler, start: float = 0.0
) -> Trace:
    """Return the trace of one run."""
    return World(scenario, seed, make, start).run()
