"""Answers earn a tenth of a retry; retries spend; what can be saved up grows with the run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.retry_budget import RetryBudget
from analysis.settings import SETTINGS


def spent(count: int) -> RetryBudget:
    """Return a budget after so many retries."""
    budget = RetryBudget()
    for _ in range(count):
        budget.spend()
    return budget


def test_twenty_retries_can_be_paid_at_the_start() -> None:
    """Not one more."""
    assert spent(19).may_retry()
    assert not spent(20).may_retry()


def test_ten_answers_pay_for_a_retry() -> None:
    """Nine do not."""
    budget = spent(20)
    paid = []
    for _ in range(11):
        budget.earn()
        paid.append(budget.may_retry())
    assert [False] * 9 == paid[:9]
    assert paid[10]


def test_an_empty_budget_stays_at_nothing() -> None:
    """A probe that is sent nevertheless leaves no debt."""
    assert 0.0 == spent(25).tokens


def test_a_long_run_saves_up_a_share_of_its_requests() -> None:
    """2 % of 10,000 are 200; short of 1,000 requests it is the start."""
    budget = RetryBudget()
    for _ in range(1_000):
        budget.earn()
    assert (20.0, 20.0) == (budget.size, budget.tokens)
    for _ in range(9_000):
        budget.earn()
    assert (200.0, 200.0) == pytest.approx((budget.size, budget.tokens))


def test_a_service_that_fails_half_of_the_time_gets_few_retries() -> None:
    """Of 1,000 failures 20 and a tenth of the answers are asked again, nothing like all."""
    budget, retries = RetryBudget(), 0
    for _ in range(1_000):
        budget.earn()
        if budget.may_retry():
            budget.spend()
            retries += 1
    assert 120 == pytest.approx(retries, abs=3)


@given(
    st.lists(st.booleans(), max_size=300),
    st.integers(1, 30),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_budget_is_never_negative_nor_above_its_size(
    answers: list[bool], tokens: int, share: float, earn: float
) -> None:
    """In any order of answers and retries, and it pays exactly when a whole token is there."""
    knobs = replace(SETTINGS, retry_tokens=tokens, retry_share=share, retry_earn=earn)
    budget = RetryBudget(settings=knobs)
    for index, is_answer in enumerate(answers, start=1):
        budget.earn() if is_answer else budget.spend()
        assert max(tokens, share * index) == budget.size
        assert 0.0 <= budget.tokens <= budget.size
        assert (budget.tokens >= 1.0) == budget.may_retry()


def test_a_budget_shows_its_state() -> None:
    """Tokens and size."""
    assert "RetryBudget(17.0 of 20.0)" == repr(spent(3))
