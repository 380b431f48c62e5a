"""Which labels are marked for review, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import ConfigurationError, InputError
from analysis.pipeline.ledger_rows import VerdictRow
from analysis.pipeline.output import STOPPED_CELLS
from analysis.pipeline.review import (
    Outlook,
    Review,
    check_bound,
    check_columns,
    is_uncertain,
    marked,
)
from tests.pipeline.table_files import EXAMPLE, FAILED, refusal

HELD = VerdictRow(
    labels=("example",),
    confidence=0.5,
    route="decisions",
    model="m",
    attempts=1,
    pack=1,
    latency_s=None,
    error_kind=None,
    error_message=None,
)


@pytest.mark.parametrize("bound", [0, -0.1, 1.01, float("nan"), float("inf"), True, "0.8"])
def test_a_bound_that_is_no_confidence_is_refused(bound: Any) -> None:
    """With the value seen and one that would do; 0 would mark nothing."""
    message = refusal(lambda: Review(bound=bound), ConfigurationError)
    assert f"min_confidence is {bound!r}; pass a confidence above 0 and up to 1" in message


def test_one_and_what_is_just_above_zero_are_bounds() -> None:
    """1 marks all that is less than certain."""
    for bound in (1, 1.0, 1e-9):
        check_bound("min_confidence", bound)


def test_an_input_that_has_the_column_is_refused() -> None:
    """The message names the input and both cures."""
    message = refusal(lambda: check_columns("a.csv", ["text", "semfn_review"]), InputError)
    assert message.startswith("a.csv already has the column semfn_review, which --min-confidence")
    check_columns("a.csv", ["text", "Semfn_review"])


@pytest.mark.parametrize(
    ("confidence", "bound", "expected"),
    [
        (0.79, 0.8, True),
        (0.8, 0.8, False),
        (0.79996, 0.8, False),  # an output shows 0.8000
        (0.79994, 0.8, True),
        (1.0, 1.0, False),
        (0.0, 1e-9, True),
        (None, 1.0, False),
    ],
)
def test_equal_is_sure_enough_and_unknown_is_not_uncertain(
    confidence: float | None, bound: float, expected: bool
) -> None:
    """As the output shows the confidence."""
    assert expected == is_uncertain(confidence, bound)


@given(confidence=st.floats(0, 1), bound=st.floats(0.0001, 1))
def test_a_reader_who_compares_the_columns_finds_the_marked_rows(
    confidence: float, bound: float
) -> None:
    """Whatever the confidence: the cell of the mark agrees with the cell beside it, as text too."""
    cells = marked(replace(EXAMPLE, confidence=confidence), bound)
    assert (float(cells.texts()[2]) < bound) is (cells.texts()[-1] == "uncertain")
    assert (cells.values()[2] < bound) is (cells.values()[-1] == "uncertain")  # type: ignore[operator]


def test_only_labels_are_marked_and_only_on_request() -> None:
    """Failed and unreached rows have an empty mark; without a bound there is no cell for one."""
    assert EXAMPLE == marked(EXAMPLE, None)
    assert "uncertain" == marked(EXAMPLE, 1.0).review
    assert ["", ""] == [marked(cells, 1.0).review for cells in (FAILED, STOPPED_CELLS)]
    assert ["", ""] == [marked(cells, 1.0).texts()[-1] for cells in (FAILED, STOPPED_CELLS)]
    assert [None, None] == [marked(cells, 1.0).values()[-1] for cells in (FAILED, STOPPED_CELLS)]


def test_labels_that_are_there_are_counted_before_a_run() -> None:
    """Those below the bound and those without a confidence; failed and missing rows are neither."""
    failed = replace(HELD, labels=(), confidence=None, error_kind="defect")
    held = [HELD, replace(HELD, confidence=0.8), replace(HELD, confidence=None), failed, None]
    expected = Outlook(bound=0.8, silent_routes=("rest",), uncertain=1, without_confidence=1)
    assert expected == Review(bound=0.8, silent_routes=("rest",)).outlook(held)
