"""Audit arithmetic: published intervals, exact tests, and the sample sizes of the docs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.evaluation.audit import mcnemar, rows_to_see, wilson
from tests.evaluation.opinions import stats


@pytest.mark.parametrize(
    ("count", "rows", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_the_published_ones(
    count: int, rows: int, low: float, high: float
) -> None:
    """The four examples of Newcombe 1998, Two-sided confidence intervals, table I, method 3."""
    found = wilson(count, rows)
    assert (low, high) == (round(found.low, 4), round(found.high, 4))


@given(rows=st.integers(1, 5_000), data=st.data(), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_that_of_scipy(rows: int, data: st.DataObject, level: float) -> None:
    """The interval is the one of scipy, and holds the share that was found."""
    count = data.draw(st.integers(0, rows))
    found = wilson(count, rows, level=level)
    expected = stats.binomtest(count, rows).proportion_ci(level, method="wilson")
    assert (expected.low, expected.high) == pytest.approx((found.low, found.high), abs=1e-9)
    assert found.low <= found.share <= found.high


@pytest.mark.parametrize(("count", "rows"), [(1, 0), (3, 2), (-1, 5)])
def test_what_is_no_share_is_refused(count: int, rows: int) -> None:
    """No rows, or more hits than rows, are a misuse."""
    with pytest.raises(ValueError, match="no share"):
        wilson(count, rows)


@pytest.mark.parametrize(("noise", "expected"), [(0.0, 299), (0.03, 3636)])
def test_samples_that_show_one_percent_of_swaps(noise: float, expected: int) -> None:
    """About 300 chunks where asking twice gives the same; 3,600 where 3 % differ anyway."""
    assert expected == rows_to_see(0.01, noise=noise)


@pytest.mark.parametrize(("correlation", "expected"), [(0.0, 299), (0.1, 569), (1.0, 2_990)])
def test_samples_of_whole_requests_are_larger(correlation: float, expected: int) -> None:
    """Where all ten chunks of a request change together, 299 requests are needed."""
    assert expected == rows_to_see(0.01, per_request=10, correlation=correlation)


def test_a_sample_of_requests_hardly_misses_the_swaps() -> None:
    """With so many requests none shows a change in less than 5 %: chance of a beta-binomial."""
    for correlation in (0.1, 0.3, 0.5):
        rows = rows_to_see(0.01, per_request=10, correlation=correlation)
        changed, kept = (share * (1 - correlation) / correlation for share in (0.01, 0.99))
        unseen = stats.betabinom(10, changed, kept).pmf(0) ** (rows / 10)
        assert 0.001 < unseen < 0.05


@pytest.mark.parametrize(("per_request", "correlation"), [(0, 0.5), (10, -0.1), (10, 1.1)])
def test_requests_that_do_not_fit_are_refused(per_request: int, correlation: float) -> None:
    """A request holds a chunk, and no two chunks are more alike than the same."""
    with pytest.raises(ValueError, match="chunks in a request"):
        rows_to_see(0.01, per_request=per_request, correlation=correlation)


def test_a_sample_of_that_size_hardly_misses_the_swaps() -> None:
    """With 299 chunks and 1 % of swaps none is seen in less than 5 %, with 298 in more."""
    assert 0.99**299 < 0.05 < 0.99**298


def test_certain_changes_need_one_chunk() -> None:
    """If packing changes every label, one chunk shows it."""
    assert 1 == rows_to_see(1.0)


@pytest.mark.parametrize(("rate", "noise"), [(0.0, 0.0), (0.6, 0.6), (0.1, -0.1)])
def test_rates_that_do_not_fit_are_refused(rate: float, noise: float) -> None:
    """No change at all can never be seen, and shares above one do not exist."""
    with pytest.raises(ValueError, match="no shares"):
        rows_to_see(rate, noise=noise)


def judged(first: int, second: int) -> list[tuple[bool, bool]]:
    """Return chunks of which so many are right in one way only, and some in both or none."""
    return [(True, False)] * first + [(False, True)] * second + [(True, True), (False, False)]


def test_mcnemar_by_hand() -> None:
    """Two against eight: 2 * (1 + 10 + 45) / 1024."""
    found = mcnemar(judged(2, 8))
    assert (2, 8, 0.109375) == (found.only_first, found.only_second, found.p_value)


@given(first=st.integers(0, 60), second=st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    """The p-value is the one of scipy's two-sided binomial test."""
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert expected == pytest.approx(mcnemar(judged(first, second)).p_value)


def test_mcnemar_takes_truth_values_of_numpy() -> None:
    """A hundred of them do not overflow a count of 64 bits."""
    values = [(np.bool_(one), np.bool_(two)) for one, two in judged(60, 40)]
    assert mcnemar(judged(60, 40)) == mcnemar(values)  # type: ignore[arg-type]


def test_mcnemar_of_many_rows_is_close_to_the_exact_test() -> None:
    """Beyond a thousand rows that count the approximation differs in the fourth decimal at most."""
    expected = stats.binomtest(980, 2_080).pvalue
    assert expected == pytest.approx(mcnemar(judged(980, 1_100)).p_value, abs=5e-4)
