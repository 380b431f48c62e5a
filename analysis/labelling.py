"""What the three analyzers share: chunks in, verdicts out, over an ordered list of routes.

io. The analyzers inherit from `RoutedAnalyzer` and differ in their routes and in what they add to
them. A base class, although the house prefers composition: the interface of nine methods is the
same to the letter, and delegating each of them three times would be three copies to keep in step.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, fields
from itertools import islice
from typing import Any, Self

from analysis.analyzer import ChunkLike, Estimate
from analysis.arguments import as_chunk, as_chunks, check_count, check_topic
from analysis.connections import (
    TIER_ROUTES,
    check_dialect,
    check_service_tier,
    check_timeout,
    make_transport,
)
from analysis.control.packing import chunks_per_request
from analysis.control.routes import RoutePlan
from analysis.dispatch import Dispatcher
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import AnalysisError, ConfigurationError, LocalProtocolError
from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.prices import DEFAULT_TIER
from analysis.records import (
    Chunk,
    Failed,
    FailureKind,
    Journal,
    RateLimit,
    Verdict,
)
from analysis.settings import (
    CHOICE_ROUTES,
    DEFAULT_MODELS,
    LANGUAGES,
    SETTINGS,
    UNSTATED_LIMITS,
    Settings,
)
from analysis.tally import PackTally
from analysis.telemetry import Event, Sink
from analysis.transport import Transport

logger = logging.getLogger("analysis")
logger.addHandler(logging.NullHandler())

LARGEST_PACK = 20
"""Most chunks in one request until an audit with a live model shows that more is safe."""

Results = AsyncGenerator[tuple[Chunk, Verdict], None]


class RoutedAnalyzer:
    """An analyzer over an ordered list of routes; use it with `async with`, or call `close`.

    One object belongs to the event loop of its first call. Several calls may run at once.
    """

    def __init__(
        self,
        *,
        routes: Sequence[str],
        models: Mapping[str, str],
        endpoint: Endpoint,
        topic: str | None,
        label_set: str | LabelSet,
        language: str,
        timeout_s: float | None,
        max_concurrent: int | None,
        on_event: Sink | None,
        seed: int | None,
        settings: Settings = SETTINGS,
        dialect: str = "auto",
        service_tier: str | None = None,
    ) -> None:
        if language not in LANGUAGES:
            raise ConfigurationError(
                f"Language {language!r} is not known. Use one of {', '.join(LANGUAGES)}."
            )
        check_count("max_concurrent", max_concurrent)
        self.topic = check_topic(topic)
        self.label_set = LabelSet.load(label_set) if isinstance(label_set, str) else label_set
        self.language = language
        self.routes = tuple(routes)
        self.models = {route: models.get(route) or DEFAULT_MODELS[route] for route in routes}
        self._endpoint = endpoint
        self._dialect = check_dialect(dialect)
        self._service_tier = check_service_tier(service_tier, self.routes)
        self._timeout_s = check_timeout(timeout_s, service_tier, settings)
        self._max_concurrent = max_concurrent
        self._on_event = on_event
        self._rng = random.Random(seed)
        self._settings = settings
        self._builder = PromptBuilder(
            self.label_set,
            rng=self._rng,
            language=language,
            settings=settings,
            has_choices=not CHOICE_ROUTES.isdisjoint(self.routes),
        )
        self._transports: dict[str, Transport] = {}
        self._dispatcher: Dispatcher | None = None
        self._is_closed = False

    # The interface of all analyzers

    async def analyze_chunk(
        self, chunk_id: str, chunk_text: str, topic: str | None = None
    ) -> Verdict:
        """Return the verdict on one chunk.

        Raises:
            AnalysisError: If the service stopped the work before it ever answered.
        """
        chunk = as_chunk((chunk_id, chunk_text))
        return (await self._collect([chunk], topic=topic, per_request=1, order=None))[0]

    async def analyze_batch(
        self,
        chunks: Iterable[ChunkLike],
        topic: str | None = None,
        *,
        chunks_per_request: int | None = None,
    ) -> list[Verdict]:
        """Return one verdict per chunk, in input order.

        Args:
            chunks: `Chunk`s, mappings with `id` and `text`, or pairs (id, text).
            topic: Beats the topic of the session and of the constructor.
            chunks_per_request: Chunks in one request; by default one for small jobs (up to 50
                chunks) and ten for larger ones.

        Raises:
            ConfigurationError: If `chunks` cannot be read.
            AnalysisError: If the service stopped the work before it ever answered; once something
                was paid, chunks without answer come back as `Failed` of kind `stopped`.
        """
        listed = list(as_chunks(chunks))
        per_request = self._per_request(chunks_per_request, len(listed))
        return await self._collect(listed, topic=topic, per_request=per_request, order=None)

    async def stream(
        self,
        chunks: Iterable[ChunkLike],
        topic: str | None = None,
        *,
        chunks_per_request: int | None = None,
    ) -> AsyncGenerator[Verdict, None]:
        """Yield verdicts as they settle; `chunks` is read as room becomes free.

        Closing the generator gives up the rest: nothing queued is sent any more.

        Raises: As `analyze_batch`.
        """
        size = len(chunks) if isinstance(chunks, Sequence) else None
        per_request = (
            self._settings.chunks_per_request
            if size is None and chunks_per_request is None
            else self._per_request(chunks_per_request, size or 0)
        )
        slices = _slices(as_chunks(chunks), self._settings)
        async with aclosing(self._run(slices, topic, per_request)) as found:
            async for _, verdict in found:
                yield verdict

    def estimate(
        self,
        chunks: Iterable[ChunkLike],
        topic: str | None = None,
        *,
        chunks_per_request: int | None = None,
    ) -> Estimate:
        """Return what labelling these chunks will take; nothing is sent."""
        listed = list(as_chunks(chunks))
        per_request = self._per_request(chunks_per_request, len(listed))
        tally = self._tally(self._first_route(len(listed)), topic, per_request)
        tally.add(listed)
        return tally.estimate()

    def statistics(self) -> dict[str, Any]:
        """Return counters of the analyzer, of each route and of each connection."""
        found: dict[str, Any] = {"label_set": self.label_set.name, "prompt": self._builder.digest}
        if self._dispatcher is not None:
            found |= self._dispatcher.scheduler.statistics()
        connections = {
            route: asdict(counters)
            for route, transport in self._transports.items()
            if (counters := getattr(transport, "counters", None)) is not None
        }
        return found | {"connections": connections}

    @property
    def facts(self) -> Mapping[str, str]:
        """Route -> JSON of what is in effect there: model, dialect, settings, endpoint.

        A session is known once it was opened; instructions and tools are left out, since `run_key`
        covers them.
        """
        return {
            route: json.dumps(_effective(facts), sort_keys=True)
            for route, transport in self._transports.items()
            if (facts := getattr(transport, "facts", None)) is not None
        }

    async def close(self) -> None:
        """End the work and all connections; may be called more than once."""
        self._is_closed = True
        if self._dispatcher is not None:
            await self._dispatcher.close()
        for transport in self._transports.values():
            await transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    # What a pipeline needs

    @property
    def run_key(self) -> Mapping[str, str]:
        """Whatever, beside a chunk itself, changes what its label means."""
        return {
            "label_set": self.label_set.digest,
            "prompt": self._builder.digest,
            "routes": ",".join(f"{route}={self.models[route]}" for route in self.routes),
            "endpoint": self._endpoint.host,
        }

    @property
    def stop_reason(self) -> str | None:
        """Why nothing is sent any more, or None."""
        return self._dispatcher.scheduler.stop_reason if self._dispatcher else None

    def stop(self, reason: str) -> None:
        """Send nothing more; what is in flight still ends and counts."""
        self._ready().stop(reason)

    async def run(
        self,
        slices: AsyncIterator[Sequence[Chunk]],
        *,
        topic: str | None,
        chunks_per_request: int,
        journal: Journal | None,
    ) -> Results:
        """Yield (chunk, verdict) for every chunk that the journal does not hold yet."""
        found = self._ready().run(
            slices,
            topic=topic or self.topic,
            chunks_per_request=chunks_per_request,
            journal=journal,
        )
        async with aclosing(found):
            async for result in found:
                yield result

    def tally(self, *, topic: str | None, chunks_per_request: int) -> PackTally:
        """Return a counter for an estimate."""
        return self._tally(self.routes[0], topic, chunks_per_request)

    # Inside

    def _first_route(self, job_size: int) -> str:
        """Return the route that a job of this size goes over first."""
        return self.routes[0]

    def _tally(self, route: str, topic: str | None, per_request: int) -> PackTally:
        return PackTally(
            self._builder,
            topic=topic or self.topic,
            chunks_per_request=per_request,
            model=self.models[route],
            in_flight=self._in_flight(route),
            settings=self._settings,
            as_choices=route in CHOICE_ROUTES,
            tier=(self._service_tier if route in TIER_ROUTES else None) or DEFAULT_TIER,
        )

    def _per_request(self, asked: int | None, job_size: int) -> int:
        check_count("chunks_per_request", asked, most=LARGEST_PACK)
        return chunks_per_request(job_size, self._settings) if asked is None else asked

    async def _collect(
        self,
        chunks: list[Chunk],
        *,
        topic: str | None,
        per_request: int,
        order: tuple[int, ...] | None,
    ) -> list[Verdict]:
        """Run chunks and sort their verdicts back into input order."""
        places = {id(chunk): place for place, chunk in enumerate(chunks)}
        verdicts: list[Verdict | None] = [None] * len(chunks)
        async with aclosing(self._run(_one_slice(chunks), topic, per_request, order)) as found:
            async for chunk, verdict in found:
                verdicts[places.pop(id(chunk))] = verdict
        if places:
            raise LocalProtocolError(f"{len(places)} of {len(chunks)} chunks got no verdict.")
        return [verdict for verdict in verdicts if verdict is not None]

    async def _run(
        self,
        slices: AsyncIterator[Sequence[Chunk]],
        topic: str | None,
        per_request: int,
        order: tuple[int, ...] | None = None,
    ) -> Results:
        """Run slices; raise what stopped the service unless something was answered.

        As long as nothing is and requests are in flight, `stopped` verdicts are held back: one of
        those requests may still be answered, and then they are verdicts like all others.
        """
        dispatcher = self._ready()
        topic = check_topic(topic) or self.topic
        held: list[tuple[Chunk, Verdict]] = []
        found = dispatcher.run(slices, topic=topic, chunks_per_request=per_request, order=order)
        async with aclosing(found):
            async for result in found:
                if dispatcher.labeled or not _is_stopped(result[1]):
                    yield result
                elif dispatcher.scheduler.in_flight:
                    held.append(result)
                else:
                    raise self._why_stopped(dispatcher)
        if held and not dispatcher.labeled:
            raise self._why_stopped(dispatcher)
        for result in held:
            yield result

    def _why_stopped(self, dispatcher: Dispatcher) -> AnalysisError:
        scheduler = dispatcher.scheduler
        error = scheduler.stop_error or AnalysisError(scheduler.stop_reason or "stopped")
        return error.with_traceback(None)  # the same one may be raised by several calls

    def _ready(self) -> Dispatcher:
        """Return the dispatcher; it is made at the first call, on that call's event loop."""
        if self._is_closed:
            raise ConfigurationError("This analyzer is closed. Make a new one.")
        if self._dispatcher is None:
            self._dispatcher = self._make_dispatcher()
        return self._dispatcher

    def _make_dispatcher(self) -> Dispatcher:
        plans = [
            RoutePlan(
                name=route,
                model=self.models[route],
                account=self._endpoint.account if route != "offline" else "offline",
                in_flight=self._in_flight(route),
                most_chunks=self._settings.decision_questions if route in CHOICE_ROUTES else None,
                states_limits=route not in UNSTATED_LIMITS,
                prompt="choices" if route in CHOICE_ROUTES else "text",
            )
            for route in self.routes
        ]
        return Dispatcher(
            plans,
            transports={route: self._transport(route) for route in self.routes},
            builder=self._builder,
            timeout_s=self._timeout_s,
            on_event=self._hear,
            rng=self._rng,
            settings=self._settings,
            # The local service in this process makes its probabilities up.
            has_confidence=self._endpoint.host != EMBEDDED,
        )

    def _transport(self, route: str) -> Transport:
        if route not in self._transports:
            self._transports[route] = make_transport(
                route,
                model=self.models[route],
                endpoint=self._endpoint,
                builder=self._builder,
                timeout_s=self._timeout_s,
                on_limits=self._hear_limits,
                on_notice=self._hear_notice,
                rng=self._rng,
                settings=self._settings,
                dialect=self._dialect,
                service_tier=self._service_tier,
            )
        return self._transports[route]

    def _hear_notice(self, message: str) -> None:
        self._ready().tell("notice", message, {})

    def _hear_limits(
        self, route: str, limits: tuple[RateLimit, ...], request_id: str | None
    ) -> None:
        if self._dispatcher is not None:
            self._dispatcher.hear_limits(route, limits, request_id)

    def _in_flight(self, route: str) -> int:
        own: int = getattr(self._settings, f"{route.replace('-', '_')}_in_flight")
        return own if self._max_concurrent is None or route == "offline" else self._max_concurrent

    def _hear(self, event: Event) -> None:
        logger.info("%s", event.message)
        if self._on_event is not None:
            self._on_event(event)


def _is_stopped(verdict: Verdict) -> bool:
    return isinstance(verdict, Failed) and verdict.error.kind is FailureKind.STOPPED


def _effective(facts: Any) -> dict[str, Any]:
    """Return the fields of what a transport knows of its service, without the prompt itself."""
    found = {one.name: getattr(facts, one.name) for one in fields(facts)}
    if isinstance(found.get("settings"), Mapping):
        asked = ("instructions", "tools")
        found["settings"] = {k: v for k, v in found["settings"].items() if k not in asked}
    return found


async def _one_slice(chunks: Sequence[Chunk]) -> AsyncIterator[Sequence[Chunk]]:
    yield chunks


async def _slices(chunks: Iterator[Chunk], settings: Settings) -> AsyncIterator[Sequence[Chunk]]:
    while batch := list(islice(chunks, settings.slice_chunks)):
        yield batch
