"""Tables in: the rows of a file as chunks.

io. Called by the run and by the commands that look at a file before it is sent. The input is read
as a stream, as often as needed. Each format has a reader of its own: `csv_rows`, `json_rows`,
`parquet_rows`. The output is the business of `analysis.pipeline.sinks`.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice, repeat
from pathlib import Path

from analysis.errors import ConfigurationError, InputError, LedgerError
from analysis.labels.neighbours import placed
from analysis.labels.titles import sent_title
from analysis.pipeline.columns import alike, column_notes, find_roles, shown
from analysis.pipeline.csv_rows import CsvRows, open_csv
from analysis.pipeline.dialect import HEADER_WANTED, check_file
from analysis.pipeline.formats import (
    ROLES,
    Cells,
    Format,
    Named,
    Reader,
    Record,
    format_of,
    is_packed,
)
from analysis.pipeline.json_rows import WANTED, open_json
from analysis.pipeline.parquet_rows import open_parquet
from analysis.records import Chunk, Place
from analysis.records import is_blank as is_blank
from analysis.settings import DEFAULT_CONTEXT, SETTINGS, Settings

_SHOWN_ROWS = 5  # how many rows or ids a message names
_SLICE_CHARS = 4_000_000  # a slice ends here even with few rows; bounds memory with long texts
# A database that nobody else sees and no crash needs back; 32 MiB of it stay in memory.
_IDS_SQL = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32768;
CREATE TABLE ids(id TEXT PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One data row.

    Attributes:
        number: From 1, without header and blank lines.
        line: Line of the file on which the row starts; in Parquet the number of the row.
        cells: What the table's reader holds of the row; of CSV all cells as they are in the file.
        chunk: What is to be labeled; its id is empty where the cell is.
    """

    number: int
    line: int
    cells: Cells
    chunk: Chunk


Span = tuple[int, int]
"""Numbers of the first row of a stretch of rows, and of its last one."""

_Placed = tuple[Record, Place | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file whose columns have been checked; made by `open_table`.

    Attributes:
        path: The file.
        source: Name of the input, for identity and messages: two of one run differ.
        reader: How the file is read.
        roles: `id`, `text`, `document`, `topic`, `title` -> index of the column; absent where there
            is none.
        topic: Fills where the topic column is absent or empty.
        limit: Only so many rows are read, or None for all.
        spans: Only these rows are read, in order, or None for all; see `sampling.draw`.
        context: So many texts before and after a row are its context; of its document, or without
            a document column of the file. 0: no row has a place.
        settings: How much is read ahead, and how much of titles and neighbours is sent.
        notes: Lines that must be shown to the user: what was assumed.
        stamp: Size and modification time (ns) when it was opened.
    """

    path: Path
    source: str
    reader: Reader
    roles: Mapping[str, int]
    topic: str | None
    limit: int | None
    spans: tuple[Span, ...] | None = None
    context: int = 0
    settings: Settings = SETTINGS
    notes: tuple[str, ...]
    stamp: tuple[int, int]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, as in the file."""
        return self.reader.columns

    @property
    def delimiter(self) -> str:
        """The character between two cells; a comma where the file is no CSV."""
        return self.reader.dialect.delimiter if isinstance(self.reader, CsvRows) else ","

    @property
    def has_bom(self) -> bool:
        """Whether a CSV file starts with a byte order mark."""
        return isinstance(self.reader, CsvRows) and self.reader.dialect.has_bom

    def rows(self) -> Generator[Row, None, None]:
        """Yield the rows from the first one; may be called again and again.

        Raises:
            InputError: If a row cannot be read, or the file changed since it was opened.
        """
        self._check_unchanged()
        make_chunk = self._chunk
        starts = frozenset(first for first, _ in self.spans or ())
        with closing(self._placed()) as records:
            for (number, line, cells, named), place in self._wanted(records):
                chunk = make_chunk(number, named, place)
                if number in starts:
                    chunk = replace(chunk, is_after_gap=True)
                yield Row(number=number, line=line, cells=cells, chunk=chunk)
        self._check_unchanged()

    def _placed(self) -> Generator[_Placed, None, None]:
        """Yield all records, each with its place if context is wanted."""
        with closing(self.reader.records(self.roles)) as records:
            if self.context:
                # Before limit and spans: a row has the neighbours that it has in the whole file.
                yield from placed(
                    records, self._about, distance=self.context, settings=self.settings
                )
            else:
                yield from zip(records, repeat(None), strict=False)

    def _about(self, record: Record) -> tuple[str | None, str]:
        """Return the document of a record and its text; a file without documents is one."""
        _, text, document, *_ = record[3]
        return ((document or None) if "document" in self.roles else ""), text

    def _wanted(self, records: Iterator[_Placed]) -> Iterator[_Placed]:
        """Pass on the records within limit and spans, and read no further than needed."""
        if self.spans is None:
            return islice(records, self.limit)
        return _within(records, self.spans)

    def slices(self) -> Generator[tuple[Row, ...], None, None]:
        """Yield the rows in slices of bounded number and size."""
        size, most = self.reader.size, self.settings.slice_chunks
        with closing(self.rows()) as rows:
            held: list[Row] = []
            chars = 0
            for row in rows:
                held.append(row)
                chars += size(row.cells)
                if len(held) == most or chars >= _SLICE_CHARS:
                    yield tuple(held)
                    held, chars = [], 0
            if held:
                yield tuple(held)

    def _chunk(self, number: int, named: Named, place: Place | None) -> Chunk:
        """Return the chunk of a row."""
        name, text, document, own_topic, title = named
        return Chunk(
            id=str(number) if name is None else name,
            text=text,
            topic=self.topic if not own_topic or is_blank(own_topic) else own_topic,
            title=sent_title(title, self.settings.title_chars) if title else None,
            document=document or None,
            source=self.source,
            place=place,
        )

    def _check_unchanged(self) -> None:
        """Refuse a file that changed: a verdict could land beside another text."""
        if check_file(self.path) != self.stamp:
            raise InputError(
                f"{self.path} changed while it was in use. Start again; rows that are already "
                "paid for are taken from the ledger."
            )


def _within(records: Iterator[_Placed], spans: Sequence[Span]) -> Iterator[_Placed]:
    """Yield the records whose number lies in one of the spans."""
    last = 0
    for first, end in spans:
        yield from islice(records, first - last - 1, end - last)
        last = end


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass over all rows found; see `scan`.

    Attributes:
        rows: Data rows.
        empty: Rows whose text is empty or invisible; they are not sent.
        first_empty: Numbers of the first of them, at most five.
    """

    rows: int
    empty: int
    first_empty: tuple[int, ...]


def open_table(
    path: Path | str,
    *,
    id_column: str | None = None,
    text_column: str | None = None,
    document_column: str | None = None,
    topic_column: str | None = None,
    title_column: str | None = None,
    topic: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    limit: int | None = None,
    source: str | None = None,
    context: int | None = 0,
    settings: Settings = SETTINGS,
) -> Table:
    """Open a table and check its columns; the name of the file tells the format.

    CSV, TSV and JSON Lines may be packed (.gz). Columns default to `id`, `text`, `document` and
    `topic`; only `text` must be there, and each that is named. Titles are read only from a column
    that is named. Without an id column the row number is the id. A first line `sep=X` of a CSV file
    is skipped. JSON Lines are read through once, to the limit, as each line may have keys of its
    own.

    Args:
        path: The file; names that tell no format are read as CSV.
        id_column: Column of the ids, compared as raw strings.
        text_column: Column of the texts.
        document_column: Column that says to which document a chunk belongs.
        topic_column: Column of the topics.
        title_column: Column of the titles of what the chunks are part of.
        topic: For rows without a topic of their own.
        encoding: Of a CSV file; without it the file must be UTF-8.
        delimiter: Of a CSV file, one character, or `tab`; without it the header decides.
        limit: Read so many rows only.
        source: Name of the input; by default the file's name without its folder.
        context: See `Table`; None is 1 where there is a document column, else 0.
        settings: See `Table`; `field_bytes` is the largest number of characters in one row, all
            cells together.

    Raises:
        ConfigurationError: If an option cannot be used, or pyarrow is missing.
        InputError: If the file or its columns cannot be used; says what to do.
    """
    if limit is not None and limit < 1:
        raise ConfigurationError(f"A limit of {limit} rows leaves nothing to do. Pass 1 or more.")
    path = Path(path)
    stamp = check_file(path, wanted=_FIRST[format_of(path)])
    reader = _reader(path, encoding=encoding, delimiter=delimiter, limit=limit, settings=settings)
    named = (id_column, text_column, document_column, topic_column, title_column)
    roles = find_roles(path, reader.columns, dict(zip(ROLES, named, strict=True)))
    reader.check_roles(roles)
    notes = (*reader.notes, *column_notes(reader.columns, roles))
    if context is None:
        context = DEFAULT_CONTEXT if "document" in roles else 0
        notes += (_CONTEXT_NOTE,) * bool(context)
    return Table(
        path=path,
        source=path.name if source is None else source,
        reader=reader,
        roles=roles,
        topic=None if topic is None or is_blank(topic) else topic,
        limit=limit,
        context=context,
        settings=settings,
        notes=notes,
        stamp=stamp,
    )


_CONTEXT_NOTE = (
    f"each request shows {DEFAULT_CONTEXT} text before and after its chunks, from their document; "
    "--context 0 leaves them out"
)

_FIRST = {
    Format.CSV: HEADER_WANTED,
    Format.TSV: HEADER_WANTED,
    Format.JSONL: f"{WANTED}.",
    Format.PARQUET: "Make it again.",
}
"""What should be in a file that has no byte."""


def _reader(
    path: Path,
    *,
    encoding: str | None,
    delimiter: str | None,
    limit: int | None,
    settings: Settings,
) -> Reader:
    """Return the reader for the format that the name tells."""
    form, row_chars = format_of(path), settings.field_bytes
    if form in (Format.CSV, Format.TSV):
        return open_csv(path, encoding=encoding, delimiter=delimiter, row_chars=row_chars)
    if encoding is not None or delimiter is not None:
        option = "--delimiter" if encoding is None else "--encoding"
        raise ConfigurationError(
            f"{path} is no CSV file, so {option} cannot be used. Leave it out, or label the CSV "
            "files in a run of their own."
        )
    if form is Format.JSONL:
        return open_json(path, limit=limit, line_bytes=row_chars)
    if is_packed(path):
        raise InputError(
            f"{path} is a packed Parquet file. Unpack it first (gunzip); Parquet is packed inside."
        )
    return open_parquet(path, slice_rows=settings.slice_chunks)


def scan(
    table: Table,
    visit: Callable[[Sequence[Row]], None] | None = None,
    *,
    needs_topic: bool = True,
) -> Scan:
    """Read all rows once and check what only the whole file can tell.

    Memory does not grow with the number of rows: ids are kept in a private file on disk.

    Args:
        table: The opened file.
        visit: Called with each slice of rows, in order, before the checks are complete.
        needs_topic: Refuse rows that have a text and no topic.

    Raises:
        InputError: If a row cannot be read, an id is empty or occurs twice, or a topic is missing.
        LedgerError: If the list of ids cannot be kept in the folder for temporary files.
    """
    findings = _Findings()
    with closing(sqlite3.connect("")) as database:
        database.executescript(_IDS_SQL)
        for rows in table.slices():
            findings.look(rows)
            if "id" in table.roles:
                findings.counts["double"] += _insert(table, database, rows, findings.doubled)
            if visit is not None:
                visit(rows)
    if problems := tuple(findings.problems(table, needs_topic=needs_topic)):
        raise InputError(" ".join((f"{table.path}:", *problems)))
    return Scan(
        rows=findings.rows,
        empty=findings.counts["no text"],
        first_empty=tuple(findings.first["no text"]),
    )


class _Findings:
    """Counts and first examples of what is wrong with rows, gathered slice by slice."""

    def __init__(self) -> None:
        self.rows = 0
        self.counts = Counter[str]()
        self.first: dict[str, list[int]] = {"no text": [], "no id": [], "no topic": []}
        self.doubled: dict[str, tuple[int, int]] = {}

    def look(self, rows: Sequence[Row]) -> None:
        """Take note of a slice."""
        self.rows += len(rows)
        for row in rows:
            chunk = row.chunk
            if is_blank(chunk.text):
                self._note("no text", row)
            elif chunk.topic is None:
                self._note("no topic", row)
            if not chunk.id:
                self._note("no id", row)

    def _note(self, kind: str, row: Row) -> None:
        self.counts[kind] += 1
        if len(self.first[kind]) < _SHOWN_ROWS:
            self.first[kind].append(row.number)

    def problems(self, table: Table, *, needs_topic: bool) -> Iterator[str]:
        """Yield a sentence with the cure for each kind of problem."""
        counts, other = self.counts, "name another column with --id-column."
        if many := counts["no id"]:
            first = ", ".join(map(str, self.first["no id"]))
            yield f"Rows with an empty id: {many}, first rows {first}. Fill them, or {other}"
        if counts["double"]:
            pairs = self.doubled.items()
            first = ", ".join(f"{shown(name)} (rows {one} and {two})" for name, (one, two) in pairs)
            yield (
                f"Rows that repeat the id of an earlier row: {counts['double']}, first ids "
                f"{first}. Make the ids unique, or {other}"
            )
        if counts["no topic"] and needs_topic:
            near = alike("topic", table.columns) if "topic" not in table.roles else ()
            yield (
                f"Rows without a topic: {counts['no topic']}, first row "
                f"{self.first['no topic'][0]}. Pass --topic, or fill a topic column"
                + (f"; perhaps --topic-column {shown(near[0])}." if near else ".")
            )


def _insert(
    table: Table,
    database: sqlite3.Connection,
    rows: Sequence[Row],
    doubled: dict[str, tuple[int, int]],
) -> int:
    """Add the ids of a slice; return how many were there before, the first few in `doubled`."""
    pairs = [(row.chunk.id, row.number) for row in rows if row.chunk.id]
    try:
        cursor = database.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", pairs)
    except sqlite3.Error as error:
        raise LedgerError(
            f"Cannot keep the ids of {table.path} in the folder for temporary files: {error}. "
            "Make room there, or set TMPDIR to another folder."
        ) from error
    doubles = len(pairs) - max(cursor.rowcount, 0)  # it is -1 for an empty list
    if doubles:
        for name, number in pairs if len(doubled) < _SHOWN_ROWS else ():
            (first,) = database.execute("SELECT row FROM ids WHERE id = ?", (name,)).fetchone()
            if first != number and len(doubled) < _SHOWN_ROWS:
                doubled.setdefault(name, (first, number))
    return doubles
