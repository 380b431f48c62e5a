"""What the benchmark's figures are: percentiles, cells, cold starts and ratios, from measured jobs.

Pure. `report` calls it with what `latency` measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from analysis.records import Labeled, Verdict

BASE = "rest"
"""The analyzer that stands above the line in every ratio."""

OTHERS = ("realtime", "hybrid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call of one analyzer, as it was measured.

    Attributes:
        analyzer: `rest`, `realtime` or `hybrid`.
        size: Chunks handed in.
        round: Number of the round, from 0.
        total_s: From the call to its return.
        cpu_s: Processor time of the client's process in that time.
        verdicts: In input order; empty if the call raised.
        error: What the call raised, or empty.
    """

    analyzer: str
    size: int
    round: int
    total_s: float
    cpu_s: float
    verdicts: tuple[Verdict, ...]
    error: str = ""

    @property
    def labelled(self) -> tuple[Labeled, ...]:
        """The verdicts that have a label."""
        return tuple(one for one in self.verdicts if isinstance(one, Labeled))

    @property
    def requests(self) -> int:
        """Requests that answered: every chunk is one of the `pack` chunks of its request."""
        return round(sum(1 / one.pack for one in self.labelled))


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Nearest-rank percentiles: each is a measured value. In milliseconds."""

    p50: float
    p95: float
    p99: float
    samples: int

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Percentiles | None:
        """Return the percentiles of durations, or None if there are none."""
        ordered = sorted(seconds)
        if not ordered:
            return None
        p50, p95, p99 = (
            round(1_000 * ordered[math.ceil(share * len(ordered) / 100) - 1], 3)
            for share in (50, 95, 99)
        )
        return cls(p50=p50, p95=p95, p99=p99, samples=len(ordered))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median, smallest and largest of one figure over the rounds."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float], digits: int = 4) -> Spread:
        """Return the spread of at least one value."""
        low, middle, high = (
            round(one, digits) for one in (min(values), median(values), max(values))
        )
        return cls(median=middle, min=low, max=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One analyzer at one job size, over all rounds.

    Attributes:
        routes: Route -> chunks that it labelled.
        models: Models as the service reported them.
        chunks_per_request: Largest number of chunks that shared a request.
        requests: Requests of one job (median).
        in_flight: Requests that the route takes at once.
        waves: `requests / in_flight`, rounded up: so many service times follow each other.
        asked: Chunks handed in over all rounds.
        labelled: Chunks that came back with a label.
        success: `labelled / asked`.
        latency_ms: Per chunk: send to last event of its request.
        total_s: Per job: call to return.
        chunks_per_s: Size by median total.
        overhead_ms: Per chunk, in a second series whose service answers at once; None if live.
        overhead_total_s: Per job, in that series.
        cpu_ms_per_chunk: Processor time of the client per chunk (median over rounds).
        unequal_to_digest: Chunks whose id or label is not the one of their text; None if live.
        errors: Kind of failure, or error of a whole job -> chunks.
    """

    analyzer: str
    size: int
    rounds: int
    routes: Mapping[str, int]
    models: tuple[str, ...]
    chunks_per_request: int
    requests: int
    in_flight: int | None
    waves: int | None
    asked: int
    labelled: int
    success: float
    latency_ms: Percentiles | None
    total_s: Spread
    chunks_per_s: float
    overhead_ms: Percentiles | None
    overhead_total_s: Spread | None
    cpu_ms_per_chunk: float
    unequal_to_digest: int | None
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """A new analyzer up to its first verdict: construct, connect, one chunk.

    Attributes:
        total_s: At the scripted latency.
        overhead_s: With a service that answers at once; None if live.
    """

    analyzer: str
    total_s: Spread
    overhead_s: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times the total time of `rest` is that of another analyzer at the same size.

    Attributes:
        of_medians: Median total of rest by median total of the other; above 1 rest is slower.
        per_round: The same within each round.
    """

    size: int
    name: str
    of_medians: float
    per_round: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWork:
    """What a service of a series cost, to see that the clients were measured and not the service.

    Attributes:
        series: `scripted`, or `bare` for the series at latency 0.
        analyzers: Those that used it.
        paid_requests: Those of jobs that do not count included.
        cpu_ms_per_request: Processor time of its process.
        core_share: Its processor time by the total time of all counted jobs. Jobs that do not
            count are in the former only, so the share is rather too high.
    """

    series: str
    analyzers: tuple[str, ...]
    paid_requests: int
    cpu_s: float
    cpu_ms_per_request: float
    core_share: float


def service_work(
    series: str, jobs: Iterable[Job], *, paid_requests: int, cpu_s: float
) -> ServiceWork:
    """Return the work of a service.

    Args:
        series: Name of the series.
        jobs: All jobs and cold starts at this service.
        paid_requests: As the service counted them, at least 1.
        cpu_s: Processor time of its process.
    """
    found = list(jobs)
    return ServiceWork(
        series=series,
        analyzers=tuple(sorted({job.analyzer for job in found})),
        paid_requests=paid_requests,
        cpu_s=cpu_s,
        cpu_ms_per_request=round(1_000 * cpu_s / paid_requests, 3),
        core_share=round(cpu_s / sum(job.total_s for job in found), 3),
    )


Expected = Sequence[tuple[str, str]]
"""Id and label of every chunk of the largest job, in input order."""


def cells(
    jobs: Sequence[Job],
    bare: Sequence[Job],
    *,
    expected: Expected | None,
    in_flight: Mapping[str, int],
) -> tuple[Cell, ...]:
    """Return a cell per analyzer and size, by size, then in the order of the analyzers.

    Args:
        jobs: The measured jobs.
        bare: The same jobs at latency 0; empty if there was no such series.
        expected: What the digests say, or None if the service gives no digest labels.
        in_flight: Route -> requests at once.
    """
    keys = sorted({(job.size, job.analyzer) for job in jobs}, key=_cell_order)
    return tuple(
        _cell(
            [job for job in jobs if (job.size, job.analyzer) == key],
            [job for job in bare if (job.size, job.analyzer) == key],
            expected,
            in_flight,
        )
        for key in keys
    )


def _cell_order(key: tuple[int, str]) -> tuple[int, int]:
    size, analyzer = key
    return size, (BASE, *OTHERS).index(analyzer)


def _cell(
    jobs: Sequence[Job],
    bare: Sequence[Job],
    expected: Expected | None,
    in_flight: Mapping[str, int],
) -> Cell:
    size, asked = jobs[0].size, sum(job.size for job in jobs)
    labelled = [one for job in jobs for one in job.labelled]
    routes = Counter(one.route for one in labelled)
    limit = min((in_flight[route] for route in routes), default=None)
    requests = round(median(job.requests for job in jobs))
    total = Spread.of([job.total_s for job in jobs])
    return Cell(
        analyzer=jobs[0].analyzer,
        size=size,
        rounds=len(jobs),
        routes=dict(routes),
        models=tuple(sorted({one.model for one in labelled})),
        chunks_per_request=max((one.pack for one in labelled), default=0),
        requests=requests,
        in_flight=limit,
        waves=None if limit is None else math.ceil(requests / limit),
        asked=asked,
        labelled=len(labelled),
        success=len(labelled) / asked,
        latency_ms=Percentiles.of(one.latency_s for one in labelled),
        total_s=total,
        chunks_per_s=round(size / median(job.total_s for job in jobs), 2),
        overhead_ms=Percentiles.of(one.latency_s for job in bare for one in job.labelled),
        overhead_total_s=Spread.of([job.total_s for job in bare]) if bare else None,
        cpu_ms_per_chunk=round(1_000 * median(job.cpu_s for job in jobs) / size, 3),
        unequal_to_digest=None if expected is None else sum(unequal(job, expected) for job in jobs),
        errors=dict(_errors(jobs)),
    )


def unequal(job: Job, expected: Expected) -> int:
    """Return how many labelled chunks of a job have another id or label than their text says."""
    return sum(
        (verdict.chunk_id, verdict.semantic_function) != pair
        for verdict, pair in zip(job.verdicts, expected, strict=False)
        if isinstance(verdict, Labeled)
    )


def _errors(jobs: Iterable[Job]) -> Counter[str]:
    found: Counter[str] = Counter()
    for job in jobs:
        if job.error:
            found[job.error] += job.size
        found.update(str(one.error.kind) for one in job.verdicts if not isinstance(one, Labeled))
    return found


def unequal_between(jobs: Iterable[Job]) -> int:
    """Return how many chunks got different labels from the analyzers, within a round and size."""
    seen: dict[tuple[int, int, int], set[str]] = {}
    for job in jobs:
        for place, verdict in enumerate(job.verdicts):
            if isinstance(verdict, Labeled):
                seen.setdefault((job.round, job.size, place), set()).add(verdict.semantic_function)
    return sum(len(labels) > 1 for labels in seen.values())


def cold_starts(jobs: Sequence[Job], bare: Sequence[Job]) -> tuple[ColdStart, ...]:
    """Return the cold figures per analyzer."""
    return tuple(
        ColdStart(
            analyzer=name,
            total_s=Spread.of([job.total_s for job in jobs if job.analyzer == name]),
            overhead_s=Spread.of([job.total_s for job in bare if job.analyzer == name])
            if bare
            else None,
        )
        for name in (BASE, *OTHERS)
    )


def ratios(jobs: Sequence[Job]) -> tuple[Ratio, ...]:
    """Return total of rest by total of each other analyzer, per size."""
    totals = {(job.size, job.analyzer, job.round): job.total_s for job in jobs}
    rounds = sorted({job.round for job in jobs})

    def of(size: int, name: str) -> list[float]:
        return [totals[size, name, number] for number in rounds]

    return tuple(
        Ratio(
            size=size,
            name=f"{BASE}/{other}",
            of_medians=round(median(of(size, BASE)) / median(of(size, other)), 3),
            per_round=Spread.of(
                [one / two for one, two in zip(of(size, BASE), of(size, other), strict=True)], 3
            ),
        )
        for size in sorted({job.size for job in jobs})
        for other in OTHERS
    )
