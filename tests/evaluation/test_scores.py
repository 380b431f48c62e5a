"""Scores of all rows and per label: examples of the libraries' own pages, and by hand."""

from __future__ import annotations

import math

import pytest

from analysis.evaluation.scores import figures, label_scores, majority
from tests.evaluation.opinions import counted

SKLEARN = counted(list("abcabc"), list("acbaab"), keys="a b c")
"""y_true = [0, 1, 2, 0, 1, 2], y_pred = [0, 2, 1, 0, 0, 1]. Source: scikit-learn, f1_score."""


def test_the_example_of_scikit_learn() -> None:
    """Macro-F1 is 0.27, a third is right."""
    found = figures(SKLEARN)
    assert 1 / 3 == pytest.approx(found["accuracy"])
    assert 0.8 / 3 == pytest.approx(found["macro_f1"])


def test_labels_of_the_example() -> None:
    """Two of three a are right and both a were found: precision 2/3, recall 1, F1 0.8."""
    first, *_ = label_scores(SKLEARN)
    assert ("a", 2, 3, 1.0) == (first.key, first.first, first.second, first.recall)
    assert (2 / 3, 0.8) == pytest.approx((first.precision, first.f1))


def test_the_samples_jaccard_example_of_scikit_learn() -> None:
    """Sets {b, c} and {a, b} against {a, b, c} and {a}: 2/3 and 1/2, mean 0.5833."""
    found = figures(counted(["b c", "a b"], ["a b c", "a"]), with_sets=True)
    assert 0.5833 == pytest.approx(found["jaccard"], abs=5e-5)
    assert 2 * 3 / (4 + 4) == pytest.approx(found["micro_f1"])
    assert 1.0 == found["any_match"]


def test_figures_of_sets_only_where_asked() -> None:
    """Primary labels have four figures, sets four more."""
    counts = counted(["a b"] * 2 + ["b"], ["b a", "a", "b"])
    assert ["accuracy", "macro_f1", "kappa", "alpha"] == list(figures(counts))
    more = list(figures(counts, with_sets=True))[4:]
    assert ["any_match", "micro_f1", "jaccard", "alpha_sets"] == more


def test_the_order_of_labels_matters_for_primary_figures_alone() -> None:
    """The same two labels in another order are wrong by primary label and right as sets."""
    found = figures(counted(["a b", "c"], ["b a", "c"]), with_sets=True)
    assert (0.5, 1.0, 1.0) == (found["accuracy"], found["jaccard"], found["alpha_sets"])


def test_rows_without_a_label_are_wrong() -> None:
    """Of four rows two have no label: half is right, by every figure that counts rows."""
    found = figures(counted(["a", "b", "a", "b"], ["a", "b", "", ""]), with_sets=True)
    assert (0.5, 0.5, 0.5) == (found["accuracy"], found["any_match"], found["jaccard"])
    assert 2 / 3 == pytest.approx(found["macro_f1"])


def test_one_label_everywhere_leaves_agreement_beyond_chance_undefined() -> None:
    """Kappa and alpha are nan where both sides always say the same."""
    found = figures(counted(["a", "a"], ["a", "a"]))
    assert (1.0, True, True) == (
        found["accuracy"],
        math.isnan(found["kappa"]),
        math.isnan(found["alpha"]),
    )


def test_labels_that_nobody_used_are_not_listed() -> None:
    """A label with rows on one side only is listed with zeros, one without rows is not."""
    found = label_scores(counted(["a", "a"], ["a", "c"], keys="a b c"))
    assert [("a", 2, 1), ("c", 0, 1)] == [(one.key, one.first, one.second) for one in found]
    assert (0.0, 0.0, 0.0) == (found[1].precision, found[1].recall, found[1].f1)


@pytest.mark.parametrize(("rows", "expected"), [(0, False), (1, True), (9, True), (10, False)])
def test_few_means_one_to_nine_rows_of_gold(rows: int, expected: bool) -> None:
    """A label without gold rows has no support that could be small."""
    counts = counted(["a"] * rows + ["b"] * 20, ["a"] * rows + ["b"] * 19 + ["a"])
    assert expected == label_scores(counts)[0].is_few


def test_the_majority_label_for_every_row() -> None:
    """The most frequent gold label is given to all rows, those without a label included."""
    label, base = majority(counted(["a", "b", "b", "b a"], ["a", "a", "", "b"]))
    assert ("b", 4) == (label, base.rows)
    found = figures(base)
    assert (0.75, 0.0) == (found["accuracy"], found["kappa"])
