"""Knobs of the scheduler: pacing, concurrency, copies, choice of routes, breaker, shared limits.

Pure. `settings.Settings` inherits them; everybody else reads them there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FLAG = "no/yes"
"""Unit of a knob that is switched on or off."""


def knob(default: Any, *, unit: str, low: float, high: float, reason: str) -> Any:
    """Declare a numeric setting with its unit, its inclusive range and why it is what it is."""
    return field(
        default=default, metadata={"unit": unit, "low": low, "high": high, "reason": reason}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """The part of the knobs that decides what is sent when. Fields state unit, range and reason."""

    # Pacing
    requests_per_minute: int = knob(
        5_000,
        unit="requests/min",
        low=1,
        high=10_000_000,
        reason="lowest paid tier of gpt-6-luna in 2026-10; headers correct it",
    )
    tokens_per_minute: int = knob(
        2_000_000,
        unit="tokens/min",
        low=1_000,
        high=10_000_000_000,
        reason="lowest paid tier of gpt-6-luna in 2026-10; headers correct it",
    )
    burst_s: float = knob(
        1.0,
        unit="s",
        low=0.05,
        high=60.0,
        reason="services apply a minute's limit over shorter windows; a second's worth may go at "
        "once",
    )
    start_requests: int = knob(
        2, unit="requests", low=1, high=1_000, reason="go at once at the start, at least"
    )
    start_per_s: float = knob(
        3.0,
        unit="requests/s",
        low=0.01,
        high=1_000_000.0,
        reason="long work on assumed limits, until a service states them: few are refused then",
    )
    start_doubles_s: float = knob(
        1.0, unit="s", low=0.05, high=3_600.0, reason="the same where nothing will be stated"
    )
    blind_requests: int = knob(
        16, unit="requests", low=1, high=1_000, reason="at once where no route states limits"
    )
    blind_entered: int = knob(
        64, unit="requests", low=1, high=1_000, reason="the same for limits that were entered"
    )
    blind_most: int = knob(
        256, unit="requests", low=1, high=1_000_000, reason="above the rate, if it is assumed"
    )
    blind_growth: float = knob(
        2.0, unit="times", low=0.0, high=10.0, reason="more room per answer: doubles per round trip"
    )
    measure_s: float = knob(
        2.0, unit="s", low=0.05, high=60.0, reason="at least, between two refusals"
    )
    measured_share: float = knob(
        0.95, unit="share", low=0.1, high=1.0, reason="of the rate between two refusals"
    )
    ease_careful_s: float = knob(
        50.0, unit="s", low=1.0, high=3_600.0, reason="a measured rate is near the limit"
    )
    hold_jitter_s: float = knob(
        5.0, unit="s", low=0.0, high=600.0, reason="most that chance adds to a stated wait"
    )
    long_s: float = knob(
        2.0, unit="s", low=0.0, high=3_600.0, reason="work from which on asking for limits pays"
    )
    scout_every_s: float = knob(
        5.0, unit="s", low=0.1, high=3_600.0, reason="age of statements while requests wait"
    )
    doubt_s: float = knob(
        1.0, unit="s", low=0.0, high=60.0, reason="so far a level may be wrong, by its refill"
    )
    lost_s: float = knob(
        5.0, unit="s", low=0.0, high=60.0, reason="more room than that was never drawn by us"
    )
    spaced_s: float = knob(
        0.5, unit="s", low=0.0, high=60.0, reason="between requests after refusals in a row"
    )
    bound_s: float = knob(
        1.0, unit="s", low=0.0, high=60.0, reason="after a wait it counts as bound by the limits"
    )
    burst_growth: float = knob(
        0.75, unit="times", low=0.0, high=3.0, reason="more room per answer; 1.5 overshot"
    )
    burst_ramp: float = knob(
        1.0,
        unit="times",
        low=0.0,
        high=30.0,
        reason="of the rate: more room per second while requests wait",
    )
    window_s: float = knob(
        0.9, unit="s", low=0.01, high=60.0, reason="burst in a hidden window; the shortest is 1 s"
    )
    guard: float = knob(
        0.005, unit="share", low=0.0, high=0.5, reason="slower refill in a hidden window: jitter"
    )
    guard_step: float = knob(
        0.01, unit="share", low=0.0, high=0.5, reason="more guard after further refusals"
    )
    guard_cap: float = knob(
        0.15, unit="share", low=0.0, high=0.5, reason="most; then the rate is halved"
    )
    guard_every_s: float = knob(
        2.0, unit="s", low=0.0, high=60.0, reason="refusals within it come from one burst"
    )
    reserve_units: float = knob(
        0.1, unit="requests", low=0.0, high=10.0, reason="unused: statements err by the way there"
    )
    reserve_s: float = knob(
        0.15, unit="s", low=0.0, high=10.0, reason="unused: a statement is so old"
    )
    statement_age_s: float = knob(
        1.0, unit="s", low=0.0, high=60.0, reason="most, where its request is not known"
    )
    others_tau_s: float = knob(
        20.0, unit="s", low=0.1, high=600.0, reason="less would take noise for other users"
    )
    others_noise: float = knob(
        0.1, unit="share", low=0.0, high=1.0, reason="less is rounding or jitter"
    )
    share_floor: float = knob(
        0.2, unit="share", low=0.01, high=1.0, reason="lest two polite clients starve"
    )
    limit_doubt: float = knob(
        2.0, unit="times", low=1.1, high=100.0, reason="so much above a limit: other unit"
    )
    ease_growth: float = knob(
        0.02, unit="share/s", low=0.0, high=10.0, reason="a halved rate is whole after 50 s"
    )
    ease_floor: float = knob(
        0.0001, unit="share", low=1e-6, high=1.0, reason="5,000 a minute can sink to one in two"
    )
    slow_down_s: float = knob(
        900.0, unit="s", low=0.0, high=86_400.0, reason="the error guide asks for 15 minutes"
    )

    slow_down_every_s: float = knob(
        60.0, unit="s", low=0.0, high=3_600.0, reason="it compares a minute with the one before"
    )
    slow_down_floor: float = knob(
        0.125, unit="share", low=0.001, high=0.5, reason="halved three times; then pauses do it"
    )
    slow_down_per_s: float = knob(
        0.5, unit="requests/s", low=0.0, high=100.0, reason="or this, at most half of the rate"
    )

    # Concurrency
    realtime_in_flight: int = knob(
        8, unit="requests", low=1, high=64, reason="what a session takes at once is not documented"
    )
    responses_ws_in_flight: int = knob(
        64,
        unit="requests",
        low=1,
        high=512,
        reason="four sockets of 16 lanes; 1,220 requests a second at 50 ms each keep 61 in flight",
    )
    rest_in_flight: int = knob(
        32, unit="requests", low=1, high=512, reason="5,000 a minute at 0.4 s keep 33 in flight"
    )
    offline_in_flight: int = knob(
        1, unit="requests", low=1, high=1, reason="the labeller runs in the calling thread"
    )

    decisions_in_flight: int = knob(
        32, unit="requests", low=1, high=512, reason="5,000 a minute at 0.35 s keep 29 in flight"
    )
    concurrency_soft_cap: int = knob(
        16, unit="requests", low=1, high=512, reason="below it each answer adds one, above few do"
    )
    concurrency_loss: float = knob(
        0.7, unit="times", low=0.1, high=1.0, reason="per loss; half would leave much of it unused"
    )
    concurrency_slow: float = knob(
        2.0, unit="times", low=1.0, high=100.0, reason="an answer so much late does not add one"
    )
    concurrency_inflated: float = knob(
        1.8, unit="times", low=1.0, high=100.0, reason="1.2 is healthy: a median by a quartile"
    )
    concurrency_inflation: float = knob(
        0.85, unit="times", low=0.1, high=1.0, reason="less than a loss: lateness is no proof"
    )
    concurrency_after_outage: int = knob(
        4, unit="requests", low=1, high=512, reason="a service that comes back is cold"
    )
    concurrency_idle_s: float = knob(
        600.0, unit="s", low=1.0, high=86_400.0, reason="a shrunken limit is not true for longer"
    )

    # Hedging
    latency_prior_s: float = knob(
        1.0, unit="s", low=0.001, high=600.0, reason="of a request, before the first answer"
    )
    latency_prior_per_chunk_s: float = knob(
        0.15, unit="s/chunk", low=0.0001, high=60.0, reason="12 tokens at 80 a second"
    )
    hedge_quantile: float = knob(
        0.95, unit="share", low=0.5, high=1.0, reason="later than so many: copied at the end"
    )
    hedge_floor: float = knob(
        1.3, unit="times", low=1.0, high=100.0, reason="1.25 cost 8 % more requests, this 2.4 %"
    )
    hedge_blind: float = knob(
        1.5, unit="times", low=1.0, high=100.0, reason="before 20 answers, in place of both"
    )
    hedge_least_s: float = knob(
        0.25, unit="s", low=0.0, high=60.0, reason="later than usual; less is not worth the price"
    )
    hedge_share: float = knob(
        0.05, unit="share", low=0.0, high=1.0, reason="copies are paid for; goal: 5 % of tokens"
    )
    hedge_extra: int = knob(
        2, unit="requests", low=0, high=1_000, reason="beside the share: for jobs of few requests"
    )
    hedge_unknown_s: float = knob(
        10.0, unit="s", low=0.01, high=3_600.0, reason="before the first answer of a route"
    )
    suspended_s: float = knob(
        30.0, unit="s", low=1.0, high=86_400.0, reason="so late: the machine slept, no outage"
    )

    # One request before the crowd, for the prompt cache
    warm_least_usd: float = knob(
        0.001, unit="USD", low=0.0, high=1e6, reason="saved by a wait; for less nobody waits"
    )
    warm_share: float = knob(
        0.05, unit="share", low=0.0, high=1.0, reason="most of a run's time for it; 0: never"
    )
    warm_crowd: int = knob(
        15, unit="requests/min", low=2, high=1_000, reason="one cache serves about so many"
    )
    warm_patience: float = knob(
        2.0,
        unit="times",
        low=0.1,
        high=100.0,
        reason="the expected latency; then the others go anyway",
    )
    warm_life_s: float = knob(
        1_800.0, unit="s", low=1.0, high=86_400.0, reason="a cache lives so long after its last use"
    )

    # Choice among equal routes
    spill_below_per_s: float = knob(
        1_000.0, unit="chunks/s", low=0.0, high=1e6, reason="above it this machine is the limit"
    )
    explore_every_s: float = knob(
        30.0, unit="s", low=1.0, high=86_400.0, reason="figures of the other routes stay fresh"
    )
    prefer_margin: float = knob(
        0.15, unit="share", low=0.01, high=0.9, reason="a change costs connects and cold caches"
    )
    prefer_after_s: float = knob(
        20.0, unit="s", low=0.0, high=3_600.0, reason="better for so long, before a change"
    )
    prefer_every_s: float = knob(
        60.0, unit="s", low=0.0, high=86_400.0, reason="least time between two changes"
    )
    loss_burst: int = knob(
        4, unit="requests", low=1, high=1_000, reason="of the last 20; fewer losses are chance"
    )

    # Silence
    silence_calls: int = knob(
        3, unit="requests", low=1, high=1_000, reason="two may be late by chance: 1 % tail each"
    )
    silence_floor_s: float = knob(
        1.5, unit="s", low=0.01, high=600.0, reason="a pause of a service or line is no outage"
    )
    silence_factor: float = knob(
        4.0, unit="times", low=1.0, high=100.0, reason="of the expected first sign of an answer"
    )

    # Breaker
    breaker_failures: int = knob(
        5, unit="failures", low=1, high=1_000, reason="so many in a row open it"
    )
    breaker_window: int = knob(
        20, unit="requests", low=2, high=1_000, reason="half of these failing open it, too"
    )
    breaker_open_s: float = knob(
        3.0, unit="s", low=0.01, high=600.0, reason="first pause before a one-chunk probe"
    )
    breaker_open_cap_s: float = knob(
        30.0, unit="s", low=0.01, high=3_600.0, reason="longest pause; grows by 1.6 per probe"
    )
    other_model_after_s: float = knob(
        10.0,
        unit="s",
        low=0.0,
        high=3_600.0,
        reason="rows that did not fail themselves wait so long for a route that worked before, "
        "rather than get another model's label",
    )
    first_contact_s: float = knob(
        15.0, unit="s", low=0.1, high=86_400.0, reason="never reached for so long: a wrong address"
    )
    outage_limit_s: float = knob(
        120.0, unit="s", low=1.0, high=86_400.0, reason="no route for so long: stop, resumable"
    )

    # Shared limits
    share_limits: bool = knob(
        True, unit=FLAG, low=0, high=1, reason="two runs at once else draw the same rate twice"
    )
    lease_block_s: float = knob(
        0.5, unit="s", low=0.05, high=10.0, reason="a lease is renewed after it, looked at twice"
    )
    lease_expires_s: float = knob(
        2.0, unit="s", low=0.2, high=60.0, reason="after a crash; four renewals, so one may be late"
    )
    lease_idle_share: float = knob(
        0.02, unit="share", low=0.0, high=0.5, reason="kept by an idle process, to begin at once"
    )
    lease_headroom: float = knob(
        1.5, unit="times", low=1.0, high=10.0, reason="wanted beside what is used, so as to grow"
    )
    learned_limits_days: float = knob(
        30.0, unit="days", low=0.0, high=3_650.0, reason="tiers and limits change within months"
    )
