"""A Realtime connection in both dialects: how it is chosen, what is sent, how replies end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.errors import (
    AccountClosed,
    AnswerDefect,
    ConfigurationError,
    ModelRefused,
    RateLimited,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending
from analysis.wire import dialects
from analysis.wire.events import Answered, ConnectionFault, SessionGreeted
from analysis.wire.realtime import RealtimeConnection

from .examples import (
    DIALECTS,
    SETTINGS,
    answers,
    call,
    created,
    default_session,
    done,
    endings,
    error_frame,
    feed,
    frame,
    greeted,
    message,
    passing,
    ready,
    request,
)


@pytest.mark.parametrize("wanted", ["auto", "same"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_greeting_decides_the_dialect(dialect: str, wanted: str) -> None:
    """Left open or forced as it is, the dialect of the server is spoken."""
    connection = RealtimeConnection(dialect if wanted == "same" else "auto")
    session = default_session(dialect)
    (event,) = feed(connection, frame("session.created", session=session))
    assert SessionGreeted(model=session["model"], dialect=dialect, settings=session) == event
    assert dialect == connection.dialect


@pytest.mark.parametrize(("forced", "spoken"), [("ga", "beta"), ("beta", "ga")])
def test_a_forced_dialect_takes_no_other(forced: str, spoken: str) -> None:
    """The route closes, and the message names both dialects and the cure."""
    connection = RealtimeConnection(forced)
    (event,) = feed(connection, frame("session.created", session=default_session(spoken)))
    assert isinstance(event, ConnectionFault) and isinstance(event.error, RouteClosed)
    text = str(event.error)
    assert f"'{spoken}' of the Realtime" in text and f"'{forced}' is forced" in text
    assert f"Use dialect 'auto' or '{spoken}'" in text
    assert connection.is_closed


def test_a_conversation_announced_first_is_beta() -> None:
    """Some servers open with it, and their session may show nothing else."""
    connection = RealtimeConnection()
    feed(connection, frame("conversation.created", conversation={"id": "conv_1"}))
    (event,) = feed(connection, frame("session.created", session={"id": "sess_1"}))
    assert SessionGreeted(model="", dialect="beta", settings={"id": "sess_1"}) == event


@pytest.mark.parametrize("forced", DIALECTS)
def test_a_bare_greeting_needs_a_named_dialect(forced: str) -> None:
    """What the greeting does not show, the caller may know; nothing is guessed."""
    bare = frame("session.created", session={"id": "sess_1"})
    (event,) = feed(RealtimeConnection(), bare)
    assert isinstance(event, ConnectionFault) and isinstance(event.error, RouteClosed)
    assert "Name it as dialect (ga or beta)" in str(event.error)
    (event,) = feed(RealtimeConnection(forced), bare)
    assert isinstance(event, SessionGreeted) and forced == event.dialect


@pytest.mark.parametrize("wanted", dialects.CHOICES)
def test_a_session_of_another_type_closes_the_route(wanted: str) -> None:
    """A transcription session answers nothing, in no dialect."""
    session = default_session("ga", type="transcription")
    (event,) = feed(RealtimeConnection(wanted), frame("session.created", session=session))
    assert isinstance(event, ConnectionFault)
    assert "'transcription'" in str(event.error)


def test_a_dialect_that_does_not_exist_is_refused() -> None:
    """The mistake is named before anything is opened."""
    with pytest.raises(ConfigurationError, match="auto, ga, beta"):
        RealtimeConnection("gamma")


def test_the_beta_update_holds_exactly_these_fields() -> None:
    """No type, no nesting, no strict; the tool choice is flat."""
    sent = json.loads(greeted("beta").configure(SETTINGS))
    expected = {
        "modalities": ["text"],
        "instructions": "Label each chunk.",
        "temperature": 0.6,
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": {"type": "server_vad", "create_response": False},
        "tools": [
            {
                "type": "function",
                "name": "set_labels",
                "description": "Give the labels.",
                "parameters": dict(SETTINGS.tool_parameters),
            }
        ],
        "tool_choice": {"type": "function", "name": "set_labels"},
        "max_response_output_tokens": 400,
    }
    assert {"type": "session.update", "event_id": "session-1", "session": expected} == sent


def test_the_beta_frame_that_asks_is_out_of_band_and_carries_our_id() -> None:
    """The whole frame, with the names of the dialect."""
    expected = {
        "type": "response.create",
        "event_id": "r1",
        "response": {
            "conversation": "none",
            "metadata": {"rid": "r1"},
            "modalities": ["text"],
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": request("r1").ask.content}],
                }
            ],
            "max_response_output_tokens": 400,
        },
    }
    (frame_that_asks,) = ready(dialect="beta").ask(request("r1"))
    assert expected == json.loads(frame_that_asks)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_normal_course_needs_nobody(dialect: str) -> None:
    """Known events of either dialect pass without a word, whichever dialect the server speaks."""
    connection = ready("r1", dialect=dialect)
    for spoken in DIALECTS:
        assert [] == feed(connection, *passing("p1", "half an answer", spoken))
    assert ({}, ("r1",)) == (connection.ignored, connection.waiting)


@pytest.mark.parametrize("kind", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_texts_of_both_types_are_read(dialect: str, kind: str) -> None:
    """Servers mix the types of parts, so each is taken everywhere."""
    connection = ready("r1", dialect=dialect)
    events = feed(connection, created("p1", "r1"), done("p1", "r1", output=[message("a", kind)]))
    assert {"r1": "a"} == answers(events)


def failed(code: str, kind: str) -> dict[str, Any]:
    """Return the fields of a failed response."""
    error = {"type": kind, "code": code, "message": "Please try again in 20ms."}
    return {"status": "failed", "status_details": {"type": "failed", "error": error}, "output": []}


def ended(status: str, reason: str) -> dict[str, Any]:
    """Return the fields of a response that ended early."""
    return {"status": status, "status_details": {"type": status, "reason": reason}, "output": []}


@pytest.mark.parametrize(
    ("fields", "expected", "ending"),
    [
        (failed("rate_limit_exceeded", "tokens"), RateLimited, Ending.REFUSED),
        (failed("server_error", "server_error"), TransportError, Ending.REFUSED),
        (failed("insufficient_quota", "insufficient_quota"), AccountClosed, None),
        (ended("cancelled", "turn_detected"), TransportError, Ending.UNKNOWN),
        (ended("incomplete", "content_filter"), ModelRefused, None),
        (ended("queued", "odd"), AnswerDefect, None),
        ({"output": []}, AnswerDefect, None),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_end_without_an_answer_says_why(
    dialect: str, fields: dict[str, Any], expected: type, ending: Ending | None
) -> None:
    """The terminal statuses mean the same in both dialects."""
    connection = ready("r1", dialect=dialect)
    events = feed(connection, created("p1", "r1"), done("p1", "r1", **fields))
    error = endings(events)["r1"]
    assert (expected, ending) == (type(error), getattr(error, "ending", None))
    assert () == connection.waiting


@pytest.mark.parametrize(
    ("fields", "text", "is_cut"),
    [
        ({"output": [call("{}")]}, "{}", False),
        (ended("incomplete", "max_output_tokens") | {"output": [call("{")]}, "{", True),
        (ended("incomplete", "max_output_tokens"), "", True),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_end_with_an_answer_says_whether_it_is_cut(
    dialect: str, fields: dict[str, Any], text: str, is_cut: bool
) -> None:
    """A cut answer is kept and marked."""
    connection = ready("r1", dialect=dialect)
    (event,) = feed(connection, done("p1", "r1", **fields))
    assert isinstance(event, Answered)
    assert (text, is_cut) == (event.reply.text, event.reply.is_cut)


def test_a_refused_beta_header_names_the_cure() -> None:
    """What OpenAI answers to the header: an event, then a close; both say the same."""
    code = "beta_api_shape_disabled"
    (by_event,) = feed(RealtimeConnection("beta"), error_frame(None, code))
    (by_close,) = RealtimeConnection("beta").closed(4000, f"invalid_request_error.{code}")
    for event in (by_event, by_close):
        assert isinstance(event, ConnectionFault) and isinstance(event.error, RouteClosed)
        assert code == event.error.code
        assert "Do not force the dialect 'beta': use 'auto' or 'ga'" in str(event.error)
