"""Rate limits of the simulated account: token buckets, hidden windows, and a check of the rise.

Pure: `now` is handed in as monotonic seconds and never goes back. `service` charges each request
here; the protocols report what is left. What is reported are the limits per minute; the limit per
day, the hidden windows and the check of how fast traffic rises show only in refusals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from analysis.simulator.profile import Profile
from analysis.simulator.refusals import Refusal

SECONDS_PER_MINUTE = 60.0
SECONDS_PER_DAY = 86_400.0
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
    """What is reported about one limit: `requests`, `tokens` or `project-tokens`."""

    name: str
    limit: int
    remaining: int
    reset_s: float


class Bucket:
    """A limit per window: starts full, refills continuously.

    Args:
        limit: What may be taken per window.
        window_s: Length of the window.
        burst: Most that it holds; by default a whole window's worth.
    """

    def __init__(
        self, limit: int, *, window_s: float = SECONDS_PER_MINUTE, burst: float | None = None
    ) -> None:
        self.capacity = limit
        self.burst = float(limit) if burst is None else burst
        self._window_s = window_s
        self._level = self.burst
        self._at = -math.inf
        self._refunds: list[tuple[float, float]] = []

    def __repr__(self) -> str:
        return f"Bucket({self._level:.1f} of {self.capacity} at {self._at:.3f})"

    def _refill(self, now: float) -> None:
        if now > self._at:
            refill = (now - self._at) * self.capacity / self._window_s
            self._level = min(self.burst, self._level + refill)
            self._at = now

    def level(self, now: float) -> float:
        """Return how much may be taken at `now`."""
        while self._refunds and self._refunds[0][0] <= now:
            at, amount = heappop(self._refunds)
            self._refill(at)
            self._level = min(self.burst, self._level + amount)
        self._refill(now)
        return self._level

    def wait_s(self, cost: float, now: float) -> float:
        """Return how long it takes until `cost` may be taken, refunds left aside."""
        return max(0.0, cost - self.level(now)) * self._window_s / self.capacity

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
        reset_s = (self.capacity - level) * self._window_s / self.capacity
        return LimitState(name=name, limit=self.capacity, remaining=int(level), reset_s=reset_s)


class Rise:
    """Refuses traffic that rises too fast: a minute against the minute before."""

    def __init__(self, *, factor: float, floor: int, retry_s: float | None) -> None:
        self._factor = factor
        self._floor = floor
        self._retry_s = retry_s
        self._minute = -1
        self._count = 0
        self._before = 0

    def __repr__(self) -> str:
        return f"Rise({self._count} after {self._before})"

    def admit(self, now: float) -> None:
        """Count a request.

        Raises:
            Refusal: With code `slow_down` if this minute has had its share; it is not counted.
        """
        minute = int(now // SECONDS_PER_MINUTE)
        if minute != self._minute:
            self._before = self._count if minute == self._minute + 1 else 0
            self._minute, self._count = minute, 0
        if self._count >= max(self._floor, self._factor * self._before):
            raise slow_down(self._retry_s)
        self._count += 1


class Limits:
    """Requests and tokens per minute; one that is None is reported and never enforced.

    Args:
        rpm: Requests per minute.
        tpm: Tokens per minute.
        rpd: Requests per day; never reported.
        profile: Hidden windows, the check of the rise, what is reported and what counts.
    """

    def __init__(
        self, *, rpm: int | None, tpm: int | None, profile: Profile, rpd: int | None = None
    ) -> None:
        self._profile = profile
        self._buckets: dict[str, Bucket] = {}
        self._hidden: dict[str, Bucket] = {}
        for name, limit in (("requests", rpm), ("tokens", tpm), ("daily requests", rpd)):
            self.set_limit(name, limit, -math.inf)
        self._account = {"requests": profile.account_rpm, "tokens": profile.account_tpm}
        self._rise: Rise | None = None
        if profile.slow_down_factor is not None:
            self._rise = Rise(
                factor=profile.slow_down_factor,
                floor=profile.slow_down_floor,
                retry_s=profile.slow_down_retry_s,
            )

    def __repr__(self) -> str:
        return f"Limits({self._buckets})"

    def set_limit(self, name: str, limit: int | None, now: float) -> None:
        """Change a limit: `requests`, `tokens` or `daily requests`; None lifts it.

        What was left stays, as far as the new limit allows it; a limit that was lifted starts full.
        """
        left = self._buckets[name].level(now) if name in self._buckets else math.inf
        self._buckets.pop(name, None)
        self._hidden.pop(name, None)
        if limit is None:
            return
        if name == "daily requests":
            self._buckets[name] = Bucket(limit, window_s=SECONDS_PER_DAY)
        else:
            self._buckets[name] = Bucket(limit)
            if self._profile.hidden_window_s is not None:
                burst = limit * self._profile.hidden_window_s / SECONDS_PER_MINUTE
                self._hidden[name] = Bucket(limit, burst=max(1.0, burst))
        if left < limit:
            self._buckets[name].take(limit - left, now)

    def admit(self, model: str, cost_tokens: int, now: float) -> None:
        """Take a request and its tokens from the limits.

        Raises:
            Refusal: With status 429 if one of them is used up or can never be met, or if traffic
                rises too fast.
        """
        if self._rise is not None:
            self._rise.admit(now)
        if not self._buckets:
            return
        longest_wait_s, short = 0.0, ""
        for name, bucket in self._buckets.items():
            cost = _cost(name, cost_tokens)
            if cost > bucket.capacity:
                self._count_refused(now)
                raise _too_large(model, name, bucket.capacity, cost)
            wait_s = bucket.wait_s(cost, now)
            if name in self._hidden:
                hidden = self._hidden[name]
                wait_s = max(wait_s, hidden.wait_s(min(cost, hidden.burst), now))
            if wait_s > max(longest_wait_s, SHORTEST_WAIT_S):
                longest_wait_s, short = wait_s, name
        if short:
            limit = self._buckets[short].capacity
            used = math.ceil(limit - self._buckets[short].level(now))
            cost = _cost(short, cost_tokens)
            self._count_refused(now)
            raise _limit_reached(model, short, limit, used, cost, longest_wait_s)
        for buckets in (self._buckets, self._hidden):
            for name, bucket in buckets.items():
                bucket.take(_cost(name, cost_tokens), now)

    def _count_refused(self, now: float) -> None:
        if "requests" in self._buckets and self._profile.is_refused_request_counted:
            self._buckets["requests"].take(1, now)

    def refund(self, tokens: int, at: float) -> None:
        """Give back reserved tokens that turn out at time `at` not to be used."""
        if "tokens" in self._buckets:
            self._buckets["tokens"].refund(tokens, at)

    def report(self, cost_tokens: int, now: float, *, lie: str = "") -> list[LimitState]:
        """Return what is said about the limits per minute.

        Args:
            cost_tokens: Cost of the request that asks.
            now: Monotonic seconds.
            lie: A name in `faults.LIES`: what is wrong in this report. The profile may name one
                for every report.
        """
        states = []
        for name, cost in (("requests", 1), ("tokens", cost_tokens)):
            if name in self._buckets:
                states.append(self._buckets[name].state(name, now))
                continue
            limit = self._account[name]
            remaining, reset_s = limit - cost, cost * SECONDS_PER_MINUTE / limit
            states.append(LimitState(name=name, limit=limit, remaining=remaining, reset_s=reset_s))
        if self._profile.is_project_limit_reported:
            states.append(replace(states[-1], name="project-tokens"))
        lie = lie or self._profile.lie
        return bent(states, lie) if lie else states


def _cost(name: str, cost_tokens: int) -> int:
    return cost_tokens if name == "tokens" else 1


def bent(states: list[LimitState], lie: str) -> list[LimitState]:
    """Return a report with a lie in it; `faults.LIES` has the names."""
    match lie:
        case "negative":
            return [replace(one, remaining=-1) for one in states]
        case "zero":
            return [replace(one, remaining=0, reset_s=0.0) for one in states]
        case "unit":
            return [replace(one, reset_s=one.reset_s * 1_000) for one in states]
    return []


_LIMIT_NAMES = {
    "requests": "requests per min (RPM)",
    "tokens": "tokens per min (TPM)",
    "daily requests": "requests per day (RPD)",
}
_LIMIT_PAGE = "Visit https://platform.openai.com/account/rate-limits to learn more."


def _limit_reached(
    model: str, name: str, limit: int, used: int, requested: int, wait_s: float
) -> Refusal:
    return Refusal(
        f"Rate limit reached for {model} in organization org-local on {_LIMIT_NAMES[name]}: Limit "
        f"{limit}, Used {used}, Requested {requested}. Please try again in {go_duration(wait_s)}. "
        f"{_LIMIT_PAGE}",
        status=429,
        kind="tokens" if name == "tokens" else "requests",
        code="rate_limit_exceeded",
        retry_after_s=wait_s,
    )


def _too_large(model: str, name: str, limit: int, requested: int) -> Refusal:
    return Refusal(
        f"Request too large for {model} in organization org-local on {_LIMIT_NAMES[name]}: Limit "
        f"{limit}, Requested {requested}. The input or output tokens must be reduced in order to "
        f"run successfully. {_LIMIT_PAGE}",
        status=429,
        kind="tokens" if name == "tokens" else "requests",
        code="rate_limit_exceeded",
    )


def slow_down(retry_after_s: float | None) -> Refusal:
    """Return the refusal of traffic that rises too fast, section 5.3 (wording: G)."""
    return Refusal(
        "Slow Down. Please reduce your request rate to its original level, maintain a consistent "
        "rate for at least 15 minutes, and then gradually increase it.",
        status=429,
        kind="requests",
        code="slow_down",
        retry_after_s=retry_after_s,
    )


def overloaded(retry_after_s: float | None) -> Refusal:
    """Return the refusal of a service without room."""
    return Refusal(
        "The engine is currently overloaded, please try again later.",
        status=503,
        kind="server_error",
        code="server_is_overloaded",
        retry_after_s=retry_after_s,
    )


def no_credit() -> Refusal:
    """Return the refusal of an account that has nothing left to spend."""
    return Refusal(
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
        status=429,
        kind="insufficient_quota",
        code="insufficient_quota",
    )
