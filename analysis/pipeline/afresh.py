"""What `--fresh` sets aside in a ledger: once for a job that stops and goes on, if it began at all.

io: SQL on a connection that the caller holds. `ledger_file` calls it when a run begins, `run` where
a part of the rows is asked and at the end, through `Ledger.alter`.

The same command continues a job that was stopped, so with `--fresh` it must not set aside what it
has just paid for; and a run that got no answer, because its plan or its key was refused or it was
killed, must not take away what was there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable

FRESH = "fresh"
YES = "yes"
"""Fact of a run with `--fresh`."""

END = "end"
COMPLETE = "complete"
"""Fact of a run that came to its end; runs that were stopped, refused or killed have none."""

Name = str | bytes
"""A source or an id as the ledger stores it."""

_EARLIER = """
SELECT run, facts FROM run
WHERE run < :run AND run IN (SELECT run FROM run_input WHERE source = :source) ORDER BY run DESC"""

_HAS_ANSWERS = "SELECT 1 FROM request WHERE run = ? AND state = 'done' LIMIT 1"

_RETIRE = "UPDATE verdict SET retired = ? WHERE source = ? AND retired = 0"


def goes_on(connection: sqlite3.Connection, run: int, source: Name) -> bool:
    """Tell whether the last run over a source that got answers asked afresh, and was stopped."""
    for earlier, text in connection.execute(_EARLIER, {"run": run, "source": source}):
        facts = json.loads(text)
        if facts.get(END) == COMPLETE:
            return False
        if connection.execute(_HAS_ANSWERS, (earlier,)).fetchone() is not None:
            return bool(facts.get(FRESH) == YES)
    return False


def set_aside(connection: sqlite3.Connection, run: int, sources: Iterable[Name]) -> None:
    """Retire what holds of the sources, but for those over which an earlier run goes on."""
    named = [(run, source) for source in sources if not goes_on(connection, run, source)]
    connection.executemany(_RETIRE, named)


def set_rows_aside(
    connection: sqlite3.Connection, run: int, rows: Collection[tuple[Name, Name]]
) -> None:
    """Retire what holds of some rows, by source and id; as `set_aside`."""
    going = {source: goes_on(connection, run, source) for source in {row[0] for row in rows}}
    named = [(run, *row) for row in rows if not going[row[0]]]
    connection.executemany(f"{_RETIRE} AND id = ?", named)


def give_back(connection: sqlite3.Connection, run: int) -> None:
    """Put in force again what the run before this one has set aside, if it got no answer."""
    before = connection.execute("SELECT facts FROM run WHERE run = ?", (run - 1,)).fetchone()
    facts = {} if before is None else json.loads(before[0])
    if facts.get(FRESH) != YES or facts.get(END) == COMPLETE:
        return
    if connection.execute(_HAS_ANSWERS, (run - 1,)).fetchone() is None:
        # A row that has got another verdict meanwhile, such as that of an equal text, keeps it.
        connection.execute("UPDATE OR IGNORE verdict SET retired = 0 WHERE retired = ?", (run - 1,))


def note_end(connection: sqlite3.Connection, run: int) -> None:
    """Note that a run came to its end."""
    facts = connection.execute("SELECT facts FROM run WHERE run = ?", (run,)).fetchone()[0]
    facts = json.dumps({**json.loads(facts), END: COMPLETE}, sort_keys=True)
    connection.execute("UPDATE run SET facts = ? WHERE run = ?", (facts, run))
