"""Many requests at once on one session: out-of-band responses, matched by id only.

Pure. `wire/realtime.py` calls it, as it calls `wire/turns.py` where a server cannot do this.

Theory of operation. Every request is a response outside of the conversation: it sees no other one,
many run at once, and its id travels in `metadata.rid`. `response.created` binds the service's
response id to ours and `response.done` ends the request; if the two ids of a reply contradict each
other, nobody gets it. A request whose caller has gone is cancelled as soon as its response id is
known.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from analysis.errors import AnswerDefect, LocalProtocolError
from analysis.records import Request
from analysis.wire import replies
from analysis.wire.events import (
    Begun,
    Breach,
    Event,
    FrameDue,
    RequestEnded,
    RequestFailure,
    Violation,
)
from analysis.wire.session import Terms, encode

REMEMBERED_IDS = 8_192
"""Ids of ended requests and responses kept to tell a late reply from a foreign one; each request
has two, and at most 64 run at once, so this is far beyond any delay of a live socket."""

NAME_LIMIT = 100
"""Characters kept of a name that a peer made up; ours have at most 64."""

CANCEL_PREFIX = "cancel-"
"""In front of a request's id: the id of the event that cancels it."""

BUSY_CODE = "conversation_already_has_active_response"
OUT_OF_BAND_FIELDS = frozenset({"response.conversation", "response.metadata", "response.input"})
"""Parameters of a refusal by a server that does not know out-of-band responses at all."""


def short(name: str | None) -> str:
    """Return an id of the peer in a form fit for messages."""
    return "without id" if name is None else name[:NAME_LIMIT]


def cancel_frame(rid: str, response_id: str) -> str:
    """Return the frame that stops a response."""
    return encode(
        {
            "type": "response.cancel",
            "event_id": f"{CANCEL_PREFIX}{rid}",
            "response_id": response_id,
        }
    )


@dataclass(slots=True)
class _Waiting:
    """A request without ending: the function that it was told to call, and its response."""

    tool_name: str
    response_id: str | None = None


class OutOfBand:
    """The requests of one session; see the module."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._requests: dict[str, str] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._asked = 0
        self._unnamed = 0
        self._has_echo = False
        self._is_refused = False

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the requests that have no ending yet, in the order of asking."""
        return tuple(self._waiting)

    @property
    def unsent(self) -> tuple[str, ...]:
        """None of them: every request is sent at once."""
        return ()

    @property
    def is_ignored(self) -> bool:
        """Whether it is plain by now that the server cannot do out-of-band responses."""
        is_nameless = not self._has_echo and 0 < self._asked <= self._unnamed
        return self._is_refused or (is_nameless and bool(self._waiting))

    def ask(self, request: Request, terms: Terms) -> tuple[str, ...]:
        """Return the frames that ask.

        Raises:
            LocalProtocolError: If the id was used before.
        """
        rid = request.request_id
        if rid in self._waiting or rid in self._ended:
            raise LocalProtocolError(f"Request id {rid} was used before.")
        self._waiting[rid] = _Waiting(terms.tool_name)
        self._asked += 1
        content = [{"type": "input_text", "text": request.ask.content}]
        return (
            terms.respond(
                request,
                conversation="none",
                metadata={"rid": rid},
                input=[
                    *({"type": "item_reference", "id": item_id} for item_id in terms.references),
                    {"type": "message", "role": "user", "content": content},
                ],
            ),
        )

    def forget(self, rid: str) -> None:
        """Drop a request whose caller is gone; a reply that still comes is a late one."""
        if rid in self._waiting:
            self._end(rid)

    def cancel(self, rid: str) -> tuple[Event, ...]:
        """Drop a request and stop its response, now or when its id is known."""
        if rid not in self._waiting:
            return ()
        response_id = self._waiting[rid].response_id
        self._end(rid)
        self._remember(self._cancelled, rid)
        if response_id is None:
            return ()
        self._remember(self._cancelled, response_id)
        return (FrameDue(frame=cancel_frame(rid, response_id)),)

    def created(self, response: replies.Response) -> tuple[Event, ...] | None:
        """Return the events of a `response.created`, None if it says nothing."""
        rid, response_id = response.request_id, response.id
        if rid is None or response_id is None:
            return None
        self._has_echo = True
        if rid in self._ended:
            self._remember(self._ended, response_id)
            if rid not in self._cancelled or response_id in self._cancelled:
                return ()
            self._remember(self._cancelled, response_id)
            return (FrameDue(frame=cancel_frame(rid, response_id)),)
        if rid not in self._waiting:
            return (self._unknown(rid),)
        bound = self._waiting[rid].response_id
        if bound == response_id:
            return ()
        if bound is not None or response_id in self._requests or response_id in self._ended:
            return self._crossed(rid, response_id)
        self._waiting[rid].response_id = response_id
        self._requests[response_id] = rid
        return (Begun(request_id=rid),)

    def done(self, response: replies.Response, terms: Terms) -> tuple[Event, ...]:
        """Return the events of a `response.done`."""
        rid, response_id = response.request_id, response.id
        owner = self._requests.get(response_id) if response_id is not None else None
        self._has_echo = self._has_echo or rid is not None
        if owner is None and self._is_ours_cancelled(response):
            return ()
        if rid is None:
            if owner is None:
                return (self._unnamed_reply(response_id),)
            return self._reply(owner, response, terms)
        if rid not in self._waiting:
            return (self._unknown(rid),) if owner is None else self._crossed(rid, response_id)
        bound = self._waiting[rid].response_id
        is_contradiction = (bound is not None and response_id not in (None, bound)) or (
            bound is None and (owner is not None or response_id in self._ended)
        )
        if is_contradiction:
            return self._crossed(rid, response_id)
        return self._reply(rid, response, terms)

    def refused(
        self, error: replies.ServiceError, failure: RequestFailure
    ) -> tuple[Event, ...] | None:
        """Return the events of an error, None if it is about no request.

        Args:
            error: As it came.
            failure: What it means.
        """
        rid = error.event_id
        if rid is None:
            return None
        if rid.startswith(CANCEL_PREFIX):
            return ()  # The response had ended before our word arrived.
        if rid not in self._waiting:
            return None
        self._end(rid)
        self._is_refused = self._is_refused or self.speaks_against(error)
        return (RequestEnded(request_id=rid, error=failure),)

    @staticmethod
    def speaks_against(error: replies.ServiceError) -> bool:
        """Tell whether an error about a request shows that the server has one conversation only."""
        is_unknown = error.code == "unknown_parameter" and error.param in OUT_OF_BAND_FIELDS
        return is_unknown or error.code == BUSY_CODE

    def _is_ours_cancelled(self, response: replies.Response) -> bool:
        """Tell whether this is the end of a response that we have cancelled."""
        ids = (response.request_id, response.id)
        return response.status == "cancelled" and any(one in self._cancelled for one in ids)

    def _reply(self, rid: str, response: replies.Response, terms: Terms) -> tuple[Event, ...]:
        tool_name = self._waiting[rid].tool_name
        self._end(rid, response.id)
        return (replies.settled(rid, response, model=terms.model, tool_name=tool_name),)

    def _unnamed_reply(self, response_id: str | None) -> Violation:
        """Nobody gets a reply without our id."""
        detail = f"response {short(response_id)}, no rid"
        if response_id in self._ended:
            return Violation(reason=Breach.LATE_REPLY, detail=detail)
        self._unnamed += 1
        return Violation(reason=Breach.UNKNOWN_REPLY, detail=detail)

    def _unknown(self, rid: str) -> Violation:
        reason = Breach.LATE_REPLY if rid in self._ended else Breach.UNKNOWN_REPLY
        return Violation(reason=reason, detail=f"rid {short(rid)}")

    def _crossed(self, rid: str, response_id: str | None) -> tuple[Event, ...]:
        """Nobody gets a reply whose two ids contradict each other; both owners hear of it."""
        detail = f"response {short(response_id)}, rid {short(rid)}"
        events: list[Event] = [Violation(reason=Breach.CROSSED_IDS, detail=detail)]
        owner = self._requests.get(response_id) if response_id is not None else None
        for request_id in dict.fromkeys((rid, owner)):
            if request_id in self._waiting:
                self._end(request_id, response_id)
                error = AnswerDefect(
                    f"The reply's ids contradict each other ({detail}); nobody gets it.",
                    defect="foreign_id",
                )
                events.append(RequestEnded(request_id=request_id, error=error))
        return tuple(events)

    def _end(self, rid: str, response_id: str | None = None) -> None:
        """Forget a request, but keep its ids for a while, so that a late reply is known as one."""
        bound = self._waiting.pop(rid)
        for name in (bound.response_id, response_id):
            if name is not None:
                self._requests.pop(name, None)
                self._remember(self._ended, name)
        self._remember(self._ended, rid)

    @staticmethod
    def _remember(ids: OrderedDict[str, None], name: str) -> None:
        ids[name] = None
        while len(ids) > REMEMBERED_IDS:
            ids.popitem(last=False)
