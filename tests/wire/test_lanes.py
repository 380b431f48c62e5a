"""A Responses WebSocket: lanes, endings, errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    LocalProtocolError,
    ModelRefused,
    RateLimited,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, Usage
from analysis.wire import responses
from analysis.wire.events import Answered, Begun, Breach, ConnectionFault, RequestEnded
from analysis.wire.lanes import LANES, LanesConnection

from .examples import request
from .lane_examples import (
    answers,
    asked,
    breaches,
    completed,
    created,
    endings,
    feed,
    frame,
    item,
    passing,
    refusal,
    response,
)


def test_a_request_is_a_body_with_a_lane() -> None:
    """The body stands at the top level; without lanes there is no name in it."""
    body = responses.body(request(), temperature=0.5, service_tier="flex")
    lanes = LanesConnection(temperature=0.5, service_tier="flex")
    plain = LanesConnection(has_lanes=False, temperature=0.5, service_tier="flex")
    create = {"type": "response.create"}
    assert create | {"stream_id": "w00"} | body == json.loads(lanes.ask(request()))
    assert create | body == json.loads(plain.ask(request()))


def test_sixteen_requests_fit_and_the_names_are_used_again() -> None:
    """There are never more than 16 in flight, and 100 requests need 16 names."""
    connection = asked(*(f"r{number}" for number in range(LANES)))
    assert (LANES, 0) == (len(connection.waiting), connection.room)
    names = set()
    for number in range(100):
        feed(connection, completed(f"p{number}", f"r{number}", f"w{number % LANES:02}"))
        names.add(json.loads(connection.ask(request(f"r{number + LANES}")))["stream_id"])
    assert {f"w{number:02}" for number in range(LANES)} == names


def test_without_lanes_there_is_one_request_at_a_time() -> None:
    """The next one goes when the server has ended the one before."""
    connection = asked("r1", has_lanes=False)
    assert 0 == connection.room
    events = feed(connection, created("p1", "r1", None), completed("p1", "r1", None))
    assert ({"r1": "answer to r1"}, 1) == (answers(events), connection.room)


def test_asking_without_room_or_with_a_used_id_is_our_bug() -> None:
    """Each id goes over a socket once."""
    connection = asked("r1")
    feed(connection, completed("p1", "r1", "w00"))
    with pytest.raises(LocalProtocolError, match="r1 was used"):
        connection.ask(request("r1"))
    with pytest.raises(LocalProtocolError, match="room"):
        asked("r1", has_lanes=False).ask(request("r2"))


def test_a_reply_has_text_model_usage_and_id() -> None:
    """The normal course: the first and the terminal event yield one each, and no other does."""
    connection = asked("r1")
    frames = [created("p1", "r1", "w00"), *passing("w00", "x"), completed("p1", "r1", "w00")]
    first, event = feed(connection, *frames)
    assert Begun(request_id="r1") == first
    assert isinstance(event, Answered)
    usage = Usage(
        input_tokens=120,
        cached_tokens=64,
        written_tokens=32,
        output_tokens=7,
        reasoning_tokens=3,
    )
    assert ("answer to r1", "gpt-6-luna-2026-09-22", "p1", usage) == (
        event.reply.text,
        event.reply.model,
        event.reply.service_request_id,
        event.reply.usage,
    )
    assert ("default", ()) == (connection.service_tier, connection.waiting)


@pytest.mark.parametrize("output", [{}, {"output": None}, {"output": []}])
def test_a_terminal_event_without_output_is_completed_from_the_items(
    output: dict[str, Any],
) -> None:
    """The items count that were finished in this response."""
    bare = response("p1", "r1")
    del bare["output"]
    end = frame("response.completed", "w00", response=bare | output)
    frames = [created("p1", "r1", "w00"), *passing("w00", "from the item"), end]
    assert {"r1": "from the item"} == answers(feed(asked("r1"), *frames))


def test_a_stream_without_items_is_completed_from_its_texts() -> None:
    """Some servers leave the set-up of items out."""
    text = frame("response.output_text.done", "w00", text="from the text")
    end = completed("p1", "r1", "w00", output=[])
    events = feed(asked("r1"), created("p1", "r1", "w00"), text, end)
    assert {"r1": "from the text"} == answers(events)


def test_parts_of_an_earlier_response_do_not_get_into_the_next() -> None:
    """Parts count from the beginning of a response to its end."""
    connection = asked("r0", has_lanes=False)
    feed(connection, created("p0", "r0", None), *passing(None, "old"))
    feed(connection, completed("p0", "r0", None))
    connection.ask(request("r1"))
    late = frame("response.output_item.done", None, item=item("late"))
    events = feed(
        connection, late, created("p1", "r1", None), completed("p1", "r1", None, output=[])
    )
    assert "empty" == getattr(endings(events)["r1"], "defect", None)


def test_a_refusal_without_output_is_a_refusal() -> None:
    """`response.refusal.done` alone says it."""
    refused = frame("response.refusal.done", "w00", refusal="I cannot")
    end = completed("p1", "r1", "w00", output=[])
    events = feed(asked("r1"), created("p1", "r1", "w00"), refused, end)
    assert ModelRefused is type(endings(events)["r1"])


@pytest.mark.parametrize(
    ("kind", "changes", "error", "name"),
    [
        ("completed", {"output": [item(" ")]}, AnswerDefect, "empty"),
        ("completed", {"output": [5]}, AnswerDefect, "malformed_reply"),
        ("completed", {"status": "failed"}, AnswerDefect, "unknown_status"),
        ("failed", {"status": "completed"}, AnswerDefect, "unknown_status"),
        ("failed", {"status": "failed"}, TransportError, ""),
        (
            "failed",
            {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}},
            RateLimited,
            "rate_limit_exceeded",
        ),
        (
            "failed",
            {"status": None, "error": {"code": "insufficient_quota", "message": "pay"}},
            AccountClosed,
            "insufficient_quota",
        ),
        (
            "incomplete",
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            ModelRefused,
            "content_filter",
        ),
    ],
)
def test_an_end_without_answer_says_why(
    kind: str, changes: dict[str, Any], error: type[AnalysisError], name: str
) -> None:
    """Each ends its request once, with the tokens that were billed, and frees the lane."""
    connection = asked("r1")
    end = frame(f"response.{kind}", "w00", response=response("p1", "r1", **changes))
    found = endings(feed(connection, created("p1", "r1", "w00"), end))["r1"]
    assert error is type(found)
    assert name == (getattr(found, "defect", None) or getattr(found, "code", None) or "")
    assert LANES == connection.room


def test_a_cut_answer_is_an_answer_that_is_cut() -> None:
    """Its complete items count."""
    changes = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    end = frame("response.incomplete", "w00", response=response("p1", "r1", **changes))
    (event,) = feed(asked("r1"), end)
    assert isinstance(event, Answered)
    assert ("answer to r1", True) == (event.reply.text, event.reply.is_cut)


# Late replies and names


def test_a_forgotten_lane_is_given_away_only_after_its_end() -> None:
    """The late reply is counted and dropped, and the next request gets its own."""
    connection = asked(*(f"r{number}" for number in range(LANES)))
    connection.forget("r3")
    assert (LANES - 1, 0) == (len(connection.waiting), connection.room)
    late = feed(connection, created("p3", "r3", "w03"), completed("p3", "r3", "w03"))
    assert ([Breach.LATE_REPLY], {}, 1) == (breaches(late), answers(late), connection.room)
    assert "w03" == json.loads(connection.ask(request("r99")))["stream_id"]
    again = feed(connection, completed("p3", "r3", "w03"))
    assert ([Breach.LATE_REPLY], {}) == (breaches(again), answers(again))
    events = feed(connection, created("p99", "r99", "w03"), completed("p99", "r99", "w03"))
    assert {"r99": "answer to r99"} == answers(events)


@pytest.mark.parametrize("has_lanes", [True, False])
def test_a_request_begins_once(has_lanes: bool) -> None:
    """At the `response.created` that binds it, and not when that comes again."""
    connection, name = asked("r1", has_lanes=has_lanes), "w00" if has_lanes else None
    events = feed(connection, created("p1", "r1", name), created("p1", "r1", name))
    assert [Begun(request_id="r1")] == events


@pytest.mark.parametrize(
    ("response_id", "rid", "name"),
    [
        (None, "r1", "w00"),
        ("p9", "foreign", "w00"),
        ("p9", None, "w09"),
        ("p9", "r1", "w01"),
        ("p9", "r2", "w01"),
        ("p3", "r1", "w00"),
    ],
)
def test_what_is_not_bound_to_a_waiting_request_begins_none(
    response_id: str | None, rid: str | None, name: str
) -> None:
    """Without id, of nobody, with ids of two requests, or of a request that was forgotten."""
    connection = asked("r1", "r2", "r3")
    feed(connection, created("p3", "r3", "w02"))
    connection.forget("r2")
    events = feed(connection, created(response_id, rid, name))
    assert [] == [event for event in events if isinstance(event, Begun)]


def test_an_error_for_a_forgotten_request_frees_its_lane() -> None:
    """It is not the error of anyone else."""
    connection = asked("r1")
    connection.forget("r1")
    events = feed(connection, refusal("server_error", "w00"))
    assert ([Breach.LATE_REPLY], {}, LANES) == (breaches(events), endings(events), connection.room)


def test_lanes_that_wait_in_vain_wear_a_socket_out() -> None:
    """A quarter of the lanes: the server counts their responses among its 16."""
    connection = asked("r0", "r1", "r2", "r3", "r4")
    for number in range(3):
        connection.forget(f"r{number}")
    assert (False, 11) == (connection.is_worn, connection.room)
    connection.forget("r3")
    assert (True, 0) == (connection.is_worn, connection.room)
    assert {"r4": "answer to r4"} == answers(feed(connection, completed("p4", "r4", "w04")))


@pytest.mark.parametrize(
    ("frames", "ended"),
    [
        ([completed("p1", "r1", "w00")], {"r0", "r1"}),
        ([created("p0", "r0", "w00"), completed("p0", "foreign", "w00")], {"r0"}),
        ([created("p0", "r0", "w00"), completed("p9", "r0", "w00")], {"r0"}),
        ([created("p0", "r0", "w00"), completed("p0", "r1", "w01")], {"r0", "r1"}),
        ([created("p0", "r0", "w00"), completed("p0", None, "w01")], {"r0", "r1"}),
        ([completed("p0", "r0", "nobody")], {"r0"}),
        ([completed("p0", None, "w00")], {"r0"}),
    ],
)
def test_nobody_gets_a_reply_whose_ids_contradict_each_other(
    frames: list[str], ended: set[str]
) -> None:
    """Everybody whom it names ends with a defect."""
    events = feed(asked("r0", "r1"), *frames)
    found = {rid: getattr(error, "defect", "") for rid, error in endings(events).items()}
    assert ({}, dict.fromkeys(ended, "foreign_id")) == (answers(events), found)
    assert [Breach.CROSSED_IDS] == breaches(events)


def test_a_reply_that_names_nobody_is_counted() -> None:
    """Its lane has no request, so it is nobody's."""
    connection = asked("r0")
    assert [Breach.UNKNOWN_REPLY] == breaches(feed(connection, completed("p9", "x", "w07")))
    assert ("r0",) == connection.waiting


@pytest.mark.parametrize("rid", ["foreign", None])
def test_a_foreign_reply_in_a_lane_costs_its_request_nothing(rid: str | None) -> None:
    """No id of its own is known here: it is counted and dropped, and the right one counts."""
    connection = asked("r0")
    frames = [created("p0", "r0", "w00"), completed("p9", rid, "w00"), completed("p0", "r0", "w00")]
    events = feed(connection, *frames)
    assert ([Breach.UNKNOWN_REPLY], {"r0": "answer to r0"}) == (breaches(events), answers(events))


def test_a_socket_with_many_foreign_replies_is_worn() -> None:
    """It gets no more work; what waits may still be answered."""
    connection = asked("r0")
    feed(connection, created("p0", "r0", "w00"))
    for number in range(32):
        assert not connection.is_worn
        feed(connection, completed(f"q{number}", f"s{number}", "w00"))
    assert connection.is_worn
    assert {"r0": "answer to r0"} == answers(feed(connection, completed("p0", "r0", "w00")))


def test_a_server_that_leaves_the_lane_out_is_matched_by_our_id() -> None:
    """The reply counts; the socket gets no more work, and the next one has no lanes."""
    connection = asked("r0", "r1")
    events = feed(connection, created("p1", "r1", None), completed("p1", "r1", None))
    assert {"r1": "answer to r1"} == answers(events)
    assert (False, True, 0) == (connection.has_lanes, connection.is_worn, connection.room)


def test_a_server_that_names_nobody_closes_the_route() -> None:
    """As many replies without any id of ours as questions: no one can be matched."""
    connection = asked("r0", "r1")
    first, second = (feed(connection, completed(f"p{n}", None, None)) for n in (0, 1))
    assert ([Breach.UNKNOWN_REPLY], {}) == (breaches(first), endings(first))
    assert {"r0": RouteClosed, "r1": RouteClosed} == {
        rid: type(error) for rid, error in endings(second).items()
    }
    assert connection.is_closed


# Junk


def test_a_spoiled_end_ends_its_request() -> None:
    """The type and the lane can be read, the rest cannot."""
    end = frame("response.completed", "w00", response={"id": 5})
    connection = asked("r0", "r1")
    events = feed(connection, end)
    assert [Breach.MALFORMED] == breaches(events)
    assert "malformed_reply" == getattr(endings(events)["r0"], "defect", None)
    assert ("r1",) == connection.waiting


@pytest.mark.parametrize(
    "junk", [b"", b"\xff", b"[]", b"{}", b'{"type":5}', '{"type":"\ud800"}', b"[" * 100_000]
)
def test_a_malformed_frame_is_a_violation(junk: bytes | str) -> None:
    """Junk is counted, and the requests go on waiting."""
    connection = asked("r0")
    assert [Breach.MALFORMED] == breaches(feed(connection, junk))
    assert ("r0",) == connection.waiting


def test_unknown_events_are_ignored_and_counted_by_name() -> None:
    """A server can make up names without end, and memory does not grow with them."""
    connection = LanesConnection()
    for number in range(200):
        feed(connection, frame(f"x{number}", None), frame("codex.rate_limits", None))
    assert 200 == connection.ignored["codex.rate_limits"]
    assert (65, 137) == (len(connection.ignored), connection.ignored["other"])


# The end of a socket


def test_a_closed_socket_ends_all_that_wait_as_unknown() -> None:
    """Each once, and the fault comes last."""
    connection = asked("r0", "r1", "r2")
    connection.forget("r2")
    events = list(connection.closed(1012, "restart"))
    assert {"r0", "r1"} == endings(events).keys()
    assert all(getattr(error, "ending", 0) is Ending.UNKNOWN for error in endings(events).values())
    assert isinstance(events[-1], ConnectionFault)
    assert ((), [], 0) == (
        connection.closed(1000, ""),
        feed(connection, completed("p0", "r0", "w00")),
        connection.room,
    )


def test_a_gateway_that_cannot_pass_the_route_on_closes_it() -> None:
    """It answers 101 first and says why in the reason of its close frame."""
    events = list(asked("r0").closed(1011, "Unsupported upstream scheme http://"))
    assert RouteClosed is type(endings(events)["r0"])


def test_a_warm_up_ends_without_text() -> None:
    """It is billed, and generates nothing."""
    connection = LanesConnection()
    text = json.loads(connection.ask(request("r0"), is_warm_up=True))
    assert False is text["generate"]
    (event,) = feed(connection, completed("p0", "r0", "w00", output=[]))
    assert isinstance(event, Answered)
    assert ("", 120) == (event.reply.text, event.reply.usage.input_tokens)


def test_a_connection_describes_itself() -> None:
    """For a failing test: state, room, who waits."""
    connection = asked("r0")
    assert "<LanesConnection open, 15 free, waiting ['r0']>" == repr(connection)
    connection.closed(1000, "")
    assert "closed" in repr(connection)


def test_an_end_that_cannot_be_read_wears_out_a_socket_without_lanes() -> None:
    """The answer itself may still come, and nothing would tell it from that of the next request."""
    connection = asked("r0", has_lanes=False)
    connection.receive('{"type":"response.completed","response":7}')
    assert (0, True) == (connection.room, connection.is_worn)


def test_a_response_of_nobody_is_not_taken_for_the_next_request() -> None:
    """Its id is known from then on."""
    connection = LanesConnection(has_lanes=False)
    connection.receive(created("p0", None, None))
    connection.ask(request("r1"))
    connection.receive(created("p0", None, None))
    events = connection.receive(completed("p0", None, None))
    assert [] == [event for event in events if isinstance(event, Answered | RequestEnded)]
