"""One WebSocket of the Responses API as a state machine; replies are matched by id only.

Pure. `transport/lanes.py` feeds it frames and acts on the events it returns. It never raises on
what the peer sends; `LocalProtocolError` means that our own side misused it.

Theory of operation. A request travels in a lane, a name that the server repeats in every event of
its response. Lanes run side by side, inside one the server works first in, first out. A socket
takes 16 responses at once and 32 names in its whole life, so there are 16 names, each is used again
and again, and a lane has one request at a time:

    lane      input                                   next      events
    free      ask()                                   asked     (frame)
    asked     response.created of ours                begun     Begun
    asked, begun   terminal event of ours             free      Answered | RequestEnded
    asked, begun   error that names the lane          free      RequestEnded | AskAgain
    asked, begun   forget()                           left      -
    asked, begun   ids that contradict each other     left      Violation, RequestEnded
    left      terminal event or error of its request  free      Violation (a late reply)
    any       closed()                                -         RequestEnded..., ConnectionFault

A reply has three ids: the lane's name, our own id in `metadata.rid`, and the response's id, which
`response.created` binds to a lane. A reply needs two that agree, or ours alone. If it names two
requests, or one request and an id that is not its own, nobody gets it, and those requests end. If
both its own ids are foreign, it is nobody's, whatever lane it came in; a socket on which that
happens again and again gets no more work. A lane is given away again only after the server has said
that it is done with it.

Without lanes (`has_lanes=False`) there is one request at a time and no name in any frame. Servers
that refuse names, or leave them out of their events, make `has_lanes` false; whoever opens sockets
opens the next ones without.

`websocket_connection_limit_reached` is the end of the socket's life, an unplanned rotation. It
names no lane, so it is open which request it answers: those that have begun go on until the socket
closes, and those that have not end as unknown, since the server may have begun them all the same.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import msgspec

from analysis.errors import (
    AnswerDefect,
    LocalProtocolError,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Request, TextReply
from analysis.wire import failures, responses
from analysis.wire.events import (
    Answered,
    Begun,
    Breach,
    ConnectionFault,
    Ignored,
    LimitsSeen,
    RequestEnded,
    Violation,
)
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.lane_frames import (
    ENDS,
    PASSING,
    PASSING_STARTS,
    AskAgain,
    Events,
    Ids,
    LaneError,
    LaneEvent,
    ids_of,
    items_of,
    peek,
    read_error,
    response_of,
)

LANES = 16
"""Responses at once on one socket; the names are below the limit of 32. Source: OpenAI guide
"WebSocket mode", autumn 2026."""

WORN_SHARE = 4
"""A socket is worn when one in so many lanes waits in vain for the end of a request that is over
for us: the server counts it among its 16, and something is wrong with the server or the way."""

FOREIGN_REPLIES = 32
"""A socket on which so many replies were nobody's is worn; the next one may be in order."""

REMEMBERED_IDS = 8_192
"""Ids of ended requests and responses kept to tell a late reply from a foreign one."""

IGNORED_NAMES = 64
"""Names of ignored events that are counted one by one; the rest is counted together."""

NAME_LIMIT = 100
"""Characters kept of a name that a peer made up; ours have at most 64."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Lane:
    """A lane, and the request that it is busy with.

    Attributes:
        name: Sent as `stream_id`, or None.
        rid: Id of the request, or None if the lane is free.
        form: In which it was asked.
        response_id: Of the response that has begun.
        is_left: The request is over for us, but not for the server.
        is_warm_up: No text is expected.
        is_proven: The server has used the name.
        pieces: Frames that hold finished parts of the output.
    """

    name: str | None
    rid: str | None = None
    form: Form = STRICTEST
    response_id: str | None = None
    is_left: bool = False
    is_warm_up: bool = False
    is_proven: bool = False
    pieces: list[bytes | str] = field(default_factory=list)


class LanesConnection:
    """One socket; see the module docstring.

    Args:
        has_lanes: Requests name lanes; else there is one at a time.
        temperature: Sent to models that take one.
        service_tier: Sent with every request, or None.
        safety_identifier: Sent with every request, or None.
    """

    def __init__(
        self,
        *,
        has_lanes: bool = True,
        temperature: float = 0.0,
        service_tier: str | None = None,
        safety_identifier: str | None = None,
    ) -> None:
        self._temperature = temperature
        self._service_tier = service_tier
        self._safety_identifier = safety_identifier
        self._is_named = has_lanes
        names = [f"w{number:02}" for number in range(LANES)] if has_lanes else [None]
        self._lanes = {name: _Lane(name=name) for name in names}
        self._free = deque(self._lanes.values())
        self._busy: dict[str, _Lane] = {}
        self._bound: dict[str, _Lane] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._unnamed = self._foreign = self._left = self._asked = 0
        self._is_unsafe = False
        self.is_expiring = False
        self.is_closed = False
        self.has_lanes = has_lanes
        self.service_tier: str | None = None
        self.ignored: dict[str, int] = {}
        ends = {kind: partial(self._on_end, status) for kind, status in ENDS.items()}
        self._handlers: dict[str, Callable[[bytes | str, str | None], Events]] = {
            **ends,
            "response.created": self._on_created,
            "response.output_item.done": self._on_piece,
            "response.output_text.done": self._on_piece,
            "response.refusal.done": self._on_piece,
            "error": self._on_error,
        }

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "worn" if self.is_worn else "open"
        return f"<LanesConnection {state}, {len(self._free)} free, waiting {list(self.waiting)}>"

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the requests that have no ending yet, in the order of asking."""
        return tuple(rid for rid, lane in self._busy.items() if not lane.is_left)

    @property
    def room(self) -> int:
        """How many more requests may be asked now."""
        return 0 if self.is_closed or self.is_worn else len(self._free)

    @property
    def is_worn(self) -> bool:
        """Whether no request may be given to it any more; those that wait may still be answered."""
        return (
            self.is_expiring
            or self._is_unsafe
            or self._foreign >= FOREIGN_REPLIES
            or self.has_lanes != self._is_named
            or self._left * WORN_SHARE >= len(self._lanes)
        )

    def ask(self, request: Request, *, form: Form = STRICTEST, is_warm_up: bool = False) -> str:
        """Return the frame that asks.

        Args:
            request: The question.
            form: How it is asked.
            is_warm_up: Nothing is to be generated; the server prepares instructions and schema.

        Raises:
            LocalProtocolError: If there is no room, or the id was used on this socket before.
        """
        rid = request.request_id
        if not self.room:
            raise LocalProtocolError("ask() without room.")
        if rid in self._busy or rid in self._ended:
            raise LocalProtocolError(f"Request id {rid} was used before.")
        lane = self._free.popleft()
        lane.rid, lane.form, lane.is_warm_up = rid, form, is_warm_up
        self._busy[rid] = lane
        self._asked += 1
        frame: dict[str, object] = {"type": "response.create"}
        if lane.name is not None:
            frame["stream_id"] = lane.name
        if is_warm_up:
            frame["generate"] = False
        body = responses.body(
            request,
            form=form,
            temperature=self._temperature,
            service_tier=self._service_tier,
            safety_identifier=self._safety_identifier,
        )
        return msgspec.json.encode(frame | body).decode()

    def forget(self, request_id: str) -> None:
        """Drop a request whose caller is gone; its lane stays busy until the server ends it."""
        lane = self._busy.get(request_id)
        if lane is not None:
            self._leave(lane)

    def receive(self, frame: bytes | str) -> Events:
        """Return what one frame means; never raises, whatever the frame holds."""
        if self.is_closed or (type(frame) is bytes and frame.startswith(PASSING_STARTS)):
            return ()
        try:
            kind, name = peek(frame)
        except responses.BAD_JSON as error:
            return (Violation(reason=Breach.MALFORMED, detail=type(error).__name__),)
        if kind in PASSING:
            return ()
        handler = self._handlers.get(kind)
        if handler is None:
            return self._ignore(kind)
        try:
            return handler(frame, name)
        except responses.BAD_JSON as error:
            return self._spoiled(kind, name, type(error).__name__)

    def closed(self, code: int, reason: str) -> Events:
        """Return the endings of all waiting requests after the socket closed."""
        if self.is_closed:
            return ()
        return self._shut(lambda: failures.at_close(code, reason))

    # Whose frame it is

    def _on_created(self, frame: bytes | str, name: str | None) -> Events:
        ids = ids_of(response_of(frame))
        lane, events = self._owner(name, ids, is_end=False)
        if lane is None or lane.rid is None or ids.id is None or lane.response_id is not None:
            return events
        lane.response_id = ids.id
        self._bound[ids.id] = lane
        return () if lane.is_left else (Begun(request_id=lane.rid),)

    def _owner(self, name: str | None, ids: Ids, *, is_end: bool) -> tuple[_Lane | None, Events]:
        """Return the lane that a response belongs to, or None and what is wrong with it."""
        is_named = name is not None or not self._is_named
        by_name = self._lanes.get(name) if is_named else None
        if by_name is not None and by_name.rid is None:
            by_name = None
        by_rid = self._busy.get(ids.rid) if ids.rid is not None else None
        by_id = self._bound.get(ids.id) if ids.id is not None else None
        claims = [lane for lane in (by_rid, by_name, by_id) if lane is not None]
        if by_rid is None and by_id is None and self._is_over(ids):
            return None, self._breach(Breach.LATE_REPLY, ids)
        is_foreign = (
            by_rid is None
            and by_id is None
            and (ids.rid is not None or by_name is None or by_name.response_id is not None)
        )
        if is_foreign:
            return None, self._nobody(ids)
        lane = claims[0]
        is_whole = (
            all(claim is lane for claim in claims)
            and (by_rid is not None or ids.rid is None)
            and (by_name is not None or not is_named)
            and (lane.response_id is None or ids.id in (None, lane.response_id))
            and (lane.response_id is not None or ids.id not in self._ended)
            and (by_rid is not None or by_id is not None or not is_end)
        )
        if not is_whole:
            return None, self._crossed(claims, ids)
        if not is_named:
            self.has_lanes = False
        lane.is_proven = lane.is_proven or name is not None
        return lane, ()

    def _is_over(self, ids: Ids) -> bool:
        """Tell whether a response is that of a request which has ended and left its lane."""
        return ids.rid in self._ended if ids.rid is not None else ids.id in self._ended

    def _crossed(self, lanes: Iterable[_Lane], ids: Ids) -> Events:
        """Nobody gets a reply whose ids contradict each other; all whom it names hear of it."""
        events: list[LaneEvent] = [*self._breach(Breach.CROSSED_IDS, ids)]
        for lane in dict.fromkeys(lanes):
            if lane.rid is not None and not lane.is_left:
                self._leave(lane)
                error = AnswerDefect(
                    f"The reply's ids contradict each other ({_described(ids)}); nobody gets it.",
                    defect="foreign_id",
                )
                events.append(RequestEnded(request_id=lane.rid, error=error))
        return tuple(events)

    def _nobody(self, ids: Ids) -> Events:
        """Count a reply that is nobody's; as many without our id as questions close the route."""
        self._foreign += 1
        self._remember(ids.id)
        seen = self._breach(Breach.UNKNOWN_REPLY, ids)
        if ids.rid is not None or self._bound or self._has_names():
            return seen
        self._unnamed += 1
        if not self.waiting or self._unnamed < self._asked:
            return seen
        return (*seen, *self._shut(_no_ids))

    def _has_names(self) -> bool:
        return any(lane.is_proven for lane in self._lanes.values())

    def _breach(self, reason: Breach, ids: Ids) -> Events:
        return (Violation(reason=reason, detail=_described(ids)),)

    # How a request ends

    def _on_piece(self, frame: bytes | str, name: str | None) -> Events:
        """Keep a part of the output, in case that the terminal event comes without."""
        lane = self._lanes.get(name)
        if lane is not None and lane.response_id is not None and not lane.is_left:
            lane.pieces.append(frame)
        return ()

    def _on_end(self, status: str, frame: bytes | str, name: str | None) -> Events:
        content = response_of(frame)
        ids = ids_of(content)
        lane, events = self._owner(name, ids, is_end=True)
        if lane is None or lane.rid is None:
            return events
        rid, is_left, is_warm_up = lane.rid, lane.is_left, lane.is_warm_up
        pieces = () if ids.has_output or is_left else items_of(lane.pieces)
        self._release(lane, ids.id)
        if is_left:
            return self._breach(Breach.LATE_REPLY, ids)
        try:
            answer = responses.read_object(
                content, request_id=rid, status=status, pieces=pieces, form=lane.form
            )
        except AnswerDefect as error:
            if is_warm_up and error.defect == "empty":
                reply = TextReply(text="", model="", usage=error.usage)
                return (Answered(request_id=rid, reply=reply),)
            return (RequestEnded(request_id=rid, error=error),)
        except (TransportError, RequestRejected) as error:
            return (RequestEnded(request_id=rid, error=error),)
        self.service_tier = answer.service_tier or self.service_tier
        return (Answered(request_id=rid, reply=answer.reply),)

    def _leave(self, lane: _Lane) -> None:
        """End a request for us; the lane waits until the server has ended it, too."""
        if lane.rid is not None and not lane.is_left:
            lane.is_left = True
            self._left += 1
            self._remember(lane.rid, lane.response_id)

    def _release(self, lane: _Lane, response_id: str | None = None) -> None:
        """End a request for good; the lane is free again, unless its name was taken away."""
        if lane.rid is None:
            return
        self._remember(lane.rid, lane.response_id, response_id)
        del self._busy[lane.rid]
        self._left -= lane.is_left
        if lane.response_id is not None:
            self._bound.pop(lane.response_id, None)
        lane.rid, lane.response_id, lane.is_left, lane.pieces = None, None, False, []
        if lane.name in self._lanes:
            self._free.append(lane)

    def _remember(self, *ids: str | None) -> None:
        for one in ids:
            if one is not None:
                self._ended[one] = None
        while len(self._ended) > REMEMBERED_IDS:
            self._ended.popitem(last=False)

    def _shut(self, fault: Callable[[], failures.Failure]) -> Events:
        """End everything; each ending gets an exception of its own, since tracebacks grow."""
        endings = [RequestEnded(request_id=rid, error=fault()) for rid in self.waiting]
        self.is_closed = True
        self._busy.clear()
        self._bound.clear()
        return (*endings, ConnectionFault(error=failures.unsent(fault())))

    def _spoiled(self, kind: str, name: str | None, detail: str) -> Events:
        """Count a frame that cannot be read; if it ended a request, say so to whoever waits."""
        violation = Violation(reason=Breach.MALFORMED, detail=detail)
        lane = self._lanes.get(name) if kind in ENDS or kind == "error" else None
        if lane is None or lane.rid is None:
            return (violation,)
        rid, is_left = lane.rid, lane.is_left
        self._release(lane)
        self._is_unsafe = self._is_unsafe or not self._is_named  # its answer may still come
        if is_left:
            return (violation,)
        error = AnswerDefect("The event has fields of a wrong type.", defect="malformed_reply")
        return (violation, RequestEnded(request_id=rid, error=error))

    def _ignore(self, name: str) -> Events:
        key = name[:NAME_LIMIT]
        if key not in self.ignored and len(self.ignored) >= IGNORED_NAMES:
            key = "other"
        self.ignored[key] = self.ignored.get(key, 0) + 1
        return (Ignored(type=key),)

    # Errors

    def _on_error(self, frame: bytes | str, name: str | None) -> Events:
        error = read_error(frame)
        limits = responses.limits(error.headers)
        seen: Events = (LimitsSeen(limits=limits),) if limits else ()
        lane = None if error.is_connection_limit else self._lanes.get(name)
        self.is_expiring = self.is_expiring or error.is_connection_limit
        if lane is not None and lane.is_left:
            self._release(lane)
            detail = f"error {error.name[:NAME_LIMIT]}"
            return (*seen, Violation(reason=Breach.LATE_REPLY, detail=detail))
        concerned = self._concerned(error) if lane is None else [lane]
        events = [
            event
            for one in concerned
            if one.rid is not None
            for event in self._refused(one, one.rid, error)
        ]
        return (*seen, *(events or self._ignore(f"error.{error.name}")))

    def _concerned(self, error: LaneError) -> list[_Lane]:
        """Return the lanes that an error without a name can only be about.

        It is about requests that have not begun: about all of them if each has the same fault,
        else it is clear only if there is just one.
        """
        asked = [
            lane
            for lane in self._busy.values()
            if not (lane.is_left or lane.response_id or (error.is_name_limit and lane.is_proven))
        ]
        is_clear = error.hits_all or len(asked) == 1
        return asked if is_clear or (asked and error.simpler(asked[0].form)) else []

    def _refused(self, lane: _Lane, rid: str, error: LaneError) -> Iterator[LaneEvent]:
        """End a request that the server refused; ask again where only a field was in the way."""
        simpler: Form | None = lane.form
        if error.is_about_lanes and lane.name is not None:
            if error.is_name_limit:
                self._drop_names(lane)
            self.has_lanes = self.has_lanes and error.is_name_limit and bool(self._lanes)
        else:
            simpler = error.simpler(lane.form)
        self._release(lane)
        if simpler is None:
            yield RequestEnded(request_id=rid, error=error.failure())
        else:
            del self._ended[rid]  # no response has begun, so it may be asked here again
            yield AskAgain(request_id=rid, form=simpler, has_lanes=self.has_lanes)

    def _drop_names(self, refused: _Lane) -> None:
        """Drop a refused name, and with it those that the server has not seen yet."""
        for lane in (refused, *(one for one in self._free if not one.is_proven)):
            self._lanes.pop(lane.name, None)
        self._free = deque(one for one in self._free if one.is_proven)


def _described(ids: Ids) -> str:
    names = [("response", ids.id), ("rid", ids.rid)]
    return ", ".join(f"{what} {(name or 'missing')[:NAME_LIMIT]}" for what, name in names)


def _no_ids() -> RouteClosed:
    return RouteClosed(
        "The server answers without the name of the lane and without the metadata of the request, "
        "so no reply can be matched to its request by id. Use another route.",
        code="no_metadata",
    )
