"""How fast a run is now, and when its cost is worth a word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.commands.progress import Headway, RecentRate, cost_warning, projected_usd
from analysis.hooks import Meter
from analysis.records import ErrorDetail, Failed, FailureKind
from tests.commands.examples import LABELED, PLAN


def test_rate_is_unknown_in_the_first_second() -> None:
    """One answer after 10 ms is no rate."""
    rate = RecentRate(100.0)
    assert [None, 5.0] == [rate.note(1, 100.01), rate.note(5, 101.0)]


def test_rate_is_that_of_the_last_minute() -> None:
    """Fast for ten seconds, then held back: the fast start is forgotten after a minute."""
    rate, done = RecentRate(0.0), 0
    for second in range(1, 11):
        done += 100
        fast = rate.note(done, float(second))
    for second in range(11, 191):
        done += 1
        slow = rate.note(done, float(second))
    assert (100.0, 1.0) == (fast, slow)


def test_rate_sinks_while_nothing_comes_and_keeps_few_samples() -> None:
    """Whoever asks a hundred times a second gets the same; after a minute without any it is 0."""
    rate = RecentRate(0.0)
    for tick in range(1, 1_001):
        found = rate.note(tick, tick / 100)
    assert pytest.approx(100.0) == found
    assert 50.0 == pytest.approx(rate.note(1_000, 20.0))
    assert 0.0 == rate.note(1_000, 90.0)


def test_projection_waits_for_a_part_of_the_run() -> None:
    """Of a thousand chunks fifty, of ten none: their cost is known anyway."""
    assert projected_usd(billed_usd=1.0, done=49, total=1_000) is None
    assert 20.0 == projected_usd(billed_usd=1.0, done=50, total=1_000)
    assert projected_usd(billed_usd=1.0, done=10, total=10) is None


def test_a_run_that_will_be_much_dearer_is_told_with_where_it_stops() -> None:
    """From 1.5 times the estimate on; the end is named only if it will be reached."""
    assert cost_warning(projected=3.0, estimated=2.0, ends_at_usd=5.0) is None
    assert cost_warning(projected=None, estimated=2.0, ends_at_usd=5.0) is None
    assert cost_warning(projected=9.0, estimated=None, ends_at_usd=5.0) is None
    expected = "Warning: the run will cost about 4.00 USD at this rate, 2.0 times its estimate."
    assert expected == cost_warning(projected=4.0, estimated=2.0, ends_at_usd=5.0)
    assert expected == cost_warning(projected=4.0, estimated=2.0, ends_at_usd=None)
    found = cost_warning(projected=9.4, estimated=3.7, ends_at_usd=5.0)
    assert found is not None
    assert found.endswith("It stops at 5.00 USD and can go on with --yes or --budget.")


@pytest.mark.parametrize("kind", FailureKind)
def test_headway_counts_what_was_to_be_sent(kind: FailureKind) -> None:
    """Empty, too long and stopped rows are no part of it; other failures are done and failed."""
    headway = Headway(0.0)
    headway.on_plan(PLAN, 0.0)
    failure = Failed(chunk_id="1", error=ErrorDetail(kind=kind, message="why"))
    counts = headway.on_verdict(failure)
    not_sent = (FailureKind.EMPTY, FailureKind.TOO_LONG, FailureKind.STOPPED)
    assert (kind not in not_sent) == counts
    assert (counts, counts) == (headway.done, headway.failed)


def test_headway_looks_at_the_cost_now_and_then_and_warns_once() -> None:
    """Twice a second; of labels that turn out to be simulated no figure is money."""
    looks: list[float] = []

    def billed_usd() -> float:
        looks.append(0.0)
        return 9.0

    headway = Headway(0.0)
    headway.on_plan(PLAN, 10.0)
    headway.on_meter(Meter(billed_usd=billed_usd, ends_at_usd=None))
    warnings = []
    for tick in range(200):
        headway.on_verdict(LABELED)
        warnings.append(headway.warning(10.0 + tick / 100))
    assert 3 == len(looks)
    assert 1 == sum(one is not None for one in warnings)
    costs = [headway.cost_usd]
    headway.on_verdict(replace(LABELED, model="digest-labels"))
    warnings.append(headway.warning(99.0))
    assert [9.0, None] == [*costs, headway.cost_usd]
    assert headway.is_simulated
    assert (None, 3) == (warnings[-1], len(looks))
