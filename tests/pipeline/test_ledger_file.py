"""The file under the ledger: commit groups, failing disks, locks, rights and foreign files."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from analysis.errors import LedgerError
from analysis.pipeline.ledger import Ledger
from analysis.records import Usage
from analysis.settings import SETTINGS
from tests.pipeline.ledger_samples import (
    answer,
    chunk,
    done,
    failed,
    labeled,
    labels_of,
    make_schema_1,
    opened,
    request,
    rows,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv.semfn.sqlite"


# Groups, loops, closing


@pytest.mark.asyncio
async def test_many_callers_share_commits(path: Path) -> None:
    """What arrives while the writer is busy is one commit, up to the size of a group."""
    chunks = [chunk(str(n)) for n in range(200)]
    with opened(path, settings=replace(SETTINGS, commit_group=50)) as ledger:
        await asyncio.gather(*(ledger.fail(each, failed(each)) for each in chunks))
        assert 4 <= ledger.commits <= 100
        assert ["defect"] * 200 == [row and row.error_kind for row in ledger.lookup(chunks)]


@pytest.mark.asyncio
async def test_a_group_is_not_larger_than_the_setting(path: Path) -> None:
    """With groups of one every record is a commit."""
    with opened(path, settings=replace(SETTINGS, commit_group=1)) as ledger:
        await asyncio.gather(*(ledger.fail(chunk(str(n)), failed(chunk(str(n)))) for n in range(9)))
        assert 9 == ledger.commits


@pytest.mark.asyncio
async def test_a_cancelled_caller_is_still_recorded(path: Path) -> None:
    """Cancelling the wait does not take back the record, nor does it disturb others."""
    with opened(path) as ledger:
        waiting = asyncio.ensure_future(ledger.fail(chunk("1"), failed(chunk("1"))))
        await asyncio.sleep(0)
        waiting.cancel()
        await ledger.fail(chunk("2"), failed(chunk("2")))
    with opened(path) as ledger:
        assert 2 == sum(row is not None for row in ledger.lookup([chunk("1"), chunk("2")]))


def test_several_event_loops_may_write(path: Path) -> None:
    """Each caller is woken on its own loop."""

    def work(ledger: Ledger, name: str) -> None:
        asyncio.run(answer(ledger, name, (chunk(name), labeled(chunk(name)))))

    names = [str(n) for n in range(8)]
    with opened(path) as ledger, ThreadPoolExecutor(max_workers=4) as threads:
        list(threads.map(work, [ledger] * 8, names))
        assert [("example",)] * 8 == labels_of(ledger, *map(chunk, names))


def test_close_commits_what_waits_and_may_be_called_again(path: Path) -> None:
    """Records whose loop ended before the commit are in the file after close."""

    async def submit_only(ledger: Ledger) -> None:
        waiting = asyncio.ensure_future(ledger.fail(chunk("1"), failed(chunk("1"))))
        await asyncio.sleep(0)
        waiting.cancel()

    ledger = opened(path)
    asyncio.run(submit_only(ledger))
    ledger.close()
    ledger.close()
    assert [("1",)] == rows(path, "SELECT id FROM verdict")
    assert ["out.csv.semfn.sqlite", "out.csv.semfn.sqlite.lock"] == sorted(os.listdir(path.parent))


class HeldConnection(sqlite3.Connection):
    """A connection whose writing transactions wait while `may_begin` is not set."""

    may_begin = threading.Event()
    may_begin.set()
    is_waiting = threading.Event()

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE" and not self.may_begin.is_set():
            self.is_waiting.set()
            self.may_begin.wait()
        return super().execute(sql, *parameters)


@pytest.mark.asyncio
async def test_close_waits_for_a_busy_writer(path: Path) -> None:
    """Records that queued up behind a slow commit are in the file when close returns."""

    def connect(place: Path) -> sqlite3.Connection:
        return sqlite3.connect(
            place, isolation_level=None, check_same_thread=False, factory=HeldConnection
        )

    ledger = opened(path, connect=connect)
    HeldConnection.may_begin.clear()
    closer = threading.Thread(target=ledger.close, daemon=True)
    waiting = [asyncio.ensure_future(ledger.fail(chunk("0"), failed(chunk("0"))))]
    await asyncio.to_thread(HeldConnection.is_waiting.wait)
    waiting.append(asyncio.ensure_future(ledger.fail(chunk("1"), failed(chunk("1")))))
    await asyncio.sleep(0)
    closer.start()
    while not waiting[-1].done():  # the first one that is refused came after the call of close
        name = str(len(waiting))
        waiting.append(asyncio.ensure_future(ledger.fail(chunk(name), failed(chunk(name)))))
        await asyncio.sleep(0)
    HeldConnection.may_begin.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.to_thread(closer.join, 10)
    assert not closer.is_alive()
    assert [type(None), LedgerError] == [type(outcome) for outcome in outcomes[-2:]]
    assert [(len(waiting) - 1,)] == rows(path, "SELECT count(*) FROM verdict")


def test_a_ledger_may_be_opened_and_closed_by_different_threads(path: Path) -> None:
    """The lock belongs to the ledger, not to the thread that took it."""
    with ThreadPoolExecutor(max_workers=1) as threads:
        threads.submit(opened, path).result().close()
    opened(path).close()


@pytest.mark.asyncio
async def test_a_closed_ledger_refuses_all(path: Path) -> None:
    """After close neither writing nor reading works, with an error that says so."""
    ledger = opened(path)
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        await ledger.intend(request("r1", chunk("1")))
    with pytest.raises(LedgerError, match="closed"):
        await ledger.missing([chunk("1")])


# Failing disk


Made = TypeVar("Made", bound=sqlite3.Connection)


def connecting(kind: type[Made]) -> tuple[list[Made], Callable[[Path], sqlite3.Connection]]:
    """Return a list, and a function whose connections go into it; the first one writes."""
    made: list[Made] = []

    def connect(place: Path) -> sqlite3.Connection:
        made.append(kind(place, isolation_level=None, check_same_thread=False))
        return made[-1]

    return made, connect


class FailingConnection(sqlite3.Connection):
    """A connection on which statements that begin in one way fail while `fails_at` is set."""

    fails_at = ""
    why = ""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self._check(sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self._check(sql)
        return super().executemany(sql, *parameters)

    def _check(self, sql: str) -> None:
        if self.fails_at and sql.lstrip().startswith(self.fails_at):
            raise sqlite3.OperationalError(self.why)


@pytest.mark.parametrize("fails_at", ["BEGIN", "INSERT", "UPDATE request", "COMMIT"])
@pytest.mark.parametrize("why", ["disk I/O error", "database or disk is full"])
@pytest.mark.asyncio
async def test_a_failed_write_ends_the_ledger(path: Path, fails_at: str, why: str) -> None:
    """Wherever it fails, nothing is acknowledged any more, also when the disk works again.

    The group, all that waits and all later records fail; reading works on.
    """
    connections, connect = connecting(FailingConnection)
    one, two = chunk("1"), chunk("2")
    with opened(path, connect=connect, settings=replace(SETTINGS, commit_group=2)) as ledger:
        await answer(ledger, "r1", (one, labeled(one)))
        for number in range(4):
            await ledger.intend(request(f"x{number}", two))
        connections[0].fails_at, connections[0].why = fails_at, why
        outcomes = await asyncio.gather(
            *(ledger.settle(done(f"x{number}", (two, labeled(two)))) for number in range(4)),
            ledger.fail(two, failed(two)),
            asyncio.to_thread(ledger.adopt, [(two, (None, "1"))]),
            return_exceptions=True,
        )
        connections[0].fails_at = ""
        assert [LedgerError] * 6 == [type(outcome) for outcome in outcomes]
        assert all(why in str(outcome) for outcome in outcomes)
        for late in (ledger.intend(request("later", one)), ledger.fail(two, failed(two))):
            with pytest.raises(LedgerError, match="records nothing more"):
                await late
        with pytest.raises(LedgerError, match="records nothing more"):
            ledger.adopt([(two, (None, "1"))])
        assert [("example",), None] == labels_of(ledger, one, two)
        assert [False, True] == await ledger.missing([one, two])
        assert {"done": 1, "intended": 4} == ledger.totals().run_states
    assert [("1",)] == rows(path, "SELECT id FROM verdict")
    assert [(None,)] == rows(path, "SELECT ended_at FROM run")
    with opened(path) as ledger:
        assert 4 == ledger.unknown_requests().requests


class FullConnection(sqlite3.Connection):
    """A connection that finds the disk full so many times where a transaction is to end."""

    times = 0

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.times:
            self.times -= 1
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full
        return super().execute(sql, *parameters)


@pytest.mark.asyncio
async def test_a_full_disk_gets_the_reserve_once(path: Path) -> None:
    """What waits then is recorded after all, and a caller can see it; the next time it ends."""
    connections, connect = connecting(FullConnection)
    one, two = chunk("1"), chunk("2")
    with opened(path, connect=connect) as ledger:
        await ledger.intend(request("r1", one))
        assert not ledger.shortage.is_set()
        connections[0].times = 1
        await ledger.settle(done("r1", (one, labeled(one))))
        assert ledger.shortage.is_set()
        await ledger.intend(request("r2", two))
        connections[0].times = 1
        with pytest.raises(LedgerError, match="full"):
            await ledger.settle(done("r2", (two, labeled(two))))
    with opened(path) as ledger:
        assert [("example",), None] == labels_of(ledger, one, two)


@pytest.mark.asyncio
async def test_a_full_file_ends_the_ledger_and_loses_nothing_acknowledged(path: Path) -> None:
    """When the file may grow no more, what was acknowledged stays and the file is whole."""

    def connect(place: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(place, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA max_page_count = 40")
        return connection

    acknowledged = []
    ledger = opened(path, connect=connect)
    with pytest.raises(LedgerError, match="full"):
        for number in range(10_000):
            one = chunk(str(number))
            await ledger.fail(one, failed(one, message="x" * 500))
            acknowledged.append((one.id,))
    ledger.close()
    assert len(acknowledged) > 50
    assert sorted(acknowledged) == rows(path, "SELECT id FROM verdict ORDER BY id")
    assert [("ok",)] == rows(path, "PRAGMA integrity_check")


def test_a_failing_end_of_run_is_reported_and_frees_the_lock(path: Path) -> None:
    """Close raises when it cannot write, and releases everything all the same."""
    ledger = opened(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE run")
    with pytest.raises(LedgerError, match="no such table: run"):
        ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="no such table: run"):
        opened(path)


# The file


def test_a_second_run_is_locked_out_and_told_the_process(path: Path) -> None:
    """The lock holds within a process, too, and through symbolic links."""
    link = path.with_name("link.sqlite")
    link.symlink_to(path)
    with opened(path):
        for name in (path, link):
            with pytest.raises(LedgerError, match=rf"process {os.getpid()} \(this one\)"):
                opened(name)


@pytest.mark.skipif(os.name != "posix", reason="permission bits exist on POSIX only")
def test_only_the_owner_may_read_the_files(path: Path) -> None:
    """Ledger, WAL, shared memory and lock have 0600, whatever they had before."""
    opened(path).close()
    path.chmod(0o644)
    with opened(path):
        modes = {name.name: stat.S_IMODE(name.stat().st_mode) for name in path.parent.iterdir()}
    suffixes = ("", "-shm", "-wal", ".lock")
    assert dict.fromkeys([path.name + suffix for suffix in suffixes], 0o600) == modes


def foreign_database(path: Path) -> None:
    """Make a database of another program."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE verdict (id)")


@pytest.mark.parametrize(
    "make",
    [
        foreign_database,
        lambda path: path.write_bytes(b"id,text\n1,hello\n"),
        lambda path: path.write_bytes(b"SQLite format 3\0"),
    ],
    ids=["other database", "csv", "cut header"],
)
def test_a_file_that_is_not_a_ledger_stays_as_it_was(
    make: Callable[[Path], None], path: Path
) -> None:
    """A mistyped path costs nobody a file, and leaves nothing beside it."""
    make(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="is not a semfn ledger"):
        opened(path)
    assert before == path.read_bytes()
    assert [path.name] == os.listdir(path.parent)


def test_a_path_that_cannot_hold_a_ledger_is_an_error(tmp_path: Path) -> None:
    """A missing folder is not created; a folder is not a ledger."""
    with pytest.raises(LedgerError, match="does not exist"):
        opened(tmp_path / "typo" / "ledger.sqlite")
    with pytest.raises(LedgerError, match="is not a file"):
        opened(tmp_path)
    assert [] == os.listdir(tmp_path)


def test_a_damaged_ledger_is_an_error(path: Path) -> None:
    """A ledger whose pages are overwritten raises and frees the lock."""
    opened(path).close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 20_000)
    for _ in range(2):
        with pytest.raises(LedgerError, match="cannot be opened"):
            opened(path)


def test_a_newer_schema_is_an_error(path: Path) -> None:
    """An older program does not write into the ledger of a newer one."""
    opened(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4")
    with pytest.raises(LedgerError, match="has schema 4; this program knows 3"):
        opened(path)


@pytest.mark.asyncio
async def test_a_ledger_of_schema_1_is_migrated(path: Path) -> None:
    """Its labels and sums stay, and what comes now has the new columns."""
    make_schema_1(path)
    with opened(path) as ledger:
        assert [("example",)] == labels_of(ledger, chunk("1"))
        unknown = ledger.unknown_requests()
        assert (1, 1) == (unknown.requests, unknown.unestimated)
        await answer(ledger, "r3", (chunk("2"), labeled(chunk("2"))))
        (sums,) = [entry for entry in ledger.totals().overall if entry.model == "m-2026"]
        assert (
            Usage(
                input_tokens=200,
                cached_tokens=80,
                written_tokens=30,
                output_tokens=14,
                reasoning_tokens=5,
            )
            == sums.usage
        )
    assert [(3,)] == rows(path, "PRAGMA user_version")
    assert [(1,), (2,)] == rows(path, "SELECT run FROM verdict ORDER BY id")
    with opened(path) as ledger:
        assert [("example",)] * 2 == labels_of(ledger, chunk("1"), chunk("2"))


def test_a_migrated_ledger_has_the_columns_of_a_new_one(path: Path, tmp_path: Path) -> None:
    """Names, types and defaults, in the same order, in every table."""
    make_schema_1(path)
    opened(path).close()
    new = tmp_path / "new.sqlite"
    opened(new).close()
    for table in ("run", "run_input", "request", "verdict"):
        assert rows(new, f"PRAGMA table_info({table})") == rows(path, f"PRAGMA table_info({table})")


@pytest.mark.parametrize("version", [1, 2])
def test_a_migration_that_dies_leaves_a_whole_ledger_of_an_older_schema(
    path: Path, version: int
) -> None:
    """The statements of a step are one transaction, so that the next run does all of them again."""
    make_schema_1(path)

    class Dying(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == f"PRAGMA user_version = {version + 1}":
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *parameters)

    with pytest.raises(LedgerError, match="disk I/O error"):
        opened(
            path,
            connect=lambda place: sqlite3.connect(
                place, isolation_level=None, check_same_thread=False, factory=Dying
            ),
        )
    assert [(version,)] == rows(path, "PRAGMA user_version")
    assert {1: 14, 2: 16}[version] == len(rows(path, "PRAGMA table_info(request)"))
    with opened(path) as ledger:
        assert [("example",)] == labels_of(ledger, chunk("1"))


def test_an_empty_file_and_a_cut_draft_do_no_harm(path: Path) -> None:
    """A ledger is created over an empty file and over what a process left that died creating."""
    path.touch()
    path.with_name(path.name + ".draft").write_bytes(b"SQLite format 3\0 cut")
    with opened(path) as ledger:
        assert 1 == ledger.run
    with opened(path) as ledger:
        assert 2 == ledger.run
    assert [("in.csv", '{"prompt": "v1"}')] * 2 == rows(
        path, "SELECT source, facts FROM run JOIN run_input USING (run)"
    )


def test_a_folder_without_wal_is_an_error(path: Path) -> None:
    """Where SQLite cannot use WAL, nothing is promised and nothing starts."""

    class NoWal(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            return super().execute(sql.replace("journal_mode = WAL", "journal_mode"), *parameters)

    with pytest.raises(LedgerError, match="journal mode delete instead of wal"):
        opened(path, connect=lambda place: sqlite3.connect(place, factory=NoWal))
