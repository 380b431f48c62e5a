"""Requests, services and readers of frames that the tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter

from analysis.simulator.handshake import Handshake
from analysis.simulator.outcomes import HttpOutcome
from analysis.simulator.outputs import Output
from analysis.simulator.realtime import RealtimeSession
from analysis.simulator.routes import respond
from analysis.simulator.service import Service, digest_answerer

KEYS = ("a", "b")
SCHEMA = {
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
                    "labels": {"type": "array", "items": {"type": "string", "enum": list(KEYS)}},
                },
            },
        }
    },
}
TOOL = {"type": "function", "name": "set_labels", "parameters": SCHEMA}
CHOICE = {"type": "function", "name": "set_labels"}
NESTED_CHOICE = {"type": "function", "function": {"name": "set_labels"}}
HEADERS = {"authorization": "Bearer key-1"}
server_events: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def service(**options: Any) -> Service:
    """Return a service whose labels are digests over two keys."""
    return Service(digest_answerer(KEYS), **options)


def pack(*texts: str) -> str:
    """Return user content that holds the texts under the ids i0, i1 and so on."""
    chunks = [{"id": f"i{index}", "text": text} for index, text in enumerate(texts)]
    return json.dumps({"topic": "t", "chunks": chunks})


def labels_of(*texts: str) -> dict[str, list[dict[str, Any]]]:
    """Return the answer that is due for `pack(*texts)`."""
    labels = digest_answerer(KEYS).label(texts, None)
    return {
        "answers": [{"id": f"i{index}", "labels": list(keys)} for index, keys in enumerate(labels)]
    }


def body(**changes: Any) -> dict[str, Any]:
    """Return a good request body with changes; a change to `...` leaves the field out."""
    form = {"type": "json_schema", "name": "label", "strict": True, "schema": SCHEMA}
    fields = {
        "model": "gpt-6-luna",
        "input": pack("one", "two"),
        "reasoning": {"effort": "none"},
        "text": {"format": form},
        "metadata": {"rid": "17"},
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def post(
    on: Service, request: dict[str, Any] | None = None, *, now: float = 0.0, **headers: str
) -> HttpOutcome:
    """Send a body to POST /v1/responses."""
    content = json.dumps(body() if request is None else request).encode()
    return respond(
        on,
        method="POST",
        path="/v1/responses",
        headers=HEADERS | headers,
        body=content,
        now=now,
    )


def chat(**changes: Any) -> dict[str, Any]:
    """Return a good body for chat completions; a change to `...` leaves the field out."""
    schema = {"name": "label", "strict": True, "schema": SCHEMA}
    fields = {
        "model": "gpt-6-luna",
        "messages": [
            {"role": "developer", "content": "Answer in JSON."},
            {"role": "user", "content": pack("one", "two")},
        ],
        "reasoning_effort": "none",
        "response_format": {"type": "json_schema", "json_schema": schema},
        "metadata": {"rid": "17"},
        "store": True,
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def post_chat(
    on: Service, request: dict[str, Any] | None = None, *, now: float = 0.0, **headers: str
) -> HttpOutcome:
    """Send a body to POST /v1/chat/completions."""
    return respond(
        on,
        method="POST",
        path="/v1/chat/completions",
        headers=HEADERS | headers,
        body=json.dumps(chat() if request is None else request).encode(),
        now=now,
    )


def error_of(outcome: HttpOutcome) -> tuple[int, Any, Any]:
    """Return status, code and param of a refused request."""
    error = json.loads(outcome.body)["error"]
    return outcome.status, error["code"], error["param"]


def connect(
    on: Service, *, now: float = 0.0, model: str | None = "gpt-realtime-2.1-mini", **options: Any
) -> RealtimeSession:
    """Return a fresh connection whose greeting is still to be polled."""
    handshake = Handshake(**{"model": model, "key": "key-1", **options})
    return RealtimeSession(on, handshake, now=now)


def events(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """Return the frames as dicts, each having passed the SDK's strict types."""
    frames = [json.loads(output) for output in outputs if isinstance(output, bytes)]
    for frame in frames:
        event = server_events.validate_python(frame, strict=True)
        assert type(event).model_fields["type"].annotation.__args__ == (frame["type"],)
    return frames


def kinds(outputs: Sequence[Output]) -> list[str]:
    """Return the types of the frames, runs of the same delta taken as one."""
    types = [event["type"] for event in events(outputs)]
    return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]


def send(
    session: RealtimeSession, kind: str, /, *, now: float = 0.0, **fields: Any
) -> list[Output]:
    """Send one client event and return what comes at once."""
    return session.receive(json.dumps({"type": kind, **fields}), now=now)


def message(text: str) -> dict[str, Any]:
    """Return a user message item."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def out_of_band(rid: str, *texts: str, **changes: Any) -> dict[str, Any]:
    """Return the response part of a `response.create` that touches no conversation."""
    return {
        "conversation": "none",
        "metadata": {"rid": rid},
        "output_modalities": ["text"],
        "input": [message(pack(*texts))],
        "tools": [TOOL],
        "tool_choice": CHOICE,
        **changes,
    }


def ready(on: Service, *, now: float = 0.0) -> RealtimeSession:
    """Return a connection that writes text and has taken its greeting."""
    session = connect(on, now=now)
    send(
        session,
        "session.update",
        now=now,
        session={"type": "realtime", "output_modalities": ["text"]},
    )
    return session
