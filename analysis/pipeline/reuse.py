"""Labels that other ledgers hold for the same text, found by key alone.

io: reads the other ledgers once, when it opens, into a private database in the folder for
temporary files. The run asks it before it sends, and hands what it finds to `Ledger.adopt`.

The key covers text, topic, title, label set, prompt, routes with models and host, so a label that
was given in another form, or without a key, is never found.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType

from analysis.errors import LedgerError
from analysis.pipeline.duplicates import CACHE_KIB, is_loose, split
from analysis.pipeline.ledger_reading import HeldVerdicts, reading
from analysis.pipeline.ledger_rows import HeldLabel
from analysis.records import Chunk

_SLICE_ROWS = 1_000  # rows copied in one go; any size gives the same answer

_CREATE = f"""
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};
CREATE TABLE held (
    short INTEGER PRIMARY KEY, rest BLOB NOT NULL, labels TEXT NOT NULL, confidence REAL,
    route TEXT, model TEXT, pack INTEGER NOT NULL, reused_from TEXT NOT NULL
)"""

_HOLD = "INSERT OR IGNORE INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Reuse:
    """Labels in force of other ledgers. Make it with `Reuse.open`; memory stays flat."""

    def __init__(self, *keys_of: Callable[[Chunk], bytes]) -> None:
        self.labels = 0
        self._keys_of = keys_of
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_CREATE)

    @classmethod
    def open(
        cls,
        paths: Iterable[str | os.PathLike[str]],
        *,
        own: str | os.PathLike[str],
        key_of: Callable[[Chunk], bytes],
        other_keys: Sequence[Callable[[Chunk], bytes]] = (),
    ) -> Reuse:
        """Copy the labels in force; where two ledgers hold one for a key, the earlier named wins.

        The ledgers stay as they are, and may be in use by their runs.

        Args:
            paths: Other ledgers, of any schema that this program knows.
            own: The ledger of the run itself, which must not be among them.
            key_of: The one of the run's ledger.
            other_keys: Further ones under which a label counts, tried one after the other.

        Raises:
            LedgerError: If a path is missing, no ledger, newer than this program, cannot be read,
                or is the run's own.
        """
        with contextlib.ExitStack() as undo:
            reuse = cls(key_of, *other_keys)
            undo.callback(reuse.close)
            for path in paths:
                if os.path.realpath(path) == os.path.realpath(own):
                    raise LedgerError(
                        f"Ledger {path} is the one of this run, which is used anyway. Name another "
                        "one for --reuse, or none."
                    )
                reuse.copy(path)
            undo.pop_all()
        return reuse

    def __enter__(self) -> Reuse:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Reuse of {self.labels} labels>"

    def copy(self, path: str | os.PathLike[str]) -> None:
        """Take over the labels in force of one more ledger; raises as `open`."""
        with reading(path) as held:
            rows = _columns(held)
            try:
                self._database.execute("BEGIN")
                while part := list(islice(rows, _SLICE_ROWS)):
                    self.labels += self._database.executemany(_HOLD, part).rowcount
                self._database.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise LedgerError(
                    f"The labels of {held.path} cannot be copied to the folder for temporary "
                    f"files ({error}). Make room there, or set TMPDIR to another folder."
                ) from error

    def find(self, chunks: Sequence[Chunk]) -> list[HeldLabel | None]:
        """Return for each row the label held for its key, whatever its source and id were there.

        None where there is none, and for a row that is part of a document, or blank.
        """
        return [self._find_any(chunk) if is_loose(chunk) else None for chunk in chunks]

    def close(self) -> None:
        """Remove the private database; may be called again."""
        self._database.close()

    def _find_any(self, chunk: Chunk) -> HeldLabel | None:
        found = (self._find(key_of(chunk)) for key_of in self._keys_of)
        return next((label for label in found if label is not None), None)

    def _find(self, key: bytes) -> HeldLabel | None:
        short, rest = split(key)
        row = self._database.execute(
            "SELECT rest, labels, confidence, route, model, pack, reused_from FROM held "
            "WHERE short = ?",
            (short,),
        ).fetchone()
        if row is None or row[0] != rest:
            return None
        _, labels, confidence, route, model, pack, reused_from = row
        return HeldLabel(
            labels=labels,
            confidence=confidence,
            route=route,
            model=model,
            pack=pack,
            reused_from=reused_from,
        )


def _columns(held: HeldVerdicts) -> Iterator[tuple[object, ...]]:
    for key, label in held.labels():
        answer = (label.labels, label.confidence, label.route, label.model, label.pack)
        yield (*split(key), *answer, label.reused_from)
