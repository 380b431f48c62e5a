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
        "makespan_s": spread(run.makespan_s for run in runs),
        "bound_s": spread(run.bound_s for run in runs),
        "requests": spread(run.requests for run in runs),
        "limited": spread(run.limited for run in runs),
        "limited_share": spread((run.limited / run.requests for run in runs), 4),
        "paid": spread(paid) if paid else None,
        "hedged_share": spread(run.twice_tokens / max(1, run.paid_tokens) for run in runs),
        "lost": sum(run.lost for run in runs),
        "doubled": sum(run.doubled for run in runs),
    }


def by_window(runs: Sequence[Run]) -> Figures:
    """Return median ratio and median number of 429s per hidden window."""
    found: Figures = {}
    for window_s in constants.HIDDEN_WINDOWS_S:
        mine = [run for run in runs if run.window_s == window_s]
        if mine:
            found[f"{window_s:g} s"] = {
                "runs": len(mine),
                "ratio": round(median(run.ratio for run in mine), 3),
                "limited": median(run.limited for run in mine),
            }
    return found


def goals(regime: Regime, figures: Figures) -> list[Figures]:
    """Return each goal of a regime with what was measured and whether it is reached."""
    wanted, paid = regime.goals, figures["paid"]
    found = [
        _goal("makespan / bound, median", wanted.ratio, figures["ratio"]["median"]),
        _goal("429s, worst run", wanted.limited, figures["limited"]["worst"]),
        _goal("429s / requests, worst", wanted.limited_share, figures["limited_share"]["worst"]),
        _goal("paid / fewest tokens, median", wanted.paid, paid["median"] if paid else math.inf),
        _goal(
            "hedged tokens / paid, worst", constants.HEDGED_SHARE, figures["hedged_share"]["worst"]
        ),
        _goal("lost chunks", 0, figures["lost"]),
        _goal("doubled verdicts", 0, figures["doubled"]),
        _goal("runs not complete", 0, figures["runs"] - figures["complete"]),
    ]
    return [goal for goal in found if goal is not None]


def _goal(what: str, at_most: float | None, measured: float) -> Figures | None:
    if at_most is None:
        return None
    # JSON has no infinity.
    shown = measured if math.isfinite(measured) else None
    return {
        "what": what,
        "at_most": at_most,
        "measured": shown,
        "reached": measured <= at_most,
    }


def regime_lines(regime: Regime, figures: Sequence[Figures]) -> list[str]:
    """Return the table of a regime for people."""
    bound = figures[0]["bound_s"]
    lines = [
        f"{regime.name}: {regime.title}; {figures[0]['runs']} runs (simulated), bound "
        f"{bound['median']:.1f} s, goal {regime.goals.ratio:g}",
        f"  {'':24} {'/ bound':>8} {'p90':>7} {'worst':>7} {'/ k<=10':>8} {'429s':>8} {'worst':>8}"
        f" {'paid':>6} {'hedged':>7} {'lost':>5} {'complete':>9}",
    ]
    for one in figures:
        ratio, ten, limited, paid = (
            one["ratio"],
            one["ratio_packs_of_ten"],
            one["limited"],
            one["paid"],
        )
        lines.append(
            f"  {one['contestant']:24} {ratio['median']:8.2f} {ratio['p90']:7.2f}"
            f" {ratio['worst']:7.2f} {ten['median']:8.2f} {limited['median']:8.0f}"
            f" {limited['worst']:8.0f} {paid['median'] if paid else math.nan:6.2f}"
            f" {one['hedged_share']['worst']:7.1%} {one['lost']:5} {one['complete']:9}"
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
