"""A world on virtual time: services that answer, fail and vanish by seed, around a real scheduler.

The world plays dispatch and the services. It writes down what happened as a trace of entries; the
invariants read the trace and share no code with the scheduler.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from analysis.control.decisions import Decision, Finished, Send, Settled, WaitUntil
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    DeadlinePassed,
    ModelRefused,
    RateLimited,
    RequestRejected,
    TransportError,
)
from analysis.records import Chunk, Ending, Item, Pack, RateLimit, Usage
from analysis.settings import SETTINGS, Settings
from tests.simulation.accounts import Account, Limited

COST_PER_REQUEST = 300
COST_PER_CHUNK = 60
POLLS = 200_000
"""Polls after which a run counts as endless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What one route meets; chances are per request, times in seconds of the run.

    Attributes:
        name: Name of the route.
        model: Model that is asked for.
        account: Key and host.
        in_flight: Limit of requests at once.
        drop: Chance that the connection breaks.
        cut: Chance that all requests of the route are lost at once, with their one socket.
        server_error: Chance of a 500.
        hang: Chance that nothing comes until the time-out.
        limited: Chance of a 429.
        malformed: Chance that the answer is void.
        short: Chance, per chunk, that its item is missing.
        declines: Chance, per chunk, that it is declined while the rest is answered.
        away: Spans (from, to) in which connections are refused.
        closed_from: From when on the key is refused, or None.
        limited_from: From when on every request meets a 429, or None.
        states_limits: Its answers would tell the limits.
        names_requests: Limits are stated with the answer; else at once, and without saying of
            which request.
    """

    name: str
    model: str
    account: str = "key"
    in_flight: int = 8
    drop: float = 0.0
    cut: float = 0.0
    server_error: float = 0.0
    hang: float = 0.0
    limited: float = 0.0
    malformed: float = 0.0
    short: float = 0.0
    declines: float = 0.0
    away: tuple[tuple[float, float], ...] = ()
    closed_from: float | None = None
    limited_from: float | None = None
    states_limits: bool = True
    names_requests: bool = True

    def is_away(self, now: float) -> bool:
        """Tell whether connections are refused at this time."""
        return any(begin <= now < end for begin, end in self.away)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run: services, chunks with a nature, limits of the one account if it keeps any."""

    services: tuple[Service, ...]
    chunks: int = 60
    chunks_per_request: int = 5
    refused: frozenset[int] = frozenset()
    deadly: frozenset[int] = frozenset()
    rejected: frozenset[int] = frozenset()
    feed_s: float = 0.0
    stop_at: float | None = None
    limits: Limited | None = None
    settings: Settings = SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the trace.

    Attributes:
        kind: `offer`, `send`, `answer`, `failure`, `verdicts`, `wait`, `stop` or `finished`.
        at: Seconds of the run.
        request_id: Of a send or its ending.
        route: Of a send or its ending.
        tickets: Chunks of the request, or those that get a verdict.
        labels: Ticket -> label given, for answers and verdicts; None stands for a failed chunk.
        declined: Chunks that an answer declined.
        error: Error of a failure.
        usage_tokens: Billed tokens of an answer.
        is_probe: The scheduler called a send a probe.
        until: What a wait says.
        in_flight: Requests in flight, as the scheduler counts them.
    """

    kind: str
    at: float
    request_id: str = ""
    route: str = ""
    tickets: tuple[int, ...] = ()
    labels: Mapping[int, str | None] = field(default_factory=dict)
    declined: frozenset[int] = frozenset()
    error: AnalysisError | None = None
    usage_tokens: int = 0
    is_probe: bool = False
    until: float | None = None
    in_flight: int = 0

    def shown(self) -> str:
        """Return the entry as one line, for comparison of traces."""
        return (
            f"{self.at!r} {self.kind} {self.request_id} {self.route} {self.tickets} "
            f"{sorted(self.labels.items())} {sorted(self.declined)} {self.error!r} "
            f"{self.usage_tokens} {self.is_probe} "
            f"{self.until!r} {self.in_flight}"
        )


def true_label(ticket: int) -> str:
    """Return the label that every service gives to a chunk: it names the chunk itself."""
    return f"label-of-{ticket}"


MakeScheduler = Callable[..., Scheduler]


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
        self.trace: list[Entry] = []
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
            notify=lambda name, message, fields: None,
            now=start,
            settings=scenario.settings,
        )
        self._feed()

    def run(self) -> list[Entry]:
        """Run to the end and return the trace."""
        for _ in range(POLLS):
            decision = self.scheduler.poll(now=self.now)
            self._give(self.scheduler.take_abandoned())
            match decision:
                case Send():
                    self._carry(decision)
                case Finished() if not self._events:
                    self._note("finished")
                    return self.trace
                case Finished():
                    self._turn(None)
                case WaitUntil(at=at):
                    self._check_same(decision)
                    self._note("wait", until=at)
                    self._turn(at)
        raise AssertionError(f"the run does not end; it stands at {self.now:.1f} s")

    # Inside

    def _note(self, kind: str, **fields: object) -> None:
        entry = Entry(kind=kind, at=self.now, in_flight=self.scheduler.in_flight, **fields)  # type: ignore[arg-type]
        self.trace.append(entry)

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    def _turn(self, until: float | None) -> None:
        """Move to the next event, or to the time at which the scheduler wants to be asked."""
        if self._events and (until is None or self._events[0][0] <= until):
            when, _, action = heapq.heappop(self._events)
            self.now = max(self.now, when)
            action()
        elif until is not None:
            self.now = until
        else:
            raise AssertionError(f"deadlock at {self.now:.1f} s: nothing is in flight")

    def _check_same(self, decision: Decision) -> None:
        again = self.scheduler.poll(now=self.now)
        assert decision == again, f"a second poll says {again} instead of {decision}"

    def _feed(self) -> None:
        size, pause_s = self.scenario.chunks_per_request, self.scenario.feed_s
        for place, first in enumerate(range(0, self.scenario.chunks, size)):
            tickets = range(first, min(first + size, self.scenario.chunks))
            self._at(self._start + place * pause_s, partial(self._offer, tickets))
        if self.scenario.stop_at is not None:
            self._at(self._start + self.scenario.stop_at, self._stop)

    def _offer(self, tickets: range) -> None:
        items = tuple(
            Item(ticket=ticket, chunk=Chunk(id=f"c{ticket}", text="x"), tokens=COST_PER_CHUNK)
            for ticket in tickets
        )
        self._note("offer", tickets=tuple(tickets))
        self.scheduler.offer(Pack(items=items), now=self.now)

    def _stop(self) -> None:
        self.scheduler.stop("the test stops it")
        self._note("stop")

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
        self._note(
            "send",
            request_id=send.request_id,
            route=send.route,
            tickets=tickets,
            is_probe=send.is_probe,
        )
        if self.account is not None:
            way_s = self._chance.uniform(0.01, 0.04)
            self._at(self.now + way_s, partial(self._arrive, send, tickets, self.account))
            return
        seconds, error = self._fate(self._services[send.route], tickets)
        self._at(self.now + seconds, lambda: self._end_or_cut(send, tickets, error))

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
        service = self._services[send.route]
        if service.states_limits and not service.names_requests:
            self._at(self.now + 0.02, partial(self._state, send.route, stated, None))
            stated = ()
        self._at(self.now + seconds, lambda: self._end(send, tickets, error, stated))

    def _state(self, route: str, stated: tuple[RateLimit, ...], request_id: str | None) -> None:
        self.scheduler.on_limits(route, stated, now=self.now, request_id=request_id)

    def _end(
        self,
        send: Send,
        tickets: tuple[int, ...],
        error: AnalysisError | None,
        stated: tuple[RateLimit, ...] = (),
    ) -> None:
        del self._asked[send.request_id]
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
        return self.scheduler.on_answer(
            send.request_id,
            labels={ticket: (label,) for ticket, label in labels.items()},
            defect="foreign_id" if is_void else None,
            note="",
            usage=Usage(input_tokens=used),
            model=send.model,
            latency_s=0.5,
            now=self.now,
            refused=declined,
        )

    def _fate(
        self, service: Service, tickets: tuple[int, ...]
    ) -> tuple[float, AnalysisError | None]:
        """Return when a request ends, and its error unless it is answered."""
        chance, now, asked = self._chance, self.now - self._start, frozenset(tickets)
        latency_s = 0.2 + chance.lognormvariate(-1.0, 0.6)
        if service.is_away(now):
            return 0.05, TransportError("refused", ending=Ending.UNSENT, code="connect")
        if service.closed_from is not None and now >= service.closed_from:
            return 0.1, AccountClosed("no quota", code="insufficient_quota")
        if service.limited_from is not None and now >= service.limited_from:
            return 0.1, RateLimited("slow down", retry_after_s=chance.choice([None, 0.0, 5.0]))
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


def cost_of(route: str, pack: Pack) -> int:
    """Return the tokens that a request for a pack reserves."""
    return COST_PER_REQUEST + COST_PER_CHUNK * len(pack.items)
