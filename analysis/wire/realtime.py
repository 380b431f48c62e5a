"""One Realtime connection as a state machine; replies are matched by id only.

Pure. `transport/websocket.py` feeds it frames and acts on the events it returns. It never raises
on what the peer sends; `LocalProtocolError` means that our own side misused it.

Theory of operation. The server greets with `session.created`, which shows its dialect
(`wire/dialects.py`); we send one `session.update` in it and wait for the server's own
`session.updated`, whose settings are compared with what we sent: a rejected update is dropped
whole and leaves the model with a voice prompt and audio output. Then
every request is an out-of-band response: it sees no other one, many run at once, and its id
travels in `metadata.rid`. `response.created` binds the service's response id to ours and
`response.done` ends the request; if the two ids of a reply contradict each other, nobody gets it.

    state        input                          next         events
    greeting     session.created, our dialect   greeted      SessionGreeted
    greeting     session.created, another one   closed       ConnectionFault(RouteClosed)
    greeting     error                          closed       ConnectionFault
    greeted      configure()                    configuring  (frame)
    ready        configure()                    configuring  (frame)
    configuring  session.updated as sent        ready        SessionConfigured
    configuring  session.updated, other         greeted      SessionRefused
    configuring  error for our update           as before    SessionRefused
    ready        ask()                          ready        (frame)
    any but closed  response.done               same         Answered | RequestEnded | Violation
    any but closed  error for a request         same         RequestEnded
    any          closed()                       closed       RequestEnded..., ConnectionFault

Requests that wait while the session is configured anew go on waiting. Frames that come after
the state `closed` yield no events.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from analysis.errors import (
    AnswerDefect,
    LocalProtocolError,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, RateLimit, Request
from analysis.wire import dialects, failures, replies
from analysis.wire.events import (
    Answered,
    Breach,
    ConnectionFault,
    Event,
    Ignored,
    LimitsSeen,
    RequestEnded,
    SessionConfigured,
    SessionGreeted,
    SessionRefused,
    Violation,
)
from analysis.wire.session import SessionSettings, difference

__all__ = ["RealtimeConnection", "SessionSettings"]

REMEMBERED_IDS = 8_192
"""Ids of ended requests and responses kept to tell a late reply from a foreign one; each request
has two, and at most 64 run at once, so this is far beyond any delay of a live socket."""

IGNORED_NAMES = 64
"""Names of ignored events that are counted one by one; the rest is counted together."""

NAME_LIMIT = 100
"""Characters kept of a name that a peer made up; ours have at most 64."""


class _Peek(msgspec.Struct):
    type: str


class _SessionFrame(msgspec.Struct):
    session: dict[str, Any]


class _ErrorFrame(msgspec.Struct):
    error: replies.ServiceError


class _Limit(msgspec.Struct):
    name: str
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


class _LimitsFrame(msgspec.Struct):
    rate_limits: list[_Limit]


class _ResponseFrame(msgspec.Struct):
    response: replies.Response


_peek = msgspec.json.Decoder(_Peek).decode
_session_frame = msgspec.json.Decoder(_SessionFrame).decode
_error_frame = msgspec.json.Decoder(_ErrorFrame).decode
_limits_frame = msgspec.json.Decoder(_LimitsFrame).decode
_response_frame = msgspec.json.Decoder(_ResponseFrame).decode


@dataclass(slots=True)
class _Waiting:
    """A request without ending: the function that it was told to call, and its response."""

    tool_name: str
    response_id: str | None = None


class _State(Enum):
    GREETING = "greeting"
    GREETED = "greeted"
    CONFIGURING = "configuring"
    READY = "ready"
    CLOSED = "closed"


class RealtimeConnection:
    """One connection; see the module docstring for its states.

    Args:
        dialect: `auto` takes the one that the server greets in; `ga` or `beta` takes no other.

    Raises:
        ConfigurationError: If there is no such dialect.
    """

    def __init__(self, dialect: str = dialects.AUTO) -> None:
        self._forced = dialects.wanted(dialect)
        self._dialect = self._forced or dialects.GA
        self._has_conversation = False
        self._state = _State.GREETING
        self._before_update = _State.GREETED
        self._update_id = ""
        self._updates = 0
        self._sent: dict[str, Any] = {}
        self._tool_name = ""
        self._asked_tool = ""
        self._model = ""
        self._waiting: dict[str, _Waiting] = {}
        self._requests: dict[str, str] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._asked = 0
        self._unnamed = 0
        self._has_echo = False
        self.ignored: dict[str, int] = {}
        self._handlers: dict[str, Callable[[bytes | str], tuple[Event, ...]]] = {
            "conversation.created": self._on_conversation_created,
            "session.created": self._on_session_created,
            "session.updated": self._on_session_updated,
            "response.created": self._on_response_created,
            "response.done": self._on_response_done,
            "rate_limits.updated": self._on_limits,
            "error": self._on_error,
        }

    def __repr__(self) -> str:
        return (
            f"<RealtimeConnection {self._state.value}, {self._dialect.name}, "
            f"model {self._model!r}, "
            f"waiting {list(self._waiting)}>"
        )

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the requests that have no ending yet, in the order of asking."""
        return tuple(self._waiting)

    @property
    def is_ready(self) -> bool:
        """Whether `ask` may be called."""
        return self._state is _State.READY

    @property
    def is_closed(self) -> bool:
        """Whether the connection is over."""
        return self._state is _State.CLOSED

    @property
    def dialect(self) -> str:
        """Name of the dialect that is spoken; says nothing before the greeting."""
        return self._dialect.name

    def configure(self, settings: SessionSettings) -> str:
        """Return the frame that sets the session; the answer is an event of `receive`.

        Requests may be waiting; they end as if nothing had happened, by the settings of before.

        Raises:
            LocalProtocolError: If there is no greeting yet, or an update is under way.
        """
        if self._state not in (_State.GREETED, _State.READY):
            raise LocalProtocolError(f"configure() in state {self._state.value}.")
        self._updates += 1
        self._update_id = f"session-{self._updates}"
        self._before_update = self._state
        self._state = _State.CONFIGURING
        self._sent = settings.to_session(self._dialect)
        self._asked_tool = settings.tool_name
        return _encode(
            {"type": "session.update", "event_id": self._update_id, "session": self._sent}
        )

    def ask(self, request: Request) -> str:
        """Return the frame that asks; instructions and the function come from the session.

        Raises:
            LocalProtocolError: If the session is not configured, or the id was used before.
        """
        rid = request.request_id
        if self._state is not _State.READY:
            raise LocalProtocolError(f"ask() in state {self._state.value}.")
        if rid in self._waiting or rid in self._ended:
            raise LocalProtocolError(f"Request id {rid} was used before.")
        self._waiting[rid] = _Waiting(self._tool_name)
        self._asked += 1
        return _encode(
            {
                "type": "response.create",
                "event_id": rid,
                "response": {
                    "conversation": "none",
                    "metadata": {"rid": rid},
                    self._dialect.modalities: ["text"],
                    "input": [
                        {
                            "type": "message",
                            "role": "user",
                            "content": [{"type": "input_text", "text": request.ask.content}],
                        }
                    ],
                    self._dialect.output_cap: request.ask.max_output_tokens,
                },
            }
        )

    def forget(self, request_id: str) -> None:
        """Drop a request whose caller is gone; a reply that still comes is a late one."""
        if request_id in self._waiting:
            self._end(request_id)

    def receive(self, frame: bytes | str) -> tuple[Event, ...]:
        """Return what one frame means; never raises, whatever the frame holds."""
        if self._state is _State.CLOSED:
            return ()
        try:
            name = _peek(frame).type
            if name in dialects.PASSING:
                return ()
            handler = self._handlers.get(name)
            return self._ignore(name) if handler is None else handler(frame)
        except replies.BAD_FRAME as error:
            return (Violation(reason=Breach.MALFORMED, detail=type(error).__name__),)

    def closed(self, code: int, reason: str) -> tuple[Event, ...]:
        """Return the endings of all waiting requests after the socket closed."""
        if self._state is _State.CLOSED:
            return ()
        return self._shut(lambda: failures.at_close(code, reason))

    def _shut(self, fault: Callable[[], failures.Failure]) -> tuple[Event, ...]:
        """End everything; each ending gets an exception of its own, since tracebacks grow.

        Who hears of the fault itself waits for the session and has sent no request.
        """
        self._state = _State.CLOSED
        endings = [RequestEnded(request_id=rid, error=fault()) for rid in self._waiting]
        for rid in self.waiting:
            self._end(rid)
        error = fault()
        if isinstance(error, TransportError) and error.ending is Ending.UNKNOWN:
            error.ending = Ending.UNSENT
        return (*endings, ConnectionFault(error=error))

    def _ignore(self, name: str) -> tuple[Event, ...]:
        key = name[:NAME_LIMIT]
        if key not in self.ignored and len(self.ignored) >= IGNORED_NAMES:
            key = "other"
        self.ignored[key] = self.ignored.get(key, 0) + 1
        return (Ignored(type=key),)

    # Session

    def _on_conversation_created(self, frame: bytes | str) -> tuple[Event, ...]:
        self._has_conversation = True
        return ()

    def _on_session_created(self, frame: bytes | str) -> tuple[Event, ...]:
        session = _session_frame(frame).session
        if self._state is not _State.GREETING:
            return (Violation(reason=Breach.REPEATED_GREETING, detail=self._state.value),)
        chosen = dialects.choose(
            session, forced=self._forced, has_conversation=self._has_conversation
        )
        if isinstance(chosen, RouteClosed):
            return self._shut(lambda: chosen)
        self._dialect = chosen
        self._model = _name_of_model(session)
        self._state = _State.GREETED
        return (SessionGreeted(model=self._model, dialect=self.dialect, settings=session),)

    def _on_session_updated(self, frame: bytes | str) -> tuple[Event, ...]:
        session = _session_frame(frame).session
        if self._state is not _State.CONFIGURING:
            return self._ignore("session.updated")
        wrong = difference(self._dialect, self._sent, session)
        if wrong is not None:
            self._state = _State.GREETED
            return (
                SessionRefused(
                    code="session_differs",
                    message=f"The server did not take session.{wrong} as it was sent.",
                ),
            )
        self._state = _State.READY
        self._tool_name = self._asked_tool
        self._model = _name_of_model(session) or self._model
        return (SessionConfigured(model=self._model, dialect=self.dialect, settings=session),)

    # Replies

    def _on_response_created(self, frame: bytes | str) -> tuple[Event, ...]:
        response = _response_frame(frame).response
        rid, response_id = response.request_id, response.id
        if rid is None or response_id is None:
            return self._ignore("response.created")
        self._has_echo = True
        if rid in self._ended:
            self._ended[response_id] = None
            return ()
        if rid not in self._waiting:
            return (self._unknown(rid),)
        bound = self._waiting[rid].response_id
        if bound == response_id:
            return ()
        if bound is not None or response_id in self._requests or response_id in self._ended:
            return self._crossed(rid, response_id)
        self._waiting[rid].response_id = response_id
        self._requests[response_id] = rid
        return ()

    def _on_response_done(self, frame: bytes | str) -> tuple[Event, ...]:
        response = _response_frame(frame).response
        rid, response_id = response.request_id, response.id
        owner = self._requests.get(response_id) if response_id is not None else None
        if rid is None:
            return (
                self._unnamed_reply(response_id) if owner is None else self._reply(owner, response)
            )
        self._has_echo = True
        if rid not in self._waiting:
            return (self._unknown(rid),) if owner is None else self._crossed(rid, response_id)
        bound = self._waiting[rid].response_id
        is_contradiction = (bound is not None and response_id not in (None, bound)) or (
            bound is None and (owner is not None or response_id in self._ended)
        )
        if is_contradiction:
            return self._crossed(rid, response_id)
        return self._reply(rid, response)

    def _reply(self, rid: str, response: replies.Response) -> tuple[Event, ...]:
        tool_name = self._waiting[rid].tool_name
        self._end(rid, response.id)
        try:
            reply = replies.read(response, model=self._model, tool_name=tool_name)
        except (AnswerDefect, TransportError, RequestRejected) as error:
            return (RequestEnded(request_id=rid, error=error),)
        return (Answered(request_id=rid, reply=reply),)

    def _unnamed_reply(self, response_id: str | None) -> tuple[Event, ...]:
        """Nobody gets a reply without our id; as many of them as questions close the route."""
        detail = f"response {_short(response_id)}, no rid"
        if response_id in self._ended:
            return (Violation(reason=Breach.LATE_REPLY, detail=detail),)
        seen: tuple[Event, ...] = (Violation(reason=Breach.UNKNOWN_REPLY, detail=detail),)
        self._unnamed += 1
        if self._has_echo or not self._waiting or self._unnamed < self._asked:
            return seen
        return seen + self._shut(_no_metadata)

    def _unknown(self, rid: str) -> Violation:
        reason = Breach.LATE_REPLY if rid in self._ended else Breach.UNKNOWN_REPLY
        return Violation(reason=reason, detail=f"rid {_short(rid)}")

    def _crossed(self, rid: str, response_id: str | None) -> tuple[Event, ...]:
        """Nobody gets a reply whose two ids contradict each other; both owners hear of it."""
        detail = f"response {_short(response_id)}, rid {_short(rid)}"
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
                self._ended[name] = None
        self._ended[rid] = None
        while len(self._ended) > REMEMBERED_IDS:
            self._ended.popitem(last=False)

    # Limits and errors

    def _on_limits(self, frame: bytes | str) -> tuple[Event, ...]:
        limits = tuple(
            RateLimit(
                name=limit.name,
                limit=limit.limit,
                remaining=limit.remaining,
                reset_s=limit.reset_seconds,
            )
            for limit in _limits_frame(frame).rate_limits
        )
        return (LimitsSeen(limits=limits),)

    def _on_error(self, frame: bytes | str) -> tuple[Event, ...]:
        error = _error_frame(frame).error
        code, kind, message = error.code or "", error.type or "", error.message or ""
        if self._state is _State.GREETING:
            return self._shut(lambda: failures.at_greeting(code=code, kind=kind, message=message))
        if error.event_id in self._waiting:
            self._end(error.event_id)
            failure = failures.from_code(code=code, kind=kind, message=message)
            return (RequestEnded(request_id=error.event_id, error=failure),)
        if self._state is _State.CONFIGURING and self._is_about_update(error):
            self._state = self._before_update
            return (SessionRefused(code=code or kind, message=failures.spoken(message)),)
        return self._ignore(f"error.{code or kind}")

    def _is_about_update(self, error: replies.ServiceError) -> bool:
        """An error that names no event of ours is about the update if its parameter says so, or
        if nothing else is under way."""
        if error.event_id is not None:
            return error.event_id == self._update_id
        return not self._waiting or (error.param or "").partition(".")[0] == "session"


def _encode(frame: dict[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()


def _short(name: str | None) -> str:
    return "without id" if name is None else name[:NAME_LIMIT]


def _name_of_model(session: dict[str, Any]) -> str:
    model = session.get("model")
    return model if isinstance(model, str) else ""


def _no_metadata() -> RouteClosed:
    return RouteClosed(
        "The server answers without the metadata of the request, so no reply can be matched to its "
        "request by id: it cannot do out-of-band responses. Use another route.",
        code="no_metadata",
    )
