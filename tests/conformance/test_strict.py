"""What the strict reading of the SDK's types finds."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import Decision, Model
from openai.types.decision_create_params import DecisionCreateParams
from openai.types.realtime import RealtimeClientEventParam
from openai.types.realtime.realtime_server_event import RealtimeServerEvent

from tests.conformance.strict import complaints

MODEL = {"id": "m", "object": "model", "created": 1, "owned_by": "o"}
DELETE = {"type": "conversation.item.delete", "item_id": "i1"}
UPDATE = {"type": "session.update", "session": {"type": "realtime"}}
QUESTION = {"type": "choice", "instructions": "x", "choices": [{"value": "a"}]}
ASKED = {"model": "m", "input": [{"role": "user", "content": "x"}], "questions": [QUESTION]}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Model, MODEL),
        (Model, {**MODEL, "shutdown_date": None}),
        (RealtimeClientEventParam, DELETE),
        (RealtimeClientEventParam, UPDATE),
        (DecisionCreateParams, ASKED),
        (RealtimeServerEvent, {"type": "input_audio_buffer.cleared", "event_id": "e"}),
    ],
)
def test_what_has_the_type_passes(kind: Any, value: dict[str, Any]) -> None:
    """Optional fields may be absent, and null where the type says so."""
    assert [] == complaints(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Model, {**MODEL, "colour": "red"}, "colour: not in the type"),
        (Model, {**MODEL, "created": True}, "created: bool in place of int"),
        (Model, {**MODEL, "created": 1.5}, "created: float in place of int"),
        (Model, {**MODEL, "object": "list"}, "object: 'list' is none of 'model'"),
        (Model, {"id": "m", "object": "model", "created": 1}, "owned_by: absent"),
        (Model, [], ": no object"),
        (RealtimeClientEventParam, {"type": "conversation.item.delete"}, "item_id: absent"),
        (RealtimeClientEventParam, {**DELETE, "event_id": None}, "event_id: NoneType in place"),
        (
            RealtimeClientEventParam,
            {**UPDATE, "session": {"type": "realtime", "modalities": ["text"]}},
            "session.modalities: not in the type",
        ),
        (
            DecisionCreateParams,
            {**ASKED, "questions": [{**QUESTION, "choices": [{"value": 1}]}]},
            "questions[].choices[].value: int in place of",
        ),
        (DecisionCreateParams, {**ASKED, "questions": {}}, "questions: no list"),
    ],
)
def test_what_has_not_is_named(kind: Any, value: object, expected: str) -> None:
    """One line that begins with the path; of a union, that of the member which is meant."""
    (line,) = complaints(kind, value)
    assert line.startswith(expected), line


def test_every_fault_has_a_line() -> None:
    """None hides another."""
    answer = {"type": "choice", "choice": "a", "confidence": "high"}
    value = {"model": "m", "answers": [answer], "usage": None}
    assert [
        "answers[].confidence: str in place of float",
        "answers[].probabilities: absent",
        "usage: no object",
    ] == complaints(Decision, value)


def test_an_annotation_that_is_not_known_is_no_agreement() -> None:
    """Nothing passes because nobody looked."""
    with pytest.raises(TypeError, match="nobody has thought"):
        complaints(bytes, "x")
