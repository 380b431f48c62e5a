"""Audit arithmetic: how often packing or a route changes labels, and how large a sample must be.

Pure, standard library only. Commands that ask a sample again, alone or in another order, call it.

A well-formed answer with two labels exchanged cannot be told by its form. A sample that is asked
again shows how often a label differs; an interval says what that tells of all rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95

_EXACT_ROWS = 1_000  # beyond it the exact sum and its approximation agree to four decimals


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share found in a sample, with its Wilson interval.

    Attributes:
        count: Rows that have the property.
        rows: Rows in the sample.
        low: Lower bound, 0 to 1.
        high: Upper bound, 0 to 1.
        level: Probability that such an interval holds the true share.
    """

    count: int
    rows: int
    low: float
    high: float
    level: float

    @property
    def share(self) -> float:
        """The share in the sample."""
        return self.count / self.rows


def wilson(count: int, rows: int, *, level: float = LEVEL) -> Share:
    """Return a share with its Wilson score interval, which holds for small samples and shares, too.

    Args:
        count: 0 to `rows`.
        rows: At least 1.
        level: Above 0 and below 1.

    Raises:
        ValueError: If the numbers cannot be a share.

    Source: Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    if not 0 <= count <= rows or rows < 1 or not 0 < level < 1:
        raise ValueError(f"{count} of {rows} rows at level {level} is no share.")
    low, high = bounds(count / rows, rows, NormalDist().inv_cdf((1 + level) / 2))
    return Share(count=count, rows=rows, low=low, high=high, level=level)


def bounds(share: float, rows: float, z: float) -> tuple[float, float]:
    """Return the Wilson bounds of a share of so many rows, which need not be a whole number.

    Args:
        share: 0 to 1.
        rows: Above 0.
        z: Quantile of the level.
    """
    scale = 1 + z * z / rows
    middle = (share + z * z / (2 * rows)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    # At the ends the bound is 0 or 1 exactly; the formula misses it by rounding.
    low = 0.0 if share <= 0 else max(0.0, middle - half)
    return low, 1.0 if share >= 1 else min(1.0, middle + half)


def rows_to_see(
    rate: float,
    *,
    noise: float = 0.0,
    per_request: int = 1,
    correlation: float = 0.0,
    level: float = LEVEL,
) -> int:
    """Return how many chunks a sample needs, so that changes of this rate hardly stay unseen.

    Without noise one change is enough: with n chunks none is seen with probability (1 - rate)^n,
    which must be at most 1 - level. With noise the sample must tell noise + rate from noise alone,
    at the same level on both sides (one-sided test of a share against a known one, normal
    approximation).

    That is for chunks that change one by one. Where whole requests are drawn and chunks of one
    request change together, it takes more by the design effect, 1 + (per_request - 1) *
    correlation: with a correlation of 1 as many requests as else chunks.

    Args:
        rate: Share of chunks whose label packing changes, above 0.
        noise: Share that differs anyway when the same chunk is asked twice.
        per_request: Chunks in a request of the sample, from 1.
        correlation: Of two chunks of a request, 0 to 1.
        level: Probability of seeing it, and of no false alarm.

    Raises:
        ValueError: If the numbers do not fit.
    """
    if not (0 < rate <= 1 and noise >= 0 and rate + noise <= 1 and 0 < level < 1):
        raise ValueError(f"A rate of {rate} beside a noise of {noise} at level {level}: no shares.")
    if per_request < 1 or not 0 <= correlation <= 1:
        raise ValueError(f"{per_request} chunks in a request, correlated by {correlation}.")
    effect = 1 + (per_request - 1) * correlation
    if rate == 1:
        alone = 1.0
    elif noise == 0:
        alone = math.log(1 - level) / math.log1p(-rate)
    else:
        spread = math.sqrt(noise * (1 - noise)) + math.sqrt((noise + rate) * (1 - noise - rate))
        alone = (NormalDist().inv_cdf(level) * spread / rate) ** 2
    return math.ceil(math.ceil(alone) * effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Two ways of labelling the same chunks, compared where only one of them is right.

    Attributes:
        only_first: Chunks that only the first way labels right.
        only_second: Chunks that only the second way labels right.
        p_value: Probability of a split at least this uneven if both are equally good, two-sided.
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(judged: Iterable[tuple[bool, bool]]) -> McNemar:
    """Compare two ways of labelling, say two routes, on the same chunks.

    Exact up to 1,000 chunks that count, by the normal approximation with continuity correction
    beyond.

    Args:
        judged: For each chunk, whether the first and the second way gave the gold label.

    Source: McNemar 1947, Note on the sampling error of the difference between correlated
    proportions.
    """
    first = second = 0
    for one, two in judged:
        first += bool(one) and not two  # numpy's own truth values would make a 64-bit count
        second += bool(two) and not one
    return McNemar(only_first=first, only_second=second, p_value=_p_value(first, second))


def _p_value(first: int, second: int) -> float:
    rows = first + second
    if rows == 0:
        return 1.0
    if rows > _EXACT_ROWS:
        z = max(0.0, abs(first - second) - 1) / math.sqrt(rows)
        return math.erfc(z / math.sqrt(2))
    tail = sum(math.comb(rows, count) for count in range(min(first, second) + 1))
    return min(1.0, float(2 * tail / (1 << rows)))
