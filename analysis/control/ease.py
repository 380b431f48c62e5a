"""Which share of a rate is used for now: halved by a refusal, kept flat, grown back.

Pure. A dimension of the pacer has one, for limits that nobody states and for `slow_down`.
"""

from __future__ import annotations

from analysis.settings import Settings


class Ease:
    """A share from `ease_floor` to 1."""

    def __init__(self, *, settings: Settings) -> None:
        self._knobs = settings
        self._share = 1.0
        self._flat_until = 0.0
        self._is_for_guess = False

    def __repr__(self) -> str:
        return f"Ease({self._share:.3f} until {self._flat_until:.1f})"

    def share(self, now: float) -> float:
        """Return the share at this time."""
        if self._share == 1.0:
            return 1.0
        seconds = max(0.0, now - self._flat_until)
        return min(1.0, self._share * (1.0 + self._knobs.ease_growth * seconds))

    def cut(self, now: float, *, flat_s: float, is_for_guess: bool = False) -> None:
        """Halve the share and keep it for so long; then it grows back.

        Args:
            now: Monotonic seconds.
            flat_s: Seconds without growth.
            is_for_guess: Only because nobody has stated the limit; `lift` ends that.
        """
        self._is_for_guess = is_for_guess and (self._share == 1.0 or self._is_for_guess)
        self._share = max(self._knobs.ease_floor, self.share(now) / 2)
        self._flat_until = max(self._flat_until, now + flat_s)

    def lift(self) -> None:
        """Hear that the limit is stated: cuts that only allowed for a wrong guess are over."""
        if self._is_for_guess:
            self._share, self._is_for_guess = 1.0, False
