"""The measuring loop against services in threads; no time is asserted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from analysis.bench.latency import (
    KINDS,
    Options,
    digest_labels,
    estimate,
    run,
    sample_chunks,
)
from analysis.bench.service import RunningService
from analysis.endpoint import Endpoint
from analysis.errors import AnalysisError, ConfigurationError
from tests.bench.examples import broken_service, digest_service

TINY = Options(sizes=(1, 3), rounds=2, latency_ms=0)


def test_every_analyzer_does_every_job_in_every_round() -> None:
    """Three analyzers, two sizes and two rounds give twelve jobs and six cold starts."""
    measured = run(TINY, serve=digest_service)
    kinds = ("rest", "realtime", "hybrid")
    cells = {(kind, size, number) for kind in kinds for size in (1, 3) for number in (0, 1)}
    found = [(job.analyzer, job.size, job.round) for job in measured.scripted.jobs]
    assert cells == set(found)
    assert 12 == len(found)
    cold = Counter((job.analyzer, job.size) for job in measured.scripted.cold)
    assert dict.fromkeys(((kind, 1) for kind in kinds), 2) == cold


def test_labels_are_those_of_the_digests() -> None:
    """Ids and labels stand in input order, over the routes that the analyzers name."""
    measured = run(TINY, serve=digest_service)
    assert measured.expected is not None
    for job in measured.scripted.jobs:
        pairs = [(one.chunk_id, one.semantic_function) for one in job.verdicts]
        assert list(measured.expected[: job.size]) == pairs
        route = "rest" if job.analyzer == "rest" else "realtime"
        assert {route} == {one.route for one in job.verdicts}


def test_rounds_are_interleaved_in_an_order_that_the_seed_decides() -> None:
    """Same seed, same order; the three analyzers of a size follow each other."""
    jobs = [run(TINY, serve=digest_service).scripted.jobs for _ in range(2)]
    first, second = ([(one.round, one.size, one.analyzer) for one in found] for found in jobs)
    assert first == second
    groups = [first[place : place + 3] for place in range(0, len(first), 3)]
    assert [1] * 4 == [len({entry[:2] for entry in group}) for group in groups]


def test_the_scripted_series_has_a_service_per_analyzer_with_one_seed() -> None:
    """Three equal services at the latency asked for, then one at 0 for the overhead."""
    started: list[tuple[float, int]] = []

    @contextmanager
    def serve(latency_ms: float, seed: int) -> Iterator[RunningService]:
        started.append((latency_ms, seed))
        paid = 10 * len(started)
        with digest_service(latency_ms, seed) as service:
            yield service
            service.paid_requests, service.cpu_s = paid, 0.5

    lines: list[str] = []
    options = Options(sizes=(1,), rounds=1, latency_ms=1, seed=5)
    measured = run(options, serve=serve, tell=lines.append)
    assert [(1, 5), (1, 5), (1, 5), (0, 5)] == started
    assert ["Series 1 ms, round 1 of 1", "Series 0 ms, round 1 of 1"] == lines
    assert 3 == len(measured.scripted.jobs) == len(measured.bare.jobs)
    assert [
        ("scripted", ("rest",), 10),
        ("scripted", ("realtime",), 20),
        ("scripted", ("hybrid",), 30),
        ("bare", ("hybrid", "realtime", "rest"), 40),
    ] == [(work.series, work.analyzers, work.paid_requests) for work in measured.services]


def test_options_fix_packing_and_requests_at_once() -> None:
    """With three chunks per request, a job of three is one request everywhere."""
    options = Options(sizes=(3,), rounds=1, latency_ms=0, chunks_per_request=3, max_concurrent=1)
    jobs = run(options, serve=digest_service).scripted.jobs
    assert [3] * 9 == [one.pack for job in jobs for one in job.verdicts]


def test_a_service_that_refuses_ends_the_run() -> None:
    """What is refused before the first round is no measurement."""
    with pytest.raises(AnalysisError, match="key"):
        run(TINY, serve=broken_service)


def test_large_jobs_are_warmed_up_over_their_own_route() -> None:
    """One chunk always; a job above the size of small ones where one is measured."""
    assert (1,) == Options(sizes=(1, 50)).warm_up
    assert (1, 51) == Options(sizes=(1, 51)).warm_up


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"sizes": ()}, "at least one size"),
        ({"sizes": (1, 1)}, "each once"),
        ({"sizes": (331,)}, "330 chunks"),
        ({"sizes": (0,)}, "Size 0"),
        ({"rounds": 0}, "0 rounds"),
        ({"latency_ms": -1}, "-1 ms"),
        ({"chunks_per_request": 21}, "1 to 20"),
        ({"max_concurrent": 0}, "at least 1"),
    ],
)
def test_options_that_cannot_be_measured_are_refused(given: dict[str, int], part: str) -> None:
    """The message names the value or what is allowed."""
    with pytest.raises(ConfigurationError, match=part):
        Options(**given)  # type: ignore[arg-type]


def test_digest_labels_belong_to_the_texts() -> None:
    """The same text has the same label wherever it stands."""
    chunks = sample_chunks()
    assert list(reversed(digest_labels(chunks))) == list(digest_labels(chunks[::-1]))


def test_the_estimate_counts_all_jobs_of_all_analyzers() -> None:
    """Warm-up, cold starts and sizes times rounds, for three analyzers."""
    endpoint = Endpoint.find(api_key="any", base_url="http://127.0.0.1/v1")
    figures = estimate(Options(sizes=(1, 60), rounds=2), endpoint)
    per_analyzer = (1 + 51) + 2 * (1 + 1 + 60)
    packed = {"rest": (26, 30), "realtime": (8, 8), "hybrid": (26, 30)}
    requests = sum((1 + few) + 2 * (1 + 1 + more) for few, more in packed.values())
    assert (3 * per_analyzer, requests) == (figures.chunks, figures.requests)
    assert figures.cost_usd is not None
    assert ("rest", "realtime", "hybrid") == tuple(KINDS)
