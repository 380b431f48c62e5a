"""Outputs and gold tables as rows, in every format that a run can write."""

from __future__ import annotations

import json
from pathlib import Path

import pandas
import pytest

from analysis.commands.labelled_tables import open_labelled, read_gold, read_output
from analysis.errors import ConfigurationError, InputError
from analysis.evaluation.cells import LabelReader
from analysis.evaluation.rows import GoldRow, OutputRow
from analysis.labels.label_set import LabelSet
from tests.commands.labelled import OUTPUT_HEADER, output, output_rows
from tests.commands.running import raw, written

TEN = LabelSet.load("ten_functions")


def rows_of(path: Path) -> list[OutputRow]:
    """Read an output."""
    return read_output(open_labelled(path), LabelReader(TEN))


def converted(source: Path, suffix: str) -> Path:
    """Write the table again in another format, empty cells as missing values."""
    frame = pandas.read_csv(source, dtype=str)
    for name, kind in (("semfn_confidence", "float64"), ("semfn_attempts", "Int64")):
        frame[name] = frame[name].astype(kind)  # type: ignore[call-overload]
    target = source.with_suffix(suffix)
    if suffix == ".parquet":
        frame.to_parquet(target)
    else:
        lines = [
            json.dumps({name: None if pandas.isna(cell) else cell for name, cell in row.items()})
            for row in frame.astype(object).to_dict("records")
        ]
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    """Numbers and missing values of typed formats are those of the CSV file."""
    source = output(tmp_path, "example noise+ - example+contrast", confidence="0.5")
    assert rows_of(source) == rows_of(converted(source, suffix))


def test_an_output_row_has_all_that_the_run_wrote(tmp_path: Path) -> None:
    """Labels, document, route, model, confidence, attempts and error."""
    one, two = rows_of(output(tmp_path, "example+contrast -", confidence="0.75"))
    assert (
        OutputRow(
            id="c1",
            labels=("example", "contrast"),
            document="d0",
            route="rest",
            model="gpt-6-luna",
            confidence=0.75,
            attempts=1,
        )
        == one
    )
    assert ((), "refused", None) == (two.labels, two.error, two.confidence)


def test_rows_share_the_words_that_they_have_in_common(tmp_path: Path) -> None:
    """A million rows hold a model, a route, a document and labels once, and not once each."""
    one, *others = rows_of(output(tmp_path, "example+contrast " * 3))
    for name in ("route", "model", "error", "labels"):
        assert {id(getattr(one, name))} == {id(getattr(row, name)) for row in others}
    rows = [("id", "document", "label"), *((str(n), "d", "noise") for n in range(3))]
    table = open_labelled(written(tmp_path, rows, "gold.csv"))
    first, *rest = read_gold(table, LabelReader(TEN), ["label"], "")
    assert {(id(first.document), id(first.labels))} == {
        (id(row.document), id(row.labels)) for row in rest
    }


def test_names_of_labels_are_keys(tmp_path: Path) -> None:
    """An output with Russian or Chinese names is read as one with keys."""
    rows = [("id", "semantic_function"), ("1", "Шум"), ("2", "举例说明")]
    assert [("noise",), ("example",)] == [row.labels for row in rows_of(written(tmp_path, rows))]


def test_without_an_id_column_the_row_number_is_the_id(tmp_path: Path) -> None:
    """As in a run; columns that an older or smaller output lacks are empty."""
    (row,) = rows_of(written(tmp_path, [("semantic_function",), ("noise",)]))
    assert ("1", None, "", None) == (row.id, row.document, row.route, row.attempts)


@pytest.mark.parametrize(
    ("column", "cell", "part"),
    [
        ("semfn_confidence", "1.5", "semfn_confidence is '1.5', not a number from 0 to 1"),
        ("semfn_confidence", "high", "semfn_confidence is 'high'"),
        ("semfn_confidence", "nan", "semfn_confidence is 'nan'"),
        ("semfn_attempts", "-1", "semfn_attempts is '-1'"),
    ],
)
def test_damaged_numbers_are_refused(tmp_path: Path, column: str, cell: str, part: str) -> None:
    """The message names the row and the column."""
    (cells,) = output_rows("noise")
    damaged = [*cells]
    damaged[OUTPUT_HEADER.index(column)] = cell
    with pytest.raises(InputError, match=f"row 1: {part}"):
        rows_of(written(tmp_path, [OUTPUT_HEADER, damaged]))


def test_a_table_that_is_no_output_is_refused(tmp_path: Path) -> None:
    """The input of the run is taken for its output by mistake."""
    with pytest.raises(InputError, match="no column 'semantic_function', so it is no output"):
        rows_of(written(tmp_path, [("id", "text"), ("1", "x")]))


def test_labels_of_another_set_are_refused(tmp_path: Path) -> None:
    """The output of another label set needs the option that names it."""
    with pytest.raises(InputError, match="Pass the label set of the run: --label-set"):
        rows_of(written(tmp_path, [("id", "semantic_function"), ("1", "hypothesis")]))


def test_gold_rows(tmp_path: Path) -> None:
    """Ids stay raw strings, empty cells are rows without gold."""
    path = written(tmp_path, [("id", "a", "b"), ("01", "Noise", ""), ("1 ", "", "")])
    rows = read_gold(open_labelled(path), LabelReader(TEN), ("a", "b"), "Correct them.")
    assert [GoldRow(id="01", labels=("noise",)), GoldRow(id="1 ", labels=())] == rows


def test_missing_and_doubled_columns_are_refused(tmp_path: Path) -> None:
    """The option that would name another column is part of the message."""
    path = written(tmp_path, [("id", "gold_label", "x", "x"), ("1", "noise", "", "")])
    table = open_labelled(path)
    with pytest.raises(InputError, match=r"no column 'label'.*: 'gold_label'\. Pass --gold-column"):
        table.place("label", "--gold-column")
    with pytest.raises(InputError, match="2 columns named 'x'"):
        table.place("x", "--gold-column")
    with pytest.raises(InputError, match=r"no column 'key'.*--gold-id-column NAME"):
        open_labelled(path, id_column="key", side="gold-")


def test_accents_of_a_name_may_be_coded_in_another_way(tmp_path: Path) -> None:
    """Nobody sees whether é is one character or two."""
    table = open_labelled(written(tmp_path, [["id", "e\u0301tiquette"], ["1", "example"]]))
    assert ["example"] == [cell for _, (cell,) in table.cells(["\u00e9tiquette"])]


def test_options_of_csv_files_are_refused_for_others(tmp_path: Path) -> None:
    """JSON Lines are UTF-8 and have no delimiter."""
    path = raw(tmp_path, b'{"id": "1"}\n', "gold.jsonl")
    with pytest.raises(ConfigurationError, match="--gold-encoding cannot be used"):
        open_labelled(path, encoding="cp1251", side="gold-")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """As for an input of a run, the nearest name is shown."""
    output(tmp_path, "noise", name="chunks.labeled.csv")
    with pytest.raises(InputError, match=r"Nearest: .*chunks\.labeled\.csv"):
        open_labelled(tmp_path / "chunks.labelled.csv")
