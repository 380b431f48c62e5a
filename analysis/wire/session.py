"""The settings of a Realtime session: neutral form, a dialect's spelling, what came into effect.

Pure. The analyzers fill `SessionSettings`; `wire/realtime.py` sends it and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.errors import ConfigurationError
from analysis.settings import TEMPERATURE_RANGE
from analysis.wire import dialects
from analysis.wire.dialects import ABSENT, Dialect

AUDIO_FORMATS = tuple(dialects.GA.audio_formats)
"""Neutral names; every dialect has a spelling for each."""

REASONING_MODELS = "gpt-realtime-2"
"""Prefix of the models that take `reasoning`; older ones refuse the whole update."""

TOOL_DESCRIPTION_LIMIT = 1_024
"""Characters; a longer description makes the server drop the whole update."""

TEMPERATURE_TOLERANCE = 1e-6
"""Relative; a server that keeps 32-bit floats echoes 0.6 as 0.6000000238."""


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
        temperature: 0.6 to 1.2; sent only where the dialect has one.
        dialect: `auto` takes the one that the server greets in; `ga` or `beta` takes no other.
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
    temperature: float = TEMPERATURE_RANGE[0]
    dialect: str = dialects.AUTO

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
        low, high = TEMPERATURE_RANGE
        if not low <= self.temperature <= high:
            raise ConfigurationError(
                f"temperature is {self.temperature}; a Realtime session takes {low} to {high}."
            )
        dialects.wanted(self.dialect)
        if len(self.tool_description) > TOOL_DESCRIPTION_LIMIT:
            raise ConfigurationError(
                f"The tool description has {len(self.tool_description)} characters; the service "
                f"takes {TOOL_DESCRIPTION_LIMIT}. Shorten it."
            )

    @property
    def tool_choice(self) -> dict[str, str]:
        """The setting that forces the call of the one function, in the form that all take."""
        return {"type": "function", "name": self.tool_name}

    def to_session(self, dialect: Dialect) -> dict[str, Any]:
        """Return the `session` object of a `session.update`; nothing is in it that is not set."""
        turns: dict[str, Any] | None = None
        if self.turn_detection is not None:
            turns = {"type": self.turn_detection, "create_response": False}
        session: dict[str, Any] = {
            dialect.modalities: ["text"],
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
        }
        if dialect.session_type is not None:
            session["type"] = dialect.session_type
        formats = dialect.audio_formats
        dialects.place(
            session, dialect.input_audio_format, _plain(formats[self.input_audio_format])
        )
        dialects.place(
            session, dialect.output_audio_format, _plain(formats[self.output_audio_format])
        )
        dialects.place(session, dialect.turn_detection, turns)
        if dialect.temperature is not None:
            session[dialect.temperature] = self.temperature
        if self.max_output_tokens is not None:
            session[dialect.output_cap] = self.max_output_tokens
        if (
            dialect.reasoning is not None
            and self.reasoning_effort is not None
            and self.model.startswith(REASONING_MODELS)
        ):
            session[dialect.reasoning] = {"effort": self.reasoning_effort}
        return session


def difference(dialect: Dialect, sent: Mapping[str, Any], got: Mapping[str, Any]) -> str | None:
    """Return the name of the first session setting that is not in effect as sent, else None.

    Args:
        dialect: The one in which both sessions are written.
        sent: Made by `to_session`.
        got: What the server says is in effect; may hold anything.
    """
    if not _is_same_set(sent[dialect.modalities], got.get(dialect.modalities)):
        return dialect.modalities
    turns = dialects.find(got, dialect.turn_detection)
    name = ".".join(dialect.turn_detection)
    if turns is ABSENT:
        return name
    if turns is not None and (
        not isinstance(turns, Mapping) or turns.get("create_response") is not False
    ):
        return f"{name}.create_response"
    if got.get("instructions") != sent["instructions"]:
        return "instructions"
    if _forced_tool(got.get("tool_choice")) != sent["tool_choice"]["name"]:
        return "tool_choice"
    if dialect.temperature is not None:
        value, wanted = got.get(dialect.temperature), sent[dialect.temperature]
        reach = TEMPERATURE_TOLERANCE * wanted
        if not isinstance(value, int | float) or not wanted - reach <= value <= wanted + reach:
            return dialect.temperature
    return None


def _plain(spelling: Any) -> Any:
    return dict(spelling) if isinstance(spelling, Mapping) else spelling


def _is_same_set(sent: list[str], got: Any) -> bool:
    """Servers state modalities in an order of their own."""
    return (
        isinstance(got, list)
        and all(one in sent for one in got)
        and all(one in got for one in sent)
    )


def _forced_tool(choice: Any) -> Any:
    """Return the name in a tool choice of the flat form, or of the nested one of chat servers."""
    if not isinstance(choice, Mapping):
        return None
    nested = choice.get("function")
    return nested.get("name") if isinstance(nested, Mapping) else choice.get("name")
