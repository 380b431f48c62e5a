"""What columns mean: ids, texts, topics; and the scan of a file."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import ConfigurationError, InputError, LedgerError
from analysis.pipeline.tables import Row, Scan, Table, is_blank, open_table, scan
from analysis.records import Chunk, Place


def made(folder: Path, text: str, name: str = "chunks.csv") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(text.encode())
    return path


def refusal(call: Callable[[], object], kind: type[Exception] = InputError) -> str:
    """Return the message of the error that the call must raise."""
    with pytest.raises(kind) as caught:
        call()
    assert kind is caught.type
    return str(caught.value)


def assert_says(message: str, *parts: str) -> None:
    """Assert that each part stands in the message."""
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_is_refused(tmp_path: Path, limit: int) -> None:
    """A limit that leaves no row is an error in the option."""
    path = made(tmp_path, "text\na\n")
    assert_says(refusal(lambda: open_table(path, limit=limit), ConfigurationError), "Pass 1")


@pytest.mark.parametrize("row", ["2,b", "2,b,x,y", "2", " "])
def test_ragged_row_names_line_and_counts(tmp_path: Path, row: str) -> None:
    """A row with too few or too many cells is an error, at its own line, blank lines skipped."""
    path = made(tmp_path, f'id,text,topic\n1,"a\nb",x\n\n{row}\n3,c,x\n')
    table = open_table(path)
    message = refusal(lambda: scan(table))
    cells = row.count(",") + 1
    assert_says(message, f"line 5 (row 2): {cells} cells, but the header has 3 columns")
    assert_says(message, "',' needs quotes")


def test_empty_ids_name_the_first_five_rows(tmp_path: Path) -> None:
    """A row without id could not be reported; the message counts them all."""
    table = open_table(made(tmp_path, "id,text\n0,a\n" + ",a\n" * 7), topic="t")
    assert_says(refusal(lambda: scan(table)), "empty id: 7, first rows 2, 3, 4, 5, 6.", "--id-col")


def test_duplicate_ids_name_five_ids_with_both_rows(tmp_path: Path) -> None:
    """Repeated ids are counted and the first five are named, across slices of the file."""
    names = [*range(5_000), 3, 3, *range(4_000, 4_010)]
    path = made(tmp_path, "id,text\n" + "".join(f"{name},a\n" for name in names))
    message = refusal(lambda: scan(open_table(path, topic="t")))
    assert_says(message, "earlier row: 12, first ids '3' (rows 4 and 5001), '4000' (rows 4001 ")
    assert_says(message, "'4003' (rows 4004 and 5006). Make", "--id-column")
    assert "4004'" not in message


def test_ids_compare_as_raw_strings(tmp_path: Path) -> None:
    """Spaces, leading zeros, case and Unicode forms make different ids."""
    ids = ["1", "01", "1.0", " 1", "1 ", "a", "A", "é", "e\u0301", "\u200b1"]
    table = open_table(made(tmp_path, "id,text\n" + "".join(f"{name},x\n" for name in ids)))
    assert len(ids) == scan(table, needs_topic=False).rows
    assert ids == [row.chunk.id for row in table.rows()]


def test_all_problems_come_in_one_message(tmp_path: Path) -> None:
    """Empty ids, repeated ids and missing topics are reported together."""
    table = open_table(made(tmp_path, "id,text\n1,a\n1,b\n,c\n"))
    message = refusal(lambda: scan(table))
    assert_says(message, "empty id: 1", "earlier row: 1", "without a topic: 3")


@pytest.mark.parametrize("cell", ["", " ", "\u00a0", "\u200b"])
def test_row_without_topic_is_refused_with_both_cures(tmp_path: Path, cell: str) -> None:
    """The first row that has a text and no topic is named; rows without text need none."""
    path = made(tmp_path, f"id,text,topic\n1,a,x\n2,,{cell}\n3,c,{cell}\n4,d,{cell}\n")
    message = refusal(lambda: scan(open_table(path)))
    assert_says(message, "without a topic: 2, first row 3. Pass --topic, or fill a topic column.")
    assert_says(refusal(lambda: scan(open_table(path, topic=" "))), "first row 3")


def test_missing_topic_suggests_a_column_like_it(tmp_path: Path) -> None:
    """A topic column under another spelling is named as the cure."""
    table = open_table(made(tmp_path, "id,text, Topic \n1,a,x\n"))
    assert_says(refusal(lambda: scan(table)), "perhaps --topic-column ' Topic '.")


def test_topic_check_can_be_left_out(tmp_path: Path) -> None:
    """A caller that needs no topic reads the same file."""
    table = open_table(made(tmp_path, "id,text\n1,a\n"))
    assert Scan(rows=1, empty=0, first_empty=()) == scan(table, needs_topic=False)


def test_full_disk_for_the_ids_is_a_ledger_error(tmp_path: Path) -> None:
    """When the list of ids cannot be kept, the message names the folder's cure."""
    resource = pytest.importorskip("resource")
    names = "".join(f"{'x' * 1_000}{number},a\n" for number in range(50_000))
    table = open_table(made(tmp_path, f"id,text\n{names}"), topic="t")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        message = refusal(lambda: scan(table), LedgerError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_says(message, "Cannot keep the ids", "TMPDIR")


@pytest.mark.parametrize("when", ["before", "while"])
def test_file_that_changes_is_refused(tmp_path: Path, when: str) -> None:
    """A pass over a file that is not the one that was opened never ends as if all were well."""
    path = made(tmp_path, "id,text\n1,a\n2,b\n")
    table = open_table(path)
    rows = table.rows()
    if when == "while":
        assert next(rows).chunk.text == "a"
    made(tmp_path, "id,text\n1,a\n2,b\n3,c\n")
    assert_says(refusal(lambda: list(rows)), f"{path} changed while it was in use")


def test_file_that_vanished_is_refused(tmp_path: Path) -> None:
    """A later pass names the missing file."""
    path = made(tmp_path, "text\na\n")
    table = open_table(path)
    path.unlink()
    assert_says(refusal(lambda: list(table.rows())), "no such file")


def test_row_has_number_line_cells_and_chunk(tmp_path: Path) -> None:
    """A row carries all that the run needs, the cells as they are in the file."""
    text = 'topic,id,document,text,n\nown,7,d1,"a\nb", x\n,8,,c,\n\n  ,9,d2,d,\n'
    table = open_table(made(tmp_path, text), topic="given")
    expected = [
        (1, 2, Chunk(id="7", text="a\nb", topic="own", document="d1", source="chunks.csv")),
        (2, 4, Chunk(id="8", text="c", topic="given", document=None, source="chunks.csv")),
        (3, 6, Chunk(id="9", text="d", topic="given", document="d2", source="chunks.csv")),
    ]
    assert expected == [(row.number, row.line, row.chunk) for row in table.rows()]
    assert next(table.rows()).cells == ("own", "7", "d1", "a\nb", " x")


def test_table_tells_how_the_file_is_written(tmp_path: Path) -> None:
    """What the output needs to look like the input can be asked, and what was assumed."""
    table = open_table(made(tmp_path, "\ufeffid;text\n1;a\n"))
    assert ("chunks.csv", ";", True) == (table.source, table.delimiter, table.has_bom)
    assert table.notes[0] == "delimiter ';' taken from the header"


def test_single_column_file_is_enough(tmp_path: Path) -> None:
    """A file with texts only is a table; other delimiters inside texts do not matter."""
    table = open_table(made(tmp_path, "text\na;b\nc|d\n"))
    assert [row.chunk.text for row in table.rows()] == ["a;b", "c|d"]


def test_header_only_is_an_empty_table(tmp_path: Path) -> None:
    """No rows is nothing to do, not an error."""
    assert Scan(rows=0, empty=0, first_empty=()) == scan(open_table(made(tmp_path, "id,text")))


def test_limit_reads_the_first_rows_only(tmp_path: Path) -> None:
    """Rows behind the limit are neither read nor checked."""
    table = open_table(made(tmp_path, "id,text\n1,a\n2,b\nbroken\n"), limit=2, topic="t")
    assert [row.chunk.id for row in table.rows()] == ["1", "2"]
    assert scan(table).rows == 2


def test_rows_can_be_read_again_and_at_the_same_time(tmp_path: Path) -> None:
    """Each pass starts from the first row, also while another one is under way."""
    table = open_table(made(tmp_path, "id,text\n1,a\n2,b\n"))
    first, second = table.rows(), table.rows()
    assert next(first) == next(second)
    assert list(first) == list(second)
    assert len(list(table.rows())) == 2


@pytest.mark.parametrize(
    ("text", "is_invisible"),
    [
        ("", True),
        (" \t\r\n\x0b\u3000\u2028", True),
        ("\u00a0", True),
        ("\u200b \ufeff\u2060\u200d\u00ad", True),
        ("NULL", False),
        ("nan", False),
        ("-", False),
        ("\u200bа", False),
    ],
)
def test_blank_is_what_nobody_can_see(text: str, is_invisible: bool) -> None:
    """Spaces of any kind and zero-width characters are blank; words like NULL are text."""
    assert is_invisible == is_blank(text)


def test_scan_counts_rows_and_empty_texts(tmp_path: Path) -> None:
    """Rows without a visible text are counted and the first five are named."""
    texts = ["", "a", " ", '"\n\n"', "\u00a0", "N/A", "\u200b", ""]
    path = made(tmp_path, "id,text\n" + "".join(f"{n},{t}\n" for n, t in enumerate(texts)))
    expected = Scan(rows=8, empty=6, first_empty=(1, 3, 4, 5, 7))
    assert expected == scan(open_table(path, topic="t"))


def test_scan_shows_each_row_once_in_bounded_slices(tmp_path: Path) -> None:
    """The visitor sees all rows in order; a slice is bounded in rows and in characters."""
    texts = ["a"] * 2_500 + ["x" * 900_000] * 6
    path = made(tmp_path, "text\n" + "\n".join(texts))
    table = open_table(path, topic="t")
    seen: list[tuple[int, int]] = []

    def visit(rows: Sequence[Row]) -> None:
        seen.append((rows[0].number, len(rows)))

    assert scan(table, visit).rows == 2_506
    assert seen == [(1, 2_000), (2_001, 505), (2_506, 1)]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Ten times the rows need no more Python memory."""
    peaks = []
    for count in (5_000, 50_000):
        rows = "".join(f"{number},text {number}\n" for number in range(count))
        table = open_table(made(tmp_path, f"id,text\n{rows}"), topic="t")
        del rows
        tracemalloc.start()
        assert count == scan(table).rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def places_of(table: Table) -> list[Place | None]:
    """Return the place of each row of a table."""
    return [row.chunk.place for row in table.rows()]


DOCUMENTS = "text,document\na,d\nb,d\n,d\nc,d\nx,\ny,\n"


def test_rows_of_a_document_have_their_neighbours(tmp_path: Path) -> None:
    """By default one text before and after, and a note says so; rows without document have none."""
    table = open_table(made(tmp_path, DOCUMENTS), context=None)
    expected = [
        Place(number=1, total=3, after=("b",)),
        Place(number=2, total=3, before=("a",), after=("c",)),
        None,
        Place(number=3, total=3, before=("b",)),
        None,
        None,
    ]
    assert expected == places_of(table)
    assert [note for note in table.notes if "--context 0 leaves them out" in note]


def test_neighbours_can_be_left_out(tmp_path: Path) -> None:
    """Then no row has a place, and there is nothing to say."""
    table = open_table(made(tmp_path, DOCUMENTS), context=0)
    assert [None] * 6 == places_of(table)
    assert not [note for note in table.notes if "context" in note]


def test_a_file_without_documents_is_one_text_if_context_is_asked_for(tmp_path: Path) -> None:
    """By default its rows have nothing to do with each other."""
    path = made(tmp_path, "text\na\nb\n")
    assert [None, None] == places_of(open_table(path, context=None))
    expected = [Place(number=1, total=2, after=("b",)), Place(number=2, total=2, before=("a",))]
    assert expected == places_of(open_table(path, context=2))


@pytest.mark.parametrize("chosen", [{"limit": 2}, {"spans": ((1, 2),)}, {"spans": ((2, 2),)}])
def test_rows_left_out_are_neighbours_all_the_same(tmp_path: Path, chosen: dict[str, Any]) -> None:
    """A row has the same place in a part of the file as in all of it."""
    table = open_table(made(tmp_path, DOCUMENTS), context=1)
    every = {row.number: row.chunk.place for row in table.rows()}
    for row in replace(table, **chosen).rows():
        assert every[row.number] == row.chunk.place


def test_a_limit_reads_no_further_than_the_document(tmp_path: Path) -> None:
    """A damaged row behind the document of the last wanted row is not met."""
    table = open_table(made(tmp_path, "text,document\na,d\nb,d\nc,e\nd,e,broken\n"), context=1)
    assert ["a"] == [row.chunk.text for row in replace(table, limit=1).rows()]
