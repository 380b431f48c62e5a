"""The settings of a Realtime session: neutral form, GA spelling, and what came into effect.

Pure. The analyzers fill `SessionSettings`; `wire/realtime.py` sends it and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from analysis.errors import ConfigurationError

AUDIO_FORMATS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "pcm16": {"type": "audio/pcm", "rate": 24_000},
        "g711_ulaw": {"type": "audio/pcmu"},
        "g711_alaw": {"type": "audio/pcma"},
    }
)
"""Neutral name -> GA spelling. 24,000 is the only rate that GA takes for PCM."""

REASONING_MODELS = "gpt-realtime-2"
"""Prefix of the models that take `reasoning`; older ones refuse the whole update."""

TOOL_DESCRIPTION_LIMIT = 1_024
"""Characters; a longer description makes the server drop the whole update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What a session is told once, free of a dialect.

    Attributes:
        model: Asked for in the address; a session cannot change it.
        instructions: What the model is told in front of every request.
        tool_name: The function that the model is made to call with its answer.
        tool_description: At most 1,024 characters.
        tool_parameters: JSON Schema of the function's arguments.
        max_output_tokens: Cap of a response that states none itself; None is the model's own.
        reasoning_effort: Sent to models that reason; None leaves the model's default.
        input_audio_format: `pcm16`, `g711_ulaw` or `g711_alaw`; no audio is ever sent.
        output_audio_format: As above.
        turn_detection: `server_vad`, `semantic_vad` or None; it never creates a response.
    """

    model: str
    instructions: str
    tool_name: str
    tool_description: str
    tool_parameters: Mapping[str, Any]
    max_output_tokens: int | None = None
    reasoning_effort: str | None = "minimal"
    input_audio_format: str = "pcm16"
    output_audio_format: str = "pcm16"
    turn_detection: str | None = "server_vad"

    def __post_init__(self) -> None:
        for name in (self.input_audio_format, self.output_audio_format):
            if name not in AUDIO_FORMATS:
                raise ConfigurationError(
                    f"Audio format {name!r} does not exist. Use one of {', '.join(AUDIO_FORMATS)}."
                )
        if self.turn_detection not in ("server_vad", "semantic_vad", None):
            raise ConfigurationError(
                f"Turn detection {self.turn_detection!r} does not exist. Use 'server_vad', "
                "'semantic_vad' or None."
            )
        if len(self.tool_description) > TOOL_DESCRIPTION_LIMIT:
            raise ConfigurationError(
                f"The tool description has {len(self.tool_description)} characters; the service "
                f"takes {TOOL_DESCRIPTION_LIMIT}. Shorten it."
            )

    @property
    def tool_choice(self) -> dict[str, str]:
        """The setting that forces the call of the one function."""
        return {"type": "function", "name": self.tool_name}

    def to_session(self) -> dict[str, Any]:
        """Return the `session` object of a GA `session.update`."""
        turns: dict[str, Any] | None = None
        if self.turn_detection is not None:
            turns = {"type": self.turn_detection, "create_response": False}
        session: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": ["text"],
            "instructions": self.instructions,
            "tools": [
                {
                    "type": "function",
                    "name": self.tool_name,
                    "description": self.tool_description,
                    "parameters": dict(self.tool_parameters),
                }
            ],
            "tool_choice": self.tool_choice,
            "audio": {
                "input": {
                    "format": dict(AUDIO_FORMATS[self.input_audio_format]),
                    "turn_detection": turns,
                },
                "output": {"format": dict(AUDIO_FORMATS[self.output_audio_format])},
            },
        }
        if self.max_output_tokens is not None:
            session["max_output_tokens"] = self.max_output_tokens
        if self.reasoning_effort is not None and self.model.startswith(REASONING_MODELS):
            session["reasoning"] = {"effort": self.reasoning_effort}
        return session


def difference(sent: Mapping[str, Any], got: Mapping[str, Any]) -> str | None:
    """Return the name of the first session setting that is not in effect as sent, else None."""
    if got.get("output_modalities") != ["text"]:
        return "output_modalities"
    audio = got.get("audio")
    inputs = audio.get("input") if isinstance(audio, Mapping) else None
    if not isinstance(inputs, Mapping) or "turn_detection" not in inputs:
        return "audio.input.turn_detection"
    turns = inputs["turn_detection"]
    if turns is not None and (
        not isinstance(turns, Mapping) or turns.get("create_response") is not False
    ):
        return "audio.input.turn_detection.create_response"
    for name in ("instructions", "tool_choice"):
        if got.get(name) != sent[name]:
            return name
    return None
