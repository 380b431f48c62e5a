"""How fast a run is now, and whether it will cost much more than it was estimated at.

Pure. `display` feeds it; time is passed in.
"""

from __future__ import annotations

from collections import deque

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
