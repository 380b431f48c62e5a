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
fails alone with LocalProtocolError. Any other failure of a commit ends the ledger: that group, all
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
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

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
from analysis.records import GIVEN_UP, Chunk, Failed, Request, Settlement, Usage, Verdict
from analysis.settings import SETTINGS, Settings

_KEY_SIZES = range(16, 33)
_Row: TypeAlias = tuple[Any, ...]

_INTEND = """
INSERT INTO request (request_id, run, route, model, chunks, attempt, state, sent_at)
VALUES (?, ?, ?, ?, ?, ?, 'intended', ?)"""

_SETTLE = """
UPDATE request SET state = ?, code = ?, input_tokens = ?, cached_tokens = ?, written_tokens = ?,
    output_tokens = ?, reasoning_tokens = ?, reported_model = ?, ended_at = ?
WHERE request_id = ? AND state IN ('intended', 'unknown')"""

_LABELS = 3  # index of `labels` in a row for _KEEP
_KEEP = """
INSERT INTO verdict (source, id, key, labels, confidence, route, model, attempts, pack, latency_s,
    input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens,
    error_kind, error_message, request_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, id, key, retired) DO UPDATE SET
    labels = excluded.labels, confidence = excluded.confidence, route = excluded.route,
    model = excluded.model, attempts = excluded.attempts, pack = excluded.pack,
    latency_s = excluded.latency_s, input_tokens = excluded.input_tokens,
    cached_tokens = excluded.cached_tokens, written_tokens = excluded.written_tokens,
    output_tokens = excluded.output_tokens, reasoning_tokens = excluded.reasoning_tokens,
    error_kind = excluded.error_kind, error_message = excluded.error_message,
    request_id = excluded.request_id
WHERE verdict.labels IS NULL"""

_HAS_LABEL = """
SELECT 1 FROM verdict
WHERE source = ? AND id = ? AND key = ? AND retired = 0 AND labels IS NOT NULL"""

_LOOKUP = """
SELECT labels, confidence, route, model, attempts, pack, latency_s, error_kind, error_message
FROM verdict WHERE source = ? AND id = ? AND key = ? AND retired = 0"""

_TOTALS = """
SELECT route, coalesce(reported_model, model) AS named, count(*), sum(chunks), sum(input_tokens),
    sum(cached_tokens), sum(written_tokens), sum(output_tokens), sum(reasoning_tokens)
FROM request WHERE run >= ? GROUP BY route, named ORDER BY route, named"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """The verdict that the ledger holds for a chunk; fields as in `Labeled` and `Failed`.

    `labels` is empty and `error_kind` is set where the chunk failed.
    """

    labels: tuple[str, ...]
    confidence: float | None
    route: str | None
    model: str | None
    attempts: int
    pack: int
    latency_s: float | None
    error_kind: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTotals:
    """Sums over the requests of one route and model (the reported one where there is one)."""

    route: str
    model: str
    requests: int
    chunks: int
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTotals:
    """What was asked and billed, in this run and in all runs of the ledger.

    Attributes:
        run: Sums of this run, ordered by route and model.
        overall: The same over all runs.
        run_states: State of a request -> number of requests of this run. Those that were given up
            because their chunks were answered are `given_up` here, and not `unknown`.
        overall_states: The same over all runs.
        late: Second labels that this run dropped because the chunk had one.
    """

    run: tuple[RouteTotals, ...]
    overall: tuple[RouteTotals, ...]
    run_states: Mapping[str, int]
    overall_states: Mapping[str, int]
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownRequests:
    """Requests of earlier runs without a known ending, and the chunks in them."""

    requests: int
    chunks: int


class Ledger:
    """The open ledger of one run over one source. Make it with `Ledger.open`."""

    def __init__(
        self,
        *,
        path: Path,
        source: str,
        key_of: Callable[[Chunk], bytes],
        run: int,
        reader: sqlite3.Connection,
        writer: Writer,
        held: contextlib.ExitStack,
    ) -> None:
        self.path = path
        self.run = run
        self._source = _identity(source)
        self._key_of = key_of
        self._reader = reader
        self._read_gate = threading.Lock()
        self._writer = writer
        self._held = held
        self._is_closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        source: str,
        key_of: Callable[[Chunk], bytes],
        run_facts: Mapping[str, str],
        started_at: str,
        fresh: bool = False,
        settings: Settings = SETTINGS,
        connect: Connect = connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> Ledger:
        """Open or create a ledger, lock it and begin a run.

        Requests that an earlier run left in flight become `unknown`.

        Args:
            path: The file; its folder must exist. Symbolic links are followed first.
            source: Name of the input; with the chunk id the identity of a chunk.
            key_of: Hash, 16 to 32 bytes, of all that decides the answer to a chunk: text, topic,
                label set, prompt, routes with models, endpoint. Called from any thread.
            run_facts: What the run states about itself; kept as JSON.
            started_at: UTC time of the start, ISO 8601 with offset.
            fresh: Retire the verdicts of this source, so that all is asked again. They stay in
                the file.
            settings: `commit_group` is used.
            connect: Opens a connection in autocommit mode that any thread may use.
            clock: Monotonic seconds.

        Raises:
            LedgerError: If the file is not a ledger, is from a newer version, is in use by another
                run, or cannot be written. A file that is not a ledger stays as it was.
        """
        place = Path(os.path.realpath(path))
        now = stamps(started_at, clock)
        with contextlib.ExitStack() as held:
            try:
                connection = open_file(place, connect, held)
                run = begin_run(connection, _identity(source), run_facts, now(), fresh=fresh)
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
                source=source,
                key_of=key_of,
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
        """Return for each chunk whether no label in force is held; failed chunks are missing."""
        return await asyncio.to_thread(self._missing, chunks)

    async def intend(self, request: Request) -> None:
        """Record that the request is about to be sent; durable when this returns.

        Raises:
            LedgerError: If it cannot be made durable; then the request must not be sent.
            LocalProtocolError: If a request with this id is recorded already.
        """
        names = (request.request_id, self.run, _plain(request.route), _plain(request.model))
        counts = (len(request.pack.items), request.attempt)

        def apply(connection: sqlite3.Connection, now: str) -> None:
            connection.execute(_INTEND, (*names, *counts, now))

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
        model = None if settlement.model is None else _plain(settlement.model)
        state, code = str(settlement.ending), _plain(settlement.code)
        ending = (state, code, *_counts(settlement.usage), model)

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

    # Reading, from any thread

    def lookup(self, chunks: Sequence[Chunk]) -> list[VerdictRow | None]:
        """Return for each chunk its verdict in force, or None where there is none."""
        with self._reading() as connection:
            rows = [
                connection.execute(_LOOKUP, self._identity_of(chunk)).fetchone() for chunk in chunks
            ]
        return [None if row is None else _verdict_row(row) for row in rows]

    def totals(self) -> LedgerTotals:
        """Return requests, chunks and billed tokens by route and model, and requests by state."""
        with self._reading() as connection:
            late = connection.execute("SELECT late FROM run WHERE run = ?", (self.run,))
            return LedgerTotals(
                run=_route_totals(connection, since=self.run),
                overall=_route_totals(connection, since=0),
                run_states=_states(connection, since=self.run),
                overall_states=_states(connection, since=0),
                late=late.fetchone()[0],
            )

    def unknown_requests(self) -> UnknownRequests:
        """Return the requests of earlier runs that may have been paid without an answer kept.

        Without those that were given up because their chunks were answered.
        """
        with self._reading() as connection:
            requests, chunks = connection.execute(
                "SELECT count(*), coalesce(sum(chunks), 0) FROM request "
                "WHERE state = 'unknown' AND code <> ? AND run < ?",
                (GIVEN_UP, self.run),
            ).fetchone()
        return UnknownRequests(requests=requests, chunks=chunks)

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
        with self._reading() as connection:
            return [
                connection.execute(_HAS_LABEL, self._identity_of(chunk)).fetchone() is None
                for chunk in chunks
            ]

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

    def _identity_of(self, chunk: Chunk) -> _Row:
        key = self._key_of(chunk)
        if len(key) not in _KEY_SIZES:
            raise LocalProtocolError(f"A chunk key has 16 to 32 bytes, not {len(key)}.")
        return (self._source, _identity(chunk.id), key)

    def _row(self, chunk: Chunk, verdict: Verdict, request_id: str | None) -> _Row:
        if verdict.chunk_id != chunk.id:
            raise LocalProtocolError("A verdict came with a chunk that is not its own.")
        error = verdict.error
        return (
            *self._identity_of(chunk),
            _labels_text(verdict.labels) if error is None else None,
            verdict.confidence,
            None if verdict.route is None else _plain(verdict.route),
            None if verdict.model is None else _plain(verdict.model),
            verdict.attempts,
            verdict.pack,
            verdict.latency_s,
            *_counts(verdict.usage),
            None if error is None else str(error.kind),
            None if error is None else _plain(error.message),
            request_id,
        )

    def _keep(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        late = 0
        for row in rows:
            is_kept = connection.execute(_KEEP, row).rowcount == 1
            late += not is_kept and row[_LABELS] is not None
        if late:
            connection.execute("UPDATE run SET late = late + ? WHERE run = ?", (late, self.run))


# Values to columns and back


def _identity(text: str) -> str | bytes:
    """Return what SQLite can store, different for different texts; lone surrogates are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")
    return text


def _plain(text: str) -> str:
    """Return the text with lone surrogates written as escapes, for columns that people read."""
    return text.encode(errors="backslashreplace").decode()


def _counts(usage: Usage) -> tuple[int, ...]:
    return tuple(usage.to_dict().values())


@lru_cache(maxsize=1024)
def _labels_text(labels: tuple[str, ...]) -> str:
    return json.dumps(labels)


@lru_cache(maxsize=1024)
def _labels_of(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _verdict_row(row: _Row) -> VerdictRow:
    labels, confidence, route, model, attempts, pack, latency_s, error_kind, error_message = row
    return VerdictRow(
        labels=() if labels is None else _labels_of(labels),
        confidence=confidence,
        route=route,
        model=model,
        attempts=attempts,
        pack=pack,
        latency_s=latency_s,
        error_kind=error_kind,
        error_message=error_message,
    )


def _route_totals(connection: sqlite3.Connection, *, since: int) -> tuple[RouteTotals, ...]:
    return tuple(
        RouteTotals(
            route=route,
            model=model,
            requests=requests,
            chunks=chunks,
            usage=Usage(**dict(zip(Usage().to_dict(), tokens, strict=True))),
        )
        for route, model, requests, chunks, *tokens in connection.execute(_TOTALS, (since,))
    )


def _states(connection: sqlite3.Connection, *, since: int) -> dict[str, int]:
    return dict(
        connection.execute(
            "SELECT CASE WHEN state = 'unknown' AND code = ? THEN ? ELSE state END AS named, "
            "count(*) FROM request WHERE run >= ? GROUP BY named",
            (GIVEN_UP, GIVEN_UP, since),
        ).fetchall()
    )
