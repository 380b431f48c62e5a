"""Bootstrap intervals of scores: what other rows, or other documents, could have given.

Pure; chance comes from the seed. `findings` calls it.

Rows of one document resemble each other, so whole documents are drawn where they are known; rows
drawn one by one would give intervals that are too narrow. Drawing happens on counts of distinct
pairs: a thousand resamples of a million rows are a thousand small matrices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.evaluation.agreement import accuracy, alpha, kappa, macro_f1, masi_distances
from analysis.evaluation.counts import Matrix, PairCounts, share
from analysis.evaluation.extra import load
from analysis.evaluation.rows import Pair
from analysis.evaluation.scores import set_confusion

LEVEL = 0.95
RESAMPLES = 1_000
SEED = 20_261_121

_BATCH_CELLS = 4_000_000  # numbers that are held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Percentile intervals of all figures.

    Attributes:
        unit: What was drawn: `document` or `row`.
        units: How many there are.
        resamples: How often as many were drawn, with replacement.
        seed: Of the draws.
        level: Share of the resamples within an interval.
        bounds: Figure -> lower and upper bound; figures that are never defined are absent.
    """

    unit: str
    units: int
    resamples: int
    seed: int
    level: float
    bounds: dict[str, tuple[float, float]]


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
    by_document = bool(pairs) and all(pair.document is not None for pair in pairs)
    units = len({pair.document for pair in pairs}) if by_document else len(pairs)
    if units < 2 or resamples < 1:
        return None
    rng = np.random.default_rng(seed)
    if by_document:
        batches = _document_draws(pairs, counts, units, resamples, rng)
    else:
        batches = _row_draws(counts, resamples, rng)
    drawn = [_figures(counts, batch, with_sets) for batch in batches]
    bounds = {}
    for name in drawn[0]:
        values = np.concatenate([one[name] for one in drawn])
        if (defined := values[~np.isnan(values)]).size:
            low, high = np.quantile(defined, ((1 - level) / 2, (1 + level) / 2))
            bounds[name] = (float(low), float(high))
    return Intervals(
        unit="document" if by_document else "row",
        units=units,
        resamples=resamples,
        seed=seed,
        level=level,
        bounds=bounds,
    )


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
    sets = len({one for pair in counts.pairs for one in pair})
    return int(max(len(counts.names) ** 2, sets**2))


def _sizes(resamples: int, width: int) -> Iterator[int]:
    size = max(1, min(resamples, _BATCH_CELLS // width))
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def _figures(counts: PairCounts, drawn: Matrix, with_sets: bool) -> dict[str, Matrix]:
    """Return the figures of each resample; the names of `scores.figures`.

    Args:
        counts: The distinct pairs.
        drawn: Rows per distinct pair, shape (resamples, pairs).
        with_sets: Include the figures of label sets.
    """
    first, second = counts.codes()
    matrices = _spread(drawn, first, second, len(counts.names))
    found = {
        "accuracy": accuracy(matrices),
        "macro_f1": macro_f1(matrices),
        "kappa": kappa(matrices),
        "alpha": alpha(matrices),
    }
    if with_sets:
        rows = drawn.sum(axis=1)
        any_match, jaccard, both, ours, theirs = (drawn @ counts.set_agreement()).T
        _, values = set_confusion(counts)
        place = {value: index for index, value in enumerate(values)}
        one, two = ([place[pair[side]] for pair in counts.pairs] for side in (0, 1))
        sets = _spread(drawn, one, two, len(values))
        found |= {
            "any_match": share(any_match, rows),
            "micro_f1": share(2 * both, ours + theirs),
            "jaccard": share(jaccard, rows),
            "alpha_sets": alpha(sets, masi_distances(values)),
        }
    return found


def _spread(drawn: Matrix, first: Any, second: Any, size: int) -> Matrix:
    """Return square matrices of the rows per pair of values, shape (resamples, size, size)."""
    matrices = np.zeros((len(drawn), size, size))
    for column, (one, two) in enumerate(zip(first, second, strict=True)):
        matrices[:, one, two] += drawn[:, column]
    return matrices
