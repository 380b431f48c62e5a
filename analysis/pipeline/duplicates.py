"""Which rows have the text of an earlier row, so that it is asked once and its verdict is copied.

io: a private database in the folder for temporary files, which the system removes. The run feeds
it while it reads the input, asks it before it sends, and hands its answers to `Ledger.adopt`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType

from analysis.errors import LedgerError, LocalProtocolError
from analysis.pipeline.ledger_rows import Identity, storable
from analysis.records import Chunk, is_blank

CACHE_KIB = 16 * 1024
"""Memory that the database may take; what is more goes to the disk."""

_CREATE = f"""
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};
CREATE TABLE seen (
    short  INTEGER NOT NULL,    -- the first 8 bytes of the key
    rest   BLOB NOT NULL,       -- the others
    source INTEGER NOT NULL,
    id     TEXT NOT NULL
);
CREATE TABLE first (
    short  INTEGER PRIMARY KEY, -- quick to find, seldom shared
    rest   BLOB NOT NULL,       -- decides
    source INTEGER NOT NULL,
    id     TEXT NOT NULL,
    copies INTEGER NOT NULL,    -- further rows with this text
    rank   INTEGER NOT NULL     -- 0: no verdict is known, 1: it failed, 2: it has a label
)"""

_SEE = "INSERT INTO seen VALUES (?, ?, ?, ?)"

# One sort over all rows instead of a search for each; beside min(), SQLite takes the other columns
# from the row that has the minimum.
_FIND_FIRST = """
INSERT OR IGNORE INTO first SELECT short, rest, source, id, copies, 0 FROM (
    SELECT short, rest, source, id, count(*) - 1 AS copies, min(rowid)
    FROM seen GROUP BY short, rest HAVING count(*) > 1)"""

_PREFER = """
UPDATE first SET source = ?, id = ?, rank = ? WHERE short = ? AND rest = ? AND rank < ?"""


def is_loose(chunk: Chunk) -> bool:
    """Tell whether nothing but text, topic and title decides the label.

    That is a chunk that is part of no document, has no neighbours and is not blank.
    """
    return chunk.document is None and chunk.place is None and not is_blank(chunk.text)


def split(key: bytes) -> tuple[int, bytes]:
    """Return the first 8 bytes of a key as a number that SQLite can hold, and the others."""
    return int.from_bytes(key[:8], "big", signed=True), key[8:]


class FirstTexts:
    """For each text that occurs more than once, the row that speaks for it.

    First `add` all rows, then ask. Memory stays flat. For any thread, one at a time.
    """

    def __init__(self, key_of: Callable[[Chunk], bytes]) -> None:
        """Make it empty; `key_of` is the one of the ledger."""
        self._key_of = key_of
        self._copies: int | None = None
        self._sources: list[str | None] = []
        self._numbers: dict[str | None, int] = {}
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_CREATE)

    def __enter__(self) -> FirstTexts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Note the next rows of the input; of several with one text the first one speaks for it.

        Raises:
            LedgerError: If the folder for temporary files is full.
            LocalProtocolError: If a question was asked already.
        """
        if self._copies is not None:
            raise LocalProtocolError("All rows are added before the first question.")
        rows = [
            (*split(self._key_of(chunk)), self._number(chunk.source), storable(chunk.id))
            for chunk in chunks
            if is_loose(chunk)
        ]
        with self._writing():
            self._database.executemany(_SEE, rows)

    @property
    def copies(self) -> int:
        """How many rows have the text of an earlier row."""
        if self._copies is None:
            with self._writing():
                self._database.execute(_FIND_FIRST)
                self._database.execute("DELETE FROM seen")
            counted = self._database.execute("SELECT coalesce(sum(copies), 0) FROM first")
            self._copies = int(counted.fetchone()[0])
        return self._copies

    def prefer(self, chunks: Sequence[Chunk], held: Sequence[bool | None]) -> None:
        """Let rows that the ledger knows speak for their text, so that it is not paid again.

        A labelled row goes before a failed one, and that before one that was never asked.

        Args:
            chunks: Rows that were added.
            held: What `Ledger.held` returned for them.

        Raises:
            LedgerError: If the folder for temporary files is full.
        """
        if not self.copies:
            return
        rows = []
        for chunk, is_labeled in zip(chunks, held, strict=True):
            if is_labeled is not None and is_loose(chunk):
                rank = 2 if is_labeled else 1
                place = (self._number(chunk.source), storable(chunk.id))
                rows.append((*place, rank, *split(self._key_of(chunk)), rank))
        with self._writing():
            self._database.executemany(_PREFER, rows)

    def first_of(self, chunks: Sequence[Chunk]) -> list[Identity | None]:
        """Return for each row the source and id of the row that speaks for its text.

        None where it is the row itself, or the row is part of a document, blank, or was not added:
        such a row is asked itself.

        Raises:
            LedgerError: If the folder for temporary files is full.
        """
        if not self.copies:
            return [None] * len(chunks)
        return [self._first_of(chunk) if is_loose(chunk) else None for chunk in chunks]

    def close(self) -> None:
        """Remove the database; may be called again."""
        self._database.close()

    def _first_of(self, chunk: Chunk) -> Identity | None:
        short, rest = split(self._key_of(chunk))
        row = self._database.execute(
            "SELECT rest, source, id FROM first WHERE short = ?", (short,)
        ).fetchone()
        if row is None or row[0] != rest:
            return None
        source, stored = self._sources[row[1]], row[2]
        name = stored if isinstance(stored, str) else stored.decode(errors="surrogatepass")
        return None if (source, name) == (chunk.source, chunk.id) else (source, name)

    def _number(self, source: str | None) -> int:
        number = self._numbers.setdefault(source, len(self._sources))
        if number == len(self._sources):
            self._sources.append(source)
        return number

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN")
            yield
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise LedgerError(
                f"The list of texts cannot be kept in the folder for temporary files ({error}). "
                "Make room there, or set TMPDIR to another folder."
            ) from error
