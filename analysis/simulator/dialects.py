"""The two forms of the Realtime protocol, beta and GA, as tables of names and capabilities.

Pure. A `Service` speaks one of them; `handshake`, `sessions`, `replies` and `realtime` ask the
dialect for a name or a capability and never which of the two it is. Sources: sections 2, 3.1 to
3.5 and 4 of the protocol notes; what they leave open is a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from analysis.simulator import fields
from analysis.simulator.fields import Check
from analysis.simulator.profile import BETA_MODELS, REALTIME_MODELS
from analysis.simulator.refusals import Json, check_metadata

Merge: TypeAlias = Callable[[Json, Json], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """How a message of one modality is spelled; a spoken one comes as its transcript only.

    Attributes:
        event: Name of the text events without `.delta` and `.done`.
        part: Type of the part in `response.content_part` events.
        content: Type of the content in items.
        field: Field that holds the text.
    """

    event: str
    part: str
    content: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What differs between the forms of the protocol.

    Attributes:
        models: Models that a connection may ask for.
        is_beta_shape_served: A client may announce that it speaks beta.
        client_events: Types of client events, in the order in which an error lists them.
        is_conversation_announced: The greeting names the conversation.
        session_types: Types that an update may name and has to; empty if the field is unknown.
        session_defaults: Settings that a session starts with, beside id, model and expiry.
        session_checks: Fields of `session.update` and their checks.
        response_checks: Fields of `response.create` and their checks.
        fixed_fields: Fields that an update may hold and does not change.
        nullable_fields: Fields of a session that null clears; elsewhere null is no value.
        merges: Fields whose new value is merged into the old one.
        modalities_field: Field of the modalities.
        output_cap_field: Field of the largest output.
        part_types: Type of the content parts of each role.
        speech: How text and speech are spelled.
        item_announced: Events that announce a new item of the conversation.
        item_settled: Events that end the announcement of an item.
        has_obfuscation: Deltas carry padding.
        is_call_named: The end of the arguments names the function.
        busy_message: Refusal of a second response on the conversation; holds `{id}`.
        usage_kinds: Kinds of input tokens that usage tells apart.
        reported_limits: Limits that `rate_limits.updated` reports.
        response_settings: The settings that a response object repeats, taken from those in force.
    """

    models: frozenset[str]
    is_beta_shape_served: bool
    client_events: tuple[str, ...]
    is_conversation_announced: bool
    session_types: tuple[str, ...]
    session_defaults: Mapping[str, object]
    session_checks: Mapping[str, Check]
    response_checks: Mapping[str, Check]
    fixed_fields: frozenset[str]
    nullable_fields: frozenset[str]
    merges: Mapping[str, Merge]
    modalities_field: str
    output_cap_field: str
    part_types: Mapping[str, str]
    speech: Mapping[str, Speech]
    item_announced: tuple[str, ...]
    item_settled: tuple[str, ...]
    has_obfuscation: bool
    is_call_named: bool
    busy_message: str
    usage_kinds: tuple[str, ...]
    reported_limits: frozenset[str]
    response_settings: Callable[[Json], Json]


_INSTRUCTIONS = (
    "Your knowledge cutoff is 2023-10. You are a helpful, witty, and friendly AI. Act like a "
    "human, but remember that you aren't a human."
)
"""Instructions of a session that was given none; opening of the vendor's prompt."""

_ITEM_AND_RESPONSE_EVENTS = (
    "conversation.item.create",
    "conversation.item.truncate",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
)
_BUSY = "Conversation already has an active response"
_conversation = fields.one_of(("auto", "none"))


def _metadata(value: object, param: str) -> None:
    check_metadata(value, param)


def _detection_merge(defaults: Json) -> Merge:
    """Return the merge of turn detection: one by a server starts from its defaults."""

    def merge(old: Json, new: Json) -> Json:
        return defaults | new if new["type"] == defaults["type"] else new

    return merge


_SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD_FIELDS = frozenset({"type", "eagerness", "create_response", "interrupt_response"})


# GA, sections 3.1 to 3.6

_GA_SERVER_VAD = {**_SERVER_VAD, "idle_timeout_ms": None}
_GA_FORMAT = {"type": "audio/pcm", "rate": fields.PCM_RATE}
_ga_merge_detection = _detection_merge(_GA_SERVER_VAD)


def _ga_merge_audio(old: Json, new: Json) -> Json:
    """Merge audio settings side by side; null for a side is no value."""
    merged = dict(old)
    for side, settings in new.items():
        merged[side] = old[side] | (settings or {})
        detection = (settings or {}).get("turn_detection")
        if detection:
            merged[side]["turn_detection"] = _ga_merge_detection({}, detection)
    return merged


def _ga_response_settings(settings: Json) -> Json:
    audio = settings["audio"]["output"]
    return {
        "output_modalities": settings["output_modalities"],
        "max_output_tokens": settings["max_output_tokens"],
        "audio": {"output": {"format": audio["format"], "voice": audio["voice"]}},
    }


_GA_AUDIO_INPUT = fields.record(
    {
        "format": fields.audio_format,
        "transcription": fields.anything,
        "noise_reduction": fields.anything,
        "turn_detection": fields.turn_detection(
            {"server_vad": frozenset(_GA_SERVER_VAD), "semantic_vad": _SEMANTIC_VAD_FIELDS}
        ),
    }
)
_GA_AUDIO_OUTPUT = fields.record(
    {"format": fields.audio_format, "voice": fields.anything, "speed": fields.anything}
)
_GA_PART_TYPES = {"user": "input_text", "system": "input_text", "assistant": "output_text"}
_GA_CHECKS: dict[str, Check] = {
    "output_modalities": fields.modalities((("text",), ("audio",))),
    "instructions": fields.text,
    "tools": fields.tools,
    "tool_choice": fields.tool_choice(is_nested_allowed=False),
    "max_output_tokens": fields.output_cap,
    "prompt": fields.anything,
    "reasoning": fields.record(
        {"effort": fields.one_of(("minimal", "low", "medium", "high", "xhigh"))}
    ),
    "parallel_tool_calls": fields.anything,
}

GA = Dialect(
    models=REALTIME_MODELS,
    is_beta_shape_served=False,
    client_events=(
        "session.update",
        "session.close",
        "input_audio_buffer.append",
        "session.input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        *_ITEM_AND_RESPONSE_EVENTS,
    ),
    is_conversation_announced=False,
    session_types=("realtime", "transcription"),
    session_defaults=MappingProxyType(
        {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": _INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "prompt": None,
            "truncation": "auto",
            "audio": {
                "input": {
                    "format": _GA_FORMAT,
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": _GA_SERVER_VAD,
                },
                "output": {"format": _GA_FORMAT, "voice": "alloy", "speed": 1},
            },
            "include": None,
        }
    ),
    session_checks={
        **_GA_CHECKS,
        "type": fields.text,
        "model": fields.anything,
        "audio": fields.record({"input": _GA_AUDIO_INPUT, "output": _GA_AUDIO_OUTPUT}),
        "tracing": fields.anything,
        "truncation": fields.anything,
        "include": fields.anything,
    },
    response_checks={
        **_GA_CHECKS,
        "audio": fields.record({"output": _GA_AUDIO_OUTPUT}),
        "conversation": _conversation,
        "input": fields.items(_GA_PART_TYPES),
        "metadata": _metadata,
    },
    fixed_fields=frozenset({"model"}),
    nullable_fields=frozenset({"tracing", "prompt", "include", "reasoning", "parallel_tool_calls"}),
    merges={"audio": _ga_merge_audio},
    modalities_field="output_modalities",
    output_cap_field="max_output_tokens",
    part_types=_GA_PART_TYPES,
    speech={
        "text": Speech(
            event="response.output_text", part="text", content="output_text", field="text"
        ),
        "audio": Speech(
            event="response.output_audio_transcript",
            part="audio",
            content="output_audio",
            field="transcript",
        ),
    },
    item_announced=("conversation.item.added",),
    item_settled=("conversation.item.done",),
    has_obfuscation=True,
    is_call_named=True,
    busy_message=_BUSY
    + " in progress: {id}. Wait until the response is finished before creating a new one.",
    usage_kinds=("text_tokens", "audio_tokens", "image_tokens"),
    reported_limits=frozenset({"tokens"}),
    response_settings=_ga_response_settings,
)


# Beta, sections 2.1 to 2.5


def _beta_response_settings(settings: Json) -> Json:
    # The request says max_response_output_tokens, the response object max_output_tokens.
    return {
        "modalities": settings["modalities"],
        "voice": settings["voice"],
        "output_audio_format": settings["output_audio_format"],
        "temperature": settings["temperature"],
        "max_output_tokens": settings["max_response_output_tokens"],
    }


_BETA_PART_TYPES = {"user": "input_text", "system": "input_text", "assistant": "text"}
_BETA_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse")
_BETA_FORMATS = ("pcm16", "g711_ulaw", "g711_alaw")
_BETA_CHECKS: dict[str, Check] = {
    "modalities": fields.modalities((("text",), ("audio", "text"))),
    "instructions": fields.text,
    "voice": fields.one_of(_BETA_VOICES),
    "output_audio_format": fields.one_of(_BETA_FORMATS),
    "tools": fields.tools,
    "tool_choice": fields.tool_choice(is_nested_allowed=True),
    "temperature": fields.decimal(0.6, 1.2),
    "max_response_output_tokens": fields.output_cap,
}

BETA = Dialect(
    models=REALTIME_MODELS | BETA_MODELS,
    is_beta_shape_served=True,
    client_events=(
        "session.update",
        "transcription_session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        *_ITEM_AND_RESPONSE_EVENTS,
    ),
    is_conversation_announced=True,
    session_types=(),
    session_defaults=MappingProxyType(
        {
            "modalities": ["audio", "text"],
            "instructions": _INSTRUCTIONS,
            "voice": "alloy",
            "turn_detection": _SERVER_VAD,
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_transcription": None,
            "input_audio_noise_reduction": None,
            "tools": [],
            "tool_choice": "auto",
            "temperature": 0.8,
            "max_response_output_tokens": "inf",
        }
    ),
    session_checks={
        **_BETA_CHECKS,
        "model": fields.anything,
        "input_audio_format": fields.one_of(_BETA_FORMATS),
        "input_audio_transcription": fields.record(
            {"model": fields.text, "language": fields.text, "prompt": fields.text}
        ),
        "input_audio_noise_reduction": fields.record({"type": fields.text}),
        "turn_detection": fields.turn_detection(
            {
                "server_vad": frozenset(_SERVER_VAD),
                "semantic_vad": _SEMANTIC_VAD_FIELDS,
            }
        ),
        "speed": fields.decimal(0.25, 1.5),
        "tracing": fields.anything,
        "prompt": fields.anything,
        "include": fields.anything,
    },
    response_checks={
        **_BETA_CHECKS,
        "conversation": _conversation,
        "input": fields.items(_BETA_PART_TYPES),
        "metadata": _metadata,
    },
    fixed_fields=frozenset({"model"}),
    nullable_fields=frozenset(
        {
            "input_audio_transcription",
            "input_audio_noise_reduction",
            "turn_detection",
            "tracing",
            "prompt",
            "include",
        }
    ),
    merges={"turn_detection": _detection_merge(_SERVER_VAD)},
    modalities_field="modalities",
    output_cap_field="max_response_output_tokens",
    part_types=_BETA_PART_TYPES,
    speech={
        "text": Speech(event="response.text", part="text", content="text", field="text"),
        "audio": Speech(
            event="response.audio_transcript", part="audio", content="audio", field="transcript"
        ),
    },
    item_announced=("conversation.item.created",),
    item_settled=(),
    has_obfuscation=False,
    is_call_named=False,
    busy_message=_BUSY,
    usage_kinds=("text_tokens", "audio_tokens"),
    reported_limits=frozenset({"requests", "tokens"}),
    response_settings=_beta_response_settings,
)

DIALECTS: Mapping[str, Dialect] = {"ga": GA, "beta": BETA}
"""Name of each dialect, as options spell it."""
