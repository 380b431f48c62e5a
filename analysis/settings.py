"""Every knob of the package: default, unit, range, reason.

Pure. Everybody may import it. `SETTINGS` holds the defaults; pass a changed copy
(`dataclasses.replace`) where another value is wanted. The simulated service keeps its own
constants, so that tuning here never touches it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from analysis.settings_control import FLAG, ControlSettings, knob

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

LARGEST_PACK = 20
"""Most chunks in one request until an audit with a live model shows that more is safe."""

DEFAULT_LABEL_SET = "ten_functions"
DEFAULT_CONTEXT = 1
"""Texts before and after a request that are sent along where the input has documents."""

MOST_CONTEXT = 10
"""More texts around a request than chunks in it would be paid for without end."""

LANGUAGES = ("auto", "en", "ru", "fr", "zh")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings(ControlSettings):
    """All knobs. Fields state unit, range and reason in their metadata.

    As text only those that differ from their defaults: it stands in the signature that `help` and
    notebooks show of each analyzer.
    """

    # Packing
    chunks_per_request: int = knob(
        10, unit="chunks", low=1, high=20, reason="90 % of the saving of shared instructions"
    )
    plan_chunks: int = knob(
        20, unit="chunks", low=1, high=20, reason="most; more needs an audit with a live model"
    )
    small_job: int = knob(
        50, unit="chunks", low=0, high=10_000, reason="up to it one by one, unless limits bind"
    )
    plan_tolerance: float = knob(
        0.005, unit="share", low=0.0, high=1.0, reason="less packing for it; 0.03 cost 3 % of time"
    )
    plan_level_s: float = knob(
        30.0, unit="s", low=0.0, high=60.0, reason="of a limit, counted on while nobody stated it"
    )
    plan_blind: int = knob(
        5,
        unit="packs",
        low=1,
        high=1_000,
        reason="of a long job, before anybody has stated a limit; the largest ones",
    )
    plan_last: int = knob(
        5,
        unit="chunks",
        low=1,
        high=20,
        reason="smallest of the last packs where tokens are scarce; below it instructions cost more"
        " time than the last answer saves",
    )
    plan_for_cost: bool = knob(
        False, unit=FLAG, low=0, high=1, reason="plan the cheapest packs, not the fastest"
    )
    plan_overhead: float = knob(
        0.05, unit="share", low=0.001, high=1.0, reason="cheap enough: instructions by the rest"
    )
    pack_tokens: int = knob(
        8_000, unit="tokens", low=100, high=100_000, reason="well below a minute of small accounts"
    )
    chunk_tokens: int = knob(
        32_000, unit="tokens", low=100, high=100_000, reason="longer: too_long, and is not sent"
    )
    context_tokens: int = knob(
        128_000, unit="tokens", low=1_000, high=10_000_000, reason="the least of the default models"
    )
    neighbour_chars: int = knob(
        1_000, unit="characters", low=1, high=100_000, reason="of a context text; mostly all of it"
    )
    title_chars: int = knob(
        300, unit="characters", low=1, high=10_000, reason="of a title; all of a long headline"
    )
    document_rows: int = knob(
        500, unit="rows", low=0, high=100_000, reason="read ahead for their number: bounds memory"
    )
    lone_times: float = knob(
        4.0, unit="times", low=1.0, high=1_000.0, reason="so much longer than its neighbours: alone"
    )
    lone_share: float = knob(
        0.25, unit="share", low=0.0, high=1.0, reason="if longer than so much of pack_tokens, too"
    )
    quality_answers: int = knob(
        3, unit="answers", low=1, high=1_000, reason="bad ones at least; fewer may be chance"
    )
    quality_tolerance: float = knob(
        0.08, unit="share", low=0.001, high=0.2, reason="bad answers that are no reason for a step"
    )
    quality_failing: float = knob(
        0.3, unit="share", low=0.25, high=0.99, reason="bad answers of a model that fails at packs"
    )
    quality_chance: float = knob(
        0.01, unit="share", low=1e-9, high=0.5, reason="of a wrong step in a run, however long"
    )
    slice_chunks: int = knob(
        2_000, unit="chunks", low=1, high=100_000, reason="read ahead of the ledger: bounds memory"
    )
    kept_looks: int = knob(
        2_000_000,
        unit="chunks",
        low=1,
        high=100_000_000,
        reason="5 bytes each, from estimate to sending: bounds memory",
    )
    queue_packs: int = knob(
        64, unit="packs", low=1, high=10_000, reason="cut ahead of sending: bounds memory"
    )

    # Output size
    output_tokens_per_chunk: int = knob(
        32, unit="tokens", low=8, high=200, reason="id, labels, JSON marks: the longest need 28"
    )
    output_tokens_per_request: int = knob(
        48, unit="tokens", low=16, high=1_000, reason="braces; Responses takes no cap below 16"
    )
    output_limit_tokens: int = knob(
        4_096, unit="tokens", low=64, high=1_000_000, reason="the least that a route may allow"
    )
    output_slack: float = knob(
        0.2, unit="share", low=0.0, high=0.9, reason="of it stays free: a cut answer loses its tail"
    )

    # Decisions
    decision_questions: int = knob(
        400, unit="questions", low=1, high=400, reason="OpenAI's most; some servers take fewer"
    )
    second_label_probability: float = knob(
        0.25, unit="probability", low=0.0, high=1.0, reason="of a second label; not fitted yet"
    )

    # WebSockets of the Responses API
    responses_ws_sockets: int = knob(
        64, unit="sockets", low=1, high=512, reason="one per 16 requests; per one without lanes"
    )
    responses_ws_warm_up: bool = knob(
        False,
        unit=FLAG,
        low=0,
        high=1,
        reason="a request that generates nothing goes first and is billed; of little worth here, "
        "since no request goes on from another one",
    )
    connects_per_s: float = knob(
        2.0, unit="connects/s", low=0.01, high=1_000.0, reason="that led to nothing, in all"
    )
    connect_burst: int = knob(
        8, unit="connects", low=1, high=1_000, reason="at once; twice what requests in flight need"
    )

    # Retries
    timeout_s: float = knob(
        60.0, unit="s", low=0.1, high=3_600.0, reason="answers take a second; loads lengthen it"
    )
    flex_timeout_s: float = knob(
        900.0, unit="s", low=0.1, high=3_600.0, reason="for the service tier flex: its guide asks"
    )
    connect_timeout_s: float = knob(
        10.0, unit="s", low=0.1, high=300.0, reason="handshake incl. TLS over a slow line"
    )
    connect_attempts: int = knob(
        3, unit="attempts", low=1, high=20, reason="one lost handshake is common, three are not"
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
        unit=FLAG,
        low=0,
        high=1,
        reason="a request that its caller gives up stops costing output tokens",
    )
    realtime_serial_fallback: bool = knob(
        True,
        unit=FLAG,
        low=0,
        high=1,
        reason="a server without out-of-band responses is asked one request at a time",
    )
    attempts_per_route: int = knob(
        5, unit="attempts", low=1, high=50, reason="lost ways of a chunk; then the next route"
    )
    answer_attempts: int = knob(
        3, unit="attempts", low=1, high=10, reason="answers without a label, the last one alone"
    )
    backoff_base_s: float = knob(
        0.25,
        unit="s",
        low=0.001,
        high=60.0,
        reason="retries: full jitter up to base * 2^n; connects: base to 3 times the last wait",
    )
    backoff_cap_s: float = knob(
        8.0, unit="s", low=0.01, high=600.0, reason="longest single wait before a retry"
    )
    retry_after_cap_s: float = knob(
        120.0,
        unit="s",
        low=1.0,
        high=86_400.0,
        reason="a longer wait asked for by the service takes the route out until then",
    )

    retry_tokens: int = knob(
        20, unit="retries", low=1, high=10_000, reason="at the start, and for any bad minute"
    )
    retry_share: float = knob(
        0.02, unit="share", low=0.0, high=1.0, reason="of the requests: so many may be saved up"
    )
    retry_earn: float = knob(
        0.1, unit="retries", low=0.0, high=1.0, reason="per answer; as in gRPC proposal A6"
    )

    # Pipeline
    field_bytes: int = knob(
        64 * 1024 * 1024,
        unit="bytes",
        low=1_024,
        high=(1 << 31) - 1,  # what csv takes on Windows
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
            if (kind := _kind(entry.default, bounds["unit"], value)) is not None:
                raise ValueError(
                    f"Setting {entry.name} is of the type {type(value).__name__}; it must be "
                    f"{kind}."
                )
            if not bounds["low"] <= value <= bounds["high"]:
                raise ValueError(
                    f"Setting {entry.name} is {value}; allowed: {bounds['low']} to "
                    f"{bounds['high']} {bounds['unit']}."
                )

    def __repr__(self) -> str:
        values = ((entry, getattr(self, entry.name)) for entry in fields(self))
        changed = (f"{one.name}={value!r}" for one, value in values if value != one.default)
        return f"Settings({', '.join(changed)})"


def _kind(default: object, unit: str, value: object) -> str | None:
    """Return what a value of another kind should be; None if it is of the right one."""
    if unit == FLAG:
        return None if isinstance(value, int) else "True or False"
    if isinstance(value, int) and not isinstance(value, bool):
        return None
    if isinstance(default, int):
        return "a whole number"
    return None if isinstance(value, float) else "a number"


SETTINGS = Settings()

TEMPERATURE_RANGE = (0.6, 1.2)
"""Range that the Realtime beta accepts; a session outside of it is refused before sending."""
