"""Keys that were not asked for, text that only looks like JSON, and pairs that a set forbids."""

from __future__ import annotations

from typing import Any

import pytest

from tests.labels.test_answer import assert_void, read, written


def test_more_keys_in_an_item_do_no_harm() -> None:
    """Lenient servers write reasons, doubts and the id once more; the labels are still its own."""
    extra: dict[str, Any]
    for extra in (
        {"confidence": 0.9, "refusal": None},
        {"why": {"n": [[{}]], "text": "unlike b2"}},
        {"chunk": "a1"},
    ):
        item = {"id": "a1", "labels": ["noise"], **extra}
        assert {100: ("noise",)} == read(written([item])).labels, extra


@pytest.mark.parametrize(
    "extra",
    [
        {"chunk": "b2"},
        {"like": ["?", ["b2"]]},
        {"next": {"id": "b2", "labels": ["example"]}},
        {"other": [{"id": "a1", "labels": ["example"]}]},
        {"why": {"id": "b2"}},
    ],
)
def test_an_item_that_holds_another_one_does_not_count(extra: dict[str, Any]) -> None:
    """It does not say whose labels it holds; it is asked again, and the other one counts."""
    items = [
        {"id": "a1", "labels": ["noise"], **extra},
        {"id": "b2", "labels": ["key_thesis"], "confidence": 1},
    ]
    found = read(written(items))
    assert ({101: ("key_thesis",)}, (100,), None) == (found.labels, found.missing, found.defect)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("place", ["item", "labels", "answer", "list"])
def test_constants_that_json_does_not_know_void_the_answer(constant: str, place: str) -> None:
    """They parse in Python alone."""
    item = '{"id": "a1", "labels": ["noise"]}'
    text = {
        "item": f'{{"answers": [{item[:-1]}, "confidence": {constant}}}]}}',
        "labels": f'{{"answers": [{{"id": "a1", "labels": [{constant}]}}]}}',
        "answer": f'{{"answers": [{item}], "confidence": {constant}}}',
        "list": f'{{"answers": [{item}, {constant}]}}',
    }[place]
    assert_void(read(text), "not_json")


@pytest.mark.parametrize("blank", ["\u2028", "\u2029", "\u00a0", "\u3000", "\x0b", "\x0c", "\x85"])
@pytest.mark.parametrize("end", ["]}@", "]@}", "@]}", "]}\n@"])
def test_blanks_that_json_does_not_know_void_the_answer(blank: str, end: str) -> None:
    """JSON has four kinds of white space, at the end of an answer, too."""
    text = '{"answers": [{"id": "a1", "labels": ["noise"]}' + end.replace("@", blank)
    assert_void(read(text), "not_json")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["noise", "example"], "; the label set does not allow noise with example"),
        (["example", "example"], "; the label set does not allow example with example"),
        (["example", "nonsense"], ""),
        (["example", "contrast", "key_thesis"], ""),
        ([], ""),
    ],
)
def test_the_note_says_which_two_labels_may_not_stand_together(
    labels: list[str], said: str
) -> None:
    """A row that fails for that reason tells its user what to change in the set."""
    items = [{"id": "a1", "labels": labels}, {"id": "b2", "labels": ["noise"]}]
    assert f"1 of 2 chunks unanswered{said}" == read(written(items)).note


def test_a_cut_answer_and_a_pair_are_both_told() -> None:
    """Only the first pair, however many there are."""
    pairs = [{"id": "a1", "labels": ["noise", "example"]}, {"id": "b2", "labels": ["noise"] * 2}]
    note = read(written(pairs)[:-2]).note
    assert (
        "2 of 2 chunks unanswered; the answer was cut; the label set does not allow noise with "
        "example"
    ) == note
