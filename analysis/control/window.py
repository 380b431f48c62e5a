"""The hidden window of a limit: a burst shorter than a minute, which no service states.

Pure. A dimension of the pacer has one. It is met as a refusal although the minute has room, and
holds what was let through above the rate. Amounts are in seconds of the rate.
"""

from __future__ import annotations

from analysis.settings import Settings


class Window:
    """Length and guard of a hidden window, or that none was met.

    Attributes:
        seconds: Its length, or None.
        guard: Share of the rate by which it is refilled slower.
        are_refunds_counted: It gets back what was reserved and not used.
        has_refunds: Something was given back.
    """

    def __init__(self, *, seconds: float | None, guard: float, now: float, settings: Settings):
        self.seconds = seconds
        self.guard = guard
        self.are_refunds_counted = True
        self.has_refunds = False
        self._knobs = settings
        self._episode_at = now

    def __repr__(self) -> str:
        return f"Window({self.seconds}, guard {self.guard:.3f})"

    def is_episode(self, now: float) -> bool:
        """Tell whether it was met a moment ago."""
        return self.seconds is not None and now - self._episode_at < self._knobs.guard_every_s

    def find(self, excess: float, amount: float, now: float, *, room: float = 0.0) -> bool:
        """Hear of a refusal although the minute had room; tell whether the rate is to be halved.

        Args:
            excess: What was drawn above the rate.
            amount: What was refused.
            now: Monotonic seconds.
            room: What the window still held, by the wait that the service has stated.
        """
        knobs, is_to_halve = self._knobs, False
        if self.is_episode(now):  # of the same burst: it held one request less than that
            self.exclude(amount, now)
            return False
        held = min(60.0, max(knobs.window_s, excess + room))
        if self.seconds is None:
            self.seconds, self.guard = held, knobs.guard
        else:
            if self.has_refunds and self.are_refunds_counted and self.guard > knobs.guard:
                self.are_refunds_counted = False  # it keeps what was reserved
            else:
                is_to_halve = self.guard >= knobs.guard_cap
            self.guard = min(knobs.guard_cap, self.guard + knobs.guard_step)
            self.seconds = min(self.seconds, held)
        self._episode_at = now
        return is_to_halve

    def exclude(self, amount: float, now: float) -> None:
        """Hear that so much was refused for whatever reason.

        If the window was just found it did not let that through, so it is smaller than it seemed.
        """
        if self.seconds is not None and self.is_episode(now):
            least = min(self.seconds, self._knobs.window_s)
            self.seconds = max(least, self.seconds - amount)

    def shorten(self) -> None:
        """Be as short as any."""
        self.seconds = min(self.seconds or 60.0, self._knobs.window_s)
