"""What has to hold in every run, read from its trace alone.

Each check takes a scenario and a trace and raises AssertionError with what is broken. They know the
rules from the documents, not from the scheduler's code.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from analysis.errors import AccountClosed, RateLimited, TransportError
from analysis.records import Ending
from analysis.settings import Settings
from tests.simulation.world import (
    COST_PER_CHUNK,
    COST_PER_REQUEST,
    Entry,
    Scenario,
    true_label,
)

Trace = list[Entry]
SLACK = 1e-6


def every_chunk_ends_once(scenario: Scenario, trace: Trace) -> None:
    """Every offered chunk has exactly one verdict, and nobody else has any."""
    counts = dict.fromkeys(range(scenario.chunks), 0)
    for entry in trace:
        if entry.kind == "verdicts":
            for ticket in entry.tickets:
                counts[ticket] += 1
    wrong = {ticket: count for ticket, count in counts.items() if count != 1}
    assert not wrong, f"verdicts per chunk other than one: {wrong}"


def a_verdict_belongs_to_its_chunk(scenario: Scenario, trace: Trace) -> None:
    """A label is the one that an answer gave to this chunk; no label comes without an answer."""
    given: dict[int, str | None] = {}
    for entry in trace:
        if entry.kind == "answer":
            given.update(entry.labels)
        if entry.kind == "verdicts":
            for ticket, label in entry.labels.items():
                if label is not None:
                    assert given.get(ticket) == label, f"{ticket} got {label} out of nothing"
                    assert label == true_label(ticket), f"{ticket} got {label}"


def a_label_that_was_paid_is_kept(scenario: Scenario, trace: Trace) -> None:
    """A chunk that an answer labelled is labelled, and never asked again."""
    labeled: set[int] = set()
    for entry in trace:
        if entry.kind == "answer":
            labeled |= entry.labels.keys()
        if entry.kind == "send":
            again = labeled.intersection(entry.tickets)
            assert not again, f"{entry.request_id} asks again for {again}"
        if entry.kind == "verdicts":
            lost = [t for t, label in entry.labels.items() if label is None and t in labeled]
            assert not lost, f"paid labels thrown away: {lost}"


def attempts_are_bounded(scenario: Scenario, trace: Trace) -> None:
    """Not counting what was not sent, refusals by rate limit and probes, which a pause bounds.

    Twenty requests that were lost with others count as five that were lost alone.
    """
    knobs = scenario.settings
    halvings = math.ceil(math.log2(scenario.chunks_per_request)) + 1
    per_route = knobs.attempts_per_route + knobs.answer_attempts + halvings + 2
    limit = per_route * len(scenario.services)
    uncounted = {
        e.request_id
        for e in trace
        if isinstance(e.error, RateLimited | AccountClosed)
        or getattr(e.error, "ending", None) is Ending.UNSENT
    }
    shared = {e.request_id for e in trace if getattr(e.error, "loss", None) is not None}
    counts: defaultdict[int, float] = defaultdict(float)
    for entry in sends(trace):
        if entry.request_id not in uncounted and not entry.is_probe:
            for ticket in entry.tickets:
                counts[ticket] += 0.25 if entry.request_id in shared else 1
    assert max(counts.values(), default=0) <= limit, f"more than {limit} attempts: {dict(counts)}"


def in_flight_stays_below_its_limit(scenario: Scenario, trace: Trace) -> None:
    """On every route, at every time; and the scheduler counts what the world counts."""
    limits = {service.name: service.in_flight for service in scenario.services}
    flying: dict[str, str] = {}
    for entry in trace:
        if entry.kind == "send":
            flying[entry.request_id] = entry.route
            used = sum(route == entry.route for route in flying.values())
            assert used <= limits[entry.route], f"{used} in flight on {entry.route}"
        if entry.kind in ("answer", "failure"):
            assert entry.request_id in flying, f"{entry.request_id} ended twice"
            del flying[entry.request_id]
        if entry.kind in ("wait", "finished"):
            assert len(flying) == entry.in_flight, "the count in flight is wrong"
    assert not flying, f"never ended: {flying}"


@dataclass(slots=True)
class Health:
    """What an observer knows of one route, by the table of breaker states in the documents."""

    settings: Settings
    recent: str = ""
    in_a_row: int = 0
    opened_at: float | None = None
    down_since: float | None = None
    has_answered: bool = False
    pauses: int = 0
    probe: str | None = None
    losses: list[object] = field(default_factory=list)

    def hear(self, *, is_answer: bool, is_probe: bool) -> None:
        """Take note that the service said something."""
        self.has_answered = self.has_answered or is_answer
        if self.opened_at is not None:
            if not is_probe:
                return  # it answers a request from before
            self.recent, self.in_a_row = "", 0
            self.opened_at = self.down_since = None
        if is_answer:
            self.recent, self.in_a_row = self.recent + "a", 0

    def lose(self, entry: Entry, *, is_probe: bool) -> None:
        """Take note that a request was lost."""
        if self.opened_at is not None:
            if is_probe:
                self.opened_at, self.pauses = entry.at, self.pauses + 1
            return
        loss = getattr(entry.error, "loss", None)
        if loss is not None and any(loss is one for one in self.losses):
            return
        self.losses.append(loss)
        self.recent, self.in_a_row = self.recent + "f", self.in_a_row + 1
        size = self.settings.breaker_window
        last = self.recent[-size:]
        is_half = len(last) == size and 2 * last.count("f") >= size
        is_refused = getattr(entry.error, "ending", None) is Ending.UNSENT
        if is_refused or is_half or self.in_a_row >= self.settings.breaker_failures:
            self.opened_at = self.down_since = entry.at
            self.pauses = 0

    def end(self, entry: Entry) -> None:
        """Take note of how a request ended."""
        is_probe = self.probe == entry.request_id
        self.probe = None if is_probe else self.probe
        if isinstance(entry.error, TransportError) and not isinstance(entry.error, RateLimited):
            self.lose(entry, is_probe=is_probe)
        else:
            self.hear(is_answer=entry.kind == "answer", is_probe=is_probe)

    def is_away(self, at: float) -> bool:
        """Tell whether rows that did not fail here may take another model: as documented."""
        if self.down_since is None:
            return False
        patience_s = self.settings.other_model_after_s - SLACK
        return not self.has_answered or at - self.down_since >= patience_s

    @property
    def probe_at(self) -> float:
        """Earliest time of a probe."""
        knobs = self.settings
        pause = min(knobs.breaker_open_cap_s, knobs.breaker_open_s * 1.6**self.pauses)
        return (self.opened_at or 0.0) + 0.8 * pause


def nothing_goes_to_a_shut_route_but_probes(scenario: Scenario, trace: Trace) -> None:
    """After too many failures or a refused connection: a pause, then one chunk at a time."""
    routes = {service.name: Health(scenario.settings) for service in scenario.services}
    for entry in trace:
        if entry.kind not in ("send", "answer", "failure"):
            continue
        health = routes[entry.route]
        if entry.kind == "send":
            is_down = health.opened_at is not None
            assert is_down == entry.is_probe, f"{entry.request_id}: down {is_down}, yet {entry}"
            if is_down:
                early = health.probe_at - entry.at
                assert early <= SLACK, f"{entry.request_id} goes {early:.2f} s before the probe"
                assert len(entry.tickets) == 1, f"{entry.request_id} is no probe of one chunk"
                assert health.probe is None, f"{entry.request_id} is a second probe"
                health.probe = entry.request_id
            continue
        health.end(entry)


def no_hold_is_broken(scenario: Scenario, trace: Trace) -> None:
    """After a rate limit with a stated time nothing of that account and model goes before it."""
    groups = {service.name: (service.account, service.model) for service in scenario.services}
    held: dict[tuple[str, str], float] = {}
    for entry in trace:
        if isinstance(entry.error, RateLimited) and entry.error.retry_after_s:
            group, until = groups[entry.route], entry.at + entry.error.retry_after_s
            held[group] = max(held.get(group, 0.0), until)
        if entry.kind == "send":
            early = held.get(groups[entry.route], 0.0) - entry.at
            assert early <= SLACK, f"{entry.request_id} goes {early:.2f} s before the hold ends"


def a_wait_that_was_asked_for_is_kept(scenario: Scenario, trace: Trace) -> None:
    """A chunk whose request failed with a stated wait is not sent on that route before it."""
    asked: dict[tuple[int, str], float] = {}
    for entry in trace:
        wait = entry.error.retry_after_s if isinstance(entry.error, TransportError) else None
        for ticket in entry.tickets:
            if wait:
                asked[ticket, entry.route] = entry.at + wait
            elif entry.kind == "send":
                early = asked.get((ticket, entry.route), 0.0) - entry.at
                assert early <= SLACK, f"{ticket} goes {early:.2f} s too early"


def limits_hold_in_every_window(scenario: Scenario, trace: Trace) -> None:
    """Requests and reserved tokens, less what came back, within burst + rate x window + one."""
    knobs = scenario.settings
    largest = COST_PER_REQUEST + COST_PER_CHUNK * scenario.chunks_per_request
    for group in {(service.account, service.model) for service in scenario.services}:
        names = {s.name for s in scenario.services if (s.account, s.model) == group}
        mine = [entry for entry in trace if entry.route in names]
        assert_bounded(
            [(e.at, 1.0) for e in sends(mine)], knobs.requests_per_minute, 1.0, knobs.burst_s
        )
        drawn = [change for entry in mine for change in token_change(entry)]
        assert_bounded(drawn, knobs.tokens_per_minute, float(largest), knobs.burst_s)


def token_change(entry: Entry) -> Iterable[tuple[float, float]]:
    """Yield what an entry draws from (or gives back to) the bucket of tokens."""
    cost = COST_PER_REQUEST + COST_PER_CHUNK * len(entry.tickets)
    if entry.kind == "send":
        yield entry.at, cost
    elif entry.kind == "answer":
        yield entry.at, entry.usage_tokens - cost
    elif entry.kind == "failure":
        yield entry.at, -cost  # at most: some failures give nothing back


def assert_bounded(
    changes: list[tuple[float, float]], per_minute: float, unit: float, burst_s: float
) -> None:
    """Any window that ends with a draw holds at most burst + rate x width + one unit.

    One pass: the level that a bucket would need is followed from draw to draw.
    """
    rate = per_minute / 60
    burst = max(unit, rate * burst_s)
    level, before = burst, changes[0][0] if changes else 0.0
    for at, amount in changes:
        level = min(burst, level + rate * (at - before)) - amount
        level, before = min(burst, level), at
        assert level >= -unit - SLACK * burst, f"{-level:.2f} above the limit at {at:.2f} s"


def another_model_gets_only_what_the_rules_allow(scenario: Scenario, trace: Trace) -> None:
    """Only chunks that failed on a route of the model before, or while one is away or closed.

    What has moved stays where it is: this is about the first send of a chunk on a route. A pack
    moves as one, also where only a probe of one of its chunks goes first.
    Away: down by the table of breaker states, and never answered or down for
    `other_model_after_s`.
    """
    models = {service.name: service.model for service in scenario.services}
    accounts = {service.name: service.account for service in scenario.services}
    order = [service.name for service in scenario.services]
    knobs = scenario.settings
    failed: set[tuple[int, str]] = set()
    moved: set[tuple[int, str]] = set()
    healths = {name: Health(knobs) for name in order}
    refused_since: dict[tuple[str, str], float] = {}
    closed: set[str] = set()
    packs = {t: entry.tickets for entry in trace if entry.kind == "offer" for t in entry.tickets}
    for entry in trace:
        if entry.kind in ("answer", "failure"):
            healths[entry.route].end(entry)
        if entry.kind == "answer":
            refused_since.pop((accounts[entry.route], models[entry.route]), None)
            failed |= {(t, entry.route) for t in entry.tickets if t not in entry.labels}
        if entry.kind == "failure":
            if isinstance(entry.error, AccountClosed):
                closed |= {name for name in order if accounts[name] == accounts[entry.route]}
            elif isinstance(entry.error, RateLimited):
                since = refused_since.setdefault(
                    (accounts[entry.route], models[entry.route]), entry.at
                )
                is_long = (entry.error.retry_after_s or 0.0) > knobs.retry_after_cap_s
                if is_long or entry.at - since >= knobs.outage_limit_s:
                    closed.add(entry.route)
            else:
                failed |= {(ticket, entry.route) for ticket in entry.tickets}
        if entry.kind == "send":
            if entry.is_probe:
                healths[entry.route].probe = entry.request_id
            for model in {models[route] for route in order[: order.index(entry.route)]}:
                routes = [route for route in order if models[route] == model]
                is_away = any(healths[route].is_away(entry.at) for route in routes)
                if model == models[entry.route] or is_away or closed.intersection(routes):
                    continue
                foreign = [
                    ticket
                    for ticket in entry.tickets
                    if (ticket, entry.route) not in moved
                    and not any((ticket, route) in failed for route in routes)
                ]
                assert not foreign, f"{foreign} went to {entry.route}; {model} was not away"
            mates = packs[entry.tickets[0]] if entry.is_probe else entry.tickets
            moved |= {(ticket, entry.route) for ticket in mates}


def waits_lead_somewhere(scenario: Scenario, trace: Trace) -> None:
    """A wait ends later than now, or something is in flight; no wait follows itself at once."""
    for entry in trace:
        if entry.kind == "wait":
            if entry.until is None:
                assert entry.in_flight > 0, f"waits for nothing at {entry.at:.2f} s"
            else:
                assert entry.until > entry.at, f"waits until {entry.until} at {entry.at}"


def nothing_is_sent_after_a_stop(scenario: Scenario, trace: Trace) -> None:
    """Not one request."""
    is_stopped = False
    for entry in trace:
        is_stopped = is_stopped or entry.kind == "stop"
        assert not (is_stopped and entry.kind == "send"), f"{entry.request_id} goes after the stop"


def a_declined_chunk_is_not_asked_there_again(scenario: Scenario, trace: Trace) -> None:
    """The same question gets the same answer."""
    declined: set[tuple[int, str]] = set()
    for entry in trace:
        declined |= {(ticket, entry.route) for ticket in entry.declined}
        if entry.kind == "send":
            again = [ticket for ticket in entry.tickets if (ticket, entry.route) in declined]
            assert not again, f"{again} go to {entry.route} again, which declined them"


def sends(trace: Trace) -> list[Entry]:
    """Return the sends of a trace."""
    return [entry for entry in trace if entry.kind == "send"]


INVARIANTS: tuple[Callable[[Scenario, Trace], None], ...] = (
    every_chunk_ends_once,
    a_verdict_belongs_to_its_chunk,
    a_label_that_was_paid_is_kept,
    attempts_are_bounded,
    in_flight_stays_below_its_limit,
    nothing_goes_to_a_shut_route_but_probes,
    no_hold_is_broken,
    a_wait_that_was_asked_for_is_kept,
    limits_hold_in_every_window,
    another_model_gets_only_what_the_rules_allow,
    waits_lead_somewhere,
    nothing_is_sent_after_a_stop,
    a_declined_chunk_is_not_asked_there_again,
)


def check_all(scenario: Scenario, trace: Trace) -> None:
    """Check every invariant."""
    for invariant in INVARIANTS:
        invariant(scenario, trace)
