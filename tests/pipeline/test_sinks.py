"""Any input to any output: own columns first and untouched, ours typed where there are types."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import ConfigurationError, InputError, LedgerError
from analysis.pipeline.formats import Kind
from analysis.pipeline.formulas import unguard
from analysis.pipeline.output import OUTPUT_COLUMNS, VerdictCells
from analysis.pipeline.sinks import StreamClosed, check_formulas, check_sink, write_output
from analysis.pipeline.tables import Row, open_table
from tests.pipeline.table_files import (
    EXAMPLE,
    PARQUET,
    TYPED,
    assert_says,
    json_lines,
    labelled,
    made,
    refusal,
    written,
)

OURS = ",".join(EXAMPLE.texts())
OUR_JSON = json.dumps(TYPED, separators=(",", ":"))
HEADER = ",".join(OUTPUT_COLUMNS)


def test_json_lines_come_out_byte_by_byte(tmp_path: Path) -> None:
    """Spaces, number forms, doubled keys and escapes of the input stay; ours stand behind."""
    lines = ['{"text": "a", "n": 1.10, "x": {"k": [1 ,2]} }', '{"text":"\\u0061","n":1e5,"n":2}']
    table = open_table(made(tmp_path, "\ufeff" + "\r\n\n".join(lines), "a.jsonl"))
    expected = [
        f'{{"text": "a", "n": 1.10, "x": {{"k": [1 ,2]}},{OUR_JSON[1:]}',
        f'{{"text":"\\u0061","n":1e5,"n":2,{OUR_JSON[1:]}',
    ]
    assert expected == written(table, tmp_path / "o.jsonl").decode().splitlines()


def test_object_without_keys_gets_ours_alone(tmp_path: Path) -> None:
    """No comma without something before it."""
    table = open_table(made(tmp_path, '{ }\n{"text": null}\n', "a.jsonl"))
    lines = written(table, tmp_path / "o.jsonl").decode().splitlines()
    assert ["text", *OUTPUT_COLUMNS] == list(json.loads(lines[1]))
    failed = dict.fromkeys(OUTPUT_COLUMNS) | {"semfn_pack": 0, "semfn_attempts": 0}
    assert failed | {"semfn_error": "empty"} == json.loads(lines[0])


def test_json_lines_to_csv_have_the_union_of_keys(tmp_path: Path) -> None:
    """Keys in order of first appearance; nested values compact, missing ones empty."""
    content = json_lines({"text": "a", "n": {"k": [1, "x, y"]}}, {"id": 7, "text": "b", "n": None})
    table = open_table(made(tmp_path, content, "a.jsonl"))
    expected = f'text,n,id,{HEADER}\na,"{{""k"":[1,""x, y""]}}",,{OURS}\nb,,7,{OURS}\n'
    assert expected == written(table, tmp_path / "o.csv").decode()


def test_csv_to_json_lines_has_strings(tmp_path: Path) -> None:
    """Cells of CSV are text and stay text, numbers too; only ours have types."""
    table = open_table(made(tmp_path, 'id;text\n007;"a\n""b"""\n'))
    (line,) = written(table, tmp_path / "o.jsonl").decode().splitlines()
    assert {"id": "007", "text": 'a\n"b"', **TYPED} == json.loads(line)


def test_packed_json_lines_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    """A packed output has neither name nor time in it."""
    table = open_table(made(tmp_path, "text\na\n"))
    first = written(table, tmp_path / "o.jsonl.gz")
    assert first == written(table, tmp_path / "other.jsonl.gz")
    assert {"text": "a", **TYPED} == json.loads(gzip.decompress(first))
    assert not write_output(tmp_path / "o.jsonl.gz", table, labelled(table))


@pytest.mark.parametrize(
    ("name", "data", "output", "expected"),
    [
        ("a.csv", b"id;text\n1;a\n", "o.csv", ";"),
        ("a.csv", b"\xef\xbb\xbfid\ttext\n1\ta\n", "o.csv.gz", "\t"),
        ("a.csv", b"id;text\n1;a\n", "o.tsv", "\t"),
        ("a.tsv", b"id\ttext\n1\ta\n", "o.csv", ","),
        ("a.tsv", b"id\ttext\n1\ta\n", "o.tsv", "\t"),
        ("a.jsonl", b'{"id": 1, "text": "a"}', "o.tsv", "\t"),
    ],
)
def test_delimiter_is_that_of_the_input_or_of_the_suffix(
    tmp_path: Path, name: str, data: bytes, output: str, expected: str
) -> None:
    """A CSV keeps how it is written; another suffix says how to write."""
    table = open_table(made(tmp_path, data, name))
    result = written(table, tmp_path / output)
    text = (gzip.decompress(result) if output.endswith(".gz") else result).decode()
    assert text.startswith(expected.join(("\ufeffid" if table.has_bom else "id", "text", "sem")))
    assert open_table(made(tmp_path, data, name)).has_bom == text.startswith("\ufeff")


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=5), st.sampled_from(["keep", "guard"]))
def test_any_cell_survives_csv_to_csv(cells: list[tuple[str, str]], choice: str) -> None:
    """With the guard taken off, or without it, each cell is the one of the input."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "a.csv", Path(folder) / "o.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "=x"), *cells])
        table = open_table(path)
        write_output(out, table, labelled(table), csv_formulas=choice)
        with out.open(encoding="utf-8", newline="") as stream:
            rows = [tuple(row[:2]) for row in csv.reader(stream)]
    back = [tuple(map(unguard, row)) for row in rows] if choice == "guard" else rows
    assert [("text", "=x"), *cells] == back


def test_guard_takes_names_of_columns_and_models_too(tmp_path: Path) -> None:
    """Whatever others chose is guarded; numbers of ours stay numbers."""
    table = open_table(made(tmp_path, "text,=n\n=1+1,-3\n"))
    verdict = VerdictCells(
        labels=("noise",),
        confidence=0.5,
        route="rest",
        model="@m",
        pack=1,
        attempts=1,
        latency_s=0.0051,
        error=None,
    )
    write_output(
        tmp_path / "o.csv",
        table,
        ((row, verdict) for row in table.rows()),
        csv_formulas="guard",
    )
    expected = f"text,'=n,{HEADER}\n'=1+1,-3,noise,,0.5000,rest,'@m,1,1,5.1,\n"
    assert expected == (tmp_path / "o.csv").read_text(encoding="utf-8")


def test_unknown_choice_about_formulas_is_refused() -> None:
    """The known ones are named."""
    message = refusal(lambda: check_formulas("drop"), ConfigurationError)
    assert_says(message, "csv_formulas is 'drop'", "keep, guard")


@pytest.mark.parametrize("output", ["o.jsonl", "o.jsonl.gz"])
def test_doubled_columns_cannot_become_keys(tmp_path: Path, output: str) -> None:
    """What CSV can hold twice is refused before anything is paid for."""
    table = open_table(made(tmp_path, "text,x,x\na,1,2\n"))
    message = refusal(lambda: check_sink(table, tmp_path / output), ConfigurationError)
    assert_says(message, "2 columns named 'x'", "CSV output with -o")
    check_sink(table, tmp_path / "o.csv")
    check_sink(table, "-")


def test_an_output_is_not_a_workbook(tmp_path: Path) -> None:
    """CSV under the name of one would not open."""
    table = open_table(made(tmp_path, "text,x\na,1\n"))
    message = refusal(lambda: check_sink(table, tmp_path / "o.xlsx"), ConfigurationError)
    assert_says(message, ".xlsx is not written", f"Name it {tmp_path / 'o.csv'}")


class Broken(io.RawIOBase):
    """A stream whose reader has gone, or whose disk is full."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise self.error


def test_standard_output_gets_the_bytes_of_a_file(tmp_path: Path) -> None:
    """The format is that of the input, unpacked; nothing comes before all rows are there."""
    data = gzip.compress(json_lines({"text": "a"}, {"text": "b"}).encode())
    table = open_table(made(tmp_path, data, "a.jsonl.gz"))
    stream = io.BytesIO()
    before = []

    def rows() -> Iterator[tuple[Row, VerdictCells]]:
        for pair in labelled(table):
            before.append(stream.getvalue())
            yield pair

    assert write_output("-", table, rows(), stream=stream)
    assert [b"", b""] == before
    assert written(table, tmp_path / "o.jsonl") == stream.getvalue()


def test_standard_output_that_is_gone_has_an_error_of_its_own(tmp_path: Path) -> None:
    """A closed pipe can be told from a full disk; a fault of the rows passes through."""
    table = open_table(made(tmp_path, "text\na\n"))

    def write(error: OSError) -> None:
        write_output("-", table, labelled(table), stream=Broken(error))  # type: ignore[arg-type]

    message = refusal(lambda: write(BrokenPipeError()), StreamClosed)
    assert_says(message, "The reader of the standard output has gone", "kept in the ledger")
    message = refusal(lambda: write(OSError(28, "No space left")), LedgerError)
    assert_says(message, "Cannot write the standard output: No space left")


def test_rows_that_fail_leave_nothing(tmp_path: Path) -> None:
    """An input that changes while it is written leaves the old output, also in JSON Lines."""
    table = open_table(made(tmp_path, "text\na\nb\n"))
    out = made(tmp_path, "old", "o.jsonl")

    def rows() -> Iterator[tuple[Row, VerdictCells]]:
        yield from labelled(table)
        raise InputError("gone")

    assert "gone" == refusal(lambda: write_output(out, table, rows()))
    assert (b"old", 2) == (out.read_bytes(), len(os.listdir(tmp_path)))


@pytest.mark.parametrize("name", ["o.csv", "o.jsonl"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, name: str) -> None:
    """Ten times the rows need no more Python memory."""
    peaks = []
    for count in (3_000, 30_000):
        table = open_table(
            made(tmp_path, json_lines(*({"text": "t"} for _ in range(count))), "a.jsonl")
        )
        tracemalloc.start()
        write_output(tmp_path / name, table, labelled(table))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_text_formats_to_parquet_have_types(tmp_path: Path) -> None:
    """Strings from CSV; from JSON Lines what all values of a key are, else JSON as text."""
    parquet: Any = pytest.importorskip("pyarrow.parquet", reason=PARQUET)
    objects = [
        {"text": "a", "n": 1, "f": 1, "b": True, "x": {"k": 1}, "m": 1},
        {"text": "b", "n": None, "f": 0.5, "m": "one"},
    ]
    table = open_table(made(tmp_path, json_lines(*objects), "a.jsonl"))
    write_output(tmp_path / "o.parquet", table, labelled(table))
    found = parquet.read_table(tmp_path / "o.parquet")
    types = [str(kind) for kind in found.schema.types[:6]]
    assert ["string", "int64", "double", "bool", "string", "string"] == types
    expected = [
        {"text": "a", "n": 1, "f": 1.0, "b": True, "x": '{"k":1}', "m": "1", **TYPED},
        {"text": "b", "n": None, "f": 0.5, "b": None, "x": None, "m": "one", **TYPED},
    ]
    assert expected == found.to_pylist()
    table = open_table(made(tmp_path, "id,text\n007,\n"))
    write_output(tmp_path / "o.parquet", table, labelled(table))
    (row,) = parquet.read_table(tmp_path / "o.parquet").to_pylist()
    assert ("007", "", "empty") == (row["id"], row["text"], row["semfn_error"])


def test_parquet_to_text_formats(tmp_path: Path) -> None:
    """Strings as they are; numbers, dates and nested values as JSON writes them; null as none."""
    pa: Any = pytest.importorskip("pyarrow", reason=PARQUET)
    parquet: Any = pytest.importorskip("pyarrow.parquet", reason=PARQUET)
    columns = {
        "text": ["a", "b"],
        "n": pa.array([1, None]),
        "when": pa.array([1, None], pa.timestamp("ns")),
        "tags": [["x", "y"], None],
        "raw": [b"\xff", None],
        "f": [0.5, float("nan")],
        "price": pa.array(["1.10", None]).cast(pa.decimal128(5, 2)),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    table = open_table(tmp_path / "a.parquet")
    first, second = map(json.loads, written(table, tmp_path / "o.jsonl").splitlines())
    when = "1970-01-01T00:00:00.000000001"
    own = {"text": "a", "n": 1, "when": when, "tags": ["x", "y"], "raw": "/w==", "f": 0.5}
    assert {**own, "price": "1.10", **TYPED} == first
    assert {**dict.fromkeys(columns), "text": "b", **TYPED} == second
    lines = written(table, tmp_path / "o.csv").decode().splitlines()
    assert f'a,1,{when},"[""x"",""y""]",/w==,0.5,1.10,{OURS}' == lines[1]
    assert f"b,,,,,,,{OURS}" == lines[2]


class _Mark:
    """One appended value."""

    def texts(self) -> tuple[str, ...]:
        return ("1.5",)

    def values(self) -> tuple[float, ...]:
        return (1.5,)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("o.csv", "text,mark\na,1.5\n"), ("o.jsonl", '{"text":"a","mark":1.5}\n')],
)
def test_other_columns_than_those_of_a_run(tmp_path: Path, name: str, expected: str) -> None:
    """Whoever writes a table anew says what is appended, with its kind."""
    table = open_table(made(tmp_path, "text\na\n"))
    rows = ((row, _Mark()) for row in table.rows())
    write_output(tmp_path / name, table, rows, ours=(("mark", Kind.NUMBER),))
    assert expected == (tmp_path / name).read_text("utf-8")
