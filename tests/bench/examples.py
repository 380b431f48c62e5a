"""Jobs, services and results for the tests of the benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from analysis.bench.figures import Job
from analysis.bench.service import RunningService
from analysis.labels.label_set import LabelSet
from analysis.records import ErrorDetail, Failed, FailureKind, Labeled, Usage, Verdict
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Answerer, Service, digest_answerer

KEYS = LabelSet.load("ten_functions").keys


def labeled(place: int, label: str = "noise", *, ms: float = 100, pack: int = 1) -> Labeled:
    """Return a verdict on chunk `c<place>` over rest."""
    return Labeled(
        chunk_id=f"c{place}",
        labels=(label,),
        route="rest",
        model="digest-labels",
        attempts=1,
        pack=pack,
        latency_s=ms / 1_000,
        usage=Usage(),
    )


def failed(place: int) -> Failed:
    """Return a verdict without label on chunk `c<place>`."""
    error = ErrorDetail(kind=FailureKind.TIMEOUT, message="No answer.")
    return Failed(chunk_id=f"c{place}", error=error)


def job(analyzer: str, verdicts: Sequence[Verdict], *, number: int = 0, total_s: float = 1) -> Job:
    """Return a job of as many chunks as there are verdicts."""
    return Job(
        analyzer=analyzer,
        size=len(verdicts),
        round=number,
        total_s=total_s,
        cpu_s=0.01,
        verdicts=tuple(verdicts),
    )


@contextmanager
def digest_service(latency_ms: float, seed: int) -> Iterator[RunningService]:
    """Run a simulated service with digest labels in a thread."""
    service = Service(digest_answerer(KEYS), latency_ms=latency_ms, seed=seed)
    with start_in_thread(service) as base_url:
        yield RunningService(base_url=base_url)


@contextmanager
def wrong_service(latency_ms: float, seed: int) -> Iterator[RunningService]:
    """Run a service that gives every text the label after that of its digest."""
    right = digest_answerer(KEYS)

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str]]:
        found = (keys[0] for keys in right.label(texts, topic))
        return [(KEYS[(KEYS.index(key) + 1) % len(KEYS)],) for key in found]

    service = Service(Answerer(name="digest-labels", label=label), latency_ms=latency_ms, seed=seed)
    with start_in_thread(service) as base_url:
        yield RunningService(base_url=base_url)


@contextmanager
def broken_service(latency_ms: float, seed: int) -> Iterator[RunningService]:
    """Run a service that refuses every key but its own."""
    service = Service(digest_answerer(KEYS), api_key="another", latency_ms=latency_ms, seed=seed)
    with start_in_thread(service) as base_url:
        yield RunningService(base_url=base_url)
