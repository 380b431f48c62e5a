"""Which share of a rate is used for now: cut by a refusal, kept flat, grown back.

Pure. A dimension of the pacer has one, for limits that nobody states and for `slow_down`.

It is the product of two shares. One allows for a wrong guess of the limit and ends with the first
statement of it; the other is for refusals that hold against the true limit, too. So a service that
asks to slow down while its limit is unknown leaves half of that limit once it is stated, and not
half of the few requests that went before.

While nothing is known of a limit, the share grows with each answer, so that it doubles every
second. From the first refusal after that on it grows with time: at first hardly, since it was near
the limit, then faster, since the limit may have changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.settings import Settings


@dataclass(slots=True, kw_only=True)
class _Part:
    """One of the two shares.

    Attributes:
        share: What it is until it grows.
        flat_until: From then on it grows with time; None: it does not.
    """

    share: float = 1.0
    flat_until: float | None = None

    def at(self, now: float, growth: float, *, careful_s: float | None = None) -> float:
        """Return the share at this time; with `careful_s` it hardly grows in the first so many."""
        if self.share == 1.0 or self.flat_until is None:
            return self.share
        seconds = max(0.0, now - self.flat_until)
        grown = seconds * (1.0 if careful_s is None else seconds / careful_s)
        return min(1.0, self.share * (1.0 + growth * grown))


class Ease:
    """A share from `ease_floor` to 1.

    Attributes:
        is_whole: The share is 1 and stays so until a cut or a start.
    """

    def __init__(self, *, settings: Settings) -> None:
        self._knobs = settings
        self.is_whole = True
        self._guess, self._rate = _Part(), _Part()
        self._is_blind = False
        self._is_measured = False
        self._mark: tuple[float, float] | None = None

    def __repr__(self) -> str:
        until = max(one.flat_until or 0.0 for one in (self._guess, self._rate))
        return f"Ease({self._guess.share * self._rate.share:.3f} until {until:.1f})"

    def share(self, now: float) -> float:
        """Return the share at this time."""
        if self.is_whole:
            return 1.0
        return max(self._knobs.ease_floor, self._guessed(now) * self.held(now))

    def held(self, now: float) -> float:
        """Return the part of the share that holds against a stated limit as well."""
        return self._rate.at(now, self._knobs.ease_growth)

    def cut(
        self, now: float, *, flat_s: float, is_for_guess: bool = False, least: float = 0.0
    ) -> None:
        """Halve the share and keep it for so long; then it grows back.

        Args:
            now: Monotonic seconds.
            flat_s: Seconds without growth.
            is_for_guess: Only because nobody has stated the limit; `lift` ends that.
            least: It is not cut below this; one that is below it already stays.
        """
        share = self._guessed(now) if is_for_guess else self.held(now)
        least = min(share, max(least, self._knobs.ease_floor))
        self._set(self._guess if is_for_guess else self._rate, max(share / 2, least), now + flat_s)
        if self._is_blind and not is_for_guess:  # it does not double for who asks for less
            self._set(self._guess, self._guess.share, now + flat_s)
        self._is_blind = self._is_measured = False

    def keep(self, now: float, *, flat_s: float) -> None:
        """Let what holds against a stated limit stay as it is for so long from now on."""
        self._set(self._rate, self.held(now), now + flat_s)

    def start(self, share: float) -> None:
        """Begin with a share, because nobody has stated the limit; `lift` ends that."""
        self._set(self._guess, max(self._knobs.ease_floor, min(1.0, share)), None)
        self._is_blind = True

    def grow(self, seconds: float) -> None:
        """Hear that so many seconds' worth of the whole rate passed while nothing is known."""
        if self._is_blind:
            grown = self._guess.share + seconds / self._knobs.start_doubles_s
            self._set(self._guess, min(1.0, grown), None)

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
            self.start(min(self._guessed(now) / 2, start))
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
        measured = max(knobs.ease_floor, measured / self.held(now))
        self._set(self._guess, measured, now)
        self._is_blind, self._is_measured = False, True

    def lift(self) -> None:
        """Hear that the limit is stated: cuts that only allowed for a wrong guess are over."""
        if self._guess.share != 1.0:
            self._set(self._guess, 1.0, None)
        self._is_blind = False

    # Inside

    def _guessed(self, now: float) -> float:
        """Return the part of the share that allows for a wrong guess."""
        knobs = self._knobs
        careful_s = knobs.ease_careful_s if self._is_measured else None
        return self._guess.at(now, knobs.ease_growth, careful_s=careful_s)

    def _set(self, one: _Part, share: float, flat_until: float | None) -> None:
        """Set a share; `flat_until`: from when on it grows with time, None: it does not."""
        if flat_until is not None:
            flat_until = max(one.flat_until or flat_until, flat_until)
        one.share, one.flat_until = share, flat_until
        self.is_whole = self._guess.share == self._rate.share == 1.0
