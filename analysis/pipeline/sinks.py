"""Tables out: any input to any format, its own columns first and untouched, then the verdicts.

io. The run calls `check_sink` before anything is paid for and `write_output` at its end. The name
of the output tells the format; `-` stands for standard output and the format of the input.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.columns import shown
from analysis.pipeline.dialect import cause
from analysis.pipeline.formats import (
    STREAM,
    Format,
    check_output_name,
    format_of,
    is_packed,
    json_value,
)
from analysis.pipeline.formulas import guarded
from analysis.pipeline.output import (
    output_columns,
    write_csv,
    write_whole,
)
from analysis.pipeline.parquet_rows import Ours, check_pyarrow, write_parquet
from analysis.pipeline.tables import Row, Table

KEEP, GUARD = "keep", "guard"

FORMULAS = (KEEP, GUARD)
"""What is done about cells of a CSV output that a spreadsheet would run: nothing, by default, since
an output repeats its input; or `formulas.guard`."""

RUN_COLUMNS: Ours = output_columns(has_review=False)
"""The columns that a run appends, with their kinds; with marks for review it has one more."""


class ResultCells(Protocol):
    """The values of the appended columns for one row."""

    def texts(self) -> Sequence[str]:
        """Return the cells of a text file."""

    def values(self) -> Sequence[object]:
        """Return values for formats that have types."""


Labeled = Iterable[tuple[Row, ResultCells]]
"""The rows of a table in its order, each with what is appended."""


class StreamClosed(LedgerError):
    """Whoever read the standard output has gone; the ledger holds all that is paid for."""


def check_sink(table: Table, output: Path | str) -> None:
    """Check, before anything is paid for, that the table can be written in the output's format.

    Raises:
        ConfigurationError: If the name tells a format that is not written, pyarrow is missing, or
            two columns share a name that the format cannot hold twice.
    """
    if str(output) != STREAM:
        check_output_name(output)
    path = _named(table, output)
    form = format_of(path)
    if form in (Format.CSV, Format.TSV):
        return
    if form is Format.PARQUET:
        if is_packed(path):
            raise ConfigurationError(
                f"Cannot write {output}: Parquet is packed inside. Leave .gz out of the name."
            )
        check_pyarrow()
    for name, count in Counter(table.columns).items():
        if count > 1:
            raise ConfigurationError(
                f"{table.path} has {count} columns named {shown(name)}, which {form.value} cannot "
                "hold. Rename all but one, or name a CSV output with -o."
            )


def check_formulas(choice: str) -> None:
    """Refuse an unknown value of the option `csv_formulas`; raises ConfigurationError."""
    if choice not in FORMULAS:
        raise ConfigurationError(f"csv_formulas is {choice!r}. Pass one of: {', '.join(FORMULAS)}.")


def write_output(
    path: Path | str,
    table: Table,
    rows: Labeled,
    *,
    csv_formulas: str = KEEP,
    stream: BinaryIO | None = None,
    ours: Ours = RUN_COLUMNS,
) -> bool:
    """Write the whole labeled table, or leave what is there as it is.

    Memory does not grow with the number of rows. Cells of a text format are written in UTF-8, a
    CSV output to a CSV input with its delimiter and byte order mark.

    Args:
        path: The file, or `-`.
        table: What the rows come from.
        rows: The rows with their verdicts, in the order of the output; read once.
        csv_formulas: `keep` or `guard`, for CSV outputs.
        stream: Where `-` goes; it gets nothing before all rows are there.
        ours: The columns that are appended.

    Returns:
        Whether the file changed; a file with the same bytes is left untouched. `-` always changes.

    Raises:
        LedgerError: If the file cannot be written.
        StreamClosed: If the reader of the stream has gone.
    """
    check_formulas(csv_formulas)
    target = _named(table, path)
    form = format_of(target)
    names = [name for name, _ in ours]

    def fill(raw: BinaryIO) -> None:
        if form is Format.PARQUET:
            cells = ((row.cells, verdict.values()) for row, verdict in rows)
            write_parquet(raw, table.reader, ours, cells)
        elif form is Format.JSONL:
            raw.writelines(_json_lines(table, rows, names))
        else:
            _write_csv(raw, target, table, rows, names, has_guard=csv_formulas == GUARD)

    if str(path) != STREAM:
        return write_whole(path, fill)
    _write_stream(target.name, fill, check_stream(stream))
    return True


def check_stream(stream: BinaryIO | None) -> BinaryIO:
    """Return the stream of an output of `-`.

    Raises:
        ConfigurationError: If there is none.
    """
    if stream is None:
        raise ConfigurationError(
            "An output of '-' needs an open standard output: name a file, or pass "
            "Hooks(stdout=...)."
        )
    return stream


def _named(table: Table, output: Path | str) -> Path:
    """Return a path whose name tells the format: for `-` the name of the input, unpacked."""
    if str(output) != STREAM:
        return Path(output)
    return table.path.with_suffix("") if is_packed(table.path) else table.path


def _json_lines(table: Table, rows: Labeled, names: Sequence[str]) -> Iterator[bytes]:
    """Yield each row as its own object with our keys behind its own."""
    to_json = table.reader.json
    for row, verdict in rows:
        own = to_json(row.cells)
        ours = json_value(dict(zip(names, verdict.values(), strict=True)))
        start = own[:-1].rstrip()
        comma = b"" if start == b"{" else b","
        yield b"%b%b%b\n" % (start, comma, ours[1:])


def _write_csv(
    raw: BinaryIO,
    target: Path,
    table: Table,
    rows: Labeled,
    names: Sequence[str],
    *,
    has_guard: bool,
) -> None:
    to_texts = table.reader.texts
    columns: Sequence[str] = (*table.columns, *names)
    cells: Iterable[Sequence[str]] = (
        (*to_texts(row.cells), *verdict.texts()) for row, verdict in rows
    )
    if has_guard:
        columns, cells = guarded(columns), map(guarded, cells)
    write_csv(raw, columns, cells, delimiter=_delimiter(target, table), bom=table.has_bom)


def _delimiter(target: Path, table: Table) -> str:
    """Return the input's delimiter, or the usual one where the output's name tells another."""
    form = format_of(target)
    if format_of(table.path) is form:
        return table.delimiter
    return "\t" if form is Format.TSV else ","


def _write_stream(name: str, fill: Callable[[BinaryIO], None], stream: BinaryIO) -> None:
    """Make the whole output in a private folder, then pass its bytes on."""
    with tempfile.TemporaryDirectory(prefix="semfn-") as folder:
        path = Path(folder) / name
        write_whole(path, fill)
        try:
            with path.open("rb") as raw:
                shutil.copyfileobj(raw, stream)
            stream.flush()
        except BrokenPipeError as error:
            raise StreamClosed(
                "The reader of the standard output has gone. What is paid for is kept in the "
                "ledger: run the same command again."
            ) from error
        except OSError as error:
            raise LedgerError(
                f"Cannot write the standard output: {cause(error)}. What is paid for is kept in "
                "the ledger: run the same command again."
            ) from error
