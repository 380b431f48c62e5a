"""The settings of a Realtime session."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import ConfigurationError
from analysis.labels.tokens import estimate
from analysis.wire.dialects import BETA, GA, Dialect
from analysis.wire.session import ContextItem, Terms, check_output_cap, difference, frame_bytes

from .examples import SCHEMA, SETTINGS, effective_session, request


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
    assert expected == SETTINGS.to_session(GA)


@pytest.mark.parametrize(
    ("name", "ga", "beta"),
    [
        ("pcm16", {"type": "audio/pcm", "rate": 24000}, "pcm16"),
        ("g711_ulaw", {"type": "audio/pcmu"}, "g711_ulaw"),
        ("g711_alaw", {"type": "audio/pcma"}, "g711_alaw"),
    ],
)
def test_audio_formats_are_spelled_as_the_dialect_does(
    name: str, ga: dict[str, Any], beta: str
) -> None:
    """No audio is ever sent, but the fields are part of the session."""
    settings = replace(SETTINGS, input_audio_format=name, output_audio_format=name)
    audio = settings.to_session(GA)["audio"]
    flat = settings.to_session(BETA)
    assert (ga, ga) == (audio["input"]["format"], audio["output"]["format"])
    assert (beta, beta) == (flat["input_audio_format"], flat["output_audio_format"])


@pytest.mark.parametrize(("dialect", "sent"), [(GA, None), (BETA, 1.1)])
def test_a_temperature_goes_only_where_there_is_one(dialect: Dialect, sent: float | None) -> None:
    """GA would drop the whole update because of it."""
    assert sent == replace(SETTINGS, temperature=1.1).to_session(dialect).get("temperature")


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
    assert is_sent == ("reasoning" in replace(SETTINGS, model=model).to_session(GA))
    assert "reasoning" not in replace(SETTINGS, model=model).to_session(BETA)


def test_what_is_none_is_left_out() -> None:
    """No cap, no effort and no turn detection of our own."""
    bare = replace(SETTINGS, max_output_tokens=None, reasoning_effort=None, turn_detection=None)
    session, flat = bare.to_session(GA), bare.to_session(BETA)
    assert {"max_output_tokens", "reasoning"}.isdisjoint(session)
    assert session["audio"]["input"]["turn_detection"] is None
    assert "max_response_output_tokens" not in flat
    assert flat["turn_detection"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"input_audio_format": "mp3"},
        {"output_audio_format": "wav"},
        {"turn_detection": "none"},
        {"tool_description": "x" * 1025},
        {"temperature": 0.5},
        {"temperature": 1.3},
        {"temperature": float("nan")},
        {"dialect": "gamma"},
        {"reasoning_effort": "none"},
        {"truncation": "never"},
        {"truncation": 1.5},
        {"truncation": True},
        {"context": (ContextItem(role="user", text="x" * 100_001),)},
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
    assert name == difference(GA, SETTINGS.to_session(GA), effective_session(**changes))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, None),
        ({"turn_detection": None}, None),
        ({"temperature": 0.6000000238418579}, None),
        ({"tool_choice": {"type": "function", "function": {"name": "set_labels"}}}, None),
        ({"modalities": ["text", "text"]}, None),
        ({"modalities": ["audio", "text"]}, "modalities"),
        ({"modalities": []}, "modalities"),
        ({"modalities": "text"}, "modalities"),
        ({"modalities": [["text"]]}, "modalities"),
        ({"instructions": "Be nice."}, "instructions"),
        ({"turn_detection": {"type": "server_vad"}}, "turn_detection.create_response"),
        ({"turn_detection": {"create_response": True}}, "turn_detection.create_response"),
        ({"temperature": 0.8}, "temperature"),
        ({"temperature": "0.6"}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
    ],
)
def test_the_first_beta_setting_that_is_not_in_effect_is_named(
    changes: dict[str, Any], name: str | None
) -> None:
    """Modalities are a set, a temperature may have been rounded to 32 bits."""
    got = effective_session("beta", **changes)
    assert name == difference(BETA, SETTINGS.to_session(BETA), got)


def test_a_beta_session_that_states_no_turn_detection_is_not_confirmed() -> None:
    """What a server does not say is not known to be in effect."""
    got = effective_session("beta")
    del got["turn_detection"]
    assert "turn_detection" == difference(BETA, SETTINGS.to_session(BETA), got)


def test_modalities_are_compared_as_a_set() -> None:
    """Servers state them in an order of their own."""
    sent = SETTINGS.to_session(BETA) | {"modalities": ["text", "audio"]}
    got = effective_session("beta", modalities=["audio", "text"])
    assert difference(BETA, sent, got) is None


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        (None, None),
        ("auto", "auto"),
        ("disabled", "disabled"),
        (0.8, {"type": "retention_ratio", "retention_ratio": 0.8}),
    ],
)
def test_a_rule_of_truncation_goes_where_there_is_one(rule: str | float | None, sent: Any) -> None:
    """GA has three forms of it, beta none."""
    settings = replace(SETTINGS, truncation=rule)
    assert sent == settings.to_session(GA).get("truncation")
    assert "truncation" not in settings.to_session(BETA)


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh"])
def test_every_effort_of_the_sdk_can_be_asked_for(effort: str) -> None:
    """The names are those of OpenAI's own type."""
    from typing import get_args

    from openai.types.realtime.realtime_reasoning_effort import RealtimeReasoningEffort

    assert effort in get_args(RealtimeReasoningEffort)
    session = replace(SETTINGS, reasoning_effort=effort).to_session(GA)
    assert {"effort": effort} == session["reasoning"]


@pytest.mark.parametrize("tokens", [0, 4_097, True, 1.5])
def test_a_cap_that_the_sdk_does_not_know_is_refused(tokens: Any) -> None:
    """The range is that of its documentation; no cap is one, too."""
    check_output_cap(None)
    check_output_cap(4_096)
    with pytest.raises(ConfigurationError, match="1 to 4096"):
        check_output_cap(tokens)


@pytest.mark.parametrize("role", ["developer", "", "tool"])
def test_a_context_item_has_a_known_role_and_a_text(role: str) -> None:
    """The mistake is named before a byte is sent."""
    with pytest.raises(ConfigurationError, match="system, user, assistant"):
        ContextItem(role=role, text="x")
    with pytest.raises(ConfigurationError, match="needs a text"):
        ContextItem(role="user", text=" ")


@pytest.mark.parametrize(("cap", "sent"), [(None, 80), (300, 300)])
def test_a_cap_of_the_session_beats_the_requests_own(cap: int | None, sent: int) -> None:
    """An answer with reasoning needs more than the labels do."""
    text = Terms(dialect=GA, output_cap=cap).respond(request(cap=80), conversation="none")
    assert sent == json.loads(text)["response"]["max_output_tokens"]


def test_the_bound_of_a_frame_follows_from_the_pack() -> None:
    """A mebibyte for everything else, 20 bytes for each token."""
    assert 1024 * 1024 + 20 * (32_000 + 4_096) == frame_bytes(
        input_tokens=32_000, output_tokens=4_096
    )


@pytest.mark.parametrize("sample", ["жёл", "ab c\n", '"{', "字", "é", "\x01", "😀", "A1", "ש"])
def test_no_text_takes_more_bytes_than_the_bound_says(sample: str) -> None:
    """A server may escape every character, and a pack is JSON within JSON."""
    text = sample * 1_000
    echoed = json.dumps(json.dumps({"text": text}, ensure_ascii=False))
    assert len(echoed) <= frame_bytes(input_tokens=estimate(text), output_tokens=0) - 1024 * 1024
