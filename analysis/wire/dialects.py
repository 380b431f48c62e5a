"""The dialects of the Realtime protocol as tables of names and capabilities.

Pure. `wire/session.py` and `wire/realtime.py` ask a table for a name or a capability, never which
dialect it is; the transport asks for the headers of a forced one. A third dialect is a third table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from analysis.errors import ConfigurationError, RouteClosed
from analysis.wire import names

Path: TypeAlias = tuple[str, ...]
"""Names that lead to a field of a session, from the outside in."""

AUTO = "auto"
"""Asked for by whoever takes the dialect that the server greets in."""

ABSENT = object()
"""What `find` returns where a session has no such field; None is a value that a server may send."""


def _frozen(entries: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    return MappingProxyType(dict(entries or {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one dialect calls things and what it can do.

    Attributes:
        name: For settings, records and messages.
        session_type: Value of `session.type` in greetings and updates; None where there is none.
        modalities: Field of a session and of a `response.create`: what the answer is made of.
        output_cap: Field of both, too: the largest answer in tokens.
        temperature: Field of a session, or None where the dialect has no temperature.
        reasoning: Field of a session, or None where the dialect has no reasoning effort.
        truncation: Field of a session, or None where a long conversation cannot be cut by rule.
        assistant_part: Type of the part that holds the text of an assistant's item.
        input_audio_format: Where a session holds it.
        output_audio_format: Where a session holds it.
        turn_detection: Where a session holds it.
        audio_formats: Neutral name -> spelling.
        marks: Fields of a session that only this dialect has, so that a greeting shows it.
        client_events: Names of all events that a client may send.
        server_events: Names of all events that a server may send.
        headers: Sent with the handshake when this dialect is forced, never otherwise.
        subprotocols: Offered in their place where headers are stripped.
    """

    name: str
    session_type: str | None
    modalities: str
    output_cap: str
    temperature: str | None
    reasoning: str | None
    truncation: str | None
    assistant_part: str
    input_audio_format: Path
    output_audio_format: Path
    turn_detection: Path
    audio_formats: Mapping[str, Any]
    marks: frozenset[str]
    client_events: frozenset[str]
    server_events: frozenset[str]
    headers: Mapping[str, str] = field(default_factory=_frozen)
    subprotocols: tuple[str, ...] = ()


GA = Dialect(
    name="ga",
    session_type="realtime",
    modalities="output_modalities",
    output_cap="max_output_tokens",
    temperature=None,
    reasoning="reasoning",
    truncation="truncation",
    assistant_part="output_text",
    input_audio_format=("audio", "input", "format"),
    output_audio_format=("audio", "output", "format"),
    turn_detection=("audio", "input", "turn_detection"),
    audio_formats=_frozen(
        {
            # 24,000 is the only rate that GA takes for PCM.
            "pcm16": _frozen({"type": "audio/pcm", "rate": 24_000}),
            "g711_ulaw": _frozen({"type": "audio/pcmu"}),
            "g711_alaw": _frozen({"type": "audio/pcma"}),
        }
    ),
    marks=frozenset(),
    client_events=names.GA_CLIENT,
    server_events=names.GA_SERVER,
)
"""OpenAI since August 2025. Source: SDK types and captured frames of 2026-09."""

BETA = Dialect(
    name="beta",
    session_type=None,
    modalities="modalities",
    output_cap="max_response_output_tokens",
    temperature="temperature",
    reasoning=None,
    truncation=None,
    assistant_part="text",
    input_audio_format=("input_audio_format",),
    output_audio_format=("output_audio_format",),
    turn_detection=("turn_detection",),
    audio_formats=_frozen({name: name for name in ("pcm16", "g711_ulaw", "g711_alaw")}),
    marks=frozenset(
        {"modalities", "input_audio_format", "output_audio_format", "turn_detection", "temperature"}
    ),
    client_events=names.BETA_CLIENT,
    server_events=names.BETA_SERVER,
    headers=_frozen({"OpenAI-Beta": "realtime=v1"}),
    subprotocols=("openai-beta.realtime-v1",),
)
"""Compatible servers; OpenAI refuses it since 2026-05-12. Source: SDK types of early 2025."""

DIALECTS: Mapping[str, Dialect] = MappingProxyType({one.name: one for one in (GA, BETA)})
"""Name -> table."""

CHOICES = (AUTO, *DIALECTS)
"""What a caller may ask for."""

SERVER_EVENTS = GA.server_events | BETA.server_events
"""One set for all: servers are known that mix the events of both dialects."""


def wanted(name: str) -> Dialect | None:
    """Return the dialect that a caller forces, None for `auto`.

    Raises:
        ConfigurationError: If there is no such dialect; names the allowed values.
    """
    if name not in CHOICES:
        raise ConfigurationError(f"Dialect {name!r} is not known. Use one of {', '.join(CHOICES)}.")
    return DIALECTS.get(name)


def choose(
    session: Mapping[str, Any], *, forced: Dialect | None, has_conversation: bool
) -> Dialect | RouteClosed:
    """Return the dialect of a greeting, or why there is none to go on with.

    Args:
        session: The session of `session.created`.
        forced: The only dialect that the caller takes; it also decides where the greeting is too
            bare to show one.
        has_conversation: Whether the server announced a conversation before; only beta does.
    """
    kind = session.get("type")
    spoken: Dialect | None = None
    if kind is not None:
        spoken = next((one for one in DIALECTS.values() if one.session_type == kind), None)
        if spoken is None:
            return RouteClosed(
                f"The server opened a session of type {str(kind)[:40]!r}, which answers no "
                "requests. Use another address or another route.",
                code="other_session",
            )
    elif has_conversation or not BETA.marks.isdisjoint(session):
        spoken = BETA
    if spoken is None and forced is None:
        return RouteClosed(
            "The server's greeting does not show which dialect of the Realtime protocol it "
            f"speaks. Name it as dialect ({' or '.join(DIALECTS)}), or use another route.",
            code="unknown_dialect",
        )
    if spoken is None or forced is None or spoken is forced:
        return spoken or forced or GA
    return RouteClosed(
        f"The server speaks the dialect {spoken.name!r} of the Realtime protocol, but "
        f"{forced.name!r} is forced. Use dialect {AUTO!r} or {spoken.name!r}.",
        code="other_dialect",
    )


def place(session: dict[str, Any], path: Path, value: Any) -> None:
    """Set a field of a session; what leads to it is made as needed."""
    *parents, last = path
    for name in parents:
        session = session.setdefault(name, {})
    session[last] = value


def find(session: Mapping[str, Any], path: Path) -> Any:
    """Return a field of a session that a server sent, `ABSENT` if it is not there."""
    found: Any = session
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return ABSENT
        found = found[name]
    return found
