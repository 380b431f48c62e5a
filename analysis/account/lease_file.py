"""The SQLite file in which the processes of a user on one machine hold their leases.

io: only account/leases.py uses it, from one thread. What a lease means stands in control/leases.

The file holds nothing of value: it may be deleted whenever no process uses it. It has no journal
that outlives a crash of the machine (`synchronous = OFF`), since no lease outlives it either.

Times are those of a clock that all processes share and that goes on while the machine sleeps. On
Linux that is CLOCK_BOOTTIME, which begins anew with each boot, so rows of another boot are void.
Elsewhere it is the time of day; when that is set, leases are written anew within seconds.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from analysis.account.identity import lock_of
from analysis.control.leases import (
    LONGEST_S,
    Lease,
    Spacing,
    Turn,
    claim,
    others_of,
    turn_at,
)

SCHEMA_VERSION = 1

BUSY_TIMEOUT_S = 1.0
"""How long a write waits for others; theirs take a millisecond."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lease (
    account TEXT NOT NULL, model TEXT NOT NULL, peer TEXT NOT NULL,
    boot TEXT NOT NULL,
    part REAL NOT NULL CHECK (part BETWEEN 0 AND 1),
    wanted REAL NOT NULL CHECK (wanted BETWEEN 0 AND 1),
    until REAL NOT NULL CHECK (typeof(until) = 'real' AND until < 1e15),
    PRIMARY KEY (account, model, peer)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turn (
    account TEXT NOT NULL, model TEXT NOT NULL, boot TEXT NOT NULL,
    dimension TEXT NOT NULL CHECK (dimension IN ('requests', 'tokens')),
    spacing_s REAL NOT NULL CHECK (spacing_s > 0 AND spacing_s < 1e15),
    next_at REAL NOT NULL CHECK (typeof(next_at) = 'real' AND next_at < 1e15),
    PRIMARY KEY (account, model)
) WITHOUT ROWID;
"""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Key: TypeAlias = tuple[str, str]
"""Name of the account and model: what shares one rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a process asks for one key.

    Attributes:
        wanted: As in `control.leases.claim`.
        in_use: As in `control.leases.claim`.
        spacing: Of the turn that is asked for, or None.
    """

    wanted: float
    in_use: float
    spacing: Spacing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a process got: its lease, and the time of its turn if it asked for one."""

    lease: Lease
    turn_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the file says of one key: leases of others that count, and the next free turn."""

    others: list[Lease]
    turn: Turn | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Seconds that all processes of the machine see alike.

    Attributes:
        now: Returns them.
        boot: Tells apart clocks that began anew.
    """

    now: Callable[[], float]
    boot: str


def shared_clock() -> Clock:
    """Return the best clock of this machine; see the module."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        with contextlib.suppress(OSError):
            boot = _BOOT_ID.read_text(encoding="ascii").strip()
            return Clock(now=lambda: time.clock_gettime(time.CLOCK_BOOTTIME), boot=boot)
    return Clock(now=time.time, boot="time of day")


class LeaseFile:
    """A connection to the file. Every method may raise `sqlite3.Error` or `OSError`."""

    def __init__(self, path: Path, *, peer: str, clock: Clock) -> None:
        """Open it; make it and its folder if they are missing.

        Args:
            path: Of the file, on a local disk.
            peer: Id of this process, another one at each start.
            clock: From `shared_clock`.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made for its owner alone; -wal and -shm take the rights from it when created.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._peer = peer
        self._clock = clock
        # Any thread, since opening and closing may happen on different ones; never two at once.
        self._connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._connection.close)
            self._prepare(path)
            on_failure.pop_all()

    def read(self, keys: Iterable[Key]) -> dict[Key, Seen]:
        """Return what stands in it, without waiting for anybody."""
        return {key: Seen(others=self._others(key), turn=self._turn(key)) for key in keys}

    def claim(self, asked: Mapping[Key, Asked], *, expires_s: float) -> dict[Key, Given]:
        """Renew or begin leases, and take turns, in one transaction.

        Args:
            asked: By key.
            expires_s: The leases end so long after now.
        """
        with self._transaction():
            return {
                key: Given(
                    lease=self._write(key, one.wanted, one.in_use, expires_s),
                    turn_at=None if one.spacing is None else self._take_turn(key, one.spacing),
                )
                for key, one in asked.items()
            }

    def release(self) -> None:
        """Give back all leases of this process."""
        self._connection.execute("DELETE FROM lease WHERE peer = ?", (self._peer,))

    def close(self) -> None:
        """Close the connection; leases that were not given back end by themselves."""
        self._connection.close()

    # Inside

    def _prepare(self, path: Path) -> None:
        mode = self._connection.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != "wal":  # the change does not wait for others who make it, but fails
            with lock_of(path):
                mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise OSError(f"{path} is not on a local disk (journal mode {mode} instead of wal)")
        self._connection.execute("PRAGMA synchronous = OFF")
        with self._transaction():
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise OSError(f"{path} has schema {version}; this program knows {SCHEMA_VERSION}")
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            now = self._clock.now()
            self._connection.execute(
                "DELETE FROM lease WHERE boot <> ? OR until <= ? OR until > ?",
                (self._clock.boot, now, now + LONGEST_S),
            )

    def _write(self, key: Key, wanted: float, in_use: float, expires_s: float) -> Lease:
        now = self._clock.now()
        part = claim(wanted, in_use, self._others(key))
        lease = Lease(peer=self._peer, part=part, wanted=wanted, until=now + expires_s)
        self._connection.execute(
            "INSERT OR REPLACE INTO lease (account, model, peer, boot, part, wanted, until) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, lease.peer, self._clock.boot, lease.part, lease.wanted, lease.until),
        )
        return lease

    def _others(self, key: Key) -> list[Lease]:
        rows: Sequence[tuple[str, float, float, float]] = self._connection.execute(
            "SELECT peer, part, wanted, until FROM lease "
            "WHERE account = ? AND model = ? AND boot = ?",
            (*key, self._clock.boot),
        ).fetchall()
        found = [
            Lease(peer=peer, part=part, wanted=wanted, until=until)
            for peer, part, wanted, until in rows
        ]
        return others_of(self._peer, found, self._clock.now())

    def _take_turn(self, key: Key, spacing: Spacing) -> float:
        at = turn_at(spacing, self._turn(key), self._clock.now())
        self._connection.execute(
            "INSERT OR REPLACE INTO turn (account, model, boot, dimension, spacing_s, next_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (*key, self._clock.boot, spacing.dimension, spacing.seconds, at + spacing.seconds),
        )
        return at

    def _turn(self, key: Key) -> Turn | None:
        row = self._connection.execute(
            "SELECT dimension, spacing_s, next_at FROM turn "
            "WHERE account = ? AND model = ? AND boot = ?",
            (*key, self._clock.boot),
        ).fetchone()
        if row is None:
            return None
        return Turn(spacing=Spacing(dimension=row[0], seconds=row[1]), next_at=row[2])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
