"""The simulated audits of the coverage benchmark: seeds, and what independent intervals miss."""

from __future__ import annotations

import numpy as np

from benchmarks.coverage import differences, hits, shares


def test_the_same_seed_draws_the_same() -> None:
    """Requests of ten, each with between none and all of its chunks changed."""
    one, two = (hits(np.random.default_rng(3), (50, 30), 0.2, 0.5) for _ in range(2))
    assert (one == two).all()
    assert (0, 10) == (one.min(), one.max())
    assert not hits(np.random.default_rng(3), (5, 3), 0.0, 0.5).any()


def test_intervals_by_request_hold_what_those_by_row_miss() -> None:
    """Thirty requests, 5 % of changes, correlation 0.3: as the audit of the intervals found."""
    (row,) = shares(np.random.default_rng(1), 300, [(30, 0.05, 0.3)])
    assert row["coverage"] >= 0.94 > 0.8 > row["coverage_by_rows"]


def test_differences_hold_zero_where_there_is_none() -> None:
    """And the test seldom finds one."""
    (row,) = differences(np.random.default_rng(1), 200, [(30, (0.05, 0.05), 0.1, 0.1)])
    assert row["coverage"] >= 0.94
    assert row["p_below_0.05"] <= 0.06
