"""Makes docs/reference/dialects.md from the tables of `wire/`; `reference_pages` writes it.

Fields and values come from frames that the client builds, names of events from `wire/names.py`,
choices from `wire.dialects.choose`. Whether an event is sent or read is looked up in the source of
the modules that build and read frames: its name stands there as a constant or not.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from analysis.errors import RouteClosed
from analysis.settings import TEMPERATURE_RANGE
from analysis.wire import dialects, session
from analysis.wire.dialects import BETA, GA, Dialect
from analysis.wire.outofband import OutOfBand
from analysis.wire.session import ContextItem, SessionSettings, Terms
from tests.wire.examples import default_session, request

NO = "no"
NOT_APPLICABLE = "not applicable"
WIRE = Path(dialects.__file__).parent
SPEAKERS = ("realtime", "items", "outofband", "turns", "context", "session")
"""Modules of `wire/` that build or read frames of the Realtime protocol."""

NOT_TEXT = ("audio", "mcp_", "transcription", "timeout", "dtmf", "truncate")
"""Parts of the names of events that belong to speech, or to tools of the server."""

SESSION = SessionSettings(
    model="gpt-realtime-2.1-mini",
    instructions="...",
    tool_name="set_labels",
    tool_description="...",
    tool_parameters={},
    max_output_tokens=400,
    truncation="auto",
)
INTRO = """\
Two dialects of the Realtime protocol are spoken: GA by OpenAI, beta by some compatible servers.
`dialect` of an analyzer is `auto`, `ga` or `beta`; routes other than `realtime` have no dialects.
A cell is the spelling where the dialect has the thing, `no` where it does not, and \
`not applicable` where the question does not arise.
Facts and their sources: [research page](../realtime-api-research.md).
"""


def dialects_page(note: str) -> str:
    """Return the page; `note` says how it is made."""
    parts = [
        f"# Dialects\n\n{note}\n{INTRO}",
        _choices(),
        "## Names and capabilities\n",
        _table(("what", "beta", "GA"), _capabilities()),
        "## Fields of a session\n",
        "What `session.update` holds. Instructions, descriptions and schema are cut short here; "
        f"`reasoning` is sent to models whose name begins with `{session.REASONING_MODELS}`, the "
        "output cap and the truncation only if they are set.\n",
        _table(("field", "beta", "GA"), _fields(*(_session_of(one) for one in (BETA, GA)))),
        "## Fields of a request\n",
        "What `response.create` holds. On a server without out-of-band responses `conversation`, "
        "`metadata` and `input` are left out, and the pack is an item of the conversation.\n",
        _table(("field", "beta", "GA"), _fields(*(_request_of(one) for one in (BETA, GA)))),
        "## Values\n",
        _table(("what", "beta", "GA"), _values()),
        "## Items\n",
        _table(("what", "beta", "GA"), _items()),
        "## Events of the client\n",
        "`yes` under a dialect: its SDK or its server names the event.\n",
        _events("sent by `semfn`", BETA.client_events, GA.client_events),
        "## Events of the server\n",
        "Events that are not read pass by; a name that is in neither column is counted in "
        '`statistics()["connections"]`. Servers are known that mix the events of both dialects, so '
        "the names of both are taken from all.\n",
        _events("read by `semfn`", BETA.server_events, GA.server_events),
        "Tests: `tests/wire/test_names.py` (names against the SDKs of each dialect), "
        "`tests/wire/test_session.py` (fields and values), `tests/wire/test_realtime_dialects.py` "
        "(choice, frames, ends), `tests/docs/test_reference.py` (this page).\n",
    ]
    return "\n".join(parts)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def _choices() -> str:
    greetings: list[tuple[str, Mapping[str, Any], bool]] = [
        ("`session.type` is `realtime`", default_session("ga"), False),
        ("fields that only beta has", default_session("beta"), False),
        ("`conversation.created` came first", {}, True),
        ("neither", {}, False),
        ("`session.type` is `transcription`", {"type": "transcription"}, False),
    ]
    rows = (
        (what, *(_choice(greeting, name, announced) for name in dialects.CHOICES))
        for what, greeting, announced in greetings
    )
    head = ("greeting of the server", *(f"`{name}`" for name in dialects.CHOICES))
    told = "The dialect that is spoken after each greeting, by what the caller asked for.\n"
    return f"## Which one is spoken\n\n{told}\n{_table(head, rows)}"


def _choice(greeting: Mapping[str, Any], name: str, has_conversation: bool) -> str:
    forced = dialects.wanted(name)
    chosen = dialects.choose(greeting, forced=forced, has_conversation=has_conversation)
    if isinstance(chosen, RouteClosed):
        return f"route closed, `{chosen.code}`"
    return chosen.name


def _capabilities() -> Iterator[tuple[str, ...]]:
    named: list[tuple[str, str]] = [
        ("type of the session", "session_type"),
        ("kind of output", "modalities"),
        ("output cap", "output_cap"),
        ("temperature", "temperature"),
        ("reasoning effort", "reasoning"),
        ("truncation of a long conversation", "truncation"),
        ("format of audio input", "input_audio_format"),
        ("format of audio output", "output_audio_format"),
        ("turn detection", "turn_detection"),
        ("text of an assistant's item is of type", "assistant_part"),
    ]
    for what, field in named:
        yield what, *(_spelled(getattr(one, field)) for one in (BETA, GA))
    yield (
        "header with the handshake, if the dialect is forced",
        *(", ".join(f"`{k}: {v}`" for k, v in one.headers.items()) or NO for one in (BETA, GA)),
    )
    yield (
        "subprotocol in its place, where headers are stripped",
        *(", ".join(f"`{name}`" for name in one.subprotocols) or NO for one in (BETA, GA)),
    )


def _spelled(value: Any) -> str:
    if value is None:
        return NO
    return f"`{value if isinstance(value, str) else '.'.join(value)}`"


def _session_of(dialect: Dialect) -> dict[str, str]:
    return dict(_flat(SESSION.to_session(dialect)))


def _request_of(dialect: Dialect) -> dict[str, str]:
    asked = OutOfBand().ask(request("17"), Terms(dialect=dialect, references=("ctx1",)))
    frame = json.loads(asked[0])
    content = frame["response"]["input"][-1]["content"][0]
    content["text"] = "..."
    return dict(_flat(frame))


def _flat(value: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields below a value by their dotted names; lists are one value."""
    for name, inner in value.items():
        path = f"{place}.{name}" if place else name
        if isinstance(inner, Mapping) and inner and not {"type", "effort"} & inner.keys():
            yield from _flat(inner, path)
        else:
            yield path, json.dumps(inner)


def _fields(beta: Mapping[str, str], ga: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    for path in sorted({*beta, *ga}):
        cells = (f"`{one[path]}`" if path in one else NO for one in (beta, ga))
        yield f"`{path}`", *cells


def _values() -> Iterator[tuple[str, ...]]:
    low, high = session.OUTPUT_CAP_RANGE
    cap = f"{low:,} to {high:,}"
    yield "output cap that is taken from a caller", cap, cap
    yield "temperature", "{} to {}".format(*TEMPERATURE_RANGE), NO
    yield "reasoning effort", NO, ", ".join(f"`{name}`" for name in session.EFFORTS)
    rules = ", ".join(f"`{name}`" for name in session.TRUNCATIONS)
    yield "truncation", NO, f"{rules}, or the share that is retained, 0 to 1"
    for name in session.AUDIO_FORMATS:
        yield f"audio format `{name}`", *(_format(one, name) for one in (BETA, GA))
    yield "audio input and output", *[f"{NOT_APPLICABLE}: text only"] * 2


def _format(dialect: Dialect, name: str) -> str:
    spelling = dialect.audio_formats[name]
    return f"`{json.dumps(spelling if isinstance(spelling, str) else dict(spelling))}`"


def _items() -> Iterator[tuple[str, ...]]:
    for role in session.ROLES:
        item = ContextItem(role=role, text="...")
        shown = (json.dumps(item.to_item(one)["content"]) for one in (BETA, GA))
        yield f"content of the role `{role}`", *(f"`{one}`" for one in shown)


def _events(use: str, beta: Collection[str], ga: Collection[str]) -> str:
    used = _names_in_source()
    rows = (
        (f"`{name}`", *("yes" if name in one else NO for one in (beta, ga)), _use(name, used))
        for name in sorted({*beta, *ga})
    )
    return _table(("event", *("beta", "GA"), use), rows)


def _use(name: str, used: Collection[str]) -> str:
    if name in used:
        return "yes"
    is_other = any(part in name for part in NOT_TEXT)
    return f"{NOT_APPLICABLE}: text only" if is_other else NO


def _names_in_source() -> frozenset[str]:
    """Return the texts that stand in the modules that build and read frames."""
    trees = (ast.parse((WIRE / f"{name}.py").read_text(encoding="utf-8")) for name in SPEAKERS)
    return frozenset(
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
