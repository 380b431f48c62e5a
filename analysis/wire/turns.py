"""One request at a time in the conversation of a server that cannot do out-of-band responses.

Pure. `wire/realtime.py` calls it in the place of `wire/outofband.py`; it has the same verbs.

Theory of operation. A turn puts the pack into the conversation as an item, asks for a response
without input of its own, takes it, and deletes every item that the turn has left, so that the next
request sees none of them. Requests wait for their turn. A reply belongs to the turn if its response
was created after the server confirmed the turn's item; an end that names another response is given
to nobody. Where anything is in doubt, `fault` says so and the session has to end: a new one has an
empty conversation.

    state     input                              next      out
    idle      ask()                              creating  item.create
    creating  item confirmed                     asked     response.create
    creating  item refused, error without id     cleaning  RequestEnded
    asked     response.created                   running   Begun
    asked     create refused, error without id   cleaning  RequestEnded, item.delete...
    running   response.done of that response     cleaning  Answered | RequestEnded, item.delete...
    cleaning  all deletions settled              idle      (the next turn)
    any but idle, cleaning   cancel() of the turn          fault
    cleaning  deletion of the turn's item refused          fault
    cleaning  cancel() of a request that waits             fault
    any but idle   more than 64 new items                  fault
"""

from __future__ import annotations

from collections import OrderedDict, deque
from enum import Enum
from typing import TypeAlias

from analysis.errors import LocalProtocolError, RouteClosed, TransportError
from analysis.records import Ending, Request
from analysis.wire import replies
from analysis.wire.events import (
    Begun,
    Breach,
    Event,
    FrameDue,
    ItemRefused,
    RequestEnded,
    RequestFailure,
    Violation,
)
from analysis.wire.items import Announced, Items
from analysis.wire.outofband import REMEMBERED_IDS, short
from analysis.wire.session import Terms

TURN_PREFIXES = ("turn-", "delete-")
"""The ids of all events about items begin with one of these."""

MOST_ITEMS = 64
"""Items that a turn may leave; an answer has one or two, so more is a server gone wild."""

Fault: TypeAlias = TransportError | RouteClosed


class _State(Enum):
    IDLE = "idle"
    CREATING = "creating"
    ASKED = "asked"
    RUNNING = "running"
    CLEANING = "cleaning"


class Turns:
    """The requests of one session; see the module.

    Args:
        items: Of the session; it must take the server's own ids.
    """

    is_ignored = False
    """Nothing here is out of band."""

    def __init__(self, items: Items) -> None:
        self.fault: Fault | None = None
        self._items = items
        self._state = _State.IDLE
        self._queue: deque[tuple[Request, Terms]] = deque()
        self._used: OrderedDict[str, None] = OrderedDict()
        self._turn = 0
        self._active: tuple[Request, Terms] | None = None
        self._response_id: str | None = None
        self._own_item: str | None = None
        self._left: dict[str, None] = {}
        self._kept: tuple[str, ...] = ()
        self._deleting: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Turns {self._state.value}, turn {self._turn}, waiting {list(self.waiting)}>"

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the requests that have no ending yet, in the order of asking."""
        active = () if self._active is None else (self._active[0].request_id,)
        return active + tuple(request.request_id for request, _ in self._queue)

    @property
    def unsent(self) -> tuple[str, ...]:
        """Those of them for which no response was asked yet."""
        skipped = 0 if self._state is _State.CREATING or self._active is None else 1
        return self.waiting[skipped:]

    def ask(self, request: Request, terms: Terms) -> tuple[str, ...]:
        """Return the frames to send now; none if the request has to wait for its turn.

        Raises:
            LocalProtocolError: If the id was used before.
        """
        rid = request.request_id
        if rid in self._used:
            raise LocalProtocolError(f"Request id {rid} was used before.")
        self._use(rid)
        self._queue.append((request, terms))
        return self._next()

    def forget(self, rid: str) -> None:
        """Drop a request that waits for its turn; one whose turn it is faults the session."""
        self.cancel(rid)

    def cancel(self, rid: str) -> tuple[Event, ...]:
        """Drop a request; nobody could tell the rest of its turn from the next one's.

        Who gives up during the cleaning may have waited in vain for a server that confirms no
        deletion, and so would everybody after.
        """
        rest = deque(one for one in self._queue if one[0].request_id != rid)
        is_stuck = len(rest) < len(self._queue) and self._state is _State.CLEANING
        self._queue = rest
        if self._active is not None and self._active[0].request_id == rid:
            self._active = None
            self.fault = _given_up("in its turn")
        elif is_stuck:
            self.fault = _given_up("before its turn, which the server's deletions held up")
        return ()

    def created(self, response: replies.Response) -> tuple[Event, ...] | None:
        """Return the events of a `response.created`."""
        if response.id is None:
            return None
        if response.id in self._used:
            return ()
        if self._active is None or self._state is not _State.ASKED:
            stray = self._stray(response.id)
            self._use(response.id)
            return (stray,)
        self._response_id = response.id
        self._state = _State.RUNNING
        self._use(response.id)
        return (Begun(request_id=self._active[0].request_id),)

    def done(self, response: replies.Response, terms: Terms) -> tuple[Event, ...]:
        """Return the events of a `response.done`."""
        if (
            self._active is None
            or self._state is not _State.RUNNING
            or response.id != self._response_id
        ):
            return (self._stray(response.id),)
        (request, asked) = self._active
        end = replies.settled(
            request.request_id, response, model=terms.model, tool_name=asked.tool_name
        )
        self._left.update(dict.fromkeys(replies.item_ids(response)))
        return (end, *self._clean())

    def refused(
        self, error: replies.ServiceError, failure: RequestFailure
    ) -> tuple[Event, ...] | None:
        """Return the events of an error, None if it is not about the turn.

        Some servers name no event. Before the response runs, such an error can only be about it.
        """
        if self._active is None:
            return None
        rid = self._active[0].request_id
        is_open = self._state in (_State.CREATING, _State.ASKED)
        if not is_open or error.event_id not in (None, rid):
            return None
        return (RequestEnded(request_id=rid, error=failure), *self._clean())

    def announced(self, found: Announced) -> tuple[Event, ...]:
        """Return the events of an item that was created or deleted."""
        confirmed = {one.event_id for one in found.confirmed}
        if self._state is _State.CREATING and f"turn-{self._turn}" in confirmed:
            return self._respond(found.item_id)
        for event_id in confirmed & self._deleting.keys():
            del self._deleting[event_id]
        frames = self._note(found) if found.is_new else ()
        return frames or self._rest()

    def item_refused(self, refusal: ItemRefused) -> tuple[Event, ...]:
        """Return the events of an item that was not created or not deleted."""
        if self._state is _State.CREATING and refusal.event_id == f"turn-{self._turn}":
            assert self._active is not None
            rid = self._active[0].request_id
            self._left.clear()
            return (RequestEnded(request_id=rid, error=refusal.error), *self._clean())
        item_id = self._deleting.pop(refusal.event_id, None)
        if item_id is not None and item_id == self._own_item:
            self.fault = RouteClosed(
                "The server neither answers out of band nor deletes items, so requests would see "
                f"each other's chunks ({refusal.error}). Use another route.",
                code="no_delete",
            )
            return ()
        return self._rest()

    def _next(self) -> tuple[str, ...]:
        """Begin the next turn, if there is one and the conversation is clean."""
        if self._state is not _State.IDLE or not self._queue:
            return ()
        self._active = self._queue.popleft()
        self._state = _State.CREATING
        self._turn += 1
        self._response_id = self._own_item = None
        self._kept = self._active[1].references
        item_id = self._items.new_id()
        self._left = {item_id: None}
        content = [{"type": "input_text", "text": self._active[0].ask.content}]
        item = {"type": "message", "role": "user", "content": content}
        return (self._items.create(f"turn-{self._turn}", item, item_id=item_id),)

    def _respond(self, item_id: str) -> tuple[Event, ...]:
        assert self._active is not None
        request, terms = self._active
        self._state = _State.ASKED
        self._own_item = item_id
        self._left = {item_id: None}
        return (FrameDue(frame=terms.respond(request)),)

    def _note(self, found: Announced) -> tuple[Event, ...]:
        """Remember an item that the turn leaves; delete it at once if the turn is over."""
        if self._state is _State.IDLE or found.item_id in self._kept or found.item_id in self._left:
            return ()
        if len(self._left) >= MOST_ITEMS:
            self.fault = RouteClosed(
                f"The server put more than {MOST_ITEMS} items into the conversation in one turn.",
                code="many_items",
            )
            return ()
        self._left[found.item_id] = None
        return self._delete(found.item_id) if self._state is _State.CLEANING else ()

    def _clean(self) -> tuple[Event, ...]:
        """End the turn: delete what it has left."""
        self._active = None
        self._state = _State.CLEANING
        self._items.forget(f"turn-{self._turn}")
        frames = [frame for item_id in self._left for frame in self._delete(item_id)]
        return (*frames, *self._rest())

    def _delete(self, item_id: str) -> tuple[Event, ...]:
        event_id = f"delete-{item_id}"
        self._deleting[event_id] = item_id
        return (FrameDue(frame=self._items.delete(event_id, item_id)),)

    def _rest(self) -> tuple[Event, ...]:
        """Begin the next turn once everything is deleted."""
        if self._state is not _State.CLEANING or self._deleting:
            return ()
        self._state = _State.IDLE
        return tuple(FrameDue(frame=frame) for frame in self._next())

    def _stray(self, response_id: str | None) -> Violation:
        is_old = response_id in self._used
        reason = Breach.LATE_REPLY if is_old else Breach.UNKNOWN_REPLY
        return Violation(reason=reason, detail=f"response {short(response_id)}, no turn")

    def _use(self, name: str) -> None:
        self._used[name] = None
        while len(self._used) > REMEMBERED_IDS:
            self._used.popitem(last=False)


def _given_up(when: str) -> TransportError:
    return TransportError(
        f"A request was given up {when}, so its session ends.",
        ending=Ending.UNSENT,
        code="turn_given_up",
    )
