"""Rows are joined only where something says that they belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.commands.evaluate_joins import check_ids, check_texts
from analysis.commands.labelled_tables import LabelledTable, open_labelled
from analysis.errors import InputError
from tests.commands.running import written


def opened(folder: Path, name: str, header: str, *rows: str) -> LabelledTable:
    """Write and open a table; cells have commas between."""
    cells = [row.split(",") for row in (header, *rows)]
    return open_labelled(written(folder, cells, name))


def joined(one: LabelledTable, two: LabelledTable, first: int, second: int) -> list[str]:
    """Check the ids of two tables with so many rows; return what was told."""
    told: list[str] = []
    rows = (range(first), range(second))
    check_ids(one, two, rows, option="--gold-id-column", tell=told.append)
    return told


def test_row_numbers_of_different_lengths_are_refused(tmp_path: Path) -> None:
    """Nothing says which of them are missing; the message names both counts and the options."""
    one, two = opened(tmp_path, "one.csv", "label", "a"), opened(tmp_path, "two.csv", "label", "a")
    with pytest.raises(InputError) as refused:
        joined(one, two, 55, 1_060)
    message = str(refused.value)
    assert "one.csv has 55 rows and" in message and "two.csv 1,060, and neither" in message
    assert "with --gold-id-column and --id-column, or pass" in message


def test_row_numbers_of_equal_lengths_are_told(tmp_path: Path) -> None:
    """They may be the same rows, and may not."""
    one, two = opened(tmp_path, "one.csv", "label", "a"), opened(tmp_path, "two.csv", "label", "a")
    (line,) = joined(one, two, 1, 1)
    assert line.endswith("have no column 'id': joined by row number.")


def test_ids_are_joined_whatever_the_lengths(tmp_path: Path) -> None:
    """And silently."""
    one, two = opened(tmp_path, "one.csv", "id", "a"), opened(tmp_path, "two.csv", "id", "a")
    assert [] == joined(one, two, 1, 2)


@pytest.mark.parametrize(("header", "option"), [("id", "--id-column"), ("x", "--gold-id-column")])
def test_ids_are_not_joined_with_row_numbers(tmp_path: Path, header: str, option: str) -> None:
    """The option of the table without ids is named."""
    other = "x" if header == "id" else "id"
    one = opened(tmp_path, "one.csv", header, "a")
    two = opened(tmp_path, "two.csv", other, "a")
    with pytest.raises(InputError, match=f"no column 'id'.*with {option}"):
        joined(one, two, 1, 1)


def test_another_text_under_the_same_id_is_refused(tmp_path: Path) -> None:
    """The first row is named, and how many more there are."""
    one = opened(tmp_path, "one.csv", "id,text", "b,Two.", "a,One.", "c,Three.")
    two = opened(tmp_path, "two.csv", "id,text", "a,One.", "b,Three.", "c,Two.")
    with pytest.raises(InputError, match=r"the row with id 'b' has two.*has 1 more, so") as refused:
        check_texts(one, two, option="--id-column")
    assert "with --id-column; where" in str(refused.value)


def test_another_text_in_the_same_row_is_refused(tmp_path: Path) -> None:
    """Where row numbers are joined, too."""
    one = opened(tmp_path, "one.csv", "text,label", "One.,x", "Two.,x")
    two = opened(tmp_path, "two.csv", "text,label", "Two.,x", "One.,x")
    with pytest.raises(InputError, match="row 1 has two different texts"):
        check_texts(one, two, option="--gold-id-column")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("id,text", "a,One  two. "),
        ("id,text", "a,'=1+1"),
        ("id,text", "a,"),
        ("id,text", "z,Three."),
        ("id,words", "a,Three."),
        ("id,text,text", "a,Three.,Four."),
    ],
)
def test_texts_that_say_nothing_are_passed(tmp_path: Path, header: str, row: str) -> None:
    """Other spaces, a guarded formula, no text, another row, no column, or two of them."""
    text = "=1+1" if "=1" in row else "One two."
    two = opened(tmp_path, "two.csv", "id,text", f"a,{text}")
    one = opened(tmp_path, "one.csv", header, row)
    check_texts(one, two, option="--id-column")
    check_texts(two, one, option="--id-column")
