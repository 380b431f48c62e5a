"""Reads a ledger of any schema without its lock: while a run writes it, or after one died.

io. `export`, `reuse` and `Ledger.failures` use it. Nothing is written to the ledger, and nothing is
left beside it; what is read is one snapshot. Where the file has an older schema, views of this
connection give it the columns of the newest one.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import LedgerError
from analysis.pipeline import afresh
from analysis.pipeline.ledger_file import BUSY_TIMEOUT_S, is_there, roll_back, schema_of
from analysis.pipeline.ledger_rows import (
    FIND_ROWS,
    FOUND,
    FailedRow,
    HeldLabel,
    VerdictRow,
    deciding,
    find,
    plain,
    shown,
    storable,
    verdict_row,
)

_AS_SCHEMA_3 = """
CREATE TEMP VIEW run_input AS SELECT run, source FROM main.run;
CREATE TEMP VIEW verdict AS SELECT *, NULL AS reused_from, 0 AS number, coalesce(
    (SELECT run FROM request WHERE request.request_id = old.request_id), 0) AS run
FROM main.verdict AS old"""
"""Makes a file of schema 1 or 2 look like one of schema 3, as far as it is read here."""

_FORMS = """
SELECT source, id, labels, confidence, route, model, attempts, pack, latency_s,
    error_kind, error_message, reused_from, number,
    row_number() OVER (
        PARTITION BY source, id
        ORDER BY is_current(source, run) DESC, run DESC, labels IS NULL, number DESC
    ) AS place
FROM verdict WHERE retired = 0"""

_NEWEST = f"""
SELECT source, id, labels, confidence, route, model, attempts, pack, latency_s,
    error_kind, error_message, reused_from
FROM ({_FORMS}) WHERE place = 1 AND (labels IS NULL OR NOT ?)
ORDER BY source, number, id"""  # nosec B608

_LABELS = """
SELECT key, labels, confidence, route, model, pack, run
FROM verdict WHERE retired = 0 AND labels IS NOT NULL ORDER BY key, source, id"""

_LAST_ANSWER = """
SELECT max(ended_at) FROM request
WHERE state = 'done' AND run IN (SELECT run FROM run_input WHERE source = ?)"""

_COUNTS = """
SELECT (SELECT count(*) FROM (SELECT DISTINCT source, id FROM verdict WHERE retired = 0)),
    count(*) FILTER (WHERE retired = 0), count(*) FILTER (WHERE retired <> 0) FROM verdict"""

_LAST_FACTS = """
SELECT facts FROM run WHERE run = (SELECT max(run) FROM run_input WHERE source = ?)"""

_HAS_SOURCE = "SELECT 1 FROM verdict WHERE source = ? AND retired = 0 LIMIT 1"
_HAS_ROW = "SELECT 1 FROM verdict WHERE source = ? AND id = ? AND retired = 0 LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """How many rows have a verdict in force, and how many other verdicts the ledger holds.

    Attributes:
        rows: Rows with a verdict in force.
        set_aside: Verdicts that a run with `--fresh` retired.
        other_forms: Verdicts in force of rows of which another form is the newest.
    """

    rows: int
    set_aside: int
    other_forms: int


class HeldVerdicts:
    """One snapshot of a ledger. Make it with `reading`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def newest(self, *, only_failed: bool = False) -> Iterator[tuple[str, str, VerdictRow]]:
        """Yield source, id and verdict of each row, by source and then as first recorded.

        Of a row that was asked in several forms, it is the verdict of the form in which the last
        run over its source asks (label set, prompt, routes, endpoint), else the newest one. What
        `--fresh` set aside is left out.

        Args:
            only_failed: Leave out the rows with a label.
        """
        for source, name, *verdict in self._rows(_NEWEST, (only_failed,)):
            yield shown(source), shown(name), verdict_row(tuple(verdict))

    def failures(self) -> Iterator[FailedRow]:
        """Yield the rows whose newest verdict is a failure, in the order of `newest`."""
        for source, name, verdict in self.newest(only_failed=True):
            yield FailedRow(
                source=source,
                id=name,
                error_kind=verdict.error_kind or "",
                message=verdict.error_message or "",
                attempts=verdict.attempts,
            )

    def labels(self) -> Iterator[tuple[bytes, HeldLabel]]:
        """Yield the key and the label of each row that has one in force, ordered by key."""
        name = plain(self.path.name)
        for key, labels, confidence, route, model, pack, run in self._rows(_LABELS):
            origin = f"{name} run {run}" if run else name
            yield (
                key,
                HeldLabel(
                    labels=labels,
                    confidence=confidence,
                    route=route,
                    model=model,
                    pack=pack,
                    reused_from=origin,
                ),
            )

    def sources(self) -> tuple[str, ...]:
        """Return the names of the inputs, for people."""
        rows = self._rows("SELECT DISTINCT source FROM run_input ORDER BY source")
        return tuple(shown(source) for (source,) in rows)

    def last_facts(self, source: str) -> Mapping[str, str] | None:
        """Return what the last run over an input states about itself; None if there is none."""
        found = list(self._rows(_LAST_FACTS, (storable(source),)))
        facts: dict[str, str] | None = json.loads(found[0][0]) if found else None
        return facts

    def endpoints(self) -> tuple[str, ...]:
        """Return the endpoints of all runs, as they name them, each once, the latest first."""
        rows = self._rows("SELECT facts FROM run ORDER BY run DESC")
        named = (json.loads(text).get("endpoint") for (text,) in rows)
        return tuple(dict.fromkeys(one for one in named if one is not None))

    def lookup(self, wanted: Sequence[tuple[str | None, str, bytes]]) -> list[VerdictRow | None]:
        """Return for each source, id and key the verdict in force, or None where there is none."""
        found: list[VerdictRow | None] = [None] * len(wanted)
        for start in range(0, len(wanted), FIND_ROWS):
            part = wanted[start : start + FIND_ROWS]
            values: list[object] = []
            for number, (source, name, key) in enumerate(part, start):
                values += (number, storable(source or ""), storable(name), key)
            for number, *verdict in self._rows(find(FOUND, len(part)), tuple(values)):
                found[number] = verdict_row(tuple(verdict))
        return found

    def has(self, source: str, name: str | None = None) -> bool:
        """Tell whether an input, or a row of it, has any verdict in force, in whatever form."""
        place = (storable(source),) if name is None else (storable(source), storable(name))
        return bool(list(self._rows(_HAS_SOURCE if name is None else _HAS_ROW, place)))

    def labelled_keys(self, source: str) -> set[bytes]:
        """Return the keys of the rows of a source that have a label in force."""
        sql = "SELECT key FROM verdict WHERE source = ? AND retired = 0 AND labels IS NOT NULL"
        return {key for (key,) in self._rows(sql, (storable(source),))}

    def goes_on_afresh(self, source: str) -> bool:
        """Tell whether the next run over a source goes on with one that asked afresh."""
        ((last,),) = self._rows("SELECT coalesce(max(run), 0) FROM run")
        try:
            return afresh.goes_on(self._connection, last + 1, storable(source))
        except sqlite3.Error as error:
            raise _unreadable(self.path, error) from error

    def last_answer_at(self, source: str) -> str | None:
        """Return when the newest answer to a request of a source was recorded, or None."""
        ((found,),) = self._rows(_LAST_ANSWER, (storable(source),))
        return None if found is None else str(found)

    def left_out(self) -> LeftOut:
        """Count what `newest` does not yield."""
        ((rows, in_force, set_aside),) = self._rows(_COUNTS)
        return LeftOut(rows=rows, set_aside=set_aside, other_forms=in_force - rows)

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy the whole ledger into an empty database; raises sqlite3.Error."""
        self._connection.backup(target)

    def models(self) -> set[str | None]:
        """Return the models of all verdicts, as the service named them."""
        return {model for (model,) in self._rows("SELECT DISTINCT model FROM verdict")}

    def _rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            # No `yield from`: it closes the cursor, which fails after the connection was closed.
            for row in self._connection.execute(sql, parameters):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise _unreadable(self.path, error) from error


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[HeldVerdicts]:
    """Open a ledger to read one snapshot of it; no lock is taken, and a run may go on.

    Raises:
        LedgerError: If there is no file, it is not a ledger, is of a newer schema, or cannot be
            read.
    """
    place = Path(os.path.realpath(path))
    try:
        if not place.parent.is_dir() or not is_there(place):
            raise LedgerError(f"There is no ledger {place}. Check the path.")
        connection = _connect(place)
    except (OSError, sqlite3.Error) as error:
        raise _unreadable(place, error) from error
    with contextlib.closing(connection):
        try:
            _begin(connection, place)
        except sqlite3.Error as error:
            raise _unreadable(place, error) from error
        try:
            yield HeldVerdicts(place, connection)
        finally:
            roll_back(connection)


def _connect(place: Path) -> sqlite3.Connection:
    """Connect so that file and folder stay as they are.

    A reader with mode=ro leaves -wal and -shm behind where there were none, one with mode=rw writes
    the WAL of a dead run into the file. Where the folder cannot be written and there is no WAL,
    nobody can write the file either, so that it may be read as it lies.
    """
    has_wal = place.with_name(place.name + "-wal").exists()
    connection = _open(place, "mode=ro" if has_wal else "mode=rw")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if has_wal or os.access(place.parent, os.W_OK):
            raise
        return _open(place, "mode=ro&immutable=1")
    return connection


def _open(place: Path, query: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{place.as_uri()}?{query}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )


def _begin(connection: sqlite3.Connection, place: Path) -> None:
    """Hold a snapshot in which the tables have the newest columns."""
    if schema_of(connection, place) < 3:
        for statement in _AS_SCHEMA_3.split(";"):
            connection.execute(statement)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("BEGIN")
    connection.create_function("is_current", 2, _current_runs(connection))


def _current_runs(connection: sqlite3.Connection) -> Callable[[str | bytes, int], bool]:
    """Return whether a run asked in the form in which the last run over a source asks."""
    forms = {
        run: deciding(json.loads(facts))
        for run, facts in connection.execute("SELECT run, facts FROM run")
    }
    last = dict(connection.execute("SELECT source, max(run) FROM run_input GROUP BY source"))
    return lambda source, run: source in last and forms.get(run) == forms[last[source]]


def _unreadable(path: Path, error: Exception) -> LedgerError:
    return LedgerError(
        f"Ledger {path} cannot be read ({error}). Check the disk, and the rights on the file and "
        "its folder."
    )
