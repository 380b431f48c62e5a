"""What has to hold for every route in every run, read from its trace alone.

As `chunk_invariants.py`: each check returns how many facts it looked at.
"""

from __future__ import annotations

from analysis.errors import AccountClosed, RateLimited, TransportError
from tests.simulation.chunk_invariants import ENDINGS
from tests.simulation.health import SLACK, Health
from tests.simulation.scenario import Scenario, Trace


def in_flight_stays_below_its_limit(scenario: Scenario, trace: Trace) -> int:
    """I7: on every route, at every time; and the scheduler counts what the world counts."""
    limits = {service.name: service.in_flight for service in scenario.services}
    flying: dict[str, str] = {}
    checks = 0
    for entry in trace:
        if entry.kind == "send":
            flying[entry.request_id] = entry.route
            used = sum(route == entry.route for route in flying.values())
            assert used <= limits[entry.route], f"{used} in flight on {entry.route}"
            checks += 1
        if entry.kind in ENDINGS:
            assert entry.request_id in flying, f"{entry.request_id} ended twice"
            del flying[entry.request_id]
        if entry.kind in ("wait", "finished"):
            assert len(flying) == entry.in_flight, "the count in flight is wrong"
    return checks


def nothing_is_left_at_the_end(scenario: Scenario, trace: Trace) -> int:
    """I13: the run ends; then no request lacks an ending, and the scheduler counts none."""
    open_ids: set[str] = set()
    for entry in trace:
        if entry.kind == "send":
            open_ids.add(entry.request_id)
        if entry.kind in ENDINGS:
            open_ids.discard(entry.request_id)
    assert trace, "nothing happened"
    last = trace[-1]
    assert last.kind == "finished", f"it stands still at {last.at:.2f} s"
    assert not open_ids, f"never ended: {open_ids}"
    assert last.in_flight == 0, f"{last.in_flight} in flight after the end"
    return 1


def nothing_goes_to_a_shut_route_but_probes(scenario: Scenario, trace: Trace) -> int:
    """I7: after failures, a refused connection or silence: a pause, then one chunk at a time."""
    routes = {service.name: Health(scenario.settings) for service in scenario.services}
    checks = 0
    for entry in trace:
        health = routes.get(entry.route)
        if health is None:
            continue
        if entry.kind == "send":
            checks += 1
            is_down = health.opened_at is not None
            assert is_down == entry.is_probe, f"{entry.request_id}: down {is_down}, yet {entry}"
            if is_down:
                early = health.probe_at - entry.at
                assert early <= SLACK, f"{entry.request_id} goes {early:.2f} s before the probe"
                assert len(entry.tickets) == 1, f"{entry.request_id} is no probe of one chunk"
                assert health.probe is None, f"{entry.request_id} is a second probe"
        health.see(entry)
    return checks


def a_route_that_speaks_is_not_silent(scenario: Scenario, trace: Trace) -> int:
    """I7: three requests without a sign of life for a second and a half make an outage, no less.

    A refusal is a sign of life, too.
    """
    routes = {service.name: Health(scenario.settings) for service in scenario.services}
    checks = 0
    for entry in trace:
        if entry.route in routes:
            health = routes[entry.route]
            checks += entry.kind == "route_down" and health.opened_at is None
            health.see(entry)
            assert not health.slandered, health.slandered[0]
    return checks


def no_hold_is_broken(scenario: Scenario, trace: Trace) -> int:
    """I8: after a rate limit with a stated time nothing of that account and model goes before."""
    groups = {service.name: (service.account, service.model) for service in scenario.services}
    held: dict[tuple[str, str], float] = {}
    checks = 0
    for entry in trace:
        if isinstance(entry.error, RateLimited) and entry.error.retry_after_s:
            group, until = groups[entry.route], entry.at + entry.error.retry_after_s
            held[group] = max(held.get(group, 0.0), until)
        if entry.kind == "send" and groups[entry.route] in held:
            checks += 1
            early = held[groups[entry.route]] - entry.at
            assert early <= SLACK, f"{entry.request_id} goes {early:.2f} s before the hold ends"
    return checks


def a_wait_that_was_asked_for_is_kept(scenario: Scenario, trace: Trace) -> int:
    """I8: a chunk whose request failed with a stated wait is not sent on that route before it."""
    asked: dict[tuple[int, str], float] = {}
    checks = 0
    for entry in trace:
        wait = entry.error.retry_after_s if isinstance(entry.error, TransportError) else None
        for ticket in entry.tickets:
            if wait:
                asked[ticket, entry.route] = entry.at + wait
            elif entry.kind == "send" and (ticket, entry.route) in asked:
                checks += 1
                early = asked[ticket, entry.route] - entry.at
                assert early <= SLACK, f"{ticket} goes {early:.2f} s too early"
    return checks


class Moves:
    """What allows chunks to go to a route with another model."""

    def __init__(self, scenario: Scenario) -> None:
        self.models = {service.name: service.model for service in scenario.services}
        self.accounts = {service.name: service.account for service in scenario.services}
        self.order = [service.name for service in scenario.services]
        self.knobs = scenario.settings
        self.healths = {name: Health(scenario.settings) for name in self.order}
        self.failed: set[tuple[int, str]] = set()
        self.moved: set[tuple[int, str]] = set()
        self.refused_since: dict[tuple[str, str], float] = {}
        self.closed: set[str] = set()

    def hear_answer(self, route: str, left: set[int]) -> None:
        """Take note of an answer that left some chunks without a label."""
        self.refused_since.pop((self.accounts[route], self.models[route]), None)
        self.failed |= {(ticket, route) for ticket in left}

    def hear_error(self, route: str, error: object, tickets: tuple[int, ...], at: float) -> None:
        """Take note of a failure."""
        if isinstance(error, AccountClosed):
            mine = self.accounts[route]
            self.closed |= {name for name in self.order if self.accounts[name] == mine}
        elif isinstance(error, RateLimited):
            since = self.refused_since.setdefault((self.accounts[route], self.models[route]), at)
            is_long = (error.retry_after_s or 0.0) > self.knobs.retry_after_cap_s
            if is_long or at - since >= self.knobs.outage_limit_s:
                self.closed.add(route)
        else:
            self.failed |= {(ticket, route) for ticket in tickets}

    def foreign(self, route: str, tickets: tuple[int, ...], at: float) -> list[tuple[int, str]]:
        """Return which chunks may not go to this route, and because of which model."""
        found = []
        for model in {self.models[name] for name in self.order[: self.order.index(route)]}:
            routes = [name for name in self.order if self.models[name] == model]
            is_away = any(self.healths[name].is_away(at) for name in routes)
            if model == self.models[route] or is_away or self.closed.intersection(routes):
                continue
            found += [
                (ticket, model)
                for ticket in tickets
                if (ticket, self.models[route]) not in self.moved
                and not any((ticket, name) in self.failed for name in routes)
            ]
        return found


def another_model_gets_only_what_the_rules_allow(scenario: Scenario, trace: Trace) -> int:
    """Only chunks that failed on a route of the model before, or while one is away or closed.

    What has moved stays with its model: this is about the first send of a chunk to a model. A pack
    moves as one, also where only a probe of one of its chunks goes first.
    Away: down by the table of breaker states, and never answered or down for
    `other_model_after_s`.
    """
    moves = Moves(scenario)
    checks = 0
    packs = {t: entry.tickets for entry in trace if entry.kind == "offer" for t in entry.tickets}
    for entry in trace:
        if entry.kind == "answer":
            moves.hear_answer(entry.route, set(entry.tickets) - entry.labels.keys())
        if entry.kind == "failure":
            moves.hear_error(entry.route, entry.error, entry.tickets, entry.at)
        if entry.kind == "send":
            checks += 1
            foreign = moves.foreign(entry.route, entry.tickets, entry.at)
            assert not foreign, f"{foreign} went to {entry.route}; their model was not away"
            mates = packs[entry.tickets[0]] if entry.is_probe else entry.tickets
            moves.moved |= {(ticket, moves.models[entry.route]) for ticket in mates}
        if entry.route in moves.healths:
            moves.healths[entry.route].see(entry)
    return checks


def waits_lead_somewhere(scenario: Scenario, trace: Trace) -> int:
    """A wait ends later than now, or something is in flight; no wait follows itself at once."""
    checks = 0
    for entry in trace:
        if entry.kind == "wait":
            checks += 1
            if entry.until is None:
                assert entry.in_flight > 0, f"waits for nothing at {entry.at:.2f} s"
            else:
                assert entry.until > entry.at, f"waits until {entry.until} at {entry.at}"
    return checks
