"""Rate limits of the simulated account: token buckets for requests and tokens per minute.

Pure: `now` is handed in as monotonic seconds and never goes back. `service` charges each request
here; the protocols report what is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heappop, heappush

from analysis.simulator.profile import Profile
from analysis.simulator.refusals import Refusal

SECONDS_PER_MINUTE = 60.0
SHORTEST_WAIT_S = 1e-9
"""A shorter wait is a rounding error, not a limit."""


def go_duration(duration_s: float) -> str:
    """Write a duration as the vendor's headers do: `17ms`, `1m30.5s`, `6m0s`."""
    rest_ms = math.ceil(duration_s * 1_000 - 1e-6)
    if 0 < rest_ms < 1_000:
        return f"{rest_ms}ms"
    minutes, rest_ms = divmod(rest_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    prefix = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{prefix}{rest_ms / 1_000:g}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitState:
    """What is reported about one limit: `name` is `requests` or `tokens`."""

    name: str
    limit: int
    remaining: int
    reset_s: float


class Bucket:
    """A limit per minute: starts full, refills continuously, holds at most a minute's worth."""

    def __init__(self, per_minute: int) -> None:
        self.capacity = per_minute
        self._level = float(per_minute)
        self._at = -math.inf
        self._refunds: list[tuple[float, float]] = []

    def __repr__(self) -> str:
        return f"Bucket({self._level:.1f} of {self.capacity} at {self._at:.3f})"

    def _refill(self, now: float) -> None:
        if now > self._at:
            refill = (now - self._at) * self.capacity / SECONDS_PER_MINUTE
            self._level = min(self.capacity, self._level + refill)
            self._at = now

    def level(self, now: float) -> float:
        """Return how much may be taken at `now`."""
        while self._refunds and self._refunds[0][0] <= now:
            at, amount = heappop(self._refunds)
            self._refill(at)
            self._level = min(self.capacity, self._level + amount)
        self._refill(now)
        return self._level

    def wait_s(self, cost: float, now: float) -> float:
        """Return how long it takes until `cost` may be taken, refunds left aside."""
        return max(0.0, cost - self.level(now)) * SECONDS_PER_MINUTE / self.capacity

    def take(self, cost: float, now: float) -> None:
        """Take `cost`, or all there is if that is less."""
        self._level = max(0.0, self.level(now) - cost)

    def refund(self, amount: float, at: float) -> None:
        """Give back what turns out at time `at` not to be used."""
        if amount > 0:
            heappush(self._refunds, (at, amount))

    def state(self, name: str, now: float) -> LimitState:
        """Return what is reported about this limit."""
        level = self.level(now)
        reset_s = (self.capacity - level) * SECONDS_PER_MINUTE / self.capacity
        return LimitState(name=name, limit=self.capacity, remaining=int(level), reset_s=reset_s)


class Limits:
    """Requests and tokens per minute; one that is None is reported and never enforced."""

    def __init__(self, *, rpm: int | None, tpm: int | None, profile: Profile) -> None:
        limits = {"requests": rpm, "tokens": tpm}
        self._profile = profile
        self._buckets = {name: Bucket(limit) for name, limit in limits.items() if limit}
        self._account = {"requests": profile.account_rpm, "tokens": profile.account_tpm}

    def admit(self, model: str, cost_tokens: int, now: float) -> None:
        """Take a request and its tokens from the limits.

        Raises:
            Refusal: With status 429 if one of them is used up or can never be met.
        """
        costs = {"requests": 1, "tokens": cost_tokens}
        longest_wait_s, short = 0.0, ""
        for name, bucket in self._buckets.items():
            if costs[name] > bucket.capacity:
                self._count_refused(now)
                raise _too_large(model, name, bucket.capacity, costs[name])
            wait_s = bucket.wait_s(costs[name], now)
            if wait_s > max(longest_wait_s, SHORTEST_WAIT_S):
                longest_wait_s, short = wait_s, name
        if short:
            limit = self._buckets[short].capacity
            used = math.ceil(limit - self._buckets[short].level(now))
            self._count_refused(now)
            raise _limit_reached(model, short, limit, used, costs[short], longest_wait_s)
        for name, bucket in self._buckets.items():
            bucket.take(costs[name], now)

    def _count_refused(self, now: float) -> None:
        if "requests" in self._buckets and self._profile.is_refused_request_counted:
            self._buckets["requests"].take(1, now)

    def refund(self, tokens: int, at: float) -> None:
        """Give back reserved tokens that turn out at time `at` not to be used."""
        if "tokens" in self._buckets:
            self._buckets["tokens"].refund(tokens, at)

    def report(self, cost_tokens: int, now: float) -> list[LimitState]:
        """Return the state of both limits; `cost_tokens` is the request that asks."""
        states = []
        for name, cost in (("requests", 1), ("tokens", cost_tokens)):
            if name in self._buckets:
                states.append(self._buckets[name].state(name, now))
                continue
            limit = self._account[name]
            remaining, reset_s = limit - cost, cost * SECONDS_PER_MINUTE / limit
            states.append(LimitState(name=name, limit=limit, remaining=remaining, reset_s=reset_s))
        return states


_LIMIT_NAMES = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}
_LIMIT_PAGE = "Visit https://platform.openai.com/account/rate-limits to learn more."


def _limit_reached(
    model: str, name: str, limit: int, used: int, requested: int, wait_s: float
) -> Refusal:
    return Refusal(
        f"Rate limit reached for {model} in organization org-local on {_LIMIT_NAMES[name]}: Limit "
        f"{limit}, Used {used}, Requested {requested}. Please try again in {go_duration(wait_s)}. "
        f"{_LIMIT_PAGE}",
        status=429,
        kind=name,
        code="rate_limit_exceeded",
        retry_after_s=wait_s,
    )


def _too_large(model: str, name: str, limit: int, requested: int) -> Refusal:
    return Refusal(
        f"Request too large for {model} in organization org-local on {_LIMIT_NAMES[name]}: Limit "
        f"{limit}, Requested {requested}. The input or output tokens must be reduced in order to "
        f"run successfully. {_LIMIT_PAGE}",
        status=429,
        kind=name,
        code="rate_limit_exceeded",
    )
