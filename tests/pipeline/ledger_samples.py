"""Ledgers, requests and verdicts in small, for the tests of the ledger."""

from __future__ import annotations

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
    defaults: dict[str, Any] = {"source": "in.csv", "key_of": key_of, "run_facts": facts}
    return Ledger.open(path, **(defaults | {"started_at": STARTED_AT} | options))


def chunk(name: str, text: str = "text") -> Chunk:
    """Make a chunk of this id."""
    return Chunk(id=name, text=text)


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


def labels_of(ledger: Ledger, *chunks: Chunk) -> list[tuple[str, ...] | None]:
    """Return the labels held for each chunk, or None where there is no verdict."""
    return [None if row is None else row.labels for row in ledger.lookup(chunks)]


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the file itself, without the ledger."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()
