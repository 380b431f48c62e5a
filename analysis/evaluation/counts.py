"""Pairs of label sets, each distinct pair once with its number of rows.

Pure. `scores` and `intervals` work on these counts, so that a million rows cost no more than the
few hundred distinct pairs among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.evaluation.rows import NONE as NONE
from analysis.evaluation.rows import Labels, Pair

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """Distinct pairs of opinions.

    Attributes:
        keys: Label keys in the order of the label set.
        pairs: Distinct (first, second), sorted.
        weights: Rows of each pair, shape (pairs,).
    """

    keys: tuple[str, ...]
    pairs: tuple[tuple[Labels, Labels], ...]
    weights: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(self.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """The keys, and `NONE` for rows without a label."""
        return (*self.keys, NONE)

    def codes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places in `names` of the primary labels, first and second, per pair."""
        place = {name: index for index, name in enumerate(self.names)}
        first = [place[(*one, NONE)[0]] for one, _ in self.pairs]
        second = [place[(*two, NONE)[0]] for _, two in self.pairs]
        return np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)

    def confusion(self) -> Matrix:
        """Return the rows per primary label: first down, second across, shape (names, names)."""
        size = len(self.names)
        first, second = self.codes()
        cells = np.bincount(first * size + second, weights=self.weights, minlength=size * size)
        return cells.reshape(size, size).astype(np.float64)

    def set_agreement(self) -> Matrix:
        """Return per pair what two sets share, shape (pairs, 5).

        The columns: the sets share a label (0 or 1); Jaccard index; shared labels; labels of
        first; labels of second.
        """
        found = [_shared(first, second) for first, second in self.pairs]
        return np.array(found, dtype=np.float64).reshape(len(self.pairs), 5)


def _shared(first: Labels, second: Labels) -> tuple[float, float, float, float, float]:
    both = len(set(first) & set(second))
    either = len(set(first) | set(second))
    jaccard = both / either if either else 1.0
    return float(both > 0 or not either), jaccard, both, len(first), len(second)


def count_pairs(pairs: Iterable[Pair], keys: Sequence[str]) -> PairCounts:
    """Count the distinct pairs; the labels of all rows must be among the keys."""
    return counts_of(Counter((pair.first, pair.second) for pair in pairs), keys)


def counts_of(found: Mapping[tuple[Labels, Labels], int], keys: Sequence[str]) -> PairCounts:
    """Return counts as a value, in an order that does not depend on the rows' order."""
    ordered = sorted(found)
    return PairCounts(
        keys=tuple(keys),
        pairs=tuple(ordered),
        weights=tuple(found[one] for one in ordered),
    )


def share(part: Any, whole: Any) -> Matrix:
    """Divide, elementwise; zero where the divisor is zero."""
    above, below = np.broadcast_arrays(
        np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    )
    quotient: Matrix = np.divide(above, below, out=np.zeros(above.shape), where=below != 0)
    return quotient
