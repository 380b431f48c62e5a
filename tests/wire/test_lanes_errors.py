"""Errors on a Responses WebSocket: whose they are, and what follows."""

from __future__ import annotations

import json

import pytest

from analysis.errors import (
    AccountClosed,
    RateLimited,
    RequestRejected,
    TransportError,
)
from analysis.records import Ending, RateLimit
from analysis.wire.events import Ignored, LimitsSeen
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.lane_frames import AskAgain
from analysis.wire.lanes import LANES

from .examples import request
from .lane_examples import (
    answers,
    asked,
    completed,
    created,
    endings,
    feed,
    frame,
    refusal,
)


def test_an_error_with_a_lane_ends_only_that_request() -> None:
    """Status and headers count as over HTTPS; other lanes go on."""
    connection = asked("r0", "r1")
    headers = {"X-RateLimit-Limit-Tokens": "9", "retry-after-ms": "250", "x-request-id": "req_1"}
    text = frame(
        "error",
        "w00",
        status=429,
        error={"type": "tokens", "code": "rate_limit_exceeded", "message": "m", "headers": headers},
    )
    limits, ended = connection.receive(text)
    assert LimitsSeen(limits=(RateLimit(name="tokens", limit=9),)) == limits
    error = endings([ended])["r0"]
    assert isinstance(error, RateLimited)
    assert (0.25, "req_1") == (error.retry_after_s, error.request_id)
    assert ("r1",) == connection.waiting


def test_both_shapes_of_errors_are_read() -> None:
    """Flat ones, other names of the status, headers at the top."""
    flat = frame("error", "w00", code="server_is_overloaded", message="busy", param=None)
    odd = frame("error", "w01", status_code=503, headers={"Retry-After": "2"}, error={"code": None})
    events = feed(asked("r0", "r1"), flat, odd)
    found = endings(events)
    assert ("server_is_overloaded", Ending.REFUSED) == (
        getattr(found["r0"], "code", ""),
        getattr(found["r0"], "ending", None),
    )
    assert ("503", 2.0) == (
        getattr(found["r1"], "code", ""),
        getattr(found["r1"], "retry_after_s", None),
    )


def test_an_error_without_a_lane_ends_the_only_request_that_has_not_begun() -> None:
    """With two of them nobody knows which one is meant, so both go on waiting."""
    connection = asked("r0", "r1")
    error = refusal("server_error", kind="server_error")
    assert [Ignored(type="error.server_error")] == feed(connection, error)
    feed(connection, created("p0", "r0", "w00"))
    assert {"r1"} == endings(feed(connection, error)).keys()
    assert ("r0",) == connection.waiting


def test_an_error_without_a_lane_about_the_account_ends_all_that_have_not_begun() -> None:
    """What has begun is paid for and may still come."""
    connection = asked("r0", "r1", "r2")
    feed(connection, created("p0", "r0", "w00"))
    events = feed(connection, refusal("insufficient_quota", status=429))
    assert {"r1": AccountClosed, "r2": AccountClosed} == {
        rid: type(error) for rid, error in endings(events).items()
    }
    assert {"r0": "answer to r0"} == answers(feed(connection, completed("p0", "r0", "w00")))


def test_the_largest_age_ends_what_has_not_begun_and_lets_the_rest_go_on() -> None:
    """An unplanned rotation: no more work, and nobody can say what the server had begun."""
    connection = asked("r0", "r1")
    feed(connection, created("p0", "r0", "w00"))
    events = feed(connection, refusal("websocket_connection_limit_reached", status=400))
    error = endings(events)["r1"]
    assert isinstance(error, TransportError)
    assert (Ending.UNKNOWN, True, True, 0) == (
        error.ending,
        connection.is_expiring,
        connection.is_worn,
        connection.room,
    )
    assert {"r0": "answer to r0"} == answers(feed(connection, completed("p0", "r0", "w00")))


@pytest.mark.parametrize(
    "refused",
    [
        refusal("unknown_parameter", param="stream_id", status=400),
        refusal("unknown_parameter", message="Unknown parameter: 'stream_id'."),
        refusal("invalid_stream_id", status=400),
        refusal("unknown_parameter", "w00", param="stream_id", status=400),
    ],
)
def test_a_server_without_lanes_is_asked_again_without(refused: str) -> None:
    """Nothing was generated; a refusal that names no lane hits all that have not begun."""
    connection = asked("r0", "r1")
    events = feed(connection, refused)
    expected = ["r0"] if "w00" in refused else ["r0", "r1"]
    assert [AskAgain(request_id=rid, form=STRICTEST, has_lanes=False) for rid in expected] == events
    assert (False, 0) == (connection.has_lanes, connection.room)


def test_a_smaller_number_of_names_is_taken_as_it_is() -> None:
    """The refused name and those not tried yet go; the request is asked again in a known one."""
    connection = asked("r0", "r1")
    feed(connection, created("p0", "r0", "w00"))
    events = feed(connection, refusal("websocket_stream_limit_reached", status=400))
    assert [AskAgain(request_id="r1", form=STRICTEST, has_lanes=True)] == events
    assert 0 == connection.room
    feed(connection, completed("p0", "r0", "w00"))
    assert (1, "w00") == (connection.room, json.loads(connection.ask(request("s1")))["stream_id"])


def test_a_server_that_takes_no_name_at_all_has_no_lanes() -> None:
    """After the last name is refused, sockets without lanes come next."""
    connection = asked(*(f"r{number}" for number in range(LANES)))
    events = feed(connection, refusal("websocket_stream_limit_reached"))
    assert [True] * (LANES - 1) + [False] == [
        event.has_lanes for event in events if isinstance(event, AskAgain)
    ]


@pytest.mark.parametrize("name", ["w00", None])
def test_a_refused_field_is_asked_again_in_the_next_form(name: str | None) -> None:
    """As over HTTPS; the same request may go over the same socket again."""
    refused = refusal("unknown_parameter", name, param="prompt_cache_options", status=400)
    refused = refused.replace('"no"', '"Unknown parameter"')
    connection = asked("r0", "r1")
    events = feed(connection, refused)
    expected = Form(has_cache_options=False)
    rids = ["r0"] if name else ["r0", "r1"]
    assert [AskAgain(request_id=rid, form=expected, has_lanes=True) for rid in rids] == events
    connection.ask(request("r0"), form=expected)


def test_a_refused_request_is_rejected() -> None:
    """Other refusals are for the scheduler."""
    events = feed(asked("r0"), refusal("previous_response_not_found", "w00", status=400))
    assert RequestRejected is type(endings(events)["r0"])
