"""A Realtime connection as a state machine, fed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from analysis.errors import (
    AccountClosed,
    AnswerDefect,
    LocalProtocolError,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, RateLimit, Usage
from analysis.wire import dialects
from analysis.wire.events import (
    Answered,
    Begun,
    Breach,
    ConnectionFault,
    Event,
    Ignored,
    LimitsSeen,
    SessionConfigured,
    SessionGreeted,
)
from analysis.wire.outofband import REMEMBERED_IDS
from analysis.wire.realtime import IGNORED_NAMES, RealtimeConnection

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

FRAMES = Path(__file__).parents[1] / "frames"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_whole_session_with_two_interleaved_requests(dialect: str) -> None:
    """The script of each dialect yields exactly these events, in this order."""
    path = FRAMES / f"realtime_{dialect}_two_requests.jsonl"
    script = path.read_text(encoding="utf-8").splitlines()
    connection = RealtimeConnection()
    seen: list[Event] = []
    for line in script[1:]:
        step = json.loads(line)
        if step["from"] == "server":
            seen += connection.receive(line)
        elif step["send"] == "configure":
            connection.configure(SETTINGS)
        else:
            connection.ask(request(step["send"]))
    model = "gpt-realtime-2.1-mini-2026-10-01"
    kinds = [SessionGreeted, SessionConfigured, Begun, Begun, Answered, Answered, LimitsSeen]
    assert kinds == [type(event) for event in seen]
    assert [Begun(request_id="r2"), Begun(request_id="r1")] == seen[2:4]
    first, second = (event for event in seen if isinstance(event, Answered))
    assert (
        first.request_id,
        first.reply.text,
        first.reply.is_cut,
    ) == ("r1", '{"answers":[{}]}', False)
    assert (
        second.request_id,
        second.reply.text,
        second.reply.is_cut,
    ) == ("r2", '{"answers":[]', True)
    assert (model, Usage(input_tokens=120, cached_tokens=64, output_tokens=7), "resp_1") == (
        first.reply.model,
        first.reply.usage,
        first.reply.service_request_id,
    )
    limit = RateLimit(name="tokens", limit=15_000_000, remaining=14_999_716, reset_s=0.001)
    assert LimitsSeen(limits=(limit,)) == seen[-1]
    assert ((), {}) == (connection.waiting, connection.ignored)


def test_the_frame_that_asks_is_out_of_band_and_carries_our_id() -> None:
    """The whole frame: no conversation, own input, the session's cap; the rest stands there."""
    expected = {
        "type": "response.create",
        "event_id": "r1",
        "response": {
            "conversation": "none",
            "metadata": {"rid": "r1"},
            "output_modalities": ["text"],
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": request("r1").ask.content}],
                }
            ],
            "max_output_tokens": 400,
        },
    }
    (frame_that_asks,) = ready().ask(request("r1"))
    assert expected == json.loads(frame_that_asks)


def test_the_frame_that_configures_carries_an_id_of_its_own() -> None:
    """A refusal can be told from the refusal of a request, and one update from the next."""
    connection = RealtimeConnection()
    feed(connection, frame("session.created", session=default_session()))
    first = json.loads(connection.configure(SETTINGS))
    feed(connection, frame("session.updated", session=effective_session()))
    second = json.loads(connection.configure(SETTINGS))
    assert {"type", "event_id", "session"} == set(first)
    assert ("session-1", "session-2") == (first["event_id"], second["event_id"])
    assert SETTINGS.to_session(dialects.GA) == first["session"]


def test_the_sdk_types_accept_our_frames() -> None:
    """OpenAI's own types know every field that we send, and lose none of them."""
    from openai.types.realtime import RealtimeClientEvent, ResponseCreateEvent, SessionUpdateEvent

    greeted = RealtimeConnection()
    feed(greeted, frame("session.created", session=default_session()))
    update, (ask,) = greeted.configure(SETTINGS), ready().ask(request())
    adapter: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
    for text, kind in ((update, SessionUpdateEvent), (ask, ResponseCreateEvent)):
        event = kind.model_validate_json(text)
        assert json.loads(text) == event.model_dump(mode="json", exclude_unset=True)
        assert isinstance(adapter.validate_json(text), kind)
        assert not event.model_extra


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("invalid_api_key", AccountClosed),
        ("invalid_model", RouteClosed),
        ("beta_api_shape_disabled", RouteClosed),
    ],
)
def test_an_error_in_place_of_a_greeting_ends_the_connection(code: str, expected: type) -> None:
    """The service checks the key after the upgrade and says no with an event."""
    connection = RealtimeConnection()
    (event,) = feed(connection, error_frame(None, code))
    assert isinstance(event, ConnectionFault)
    assert expected is type(event.error)
    assert () == connection.closed(3000, "invalid_request_error.invalid_api_key")


def test_an_error_about_a_request_ends_it() -> None:
    """A rejected create yields no response.done, so the error is its end."""
    connection = ready("r1", "r2", "r3")
    events = feed(
        connection,
        error_frame("r1", "invalid_value"),
        error_frame("r2", "rate_limit_exceeded", "tokens"),
    )
    kinds = {rid: type(error) for rid, error in endings(events).items()}
    assert {"r1": RequestRejected, "r2": RateLimited} == kinds
    assert ("r3",) == connection.waiting


def test_an_error_about_nothing_of_ours_is_counted() -> None:
    """Errors are harmless unless a close follows."""
    connection = ready("r1")
    events = feed(connection, error_frame("other", "odd"), error_frame(None, None))
    assert [Ignored(type="error.odd"), Ignored(type="error.invalid_request_error")] == events
    assert ("r1",) == connection.waiting


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes.", TransportError),
        (1006, "", TransportError),
        (3000, "invalid_request_error.invalid_api_key", AccountClosed),
        (4000, "invalid_request_error.invalid_model", RouteClosed),
    ],
)
def test_a_close_ends_every_waiting_request(code: int, reason: str, expected: type) -> None:
    """What was sent may have been paid; each request has an exception of its own."""
    connection = ready("r1", "r2")
    events = list(connection.closed(code, reason))
    errors = endings(events)
    assert {"r1": expected, "r2": expected} == {rid: type(error) for rid, error in errors.items()}
    assert errors["r1"] is not errors["r2"]
    assert {Ending.UNKNOWN} == {getattr(e, "ending", Ending.UNKNOWN) for e in errors.values()}
    assert isinstance(events[-1], ConnectionFault)
    assert ((), ()) == (connection.waiting, connection.closed(code, reason))
    assert ((), ()) == (connection.given_up("x", "y"), connection.receive(done("p1", "r1")))


def test_a_close_before_any_request_means_that_nothing_was_sent() -> None:
    """Whoever waits for the session has no request on the wire."""
    (event,) = RealtimeConnection().closed(1011, "")
    assert isinstance(event, ConnectionFault) and isinstance(event.error, TransportError)
    assert Ending.UNSENT is event.error.ending


def test_replies_are_matched_by_id_in_any_order() -> None:
    """The last asked may be answered first."""
    connection = ready("r1", "r2")
    events = feed(
        connection,
        created("p1", "r1"),
        created("p2", "r2"),
        done("p2", "r2"),
        done("p1", "r1"),
    )
    assert {"r2": "answer to r2", "r1": "answer to r1"} == answers(events)


@pytest.mark.parametrize(
    "text", [done("p1", None), done(None, "r1"), done("p1", "r1")], ids=["id", "rid", "both"]
)
def test_one_known_id_is_enough(text: str) -> None:
    """A reply that lacks one of its two ids is matched by the other one."""
    connection = ready("r1")
    events = feed(connection, created("p1", "r1"), text)
    assert ["r1"] == list(answers(events))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (done("p9", "r9"), Breach.UNKNOWN_REPLY),
        (done("p9", None), Breach.UNKNOWN_REPLY),
        (done(None, None), Breach.UNKNOWN_REPLY),
        (created("p9", "r9"), Breach.UNKNOWN_REPLY),
        (frame("session.created", session=default_session()), Breach.REPEATED_GREETING),
    ],
)
def test_what_belongs_to_nobody_is_given_to_nobody(text: str, reason: Breach) -> None:
    """A reply of unknown ids is counted, and the requests go on waiting."""
    connection = ready("r1", "r2")
    feed(connection, created("p1", "r1"))
    events = feed(connection, text)
    assert ([reason], {}, {}) == (breaches(events), answers(events), endings(events))
    assert ("r1", "r2") == connection.waiting


def test_a_second_end_of_a_request_is_a_late_reply() -> None:
    """A duplicate is counted, and neither answers nor ends anything."""
    connection = ready("r1")
    feed(connection, created("p1", "r1"), done("p1", "r1"))
    events = feed(connection, done("p1", "r1"), done("p1", None), created("p1", "r1"))
    assert [Breach.LATE_REPLY, Breach.LATE_REPLY] == breaches(events)
    assert 2 == len(events)


def test_a_reply_to_a_forgotten_request_is_a_late_reply() -> None:
    """The caller has gone; forgetting twice does no harm."""
    connection = ready("r1", "r2")
    feed(connection, created("p1", "r1"))
    for rid in ("r1", "r2", "r1"):
        connection.forget(rid)
    events = feed(connection, created("p2", "r2"), done("p1", "r1"), done("p2", None))
    assert [Breach.LATE_REPLY, Breach.LATE_REPLY] == breaches(events)
    assert () == connection.waiting


@pytest.mark.parametrize("swapped", ["ids", "metadata"])
def test_a_planted_swap_is_noticed(swapped: str) -> None:
    """Two replies whose ids contradict the responses' creation go to nobody."""
    connection = ready("r1", "r2", "r3")
    feed(connection, created("p1", "r1"), created("p2", "r2"), created("p3", "r3"))
    texts = [done("p2", "r1"), done("p1", "r2")]
    if swapped == "metadata":
        texts.reverse()
    events = feed(connection, *texts, done("p3", "r3"))
    assert {"r3": "answer to r3"} == answers(events)
    assert {"r1", "r2"} == endings(events).keys()
    assert {"foreign_id"} == {
        error.defect for error in endings(events).values() if isinstance(error, AnswerDefect)
    }
    assert Breach.CROSSED_IDS in breaches(events)


@pytest.mark.parametrize(
    "texts",
    [
        (created("p1", "r1"), created("p2", "r1")),
        (created("p1", "r2"), created("p1", "r1")),
        (created("p1", "r1"), done("p9", "r1")),
        (done("p1", "r2"), done("p1", "r1")),
        (done("p1", "r2"), created("p1", "r1")),
    ],
)
def test_every_contradiction_of_ids_ends_the_request(texts: tuple[str, str]) -> None:
    """Two responses for one request, or two requests for one response, answer nobody."""
    connection = ready("r1", "r2")
    events = feed(connection, *texts)
    assert "r1" not in answers(events)
    assert isinstance(endings(events)["r1"], AnswerDefect)
    assert [Breach.CROSSED_IDS] == breaches(events)


def test_a_forgotten_owner_does_not_hide_a_contradiction() -> None:
    """A reply that names an ended request but a living response goes to nobody."""
    connection = ready("r1", "r2")
    feed(connection, created("p1", "r1"), created("p2", "r2"))
    connection.forget("r2")
    events = feed(connection, done("p1", "r2"))
    assert ({}, ["r1"]) == (answers(events), list(endings(events)))


def test_a_server_that_never_echoes_our_id_closes_the_route() -> None:
    """After as many nameless replies as questions it is plain that none can be matched."""
    connection = ready("r1", "r2")
    first = feed(connection, created("p1", None), done("p1", None))
    second = feed(connection, done("p2", None))
    assert ([Breach.UNKNOWN_REPLY], {}) == (breaches(first), endings(first))
    assert {RouteClosed} == {type(error) for error in endings(second).values()}
    assert isinstance(second[-1], ConnectionFault) and "metadata" in str(second[-1].error)


def test_unknown_events_are_counted_by_name_within_bounds() -> None:
    """A new event of the service never ends a run, and never fills the memory."""
    connection = ready("r1")
    events = feed(connection, frame("brand.new"), frame("brand.new"), frame("session.updated"))
    assert [Ignored(type="brand.new"), Ignored(type="brand.new")] == events[:2]
    feed(connection, *(frame(f"name.{number}") for number in range(200)), frame("x" * 500))
    assert 2 == connection.ignored["brand.new"]
    assert IGNORED_NAMES + 1 == len(connection.ignored)
    assert 203 == sum(connection.ignored.values())


def test_ids_of_ended_requests_are_kept_within_bounds() -> None:
    """A run of any length needs the same memory."""
    connection = ready()
    for number in range(REMEMBERED_IDS):
        connection.ask(request(f"n{number}"))
        feed(connection, created(f"p{number}", f"n{number}"), done(f"p{number}", f"n{number}"))
    assert [Breach.UNKNOWN_REPLY] == breaches(feed(connection, done("p0", "n0")))


def ask_under_an_old_id() -> None:
    """Ask under the id of a request that has ended."""
    connection = ready("r1")
    connection.forget("r1")
    connection.ask(request("r1"))


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: RealtimeConnection().configure(SETTINGS),
        lambda: RealtimeConnection().ask(request()),
        lambda: ready("r1").ask(request("r1")),
        ask_under_an_old_id,
    ],
)
def test_our_own_misuse_is_an_error(misuse: Any) -> None:
    """Only our side can make the state machine raise."""
    with pytest.raises(LocalProtocolError):
        misuse()


def test_the_repr_shows_state_and_waiting_requests() -> None:
    """A failing test prints what the connection is doing."""
    expected = "<RealtimeConnection ready, ga, model 'gpt-realtime-2.1-mini', waiting ['r1']>"
    assert expected == repr(ready("r1"))
