"""Agreement beyond chance: published examples, the libraries as oracle, and the edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.evaluation.agreement import (
    accuracy,
    alpha,
    alpha_of_sums,
    kappa,
    macro_f1,
    masi_distances,
)
from analysis.evaluation.scores import set_confusion
from tests.evaluation.opinions import counted, krippendorff, metrics

CODINGS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=2, max_size=40
)
SETS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True), min_size=4)


def matrix(*rows: list[int]) -> Any:
    """Return a confusion matrix."""
    return np.array(rows, dtype=float)


def test_kappa_of_the_textbook_example() -> None:
    """Twenty yes-yes, five and ten mixed, fifteen no-no: 0.7 observed, 0.5 by chance, so 0.4.

    Source: Wikipedia, "Cohen's kappa", simple example.
    """
    assert 0.4 == pytest.approx(float(kappa(matrix([20, 5], [10, 15]))))


def test_alpha_of_krippendorffs_binary_example() -> None:
    """Ten articles, two observers, 14 zeros and 6 ones: alpha is 0.095.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section A.
    """
    counts = counted(list("abaaaaaaba"), list("bbbaabaaaa"))
    assert 0.095 == pytest.approx(float(alpha(counts.confusion())), abs=5e-4)


def test_alpha_of_krippendorffs_nominal_example() -> None:
    """Twelve articles, two observers, five values: alpha is 0.692.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section B.
    """
    counts = counted(list("aabbdccceddA".lower()), list("babbbcccEddd".lower()))
    assert 0.692 == pytest.approx(float(alpha(counts.confusion())), abs=5e-4)


@given(codings=CODINGS)
def test_alpha_is_that_of_the_library(codings: list[tuple[str, str]]) -> None:
    """The package krippendorff gives the same alpha for any two complete codings."""
    first, second = zip(*codings, strict=True)
    if len({*first, *second}) < 2:
        return
    expected = krippendorff.alpha(np.array([first, second]), level_of_measurement="nominal")
    assert expected == pytest.approx(float(alpha(counted(first, second).confusion())))


@settings(max_examples=50)
@given(first=SETS, second=SETS)
def test_alpha_of_sets_is_that_of_the_library(first: list[Any], second: list[Any]) -> None:
    """The package krippendorff, told the MASI distance, gives the same alpha for label sets."""
    rows = min(len(first), len(second))
    cells = [[" ".join(one) for one in side[:rows]] for side in (first, second)]
    cells = [[" ".join(sorted(cell.split())) for cell in side] for side in cells]
    found, values = set_confusion(counted(cells[0], cells[1]))
    distances = masi_distances(values)
    if not distances.any():
        return
    place = {" ".join(value): index for index, value in enumerate(values)}

    def distance(one: Any, two: Any, **_: Any) -> Any:
        return distances[np.broadcast_arrays(one.astype(int), two.astype(int))[0], two.astype(int)]

    coded = np.array([[place[cell] for cell in side] for side in cells])
    expected = krippendorff.alpha(
        coded, value_domain=range(len(values)), level_of_measurement=distance
    )
    assert expected == pytest.approx(float(alpha(found, distances)))


@given(codings=CODINGS)
def test_many_matrices_at_once_are_scored_as_scikit_learn_scores_one(
    codings: list[tuple[str, str]],
) -> None:
    """Accuracy, macro-F1 and kappa of a stack of matrices are those of scikit-learn."""
    first, second = zip(*codings, strict=True)
    stack = np.stack([counted(first, second).confusion()] * 2)
    expected_f1 = metrics.f1_score(
        first, second, labels=sorted(set(first)), average="macro", zero_division=0
    )
    assert [metrics.accuracy_score(first, second)] * 2 == pytest.approx(list(accuracy(stack)))
    assert [expected_f1] * 2 == pytest.approx(list(macro_f1(stack)))
    if len({*first, *second}) > 1:
        expected = metrics.cohen_kappa_score(first, second)
        assert [expected] * 2 == pytest.approx(list(kappa(stack)))


def test_macro_f1_counts_a_label_that_was_never_predicted_as_zero() -> None:
    """Of two gold labels one is found always and one never: 2/3 and 0, so a third."""
    assert 1 / 3 == pytest.approx(float(macro_f1(matrix([2, 0], [2, 0]))))


def test_macro_f1_leaves_out_labels_that_gold_does_not_have() -> None:
    """A predicted label without gold rows costs recall elsewhere, and has no mean of its own."""
    assert 2 / 3 == pytest.approx(float(macro_f1(matrix([1, 1], [0, 0]))))


def test_agreement_on_one_value_is_not_defined() -> None:
    """Where both always say the same one thing, nothing can be said beyond chance."""
    same = matrix([5, 0], [0, 0])
    assert [True, True] == [math.isnan(float(kappa(same))), math.isnan(float(alpha(same)))]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("a b", "b a", 0.0),
        ("a b", "a b c d", 1 - 1 / 2 * 2 / 3),
        ("a b", "b c", 1 - 1 / 3 * 1 / 3),
        ("a", "b", 1.0),
        ("", "a", 1.0),
        ("", "", 0.0),
    ],
)
def test_masi_distance_of_equal_nested_crossing_and_disjoint_sets(
    one: str, two: str, expected: float
) -> None:
    """The four cases of Passonneau 2006, and the empty set."""
    found = masi_distances([tuple(one.split()), tuple(two.split())])
    assert [0.0, expected, expected, 0.0] == pytest.approx(found.ravel().tolist())


def obvious_masi(one: frozenset[str], two: frozenset[str]) -> float:
    """Return the MASI distance case by case."""
    if one == two:
        return 0.0
    if not one & two:
        return 1.0
    monotonicity = 2 / 3 if one < two or two < one else 1 / 3
    return 1 - len(one & two) / len(one | two) * monotonicity


@given(st.lists(st.frozensets(st.sampled_from("abcd")), min_size=1, max_size=12))
def test_all_masi_distances_at_once_are_those_of_each_pair(values: list[frozenset[str]]) -> None:
    """Empty sets, equal sets in another order and single labels included."""
    found = masi_distances([tuple(value) for value in values])
    expected = [obvious_masi(one, two) for one in values for two in values]
    assert expected == pytest.approx(found.ravel().tolist())


@settings(max_examples=50)
@given(first=SETS, second=SETS)
def test_alpha_of_sums_is_alpha(first: list[Any], second: list[Any]) -> None:
    """Of the sums of one matrix, and of a stack of them."""
    rows = min(len(first), len(second))
    cells = [[" ".join(one) for one in side[:rows]] for side in (first, second)]
    found, values = set_confusion(counted(cells[0], cells[1]))
    distances = masi_distances(values)
    sums = found.sum(axis=0) + found.sum(axis=1)
    apart = np.array([2 * (found * distances).sum()] * 2)
    expected = [float(alpha(found, distances))] * 2
    assert expected == pytest.approx(
        alpha_of_sums(apart, np.stack([sums, sums]), distances).tolist(), nan_ok=True
    )
