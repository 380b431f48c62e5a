"""Intervals of scores: what other rows, or other documents, could have given.

Pure; chance comes from the seed. `findings` calls it.

Rows of one document resemble each other, so whole documents are drawn where they are known; rows
drawn one by one would give intervals that are too narrow. Drawing happens on counts of distinct
pairs: a thousand resamples of a million rows are a thousand small matrices.

Shares of rows, such as accuracy, have Wilson's interval, by document where documents are drawn
(`grouped`): a resample of rows that are all right is all right, so the bootstrap would give an
interval without width. For the other figures the bootstrap is what there is; with few rows it is
too narrow, and `findings` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.evaluation.agreement import (
    accuracy,
    alpha,
    alpha_of_sums,
    kappa,
    macro_f1,
    masi_distances,
)
from analysis.evaluation.audit import wilson
from analysis.evaluation.counts import Matrix, PairCounts, share
from analysis.evaluation.extra import load
from analysis.evaluation.grouped import grouped_share
from analysis.evaluation.rows import Pair
from analysis.evaluation.scores import set_codes

LEVEL = 0.95
RESAMPLES = 1_000
SEED = 20_261_121

_BATCH_CELLS = 4_000_000  # numbers that are held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Intervals of all figures: of shares by Wilson, of the others percentiles of resamples.

    Attributes:
        unit: What was drawn: `document` or `row`.
        units: How many there are.
        resamples: How often as many were drawn, with replacement.
        seed: Of the draws.
        level: Share of the resamples within an interval.
        bounds: Figure -> lower and upper bound; figures that are never defined are absent.
        wilson: The figures that are shares of rows.
        without_document: Rows that name no document, where others do; rows are drawn for them.
    """

    unit: str
    units: int
    resamples: int
    seed: int
    level: float
    bounds: dict[str, tuple[float, float]]
    wilson: tuple[str, ...]
    without_document: int


def bootstrap(
    pairs: Sequence[Pair],
    counts: PairCounts,
    *,
    with_sets: bool = False,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> Intervals | None:
    """Return intervals of the figures of `scores.figures`, or None where nothing can be drawn.

    Args:
        pairs: All rows; documents are drawn if every row names its document.
        counts: The same rows, counted.
        with_sets: Include the figures of label sets.
        resamples: 0 for none.
        seed: The same seed gives the same intervals.
        level: 0 to 1.

    Raises:
        ConfigurationError: If scikit-learn, and scipy with it, is missing.
    """
    without = sum(pair.document is None for pair in pairs)
    by_document = bool(pairs) and not without
    units = len({pair.document for pair in pairs}) if by_document else len(pairs)
    if units < 2 or resamples < 1:
        return None
    rng = np.random.default_rng(seed)
    if by_document:
        batches = _document_draws(pairs, counts, units, resamples, rng)
    else:
        batches = _row_draws(counts, resamples, rng)
    figures = _Figures(counts, with_sets=with_sets)
    drawn = [figures.of(batch) for batch in batches]
    bounds = {}
    for name in drawn[0]:
        values = np.concatenate([one[name] for one in drawn])
        if (defined := values[~np.isnan(values)]).size:
            low, high = np.quantile(defined, ((1 - level) / 2, (1 + level) / 2))
            bounds[name] = (float(low), float(high))
    shares = _shares(pairs, counts, with_sets=with_sets, level=level)
    return Intervals(
        unit="document" if by_document else "row",
        units=units,
        resamples=resamples,
        seed=seed,
        level=level,
        bounds=bounds | shares,
        wilson=tuple(shares),
        without_document=without if without < len(pairs) else 0,
    )


def _shares(
    pairs: Sequence[Pair], counts: PairCounts, *, with_sets: bool, level: float
) -> dict[str, tuple[float, float]]:
    """Return the intervals of the figures that are shares of rows, by document where all name one.

    Args:
        pairs: All rows.
        counts: The same rows, counted.
        with_sets: Include the share of rows whose sets have a label in common.
        level: Of the intervals.
    """
    hits = {"accuracy": [pair.agrees for pair in pairs]}
    if with_sets:
        column = {pair: index for index, pair in enumerate(counts.pairs)}
        meets = (counts.set_agreement()[:, 0] > 0).tolist()
        hits["any_match"] = [meets[column[pair.first, pair.second]] for pair in pairs]
    if any(pair.document is None for pair in pairs):
        alone = {name: wilson(sum(flags), len(pairs), level=level) for name, flags in hits.items()}
        return {name: (one.low, one.high) for name, one in alone.items()}
    rows = Counter(pair.document for pair in pairs)
    found = {}
    for name, flags in hits.items():
        hit = Counter(pair.document for pair, is_hit in zip(pairs, flags, strict=True) if is_hit)
        one = grouped_share([(hit[document], rows[document]) for document in rows], level=level)
        found[name] = (one.low, one.high)
    return found


def _row_draws(counts: PairCounts, resamples: int, rng: Any) -> Iterator[Matrix]:
    """Yield batches of rows per distinct pair, shape (some resamples, pairs)."""
    shares = np.array(counts.weights) / counts.rows
    for size in _sizes(resamples, _width(counts)):
        yield rng.multinomial(counts.rows, shares, size=size).astype(np.float64)


def _document_draws(
    pairs: Sequence[Pair], counts: PairCounts, units: int, resamples: int, rng: Any
) -> Iterator[Matrix]:
    sparse = load("scipy.sparse")
    column = {pair: index for index, pair in enumerate(counts.pairs)}
    row: dict[str | None, int] = {}
    cells = Counter(
        (row.setdefault(pair.document, len(row)), column[pair.first, pair.second]) for pair in pairs
    )
    places = np.array(list(cells)).T
    shape = (len(column), units)
    by_unit = sparse.csr_array((list(cells.values()), (places[1], places[0])), shape=shape)
    for size in _sizes(resamples, max(units, _width(counts))):
        # Counting plain draws is several times faster here than `rng.multinomial`.
        draws = (rng.integers(units, size=units) for _ in range(size))
        times = np.array([np.bincount(drawn, minlength=units) for drawn in draws])
        yield (by_unit @ times.T).T.astype(np.float64)


def _width(counts: PairCounts) -> int:
    """Return the most numbers that one resample needs at a time."""
    sets = {tuple(sorted(one)) for pair in counts.pairs for one in pair}
    return max(len(counts.names) ** 2, len(sets), len(counts.pairs))


def _sizes(resamples: int, width: int) -> Iterator[int]:
    size = max(1, min(resamples, _BATCH_CELLS // width))
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


class _Figures:
    """The figures of resamples; the names of `scores.figures`.

    What does not depend on the draws is made once: which cell of the matrix, and which label sets,
    a distinct pair counts for.
    """

    def __init__(self, counts: PairCounts, *, with_sets: bool) -> None:
        """Begin.

        Args:
            counts: The distinct pairs.
            with_sets: Include the figures of label sets.
        """
        first, second = counts.codes()
        self._names = len(counts.names)
        self._cells = _sums([first * self._names + second], self._names**2)
        self._shared: Matrix | None = None
        if with_sets:
            one, two, values = set_codes(counts)
            self._shared = counts.set_agreement()
            self._values = _sums([one, two], len(values))
            self._distances = masi_distances(values)
            self._apart = 2 * self._distances[one, two]

    def of(self, drawn: Matrix) -> dict[str, Matrix]:
        """Return the figures of each resample.

        Args:
            drawn: Rows per distinct pair, shape (resamples, pairs).
        """
        matrices = (drawn @ self._cells).reshape(-1, self._names, self._names)
        found = {
            "accuracy": accuracy(matrices),
            "macro_f1": macro_f1(matrices),
            "kappa": kappa(matrices),
            "alpha": alpha(matrices),
        }
        if self._shared is not None:
            rows = drawn.sum(axis=1)
            any_match, jaccard, both, ours, theirs = (drawn @ self._shared).T
            found |= {
                "any_match": share(any_match, rows),
                "micro_f1": share(2 * both, ours + theirs),
                "jaccard": share(jaccard, rows),
                "alpha_sets": alpha_of_sums(
                    drawn @ self._apart, drawn @ self._values, self._distances
                ),
            }
        return found


def _sums(places: Sequence[Any], size: int) -> Any:
    """Return a sparse matrix that adds up rows by place, shape (pairs, size).

    Args:
        places: For each pair one place or several, each of shape (pairs,).
        size: Number of places.
    """
    pairs = np.tile(np.arange(len(places[0])), len(places))
    ones = np.ones(len(pairs))
    return load("scipy.sparse").csr_array(
        (ones, (pairs, np.concatenate(places))), shape=(len(places[0]), size)
    )
