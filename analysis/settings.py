"""Every knob of the package: default, unit, range, reason.

Pure. Everybody may import it. `SETTINGS` holds the defaults; pass a changed copy
(`dataclasses.replace`) where another value is wanted. The simulated service keeps its own
constants, so that tuning here never touches it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def knob(default: Any, *, unit: str, low: float, high: float, reason: str) -> Any:
    """Declare a numeric setting with its unit, its inclusive range and why it is what it is."""
    return field(
        default=default, metadata={"unit": unit, "low": low, "high": high, "reason": reason}
    )


ROUTES = ("realtime", "responses-ws", "rest", "decisions", "offline")
"""Routes that this version speaks."""

UNSTATED_LIMITS = frozenset({"responses-ws"})
"""Routes whose service tells nothing about rate limits with its answers. Source: protocol notes,
section 6.5."""

CHOICE_ROUTES = frozenset({"decisions"})
"""Routes that answer typed questions with choices; the others answer with a text."""

DIALECTS = ("auto", "ga", "beta")
"""Dialects of the Realtime protocol that this version speaks."""

DEFAULT_MODELS = {
    "realtime": "gpt-realtime-2.1-mini",
    "responses-ws": "gpt-6-luna",
    "rest": "gpt-6-luna",
    "decisions": "gpt-6-luna",
    "offline": "offline-rules",
}
"""Model asked for on each route unless the caller names another one. Source: design, models of
2026-11."""

SERVICE_TIERS = ("auto", "default", "flex", "priority", "fast", "scale", "ultrafast")
"""Service tiers that OpenAI knows; `fast` is the newer name of `priority`. Source: SDK 3.52.0 and
changelog, 2026-07."""

OPENAI_BASE_URL = "https://api.openai.com/v1"
"""Used when neither `base_url` nor the variable OPENAI_BASE_URL is set."""

DEFAULT_LABEL_SET = "ten_functions"
LANGUAGES = ("auto", "en", "ru", "fr", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All knobs. Fields state unit, range and reason in their metadata."""

    # Packing
    chunks_per_request: int = knob(
        10,
        unit="chunks",
        low=1,
        high=20,
        reason="90 % of the saving of shared instructions; above 20 needs an audit with a model",
    )
    pack_tokens: int = knob(
        8_000,
        unit="tokens",
        low=100,
        high=100_000,
        reason="keeps one request well below a minute's token budget of small accounts",
    )
    chunk_tokens: int = knob(
        32_000,
        unit="tokens",
        low=100,
        high=100_000,
        reason="a longer text is no chunk; it gets the error kind too_long and is not sent",
    )
    slice_chunks: int = knob(
        2_000,
        unit="chunks",
        low=1,
        high=100_000,
        reason="how much of the input is read ahead of the ledger look-up; bounds memory",
    )
    queue_packs: int = knob(
        64,
        unit="packs",
        low=1,
        high=10_000,
        reason="packs cut ahead of sending, beside those in flight; bounds memory",
    )

    # Output size
    output_tokens_per_chunk: int = knob(
        32,
        unit="tokens",
        low=8,
        high=200,
        reason="id, one or two label keys and JSON marks; the longest pair needs about 28",
    )
    output_tokens_per_request: int = knob(
        48,
        unit="tokens",
        low=16,
        high=1_000,
        reason="braces around the answer; the Responses API takes no cap below 16",
    )

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
    burst_growth: float = knob(
        1.5, unit="times", low=1.0, high=3.0, reason="an answer frees so many sends; 2 overshot"
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
        0.3, unit="requests", low=0.0, high=10.0, reason="unused: the rest is stated in units"
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
    unit_boost: float = knob(
        10.0, unit="times", low=0.0, high=100.0, reason="a limit in another unit refills faster"
    )

    # Concurrency
    realtime_in_flight: int = knob(
        8,
        unit="requests",
        low=1,
        high=64,
        reason="how many out-of-band responses one session takes at once is not documented",
    )
    responses_ws_in_flight: int = knob(
        64,
        unit="requests",
        low=1,
        high=512,
        reason="four sockets of 16 lanes; 1,220 requests a second at 50 ms each keep 61 in flight",
    )
    rest_in_flight: int = knob(
        32,
        unit="requests",
        low=1,
        high=512,
        reason="5,000 requests a minute at 0.4 s each keep 33 in flight",
    )
    offline_in_flight: int = knob(
        1,
        unit="requests",
        low=1,
        high=1,
        reason="the labeller runs in the calling thread; more in flight would only wait",
    )

    decisions_in_flight: int = knob(
        32,
        unit="requests",
        low=1,
        high=512,
        reason="5,000 requests a minute at 0.35 s each keep 29 in flight",
    )

    # Decisions
    decision_questions: int = knob(
        400,
        unit="questions",
        low=1,
        high=400,
        reason="one question per chunk; OpenAI takes 400, some servers 200, 128 or 10",
    )
    second_label_probability: float = knob(
        0.25,
        unit="probability",
        low=0.0,
        high=1.0,
        reason="a runner-up from here on is the second label of a chunk; not fitted on labelled "
        "data yet",
    )

    # WebSockets of the Responses API
    responses_ws_sockets: int = knob(
        64,
        unit="sockets",
        low=1,
        high=512,
        reason="one per 16 requests in flight; one per request where the server has no lanes",
    )
    responses_ws_warm_up: bool = knob(
        False,
        unit="no/yes",
        low=0,
        high=1,
        reason="a request that generates nothing goes first and is billed; of little worth here, "
        "since no request goes on from another one",
    )
    connects_per_s: float = knob(
        2.0,
        unit="connects/s",
        low=0.01,
        high=1_000.0,
        reason="attempts to open a socket that led to nothing, all sockets of the route together",
    )
    connect_burst: int = knob(
        8,
        unit="connects",
        low=1,
        high=1_000,
        reason="so many may be opened at once: twice what the requests in flight need",
    )

    # Retries
    timeout_s: float = knob(
        60.0,
        unit="s",
        low=0.1,
        high=3_600.0,
        reason="answers take about a second; a minute covers a loaded service",
    )
    flex_timeout_s: float = knob(
        900.0,
        unit="s",
        low=0.1,
        high=3_600.0,
        reason="in place of timeout_s with the service tier flex, as its guide asks",
    )
    connect_timeout_s: float = knob(
        10.0,
        unit="s",
        low=0.1,
        high=300.0,
        reason="handshake incl. TLS over a slow line",
    )
    connect_attempts: int = knob(
        3,
        unit="attempts",
        low=1,
        high=20,
        reason="one lost handshake is common; three in a row are the breaker's business",
    )
    session_age_s: float = knob(
        3_600.0,
        unit="s",
        low=1.0,
        high=86_400.0,
        reason="the service ends a session at 60 minutes; it is replaced at 50 to 55 sixtieths",
    )
    silence_s: float = knob(
        15.0,
        unit="s",
        low=0.3,
        high=600.0,
        reason="neither frame nor pong while requests wait: the socket is dead; a third of it is "
        "the interval of pings",
    )
    connect_budget_s: float = knob(
        8.0,
        unit="s",
        low=0.1,
        high=600.0,
        reason="no attempt of one opening begins later; below the time-out of one attempt, so that "
        "a swallowed handshake is not tried again before another route is",
    )
    realtime_cancel: bool = knob(
        True,
        unit="no/yes",
        low=0,
        high=1,
        reason="a request that its caller gives up stops costing output tokens",
    )
    realtime_serial_fallback: bool = knob(
        True,
        unit="no/yes",
        low=0,
        high=1,
        reason="a server without out-of-band responses is asked one request at a time",
    )
    attempts_per_route: int = knob(
        5,
        unit="attempts",
        low=1,
        high=50,
        reason="failures of the way, per chunk and route; then the next route, then Failed",
    )
    answer_attempts: int = knob(
        3,
        unit="attempts",
        low=1,
        high=10,
        reason="answers without a usable label, per chunk and route; the last one alone",
    )
    backoff_base_s: float = knob(
        0.25,
        unit="s",
        low=0.001,
        high=60.0,
        reason="retries: full jitter up to base * 2^n; connects: base to 3 times the last wait",
    )
    backoff_cap_s: float = knob(
        8.0,
        unit="s",
        low=0.01,
        high=600.0,
        reason="longest single wait before a retry",
    )
    retry_after_cap_s: float = knob(
        120.0,
        unit="s",
        low=1.0,
        high=86_400.0,
        reason="a longer wait asked for by the service takes the route out until then",
    )

    # Breaker
    breaker_failures: int = knob(
        5,
        unit="failures",
        low=1,
        high=1_000,
        reason="so many in a row open it",
    )
    breaker_window: int = knob(
        20,
        unit="requests",
        low=2,
        high=1_000,
        reason="half of these failing open it, too",
    )
    breaker_open_s: float = knob(
        3.0,
        unit="s",
        low=0.01,
        high=600.0,
        reason="first pause before a one-chunk probe",
    )
    breaker_open_cap_s: float = knob(
        30.0,
        unit="s",
        low=0.01,
        high=3_600.0,
        reason="longest pause; grows by 1.6 per probe",
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
        15.0,
        unit="s",
        low=0.1,
        high=86_400.0,
        reason="no route was ever reached for so long: a wrong address, not an outage",
    )
    outage_limit_s: float = knob(
        120.0,
        unit="s",
        low=1.0,
        high=86_400.0,
        reason="all routes away for so long: stop, resumable",
    )

    # Pipeline
    field_bytes: int = knob(
        64 * 1024 * 1024,
        unit="bytes",
        low=1_024,
        high=1 << 31,
        reason="largest CSV field; Python's default of 131,072 breaks on real texts",
    )
    commit_group: int = knob(
        50,
        unit="operations",
        low=1,
        high=10_000,
        reason="what arrives while the writer is busy is the next group, up to so many",
    )
    confirm_above_usd: float = knob(
        5.0,
        unit="USD",
        low=0.0,
        high=1_000_000.0,
        reason="above this estimate a run needs a yes from a person, --yes or --budget",
    )

    def __post_init__(self) -> None:
        for entry in fields(self):
            value, bounds = getattr(self, entry.name), entry.metadata
            if not bounds["low"] <= value <= bounds["high"]:
                raise ValueError(
                    f"Setting {entry.name} is {value}; allowed: {bounds['low']} to "
                    f"{bounds['high']} {bounds['unit']}."
                )


SETTINGS = Settings()

TEMPERATURE_RANGE = (0.6, 1.2)
"""Range that the Realtime beta accepts; a session outside of it is refused before sending."""
