"""Distinct pairs with their number of rows."""

from __future__ import annotations

import numpy as np

from analysis.evaluation.counts import share
from tests.evaluation.opinions import counted


def test_equal_pairs_are_counted_once_in_any_order_of_rows() -> None:
    """The counts do not depend on the order of the rows."""
    one = counted(["a", "b", "a"], ["b", "b", "b"])
    assert one == counted(["b", "a", "a"], ["b", "b", "b"])
    assert ((("a",), ("b",)), (("b",), ("b",))) == one.pairs
    assert ((2, 1), 3) == (one.weights, one.rows)


def test_rows_without_a_label_have_a_column_of_their_own() -> None:
    """What is missing on the second side stands in the last column."""
    counts = counted(["a", "b", "b"], ["a", "", "a"], keys="a b")
    assert ("a", "b", "(none)") == counts.names
    assert [[1, 0, 0], [1, 0, 1], [0, 0, 0]] == counts.confusion().tolist()


def test_only_primary_labels_are_in_the_matrix() -> None:
    """Second labels count in the agreement of sets alone."""
    counts = counted(["a b"], ["b a"], keys="a b")
    assert [[0, 1, 0], [0, 0, 0], [0, 0, 0]] == counts.confusion().tolist()
    assert [[1, 1, 2, 2, 2]] == counts.set_agreement().tolist()


def test_what_two_sets_share() -> None:
    """One of three labels is shared; against no label nothing is."""
    counts = counted(["a b", "a"], ["b c", ""])
    assert [[0, 0, 0, 1, 0], [1, 1 / 3, 1, 2, 2]] == counts.set_agreement().tolist()


def test_a_share_of_nothing_is_zero() -> None:
    """Dividing by zero gives zero, and no warning."""
    assert [0.5, 0.0] == share(np.array([1, 1]), np.array([2, 0])).tolist()
