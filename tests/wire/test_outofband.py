"""Out-of-band requests: giving up, and servers that cannot do them.

How replies find their requests is shown in `test_realtime` and `test_realtime_properties`.
"""

from __future__ import annotations

import json

import pytest

from analysis.errors import RouteClosed, TransportError
from analysis.records import Ending
from analysis.wire.events import Begun, Breach, ConnectionFault, Event, FrameDue, OutOfBandIgnored
from analysis.wire.realtime import RealtimeConnection

from .examples import (
    DIALECTS,
    SETTINGS,
    answers,
    breaches,
    created,
    default_session,
    done,
    effective_session,
    endings,
    error_frame,
    feed,
    frame,
    ready,
    request,
)

CANCEL = {"type": "response.cancel", "event_id": "cancel-r1", "response_id": "p1"}


def sent(events: list[Event]) -> list[object]:
    """Return the frames among these events."""
    return [json.loads(event.frame) for event in events if isinstance(event, FrameDue)]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("is_created", [True, False])
def test_a_given_up_request_is_cancelled_once(dialect: str, is_created: bool) -> None:
    """At once where its response is known, else as soon as it is; its end is no violation."""
    connection = ready("r1", "r2", dialect=dialect)
    events: list[Event] = []
    if is_created:
        events += feed(connection, created("p1", "r1"))
        events += connection.cancel("r1")
    else:
        assert () == connection.cancel("r1")
        events += feed(connection, created("p1", "r1"), created("p1", "r1"))
    assert [CANCEL] == sent(events)
    details = {"type": "cancelled", "reason": "client_cancelled"}
    end = done("p1", "r1", status="cancelled", status_details=details)
    assert [] == feed(connection, end, done("p1", None, status="cancelled"))
    assert (("r2",), {}) == (connection.waiting, connection.ignored)


def test_a_cancel_that_comes_too_late_does_no_harm() -> None:
    """The answer is a late reply, and the server's "nothing to cancel" is nothing to count."""
    connection = ready("r1")
    feed(connection, created("p1", "r1"))
    connection.cancel("r1")
    events = feed(
        connection, done("p1", "r1"), error_frame("cancel-r1", "response_cancel_not_active")
    )
    assert ([Breach.LATE_REPLY], {}) == (breaches(events), connection.ignored)
    assert () == connection.cancel("r1") == connection.cancel("never asked")


def test_a_response_that_others_cancelled_ends_its_request() -> None:
    """The service did it: the request may be asked again."""
    connection = ready("r1")
    details = {"type": "cancelled", "reason": "turn_detected"}
    end = done("p1", "r1", status="cancelled", status_details=details)
    error = endings(feed(connection, created("p1", "r1"), end))["r1"]
    assert isinstance(error, TransportError)
    assert (Ending.UNKNOWN, "cancelled") == (error.ending, error.code)


def test_a_cancelled_end_with_the_id_of_a_living_request_is_a_contradiction() -> None:
    """It is not taken for ours because one of its ids is."""
    connection = ready("r1", "r2")
    feed(connection, created("p1", "r1"), created("p2", "r2"))
    connection.cancel("r1")
    events = feed(connection, done("p2", "r1", status="cancelled"))
    assert ([Breach.CROSSED_IDS], ["r2"]) == (breaches(events), list(endings(events)))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_begins_once(dialect: str) -> None:
    """At the `response.created` that binds it, and not when that comes again."""
    connection = ready("r1", "r2", dialect=dialect)
    events = feed(connection, created("p1", "r1"), created("p1", "r1"), created("p2", "r2"))
    assert [Begun(request_id="r1"), Begun(request_id="r2")] == events


@pytest.mark.parametrize(
    ("response_id", "rid"), [("p9", None), (None, "r1"), ("p9", "foreign"), ("p9", "r2")]
)
def test_what_is_not_bound_to_a_waiting_request_begins_none(
    response_id: str | None, rid: str | None
) -> None:
    """Without id, of nobody, of a request that was given up, or with an id that is another's."""
    connection = ready("r1", "r2", "r3")
    feed(connection, created("p3", "r3"))
    connection.forget("r2")
    events = feed(connection, created(response_id, rid), created("p3", "r1"))
    assert [] == [event for event in events if isinstance(event, Begun)]


def lenient(*rids: str) -> RealtimeConnection:
    """Return a connection whose caller would open another one that takes turns."""
    connection = RealtimeConnection(may_take_turns=True)
    feed(connection, frame("session.created", session=default_session()))
    connection.configure(SETTINGS)
    feed(connection, frame("session.updated", session=effective_session()))
    for rid in rids:
        connection.ask(request(rid))
    return connection


@pytest.mark.parametrize(
    "frames",
    [
        (done("p1", None), done("p2", None)),
        (error_frame("r2", "conversation_already_has_active_response"),),
        (error_frame("r1", "unknown_parameter", param="response.metadata"),),
    ],
)
def test_a_server_that_answers_from_its_conversation_is_found_out(frames: tuple[str, ...]) -> None:
    """It names nobody, has only one response at a time, or does not know the fields."""
    connection = lenient("r1", "r2")
    events = feed(connection, *frames)
    assert {"r1", "r2"} == endings(events).keys()
    assert ({}, True) == (answers(events), connection.is_closed)
    assert 1 == sum(isinstance(event, OutOfBandIgnored) for event in events)
    fault = events[-1]
    assert isinstance(fault, ConnectionFault) and "out_of_band_ignored" == fault.error.code
    assert {"out_of_band_ignored"} == {error.code for error in endings(events).values()}
    refused = [one for one in endings(events).values() if one.ending is Ending.REFUSED]
    assert ("error" in frames[0]) == (len(refused) == 1)


@pytest.mark.parametrize(
    ("code", "param"),
    [("unknown_parameter", "response.tools"), ("invalid_value", "response.input")],
)
def test_other_refusals_say_nothing_about_the_server(code: str, param: str) -> None:
    """They end their own request only."""
    connection = lenient("r1", "r2")
    events = feed(connection, error_frame("r1", code, param=param))
    assert (["r1"], ("r2",)) == (list(endings(events)), connection.waiting)


def test_without_the_fallback_the_route_closes() -> None:
    """Nobody is going to open another session."""
    connection = ready("r1")
    events = feed(connection, done("p1", None))
    assert isinstance(endings(events)["r1"], RouteClosed)
    assert not any(isinstance(event, OutOfBandIgnored) for event in events)
