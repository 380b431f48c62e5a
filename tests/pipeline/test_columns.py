"""Which column is what, and what is said where none is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.errors import InputError
from analysis.pipeline.columns import as_written
from analysis.pipeline.output import OUTPUT_COLUMNS
from analysis.pipeline.tables import open_table
from analysis.records import Chunk


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


@pytest.mark.parametrize(
    ("header", "near"),
    [
        ("id,Chunk_Text,x", "'Chunk_Text'"),
        ("id, TEXT ,text_2", "' TEXT ', 'text_2'"),
        ("id,texte", "'texte'"),
        ("id,content", "'content'"),
    ],
)
def test_missing_text_column_names_the_nearest(tmp_path: Path, header: str, near: str) -> None:
    """Without a text column the message shows what is there and what may be meant."""
    path = made(tmp_path, f"{header}\n")
    message = refusal(lambda: open_table(path))
    assert_says(message, f"{path} has no column 'text'", "found: 'id'", f"Nearest: {near}.")
    assert_says(message, "Pass --text-column NAME.")


def test_file_without_header_shows_its_first_line_cut(tmp_path: Path) -> None:
    """When the first line is data, the message says what it must be and shows its start only."""
    message = refusal(lambda: open_table(made(tmp_path, f"1,{'ab' * 50}\x1b[31m,x\n")))
    assert_says(message, "first line must name the columns", f"'1', '{'ab' * 20}…', 'x'.")


def test_many_columns_are_not_all_listed(tmp_path: Path) -> None:
    """A message stays readable with 300 columns."""
    header = ",".join(f"c{index}" for index in range(300))
    message = refusal(lambda: open_table(made(tmp_path, f"{header}\n")))
    assert_says(message, "'c19' and 280 more.")


def test_single_wrong_column_suggests_the_delimiter(tmp_path: Path) -> None:
    """A header that did not split may have another delimiter."""
    message = refusal(lambda: open_table(made(tmp_path, "id:text\n1:a\n")))
    assert_says(message, "'id:text'", "pass --delimiter")


@pytest.mark.parametrize("role", ["id", "text", "document", "topic", "title"])
def test_named_column_must_exist(tmp_path: Path, role: str) -> None:
    """A column that the user names and the file lacks is an error with the option's name."""
    path = made(tmp_path, "id,text,document,topic,Body\n")
    columns = {f"{role}_column": "body"}
    message = refusal(lambda: open_table(path, **columns))  # type: ignore[arg-type]
    assert_says(message, "no column 'body'", "Nearest: 'Body'.", f"--{role}-column NAME")


@pytest.mark.parametrize("name", ["id", "text", "document", "topic"])
def test_doubled_column_that_is_used_is_refused(tmp_path: Path, name: str) -> None:
    """Two columns of one used name cannot be told apart."""
    path = made(tmp_path, f"id,text,document,topic,{name}\n")
    message = refusal(lambda: open_table(path))
    assert_says(message, f"2 columns named '{name}'", f"--{name}-column")


def test_doubled_column_that_is_not_used_is_kept(tmp_path: Path) -> None:
    """Columns that mean nothing to us may have any names."""
    table = open_table(made(tmp_path, "text,x,x,,\na,1,2,3,4\n"))
    assert table.columns == ("text", "x", "x", "", "")
    assert [row.cells for row in table.rows()] == [("a", "1", "2", "3", "4")]


@pytest.mark.parametrize("name", OUTPUT_COLUMNS)
def test_labeled_file_is_refused_as_input(tmp_path: Path, name: str) -> None:
    """An input with a column of ours is refused with the cure."""
    message = refusal(lambda: open_table(made(tmp_path, f"id,text,{name}\n")))
    assert_says(message, f"already has the column {name}", "Rename or drop it")


def test_columns_may_be_named(tmp_path: Path) -> None:
    """Named columns are taken instead of the usual ones, which then mean nothing."""
    path = made(tmp_path, "id,text,document,topic,k,body,doc,about\n1,2,3,4,5,6,7,8\n")
    table = open_table(
        path, id_column="k", text_column="body", document_column="doc", topic_column="about"
    )
    expected = Chunk(id="5", text="6", topic="8", document="7", source="chunks.csv")
    assert expected == next(table.rows()).chunk
    used = "columns used: id from 'k', text from 'body', document from 'doc', topic from 'about'"
    assert (used,) == table.notes


def test_row_number_is_the_id_without_an_id_column(tmp_path: Path) -> None:
    """Without ids rows are numbered, and the user is told, also which column is nearly it."""
    table = open_table(made(tmp_path, "chunk_ID,text\nx,a\n\ny,b\n"))
    assert [row.chunk.id for row in table.rows()] == ["1", "2"]
    assert_says(
        "\n".join(table.notes),
        "columns used: text from 'text'",
        "no column 'id': the row number is the id",
        "column 'chunk_ID' is not used as id; --id-column would use it",
    )


def test_titles_come_from_a_named_column_alone(tmp_path: Path) -> None:
    """Two columns of the name are no obstacle until one of them is to be used."""
    path = made(tmp_path, "id,text,title,Title,title\n1,a,b,c,d\n")
    assert next(open_table(path).rows()).chunk.title is None
    table = open_table(path, title_column="Title")
    assert "c" == next(table.rows()).chunk.title
    assert ("columns used: id from 'id', text from 'text', title from 'Title'",) == table.notes
    message = refusal(lambda: open_table(path, title_column="title"))
    assert_says(message, "2 columns named 'title'", "--title-column")


@pytest.mark.parametrize("header", ["title", "Title", " HEADLINE ", "Headline,title"])
def test_a_column_that_may_hold_titles_is_told_in_one_line(tmp_path: Path, header: str) -> None:
    """With the option that would use it."""
    notes = open_table(made(tmp_path, f"id,text,{header}\n")).notes
    name = header.split(",")[0]
    assert (f"column {name!r} is not used as title; --title-column would use it",) == notes[1:]


@pytest.mark.parametrize("header", ["job title", "subtitle", "titles", "headlines"])
def test_other_columns_are_not_told(tmp_path: Path, header: str) -> None:
    """Nor is one that has another use."""
    assert 1 == len(open_table(made(tmp_path, f"id,text,{header}\n")).notes)
    table = open_table(made(tmp_path, "id,text,title\n"), topic_column="title")
    assert 1 == len(table.notes)


def test_json_read_as_csv_is_told_its_name(tmp_path: Path) -> None:
    """Lines of objects under a name that tells no format get the cure."""
    path = made(tmp_path, '{"id": "1", "text": "a"}\n', "chunks.txt")
    assert_says(refusal(lambda: open_table(path)), "JSON Lines", "ends in .jsonl")


def test_names_of_columns_may_code_their_accents_in_another_way(tmp_path: Path) -> None:
    """A header made of letters and accents is found by the name that a keyboard writes."""
    apart, whole = "re\u0301sume\u0301", "r\u00e9sum\u00e9"
    table = open_table(made(tmp_path, f"id,{apart}\n1,a\n"), text_column=whole)
    assert apart == table.columns[table.roles["text"]]
    assert whole == as_written(whole, (whole, apart))
    assert "r\u00e9sume\u0301" == as_written("r\u00e9sume\u0301", (whole, apart))
