"""Ledgers, requests and verdicts in small, for the tests of the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from analysis.pipeline.ledger import Ledger
from analysis.records import (
    Ask,
    Chunk,
    Ending,
    ErrorDetail,
    Failed,
    FailureKind,
    Item,
    Labeled,
    Pack,
    Request,
    Settlement,
    Usage,
)

STARTED_AT = "2026-11-21T10:00:00Z"
ASK = Ask(
    instructions="",
    content="",
    schema_name="labels",
    schema={},
    max_output_tokens=80,
    tickets={},
    estimated_input_tokens=10,
)


def key_of(chunk: Chunk) -> bytes:
    """Return a hash of text and topic."""
    return hashlib.blake2b(
        f"{chunk.topic}\0{chunk.text}".encode(errors="surrogatepass"), digest_size=16
    ).digest()


def opened(path: Path, **options: Any) -> Ledger:
    """Open a ledger with arguments that most tests do not care about."""
    facts = {"prompt": "v1"}
    defaults: dict[str, Any] = {"sources": ["in.csv"], "key_of": key_of, "run_facts": facts}
    return Ledger.open(path, **(defaults | {"started_at": STARTED_AT} | options))


def chunk(name: str, text: str = "text", source: str | None = None) -> Chunk:
    """Make a chunk of this id."""
    return Chunk(id=name, text=text, source=source)


def request(request_id: str, *chunks: Chunk, route: str = "rest", model: str = "m") -> Request:
    """Make a request for these chunks."""
    items = tuple(Item(ticket=n, chunk=each, tokens=1) for n, each in enumerate(chunks))
    return Request(
        request_id=request_id, route=route, model=model, pack=Pack(items=items), ask=ASK, attempt=1
    )


def labeled(of: Chunk, *labels: str) -> Labeled:
    """Make a label for the chunk."""
    return Labeled(
        chunk_id=of.id,
        labels=labels or ("example",),
        confidence=0.5,
        route="rest",
        model="m-2026",
        attempts=2,
        pack=3,
        latency_s=0.25,
        usage=Usage(
            input_tokens=9, cached_tokens=4, written_tokens=3, output_tokens=2, reasoning_tokens=1
        ),
    )


def failed(of: Chunk, kind: FailureKind = FailureKind.DEFECT, message: str = "why") -> Failed:
    """Make a failure for the chunk."""
    return Failed(chunk_id=of.id, error=ErrorDetail(kind=kind, message=message))


def done(request_id: str, *verdicts: tuple[Chunk, Labeled | Failed]) -> Settlement:
    """Make the ending of a request that was answered with these verdicts."""
    usage = Usage(
        input_tokens=100, cached_tokens=40, written_tokens=30, output_tokens=7, reasoning_tokens=5
    )
    return Settlement(
        request_id=request_id, ending=Ending.DONE, usage=usage, model="m-2026", verdicts=verdicts
    )


async def answer(
    ledger: Ledger, request_id: str, *verdicts: tuple[Chunk, Labeled | Failed]
) -> None:
    """Intend a request for these chunks and settle it with these verdicts."""
    await ledger.intend(request(request_id, *(each for each, _ in verdicts)))
    await ledger.settle(done(request_id, *verdicts))


def fill(path: Path, count: int) -> None:
    """Make a ledger with so many labelled rows; ids are 0, 1, 2, texts differ."""

    async def record(ledger: Ledger) -> None:
        chunks = [chunk(str(number), f"text {number}") for number in range(count)]
        await answer(ledger, "r1", *((each, labeled(each)) for each in chunks))

    with opened(path) as ledger:
        asyncio.run(record(ledger))


def spoil_half(path: Path) -> None:
    """Overwrite the second half of a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" * (len(whole) - len(whole) // 2))


def labels_of(ledger: Ledger, *chunks: Chunk) -> list[tuple[str, ...] | None]:
    """Return the labels held for each chunk, or None where there is no verdict."""
    return [None if row is None else row.labels for row in ledger.lookup(chunks)]


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the file itself, without the ledger."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


SCHEMA_1 = """
PRAGMA application_id = 0x53454D46; PRAGMA user_version = 1;
CREATE TABLE run (
    run        INTEGER PRIMARY KEY,
    source     TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at   TEXT,
    late       INTEGER NOT NULL DEFAULT 0,
    facts      TEXT NOT NULL
);
CREATE TABLE request (
    request_id     TEXT PRIMARY KEY,
    run            INTEGER NOT NULL REFERENCES run (run),
    route          TEXT NOT NULL,
    model          TEXT NOT NULL,
    reported_model TEXT,
    chunks         INTEGER NOT NULL,
    attempt        INTEGER NOT NULL,
    state          TEXT NOT NULL
                   CHECK (state IN ('intended', 'done', 'refused', 'unsent', 'unknown')),
    sent_at        TEXT NOT NULL,
    ended_at       TEXT,
    code           TEXT NOT NULL DEFAULT '',
    input_tokens   INTEGER NOT NULL DEFAULT 0,
    cached_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE verdict (
    source        TEXT NOT NULL,
    id            TEXT NOT NULL,
    key           BLOB NOT NULL,
    retired       INTEGER NOT NULL DEFAULT 0,
    labels        TEXT,
    confidence    REAL,
    route         TEXT,
    model         TEXT,
    attempts      INTEGER NOT NULL,
    pack          INTEGER NOT NULL,
    latency_s     REAL,
    input_tokens  INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    error_kind    TEXT,
    error_message TEXT,
    request_id    TEXT,
    PRIMARY KEY (source, id, key, retired),
    CHECK ((labels IS NULL) <> (error_kind IS NULL))
) WITHOUT ROWID;
"""
"""What ledger.sql said in version 0.1.0 of the program, without its comments."""


def make_schema_1(path: Path) -> None:
    """Make a ledger of schema 1 in which one chunk has a label and one request is in flight."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA_1)
        connection.execute(
            "INSERT INTO run VALUES (1, 'in.csv', '2026-11-20T00:00:00.000+00:00', NULL, 0, '{}')"
        )
        connection.executemany(
            "INSERT INTO request VALUES "
            "(?, 1, 'rest', 'm', 'm-2026', 1, 1, ?, 't', 't', '', ?, ?, ?)",
            [("r1", "done", 100, 40, 7), ("r2", "intended", 0, 0, 0)],
        )
        connection.execute(
            "INSERT INTO verdict VALUES "
            "('in.csv', '1', ?, 0, '[\"example\"]', 0.5, 'rest', 'm', 1, 1, 0.1, 100, 40, 7, NULL, "
            "NULL, 'r1')",
            (key_of(chunk("1")),),
        )
        connection.commit()
