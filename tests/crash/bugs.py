"""Bugs to be planted on purpose: the program, made worse in one place.

    python -m tests.crash.bugs NAME MODULE ARGUMENT...

changes the program as the function NAME says and runs the module. `planted.py` starts it, to show
that its checks see each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import runpy
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis import interrupts
from analysis.pipeline import ledger_file
from analysis.pipeline import run as table_run
from analysis.pipeline.ledger import Ledger
from analysis.pipeline.places import RunPaths
from analysis.records import Request, Settlement


def intent_after_send() -> None:
    """The intent of a request is recorded together with its answer."""
    intend, settle = Ledger.intend, Ledger.settle
    waiting: dict[str, Request] = {}

    async def late_intend(self: Ledger, request: Request) -> None:
        waiting[request.request_id] = request

    async def late_settle(self: Ledger, settlement: Settlement) -> None:
        await intend(self, waiting.pop(settlement.request_id))
        await settle(self, settlement)

    setattr(Ledger, "intend", late_intend)  # noqa: B010 - mypy refuses a plain assignment
    setattr(Ledger, "settle", late_settle)  # noqa: B010


def told_before_commit() -> None:
    """A record is acknowledged when it is queued."""
    submit = ledger_file.Writer.submit

    def hasty(self: ledger_file.Writer, apply: ledger_file.Apply) -> asyncio.Future[None]:
        submit(self, apply)
        at_once: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        at_once.set_result(None)
        return at_once

    setattr(ledger_file.Writer, "submit", hasty)  # noqa: B010


def ledger_without_sync() -> None:
    """SQLite leaves it to the system when the ledger is written."""
    prepare = ledger_file._prepare

    def careless(connection: sqlite3.Connection, path: Path) -> None:
        prepare(connection, path)
        connection.execute("PRAGMA synchronous = OFF")

    setattr(ledger_file, "_prepare", careless)  # noqa: B010


def rename_without_sync() -> None:
    """Files are renamed into their place before their bytes are on the disk."""
    setattr(os, "fsync", lambda descriptor: None)  # noqa: B010


def output_in_place() -> None:
    """The output is written over what was there, byte by byte."""
    replace = os.replace

    def copy(source: Path, target: Path) -> None:
        if not str(target).endswith(".csv"):
            replace(source, target)
            return
        with open(source, "rb") as whole, open(target, "wb") as file:
            file.write(whole.read())
            file.flush()
            os.fsync(file.fileno())
        os.unlink(source)

    setattr(os, "replace", copy)  # noqa: B010


def labels_shifted_by_one() -> None:
    """Each row of the output has the label of the one above it."""
    lookup = Ledger.lookup

    def shifted(self: Ledger, chunks: Any) -> Any:
        found = lookup(self, chunks)
        return [*found[-1:], *found[:-1]]

    setattr(Ledger, "lookup", shifted)  # noqa: B010


def row_written_twice() -> None:
    """The last row of the output is there twice."""
    cells = table_run.TableRun._cells

    def doubled(*given: Any) -> Any:
        row = None
        for row in cells(*given):
            yield row
        yield row

    setattr(table_run.TableRun, "_cells", doubled)  # noqa: B010


def resume_without_key() -> None:
    """A row is known by its id alone, whatever its text is now."""

    def key_of(*_: object) -> bytes:
        return bytes(16)

    setattr(table_run, "key_maker", lambda run_key: key_of)  # noqa: B010


def everything_is_missing() -> None:
    """A resumed run asks again for what has a label."""

    async def missing(self: Ledger, chunks: Sequence[object]) -> list[bool]:
        return [True for _ in chunks]

    setattr(Ledger, "missing", missing)  # noqa: B010


def late_answer_wins() -> None:
    """A second answer for a chunk takes the place of the first."""
    keep = Ledger._keep

    def replacing(self: Ledger, connection: sqlite3.Connection, rows: Sequence[Any]) -> None:
        connection.executemany("DELETE FROM verdict WHERE id = ?", [(row[1],) for row in rows])
        keep(self, connection, rows)

    setattr(Ledger, "_keep", replacing)  # noqa: B010


def no_lock() -> None:
    """Two processes may have the same ledger open."""

    class Free:
        """A lock that holds nobody back."""

        def release(self) -> None:
            """Do nothing."""

    setattr(ledger_file, "_lock", lambda path: Free())  # noqa: B010


def unknown_not_counted() -> None:
    """Requests in flight at a kill are forgotten by the next start."""
    begin = ledger_file.begin_run

    def forgetful(connection: sqlite3.Connection, *given: Any, **named: Any) -> int:
        connection.execute("DELETE FROM request WHERE state = 'intended'")
        return begin(connection, *given, **named)

    from analysis.pipeline import ledger

    setattr(ledger, "begin_run", forgetful)  # noqa: B010


def partial_over_output() -> None:
    """A stopped run puts what it has in the place of the output."""
    setattr(RunPaths, "check", lambda *_: None)  # noqa: B010 - it would refuse that
    setattr(RunPaths, "partials", property(lambda self: self.outputs))  # noqa: B010


def stop_drops_what_is_in_flight() -> None:
    """After a signal the answers that are on their way are not waited for."""
    setattr(interrupts, "DRAIN_S", 0.0)  # noqa: B010


def failed_sync_is_ignored() -> None:
    """The ledger goes on after a commit that failed."""
    commit = ledger_file.Writer._commit

    def deaf(self: ledger_file.Writer, group: Any) -> None:
        with contextlib.suppress(sqlite3.OperationalError):
            commit(self, group)
            return
        ledger_file.roll_back(self._connection)

    setattr(ledger_file.Writer, "_commit", deaf)  # noqa: B010


def frames_in_the_log() -> None:
    """The websockets package logs as it would by itself."""
    from analysis.transport import handshake

    setattr(handshake, "_LOGGER", logging.getLogger("websockets.client"))  # noqa: B010


def none() -> None:
    """The program as it is."""


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        intent_after_send,
        told_before_commit,
        ledger_without_sync,
        rename_without_sync,
        output_in_place,
        labels_shifted_by_one,
        row_written_twice,
        resume_without_key,
        everything_is_missing,
        late_answer_wins,
        no_lock,
        unknown_not_counted,
        partial_over_output,
        stop_drops_what_is_in_flight,
        failed_sync_is_ignored,
        frames_in_the_log,
        none,
    )
}


if __name__ == "__main__":
    name, module = sys.argv[1:3]
    sys.argv[1:3] = []
    BUGS[name]()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
