"""How fast requests may go: a bucket for requests and one for tokens.

Pure. The scheduler asks `ready_at`, draws with `take`, gives back with `refund`, and passes on what
the service says (`learn`) or demands (`hold`).

Each bucket refills continuously at a sixtieth of the minute's limit and holds at most a burst
(`Settings.burst_s` seconds' worth), since services apply a minute's limit over shorter windows.
It starts with that burst: how full the service's own bucket is, is not known. A cost above the
burst is let through when the bucket is full, and leaves it in debt.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from analysis.records import RateLimit
from analysis.settings import SETTINGS, Settings


class Bucket:
    """One dimension of an account's limit; amounts are in its unit (requests or tokens)."""

    def __init__(self, *, per_minute: float, burst_s: float, now: float) -> None:
        self.per_minute = per_minute
        self._burst_s = burst_s
        self._level = self.capacity
        self._at = now

    def __repr__(self) -> str:
        return f"Bucket({self._level:.1f} of {self.capacity:.1f}, {self.per_minute:.0f}/min)"

    @property
    def rate(self) -> float:
        """Refill in units per second."""
        return self.per_minute / 60.0

    @property
    def capacity(self) -> float:
        """Largest burst in units; never below one unit."""
        return max(1.0, self.rate * self._burst_s)

    def level(self, now: float) -> float:
        """Return what may be drawn now; below zero after a cost above the burst."""
        if now > self._at:
            self._level = min(self.capacity, self._level + self.rate * (now - self._at))
            self._at = now
        return self._level

    def ready_at(self, amount: float, now: float) -> float:
        """Return the earliest time at which so much may be drawn; `now` if at once."""
        lacking = min(amount, self.capacity) - self.level(now)
        return now if lacking <= 1e-9 else now + lacking / self.rate

    def take(self, amount: float, now: float) -> None:
        """Draw; the caller asked `ready_at` before."""
        self._level = self.level(now) - amount

    def refund(self, amount: float, now: float) -> None:
        """Give back what was reserved and not used; a negative amount draws more."""
        self._level = min(self.capacity, self.level(now) + amount)

    def learn(self, limit: RateLimit, now: float) -> None:
        """Take over the limit that the service states, and never hold more than it says is left."""
        level = self.level(now)
        if limit.limit is not None and limit.limit > 0:
            self.per_minute = float(limit.limit)
        if limit.remaining is not None and limit.remaining >= 0:
            level = min(level, float(limit.remaining))
        self._level = min(level, self.capacity)


class Pacer:
    """Both buckets of one model at one account, and the pause that a 429 demands.

    Attributes:
        is_guessed: The requests limit is assumed: no service has stated it yet.
        is_short: A request has emptied a bucket, so that the next one had to wait.
        is_scouted: A request was sent to a route for what it says about the limits.
    """

    def __init__(self, *, now: float, rng: random.Random, settings: Settings = SETTINGS) -> None:
        self.requests = Bucket(
            per_minute=settings.requests_per_minute, burst_s=settings.burst_s, now=now
        )
        self.tokens = Bucket(
            per_minute=settings.tokens_per_minute, burst_s=settings.burst_s, now=now
        )
        self.is_guessed = True
        self.is_short = False
        self.is_scouted = False
        self._rng = rng
        self._settings = settings
        self._held_until = now
        self._holds_in_a_row = 0
        self._refused_since: float | None = None

    def ready_at(self, *, cost_tokens: int, now: float) -> float:
        """Return the earliest time at which a request of this cost may be sent.

        Args:
            cost_tokens: Estimated input plus the output cap of the request.
            now: Monotonic seconds.
        """
        return max(
            self._held_until,
            self.requests.ready_at(1, now),
            self.tokens.ready_at(cost_tokens, now),
        )

    def take(self, *, cost_tokens: int, now: float) -> None:
        """Draw one request and its tokens."""
        self.requests.take(1, now)
        self.tokens.take(cost_tokens, now)
        self.is_short = (
            self.is_short or self.requests.level(now) < 1 or self.tokens.level(now) < cost_tokens
        )

    def refund(self, *, tokens: int, now: float) -> None:
        """Give back tokens that were reserved and not used (negative: used beyond it)."""
        self.tokens.refund(tokens, now)

    def learn(self, limits: Iterable[RateLimit], now: float) -> None:
        """Take over what the service says about its limits."""
        for limit in limits:
            if limit.name == "requests":
                self.is_guessed = self.is_guessed and not limit.limit
                self.requests.learn(limit, now)
            elif limit.name == "tokens":
                self.tokens.learn(limit, now)

    def hold(self, *, retry_after_s: float | None, now: float) -> float:
        """Send nothing for as long as a rate limit demands; return until when.

        Without a stated time (or with one of zero) the pause doubles from refusal to refusal;
        refusals of requests that were on their way together count once. Up to a tenth is added by
        chance, so that waiting processes do not come back together.
        """
        if self._refused_since is None:
            self._refused_since = now
        if now >= self._held_until:
            self._holds_in_a_row += 1
        if retry_after_s is None or retry_after_s <= 0:
            knobs = self._settings
            growth = 2 ** min(self._holds_in_a_row, 16)
            retry_after_s = min(knobs.backoff_cap_s, knobs.backoff_base_s * growth)
        until = now + retry_after_s * (1 + self._rng.uniform(0, 0.1))
        self._held_until = max(self._held_until, until)
        return self._held_until

    def refused_for(self, now: float, *, since: float) -> float:
        """Return the seconds from the first refusal after the last answer, or after `since`."""
        return 0.0 if self._refused_since is None else now - max(self._refused_since, since)

    def confirm(self) -> None:
        """Hear that a request passed the limits."""
        self._holds_in_a_row = 0
        self._refused_since = None
