"""Behaviour of the faults of frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.simulator.faults import NO_FAULT, Draw
from analysis.simulator.mischief import UNKNOWN_TYPE, disturb, foreign_copy, tear
from analysis.simulator.outputs import Torn


def frames(*kinds: str) -> list[bytes]:
    """Return one frame per type, in order."""
    return [json.dumps({"type": kind, "event_id": f"event_{kind}"}).encode() for kind in kinds]


def kinds(sent: list[bytes]) -> list[str]:
    """Return the types of the frames."""
    return [json.loads(frame)["type"] for frame in sent]


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (NO_FAULT, ["a", "b", "c"]),
        (Draw(is_duplicated=True), ["a", "a", "b", "b", "c", "c"]),
        (Draw(is_reordered=True), ["b", "a", "c"]),
        (Draw(has_foreign_event=True), ["a", "b", "c", "c"]),
        (Draw(has_unknown_event=True, share=0.0), [UNKNOWN_TYPE, "a", "b", "c"]),
        (Draw(has_unknown_event=True, share=0.99), ["a", "b", "c", UNKNOWN_TYPE]),
    ],
)
def test_each_fault_disturbs_a_stage_in_its_way(draw: Draw, expected: list[str]) -> None:
    """Doubled, swapped in pairs, preceded by a foreign copy, or with an unknown event."""
    assert expected == kinds(disturb(frames("a", "b", "c"), draw))


def test_an_even_stage_lets_the_end_precede_its_neighbour() -> None:
    """`reorder` puts the last of two frames first."""
    assert ["end", "text"] == kinds(disturb(frames("text", "end"), Draw(is_reordered=True)))


def test_an_empty_stage_stays_empty() -> None:
    """There is nothing to copy."""
    assert [] == disturb([], Draw(has_foreign_event=True, has_unknown_event=True))


def test_foreign_copy_has_ids_that_nobody_knows() -> None:
    """Ids and metadata change at every depth; the lane, the numbers and the text stay."""
    given: dict[str, Any] = {
        "type": "response.done",
        "stream_id": "w1",
        "sequence_number": 4,
        "response": {
            "id": "resp_1",
            "metadata": {"rid": "17"},
            "output": [{"id": "item_1", "call_id": None, "arguments": "{}"}],
        },
    }
    changed = json.loads(foreign_copy(json.dumps(given).encode()))
    assert ("w1", 4) == (changed["stream_id"], changed["sequence_number"])
    response = changed["response"]
    assert "resp_1" != response["id"]
    assert "17" != response["metadata"]["rid"]
    assert [{"id": "item_1f0", "call_id": None, "arguments": "{}"}] == response["output"]


def test_the_caller_may_make_the_foreign_copy() -> None:
    """What `foreign` returns stands in front of the last frame."""
    sent = disturb(frames("a"), Draw(has_foreign_event=True), foreign=lambda _: b"mine")
    assert [b"mine", *frames("a")] == sent


def test_the_last_frame_is_torn() -> None:
    """The others are sent whole."""
    first, last = frames("a", "b")
    assert [first, Torn(frame=last)] == tear([first, last])
