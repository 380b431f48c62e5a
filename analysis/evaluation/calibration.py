"""Whether stated confidence means what it says: reliability table, ECE, Brier score, threshold.

Pure. `findings` calls it with the confidence of each row and whether its label is the gold one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 10

Judged = tuple[float, bool]
"""Confidence of a label, 0 to 1, and whether the label is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows with about the same confidence.

    Attributes:
        low: Least confidence, within.
        high: Largest confidence; without, but for the last bin.
        rows: How many.
        confidence: Their mean confidence, or None where there are none.
        accuracy: Share of right labels, or None where there are none.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Confidence held against gold.

    Attributes:
        rows: Rows that state a confidence.
        ece: Expected calibration error: mean gap between confidence and accuracy over the bins,
            weighted by rows.
        brier: Mean squared gap between confidence and right (1) or wrong (0).
        bins: Of equal width.
    """

    rows: int
    ece: float
    brier: float
    bins: tuple[Bin, ...]


def calibrate(judged: Sequence[Judged], *, bins: int = BINS) -> Calibration | None:
    """Return the calibration of rows that state a confidence, or None without such rows.

    Source of ECE: Naeini et al. 2015, Obtaining Well Calibrated Probabilities Using Bayesian
    Binning; of the score: Brier 1950, in its form for one event.
    """
    if not judged:
        return None
    members: list[list[Judged]] = [[] for _ in range(bins)]
    for one in judged:
        members[min(int(one[0] * bins), bins - 1)].append(one)
    table = tuple(
        _bin(index / bins, (index + 1) / bins, rows) for index, rows in enumerate(members)
    )
    gaps = (
        one.rows * abs(one.confidence - one.accuracy)
        for one in table
        if one.confidence is not None and one.accuracy is not None
    )
    return Calibration(
        rows=len(judged),
        ece=sum(gaps) / len(judged),
        brier=sum((confidence - is_right) ** 2 for confidence, is_right in judged) / len(judged),
        bins=table,
    )


def _bin(low: float, high: float, rows: Sequence[Judged]) -> Bin:
    count = len(rows)
    return Bin(
        low=low,
        high=high,
        rows=count,
        confidence=sum(confidence for confidence, _ in rows) / count if count else None,
        accuracy=sum(is_right for _, is_right in rows) / count if count else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What is left when labels below a confidence are set aside.

    Attributes:
        min_confidence: The bound; rows with exactly this confidence are kept.
        rows: All rows, those without a label or confidence included.
        kept: Rows at or above it.
        accuracy: Share of right labels among the kept ones, or None where there are none.
        without: Rows that have a label and state no confidence; they are not kept.
    """

    min_confidence: float
    rows: int
    kept: int
    accuracy: float | None
    without: int

    @property
    def coverage(self) -> float:
        """The share of all rows that is kept; 0 without rows."""
        return self.kept / self.rows if self.rows else 0.0


def above(judged: Sequence[Judged], *, min_confidence: float, rows: int, without: int) -> Threshold:
    """Return coverage and accuracy of the rows at or above a confidence.

    Args:
        judged: Rows that state a confidence.
        min_confidence: 0 to 1.
        rows: All rows that were scored.
        without: Labelled rows among them that state none.
    """
    kept = [is_right for confidence, is_right in judged if confidence >= min_confidence]
    return Threshold(
        min_confidence=min_confidence,
        rows=rows,
        kept=len(kept),
        accuracy=sum(kept) / len(kept) if kept else None,
        without=without,
    )
