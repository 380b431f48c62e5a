"""Constants and default seeds of the simulated service.

Pure. The rest of the folder reads it. Figures of the client are measured against these values, so
they are never tuned; when one moves, the change is reported. Sources name the sections of the
protocol notes; G marks a guess.

Latency. One model holds for every route. From the moment at which a request is complete (the last
byte of an HTTP body, the frame `response.create`) to the last frame of its answer (the HTTP
response, `response.done`) it takes

    first_s + output_tokens * ms_per_token / 1000

where `first_s` is drawn once per request from a log-normal distribution with the median
`latency_ms` and the sigma `latency_sigma`; the faults `delay` and `shuffle` add to `first_s`. HTTP
routes answer as a whole at the end. A Realtime response is created at once; its item begins after
`first_s` and its deltas are spread evenly over the generation time that follows, the last one
leaving with `response.done`. With `ms_per_token` 0 there is no generation time, and all of that
leaves in one piece. `rate_limits.updated` comes later and is not part of the answer. A refusal
leaves at once.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_SEED = 20261121
"""Seed of ids, latencies and faults unless the caller names another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How the simulated service behaves beyond what its options say.

    Attributes:
        latency_sigma: Sigma of the log-normal latency; 0 makes every latency the median (G).
        delta_characters: Characters of one delta, about two tokens (G).
        limits_lag_share: How long after the end `rate_limits.updated` leaves, as a share of the
            latency; 43 of 518 ms in a capture.
        account_rpm: Requests per minute that are reported when none are enforced; tier Grow.
        account_tpm: Tokens per minute that are reported when none are enforced; tier Grow.
        output_estimate_tokens: Output that is reserved when a request names no cap (G).
        is_refused_request_counted: A refused request takes a unit from the requests limit.
        is_requests_limit_reported: `rate_limits.updated` reports requests beside tokens in every
            dialect; the vendor's GA service reports only tokens.
        session_max_age_s: Longest Realtime session.
        ping_interval_s: Time between the service's PING frames.
        delay_factor: Multiple of the latency that the fault `delay` adds.
        delay_s: Seconds that the fault `delay` adds to that.
        shuffle_window_s: Longest extra wait that the fault `shuffle` draws.
        context_tokens: Largest input of one request.
    """

    latency_sigma: float = 0.2
    delta_characters: int = 8
    limits_lag_share: float = 0.083
    account_rpm: int = 30_000
    account_tpm: int = 180_000_000
    output_estimate_tokens: int = 16
    is_refused_request_counted: bool = True
    is_requests_limit_reported: bool = False
    session_max_age_s: float = 3_600.0
    ping_interval_s: float = 20.0
    delay_factor: float = 10.0
    delay_s: float = 0.5
    shuffle_window_s: float = 0.05
    context_tokens: int = 1_050_000


PROFILE = Profile()

ROUTES = ("realtime", "responses", "chat", "models")
"""Parts of the service that can be switched off or be out, one by one."""

TEXT_MODELS = frozenset(
    {
        "gpt-6-luna",
        "gpt-5.6-luna",
        "gpt-5.4-nano",
        "gpt-5-nano",
        "gpt-4o-mini",
        "gpt-4.1-mini",
        "gpt-6.1-terra",
        "gpt-6-sol",
        "gpt-6.1-sol",
        "gpt-6-astra",
    }
)
"""Models of the Responses and chat routes, 8.1. Those shut down (8.2) are absent: not found."""

REALTIME_MODELS = frozenset(
    {
        "gpt-realtime-2.1-mini",
        "gpt-realtime-2.1",
        "gpt-realtime-2",
        "gpt-realtime-1.5",
        "gpt-realtime-mini",
        "gpt-realtime",
    }
)
"""Models of the Realtime API, sections 3.1 and 8.1."""

BETA_MODELS = frozenset(
    {
        "gpt-4o-realtime-preview",
        "gpt-4o-realtime-preview-2024-10-01",
        "gpt-4o-realtime-preview-2024-12-17",
        "gpt-4o-realtime-preview-2025-06-03",
        "gpt-4o-mini-realtime-preview",
        "gpt-4o-mini-realtime-preview-2024-12-17",
    }
)
"""Models that a server of the beta dialect takes as well; shut down at the vendor, section 8.2."""

SHUTDOWN_DATES = {
    "gpt-5-nano": "2026-12-11",
    "gpt-4o-mini": "2027-01-14",
    "gpt-4.1-mini": "2027-01-14",
    "gpt-realtime": "2027-01-20",
    "gpt-realtime-mini": "2027-01-20",
    "gpt-5.4-nano": "2027-04-01",
}
"""Announced shutdowns, section 8.3; reported by GET /v1/models."""

MODELS_CREATED_AT = 1_790_000_000
"""Creation time that GET /v1/models reports for every model (G)."""

DEFAULT_EFFORTS = {"gpt-4o-mini": None, "gpt-4.1-mini": None}
"""Reasoning effort of models without reasoning; all others default to `medium`, section 7.1."""

MODELS_WITHOUT_MAX_TOKENS = frozenset(name for name in TEXT_MODELS if name.startswith("gpt-6"))
"""Models that take `max_completion_tokens` only in chat completions, section 7.1."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
MODELS_WITHOUT_NONE = frozenset({"gpt-6-astra", "gpt-5-nano"})
"""Models that refuse reasoning effort `none`, section 7.1 (gpt-5-nano: G)."""

SERVICE_TIERS = {
    "auto": "default",
    "default": "default",
    "flex": "flex",
    "fast": "priority",
    "priority": "priority",
    "scale": "scale",
    "ultrafast": "ultrafast",
}
"""Tier asked for -> tier reported, section 7.3."""

RESPONSES_MIN_OUTPUT_TOKENS = 16
"""Smallest `max_output_tokens` of the Responses API, section 7.1."""

SCHEMA_MAX_DEPTH = 10
SCHEMA_MAX_ENUM_VALUES = 1_000
SCHEMA_MAX_PROPERTIES = 5_000
"""Bounds of strict schemas, section 7.1."""

METADATA_PAIRS = 16
METADATA_KEY_CHARACTERS = 64
METADATA_VALUE_CHARACTERS = 512
"""Bounds of `metadata`, sections 2.4 and 4.1."""
