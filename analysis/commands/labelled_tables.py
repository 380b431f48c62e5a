"""Labelled tables as rows: outputs of a run, and tables with gold labels.

io. Reads files for `evaluate`. An input of a run is the business of `analysis.pipeline.tables`,
which refuses the columns that are wanted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from analysis.errors import ConfigurationError, InputError
from analysis.evaluation.cells import LabelReader
from analysis.evaluation.rows import GoldRow, OutputRow
from analysis.pipeline.columns import alike, as_written, shown
from analysis.pipeline.csv_rows import CsvRows, open_csv
from analysis.pipeline.dialect import check_file
from analysis.pipeline.formats import Format, Reader, format_of
from analysis.pipeline.json_rows import open_json
from analysis.pipeline.parquet_rows import open_parquet
from analysis.settings import SETTINGS

LABEL, LABEL_2 = "semantic_function", "semantic_function_2"

_SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledTable:
    """An opened table.

    Attributes:
        path: The file.
        reader: How it is read.
        id_column: Column of the ids, or None where the number of the row is the id.
        document_column: Column of the documents, or None.
    """

    path: Path
    reader: Reader
    id_column: str | None
    document_column: str | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, one line each."""
        return self.reader.notes

    def place(self, name: str, option: str) -> int:
        """Return the index of a column.

        Raises:
            InputError: If it is missing or doubled; names the option.
        """
        return _place(self.path, self.reader.columns, name, option)

    def cells(self, names: Sequence[str | None]) -> Iterator[tuple[int, list[str]]]:
        """Yield number and cells of each row, in the order of the names; a missing one is empty.

        Raises:
            InputError: If a row cannot be read.
        """
        places = [None if name is None else self.place(name, "") for name in names]
        # The first column stands in for the text, which nobody asks for here.
        roles = {"text": 0} if isinstance(self.reader, CsvRows) else {}
        with closing(self.reader.records(roles)) as records:
            for number, _, cells, _ in records:
                texts = self.reader.texts(cells)
                yield number, ["" if at is None else texts[at] for at in places]

    def first_of(self, *names: str) -> tuple[str | None, ...]:
        """Return each name if there is such a column, else None."""
        return tuple(name if name in self.reader.columns else None for name in names)


def open_labelled(
    path: Path,
    *,
    id_column: str | None = None,
    document_column: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    side: str = "",
) -> LabelledTable:
    """Open a table; the name of the file tells the format.

    Args:
        path: CSV, TSV, JSON Lines or Parquet.
        id_column: By default `id`, else the row number is the id.
        document_column: By default `document`, if there.
        encoding: Of a CSV file.
        delimiter: Of a CSV file.
        side: Begins the names of options in messages, such as `gold-`.

    Raises:
        ConfigurationError: If an option cannot be used.
        InputError: If the file cannot be read, or has no such column.
    """
    check_file(path, wanted="It must hold labelled rows.")
    reader = _reader(path, encoding=encoding, delimiter=delimiter, side=side)
    wanted = ((id_column, "id"), (document_column, "document"))
    found: list[str | None] = []
    for name, usual in wanted:
        if name is not None or usual in reader.columns:
            _place(path, reader.columns, name or usual, f"--{side}{usual}-column")
            found.append(name or usual)
        else:
            found.append(None)
    return LabelledTable(path=path, reader=reader, id_column=found[0], document_column=found[1])


def _reader(path: Path, *, encoding: str | None, delimiter: str | None, side: str) -> Reader:
    form = format_of(path)
    if form in (Format.CSV, Format.TSV):
        return open_csv(
            path, encoding=encoding, delimiter=delimiter, row_chars=SETTINGS.field_bytes
        )
    if encoding is not None or delimiter is not None:
        option = "delimiter" if encoding is None else "encoding"
        raise ConfigurationError(
            f"{path} is no CSV file, so --{side}{option} cannot be used. Leave it out."
        )
    if form is Format.JSONL:
        return open_json(path, limit=None, line_bytes=SETTINGS.field_bytes)
    return open_parquet(path)


def _place(path: Path, columns: tuple[str, ...], name: str, option: str) -> int:
    name = as_written(name, columns)
    count = columns.count(name)
    if count == 1:
        return columns.index(name)
    if count:
        raise InputError(
            f"{path} has {count} columns named {shown(name)}. Rename all but one, or name another "
            f"column with {option}."
        )
    names = ", ".join(map(shown, columns[:_SHOWN_COLUMNS]))
    more = len(columns) - _SHOWN_COLUMNS
    rest = f" and {more} more" if more > 0 else ""
    near = alike(name, columns)
    hint = f" Nearest: {', '.join(map(shown, near[:3]))}." if near else ""
    raise InputError(
        f"{path} has no column {shown(name)}; found: {names}{rest}.{hint} Pass {option} NAME."
    )


def read_output(table: LabelledTable, labels: LabelReader) -> list[OutputRow]:
    """Return the rows of an output.

    Args:
        table: Written by `semfn run`.
        labels: Reads keys, and names of labels in any language.

    Raises:
        InputError: If it is no output of a run, or a cell cannot be read.
    """
    if LABEL not in table.reader.columns:
        raise InputError(
            f"{table.path} has no column {LABEL!r}, so it is no output of semfn run. Name the "
            "labelled file, such as chunks.labeled.csv."
        )
    optional = table.first_of(
        LABEL_2,
        "semfn_route",
        "semfn_model",
        "semfn_confidence",
        "semfn_attempts",
        "semfn_error",
    )
    rows = []
    shared: dict[str, str] = {}  # many rows have the same words; each is held once
    for number, cells in table.cells((table.id_column, table.document_column, LABEL, *optional)):
        name, document, label, second, route, model, confidence, attempts, error = cells
        row = OutputRow(
            id=str(number) if table.id_column is None else name,
            labels=labels.read((label, second), number) or (),
            document=shared.setdefault(document, document) or None,
            route=shared.setdefault(route, route),
            model=shared.setdefault(model, model),
            confidence=_number(table, number, "semfn_confidence", confidence, most=1.0),
            attempts=_count(table, number, attempts),
            error=shared.setdefault(error, error),
        )
        rows.append(row)
    labels.check(f"{table.path}, column {LABEL!r},", "Pass the label set of the run: --label-set.")
    return rows


def read_texts(table: LabelledTable, column: str) -> dict[str, str]:
    """Return id -> text of an output; empty if it has no such column.

    Args:
        table: Written by `semfn run`.
        column: Of the texts.
    """
    if column not in table.reader.columns:
        return {}
    return {
        str(number) if table.id_column is None else name: text
        for number, (name, text) in table.cells((table.id_column, column))
    }


def _number(table: LabelledTable, row: int, name: str, cell: str, *, most: float) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise InputError(
            f"{table.path}, row {row}: {name} is {shown(cell)}, not a number from 0 to {most:g}. "
            "Take the file as semfn run wrote it."
        )
    return value


def _count(table: LabelledTable, row: int, cell: str) -> int | None:
    value = _number(table, row, "semfn_attempts", cell, most=1e9)
    return None if value is None else int(value)


def read_gold(
    table: LabelledTable, labels: LabelReader, columns: Sequence[str], cure: str
) -> list[GoldRow]:
    """Return the gold labels of a table.

    Args:
        table: Any table.
        labels: Reads what people wrote.
        columns: One or two columns of gold labels, the primary one first.
        cure: What can be done about an unknown label, one sentence.

    Raises:
        InputError: If a label is unknown.
    """
    rows = []
    shared: dict[str, str] = {}
    for number, cells in table.cells((table.id_column, table.document_column, *columns)):
        name, document, *gold = cells
        found = labels.read(gold, number)
        row = GoldRow(
            id=str(number) if table.id_column is None else name,
            labels=found or (),
            is_ignored=found is None,
            document=shared.setdefault(document, document) or None,
        )
        rows.append(row)
    labels.check(f"{table.path}, column {' and '.join(map(repr, columns))},", cure)
    return rows
