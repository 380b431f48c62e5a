"""The budget of attempts to open a socket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analysis.transport.connects import ConnectBudget


def test_a_burst_goes_at_once_and_the_rest_in_line() -> None:
    """Those who wait are sent to different times."""
    budget = ConnectBudget(per_s=2.0, burst=3, now=10.0)
    assert [0.0, 0.0, 0.0, 0.5, 1.0, 1.5] == [budget.take(10.0) for _ in range(6)]
    assert "<ConnectBudget -3.00 of 3 left at 10.00>" == repr(budget)


def test_time_fills_it_up_to_the_burst() -> None:
    """An hour of rest is worth no more than the burst."""
    budget = ConnectBudget(per_s=2.0, burst=2, now=0.0)
    budget.take(0.0)
    assert [0.0, 0.0, 0.5] == [budget.take(3_600.0) for _ in range(3)]


def test_a_good_attempt_costs_nothing() -> None:
    """Rotation may go on for ever."""
    budget = ConnectBudget(per_s=0.01, burst=1, now=0.0)
    waits = []
    for _ in range(50):
        waits.append(budget.take(0.0))
        budget.give_back()
    assert [0.0] * 50 == waits
    budget.give_back()
    assert [0.0, 100.0] == [budget.take(0.0), budget.take(0.0)]


@given(steps=st.lists(st.floats(0.0, 2.0), max_size=40))
def test_the_rate_is_never_exceeded(steps: list[float]) -> None:
    """In any stretch of time there are at most burst + rate x time attempts."""
    budget, now, at = ConnectBudget(per_s=2.0, burst=3, now=0.0), 0.0, []
    for step in steps:
        now += step
        at.append(now + budget.take(now))
    at.sort()
    for first in range(len(at)):
        for last in range(first, len(at)):
            assert last - first + 1 <= 3 + 2.0 * (at[last] - at[first]) + 1e-6
