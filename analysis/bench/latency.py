"""Measure REST, Realtime and hybrid side by side on jobs of several sizes.

io. The command `bench` calls `run`.

One series: three analyzers stay open; in each round, in a seeded order, every analyzer makes one
cold start and one job of every size. At latency N each analyzer has a simulated service of its own
with the same seed. A service draws its latencies in the order in which requests arrive, and all
analyzers do the same jobs in the same order of sizes, so the n-th request of each meets the same
latency: the routes differ in nothing but the way. A second series, against a service that answers
at once, shows what client and loopback add.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from importlib import resources
from random import Random
from typing import TypeAlias, TypeVar

from analysis.analyzer import Estimate
from analysis.bench.figures import BASE, OTHERS, Expected, Job, ServiceWork, service_work
from analysis.bench.service import RunningService, simulated_service
from analysis.endpoint import Endpoint
from analysis.errors import AnalysisError, ConfigurationError
from analysis.labelling import RoutedAnalyzer
from analysis.labels.label_set import LabelSet
from analysis.records import Chunk, Verdict
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.semantic_function_hybrid import DEFAULT_ROUTES, HybridSemanticAnalyzer
from analysis.semantic_function_realtime import SemanticRealtimeAnalyzer
from analysis.settings import DEFAULT_LABEL_SET, DEFAULT_MODELS, LARGEST_PACK, SETTINGS
from analysis.simulator.profile import DEFAULT_SEED
from analysis.simulator.service import digest_answerer

SAMPLE = "long_english.csv"
DEFAULT_SIZES = (1, 10, 30, 300)
DEFAULT_ROUNDS = 5

ALONE = replace(SETTINGS, share_limits=False, learned_limits_days=0.0)
"""Each analyzer is measured as if it were the only one, and the first time."""

DEFAULT_LATENCY_MS = 518.0
"""From `response.create` to `response.done` in a capture of the Realtime API, with a round trip of
320 ms. Source: protocol notes, section 3.2."""

KINDS: Mapping[str, type[SemanticRestAnalyzer | SemanticRealtimeAnalyzer | HybridSemanticAnalyzer]]
KINDS = {
    "rest": SemanticRestAnalyzer,
    "realtime": SemanticRealtimeAnalyzer,
    "hybrid": HybridSemanticAnalyzer,
}

Serve: TypeAlias = Callable[[float, int], AbstractContextManager[RunningService]]
"""Starts a service of a latency (ms) and a seed; gives its base URL."""

Tell: TypeAlias = Callable[[str], None]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is measured.

    Attributes:
        sizes: Chunks per job.
        rounds: How often every cell is measured.
        latency_ms: Median of the scripted latency.
        seed: Of the scripted latencies and of the order of jobs.
        chunks_per_request: Fixes the packing; by default each analyzer chooses by job size.
        max_concurrent: Requests at once, for all; by default each route's own.
        is_live: Measure the endpoint of the environment and start no service.
    """

    sizes: tuple[int, ...] = DEFAULT_SIZES
    rounds: int = DEFAULT_ROUNDS
    latency_ms: float = DEFAULT_LATENCY_MS
    seed: int = DEFAULT_SEED
    chunks_per_request: int | None = None
    max_concurrent: int | None = None
    is_live: bool = False

    def __post_init__(self) -> None:
        most = len(sample_chunks())
        if not self.sizes or len(set(self.sizes)) != len(self.sizes):
            raise ConfigurationError("Name at least one size, each once.")
        for size in self.sizes:
            if not 1 <= size <= most:
                raise ConfigurationError(
                    f"Size {size} cannot be measured; the sample {SAMPLE} has {most} chunks."
                )
        if self.rounds < 1 or self.latency_ms < 0:
            raise ConfigurationError(
                f"{self.rounds} rounds at {self.latency_ms:g} ms cannot be measured; rounds must "
                "be at least 1, the latency at least 0."
            )
        packed = self.chunks_per_request
        if packed is not None and not 1 <= packed <= LARGEST_PACK:
            raise ConfigurationError(
                f"chunks_per_request is {packed}; allowed: 1 to {LARGEST_PACK} chunks."
            )
        if self.max_concurrent is not None and self.max_concurrent < 1:
            raise ConfigurationError(
                f"max_concurrent is {self.max_concurrent}; it must be at least 1."
            )

    @property
    def warm_up(self) -> tuple[int, ...]:
        """Sizes of the jobs that are not counted: one chunk, and where a counted job is large one
        large job, since the hybrid analyzer has another route for those."""
        small = SETTINGS.small_job
        return (1, small + 1) if max(self.sizes) > small else (1,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """All jobs and cold starts at one latency."""

    jobs: tuple[Job, ...] = ()
    cold: tuple[Job, ...] = ()

    def of(self, analyzer: str) -> list[Job]:
        """Return all jobs and cold starts of one analyzer."""
        return [job for job in (*self.jobs, *self.cold) if job.analyzer == analyzer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What `run` measured.

    Attributes:
        scripted: At the scripted latency, or at a real endpoint.
        bare: At latency 0; empty if live.
        host: Host of the endpoint if live, else None.
        expected: Id and label per chunk as the digests say, or None if live.
        models: Route -> model asked for.
        services: What the services cost that told it; empty if live.
    """

    options: Options
    scripted: Series
    bare: Series
    host: str | None
    expected: Expected | None
    models: Mapping[str, str]
    services: tuple[ServiceWork, ...] = ()


def run(
    options: Options,
    *,
    serve: Serve = simulated_service,
    tell: Tell = lambda line: None,
    agree: Callable[[Estimate], None] = lambda estimate: None,
) -> Measured:
    """Measure and return everything.

    Args:
        options: What is measured.
        serve: Starts a simulated service.
        tell: Told how far it is, line by line.
        agree: Told what a live run is estimated to take; raises ConfigurationError to refuse.

    Raises:
        ConfigurationError: If something must be put right first; nothing was measured.
        AnalysisError: If the service refused the jobs that are not counted.
    """
    models = {route: DEFAULT_MODELS[route] for route in DEFAULT_ROUTES}
    if options.is_live:
        endpoint = _live_endpoint()
        agree(estimate(options, endpoint))
        found = asyncio.run(measure(options, dict.fromkeys(KINDS, endpoint), "live", tell))
        return Measured(
            options=options,
            scripted=found,
            bare=Series(),
            host=endpoint.host,
            expected=None,
            models=models,
        )
    with ExitStack() as held:
        running = {
            name: held.enter_context(serve(options.latency_ms, options.seed)) for name in KINDS
        }
        services = {name: _local(one.base_url) for name, one in running.items()}
        name = f"{options.latency_ms:g} ms"
        scripted = asyncio.run(measure(options, services, name, tell))
    works = [_work("scripted", running[name], scripted.of(name)) for name in KINDS]
    if not options.latency_ms:
        bare = scripted
    else:
        with serve(0.0, options.seed) as shared:
            same = dict.fromkeys(KINDS, _local(shared.base_url))
            bare = asyncio.run(measure(options, same, "0 ms", tell))
        works.append(_work("bare", shared, [*bare.jobs, *bare.cold]))
    return Measured(
        options=options,
        scripted=scripted,
        bare=bare,
        host=None,
        expected=digest_labels(sample_chunks()),
        models=models,
        services=tuple(work for work in works if work is not None),
    )


def _work(series: str, service: RunningService, jobs: Sequence[Job]) -> ServiceWork | None:
    """Return what an ended service cost, or None if it did not tell."""
    if not service.paid_requests or service.cpu_s is None:
        return None
    return service_work(series, jobs, paid_requests=service.paid_requests, cpu_s=service.cpu_s)


def _local(base_url: str) -> Endpoint:
    return Endpoint.find(api_key="simulated", base_url=base_url)


def _live_endpoint() -> Endpoint:
    if not (os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")):
        raise ConfigurationError(
            "--live needs a key: set OPENAI_API_KEY, and OPENAI_BASE_URL for another endpoint than "
            "OpenAI's; or leave out --live to measure the simulated service."
        )
    return Endpoint.find()


async def measure(
    options: Options, endpoints: Mapping[str, Endpoint], name: str, tell: Tell
) -> Series:
    """Measure every cell in every round against these endpoints, the jobs one after another.

    Raises:
        AnalysisError: If a job that is not counted is refused.
    """
    rng, chunks = Random(options.seed), sample_chunks()
    jobs: list[Job] = []
    cold: list[Job] = []
    async with AsyncExitStack() as held:
        analyzers = {
            kind: await held.enter_async_context(_make(kind, endpoints[kind], options))
            for kind in KINDS
        }
        for kind, analyzer in analyzers.items():
            await _warm(kind, analyzer, chunks, options)
        for number in range(options.rounds):
            tell(f"Series {name}, round {number + 1} of {options.rounds}")
            for kind in _shuffled(KINDS, rng):
                cold.append(await _measure_cold(kind, endpoints[kind], chunks, options, number))
            for size in _shuffled(options.sizes, rng):
                for kind in _shuffled(KINDS, rng):
                    job = await _measure_job(analyzers[kind], kind, chunks[:size], options, number)
                    jobs.append(job)
    return Series(jobs=tuple(jobs), cold=tuple(cold))


def _make(kind: str, endpoint: Endpoint, options: Options) -> RoutedAnalyzer:
    return KINDS[kind](
        endpoint=endpoint,
        max_concurrent=options.max_concurrent,
        seed=options.seed,
        settings=ALONE,
    )


def _shuffled(values: Sequence[_T] | Mapping[_T, object], rng: Random) -> list[_T]:
    return rng.sample(list(values), len(values))


async def _warm(
    kind: str, analyzer: RoutedAnalyzer, chunks: Sequence[Chunk], options: Options
) -> None:
    for size in options.warm_up:
        verdicts = await analyzer.analyze_batch(
            chunks[:size], chunks_per_request=options.chunks_per_request
        )
        if not any(one.semantic_function for one in verdicts):
            error = verdicts[0].error
            raise AnalysisError(
                f"The {kind} analyzer got no label before the first round"
                + (f": {error.message}" if error else ".")
            )


async def _measure_job(
    analyzer: RoutedAnalyzer, kind: str, chunks: Sequence[Chunk], options: Options, number: int
) -> Job:
    """Run one job; what it raises is part of what was measured."""
    verdicts: Sequence[Verdict] = ()
    problem = ""
    cpu, started = time.process_time(), time.perf_counter()
    try:
        verdicts = await analyzer.analyze_batch(
            chunks, chunks_per_request=options.chunks_per_request
        )
    except AnalysisError as error:
        problem = str(error)
    return Job(
        analyzer=kind,
        size=len(chunks),
        round=number,
        total_s=time.perf_counter() - started,
        cpu_s=time.process_time() - cpu,
        verdicts=tuple(verdicts),
        error=problem,
    )


async def _measure_cold(
    kind: str, endpoint: Endpoint, chunks: Sequence[Chunk], options: Options, number: int
) -> Job:
    """Make a new analyzer and label one chunk; all modules are loaded already."""
    started = time.perf_counter()
    async with _make(kind, endpoint, options) as analyzer:
        before = time.perf_counter() - started
        job = await _measure_job(analyzer, kind, chunks[:1], options, number)
    return replace(job, total_s=before + job.total_s)


def sample_chunks() -> tuple[Chunk, ...]:
    """Return the chunks of the sample, without documents, so that packs are full."""
    text = resources.files("analysis.samples").joinpath(SAMPLE).read_bytes().decode()
    return tuple(
        Chunk(id=row["id"], text=row["text"], topic=row["topic"])
        for row in csv.DictReader(io.StringIO(text, newline=""))
    )


def digest_labels(chunks: Sequence[Chunk]) -> Expected:
    """Return id and digest label of each chunk."""
    label = digest_answerer(LabelSet.load(DEFAULT_LABEL_SET).keys).label
    found = label([chunk.text for chunk in chunks], None)
    return [(chunk.id, keys[0]) for chunk, keys in zip(chunks, found, strict=True)]


def estimate(options: Options, endpoint: Endpoint) -> Estimate:
    """Return what a live run will take: all counted and uncounted jobs of all analyzers.

    The hybrid analyzer is counted at the price of its first route, `realtime`, which is the upper
    bound of its cost.
    """
    chunks = sample_chunks()
    sizes = [*options.warm_up, *(1, *options.sizes) * options.rounds]
    parts: list[Estimate] = []
    for kind in (BASE, *OTHERS):
        analyzer = _make(kind, endpoint, options)
        by_size = {
            size: analyzer.estimate(chunks[:size], chunks_per_request=options.chunks_per_request)
            for size in set(sizes)
        }
        parts += [by_size[size] for size in sizes]
    costs = [part.cost_usd for part in parts if part.cost_usd is not None]
    return Estimate(
        chunks=sum(part.chunks for part in parts),
        unsendable=sum(part.unsendable for part in parts),
        requests=sum(part.requests for part in parts),
        input_tokens=sum(part.input_tokens for part in parts),
        output_tokens=sum(part.output_tokens for part in parts),
        cost_usd=sum(costs) if len(costs) == len(parts) else None,
        duration_s=sum(part.duration_s for part in parts),
        price_date=parts[0].price_date,
    )
