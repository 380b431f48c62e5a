"""What the three analyzers share: chunks in, verdicts out, over an ordered list of routes.

io. The analyzers inherit from `RoutedAnalyzer` and differ in their routes and in what they add to
them. A base class, although the house prefers composition: the interface of nine methods is the
same to the letter, and delegating each of them three times would be three copies to keep in step.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from functools import partial
from typing import Any, Self

from analysis.account.limits import AccountLimits
from analysis.analyzer import ChunkLike, Estimate
from analysis.arguments import (
    as_chunk,
    as_chunks,
    check_context,
    check_count,
    check_language,
    check_topic,
    in_slices,
    one_slice,
)
from analysis.connections import (
    check_dialect,
    check_service_tier,
    check_timeout,
    counters_of,
    facts_of,
    make_transport,
)
from analysis.control.planner import Plan
from analysis.control.quality import PACKS_REDUCED
from analysis.control.sizes import PACKS_REPLANNED, Packing, fixed
from analysis.dispatch import Dispatcher
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import AnalysisError, LocalProtocolError
from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.lifetime import Lifetime, weakly
from analysis.planning import SAMPLED_CHUNKS, Planning
from analysis.prices import PriceTable, price_table
from analysis.records import Chunk, FailureKind, Journal, RateLimit, StopCause, Verdict
from analysis.settings import CHOICE_ROUTES, DEFAULT_MODELS, LARGEST_PACK, SETTINGS, Settings
from analysis.tally import PackTally
from analysis.telemetry import Event, Sink
from analysis.transport import Transport

logger = logging.getLogger("analysis")
logger.addHandler(logging.NullHandler())

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
        tape: Callable[[str], None] | None = None,
        prices: PriceTable | None = None,
        context: int = 0,
        logprobs: bool = False,
        examples: bool = False,
    ) -> None:
        check_count("max_concurrent", max_concurrent)
        self._context = check_context(context)
        self.topic = check_topic(topic)
        labels = LabelSet.load(label_set) if isinstance(label_set, str) else label_set
        self.label_set = labels.with_examples() if examples else labels
        self.language = check_language(language)
        self.routes = tuple(routes)
        self.models = {one: str.__str__(models.get(one) or DEFAULT_MODELS[one]) for one in routes}
        self._endpoint = endpoint
        self._dialect = check_dialect(dialect)
        self._service_tier = check_service_tier(service_tier, self.routes)
        self._logprobs = logprobs
        self._timeout_s = check_timeout(timeout_s, service_tier, settings)
        self._on_event = on_event
        self._tape = tape
        self.prices = prices or price_table()
        self._rng = random.Random(seed)
        self._settings = settings
        self._builder = PromptBuilder(
            self.label_set,
            rng=self._rng,
            language=language,
            settings=settings,
            has_choices=not CHOICE_ROUTES.isdisjoint(self.routes),
            has_context=context > 0,
        )
        self._planning = Planning(
            self._builder,
            models=self.models,
            account=endpoint.account,
            max_concurrent=max_concurrent,
            service_tier=self._service_tier,
            prices=self.prices,
            settings=settings,
        )
        self._transports: dict[str, Transport] = {}
        self._dispatcher: Dispatcher | None = None
        self._packing: Plan | None = None
        self._repacked: dict[str, list[str]] = {PACKS_REDUCED: [], PACKS_REPLANNED: []}
        self._lifetime = Lifetime(self, self._transports)
        self._early: list[tuple[str, str, Mapping[str, str | float]]] = []
        self._is_recalled = False
        host, secret, tell = endpoint.host, endpoint.identity, weakly(self._tell)
        self._account: AccountLimits | None = None
        if endpoint.has_limits:
            self._account = AccountLimits(host=host, secret=secret, notify=tell, settings=settings)

    # The interface of all analyzers

    async def analyze_chunk(
        self, chunk_id: str, chunk_text: str, topic: str | None = None
    ) -> Verdict:
        """Return the verdict on one chunk.

        Raises:
            AnalysisError: If the service stopped the work before it ever answered.
        """
        chunk = as_chunk((chunk_id, chunk_text), self._settings)
        return (await self._collect([chunk], topic=topic, packing=fixed(1), order=None))[0]

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
            chunks_per_request: Chunks in one request, up to 20. By default it is planned once for
                the call, by the size of the job and what is known of the limits: one for small
                jobs (up to 50 chunks) while no limit holds them back.

        Raises:
            ConfigurationError: If `chunks` cannot be read.
            AnalysisError: If the service stopped the work before it ever answered; once something
                was paid, chunks without answer come back as `Failed` of kind `stopped`.
        """
        listed = self._listed(chunks)
        packing = self._pack(chunks_per_request, listed, topic)
        return await self._collect(listed, topic=topic, packing=packing, order=None)

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
        if isinstance(chunks, Sequence):
            listed = self._listed(chunks)
            packing = self._pack(chunks_per_request, listed, topic)
            slices = in_slices(iter(listed), self._settings)
        else:
            check_count("chunks_per_request", chunks_per_request, most=LARGEST_PACK)
            packing = fixed(chunks_per_request or self._settings.chunks_per_request)
            read = as_chunks(
                chunks, context=self._context, has_totals=False, settings=self._settings
            )
            slices = in_slices(read, self._settings)
        is_whole = isinstance(chunks, Sequence)
        async with aclosing(self._run(slices, topic, packing, is_whole=is_whole)) as found:
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
        listed = self._listed(chunks)
        plan = self._choose(chunks_per_request, listed, topic).plan
        route, topic = self._first_route(len(listed)), check_topic(topic) or self.topic
        tally = self._planning.tally(route, topic, plan.chunks_per_request, is_whole=True)
        tally.add(listed)
        return tally.estimate()

    def statistics(self) -> dict[str, Any]:
        """Return counters of the analyzer, of each route and of each connection."""
        found: dict[str, Any] = {"label_set": self.label_set.name, "prompt": self._builder.digest}
        found |= {name: tuple(messages) for name, messages in self._repacked.items()}
        if self._packing is not None:
            found["packing"] = asdict(self._packing)
        if self._dispatcher is not None:
            found |= self._dispatcher.scheduler.statistics()
            corrections = self._dispatcher.corrections.items()
            found["billed_to_estimated"] = {route: one.ratio for route, one in corrections}
        if self._account is not None and (shared := self._account.statistics()) is not None:
            found["limits_shared"] = shared
        return found | {"connections": counters_of(self._transports)}

    @property
    def facts(self) -> Mapping[str, str]:
        """Route -> JSON of what is in effect there: model, dialect, settings, endpoint.

        A session is known once it was opened; instructions and tools are left out, since `run_key`
        covers them.
        """
        return facts_of(self._transports)

    async def close(self) -> None:
        """End the work and all connections; may be called more than once."""
        await self._lifetime.close()

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
            "context": str(self._context),
            "routes": ",".join(f"{route}={self.models[route]}" for route in self.routes),
            "endpoint": self._endpoint.key_host,
        }

    @property
    def stop_reason(self) -> str | None:
        """Why nothing is sent any more, or None."""
        return self._dispatcher.scheduler.stop_reason if self._dispatcher else None

    @property
    def stop_cause(self) -> StopCause | None:
        """Who or what stopped it, or None."""
        return self._dispatcher.scheduler.stop_cause if self._dispatcher else None

    def stop(self, reason: str, cause: StopCause = StopCause.INTERRUPTED) -> None:
        """Send nothing more; what is in flight still ends and counts; once closed, do nothing."""
        if not self._lifetime.is_closed:  # a Ctrl-C in the last moment of a run comes later
            self._ready().stop(reason, cause)

    def check_budget(self, budget_usd: float) -> None:
        """Raise ConfigurationError if a run cannot keep a budget, such as without a price."""
        self._planning.check_budget(budget_usd)

    async def run(
        self,
        slices: AsyncIterator[Sequence[Chunk]],
        *,
        topic: str | None,
        chunks_per_request: int,
        journal: Journal | None,
        budget_usd: float | None = None,
        stop_after_s: float | None = None,
        max_failed: int | None = None,
        requests: int = 0,
    ) -> Results:
        """Yield (chunk, verdict) for every chunk that the journal does not hold yet.

        Beyond a cap (see `Analyzer.run`) nothing is sent; `stop_cause` names it.
        """
        if budget_usd is not None:
            self.check_budget(budget_usd)
        dispatcher, failed = self._ready(), 0
        dispatcher.cap(budget_usd=budget_usd, seconds=stop_after_s)
        dispatcher.scheduler.foresee(requests)
        topic, packing = topic or self.topic, fixed(chunks_per_request)
        found = dispatcher.run(slices, topic=topic, packing=packing, journal=journal)
        async with aclosing(found):
            async for result in found:
                failed += (error := result[1].error) is not None and error.kind.is_failure
                if max_failed is not None and failed > max_failed:
                    dispatcher.stop(f"{failed} rows failed", StopCause.FAILURES)
                yield result

    def tally(
        self, *, topic: str | None, chunks_per_request: int, route: str | None = None
    ) -> PackTally:
        """Return a counter for an estimate at learned limits, by default for the first route."""
        self._recall()
        topic = topic or self.topic
        return self._planning.tally(route or self.routes[0], topic, chunks_per_request)

    def plan(self, slices: Iterable[Sequence[Chunk]], *, topic: str | None) -> Plan:
        """Return the packing of a file run: limits are assumed, so it depends on the chunks."""
        topic, route = topic or self.topic, self.routes[0]
        return self._planning.packing(slices, topic=topic, route=route).plan

    # Inside

    def _listed(self, chunks: Iterable[ChunkLike]) -> list[Chunk]:
        """Return what a caller hands in, as chunks with their places if context is wanted."""
        return list(as_chunks(chunks, context=self._context, settings=self._settings))

    def _first_route(self, job_size: int) -> str:
        """Return the route that a job of this size goes over first."""
        return self.routes[0]

    def _pack(self, asked: int | None, chunks: Sequence[Chunk], topic: str | None) -> Packing:
        """Return how a call is packed; the reason is kept for `statistics`."""
        packing = self._choose(asked, chunks, topic)
        self._packing = packing.plan if asked is None else None
        return packing

    def _choose(self, asked: int | None, chunks: Sequence[Chunk], topic: str | None) -> Packing:
        """Return how a call is packed: as asked for, or as planned."""
        check_count("chunks_per_request", asked, most=LARGEST_PACK)
        if asked is not None:
            return fixed(asked)
        every = 1 + len(chunks) // SAMPLED_CHUNKS
        route = self._first_route(len(chunks))
        known = self._dispatcher.limits_of(route) if self._dispatcher is not None else None
        self._recall()
        return self._planning.packing(
            [chunks],
            topic=check_topic(topic) or self.topic,
            route=route,
            known=known or self._planning.learned(route),
            every=every,
        )

    async def _collect(
        self,
        chunks: list[Chunk],
        *,
        topic: str | None,
        packing: Packing,
        order: tuple[int, ...] | None,
    ) -> list[Verdict]:
        """Run chunks and sort their verdicts back into input order."""
        places = {id(chunk): place for place, chunk in enumerate(chunks)}
        verdicts: list[Verdict | None] = [None] * len(chunks)
        self._ready().scheduler.foresee(len(chunks) // packing.plan.chunks_per_request)
        whole = self._run(one_slice(chunks), topic, packing, order, is_whole=True)
        async with aclosing(whole) as found:
            async for chunk, verdict in found:
                verdicts[places.pop(id(chunk))] = verdict
        if places:
            raise LocalProtocolError(f"{len(places)} of {len(chunks)} chunks got no verdict.")
        return [verdict for verdict in verdicts if verdict is not None]

    async def _run(
        self,
        slices: AsyncIterator[Sequence[Chunk]],
        topic: str | None,
        packing: Packing,
        order: tuple[int, ...] | None = None,
        *,
        is_whole: bool = False,
    ) -> Results:
        """Run slices; raise what stopped the service unless something was answered.

        As long as nothing is and requests are in flight, `stopped` verdicts are held back: one of
        those requests may still be answered, and then they are verdicts like all others.
        """
        dispatcher = self._ready()
        topic = check_topic(topic) or self.topic
        held: list[tuple[Chunk, Verdict]] = []
        found = dispatcher.run(slices, topic=topic, packing=packing, order=order, is_whole=is_whole)
        async with aclosing(found):
            async for result in found:
                error = result[1].error
                if dispatcher.labeled or error is None or error.kind is not FailureKind.STOPPED:
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
        self._lifetime.check()
        if self._dispatcher is None:
            self._recall()
            self._dispatcher = self._make_dispatcher()
            self._lifetime.on_close = partial(_end, self._dispatcher, self._account, self._planning)
            for told in self._early:
                self._dispatcher.tell(*told)
        return self._dispatcher

    def _recall(self) -> None:
        """Plan with what earlier runs learned of the account; looked up once."""
        if self._account is not None and not self._is_recalled:
            self._is_recalled = True
            self._planning.routes = self._account.warm(self._planning.routes)

    def _make_dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self._planning.routes,
            transports={route: self._transport(route) for route in self.routes},
            builder=self._builder,
            timeout_s=self._timeout_s,
            on_event=weakly(self._hear),
            rng=self._rng,
            settings=self._settings,
            tape=self._tape,
            # The local service in this process makes its probabilities up.
            has_confidence=self._endpoint.host != EMBEDDED,
            account=self._account,
        )

    def _transport(self, route: str) -> Transport:
        if route not in self._transports:
            self._transports[route] = make_transport(
                route,
                model=self.models[route],
                endpoint=self._endpoint,
                builder=self._builder,
                timeout_s=self._timeout_s,
                on_limits=weakly(self._hear_limits),
                on_sign=weakly(self._hear_sign),
                on_notice=weakly(self._hear_notice),
                rng=self._rng,
                settings=self._settings,
                dialect=self._dialect,
                service_tier=self._service_tier,
                logprobs=self._logprobs,
            )
        return self._transports[route]

    def _tell(self, name: str, message: str, fields: Mapping[str, str | float]) -> None:
        """Make a run event; before there is a dispatcher it is kept."""
        if self._dispatcher is None:
            self._early.append((name, message, fields))
        else:
            self._dispatcher.tell(name, message, fields)

    def _hear_notice(self, message: str) -> None:
        self._ready().tell("notice", message, {})

    def _hear_limits(
        self, route: str, limits: tuple[RateLimit, ...], request_id: str | None
    ) -> None:
        if self._dispatcher is not None:
            self._dispatcher.hear_limits(route, limits, request_id)

    def _hear_sign(self, request_id: str) -> None:
        if self._dispatcher is not None:
            self._dispatcher.hear_sign(request_id)

    def _hear(self, event: Event) -> None:
        logger.info("%s", event.message)
        if event.name in self._repacked:
            self._repacked[event.name].append(event.message)
        if self._on_event is not None:
            self._on_event(event)


async def _end(dispatcher: Dispatcher, account: AccountLimits | None, planning: Planning) -> None:
    """End the work of an analyzer, and keep what it learned of the limits."""
    await dispatcher.close()
    if account is not None:
        await account.save(planning.routes, dispatcher.scheduler.learned())
