"""A short fuzz run finds nothing, and the oracles find planted faults."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.labels.answer import Checked, check
from analysis.labels.label_set import LabelSet
from analysis.records import Ask, ChoiceReply, Reply, TextReply
from analysis.wire import decisions, responses
from analysis.wire.events import Answered, Event, RequestEnded
from analysis.wire.lane_frames import LaneEvent
from analysis.wire.lanes import LanesConnection
from analysis.wire.realtime import RealtimeConnection
from tests.fuzz import answers, bodies, lanes_client, realtime_client
from tests.fuzz.run import ROOT, function_of, seeds
from tests.fuzz.targets import TARGETS

INPUTS = 300
PLANTED_TRIES = 4_000

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed; there is none for this system or Python version",
)


@needs_atheris
def test_three_hundred_inputs_find_nothing(tmp_path: Path) -> None:
    """As many on every machine for each target, in a process of its own; the report says so."""
    command = [sys.executable, "-m", "tests.fuzz.run", "--inputs", str(INPUTS), "--no-coverage"]
    command += ["--results", str(tmp_path), "--corpus", str(tmp_path / "corpus")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert 0 == done.returncode, done.stdout + done.stderr
    (report,) = tmp_path.glob("fuzz_*.json")
    found = json.loads(report.read_text(encoding="utf-8"))
    assert set(TARGETS) == {one["target"] for one in found["targets"]}
    assert {INPUTS} == {one["executions"] for one in found["targets"]}


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_pass(name: str) -> None:
    """The first inputs of every target, without the fuzzer."""
    function = function_of(name)
    for content in seeds(name, 1):
        function(content)


def is_caught(target: Callable[[bytes], None]) -> bool:
    """Return whether chance alone makes a target fail within some thousand inputs."""
    rng = random.Random(7)
    for _ in range(PLANTED_TRIES):
        share = rng.random()
        content = bytes(rng.randrange(256) if rng.random() < share else 0 for _ in range(400))
        try:
            target(content)
        except AssertionError:
            return True
    return False


class Crossing(RealtimeConnection):
    """Gives an answer to the request that has waited longest."""

    def receive(self, frame: bytes | str) -> tuple[Event, ...]:
        """Exchange the owner of an answer."""
        events = super().receive(frame)
        return tuple(self._exchanged(event) for event in events)

    def _exchanged(self, event: Event) -> Event:
        if isinstance(event, Answered) and self.waiting:
            return Answered(request_id=self.waiting[0], reply=event.reply)
        return event


class Late(RealtimeConnection):
    """Gives each request the answer to the one before."""

    kept: TextReply | None = None

    def receive(self, frame: bytes | str) -> tuple[Event, ...]:
        """Exchange the texts of two answers."""
        return tuple(self._exchanged(event) for event in super().receive(frame))

    def _exchanged(self, event: Event) -> Event:
        if not isinstance(event, Answered):
            return event
        given, self.kept = self.kept or event.reply, event.reply
        return Answered(request_id=event.request_id, reply=given)


class Losing(RealtimeConnection):
    """Forgets to end what waits when the socket closes."""

    def closed(self, code: int, reason: str) -> tuple[Event, ...]:
        """Leave the endings out."""
        events = super().closed(code, reason)
        return tuple(event for event in events if not isinstance(event, RequestEnded))


class CrossingLanes(LanesConnection):
    """Keeps the text of an answer for the next one."""

    kept: TextReply | None = None

    def receive(self, frame: bytes | str) -> tuple[LaneEvent, ...]:
        """Exchange the texts of two answers."""
        return tuple(self._exchanged(event) for event in super().receive(frame))

    def _exchanged(self, event: LaneEvent) -> LaneEvent:
        if not isinstance(event, Answered):
            return event
        given, self.kept = self.kept or event.reply, event.reply
        return Answered(request_id=event.request_id, reply=given)


class RepeatingLanes(LanesConnection):
    """Ends every request twice."""

    def receive(self, frame: bytes | str) -> tuple[LaneEvent, ...]:
        """Say each event twice."""
        events = super().receive(frame)
        return events + events


@pytest.mark.parametrize("target", [realtime_client.ga, realtime_client.beta])
@pytest.mark.parametrize("planted", [Crossing, Late, Losing])
def test_planted_faults_of_a_connection_are_found(
    target: Callable[..., None], planted: Callable[..., RealtimeConnection]
) -> None:
    """An answer for another request, and a request without an end."""
    assert is_caught(lambda content: target(content, planted))


@pytest.mark.parametrize("planted", [Late, Losing])
def test_planted_faults_in_turns_are_found(planted: Callable[..., RealtimeConnection]) -> None:
    """One request at a time has an end and an answer of its own, too."""
    assert is_caught(lambda content: realtime_client.turns(content, planted))


@pytest.mark.parametrize("planted", [CrossingLanes, RepeatingLanes])
def test_planted_faults_of_lanes_are_found(planted: Callable[..., LanesConnection]) -> None:
    """A text for another request, and a request that ends twice."""
    assert is_caught(lambda content: lanes_client.lanes(content, planted))


def test_an_answer_with_a_foreign_id_is_found() -> None:
    """A reader that does not look at the id in a body is caught."""

    def careless(content: bytes, *, request_id: str) -> Any:
        found = json.loads(content)
        metadata = found.get("metadata") if isinstance(found, dict) else None
        rid = metadata.get("rid") if isinstance(metadata, dict) else request_id
        return responses.read(content, request_id=rid or request_id)

    def target(content: bytes) -> None:
        try:
            bodies.responses_body(content, careless)
        except ValueError:
            return

    assert is_caught(target)


def test_answers_taken_by_place_are_found() -> None:
    """Decisions are bound to their chunks by name; a reader that goes by place is caught."""

    def careless(content: bytes, *, ask: Ask) -> ChoiceReply:
        reply = decisions.read(content, ask=ask)
        return replace(
            reply, choices=dict(zip(reply.choices, _shifted(reply.choices), strict=True))
        )

    assert is_caught(lambda content: bodies.decisions_body(content, careless))


def test_labels_of_a_neighbour_are_found() -> None:
    """A checker that gives each chunk the labels of the next one is caught."""

    def careless(reply: Reply, ask: Ask, label_set: LabelSet) -> Checked:
        found = check(reply, ask, label_set)
        labels = dict(zip(found.labels, _shifted(found.labels), strict=True))
        return replace(found, labels=labels)

    assert is_caught(lambda content: answers.answer(content, careless))


def _shifted(values: Mapping[Any, Any]) -> list[Any]:
    """Return the values, each in the place of the one before."""
    listed = list(values.values())
    return listed[1:] + listed[:1]
