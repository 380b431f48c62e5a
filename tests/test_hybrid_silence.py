"""A route that falls silent without closing: its requests are rescued long before any time-out.

On virtual time, over real sockets. Routes of one model, so that a request may go over either.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.simulator.profile import PROFILE
from analysis.simulator.server import LocalService
from analysis.simulator.service import Job, Question
from analysis.telemetry import Event
from tests.observed_service import UNPACED, ObservedService, chunks_of, serving, wrong_labels
from tests.virtual_loop import virtual

ROUTES = ("responses-ws", "rest")
SILENT_FROM_S = 3.0
LATENCY_MS = 500
RESCUED_WITHIN_S = 4.0
"""Far below the 60 s of a time-out and the 15 s in which a socket without pong is dropped."""


class SilentService(ObservedService):
    """A service that never ends what it begins on its WebSocket from some time on.

    Its answers begin, its sockets stay open, and pings are answered.

    Attributes:
        hung: Chunks that it was asked and never answered.
    """

    def __init__(self, *, silent_from_s: float, latency_ms: int = LATENCY_MS) -> None:
        self.hung = 0
        self._silent_from_s = silent_from_s
        super().__init__(latency_ms=latency_ms, profile=replace(PROFILE, latency_sigma=0.0))

    def start(self, question: Question, now: float) -> Job:
        """Accept a request; it hangs if it came over the route that fell silent."""
        job = super().start(question, now)
        if question.route != ROUTES[0] or now - self.started_at < self._silent_from_s:
            return job
        self.hung += len(job.receipt.texts)
        return replace(job, draw=replace(job.draw, is_hanging=True))


class Valve:
    """A door before a service that can stop passing WebSocket traffic, without closing anything."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._is_shut = False

    def shut(self) -> None:
        """Swallow what either side says on a WebSocket from now on, pings and pongs included."""
        self._is_shut = True

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        first = await reader.readline()
        is_socket = first.startswith(b"GET")
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", self._behind)
        inner.write(first)
        with contextlib.suppress(OSError):
            await asyncio.gather(
                self._pass(reader, inner, is_socket), self._pass(inner_reader, writer, is_socket)
            )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_socket: bool
    ) -> None:
        while data := await reader.read(1 << 16):
            if not (is_socket and self._is_shut):
                writer.write(data)
        writer.transport.abort()


@contextlib.asynccontextmanager
async def behind_valve(
    service: ObservedService, **options: Any
) -> AsyncIterator[tuple[HybridSemanticAnalyzer, Valve]]:
    """Run a service behind a valve, and an analyzer that speaks to the valve."""
    async with LocalService(service) as local:
        valve = Valve(int(local.base_url.split(":")[2].split("/")[0]))
        server = await asyncio.start_server(valve.handle, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        chosen: dict[str, Any] = {"api_key": "key-1", "settings": UNPACED, "seed": 7} | options
        async with server, HybridSemanticAnalyzer(base_url=address, **chosen) as analyzer:
            yield analyzer, valve


def downs(events: list[Event]) -> list[tuple[str, str]]:
    """Return (route, message) of each route that was taken down."""
    return [
        (str(event.fields["route"]), event.message)
        for event in events
        if event.name == "route_down"
    ]


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


@virtual
async def test_requests_that_hang_are_rescued_over_the_other_route() -> None:
    """Their answers have begun and never end: nothing lost, doubled or waited for."""
    events: list[Event] = []
    given = chunks_of(320)
    service = SilentService(silent_from_s=SILENT_FROM_S)
    options: dict[str, Any] = {"max_concurrent": 16, "on_event": events.append}
    async with serving("hybrid", service, routes=ROUTES, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(
            given, chunks_per_request=1, adaptive_batching=False
        )
        told = analyzer.statistics()
    assert [] == wrong_labels(given, verdicts)
    assert ROUTES[0] == downs(events)[0][0] and "is silent" in downs(events)[0][1]
    (down_at, *_) = [event.at for event in events if event.name == "route_down"]
    assert SILENT_FROM_S < down_at < SILENT_FROM_S + RESCUED_WITHIN_S
    # 16 at a time in half a second each: without the pause the run takes 10.0 s at most.
    assert now() < 10.0 + RESCUED_WITHIN_S
    assert 16 <= told["requests_rescued"] == told["routes"][ROUTES[0]]["requests_rescued"]
    assert service.hung <= 16 + len(downs(events))  # what was on its way, and later probes
    assert 320 + service.hung == service.paid_chunks()


@virtual
async def test_a_line_that_swallows_everything_is_found_out_before_its_sockets_die() -> None:
    """Not even pings come through: the requests go over the other route all the same."""
    events: list[Event] = []
    given = chunks_of(320)
    service = ObservedService(latency_ms=LATENCY_MS, profile=replace(PROFILE, latency_sigma=0.0))
    options: dict[str, Any] = {"max_concurrent": 16, "on_event": events.append}
    async with behind_valve(service, routes=ROUTES, **options) as (analyzer, valve):
        batch = asyncio.create_task(
            analyzer.analyze_batch(given, chunks_per_request=1, adaptive_batching=False)
        )
        await service.until(lambda: len(service.payments) >= 100)
        shut_at = now()
        valve.shut()
        verdicts = await batch
        told = analyzer.statistics()
    assert [] == wrong_labels(given, verdicts)
    assert (ROUTES[0], True) == (downs(events)[0][0], "is silent" in downs(events)[0][1])
    (down_at, *_) = [event.at for event in events if event.name == "route_down"]
    assert shut_at < down_at < shut_at + RESCUED_WITHIN_S
    assert 1 <= told["requests_rescued"] <= 16
    routes = Counter(verdict.route for verdict in verdicts)
    assert 320 == routes["rest"] + routes[ROUTES[0]] and routes["rest"] >= 150


@pytest.mark.parametrize("route", ["realtime", "responses-ws", "rest"])
@virtual
async def test_only_websockets_tell_when_an_answer_begins(route: str) -> None:
    """The scheduler learns how soon; answers over HTTPS come whole."""
    service = ObservedService(latency_ms=LATENCY_MS)
    async with serving("hybrid", service, routes=(route,)) as (analyzer, _):
        await analyzer.analyze_batch(chunks_of(20), chunks_per_request=1)
        (state,) = analyzer._ready().scheduler._routes
    first_s = state.latency.first
    assert (route == "rest") == (first_s is None)
    assert first_s is None or 0.0 <= first_s < LATENCY_MS / 1_000


@virtual
async def test_a_sign_of_no_request_in_flight_is_ignored_and_wakes_nobody() -> None:
    """Such as that of a warm-up, or of a request that was given up."""
    async with serving("hybrid", routes=("rest",)) as (analyzer, _):
        await analyzer.analyze_batch(chunks_of(1), chunks_per_request=1)
        dispatcher = analyzer._ready()
        before = dispatcher.scheduler.statistics()
        dispatcher._wake.clear()
        dispatcher.hear_sign("gone")
        assert (before, False) == (dispatcher.scheduler.statistics(), dispatcher._wake.is_set())
        assert dispatcher.scheduler._routes[0].latency.first is None


@virtual
async def test_an_answer_that_has_begun_has_the_time_of_a_whole_one() -> None:
    """Steady answers of three seconds: their first events come at once, and no alarm follows."""
    events: list[Event] = []
    given = chunks_of(200)
    service = ObservedService(latency_ms=3_000, profile=replace(PROFILE, latency_sigma=0.0))
    options: dict[str, Any] = {"max_concurrent": 32, "on_event": events.append}
    async with serving("hybrid", service, routes=ROUTES, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(
            given, chunks_per_request=1, adaptive_batching=False
        )
    assert [] == wrong_labels(given, verdicts)
    assert ([], 200) == (downs(events), service.paid_chunks())
