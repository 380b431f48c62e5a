"""Constants and default seeds of the simulated service.

Pure. The rest of the folder reads it. Figures of the client are measured against these values, so
they are never tuned; when one moves, the change is reported. Sources name the sections of the
protocol notes; G marks a guess.
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
        first_delta_share: When the first delta leaves, as a share of the latency; 476 of 518 ms
            in a capture.
        limits_lag_share: How long after the end `rate_limits.updated` leaves, as a share of the
            latency; 43 of 518 ms in a capture.
        account_rpm: Requests per minute that are reported when none are enforced; tier Grow.
        account_tpm: Tokens per minute that are reported when none are enforced; tier Grow.
        output_estimate_tokens: Output that is reserved when a request names no cap (G).
        is_refused_request_counted: A refused request takes a unit from the requests limit.
        is_requests_limit_reported: `rate_limits.updated` reports requests beside tokens; the real
            service reports only tokens.
        session_max_age_s: Longest Realtime session.
        ping_interval_s: Time between the service's PING frames.
        delay_factor: Multiple of the latency that the fault `delay` adds.
        delay_s: Seconds that the fault `delay` adds to that.
        shuffle_window_s: Longest extra wait that the fault `shuffle` draws.
        context_tokens: Largest input of one request.
    """

    latency_sigma: float = 0.2
    delta_characters: int = 8
    first_delta_share: float = 0.92
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
"""Models of the Responses API, section 8.1. Those shut down (8.2) are absent: not found."""

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

RESPONSES_FIELDS = frozenset(
    [
        "access_programs",
        "background",
        "context_management",
        "conversation",
        "image",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
"""Top-level fields of POST /v1/responses, openai-python 3.52.0."""

RESPONSES_MIN_OUTPUT_TOKENS = 16
"""Smallest `max_output_tokens` of the Responses API, section 7.1."""

SCHEMA_MAX_DEPTH = 10
SCHEMA_MAX_ENUM_VALUES = 1_000
SCHEMA_MAX_PROPERTIES = 5_000
"""Bounds of strict schemas, section 7.1."""

CLIENT_EVENTS = (
    "session.update",
    "session.close",
    "input_audio_buffer.append",
    "session.input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
)
"""Client events of the Realtime API in the order in which its error message lists them, 4.5."""

SESSION_FIELDS = frozenset(
    [
        "type",
        "model",
        "output_modalities",
        "instructions",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "tracing",
        "prompt",
        "truncation",
        "include",
        "audio",
        "reasoning",
        "parallel_tool_calls",
    ]
)
RESPONSE_FIELDS = frozenset(
    [
        "conversation",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "output_modalities",
        "parallel_tool_calls",
        "prompt",
        "reasoning",
        "tool_choice",
        "tools",
        "audio",
    ]
)
TOOL_FIELDS = frozenset({"type", "name", "description", "parameters"})
AUDIO_INPUT_FIELDS = frozenset({"format", "transcription", "noise_reduction", "turn_detection"})
AUDIO_OUTPUT_FIELDS = frozenset({"format", "voice", "speed"})
TURN_DETECTION_FIELDS = {
    "server_vad": frozenset(
        [
            "type",
            "threshold",
            "prefix_padding_ms",
            "silence_duration_ms",
            "idle_timeout_ms",
            "create_response",
            "interrupt_response",
        ]
    ),
    "semantic_vad": frozenset({"type", "eagerness", "create_response", "interrupt_response"}),
}
"""Fields of the Realtime API, sections 3.1 to 3.5."""

REALTIME_EFFORTS = ("minimal", "low", "medium", "high", "xhigh")
REALTIME_MAX_OUTPUT_TOKENS = 4_096
AUDIO_MIN_RATE = 24_000
TOOL_DESCRIPTION_CHARACTERS = 1_024

METADATA_PAIRS = 16
METADATA_KEY_CHARACTERS = 64
METADATA_VALUE_CHARACTERS = 512
"""Bounds of `metadata`, sections 2.4 and 4.1."""

DEFAULT_INSTRUCTIONS = (
    "Your knowledge cutoff is 2023-10. You are a helpful, witty, and friendly AI. Act like a "
    "human, but remember that you aren't a human."
)
"""Instructions of a session that was given none; opening of the vendor's prompt."""
