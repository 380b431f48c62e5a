"""Tables in and out: rows of a CSV file as chunks, and verdicts as columns beside them.

io. Called by the run and by the commands that look at a file before it is sent. The input is read
as a stream, as often as needed. How the file itself is read is up to `analysis.pipeline.dialect`,
and the output is the business of `analysis.pipeline.output`.
"""

from __future__ import annotations

import difflib
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from analysis.errors import ConfigurationError, InputError, LedgerError
from analysis.pipeline.dialect import Dialect, check_file, detect, records
from analysis.pipeline.output import OUTPUT_COLUMNS
from analysis.records import Chunk
from analysis.records import is_blank as is_blank
from analysis.settings import SETTINGS

_ROLES = ("id", "text", "document", "topic")
_SHOWN_ROWS = 5  # how many rows or ids a message names
_SHOWN_COLUMNS = 20
_SHOWN_CHARS = 40  # a header may be a chunk by mistake; messages show its start
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
        line: Line of the file on which the row starts.
        cells: All cells as they are in the file, one per column.
        chunk: What is to be labeled; its id is empty where the cell is.
    """

    number: int
    line: int
    cells: tuple[str, ...]
    chunk: Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A CSV file whose header has been checked; made by `open_table`.

    Attributes:
        path: The file.
        dialect: How the file is written.
        columns: The header, as in the file.
        roles: `id`, `text`, `document`, `topic` -> index of the column; absent where there is none.
        topic: Fills where the topic column is absent or empty.
        limit: Only so many rows are read, or None for all.
        notes: Lines that must be shown to the user: what was assumed.
        stamp: Size and modification time (ns) when it was opened.
    """

    path: Path
    dialect: Dialect
    columns: tuple[str, ...]
    roles: Mapping[str, int]
    topic: str | None
    limit: int | None
    notes: tuple[str, ...]
    stamp: tuple[int, int]

    @property
    def source(self) -> str:
        """The file's name without its folder."""
        return self.path.name

    @property
    def delimiter(self) -> str:
        """The character between two cells."""
        return self.dialect.delimiter

    @property
    def encoding(self) -> str:
        """Python's name of the encoding."""
        return self.dialect.encoding

    @property
    def has_bom(self) -> bool:
        """Whether the file starts with a byte order mark."""
        return self.dialect.has_bom

    def rows(self) -> Generator[Row, None, None]:
        """Yield the rows from the first one; may be called again and again.

        Raises:
            InputError: If a row cannot be read, or the file changed since it was opened.
        """
        self._check_unchanged()
        width, make_chunk = len(self.columns), self._chunk
        with closing(records(self.dialect)) as lines:
            next(lines, None)  # the header, known from `open_table`
            for number, (line, cells) in enumerate(islice(lines, self.limit), start=1):
                if len(cells) != width:
                    raise InputError(
                        f"{self.path}, line {line} (row {number}): {len(cells)} cells, but the "
                        f"header has {width} columns. A cell that holds the delimiter "
                        f"{self.delimiter!r} needs quotes around it; a cell that is missing needs "
                        "its delimiter."
                    )
                chunk = make_chunk(number, cells)
                yield Row(number=number, line=line, cells=tuple(cells), chunk=chunk)
        self._check_unchanged()

    def slices(self) -> Generator[tuple[Row, ...], None, None]:
        """Yield the rows in slices of bounded number and size."""
        with closing(self.rows()) as rows:
            held: list[Row] = []
            chars = 0
            for row in rows:
                held.append(row)
                chars += sum(map(len, row.cells))
                if len(held) == SETTINGS.slice_chunks or chars >= _SLICE_CHARS:
                    yield tuple(held)
                    held, chars = [], 0
            if held:
                yield tuple(held)

    def _chunk(self, number: int, cells: Sequence[str]) -> Chunk:
        """Return the chunk of a row that has all its cells."""
        roles = self.roles
        own_topic = cells[roles["topic"]] if "topic" in roles else ""
        document = cells[roles["document"]] if "document" in roles else ""
        return Chunk(
            id=cells[roles["id"]] if "id" in roles else str(number),
            text=cells[roles["text"]],
            topic=self.topic if is_blank(own_topic) else own_topic,
            document=document or None,
        )

    def _check_unchanged(self) -> None:
        """Refuse a file that changed: a verdict could land beside another text."""
        if check_file(self.path) != self.stamp:
            raise InputError(
                f"{self.path} changed while it was in use. Start again; rows that are already "
                "paid for are taken from the ledger."
            )


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
    topic: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    limit: int | None = None,
    row_chars: int = SETTINGS.field_bytes,
) -> Table:
    """Open a CSV or TSV file, plain or .gz, and check its header; no row is looked at.

    Columns default to `id`, `text`, `document` and `topic`; only `text` must be there, and each
    that is named. Without an id column the row number is the id. A first line `sep=X` is skipped.

    Args:
        path: The file; the names .tsv and .tsv.gz stand for tab as delimiter.
        id_column: Column of the ids, compared as raw strings.
        text_column: Column of the texts.
        document_column: Column that says to which document a chunk belongs.
        topic_column: Column of the topics.
        topic: For rows without a topic of their own.
        encoding: Of the file; without it the file must be UTF-8.
        delimiter: One character, or `tab`; without it the header decides.
        limit: Read so many rows only.
        row_chars: Largest number of characters in one row, all cells together.

    Raises:
        ConfigurationError: If an option cannot be used.
        InputError: If the file or its header cannot be used; says what to do.
    """
    if limit is not None and limit < 1:
        raise ConfigurationError(f"A limit of {limit} rows leaves nothing to do. Pass 1 or more.")
    path = Path(path)
    stamp = check_file(path)
    dialect, columns = detect(path, encoding=encoding, delimiter=delimiter, row_chars=row_chars)
    named = (id_column, text_column, document_column, topic_column)
    roles = _find_roles(path, columns, dict(zip(_ROLES, named, strict=True)))
    ours = [name for name in OUTPUT_COLUMNS if name in columns]
    if ours:
        raise InputError(
            f"{path} already has the column {', '.join(ours)}, which this program writes. Rename "
            "or drop it, or name the file from before labelling as input."
        )
    return Table(
        path=path,
        dialect=dialect,
        columns=columns,
        roles=roles,
        topic=None if topic is None or is_blank(topic) else topic,
        limit=limit,
        notes=(*dialect.notes, *_column_notes(columns, roles)),
        stamp=stamp,
    )


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
            first = ", ".join(
                f"{_shown(name)} (rows {one} and {two})" for name, (one, two) in pairs
            )
            yield (
                f"Rows that repeat the id of an earlier row: {counts['double']}, first ids "
                f"{first}. Make the ids unique, or {other}"
            )
        if counts["no topic"] and needs_topic:
            near = _alike("topic", table.columns) if "topic" not in table.roles else ()
            yield (
                f"Rows without a topic: {counts['no topic']}, first row "
                f"{self.first['no topic'][0]}. Pass --topic, or fill a topic column"
                + (f"; perhaps --topic-column {_shown(near[0])}." if near else ".")
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


def _find_roles(
    path: Path, columns: tuple[str, ...], named: Mapping[str, str | None]
) -> dict[str, int]:
    """Return the index of the column of each role that has one."""
    counts = Counter(columns)
    roles = {}
    for role, name in named.items():
        wanted = role if name is None else name
        if counts[wanted] > 1:
            raise InputError(
                f"{path} has {counts[wanted]} columns named {_shown(wanted)}. Rename all but one, "
                f"or name another column with --{role}-column."
            )
        if counts[wanted] == 1:
            roles[role] = columns.index(wanted)
        elif name is not None or role == "text":
            raise _missing_column(path, columns, role=role, wanted=wanted)
    return roles


def _missing_column(path: Path, columns: tuple[str, ...], *, role: str, wanted: str) -> InputError:
    """Return the error that names what is there and what may have been meant."""
    near = _nearest(wanted, columns)
    hint = f" Nearest: {', '.join(map(_shown, near))}." if near else ""
    names = ", ".join(map(_shown, columns[:_SHOWN_COLUMNS]))
    more = len(columns) - _SHOWN_COLUMNS
    rest = f" and {more} more" if more > 0 else ""
    one = " If that is several columns in one, pass --delimiter." if len(columns) == 1 else ""
    return InputError(
        f"{path} has no column {_shown(wanted)}. The first line must name the columns; found: "
        f"{names}{rest}.{hint} Pass --{role}-column NAME.{one}"
    )


def _column_notes(columns: tuple[str, ...], roles: Mapping[str, int]) -> tuple[str, ...]:
    """Return what was taken for what, and which columns nearly were."""
    used = ", ".join(
        f"{role} from {_shown(columns[roles[role]])}" for role in _ROLES if role in roles
    )
    notes = [f"columns used: {used}"]
    if "id" not in roles:
        notes.append("no column 'id': the row number is the id")
    for role in _ROLES:
        if role not in roles and (near := _alike(role, columns)):
            option = f"--{role}-column would use it"
            notes.append(f"column {_shown(near[0])} is not used as {role}; {option}")
    return tuple(notes)


def _shown(name: str) -> str:
    """Return a name for a message: quoted, control characters escaped, not too long."""
    return repr(name if len(name) <= _SHOWN_CHARS else name[:_SHOWN_CHARS] + "…")


def _alike(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that have `name` as one of their words, in any case."""
    wanted = name.strip().casefold()
    return tuple(column for column in columns if wanted in re.split(r"[\W_]+", column.casefold()))


def _nearest(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return up to three columns that may have been meant, without regard to case and spaces."""
    folded = {column.strip().casefold(): column for column in reversed(columns)}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=3, cutoff=0.5)
    both = (*_alike(name, columns), *(folded[key] for key in close))
    return tuple(dict.fromkeys(both))[:3]
