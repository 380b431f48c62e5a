"""How far a run is, how fast it is now, and whether it will cost much more than was estimated.

Pure. `display` and `analysis.progress` feed a `Headway` each; time is passed in.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from analysis.commands.wording import NOT_SENT, READ_EVERY_S, progress_line
from analysis.pipeline.bill import SIMULATED_MODELS

if TYPE_CHECKING:
    from analysis.hooks import Meter
    from analysis.pipeline.run import Plan
    from analysis.records import Verdict

WINDOW_S = 60.0
"""The rate is that of so many seconds: earlier ones say little about the time that is left."""

STEP_S = 1.0
"""Samples of the same second are one, which bounds their number."""

NOTED_SHARE = 0.05
NOTED_CHUNKS = 20
"""From so much of a run on its cost so far says something about the rest."""

DEARER = 1.5
"""A run that will cost so many times its estimate is told."""


class RecentRate:
    """Chunks per second over the last minute."""

    def __init__(self, now: float) -> None:
        """Begin at this time, in monotonic seconds, with nothing done."""
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def note(self, done: int, now: float) -> float | None:
        """Hear how many chunks are done; return the rate, None before a second has passed."""
        samples = self._samples
        while len(samples) > 1 and samples[1][0] <= now - WINDOW_S:
            samples.popleft()
        begin, before = samples[0]
        if now - samples[-1][0] >= STEP_S:
            samples.append((now, done))
        seconds = now - begin
        return (done - before) / seconds if seconds >= STEP_S else None


def projected_usd(*, billed_usd: float, done: int, total: int) -> float | None:
    """Return what a run will cost if the rest costs as much as what is done; None: too early."""
    if done < NOTED_CHUNKS or done < NOTED_SHARE * total:
        return None
    return billed_usd * total / done


def cost_warning(
    *, projected: float | None, estimated: float | None, ends_at_usd: float | None
) -> str | None:
    """Return a line about a run that will cost much more than its estimate, or None.

    Args:
        projected: What it will cost, in US dollars.
        estimated: What was said before.
        ends_at_usd: Where it ends without a yes, or None.
    """
    if not projected or not estimated or projected <= DEARER * estimated:
        return None
    line = (
        f"Warning: the run will cost about {projected:,.2f} USD at this rate, "
        f"{projected / estimated:.1f} times its estimate."
    )
    if ends_at_usd is not None and projected > ends_at_usd:
        line += f" It stops at {ends_at_usd:.2f} USD and can go on with --yes or --budget."
    return line


class Headway:
    """Counts what a run tells; whoever shows the run asks it for words and figures.

    Attributes:
        total: Chunks that are to be asked about.
        done: Of them with a verdict, `failed` ones included.
        failed: Of them without a label.
        started_at: When the run began to send, in monotonic seconds.
        is_simulated: Labels come from the local service or from rules: no figure of it is money.
    """

    def __init__(self, now: float) -> None:
        """Begin with nothing to do."""
        self.total = self.done = self.failed = 0
        self.is_simulated = False
        self._billed_usd: float | None = None
        self._estimated_usd: float | None = None
        self._meter: Meter | None = None
        self._has_warned = False
        self._restart(now)

    def _restart(self, now: float) -> None:
        self.started_at = self._read_at = now
        self._rate = RecentRate(now)

    def on_plan(self, plan: Plan, now: float) -> None:
        """Take what is to be done; from now on it is sent."""
        self.total, self.is_simulated = plan.to_do, plan.simulated
        self._estimated_usd = plan.estimate.cost_usd
        self._restart(now)

    def on_meter(self, meter: Meter) -> None:
        """Take what tells the cost so far."""
        self._meter = meter

    def on_verdict(self, verdict: Verdict) -> bool:
        """Count a verdict; return whether it is one of those that are to be asked about."""
        error = verdict.error
        if error is not None and error.kind in NOT_SENT:
            return False
        self.done += 1
        self.failed += error is not None
        self.is_simulated |= verdict.model in SIMULATED_MODELS
        return True

    @property
    def cost_usd(self) -> float | None:
        """What was billed when it was looked at last; None if no price is known, or simulated."""
        return None if self.is_simulated else self._billed_usd

    def warning(self, now: float) -> str | None:
        """Look at the cost if that was not just done; return once that it will be far too high."""
        if self._meter is None or now - self._read_at < READ_EVERY_S:
            return None
        self._read_at = now
        if self.is_simulated:
            return None
        billed = self._billed_usd = self._meter.billed_usd()
        if billed is None or self._has_warned:
            return None
        found = cost_warning(
            projected=projected_usd(billed_usd=billed, done=self.done, total=self.total),
            estimated=self._estimated_usd,
            ends_at_usd=self._meter.ends_at_usd,
        )
        self._has_warned = found is not None
        return found

    def line(self, route: str | None, now: float) -> str:
        """Return in words how far the run is; `route` is that of the last verdict."""
        return progress_line(
            done=self.done,
            failed=self.failed,
            total=self.total,
            per_s=self._rate.note(self.done, now),
            route=route,
            cost_usd=self.cost_usd,
        )
