"""What the three analyzers share: chunks in, verdicts out, over an ordered list of routes.

io. The analyzers inherit from `RoutedAnalyzer` and differ in their routes and in what they add to
them. A base class, although the house prefers composition: the interface of nine methods is the
same to the letter, and delegating each of them three times would be three copies to keep in step.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, Self

from analysis.analyzer import ChunkLike, Estimate
from analysis.connections import make_transport
from analysis.control.packing import chunks_per_request
from analysis.control.routes import RoutePlan
from analysis.dispatch import Dispatcher
from analysis.endpoint import Endpoint
from analysis.errors import AnalysisError, ConfigurationError
from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.records import (
    Chunk,
    Failed,
    FailureKind,
    Journal,
    Labeled,
    RateLimit,
    Verdict,
)
from analysis.settings import DEFAULT_MODELS, LANGUAGES, SETTINGS, Settings
from analysis.tally import PackTally
from analysis.telemetry import Event, Sink
from analysis.transport import Transport

logger = logging.getLogger("analysis")
logger.addHandler(logging.NullHandler())


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
        timeout_s: float,
        max_concurrent: int | None,
        on_event: Sink | None,
        seed: int | None,
        settings: Settings = SETTINGS,
    ) -> None:
        if language not in LANGUAGES:
            raise ConfigurationError(
                f"Language {language!r} is not known. Use one of {', '.join(LANGUAGES)}."
            )
        if timeout_s <= 0:
            raise ConfigurationError(f"timeout_s is {timeout_s}; it must be above 0 seconds.")
        if max_concurrent is not None and max_concurrent < 1:
            raise ConfigurationError(f"max_concurrent is {max_concurrent}; it must be at least 1.")
        self.topic = topic
        self.label_set = LabelSet.load(label_set) if isinstance(label_set, str) else label_set
        self.language = language
        self.routes = tuple(routes)
        self.models = {route: models.get(route) or DEFAULT_MODELS[route] for route in routes}
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._max_concurrent = max_concurrent
        self._on_event = on_event
        self._rng = random.Random(seed)
        self._settings = settings
        self._builder = PromptBuilder(
            self.label_set, rng=self._rng, language=language, settings=settings
        )
        self._transports: dict[str, Transport] = {}
        self._dispatcher: Dispatcher | None = None
        self._is_closed = False
        self._labeled = 0

    # The interface of all analyzers

    async def analyze_chunk(
        self, chunk_id: str, chunk_text: str, topic: str | None = None
    ) -> Verdict:
        """Return the verdict on one chunk.

        Raises:
            AnalysisError: If the service stopped the work before it ever answered.
        """
        chunk = Chunk(id=chunk_id, text=chunk_text)
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
        listed = [as_chunk(chunk) for chunk in chunks]
        per_request = self._per_request(chunks_per_request, len(listed))
        return await self._collect(listed, topic=topic, per_request=per_request, order=None)

    async def stream(
        self,
        chunks: Iterable[ChunkLike],
        topic: str | None = None,
        *,
        chunks_per_request: int | None = None,
    ) -> AsyncIterator[Verdict]:
        """Yield verdicts as they settle; `chunks` is read as room becomes free.

        Raises: As `analyze_batch`.
        """
        size = len(chunks) if isinstance(chunks, Sequence) else None
        per_request = (
            self._settings.chunks_per_request
            if size is None and chunks_per_request is None
            else self._per_request(chunks_per_request, size or 0)
        )
        async for _, verdict in self._run(_slices(chunks, self._settings), topic, per_request):
            yield verdict

    def estimate(
        self,
        chunks: Iterable[ChunkLike],
        topic: str | None = None,
        *,
        chunks_per_request: int | None = None,
    ) -> Estimate:
        """Return what labelling these chunks will take; nothing is sent."""
        listed = [as_chunk(chunk) for chunk in chunks]
        per_request = self._per_request(chunks_per_request, len(listed))
        tally = self.tally(topic=topic, chunks_per_request=per_request)
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
    ) -> AsyncIterator[tuple[Chunk, Verdict]]:
        """Yield (chunk, verdict) for every chunk that the journal does not hold yet."""
        found = self._ready().run(
            slices,
            topic=topic or self.topic,
            chunks_per_request=chunks_per_request,
            journal=journal,
        )
        async for result in found:
            yield result

    def tally(self, *, topic: str | None, chunks_per_request: int) -> PackTally:
        """Return a counter for an estimate."""
        route = self.routes[0]
        return PackTally(
            self._builder,
            topic=topic or self.topic,
            chunks_per_request=chunks_per_request,
            model=self.models[route],
            in_flight=self._in_flight(route),
            settings=self._settings,
        )

    # Inside

    def _per_request(self, asked: int | None, job_size: int) -> int:
        if asked is None:
            return chunks_per_request(job_size, self._settings)
        if asked < 1:
            raise ConfigurationError(f"chunks_per_request is {asked}; it must be at least 1.")
        return asked

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
        async for chunk, verdict in self._run(_one_slice(chunks), topic, per_request, order):
            verdicts[places[id(chunk)]] = verdict
        return [verdict for verdict in verdicts if verdict is not None]

    async def _run(
        self,
        slices: AsyncIterator[Sequence[Chunk]],
        topic: str | None,
        per_request: int,
        order: tuple[int, ...] | None = None,
    ) -> AsyncIterator[tuple[Chunk, Verdict]]:
        """Run slices; raise what stopped the service unless something was answered before."""
        dispatcher = self._ready()
        found = dispatcher.run(
            slices, topic=topic or self.topic, chunks_per_request=per_request, order=order
        )
        async for chunk, verdict in found:
            if isinstance(verdict, Labeled):
                self._labeled += 1
            elif verdict.error.kind is FailureKind.STOPPED and not self._labeled:
                raise self._why_stopped(verdict)
            yield chunk, verdict

    def _why_stopped(self, verdict: Failed) -> AnalysisError:
        error = self._dispatcher.scheduler.stop_error if self._dispatcher else None
        return error or AnalysisError(verdict.error.message)

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
                rng=self._rng,
                settings=self._settings,
            )
        return self._transports[route]

    def _hear_limits(self, route: str, limits: tuple[RateLimit, ...]) -> None:
        if self._dispatcher is not None:
            self._dispatcher.hear_limits(route, limits)

    def _in_flight(self, route: str) -> int:
        own: int = getattr(self._settings, f"{route.replace('-', '_')}_in_flight")
        return own if self._max_concurrent is None or route == "offline" else self._max_concurrent

    def _hear(self, event: Event) -> None:
        logger.info("%s", event.message)
        if self._on_event is not None:
            self._on_event(event)


def as_chunk(given: ChunkLike) -> Chunk:
    """Return a new `Chunk` of what a caller may hand in.

    Raises:
        ConfigurationError: If it has no id or text, or they are no strings.
    """
    try:
        if isinstance(given, Chunk):
            return Chunk(id=given.id, text=given.text, topic=given.topic, document=given.document)
        if isinstance(given, Mapping):
            topic, document = given.get("topic"), given.get("document")
            return Chunk(id=given["id"], text=given["text"], topic=topic, document=document)
        chunk_id, text = given
        return Chunk(id=chunk_id, text=text)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"Cannot read the chunk {str(given)[:80]!r}: {error}. Pass a Chunk, a mapping with "
            "the strings id and text, or a pair (id, text)."
        ) from error


async def _one_slice(chunks: Sequence[Chunk]) -> AsyncIterator[Sequence[Chunk]]:
    yield chunks


async def _slices(
    chunks: Iterable[ChunkLike], settings: Settings
) -> AsyncIterator[Sequence[Chunk]]:
    source = iter(chunks)
    while batch := [as_chunk(chunk) for chunk in islice(source, settings.slice_chunks)]:
        yield batch
