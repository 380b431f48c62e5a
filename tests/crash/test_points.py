"""Forty crash points, each kind of call on each file once; the long form is `points.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.points import SHAPE, Point, crash_all, spread, summary
from tests.crash.tracing import why_not

COUNT = 40
NEEDED = {
    "fdatasync out.csv.semfn.sqlite-wal",
    "fsync .semfn-N-N.tmp",
    "pwrite64 out.csv.semfn.sqlite-wal",
    "rename out.csv",
    "rename out.csv.semfn.sqlite",
    "unlink out.csv.semfn.sqlite-wal",
    "openat out.csv.semfn.sqlite.draft",
    "ftruncate out.csv.semfn.sqlite-wal",
}
"""What at least has to be hit: sync, write, rename, remove, open and cut."""


@pytest.mark.skipif(why_not() != "", reason=why_not())
def test_forty_crash_points_lose_and_repay_nothing(tmp_path: Path) -> None:
    """Killed before a call and started again: ids, labels, payments and output are as promised."""
    points, outcomes = crash_all(COUNT, 2, tmp_path)
    print(found := summary(points, outcomes))
    assert [] == found["broken"]
    hit = {outcome.hit for outcome in outcomes}
    assert set() == NEEDED - hit
    # A call on a file whose name holds a number is counted among all calls, which may shift.
    assert COUNT - 5 <= sum(bool(outcome.hit) for outcome in outcomes)
    assert any(outcome.labels for outcome in outcomes)
    most = SHAPE.in_flight * SHAPE.pack
    assert all(outcome.second_payments <= most for outcome in outcomes)


def test_points_are_spread_over_kinds_from_the_middle() -> None:
    """Each kind comes once before one comes twice, learned limits later; the middle comes first."""
    writes = [Point(call="write", file="a", nth=nth) for nth in (1, 2, 3)]
    others = [Point(call="fsync", file="a", nth=1), Point(call="fsync", file="state/b", nth=1)]
    chosen = spread([*writes, *others], 4)
    assert [writes[1], others[0], writes[0], writes[2]] == chosen
