"""A Realtime connection while its session is configured, for the first time or anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.errors import RateLimited
from analysis.wire.events import Ignored, SessionConfigured, SessionRefused

from .examples import (
    DIALECTS,
    SETTINGS,
    answers,
    call,
    created,
    default_session,
    done,
    effective_session,
    endings,
    error_frame,
    feed,
    frame,
    greeted,
    ready,
    request,
)

OTHER = replace(SETTINGS, instructions="Other.")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_confirmed_update_tells_dialect_and_effective_settings(dialect: str) -> None:
    """What is in effect is the server's word, not ours."""
    connection = greeted(dialect)
    connection.configure(SETTINGS)
    session = effective_session(dialect, model="m-2026")
    (event,) = feed(connection, frame("session.updated", session=session))
    assert SessionConfigured(model="m-2026", dialect=dialect, settings=session) == event
    assert connection.is_ready


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refused_update_says_so_in_the_servers_words(dialect: str) -> None:
    """The session keeps its settings of before, so nothing may be asked."""
    connection = greeted(dialect)
    connection.configure(SETTINGS)
    (event,) = feed(connection, error_frame("session-1", "unknown_parameter"))
    assert SessionRefused(code="unknown_parameter", message="words") == event
    assert not connection.is_ready


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refused_second_update_leaves_the_first_in_effect(dialect: str) -> None:
    """Asking goes on after an update that the server dropped."""
    connection = ready(dialect=dialect)
    connection.configure(OTHER)
    (event,) = feed(connection, error_frame("session-2", "invalid_value"))
    assert isinstance(event, SessionRefused)
    assert connection.is_ready


def test_an_error_without_event_id_is_about_the_update_if_nothing_else_can_be() -> None:
    """A server that does not name our event is understood only while no request waits."""
    alone, busy = ready(), ready("r1")
    for connection in (alone, busy):
        connection.configure(SETTINGS)
    assert isinstance(feed(alone, error_frame(None, "invalid_value"))[0], SessionRefused)
    assert [Ignored(type="error.invalid_value")] == feed(busy, error_frame(None, "invalid_value"))


@pytest.mark.parametrize("param", ["session", "session.tools[0].strict"])
def test_a_parameter_of_the_session_names_the_update_among_requests(param: str) -> None:
    """A refusal without event id is understood while requests wait, and ends none of them."""
    connection = ready("r1")
    connection.configure(OTHER)
    (event,) = feed(connection, error_frame(None, "unknown_parameter", param=param))
    assert isinstance(event, SessionRefused)
    assert (True, ("r1",)) == (connection.is_ready, connection.waiting)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_requests_in_flight_end_as_usual_while_the_session_changes(dialect: str) -> None:
    """Before and after the confirmation, and by the function that they were told to call."""
    connection = ready("r1", "r2", "r3", dialect=dialect)
    connection.configure(replace(OTHER, tool_name="other_tool"))
    session = effective_session(
        dialect, instructions="Other.", tool_choice={"type": "function", "name": "other_tool"}
    )
    events = feed(
        connection,
        created("p1", "r1"),
        done("p1", "r1"),
        error_frame("r2", "rate_limit_exceeded", "tokens"),
        frame("session.updated", session=session),
        done("p3", "r3"),
    )
    assert {"r1": "answer to r1", "r3": "answer to r3"} == answers(events)
    assert [RateLimited] == [type(error) for error in endings(events).values()]
    assert connection.is_ready
    connection.ask(request("r4"))
    last = feed(connection, done("p4", "r4", output=[call("new", name="other_tool")]))
    assert {"r4": "new"} == answers(last)


def test_a_refused_update_keeps_the_function_of_before() -> None:
    """The next answer is read by the settings that are in effect."""
    connection = ready()
    connection.configure(replace(SETTINGS, tool_name="other_tool"))
    feed(connection, error_frame("session-2", "invalid_value"))
    connection.ask(request("r1"))
    assert {"r1": "answer to r1"} == answers(feed(connection, done("p1", "r1")))


@pytest.mark.parametrize(("dialect", "name"), [("ga", "output_modalities"), ("beta", "modalities")])
def test_settings_that_did_not_come_into_effect_are_refused(dialect: str, name: str) -> None:
    """A confirmation is read, not believed."""
    connection = greeted(dialect)
    connection.configure(SETTINGS)
    (event,) = feed(connection, frame("session.updated", session=default_session(dialect)))
    assert isinstance(event, SessionRefused)
    assert f"session.{name} " in event.message
    assert not connection.is_ready


def test_an_unasked_confirmation_is_ignored() -> None:
    """A session.updated that nobody waits for changes nothing."""
    connection = ready()
    text = frame("session.updated", session=default_session())
    assert [Ignored(type="session.updated")] == feed(connection, text)
    assert connection.is_ready
