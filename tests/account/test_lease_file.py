"""The file keeps leases and turns of one boot, in transactions, for its owner alone."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from analysis.account.lease_file import Asked, Clock, LeaseFile, shared_clock
from analysis.control.leases import LONGEST_S, Spacing, Turn

KEY = ("account", "model")
SPACING = Spacing(dimension="requests", seconds=2.0)


class Table:
    """A file, and processes that open it at a time that the test sets."""

    def __init__(self, path: Path, held: ExitStack) -> None:
        self.path = path
        self.now = 100.0
        self._held = held

    def open(self, peer: str, boot: str = "boot") -> LeaseFile:
        """Return a connection of this process."""
        clock = Clock(now=lambda: self.now, boot=boot)
        return self._held.enter_context(closing(LeaseFile(self.path, peer=peer, clock=clock)))

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return what a query finds."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """Return a table whose connections are closed at the end."""
    with ExitStack() as held:
        yield Table(tmp_path / "state" / "limits.sqlite", held)


def claim(
    file: LeaseFile, wanted: float, in_use: float = 0.0, spacing: Spacing | None = None
) -> tuple[float, float | None]:
    """Ask for a part; return it and the turn."""
    asked = {KEY: Asked(wanted=wanted, in_use=in_use, spacing=spacing)}
    given = file.claim(asked, expires_s=2.0)[KEY]
    return given.lease.part, given.turn_at


def test_the_first_has_the_whole_and_others_what_is_free(table: Table) -> None:
    """Each sees the leases of the others and not its own."""
    first, second = table.open("a"), table.open("b")
    assert (1.0, None) == claim(first, 1.0)
    assert (0.0, None) == claim(second, 1.0)
    (seen,) = first.read([KEY])[KEY].others
    assert ("b", 0.0, 1.0, 102.0) == (seen.peer, seen.part, seen.wanted, seen.until)
    assert (0.5, None) == claim(first, 1.0, in_use=0.5)
    assert (0.5, None) == claim(second, 1.0)


def test_accounts_and_models_are_apart(table: Table) -> None:
    """Whoever uses another one is no neighbour."""
    table.open("a").claim({KEY: Asked(wanted=1.0, in_use=0.0)}, expires_s=2.0)
    other = ("account", "other")
    given = table.open("b").claim({other: Asked(wanted=1.0, in_use=0.0)}, expires_s=2.0)
    assert 1.0 == given[other].lease.part


def test_a_lease_ends_by_itself_or_by_release(table: Table) -> None:
    """After that its part is free."""
    first, second = table.open("a"), table.open("b")
    claim(first, 1.0)
    table.now = 101.9
    assert (0.0, None) == claim(second, 1.0)
    table.now = 102.0
    assert (1.0, None) == claim(second, 1.0)
    second.release()
    assert (1.0, None) == claim(first, 1.0)


def test_rows_of_another_boot_are_void(table: Table) -> None:
    """Its clock began anew; they are removed."""
    old = table.open("a", boot="before")
    claim(old, 1.0, spacing=SPACING)
    fresh = table.open("b")
    assert [] == table.rows("SELECT * FROM lease")
    assert None is fresh.read([KEY])[KEY].turn
    assert (1.0, None) == claim(fresh, 1.0)


def test_old_rows_are_removed_at_the_next_start(table: Table) -> None:
    """Those that have ended, and those from before the clock was set back."""
    claim(table.open("a"), 1.0)
    table.now += 3.0
    claim(table.open("b"), 1.0)
    assert [("b",)] == table.rows("SELECT peer FROM lease")
    table.now -= LONGEST_S + 10.0
    table.open("c")
    assert [] == table.rows("SELECT peer FROM lease")


def test_turns_follow_each_other(table: Table) -> None:
    """A spacing apart, whoever asks; one that was missed is not made up for."""
    first, second = table.open("a"), table.open("b")
    assert 100.0 == claim(first, 1.0, spacing=SPACING)[1]
    assert 102.0 == claim(second, 1.0, spacing=SPACING)[1]
    assert Turn(spacing=SPACING, next_at=104.0) == first.read([KEY])[KEY].turn
    table.now = 110.0
    assert 110.0 == claim(first, 1.0, spacing=SPACING)[1]


def test_a_write_waits_for_no_reader(table: Table) -> None:
    """And a reader for no writer: it sees what was there before."""
    first = table.open("a")
    claim(first, 1.0)
    with closing(sqlite3.connect(table.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        shell.execute("DELETE FROM lease")
        assert 1 == len(table.rows("SELECT * FROM lease"))
        assert [] == first.read([KEY])[KEY].others
        shell.execute("ROLLBACK")


def test_nobody_writes_between_a_look_and_a_claim(table: Table) -> None:
    """What is free when it is looked at is still free when it is taken."""
    refused: list[str] = []

    def tell_and_disturb() -> float:
        with closing(sqlite3.connect(table.path, timeout=0.0)) as other:
            try:
                other.execute("UPDATE lease SET part = part")
            except sqlite3.OperationalError as error:
                refused.append(str(error))
        return 100.0

    claim(table.open("a"), 1.0)
    clock = Clock(now=tell_and_disturb, boot="boot")
    with closing(LeaseFile(table.path, peer="b", clock=clock)) as file:
        refused.clear()
        claim(file, 1.0)
    assert ["database is locked"] * 2 == refused


def test_a_newer_file_is_left_alone(table: Table) -> None:
    """The program that knows it may still use it."""
    claim(table.open("a"), 1.0)
    with closing(sqlite3.connect(table.path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OSError, match="has schema 99; this program knows 1"):
        table.open("b")
    assert [(99,)] == table.rows("PRAGMA user_version")


def test_rows_that_are_no_leases_are_refused(table: Table) -> None:
    """By the file itself, so that nobody has to look again."""
    claim(table.open("a"), 1.0, spacing=SPACING)
    with closing(sqlite3.connect(table.path)) as connection:
        for change in ("part = 2", "part = 'all'", "wanted = -1", "until = 'soon'", "until = 9e99"):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(f"UPDATE lease SET {change}")
        for change in ("spacing_s = 0", "spacing_s = 'x'", "dimension = 'x'", "next_at = 'x'"):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(f"UPDATE turn SET {change}")


@pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX")
def test_the_file_is_for_its_owner_alone(table: Table) -> None:
    """Also what SQLite keeps beside it."""
    claim(table.open("a"), 1.0)
    for path in table.path.parent.iterdir():
        assert 0o600 == path.stat().st_mode & 0o777
    assert 0o700 == table.path.parent.stat().st_mode & 0o777


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="there is no clock of that kind")
def test_the_clock_of_linux_is_that_of_the_boot() -> None:
    """Two of them tell the same, and name the boot."""
    one, other = shared_clock(), shared_clock()
    begin, middle, end = one.now(), other.now(), one.now()
    assert begin <= middle <= end
    assert one.boot == other.boot
    assert 36 == len(one.boot)
