"""How many requests may be in flight on a route.

Pure. The scheduler has one per route, asks for the limit before each request and reports endings.

Additive increase, multiplicative decrease, driven by losses; latency is only a coarse brake, since
it depends on the size of an answer, has a heavy tail and rises when somebody else loads the
service. A 429 never comes here: the rate is the pacer's business.

    event                           limit
    start                           the cap, or `start`
    answer, below the soft cap      + 1: doubles per round trip
    answer, above it                + 2 / limit: two more per round trip
    answer, at a crowd's limit      + 0.2 / limit: one more per five round trips
    loss: time-out, drop, 5xx       x 0.7, at most once per round trip
    median latency inflated         x 0.85, at most once per round trip, not below a fresh start
    the service refuses more        what was in flight, less one
    an outage is over               4
    ten minutes without a report    the cap

An answer adds nothing while less than half of the limit is in use, since it then says nothing about
the limit, nor if it came late.

It starts at the cap: caps are small (8, 32, 64) and most are documented, and a job that takes one
round trip would be over before the limit had grown.

Source: pacing notes, section 4; RFC 5681 for the once per round trip.
"""

from __future__ import annotations

import math

from analysis.control.latency import RECENT
from analysis.settings import SETTINGS, Settings

STEADY_GROWTH = 2.0
"""More requests per round trip above the soft cap."""

CROWD_GROWTH = 0.2
"""The same at a limit that the service itself has shown: asking again costs a refusal."""


class Concurrency:
    """A limit from 1 to the cap.

    Attributes:
        limit: Most requests in flight, from 1 to the cap.
    """

    __slots__ = (
        "_answers",
        "_cap",
        "_crowd",
        "_cut_at",
        "_heard_at",
        "_knobs",
        "_learned",
        "_own_cap",
        "limit",
    )

    def __init__(
        self, *, cap: int, start: int | None = None, settings: Settings = SETTINGS
    ) -> None:
        """Start at the cap or at `start`.

        Args:
            cap: Most requests that the route takes at once, >= 1.
            start: A limit that an earlier run has learned, >= 1.
            settings: Knobs.
        """
        self._knobs = settings
        self._own_cap = self._cap = cap
        # None: nothing speaks against the cap.
        self._learn(None if start is None or start >= cap else float(start))
        self._crowd: int | None = None  # the service refused to take more than that
        self._cut_at = -math.inf
        self._answers = RECENT  # since the last cut
        self._heard_at: float | None = None

    def __repr__(self) -> str:
        return f"Concurrency({self.limit} of {self._cap})"

    def limit_at(self, now: float) -> int:
        """Return the limit, after forgetting what was learned more than ten idle minutes ago."""
        heard_at = self._heard_at
        if heard_at is not None and now - heard_at > self._knobs.concurrency_idle_s:
            self._crowd = None
            self._learn(None)
        return self.limit

    def on_success(self, in_flight: int, latency_s: float, is_slow: bool, now: float) -> None:
        """Report an answer.

        Args:
            in_flight: Requests in flight on the route, this one included.
            latency_s: Seconds since the request was sent: if that was before the last cut, the
                answer says nothing about the limit since.
            is_slow: It took `concurrency_slow` times as long as predicted or longer.
            now: Monotonic seconds.
        """
        heard_at, learned = self._heard_at, self._learned
        self._answers += 1
        if learned is None and (heard_at is None or self._crowd is None):
            self._heard_at = now
            return
        limit = self.limit_at(now)
        self._heard_at, learned = now, self._learned
        if learned is None or is_slow or in_flight * 2 < limit or now - latency_s < self._cut_at:
            return
        if learned < self._cap:
            learned = min(float(self._cap), learned + self._step(limit))
        is_over = self._cap <= learned and self._own_cap <= self._cap
        self._learn(None if is_over else learned)

    def on_loss(self, *, latency_s: float, now: float) -> bool:
        """Report a time-out, a lost connection or a 5xx; return True if the limit shrank.

        Args:
            latency_s: Seconds since the lost request was sent, or the usual latency: requests that
                were in flight together are lost together and count once.
            now: Monotonic seconds.
        """
        return self._cut(self._knobs.concurrency_loss, 1, latency_s=latency_s, now=now)

    def on_inflation(self, *, latency_s: float, now: float) -> bool:
        """Report that answers have become late; return True if the limit shrank.

        It does not shrink again before most answers that the median is taken of are newer than the
        last cut, nor below a fresh start: lateness that others cause does not end by asking less.

        Args:
            latency_s: The usual latency.
            now: Monotonic seconds.
        """
        if self._answers < RECENT // 2:
            return False
        knobs = self._knobs
        floor = knobs.concurrency_after_outage
        return self._cut(knobs.concurrency_inflation, floor, latency_s=latency_s, now=now)

    def on_crowded(self, *, in_flight: int, now: float) -> bool:
        """Report that the service refuses to take more at once; return True if the limit shrank.

        Args:
            in_flight: Requests in flight on the route, the refused one included.
            now: Monotonic seconds.
        """
        limit, allowed = self.limit_at(now), max(1, in_flight - 1)
        self._heard_at = now
        if allowed >= limit:
            return False
        self._crowd = allowed
        self._shrink(allowed, now)
        return True

    def after_outage(self) -> None:
        """Start with few again: a service that comes back is cold."""
        self._learn(float(self._knobs.concurrency_after_outage))
        self._heard_at = None

    def set_cap(self, cap: int | None) -> None:
        """Set the user's cap, >= 1, which may be above the route's own; None: the own one."""
        self._cap = self._own_cap if cap is None else cap
        self._learn(self._learned)

    def _learn(self, learned: float | None) -> None:
        """Take over a limit; None: nothing speaks against the cap."""
        self._learned = learned
        self.limit = self._cap if learned is None else min(self._cap, int(learned))

    def _step(self, limit: int) -> float:
        """Return what one answer adds."""
        if self._crowd is not None and limit >= self._crowd:
            if limit >= self._crowd + 2:  # one more was taken for five round trips
                self._crowd = None
            return CROWD_GROWTH / limit
        return 1.0 if limit < self._knobs.concurrency_soft_cap else STEADY_GROWTH / limit

    def _cut(self, share: float, floor: int, *, latency_s: float, now: float) -> bool:
        """Shrink to a share of the limit, unless this round trip has seen a cut."""
        limit = self.limit_at(now)
        self._heard_at = now
        if limit <= floor or now - latency_s < self._cut_at:
            return False
        self._shrink(max(floor, limit * share), now)
        return self.limit < limit

    def _shrink(self, learned: float, now: float) -> None:
        self._learn(float(learned))
        self._cut_at = now
        self._answers = 0
