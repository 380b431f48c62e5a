"""Rows with the text of an earlier row are found, by their whole key, in the order of the input."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import LedgerError, LocalProtocolError
from analysis.pipeline.duplicates import FirstTexts
from analysis.pipeline.ledger_rows import Identity
from analysis.records import Chunk
from tests.pipeline.ledger_samples import chunk, key_of

LABEL, FAILURE = True, False  # as `Ledger.held` says it


def firsts(chunks: Sequence[Chunk]) -> list[Identity | None]:
    """Return what is found for rows that are added in two slices."""
    with FirstTexts(key_of) as texts:
        texts.add(chunks[:2])
        texts.add(chunks[2:])
        return texts.first_of(chunks)


def test_blank_rows_rows_of_documents_and_unknown_rows_are_asked_themselves() -> None:
    """They have no first row, and are none."""
    blank = [chunk("1", " \u200b"), chunk("2", " \u200b")]
    documents = [Chunk(id=name, text="t", document="d") for name in "34"]
    assert [None] * 4 == firsts([*blank, *documents])
    with FirstTexts(key_of) as texts:
        texts.add([chunk("1"), chunk("2")])
        assert [None, None] == texts.first_of([chunk("5", "never added"), *documents[:1]])


def test_no_row_is_added_after_a_question() -> None:
    """The answer could change."""
    with FirstTexts(key_of) as texts:
        texts.add([chunk("1")])
        assert [None] == texts.first_of([chunk("1")])
        with pytest.raises(LocalProtocolError, match="before the first question"):
            texts.add([chunk("2")])


def test_a_full_disk_is_one_sentence_with_a_cure() -> None:
    """The database is private, so its place is the folder for temporary files."""
    with FirstTexts(key_of) as texts:
        texts._database.execute("PRAGMA max_page_count = 10")
        with pytest.raises(LedgerError, match=r"database or disk is full.*TMPDIR"):
            for number in itertools.count():
                texts.add([chunk(str(number), "x" * 500)])


def test_a_closed_list_refuses_rows() -> None:
    """Close may be called twice."""
    texts = FirstTexts(key_of)
    texts.close()
    texts.close()
    with pytest.raises(sqlite3.ProgrammingError):
        texts.add([chunk("1")])


def test_rows_that_share_only_half_of_their_key_are_apart() -> None:
    """The whole key decides; where two share the first half, the later text is asked each time."""
    keys = {"a": bytes(16), "b": bytes(15) + b"\1"}
    with FirstTexts(lambda one: keys[one.text]) as texts:
        rows = [chunk("1", "a"), chunk("2", "b"), chunk("3", "b"), chunk("4", "a")]
        texts.add(rows)
        assert [None, None, None, (None, "1")] == texts.first_of(rows)
        assert 1 == texts.copies


def test_the_first_row_of_the_input_speaks_for_its_text_across_sources() -> None:
    """Source and id name it; ids that are no valid Unicode come back as they were."""
    rows = [
        chunk("\ud800", "t", source="a.csv"),
        chunk("2", "other", source="a.csv"),
        chunk("\ud800", "t", source="b.csv"),
        chunk("3", "t", source="b.csv"),
    ]
    assert [None, None, ("a.csv", "\ud800"), ("a.csv", "\ud800")] == firsts(rows)


def test_a_row_with_a_verdict_speaks_instead_of_one_that_was_never_asked() -> None:
    """A labelled row before a failed one, and that before the first one; then no label is paid."""
    one, two, three, four = rows = [chunk(name) for name in "1234"]
    with FirstTexts(key_of) as texts:
        texts.add(rows)
        texts.prefer([one, two], [None, FAILURE])
        assert [(None, "2"), None, (None, "2"), (None, "2")] == texts.first_of(rows)
        texts.prefer([three, four], [LABEL, FAILURE])
        assert [(None, "3"), (None, "3"), None, (None, "3")] == texts.first_of(rows)
        texts.prefer([four], [LABEL])
        assert [(None, "3"), (None, "3"), None, (None, "3")] == texts.first_of(rows)


def test_nothing_is_preferred_where_no_text_comes_twice() -> None:
    """Rows stay their own."""
    with FirstTexts(key_of) as texts:
        texts.add([chunk("1", "a"), chunk("2", "b")])
        texts.prefer([chunk("1", "a")], [LABEL])
        assert 0 == texts.copies
        assert [None, None] == texts.first_of([chunk("1", "a"), chunk("2", "b")])


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30))
def test_it_finds_what_a_dict_finds(texts: list[str]) -> None:
    """For any texts; copies are all rows but one of each text."""
    rows = [chunk(str(number), text) for number, text in enumerate(texts)]
    seen: dict[str, str] = {}
    expected: list[Identity | None] = []
    for row in rows:
        first = seen.setdefault(row.text, row.id)
        expected.append(None if first == row.id or not row.text else (None, first))
    with FirstTexts(key_of) as found:
        found.add(rows)
        assert expected == found.first_of(rows)
        assert sum(each is not None for each in expected) == found.copies
