"""The settings of a Realtime session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import ConfigurationError
from analysis.wire.session import difference

from .examples import SCHEMA, SETTINGS, effective_session


def test_the_ga_session_is_text_only_with_one_forced_function() -> None:
    """The whole object, field by field; there is no temperature and no strict."""
    expected = {
        "type": "realtime",
        "output_modalities": ["text"],
        "instructions": "Label each chunk.",
        "tools": [
            {
                "type": "function",
                "name": "set_labels",
                "description": "Give the labels.",
                "parameters": SCHEMA,
            }
        ],
        "tool_choice": {"type": "function", "name": "set_labels"},
        "max_output_tokens": 400,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "turn_detection": {"type": "server_vad", "create_response": False},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}},
        },
        "reasoning": {"effort": "minimal"},
    }
    assert expected == SETTINGS.to_session()


@pytest.mark.parametrize(
    ("model", "is_sent"),
    [
        ("gpt-realtime-2", True),
        ("gpt-realtime-2.1", True),
        ("gpt-realtime-mini", False),
        ("gpt-realtime-1.5", False),
    ],
)
def test_reasoning_goes_only_to_models_that_take_it(model: str, is_sent: bool) -> None:
    """An older model would drop the whole update because of it."""
    assert is_sent == ("reasoning" in replace(SETTINGS, model=model).to_session())


def test_what_is_none_is_left_out() -> None:
    """No cap, no effort and no turn detection of our own."""
    bare = replace(SETTINGS, max_output_tokens=None, reasoning_effort=None, turn_detection=None)
    session = bare.to_session()
    assert {"max_output_tokens", "reasoning"}.isdisjoint(session)
    assert session["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"input_audio_format": "mp3"},
        {"output_audio_format": "wav"},
        {"turn_detection": "none"},
        {"tool_description": "x" * 1025},
    ],
)
def test_settings_that_a_server_would_refuse_are_refused_before(changes: dict[str, Any]) -> None:
    """The mistake is named before a byte is sent."""
    with pytest.raises(ConfigurationError):
        replace(SETTINGS, **changes)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, None),
        ({"audio": {"input": {"turn_detection": None}}}, None),
        ({"output_modalities": ["audio"]}, "output_modalities"),
        ({"output_modalities": ["text", "audio"]}, "output_modalities"),
        ({"instructions": "Be nice."}, "instructions"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"audio": None}, "audio.input.turn_detection"),
        ({"audio": {"input": {}}}, "audio.input.turn_detection"),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
            "audio.input.turn_detection.create_response",
        ),
        (
            {"audio": {"input": {"turn_detection": {"create_response": True}}}},
            "audio.input.turn_detection.create_response",
        ),
        (
            {"audio": {"input": {"turn_detection": "server_vad"}}},
            "audio.input.turn_detection.create_response",
        ),
    ],
)
def test_the_first_setting_that_is_not_in_effect_is_named(
    changes: dict[str, Any], name: str | None
) -> None:
    """Every setting on which the meaning of an answer depends is compared."""
    assert name == difference(SETTINGS.to_session(), effective_session(**changes))
