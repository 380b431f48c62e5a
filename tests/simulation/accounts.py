"""An account with limits, as a service keeps them: minute buckets, hidden windows, what it states.

Written from the documents; shares no code with the scheduler.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from analysis.errors import RateLimited
from analysis.records import RateLimit

NAMES = ("requests", "tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """The limits of an account.

    Attributes:
        rpm: Requests per minute.
        tpm: Tokens per minute.
        window_s: Length of the hidden window, which keeps what was reserved; None or a minute:
            there is none.
        fill: Share of the minute that is left at the start.
        lie: `""`, or what is wrong with every statement: `absent`, `negative`, `zero`, `full`
            (always all of it remains) or `unit` (a tenth of limit and rest).
        is_named: Refusals name dimension and counts, and a time to wait.
        lowered_at: When both limits change, or None.
        lowered_to: Their share from then on.
        others: Share of the limits that somebody else draws all the time.
        slow_down_above: Requests in ten seconds above which `slow_down` comes, or None.
    """

    rpm: int
    tpm: int
    window_s: float | None = None
    fill: float = 1.0
    lie: str = ""
    is_named: bool = True
    lowered_at: float | None = None
    lowered_to: float = 0.5
    others: float = 0.0
    slow_down_above: int | None = None


class Account:
    """Buckets on the service's side.

    Attributes:
        served: (time, cost) of every request let through.
        refused: Times of refusals.
    """

    def __init__(self, spec: Limited, rng: random.Random, now: float) -> None:
        self.spec = spec
        self.served: list[tuple[float, int]] = []
        self.refused: list[float] = []
        self._rng = rng
        self._window_s = None if spec.window_s == 60.0 else spec.window_s
        self._begin = self._at = now
        self._limit = {"requests": float(spec.rpm), "tokens": float(spec.tpm)}
        self._left = {name: limit * spec.fill for name, limit in self._limit.items()}
        self._window = {name: self._most(name) for name in NAMES}

    def arrive(self, cost: int, now: float) -> tuple[RateLimited | None, tuple[RateLimit, ...]]:
        """Let a request through or not; return the refusal and what is stated with either."""
        self._refill(now)
        spec, costs = self.spec, {"requests": 1.0, "tokens": float(cost)}
        recent = sum(at > now - 10 for at, _ in self.served)
        if spec.slow_down_above is not None and recent >= spec.slow_down_above:
            self.refused.append(now)
            return RateLimited("slow down", code="slow_down", retry_after_s=1.0), self._stated()
        waits = {}
        for name, asked in costs.items():
            rate = self._limit[name] / 60
            short = (asked - self._left[name]) / rate
            if self._window_s is not None:
                short = max(short, (min(asked, self._most(name)) - self._window[name]) / rate)
            if short > 1e-9:
                waits[short] = name
        if waits:
            self.refused.append(now)
            self._left["requests"] -= 1  # a refused request counts
            wait_s = max(waits)
            return self._refusal(waits[wait_s], costs, wait_s), self._stated()
        for name, asked in costs.items():
            self._left[name] -= asked
            self._window[name] -= asked
        self.served.append((now, cost))
        return None, self._stated()

    def give_back(self, tokens: int, now: float) -> None:
        """Give back what was reserved and not used."""
        self._refill(now)
        self._left["tokens"] = min(self._limit["tokens"], self._left["tokens"] + tokens)

    def _most(self, name: str) -> float:
        smallest = 1.0 if name == "requests" else 0.0
        return max(smallest, self._limit[name] / 60 * (self._window_s or 0.0))

    def _refill(self, now: float) -> None:
        spec, passed = self.spec, now - self._at
        self._at = now
        if spec.lowered_at is not None and now - self._begin >= spec.lowered_at:
            self._limit = {
                "requests": spec.rpm * spec.lowered_to,
                "tokens": spec.tpm * spec.lowered_to,
            }
        for name, limit in self._limit.items():
            mine = limit / 60 * (1 - spec.others) * passed
            self._left[name] = min(limit, self._left[name] + mine)
            self._window[name] = min(self._most(name), self._window[name] + limit / 60 * passed)

    def _refusal(self, name: str, costs: dict[str, float], wait_s: float) -> RateLimited:
        if not self.spec.is_named:
            return RateLimited("too many requests")
        limit = self._limit[name]
        return RateLimited(
            "slow",
            retry_after_s=math.ceil(wait_s * 1000) / 1000,
            dimension=f"{name} per min",
            limit=int(limit),
            used=math.ceil(limit - self._left[name]),
            requested=int(costs[name]),
        )

    def _stated(self) -> tuple[RateLimit, ...]:
        return tuple(
            one for name in NAMES if (one := self._statement(name, self.spec.lie)) is not None
        )

    def _statement(self, name: str, lie: str) -> RateLimit | None:
        limit, left = int(self._limit[name]), max(0, int(self._left[name]))
        match lie:
            case "absent":
                return None
            case "negative":
                return RateLimit(name=name, limit=-1, remaining=-1)
            case "zero":
                return RateLimit(name=name, limit=0, remaining=0)
            case "full":
                return RateLimit(name=name, limit=limit, remaining=limit)
            case "unit":
                return RateLimit(name=name, limit=limit // 10, remaining=left // 10)
        return RateLimit(name=name, limit=limit, remaining=left)
