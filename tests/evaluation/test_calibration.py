"""Confidence against gold: bins, ECE and Brier score by hand, coverage above a threshold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.evaluation.calibration import above, calibrate
from tests.evaluation.opinions import metrics

JUDGED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1)


def test_two_bins_by_hand() -> None:
    """Gaps of 0.45 in two rows and of 0.1 in two rows are an ECE of 0.275."""
    judged = [(0.95, True), (0.95, False), (0.6, True), (0.6, False)]
    found = calibrate(judged)
    assert found is not None
    assert 0.275 == pytest.approx(found.ece)
    assert (0.05**2 + 0.95**2 + 0.4**2 + 0.6**2) / 4 == pytest.approx(found.brier)
    filled = [(one.low, one.rows, one.accuracy) for one in found.bins if one.rows]
    assert [(0.6, 2, 0.5), (0.9, 2, 0.5)] == filled


def test_bounds_of_bins() -> None:
    """A bin holds its lower bound; the last one holds certainty, too."""
    found = calibrate([(0.0, True), (0.1, True), (1.0, True)])
    assert found is not None
    assert [1, 1, 0, 0, 0, 0, 0, 0, 0, 1] == [one.rows for one in found.bins]


def test_perfect_confidence_has_no_error() -> None:
    """Certain where right, and certain of the opposite where wrong: nothing is off."""
    found = calibrate([(1.0, True), (0.0, False)])
    assert found is not None
    assert (0.0, 0.0) == (found.ece, found.brier)


def test_without_confidence_there_is_no_calibration() -> None:
    """No rows, no figures."""
    assert calibrate([]) is None


@given(judged=JUDGED)
def test_brier_is_that_of_scikit_learn_and_no_row_is_lost(judged: list[tuple[float, bool]]) -> None:
    """The score is the library's, and the bins hold every row once."""
    found = calibrate(judged)
    assert found is not None
    confidence, right = zip(*judged, strict=True)
    expected = metrics.brier_score_loss(right, confidence, pos_label=True)
    assert expected == pytest.approx(found.brier)
    assert len(judged) == sum(one.rows for one in found.bins)


def test_coverage_and_accuracy_above_a_threshold() -> None:
    """Rows at the threshold are kept; coverage is the share of all rows, labelled or not."""
    judged = [(0.9, True), (0.8, False), (0.8, True), (0.5, False)]
    found = above(judged, min_confidence=0.8, rows=6, without=1)
    assert (3, 0.5, 2 / 3, 1) == (found.kept, found.coverage, found.accuracy, found.without)


def test_nothing_above_the_threshold_has_no_accuracy() -> None:
    """A threshold that keeps no row gives no figure, not a zero."""
    found = above([(0.5, True)], min_confidence=0.9, rows=1, without=0)
    assert (0.0, None) == (found.coverage, found.accuracy)
