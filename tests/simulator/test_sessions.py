"""Behaviour of the checks of Realtime settings."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.simulator.dialects import BETA, GA
from analysis.simulator.refusals import Refusal
from analysis.simulator.sessions import default_session, effective_response, forced_tool, updated
from tests.simulator.examples import CHOICE, NESTED_CHOICE, TOOL

SESSION = default_session(GA, session_id="sess_1", model="m", expires_at=1)
BETA_SESSION = default_session(BETA, session_id="sess_1", model="m", expires_at=1)


def pcm(rate: int | None) -> dict[str, Any]:
    """Return audio input settings with a PCM rate."""
    form = {"type": "audio/pcm"} | ({} if rate is None else {"rate": rate})
    return {"input": {"format": form}}


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        (None, "missing_required_parameter", "session"),
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "session"}, "invalid_value", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ({"turn_detection": None}, "unknown_parameter", "session.turn_detection"),
        ({"input_audio_format": "pcm16"}, "unknown_parameter", "session.input_audio_format"),
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"instructions": 5}, "invalid_type", "session.instructions"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "session.max_output_tokens"),
        ({"max_output_tokens": 4_097}, "integer_above_max_value", "session.max_output_tokens"),
        ({"tools": [TOOL | {"strict": True}]}, "unknown_parameter", "session.tools[0].strict"),
        ({"tools": [{"type": "mcp"}]}, "invalid_value", "session.tools[0].type"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        (
            {"tools": [TOOL | {"description": "x" * 1_025}]},
            "string_above_max_length",
            "session.tools[0].description",
        ),
        ({"tools": [TOOL | {"parameters": "x"}]}, "invalid_type", "session.tools[0].parameters"),
        ({"tools": [TOOL | {"parameters": None}]}, "invalid_type", "session.tools[0].parameters"),
        ({"tools": [TOOL | {"description": None}]}, "invalid_type", "session.tools[0].description"),
        ({"tool_choice": "always"}, "invalid_value", "session.tool_choice"),
        ({"tool_choice": CHOICE}, "invalid_value", "session.tool_choice"),
        (
            {"tool_choice": {"type": "function"}},
            "missing_required_parameter",
            "session.tool_choice.name",
        ),
        ({"tool_choice": {"type": "mcp"}}, "invalid_value", "session.tool_choice.type"),
        (
            {"tools": [TOOL], "tool_choice": NESTED_CHOICE},
            "unknown_parameter",
            "session.tool_choice.function",
        ),
        ({"reasoning": {"effort": "none"}}, "invalid_value", "session.reasoning.effort"),
        (
            {"audio": {"input": {"turn_detection": {}}}},
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        ({"audio": {"video": {}}}, "unknown_parameter", "session.audio.video"),
        ({"audio": pcm(None)}, "missing_required_parameter", "session.audio.input.format.rate"),
        ({"audio": pcm(16_000)}, "integer_below_min_value", "session.audio.input.format.rate"),
        (
            {"audio": {"input": {"format": {"type": "pcm16"}}}},
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            {"audio": {"input": {"turn_detection": "none"}}},
            "invalid_type",
            "session.audio.input.turn_detection",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "none"}}}},
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
    ],
)
def test_wrong_updates_are_refused(update: dict[str, Any] | None, code: str, param: str) -> None:
    """Each wrong field gets the code and param of the protocol."""
    if update and "type" not in update:
        update = {"type": "realtime"} | update
    with pytest.raises(Refusal) as caught:
        updated(GA, SESSION, update)
    assert (code, param) == (caught.value.code, caught.value.param)


def test_update_merges_into_the_session() -> None:
    """Nested audio settings merge, the rest is replaced, the old session stays as it was."""
    update = {
        "type": "realtime",
        "model": "other",
        "output_modalities": ["text"],
        "instructions": None,
        "reasoning": {"effort": "minimal"},
        "tools": [TOOL],
        "tool_choice": CHOICE,
        "audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}},
    }
    merged = updated(GA, SESSION, update)
    audio = merged["audio"]["input"]
    assert (["text"], "m", [TOOL], CHOICE, {"effort": "minimal"}) == (
        merged["output_modalities"],
        merged["model"],
        merged["tools"],
        merged["tool_choice"],
        merged["reasoning"],
    )
    assert (False, 200, SESSION["audio"]["input"]["format"]) == (
        audio["turn_detection"]["create_response"],
        audio["turn_detection"]["silence_duration_ms"],
        audio["format"],
    )
    assert SESSION["instructions"] == merged["instructions"]
    assert ["audio"] == SESSION["output_modalities"]


def test_turn_detection_can_be_switched_off() -> None:
    """Null is a value of its own."""
    merged = updated(
        GA, SESSION, {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    )
    assert merged["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ({"modalities": ["text"]}, "unknown_parameter", "response.modalities"),
        ({"temperature": 1}, "unknown_parameter", "response.temperature"),
        ({"metadata": {"k" * 65: "v"}}, "string_above_max_length", f"response.metadata.{'k' * 65}"),
        ({"conversation": "conv_1"}, "invalid_value", "response.conversation"),
        ({"input": "x"}, "invalid_type", "response.input"),
        ({"input": [{"type": "x"}]}, "invalid_value", "response.input[0].type"),
        ({"audio": {"input": {}}}, "unknown_parameter", "response.audio.input"),
        ({"tool_choice": CHOICE}, "invalid_value", "response.tool_choice"),
    ],
)
def test_wrong_responses_are_refused(response: dict[str, Any], code: str, param: str) -> None:
    """A `response.create` is checked like a session."""
    with pytest.raises(Refusal) as caught:
        effective_response(GA, SESSION, response)
    assert (code, param) == (caught.value.code, caught.value.param)


def test_response_overrides_the_session() -> None:
    """Given fields win, null and absent ones leave the session's."""
    audio = {"output": {"voice": "ash"}}
    response = {"output_modalities": ["text"], "instructions": None, "audio": audio}
    merged = effective_response(GA, SESSION, response)
    assert (["text"], SESSION["instructions"], "ash", "auto") == (
        merged["output_modalities"],
        merged["instructions"],
        merged["audio"]["output"]["voice"],
        merged["tool_choice"],
    )


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        ({"x": 1}, "unknown_parameter", "session.x"),
        ({"type": "realtime"}, "unknown_parameter", "session.type"),
        ({"output_modalities": ["text"]}, "unknown_parameter", "session.output_modalities"),
        ({"max_output_tokens": 5}, "unknown_parameter", "session.max_output_tokens"),
        ({"audio": {}}, "unknown_parameter", "session.audio"),
        ({"modalities": ["audio"]}, "invalid_value", "session.modalities"),
        ({"modalities": []}, "invalid_value", "session.modalities"),
        ({"modalities": "text"}, "invalid_type", "session.modalities"),
        ({"temperature": 0.5}, "decimal_below_min_value", "session.temperature"),
        ({"temperature": 2}, "decimal_above_max_value", "session.temperature"),
        ({"temperature": True}, "invalid_type", "session.temperature"),
        ({"voice": "hal"}, "invalid_value", "session.voice"),
        ({"input_audio_format": "mp3"}, "invalid_value", "session.input_audio_format"),
        (
            {"max_response_output_tokens": 4_097},
            "integer_above_max_value",
            "session.max_response_output_tokens",
        ),
        ({"turn_detection": "none"}, "invalid_type", "session.turn_detection"),
        ({"turn_detection": {"type": "none"}}, "invalid_value", "session.turn_detection.type"),
        (
            {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5}},
            "unknown_parameter",
            "session.turn_detection.idle_timeout_ms",
        ),
        (
            {"input_audio_transcription": {"modell": "m"}},
            "unknown_parameter",
            "session.input_audio_transcription.modell",
        ),
        (
            {"tools": [TOOL, TOOL | {"description": "x" * 2_473}]},
            "string_above_max_length",
            "session.tools[1].description",
        ),
        (
            {"tool_choice": {"type": "function"}},
            "missing_required_parameter",
            "session.tool_choice.name",
        ),
        ({"tool_choice": NESTED_CHOICE}, "invalid_value", "session.tool_choice"),
    ],
)
def test_wrong_beta_updates_are_refused(update: dict[str, Any], code: str, param: str) -> None:
    """The beta dialect has fields, bounds and values of its own."""
    with pytest.raises(Refusal) as caught:
        updated(BETA, BETA_SESSION, update)
    assert (code, param) == (caught.value.code, caught.value.param)


def test_beta_update_merges_into_the_session() -> None:
    """Given fields replace the old ones; a partial detection starts from its defaults."""
    update = {
        "model": "other",
        "modalities": ["text"],
        "voice": None,
        "temperature": 0.6,
        "turn_detection": {"type": "server_vad", "create_response": False},
    }
    merged = updated(BETA, BETA_SESSION, update)
    detection = {**BETA_SESSION["turn_detection"], "create_response": False}
    expected = {"modalities": ["text"], "temperature": 0.6, "turn_detection": detection}
    assert BETA_SESSION | expected == merged
    assert updated(BETA, merged, {"turn_detection": None})["turn_detection"] is None


def test_beta_modalities_come_in_any_order() -> None:
    """Text with audio is a set."""
    merged = updated(BETA, BETA_SESSION, {"modalities": ["text", "audio"]})
    assert ["text", "audio"] == merged["modalities"]


@pytest.mark.parametrize("choice", [CHOICE, NESTED_CHOICE])
def test_both_beta_choices_force_the_tool(choice: dict[str, Any]) -> None:
    """The flat spelling and the nested one name the same function."""
    response = {"tools": [TOOL], "tool_choice": choice, "max_response_output_tokens": 64}
    settings = effective_response(BETA, BETA_SESSION, response)
    assert (TOOL, 64) == (forced_tool(settings), settings["max_response_output_tokens"])


def test_forced_tool_follows_the_choice() -> None:
    """A named tool and `required` force a call, the other choices leave it open."""
    settings = [{"tools": [TOOL], "tool_choice": choice} for choice in (CHOICE, "required", "auto")]
    assert [TOOL, TOOL, None] == [forced_tool(each) for each in settings]
    assert forced_tool({"tools": [], "tool_choice": "required"}) is None
