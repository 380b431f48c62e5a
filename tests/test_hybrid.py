"""The hybrid analyzer: which route a chunk takes, and what happens when one of them goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import ConfigurationError, TransportError
from analysis.records import Failed, FailureKind
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import DEFAULT_MODELS
from analysis.simulator.server import LocalService
from analysis.telemetry import Event
from tests.observed_service import UNPACED, ObservedService, chunks_of, serving, wrong_labels
from tests.virtual_loop import virtual


class Front:
    """A door before a service that can be shut for one route.

    Attributes:
        shut: Routes, `realtime` or `rest`, that get no connection through.
    """

    def __init__(self, port: int) -> None:
        self.shut: set[str] = set()
        self.port = 0
        self._behind = port
        self._open: dict[asyncio.StreamWriter, str] = {}

    def cut(self, route: str) -> None:
        """Shut a route and abort its connections."""
        self.shut.add(route)
        for writer, name in list(self._open.items()):
            if name == route:
                writer.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        first = await reader.readline()
        route = "realtime" if b"/realtime" in first else "rest"
        if route in self.shut:
            writer.transport.abort()
            return
        self._open[writer] = route
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", self._behind)
        inner.write(first)
        with contextlib.suppress(OSError):
            await asyncio.gather(_pass(reader, inner), _pass(inner_reader, writer))
        inner.transport.abort()
        del self._open[writer]


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def fronted(
    service: ObservedService, **options: Any
) -> AsyncIterator[tuple[HybridSemanticAnalyzer, Front]]:
    """Run a service behind a door, and an analyzer that speaks to the door."""
    async with LocalService(service) as local:
        front = Front(int(local.base_url.split(":")[2].split("/")[0]))
        server = await asyncio.start_server(front.handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        chosen: dict[str, Any] = {"api_key": "key-1", "settings": UNPACED, "seed": 7} | options
        async with (
            server,
            HybridSemanticAnalyzer(base_url=f"http://127.0.0.1:{port}/v1", **chosen) as analyzer,
        ):
            yield analyzer, front
        front.cut("realtime")
        front.cut("rest")


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


@virtual
async def test_a_route_that_is_dead_from_the_start_costs_little_time() -> None:
    """All chunks go over REST within a few seconds, the breaker being open."""
    events: list[Event] = []
    async with fronted(ObservedService(latency_ms=50), on_event=events.append) as (analyzer, front):
        front.shut.add("realtime")
        verdicts = await analyzer.analyze_batch(chunks_of(50))
        assert now() < 3.0
    assert [] == wrong_labels(chunks_of(50), verdicts)
    assert {"rest"} == {verdict.route for verdict in verdicts}
    assert 1 == [event.name for event in events].count("route_down")


@virtual
async def test_only_rows_that_failed_are_on_the_other_model() -> None:
    """Realtime is gone for five seconds in mid-run: the rows that it did not lose wait for it."""
    service = ObservedService(latency_ms=200)
    given = chunks_of(300)
    async with fronted(service) as (analyzer, front):
        batch = asyncio.create_task(
            analyzer.analyze_batch(given, chunks_per_request=1, adaptive_batching=False)
        )
        await service.until(lambda: len(service.payments) == 80)
        front.cut("realtime")
        await asyncio.sleep(5)
        front.shut.clear()
        verdicts = await batch
    assert [] == wrong_labels(given, verdicts)
    routes = Counter(verdict.route for verdict in verdicts)
    assert 1 <= routes["rest"] <= 8  # what was in flight at the cut
    assert 300 == routes["rest"] + routes["realtime"]
    assert all(verdict.attempts > 1 for verdict in verdicts if verdict.route == "rest")


@virtual
async def test_rows_wait_only_so_long_for_a_route_that_worked() -> None:
    """Realtime never returns: after ten seconds the rest of the rows takes the other model."""
    service = ObservedService(latency_ms=200)
    async with fronted(service) as (analyzer, front):
        batch = asyncio.create_task(
            analyzer.analyze_batch(chunks_of(300), chunks_per_request=1, adaptive_batching=False)
        )
        await service.until(lambda: len(service.payments) == 80)
        front.cut("realtime")
        cut_at = now()
        verdicts = await batch
    assert [] == wrong_labels(chunks_of(300), verdicts)
    early = [
        begin
        for route, begin, _ in service.spans
        if route == "responses" and begin < cut_at + UNPACED.other_model_after_s
    ]
    assert len(early) <= 8
    assert {"realtime", "rest"} == {verdict.route for verdict in verdicts}


@virtual
async def test_a_route_with_the_same_model_takes_over_at_once() -> None:
    """Nothing changes for a label when the model is the same, so nobody waits."""
    service = ObservedService(latency_ms=200)
    model = {"realtime": "digest-labels", "rest": "digest-labels"}
    async with fronted(service, model=model) as (analyzer, front):
        batch = asyncio.create_task(
            analyzer.analyze_batch(chunks_of(300), chunks_per_request=1, adaptive_batching=False)
        )
        await service.until(lambda: len(service.payments) == 80)
        front.cut("realtime")
        cut_at = now()
        verdicts = await batch
        assert now() < cut_at + 5.0
    assert [] == wrong_labels(chunks_of(300), verdicts)


@virtual
async def test_each_route_is_asked_for_its_own_model() -> None:
    """Defaults or a mapping: requests and verdicts name route and model."""
    service = ObservedService(latency_ms=50)
    model = {"realtime": "gpt-realtime-2"}
    async with fronted(service, model=model) as (analyzer, front):
        first = await analyzer.analyze_chunk("a", "one")
        front.cut("realtime")
        second = await analyzer.analyze_chunk("b", "two")
    assert [("realtime", "gpt-realtime-2"), ("responses", DEFAULT_MODELS["rest"])] == service.asked
    assert ("realtime", "digest-labels", 1) == (first.route, first.model, first.attempts)
    assert ("rest", "digest-labels") == (second.route, second.model)


@virtual
async def test_the_size_of_the_job_chooses_packing_and_first_route() -> None:
    """Up to 50 chunks: alone, realtime first. More: in packs, REST first, and that is said."""
    events: list[Event] = []
    async with serving("hybrid", on_event=events.append) as (analyzer, _):
        small = await analyzer.analyze_batch(chunks_of(50))
        assert {("realtime", 1)} == {(one.route, one.pack) for one in small}
        assert [] == events
        large = await analyzer.analyze_batch(chunks_of(60))
        assert {("rest", 2)} == {(one.route, one.pack) for one in large}
        (event,) = events
        assert "60 chunks are no small job: rest goes first, with the model gpt-6" in event.message
        for size in (5, 60):
            fixed = await analyzer.analyze_batch(chunks_of(size), adaptive_batching=False)
            assert {("realtime", min(size, 10))} == {(one.route, one.pack) for one in fixed}
        packed = await analyzer.analyze_batch(chunks_of(60), chunks_per_request=6)
        assert {("rest", 6)} == {(one.route, one.pack) for one in packed}


@virtual
async def test_the_estimate_is_for_the_route_that_goes_first() -> None:
    """A large job is priced at REST, which its batch will use; a small one at realtime."""
    async with serving("hybrid") as (hybrid, _), serving("rest") as (rest, _):
        assert rest.estimate(chunks_of(60)) == hybrid.estimate(chunks_of(60))
        assert rest.estimate(chunks_of(6)).cost_usd < hybrid.estimate(chunks_of(6)).cost_usd


@virtual
async def test_max_concurrent_of_a_batch_holds_from_then_on() -> None:
    """The batch's own limit is what the service sees."""
    async with serving("hybrid") as (analyzer, service):
        await analyzer.analyze_batch(chunks_of(50), max_concurrent=20)
        assert 20 == service.most_parallel
        with pytest.raises(ConfigurationError, match="at least 1"):
            await analyzer.analyze_batch(chunks_of(5), max_concurrent=0)


@virtual
async def test_a_refused_model_closes_its_route_once() -> None:
    """Realtime does not know the model: said once, and REST does the work."""
    events: list[Event] = []
    options: dict[str, Any] = {"model": {"realtime": "gpt-none"}, "on_event": events.append}
    async with serving("hybrid", **options) as (analyzer, service):
        for start in (0, 20):
            verdicts = await analyzer.analyze_batch(chunks_of(20, start))
            assert [] == wrong_labels(chunks_of(20, start), verdicts)
            assert {"rest"} == {verdict.route for verdict in verdicts}
        assert ["route_closed"] == [event.name for event in events]
        assert "gpt-none" in events[0].message
        assert 40 == service.paid_chunks()
        assert not analyzer.statistics()["routes"]["realtime"]["is_open"]


@virtual
async def test_with_all_routes_dead_the_first_call_raises() -> None:
    """Nobody ever answered: the error names what was wrong with the connection."""
    async with fronted(ObservedService()) as (analyzer, front):
        front.shut |= {"realtime", "rest"}
        with pytest.raises(TransportError, match="No route answered"):
            await analyzer.analyze_batch(chunks_of(5))


@virtual
async def test_with_all_routes_dead_in_mid_run_the_rest_fails() -> None:
    """What was answered is kept; the rest is unavailable or stopped, each chunk once."""
    service = ObservedService(latency_ms=100)
    settings = replace(UNPACED, outage_limit_s=30.0)
    async with fronted(service, settings=settings) as (analyzer, front):
        batch = asyncio.create_task(analyzer.analyze_batch(chunks_of(50)))
        await service.until(lambda: len(service.payments) == 20)
        front.cut("realtime")
        front.cut("rest")
        verdicts = await batch
        assert now() < 60.0
    failed = [verdict for verdict in verdicts if isinstance(verdict, Failed)]
    assert 50 == len(verdicts)
    assert 12 <= 50 - len(failed) <= 20  # an answer may be on its way through the door
    kinds = {verdict.error.kind for verdict in failed}
    assert kinds <= {FailureKind.STOPPED, FailureKind.UNAVAILABLE}
    assert kinds


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("gpt-6-luna", "cannot serve all of realtime, rest. Name it per route, such as realtime="),
        ({"batch": "x"}, "'batch', which is not used. Routes of this run: realtime, rest"),
    ],
)
def test_models_must_fit_the_routes(model: Any, words: str) -> None:
    """One name cannot serve routes that need different models; a route must be in use."""
    with pytest.raises(ConfigurationError, match=words):
        HybridSemanticAnalyzer(api_key="k", model=model)


def test_one_model_may_serve_a_single_route() -> None:
    """With one route a bare name is enough."""
    analyzer = HybridSemanticAnalyzer(api_key="k", model="m", routes="rest")
    assert {"rest": "m"} == analyzer.models
