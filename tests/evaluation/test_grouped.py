"""Intervals and tests by group: coverage where rows are alike, and what they become where not."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.evaluation.audit import mcnemar, wilson
from analysis.evaluation.grouped import (
    grouped_share,
    paired_difference,
    sign_flip,
    student,
)
from tests.evaluation.opinions import stats

GROUPS = st.lists(
    st.integers(1, 12).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))),
    min_size=1,
    max_size=40,
)


def hits(rng: Random, *, groups: int, size: int, rate: float, correlation: float) -> list[int]:
    """Return the hits in each group: rows of one group share a rate of their own."""
    found = []
    for _ in range(groups):
        own = rate
        if correlation:
            scale = (1 - correlation) / correlation
            own = rng.betavariate(rate * scale, (1 - rate) * scale)
        found.append(sum(rng.random() < own for _ in range(size)))
    return found


@pytest.mark.parametrize("correlation", [0.0, 0.05, 0.1, 0.3, 0.5])
def test_intervals_hold_the_true_share(correlation: float) -> None:
    """Thirty requests of ten, 5 % of the rows: at least 94 of 100 intervals, whatever is shared."""
    rng, draws, rate = Random(1), 500, 0.05
    held = 0
    for _ in range(draws):
        found = hits(rng, groups=30, size=10, rate=rate, correlation=correlation)
        share = grouped_share([(one, 10) for one in found])
        held += share.low <= rate <= share.high
    assert held / draws >= 0.94


def test_independent_intervals_would_not() -> None:
    """The same draws with rows taken for independent ones: about seven of ten."""
    rng, draws, held = Random(1), 500, 0
    for _ in range(draws):
        found = hits(rng, groups=30, size=10, rate=0.05, correlation=0.3)
        share = wilson(sum(found), 300)
        held += share.low <= 0.05 <= share.high
    assert 0.6 < held / draws < 0.8


@pytest.mark.parametrize(("correlation", "most"), [(0.0, 0.06), (0.1, 0.06), (0.3, 0.06)])
def test_noise_is_no_effect(correlation: float, most: float) -> None:
    """Both arms 5 %: false alarms about as rare as promised, and the interval holds zero."""
    rng, draws = Random(2), 300
    alarms = held = 0
    for _ in range(draws):
        both = [hits(rng, groups=30, size=10, rate=0.05, correlation=correlation) for _ in range(2)]
        found = paired_difference([(one, two, 10) for one, two in zip(*both, strict=True)])
        alarms += found.p_value < 0.05
        held += found.low <= 0 <= found.high
    assert alarms / draws <= most
    assert held / draws >= 0.94


def test_an_effect_is_told_from_noise() -> None:
    """15 % against 5 %: the interval of the difference holds 0.10, mostly without zero."""
    rng, draws, held, told = Random(3), 300, 0, 0
    for _ in range(draws):
        one = hits(rng, groups=60, size=10, rate=0.15, correlation=0.1)
        two = hits(rng, groups=60, size=10, rate=0.05, correlation=0.1)
        found = paired_difference([(a, b, 10) for a, b in zip(one, two, strict=True)])
        held += found.low <= 0.10 <= found.high
        told += found.low > 0 and found.p_value < 0.05
    assert held / draws >= 0.94
    assert told / draws > 0.9


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_single_rows_have_the_interval_of_wilson(rows: list[bool]) -> None:
    """Where every group is a row, grouping changes nothing."""
    found, expected = grouped_share([(int(one), 1) for one in rows]), wilson(sum(rows), len(rows))
    assert (expected.low, expected.high) == pytest.approx((found.low, found.high))


@given(GROUPS)
def test_an_interval_is_never_narrower_than_that_of_rows(groups: list[tuple[int, int]]) -> None:
    """It holds that interval and the share, within 0 and 1."""
    found = grouped_share(groups)
    assert 0 <= found.low <= found.low_by_rows <= found.share + 1e-12
    assert found.share - 1e-12 <= found.high_by_rows <= found.high <= 1


@given(GROUPS)
def test_the_share_of_the_other_rows_is_the_mirror_image(groups: list[tuple[int, int]]) -> None:
    """Labels that stayed and labels that changed say the same."""
    one, two = grouped_share(groups), grouped_share([(rows - n, rows) for n, rows in groups])
    assert (one.low, one.high) == pytest.approx((1 - two.high, 1 - two.low))


def test_without_a_hit_the_bound_is_that_of_groups() -> None:
    """300 rows in 30 requests: 0.0126 if rows change one by one, 0.1135 if requests do."""
    found = grouped_share([(0, 10)] * 30)
    assert (0.0, wilson(0, 300).high) == (found.low, found.high_by_rows)
    assert wilson(0, 30).high == pytest.approx(found.high)


def test_one_group_says_as_much_as_one_row() -> None:
    """Nothing is known of other requests."""
    assert wilson(0, 1).high == pytest.approx(grouped_share([(0, 7)]).high)


@pytest.mark.parametrize("groups", [[], [(0, 0)], [(3, 2)], [(-1, 2)]])
def test_what_is_no_share_is_refused(groups: list[tuple[int, int]]) -> None:
    """No group, no rows, or more hits than rows are a misuse."""
    with pytest.raises(ValueError, match="Groups need rows"):
        grouped_share(groups)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_quantiles_are_those_of_student(level: float) -> None:
    """To 1 in 100 for 1 to 200 degrees of freedom; none is the normal distribution."""
    for freedom in range(1, 201):
        expected = stats.t.ppf((1 + level) / 2, freedom)
        assert expected == pytest.approx(student(freedom, level), rel=0.01)
    assert stats.norm.ppf((1 + level) / 2) == pytest.approx(student(0, level))


@given(st.lists(st.integers(-4, 4), max_size=10))
def test_sign_flips_are_counted_exactly(differences: list[int]) -> None:
    """The share of all ways to set the signs that give a sum at least as large."""
    seen = abs(sum(differences))
    sums = [
        abs(sum(sign * one for sign, one in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    assert sum(one >= seen for one in sums) / len(sums) == pytest.approx(sign_flip(differences))


@given(first=st.integers(0, 40), second=st.integers(0, 40))
def test_single_rows_have_the_test_of_mcnemar(first: int, second: int) -> None:
    """One row in each group makes it the exact binomial test."""
    judged = [(True, False)] * first + [(False, True)] * second
    expected = mcnemar(judged).p_value
    assert expected == pytest.approx(sign_flip([1] * first + [-1] * second))


def test_few_groups_cannot_give_a_small_p() -> None:
    """Four requests that all change, however many rows: two of sixteen ways."""
    assert 2 / 16 == sign_flip([9, 9, 9, 9])


def test_many_groups_are_close_to_the_exact_test() -> None:
    """Thousands of groups by the normal distribution: the exact one is that of single rows."""
    expected = stats.binomtest(1_450, 3_000).pvalue
    assert expected == pytest.approx(sign_flip([2] * 1_450 + [-2] * 1_550), abs=5e-4)
    assert expected == pytest.approx(sign_flip([1] * 1_450 + [-1] * 1_550), abs=5e-4)


def test_what_both_change_alike_narrows_the_difference() -> None:
    """Requests that change in both arms say nothing of the difference."""
    alike = [(4, 4, 10), (0, 0, 10)] * 10
    crossed = [(4, 0, 10), (0, 4, 10)] * 10
    one, two = paired_difference(alike), paired_difference(crossed)
    assert (0.0, 0.0) == (one.difference, two.difference)
    assert one.high - one.low < 0.5 * (two.high - two.low)
