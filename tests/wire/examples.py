"""Requests and server frames that the tests of this folder share."""

from __future__ import annotations

import json
from typing import Any

from analysis.records import Ask, Chunk, Item, Pack, Request
from analysis.wire.events import Answered, Breach, Event, RequestEnded, Violation
from analysis.wire.realtime import RealtimeConnection, SessionSettings

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["answers"],
    "properties": {
        "answers": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "labels"],
                "properties": {
                    "id": {"type": "string"},
                    "labels": {
                        "type": "array",
                        "items": {"type": "string", "enum": ["key_thesis", "example"]},
                    },
                },
            },
        }
    },
}

SETTINGS = SessionSettings(
    model="gpt-realtime-2.1-mini",
    instructions="Label each chunk.",
    tool_name="set_labels",
    tool_description="Give the labels.",
    tool_parameters=SCHEMA,
    max_output_tokens=400,
)


DIALECTS = ("ga", "beta")

BETA_GREETING: dict[str, Any] = {
    "id": "sess_1",
    "object": "realtime.session",
    "model": "gpt-realtime-2.1-mini",
    "expires_at": 1790000000,
    "modalities": ["audio", "text"],
    "instructions": "Be nice.",
    "voice": "alloy",
    "turn_detection": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "create_response": True,
        "interrupt_response": True,
    },
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "input_audio_transcription": None,
    "tools": [],
    "tool_choice": "auto",
    "temperature": 0.8,
    "max_response_output_tokens": "inf",
}


def request(rid: str = "r1", *, model: str = "gpt-6-luna", cap: int = 80) -> Request:
    """Return a request for one chunk."""
    content = json.dumps({"topic": "cycling", "chunks": [{"id": "a1", "text": f"text of {rid}"}]})
    item = Item(ticket=1, chunk=Chunk(id="c1", text=f"text of {rid}"), tokens=4)
    return Request(
        request_id=rid,
        route="realtime",
        model=model,
        pack=Pack(items=(item,), topic="cycling"),
        ask=Ask(
            instructions="Label each chunk.",
            content=content,
            schema_name="labels",
            schema=SCHEMA,
            max_output_tokens=cap,
            tickets={"a1": 1},
            estimated_input_tokens=60,
        ),
        attempt=1,
    )


def default_session(dialect: str = "ga", **changes: Any) -> dict[str, Any]:
    """Return the session of a greeting (protocol sheet 2.5 and 3.3), with changes."""
    return (BETA_GREETING if dialect == "beta" else _ga_greeting()) | changes


def _ga_greeting() -> dict[str, Any]:
    session: dict[str, Any] = {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "model": "gpt-realtime-2.1-mini",
        "output_modalities": ["audio"],
        "instructions": "Be nice.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "turn_detection": {"type": "server_vad", "create_response": True},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"},
        },
    }
    return session


def effective_session(dialect: str = "ga", **changes: Any) -> dict[str, Any]:
    """Return the session as the server confirms `SETTINGS`."""
    turns = {"type": "server_vad", "threshold": 0.5, "create_response": False}
    if dialect == "beta":
        return default_session(
            "beta",
            modalities=["text"],
            instructions=SETTINGS.instructions,
            temperature=0.6,
            turn_detection=turns,
            tools=[{"type": "function", "name": "set_labels"}],
            tool_choice={"type": "function", "name": "set_labels"},
            max_response_output_tokens=400,
        ) | dict(changes)
    return default_session(
        output_modalities=["text"],
        instructions=SETTINGS.instructions,
        tools=[{"type": "function", "name": "set_labels"}],
        tool_choice={"type": "function", "name": "set_labels"},
        audio={"input": {"turn_detection": turns}, "output": {}},
    ) | dict(changes)


def frame(name: str, **fields: Any) -> str:
    """Return one server frame."""
    return json.dumps({"type": name, "event_id": "event_1"} | fields)


def error_frame(
    event_id: str | None,
    code: str | None,
    kind: str = "invalid_request_error",
    *,
    param: str | None = None,
) -> str:
    """Return an `error` event about one of our events."""
    error = {"type": kind, "code": code, "message": "words", "param": param, "event_id": event_id}
    return frame("error", error=error)


def call(arguments: str, name: str = "set_labels") -> dict[str, Any]:
    """Return an output item that calls the function."""
    return {"type": "function_call", "name": name, "call_id": "call_1", "arguments": arguments}


def message(text: str, dialect: str = "ga") -> dict[str, Any]:
    """Return an output item that holds text; the dialects differ in the type of the part."""
    kind = "text" if dialect == "beta" else "output_text"
    return {"type": "message", "role": "assistant", "content": [{"type": kind, "text": text}]}


def passing(response_id: str, text: str, dialect: str) -> list[str]:
    """Return the events of the normal course between the creation and the end of a response."""
    place = {"response_id": response_id, "item_id": "item_1", "output_index": 0, "content_index": 0}
    name = "response.text" if dialect == "beta" else "response.output_text"
    item = message(text, dialect) | {"id": "item_1", "status": "completed"}
    names = ("created",) if dialect == "beta" else ("added", "done")
    return [
        frame("response.output_item.added", response_id=response_id, output_index=0, item=item),
        *(frame(f"conversation.item.{end}", previous_item_id=None, item=item) for end in names),
        frame("response.content_part.added", **place, part={"type": "text", "text": ""}),
        frame(f"{name}.delta", **place, delta=text),
        frame(f"{name}.done", **place, text=text),
        frame("response.content_part.done", **place, part={"type": "text", "text": text}),
        frame("response.output_item.done", response_id=response_id, output_index=0, item=item),
    ]


def created(response_id: str | None, rid: str | None) -> str:
    """Return a `response.created`."""
    metadata = None if rid is None else {"rid": rid}
    return frame(
        "response.created",
        response={"id": response_id, "status": "in_progress", "output": [], "metadata": metadata},
    )


def done(response_id: str | None, rid: str | None, **changes: Any) -> str:
    """Return a `response.done` whose call carries the id of the request as its arguments."""
    response = {
        "object": "realtime.response",
        "id": response_id,
        "status": "completed",
        "status_details": None,
        "output": [call(f"answer to {rid}")],
        "usage": {
            "input_tokens": 120,
            "output_tokens": 7,
            "input_token_details": {"text_tokens": 120, "cached_tokens": 64},
        },
        "metadata": None if rid is None else {"rid": rid},
    }
    return frame("response.done", response=response | changes)


def greeted(dialect: str = "ga") -> RealtimeConnection:
    """Return a connection after the greeting, in the order in which the dialect greets."""
    connection = RealtimeConnection()
    connection.receive(frame("session.created", session=default_session(dialect)))
    if dialect == "beta":
        conversation = {"id": "conv_1", "object": "realtime.conversation"}
        connection.receive(frame("conversation.created", conversation=conversation))
    return connection


def ready(*rids: str, dialect: str = "ga") -> RealtimeConnection:
    """Return a configured connection that waits for these requests."""
    connection = greeted(dialect)
    connection.configure(SETTINGS)
    connection.receive(frame("session.updated", session=effective_session(dialect)))
    for rid in rids:
        connection.ask(request(rid))
    return connection


def feed(connection: RealtimeConnection, *frames: str | bytes) -> list[Event]:
    """Return all events of these frames."""
    return [event for text in frames for event in connection.receive(text)]


def answers(events: list[Event]) -> dict[str, str]:
    """Return request id -> text of the answers among these events."""
    return {event.request_id: event.reply.text for event in events if isinstance(event, Answered)}


def endings(events: list[Event]) -> dict[str, Any]:
    """Return request id -> error of the requests that ended without an answer."""
    return {event.request_id: event.error for event in events if isinstance(event, RequestEnded)}


def breaches(events: list[Event]) -> list[Breach]:
    """Return the reasons of the violations among these events."""
    return [event.reason for event in events if isinstance(event, Violation)]
