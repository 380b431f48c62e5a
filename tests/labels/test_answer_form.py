"""Keys that were not asked for, and text that only looks like JSON."""

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
