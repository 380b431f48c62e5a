"""Behaviour of a connection in WebSocket mode: lanes, memory, warm-up, errors and age."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.simulator.outages import Outage
from analysis.simulator.outputs import Close, Cut
from tests.simulator.examples import labels_of, pack, post, service
from tests.simulator.lane_examples import (
    answer,
    connect,
    create,
    drain,
    ends,
    error,
    events,
    ids,
    kinds,
    rules,
    send,
)

WHOLE = [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "completed",
]


def test_nothing_is_said_before_the_first_request() -> None:
    """The next thing that is due is the end of the connection's life."""
    session = connect(service(), now=7.0)
    assert [] == session.poll(now=7.0)
    assert 3_607.0 == session.next_at


def test_default_lane_answers_in_the_order_of_the_protocol() -> None:
    """The events have running numbers and no lane; the last one has labels, metadata and usage."""
    outputs = create(connect(service()), None, "one", "two")
    frames = events(outputs)
    assert WHOLE == kinds(outputs)
    assert list(range(len(frames))) == [frame["sequence_number"] for frame in frames]
    assert not any("stream_id" in frame for frame in frames)
    assert labels_of("one", "two") == answer(outputs)
    response = frames[-1]["response"]
    assert ({"rid": "17"}, False) == (response["metadata"], response["store"])
    assert response["usage"]["total_tokens"] == response["usage"]["input_tokens"] + 17


def test_every_event_of_a_named_lane_names_it() -> None:
    """From the first event to the last."""
    frames = events(create(connect(service()), "w07"))
    assert {"w07"} == {frame["stream_id"] for frame in frames}


def test_lane_is_fifo_and_lanes_run_side_by_side() -> None:
    """The second request of a lane begins after its first has ended; the other lane interleaves."""
    session = connect(service(latency_ms=100, ms_per_token=10, profile=rules()))
    outputs = create(session, "a", "1") + create(session, "a", "2") + create(session, "b", "3")
    assert [("a", 0), ("a", 1), ("b", 0), ("b", 1)] == [
        (frame["stream_id"], frame["sequence_number"]) for frame in events(outputs)
    ]
    frames = events(outputs + drain(session))
    lanes = [frame["stream_id"] for frame in frames if frame["type"].endswith("delta")]
    assert ["a", "b", "a", "b"] == lanes[:4]
    turns = [
        frame["type"].removeprefix("response.")
        for frame in frames
        if frame["stream_id"] == "a" and "response" in frame
    ]
    assert ["created", "in_progress", "completed"] * 2 == turns


def test_deltas_are_spread_over_the_generation() -> None:
    """The item starts with the first token, the last delta leaves with the end."""
    session = connect(service(latency_ms=100, ms_per_token=10, profile=rules()))
    create(session)
    times: list[float] = []
    while session.next_at is not None and session.next_at < 10:
        now = session.next_at
        times += [now] * len(session.poll(now=now))
    # 10 tokens of 4 bytes are 5 deltas of 8 characters; two events announce, four more end.
    expected = [0.1, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert expected == [pytest.approx(at) for at in times]


def test_sixteen_run_and_the_rest_waits() -> None:
    """Further requests are accepted; each begins as soon as another one ends."""
    session = connect(service(latency_ms=100, profile=rules()))
    outputs = [create(session, f"w{number}", now=number / 1_000) for number in range(20)]
    assert [1] * 16 + [0] * 4 == [len(ids(one)) for one in outputs]
    assert [] == outputs[16]
    began = session.poll(now=0.1)
    assert [("w0", "completed")] == ends(began)
    assert "w16" == events(began)[-1]["stream_id"]
    assert 20 == len(ends(began + drain(session)))


def test_names_last_for_the_life_of_the_connection() -> None:
    """32 names and the default lane work, the 33rd name is refused, and old names go on."""
    session = connect(service())
    for number in range(32):
        assert [(f"w{number}", "completed")] == ends(create(session, f"w{number}"))
    refused = create(session, "w32")
    assert (400, "websocket_stream_limit_reached", "stream_id", "w32") == error(refused)
    assert (
        "This WebSocket connection has reached its maximum number of distinct stream IDs (32). "
        "Reuse an existing stream_id or open a new WebSocket connection."
        == events(refused)[0]["error"]["message"]
    )
    assert [(None, "completed"), ("w31", "completed")] == ends(
        create(session) + create(session, "w31")
    )


@pytest.mark.parametrize("name", ["", "a b", "x" * 257, 5])
def test_names_that_are_none_are_refused_without_lane(name: object) -> None:
    """The error frame has no lane, since there is none."""
    refused = create(connect(service()), name)
    assert (400, "invalid_stream_id", "stream_id", None) == error(refused)


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({"stream": True}, 400, "unsupported_parameter", "stream"),
        ({"background": True}, 400, "unsupported_value", "background"),
        ({"generate": "no"}, 400, "invalid_type", "generate"),
        ({"bogus": 1}, 400, "unknown_parameter", "bogus"),
        ({"input": ...}, 400, "missing_required_parameter", "input"),
        ({"input": 5}, 400, "invalid_type", "input"),
        ({"model": "gpt-4"}, 404, "model_not_found", "model"),
        ({"stream_options": {"bogus": 1}}, 400, "unknown_parameter", "stream_options.bogus"),
    ],
)
def test_wrong_requests_end_in_an_error_of_their_lane(
    changes: dict[str, Any], status: int, code: str, param: str
) -> None:
    """The frame has the status that HTTP would have; the lane goes on with the next request."""
    session = connect(service())
    assert (status, code, param, "a") == error(create(session, "a", **changes))
    assert [("a", "completed")] == ends(create(session, "a"))


def test_padding_can_be_left_out() -> None:
    """Deltas have it by default, and not if the request says so."""
    session = connect(service())
    for options, count in ((..., 5), ({"include_obfuscation": False}, 0)):
        frames = events(create(session, stream_options=options))
        assert count == sum("obfuscation" in frame for frame in frames)


# Memory


def test_newest_response_of_a_lane_can_be_continued() -> None:
    """Its conversation counts as input; the one before it is gone."""
    session = connect(service())
    first = create(session, "a", "one")
    second = create(session, "a", "two", previous_response_id=ids(first)[0])
    before, after = (events(one)[-1]["response"] for one in (first, second))
    assert before["id"] == after["previous_response_id"]
    asked = [one["usage"]["input_tokens"] for one in (before, after)]
    assert asked[1] > asked[0] + before["usage"]["output_tokens"]
    refused = create(session, "a", previous_response_id=ids(first)[0])
    expected = (400, "previous_response_not_found", "previous_response_id", "a")
    assert expected == error(refused)
    message = events(refused)[0]["error"]["message"]
    assert f"Previous response with id '{ids(first)[0]}' not found." == message


def test_lane_can_fork_from_another_lane() -> None:
    """A fork that fails leaves the parent, and a good one does, too."""
    session = connect(service())
    parent = ids(create(session, "a"))[0]
    assert "b" == error(create(session, "b", previous_response_id=parent, bogus=1))[3]
    outputs = create(session, "b", previous_response_id=parent)
    outputs += create(session, "a", previous_response_id=parent)
    assert [("b", "completed"), ("a", "completed")] == ends(outputs)


@pytest.mark.parametrize("way", ["refused", "failed"])
def test_failed_continuation_in_the_same_lane_evicts_the_parent(way: str) -> None:
    """A body that is wrong does it, and so does an answer that fails."""
    account = service()
    session = connect(account)
    parent = ids(create(session, "a"))[0]
    changes: dict[str, Any] = {"bogus": 1} if way == "refused" else {"text": {"format": BAD_SHAPE}}
    create(session, "a", previous_response_id=parent, **changes)
    again = create(session, "a", previous_response_id=parent)
    assert "previous_response_not_found" == error(again)[1]


BAD_SHAPE = {"type": "json_schema", "name": "x", "schema": {"type": "object", "properties": {}}}
"""A schema that the simulated model cannot fill."""


def test_stored_responses_outlive_their_connection() -> None:
    """Another connection and the HTTP route go on from them; eviction does not reach them."""
    account = service()
    session = connect(account)
    parent = ids(create(session, "a", store=True))[0]
    create(session, "a", previous_response_id=parent, bogus=1)
    outputs = create(session, "a", previous_response_id=parent)
    outputs += create(connect(account), previous_response_id=parent)
    assert [("a", "completed"), (None, "completed")] == ends(outputs)
    request = {"model": "gpt-6-luna", "input": pack("x"), "previous_response_id": parent}
    assert 200 == post(account, request).status


def test_only_the_newest_stored_responses_are_kept() -> None:
    """The bound of the profile drops the oldest."""
    account = service(profile=rules(stored=2))
    session = connect(account)
    parents = [ids(create(session, "a", store=True))[0] for _ in range(3)]
    assert parents[1:] == list(account.stored)


# Warm-up


def test_warm_up_bills_input_and_can_be_continued() -> None:
    """It is created and completed without output; its text is answered by the continuation."""
    records: list[dict[str, Any]] = []
    session = connect(service(payment=records.append))
    outputs = create(session, "a", "one", generate=False)
    response = events(outputs)[-1]["response"]
    assert (["created", "completed"], []) == (kinds(outputs), response["output"])
    assert (0, 0) == (response["usage"]["output_tokens"], records[0]["chunks"])
    assert response["usage"]["input_tokens"] == records[0]["input_tokens"]
    follower = create(session, "a", previous_response_id=response["id"], input=[])
    assert labels_of("one") == answer(follower)


def test_warm_up_needs_no_input() -> None:
    """Instructions alone will do, and the account may tell the progress."""
    session = connect(service(profile=rules(is_warmup_progress_told=True)))
    outputs = create(session, generate=False, input=..., instructions="x" * 400)
    assert ["created", "in_progress", "completed"] == kinds(outputs)
    assert events(outputs)[-1]["response"]["usage"]["input_tokens"] > 100


def test_prewarming_the_cache_is_a_warm_up() -> None:
    """The option overrides `generate`."""
    outputs = create(connect(service()), prompt_cache_options={"prewarm": True}, generate=True)
    assert ["created", "completed"] == kinds(outputs)


# Other client events


@pytest.mark.parametrize("message", ["{", "[]", "5", b"{}", '{"type": "response.create"'], ids=str)
def test_what_is_no_object_is_refused(message: str | bytes) -> None:
    """The connection stays open unless the profile closes it."""
    session = connect(service())
    assert (400, None, None, None) == error(session.receive(message, now=0.0))
    assert [(None, "completed")] == ends(create(session))
    strict = connect(service(profile=rules(bad_frame_close_code=1_008)))
    outputs = strict.receive(message, now=0.0)
    assert Close(code=1_008, reason="") == outputs[-1]
    assert (False, None) == (strict.is_open, strict.next_at)


def test_unknown_events_are_refused() -> None:
    """An unknown type, and none."""
    session = connect(service())
    assert (400, "invalid_value", "type", None) == error(send(session, "response.cancel"))
    missing = session.receive("{}", now=0.0)
    assert (400, "missing_required_parameter", "type", None) == error(missing)


def test_steering_is_refused_in_its_own_event() -> None:
    """The event names the target's lane and gives the input back; a running answer goes on."""
    session = connect(service(latency_ms=100, profile=rules()))
    target = ids(create(session, "a"))[0]

    def steered(now: float, **fields: Any) -> tuple[Any, Any, Any]:
        asked = {"previous_response_id": target, "input": "x", **fields}
        (frame,) = events(send(session, "response.steer", now=now, **asked))
        assert "x" == frame["steer"]["input"]
        return frame["error"]["code"], frame.get("stream_id"), frame["sequence_number"]

    assert ("steering_not_supported", "a", 2) == steered(0.0)
    assert ("invalid_input", "a", 3) == steered(0.0, stream_id="a")
    assert 4 == events(session.poll(now=0.2))[0]["sequence_number"]
    assert ("response_already_completed", "a", 0) == steered(0.2)
    assert ("response_not_found", None, 0) == steered(0.2, previous_response_id="resp_x")
    incomplete = send(session, "response.steer", now=0.2, previous_response_id=target)
    assert (400, "missing_required_parameter", "input", None) == error(incomplete)


# Age and outage


def test_old_connection_is_told_and_closed() -> None:
    """The error has no lane; what is under way is paid and lost."""
    records: list[dict[str, Any]] = []
    account = service(latency_ms=100, payment=records.append, profile=rules())
    session = connect(account)
    create(session, "a", now=3_599.95)
    outputs = session.poll(now=3_600.0)
    assert (400, "websocket_connection_limit_reached", None, None) == error(outputs)
    assert (
        "Responses websocket connection limit reached (60 minutes). Create a new websocket "
        "connection to continue." == events(outputs)[0]["error"]["message"]
    )
    assert Close(code=1_000, reason="") == outputs[-1]
    assert ([False], None) == ([record["delivered"] for record in records], session.next_at)


def test_old_connection_may_stay_open_for_what_is_under_way() -> None:
    """Without a close code the answer still comes, and every further request is refused."""
    profile = rules(connection_max_age_s=1.0, expired_close_code=None)
    session = connect(service(latency_ms=100, profile=profile))
    create(session, "a", now=0.95)
    outputs = session.poll(now=1.0)
    assert "limit reached (1 seconds)" in events(outputs)[0]["error"]["message"]
    assert [("a", "completed")] == ends(session.poll(now=1.06))
    assert session.next_at is None
    refused = create(session, "a", now=1.1)
    assert (400, "websocket_connection_limit_reached", None, None) == error(refused)


def test_outage_cuts_the_connection() -> None:
    """What was due before still leaves."""
    outage = Outage(route="responses-ws", start_s=1.0, duration_s=1.0)
    session = connect(service(latency_ms=900, outages=[outage], profile=rules()))
    create(session)
    outputs = drain(session)
    assert [(None, "completed")] == ends(outputs)
    assert (Cut(), None) == (outputs[-1], session.next_at)
