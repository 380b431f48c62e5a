"""From runs to figures, goals and tables.

Pure. `makespan` prints what it returns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks.score import constants
from benchmarks.score.constants import Regime
from benchmarks.score.market import SMALL
from benchmarks.score.stage import Run

Figures = dict[str, Any]


def rank(values: Iterable[float], share: float) -> float:
    """Return the value at or below which this share of all lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def spread(values: Iterable[float], digits: int = 3) -> Figures:
    """Return median, 90th percentile and the largest of some values."""
    ordered = sorted(values)
    return {
        "median": round(median(ordered), digits),
        "p90": round(rank(ordered, 0.9), digits),
        "worst": round(ordered[-1], digits),
    }


def summarize(contestant: str, runs: Sequence[Run]) -> Figures:
    """Return the figures of a contestant in one regime, over all seeds.

    A run that is not complete, because it was cut off or gave chunks up, counts with the time of
    the cut-off, so that with `complete` < `runs` ratios are lower limits; its tokens are left out.
    """
    complete = [run for run in runs if run.is_complete]
    paid = [run.paid_tokens / run.fewest_tokens for run in complete]
    return {
        "contestant": contestant,
        "runs": len(runs),
        "complete": len(complete),
        "ratio": spread(run.ratio for run in runs),
        "ratio_packs_of_ten": spread(run.ratio_ten for run in runs),
        "own_ratio": spread(run.own_ratio for run in runs),
        "makespan_s": spread(run.makespan_s for run in runs),
        "bound_s": spread(run.bound_s for run in runs),
        "requests": spread(run.requests for run in runs),
        "limited": spread(run.limited for run in runs),
        "limited_share": spread((run.limited / run.requests for run in runs), 4),
        "paid": spread(paid) if paid else None,
        "hedged_share": spread(run.twice_tokens / max(1, run.paid_tokens) for run in runs),
        "cancelled": spread(run.cancelled for run in runs),
        "late": spread(run.late for run in runs),
        "lost": sum(run.lost for run in runs),
        "doubled": sum(run.doubled for run in runs),
    }


def by_window(runs: Sequence[Run]) -> Figures:
    """Return median ratio by the own bound and median number of 429s per hidden window."""
    found: Figures = {}
    for window_s in sorted({run.window_s for run in runs}):
        mine = [run for run in runs if run.window_s == window_s]
        found[f"{window_s:g} s"] = {
            "runs": len(mine),
            "ratio": round(median(run.own_ratio for run in mine), 3),
            "limited": median(run.limited for run in mine),
        }
    return found


def goals(
    regime: Regime,
    figures: Figures,
    *,
    largest_pack: int = constants.LARGEST_PACK,
    is_warm: bool = False,
) -> list[Figures]:
    """Return each goal of a regime with what was measured and whether it is reached.

    Args:
        regime: What is to be reached.
        figures: What was, from `summarize`.
        largest_pack: Most chunks that the contestant puts into a request.
        is_warm: It knows the limits from a run before.
    """
    wanted, paid = regime.goals, figures["paid"]
    limited_share = wanted.limited_share
    if is_warm and wanted.limited_share_warm is not None:
        limited_share = wanted.limited_share_warm
    ratio = wanted.ratio_for(largest_pack)
    hedged = constants.HEDGED_SHARE if regime.chunks > SMALL else None
    found = [
        ("makespan / bound, median", ratio, figures["own_ratio"]["median"]),
        ("makespan, s, median", wanted.makespan_s, figures["makespan_s"]["median"]),
        ("429s, worst run", wanted.limited, figures["limited"]["worst"]),
        ("429s / requests, worst", limited_share, figures["limited_share"]["worst"]),
        ("paid / fewest tokens, median", wanted.paid, paid["median"] if paid else math.inf),
        ("hedged tokens / paid, worst", hedged, figures["hedged_share"]["worst"]),
        ("lost chunks", 0, figures["lost"]),
        ("doubled verdicts", 0, figures["doubled"]),
        ("runs not complete", 0, figures["runs"] - figures["complete"]),
    ]
    return [
        reached(what, at_most, measured) for what, at_most, measured in found if at_most is not None
    ]


def reached(what: str, at_most: float, measured: float) -> Figures:
    """Return a goal with what was measured; JSON has no infinity, so that is none."""
    return {
        "what": what,
        "at_most": at_most,
        "measured": measured if math.isfinite(measured) else None,
        "reached": measured <= at_most,
    }


def goal_of(regime: Regime) -> str:
    """Return the goal of the ratio for people."""
    ratios = (regime.goals.ratio, regime.goals.ratio_ten, regime.goals.ratio_one)
    stated = [
        f"{ratio:g}{where}"
        for ratio, where in zip(ratios, ("", " for packs of ten", " for lone chunks"), strict=True)
        if ratio is not None
    ]
    return ", ".join(stated) or "none"


def regime_lines(regime: Regime, figures: Sequence[Figures]) -> list[str]:
    """Return the table of a regime for people."""
    bound = figures[0]["bound_s"]
    lines = [
        f"{regime.name}: {regime.title}; {figures[0]['runs']} runs (simulated), bound "
        f"{bound['median']:.1f} s, goal {goal_of(regime)}",
        f"  {'':20} {'/ bound':>8} {'p90':>7} {'worst':>7} {'/ k<=10':>8} {'/ own':>7} {'429s':>7}"
        f" {'worst':>7} {'paid':>6} {'hedged':>7} {'late':>5} {'lost':>5} {'complete':>9}",
    ]
    for one in figures:
        ratio, limited, paid = one["ratio"], one["limited"], one["paid"]
        lines.append(
            f"  {one['contestant']:20} {ratio['median']:8.2f} {ratio['p90']:7.2f}"
            f" {ratio['worst']:7.2f} {one['ratio_packs_of_ten']['median']:8.2f}"
            f" {one['own_ratio']['median']:7.2f} {limited['median']:7.0f}"
            f" {limited['worst']:7.0f} {paid['median'] if paid else math.nan:6.2f}"
            f" {one['hedged_share']['worst']:7.1%} {one['late']['worst']:5.0f}"
            f" {one['lost']:5} {one['complete']:>5}/{one['runs']:<3}"
        )
    return lines


def goal_lines(found: Sequence[Figures]) -> list[str]:
    """Return a line per goal."""
    return [
        f"  {'reached' if goal['reached'] else 'missed':8} {goal['what']}: "
        f"{goal['measured'] if goal['measured'] is not None else 'none'} (goal {goal['at_most']:g})"
        for goal in found
    ]


def window_line(found: Figures) -> str:
    """Return the figures per hidden window in one line."""
    parts = [
        f"{window}: {one['ratio']:.2f}, {one['limited']:g} 429s ({one['runs']} runs)"
        for window, one in found.items()
    ]
    return "  by hidden window: " + "; ".join(parts)
