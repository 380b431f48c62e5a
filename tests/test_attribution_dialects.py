"""Both dialects of the Realtime protocol: whole runs over a socket that is cut again and again, and
a dialect that the server does not take.

Labels are digests of the texts, so `wrong_labels` finds every exchange.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import RouteClosed
from analysis.simulator.dialects import DIALECTS
from analysis.simulator.service import Job, Question
from analysis.telemetry import Event
from tests.observed_service import ObservedService, chunks_of, serving, wrong_labels
from tests.virtual_loop import virtual

CHUNKS = chunks_of(1_000)
IN_FLIGHT = 32

both_dialects = pytest.mark.parametrize("dialect", list(DIALECTS))


class CountingService(ObservedService):
    """A service that counts its Realtime sessions and cuts them after so many answers.

    Attributes:
        sessions: Sockets that were opened, refused ones included.
        cuts: Sockets that were cut.
    """

    def __init__(self, *, cut_after: int | None = None, **options: Any) -> None:
        self.sessions = 0
        self.cuts = 0
        self._cut_after = cut_after
        self._cut_at = cut_after or 0
        super().__init__(**options)

    def new_id(self, prefix: str) -> str:
        """Return a new id; each session takes one."""
        self.sessions += prefix == "sess"
        return super().new_id(prefix)

    @property
    def answers(self) -> int:
        """Requests whose answer was sent."""
        return sum(payment["delivered"] for payment in self.payments)

    def start(self, question: Question, now: float) -> Job:
        """Accept a request; the first one after so many answers loses the socket for all."""
        job = super().start(question, now)
        is_pending = self.sessions == self.cuts
        if self._cut_after is None or is_pending or self.answers < self._cut_at:
            return job
        self.cuts += 1
        self._cut_at += self._cut_after
        return replace(job, draw=replace(job.draw, is_dropped=True))


@both_dialects
@pytest.mark.parametrize(("per_request", "cut_after", "cuts"), [(1, 100, 9), (10, 20, 3)])
@virtual
async def test_a_thousand_chunks_over_a_socket_that_is_cut_again_and_again(
    dialect: str, per_request: int, cut_after: int, cuts: int
) -> None:
    """32 at once, answers shuffled: none lost, none swapped, one verdict each, reconnects as told.

    One by one the socket is cut for each 100 answers; ten by ten for each 20, since 100 are all.
    """
    service = CountingService(
        cut_after=cut_after, dialect=dialect, latency_ms=50, faults={"shuffle": 1.0}
    )
    options: dict[str, Any] = {"dialect": dialect, "max_concurrent": IN_FLIGHT}
    async with serving("realtime", service, **options) as (analyzer, _):
        stream = analyzer.stream(CHUNKS, chunks_per_request=per_request)
        found = [verdict async for verdict in stream]
        counters = analyzer.statistics()["connections"]["realtime"]
        assert dialect == analyzer.session["dialect"]
    assert {chunk_id: 1 for chunk_id, _ in CHUNKS} == Counter(one.chunk_id for one in found)
    by_id = {verdict.chunk_id: verdict for verdict in found}
    assert [] == wrong_labels(CHUNKS, [by_id[chunk_id] for chunk_id, _ in CHUNKS])
    assert service.cuts >= cuts
    assert (service.cuts + 1, service.cuts) == (counters["connections"], counters["reconnects"])
    assert service.cuts + 1 == service.sessions
    assert {} == counters["violations"]
    # The service still counts what was lost with a socket, while it is asked again on the next one.
    assert IN_FLIGHT <= service.most_parallel <= 2 * IN_FLIGHT
    assert any(verdict.attempts > 1 for verdict in found)


@both_dialects
@pytest.mark.parametrize("per_request", [1, 10])
@virtual
async def test_a_thousand_chunks_with_drops_by_chance(dialect: str, per_request: int) -> None:
    """One answer of a hundred is lost with its socket, at random: the same holds."""
    service = CountingService(
        dialect=dialect, latency_ms=50, faults={"shuffle": 1.0, "drop": 0.01}, seed=4
    )
    options: dict[str, Any] = {"dialect": dialect, "max_concurrent": IN_FLIGHT}
    async with serving("realtime", service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=per_request)
        counters = analyzer.statistics()["connections"]["realtime"]
    assert [] == wrong_labels(CHUNKS, verdicts)
    assert counters["reconnects"] >= 1
    assert service.sessions == counters["connections"] == counters["reconnects"] + 1
    assert {} == counters["violations"]


@virtual
async def test_the_beta_dialect_forced_on_a_ga_server_is_never_tried_twice() -> None:
    """`beta_api_shape_disabled` closes the route: one socket, one event, the cure in the error."""
    events: list[Event] = []
    service = CountingService(dialect="ga", latency_ms=50)
    async with serving("realtime", service, dialect="beta", on_event=events.append) as (
        analyzer,
        _,
    ):
        for size in (40, 1):
            with pytest.raises(RouteClosed, match="Do not force the dialect 'beta'") as caught:
                await analyzer.analyze_batch(chunks_of(size))
            assert "beta_api_shape_disabled" == caught.value.code
        with pytest.raises(RouteClosed, match="use 'auto' or 'ga'"):
            await analyzer.analyze_chunk("a", "one")
        assert not analyzer.statistics()["routes"]["realtime"]["is_open"]
    assert 1 == service.sessions
    assert [] == service.spans
    assert ["route_closed", "stopped"] == [event.name for event in events]


@virtual
async def test_hybrid_goes_on_over_rest_when_the_dialect_is_refused() -> None:
    """The refused route is announced once and not dialled again; every chunk comes over REST."""
    events: list[Event] = []
    service = CountingService(dialect="ga", latency_ms=50)
    async with serving("hybrid", service, dialect="beta", on_event=events.append) as (analyzer, _):
        for start in (0, 30):
            given = chunks_of(30, start)
            verdicts = await analyzer.analyze_batch(given)
            assert [] == wrong_labels(given, verdicts)
            assert {"rest"} == {verdict.route for verdict in verdicts}
    assert 1 == service.sessions
    assert 60 == service.paid_chunks()
    (event,) = events
    assert ("route_closed", "realtime") == (event.name, event.fields["route"])
    assert "Do not force the dialect 'beta'" in event.message
