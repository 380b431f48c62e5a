"""One Realtime connection (text) as a state machine, in the dialect of its service.

Pure: client messages and `now` in; frames, a close or a cut out. `server` owns the socket.

Theory of operation. A session keeps its settings, the items of its default conversation, the
responses that run, and a queue of steps with the time at which each is due. `receive` and `poll`
carry out what is due and return what to send; `next_at` says when to poll again. `end` says that
the socket is gone.

    response, normal      created -> begun [-> spoken ...] -> finished -> limits reported
    response, refused     created -> failed -> limits reported
    response, rejected    error, nothing else
    response, cancelled   created [-> begun] -> cancelled, limits reported
    response, hanging     created -> paid, never ends
    response, stalled     created -> begun, first delta, paid; never ends
    response, dropped     created -> paid, connection cut
    response, torn        created -> begun [-> spoken ...] -> paid, last frame torn, connection cut
    response, half open   created -> paid, connection silent
    connection            open -> closed (refused, expired, session.close),
                          cut (dropped, torn, outage), silent (half open), or ended

What is sent of a response passes through `mischief`, stage by stage. Switches of the profile: how
many responses may run at once, and whether those out of band are served; a server that does not
serve them answers from its one conversation and knows no metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from typing import TypeAlias

import msgspec

from analysis.simulator.cache import Block, Rendered
from analysis.simulator.conversation import Conversation, too_many_responses
from analysis.simulator.faults import NO_FAULT, Draw
from analysis.simulator.fields import check_item, text_of
from analysis.simulator.handshake import Handshake, check_handshake, dialect_of
from analysis.simulator.mischief import disturb, tear
from analysis.simulator.outputs import Close, Cut, Output, Silence
from analysis.simulator.refusals import (
    Json,
    Refusal,
    invalid_value,
    missing_parameter,
    unsupported,
)
from analysis.simulator.replies import Reply, frame
from analysis.simulator.service import Job, Question, Receipt, Service
from analysis.simulator.sessions import default_session, effective_response, forced_tool, updated

_decode = msgspec.json.Decoder().decode
_OUT_OF_BAND_FIELDS = frozenset({"conversation", "input", "metadata"})


@dataclass(slots=True, kw_only=True)
class _Running:
    """A response between its creation and its end."""

    reply: Reply
    draw: Draw = NO_FAULT
    unpaid: Receipt | None = None
    is_over: bool = False


_Step: TypeAlias = Callable[[float], None]


class RealtimeSession:
    """One connection; see the theory of operation above.

    Args:
        service: The account that the connection belongs to.
        handshake: What the opening request said; a refused one is answered and closed.
        now: Monotonic seconds; the first `poll` returns the greeting.
    """

    def __init__(self, service: Service, handshake: Handshake, *, now: float) -> None:
        self.is_open = True
        self._service = service
        self._profile = service.profile
        self._dialect = dialect_of(service, handshake)
        self._model = handshake.model or ""
        self._key = handshake.key or ""
        self._out: list[Output] = []
        self._queue: list[tuple[float, int, _Step, _Running]] = []
        self._steps = 0
        self._running: dict[str, _Running] = {}
        self._items = Conversation()
        self._conversation_id = service.new_id("conv")
        self._expires_at = now + self._profile.session_max_age_s
        self._cut_at = service.next_outage_at("realtime", now)
        self._ends_at = min(self._expires_at, self._cut_at)
        self._session = default_session(
            self._dialect,
            session_id=service.new_id("sess"),
            model=service.answerer.name,
            expires_at=int(service.unix_time(self._expires_at)),
        )
        self._audio_is_buffered = False
        service.event("connected", now, route="realtime", session=self._session["id"])
        try:
            check_handshake(service, handshake, now=now)
        except Refusal as refusal:
            self._emit_error(refusal, None)
            reason = ".".join(filter(None, (refusal.kind, refusal.code)))
            self._close(3000 if refusal.status == 401 else 4000, reason, now)
        else:
            self._emit("session.created", session=self._session)
            if self._dialect.is_conversation_announced:
                conversation = {"id": self._conversation_id, "object": "realtime.conversation"}
                self._emit("conversation.created", conversation=conversation)

    def __repr__(self) -> str:
        running = list(self._running.values())
        return f"RealtimeSession({self._session['id']}, {self.is_open=}, running {running})"

    @property
    def next_at(self) -> float | None:
        """When to call `poll` next, or None once the connection is over."""
        if not self.is_open:
            return None
        return min(self._queue[0][0], self._ends_at) if self._queue else self._ends_at

    def receive(self, message: str | bytes, *, now: float) -> list[Output]:
        """Take a text (str) or binary (bytes) message; return what to send at once."""
        self._advance(now)
        if self.is_open:
            self._read(message, now)
            self._advance(now)
        return self._take()

    def poll(self, *, now: float) -> list[Output]:
        """Return what has become due."""
        self._advance(now)
        return self._take()

    def end(self, *, now: float) -> None:
        """Take note that the socket is gone: answers under way are paid and lost."""
        if self.is_open:
            session = self._session["id"]
            self._service.event("disconnected", now, route="realtime", session=session)
        self.is_open = False
        for running in self._running.values():
            self._pay(running, now, is_delivered=False)
        self._running.clear()
        self._queue.clear()

    def _take(self) -> list[Output]:
        out, self._out = self._out, []
        return out

    def _advance(self, now: float) -> None:
        queue = self._queue
        while queue and queue[0][0] <= min(now, self._ends_at):
            _, _, step, running = heappop(queue)
            if not running.is_over:
                step(now)
        if not self.is_open or now < self._ends_at:
            return
        if self._cut_at <= self._expires_at:
            self._cut(now)
        else:
            sentence = f"Your session hit the maximum duration of {self._max_age()}."
            self._emit_error(Refusal(sentence, code="session_expired"), None)
            self._close(1001, sentence, now)

    def _max_age(self) -> str:
        age_s = self._profile.session_max_age_s
        return f"{age_s / 60:g} minutes" if age_s >= 60 else f"{age_s:g} seconds"

    def _schedule(self, at: float, step: _Step, running: _Running) -> None:
        self._steps += 1
        heappush(self._queue, (at, self._steps, step, running))

    def _emit(self, kind: str, **fields: object) -> None:
        self._out.append(frame(self._service, kind, **fields))

    def _emit_error(self, refusal: Refusal, event_id: str | None) -> None:
        self._emit("error", error={**refusal.fields(), "event_id": event_id})

    def _close(self, code: int, reason: str, now: float) -> None:
        self._out.append(Close(code=code, reason=reason))
        self.end(now=now)

    def _pay(self, running: _Running, now: float, *, is_delivered: bool) -> None:
        if running.unpaid:
            self._service.pay(running.unpaid, is_delivered=is_delivered, now=now)
            running.unpaid = None

    # Client events

    def _read(self, message: str | bytes, now: float) -> None:
        event_id = None
        try:
            event = _parse(message)
            given_id = event.get("event_id")
            event_id = given_id if isinstance(given_id, str) else None
            kind = event.get("type")
            if kind is None:
                raise Refusal("The 'type' field is missing.", code="invalid_event")
            if kind not in self._dialect.client_events:
                raise unsupported(kind, self._dialect.client_events, "type")
            _HANDLERS[kind](self, event, now)
        except Refusal as refusal:
            self._emit_error(refusal, event_id)

    def _update_session(self, event: Json, now: float) -> None:
        self._session = updated(self._dialect, self._session, event.get("session"))
        self._emit("session.updated", session=self._session)

    def _update_transcription(self, event: Json, now: float) -> None:
        raise invalid_value(
            "Passing a transcription session update event to a realtime session is not allowed.",
            "type",
        )

    def _close_session(self, event: Json, now: float) -> None:
        self._close(1000, "", now)

    def _ignore_audio(self, event: Json, now: float) -> None:
        """Take audio without a word, as the service does; nobody listens to it here."""
        self._audio_is_buffered = True

    def _commit_audio(self, event: Json, now: float) -> None:
        if not self._audio_is_buffered:
            raise Refusal(
                "Error committing input audio buffer: the buffer is empty.",
                code="input_audio_buffer_commit_empty",
            )
        self._audio_is_buffered = False
        item_id, after = self._service.new_id("item"), self._items.last_id
        self._emit("input_audio_buffer.committed", previous_item_id=after, item_id=item_id)
        content = [{"type": "input_audio", "transcript": None}]
        item: Json = {"id": item_id, "object": "realtime.item", "type": "message", "role": "user"}
        item |= {"status": "completed", "content": content}
        self._items.append(item)
        self._announce(item, after)

    def _announce(self, item: Json, after: str | None) -> None:
        for kind in (*self._dialect.item_announced, *self._dialect.item_settled):
            self._emit(kind, previous_item_id=after, item=item)

    def _clear_audio(self, event: Json, now: float) -> None:
        self._audio_is_buffered = False
        self._emit("input_audio_buffer.cleared")

    def _create_item(self, event: Json, now: float) -> None:
        if "item" not in event:
            raise missing_parameter("item")
        given = check_item(event["item"], "item", self._dialect.part_types)
        item_id = given.get("id") or self._service.new_id("item")
        item = {**given, "id": item_id, "object": "realtime.item", "status": "completed"}
        self._announce(item, self._items.insert(item, event.get("previous_item_id")))

    def _retrieve_item(self, event: Json, now: float) -> None:
        item = self._items.find(event.get("item_id"), "retrieve")
        self._emit("conversation.item.retrieved", item=item)

    def _delete_item(self, event: Json, now: float) -> None:
        item_id = self._items.delete(event.get("item_id"))
        self._emit("conversation.item.deleted", item_id=item_id)

    def _truncate_item(self, event: Json, now: float) -> None:
        self._items.find(event.get("item_id"), "truncate")
        raise invalid_value("Only model output audio messages can be truncated.", "item_id")

    def _cancel_response(self, event: Json, now: float) -> None:
        wanted = event.get("response_id")
        running = self._running.get(str(wanted)) if wanted else self._active_default()
        if running is None:
            raise Refusal(
                "Cancellation failed: no active response found", code="response_cancel_not_active"
            )
        receipt = running.unpaid
        if receipt:
            receipt = replace(receipt, output_tokens=running.reply.sent_tokens())
            running.unpaid = receipt
        self._pay(running, now, is_delivered=False)
        self._out += running.reply.cancelled(receipt)
        self._conclude(running)
        running.is_over = True
        self._report_limits(0, now)

    # Responses

    def _active_default(self) -> _Running | None:
        running = self._running.values()
        return next((one for one in running if one.reply.conversation_id), None)

    def _create_response(self, event: Json, now: float) -> None:
        given = event.get("response")
        if isinstance(given, dict) and not self._profile.is_out_of_band_served:
            given = {name: given[name] for name in given if name not in _OUT_OF_BAND_FIELDS}
        settings = effective_response(self._dialect, self._session, given)
        is_default = settings.get("conversation", "auto") != "none"
        self._check_room(is_default=is_default)
        question = self._question(settings)
        job, refused = None, None
        try:
            job = self._service.start(question, now)
        except Refusal as refusal:
            refused = refusal
        if job and job.draw.is_create_rejected:
            raise Refusal(
                "The server had an error while creating the response.",
                kind="server_error",
                code="server_error",
            )
        conversation_id = self._conversation_id if is_default else None
        reply = Reply(self._service, settings, conversation_id, dialect=self._dialect)
        running = _Running(reply=reply)
        self._running[reply.id] = running
        if job:
            running.draw = job.draw
        self._say(running, reply.created())
        if refused:
            self._schedule(now, partial(self._fail, running, refused, 0), running)
        elif job:
            self._plan(running, job)

    def _check_room(self, *, is_default: bool) -> None:
        """Raise `Refusal` if no further response may be created now."""
        active = self._active_default() if is_default else None
        if active:
            raise Refusal(
                self._dialect.busy_message.format(id=active.reply.id),
                code="conversation_already_has_active_response",
            )
        most = self._profile.parallel_responses
        if most is not None and len(self._running) >= most:
            raise too_many_responses(most, self._profile.parallel_refusal_code)

    def _plan(self, running: _Running, job: Job) -> None:
        """Schedule how an accepted response goes on."""
        if job.failure:
            fail = partial(self._fail, running, job.failure, job.cost_tokens)
            self._schedule(job.at, fail, running)
            return
        running.unpaid = job.receipt
        begin_at = job.at - job.generation_s
        if job.draw.is_dropped:
            self._schedule(job.at, self._cut, running)
        elif job.draw.is_half_open:
            self._schedule(job.at, self._fall_silent, running)
        elif job.draw.is_hanging:
            self._schedule(job.at, partial(self._hang, running), running)
        elif job.draw.is_stalled:
            self._schedule(begin_at, partial(self._stall, running, job), running)
        else:
            self._schedule(begin_at, partial(self._begin, running, job), running)
            self._schedule(job.at, partial(self._finish, running, job), running)

    def _say(self, running: _Running, frames: list[bytes]) -> None:
        self._out += disturb(frames, running.draw)

    def _question(self, settings: Json) -> Question:
        """Return the account's view of a response that is to be created."""
        given = settings.get("input")
        items = list(self._items) if given is None else [self._resolve(i) for i in given]
        texts = [text_of(item) for item in items]
        content = ""
        for item, text in zip(items, texts, strict=True):
            if item.get("role") == "user":
                content = text
        tool = forced_tool(settings)
        cap = settings[self._dialect.output_cap_field]
        instructions = Block(role="instructions", text=settings["instructions"])
        said = (Block(role=i.get("role", ""), text=t) for i, t in zip(items, texts, strict=True))
        return Question(
            route="realtime",
            model=self._model,
            key=self._key,
            content=content,
            size_bytes=sum(len(text.encode()) for text in (settings["instructions"], *texts)),
            schema=tool.get("parameters") if tool else None,
            max_output_tokens=None if cap == "inf" else cap,
            metadata=settings.get("metadata") or {},
            rendered=Rendered(blocks=(instructions, *said), session=self._session["id"]),
        )

    def _resolve(self, item: Json) -> Json:
        if item["type"] != "item_reference":
            return item
        return self._items.find(item["id"], "reference", "response.input")

    def _cut(self, now: float) -> None:
        self._out.append(Cut())
        self.end(now=now)

    def _fall_silent(self, now: float) -> None:
        self._out.append(Silence())
        self.end(now=now)

    def _hang(self, running: _Running, now: float) -> None:
        self._pay(running, now, is_delivered=False)

    def _stall(self, running: _Running, job: Job, now: float) -> None:
        self._say(running, running.reply.begun(job, self._items.last_id))
        self._say(running, running.reply.spoken(1))
        self._pay(running, now, is_delivered=False)

    def _fail(self, running: _Running, refusal: Refusal, cost_tokens: int, now: float) -> None:
        self._say(running, running.reply.failed(refusal))
        self._conclude(running)
        self._report_limits(cost_tokens, now)

    def _begin(self, running: _Running, job: Job, now: float) -> None:
        self._say(running, running.reply.begun(job, self._items.last_id))
        if job.generation_s:
            self._plan_delta(running, job, 1)

    def _plan_delta(self, running: _Running, job: Job, number: int) -> None:
        """Plan the delta of this number, from 1; the last one is left to `_finish`."""
        count = running.reply.delta_count
        if number < count:
            at = job.at - job.generation_s * (1 - number / count)
            self._schedule(at, partial(self._speak, running, job, number), running)

    def _speak(self, running: _Running, job: Job, number: int, now: float) -> None:
        self._say(running, running.reply.spoken(number))
        self._plan_delta(running, job, number + 1)

    def _finish(self, running: _Running, job: Job, now: float) -> None:
        reply = running.reply
        self._pay(running, now, is_delivered=not running.draw.is_torn)
        last = disturb(reply.finished(job.receipt, self._items.last_id), running.draw)
        if running.draw.is_torn:
            self._out += tear(last)
            self.end(now=now)
            return
        self._out += last
        if reply.conversation_id:
            self._items.append(reply.item)
        self._conclude(running)
        lag_s = job.latency_s * self._profile.limits_lag_share
        report = partial(self._report_limits, job.cost_tokens, lie=job.draw.lie)
        self._schedule(job.at + lag_s, report, running)

    def _conclude(self, running: _Running) -> None:
        del self._running[running.reply.id]

    def _report_limits(self, cost_tokens: int, now: float, *, lie: str = "") -> None:
        names = self._dialect.reported_limits
        if self._profile.is_requests_limit_reported:
            names |= {"requests"}
        limits = [
            {
                "name": state.name,
                "limit": state.limit,
                "remaining": state.remaining,
                "reset_seconds": round(state.reset_s, 3),
            }
            for state in self._service.limits.report(cost_tokens, now, lie=lie)
            if state.name in names
        ]
        self._emit("rate_limits.updated", rate_limits=limits)


_HANDLERS: dict[str, Callable[[RealtimeSession, Json, float], None]] = {
    "session.update": RealtimeSession._update_session,
    "session.close": RealtimeSession._close_session,
    "transcription_session.update": RealtimeSession._update_transcription,
    "input_audio_buffer.append": RealtimeSession._ignore_audio,
    "session.input_audio_buffer.append": RealtimeSession._ignore_audio,
    "input_audio_buffer.commit": RealtimeSession._commit_audio,
    "input_audio_buffer.clear": RealtimeSession._clear_audio,
    "conversation.item.create": RealtimeSession._create_item,
    "conversation.item.truncate": RealtimeSession._truncate_item,
    "conversation.item.delete": RealtimeSession._delete_item,
    "conversation.item.retrieve": RealtimeSession._retrieve_item,
    "response.create": RealtimeSession._create_response,
    "response.cancel": RealtimeSession._cancel_response,
}
"""Client event -> what handles it; holds the client events of every dialect."""


def _parse(message: str | bytes) -> Json:
    """Return the JSON object in a client message.

    Raises:
        Refusal: If it is binary, no JSON, or no object.
    """
    if isinstance(message, bytes):
        raise Refusal(
            "Expected a text WebSocket message; binary frames are not supported.",
            code="invalid_event",
        )
    try:
        event = _decode(message)
    except msgspec.DecodeError as error:
        raise Refusal(
            f"Invalid event: failed to parse JSON value. {error}", code="invalid_json"
        ) from error
    if not isinstance(event, dict):
        raise Refusal("Invalid event: expected a JSON object.", code="invalid_event")
    return event
