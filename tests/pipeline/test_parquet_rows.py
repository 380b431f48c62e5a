"""Parquet as a table: types, missing values, bounded batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.output import OUTPUT_COLUMNS
from analysis.pipeline.parquet_rows import MISSING, open_parquet
from analysis.pipeline.sinks import check_sink, write_output
from analysis.pipeline.tables import Table, open_table, scan
from analysis.records import Chunk
from tests.pipeline.table_files import (
    PARQUET,
    TYPED,
    assert_says,
    labelled,
    made,
    refusal,
    written,
)

pa: Any = pytest.importorskip("pyarrow", reason=PARQUET)
pq: Any = pytest.importorskip("pyarrow.parquet", reason=PARQUET)

NAME = "chunks.parquet"


def stored(folder: Path, table: Any, name: str = NAME, **options: Any) -> Path:
    """Write an Arrow table and return the path."""
    path = folder / name
    pq.write_table(table, path, **options)
    return path


def rich() -> Any:
    """Return a table with many types, missing values in each column, and metadata."""
    columns = {
        "id": pa.array([1, 2, None], pa.int32()),
        "text": pa.array(["a", None, "c\nd"], pa.large_string()),
        "when": pa.array([1, None, 3], pa.timestamp("ns", tz="UTC")),
        "day": pa.array([1, None, 3], pa.date32()),
        "kind": pa.array(["x", "y", None]).dictionary_encode(),
        "price": pa.array([None, "1.10", "2.00"]).cast(pa.decimal128(9, 2)),
        "half": pa.array([0.5, None, float("nan")], pa.float32()),
        "raw": pa.array([b"\xff", None, b""]),
        "tags": pa.array([["p", None], [], None], pa.list_(pa.string())),
        "deep": pa.array([{"k": 1}, None, {"k": None}], pa.struct([("k", pa.int8())])),
        "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        "none": pa.nulls(3),
        "is": pa.array([True, None, False]),
    }
    return pa.table(columns).replace_schema_metadata({"mine": "kept"})


def test_output_in_the_same_format_keeps_types_and_metadata(tmp_path: Path) -> None:
    """Own columns come out identical, ours are typed and behind them."""
    source = pq.read_table(stored(tmp_path, rich()))
    table = open_table(tmp_path / NAME, topic="t")
    write_output(tmp_path / "out.parquet", table, labelled(table))
    result = pq.read_table(tmp_path / "out.parquet")
    assert [*source.schema.names, *OUTPUT_COLUMNS] == result.schema.names
    own = result.select(source.schema.names)
    assert source.schema.equals(own.schema, check_metadata=True)
    assert source.slice(0, 2).equals(own.slice(0, 2))  # NaN of the last row differs from itself
    assert source.slice(2).drop_columns("half").equals(own.slice(2).drop_columns("half"))
    assert TYPED == result.select(OUTPUT_COLUMNS).slice(0, 1).to_pylist()[0]
    types = {"string": 5, "double": 2, "int64": 2}
    found = [str(result.schema.field(name).type) for name in OUTPUT_COLUMNS]
    assert types == {kind: found.count(kind) for kind in types}


def test_rows_are_chunks(tmp_path: Path) -> None:
    """Ids are numbers as text; a missing value is an empty one."""
    table = open_table(stored(tmp_path, rich()), topic="t", document_column="kind")
    expected = [
        Chunk(id="1", text="a", topic="t", document="x", source=NAME),
        Chunk(id="2", text="", topic="t", document="y", source=NAME),
        Chunk(id="", text="c\nd", topic="t", source=NAME),
    ]
    assert expected == [row.chunk for row in table.rows()]
    assert_says(refusal(lambda: scan(table)), "empty id: 1, first rows 3")


@pytest.mark.parametrize(
    ("values", "role"),
    [
        ([1, 2], "text"),
        ([True], "text"),
        ([b"a"], "text"),
        ([["a"]], "text"),
        ([["a"]], "id"),
        ([{"k": 1}], "topic"),
    ],
)
def test_column_of_another_type_is_refused(tmp_path: Path, values: list[Any], role: str) -> None:
    """A text must be stored as strings; nothing nested can be an id."""
    path = stored(tmp_path, pa.table({"x": values, "text": ["a"] * len(values)}))
    message = refusal(lambda: open_table(path, **{f"{role}_column": "x"}))  # type: ignore[arg-type]
    assert_says(message, f"{path}: column 'x' has the type", f"--{role}-column")


def test_text_in_a_dictionary_or_all_missing_is_read(tmp_path: Path) -> None:
    """Categories and a column of nulls are texts."""
    source = pa.table({"text": pa.array(["a", None, "a"]).dictionary_encode()})
    table = open_table(stored(tmp_path, source))
    assert ["a", "", "a"] == [row.chunk.text for row in table.rows()]
    table = open_table(stored(tmp_path, pa.table({"text": pa.nulls(2)})))
    assert ["", ""] == [row.chunk.text for row in table.rows()]


@pytest.mark.parametrize("data", [b"PAR1 but no more", b"id,text\n", b"PAR1" * 40])
def test_damaged_file_is_refused(tmp_path: Path, data: bytes) -> None:
    """One sentence with the file's name."""
    path = made(tmp_path, data, NAME)
    assert_says(refusal(lambda: open_table(path)), f"Cannot read {path}", "cut or damaged")


def test_damage_behind_the_schema_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    """The scan reads every page."""
    path = stored(tmp_path, pa.table({"text": [str(n) for n in range(50_000)]}))
    data = bytearray(path.read_bytes())
    data[1_000:90_000] = bytes(89_000)
    table = open_table(made(tmp_path, bytes(data), NAME), topic="t")
    assert_says(refusal(lambda: scan(table)), f"Cannot read {path}")


def test_nul_in_a_text_is_refused(tmp_path: Path) -> None:
    """As in every format."""
    table = open_table(stored(tmp_path, pa.table({"text": ["a", "b\0"]})), topic="t")
    assert_says(refusal(lambda: scan(table)), "row 2", "NUL character")


def test_labeled_and_packed_files_are_refused(tmp_path: Path) -> None:
    """A column of ours and a name with .gz have their cures."""
    path = stored(tmp_path, pa.table({"text": ["a"], "semfn_pack": [1]}))
    assert_says(refusal(lambda: open_table(path)), "already has the column semfn_pack")
    path = stored(tmp_path, pa.table({"text": ["a"]}), "a.parquet.gz")
    assert_says(refusal(lambda: open_table(path)), "Unpack it first")
    table = open_table(stored(tmp_path, pa.table({"text": ["a"]})))
    message = refusal(lambda: check_sink(table, "out.parquet.gz"), ConfigurationError)
    assert_says(message, "Leave .gz out")


def test_options_of_csv_are_refused(tmp_path: Path) -> None:
    """A Parquet file has no encoding and no delimiter to choose."""
    path = stored(tmp_path, pa.table({"text": ["a"]}))
    message = refusal(lambda: open_table(path, encoding="utf-8"), ConfigurationError)
    assert_says(message, "is no CSV file, so --encoding cannot be used")


def test_empty_table_stays_empty(tmp_path: Path) -> None:
    """No row is nothing to do; the output has all columns."""
    table = open_table(stored(tmp_path, rich().slice(0, 0)))
    write_output(tmp_path / "out.parquet", table, labelled(table))
    result = pq.read_table(tmp_path / "out.parquet")
    assert (0, 13 + len(OUTPUT_COLUMNS)) == (result.num_rows, result.num_columns)


def many(count: int) -> Any:
    """Return a table of many rows in groups of any size."""
    texts = [f"text {n} " + "x" * (n % 90) for n in range(count)]
    return pa.table({"id": [str(n) for n in range(count)], "text": texts})


def test_same_rows_are_the_same_bytes_however_they_are_read(tmp_path: Path) -> None:
    """An output that is there already is left untouched, also from other row groups."""
    one = open_table(stored(tmp_path, many(9_000), row_group_size=9_000))
    two = open_table(stored(tmp_path, many(9_000), "b.parquet", row_group_size=70))
    first = written(one, tmp_path / "out.parquet")
    before = (tmp_path / "out.parquet").stat().st_ino
    assert not write_output(tmp_path / "out.parquet", two, labelled(two))
    assert before == (tmp_path / "out.parquet").stat().st_ino
    assert first == written(one, tmp_path / "again.parquet")
    result = pq.read_table(tmp_path / "out.parquet")
    assert many(9_000).equals(result.select(["id", "text"]))


def test_rows_with_long_texts_come_in_small_batches(tmp_path: Path) -> None:
    """The size of a batch follows from the size of the rows, not only from their number."""
    path = stored(tmp_path, pa.table({"text": [f"{n}" + "x" * 100_000 for n in range(300)]}))
    table = open_table(path, topic="t")
    arrow = {id(row.cells[0]): row.cells[0].arrow for row in table.rows()}
    assert max(batch.nbytes for batch in arrow.values()) < 6_000_000
    assert max(map(len, table.slices())) <= 41


def test_large_row_group_is_read_page_by_page(tmp_path: Path) -> None:
    """A file with all its rows in one group does not come into memory at once."""
    texts = [f"{number} " + "x" * 1_000 for number in range(20_000)]
    path = stored(tmp_path, pa.table({"text": texts}), compression="none", use_dictionary=False)
    assert 1 == pq.ParquetFile(path).num_row_groups
    table = open_table(path, topic="t")
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in table.slices()]
    assert max(held) < path.stat().st_size / 2


def test_part_of_the_rows_is_taken_out_of_its_batches(tmp_path: Path) -> None:
    """A sample holds its own rows, not the batches that they came in."""
    table = open_table(stored(tmp_path, many(5_000)))
    picked = [pair for pair in labelled(table) if int(pair[0].chunk.id) % 1_000 == 7]
    write_output(tmp_path / "out.parquet", table, picked)
    ids = pq.read_table(tmp_path / "out.parquet").column("id").to_pylist()
    assert ["7", "1007", "2007", "3007", "4007"] == ids


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl", "out.csv"])
def test_full_disk_leaves_the_output_as_it_was(tmp_path: Path, name: str) -> None:
    """Whole or not at all, in every format."""
    resource = pytest.importorskip("resource")
    table = open_table(stored(tmp_path, many(20_000), compression="none", use_dictionary=False))
    out = made(tmp_path, "old", name)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        message = refusal(lambda: write_output(out, table, labelled(table)), LedgerError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_says(message, f"Cannot write {out}: File too large")
    assert (b"old", sorted([NAME, name])) == (out.read_bytes(), sorted(os.listdir(tmp_path)))


def test_pandas_reads_the_output_with_its_index(tmp_path: Path) -> None:
    """The index that pandas stored in the metadata is there again."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"text": ["a", "b"]}, index=pd.Index([30, 10], name="key"))
    frame.to_parquet(tmp_path / NAME)
    table: Table = open_table(tmp_path / NAME)
    write_output(tmp_path / "out.parquet", table, labelled(table))
    pd.testing.assert_frame_equal(frame, pd.read_parquet(tmp_path / "out.parquet")[["text"]])


def test_missing_pyarrow_is_one_sentence_with_the_extra(tmp_path: Path) -> None:
    """Input and output say what to install, before anything is read or sent."""
    made(tmp_path, "text\na\n", "a.csv")
    program = (
        "import sys; sys.modules['pyarrow'] = None; sys.modules['pyarrow.parquet'] = None\n"
        "from analysis.errors import ConfigurationError\n"
        "from analysis.pipeline.sinks import check_sink\n"
        "from analysis.pipeline.tables import open_table\n"
        "for call in (lambda: open_table('x.parquet'),"
        " lambda: check_sink(open_table('a.csv'), 'out.parquet')):\n"
        "    try:\n        call()\n    except ConfigurationError as error:\n        print(error)\n"
    )
    stored(tmp_path, pa.table({"text": ["a"]}), "x.parquet")
    root = str(Path(__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [MISSING, MISSING] == result.stdout.splitlines()
    assert "pip install 'semfn[parquet]'" in MISSING


def test_narrowed_rows_keep_types_and_metadata(tmp_path: Path) -> None:
    """Columns of any type, in any order, narrowed twice."""
    path = stored(tmp_path, rich())
    reader = open_parquet(path)
    last = len(reader.columns) - 1
    narrow = reader.narrowed([last, 1, 0]).narrowed([0, 2])
    assert (reader.columns[last], reader.columns[0]) == narrow.columns
    assert reader.schema.metadata == narrow.schema.metadata
    for whole, part in zip(reader.records({}), narrow.records({}), strict=True):
        values = reader.values(whole[2])
        assert [values[last], values[0]] == list(narrow.values(part[2]))
