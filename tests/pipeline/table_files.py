"""Small inputs and refusals that the tests of tables share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analysis.errors import InputError
from analysis.pipeline.output import VerdictCells
from analysis.pipeline.sinks import write_output
from analysis.pipeline.tables import Row, Table

PARQUET = "reads and writes Parquet, which comes with an extra"
"""Why a test needs pyarrow."""

EXAMPLE = VerdictCells(
    labels=("example",),
    confidence=0.98765,
    route="rest",
    model="m",
    pack=10,
    attempts=2,
    latency_s=0.41237,
    error=None,
)
FAILED = VerdictCells(
    labels=(),
    confidence=None,
    route=None,
    model=None,
    pack=0,
    attempts=0,
    latency_s=None,
    error="empty",
)
TYPED = {
    "semantic_function": "example",
    "semantic_function_2": None,
    "semfn_confidence": 0.9877,
    "semfn_route": "rest",
    "semfn_model": "m",
    "semfn_pack": 10,
    "semfn_attempts": 2,
    "semfn_latency_ms": 412.4,
    "semfn_error": None,
}
"""The values of `EXAMPLE` in a format that has types."""


def made(folder: Path, content: str | bytes, name: str = "chunks.csv") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def json_lines(*objects: object) -> str:
    """Return objects as JSON Lines."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)


def refusal(call: Callable[[], object], kind: type[Exception] = InputError) -> str:
    """Return the message of the error that the call must raise."""
    with pytest.raises(kind) as caught:
        call()
    assert kind is caught.type
    return str(caught.value)


def assert_says(message: str, *parts: str) -> None:
    """Assert that each part stands in the message."""
    assert [part for part in parts if part not in message] == [], message


def labelled(table: Table) -> Iterator[tuple[Row, VerdictCells]]:
    """Yield the rows with a verdict each: a label, or none where there is no text."""
    for row in table.rows():
        yield row, EXAMPLE if row.chunk.text else FAILED


def written(table: Table, path: Path) -> bytes:
    """Write the labelled table and return the bytes of the file."""
    write_output(path, table, labelled(table))
    return path.read_bytes()
