"""Requests and server frames of a Responses WebSocket that the tests of lanes share."""

from __future__ import annotations

import json
from typing import Any

from analysis.errors import AnalysisError
from analysis.wire.events import Answered, Breach, RequestEnded, Violation
from analysis.wire.lane_frames import LaneEvent
from analysis.wire.lanes import LanesConnection

from .examples import request


def frame(kind: str, name: str | None, **fields: Any) -> str:
    """Return one server frame; events of the default lane have no field for the lane."""
    lane = {} if name is None else {"stream_id": name}
    return json.dumps({"type": kind, "sequence_number": 1, **lane, **fields})


def item(text: str) -> dict[str, Any]:
    """Return an output item that holds text."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": [part]}


def response(response_id: str | None, rid: str | None, **changes: Any) -> dict[str, Any]:
    """Return a response object (protocol sheet 6.3) whose text names its request."""
    found = {
        "id": response_id,
        "object": "response",
        "status": "completed",
        "model": "gpt-6-luna-2026-09-22",
        "output": [item(f"answer to {rid}")],
        "error": None,
        "incomplete_details": None,
        "metadata": None if rid is None else {"rid": rid},
        "service_tier": "default",
        "usage": {
            "input_tokens": 120,
            "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 32},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 127,
        },
    }
    return found | changes


def created(response_id: str | None, rid: str | None, name: str | None) -> str:
    """Return the beginning of a response."""
    begun = response(response_id, rid, status="in_progress", output=[], usage=None)
    return frame("response.created", name, response=begun)


def completed(response_id: str | None, rid: str | None, name: str | None, **changes: Any) -> str:
    """Return the end of a response that went well."""
    return frame("response.completed", name, response=response(response_id, rid, **changes))


def passing(name: str | None, text: str) -> list[str]:
    """Return the events of the normal course between beginning and end."""
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": text, "annotations": []}
    return [
        frame("response.in_progress", name, response=response("p", None, output=[])),
        frame("response.output_item.added", name, output_index=0, item=item("")),
        frame("response.content_part.added", name, **place, part=part),
        frame("response.output_text.delta", name, **place, delta=text, logprobs=[]),
        frame("response.output_text.done", name, **place, text=text, logprobs=[]),
        frame("response.content_part.done", name, **place, part=part),
        frame("response.output_item.done", name, output_index=0, item=item(text)),
    ]


def refusal(code: str, name: str | None = None, **fields: Any) -> str:
    """Return a nested error event; `status` and `param` are left out unless given."""
    param = {"param": fields.pop("param")} if "param" in fields else {}
    kind = fields.pop("kind", "invalid_request_error")
    message = fields.pop("message", "no")
    error = {"type": kind, "code": code, "message": message, **param}
    return frame("error", name, error=error, **fields)


def asked(*rids: str, has_lanes: bool = True) -> LanesConnection:
    """Return a connection that waits for these requests, in the lanes w00, w01 and so on."""
    connection = LanesConnection(has_lanes=has_lanes)
    for rid in rids:
        connection.ask(request(rid))
    return connection


def feed(connection: LanesConnection, *frames: str | bytes) -> list[LaneEvent]:
    """Return all events of these frames."""
    return [event for one in frames for event in connection.receive(one)]


def answers(events: list[LaneEvent]) -> dict[str, str]:
    """Return request id -> text of the answers among these events."""
    return {event.request_id: event.reply.text for event in events if isinstance(event, Answered)}


def endings(events: list[LaneEvent]) -> dict[str, AnalysisError]:
    """Return request id -> error of the requests that ended without an answer."""
    return {event.request_id: event.error for event in events if isinstance(event, RequestEnded)}


def breaches(events: list[LaneEvent]) -> list[Breach]:
    """Return the reasons of the violations among these events."""
    return [event.reason for event in events if isinstance(event, Violation)]
