"""What the account keeps beside its limits: files, batches and ephemeral keys.

Pure values and a place for them. `service` holds one `Storage`; `files`, `batches` and `handshake`
fill and read it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SECRETS_KEPT = 10_000
"""Ephemeral keys that are remembered; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file; times are Unix seconds, `expires_at` None keeps it."""

    id: str
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One request of a batch, as its input file has it."""

    custom_id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a batch was created with.

    Attributes:
        id: Id of the batch.
        created: Monotonic seconds of its creation.
        key: The key that pays.
        endpoint: Address of its requests.
        input_file_id: File of its requests.
        metadata: Pairs that came with it.
        output_life_s: How long its files live, or None.
        model: Model of its requests, or None if no row names one.
        rows: Requests in the order in which they are answered.
        problems: Why its validation fails; empty if it does not.
        queued_tokens: Input tokens that it queues, as estimated.
    """

    id: str
    created: float
    key: str
    endpoint: str
    input_file_id: str
    metadata: Mapping[str, str]
    output_life_s: int | None
    model: str | None
    rows: tuple[Row, ...]
    problems: tuple[dict[str, Any], ...]
    queued_tokens: int


@dataclass(slots=True, kw_only=True)
class Batch:
    """A batch under way; `batches.advance` brings it up to date.

    Attributes:
        plan: What it was created with.
        tried: Rows that were taken so far.
        hung: Rows that were taken and never end.
        output: Lines of the output file.
        errors: Lines of the error file.
        cancel_s: Batch seconds after the creation at which it was cancelled, or infinity.
        input_tokens: Tokens read so far; `cached_tokens` are part of them.
        output_tokens: Tokens written so far.
        output_file_id: Set when the batch has ended, if it has such a file.
        error_file_id: Likewise.
        is_delivered: The files are made.
    """

    plan: Plan
    tried: int = 0
    hung: list[Row] = field(default_factory=list)
    output: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    cancel_s: float = math.inf
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    is_delivered: bool = False


class Storage:
    """Files, batches and ephemeral keys by id, oldest first."""

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self.batches: dict[str, Batch] = {}
        self._secrets: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"Storage({len(self.files)} files, {len(self.batches)} batches)"

    def add_secret(self, key: str, until: float) -> None:
        """Keep an ephemeral key, good before `until` in monotonic seconds."""
        self._secrets[key] = until
        while len(self._secrets) > SECRETS_KEPT:
            del self._secrets[next(iter(self._secrets))]

    def has_secret(self, key: str, now: float) -> bool:
        """Return whether this is an ephemeral key that is still good."""
        return self._secrets.get(key, -math.inf) > now
