"""How well one opinion on each chunk meets another: scores of all rows, and per label.

Pure. `findings` calls it. The figures are those of scikit-learn, from distinct pairs with their
number of rows as weights; alpha and MASI are those of `agreement`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.evaluation.agreement import alpha, masi_distances
from analysis.evaluation.counts import NONE, Matrix, PairCounts, counts_of
from analysis.evaluation.extra import load
from analysis.evaluation.rows import Labels

FEW = 10
"""A label with fewer rows than this on the first side has scores that chance moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore:
    """Scores of one label, by primary labels.

    Attributes:
        key: The label.
        first: Rows that have it on the first side (gold: its support).
        second: Rows that have it on the second side.
        precision: Of the second side's rows, the share that the first side confirms; 0 if none.
        recall: Of the first side's rows, the share that the second side found; 0 if none.
        f1: Their harmonic mean; 0 if both are 0.
    """

    key: str
    first: int
    second: int
    precision: float
    recall: float
    f1: float

    @property
    def is_few(self) -> bool:
        """Whether the first side has some, but fewer than `FEW` rows of it."""
        return 0 < self.first < FEW


def figures(counts: PairCounts, *, with_sets: bool = False) -> dict[str, float]:
    """Return the scores of all rows by name, those of label sets only if asked for.

    The names: `accuracy`, `macro_f1` (over the labels that the first side has), `kappa` (Cohen) and
    `alpha` (Krippendorff, nominal) of primary labels; `any_match` (the sets share a label),
    `micro_f1`, `jaccard` (mean) and `alpha_sets` (Krippendorff, MASI distance) of label sets. A
    row without a label on the second side counts as wrong. A figure that is not defined is nan.

    Raises:
        ConfigurationError: If scikit-learn is missing.
    """
    metrics = load("sklearn.metrics")
    first, second = counts.codes()
    weights = counts.weights
    found = {
        "accuracy": metrics.accuracy_score(first, second, sample_weight=weights),
        "macro_f1": metrics.f1_score(
            first,
            second,
            labels=np.unique(first),
            average="macro",
            sample_weight=weights,
            zero_division=0,
        ),
        "kappa": _kappa(metrics, first, second, weights),
        "alpha": alpha(counts.confusion()),
    }
    if with_sets:
        found |= _set_figures(metrics, counts)
    return {name: float(value) for name, value in found.items()}


def _kappa(metrics: Any, first: Any, second: Any, weights: Any) -> float:
    if len(np.union1d(first, second)) < 2:  # one label everywhere: nothing beyond chance can show
        return float("nan")
    return float(metrics.cohen_kappa_score(first, second, sample_weight=weights))


def _set_figures(metrics: Any, counts: PairCounts) -> dict[str, Any]:
    first = _indicators(counts, 0)
    second = _indicators(counts, 1)
    weights = counts.weights
    matrix, values = set_confusion(counts)
    return {
        "any_match": np.average(counts.set_agreement()[:, 0], weights=weights),
        "micro_f1": metrics.f1_score(
            first, second, average="micro", sample_weight=weights, zero_division=0
        ),
        "jaccard": metrics.jaccard_score(
            first, second, average="samples", sample_weight=weights, zero_division=1
        ),
        "alpha_sets": alpha(matrix, masi_distances(values)),
    }


def _indicators(counts: PairCounts, side: int) -> Any:
    """Return 1 where a pair's side has a label, shape (pairs, keys)."""
    return np.array([[key in pair[side] for key in counts.keys] for pair in counts.pairs], int)


def set_confusion(counts: PairCounts) -> tuple[Matrix, tuple[Labels, ...]]:
    """Return the rows per pair of label sets, and the sets, each sorted; shape (sets, sets)."""
    first, second, values = set_codes(counts)
    matrix = np.zeros((len(values), len(values)))
    np.add.at(matrix, (first, second), counts.weights)
    return matrix, values


def set_codes(counts: PairCounts) -> tuple[Any, Any, tuple[Labels, ...]]:
    """Return the places of both label sets of each pair, and the sets, whose order is no matter."""
    sides = [[tuple(sorted(pair[side])) for pair in counts.pairs] for side in (0, 1)]
    values = tuple(sorted({value for side in sides for value in side}))
    place = {value: index for index, value in enumerate(values)}
    first, second = (np.array([place[value] for value in side], dtype=np.int64) for side in sides)
    return first, second, values


def label_scores(counts: PairCounts) -> tuple[LabelScore, ...]:
    """Return the scores of the labels that occur on some side, in the order of the keys.

    Raises:
        ConfigurationError: If scikit-learn is missing.
    """
    metrics = load("sklearn.metrics")
    first, second = counts.codes()
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        first,
        second,
        labels=range(len(counts.keys)),
        sample_weight=counts.weights,
        zero_division=0,
    )
    matrix = counts.confusion()
    scores = (
        LabelScore(
            key=key,
            first=int(matrix[index].sum()),
            second=int(matrix[:, index].sum()),
            precision=float(precision[index]),
            recall=float(recall[index]),
            f1=float(f1[index]),
        )
        for index, key in enumerate(counts.keys)
    )
    return tuple(score for score in scores if score.first or score.second)


def majority(counts: PairCounts) -> tuple[str, PairCounts]:
    """Return the most frequent primary label of the first side, and all rows labelled with it.

    Of equally frequent labels the first of the label set is taken.
    """
    support = counts.confusion().sum(axis=1)
    key = counts.names[int(np.argmax(support))]
    opinion: Labels = () if key == NONE else (key,)
    merged: Counter[tuple[Labels, Labels]] = Counter()
    for (first, _), weight in zip(counts.pairs, counts.weights, strict=True):
        merged[first, opinion] += weight
    return key, counts_of(merged, counts.keys)
