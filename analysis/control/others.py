"""What other users of an account draw from one of its limits.

Pure. A dimension of the pacer has one. After each statement it hears how much less the bucket holds
than was believed.
"""

from __future__ import annotations

from analysis.settings import Settings


class Others:
    """A moving average.

    Attributes:
        per_s: Units that others draw per second, from 0 on.
    """

    __slots__ = ("_knobs", "per_s")

    def __init__(self, *, settings: Settings) -> None:
        self.per_s = 0.0
        self._knobs = settings

    def __repr__(self) -> str:
        return f"Others({self.per_s:.3f} per second)"

    def forget(self) -> None:
        """Take it that nobody draws anything."""
        self.per_s = 0.0

    def note(self, lacking: float, seconds: float, rate: float) -> None:
        """Hear how much less the service's bucket holds than was believed some time after.

        Args:
            lacking: Units; below zero if it holds more.
            seconds: From the statement before to this one.
            rate: Refill of the bucket in units per second.
        """
        knobs = self._knobs
        lacking = min(rate * seconds, max(-rate * seconds, lacking))
        per_s = self.per_s + lacking / knobs.others_tau_s
        self.per_s = min((1 - knobs.share_floor) * rate, max(0.0, per_s))

    def leave(self, rate: float, age_s: float) -> float:
        """Return what is left of a rate.

        Args:
            rate: Units per second.
            age_s: Seconds since the last statement; what was heard long ago does not count.
        """
        knobs = self._knobs
        is_recent = age_s <= knobs.others_tau_s
        others = self.per_s if is_recent and self.per_s > knobs.others_noise * rate else 0.0
        return max(rate - others, knobs.share_floor * rate)
