"""Small tables of opinions for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from analysis.evaluation.counts import PairCounts, count_pairs
from analysis.evaluation.rows import Labels, Pair

krippendorff = import_module("krippendorff")
metrics = import_module("sklearn.metrics")
stats = import_module("scipy.stats")
# The libraries that the figures are held against. They have no types, or not everywhere.


def pairs_of(
    first: Sequence[str], second: Sequence[str], documents: Sequence[str | None] | None = None
) -> list[Pair]:
    """Return a pair per place of two lists of cells; a cell holds labels with spaces, or nothing.

    Without documents each pair has none.
    """
    named = documents or [None] * len(first)
    return [
        Pair(id=str(row), first=labels(one), second=labels(two), document=document)
        for row, (one, two, document) in enumerate(zip(first, second, named, strict=True))
    ]


def labels(cell: str) -> Labels:
    """Return the labels of a cell."""
    return tuple(cell.split())


def counted(first: Sequence[str], second: Sequence[str], keys: str = "a b c d e") -> PairCounts:
    """Return the counts of two lists of cells."""
    return count_pairs(pairs_of(first, second), keys.split())
