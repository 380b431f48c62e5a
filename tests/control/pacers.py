"""Pacers and dimensions for tests, and what a service tells them."""

from __future__ import annotations

import random
from dataclasses import replace

from analysis.control.calls import Call
from analysis.control.dimension import Dimension
from analysis.control.learned import LearnedLimit
from analysis.control.pacing import Pacer
from analysis.errors import RateLimited
from analysis.records import RateLimit
from analysis.settings import SETTINGS, Settings

GROWING = replace(SETTINGS, burst_growth=1.0)


def pacer(*, rpm: int = 60, tpm: int = 60_000, burst_s: float = 1.0) -> Pacer:
    """Return a pacer at time 0 with these limits."""
    knobs = replace(
        SETTINGS,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        burst_s=burst_s,
        burst_growth=1.0,
    )
    return Pacer(now=0.0, rng=random.Random(1), settings=knobs)


def stated(requests: tuple[int, int], tokens: tuple[int, int]) -> list[RateLimit]:
    """Return a statement of both dimensions, each as (limit, remaining)."""
    return [
        RateLimit(name="requests", limit=requests[0], remaining=requests[1]),
        RateLimit(name="tokens", limit=tokens[0], remaining=tokens[1]),
    ]


def refused(found: Pacer, call: Call, now: float, refusal: RateLimited) -> float:
    """End a call with a refusal, as the scheduler does."""
    found.end(call)
    found.refund(tokens=call.tokens, now=now)
    return found.hold(retry_after_s=refusal.retry_after_s, now=now, call=call, refusal=refusal)


def limited(name: str, limit: int, used: int, requested: int, wait_s: float = 1.0) -> RateLimited:
    """Return a refusal that names a limit."""
    return RateLimited(
        "slow",
        retry_after_s=wait_s,
        dimension=name,
        limit=limit,
        used=used,
        requested=requested,
    )


def dimension(
    per_minute: float = 600,
    *,
    least_burst: float = 1.0,
    is_assumed: bool = False,
    settings: Settings = GROWING,
    at: float = 0.0,
    learned: LearnedLimit | None = None,
) -> Dimension:
    """Return a dimension of requests."""
    return Dimension(
        per_minute=per_minute,
        least_burst=least_burst,
        is_assumed=is_assumed,
        now=at,
        settings=settings,
        learned=learned,
    )


def told(
    found: Dimension,
    now: float,
    *,
    limit: int | None = None,
    remaining: int | None = None,
    amount: float = 1.0,
    sent_at: float | None = None,
    missing: float = 0.0,
) -> None:
    """Let the service state something."""
    found.learn(
        RateLimit(name="requests", limit=limit, remaining=remaining),
        now,
        amount=amount,
        sent_at=sent_at,
        missing=missing,
    )
