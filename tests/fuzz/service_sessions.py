"""The service's sessions against a client gone wrong: always an answer in form, never another's."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_args

from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from openai.types.responses.responses_server_event import ResponsesServerEvent
from pydantic import TypeAdapter

from analysis.simulator.faults import FAULTS
from analysis.simulator.handshake import Handshake
from analysis.simulator.lanes import LanesSession
from analysis.simulator.outputs import Output, SocketSession
from analysis.simulator.profile import PROFILE, Profile
from analysis.simulator.realtime import RealtimeSession
from analysis.simulator.service import Service
from tests.fuzz.course import Course
from tests.fuzz.dice import Dice
from tests.fuzz.mutation import torn
from tests.simulator.beta_shapes import beta_events
from tests.simulator.examples import CHOICE, TOOL, body, message, pack, service

MOST_STEPS = 60
DIALECTS = ("ga", "beta")
ENDS = ("response.completed", "response.incomplete", "response.failed", "response.done")
DISTURBING = frozenset({"duplicate", "reorder", "unknown_event", "foreign_event"})
"""Faults that break the form or the order of frames, which is what is checked here."""

REALTIME_NAMES = (
    *("session.update", "response.create", "response.cancel", "conversation.item.create"),
    *("conversation.item.delete", "conversation.item.retrieve", "conversation.item.truncate"),
    *("input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear"),
    *("transcription_session.update", "session.close", "unheard.of"),
)
BETA_NAMES = tuple(name for name in REALTIME_NAMES if "audio" not in name)
"""Without audio: the shapes of its events are not written down for the beta dialect."""

LANES_NAMES = ("response.create", "response.steer", "unheard.of")
WORDS = (
    *("type", "event_id", "session", "response", "item", "item_id", "response_id", "input"),
    *(
        "metadata",
        "rid",
        "model",
        "stream_id",
        "generate",
        "previous_response_id",
        "previous_item_id",
    ),
    *("conversation", "none", "auto", "instructions", "tools", "tool_choice", "text", "format"),
    *("output_modalities", "modalities", "max_output_tokens", "temperature", "root", "item_1"),
    *("role", "user", "system", "assistant", "content", "input_text", "message", "item_reference"),
    *("w0", "w1", "w" * 65, "store", "prompt_cache_options", "prewarm", "reasoning", "effort"),
)


OWN = re.compile(r"own-(\d+)-")
"""The id of a chunk of ours; it stands in the question and in the answer."""


def _models(events: Any) -> dict[str, TypeAdapter[Any]]:
    """Return type of an event -> the SDK's model of it; asking the union takes much longer."""
    union = get_args(events)[0]
    return {
        kind: TypeAdapter(model)
        for model in get_args(union)
        for kind in get_args(model.model_fields["type"].annotation)
    }


REALTIME_MODELS = _models(RealtimeServerEvent)
LANES_MODELS = _models(ResponsesServerEvent)


def _account(dice: Dice, dialect: str, payments: list[Any]) -> Service:
    names = [name for name in FAULTS if name not in DISTURBING]
    faults = {dice.pick(names): 0.3} if dice.happens(2) else {}
    limits = {"rpm": 3} if dice.happens(6) else {}
    profile: Profile = replace(PROFILE, session_max_age_s=30.0, parallel_responses=4)
    latency_ms = 100.0 if dice.happens(2) else 0.0
    return service(
        seed=dice.below(8),
        faults=faults,
        dialect=dialect,
        payment=payments.append,
        latency_ms=latency_ms,
        ms_per_token=latency_ms / 10,
        profile=profile,
        **limits,
    )


class Caller:
    """One connection to the service, and what it owes.

    Args:
        dice: Chooses.
        course: The events of the caller.
        session: The connection.
        form: Checks the form of one frame.
        is_form_kept: Whatever the caller sends. Lanes give fields back that they do not use, of
            whatever type, so there the form is checked until the first event that is not in order.
    """

    def __init__(
        self,
        dice: Dice,
        course: Course,
        session: SocketSession,
        form: Callable[[Any], None],
        *,
        is_form_kept: bool,
    ) -> None:
        self.now = 0.0
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self._dice = dice
        self._course = course
        self._session = session
        self._form = form
        self._is_form_kept = is_form_kept
        self._is_form_checked = True
        self._asked: dict[str, set[str]] = {}

    def run(self) -> None:
        """Send and poll by chance; then wait until nothing is due."""
        self._hear(self._session.poll(now=self.now))
        for _ in range(MOST_STEPS):
            if self._dice.is_spent or not self._session.is_open:
                break
            self.now += self._dice.pick((0.0, 0.01, 0.3))
            if self._dice.happens(3):
                self._hear(self._session.poll(now=self.now))
            else:
                self._hear(self._session.receive(self._message(), now=self.now))
        self._drain()
        assert self.ended <= self.begun, f"{self.ended - self.begun} ended without a beginning"
        self._session.end(now=self.now)
        assert self._session.next_at is None and not self._session.is_open
        assert not self._session.poll(now=self.now + 1e6)

    def _drain(self) -> None:
        for _ in range(10_000):
            at = self._session.next_at
            if at is None or at > self.now + 20:
                return
            self.now = max(self.now, at)
            self._hear(self._session.poll(now=self.now))
        raise AssertionError("there is always something due")

    def _message(self) -> str | bytes:
        message = self._draw()
        with contextlib.suppress(ValueError):  # a torn one may still be whole, or not
            sent = json.loads(message)
            for rid in _rids(sent):
                self._asked.setdefault(rid, set()).update(OWN.findall(json.dumps(sent)))
        return message

    def _draw(self) -> str | bytes:
        sent, is_pristine = self._course.next_frame()
        self._is_form_checked = self._is_form_kept or (self._is_form_checked and is_pristine)
        if isinstance(sent, bytes):
            return sent if self._dice.below(2) else sent.decode("latin-1")
        if not is_pristine and self._dice.happens(16):
            return torn(sent, self._dice)
        return json.dumps(sent)

    def _hear(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, bytes):
                self._frame(json.loads(output))

    def _frame(self, event: Any) -> None:
        if self._is_form_checked:
            self._form(event)
        response = event.get("response")
        if event["type"] == "response.created":
            self.begun[response["id"]] += 1
            assert self.begun[response["id"]] == 1
        if event["type"] in ENDS:
            self.ended[response["id"]] += 1
            self._check_answer(response)

    def _check_answer(self, response: Any) -> None:
        """An answer is about chunks of the question that bore its id."""
        rid = (response.get("metadata") or {}).get("rid")
        if response["status"] != "completed" or not isinstance(rid, str):
            return
        found = set(OWN.findall(json.dumps(response["output"])))
        assert found <= self._asked.get(rid, set()), f"{rid} got the answer about {found}"


def _rids(sent: Any) -> Iterator[str]:
    """Yield the ids that a client event gives to its request."""
    holders = [sent, sent.get("response")] if isinstance(sent, dict) else []
    for holder in holders:
        metadata = holder.get("metadata") if isinstance(holder, dict) else None
        rid = metadata.get("rid") if isinstance(metadata, dict) else None
        if isinstance(rid, str):
            yield rid


def _own(number: int) -> str:
    """Return the content of a question about one chunk, named as its request."""
    return pack("one").replace('"i0"', f'"own-{number}-"')


def realtime(content: bytes) -> None:
    """A Realtime session in either dialect."""
    dice = Dice(content)
    dialect = dice.pick(DIALECTS)
    payments: list[Any] = []
    on = _account(dice, dialect, payments)
    names = BETA_NAMES if dialect == "beta" else REALTIME_NAMES
    course = Course(dice, list(WORDS), names)
    modalities = "modalities" if dialect == "beta" else "output_modalities"
    cap = "max_response_output_tokens" if dialect == "beta" else "max_output_tokens"
    settings: dict[str, Any] = {modalities: ["text"], "tools": [TOOL], "tool_choice": CHOICE}
    if dialect == "ga":
        settings["type"] = "realtime"
    course.due.append({"type": "session.update", "event_id": "e0", "session": settings})
    for number in range(8):
        asked = {
            "conversation": "none" if number % 4 else "auto",
            "metadata": {"rid": f"h-{number}"},
            modalities: ["text"],
            cap: 400,
            "input": [message(_own(number))],
        }
        course.due.append({"type": "response.create", "event_id": f"e{number}", "response": asked})
        item = {"id": f"item_{number}", **message("a text")}
        course.due.append({"type": "conversation.item.create", "item": item})
    for verb in ("retrieve", "delete", "truncate"):
        course.due.append({"type": f"conversation.item.{verb}", "item_id": "item_1"})
    course.due.append({"type": "response.cancel"})
    handshake = Handshake(model="gpt-realtime-2.1-mini", key="key-1")
    session = RealtimeSession(on, handshake, now=0.0)

    def form(event: Any) -> None:
        _realtime_form(event, dialect)

    Caller(dice, course, session, form, is_form_kept=True).run()
    _check_payments(on, payments)


def _realtime_form(event: Any, dialect: str) -> None:
    if dialect == "beta":
        beta_events([json.dumps(event).encode()])
    else:
        REALTIME_MODELS[event["type"]].validate_python(event, strict=True)


def lanes(content: bytes) -> None:
    """A WebSocket of the Responses API."""
    dice = Dice(content)
    payments: list[Any] = []
    on = _account(dice, "ga", payments)
    course = Course(dice, list(WORDS), LANES_NAMES)
    for number in range(12):
        asked = body(input=_own(number), metadata={"rid": f"h-{number}"}, store=False)
        asked |= {"type": "response.create", "stream_id": f"w{number % 3}"}
        if number == 5:
            asked["generate"] = False
        course.due.append(asked)
    steer = {"type": "response.steer", "previous_response_id": "resp_1", "input": "more"}
    course.due.append(steer)
    session = LanesSession(on, key="key-1", now=0.0)
    Caller(dice, course, session, _lanes_form, is_form_kept=False).run()
    _check_payments(on, payments)


def _lanes_form(event: Any) -> None:
    LANES_MODELS[event["type"]].validate_python(event, strict=True)


def _check_payments(on: Service, payments: list[Any]) -> None:
    """Each answer is paid once."""
    assert on.paid == len(payments)
