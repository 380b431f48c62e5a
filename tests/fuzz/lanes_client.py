"""The client's lanes against a server gone wrong; see `books` for the oracle."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from analysis.wire.events import Answered, ConnectionFault, LimitsSeen, RequestEnded
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.lane_frames import ENDS, PASSING, AskAgain, LaneEvent
from analysis.wire.lanes import LANES, LanesConnection
from tests.fuzz.bodies import check_ending, check_usage
from tests.fuzz.books import Books
from tests.fuzz.course import Course
from tests.fuzz.dice import Dice
from tests.wire.examples import request
from tests.wire.lane_examples import completed, created, frame, item, passing, refusal, response

MOST_STEPS = 80

PIECES = ("response.output_item.done", "response.output_text.done", "response.refusal.done")
CODES = (
    "websocket_connection_limit_reached",
    "websocket_stream_limit_reached",
    "invalid_stream_id",
    "unknown_parameter",
    "unsupported_parameter",
    "rate_limit_exceeded",
    "server_error",
    "invalid_api_key",
    "insufficient_quota",
    "x",
)
PARAMS = ("stream_id", "prompt_cache_options", "temperature", "text.format", "metadata", None)
MESSAGES = ("Unknown parameter: 'temperature'.", "unsupported stream_id", "try again in 5s", "no")
HEADERS = {"x-ratelimit-limit-tokens": "5", "x-ratelimit-reset-tokens": "6ms", "retry-after": "1"}
NAMES = (*ENDS, "response.created", "error", *PIECES, *sorted(PASSING), "unheard.of")
WORDS = (
    *(f"p{number}" for number in range(4)),
    *("w00", "w01", "w31", "id", "type", "stream_id", "response", "metadata", "rid", "status"),
    *("output", "usage", "error", "code", "param", "message", "headers", "status_code", "item"),
    *("text", "refusal", "content", "output_text", "service_tier", "incomplete_details", "reason"),
    *("completed", "incomplete", "failed", "cancelled", "max_output_tokens", *CODES),
    *(name for name in PARAMS if name),
)

Connect = Callable[..., LanesConnection]


class Peer:
    """An orderly server: the client's frames in, its own frames out.

    Args:
        names_lanes: It repeats the name of a lane.
        has_metadata: It gives the metadata of a request back.
    """

    def __init__(self, *, names_lanes: bool, has_metadata: bool) -> None:
        self._names_lanes = names_lanes
        self._has_metadata = has_metadata
        self._responses = 0

    def answer(self, event: Any, dice: Dice) -> list[str]:
        """Return what it says to one request."""
        name = event.get("stream_id") if self._names_lanes else None
        rid = event.get("metadata", {}).get("rid") if self._has_metadata else None
        kind = dice.below(12)
        if kind >= 10:
            named = name if dice.below(2) == 0 else None
            return [self._refusal(named, dice)]
        response_id = f"p{self._responses}"
        self._responses += 1
        begun = created(response_id, rid, name)
        middle = passing(name, "mark-0")
        if kind == 9:
            middle.append(frame("response.refusal.done", name, refusal="mark-0"))
        output = [] if kind == 8 else [item("mark-0")]
        if kind in (6, 7):
            status = dice.pick(("incomplete", "failed"))
            reason = dice.pick(("max_output_tokens", "content_filter", "x"))
            error = {"code": dice.pick(CODES), "message": "words"}
            details = {"incomplete_details": {"reason": reason}, "error": error}
            ended = response(response_id, rid, status=status, output=output, **details)
            return [begun, *middle, frame(f"response.{status}", name, response=ended)]
        return [begun, *middle, completed(response_id, rid, name, output=output)]

    def _refusal(self, name: str | None, dice: Dice) -> str:
        code, param = dice.pick(CODES), dice.pick(PARAMS)
        fields: dict[str, Any] = {"message": dice.pick(MESSAGES), "param": param}
        fields |= {"status": dice.pick((400, 422, 429, 500, 401, None))}
        if dice.happens(3):
            return frame("error", name, code=code, headers=HEADERS, **fields)
        return refusal(code, name, headers=HEADERS, **fields)


class Client:
    """A connection, what it owes, and the server at the other end."""

    def __init__(self, dice: Dice, connection: LanesConnection, peer: Peer) -> None:
        self.connection = connection
        self.books = Books()
        self.course = Course(dice, list(WORDS), NAMES)
        self._dice = dice
        self._peer = peer
        self._asked = 0
        self._lanes: dict[str, str | None] = {}
        self._holders: dict[str | None, str] = {}
        self._again: list[tuple[str, Form]] = []
        self._is_faulted = False

    def step(self) -> None:
        """Do one thing by chance, and compare."""
        match self._dice.below(8):
            case 6:
                self._drop()
            case 7 | 5:
                self._ask()
            case _:
                self._receive()
        self.books.compare(self.connection.waiting)
        assert 0 <= self.connection.room <= LANES

    def finish(self) -> None:
        """Close the socket; nobody may be left waiting."""
        code = self._dice.pick((1006, 1000, 1001, 1011, 4000, 3000))
        self._hear(self.connection.closed(code, self._dice.pick(("", "x", "server_error"))))
        assert not self.books.open and not self.connection.waiting
        assert self.connection.is_closed and self._is_faulted and not self.connection.room
        assert () == self.connection.receive(created("p0", "r0", "w00"))
        assert () == self.connection.closed(code, "")

    def _ask(self) -> None:
        if not self.connection.room:
            return
        rid, form = self._again.pop() if self._again else (f"r{self._asked}", STRICTEST)
        if rid not in self._lanes:
            self._asked += 1
            self.course.words.append(rid)
        self.books.asked(rid)
        is_warm_up = self._dice.happens(8)
        event = json.loads(self.connection.ask(request(rid), form=form, is_warm_up=is_warm_up))
        name = event.get("stream_id")
        self._lanes[rid] = name
        self._holders[name] = rid
        self.course.due += [json.loads(one) for one in self._peer.answer(event, self._dice)]

    def _drop(self) -> None:
        waiting = self.connection.waiting
        if waiting:
            rid = self._dice.pick(waiting)
            self.books.dropped(rid)
            self.connection.forget(rid)

    def _receive(self) -> None:
        sent, _ = self.course.next_frame()
        if isinstance(sent, bytes):
            self._hear(self.connection.receive(sent))
            return
        text = self.books.written(sent, self._owners(sent), self._dice)
        self._hear(self.connection.receive(text))

    def _owners(self, sent: Any) -> set[str]:
        """Return whose text a frame holds: finished parts bear no name but that of the lane."""
        if not isinstance(sent, dict):
            return set()
        name, found = sent.get("stream_id"), sent.get("response")
        if sent.get("type") in PIECES:
            return {rid for rid, lane in self._lanes.items() if lane == name}
        if sent.get("type") == "response.created" and isinstance(found, dict):
            owners = self.books.owners(found)
            holder = self._holders.get(name) if isinstance(name, str | None) else None
            rids = owners & self._lanes.keys() or ({holder} if holder is not None else set())
            for rid in rids:
                self.books.tie(found.get("id"), rid)
        return self.books.owners(found)

    def _hear(self, events: tuple[LaneEvent, ...]) -> None:
        for event in events:
            match event:
                case Answered():
                    check_usage(event.reply.usage)
                    self.books.ended(event.request_id, event.reply.text)
                case RequestEnded():
                    check_ending(event.error)
                    self.books.ended(event.request_id)
                case AskAgain():
                    self.books.ended(event.request_id)
                    self._again.append((event.request_id, event.form))
                case LimitsSeen():
                    assert event.limits
                case ConnectionFault():
                    assert not self._is_faulted and not self.books.open
                    self._is_faulted = True


def lanes(content: bytes, connect: Connect = LanesConnection) -> None:
    """One socket of the Responses API, with lanes or without."""
    dice = Dice(content)
    connection = connect(has_lanes=not dice.happens(4))
    peer = Peer(names_lanes=not dice.happens(8), has_metadata=not dice.happens(4))
    client = Client(dice, connection, peer)
    for _ in range(MOST_STEPS):
        if dice.is_spent or connection.is_closed:
            break
        client.step()
    if not connection.is_closed:
        client.finish()
