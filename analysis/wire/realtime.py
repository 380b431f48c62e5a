"""One Realtime connection as a state machine; replies are matched by id only.

Pure. `transport/link.py` feeds it frames and acts on the events it returns. It never raises
on what the peer sends; `LocalProtocolError` means that our own side misused it.

Theory of operation. The server greets with `session.created`, which shows its dialect
(`wire/dialects.py`); we send one `session.update` in it and wait for the server's own
`session.updated`, whose settings are compared with what we sent: a rejected update is dropped
whole and leaves the model with a voice prompt and audio output. Then the items of the context, if
there are any, are created and confirmed (`wire/items.py`). From there on requests run at once as
out-of-band responses (`wire/outofband.py`), or one after the other where a server cannot do that
(`wire/turns.py`).

    state        input                          next         events
    greeting     session.created, our dialect   greeted      SessionGreeted
    greeting     session.created, another one   closed       ConnectionFault(RouteClosed)
    greeting     error                          closed       ConnectionFault
    greeted      configure()                    configuring  (frame)
    ready        configure()                    configuring  (frame)
    configuring  session.updated as sent        ready        SessionConfigured
    configuring  the same, with a new context   seeding      FrameDue...
    configuring  session.updated, other         greeted      SessionRefused
    configuring  error for our update           as before    SessionRefused
    seeding      all items confirmed            ready        SessionConfigured
    seeding      an item refused                greeted      SessionRefused
    ready        ask()                          ready        (frames)
    any but closed  response.created of ours    same         Begun
    any but closed  response.done               same         Answered | RequestEnded | Violation
    any but closed  error for a request         same         RequestEnded
    any but closed  error session_expired       same         SessionEnding
    any          closed(), or a fault           closed       RequestEnded..., ConnectionFault

Requests that wait while the session is configured anew go on waiting. Frames that come after
the state `closed` yield no events. A server that cannot do out-of-band responses closes the route;
where `may_take_turns`, `OutOfBandIgnored` comes first and asks for a new session that takes turns.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from analysis.errors import LocalProtocolError, RouteAdapted, RouteClosed, TransportError
from analysis.records import Ending, RateLimit, Request
from analysis.wire import dialects, failures, items, replies
from analysis.wire.context import DROP_PREFIX, Context
from analysis.wire.events import (
    Breach,
    ConnectionFault,
    Event,
    Ignored,
    ItemRefused,
    LimitsSeen,
    OutOfBandIgnored,
    RequestEnded,
    SessionConfigured,
    SessionEnding,
    SessionGreeted,
    SessionRefused,
    Violation,
)
from analysis.wire.items import Items
from analysis.wire.names import FREQUENT_STARTS
from analysis.wire.outofband import NAME_LIMIT, OutOfBand
from analysis.wire.session import ContextItem, SessionSettings, Terms, difference, encode
from analysis.wire.turns import TURN_PREFIXES, Turns

__all__ = ["RealtimeConnection", "SessionSettings"]

IGNORED_NAMES = 64
"""Names of ignored events that are counted one by one; the rest is counted together."""

EXPIRED_CODE = "session_expired"

OUT_OF_BAND_IGNORED = "out_of_band_ignored"
"""Code of the endings of requests that were in flight when that was found out."""


class _Peek(msgspec.Struct):
    type: str


class _SessionFrame(msgspec.Struct):
    session: dict[str, Any]


class _ErrorFrame(msgspec.Struct):
    error: replies.ServiceError


class _Limit(msgspec.Struct):
    name: str
    limit: replies.Count | None = None
    remaining: replies.Count | None = None
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


class _State(Enum):
    GREETING = "greeting"
    GREETED = "greeted"
    CONFIGURING = "configuring"
    SEEDING = "seeding"
    READY = "ready"
    CLOSED = "closed"


class RealtimeConnection:
    """One connection; see the module docstring for its states.

    Args:
        dialect: `auto` takes the one that the server greets in; `ga` or `beta` takes no other.
        takes_turns: Requests go one after the other through the conversation.
        may_take_turns: The caller will open a session that takes turns if this one cannot do
            without.

    Raises:
        ConfigurationError: If there is no such dialect.
    """

    def __init__(
        self,
        dialect: str = dialects.AUTO,
        *,
        takes_turns: bool = False,
        may_take_turns: bool = False,
    ) -> None:
        self._forced = dialects.wanted(dialect)
        self._may_take_turns = may_take_turns
        self._terms = Terms(dialect=self._forced or dialects.GA)
        self._has_conversation = False
        self._state = _State.GREETING
        self._before_update = _State.GREETED
        self._updates = 0
        self._settings: SessionSettings | None = None
        self._sent: dict[str, Any] = {}
        self._confirmed: dict[str, Any] = {}
        self._items = Items(takes_foreign_ids=takes_turns)
        self._context = Context(self._items)
        self._asking: OutOfBand | Turns = Turns(self._items) if takes_turns else OutOfBand()
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
            f"<RealtimeConnection {self._state.value}, {self.dialect}, "
            f"model {self._terms.model!r}, "
            f"waiting {list(self.waiting)}>"
        )

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the requests that have no ending yet, in the order of asking."""
        return self._asking.waiting

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
        return self._terms.dialect.name

    def configure(self, settings: SessionSettings) -> str:
        """Return the frame that sets the session; the answer is an event of `receive`.

        Requests may be waiting; they end as if nothing had happened, by the settings of before.

        Raises:
            LocalProtocolError: If there is no greeting yet, or an update is under way.
        """
        if self._state not in (_State.GREETED, _State.READY):
            raise LocalProtocolError(f"configure() in state {self._state.value}.")
        self._updates += 1
        self._before_update = self._state
        self._state = _State.CONFIGURING
        self._settings = settings
        self._sent = settings.to_session(self._terms.dialect)
        return encode(
            {"type": "session.update", "event_id": self._update_id, "session": self._sent}
        )

    def ask(self, request: Request) -> tuple[str, ...]:
        """Return the frames that ask; instructions and the function come from the session.

        Where requests take turns, there are none while another one has its turn.

        Raises:
            LocalProtocolError: If the session is not configured, or the id was used before.
        """
        if self._state is not _State.READY:
            raise LocalProtocolError(f"ask() in state {self._state.value}.")
        return self._asking.ask(request, self._terms)

    def forget(self, request_id: str) -> tuple[Event, ...]:
        """Drop a request whose caller is gone; a reply that still comes is a late one."""
        self._asking.forget(request_id)
        return self._checked(())

    def cancel(self, request_id: str) -> tuple[Event, ...]:
        """Drop a request and make the server stop, at once or when its response is known.

        Where requests take turns, giving up the one whose turn it is ends the connection.
        """
        return self._checked(self._asking.cancel(request_id))

    def create_item(
        self, event_id: str, item: ContextItem, *, previous_item_id: str | None = None
    ) -> str:
        """Return the frame that puts an item into the conversation.

        Args:
            event_id: Named by the `ItemConfirmed` or `ItemRefused` that tells of the end.
            item: What it says.
            previous_item_id: The item in front of it, `root` for the first place, None for the
                last one.

        Raises:
            LocalProtocolError: If the session is not configured.
        """
        self._check_ready("create_item")
        return self._items.create(
            event_id,
            item.to_item(self._terms.dialect),
            item_id=self._items.new_id(),
            previous_item_id=previous_item_id,
        )

    def delete_item(self, event_id: str, item_id: str) -> str:
        """Return the frame that takes an item out of the conversation; as `create_item`."""
        self._check_ready("delete_item")
        return self._items.delete(event_id, item_id)

    def retrieve_item(self, event_id: str, item_id: str) -> str:
        """Return the frame that asks for an item of the conversation; as `create_item`."""
        self._check_ready("retrieve_item")
        return self._items.retrieve(event_id, item_id)

    def receive(self, frame: bytes | str) -> tuple[Event, ...]:
        """Return what one frame means; never raises, whatever the frame holds."""
        is_passing = type(frame) is bytes and frame.startswith(FREQUENT_STARTS)
        if is_passing or self._state is _State.CLOSED:
            return ()
        try:
            name = _peek(frame).type
            handler = self._handlers.get(name)
            if handler is not None:
                return self._checked(handler(frame))
            if name in _ITEM_EVENTS:
                return self._checked(self._on_item(name, frame))
            return () if name in dialects.SERVER_EVENTS else self._ignore(name)
        except replies.BAD_FRAME as error:
            return (Violation(reason=Breach.MALFORMED, detail=type(error).__name__),)

    def closed(self, code: int, reason: str) -> tuple[Event, ...]:
        """Return the endings of all waiting requests after the socket closed."""
        if self._state is _State.CLOSED:
            return ()
        return self._shut(lambda: failures.at_close(code, reason))

    def given_up(self, message: str, code: str) -> tuple[Event, ...]:
        """Return the endings of all waiting requests after our own side found the socket dead."""
        if self._state is _State.CLOSED:
            return ()
        return self._shut(lambda: TransportError(message, ending=Ending.UNKNOWN, code=code))

    def _shut(self, fault: Callable[[], failures.Failure]) -> tuple[Event, ...]:
        """End everything; each ending gets an exception of its own, since tracebacks grow.

        Who hears of the fault itself waits for the session and has sent no request.
        """
        self._state = _State.CLOSED
        unsent = set(self._asking.unsent)
        endings = [
            RequestEnded(
                request_id=rid, error=failures.unsent(fault()) if rid in unsent else fault()
            )
            for rid in self.waiting
        ]
        for rid in self.waiting:
            self._asking.forget(rid)
        refusals = [ItemRefused(event_id=name, error=fault()) for name in self._items.waiting]
        return (*endings, *refusals, ConnectionFault(error=failures.unsent(fault())))

    def _checked(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Add the end of the connection, if these events have led to it."""
        if self._state is _State.CLOSED:
            return events
        if isinstance(self._asking, Turns):
            if (fault := self._asking.fault) is None:
                return events
            return events + self._shut(lambda: type(fault)(str(fault), code=fault.code))
        if not self._asking.is_ignored:
            return events
        if not self._may_take_turns:
            return events + self._shut(_cannot_match)
        return (*events, OutOfBandIgnored(), *self._shut(lambda: _found_out(Ending.UNKNOWN)))

    def _ignore(self, name: str) -> tuple[Event, ...]:
        key = name[:NAME_LIMIT]
        if key not in self.ignored and len(self.ignored) >= IGNORED_NAMES:
            key = "other"
        self.ignored[key] = self.ignored.get(key, 0) + 1
        return (Ignored(type=key),)

    def _check_ready(self, verb: str) -> None:
        if self._state is not _State.READY:
            raise LocalProtocolError(f"{verb}() in state {self._state.value}.")

    # Session

    @property
    def _update_id(self) -> str:
        return f"session-{self._updates}"

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
        self._terms = Terms(dialect=chosen, model=_name_of_model(session))
        self._state = _State.GREETED
        return (SessionGreeted(model=self._terms.model, dialect=self.dialect, settings=session),)

    def _on_session_updated(self, frame: bytes | str) -> tuple[Event, ...]:
        session = _session_frame(frame).session
        if self._state is not _State.CONFIGURING or self._settings is None:
            return self._ignore("session.updated")
        wrong = difference(self._terms.dialect, self._sent, session)
        if wrong is not None:
            self._state = _State.GREETED
            return (
                SessionRefused(
                    code="session_differs",
                    message=f"The server did not take session.{wrong} as it was sent.",
                ),
            )
        self._confirmed = session
        self._state = _State.SEEDING
        frames = self._context.begin(self._settings.context, self._terms.dialect)
        return (*frames, *self._in_effect())

    def _in_effect(self) -> tuple[Event, ...]:
        """Put the settings into effect for whatever is asked from now on, once all is confirmed."""
        if self._settings is None or not self._context.is_complete:
            return ()
        old = self._context.take(self._settings.context)
        self._terms = Terms(
            dialect=self._terms.dialect,
            model=_name_of_model(self._confirmed) or self._terms.model,
            tool_name=self._settings.tool_name,
            output_cap=self._settings.max_output_tokens,
            references=self._context.references,
        )
        self._state = _State.READY
        configured = SessionConfigured(
            model=self._terms.model, dialect=self.dialect, settings=self._confirmed
        )
        return (configured, *old)

    # Items

    def _on_item(self, name: str, frame: bytes | str) -> tuple[Event, ...]:
        if isinstance(self._asking, OutOfBand) and not self._items.waiting:
            return ()
        found = self._items.announced(name, frame)
        if found is None:
            return ()
        others = [one for one in found.confirmed if not self._context.confirmed(one.event_id)]
        events = self._in_effect() if self._state is _State.SEEDING else ()
        if isinstance(self._asking, Turns):
            others = [one for one in others if not one.event_id.startswith(TURN_PREFIXES)]
            events += self._asking.announced(found)
        return (*others, *events)

    def _on_item_refused(self, refusal: ItemRefused) -> tuple[Event, ...]:
        frames = self._context.refused(refusal.event_id)
        if frames is not None:
            self._state = _State.GREETED
            words = f"The server did not take an item of the context: {refusal.error}"
            return (SessionRefused(code=refusal.error.code, message=words), *frames)
        if isinstance(self._asking, Turns) and refusal.event_id.startswith(TURN_PREFIXES):
            return self._asking.item_refused(refusal)
        return () if refusal.event_id.startswith(DROP_PREFIX) else (refusal,)

    # Replies

    def _on_response_created(self, frame: bytes | str) -> tuple[Event, ...]:
        events = self._asking.created(_response_frame(frame).response)
        return self._ignore("response.created") if events is None else events

    def _on_response_done(self, frame: bytes | str) -> tuple[Event, ...]:
        return self._asking.done(_response_frame(frame).response, self._terms)

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
        if code == EXPIRED_CODE and error.event_id is None:
            return (SessionEnding(),)
        if (refusal := self._items.refused(error)) is not None:
            return self._on_item_refused(refusal)
        if self._state is _State.CONFIGURING and self._is_about_update(error):
            self._state = self._before_update
            return (SessionRefused(code=code or kind, message=failures.spoken(message)),)
        failure = failures.from_code(code=code, kind=kind, message=message)
        if self._may_take_turns and OutOfBand.speaks_against(error):
            failure = _found_out(Ending.REFUSED)
        ended = self._asking.refused(error, failure)
        return self._ignore(f"error.{code or kind}") if ended is None else ended

    def _is_about_update(self, error: replies.ServiceError) -> bool:
        """An error that names no event of ours is about the update if its parameter says so, or
        if nothing else is under way."""
        if error.event_id is not None:
            return error.event_id == self._update_id
        return not self.waiting or (error.param or "").partition(".")[0] == "session"


_ITEM_EVENTS = items.CREATED | {items.DELETED, items.RETRIEVED}


def _name_of_model(session: dict[str, Any]) -> str:
    model = session.get("model")
    return model if isinstance(model, str) else ""


def _cannot_match() -> RouteClosed:
    return RouteClosed(
        "The server answers without the metadata of the request, so no reply can be matched to its "
        "request by id: it cannot do out-of-band responses. Use another route.",
        code="no_metadata",
    )


def _found_out(ending: Ending) -> RouteAdapted:
    return RouteAdapted(
        "The server answers in its one conversation only; the request goes there, in its turn.",
        ending=ending,
        code=OUT_OF_BAND_IGNORED,
    )
