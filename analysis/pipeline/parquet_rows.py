"""Rows of a Parquet file, read in batches of bounded size; and the writing of such a file.

io. `tables` opens it, `sinks` writes through it. pyarrow is imported here and nowhere else, inside
functions: it comes with the extra `parquet`.

A row keeps its batch, not its values. An output in the same format takes the rows out of their
batches, so the columns keep types, missing values and metadata.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from analysis.errors import ConfigurationError, InputError
from analysis.pipeline.dialect import cause
from analysis.pipeline.formats import ROLES, Cells, Kind, Reader, Record, as_text, json_value
from analysis.settings import SETTINGS

MISSING = "Parquet needs pyarrow, which is not installed. Install it: pip install 'semfn[parquet]'."

GROUP_ROWS = 20_000
GROUP_BYTES = 8_000_000
"""A row group of an output ends at so many rows or bytes: readers want large ones, memory bounds
them, and as only the rows decide, the same rows give the same bytes."""

_BATCH_BYTES = 4_000_000
_BUFFER_BYTES = 1 << 16  # with a buffer a column is read page by page, else a row group at once
_TYPES = {
    Kind.TEXT: "string",
    Kind.INTEGER: "int64",
    Kind.NUMBER: "float64",
    Kind.BOOLEAN: "bool_",
    Kind.OTHER: "string",
}


class _Batch:
    """A batch of rows whose values are made into Python's own at most once."""

    __slots__ = ("_columns", "arrow", "row_bytes")

    def __init__(self, arrow: Any) -> None:
        self.arrow = arrow
        self.row_bytes: int = arrow.nbytes // max(1, arrow.num_rows) + 1
        self._columns: list[list[object]] | None = None

    def row(self, index: int) -> list[object]:
        """Return the values of a row in the order of the columns."""
        if self._columns is None:
            self._columns = [column.to_pylist() for column in self.arrow.columns]
        return [column[index] for column in self._columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetRows:
    """A Parquet file whose schema is known; its cells are a batch and the row's place in it.

    Attributes:
        path: The file.
        schema: The Arrow schema, of the columns that are kept.
        batch_rows: Rows that are decoded at a time.
        kept: Places of these columns in the file, or None for all.
    """

    path: Path
    schema: Any
    batch_rows: int
    notes: tuple[str, ...] = ()
    kept: tuple[int, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds for writers of other formats; an output in Parquet keeps the types themselves."""
        return (Kind.OTHER,) * len(self.schema.names)

    def narrowed(self, kept: Sequence[int]) -> ParquetRows:
        """Return a reader of the same rows that knows only these columns, in this order."""
        schema = importlib.import_module("pyarrow").schema(
            [self.schema.field(at) for at in kept], metadata=self.schema.metadata
        )
        places = tuple(kept if self.kept is None else (self.kept[at] for at in kept))
        return replace(self, schema=schema, kept=places)

    def check_roles(self, roles: Mapping[str, int]) -> None:
        """Refuse a text column that holds no strings, and nested columns in other roles."""
        types = importlib.import_module("pyarrow").types
        for role, index in roles.items():
            name, kind = self.schema.names[index], self.schema.types[index]
            value = kind.value_type if types.is_dictionary(kind) else kind
            is_string = (
                types.is_string(value)
                or types.is_large_string(value)
                or types.is_string_view(value)
                or types.is_null(value)
            )
            if not is_string and (role == "text" or types.is_nested(value)):
                raise InputError(
                    f"{self.path}: column {name!r} has the type {kind} and cannot be the {role}. "
                    f"Name another one with --{role}-column, or store it as strings."
                )

    def records(self, roles: Mapping[str, int]) -> Generator[Record, None, None]:
        """Yield the rows; the line is the row's number.

        Raises:
            InputError: If the file cannot be read.
        """
        places = [roles.get(role) for role in ROLES]
        number = 0
        with _readable(self.path), closing(_open(self.path)) as file:
            for whole in file.iter_batches(batch_size=self.batch_rows, use_threads=False):
                arrow = whole if self.kept is None else whole.select(self.kept)
                batch = _Batch(arrow)
                ids, texts, documents, topics, titles = (
                    [""] * arrow.num_rows
                    if at is None
                    else list(map(as_text, arrow.column(at).to_pylist()))
                    for at in places
                )
                for index in range(arrow.num_rows):
                    number += 1
                    named = ids[index], texts[index], documents[index], topics[index], titles[index]
                    if "\0" in "".join(named):
                        raise InputError(
                            f"{self.path}, row {number}: text, id, document, topic or title holds "
                            "a NUL character. It is damaged: export it again, or remove the "
                            "character."
                        )
                    name = None if places[0] is None else ids[index]
                    yield number, number, (batch, index), (name, *named[1:])

    def size(self, cells: Cells) -> int:
        """Return the mean size of a row of its batch."""
        batch: _Batch = cells[0]
        return batch.row_bytes

    def texts(self, cells: Cells) -> Sequence[str]:
        """Return the values as text; see `formats.as_text`."""
        return [as_text(value) for value in self.values(cells)]

    def values(self, cells: Cells) -> Sequence[object]:
        """Return the values as Python has them."""
        batch: _Batch = cells[0]
        return batch.row(cells[1])

    def json(self, cells: Cells) -> bytes:
        """Return an object of all values; the names must differ."""
        return json_value(dict(zip(self.schema.names, self.values(cells), strict=True)))


def open_parquet(path: Path, *, slice_rows: int = SETTINGS.slice_chunks) -> ParquetRows:
    """Open a Parquet file and read its schema.

    Args:
        path: The file.
        slice_rows: At most so many rows are held at a time.

    Raises:
        ConfigurationError: If pyarrow is missing.
        InputError: If the file is no Parquet file, or damaged.
    """
    check_pyarrow()
    with _readable(path), closing(_open(path)) as file:
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        row_bytes = max(
            (group.total_byte_size // max(1, group.num_rows) for group in groups), default=0
        )
        return ParquetRows(
            path=path,
            schema=file.schema_arrow,
            batch_rows=max(1, min(slice_rows, _BATCH_BYTES // (row_bytes + 1))),
        )


def check_pyarrow() -> None:
    """Refuse Parquet where pyarrow is missing; raises ConfigurationError with the cure."""
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigurationError(MISSING) from error


def _open(path: Path) -> Any:
    parquet = importlib.import_module("pyarrow.parquet")
    return parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)


@contextmanager
def _readable(path: Path) -> Generator[None, None, None]:
    """Turn what pyarrow raises into an InputError."""
    arrow = importlib.import_module("pyarrow")
    try:
        yield
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Cannot read {path}: {cause(error)}. The file is no Parquet file, or cut or damaged; "
            "copy or make it again."
        ) from error


# Writing

Ours = tuple[tuple[str, Kind], ...]
"""Names and kinds of the columns that a run adds."""


def write_parquet(
    raw: BinaryIO,
    reader: Reader,
    ours: Ours,
    rows: Iterable[tuple[Cells, Sequence[object]]],
) -> None:
    """Write rows with the columns of ours behind their own.

    Args:
        raw: Where the file goes; it stays open.
        reader: The reader that the cells come from.
        ours: The columns that are added.
        rows: Cells of the input, and the values of our columns.

    Raises:
        OSError: If it cannot be written.
    """
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    schema = _schema(arrow, reader)
    for name, kind in ours:
        schema = schema.append(arrow.field(name, getattr(arrow, _TYPES[kind])()))
    own = len(reader.columns)
    holder = (
        _Taken(arrow, reader)
        if isinstance(reader, ParquetRows)
        else _Listed(arrow, reader, schema.types[:own])
    )
    try:
        with parquet.ParquetWriter(raw, schema) as writer:
            for added in _groups(rows, reader, holder):
                columns = [*holder.take(), *_arrays(arrow, schema.types[own:], added)]
                writer.write_table(arrow.table(columns, schema=schema))
    except arrow.ArrowException as error:
        raise OSError(str(error)) from error


def _schema(arrow: Any, reader: Reader) -> Any:
    if isinstance(reader, ParquetRows):
        return reader.schema
    names = zip(reader.columns, reader.kinds, strict=True)
    return arrow.schema([(name, getattr(arrow, _TYPES[kind])()) for name, kind in names])


def _groups(
    rows: Iterable[tuple[Cells, Sequence[object]]], reader: Reader, holder: _Taken | _Listed
) -> Generator[list[Sequence[object]], None, None]:
    """Fill the holder with the rows of one row group after the other; yield what is added."""
    added: list[Sequence[object]] = []
    size = 0
    for cells, values in rows:
        holder.add(cells)
        added.append(values)
        size += reader.size(cells)
        if len(added) == GROUP_ROWS or size >= GROUP_BYTES:
            yield added
            added, size = [], 0
    if added:
        yield added


class _Listed:
    """Own columns of rows that come from a text format."""

    def __init__(self, arrow: Any, reader: Reader, types: Sequence[Any]) -> None:
        self._arrow = arrow
        self._reader = reader
        self._types = types
        self._rows: list[Sequence[object]] = []

    def add(self, cells: Cells) -> None:
        """Hold a row."""
        self._rows.append(self._reader.values(cells))

    def take(self) -> list[Any]:
        """Return the columns of the rows held, and forget them."""
        rows, self._rows = self._rows, []
        return _arrays(self._arrow, self._types, rows)


class _Taken:
    """Own columns of rows that come from a Parquet file.

    Of a batch that is used in part the rows are copied, so that it does not stay in memory.
    """

    def __init__(self, arrow: Any, reader: ParquetRows) -> None:
        self._arrow = arrow
        self._schema = reader.schema
        self._batch: _Batch | None = None
        self._places: list[int] = []
        self._done: list[Any] = []

    def add(self, cells: Cells) -> None:
        """Hold a row."""
        batch, place = cells
        if batch is not self._batch:
            self._end_batch()
            self._batch = batch
        self._places.append(place)

    def take(self) -> list[Any]:
        """Return the columns of the rows held, and forget them."""
        self._end_batch()
        batches, self._done = self._done, []
        columns: list[Any] = self._arrow.Table.from_batches(batches, schema=self._schema).columns
        return columns

    def _end_batch(self) -> None:
        if self._batch is not None and self._places:
            whole, places = self._batch.arrow, self._places
            is_whole = len(places) == whole.num_rows
            self._done.append(whole if is_whole else whole.take(self._arrow.array(places)))
        self._batch, self._places = None, []


def _arrays(arrow: Any, types: Sequence[Any], rows: Sequence[Sequence[object]]) -> list[Any]:
    columns = zip(*rows, strict=True)
    return [arrow.array(column, type=kind) for column, kind in zip(columns, types, strict=True)]
