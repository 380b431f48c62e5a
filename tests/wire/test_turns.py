"""Requests that take turns in the one conversation of a server."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import (
    AnswerDefect,
    LocalProtocolError,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending
from analysis.wire.events import Begun, Breach, ConnectionFault, Event, FrameDue
from analysis.wire.outofband import REMEMBERED_IDS
from analysis.wire.realtime import RealtimeConnection
from analysis.wire.turns import MOST_ITEMS

from .examples import (
    DIALECTS,
    SETTINGS,
    answers,
    breaches,
    default_session,
    done,
    effective_session,
    endings,
    error_frame,
    feed,
    frame,
    message,
    request,
)

Json = dict[str, Any]


def in_turns(dialect: str = "ga") -> RealtimeConnection:
    """Return a configured connection whose requests take turns."""
    connection = RealtimeConnection(takes_turns=True)
    feed(connection, frame("session.created", session=default_session(dialect)))
    connection.configure(SETTINGS)
    feed(connection, frame("session.updated", session=effective_session(dialect)))
    return connection


class OneConversation:
    """A server that answers from its one conversation and echoes nothing.

    Args:
        dialect: How it names what it announces.
        keeps_ids: Items keep the ids that the client gave them.
        names_events: Its errors name the event that they are about.
        rejected: Numbers of the responses, from 1, that it refuses to create.
        speaks_of_replies: It announces the items of its answers.
    """

    def __init__(
        self,
        dialect: str = "ga",
        *,
        keeps_ids: bool = True,
        names_events: bool = True,
        rejected: frozenset[int] = frozenset(),
        speaks_of_replies: bool = True,
    ) -> None:
        self.dialect = dialect
        self.keeps_ids = keeps_ids
        self.names_events = names_events
        self.rejected = rejected
        self.speaks_of_replies = speaks_of_replies
        self.items: dict[str, Json] = {}
        self.seen: list[list[str]] = []
        self.made = 0

    def hear(self, text: str) -> list[str]:
        """Return the frames that follow one frame of the client."""
        event = json.loads(text)
        match event["type"]:
            case "conversation.item.create":
                return self._announce(event["item"], event["item"]["id"])
            case "conversation.item.delete":
                if self.items.pop(event["item_id"], None) is None:
                    return [self._error(event, "item_delete_invalid_item_id")]
                return [frame("conversation.item.deleted", item_id=event["item_id"])]
            case "response.create":
                return self._respond(event)
        raise AssertionError(f"Nobody sends {event['type']}.")

    def _announce(self, item: Json, wished: str | None = None) -> list[str]:
        self.made += 1
        item_id = wished if wished is not None and self.keeps_ids else f"theirs_{self.made}"
        self.items[item_id] = item | {"id": item_id}
        names = ("created",) if self.dialect == "beta" else ("added", "done")
        item = self.items[item_id]
        return [frame(f"conversation.item.{name}", item=item) for name in names]

    def _respond(self, event: Json) -> list[str]:
        texts = [one["content"][0]["text"] for one in self.items.values()]
        self.seen.append(texts)
        number = len(self.seen)
        if number in self.rejected:
            return [self._error(event, "invalid_value")]
        answer = message(f"answer to {texts[-1]}", self.dialect)
        announced = self._announce(answer)
        item = list(self.items.values())[-1]
        begun = {"id": f"p{number}", "status": "in_progress"}
        return [
            frame("response.created", response=begun),
            *(announced if self.speaks_of_replies else ()),
            done(f"p{number}", None, output=[item]),
        ]

    def _error(self, event: Json, code: str) -> str:
        return error_frame(event["event_id"] if self.names_events else None, code)


def run(
    connection: RealtimeConnection,
    server: OneConversation,
    frames: tuple[str, ...],
    between: list[str] | None = None,
) -> list[Event]:
    """Pass frames to and fro until nobody has anything to say.

    Args:
        connection: The client's side.
        server: The other one.
        frames: Where to begin.
        between: Frames that come in between, one before each of the server's.
    """
    noise = deque(between or ())
    to_server, events = deque(frames), list[Event]()
    to_client: deque[str] = deque()
    while to_server or to_client:
        if to_server:
            to_client.extend(server.hear(to_server.popleft()))
            continue
        found = feed(connection, *([noise.popleft()] if noise else []), to_client.popleft())
        to_server.extend(event.frame for event in found if isinstance(event, FrameDue))
        events += found
    return events


def ask(connection: RealtimeConnection, *rids: str) -> tuple[str, ...]:
    """Ask for these requests; return what is to be sent at once."""
    return tuple(text for rid in rids for text in connection.ask(request(rid)))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_turn_in_whole(dialect: str) -> None:
    """Item, response, answer, deletion of both items; the second request waits for all of it."""
    connection, server = in_turns(dialect), OneConversation(dialect)
    (first,) = ask(connection, "r1", "r2")
    assert "conversation.item.create" == json.loads(first)["type"]
    events = run(connection, server, (first,))
    sent = [json.loads(event.frame) for event in events if isinstance(event, FrameDue)]
    turn = ["response.create", "conversation.item.delete", "conversation.item.delete"]
    assert [*turn, "conversation.item.create", *turn] == [one["type"] for one in sent]
    assert {"conversation", "input", "metadata"}.isdisjoint(sent[0]["response"])
    assert {rid: f"answer to {request(rid).ask.content}" for rid in ("r1", "r2")} == (
        answers(events)
    )
    assert ((), {}, []) == (connection.waiting, server.items, breaches(events))
    begun = [event.request_id for event in events if isinstance(event, Begun)]
    assert ["r1", "r2"] == begun


@settings(max_examples=300, deadline=None)
@given(data=st.data(), dialect=st.sampled_from(DIALECTS))
def test_no_request_ever_sees_or_gets_what_is_anothers(data: st.DataObject, dialect: str) -> None:
    """Whatever ids the server gives, whatever it refuses, and whatever comes a second time."""
    count = data.draw(st.integers(1, 5))
    server = OneConversation(
        dialect,
        keeps_ids=data.draw(st.booleans()),
        names_events=data.draw(st.booleans()),
        rejected=data.draw(st.frozensets(st.integers(1, count), max_size=2)),
        speaks_of_replies=data.draw(st.booleans()),
    )
    connection = in_turns(dialect)
    answered = sorted(set(range(1, count + 1)) - server.rejected)
    stale = [
        frame("response.created", response={"id": f"p{number}", "status": "in_progress"})
        for number in answered
    ]
    wrong = [message("a wrong text")]
    stale += [done(f"p{number}", None, output=wrong) for number in (*answered, 99)]
    stale += [frame("brand.new"), frame("response.output_text.delta", delta="x")]
    frames = ask(connection, *(f"r{number}" for number in range(count)))
    first = run(connection, server, frames)
    later = ask(connection, "last")
    noise = data.draw(st.lists(st.sampled_from(stale), max_size=12))
    events = first + run(connection, server, later, noise)
    rids = [*(f"r{number}" for number in range(count)), "last"]
    found, ended = answers(events), endings(events)
    assert all(text == f"answer to {request(rid).ask.content}" for rid, text in found.items())
    assert sorted(rids) == sorted([*found, *ended])
    assert [1] * len(server.seen) == [len(texts) for texts in server.seen]
    assert {} == server.items


def test_a_reply_without_a_creation_in_the_turn_is_given_to_nobody() -> None:
    """The end of a response of before, or of one that was never announced."""
    connection = in_turns()
    (first,) = ask(connection, "r1")
    item = json.loads(first)["item"]
    feed(connection, done("p9", None), frame("response.created", response={"id": "p8"}))
    feed(connection, frame("conversation.item.added", item=item))
    events = feed(connection, done("p8", None), frame("response.created", response={"id": "p8"}))
    assert ([Breach.LATE_REPLY], {}) == (breaches(events), answers(events))
    events = feed(
        connection,
        frame("response.created", response={"id": None}),
        frame("response.created", response={"id": "p1"}),
        done("p2", None),
    )
    assert ([Breach.UNKNOWN_REPLY], ("r1",)) == (breaches(events), connection.waiting)
    assert {"r1": "answer to None"} == answers(feed(connection, done("p1", None)))


def test_a_refused_item_ends_its_request_only() -> None:
    """Nothing is left to delete but what the server may have taken all the same."""
    connection = in_turns()
    ask(connection, "r1", "r2")
    events = feed(connection, error_frame("turn-1", "invalid_value"))
    assert [RequestRejected] == [type(error) for error in endings(events).values()]
    (next_turn,) = [event.frame for event in events if isinstance(event, FrameDue)]
    assert request("r2").ask.content == json.loads(next_turn)["item"]["content"][0]["text"]


def test_a_server_that_does_not_delete_closes_the_route() -> None:
    """Else every request would see the chunks of those before."""
    connection = in_turns()
    (first,) = ask(connection, "r1", "r2")
    item = json.loads(first)["item"]
    feed(connection, frame("conversation.item.added", item=item))
    feed(connection, frame("response.created", response={"id": "p1"}), done("p1", None))
    events = feed(connection, error_frame(f"delete-{item['id']}", "invalid_value"))
    assert {"r2": RouteClosed} == {rid: type(one) for rid, one in endings(events).items()}
    assert isinstance(events[-1], ConnectionFault) and "deletes items" in str(events[-1].error)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_giving_up_a_turn_ends_the_session(is_cancelled: bool) -> None:
    """What still comes could be taken for the next one's; who waited has sent nothing."""
    connection = in_turns()
    ask(connection, "r1", "r2")
    events = connection.cancel("r1") if is_cancelled else connection.forget("r1")
    error = endings(list(events))["r2"]
    assert isinstance(error, TransportError)
    assert (Ending.UNSENT, "turn_given_up") == (error.ending, error.code)
    assert connection.is_closed


def test_giving_up_while_a_deletion_is_not_confirmed_ends_the_session() -> None:
    """A server that never confirms would hold everybody up for as long as the session lives."""
    connection = in_turns()
    (frame_sent,) = ask(connection, "r1", "r2", "r3")
    item = json.loads(frame_sent)["item"]
    feed(connection, frame("conversation.item.added", item=item))
    feed(connection, frame("response.created", response={"id": "p1", "status": "in_progress"}))
    feed(connection, done("p1", None, output=[message("answer")]))
    assert ("r2", "r3") == connection.waiting
    error = endings(list(connection.cancel("r2")))["r3"]
    assert isinstance(error, TransportError)
    assert (Ending.UNSENT, "turn_given_up") == (error.ending, error.code)
    assert connection.is_closed


def test_giving_up_while_waiting_for_the_turn_changes_nothing_else() -> None:
    """The request leaves the line."""
    connection, server = in_turns(), OneConversation()
    frames = ask(connection, "r1", "r2", "r3")
    assert () == connection.cancel("r2")
    events = run(connection, server, frames)
    assert {"r1", "r3"} == answers(events).keys()
    assert 2 == len(server.seen)


def test_a_lost_socket_tells_apart_what_was_sent() -> None:
    """Only the one that was asked may have been paid."""
    connection = in_turns()
    (first,) = ask(connection, "r1", "r2")
    feed(connection, frame("conversation.item.added", item=json.loads(first)["item"]))
    errors = endings(list(connection.closed(1006, "")))
    assert {"r1": Ending.UNKNOWN, "r2": Ending.UNSENT} == {
        rid: error.ending for rid, error in errors.items()
    }


def test_an_unusable_reply_ends_the_request_and_the_turn_goes_on() -> None:
    """A defect is the scheduler's business; the conversation is cleaned as always."""
    connection = in_turns()
    (first,) = ask(connection, "r1", "r2")
    feed(connection, frame("conversation.item.added", item=json.loads(first)["item"]))
    feed(connection, frame("response.created", response={"id": "p1"}))
    events = feed(connection, done("p1", None, status="odd"))
    assert isinstance(endings(events)["r1"], AnswerDefect)
    assert [FrameDue] == [type(event) for event in events[1:]]


def test_a_server_that_floods_the_conversation_closes_the_route() -> None:
    """What has to be remembered and deleted is bounded."""
    connection = in_turns()
    (first,) = ask(connection, "r1")
    feed(connection, frame("conversation.item.added", item=json.loads(first)["item"]))
    flood = [frame("conversation.item.added", item={"id": f"i{n}"}) for n in range(MOST_ITEMS)]
    events = feed(connection, *flood)
    assert isinstance(endings(events)["r1"], RouteClosed) and connection.is_closed


def test_errors_between_the_turns_are_about_nothing() -> None:
    """They are counted, and the next request is asked as always."""
    connection, server = in_turns(), OneConversation()
    feed(connection, error_frame(None, "odd"))
    run(connection, server, ask(connection, "r1"))
    feed(connection, error_frame(None, "odd"), error_frame("r1", "odd"))
    assert {"error.odd": 3} == connection.ignored
    assert {"r2"} == answers(run(connection, server, ask(connection, "r2"))).keys()


def test_an_error_while_a_response_runs_is_not_taken_for_its_end() -> None:
    """Its end is the end of the response."""
    connection = in_turns()
    (first,) = ask(connection, "r1")
    feed(connection, frame("conversation.item.added", item=json.loads(first)["item"]))
    feed(connection, frame("response.created", response={"id": "p1"}), error_frame(None, "odd"))
    assert {"r1"} == answers(feed(connection, done("p1", None))).keys()


def test_an_id_is_used_once() -> None:
    """Waiting, asked or ended."""
    connection = in_turns()
    ask(connection, "r1", "r2")
    for rid in ("r1", "r2"):
        with pytest.raises(LocalProtocolError):
            ask(connection, rid)


def test_an_unreadable_output_leaves_the_turns_item_to_delete() -> None:
    """The request ends with a defect, and the rest of the turn is as always."""
    connection = in_turns()
    (first,) = ask(connection, "r1")
    item = json.loads(first)["item"]
    feed(connection, frame("conversation.item.added", item=item))
    feed(connection, frame("response.created", response={"id": "p1"}))
    ended, due = feed(connection, done("p1", None, output=5))
    assert isinstance(endings([ended])["r1"], AnswerDefect) and isinstance(due, FrameDue)
    assert item["id"] == json.loads(due.frame)["item_id"]


def test_ids_are_kept_within_bounds() -> None:
    """A run of any length needs the same memory; the oldest ids are forgotten."""
    connection, server = in_turns(), OneConversation()
    for number in range(REMEMBERED_IDS // 2 + 1):
        run(connection, server, ask(connection, f"n{number}"))
    assert {"n0"} == answers(run(connection, server, ask(connection, "n0"))).keys()


def test_the_repr_shows_the_turn() -> None:
    """A failing test prints who waits."""
    connection = in_turns()
    ask(connection, "r1", "r2")
    assert "<Turns creating, turn 1, waiting ['r1', 'r2']>" == repr(connection._asking)
