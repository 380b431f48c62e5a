"""What is reserved, spent and left, to the last fraction of a cent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.spending import UNITS, Purse, Rates
from analysis.records import Usage

RATES = Rates(
    input=1.0, cached=0.1, written=1.25, output=5.0, answer_tokens=40, answer_tokens_each=30
)


def test_a_reservation_that_does_not_fit_keeps_nothing() -> None:
    """The purse is as before, and something smaller still fits."""
    purse = Purse(1.0)
    assert purse.reserve("a", 0.7)
    assert not purse.reserve("b", 0.31)
    assert [0.0, 0.7] == [purse.spent_usd, purse.reserved_usd]
    assert purse.reserve("c", 0.3)
    assert 0.0 == purse.left_usd


def test_what_is_not_known_stays_spent() -> None:
    """The service may bill it; what was refused or never sent is free."""
    purse = Purse(1.0)
    for name in ("lost", "refused", "answered"):
        purse.reserve(name, 0.25)
    purse.settle("lost", None)
    purse.release("refused")
    purse.settle("answered", 0.05)
    assert pytest.approx(0.30) == purse.spent_usd
    assert [0.0, 0.7] == [purse.reserved_usd, purse.left_usd]


def test_an_answer_may_cost_more_than_was_reserved() -> None:
    """Then the limit is passed by the difference, and nothing fits any more."""
    purse = Purse(1.0)
    purse.reserve("a", 1.0)
    purse.settle("a", 1.2)
    assert pytest.approx(-0.2) == purse.left_usd
    assert not purse.has(0.0)
    assert {"limit_usd": 1.0, "spent_usd": 1.2, "reserved_usd": 0.0} == purse.statistics()


def test_a_request_without_reservation_counts_nothing() -> None:
    """It was sent before there was a limit; an ending that is told twice counts once."""
    purse = Purse(1.0)
    purse.settle("earlier", 0.5)
    purse.reserve("a", 0.5)
    purse.settle("a", None)
    purse.settle("a", None)
    assert pytest.approx(0.5) == purse.spent_usd


def test_what_might_fit_later_is_told_from_what_never_will() -> None:
    """Requests on their way may turn out to be free."""
    purse = Purse(1.0)
    purse.reserve("a", 0.8)
    assert (False, True) == (purse.has(0.5), purse.may_have(0.5))
    purse.settle("a", 0.8)
    assert not purse.may_have(0.5)
    assert "0.800000 spent and 0.000000 reserved of 1 USD" in repr(purse)


def test_the_most_that_a_request_costs_is_all_input_at_full_price_and_the_largest_answer() -> None:
    """Cost tokens are input and largest answer together; writing to the cache costs most."""
    usd = RATES.most_usd(1_000 + 40 + 2 * 30, 2)
    assert pytest.approx((1_000 * 1.25 + 100 * 5.0) / 1e6) == usd
    assert pytest.approx(50 * 5.0 / 1e6) == RATES.most_usd(50, 2)


def test_a_bill_counts_each_kind_of_token_once() -> None:
    """Cached and written tokens are parts of the input, reasoning is a part of the output."""
    usage = Usage(
        input_tokens=1_000,
        cached_tokens=600,
        written_tokens=100,
        output_tokens=10,
        reasoning_tokens=4,
    )
    assert pytest.approx((300 * 1.0 + 600 * 0.1 + 100 * 1.25 + 10 * 5.0) / 1e6) == RATES.bill_usd(
        usage
    )


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(["bill", "lost", "free"]), st.floats(0, 1)),
        max_size=40,
    )
)
def test_no_order_of_endings_passes_the_limit(
    requests: list[tuple[float, str, float]],
) -> None:
    """As long as no answer costs more than its reservation; in the end nothing is reserved."""
    purse, open_ones = Purse(2.0), list[str]()
    for place, (usd, ending, part) in enumerate(requests):
        if purse.reserve(str(place), usd):
            open_ones.append(str(place))
            if ending != "lost" and len(open_ones) > 2:
                purse.settle(open_ones.pop(0), None)
            if ending == "bill":
                purse.settle(open_ones.pop(), usd * part)
            elif ending == "free":
                purse.release(open_ones.pop())
        assert purse.left_usd >= 0
        assert purse.spent_usd + purse.reserved_usd <= 2.0 + 1 / UNITS
    for name in open_ones:
        purse.settle(name, None)
    assert 0.0 == purse.reserved_usd
