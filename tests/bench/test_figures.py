"""Percentiles, cells, ratios and the digest check, on jobs made by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.bench.figures import (
    Percentiles,
    ServiceWork,
    Spread,
    cells,
    cold_starts,
    ratios,
    service_work,
    unequal,
    unequal_between,
)
from tests.bench.examples import failed, job, labeled

IN_FLIGHT = {"rest": 2, "realtime": 1}


def test_percentiles_are_measured_values() -> None:
    """Nearest rank: the value below which, or at which, the share of all lies."""
    assert Percentiles(p50=50, p95=95, p99=99, samples=100) == Percentiles.of(
        place / 1_000 for place in range(100, 0, -1)
    )
    assert Percentiles(p50=2, p95=3, p99=3, samples=3) == Percentiles.of([0.003, 0.001, 0.002])
    assert Percentiles.of([]) is None


@given(st.lists(st.integers(min_value=1, max_value=10_000), min_size=1, max_size=60))
def test_percentiles_agree_with_counting(values: list[int]) -> None:
    """Each percentile is the smallest value that enough values do not exceed."""
    found = Percentiles.of(value / 1_000 for value in values)
    assert found is not None
    for share, figure in ((50, found.p50), (95, found.p95), (99, found.p99)):
        needed = math.ceil(share * len(values) / 100)
        slow = min(one for one in values if sum(other <= one for other in values) >= needed)
        assert slow == pytest.approx(figure)


def test_spread_is_median_smallest_and_largest() -> None:
    """The median of an even number is the middle of two."""
    assert Spread(median=2.5, min=1, max=9) == Spread.of([9, 2, 3, 1])


def test_the_work_of_a_service_is_stated_per_request_and_as_a_share() -> None:
    """0.3 s for 100 requests, while its clients worked for one second."""
    jobs = [job("rest", [labeled(0)], total_s=0.4), job("hybrid", [labeled(0)], total_s=0.6)]
    expected = ServiceWork(
        series="bare",
        analyzers=("hybrid", "rest"),
        paid_requests=100,
        cpu_s=0.3,
        cpu_ms_per_request=3.0,
        core_share=0.3,
    )
    assert expected == service_work("bare", jobs, paid_requests=100, cpu_s=0.3)


def test_a_cell_holds_all_rounds() -> None:
    """Counts, latencies and totals are taken over the rounds of one analyzer and size."""
    jobs = [
        job("rest", [labeled(place, ms=100 + place, pack=5) for place in range(5)], total_s=0.4),
        job("rest", [labeled(place, ms=200, pack=1) for place in range(4)] + [failed(4)], number=1),
    ]
    bare = [job("rest", [labeled(0, ms=3)] * 5, total_s=0.01)]
    (cell,) = cells(jobs, bare, expected=None, in_flight=IN_FLIGHT)
    assert (5, 2, 10, 9, 0.9) == (cell.size, cell.rounds, cell.asked, cell.labelled, cell.success)
    assert {"rest": 9} == cell.routes
    assert {"timeout": 1} == cell.errors
    assert (5, 2, 2, 1) == (cell.chunks_per_request, cell.requests, cell.in_flight, cell.waves)
    assert Percentiles(p50=104, p95=200, p99=200, samples=9) == cell.latency_ms
    assert Spread(median=0.7, min=0.4, max=1) == cell.total_s
    assert round(5 / 0.7, 2) == cell.chunks_per_s
    assert Percentiles(p50=3, p95=3, p99=3, samples=5) == cell.overhead_ms
    assert (2.0, None) == (cell.cpu_ms_per_chunk, cell.unequal_to_digest)


def test_a_job_that_raised_counts_all_its_chunks_as_failed() -> None:
    """The cell has no latency, no label, and the error with the number of chunks."""
    one = job("rest", [labeled(0), labeled(1)])
    lost = type(one)(
        analyzer="rest", size=2, round=0, total_s=1, cpu_s=0, verdicts=(), error="refused"
    )
    (cell,) = cells([lost], [], expected=None, in_flight=IN_FLIGHT)
    assert (2, 0, {"refused": 2}) == (cell.asked, cell.labelled, cell.errors)
    assert cell.latency_ms is None
    assert cell.waves is None


def test_cells_stand_by_size_and_analyzer() -> None:
    """10 comes after 2, and rest before realtime before hybrid."""
    kinds = ("hybrid", "realtime", "rest")
    jobs = [job(kind, [labeled(0)] * size) for size in (10, 2) for kind in kinds]
    found = [
        (cell.size, cell.analyzer) for cell in cells(jobs, [], expected=None, in_flight=IN_FLIGHT)
    ]
    order = ("rest", "realtime", "hybrid")
    assert [(size, kind) for size in (2, 10) for kind in order] == found


def test_a_swap_and_a_foreign_id_are_unequal() -> None:
    """Both chunks of a swap count, and so does a label under another chunk's id."""
    expected = [("c0", "noise"), ("c1", "example"), ("c2", "noise")]
    right = job("rest", [labeled(0), labeled(1, "example"), labeled(2)])
    swapped = job("rest", [labeled(0, "example"), labeled(1), labeled(2)])
    foreign = job("rest", [labeled(0), labeled(1, "example"), labeled(3)])
    assert [0, 2, 1] == [unequal(one, expected) for one in (right, swapped, foreign)]


def test_labels_that_differ_between_analyzers_are_counted() -> None:
    """Only labels of the same round, size and place are compared; a failure is no label."""
    jobs = [
        job("rest", [labeled(0), labeled(1)]),
        job("realtime", [labeled(0), labeled(1, "example")]),
        job("hybrid", [labeled(0), failed(1)]),
        job("rest", [labeled(0, "example"), labeled(1)], number=1),
    ]
    assert 1 == unequal_between(jobs)


def test_ratios_are_taken_of_medians_and_in_each_round() -> None:
    """Above 1 rest is slower; rounds are paired."""
    totals = {"rest": (2.0, 4.0, 6.0), "realtime": (1.0, 8.0, 2.0), "hybrid": (2.0, 4.0, 6.0)}
    jobs = [
        job(kind, [labeled(0)], number=number, total_s=total_s)
        for kind, values in totals.items()
        for number, total_s in enumerate(values)
    ]
    realtime, hybrid = ratios(jobs)
    assert (1, "rest/realtime", 2.0) == (realtime.size, realtime.name, realtime.of_medians)
    assert Spread(median=2, min=0.5, max=3) == realtime.per_round
    assert ("rest/hybrid", 1.0) == (hybrid.name, hybrid.of_medians)


def test_cold_starts_stand_per_analyzer() -> None:
    """Without a second series there is no overhead."""
    kinds = ("rest", "realtime", "hybrid")
    jobs = [job(kind, [labeled(0)], total_s=place) for place, kind in enumerate(kinds, start=1)]
    found = cold_starts(jobs, [])
    expected = [("rest", 1, None), ("realtime", 2, None), ("hybrid", 3, None)]
    assert expected == [(one.analyzer, one.total_s.median, one.overhead_s) for one in found]
