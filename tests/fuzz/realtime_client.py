"""The client's Realtime connection against a server gone wrong; see `books` for the oracle."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from analysis.errors import LocalProtocolError
from analysis.wire.dialects import BETA, GA, SERVER_EVENTS
from analysis.wire.events import (
    Answered,
    ConnectionFault,
    Event,
    FrameDue,
    ItemConfirmed,
    ItemRefused,
    LimitsSeen,
    RequestEnded,
)
from analysis.wire.realtime import RealtimeConnection
from analysis.wire.session import ContextItem
from tests.fuzz.bodies import check_ending, check_usage
from tests.fuzz.books import Books
from tests.fuzz.course import Course
from tests.fuzz.dice import Dice
from tests.wire.examples import (
    SETTINGS,
    call,
    created,
    default_session,
    done,
    effective_session,
    error_frame,
    frame,
    message,
    passing,
    request,
)

MOST_STEPS = 80

CONTEXTS = (
    (),
    (ContextItem(role="system", text="Topic: cycling"),),
    (ContextItem(role="user", text="a"), ContextItem(role="assistant", text="b")),
)
CODES = ("session_expired", "unknown_parameter", "rate_limit_exceeded", "server_error", "x")
PARAMS = ("session.tools", "response.conversation", "response.metadata", None)
HAND_NAMES = ("session.created", "session.updated", "response.created", "response.done", "error")
NAMES = (*HAND_NAMES, "rate_limits.updated", *sorted(SERVER_EVENTS)[:200], "unheard.of")
# A server cannot name a request before it was asked: ids of requests are 64 random bits.
WORDS = (
    *(f"p{number}" for number in range(4)),
    *("item_own_1", "item_own_2", "turn-1", "session-1", "context-item_own_1"),
    *("id", "type", "response", "metadata", "rid", "status", "output", "usage", "error", "code"),
    *("event_id", "item", "item_id", "session", "rate_limits", "status_details", "arguments"),
    *("completed", "incomplete", "failed", "cancelled", "max_output_tokens", "content_filter"),
    *("function_call", "message", "output_text", "text", "set_labels", "user", "reason", *CODES),
    *(name for name in PARAMS if name),
)

Connect = Callable[..., RealtimeConnection]


class Peer:
    """An orderly server: the client's frames in, its own frames out.

    Args:
        dialect: That it speaks.
        has_metadata: It gives the metadata of a request back.
        gives_ids: It takes the client's ids of items; else it gives its own.
    """

    def __init__(self, dialect: str, *, has_metadata: bool, gives_ids: bool) -> None:
        self.dialect = dialect
        self._has_metadata = has_metadata
        self._gives_ids = gives_ids
        self._responses = 0
        self._items = 0

    def greeting(self) -> list[str]:
        """Return what it says first."""
        frames = [frame("session.created", session=default_session(self.dialect))]
        if self.dialect == "beta":
            frames.append(frame("conversation.created", conversation={"id": "conv_1"}))
        return frames

    def answer(self, event: Any, dice: Dice) -> list[str]:
        """Return what it says to one event of the client."""
        match event["type"]:
            case "session.update":
                return [frame("session.updated", session=effective_session(self.dialect))]
            case "response.create":
                return self._response(event, dice)
            case "response.cancel":
                rid = event["event_id"].removeprefix("cancel-")
                return [done(event["response_id"], rid, status="cancelled", output=[])]
            case "conversation.item.create" | "conversation.item.delete" if dice.happens(8):
                return [error_frame(event["event_id"], dice.pick(CODES))]
            case "conversation.item.create":
                return self._created(event)
            case "conversation.item.delete":
                return [frame("conversation.item.deleted", item_id=event["item_id"])]
            case _:
                item = {"id": event["item_id"], "type": "message", "role": "user"}
                return [frame("conversation.item.retrieved", item=item)]

    def _created(self, event: Any) -> list[str]:
        item = dict(event["item"])
        if self._gives_ids:
            self._items += 1
            item["id"] = f"item_served_{self._items}"
        ends = ("created",) if self.dialect == "beta" else ("added", "done")
        return [frame(f"conversation.item.{end}", item=item) for end in ends]

    def _response(self, event: Any, dice: Dice) -> list[str]:
        kind = dice.below(10)
        if kind == 9:
            named = event["event_id"] if dice.below(2) == 0 else None
            return [error_frame(named, dice.pick(CODES), param=dice.pick(PARAMS))]
        number = self._responses
        self._responses += 1
        response_id = f"p{number}"
        rid = event["event_id"] if self._has_metadata else None
        text = "mark-0"
        output = [call(text)] if number % 2 == 0 else [message(text, self.dialect)]
        output = [{"id": f"item_answer_{number}"} | item for item in output]
        changes: dict[str, Any] = {"output": output}
        if kind in (7, 8):
            reason = dice.pick(("max_output_tokens", "content_filter", "turn_detected"))
            status = dice.pick(("incomplete", "failed", "cancelled"))
            error = {"type": "server_error", "code": dice.pick(CODES), "message": "words"}
            changes |= {"status": status, "status_details": {"reason": reason, "error": error}}
        middle = [
            one.replace('"item_1"', f'"item_answer_{number}"')
            for one in passing(response_id, text, self.dialect)
        ]
        limit = {"name": "tokens", "limit": 9, "remaining": 5, "reset_seconds": 1.5}
        limits = frame("rate_limits.updated", rate_limits=[limit])
        return [created(response_id, rid), *middle, done(response_id, rid, **changes), limits]


class Client:
    """A connection, what it owes, and the server at the other end."""

    def __init__(self, dice: Dice, connection: RealtimeConnection, peer: Peer) -> None:
        self.connection = connection
        self.books = Books()
        self.course = Course(dice, list(WORDS), NAMES)
        self._dice = dice
        self._peer = peer
        self._takes_turns = not peer._has_metadata
        self._settled: set[str] = set()
        self._operations: set[str] = set()
        self._asked = 0
        self._current: str | None = None
        self._is_faulted = False
        self._queue(peer.greeting())

    def step(self) -> None:
        """Do one thing by chance, and compare."""
        match self._dice.below(16):
            case 12:
                self._drop()
            case 13:
                self._item()
            case 14:
                self._configure()
            case 15 | 11:
                self._ask()
            case _:
                self._receive()
        self.books.compare(self.connection.waiting)

    def finish(self) -> None:
        """Close the socket; nobody may be left waiting."""
        reason = self._dice.pick(("", "server_error", "invalid_request_error.invalid_api_key"))
        code = self._dice.pick((1006, 1000, 1001, 1011, 4000, 3000))
        if self._dice.below(2):
            self._hear(self.connection.given_up("silent", "silence"))
        else:
            self._hear(self.connection.closed(code, reason))
        assert not self.books.open and not self.connection.waiting
        assert not self._operations, f"operations without end: {self._operations}"
        assert self.connection.is_closed and self._is_faulted
        assert () == self.connection.receive(self._peer.greeting()[0])
        assert () == self.connection.closed(code, reason)

    def _queue(self, frames: list[str]) -> None:
        self.course.due += [json.loads(one) for one in frames]

    def _send(self, text: str) -> None:
        event = json.loads(text)
        if event["type"] == "response.create":
            self._current = event["event_id"]
        self._queue(self._peer.answer(event, self._dice))

    def _receive(self) -> None:
        sent, is_pristine = self.course.next_frame()
        if isinstance(sent, bytes):
            self._hear(self.connection.receive(sent))
            return
        response = sent.get("response") if isinstance(sent, dict) else None
        if isinstance(response, dict) and sent.get("type") == "response.created":
            self._tie(response, is_pristine=is_pristine)
        owners = self.books.owners(response, by_rid=not self._takes_turns)
        text = self.books.written(sent, owners, self._dice)
        self._hear(self.connection.receive(text))

    def _tie(self, response: Any, *, is_pristine: bool) -> None:
        response_id = response.get("id")
        if not isinstance(response_id, str) or response_id in self._settled:
            return
        if self._takes_turns:
            self.books.tie(response_id, self._current)
        else:
            for rid in self.books.owners(response):
                self.books.tie(response_id, rid)
        if is_pristine:
            self._settled.add(response_id)

    def _hear(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Answered():
                    check_usage(event.reply.usage)
                    self.books.ended(event.request_id, event.reply.text)
                case RequestEnded():
                    check_ending(event.error)
                    self.books.ended(event.request_id)
                case LimitsSeen():
                    for limit in event.limits:
                        assert all(float(n or 0) < math.inf for n in (limit.limit, limit.remaining))
                case FrameDue():
                    self._send(event.frame)
                case ItemConfirmed() | ItemRefused():
                    self._end_operation(event.event_id)
                case ConnectionFault():
                    assert not self._is_faulted and not self.books.open
                    self._is_faulted = True

    def _end_operation(self, name: str) -> None:
        """Note the end of an operation of ours; those of the connection itself end at its end."""
        if name.startswith("own-") or not self.connection.is_closed:
            assert name in self._operations, f"{name} ended twice, or was never asked"
            self._operations.discard(name)

    def _ask(self) -> None:
        if not self.connection.is_ready:
            return self._configure()
        rid = f"r{self._asked}"
        self._asked += 1
        self.books.asked(rid)
        self.course.words += [rid, f"cancel-{rid}"]
        for text in self.connection.ask(request(rid)):
            self._send(text)

    def _drop(self) -> None:
        waiting = self.connection.waiting
        if not waiting:
            return
        rid = self._dice.pick(waiting[:256])
        self.books.dropped(rid)
        if self._dice.below(2):
            self._hear(self.connection.forget(rid))
        else:
            self._hear(self.connection.cancel(rid))

    def _configure(self) -> None:
        settings = replace(SETTINGS, context=self._dice.pick(CONTEXTS))
        try:
            text = self.connection.configure(settings)
        except LocalProtocolError:
            return
        self._send(text)

    def _item(self) -> None:
        if not self.connection.is_ready:
            return
        name = f"own-{self._asked}-{len(self._operations)}"
        if name in self._operations:
            return
        item_id = self._dice.pick(("item_own_1", "item_served_1", "item_answer_0"))
        match self._dice.below(3):
            case 0:
                text = self.connection.create_item(name, ContextItem(role="user", text="t"))
            case 1:
                text = self.connection.delete_item(name, item_id)
            case _:
                text = self.connection.retrieve_item(name, item_id)
        self._operations.add(name)
        self._send(text)


def _run(content: bytes, dialect: str, *, takes_turns: bool, connect: Connect) -> None:
    dice = Dice(content)
    may_take_turns = not takes_turns and dice.happens(2)
    forced = dice.pick(("auto", dialect))
    peer = Peer(dialect, has_metadata=not takes_turns, gives_ids=takes_turns and dice.happens(2))
    connection = connect(forced, takes_turns=takes_turns, may_take_turns=may_take_turns)
    client = Client(dice, connection, peer)
    for _ in range(MOST_STEPS):
        if dice.is_spent or connection.is_closed:
            break
        client.step()
    if not connection.is_closed:
        client.finish()


def ga(content: bytes, connect: Connect = RealtimeConnection) -> None:
    """Many requests at once in the GA dialect."""
    _run(content, GA.name, takes_turns=False, connect=connect)


def beta(content: bytes, connect: Connect = RealtimeConnection) -> None:
    """Many requests at once in the beta dialect."""
    _run(content, BETA.name, takes_turns=False, connect=connect)


def turns(content: bytes, connect: Connect = RealtimeConnection) -> None:
    """One request at a time, in either dialect."""
    dialect = (GA.name, BETA.name)[content[-1] % 2 if content else 0]
    _run(content, dialect, takes_turns=True, connect=connect)
