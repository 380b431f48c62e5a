"""Crash-safe record of every request and verdict in one SQLite file; implements `Journal`.

io. pipeline/run.py opens it; dispatch writes it as a `Journal`; run and report read it. The schema
is described in ledger.sql.

Theory of operation. One thread owns the only writing connection. `intend`, `settle` and `fail` hand
it an operation and wait for a future. The thread takes what is waiting, at most `commit_group`
operations, as one transaction, commits (WAL, synchronous FULL: the disk has it), and only then
resolves the futures; while it is idle an operation is committed at once. So an acknowledged record
survives a kill and a power cut, and many callers share one fsync.

    operation    allowed when the request is    afterwards
    intend       not recorded                   intended
    settle       intended, or unknown           done, refused, unsent or unknown, with its verdicts
    (next open)  intended                       unknown

A record that is refused because of its own content (a request twice, a number that does not fit)
fails alone with LocalProtocolError. The first time that the disk is full, a commit is repeated in
room held in reserve (`shortage`). Any other failure of a commit ends the ledger: that group, all
that wait and all later calls get LedgerError, since after a failed fsync nobody knows what the disk
holds. Reads use a second connection and never wait for the writer.

A lock on `<ledger>.lock` is held from open to close, because SQLite's own locks let another process
in between two commits. The system frees it when the process dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, compress, count
from pathlib import Path
from types import TracebackType

from analysis.errors import LedgerError, LocalProtocolError
from analysis.pipeline.ledger_file import (
    Connect,
    Writer,
    begin_run,
    connect,
    open_file,
    roll_back,
    stamps,
)
from analysis.pipeline.ledger_keys import Keys
from analysis.pipeline.ledger_reading import reading
from analysis.pipeline.ledger_rows import (
    FIND_ROWS,
    FOUND,
    IS_LABELED,
    KEEP_REUSED,
    KEEP_ROWS,
    KEEP_SAME_TEXT,
    FailedRow,
    HeldLabel,
    Identity,
    LedgerTotals,
    RouteTotals,
    Row,
    UnknownRequests,
    VerdictRow,
    differences,
    find,
    keep,
    plain,
    storable,
    usage_columns,
    verdict_columns,
    verdict_row,
)
from analysis.pipeline.ledger_sums import source_totals, totals, unknown_requests
from analysis.records import Chunk, Failed, Request, Settlement, Verdict
from analysis.settings import SETTINGS, Settings

_KNOWN_SLICES = 4  # keys are kept from the question to the answer: one slice is read ahead
_LABELS = 3  # index of `labels` in a row for `keep`

_INTEND = """
INSERT INTO request (request_id, run, route, model, chunks, attempt, state, sent_at,
    estimated_tokens, max_output_tokens)
VALUES (?, ?, ?, ?, ?, ?, 'intended', ?, ?, ?)"""

_SETTLE = """
UPDATE request SET state = ?, code = ?, input_tokens = ?, cached_tokens = ?, written_tokens = ?,
    output_tokens = ?, reasoning_tokens = ?, reported_model = ?, ended_at = ?
WHERE request_id = ? AND state IN ('intended', 'unknown')"""

_KEYS = "SELECT key FROM verdict WHERE source = ? AND id = ? AND retired = 0"

_EARLIER_FACTS = """
SELECT facts FROM run WHERE run < :run AND run IN (
    SELECT run FROM run_input WHERE source IN (SELECT source FROM run_input WHERE run = :run))
ORDER BY run DESC LIMIT 1"""

_NUMBER_BITS = 32
"""Numbers of the records of a run start at run * 2 ** 32, so no run has to look up the highest."""


class Ledger:
    """The open ledger of one run over one input or several. Make it with `Ledger.open`."""

    def __init__(
        self,
        *,
        path: Path,
        sources: Sequence[str],
        keys: Keys,
        retry_failed: bool,
        run: int,
        reader: sqlite3.Connection,
        writer: Writer,
        held: contextlib.ExitStack,
    ) -> None:
        self.path = path
        self.run = run
        self._sources: dict[str | None, str | bytes] = {name: storable(name) for name in sources}
        if len(sources) == 1:
            self._sources[None] = storable(sources[0])
        self._keys = keys
        self._retry_failed = retry_failed
        self._numbers = count((run << _NUMBER_BITS) + 1)
        self._reader = reader
        self._read_gate = threading.Lock()
        self._writer = writer
        self.shortage = writer.shortage
        self._held = held
        self._is_closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        sources: Sequence[str],
        key_of: Callable[[Chunk], bytes],
        run_facts: Mapping[str, str],
        started_at: str,
        fresh: bool = False,
        retry_failed: bool = False,
        settings: Settings = SETTINGS,
        connect: Connect = connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> Ledger:
        """Open or create a ledger, lock it and begin a run.

        Requests that an earlier run left in flight become `unknown`.

        Args:
            path: The file; its folder must exist. Symbolic links are followed first.
            sources: Names of the inputs, each once; with the chunk id the identity of a chunk. A
                chunk without `source` belongs to the only one.
            key_of: Hash, 16 to 32 bytes, of all that decides the answer to a chunk: text, topic,
                title, label set, prompt, routes with models, endpoint. Called from any thread.
            run_facts: What the run states about itself; kept as JSON. Those in `DECIDING_FACTS`
                tell runs apart that ask in another form.
            started_at: UTC time of the start, ISO 8601 with offset.
            fresh: Retire the verdicts of these sources, so that all is asked again; see `afresh`.
            retry_failed: Only chunks that failed in this form are missing; those that were never
                asked are not.
            settings: `commit_group` and `slice_chunks` are used.
            connect: Opens a connection in autocommit mode that any thread may use.
            clock: Monotonic seconds.

        Raises:
            LedgerError: If the file is not a ledger, is from a newer version, is in use by another
                run, or cannot be written. A file that is not a ledger stays as it was.
            LocalProtocolError: If there is no source, or one twice.
        """
        if not sources or len(set(sources)) < len(sources):
            raise LocalProtocolError("A ledger is opened for one source or more, each named once.")
        place = Path(os.path.realpath(path))
        now = stamps(started_at, clock)
        with contextlib.ExitStack() as held:
            try:
                connection = open_file(place, connect, held)
                run = begin_run(
                    connection, [storable(name) for name in sources], run_facts, now(), fresh=fresh
                )
                reader = connect(place)
                held.callback(reader.close)
                reader.execute("PRAGMA query_only = ON")
            except (OSError, sqlite3.Error) as error:
                raise LedgerError(
                    f"Ledger {place} cannot be opened ({error}). Check the disk and the rights on "
                    "the file and its folder, or name another ledger."
                ) from error
            return cls(
                path=place,
                sources=sources,
                keys=Keys(key_of, limit=_KNOWN_SLICES * settings.slice_chunks),
                retry_failed=retry_failed,
                run=run,
                reader=reader,
                writer=Writer(connection, place, run, now, settings.commit_group),
                held=held.pop_all(),
            )

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Ledger {self.path} run {self.run}, {self.commits} commits>"

    @property
    def commits(self) -> int:
        """Transactions committed by `intend`, `settle` and `fail` since the start."""
        return self._writer.commits

    # Journal

    async def missing(self, chunks: Sequence[Chunk]) -> list[bool]:
        """Return for each chunk whether it still has to be asked.

        That is where no label in force is held; failed chunks are missing, too. After an opening
        with `retry_failed` only these are.
        """
        return await asyncio.to_thread(self._missing, chunks)

    async def intend(self, request: Request) -> None:
        """Record that the request is about to be sent; durable when this returns.

        Raises:
            LedgerError: If it cannot be made durable; then the request must not be sent.
            LocalProtocolError: If a request with this id is recorded already.
        """
        names = (request.request_id, self.run, plain(request.route), plain(request.model))
        counts = (len(request.pack.items), request.attempt)
        bound = (request.ask.estimated_input_tokens, request.ask.max_output_tokens)

        def apply(connection: sqlite3.Connection, now: str) -> None:
            connection.execute(_INTEND, (*names, *counts, now, *bound))

        await self._writer.submit(apply)

    async def settle(self, settlement: Settlement) -> None:
        """Record how the request ended together with its verdicts; durable when this returns.

        The first label of a chunk wins: a second one is counted as late and dropped. A call that
        is cancelled while it waits is still recorded.

        Raises:
            LedgerError: If it cannot be made durable.
            LocalProtocolError: If the request was not intended or has an ending already, or a
                verdict belongs to another chunk. Then nothing of it is recorded.
        """
        rows = [
            self._row(chunk, verdict, settlement.request_id)
            for chunk, verdict in settlement.verdicts
        ]
        model = None if settlement.model is None else plain(settlement.model)
        state, code = str(settlement.ending), plain(settlement.code)
        ending = (state, code, *usage_columns(settlement.usage), model)

        def apply(connection: sqlite3.Connection, now: str) -> None:
            changed = connection.execute(_SETTLE, (*ending, now, settlement.request_id)).rowcount
            if changed != 1:
                raise LocalProtocolError(
                    f"Request {settlement.request_id} cannot be settled: it was never intended or "
                    "has an ending already. Please report this."
                )
            self._keep(connection, rows)

        await self._writer.submit(apply)

    async def fail(self, chunk: Chunk, verdict: Failed) -> None:
        """Record a verdict that belongs to no request; durable when this returns.

        Raises:
            LedgerError: If it cannot be made durable.
            LocalProtocolError: If the verdict belongs to another chunk.
        """
        row = self._row(chunk, verdict, None)
        await self._writer.submit(lambda connection, now: self._keep(connection, [row]))

    # Verdicts of other rows, from any thread but one that runs an event loop

    def adopt(self, pairs: Sequence[tuple[Chunk, Identity | HeldLabel]]) -> int:
        """Give chunks the verdict of another row as their own; durable when this returns.

        Such a verdict has no attempts, no latency and no tokens, and names its origin. A label in
        force stays; a failure is copied, too, and gives way to a label as any other.

        Args:
            pairs: Each chunk with the source and id of a row of this run that has the same key, or
                with a label of another ledger under the same key. One commit holds them all.

        Returns:
            How many verdicts were written; a row without a verdict gives none.

        Raises:
            LedgerError: If they cannot be made durable; then none of them is recorded.
            LocalProtocolError: If a row is to be copied from itself.
        """
        copies, labels = [], []
        for chunk, origin in pairs:
            source, name, key = self._identity_of(chunk)
            if isinstance(origin, HeldLabel):
                label = (origin.labels, origin.confidence, origin.route, origin.model, origin.pack)
                tail = (plain(origin.reused_from), self.run, next(self._numbers))
                labels.append((source, name, key, *label, *tail))
                continue
            first = (self._source_of(origin[0]), storable(origin[1]))
            if first == (source, name):
                raise LocalProtocolError("A row cannot take the verdict of itself.")
            copies.append((source, name, self.run, next(self._numbers), *first, key))
        written = 0

        def apply(connection: sqlite3.Connection, now: str) -> None:
            nonlocal written
            written = connection.executemany(KEEP_SAME_TEXT, copies).rowcount if copies else 0
            written += connection.executemany(KEEP_REUSED, labels).rowcount if labels else 0

        self._writer.submit_and_wait(apply)
        return written

    def alter(self, step: Callable[[sqlite3.Connection, int], None]) -> None:
        """Do a step of `afresh` for this run; durable when this returns."""
        self._writer.submit_and_wait(lambda connection, now: step(connection, self.run))

    # Reading, from any thread

    def held(self, chunks: Sequence[Chunk]) -> list[bool | None]:
        """Return for each chunk True if it has a label in force, False if it failed, else None.

        Takes half the time of `lookup`.
        """
        return self._standing(chunks, [self._keys.make(chunk) for chunk in chunks])

    def lookup(self, chunks: Sequence[Chunk]) -> list[VerdictRow | None]:
        """Return for each chunk its verdict in force, or None where there is none."""
        rows = self._find(FOUND, chunks, [self._keys.make(chunk) for chunk in chunks])
        return [None if row is None else verdict_row(row[1:]) for row in rows]

    def changed(self, chunks: Sequence[Chunk]) -> int:
        """Return how many chunks have a verdict in force only under another key.

        They were asked before with another text, topic, label set, prompt, route, model or host.
        """
        found = 0
        with self._reading() as connection:
            for chunk in chunks:
                *identity, key = self._identity_of(chunk)
                keys = connection.execute(_KEYS, identity).fetchall()
                found += bool(keys) and (key,) not in keys
        return found

    def what_changed(self) -> tuple[str, ...]:
        """Say what this run asks in another way than the last run over one of its inputs.

        Returns:
            Texts such as `prompt 3f2a90c1 -> 9c1b77d0`; none if only texts or topics differ, or if
            there is no earlier run.
        """
        with self._reading() as connection:
            before = connection.execute(_EARLIER_FACTS, {"run": self.run}).fetchone()
            now = connection.execute("SELECT facts FROM run WHERE run = ?", (self.run,)).fetchone()
        return differences(json.loads(before[0]), json.loads(now[0])) if before else ()

    def failures(self) -> Iterator[FailedRow]:
        """Yield the rows of the ledger whose newest verdict is a failure, ordered as by `export`.

        Raises:
            LedgerError: If the ledger cannot be read.
        """
        with reading(self.path) as held:
            yield from held.failures()

    def totals(self) -> LedgerTotals:
        """Return requests, chunks and billed tokens by route and model, and requests by state."""
        with self._reading() as connection:
            return totals(connection, self.run)

    def totals_of(self, source: str) -> tuple[tuple[RouteTotals, ...], Mapping[str, int]]:
        """Return the sums of a source whose runs have no other one; see `source_totals`."""
        with self._reading() as connection:
            return source_totals(connection, storable(source))

    def unknown_requests(self, *, with_this_run: bool = False) -> UnknownRequests:
        """Return the requests of earlier runs that may have been paid without an answer kept.

        Without those that were given up because their chunks were answered.

        Args:
            with_this_run: Count those of this run, too, and what it left in flight.
        """
        with self._reading() as connection:
            return unknown_requests(connection, self.run, with_this_run=with_this_run)

    def close(self) -> None:
        """Commit what waits, record the end of the run and free the lock; may be called again.

        Blocks until the writer is done.

        Raises:
            LedgerError: If the end of the run cannot be recorded. All is released nevertheless.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._writer.close()
        finally:
            with self._read_gate:
                self._held.close()

    # Inner parts

    def _missing(self, chunks: Sequence[Chunk]) -> list[bool]:
        keys = [self._keys.make(chunk) for chunk in chunks]
        held = self._standing(chunks, keys)
        if self._retry_failed:
            missing = [is_labeled is False for is_labeled in held]
        else:
            missing = [not is_labeled for is_labeled in held]
        self._keys.remember(compress(zip(chunks, keys, strict=True), missing))
        return missing

    def _standing(self, chunks: Sequence[Chunk], keys: Sequence[bytes]) -> list[bool | None]:
        rows = self._find(IS_LABELED, chunks, keys)
        return [None if row is None else row[1] == 1 for row in rows]

    def _find(
        self, columns: str, chunks: Sequence[Chunk], keys: Sequence[bytes]
    ) -> list[Row | None]:
        """Return for each chunk a row of `find`, or None where it has no verdict in force."""
        found: list[Row | None] = [None] * len(chunks)
        places = zip(count(), map(self._place_of, chunks), keys, strict=False)
        wanted = [(number, *place, key) for number, place, key in places]
        with self._reading() as connection:
            for start in range(0, len(wanted), FIND_ROWS):
                part = wanted[start : start + FIND_ROWS]
                values = list(chain.from_iterable(part))
                for row in connection.execute(find(columns, len(part)), values):
                    found[row[0]] = row
        return found

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Hold one snapshot; a single transaction halves the time of many small look-ups."""
        with self._read_gate:
            if self._is_closed:
                raise LedgerError(f"Ledger {self.path} is closed. Open it again to read it.")
            try:
                self._reader.execute("BEGIN")
                yield self._reader
            except sqlite3.Error as error:
                raise LedgerError(f"Ledger {self.path} cannot be read ({error}).") from error
            finally:
                roll_back(self._reader)

    def _source_of(self, name: str | None) -> str | bytes:
        try:
            return self._sources[name]
        except KeyError:
            raise LocalProtocolError(
                f"A chunk comes from {name!r}, which is none of the sources of this run."
            ) from None

    def _place_of(self, chunk: Chunk) -> tuple[str | bytes, str | bytes]:
        return (self._source_of(chunk.source), storable(chunk.id))

    def _identity_of(self, chunk: Chunk) -> tuple[str | bytes, str | bytes, bytes]:
        return (*self._place_of(chunk), self._keys.make(chunk))

    def _row(self, chunk: Chunk, verdict: Verdict, request_id: str | None) -> Row:
        if verdict.chunk_id != chunk.id:
            raise LocalProtocolError("A verdict came with a chunk that is not its own.")
        tail = (request_id, self.run, next(self._numbers))
        return (*self._place_of(chunk), self._keys.take(chunk), *verdict_columns(verdict), *tail)

    def _keep(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        labels = [row for row in rows if row[_LABELS] is not None]
        late = len(labels) - _write(connection, labels)
        if late:
            connection.execute("UPDATE run SET late = late + ? WHERE run = ?", (late, self.run))
        if len(labels) < len(rows):
            _write(connection, [row for row in rows if row[_LABELS] is None])


def _write(connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Keep the verdicts; return how many took effect."""
    kept = 0
    for start in range(0, len(rows), KEEP_ROWS):
        part = rows[start : start + KEEP_ROWS]
        kept += connection.execute(keep(len(part)), list(chain.from_iterable(part))).rowcount
    return kept
