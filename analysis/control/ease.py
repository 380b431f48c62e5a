"""Which share of a rate is used for now: cut by a refusal, kept flat, grown back.

Pure. A dimension of the pacer has one, for limits that nobody states and for `slow_down`.

While nothing is known of a limit, the share grows with each answer, so that it doubles every
second. From the first refusal after that on it grows with time: at first hardly, since it was near
the limit, then faster, since the limit may have changed.
"""

from __future__ import annotations

from analysis.settings import Settings


class Ease:
    """A share from `ease_floor` to 1.

    Attributes:
        is_whole: The share is 1 and stays so until a cut or a start.
    """

    def __init__(self, *, settings: Settings) -> None:
        self._knobs = settings
        self.is_whole = True
        self._share = 1.0
        self._flat_until = 0.0
        self._is_for_guess = False
        self._is_blind = False
        self._is_measured = False
        self._mark: tuple[float, float] | None = None

    def __repr__(self) -> str:
        return f"Ease({self._share:.3f} until {self._flat_until:.1f})"

    def share(self, now: float) -> float:
        """Return the share at this time."""
        if self._share == 1.0 or self._is_blind:
            return self._share
        seconds = max(0.0, now - self._flat_until)
        growth = self._knobs.ease_growth
        grown = seconds * (seconds / self._knobs.ease_careful_s if self._is_measured else 1.0)
        return min(1.0, self._share * (1.0 + growth * grown))

    def cut(self, now: float, *, flat_s: float, is_for_guess: bool = False) -> None:
        """Halve the share and keep it for so long; then it grows back.

        Args:
            now: Monotonic seconds.
            flat_s: Seconds without growth.
            is_for_guess: Only because nobody has stated the limit; `lift` ends that.
        """
        self._is_for_guess = is_for_guess and (self._share == 1.0 or self._is_for_guess)
        self._set(max(self._knobs.ease_floor, self.share(now) / 2))
        self._is_blind = self._is_measured = False
        self._flat_until = max(self._flat_until, now + flat_s)

    def start(self, share: float) -> None:
        """Begin with a share, because nobody has stated the limit; `lift` ends that."""
        self._set(max(self._knobs.ease_floor, min(1.0, share)))
        self._is_for_guess = self._is_blind = True

    def grow(self, seconds: float) -> None:
        """Hear that so many seconds' worth of the whole rate passed while nothing is known."""
        if self._is_blind:
            self._set(min(1.0, self._share + seconds / self._knobs.start_doubles_s))

    def mark(self, at: float, *, asked_s: float) -> None:
        """Remember a refusal of a limit that nobody states, unless it comes too soon to measure.

        Args:
            at: When the service has room again for what it refused.
            asked_s: Seconds' worth of the whole rate that was asked up to then.
        """
        if self._mark is None or at >= self._mark[0] + self._knobs.measure_s:
            self._mark = at, asked_s

    def doubt(self, now: float, *, start: float, asked_s: float, wait_s: float) -> None:
        """Lower the share for a refusal of a limit that nobody states.

        Twice the service lacked nothing but the refused request, so what was asked in between is
        what it refills, whether refused requests cost or not.

        Args:
            now: Monotonic seconds.
            start: Share to begin with after the first refusal.
            asked_s: Seconds' worth of the whole rate that was asked so far.
            wait_s: From now on; then the service has room for what it refused.
        """
        if self._mark is None:
            self.start(min(self.share(now) / 2, start))
            return
        knobs = self._knobs
        seconds, asked_s = now + wait_s - self._mark[0], asked_s - self._mark[1]
        if seconds < knobs.measure_s:
            return
        if asked_s <= 0:
            self.cut(now, flat_s=0.0, is_for_guess=True)
            return
        measured = knobs.measured_share * asked_s / seconds
        if measured >= self.share(now):
            return  # it is not the rate that was too high: refusals cost, too
        self._set(max(knobs.ease_floor, measured))
        self._is_blind, self._is_measured, self._is_for_guess = False, True, True
        self._flat_until = now

    def lift(self) -> None:
        """Hear that the limit is stated: cuts that only allowed for a wrong guess are over."""
        if self._is_for_guess:
            self._set(1.0)
            self._is_for_guess = self._is_blind = False

    def _set(self, share: float) -> None:
        self._share, self.is_whole = share, share == 1.0
