"""What a ledger holds, as values, and how they become columns and come back.

Pure. pipeline/ledger.py writes and reads with it; the report, export and reuse read with it. The
columns are described in ledger.sql.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from analysis.pipeline.reading_facts import CUTS
from analysis.records import Usage, Verdict

DECIDING_FACTS = ("label_set", "prompt", "context", "routes", "endpoint")
"""Names of the facts of a run that decide an answer beside text and topic, if the run states them;
a label of a run with other ones is of another form."""

TOPIC_DIGEST = "topic_digest"
"""The fact that tells topics of runs apart; each row's own topic is in its key."""

SAME_TEXT = "same text"
"""`reused_from` of a row that has the verdict of an earlier row with the same text."""

Row: TypeAlias = tuple[Any, ...]
Identity: TypeAlias = tuple[str | None, str]
"""Source and id of a chunk."""

_COLUMNS = (
    "source, id, key, labels, confidence, route, model, attempts, pack, latency_s, "
    "input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens, "
    "error_kind, error_message, request_id, reused_from, run, number"
)
_ON_CONFLICT = """
ON CONFLICT (source, id, key, retired) DO UPDATE SET
    labels = excluded.labels, confidence = excluded.confidence, route = excluded.route,
    model = excluded.model, attempts = excluded.attempts, pack = excluded.pack,
    latency_s = excluded.latency_s, input_tokens = excluded.input_tokens,
    cached_tokens = excluded.cached_tokens, written_tokens = excluded.written_tokens,
    output_tokens = excluded.output_tokens, reasoning_tokens = excluded.reasoning_tokens,
    error_kind = excluded.error_kind, error_message = excluded.error_message,
    request_id = excluded.request_id, reused_from = excluded.reused_from, run = excluded.run
WHERE verdict.labels IS NULL"""

KEEP_ROWS = 40
"""Rows in one statement: 20 parameters each, and SQLite before 3.32 takes 999."""

KEEP_SAME_TEXT = f"""
INSERT INTO verdict ({_COLUMNS})
SELECT ?, ?, key, labels, confidence, route, model, 0, pack, NULL, 0, 0, 0, 0, 0,
    error_kind, error_message, request_id, '{SAME_TEXT}', ?, ?
FROM verdict AS first WHERE source = ? AND id = ? AND key = ? AND retired = 0{_ON_CONFLICT}"""  # nosec B608
"""Takes source and id of the copy, run, number, then source, id and key of the first row."""

KEEP_REUSED = f"""
INSERT INTO verdict ({_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, ?, ?, ?){_ON_CONFLICT}"""  # nosec B608
"""Takes source, id, key, the fields of a `HeldLabel`, run and number."""

FOUND = (
    "labels, confidence, route, model, attempts, pack, latency_s, error_kind, error_message, "
    "reused_from"
)
"""Columns of a verdict, for `verdict_row`."""

IS_LABELED = "labels IS NOT NULL"

FIND_ROWS = 40
"""Chunks in one question: 4 parameters each; more in one do not make it faster."""


@lru_cache(maxsize=2 * FIND_ROWS)
def find(columns: str, chunks: int) -> str:
    """Return the statement that finds the verdicts in force of so many chunks.

    For each chunk it takes any number, source, id and key. A row is the number of a chunk that has
    a verdict, and the columns. One statement for many chunks takes less than half the time, and
    lets the event loop run on, as that of `keep` does.
    """
    wanted = ", ".join(["(?, ?, ?, ?)"] * chunks)
    return (
        f"SELECT wanted.column1, {columns} FROM (VALUES {wanted}) AS wanted "  # nosec B608
        "CROSS JOIN verdict ON source = wanted.column2 AND id = wanted.column3 "
        "AND key = wanted.column4 AND retired = 0"
    )


@lru_cache(maxsize=KEEP_ROWS)
def keep(rows: int) -> str:
    """Return the statement that keeps so many verdicts, 1 to `KEEP_ROWS`.

    One statement for many rows lets the event loop run on, since each statement hands the
    interpreter over twice. For each row it takes source, id and key, what `verdict_columns`
    returns, the request, the run and the number of the record.
    """
    values = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)"
    listed = ", ".join([values] * rows)
    return f"INSERT INTO verdict ({_COLUMNS}) VALUES {listed}{_ON_CONFLICT}"  # nosec B608


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """The verdict that the ledger holds for a chunk; fields as in `Labeled` and `Failed`.

    `labels` is empty and `error_kind` is set where the chunk failed. `reused_from` says where the
    verdict was taken from; None: the chunk itself was asked.
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
    reused_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLabel:
    """A label that another ledger holds, as it stands in its columns."""

    labels: str
    confidence: float | None
    route: str | None
    model: str | None
    pack: int
    reused_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRow:
    """A row whose newest verdict is a failure; `message` is for people."""

    source: str
    id: str
    error_kind: str
    message: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTotals:
    """Sums over the requests of one route and model, without those that were never sent.

    Attributes:
        route: Its name.
        model: As the service named it; where it did not, as asked for.
        requests: Sent ones, with those below.
        chunks: In all of them.
        usage: Billed tokens.
        asked: The model that was asked for, where one was counted by itself.
        refused: Requests that the service refused.
        lost: Requests without a known ending.
        given_up: Requests whose chunks another one answered first.
    """

    route: str
    model: str
    requests: int
    chunks: int
    usage: Usage
    asked: str = ""
    refused: int = 0
    lost: int = 0
    given_up: int = 0


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
        refusals: Error code -> refused requests of this run.
        losses: Error code -> requests of this run without a known ending, but for given up ones.
        runs: Runs that sent a request.
        tiers: Service tiers that these asked for; empty for none.
    """

    run: tuple[RouteTotals, ...]
    overall: tuple[RouteTotals, ...]
    run_states: Mapping[str, int]
    overall_states: Mapping[str, int]
    late: int
    refusals: Mapping[str, int] = field(default_factory=dict)
    losses: Mapping[str, int] = field(default_factory=dict)
    runs: int = 0
    tiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownRequests:
    """Requests without a known ending: they may have been paid without an answer kept.

    Attributes:
        requests: How many.
        chunks: Chunks in them.
        possible: By route and model as asked for: what they cost at most, with the estimated input
            and the cap of the output as `usage`.
        unestimated: Those of `requests` whose tokens an older program did not record; `possible`
            counts none for them.
    """

    requests: int
    chunks: int
    possible: tuple[RouteTotals, ...] = ()
    unestimated: int = 0


def storable(text: str) -> str | bytes:
    """Return what SQLite can store, different for different texts; lone surrogates are no UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")
    return text


def shown(stored: str | bytes) -> str:
    """Return a stored id or source for people: what is no valid Unicode is written as escapes."""
    return plain(stored if isinstance(stored, str) else stored.decode(errors="surrogatepass"))


def plain(text: str) -> str:
    """Return the text with lone surrogates written as escapes, for columns that people read."""
    return text.encode(errors="backslashreplace").decode()


def usage_columns(usage: Usage) -> tuple[int, int, int, int, int]:
    """Return the counts in the order of the columns."""
    return (
        usage.input_tokens,
        usage.cached_tokens,
        usage.written_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )


def verdict_columns(verdict: Verdict) -> Row:
    """Return the columns of `keep` that the verdict itself decides, from `labels` on."""
    error = verdict.error
    return (
        _labels_text(verdict.labels) if error is None else None,
        verdict.confidence,
        None if verdict.route is None else _named(verdict.route),
        None if verdict.model is None else _named(verdict.model),
        verdict.attempts,
        verdict.pack,
        verdict.latency_s,
        *usage_columns(verdict.usage),
        None if error is None else str(error.kind),
        None if error is None else plain(error.message),
    )


def verdict_row(row: Row) -> VerdictRow:
    """Return the verdict in the columns `FOUND`."""
    labels, confidence, route, model, attempts, pack, latency_s, kind, message, reused_from = row
    return VerdictRow(
        labels=() if labels is None else labels_of(labels),
        confidence=confidence,
        route=route,
        model=model,
        attempts=attempts,
        pack=pack,
        latency_s=latency_s,
        error_kind=kind,
        error_message=message,
        reused_from=reused_from,
    )


@lru_cache(maxsize=1024)
def labels_of(text: str) -> tuple[str, ...]:
    """Return the keys in a column `labels`, the primary one first."""
    return tuple(json.loads(text))


_named = lru_cache(maxsize=1024)(plain)
"""`plain` for routes and models, of which there are few."""


@lru_cache(maxsize=1024)
def _labels_text(labels: tuple[str, ...]) -> str:
    return json.dumps(labels)


def deciding(facts: Mapping[str, str]) -> dict[str, str]:
    """Return the facts of a run that decide an answer."""
    return {name: facts[name] for name in DECIDING_FACTS if name in facts}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Say which facts differ that decide answers: `prompt 3f2a90c1 -> 9c1b77d0`.

    A digest is cut to its first eight signs where that tells the two apart. A topic for rows
    without one of their own is known by its digest only, so its name alone is said.
    """
    found = []
    for name in (*DECIDING_FACTS, *CUTS):
        old, new = before.get(name), now.get(name)
        if old is None or new is None or old == new:
            continue
        if _is_digest(old) and _is_digest(new) and old[:8] != new[:8]:
            old, new = old[:8], new[:8]
        found.append(f"{name} {plain(old)} -> {plain(new)}")
    if before.get(TOPIC_DIGEST, now.get(TOPIC_DIGEST)) != now.get(TOPIC_DIGEST):
        found.append("topic")
    return tuple(found)


def _is_digest(text: str) -> bool:
    return len(text) > 8 and not text.strip("0123456789abcdef")
