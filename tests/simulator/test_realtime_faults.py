"""Behaviour of one Realtime connection under faults and under the switches of its profile.

Every frame that a test reads has passed the SDK's strict types, but for those of unknown types.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from analysis.simulator.answers import DECLINED
from analysis.simulator.faults import FAULTS
from analysis.simulator.mischief import UNKNOWN_TYPE
from analysis.simulator.outputs import Cut, Output, Silence, Torn
from analysis.simulator.profile import PROFILE
from analysis.simulator.realtime import RealtimeSession
from analysis.simulator.service import Service
from tests.simulator.examples import (
    connect,
    events,
    kinds,
    labels_of,
    message,
    out_of_band,
    ready,
    send,
    service,
)


def decoded(outputs: list[Output]) -> list[dict[str, Any]]:
    """Return the frames as dicts, types that nobody knows among them."""
    return [json.loads(output) for output in outputs if isinstance(output, bytes)]


def ask(session: RealtimeSession, rid: str = "1", *, until: float = 10.0) -> list[Output]:
    """Ask about two texts out of band; return all outputs up to a time."""
    outputs = send(session, "response.create", response=out_of_band(rid, "one", "two"))
    while session.next_at is not None and session.next_at <= until:
        outputs += session.poll(now=session.next_at)
    return outputs


def paid(**options: Any) -> tuple[Service, list[bool]]:
    """Return a service and the list of whether each paid answer was delivered."""
    delivered: list[bool] = []
    return service(payment=lambda one: delivered.append(one["delivered"]), **options), delivered


WHOLE = [
    "response.created",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def test_a_torn_answer_ends_in_the_middle_of_its_last_frame() -> None:
    """It is paid and lost, and the connection is over."""
    account, delivered = paid(faults={"torn": 1.0})
    session = ready(account)
    outputs = ask(session)
    assert WHOLE[:5] == kinds(outputs)
    last = outputs[-1]
    assert isinstance(last, Torn)
    assert "response.done" == json.loads(last.frame)["type"]
    assert (False, [False], None) == (session.is_open, delivered, session.next_at)


def test_a_half_open_connection_says_nothing_more() -> None:
    """The door is told so; the answer is paid and lost."""
    account, delivered = paid(faults={"half_open": 1.0})
    session = ready(account)
    outputs = ask(session)
    assert (["response.created"], Silence()) == (kinds(outputs[:-1]), outputs[-1])
    assert (False, [False]) == (session.is_open, delivered)


@pytest.mark.parametrize("ms_per_token", [0.0, 5.0])
def test_a_stalled_answer_stops_after_its_first_delta(ms_per_token: float) -> None:
    """It is paid as lost, and the connection goes on with others."""
    account, delivered = paid(faults={"stall": 1.0}, ms_per_token=ms_per_token)
    session = ready(account)
    outputs = ask(session)
    assert WHOLE[:3] == [event["type"] for event in events(outputs)]
    assert (True, [False]) == (session.is_open, delivered)
    session.end(now=20.0)
    assert [False] == delivered


def test_a_rejected_create_is_an_error_event_alone() -> None:
    """It names the client's event, nothing is paid, and the next request is heard."""
    account, delivered = paid(faults={"rejected_create": 1.0})
    session = ready(account)
    outputs = send(session, "response.create", event_id="e1", response=out_of_band("1", "x"))
    (event,) = events(outputs)
    assert ("error", "server_error", "e1") == (
        event["type"],
        event["error"]["code"],
        event["error"]["event_id"],
    )
    assert ([], True) == (delivered, session.is_open)
    assert "error" == events(send(session, "response.create"))[0]["type"]


def test_duplicates_repeat_every_frame_of_the_answer() -> None:
    """Byte for byte; what is not of the answer comes once."""
    outputs = ask(ready(service(faults={"duplicate": 1.0})))
    counts = Counter(output for output in outputs if isinstance(output, bytes))
    assert [2] * (len(counts) - 1) + [1] == list(counts.values())
    assert "rate_limits.updated" == decoded(outputs)[-1]["type"]


def test_reordered_frames_are_the_same_frames() -> None:
    """None is lost, and their order is another one."""
    plain = ask(ready(service()))
    swapped = ask(ready(service(faults={"reorder": 1.0})))
    assert kinds(plain) != kinds(swapped)
    assert Counter(plain) == Counter(swapped)


def test_unknown_events_stand_beside_the_answer() -> None:
    """One in each stage: created, begun, finished."""
    sent = decoded(ask(ready(service(faults={"unknown_event": 1.0}))))
    assert 3 == sum(event["type"] == UNKNOWN_TYPE for event in sent)
    rest = [event["type"] for event in sent if event["type"] != UNKNOWN_TYPE]
    assert set(WHOLE) == set(rest)


def test_foreign_events_precede_the_true_ones() -> None:
    """A terminal event with an unknown id and unknown metadata comes before the true one."""
    sent = events(ask(ready(service(faults={"foreign_event": 1.0}))))
    foreign, true = [event["response"] for event in sent if event["type"] == "response.done"]
    assert ("1", False) == (true["metadata"]["rid"], foreign["metadata"]["rid"] == "1")
    assert foreign["id"] != true["id"]
    assert [event["response"]["id"] for event in sent[:2]] == [foreign["id"], true["id"]]


@pytest.mark.parametrize("fault", ["malformed", "out_of_enum", "missing_item", "doubled_item"])
def test_defects_of_the_answer_arrive_as_completed_calls(fault: str) -> None:
    """Only the arguments are wrong."""
    done = events(ask(ready(service(faults={fault: 1.0}))))[-2]["response"]
    arguments = done["output"][0]["arguments"]
    assert "completed" == done["status"]
    assert json.dumps(labels_of("one", "two"), separators=(",", ":")) != arguments


def test_a_refusal_is_a_message_instead_of_a_call() -> None:
    """The model says that it declines."""
    done = events(ask(ready(service(faults={"refusal": 1.0}))))[-2]["response"]
    (item,) = done["output"]
    assert ("message", DECLINED) == (item["type"], item["content"][0]["text"])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("overloaded", "server_is_overloaded"),
        ("slow_down", "slow_down"),
        ("quota", "insufficient_quota"),
    ],
)
def test_refusals_of_the_account_arrive_inside_response_done(fault: str, code: str) -> None:
    """As those of the limits do."""
    done = events(ask(ready(service(faults={fault: 1.0}))))[1]["response"]
    assert ("failed", code) == (done["status"], done["status_details"]["error"]["code"])


def test_limits_are_lied_about() -> None:
    """The profile bends every report."""
    outputs = ask(ready(service(tpm=1_000, profile=replace(PROFILE, lie="negative"))))
    assert [-1] == [one["remaining"] for one in events(outputs)[-1]["rate_limits"]]
    faulty = ask(ready(service(tpm=1_000, faults={"lying_headers": 1.0})))
    honest = ask(ready(service(tpm=1_000)))
    assert events(faulty)[-1]["rate_limits"] != events(honest)[-1]["rate_limits"]


def test_the_second_response_reads_the_prompt_cache() -> None:
    """In steps of 64 tokens of what it shares with the first one."""
    session = ready(service())
    used = [events(ask(session, rid))[-2]["response"]["usage"] for rid in "12"]
    details = [usage["input_token_details"] for usage in used]
    cached = details[1]["cached_tokens"]
    assert (0, 0) == (details[0]["cached_tokens"], cached % 64)
    assert 0 < cached <= used[1]["input_tokens"]
    assert cached == details[1]["cached_tokens_details"]["text_tokens"]


def test_parallel_responses_have_a_bound_by_profile() -> None:
    """One more is refused by an error event; when one is done there is room again."""
    profile = replace(PROFILE, parallel_responses=2, parallel_refusal_code="busy", latency_sigma=0)
    session = ready(service(profile=profile, latency_ms=100))
    sent = [send(session, "response.create", response=out_of_band(rid, "x")) for rid in "123"]
    assert [["response.created"], ["response.created"], ["error"]] == [kinds(one) for one in sent]
    assert "busy" == events(sent[2])[0]["error"]["code"]
    session.poll(now=0.1)
    again = send(session, "response.create", now=0.1, response=out_of_band("4", "x"))
    assert ["response.created"] == kinds(again)


def test_a_server_without_out_of_band_responses_answers_from_its_conversation() -> None:
    """Input and metadata are ignored, and a second response finds it busy."""
    profile = replace(PROFILE, is_out_of_band_served=False)
    session = ready(service(profile=profile, latency_ms=100))
    send(session, "conversation.item.create", item=message("a text of its own"))
    first = events(send(session, "response.create", response=out_of_band("1", "x")))
    response = first[0]["response"]
    assert (True, None) == (bool(response["conversation_id"]), response["metadata"])
    second = events(send(session, "response.create", response=out_of_band("2", "x")))
    assert "conversation_already_has_active_response" == second[0]["error"]["code"]


def test_metadata_need_not_be_echoed() -> None:
    """The account's log knows it all the same."""
    records: list[dict[str, Any]] = []
    profile = replace(PROFILE, is_metadata_echoed=False)
    outputs = ask(ready(service(profile=profile, payment=records.append)), "17")
    responses = [event["response"] for event in events(outputs) if "response" in event]
    assert [None, None] == [response["metadata"] for response in responses]
    assert ["17"] == [record["request"] for record in records]


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_optional_fields_can_be_left_out_and_unknown_ones_added(dialect: str) -> None:
    """The SDK's types take both."""
    profile = replace(PROFILE, omits_optional_fields=True, adds_unknown_fields=True)
    session = connect(service(profile=profile, dialect=dialect))
    sent = decoded(session.poll(now=0.0))
    send(session, "conversation.item.create", item=message("x"))
    outputs = send(session, "response.create")
    while session.next_at is not None and session.next_at < 9.0:
        outputs += session.poll(now=session.next_at)
    sent += events(outputs) if dialect == "ga" else decoded(outputs)
    assert all("unheard_of" in event for event in sent)
    response = next(event["response"] for event in sent if event["type"] == "response.done")
    assert {"unheard_of", "id", "status", "output", "usage"} <= response.keys()
    assert response.keys().isdisjoint({"object", "conversation_id", "metadata", "status_details"})


def test_audio_becomes_an_item_that_nobody_hears() -> None:
    """After an append there is something to commit; a clear takes it away."""
    session = ready(service())
    assert [] == send(session, "input_audio_buffer.append", audio="AAAA")
    told = kinds(send(session, "input_audio_buffer.commit"))
    announced = ["conversation.item.added", "conversation.item.done"]
    assert ["input_audio_buffer.committed", *announced] == told
    send(session, "input_audio_buffer.append", audio="AAAA")
    send(session, "input_audio_buffer.clear")
    refused = events(send(session, "input_audio_buffer.commit"))[0]["error"]["code"]
    assert "input_audio_buffer_commit_empty" == refused
    assert "response.created" == events(send(session, "response.create"))[0]["type"]


def test_connections_are_logged() -> None:
    """Each once, whoever ends it and however often that is told."""
    log: list[dict[str, Any]] = []
    account = service(event_log=log.append, faults={"drop": 1.0})
    session = ready(account)
    assert Cut() == ask(session)[-1]
    session.end(now=5.0)
    told = ["configured", "connected", "accepted", "fault", "lost", "disconnected"]
    assert Counter(told) == Counter(record["kind"] for record in log)


def everything(**faults: float) -> list[Output]:
    """Return what 20 requests bring; a socket that is lost is replaced."""
    account = service(faults=faults, latency_ms=50, ms_per_token=2, tpm=100_000)
    outputs: list[Output] = []
    session = ready(account)
    for number in range(20):
        now = number / 100
        if not session.is_open:
            session = ready(account, now=now)
        response = out_of_band(str(number), "x", "y")
        outputs += send(session, "response.create", now=now, response=response)
    while session.next_at is not None and session.next_at < 100.0:
        outputs += session.poll(now=session.next_at)
    return outputs


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_seeded_and_shows(fault: str) -> None:
    """The outputs are the same each time, and not those of a service without faults."""
    told = everything(**{fault: 0.5})
    assert told == everything(**{fault: 0.5})
    assert told != everything()
