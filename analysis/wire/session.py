"""The settings of a Realtime session: neutral form, a dialect's spelling, what came into effect.

Pure. The analyzers fill `SessionSettings`; `wire/realtime.py` sends it and compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from analysis.errors import ConfigurationError
from analysis.records import Request
from analysis.settings import TEMPERATURE_RANGE
from analysis.wire import dialects
from analysis.wire.dialects import ABSENT, Dialect

AUDIO_FORMATS = tuple(dialects.GA.audio_formats)
"""Neutral names; every dialect has a spelling for each."""

REASONING_MODELS = "gpt-realtime-2"
"""Prefix of the models that take `reasoning`; older ones refuse the whole update."""

EFFORTS = ("minimal", "low", "medium", "high", "xhigh")
"""Reasoning efforts of those models. Source: SDK types of 2026-11."""

TRUNCATIONS = ("auto", "disabled")
"""Rules for a conversation that outgrows the context; a number is the share to retain."""

OUTPUT_CAP_RANGE = (1, 4_096)
"""Tokens that `max_output_tokens` may state. Source: SDK types of 2026-11. Whether newer models
take more is not known, so only what a person sets is held to it."""

ROLES = ("system", "user", "assistant")
"""Whose words an item of the context can be."""

CONTEXT_CHARACTERS = 100_000
"""Most characters of all context items together; well within the models' 128,000 tokens."""

FRAME_BASE_BYTES = 1024 * 1024
"""Taken for everything in a frame that is not the pack or the answer: the echo of instructions,
tools and context items."""

BYTES_PER_TOKEN = 20
"""Most bytes of JSON for one estimated token: Cyrillic counts 0.35 tokens a letter and takes 6
bytes if the server escapes it, which makes 17; every other script takes less."""

TOOL_DESCRIPTION_LIMIT = 1_024
"""Characters; a longer description makes the server drop the whole update."""

TEMPERATURE_TOLERANCE = 1e-6
"""Relative; a server that keeps 32-bit floats echoes 0.6 as 0.6000000238."""


def frame_bytes(*, input_tokens: int, output_tokens: int) -> int:
    """Return the largest frame to be taken: base + 20 bytes for each token of pack and answer.

    The largest frames are the server's echo of an item with a whole pack, and the end of a
    response with its whole output.

    Args:
        input_tokens: Estimated tokens of the largest pack.
        output_tokens: Cap of the longest answer.
    """
    return FRAME_BASE_BYTES + BYTES_PER_TOKEN * (input_tokens + output_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextItem:
    """One message that stands in front of every request: a topic, an outline, a conversation.

    Attributes:
        role: `system`, `user` or `assistant`.
        text: What it says.
    """

    role: str
    text: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ConfigurationError(
                f"A context item has the role {self.role!r}. Use one of {', '.join(ROLES)}."
            )
        if not isinstance(self.text, str) or not self.text.strip():
            raise ConfigurationError("A context item needs a text.")

    def to_item(self, dialect: Dialect) -> dict[str, Any]:
        """Return the item as a dialect spells it, without an id."""
        kind = dialect.assistant_part if self.role == "assistant" else "input_text"
        content = [{"type": kind, "text": self.text}]
        return {"type": "message", "role": self.role, "content": content}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is in effect on a session for the requests that are asked now.

    Attributes:
        dialect: How things are called.
        model: As the server names it.
        tool_name: The function that the model is made to call.
        output_cap: Cap of every response in tokens; None takes each request's own.
        references: Ids of the context items, in order.
    """

    dialect: Dialect
    model: str = ""
    tool_name: str = ""
    output_cap: int | None = None
    references: tuple[str, ...] = ()

    def respond(self, request: Request, **fields: Any) -> str:
        """Return the frame that asks for a response; `fields` say where its input is."""
        cap = request.ask.max_output_tokens if self.output_cap is None else self.output_cap
        response = {
            **fields,
            self.dialect.modalities: ["text"],
            self.dialect.output_cap: cap,
        }
        return encode(
            {"type": "response.create", "event_id": request.request_id, "response": response}
        )


def encode(frame: dict[str, Any]) -> str:
    """Return a frame as text."""
    return msgspec.json.encode(frame).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What a session is told once, free of a dialect.

    Attributes:
        model: Asked for in the address; a session cannot change it.
        instructions: What the model is told in front of every request.
        tool_name: The function that the model is made to call with its answer.
        tool_description: At most 1,024 characters.
        tool_parameters: JSON Schema of the function's arguments.
        max_output_tokens: Cap of every response; None takes each request's own.
        reasoning_effort: Sent to models that reason; None leaves the model's default.
        truncation: `auto`, `disabled`, or the share of a long conversation that is retained, 0 to
            1; sent where the dialect has it. None leaves the server's default.
        context: Items in front of every request, in order; created once on the session.
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
    truncation: str | float | None = None
    context: tuple[ContextItem, ...] = ()
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
        check_effort(self.reasoning_effort)
        check_truncation(self.truncation)
        check_context(self.context)
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
        if dialect.truncation is not None and self.truncation is not None:
            session[dialect.truncation] = (
                self.truncation
                if isinstance(self.truncation, str)
                else {"type": "retention_ratio", "retention_ratio": self.truncation}
            )
        return session


def check_effort(effort: str | None) -> None:
    """Refuse a reasoning effort that does not exist.

    Raises:
        ConfigurationError: Names the allowed values.
    """
    if effort is not None and effort not in EFFORTS:
        raise ConfigurationError(
            f"reasoning_effort is {effort!r}. Use one of {', '.join(EFFORTS)}, or None."
        )


def check_truncation(rule: str | float | None) -> None:
    """Refuse a rule of truncation that does not exist.

    Raises:
        ConfigurationError: Names the allowed values.
    """
    if rule is None or rule in TRUNCATIONS:
        return
    is_number = isinstance(rule, int | float) and not isinstance(rule, bool)
    if not is_number or not 0 <= rule <= 1:  # type: ignore[operator]
        raise ConfigurationError(
            f"truncation is {rule!r}. Use {', '.join(TRUNCATIONS)}, a number from 0 to 1, or None."
        )


def check_output_cap(tokens: int | None) -> None:
    """Refuse an output cap that the service would refuse.

    Raises:
        ConfigurationError: Names the allowed values.
    """
    low, high = OUTPUT_CAP_RANGE
    if tokens is None:
        return
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not low <= tokens <= high:
        raise ConfigurationError(
            f"max_output_tokens is {tokens!r}; a Realtime session takes {low} to {high}, or None."
        )


def check_context(items: Sequence[ContextItem]) -> None:
    """Refuse a context that is too long.

    Raises:
        ConfigurationError: Names the limit.
    """
    size = sum(len(item.text) for item in items)
    if size > CONTEXT_CHARACTERS:
        raise ConfigurationError(
            f"The context has {size} characters; {CONTEXT_CHARACTERS} are the most. Shorten it."
        )


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
