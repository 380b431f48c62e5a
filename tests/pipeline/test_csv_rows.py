"""Rows of CSV: cells as they are, the same reader for each pass."""

from __future__ import annotations

import json
from pathlib import Path

from analysis.pipeline.csv_rows import CsvRows, open_csv
from analysis.pipeline.formats import Kind
from tests.pipeline.table_files import assert_says, made, refusal


def opened(folder: Path, text: str) -> CsvRows:
    """Open a file with this content."""
    return open_csv(made(folder, text), encoding=None, delimiter=None, row_chars=1_000)


def test_record_has_place_cells_and_what_is_named(tmp_path: Path) -> None:
    """Absent columns are empty, and an absent id is None."""
    rows = opened(tmp_path, 'id,text,n\n7,"a\nb",x\n\n8,,y\n')
    expected = [
        (1, 2, ("7", "a\nb", "x"), ("7", "a\nb", "", "", "")),
        (2, 5, ("8", "", "y"), ("8", "", "", "", "")),
    ]
    assert expected == list(rows.records({"id": 0, "text": 1}))
    (first, _) = rows.records({"text": 2, "document": 0, "topic": 1, "title": 0})
    assert (None, "x", "7", "a\nb", "7") == first[3]


def test_cells_as_texts_values_and_json(tmp_path: Path) -> None:
    """All are strings, whatever they look like."""
    rows = opened(tmp_path, "text,n\na,1\n")
    ((_, _, cells, _),) = rows.records({"text": 0})
    assert (("a", "1"), ("a", "1")) == (tuple(rows.texts(cells)), tuple(rows.values(cells)))
    assert {"text": "a", "n": "1"} == json.loads(rows.json(cells))
    assert ((Kind.TEXT, Kind.TEXT), 2) == (rows.kinds, rows.size(cells))


def test_ragged_row_is_refused(tmp_path: Path) -> None:
    """The rows before it are given, then its place is named."""
    rows = opened(tmp_path, "text,n\na,1\nb\n")
    records = rows.records({"text": 0})
    assert 1 == next(records)[0]
    assert_says(refusal(lambda: next(records)), "line 3 (row 2): 1 cells", "2 columns")


def test_narrowed_rows_have_the_columns_that_are_kept(tmp_path: Path) -> None:
    """Twice, too; a ragged row is still measured against the whole header."""
    path = made(tmp_path, "a,b,c,d\n1,2,3,4\n1,2,3\n")
    reader = open_csv(path, encoding=None, delimiter=None, row_chars=1_000)
    narrow = reader.narrowed([3, 1, 0]).narrowed([0, 2])
    assert ("d", "a") == narrow.columns
    rows = narrow.records({"text": 1})
    number, line, cells, named = next(rows)
    assert (1, 2, ("4", "1"), "1") == (number, line, cells, named[1])
    assert (("4", "1"), b'{"d":"4","a":"1"}') == (narrow.texts(cells), narrow.json(cells))
    assert_says(refusal(lambda: next(rows)), "3 cells, but the header has 4 columns")
