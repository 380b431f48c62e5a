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
class ResponsesRules:
    """How the Responses API behaves, as events and as lanes; sections 6.2 to 6.5.

    Attributes:
        running: Responses of one connection that run at once; further ones wait.
        lane_names: Distinct names of lanes during the life of a connection.
        waiting: Requests of one connection that may wait; further ones are refused (G).
        connection_max_age_s: Longest connection.
        expired_close_code: Close code after the error of that age; None leaves the connection open
            for what is under way and refuses every further request (G).
        bad_frame_close_code: Close code after a message that is no JSON object; None keeps the
            connection open (G).
        ping_interval_s: Time between the service's PING frames; None sends none (G).
        is_error_numbered: An error frame has a sequence number (G).
        is_error_headed: An error frame has the rate-limit headers (G).
        is_refusal_response: A request that a limit refuses ends as `response.failed`, not as an
            error frame (G).
        is_stream_refused: A request with the field `stream` is refused; else it is ignored (G).
        is_warmup_progress_told: A warm-up has `response.in_progress` between its two frames (G).
        has_reasoning_item: An answer with reasoning effort starts with a reasoning item.
        has_item_events: Items and parts are announced before their text.
        has_obfuscation: Deltas carry padding unless the request says otherwise.
        is_terminal_bare: The last event leaves `output` out; the items were told before.
        stored: Responses with `store` that the account keeps, the newest ones (G).
    """

    running: int = 16
    lane_names: int = 32
    waiting: int = 4_096
    connection_max_age_s: float = 3_600.0
    expired_close_code: int | None = 1_000
    bad_frame_close_code: int | None = None
    ping_interval_s: float | None = None
    is_error_numbered: bool = False
    is_error_headed: bool = False
    is_refusal_response: bool = False
    is_stream_refused: bool = True
    is_warmup_progress_told: bool = False
    has_reasoning_item: bool = True
    has_item_events: bool = True
    has_obfuscation: bool = True
    is_terminal_bare: bool = False
    stored: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """How the prompt cache behaves; sections 3.3 and 7.2, theory of operation in `cache`.

    Attributes:
        is_on: There is a cache.
        minimum_tokens: Shortest prefix that is kept.
        ttl_s: Life of an entry after its last use; "at least 30 minutes".
        earlier_ttl_s: The same for models before GPT-5.6; "5..10 min idle".
        earlier_step_tokens: Step in which these report what they read.
        session_step_tokens: Step in which a Realtime session reports what it read.
        machine_rpm: Requests per minute on one prefix that one machine takes; about 15 at the
            vendor. None leaves all on one machine (G).
    """

    is_on: bool = True
    minimum_tokens: int = 1_024
    ttl_s: float = 1_800.0
    earlier_ttl_s: float = 600.0
    earlier_step_tokens: int = 128
    session_step_tokens: int = 64
    machine_rpm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRules:
    """How POST /v1/decisions behaves; sections 2 to 5 and 10 of the notes on decisions.

    Attributes:
        questions: Most questions of a request; it was 200 at launch.
        choices: Most values of a choice question.
        levels: Most levels of a score question.
        images: Most images of a request.
        name_characters: Longest name of a question (G).
        identifier_characters: Longest `safety_identifier`; sources say 64 and 128.
        image_tokens: What an image counts (G).
        is_name_unique: Two questions of one name are refused (G).
        is_billed_per_question: The input counts once per question, not once (G).
        certain_share: Share of the answers with a probability of exactly 1; 26 and 43 % were seen.
        refused_share: Share of the texts about which every question is refused, always the same.
        leak_share: Share of the chunks that get the label of the chunk behind them (G).
        is_all_refused: Every question is refused.
        is_order_wrong: Answers come in reverse order.
        has_missing_answer: The last answer is left out.
        has_extra_answer: There is one answer more than questions.
        has_unknown_type: The first answer is of an unknown type.
        has_extra_fields: The body and the answers hold fields that no type knows.
        probability_sum: What the probabilities of an answer add up to.
    """

    questions: int = 400
    choices: int = 255
    levels: int = 10
    images: int = 128
    name_characters: int = 60
    identifier_characters: int = 64
    image_tokens: int = 300
    is_name_unique: bool = True
    is_billed_per_question: bool = False
    certain_share: float = 0.26
    refused_share: float = 0.0
    leak_share: float = 0.0
    is_all_refused: bool = False
    is_order_wrong: bool = False
    has_missing_answer: bool = False
    has_extra_answer: bool = False
    has_unknown_type: bool = False
    has_extra_fields: bool = False
    probability_sum: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRules:
    """How files and batches behave; section 7.4. A batch lives in batch seconds.

    Attributes:
        speed: Batch seconds per second: a day passes in 24 seconds (G).
        rows: Most rows of a file.
        file_bytes: Largest file.
        queued_tokens: Input tokens that may be queued per model; None has no bound (G).
        validating_s: Batch seconds of the validation (G).
        rows_per_s: Rows that are answered per batch second (G).
        finalizing_s: Batch seconds in which the files are made (G).
        cancelling_s: Batch seconds from the wish to cancel to its end (G).
        window_s: Batch seconds until a batch expires.
        is_output_shuffled: Rows of the output stand in another order than those of the input.
    """

    speed: float = 3_600.0
    rows: int = 50_000
    file_bytes: int = 200 * 1024 * 1024
    queued_tokens: int | None = None
    validating_s: float = 60.0
    rows_per_s: float = 10.0
    finalizing_s: float = 60.0
    cancelling_s: float = 60.0
    window_s: float = 86_400.0
    is_output_shuffled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How the simulated service behaves beyond what its options say.

    Attributes:
        latency_sigma: Sigma of the log-normal latency; 0 makes every latency the median (G).
        tail_share: Share of the requests whose first token is late; see `latency` (G).
        tail_factor: Smallest factor by which it is late (G).
        tail_alpha: Exponent of the Pareto distribution of that factor; lower is heavier (G).
        delta_characters: Characters of one delta, about two tokens (G).
        limits_lag_share: How long after the end `rate_limits.updated` leaves, as a share of the
            latency; 43 of 518 ms in a capture.
        account_rpm: Requests per minute that are reported when none are enforced; tier Grow.
        account_tpm: Tokens per minute that are reported when none are enforced; tier Grow.
        output_estimate_tokens: Output that is reserved when a request names no cap (G).
        is_refused_request_counted: A refused request takes a unit from the requests limit.
        hidden_window_s: Length of a window in which no more may go than its share of the limits
            per minute, beside those; None has none (G).
        slow_down_factor: A minute may bring so many times the requests of the minute before, or
            `slow_down_floor` if that is more; above it comes 429 slow_down. None checks nothing
            (G).
        slow_down_floor: Requests per minute that no such check refuses (G).
        overloaded_retry_s: Wait that 503 server_is_overloaded asks for (G).
        slow_down_retry_s: Wait that 429 slow_down asks for; None names none (G).
        is_project_limit_reported: Headers report the limit of the project, too.
        lie: What is wrong in every report about limits, a name in `faults.LIES`; "" is nothing.
        is_requests_limit_reported: `rate_limits.updated` reports requests beside tokens in every
            dialect; the vendor's GA service reports only tokens.
        session_max_age_s: Longest Realtime session.
        ping_interval_s: Time between the service's PING frames.
        delay_factor: Multiple of the latency that the fault `delay` adds.
        delay_s: Seconds that the fault `delay` adds to that.
        shuffle_window_s: Longest extra wait that the fault `shuffle` draws.
        context_tokens: Largest input of one request.
        responses: How the Responses API behaves.
        decisions: How the Decisions API behaves.
        batch: How files and batches behave.
        is_shutdown_enforced: A model is not found from its shutdown date on, by the clock of the
            service (G). Off, so that a test does not fail from some day on.
        is_any_deployment_good: Azure addresses take any text as the name of a deployment, for the
            one model of the service; else it must be the name of a model.
        cache: How the prompt cache behaves.
        parallel_responses: Responses of one Realtime connection that may run at once; None has no
            bound (G).
        parallel_refusal_code: Code of the error that refuses one more (G).
        is_out_of_band_served: `response.create` takes `conversation`, `input` and `metadata`; else
            they are ignored and the default conversation is answered (some compatible servers).
        is_metadata_echoed: Realtime responses repeat the metadata of their request.
        omits_optional_fields: Realtime responses leave out what their type allows to leave out.
        adds_unknown_fields: Realtime events and responses hold a field that no type knows.
    """

    latency_sigma: float = 0.2
    tail_share: float = 0.0
    tail_factor: float = 5.0
    tail_alpha: float = 1.5
    delta_characters: int = 8
    limits_lag_share: float = 0.083
    account_rpm: int = 30_000
    account_tpm: int = 180_000_000
    output_estimate_tokens: int = 16
    is_refused_request_counted: bool = True
    hidden_window_s: float | None = None
    slow_down_factor: float | None = None
    slow_down_floor: int = 60
    overloaded_retry_s: float = 1.0
    slow_down_retry_s: float | None = None
    is_project_limit_reported: bool = False
    lie: str = ""
    is_requests_limit_reported: bool = False
    session_max_age_s: float = 3_600.0
    ping_interval_s: float = 20.0
    delay_factor: float = 10.0
    delay_s: float = 0.5
    shuffle_window_s: float = 0.05
    context_tokens: int = 1_050_000
    responses: ResponsesRules = ResponsesRules()
    decisions: DecisionRules = DecisionRules()
    batch: BatchRules = BatchRules()
    is_shutdown_enforced: bool = False
    is_any_deployment_good: bool = True
    cache: CacheRules = CacheRules()
    parallel_responses: int | None = None
    parallel_refusal_code: str = "rate_limit_exceeded"
    is_out_of_band_served: bool = True
    is_metadata_echoed: bool = True
    omits_optional_fields: bool = False
    adds_unknown_fields: bool = False


PROFILE = Profile()

ROUTES = ("realtime", "responses", "responses-ws", "chat", "decisions", "batch", "models")
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

DECISION_MODELS = frozenset({"gpt-6-luna"})
"""Models of the Decisions API, section 2.1 of its notes."""

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

MODELS_WITH_EARLIER_CACHE = frozenset({"gpt-4o-mini", "gpt-4.1-mini", "gpt-5-nano", "gpt-5.4-nano"})
"""Models whose prompt cache follows the rules from before GPT-5.6, section 7.2."""

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
