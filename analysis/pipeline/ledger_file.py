"""The SQLite file under a ledger: lock, creation, connections, and the thread that writes.

io. pipeline/ledger.py uses it, the theory of operation stands there; ledger_reading.py takes the
marks of the file from it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

from analysis.errors import AnalysisError, LedgerError, LocalProtocolError
from analysis.pipeline import afresh
from analysis.pipeline.room import reserve

APPLICATION_ID = 0x53454D46
"""Marks a SQLite file as ours, in bytes 68 to 71 of the file. "SEMF" in ASCII."""

SCHEMA_VERSION = 3

_MIGRATIONS = {
    1: """
    ALTER TABLE request ADD COLUMN written_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE request ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE verdict ADD COLUMN written_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE verdict ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0""",
    2: """
    CREATE TABLE run_input (
        run INTEGER NOT NULL REFERENCES run (run), source TEXT NOT NULL, PRIMARY KEY (run, source)
    ) WITHOUT ROWID;
    INSERT INTO run_input SELECT run, source FROM run;
    ALTER TABLE run DROP COLUMN source;
    ALTER TABLE request ADD COLUMN estimated_tokens INTEGER;
    ALTER TABLE request ADD COLUMN max_output_tokens INTEGER;
    ALTER TABLE verdict ADD COLUMN reused_from TEXT;
    ALTER TABLE verdict ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE verdict ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
    UPDATE verdict SET run = coalesce(
        (SELECT run FROM request WHERE request.request_id = verdict.request_id), 0)""",
}
"""Schema version -> what makes the next version of it."""

BUSY_TIMEOUT_S = 30.0
"""How long a write waits for another program that holds a transaction on the file, such as an open
sqlite3 shell; a run that took hours should outlast a person's look at it."""

_MAGIC = b"SQLite format 3\x00"
Connect: TypeAlias = Callable[[Path], sqlite3.Connection]
_Future: TypeAlias = "asyncio.Future[None] | concurrent.futures.Future[None]"
Apply: TypeAlias = Callable[[sqlite3.Connection, str], None]
"""Writes one record inside a transaction; the text is the UTC time of the commit."""


def open_file(path: Path, connect: Connect, held: contextlib.ExitStack) -> sqlite3.Connection:
    """Lock, create if there is none, and connect for writing; `held` releases it all.

    Args:
        path: Absolute, without symbolic links, so that every run finds the same lock.
        connect: Opens a connection in autocommit mode that any thread may use.
        held: Gets what is to be undone, also when this fails half-way.

    Raises:
        LedgerError: If the file is not a ledger, is of a newer version, or is in use.
        OSError, sqlite3.Error: If it cannot be read or written.
    """
    held.callback(_lock(path).release)
    if not is_there(path):
        _create(path)
    if os.name == "posix":
        _keep_private(path)
    connection = connect(path)
    held.callback(connection.close)
    _prepare(connection, path)
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection in autocommit mode that any thread may use."""
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )


def schema_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of a ledger.

    Raises:
        LedgerError: If it is newer than this program.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"Ledger {path} has schema {version}; this program knows {SCHEMA_VERSION}. Use a newer "
            "semfn, or name another ledger."
        )
    return version


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction without a trace, if there is one."""
    with contextlib.suppress(sqlite3.Error):  # a failed commit may have rolled back already
        connection.execute("ROLLBACK")


def begin_run(
    connection: sqlite3.Connection,
    sources: Collection[str | bytes],
    facts: Mapping[str, str],
    now: str,
    *,
    fresh: bool,
) -> int:
    """Give up the requests of dead runs as unknown, record this run and return its number."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "UPDATE request SET state = 'unknown', code = 'run_died', ended_at = ? "
        "WHERE state = 'intended'",
        (now,),
    )
    run = connection.execute(
        "INSERT INTO run (started_at, facts) VALUES (?, ?) RETURNING run",
        (now, json.dumps(dict(facts), sort_keys=True)),
    ).fetchone()[0]
    connection.executemany(
        "INSERT INTO run_input (run, source) VALUES (?, ?)", [(run, source) for source in sources]
    )
    afresh.give_back(connection, run)
    if fresh:
        afresh.set_aside(connection, run, sources)
    connection.execute("COMMIT")
    return int(run)


def stamps(started_at: str, clock: Callable[[], float]) -> Callable[[], str]:
    """Return a maker of UTC times that counts from `started_at`, so the wall clock may jump."""
    start, origin = datetime.fromisoformat(started_at).astimezone(UTC), clock()
    return lambda: (start + timedelta(seconds=clock() - origin)).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class _Operation:
    """One record and who waits for it: a future of a loop, or a thread that blocks."""

    apply: Apply
    loop: asyncio.AbstractEventLoop | None
    future: _Future


class Writer:
    """The thread that writes. The queue holds one operation for each caller that waits.

    Attributes:
        shortage: Set once the disk was full and the reserve was given up for what is in flight; a
            caller that goes on will find no room soon.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        run: int,
        now: Callable[[], str],
        group: int,
    ) -> None:
        self.commits = 0
        self.shortage = threading.Event()
        self._reserve = reserve(path.parent)
        self._connection = connection
        self._path = path
        self._run = run
        self._now = now
        self._group = group
        self._failure: Exception | None = None
        self._is_closed = False
        self._gate = threading.Lock()
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        # A daemon: a caller that forgets to close gets the ledger of a killed run, not a hang.
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, apply: Apply) -> asyncio.Future[None]:
        """Queue an operation; the future is resolved when it is on the disk or has failed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._put(_Operation(apply, loop, future))
        return future

    def submit_and_wait(self, apply: Apply) -> None:
        """Queue an operation and block until it is on the disk or has failed."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._put(_Operation(apply, None, future))
        future.result()

    def _put(self, operation: _Operation) -> None:
        with self._gate:
            if self._failure is not None:
                raise self._ledger_error() from self._failure
            if self._is_closed:
                raise LedgerError(f"Ledger {self._path} is closed; nothing was recorded.")
            self._queue.put(operation)

    def close(self) -> None:
        """Commit what waits and record the end of the run, unless a commit failed before."""
        with self._gate:
            self._is_closed = True
            self._queue.put(None)
        self._thread.join()
        self._give_up_reserve()
        if self._failure is not None:
            return
        try:
            self._connection.execute(
                "UPDATE run SET ended_at = ? WHERE run = ?", (self._now(), self._run)
            )
            # A reader in another program may keep the WAL in use: then it stays, which is harmless.
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            self._failure = error
            raise self._ledger_error() from error

    def _work(self) -> None:
        while group := self._next_group():
            self._write(group)

    def _next_group(self) -> list[_Operation]:
        """Wait for one operation and take those behind it; empty after the last one."""
        group: list[_Operation] = []
        operation = self._queue.get()
        while operation is not None:
            group.append(operation)
            if len(group) == self._group:
                return group
            try:
                operation = self._queue.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._queue.put(None)  # the end comes last; leave it for the next call
        return group

    def _write(self, group: list[_Operation]) -> None:
        if self._failure is not None:
            _resolve(group, self._ledger_error)
            return
        try:
            self._commit(group)
        except _CONTENT_ERRORS as error:
            roll_back(self._connection)
            self._write_alone(group, error)
        except Exception as error:  # noqa: BLE001 - task boundary: it goes to every caller
            roll_back(self._connection)
            if _is_full(error) and self._give_up_reserve():
                self.shortage.set()
                self._write(group)
                return
            self._failure = error
            _resolve(group, self._ledger_error)
        else:
            _resolve(group, None)

    def _give_up_reserve(self) -> bool:
        """Give the reserve back to the disk; return whether there was one."""
        if self._reserve is None:
            return False
        self._reserve.close()
        self._reserve = None
        return True

    def _write_alone(self, group: list[_Operation], error: Exception) -> None:
        """Write each operation by itself, so that only the one at fault fails."""
        if len(group) > 1:
            for operation in group:
                self._write([operation])
            return
        message = f"Ledger {self._path} refuses a record: {error}"
        _resolve(group, lambda: LocalProtocolError(message))

    def _commit(self, group: list[_Operation]) -> None:
        now = self._now()
        self._connection.execute("BEGIN IMMEDIATE")
        for operation in group:
            operation.apply(self._connection, now)
        self._connection.execute("COMMIT")
        self.commits += 1

    def _ledger_error(self) -> LedgerError:
        return LedgerError(
            f"Ledger {self._path} cannot be written ({self._failure}); this run records nothing "
            "more. What was recorded is kept. Cure the disk and run the same command again."
        )


def _is_full(error: Exception) -> bool:
    """Tell whether a disk has no room; what SQLite then has undone may be repeated."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


_CONTENT_ERRORS = (
    LocalProtocolError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    ValueError,
    OverflowError,
)
"""Errors that say something about one record and nothing about the disk."""


def _resolve(group: Iterable[_Operation], make_error: Callable[[], AnalysisError] | None) -> None:
    """Wake the callers, each loop once; each gets an exception object of its own."""
    futures: dict[asyncio.AbstractEventLoop | None, list[_Future]] = {}
    for operation in group:
        futures.setdefault(operation.loop, []).append(operation.future)
    for loop, waiting in futures.items():
        if loop is None:
            _finish(waiting, make_error)
            continue
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_finish, waiting, make_error)


def _finish(futures: Iterable[_Future], make_error: Callable[[], AnalysisError] | None) -> None:
    for future in futures:
        if future.done():  # its caller was cancelled; the record stands all the same
            continue
        if make_error is None:
            future.set_result(None)
        else:
            future.set_exception(make_error())


def is_there(path: Path) -> bool:
    """Return whether a ledger of ours is there; raise for anything else.

    Reads the header without SQLite, which would touch the WAL of a foreign database.
    """
    if not path.parent.is_dir():
        raise LedgerError(f"Folder {path.parent} of the ledger does not exist. Create it first.")
    if not path.exists():
        return False
    if not path.is_file():
        raise LedgerError(f"{path} is not a file. Name another ledger.")
    with path.open("rb") as file:
        header = file.read(72)
    if not header:
        return False  # an empty file holds nothing to lose
    if not header.startswith(_MAGIC) or header[68:] != APPLICATION_ID.to_bytes(4, "big"):
        raise LedgerError(f"{path} is not a semfn ledger; it stays as it is. Name another ledger.")
    return True


def _lock(path: Path) -> FileLock:
    beside = path.with_name(path.name + ".lock")
    if not beside.exists():  # nobody works on it: look first, leave no lock beside a foreign file
        is_there(path)

    def write_pid(descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())

    # No fallback to a soft lock: that one outlives kill -9.
    lock = FileLock(
        beside,
        blocking=False,
        mode=0o600,
        thread_local=False,
        fallback_to_soft=False,
        on_acquired=write_pid,
    )
    try:
        lock.acquire()
    except Timeout as error:
        raise LedgerError(
            f"Ledger {path} is in use by another run, {_holder(beside)}. Wait for its end, or name "
            "another ledger."
        ) from error
    return lock


def _holder(lock_file: Path) -> str:
    try:
        pid = lock_file.read_text(encoding="ascii").strip()
    except OSError:  # Windows lets nobody else read a locked file
        pid = ""
    if not pid:
        return "process unknown"
    return f"process {pid}" + (" (this one)" if pid == str(os.getpid()) else "")


def _create(path: Path) -> None:
    """Put a ledger without rows at `path`: whole, or not at all."""
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)  # of a process that died here
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        schema = resources.files("analysis.pipeline").joinpath("ledger.sql")
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = FULL; BEGIN;"
                f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
                f"{schema.read_text(encoding='utf-8')} COMMIT;"
            )
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _keep_private(path: Path) -> None:
    """Give the file to its owner alone; -wal and -shm take the rights from it when created."""
    path.chmod(0o600)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).chmod(0o600)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = schema_of(connection, path)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise LedgerError(
            f"The folder of ledger {path} cannot hold one (journal mode {mode} instead of wal). "
            "Name a ledger on a local disk."
        )
    connection.execute("PRAGMA synchronous = FULL")
    # Plain fsync on macOS does not reach the disk; elsewhere these two change nothing.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    for old in range(version, SCHEMA_VERSION):
        _migrate(connection, old)


def _migrate(connection: sqlite3.Connection, old: int) -> None:
    """Make the next schema version of an old one: whole, or not at all, as one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in _MIGRATIONS[old].split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {old + 1}")
    connection.execute("COMMIT")
