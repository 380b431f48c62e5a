"""Behaviour of what the simulated model writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.simulator.answers import (
    DECLINED,
    UNASKED_ID,
    UNKNOWN_LABEL,
    capped,
    read_pack,
    spell,
)
from analysis.simulator.faults import NO_FAULT, Draw
from analysis.simulator.service import encode
from tests.simulator.examples import SCHEMA, pack

LABELS = [("a",), ("b",), ("a",)]
SHARES = (0.0, 0.4, 0.99)


def answer(defect: str, share: float) -> str:
    """Return the answer to three chunks with a defect."""
    draw = Draw(defect=defect, share=share)
    return spell(read_pack(pack("x", "y", "z")), LABELS, encode(SCHEMA), draw)


def entries(defect: str, share: float) -> list[tuple[str, list[str]]]:
    """Return id and labels of each entry of such an answer."""
    found: list[dict[str, Any]] = json.loads(answer(defect, share))["answers"]
    return [(entry["id"], entry["labels"]) for entry in found]


def test_content_that_is_no_pack_is_text() -> None:
    """Its answer is the first label."""
    assert read_pack("just text") is None
    assert "b" == spell(None, [("b", "a")], b"", NO_FAULT)


@pytest.mark.parametrize(
    ("defect", "expected"),
    [
        ("", [("i0", ["a"]), ("i1", ["b"]), ("i2", ["a"])]),
        ("out_of_enum", [("i0", ["a"]), ("i1", [UNKNOWN_LABEL]), ("i2", ["a"])]),
        ("missing_item", [("i0", ["a"]), ("i2", ["a"])]),
        ("extra_item", [("i0", ["a"]), (UNASKED_ID, ["b"]), ("i1", ["b"]), ("i2", ["a"])]),
        ("doubled_item", [("i0", ["a"]), ("i1", ["b"]), ("i1", ["b"]), ("i2", ["a"])]),
    ],
)
def test_each_defect_spoils_one_entry(defect: str, expected: list[tuple[str, list[str]]]) -> None:
    """The share of the draw chooses it; here the second of three."""
    assert expected == entries(defect, 0.4)


@pytest.mark.parametrize("share", SHARES)
def test_malformed_answers_are_never_json(share: float) -> None:
    """Three forms, one by share."""
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer("malformed", share))


@pytest.mark.parametrize("share", SHARES)
def test_a_truncated_answer_is_a_true_start_of_the_whole(share: float) -> None:
    """It is shorter, and not empty."""
    whole, cut = answer("", 0.0), answer("truncated", share)
    assert whole.startswith(cut)
    assert 0 < len(cut) < len(whole)


def test_a_model_that_declines_says_so() -> None:
    """Whatever the form of the answer."""
    assert [DECLINED] * 2 == [
        answer("refusal", 0.5),
        spell(None, [("a",)], b"", Draw(defect="refusal")),
    ]


def test_an_answer_without_chunks_has_no_entry_to_spoil() -> None:
    """It stays empty."""
    draw = Draw(defect="doubled_item", share=0.5)
    assert {"answers": []} == json.loads(spell(read_pack(pack()), [], encode(SCHEMA), draw))


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        (None, ("aééé", 2, False)),
        (2, ("aééé", 2, False)),
        (1, ("aé", 1, True)),
    ],
)
def test_a_cap_cuts_at_whole_characters(cap: int | None, expected: tuple[str, int, bool]) -> None:
    """Four bytes are a token; half a character is left out."""
    assert expected == capped("aééé", cap)
