"""Routes that go away for 90 seconds or for good in mid-run, and how work returns to them.

Outages of the analyzer run in full length on virtual time. `analyze_file` has a loop of its own,
so there a route goes and returns by the number of requests, and the pauses are set short.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.control.breaker import GROWTH
from analysis.entry import analyze_file
from analysis.hooks import Hooks
from analysis.pipeline.report import RunSummary
from analysis.records import Failed, FailureKind, Labeled
from analysis.settings import SETTINGS
from analysis.simulator.outages import Outage
from analysis.simulator.profile import PROFILE
from analysis.simulator.refusals import Refusal
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Job, Question
from analysis.telemetry import Event
from tests.commands.running import column, table
from tests.observed_service import (
    ObservedService,
    chunks_of,
    digest_label,
    serving,
    wrong_labels,
)
from tests.virtual_loop import virtual

DOWN_AT, OUTAGE_S = 10.0, 90.0
UP_AT = DOWN_AT + OUTAGE_S
OUT = "chunks.labeled.csv"
PARTIAL = "chunks.labeled.partial.csv"

SHORT = replace(
    SETTINGS,
    breaker_open_s=0.05,
    breaker_open_cap_s=0.1,
    other_model_after_s=0.1,
    outage_limit_s=1.0,
    connect_attempts=1,
    backoff_base_s=0.01,
    hedge_share=0.0,
    hedge_extra=0,
)
"""Knobs of runs on real time; no request is sent again because the machine is late."""


def away(*routes: str, seconds: float = OUTAGE_S) -> ObservedService:
    """Return a service whose routes are out from the tenth second on, one answer a second."""
    outages = [Outage(route=route, start_s=DOWN_AT, duration_s=seconds) for route in routes]
    return ObservedService(latency_ms=1_000, outages=outages)


def names_of(events: list[Event], route: str = "realtime") -> list[str]:
    """Return the names of the events about a route, in their order; its limit is left out."""
    found = [event.name for event in events if event.fields.get("route") == route]
    return [name for name in found if name != "in_flight_limit"]


@virtual
async def test_ninety_seconds_without_the_first_route() -> None:
    """Down, ten seconds of patience, the second route, back: all counted, none lost or swapped."""
    events: list[Event] = []
    given = chunks_of(700)
    service = away("realtime")
    options: dict[str, Any] = {"max_concurrent": 4, "on_event": events.append}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(
            given, chunks_per_request=1, adaptive_batching=False
        )
        routes = analyzer.statistics()["routes"]
    assert [] == wrong_labels(given, verdicts)
    rows = Counter(verdict.route for verdict in verdicts)
    told = {name: route["chunks_labeled"] for name, route in routes.items()}
    assert rows == told
    # Some 320 at four a second while it was out for longer than the patience of ten seconds.
    assert 250 <= rows["rest"] <= 500
    assert ["route_down", "route_up"] == names_of(events)
    down, up = events
    assert DOWN_AT <= down.at < DOWN_AT + 3.0
    assert UP_AT <= up.at < UP_AT + 1.2 * SETTINGS.breaker_open_cap_s + 3.0
    starts = {
        route: [begin for name, begin, _ in service.spans if name == route]
        for route in ("realtime", "responses")
    }
    early = [begin for begin in starts["responses"] if begin < down.at + 10.0]
    assert len(early) <= 8  # what was on its way at the cut, and what then met the refusal
    assert all(begin < DOWN_AT or begin >= UP_AT for begin in starts["realtime"])
    assert len([begin for begin in starts["realtime"] if begin > up.at]) > 100
    late = [begin for begin in starts["responses"] if begin > up.at]
    assert [] == late


@virtual
async def test_ninety_seconds_without_any_route_are_waited_out() -> None:
    """Shorter than the limit of two minutes: nothing is given up, and the run ends by itself."""
    events: list[Event] = []
    given = chunks_of(120)
    service = away("realtime", "responses", "chat")
    options: dict[str, Any] = {"max_concurrent": 4, "on_event": events.append}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(
            given, chunks_per_request=1, adaptive_batching=False
        )
        assert analyzer.stop_reason is None
    assert [] == wrong_labels(given, verdicts)
    assert ["route_down", "route_up"] == names_of(events)
    assert "stopped" not in {event.name for event in events}
    assert [] == [begin for _, begin, _ in service.spans if DOWN_AT <= begin < UP_AT]


@virtual
async def test_no_route_for_longer_than_the_limit_stops_the_rest() -> None:
    """After two minutes all that waits is `stopped`, once each; what was answered is kept."""
    events: list[Event] = []
    given = chunks_of(200)
    service = away("realtime", "responses", "chat", seconds=3_600.0)
    options: dict[str, Any] = {"max_concurrent": 4, "on_event": events.append}
    async with serving("hybrid", service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(
            given, chunks_per_request=1, adaptive_batching=False
        )
        assert "No route answered for 120 s." in str(analyzer.stop_reason)
    assert [chunk_id for chunk_id, _ in given] == [verdict.chunk_id for verdict in verdicts]
    labeled = [verdict for verdict in verdicts if isinstance(verdict, Labeled)]
    failed = [verdict for verdict in verdicts if isinstance(verdict, Failed)]
    answered = [payment for payment in service.payments if payment["delivered"]]
    assert len(answered) == len(labeled) > 20
    assert {FailureKind.STOPPED} == {verdict.error.kind for verdict in failed}
    downs = [event.at for event in events if event.name == "route_down"]
    (stopped,) = [event.at for event in events if event.name == "stopped"]
    assert 2 == len(downs)
    waited_s = stopped - max(downs) - SETTINGS.outage_limit_s
    assert 0.0 <= waited_s <= 1.2 * SETTINGS.breaker_open_cap_s  # noticed at the next probe


class SickService(ObservedService):
    """A service that answers nothing but errors for a time, and notes what it was asked.

    Attributes:
        asked_packs: (time, chunks) of each request.
    """

    def __init__(self, *, sick_from_s: float, sick_until_s: float) -> None:
        self.asked_packs: list[tuple[float, int]] = []
        self._sick = (sick_from_s, sick_until_s)
        super().__init__(latency_ms=500, profile=replace(PROFILE, latency_sigma=0.0))

    def start(self, question: Question, now: float) -> Job:
        """Note a request; it ends with an error while the service is sick."""
        job = super().start(question, now)
        self.asked_packs.append((now, len(job.receipt.texts)))
        begin, end = self._sick
        if not begin <= now - self.started_at < end:
            return job
        sick = Refusal("Sick.", status=500, kind="server_error", code="server_error")
        return replace(job, failure=sick)


@pytest.mark.parametrize("kind", ["rest", "realtime"])
@virtual
async def test_only_single_chunks_reach_a_route_that_is_down(kind: str) -> None:
    """One probe of one chunk at a time, in growing pauses; after the first answer packs again."""
    events: list[Event] = []
    given = chunks_of(1_000)
    service = SickService(sick_from_s=3.0, sick_until_s=60.0)
    options: dict[str, Any] = {"max_concurrent": 8, "on_event": events.append}
    async with serving(kind, service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(given, chunks_per_request=10)
    assert [] == wrong_labels(given, verdicts)
    assert ["route_down", "route_up"] == names_of(events, kind)
    down, up = [event for event in events if event.name != "in_flight_limit"]
    before = [size for at, size in service.asked_packs if at < 3.0]
    probes = [(at, size) for at, size in service.asked_packs if down.at < at < up.at]
    assert {10} == set(before)
    assert {1} == {size for _, size in probes}
    assert len(probes) >= 4
    assert 10 in {size for at, size in service.asked_packs if at >= up.at}
    times = [down.at, *(at for at, _ in probes)]
    for number, (earlier, later) in enumerate(itertools.pairwise(times)):
        pause = min(SETTINGS.breaker_open_cap_s, SETTINGS.breaker_open_s * GROWTH**number)
        assert 0.8 * pause <= later - earlier <= 1.2 * pause + 1.0, number


class OverloadedService(ObservedService):
    """A service that refuses at once for 57 seconds, while earlier requests are still answered."""

    def start(self, question: Question, now: float) -> Job:
        """Refuse a request, or accept it."""
        if 3.0 <= now - self.started_at < 60.0:
            raise Refusal("Full.", status=503, kind="server_error", code="server_is_overloaded")
        return super().start(question, now)


@pytest.mark.parametrize("kind", ["rest", "realtime"])
@virtual
async def test_answers_from_before_an_outage_do_not_end_it(kind: str) -> None:
    """Slow answers come in after the first refusals: one pair of events, and none lost."""
    events: list[Event] = []
    given = chunks_of(600)
    service = OverloadedService(latency_ms=3_000)
    options: dict[str, Any] = {"max_concurrent": 32, "on_event": events.append}
    async with serving(kind, service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(given, chunks_per_request=1)
    assert [] == wrong_labels(given, verdicts)
    assert ["route_down", "route_up"] == names_of(events, kind)


class LeavingService(ObservedService):
    """A service whose routes go after so many requests, and return after so many on others.

    Attributes:
        away: Routes that are out now.
    """

    def __init__(self, *, goes: tuple[str, ...], after: int, back_after: int | None) -> None:
        self.away: set[str] = set()
        self._goes = goes
        self._after = after
        self._back_after = back_after
        self._requests: Counter[str] = Counter()
        super().__init__(latency_ms=20)

    def is_out(self, route: str, now: float) -> bool:
        """Tell whether a route is out now."""
        return route in self.away

    def start(self, question: Question, now: float) -> Job:
        """Accept a request; the one too many loses its connection, and its route is out."""
        job = super().start(question, now)
        self._requests[question.route] += 1
        if question.route == "realtime" and self._requests["realtime"] == self._after:
            self.away.update(self._goes)
            return replace(job, draw=replace(job.draw, is_dropped=True))
        if self._requests["responses"] == self._back_after:
            self.away.clear()
        return job


def run_file(path: Path, base_url: str, events: list[Event]) -> RunSummary:
    """Label a file over both routes, one chunk per request."""
    return analyze_file(
        path,
        route="realtime,rest",
        api_key="k",
        base_url=base_url,
        max_chunks_per_request=1,
        max_concurrent=4,
        settings=SHORT,
        hooks=Hooks(on_event=events.append),
    )


def rows_by_route(output: Path) -> Mapping[str, int]:
    """Return route -> labelled rows of an output, each with the label due to its text."""
    routes = column(output, "semfn_route")
    due = [
        digest_label(text) if route else ""
        for text, route in zip(column(output, "text"), routes, strict=True)
    ]
    assert due == column(output, "semantic_function")
    return Counter(route for route in routes if route)


def test_a_file_run_counts_the_rows_of_the_second_route(tmp_path: Path) -> None:
    """Realtime goes and returns: the summary counts the other model's rows, exit 0."""
    events: list[Event] = []
    service = LeavingService(goes=("realtime",), after=60, back_after=100)
    with start_in_thread(service) as base_url:
        summary = run_file(table(tmp_path, 400), base_url, events)
    assert (0, 400, {}) == (summary.exit_code, summary.labeled, summary.errors)
    rows = rows_by_route(tmp_path / OUT)
    assert 400 == rows["rest"] + rows["realtime"]
    assert rows["rest"] == summary.other_model_rows >= 100
    told = Counter[str]()
    for entry in summary.routes:  # lost requests stand apart, since no model answered them
        told[entry["route"]] += entry["rows"]
    assert rows == told
    assert ["route_down", "route_up"] == names_of(events)
    assert rows["realtime"] > 60  # some of them after the return


def test_a_file_run_without_any_route_stops_and_goes_on_later(tmp_path: Path) -> None:
    """Exit 3 with what is paid for in the partial file; the same call after the outage ends 0."""
    events: list[Event] = []
    path = table(tmp_path, 200)
    everything = ("realtime", "responses", "chat")
    service = LeavingService(goes=everything, after=60, back_after=None)
    with start_in_thread(service) as base_url:
        first = run_file(path, base_url, events)
        assert 3 == first.exit_code
        # A chunk whose attempts are used up before the run stops is unavailable.
        assert {"stopped"} <= first.errors.keys() <= {"stopped", "unavailable"}
        assert 200 - first.labeled == sum(first.errors.values())
        assert "No route answered for 1 s." in first.stopped
        assert not (tmp_path / OUT).exists()
        assert first.labeled == sum(rows_by_route(tmp_path / PARTIAL).values())
        assert 50 <= first.labeled < 60
        assert "stopped" in {event.name for event in events}
        service.away.clear()
        second = run_file(path, base_url, events)
    assert (0, 200, "") == (second.exit_code, second.labeled, second.stopped)
    assert (first.labeled, 200 - first.labeled) == (second.reused, second.labeled_now)
    assert 200 == sum(rows_by_route(tmp_path / OUT).values())
    assert not (tmp_path / PARTIAL).exists()
    paid = Counter(digest for payment in service.payments for digest in payment["digests"])
    assert 200 == len(paid)
    assert sum(paid.values()) <= 200 + 4  # twice at most what was on its way
