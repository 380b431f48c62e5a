"""Agreement of two opinions beyond chance, from counts: kappa, alpha, and scores of label sets.

Pure. `intervals` calls these on a thousand resampled matrices at once, `scores` on one.

Krippendorff's alpha of two complete codings depends on the coincidences alone, which are the
confusion matrix plus its mirror image. So no row is needed again, as the general algorithm for many
coders and missing values does; the tests compare with that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.evaluation.counts import Matrix, share
from analysis.evaluation.rows import Labels


def accuracy(matrices: Matrix) -> Matrix:
    """Return the share on the diagonal; shape (..., n, n) to (...)."""
    return share(np.trace(matrices, axis1=-2, axis2=-1), matrices.sum(axis=(-2, -1)))


def macro_f1(matrices: Matrix) -> Matrix:
    """Return the mean F1 over the labels that `first` has; shape (..., n, n) to (...).

    A label of `first` that `second` never has counts as 0.
    """
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    first, second = matrices.sum(axis=-1), matrices.sum(axis=-2)
    f1 = share(2 * hits, first + second)
    is_present = first > 0
    return share((f1 * is_present).sum(axis=-1), is_present.sum(axis=-1))


def kappa(matrices: Matrix) -> Matrix:
    """Return Cohen's kappa; shape (..., n, n) to (...); nan where chance alone agrees always."""
    rows = matrices.sum(axis=(-2, -1))
    observed = share(np.trace(matrices, axis1=-2, axis2=-1), rows)
    expected = share((matrices.sum(axis=-1) * matrices.sum(axis=-2)).sum(axis=-1), rows**2)
    return _beyond(1 - observed, 1 - expected)


def alpha(matrices: Matrix, distances: Matrix | None = None) -> Matrix:
    """Return Krippendorff's alpha of two complete codings; shape (..., n, n) to (...).

    Args:
        matrices: Rows per pair of values.
        distances: Distance of each pair of values, shape (n, n); by default 0 or 1 (nominal).

    Returns:
        1 for perfect agreement, 0 for that of chance; nan where all values are the same.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, sections B and C.
    """
    size = matrices.shape[-1]
    distance = 1 - np.eye(size) if distances is None else distances
    coincidences = matrices + np.swapaxes(matrices, -2, -1)
    disagreement = (coincidences * distance).sum(axis=(-2, -1))
    return alpha_of_sums(disagreement, coincidences.sum(axis=-1), distance)


def alpha_of_sums(disagreement: Matrix, values: Matrix, distances: Matrix) -> Matrix:
    """Return Krippendorff's alpha from sums, for many codings at once; shape (...).

    Args:
        disagreement: Distances summed over all coincidences, each row counted twice; shape (...).
        values: How often each value occurs on both sides, shape (..., n).
        distances: Of each pair of values, 0 on the diagonal, shape (n, n).
    """
    total = values.sum(axis=-1)
    products = ((values @ distances) * values).sum(axis=-1)
    return _beyond(share(disagreement, total), share(products, total * (total - 1)))


def _beyond(observed: Any, expected: Any) -> Matrix:
    """Return 1 - observed / expected disagreement, nan where none is expected."""
    above, below = np.asarray(observed), np.asarray(expected)
    is_defined = below > 1e-12  # 1 minus a sum of squares of shares can miss zero by rounding
    ratio = np.divide(above, below, out=np.full(above.shape, np.nan), where=is_defined)
    result: Matrix = 1 - ratio
    return result


def masi_distances(values: Sequence[Labels]) -> Matrix:
    """Return the MASI distances of all pairs of label sets, shape (values, values).

    The distance is one minus the Jaccard index times 1 for equal sets, 2/3 where one holds the
    other, 1/3 where they overlap, 0 where they do not: 0 for equal, 1 for disjoint ones.

    Source: Passonneau 2006, Measuring Agreement on Set-valued Items (MASI).
    """
    keys = sorted({key for value in values for key in value})
    has = np.array([[key in value for key in keys] for value in values], dtype=np.float64)
    has = has.reshape(len(values), len(keys))
    shared, sizes = has @ has.T, has.sum(axis=1)
    either = sizes[:, None] + sizes[None, :] - shared
    is_nested = shared == np.minimum(sizes[:, None], sizes[None, :])
    monotonicity = np.where(shared == either, 1.0, np.where(is_nested, 2 / 3, 1 / 3))
    # Two empty sets are equal though they share nothing.
    jaccard = np.where(either == 0, 1.0, share(shared, either))
    distances: Matrix = 1 - jaccard * monotonicity
    return distances
