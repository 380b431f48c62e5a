"""Behaviour of one Realtime connection, on time that is handed in.

Every frame that a test reads has passed the SDK's strict types (see `examples.events`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from analysis.simulator.dialects import GA
from analysis.simulator.outages import Outage
from analysis.simulator.outputs import Close, Cut, Output
from analysis.simulator.profile import PROFILE
from analysis.simulator.realtime import RealtimeSession
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

UNHURRIED = replace(PROFILE, latency_sigma=0.0)


def rest(session: RealtimeSession, *, until: float) -> list[tuple[float, Output]]:
    """Poll whenever the session asks for it; return what came with its time."""
    outputs = []
    while session.next_at is not None and session.next_at <= until:
        at = session.next_at
        outputs += [(at, output) for output in session.poll(now=at)]
    return outputs


def error_of(outputs: list[Output]) -> dict[str, Any]:
    """Return the error of a lone error event."""
    (event,) = events(outputs)
    assert "error" == event["type"]
    return dict(event["error"])


def test_greeting_is_session_created_alone() -> None:
    """Model, type, expiry and the spoken default are stated."""
    account = service(epoch_s=1_000.0)
    (event,) = events(connect(account, now=5.0).poll(now=5.0))
    session = event["session"]
    assert ("session.created", "realtime", "digest-labels", ["audio"], 4_605) == (
        event["type"],
        session["type"],
        session["model"],
        session["output_modalities"],
        session["expires_at"],
    )


@pytest.mark.parametrize(
    ("options", "code", "close"),
    [
        ({"key": "bad"}, "invalid_api_key", (3000, "invalid_request_error.invalid_api_key")),
        ({"key": None}, None, (3000, "invalid_request_error")),
        ({"model": "gpt-4"}, "invalid_model", (4000, "invalid_request_error.invalid_model")),
        ({"model": "gpt-6-luna"}, "invalid_model", (4000, "invalid_request_error.invalid_model")),
        ({"model": None}, "missing_model", (4000, "invalid_request_error.missing_model")),
        (
            {"is_beta": True},
            "beta_api_shape_disabled",
            (4000, "invalid_request_error.beta_api_shape_disabled"),
        ),
    ],
)
def test_refused_handshake_is_error_and_close(
    options: dict[str, Any], code: str | None, close: tuple[int, str]
) -> None:
    """The refusal comes as the first frame, then the close; nothing is answered after it."""
    session = connect(service(api_key="key-1"), **options)
    error, closing = session.poll(now=0.0)
    assert code == error_of([error])["code"]
    assert Close(code=close[0], reason=close[1]) == closing
    assert ([], None) == (send(session, "response.create"), session.next_at)


def test_update_answers_with_the_whole_session() -> None:
    """A good update is merged and echoed, a bad one is dropped whole."""
    session = ready(service())
    bad = {"type": "realtime", "instructions": "lost", "bogus": 1}
    error = error_of(send(session, "session.update", event_id="c1", session=bad))
    assert ("unknown_parameter", "session.bogus", "c1") == (
        error["code"],
        error["param"],
        error["event_id"],
    )
    good = {"type": "realtime", "max_output_tokens": 64}
    (event,) = events(send(session, "session.update", session=good))
    assert ("session.updated", 64, ["text"]) == (
        event["type"],
        event["session"]["max_output_tokens"],
        event["session"]["output_modalities"],
    )
    assert "lost" != event["session"]["instructions"]


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        (b"{}", "invalid_event", None),
        ("{", "invalid_json", None),
        ("[]", "invalid_event", None),
        ("{}", "invalid_event", None),
        ('{"type":"ping"}', "invalid_value", "type"),
        ('{"type":[]}', "invalid_value", "type"),
        ('{"type":"input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None),
        ('{"type":"conversation.item.create"}', "missing_required_parameter", "item"),
        ('{"type":"conversation.item.delete"}', "missing_required_parameter", "item_id"),
        ('{"type":"response.cancel"}', "response_cancel_not_active", None),
        ('{"type":"response.cancel","response_id":["a"]}', "response_cancel_not_active", None),
        ('{"type":"response.create","response":{"x":1}}', "unknown_parameter", "response.x"),
    ],
)
def test_wrong_events_leave_the_socket_open(
    text: str | bytes, code: str, param: str | None
) -> None:
    """Each wrong event gets one error, and the next good event is answered."""
    session = ready(service())
    error = error_of(session.receive(text, now=0.0))
    assert (code, param) == (error["code"], error["param"])
    assert ["input_audio_buffer.cleared"] == kinds(send(session, "input_audio_buffer.clear"))


def test_unknown_type_lists_the_known_ones() -> None:
    """The message is the one that was captured."""
    text = error_of(send(ready(service()), "nope"))["message"]
    head = ", ".join(f"'{name}'" for name in GA.client_events[:-1])
    assert f"Invalid value: 'nope'. Supported values are: {head}, and 'response.cancel'." == text


def test_audio_is_taken_without_a_word() -> None:
    """Appended audio has no answer."""
    assert [] == send(ready(service()), "input_audio_buffer.append", audio="")


def test_out_of_band_call_has_its_order() -> None:
    """Nothing is announced to the conversation; `rate_limits.updated` is last, tokens only."""
    outputs = send(ready(service()), "response.create", response=out_of_band("17", "one", "two"))
    assert [
        "response.created",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ] == kinds(outputs)
    *_, done, limits = events(outputs)
    assert ({"rid": "17"}, None, "completed") == (
        done["response"]["metadata"],
        done["response"]["conversation_id"],
        done["response"]["status"],
    )
    arguments = done["response"]["output"][0]["arguments"]
    assert labels_of("one", "two") == json.loads(arguments)
    assert ["tokens"] == [limit["name"] for limit in limits["rate_limits"]]


def test_requests_limit_is_reported_by_profile() -> None:
    """The switch adds the limit that the real service keeps to itself."""
    account = service(profile=replace(PROFILE, is_requests_limit_reported=True))
    outputs = send(ready(account), "response.create", response=out_of_band("17", "one"))
    names = [limit["name"] for limit in events(outputs)[-1]["rate_limits"]]
    assert ["requests", "tokens"] == names


def test_default_conversation_announces_items() -> None:
    """The order of a text turn is that of the capture, and the answer joins the conversation."""
    session = ready(service())
    added = send(session, "conversation.item.create", item=message("one"))
    assert ["conversation.item.added", "conversation.item.done"] == kinds(added)
    outputs = send(session, "response.create")
    assert [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ] == kinds(outputs)
    item = events(outputs)[-2]["response"]["output"][0]
    (event,) = events(send(session, "conversation.item.retrieve", item_id=item["id"]))
    assert item == event["item"]


def test_items_keep_their_places() -> None:
    """`previous_item_id` sets the place, references resolve, deleted items are gone."""
    session = ready(service())
    for item_id, after in (("i1", None), ("i2", "root"), ("i3", "i2")):
        item = message(item_id) | {"id": item_id}
        added = send(session, "conversation.item.create", item=item, previous_item_id=after)
        expected = {"i1": None, "i2": None, "i3": "i2"}[item_id]
        assert [expected] * 2 == [event["previous_item_id"] for event in events(added)]
    tail = events(send(session, "conversation.item.create", item=message("x")))
    assert "i1" == tail[0]["previous_item_id"]
    reference = [{"type": "item_reference", "id": "i2"}]
    assert "response.done" in kinds(
        send(session, "response.create", response={"conversation": "none", "input": reference})
    )
    assert ["conversation.item.deleted"] == kinds(
        send(session, "conversation.item.delete", item_id="i2")
    )
    codes = [
        error_of(send(session, "conversation.item.delete", item_id="i2"))["code"],
        error_of(send(session, "conversation.item.retrieve", item_id="i2"))["code"],
        error_of(send(session, "response.create", response={"input": reference}))["code"],
        error_of(send(session, "conversation.item.truncate", item_id="i3"))["code"],
        error_of(send(session, "conversation.item.create", item=message("x") | {"id": "i3"}))[
            "code"
        ],
    ]
    assert [
        "item_delete_invalid_item_id",
        "item_retrieve_invalid_item_id",
        "item_reference_invalid_item_id",
        "invalid_value",
        "invalid_value",
    ] == codes


def test_parallel_responses_interleave() -> None:
    """Two responses run at once, each with its own answer, told apart by metadata and id."""
    session = ready(service(latency_ms=100, ms_per_token=1, profile=UNHURRIED))
    texts = {"1": "one", "2": "two"}
    first = send(session, "response.create", response=out_of_band("1", "one"), now=0.0)
    second = send(session, "response.create", response=out_of_band("2", "two"), now=0.004)
    ids = [events(outputs)[0]["response"]["id"] for outputs in (first, second)]
    found = rest(session, until=1.0)
    order = [event.get("response_id") for _, output in found for event in events([output])]
    changes = [order[i] for i in range(1, len(order)) if order[i] != order[i - 1]]
    assert ids[0] in changes
    assert ids[1] in changes[: changes.index(ids[0]) + 1]
    for at, output in found:
        for event in events([output]):
            if event["type"] == "response.done":
                rid = event["response"]["metadata"]["rid"]
                arguments = event["response"]["output"][0]["arguments"]
                assert labels_of(texts[rid]) == json.loads(arguments)
                assert pytest.approx({"1": 0.11, "2": 0.114}[rid]) == at


def test_second_response_on_the_default_conversation_is_refused() -> None:
    """The refusal is an error event alone; out-of-band responses still run beside."""
    session = ready(service(latency_ms=100, profile=UNHURRIED))
    (created,) = events(send(session, "response.create"))
    error = error_of(send(session, "response.create", event_id="c2", now=0.01))
    assert ("conversation_already_has_active_response", "c2", True) == (
        error["code"],
        error["event_id"],
        created["response"]["id"] in error["message"],
    )
    beside = send(session, "response.create", response=out_of_band("1", "one"), now=0.02)
    assert ["response.created"] == kinds(beside)
    rest(session, until=1.0)
    assert ["response.created"] == kinds(send(session, "response.create", now=1.0))


@pytest.mark.parametrize(("at", "item_statuses"), [(0.01, []), (0.105, ["incomplete"])])
def test_cancel_ends_a_response(at: float, item_statuses: list[str]) -> None:
    """A cancelled response is done at once, nothing of it follows, and it is paid as lost."""
    records: list[dict[str, Any]] = []
    session = ready(
        service(latency_ms=100, ms_per_token=1, profile=UNHURRIED, payment=records.append)
    )
    (created,) = events(send(session, "response.create", response=out_of_band("1", "one"), now=0.0))
    session.poll(now=at)
    response_id = created["response"]["id"]
    *_, done, _ = events(send(session, "response.cancel", response_id=response_id, now=at))
    assert ("cancelled", {"type": "cancelled", "reason": "client_cancelled"}) == (
        done["response"]["status"],
        done["response"]["status_details"],
    )
    assert item_statuses == [item["status"] for item in done["response"]["output"]]
    assert [] == rest(session, until=10.0)
    assert [False] == [record["delivered"] for record in records]


@pytest.mark.parametrize(
    ("ms_per_token", "times"),
    [(0.0, [0.1] * 5), (3.0, [0.106, 0.112, 0.118, 0.124, 0.13])],
)
def test_deltas_are_spread_over_the_generation_time(
    ms_per_token: float, times: list[float]
) -> None:
    """Ten tokens make five deltas; the last leaves with `response.done` at the total latency."""
    session = ready(service(latency_ms=100, ms_per_token=ms_per_token, profile=UNHURRIED))
    send(session, "response.create", response=out_of_band("1", "one"))
    found = [(at, event) for at, output in rest(session, until=1.0) for event in events([output])]
    added, done = (
        next(at for at, event in found if event["type"] == kind)
        for kind in ("response.output_item.added", "response.done")
    )
    deltas = [at for at, event in found if event["type"].endswith("arguments.delta")]
    assert pytest.approx([0.1, *times, times[-1]]) == [added, *deltas, done]


def test_outage_cuts_the_connection() -> None:
    """At its start the socket is cut; what is under way is paid and lost."""
    records: list[dict[str, Any]] = []
    outage = Outage(route="realtime", start_s=5.0, duration_s=2.0)
    account = service(latency_ms=1_000, profile=UNHURRIED, outages=[outage], payment=records.append)
    account.started_at = 100.0
    session = ready(account, now=101.0)
    send(session, "response.create", response=out_of_band("1", "x"), now=104.5)
    assert [(105.0, Cut())] == rest(session, until=200.0)
    assert [False] == [record["delivered"] for record in records]
    assert Cut() == connect(account, now=106.0).poll(now=106.0)[-1]
    assert ["session.created"] == kinds(connect(account, now=107.0).poll(now=107.0))


def test_cancel_without_id_takes_the_default_conversation() -> None:
    """An out-of-band response is left alone."""
    session = ready(service(latency_ms=100, profile=UNHURRIED))
    send(session, "response.create", response=out_of_band("1", "one"))
    error = error_of(send(session, "response.cancel"))
    assert "response_cancel_not_active" == error["code"]
    send(session, "response.create")
    assert "response.done" in kinds(send(session, "response.cancel"))


def test_cap_cuts_the_call() -> None:
    """Status `incomplete`, reason, and partial arguments."""
    outputs = send(
        ready(service()), "response.create", response=out_of_band("1", "x", max_output_tokens=3)
    )
    response = events(outputs)[-2]["response"]
    assert ("incomplete", "max_output_tokens", '{"answers":[', 3) == (
        response["status"],
        response["status_details"]["reason"],
        response["output"][0]["arguments"],
        response["usage"]["output_tokens"],
    )


def test_rate_limit_arrives_inside_response_done() -> None:
    """The response fails with the text that holds the wait; no error event, nothing paid."""
    records: list[dict[str, Any]] = []
    session = ready(service(rpm=1, payment=records.append))
    send(session, "response.create", response=out_of_band("1", "one"))
    outputs = send(session, "response.create", response=out_of_band("2", "two"))
    assert ["response.created", "response.done", "rate_limits.updated"] == kinds(outputs)
    response = events(outputs)[1]["response"]
    error = response["status_details"]["error"]
    assert ("failed", "requests", "rate_limit_exceeded", {"rid": "2"}) == (
        response["status"],
        error["type"],
        error["code"],
        response["metadata"],
    )
    assert "Please try again in 1m0s." in error["message"]
    assert [("1", True)] == [(record["request"], record["delivered"]) for record in records]


def test_server_error_fails_the_response() -> None:
    """The fault `error_500` is a failed response and free."""
    records: list[dict[str, Any]] = []
    session = ready(service(faults={"error_500": 1.0}, payment=records.append))
    response = events(send(session, "response.create", response=out_of_band("1", "x")))[1]
    assert "server_error" == response["response"]["status_details"]["error"]["code"]
    assert [] == records


def test_drop_cuts_the_connection() -> None:
    """The dropped request and those beside it are paid and lost; nothing follows the cut."""
    records: list[dict[str, Any]] = []
    account = service(
        latency_ms=100, profile=UNHURRIED, faults={"drop": 0.5}, seed=2, payment=records.append
    )
    session = ready(account)
    for number in range(6):
        send(session, "response.create", response=out_of_band(str(number), "x"), now=number / 1e3)
    found = [output for _, output in rest(session, until=1.0)]
    assert Cut() == found[-1]
    assert not session.is_open
    delivered = sum(record["delivered"] for record in records)
    done = [kind for kind in kinds(found[:-1]) if kind == "response.done"]
    assert (6, len(done)) == (len(records), delivered)
    assert sorted(record["request"] for record in records) == list("012345")


def test_hanging_response_is_paid_and_never_ends() -> None:
    """Only `response.created` comes; the payment is recorded as lost, once."""
    records: list[dict[str, Any]] = []
    session = ready(service(faults={"hang": 1.0}, payment=records.append))
    outputs = send(session, "response.create", response=out_of_band("1", "x"))
    assert ["response.created"] == kinds(outputs)
    assert [] == rest(session, until=1_000.0)
    session.end(now=1_000.0)
    assert [False] == [record["delivered"] for record in records]


def test_lost_socket_pays_what_is_under_way() -> None:
    """An answer that can no longer be delivered is paid all the same."""
    records: list[dict[str, Any]] = []
    session = ready(service(latency_ms=100, payment=records.append))
    send(session, "response.create", response=out_of_band("1", "x"))
    session.end(now=0.01)
    session.end(now=0.02)
    assert [False] == [record["delivered"] for record in records]
    assert [] == session.poll(now=1.0)


def test_session_expires() -> None:
    """At the maximum age: error, close 1001 with the same sentence, and silence."""
    session = ready(service(profile=replace(PROFILE, session_max_age_s=120.0)), now=10.0)
    assert 130.0 == session.next_at
    error, closing = session.poll(now=130.0)
    sentence = "Your session hit the maximum duration of 2 minutes."
    fields = error_of([error])
    assert ("session_expired", sentence) == (fields["code"], fields["message"])
    assert Close(code=1001, reason=sentence) == closing
    assert [] == send(session, "response.create", now=131.0)


def test_session_close_ends_the_connection() -> None:
    """The client may say goodbye."""
    assert [Close(code=1000, reason="")] == send(ready(service()), "session.close")


def test_same_seed_same_frames() -> None:
    """Two services with one seed send byte-identical frames at identical times."""
    faults = {"error_500": 0.2, "hang": 0.1, "delay": 0.2, "shuffle": 0.5}
    runs = []
    for _ in range(2):
        session = ready(service(seed=3, latency_ms=50, faults=faults))
        for number in range(30):
            send(session, "response.create", response=out_of_band(str(number), "x"))
        runs.append(rest(session, until=10.0))
    assert runs[0] == runs[1]
