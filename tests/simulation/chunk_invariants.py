"""What has to hold for every chunk in every run, read from its trace alone.

Each check takes a scenario and a trace, raises AssertionError with what is broken, and returns how
many facts it looked at. They know the rules from the documents, not from the scheduler's code.
Numbers as in the pacing notes, section 7.
"""

from __future__ import annotations

import math
from collections import defaultdict

from analysis.errors import AccountClosed, RateLimited
from analysis.records import Ending
from tests.simulation.health import Health
from tests.simulation.scenario import Scenario, Trace, sends

ENDINGS = ("answer", "failure", "cancel")
HEDGED = 0.05
HEDGED_EXTRA = 2
OVERTAKEN = 4
"""Packs offered later that may be sent before one for each request in flight at the same time."""


def every_chunk_ends_once(scenario: Scenario, trace: Trace) -> int:
    """I1: every offered chunk has exactly one verdict, and nobody else has any.

    A chunk whose reader went away has one at most.
    """
    counts = dict.fromkeys(range(scenario.chunks), 0)
    gone: set[int] = set()
    for entry in trace:
        if entry.kind == "withdraw":
            gone.update(entry.tickets)
        if entry.kind == "verdicts":
            for ticket in entry.tickets:
                counts[ticket] = counts.get(ticket, 0) + 1
    wrong = {
        ticket: count
        for ticket, count in counts.items()
        if count != 1 and not (ticket in gone and count == 0)
    }
    assert not wrong, f"verdicts per chunk other than one: {wrong}"
    return len(counts)


def a_verdict_belongs_to_its_chunk(scenario: Scenario, trace: Trace) -> int:
    """I2: a label is the one that an answer gave to this chunk; no label without an answer."""
    given: defaultdict[int, set[str | None]] = defaultdict(set)
    checks = 0
    for entry in trace:
        if entry.kind == "answer":
            for ticket, label in entry.labels.items():
                given[ticket].add(label)
        if entry.kind == "verdicts":
            for ticket, label in entry.labels.items():
                if label is not None:
                    checks += 1
                    assert label in given[ticket], f"{ticket} got {label} out of nothing"
    return checks


def a_label_that_was_paid_is_kept(scenario: Scenario, trace: Trace) -> int:
    """I2: a chunk that an answer labelled is labelled, and never asked again."""
    labeled: set[int] = set()
    checks = 0
    for entry in trace:
        if entry.kind == "answer":
            labeled |= entry.labels.keys()
        if entry.kind == "send":
            checks += 1
            again = labeled.intersection(entry.tickets)
            assert not again, f"{entry.request_id} asks again for {again}"
        if entry.kind == "verdicts":
            lost = [t for t, label in entry.labels.items() if label is None and t in labeled]
            assert not lost, f"paid labels thrown away: {lost}"
    return checks


def a_copy_is_the_only_second_request(scenario: Scenario, trace: Trace) -> int:
    """I2, I7: a chunk is in two requests at once at most, and the second one is called a copy.

    A copy asks the same model, holds no chunk that is not on its way, and has no copy itself. A
    chunk that one of two requests declined goes on without waiting for the other one.
    """
    models = {service.name: service.model for service in scenario.services}
    flying: dict[str, tuple[str, frozenset[int]]] = {}
    checks = 0
    for entry in trace:
        if entry.kind in ENDINGS:
            flying.pop(entry.request_id, None)
            flying = {name: (on, held - entry.declined) for name, (on, held) in flying.items()}
        if entry.kind != "send":
            continue
        checks += 1
        tickets = frozenset(entry.tickets)
        others = [route for route, held in flying.values() if held & tickets]
        on_way = frozenset[int]().union(*(held for _, held in flying.values()))
        if not entry.is_copy:
            assert not others, f"{entry.request_id} asks for {tickets & on_way} a second time"
        else:
            assert len(others) == 1, f"{entry.request_id} copies {len(others)} requests"
            assert tickets <= on_way, f"{entry.request_id} is no copy of {tickets - on_way}"
            is_same = models[others[0]] == models[entry.route]
            assert is_same, f"{entry.request_id} asks another model"
        flying[entry.request_id] = (entry.route, tickets)
    return checks


def copies_are_few(scenario: Scenario, trace: Trace) -> int:
    """I4: five in a hundred requests and two; those of a route that went away are not counted."""
    healths = {service.name: Health(scenario.settings) for service in scenario.services}
    flying: dict[str, tuple[str, frozenset[int]]] = {}
    copies = sent = checks = 0
    for entry in trace:
        if entry.route in healths:
            healths[entry.route].see(entry)
        if entry.kind in ENDINGS:
            flying.pop(entry.request_id, None)
        if entry.kind != "send":
            continue
        sent += 1
        tickets = frozenset(entry.tickets)
        if entry.is_copy:
            held = [route for route, asked in flying.values() if asked & tickets]
            copies += all(healths[route].opened_at is None for route in held)
            checks += 1
            most = HEDGED * sent + HEDGED_EXTRA
            assert copies <= most + 1, f"{copies} copies of {sent} requests"
        flying[entry.request_id] = (entry.route, tickets)
    return checks


def attempts_are_bounded(scenario: Scenario, trace: Trace) -> int:
    """I10: no chunk is asked for ever.

    Not counting what was not sent, refusals by rate limit, copies and probes, which a pause bounds.
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
        if entry.request_id not in uncounted and not (entry.is_probe or entry.is_copy):
            for ticket in entry.tickets:
                counts[ticket] += 0.25 if entry.request_id in shared else 1
    assert max(counts.values(), default=0) <= limit, f"more than {limit} attempts: {dict(counts)}"
    return len(counts)


def nobody_waits_for_all_others(scenario: Scenario, trace: Trace) -> int:
    """I10: chunks are sent for the first time in the order in which they were offered.

    A few may overtake: so many as are in flight at once, four times. What is withdrawn waits no
    more.
    """
    offered = [entry.tickets[0] for entry in trace if entry.kind == "offer"]
    places = {ticket: place for place, ticket in enumerate(offered)}
    most = OVERTAKEN * sum(service.in_flight for service in scenario.services)
    first: set[int] = set()
    overtaking = 0
    for entry in trace:
        if entry.kind == "withdraw":
            first.update(places[t] for t in entry.tickets if t in places)
        if entry.kind != "send":
            continue
        place = max((places[t] for t in entry.tickets if t in places), default=None)
        if place is None or place in first:
            continue
        first.add(place)
        overtaking = max(overtaking, place + 1 - len(first))
        assert overtaking <= most, f"pack {place} goes before {overtaking} that came earlier"
    return len(first)


def nothing_is_sent_after_a_stop(scenario: Scenario, trace: Trace) -> int:
    """A stop: not one request more."""
    is_stopped = False
    for entry in trace:
        is_stopped = is_stopped or entry.kind == "stop"
        assert not (is_stopped and entry.kind == "send"), f"{entry.request_id} goes after the stop"
    return int(is_stopped)


def a_declined_chunk_is_not_asked_there_again(scenario: Scenario, trace: Trace) -> int:
    """The same question gets the same answer."""
    declined: set[tuple[int, str]] = set()
    for entry in trace:
        declined |= {(ticket, entry.route) for ticket in entry.declined}
        if entry.kind == "send":
            again = [ticket for ticket in entry.tickets if (ticket, entry.route) in declined]
            assert not again, f"{again} go to {entry.route} again, which declined them"
    return len(declined)
