"""Calls and bodies that the tests of files and batches share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from analysis.simulator.outcomes import HttpOutcome
from analysis.simulator.routes import respond
from analysis.simulator.service import Service
from tests.simulator.examples import HEADERS, body, pack

BOUNDARY = "limit"


def form(content: bytes, filename: str = "rows.jsonl", **fields: str) -> bytes:
    """Return the body of an upload."""
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()
        for name, text in {"purpose": "batch", **fields}.items()
    ]
    head = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
    parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content)
    mark = f"--{BOUNDARY}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def call(
    on: Service,
    method: str,
    path: str,
    content: bytes = b"",
    *,
    now: float = 0.0,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpOutcome:
    """Send a request below /v1."""
    return respond(
        on,
        method=method,
        path=f"/v1{path}",
        headers={**HEADERS, **(headers or {})},
        body=content,
        now=now,
        query=query or {},
    )


def told(outcome: HttpOutcome) -> dict[str, Any]:
    """Return the body of an answer that is no refusal."""
    assert 200 == outcome.status, outcome.body
    content: dict[str, Any] = json.loads(outcome.body)
    return content


def upload(
    on: Service, content: bytes, fields: Mapping[str, str] | None = None, *, now: float = 0.0
) -> dict[str, Any]:
    """Upload a file and return what is told about it."""
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return told(call(on, "POST", "/files", form(content, **(fields or {})), now=now, headers=kind))


def row(name: str, text: str = "one", /, **changes: Any) -> dict[str, Any]:
    """Return a good row for the Responses API; a change to `...` leaves the field out."""
    fields = {
        "custom_id": name,
        "method": "POST",
        "url": "/v1/responses",
        "body": body(input=pack(text), metadata=...),
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def lines(*rows: Any) -> bytes:
    """Return the content of an input file."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def start(on: Service, content: bytes, *, now: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Upload rows and create a batch of them; return what is told about it."""
    fields = {
        "input_file_id": upload(on, content, now=now)["id"],
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        **changes,
    }
    return told(call(on, "POST", "/batches", json.dumps(fields).encode(), now=now))


def state(on: Service, batch: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return what is told about a batch at this time."""
    return told(call(on, "GET", f"/batches/{batch['id']}", now=now))


def rows_of(on: Service, file_id: str, now: float) -> list[dict[str, Any]]:
    """Return the lines of an output or error file."""
    content = call(on, "GET", f"/files/{file_id}/content", now=now).body
    return [json.loads(line) for line in content.splitlines()]


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    1,
    1.5,
    "",
    "x",
    [],
    [1],
    [[]],
    {},
    {"a": 1},
    {"type": []},
)
"""What a client may put where something else is due."""


def odd_variants(value: Any) -> Iterator[Any]:
    """Yield copies of a JSON value, each with an odd value in one place."""
    yield from ODD_VALUES
    if isinstance(value, dict):
        for name, child in value.items():
            for variant in odd_variants(child):
                yield {**value, name: variant}
    elif isinstance(value, list):
        for index, child in enumerate(value):
            for variant in odd_variants(child):
                yield [*value[:index], variant, *value[index + 1 :]]
