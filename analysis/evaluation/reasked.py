"""How often a label changes when the same chunks are asked again, beside the noise of asking twice.

Pure. `commands.evaluate_audit` and `audit.proof` call it with the labels of each arm.

A model may answer the same question differently, so a changed label is not yet an effect of
packing. What tells the two apart is the arm that repeats the question: the same packs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evaluation.audit import LEVEL, Share, mcnemar, wilson
from analysis.evaluation.rows import Labels

SHOWN_IDS = 5

Labelled = Mapping[str, Labels]
"""Chunk id -> its labels, the primary one first; chunks without one are missing."""


def changed(before: Labelled, after: Labelled, *, level: float = LEVEL) -> dict[str, Any] | None:
    """Return how often labels differ between two askings of the same chunks.

    Args:
        before: Labels of the first asking.
        after: Labels of the second one.
        level: Of the intervals.

    Returns:
        `rows` that have a label in both; `same` primary label, changed `primary` label and `any`
        change (the second label counts, too), each as share, count and interval; and the first ids.
        None where no chunk has a label in both.
    """
    both = [name for name in before if name in after]
    if not both:
        return None
    primary = [name for name in both if before[name][:1] != after[name][:1]]
    anything = sum(set(before[name]) != set(after[name]) for name in both)
    return {
        "rows": len(both),
        "same": share_values(wilson(len(both) - len(primary), len(both), level=level)),
        "primary": share_values(wilson(len(primary), len(both), level=level)),
        "any": share_values(wilson(anything, len(both), level=level)),
        "first_ids": primary[:SHOWN_IDS],
    }


def beyond_noise(before: Labelled, after: Labelled, again: Labelled) -> dict[str, Any] | None:
    """Return what an arm changes beyond the noise of asking twice.

    Args:
        before: Labels of the run.
        after: Labels of the arm.
        again: Labels of the same question, asked once more.

    Returns:
        `rows` with a label in all three, `difference` of the two shares of changed primary labels,
        and McNemar's test of it: chunks that only the arm changed, chunks that only the repetition
        changed, and the probability of such a split without an effect. None without such rows.
    """
    names = [name for name in before if name in after and name in again]
    if not names:
        return None
    split = mcnemar(
        (after[name][:1] != before[name][:1], again[name][:1] != before[name][:1]) for name in names
    )
    return {
        "rows": len(names),
        "difference": (split.only_first - split.only_second) / len(names),
        "only_arm": split.only_first,
        "only_again": split.only_second,
        "p_value": split.p_value,
    }


def share_values(share: Share) -> dict[str, Any]:
    """Return a share as JSON has it."""
    return {
        "count": share.count,
        "rows": share.rows,
        "share": share.share,
        "low": share.low,
        "high": share.high,
        "level": share.level,
    }
