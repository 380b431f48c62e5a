"""What a run writes: columns, cells, places, and whole files or none."""

from __future__ import annotations

import gzip
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import ConfigurationError, InputError, LedgerError, LocalProtocolError
from analysis.pipeline.dialect import Dialect, detect, records
from analysis.pipeline.output import (
    OUTPUT_COLUMNS,
    OUTPUT_KINDS,
    VerdictCells,
    check_writable,
    default_output,
    write_table,
)
from analysis.pipeline.tables import open_table

LIMIT = 1_000_000


def found(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Dialect:
    """Return the dialect of a file."""
    return detect(path, encoding=encoding, delimiter=delimiter, row_chars=LIMIT)[0]


def content(path: Path, *, encoding: str | None = None) -> list[list[str]]:
    """Return all rows of a file, the header included."""
    return [cells for _, cells in records(found(path, encoding=encoding))]


def made(folder: Path, data: bytes = b"text\n", name: str = "chunks.csv") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(data)
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


CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from("\r\n\t ,;|\"'\u2028\u2029\x85\x0b\x0c\x1c\ufeff"),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(
    table=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6)
    ),
    delimiter=st.sampled_from(",;\t|"),
    bom=st.booleans(),
    name=st.sampled_from(["a.csv", "a.csv.gz"]),
)
def test_round_trip_keeps_every_cell(
    table: list[list[str]], delimiter: str, bom: bool, name: str
) -> None:
    """Any text without NUL comes back identical, whatever the delimiter, mark and packing."""
    width = len(table[0]) if table else 1
    header = [f"c{index}" for index in range(width)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_table(path, header, table, delimiter=delimiter, bom=bom)
        dialect = found(path, delimiter=delimiter)
        assert [header, *table] == [cells for _, cells in records(dialect)]
        assert bom == dialect.has_bom


def test_output_has_line_feeds_and_quotes_only_where_needed(tmp_path: Path) -> None:
    """The bytes are plain: LF, quotes where a cell needs them, a lone CR being one such case."""
    path = tmp_path / "out.csv"
    write_table(path, ["a", "b"], [["x y", "l\rm"], ['"', ""]], delimiter=",", bom=False)
    assert path.read_bytes() == b'a,b\nx y,"l\rm"\n"""",\n'


def test_packed_output_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    """A .gz output is packed and holds neither name nor time."""
    paths = [tmp_path / "one.csv.gz", tmp_path / "two.csv.gz"]
    for path in paths:
        write_table(path, ["a"], [["x"]], delimiter=",", bom=True)
    first, second = (path.read_bytes() for path in paths)
    assert (first, b"\xef\xbb\xbfa\nx\n") == (second, gzip.decompress(first))
    assert bytes(5) == first[3:8]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "windows-1251"])
def test_mark_is_written_once_and_only_where_it_exists(tmp_path: Path, encoding: str) -> None:
    """An output in the encoding of its input can be read with the same option."""
    path = tmp_path / "out.csv"
    write_table(path, ["id", "text"], [["1", "я"]], delimiter=",", bom=True, encoding=encoding)
    assert content(path, encoding=encoding) == [["id", "text"], ["1", "я"]]


def failing_rows(error: BaseException) -> Iterator[list[str]]:
    """Yield many rows, then raise."""
    for number in range(5_000):
        yield [str(number)]
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("gone"), ValueError("x")])
@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
def test_failing_rows_leave_the_output_as_it_was(
    tmp_path: Path, error: BaseException, name: str
) -> None:
    """An exception of the iterator passes through; old file stays, temporary file goes."""
    path = made(tmp_path, b"old", name)
    with pytest.raises(type(error)) as caught:
        write_table(path, ["a"], failing_rows(error), delimiter=",", bom=False)
    assert error is caught.value
    assert (b"old", [name]) == (path.read_bytes(), os.listdir(tmp_path))


def test_full_disk_leaves_the_output_as_it_was(tmp_path: Path) -> None:
    """A write that the system refuses is a LedgerError with path and cause."""
    resource = pytest.importorskip("resource")
    path = made(tmp_path, b"old", "out.csv")
    rows = (["x" * 1_000] for _ in range(1_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        message = refusal(
            lambda: write_table(path, ["a"], rows, delimiter=",", bom=False), LedgerError
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_says(message, f"Cannot write {path}: File too large")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", ["out.csv"])


def test_characters_unknown_to_the_encoding_are_a_ledger_error(tmp_path: Path) -> None:
    """Nothing is replaced by question marks."""
    path = tmp_path / "out.csv"
    message = refusal(
        lambda: write_table(path, ["a"], [["第"]], delimiter=",", bom=False, encoding="latin-1"),
        LedgerError,
    )
    assert_says(message, f"Cannot write {path}", "latin-1")
    assert os.listdir(tmp_path) == []


def test_missing_folder_and_folder_in_place_are_ledger_errors(tmp_path: Path) -> None:
    """What check_writable would have found is an error here, too, and leaves no file."""
    (tmp_path / "taken.csv").mkdir()
    for path in (tmp_path / "no" / "out.csv", tmp_path / "taken.csv"):
        message = refusal(
            lambda path=path: write_table(path, ["a"], [], delimiter=",", bom=False),  # type: ignore[misc]
            LedgerError,
        )
        assert_says(message, f"Cannot write {path}")
    assert os.listdir(tmp_path) == ["taken.csv"]


def test_temporary_file_is_beside_the_output_with_the_pid(tmp_path: Path) -> None:
    """While rows are written the target is untouched and the hidden file names the process."""
    path = tmp_path / "out.csv"
    seen = []

    def rows() -> Iterator[list[str]]:
        seen.extend(os.listdir(tmp_path))
        yield ["x"]

    made(tmp_path, b"stale", f".semfn-{os.getpid()}-0.tmp")
    write_table(path, ["a"], rows(), delimiter=",", bom=False)
    assert {f".semfn-{os.getpid()}-0.tmp", f".semfn-{os.getpid()}-1.tmp"} == set(seen)
    assert {f".semfn-{os.getpid()}-0.tmp", "out.csv"} == set(os.listdir(tmp_path))


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
def test_same_rows_leave_the_file_untouched(tmp_path: Path, name: str) -> None:
    """What is there already is not replaced, so its time stays; another row replaces it."""
    path = tmp_path / name

    def write(cell: str) -> tuple[bool, int]:
        changed = write_table(path, ["a"], [[cell]], delimiter=",", bom=False)
        return changed, path.stat().st_ino

    is_new, first = write("x")
    assert (True, (False, first)) == (is_new, write("x"))
    has_changed, second = write("y")
    assert (True, True) == (has_changed, second != first)
    assert [name] == os.listdir(tmp_path)


def test_permissions_and_links_of_the_output_stay(tmp_path: Path) -> None:
    """A private output stays private, and a symbolic link keeps pointing to the new file."""
    path, link = made(tmp_path, b"old", "out.csv"), tmp_path / "link.csv"
    path.chmod(0o600)
    link.symlink_to(path)
    write_table(link, ["a"], [["x"]], delimiter=",", bom=False)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"a\nx\n", 0o600)
    assert link.is_symlink()


def test_verdict_cells_of_a_label() -> None:
    """Numbers have fixed decimals; a second label has its own column."""
    cells = VerdictCells(
        labels=("example", "noise"),
        confidence=0.98765,
        route="rest",
        model="m",
        pack=10,
        attempts=2,
        latency_s=0.41237,
        error=None,
    )
    texts = ("example", "noise", "0.9877", "rest", "m", "10", "2", "412.4", "")
    assert texts == cells.texts()
    assert ("example", "noise", 0.9877, "rest", "m", 10, 2, 412.4, None) == cells.values()
    assert len(OUTPUT_COLUMNS) == len(OUTPUT_KINDS) == len(texts)


def test_verdict_cells_without_a_label_make_up_nothing() -> None:
    """What is unknown stays empty; only the kind of the error is there."""
    cells = VerdictCells(
        labels=(),
        confidence=None,
        route=None,
        model=None,
        pack=0,
        attempts=0,
        latency_s=None,
        error="empty",
    )
    assert ("", "", "", "", "", "0", "0", "", "empty") == cells.texts()
    assert (None, None, None, None, None, 0, 0, None, "empty") == cells.values()


@given(
    confidence=st.none() | st.floats(0, 1),
    latency_s=st.none() | st.floats(0, 10_000),
)
def test_typed_numbers_are_those_of_the_text(
    confidence: float | None, latency_s: float | None
) -> None:
    """A number in a typed format is the one that a text file shows."""
    cells = VerdictCells(
        labels=(),
        confidence=confidence,
        route=None,
        model=None,
        pack=1,
        attempts=1,
        latency_s=latency_s,
        error=None,
    )
    for text, value in zip(cells.texts(), cells.values(), strict=True):
        assert value is None if text == "" else float(text) == value


def test_third_label_is_our_own_mistake() -> None:
    """A label without a column is never dropped in silence."""
    none = {"confidence": None, "route": None, "model": None, "latency_s": None, "error": None}
    message = refusal(
        lambda: VerdictCells(labels=("a", "b", "c"), pack=1, attempts=1, **none),
        LocalProtocolError,
    )
    assert_says(message, "at most two labels, not 3")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chunks.csv", "chunks.labeled.csv"),
        ("chunks.csv.gz", "chunks.labeled.csv"),
        ("data.tsv", "data.labeled.tsv"),
        ("data.TSV.GZ", "data.labeled.tsv"),
        ("a.b.CSV", "a.b.labeled.csv"),
        ("notes.v1", "notes.v1.labeled.csv"),
        ("notes", "notes.labeled.csv"),
    ],
)
def test_default_output_is_beside_the_input(tmp_path: Path, name: str, expected: str) -> None:
    """The output's name follows from the input's; inputs of other names do not share one."""
    assert tmp_path / expected == default_output(tmp_path / name)


def test_output_that_is_the_input_is_refused(tmp_path: Path) -> None:
    """The input is never replaced, whatever way leads to it."""
    path, link = made(tmp_path), tmp_path / "link.csv"
    link.symlink_to(path)
    for output in (path, link, tmp_path / "." / "chunks.csv"):
        message = refusal(
            lambda output=output: check_writable(output, inputs=[path]),  # type: ignore[misc]
            ConfigurationError,
        )
        assert_says(message, "is the input itself", "-o")


def test_output_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """The folder is not made; the message names it."""
    message = refusal(lambda: check_writable(tmp_path / "no" / "out.csv"), ConfigurationError)
    assert_says(message, f"there is no folder {tmp_path / 'no'}", "Make it")
    assert os.listdir(tmp_path) == []


def test_output_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    """A folder, a device, a name that is too long and a file as folder cannot be written."""
    path = made(tmp_path)
    for output, part in (
        (tmp_path, "folder or device"),
        (Path(os.devnull), "folder or device"),
        (tmp_path / ("x" * 300), "too long"),
        (path / "out.csv", "Not a directory"),
    ):
        message = refusal(
            lambda output=output: check_writable(output),  # type: ignore[misc]
            ConfigurationError,
        )
        assert_says(message, "Cannot write", part, "-o")


def test_output_in_a_folder_without_the_right_to_write_is_refused() -> None:
    """A folder that takes no files is found before anything is sent."""
    folder = Path("/proc/self")
    if not folder.exists():
        pytest.skip("needs a folder that refuses files to every user")
    assert_says(
        refusal(lambda: check_writable(folder / "out.csv"), ConfigurationError), "Cannot write"
    )


def test_writable_output_leaves_no_trace(tmp_path: Path) -> None:
    """The check itself changes nothing."""
    path = made(tmp_path)
    check_writable(tmp_path / "out.csv", inputs=[path])
    check_writable(path)
    assert (os.listdir(tmp_path), path.read_bytes()) == (["chunks.csv"], b"text\n")


def test_labeled_copy_keeps_the_input_and_adds_the_columns(tmp_path: Path) -> None:
    """Input cells come out untouched and in order, packed or not, before the nine columns."""
    path = tmp_path / "chunks.csv.gz"
    path.write_bytes(gzip.compress('text;id\n"a;\r""\n";1\n b\u2028;2\n'.encode()))
    table = open_table(path, topic="t")
    verdict = ("noise", "", "", "rest", "m", "1", "1", "5.0", "")
    write_table(
        default_output(path),
        (*table.columns, *OUTPUT_COLUMNS),
        ((*row.cells, *verdict) for row in table.rows()),
        delimiter=table.delimiter,
        bom=table.has_bom,
    )
    expected = f"text;id;{';'.join(OUTPUT_COLUMNS)}\n" + "".join(
        f"{cells};{';'.join(verdict)}\n" for cells in ('"a;\r""\n";1', " b\u2028;2")
    )
    assert expected.encode() == (tmp_path / "chunks.labeled.csv").read_bytes()
