"""Lanes under limits, faults and the rules that are guesses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.simulator.outputs import Cut, Output, Silence, Torn
from analysis.simulator.responses import FIELDS
from analysis.simulator.service import Service
from tests.simulator.examples import body, pack, service
from tests.simulator.lane_examples import (
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

Record = dict[str, Any]


def faulty(fault: str, records: list[Record], **options: Any) -> Service:
    """Return a service on which every request meets the fault, and generation takes time."""
    given = {"latency_ms": 100, "ms_per_token": 10, "profile": rules(), **options}
    return service(faults={fault: 1.0}, payment=records.append, **given)


@pytest.mark.parametrize(
    ("fault", "last", "kind"),
    [
        ("drop", Cut, "in_progress"),
        ("half_open", Silence, "in_progress"),
        ("torn", Torn, "output_item.done"),
    ],
)
def test_faults_that_end_the_connection(fault: str, last: type[Output], kind: str) -> None:
    """All answers under way are paid and lost, and nothing is due any more."""
    records: list[Record] = []
    session = connect(faulty(fault, records))
    outputs = create(session, "a") + create(session, "b", now=0.05) + drain(session)
    assert isinstance(outputs[-1], last)
    assert kind in kinds(outputs)
    assert [False, False] == [record["delivered"] for record in records]
    assert (False, None) == (session.is_open, session.next_at)


@pytest.mark.parametrize(
    ("fault", "kind", "is_lane_busy"),
    [("hang", "in_progress", True), ("stall", "output_text.delta", True)],
)
def test_answer_that_never_ends_is_paid_and_keeps_its_lane(
    fault: str, kind: str, is_lane_busy: bool
) -> None:
    """A stalled one falls silent after its first delta; other lanes go on."""
    records: list[Record] = []
    session = connect(faulty(fault, records))
    outputs = create(session, "a") + create(session, "a", now=0.01) + drain(session, until=9.0)
    assert (kind, 1, []) == (kinds(outputs)[-1], len(ids(outputs)), ends(outputs))
    assert [False] == [record["delivered"] for record in records]
    assert 1 == len(ids(create(session, "b", now=9.0)))


def test_stalled_answer_without_generation_has_no_delta() -> None:
    """Its only delta would leave with the end."""
    session = connect(faulty("stall", [], ms_per_token=0))
    assert "content_part.added" == kinds(create(session) + drain(session, until=9.0))[-1]


def test_failing_answer_ends_as_failed_and_is_free() -> None:
    """The response was created, so that its end is an event of its own."""
    records: list[Record] = []
    session = connect(faulty("error_500", records))
    outputs = create(session, "a") + drain(session, until=9.0)
    response = events(outputs)[-1]["response"]
    assert (["created", "in_progress", "failed"], []) == (kinds(outputs), records)
    assert ("failed", "server_error") == (response["status"], response["error"]["code"])
    assert ["created", "failed"] == kinds(
        create(session, "b", now=9.0, generate=False) + drain(session, until=19.0)
    )


def test_declined_answer_is_a_refusal_part() -> None:
    """Its events have names of their own."""
    session = connect(faulty("refusal", []))
    outputs = create(session) + drain(session, until=9.0)
    told = kinds(outputs)
    assert ["refusal.delta", "refusal.done"] == [kind for kind in told if "refusal" in kind]
    (part,) = events(outputs)[-1]["response"]["output"][0]["content"]
    deltas = [e["delta"] for e in events(outputs) if e["type"] == "response.refusal.delta"]
    assert {"type": "refusal", "refusal": "".join(deltas)} == part


def test_frames_can_be_disturbed() -> None:
    """Doubled frames are the same bytes."""
    outputs = create(connect(faulty("duplicate", [], latency_ms=0, ms_per_token=0)))
    assert outputs[::2] == outputs[1::2]
    assert [(None, "completed")] * 2 == ends(outputs)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("overloaded", 503, "server_is_overloaded"),
        ("slow_down", 429, "slow_down"),
        ("quota", 429, "insufficient_quota"),
    ],
)
def test_account_refuses_in_an_error_frame_of_the_lane(fault: str, status: int, code: str) -> None:
    """Nothing is created and nothing is paid."""
    records: list[Record] = []
    assert (status, code, None, "a") == error(create(connect(faulty(fault, records)), "a"))
    assert [] == records


def test_rate_limit_is_an_error_frame_whose_text_says_when() -> None:
    """Beside the text there are headers only where the rules have them; then it passes."""
    account = service(rpm=1, profile=rules())
    session = connect(account)
    create(session, "a")
    refused = create(session, "a")
    assert (429, "rate_limit_exceeded", None, "a") == error(refused)
    (frame,) = events(refused)
    assert "Please try again in" in frame["error"]["message"]
    assert not {"sequence_number"} & frame.keys() and "headers" not in frame["error"]
    assert [("a", "completed")] == ends(create(session, "a", now=61.0))


def test_error_frames_may_have_number_and_headers() -> None:
    """The headers are those of HTTP."""
    session = connect(service(rpm=1, profile=rules(is_error_numbered=True, is_error_headed=True)))
    create(session)
    (frame,) = events(create(session))
    headers = frame["error"]["headers"]
    assert (0, "1", "0") == (
        frame["sequence_number"],
        headers["x-ratelimit-limit-requests"],
        headers["x-ratelimit-remaining-requests"],
    )
    assert headers["retry-after-ms"].isdecimal()


def test_rate_limit_may_end_a_response_as_failed() -> None:
    """The code stands in the response then."""
    session = connect(service(rpm=1, profile=rules(is_refusal_response=True)))
    create(session, "a")
    outputs = create(session, "a")
    assert ["created", "in_progress", "failed"] == kinds(outputs)
    assert "rate_limit_exceeded" == events(outputs)[-1]["response"]["error"]["code"]
    assert 400 == error(create(session, "a", bogus=1))[0]


def test_field_stream_may_be_ignored() -> None:
    """Some clients send it."""
    session = connect(service(profile=rules(is_stream_refused=False)))
    assert [(None, "completed")] == ends(create(session, stream=True))


def test_cut_answer_is_incomplete() -> None:
    """It is remembered like a whole one."""
    session = connect(service())
    outputs = create(session, "a", *"abcdef", max_output_tokens=16)
    response = events(outputs)[-1]["response"]
    assert ("incomplete", "max_output_tokens") == (
        response["status"],
        response["incomplete_details"]["reason"],
    )
    follower = create(session, "a", previous_response_id=response["id"])
    assert [("a", "completed")] == ends(follower)


def test_socket_that_goes_away_loses_what_is_under_way() -> None:
    """Waiting requests were not begun and cost nothing."""
    records: list[Record] = []
    session = connect(service(latency_ms=100, payment=records.append, profile=rules()))
    for lane in ("a", "a", "b"):
        create(session, lane)
    session.end(now=0.05)
    assert [False, False] == [record["delivered"] for record in records]
    assert ["responses-ws"] * 2 == [record["route"] for record in records]
    assert ([], None) == (session.poll(now=9.0), session.next_at)


def test_event_log_has_the_life_of_the_connection() -> None:
    """It begins and ends once, under one name."""
    log: list[Record] = []
    session = connect(service(event_log=log.append), now=1.0)
    create(session, now=2.0)
    for now in (3.0, 4.0):
        session.end(now=now)
    told = [(one["at"], one["kind"]) for one in log if one.get("session")]
    assert [(1.0, "connected"), (3.0, "disconnected")] == told
    assert ["accepted", "answered"] == [one["kind"] for one in log if one.get("rid") == "17"]


def test_too_many_waiting_requests_are_refused_in_their_lane() -> None:
    """The lane goes on with what waits already."""
    session = connect(service(latency_ms=100, profile=rules(waiting=1)))
    create(session, "a")
    create(session, "a")
    assert (429, "slow_down", None, "a") == error(create(session, "a"))
    assert 2 == len(ends(drain(session, until=9.0)))


lanes = st.sampled_from([None, "a", "b", "c", "", 5])
changes = st.sampled_from(
    [
        {},
        {},
        {"generate": False},
        {"store": True},
        {"bogus": 1},
        {"previous_response_id": "newest"},
        {"previous_response_id": "resp_0"},
        {"input": [], "previous_response_id": "newest"},
        {"prompt_cache_options": {"mode": "explicit"}},
        {"metadata": None, "text": None, "reasoning": None, "instructions": None},
    ]
)
requests = st.lists(st.tuples(lanes, changes, st.floats(0.0, 0.3)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(asked=requests, seed=st.integers(0, 5))
def test_every_request_ends_exactly_once(
    asked: list[tuple[Any, dict[str, Any], float]], seed: int
) -> None:
    """Each one is answered or refused, whatever comes, and what is created is paid or failed."""
    records: list[Record] = []
    profile = replace(rules(running=2, lane_names=2), latency_sigma=0.5)
    account = service(
        seed=seed,
        latency_ms=200,
        ms_per_token=1,
        rpm=1_000,
        faults={"error_500": 0.1, "shuffle": 0.5},
        payment=records.append,
        profile=profile,
    )
    session, now, outputs = connect(account), 0.0, list[Output]()
    for lane, change, wait_s in asked:
        now += wait_s
        parent = next(reversed(ids(outputs)), "resp_1")
        filled = {k: parent if v == "newest" else v for k, v in change.items()}
        outputs += create(session, lane, now=now, **filled)
    outputs += drain(session)
    told = [event["type"] for event in events(outputs)]
    errors = told.count("error")
    assert len(asked) == errors + len(ends(outputs))
    assert len(ids(outputs)) == len(ends(outputs))
    failed = told.count("response.failed")
    assert len(records) == len(ends(outputs)) - failed
    assert all(record["delivered"] for record in records)


@settings(max_examples=200, deadline=None)
@given(
    message=st.one_of(
        st.text(max_size=40),
        st.binary(max_size=20),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["type", "stream_id"]), inner, max_size=5)
            ),
            max_leaves=12,
        ).map(json.dumps),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["response.create", "response.steer"])},
            optional={
                name: st.sampled_from(
                    [None, 5, "x", [{}], {}, {"format": {"type": []}}, body()[name]]
                )
                if name in body()
                else st.sampled_from([None, 5, "x", [{}], {}, {"mode": []}, True])
                for name in [*FIELDS, "stream_id", "generate"]
            },
        ).map(json.dumps),
    )
)
def test_no_message_breaks_the_connection(message: str | bytes) -> None:
    """Whatever is sent, a good request is answered afterwards."""
    session = connect(service())
    session.receive(message, now=0.0)
    assert [("z", "completed")] == ends(create(session, "z", pack("x")))


def test_repr_tells_the_state() -> None:
    """It is read in failing tests."""
    session = connect(service(latency_ms=100))
    create(session, "a")
    send(session, "response.create", model="gpt-6-luna")
    assert "Lanes(1 named, 1 running, 0 waiting)" in repr(session)
