"""Connections in WebSocket mode, and readers of their frames, that tests share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from openai.types.responses.responses_server_event import ResponsesServerEvent
from pydantic import TypeAdapter

from analysis.simulator.lanes import LanesSession
from analysis.simulator.outputs import Output
from analysis.simulator.profile import PROFILE, Profile, ResponsesRules
from analysis.simulator.service import Service
from tests.simulator.examples import body, pack

server_events: TypeAdapter[Any] = TypeAdapter(ResponsesServerEvent)


def rules(**changes: Any) -> Profile:
    """Return a profile without chance whose Responses API differs in these rules."""
    return replace(PROFILE, latency_sigma=0.0, responses=ResponsesRules(**changes))


def connect(on: Service, *, now: float = 0.0) -> LanesSession:
    """Return a fresh connection."""
    return LanesSession(on, key="key-1", now=now)


def create(
    session: LanesSession, lane: object = None, /, *texts: str, now: float = 0.0, **changes: Any
) -> list[Output]:
    """Ask on a lane, None being the default one; return what comes at once."""
    content = pack(*(texts or ("one",)))
    request = body(**{"store": False, "input": content, **changes})
    if lane is not None:
        request["stream_id"] = lane
    return send(session, "response.create", now=now, **request)


def send(session: LanesSession, kind: str, /, *, now: float = 0.0, **fields: Any) -> list[Output]:
    """Send one client event; return what comes at once."""
    return session.receive(json.dumps({"type": kind, **fields}), now=now)


def drain(session: LanesSession, *, until: float = 1_000.0) -> list[Output]:
    """Poll at each time that the session names, up to a time; return all that comes."""
    outputs: list[Output] = []
    while session.next_at is not None and session.next_at <= until:
        outputs += session.poll(now=session.next_at)
    return outputs


def events(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """Return the frames as dicts, each having passed the SDK's strict types."""
    frames = [json.loads(output) for output in outputs if isinstance(output, bytes)]
    for frame in frames:
        event = server_events.validate_python(frame, strict=True)
        assert (frame["type"],) == type(event).model_fields["type"].annotation.__args__
    return frames


def kinds(outputs: Sequence[Output]) -> list[str]:
    """Return the types of the frames without `response.`, runs of the same taken as one."""
    types = [event["type"].removeprefix("response.") for event in events(outputs)]
    return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]


def ends(outputs: Sequence[Output]) -> list[tuple[str | None, str]]:
    """Return lane and status of each response that ended, in order."""
    last = ("response.completed", "response.incomplete", "response.failed")
    return [
        (event.get("stream_id"), event["response"]["status"])
        for event in events(outputs)
        if event["type"] in last
    ]


def ids(outputs: Sequence[Output]) -> list[str]:
    """Return the ids of the responses that were created, in order."""
    return [e["response"]["id"] for e in events(outputs) if e["type"] == "response.created"]


def answer(outputs: Sequence[Output]) -> Any:
    """Return the decoded text of the last response that ended."""
    response = events(outputs)[-1]["response"]
    return json.loads(response["output"][-1]["content"][0]["text"])


def error(outputs: Sequence[Output]) -> tuple[int, Any, Any, Any]:
    """Return status, code, param and lane of the only frame, an error."""
    (frame,) = events(outputs)
    assert "error" == frame["type"]
    told = frame["error"]
    return frame["status"], told["code"], told["param"], frame.get("stream_id")
