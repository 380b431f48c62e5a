"""Where rows stand in their document, against a slow reading of the whole table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from analysis.labels import neighbours
from analysis.labels.neighbours import CUT, placed, placed_chunks
from analysis.records import Chunk, Place, is_blank
from analysis.settings import SETTINGS

Pair = tuple[str | None, str]
"""A document and a text."""


def same(row: Pair) -> Pair:
    """Tell a row's document and text."""
    return row


def places(
    rows: list[Pair], distance: int = 1, *, has_totals: bool = True, **knobs: Any
) -> list[Place | None]:
    """Return the place of each row."""
    settings = replace(SETTINGS, **knobs)
    found = list(placed(rows, same, distance=distance, has_totals=has_totals, settings=settings))
    assert rows == [row for row, _ in found]
    return [place for _, place in found]


def obvious(rows: list[Pair], distance: int) -> list[Place | None]:
    """Return the same with all rows at hand."""
    found: list[Place | None] = []
    for document, group in groupby(rows, key=lambda row: row[0]):
        texts = [text for _, text in group]
        seen = [at for at, text in enumerate(texts) if not is_blank(text)]
        for at, text in enumerate(texts):
            if document is None or is_blank(text):
                found.append(None)
                continue
            number = seen.index(at)
            around = [texts[one] for one in seen]
            found.append(
                Place(
                    number=number + 1,
                    total=len(seen),
                    before=tuple(around[max(0, number - distance) : number]),
                    after=tuple(around[number + 1 : number + 1 + distance]),
                )
            )
    return found


ROWS = st.lists(
    st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from(["", " ", "x", "y", "z"])),
    max_size=30,
)


@given(ROWS, st.integers(1, 4))
def test_places_are_those_of_the_whole_table(rows: list[Pair], distance: int) -> None:
    """Blank texts have none and are no context; nothing reaches across documents."""
    assert obvious(rows, distance) == places(rows, distance)


@given(ROWS, st.integers(1, 3), st.integers(0, 4))
def test_long_documents_differ_in_their_total_alone(
    rows: list[Pair], distance: int, ahead: int
) -> None:
    """Longer than what is read ahead: no total, and the neighbours within reach stay."""
    expected = obvious(rows, distance)
    for place, full in zip(places(rows, distance, document_rows=ahead), expected, strict=True):
        assert (place is None) == (full is None)
        if place is None or full is None:
            continue
        assert (full.number, full.before) == (place.number, place.before)
        assert place.total in (None, full.total)
        assert place.after == full.after[: len(place.after)]


def test_a_document_of_just_so_many_rows_has_a_total() -> None:
    """One row more, and none of its rows has one."""
    rows: list[Pair] = [("a", f"t{number}") for number in range(4)]
    assert {4} == {place.total for place in places(rows, document_rows=4) if place}
    assert {None} == {place.total for place in places(rows, document_rows=3) if place}
    assert {None} == {place.total for place in places(rows, has_totals=False) if place}


def test_very_long_texts_count_as_a_long_document() -> None:
    """What is held is bounded in characters, too; rows still have their neighbours."""
    text = "x" * (neighbours.AHEAD_CHARS // 2)
    rows: list[Pair] = [("a", text), ("a", text), ("a", text)]
    found = places(rows, neighbour_chars=3)
    assert [(None, 1), (None, 2), (None, 3)] == [(one.total, one.number) for one in found if one]
    assert [one.before for one in found if one] == [(), (f"{CUT}xxx",), (f"{CUT}xxx",)]


def test_a_text_is_cut_on_the_side_that_is_far() -> None:
    """The end of what stands before, the beginning of what follows; a mark says so."""
    rows: list[Pair] = [("a", "12345"), ("a", "x"), ("a", "67890"), ("b", "12345")]
    found = places(rows, neighbour_chars=3)
    assert found[1] == Place(number=2, total=3, before=(f"{CUT}345",), after=(f"678{CUT}",))
    assert places(rows, neighbour_chars=5)[1] == Place(
        number=2, total=3, before=("12345",), after=("67890",)
    )


def test_no_more_is_read_ahead_than_needed() -> None:
    """Of a list to the end of the document, of a stream the neighbours after a row."""
    taken: list[str] = []

    def rows() -> Iterator[Pair]:
        for number in range(100):
            taken.append(str(number))
            yield ("a" if number < 6 else "b", str(number))

    for has_totals, expected in ((True, 7), (False, 3)):
        taken.clear()
        next(placed(rows(), same, distance=2, has_totals=has_totals))
        assert expected == len(taken)


def test_blank_rows_of_a_stream_are_read_over() -> None:
    """The neighbour of a row is the next text that can be seen."""
    rows: list[Pair] = [("a", "x"), ("a", ""), ("a", " "), ("a", "y")]
    found = places(rows, has_totals=False)
    assert [Place(number=1, after=("y",)), None, None, Place(number=2, before=("x",))] == found


def test_many_blank_rows_do_not_hold_a_row_back() -> None:
    """It goes without neighbours rather than with all of them in memory."""
    rows: list[Pair] = [("a", "x"), *[("a", "")] * 50, ("a", "y")]
    found = places(rows, document_rows=10)
    assert Place(number=1) == found[0]
    assert Place(number=2, before=("x",)) == found[-1]


def test_chunks_without_a_document_that_follow_each_other_are_one_text() -> None:
    """Whoever asks for the context of a plain list means its order; inputs stay apart."""
    chunks = [
        Chunk(id="1", text="a"),
        Chunk(id="2", text="b"),
        Chunk(id="3", text="c", document="d"),
        Chunk(id="4", text="d", document="d", source="other"),
    ]
    found = list(placed_chunks(chunks, distance=1))
    assert ["1", "2", "3", "4"] == [chunk.id for chunk in found]
    assert [
        Place(number=1, total=2, after=("b",)),
        Place(number=2, total=2, before=("a",)),
        Place(number=1, total=1),
        Place(number=1, total=1),
    ] == [chunk.place for chunk in found]
