"""How often a label changes when the same chunks are asked again, beside the noise of asking twice.

Pure. `commands.evaluate_audit` and `audit.proof` call it with the labels of each arm.

A model may answer the same question differently, so a changed label is not yet an effect of
packing. What tells the two apart is the arm that repeats the question: the same packs again.

Whole requests are drawn, and chunks of one request can change together, so intervals and tests are
by request (`grouped`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from analysis.evaluation.audit import LEVEL
from analysis.evaluation.grouped import GroupedShare, grouped_share, paired_difference
from analysis.evaluation.rows import Labels

SHOWN_IDS = 5

Labelled = Mapping[str, Labels]
"""Chunk id -> its labels, the primary one first; chunks without one are missing."""

Requests = Mapping[str, Hashable]
"""Chunk id -> the request that it shared with others; a missing one was alone."""


def changed(
    before: Labelled, after: Labelled, *, requests: Requests, level: float = LEVEL
) -> dict[str, Any] | None:
    """Return how often labels differ between two askings of the same chunks.

    Args:
        before: Labels of the first asking.
        after: Labels of the second one.
        requests: Chunks that shared a request in one of the two.
        level: Of the intervals.

    Returns:
        `rows` that have a label in both; `same` primary label, changed `primary` label and `any`
        change (the second label counts, too), each as share, count and interval; and the first ids.
        None where no chunk has a label in both.
    """
    both = [name for name in before if name in after]
    if not both:
        return None
    primary = {name for name in both if before[name][:1] != after[name][:1]}
    anything = {name for name in both if set(before[name]) != set(after[name])}

    packs = _packs(both, requests)

    def share(hits: set[str]) -> dict[str, Any]:
        groups = [(sum(name in hits for name in names), len(names)) for names in packs]
        return share_values(grouped_share(groups, level=level))

    return {
        "rows": len(both),
        "same": share(set(both) - primary),
        "primary": share(primary),
        "any": share(anything),
        "first_ids": [name for name in both if name in primary][:SHOWN_IDS],
    }


def beyond_noise(
    before: Labelled,
    after: Labelled,
    again: Labelled,
    *,
    requests: Requests,
    level: float = LEVEL,
) -> dict[str, Any] | None:
    """Return what an arm changes beyond the noise of asking twice.

    Args:
        before: Labels of the run.
        after: Labels of the arm.
        again: Labels of the same question, asked once more.
        requests: Chunks that shared a request in one of the three.
        level: Of the interval.

    Returns:
        `rows` with a label in all three and their `requests`; `difference` of the two shares of
        changed primary labels with its interval; chunks that only the arm changed, and that only
        the repetition changed; and the probability of such a difference without an effect, by
        exchanging the two within requests. None without such rows.
    """
    names = [name for name in before if name in after and name in again]
    if not names:
        return None
    by_arm = {name for name in names if after[name][:1] != before[name][:1]}
    by_noise = {name for name in names if again[name][:1] != before[name][:1]}
    packs = _packs(names, requests)
    found = paired_difference(
        [
            (sum(name in by_arm for name in one), sum(name in by_noise for name in one), len(one))
            for one in packs
        ],
        level=level,
    )
    return {
        "rows": len(names),
        "requests": len(packs),
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "level": level,
        "only_arm": len(by_arm - by_noise),
        "only_again": len(by_noise - by_arm),
        "p_value": found.p_value,
    }


def _packs(names: Iterable[str], requests: Requests) -> list[list[str]]:
    """Return the chunks of each request."""
    found: dict[tuple[bool, Hashable], list[str]] = {}
    for name in names:
        place = (True, requests[name]) if name in requests else (False, name)
        found.setdefault(place, []).append(name)
    return list(found.values())


def share_values(share: GroupedShare) -> dict[str, Any]:
    """Return a share as JSON has it."""
    return {
        "count": share.count,
        "rows": share.rows,
        "requests": share.groups,
        "share": share.share,
        "low": share.low,
        "high": share.high,
        "low_by_rows": share.low_by_rows,
        "high_by_rows": share.high_by_rows,
        "level": share.level,
    }
