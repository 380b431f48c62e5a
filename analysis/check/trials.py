"""Which settings a Realtime server takes: those of the product, and a list of single ones.

io. Part of `analysis.check`. The list is sent as raw frames, each setting in an update of its own:
the question is what the server says, and our analyzer would refuse many of them before sending.
No response is asked for, so none of it costs anything.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from analysis.check.findings import ROUTE_CURE, Finding, failed, found
from analysis.endpoint import Endpoint
from analysis.errors import AnalysisError, TransportError
from analysis.semantic_function_realtime import SemanticRealtimeAnalyzer
from analysis.settings import DEFAULT_MODELS, SETTINGS
from analysis.transport.handshake import dial
from analysis.wire import failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A client event that is sent to see whether the server takes it.

    Attributes:
        name: What is tried, for people.
        event: The event, without its id.
        is_taken: Whether the vendor's service takes it in this dialect.
    """

    name: str
    event: Mapping[str, object]
    is_taken: bool


TAKEN, REFUSED = True, False

_TOOL = {"type": "function", "name": "set_labels", "parameters": {"type": "object"}}
_STRICT = _TOOL | {"strict": True}
_SILENT = {"type": "server_vad", "create_response": False}
_NO_VAD = {"type": "none"}
_PCM = {"type": "audio/pcm", "rate": 24_000}


def _heard(**settings: object) -> dict[str, object]:
    return {"audio": {"input": settings}}


_IN_GA: tuple[tuple[str, dict[str, object], bool], ...] = (
    ('modalities ["text"]', {"output_modalities": ["text"]}, TAKEN),
    ('modalities ["text", "audio"]', {"output_modalities": ["text", "audio"]}, REFUSED),
    ("modalities as in beta", {"modalities": ["text"]}, REFUSED),
    ("temperature 0.6", {"temperature": 0.6}, REFUSED),
    ("turn_detection without responses", _heard(turn_detection=_SILENT), TAKEN),
    ("turn_detection null", _heard(turn_detection=None), TAKEN),
    ('turn_detection "none"', _heard(turn_detection=_NO_VAD), REFUSED),
    ("turn_detection as in beta", {"turn_detection": _SILENT}, REFUSED),
    ("audio format pcm16", _heard(format=_PCM), TAKEN),
    ("audio format as in beta", {"input_audio_format": "pcm16"}, REFUSED),
    ("tools", {"tools": [_TOOL]}, TAKEN),
    ("tools with strict", {"tools": [_STRICT]}, REFUSED),
)
_IN_BETA: tuple[tuple[str, dict[str, object], bool], ...] = (
    ('modalities ["text"]', {"modalities": ["text"]}, TAKEN),
    # Compared as a set: the order that older notes call refused is taken.
    ('modalities ["text", "audio"]', {"modalities": ["text", "audio"]}, TAKEN),
    ('modalities ["audio"]', {"modalities": ["audio"]}, REFUSED),
    ("modalities as in GA", {"output_modalities": ["text"]}, REFUSED),
    ("temperature 0.6", {"temperature": 0.6}, TAKEN),
    ("temperature 0.5", {"temperature": 0.5}, REFUSED),
    ("temperature 1.3", {"temperature": 1.3}, REFUSED),
    ("turn_detection without responses", {"turn_detection": _SILENT}, TAKEN),
    ("turn_detection null", {"turn_detection": None}, TAKEN),
    ('turn_detection "none"', {"turn_detection": _NO_VAD}, REFUSED),
    ("audio format pcm16", {"input_audio_format": "pcm16"}, TAKEN),
    ("tools", {"tools": [_TOOL]}, TAKEN),
    ("tools with strict", {"tools": [_STRICT]}, REFUSED),
    ("session type as in GA", {"type": "realtime"}, REFUSED),
)


def _update(name: str, session: Mapping[str, object], *, is_taken: bool) -> Trial:
    return Trial(name=name, event={"type": "session.update", "session": session}, is_taken=is_taken)


_EVENTS = tuple(
    Trial(name=f"event {kind}", event={"type": kind}, is_taken=REFUSED)
    for kind in ("session.create", "message.create")
)
"""Events that older notes name and that never existed."""

TRIALS: Mapping[str, tuple[Trial, ...]] = {
    "ga": (
        *(_update(name, {"type": "realtime"} | one, is_taken=taken) for name, one, taken in _IN_GA),
        _update("no session type", {"output_modalities": ["text"]}, is_taken=REFUSED),
        *_EVENTS,
    ),
    "beta": (
        *(_update(name, one, is_taken=taken) for name, one, taken in _IN_BETA),
        *_EVENTS,
    ),
}
"""Dialect -> what is tried. Source: protocol notes, sections 2.3, 3.6 and 4.5."""


async def settings(
    endpoint: Endpoint,
    *,
    asked: Mapping[str, str] = DEFAULT_MODELS,
    timeout_s: float = SETTINGS.connect_timeout_s,
) -> tuple[Finding, ...]:
    """Set a session up as the product does, then try single settings on another one.

    Args:
        endpoint: Address and key.
        asked: Route -> model; the one of `realtime` counts.
        timeout_s: For the opening, and for the answer to each update.

    Returns:
        `session settings`: whether those of the product were confirmed; then one finding
        `setting ...` for each trial of the dialect, whose fact `outcome` is `accepted`,
        `refused` or `unanswered`. A trial fails only if the server does not answer: to take more
        than the vendor's service does breaks nothing.
    """
    name = "session settings"
    model = asked["realtime"]
    async with SemanticRealtimeAnalyzer(endpoint=endpoint, model=model) as analyzer:
        try:
            await analyzer.initialize_session()
        except AnalysisError as error:
            return (failed(endpoint, name, error),)
        session = analyzer.session
    dialect = session["dialect"]
    text = f"those of the product are confirmed in the dialect {dialect}"
    facts = {"dialect": dialect, "in_effect": _without_prompt(session["settings"])}
    return (
        found(endpoint, name, text, facts=facts),
        *await try_all(endpoint, model, TRIALS[dialect], timeout_s),
    )


def _without_prompt(settings: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings in effect without instructions and tools, which are long and ours."""
    return {
        name: value for name, value in settings.items() if name not in ("instructions", "tools")
    }


async def try_all(
    endpoint: Endpoint, model: str, trials: tuple[Trial, ...], timeout_s: float
) -> list[Finding]:
    """Send the trials one after the other; a session that ended is replaced by a new one."""
    findings: list[Finding] = []
    socket: ClientConnection | None = None
    try:
        for number, trial in enumerate(trials):
            try:
                if socket is None:
                    socket = await _greeted(endpoint, model, timeout_s)
                reply = await _reply(socket, trial, f"trial_{number}", timeout_s)
            except AnalysisError as error:
                findings.append(_unanswered(endpoint, trial, str(error)))
                if socket is not None:
                    await socket.close()
                socket = None
            else:
                findings.append(_outcome(endpoint, trial, reply))
    finally:
        if socket is not None:
            await socket.close()
    return findings


async def _greeted(endpoint: Endpoint, model: str, timeout_s: float) -> ClientConnection:
    """Return a socket on which the server has opened its session.

    Raises:
        AnalysisError: If it does not.
    """
    socket = await dial(
        endpoint.place, path="realtime", model=model, headers={}, timeout_s=timeout_s
    )
    try:
        event = await _next(socket, "session.created", None, timeout_s)
        if event["type"] == "error":
            words = json.dumps(event.get("error"), ensure_ascii=False)
            raise TransportError(
                f"the server did not greet: {failures.spoken(words)}", code="error"
            )
    except AnalysisError:
        await socket.close()
        raise
    return socket


async def _reply(
    socket: ClientConnection, trial: Trial, event_id: str, timeout_s: float
) -> Mapping[str, Any]:
    """Send a trial and return the event that confirms or refuses it."""
    try:
        await socket.send(json.dumps({"event_id": event_id, **trial.event}))
    except websockets.ConnectionClosed as closed:
        raise _ended(closed) from closed
    return await _next(socket, "session.updated", event_id, timeout_s)


async def _next(
    socket: ClientConnection, kind: str, event_id: str | None, timeout_s: float
) -> Mapping[str, Any]:
    """Return the next event of a type, or the error about our event; others pass by."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                event = json.loads(await socket.recv())
                if not isinstance(event, dict):
                    continue
                if event.get("type") == kind:
                    return event
                if event.get("type") == "error" and _is_about(event, event_id):
                    return event
    except TimeoutError as error:
        raise TransportError(f"no answer within {timeout_s:g} s", code="timeout") from error
    except (ValueError, RecursionError) as error:
        raise TransportError("the answer is no JSON", code="not_json") from error
    except websockets.ConnectionClosed as closed:
        raise _ended(closed) from closed


def _is_about(event: Mapping[str, Any], event_id: str | None) -> bool:
    """Tell whether an error is about our event; a server that names none means the last one."""
    error = event.get("error")
    named = error.get("event_id") if isinstance(error, dict) else None
    return named is None or named == event_id


def _ended(closed: websockets.ConnectionClosed) -> TransportError:
    last = closed.rcvd or closed.sent
    words = (
        f"code {last.code} {failures.spoken(last.reason)}".rstrip() if last else "no close frame"
    )
    return TransportError(f"the server closed the connection ({words})", code="closed")


def _outcome(endpoint: Endpoint, trial: Trial, event: Mapping[str, Any]) -> Finding:
    """Return what the server said to a trial, in its own words."""
    error = event.get("error") if event.get("type") == "error" else None
    facts: dict[str, object] = {
        "outcome": "accepted" if error is None else "refused",
        "expected": "accepted" if trial.is_taken else "refused",
    }
    text = str(facts["outcome"])
    if isinstance(error, dict):
        words = failures.spoken(str(error.get("message") or ""))
        facts |= {"code": error.get("code"), "param": error.get("param"), "words": words}
        text += f" ({error.get('code')}): {words}"
    if facts["outcome"] != facts["expected"]:
        text += f"; the vendor's service: {facts['expected']}"
    return found(endpoint, f"setting {trial.name}", text, facts=facts)


def _unanswered(endpoint: Endpoint, trial: Trial, words: str) -> Finding:
    facts = {
        "outcome": "unanswered",
        "expected": "accepted" if trial.is_taken else "refused",
        "words": words,
    }
    return found(endpoint, f"setting {trial.name}", words, ok=False, cure=ROUTE_CURE, facts=facts)
