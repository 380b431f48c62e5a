"""One connection of the Responses API in WebSocket mode, as a state machine.

Pure: client messages and `now` in; frames, a close or a cut out. `server` owns the socket and asks
`routes` first whether it may be opened. Sources: section 6 of the protocol notes.

Theory of operation. `queues` keeps the lanes: each carries out one request after another, and
lanes run side by side as long as no more responses run than the rules allow. A request is checked
when its turn has come, since it may go on from the answer before it. Each lane remembers its newest
response. Steps that are due later stand in a heap with their time, as in `realtime`.

    request, good         waiting -> created, in progress -> spoken ... -> ended -> remembered
    request, refused      waiting -> error frame of the lane; the parent in the same lane is lost
    request, failing      waiting -> created, in progress -> failed; as above
    request, warm-up      waiting -> created -> completed without output -> remembered
    request, hanging      waiting -> created, in progress -> paid; the lane stays busy
    connection            open -> closed (too old), cut (fault, outage), silent (fault), or ended
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from typing import TypeAlias

import msgspec

from analysis.simulator.faults import NO_FAULT, Draw
from analysis.simulator.mischief import disturb, tear
from analysis.simulator.outcomes import limit_headers, retry_headers
from analysis.simulator.outputs import Close, Cut, Output, Silence
from analysis.simulator.parameters import check_shutdown
from analysis.simulator.queues import Lane, Lanes, read_lane_name
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_type,
    missing_parameter,
    unsupported,
)
from analysis.simulator.responses import (
    check_request,
    continued,
    conversation_after,
    question_of,
    response_not_found,
    store,
)
from analysis.simulator.service import Job, Receipt, Service, encode
from analysis.simulator.streams import Stream

ROUTE = "responses-ws"
"""Name of this route in the payment log and among those that can be out."""

_decode = msgspec.json.Decoder().decode
_CLIENT_EVENTS = ("response.create", "response.steer")
_ENVELOPE = frozenset({"type", "stream_id", "generate", "stream"})
_STEER_FIELDS = ("type", "previous_response_id", "input")


@dataclass(slots=True, kw_only=True)
class _Running:
    """A response between its acceptance and its end."""

    lane: Lane
    request: Json
    stream: Stream
    draw: Draw = NO_FAULT
    spoken: Iterator[tuple[float, Callable[[], list[Json]]]] | None = None
    stages: int = 0
    unpaid: Receipt | None = None


_Step: TypeAlias = Callable[[float], None]


class LanesSession:
    """One connection; see the theory of operation above.

    Args:
        service: The account that the connection belongs to.
        key: The key with which it was opened; `routes` has checked it.
        now: Monotonic seconds. Nothing is sent before the first request.
    """

    def __init__(self, service: Service, *, key: str, now: float) -> None:
        self.is_open = True
        self._service = service
        self._rules = service.profile.responses
        self._key = key
        self._out: list[Output] = []
        self._queue: list[tuple[float, int, _Step]] = []
        self._steps = 0
        self._lanes = Lanes(self._rules)
        self._running: dict[str, _Running] = {}
        self._cut_at = service.next_outage_at(ROUTE, now)
        self._expires_at = now + self._rules.connection_max_age_s
        self._is_expired = False
        self._id = service.new_id("conn")
        service.event("connected", now, route=ROUTE, session=self._id)

    def __repr__(self) -> str:
        return f"LanesSession({self.is_open=}, {self._lanes})"

    @property
    def next_at(self) -> float | None:
        """When to call `poll` next, or None if nothing is due by itself."""
        if not self.is_open:
            return None
        at = min(self._queue[0][0], self._ends_at) if self._queue else self._ends_at
        return None if at == math.inf else at

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
            self._service.event("disconnected", now, route=ROUTE, session=self._id)
        self.is_open = False
        for running in self._running.values():
            self._pay(running, now, is_delivered=False)
        self._running.clear()
        self._queue.clear()
        self._lanes = Lanes(self._rules)

    @property
    def _ends_at(self) -> float:
        return self._cut_at if self._is_expired else min(self._cut_at, self._expires_at)

    def _take(self) -> list[Output]:
        out, self._out = self._out, []
        return out

    def _advance(self, now: float) -> None:
        queue = self._queue
        while queue and queue[0][0] <= min(now, self._ends_at):
            _, _, step = heappop(queue)
            step(now)
        if not self.is_open or now < self._ends_at:
            return
        if self._cut_at <= self._ends_at:
            self._cut(now)
        else:
            self._expire(now)

    def _schedule(self, at: float, step: _Step) -> None:
        self._steps += 1
        heappush(self._queue, (at, self._steps, step))

    def _pay(self, running: _Running, now: float, *, is_delivered: bool) -> None:
        if running.unpaid:
            self._service.pay(running.unpaid, is_delivered=is_delivered, now=now)
            running.unpaid = None

    # What ends the connection

    def _expire(self, now: float) -> None:
        self._is_expired = True
        self._emit_error(self._expired(), None, now)
        if self._rules.expired_close_code is not None:
            self._close(self._rules.expired_close_code, now)

    def _expired(self) -> Refusal:
        age_s = self._rules.connection_max_age_s
        age = f"{age_s / 60:g} minutes" if age_s >= 60 else f"{age_s:g} seconds"
        return Refusal(
            f"Responses websocket connection limit reached ({age}). Create a new websocket "
            "connection to continue.",
            code="websocket_connection_limit_reached",
        )

    def _close(self, code: int, now: float) -> None:
        self._out.append(Close(code=code, reason=""))
        self.end(now=now)

    def _cut(self, now: float) -> None:
        self._out.append(Cut())
        self.end(now=now)

    def _fall_silent(self, now: float) -> None:
        self._out.append(Silence())
        self.end(now=now)

    # Client events

    def _read(self, message: str | bytes, now: float) -> None:
        try:
            event = _parse(message)
        except Refusal as refusal:
            self._emit_error(refusal, None, now)
            if self._rules.bad_frame_close_code is not None:
                self._close(self._rules.bad_frame_close_code, now)
            return
        try:
            match event.get("type"):
                case "response.create":
                    self._enqueue(event, now)
                case "response.steer":
                    self._refuse_steer(event)
                case None:
                    raise missing_parameter("type")
                case other:
                    raise unsupported(other, _CLIENT_EVENTS, "type")
        except Refusal as refusal:
            self._emit_error(refusal, None, now)

    def _enqueue(self, event: Json, now: float) -> None:
        """Put a request in its lane.

        Raises:
            Refusal: If it names no lane that can be, or the connection is too old.
        """
        if self._is_expired:
            raise self._expired()
        name = read_lane_name(event.get("stream_id"))
        try:
            self._lanes.add(self._lanes.find(name), event)
        except Refusal as refusal:
            self._emit_error(refusal, name, now)
        self._start_ready(now)

    def _refuse_steer(self, event: Json) -> None:
        """Say that a running response takes no further input; this service offers none of that.

        Raises:
            Refusal: If the event lacks what the answer to it has to repeat.
        """
        for name in _STEER_FIELDS:
            if not event.get(name):
                raise missing_parameter(name)
        target = event["previous_response_id"]
        running = self._running.get(target) if isinstance(target, str) else None
        lane = running.lane if running else self._lanes.holder_of(target)
        if event.keys() != set(_STEER_FIELDS):
            code, problem = "invalid_input", "Only 'previous_response_id' and 'input' are accepted."
        elif running:
            code, problem = "steering_not_supported", "This model does not support steering."
        elif lane:
            code, problem = "response_already_completed", "The response has completed."
        else:
            code, problem = "response_not_found", f"Response with id '{target}' not found."
        told = {
            "type": "response.steer.failed",
            "sequence_number": running.stream.next_number() if running else 0,
            "error": {"type": "invalid_request_error", "code": code, "message": problem},
            "steer": {"previous_response_id": str(target), "input": event["input"]},
        }
        self._emit([told], lane.name if lane else None, NO_FAULT)

    # Responses

    def _start_ready(self, now: float) -> None:
        while (taken := self._lanes.begin_next()) is not None:
            lane, event = taken
            try:
                self._start(lane, event, now)
            except Refusal as refusal:
                self._emit_error(refusal, lane.name, now)
                lane.evict(event.get("previous_response_id"))
                self._lanes.release(lane)

    def _start(self, lane: Lane, event: Json, now: float) -> None:
        """Accept the request whose turn has come.

        Raises:
            Refusal: If its body is wrong, its parent is gone or a limit stands against it.
        """
        options = event.get("prompt_cache_options")
        is_prewarm = isinstance(options, dict) and options.get("prewarm") is True
        is_warmup = event.get("generate") is False or is_prewarm
        request = self._checked(event, is_warmup=is_warmup)
        check_shutdown(self._service, request["model"], now)
        question = question_of(request, key=self._key, route=ROUTE, is_answer_text=not is_warmup)
        running = _Running(
            lane=lane, request=request, stream=Stream(self._service, request, now=now)
        )
        try:
            job = self._service.start(question, now)
        except Refusal as refusal:
            if refusal.status < 429 or not self._rules.is_refusal_response:
                raise
            self._running[running.stream.id] = running
            self._tell(running, [running.stream.created(), running.stream.in_progress()])
            self._schedule(now, partial(self._fail, running, refusal))
            return
        running.draw = job.draw
        self._running[running.stream.id] = running
        if is_warmup:
            self._warm_up(running, job)
        else:
            self._begin(running, job)

    def _checked(self, event: Json, *, is_warmup: bool) -> Json:
        if event.get("stream") is not None and self._rules.is_stream_refused:
            raise Refusal(
                "The 'stream' parameter is not supported over WebSocket; events always stream.",
                code="unsupported_parameter",
                param="stream",
            )
        if event.get("generate") is not None:
            check_type(event["generate"], bool, "a boolean", "generate")
        body = {name: value for name, value in event.items() if name not in _ENVELOPE}
        request = check_request(
            self._service, {**body, "stream": True}, is_input_needed=not is_warmup
        )
        parent_id = request.get("previous_response_id")
        return continued(request, self._recall(parent_id)) if parent_id else request

    def _recall(self, response_id: object) -> list[Json]:
        """Return the conversation up to a response: the newest of a lane, or a stored one."""
        lane = self._lanes.holder_of(response_id)
        if lane and lane.newest:
            return lane.newest[1]
        stored = self._service.stored.get(response_id) if isinstance(response_id, str) else None
        if stored is None:
            raise response_not_found(response_id)
        return stored

    def _begin(self, running: _Running, job: Job) -> None:
        self._tell(running, [running.stream.created(), running.stream.in_progress()])
        draw = job.draw
        if job.failure:
            self._schedule(job.at, partial(self._fail, running, job.failure))
            return
        running.unpaid = job.receipt
        if draw.is_dropped:
            self._schedule(job.at, self._cut)
        elif draw.is_half_open:
            self._schedule(job.at, self._fall_silent)
        elif draw.is_hanging:
            self._schedule(job.at, partial(self._hang, running))
        else:
            running.spoken = running.stream.spoken(job)
            self._plan(running, job)

    def _warm_up(self, running: _Running, job: Job) -> None:
        stream = running.stream
        progress = [stream.in_progress()] if self._rules.is_warmup_progress_told else []
        self._tell(running, [stream.created(), *progress])
        if job.failure:
            self._schedule(job.at, partial(self._fail, running, job.failure))
            return
        running.unpaid = receipt = replace(job.receipt, texts=(), item_ids=())
        self._schedule(job.at, partial(self._prepare, running, receipt))

    def _plan(self, running: _Running, job: Job) -> None:
        """Plan the next stage of the answer; a stalled one ends after its first delta."""
        stage = next(running.spoken, None) if running.spoken else None
        if stage is not None and not (running.draw.is_stalled and running.stages == 2):
            running.stages += 1
            self._schedule(stage[0], partial(self._speak, running, job, stage[1]))
        elif running.draw.is_stalled:
            self._schedule(job.at, partial(self._hang, running))
        else:
            self._schedule(job.at, partial(self._finish, running, job))

    def _speak(
        self, running: _Running, job: Job, spell: Callable[[], list[Json]], now: float
    ) -> None:
        self._tell(running, spell())
        self._plan(running, job)

    def _hang(self, running: _Running, now: float) -> None:
        self._pay(running, now, is_delivered=False)

    def _fail(self, running: _Running, refusal: Refusal, now: float) -> None:
        self._tell(running, [running.stream.failed(refusal)])
        running.lane.evict(running.request.get("previous_response_id"))
        self._release(running, now)

    def _prepare(self, running: _Running, receipt: Receipt, now: float) -> None:
        self._pay(running, now, is_delivered=True)
        self._tell(running, [running.stream.prepared(receipt, now)])
        self._remember(running, None)
        self._release(running, now)

    def _finish(self, running: _Running, job: Job, now: float) -> None:
        events = running.stream.finished(job)
        if running.draw.is_torn:
            self._pay(running, now, is_delivered=False)
            self._out += tear(_frames(events, running.lane.name))
            self.end(now=now)
            return
        self._pay(running, now, is_delivered=True)
        self._tell(running, events)
        self._remember(running, job.text)
        self._release(running, now)

    def _remember(self, running: _Running, text: str | None) -> None:
        response_id = running.stream.id
        running.lane.newest = (response_id, conversation_after(running.request, text))
        store(self._service, response_id, running.request, text)

    def _release(self, running: _Running, now: float) -> None:
        del self._running[running.stream.id]
        self._lanes.release(running.lane)
        self._start_ready(now)

    # Frames

    def _tell(self, running: _Running, events: list[Json]) -> None:
        self._emit(events, running.lane.name, running.draw)

    def _emit(self, events: list[Json], lane_name: str | None, draw: Draw) -> None:
        self._out += disturb(_frames(events, lane_name), draw)

    def _emit_error(self, refusal: Refusal, lane_name: str | None, now: float) -> None:
        error = refusal.fields()
        if self._rules.is_error_headed:
            error["headers"] = limit_headers(self._service, 0, now) | retry_headers(refusal)
        event: Json = {"type": "error", "status": refusal.status, "error": error}
        if self._rules.is_error_numbered:
            event["sequence_number"] = 0
        self._emit([event], lane_name, NO_FAULT)


def _frames(events: list[Json], lane_name: str | None) -> list[bytes]:
    if lane_name is None:
        return [encode(event) for event in events]
    return [encode({**event, "stream_id": lane_name}) for event in events]


def _parse(message: str | bytes) -> Json:
    """Return the JSON object in a client message.

    Raises:
        Refusal: If it is binary, no JSON, or no object.
    """
    try:
        event = _decode(message) if isinstance(message, str) else None
    except msgspec.DecodeError:
        event = None
    if not isinstance(event, dict):
        raise Refusal("We could not parse the message. Send a JSON object in a text frame.")
    return event
