"""Shares of rows that were drawn together: intervals and a test for whole requests or documents.

Pure, standard library only. `reasked` calls it with requests, `intervals` with documents.

Rows of one request share its fate: a swap inside an answer, or an answer that was shifted, changes
several of them at once. An interval that takes such rows for independent ones is too narrow: with
30 requests of ten and a correlation of 0.3 it held the true share in 70 of 100 simulated audits
(`benchmarks/coverage.py`).

So rows count as fewer. Their correlation within a group is estimated from the spread between
groups, which few groups with a hit cannot show. So the estimate is drawn towards 1 as if one more
group had been seen, hit as a whole; the more groups have a hit, the less. Two things follow: where
no row is hit, a group counts as one row, so that the bound is that of groups; and where every group
is a single row, the interval is that of Wilson.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from analysis.evaluation.audit import LEVEL, bounds

_EXACT_STEPS = 2_000_000
"""Beyond it the exact distribution takes seconds, and the normal one hardly differs from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedShare:
    """A share found in rows that were drawn in groups.

    Attributes:
        count: Rows that have the property.
        rows: Rows in the sample.
        groups: Groups that they stand in.
        low: Lower bound, 0 to 1.
        high: Upper bound, 0 to 1.
        low_by_rows: Lower bound if rows of a group were independent of each other (Wilson).
        high_by_rows: Upper bound if they were.
        level: Probability that such an interval holds the true share.
    """

    count: int
    rows: int
    groups: int
    low: float
    high: float
    low_by_rows: float
    high_by_rows: float
    level: float

    @property
    def share(self) -> float:
        """The share in the sample."""
        return self.count / self.rows


def grouped_share(groups: Sequence[tuple[int, int]], *, level: float = LEVEL) -> GroupedShare:
    """Return a share with an interval that allows for rows of a group to be alike.

    It is the Wilson interval of fewer rows, the design effect taken off, with Student's quantile
    for the number of groups. It is never narrower than that of independent rows, and never says
    more than what the groups alone say: no more than the share of groups with a hit can be hit.

    Args:
        groups: For each group, how many of its rows have the property, and its rows, at least 1.
        level: Above 0 and below 1.

    Raises:
        ValueError: If there is no group, or the numbers are no shares.

    Source: Kish 1965, Survey Sampling, section 5.4 (design effect); Franco, Little, Louis and Slud
        2019, Comparative study of confidence intervals for proportions in complex sample surveys.
    """
    if not groups or any(not 0 <= count <= rows or rows < 1 for count, rows in groups):
        raise ValueError("Groups need rows, and no more hits than rows.")
    count = sum(hits for hits, _ in groups)
    rows = sum(size for _, size in groups)
    share, size = count / rows, sum(size * size for _, size in groups) / rows
    z = NormalDist().inv_cdf((1 + level) / 2)
    by_rows = bounds(share, rows, z)
    effective = rows / (1 + (size - 1) * _correlation(groups, share, size))
    low, high = bounds(share, effective, student(len(groups) - 1, level))
    # Groups with a hit, and groups with a row that is none, weighed by their rows.
    hit = sum(size for hits, size in groups if hits > 0) / rows
    spared = sum(size for hits, size in groups if hits < size) / rows
    least, most = 1 - bounds(spared, rows / size, z)[1], bounds(hit, rows / size, z)[1]
    return GroupedShare(
        count=count,
        rows=rows,
        groups=len(groups),
        low=min(by_rows[0], max(low, least)),
        high=max(by_rows[1], min(high, most)),
        low_by_rows=by_rows[0],
        high_by_rows=by_rows[1],
        level=level,
    )


def _correlation(groups: Sequence[tuple[int, int]], share: float, size: float) -> float:
    """Return the correlation of rows within a group, 0 to 1, drawn towards 1 where hits are few.

    Args:
        groups: Hits and rows of each.
        share: Of all rows.
        size: Rows in the group of a mean row.
    """
    hit = sum(hits > 0 for hits, _ in groups)
    seen = min(hit, sum(hits < rows for hits, rows in groups))
    if size == 1 or not seen or len(groups) == 1:
        return 1.0
    rows = sum(rows for _, rows in groups)
    spread = sum((hits - share * size) ** 2 for hits, size in groups)
    effect = len(groups) / (len(groups) - 1) * spread / (rows * share * (1 - share))
    found = min(1.0, max(0.0, (effect - 1) / (size - 1)))
    return (seen * found + 1) / (seen + 1)


def student(freedom: int, level: float) -> float:
    """Return the two-sided quantile of Student's distribution, to 1 in 100.

    Args:
        freedom: Degrees of freedom; below 1 the normal distribution is taken, since nothing was
            estimated.
        level: Of the interval.

    Source: Abramowitz and Stegun 1964, Handbook of Mathematical Functions, 26.7.5; closed forms for
        one and two degrees.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    if freedom < 1:
        return z
    if freedom == 1:
        return math.tan(math.pi * level / 2)
    if freedom == 2:
        return level * math.sqrt(2 / (1 - level * level))
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / float(freedom**power) for power, term in enumerate(terms, start=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The difference of two shares of the same rows.

    Attributes:
        difference: Of the first share and the second.
        low: Lower bound, -1 to 1.
        high: Upper bound.
        level: Probability that such an interval holds the true difference.
        p_value: Probability of a difference at least this large, two-sided, if in each group the
            two could be exchanged.
    """

    difference: float
    low: float
    high: float
    level: float
    p_value: float


def paired_difference(
    groups: Sequence[tuple[int, int, int]], *, level: float = LEVEL
) -> PairedDifference:
    """Compare two shares of the same rows, which were drawn in groups.

    The interval joins those of the two shares, less what they have in common by groups.

    Args:
        groups: For each group: rows with the first property, with the second, and all its rows.
        level: Of the interval.

    Raises:
        ValueError: As for `grouped_share`.

    Source: Newcombe 1998, Improved confidence intervals for the difference between binomial
        proportions based on paired data, method 10; there with the correlation of rows.
    """
    one = grouped_share([(first, rows) for first, _, rows in groups], level=level)
    two = grouped_share([(second, rows) for _, second, rows in groups], level=level)
    left = [first - one.share * rows for first, _, rows in groups]
    right = [second - two.share * rows for _, second, rows in groups]
    scale = math.sqrt(sum(x * x for x in left) * sum(y * y for y in right))
    common = sum(x * y for x, y in zip(left, right, strict=True)) / scale if scale else 0.0
    difference = (one.count - two.count) / one.rows
    below = _joined(one.share - one.low, two.high - two.share, common)
    above = _joined(one.high - one.share, two.share - two.low, common)
    return PairedDifference(
        difference=difference,
        low=max(-1.0, difference - below),
        high=min(1.0, difference + above),
        level=level,
        p_value=sign_flip([first - second for first, second, _ in groups]),
    )


def _joined(one: float, two: float, common: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * common * one * two + two * two))


def sign_flip(differences: Iterable[int]) -> float:
    """Return how likely so large a sum of differences is if each could as well have the other sign.

    With one row in each group it is McNemar's exact test. n groups that differ cannot give less
    than 2 / 2**n. Exact by the distribution of the sum; where that takes more than two million
    steps, thousands of groups differ, and the normal approximation stands in.

    Args:
        differences: Of each group.

    Returns:
        The two-sided p-value, 1 where no group differs.

    Source: Fisher 1935, The Design of Experiments, section 21.
    """
    signed = [one for one in differences if one]
    sizes = [abs(one) for one in signed]
    seen, most = abs(sum(signed)), sum(sizes)
    if not seen:
        return 1.0
    if len(sizes) * most > _EXACT_STEPS:
        spread = math.sqrt(sum(size * size for size in sizes))
        half_step = math.gcd(*sizes)  # another sign moves the sum by twice as much at least
        return math.erfc(max(0, seen - half_step) / spread / math.sqrt(2))
    chances = {0: 1.0}
    for size in sizes:
        drawn: dict[int, float] = {}
        for total, chance in chances.items():
            for moved in (total - size, total + size):
                drawn[moved] = drawn.get(moved, 0.0) + chance / 2
        chances = drawn
    return min(1.0, sum(chance for total, chance in chances.items() if abs(total) >= seen))
