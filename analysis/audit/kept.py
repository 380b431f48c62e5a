"""Answers of an audit or a proof are kept in a ledger as they come, so that none is paid for twice.

io: opens the ledger. `commands` name it, `audited` and `proof` hand it on, `asking` writes it.

One file holds all arms. An arm is a source of its own there, named by what it asks: routes, models,
prompt, endpoint, topic, and its chunks with their texts, in their order. So an answer serves the
same arm of the same command only: never another arm, which asks once more on purpose, nor the run
that is audited, nor a sample that was drawn in another way. With `--fresh` each arm sets aside what
it has, unless an earlier start that did so was stopped: then it goes on, see `pipeline.afresh`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.analyzer import Analyzer
from analysis.audit.arms import Arm
from analysis.audit.bill import Bill
from analysis.pipeline import afresh
from analysis.pipeline.ledger import Ledger
from analysis.pipeline.ledger_reading import reading
from analysis.pipeline.ledger_rows import VerdictRow
from analysis.records import (
    Chunk,
    Ending,
    ErrorDetail,
    Failed,
    FailureKind,
    Labeled,
    Request,
    Settlement,
    Usage,
    Verdict,
)

_KEY_BYTES = 16
_DIGEST_CHARS = 16


class KeptArm:
    """The journal of an arm: its part of the ledger.

    Args:
        ledger: Opened for this arm only.
        source: Its name there.
    """

    def __init__(self, ledger: Ledger, source: str) -> None:
        self._ledger = ledger
        self._source = source

    async def missing(self, chunks: Sequence[Chunk]) -> Sequence[bool]:
        """Ask for chunks without a label."""
        return await self._ledger.missing([self._own(chunk) for chunk in chunks])

    async def intend(self, request: Request) -> None:
        """See `Ledger.intend`."""
        await self._ledger.intend(request)

    async def settle(self, settlement: Settlement) -> None:
        """See `Ledger.settle`."""
        own = tuple((self._own(chunk), verdict) for chunk, verdict in settlement.verdicts)
        await self._ledger.settle(replace(settlement, verdicts=own))

    async def fail(self, chunk: Chunk, verdict: Failed) -> None:
        """See `Ledger.fail`."""
        await self._ledger.fail(self._own(chunk), verdict)

    def held(self, chunks: Iterable[Chunk]) -> dict[str, Verdict]:
        """Return chunk id -> verdict of those that have one, from all starts."""
        own = [self._own(chunk) for chunk in chunks]
        rows = zip(own, self._ledger.lookup(own), strict=True)
        return {chunk.id: _verdict(chunk.id, row) for chunk, row in rows if row is not None}

    def bill(self) -> Bill:
        """Return what the requests of all starts were billed."""
        totals, states = self._ledger.totals_of(self._source)
        return Bill(
            requests=sum(count for state, count in states.items() if state != Ending.UNSENT),
            unknown=states.get(Ending.UNKNOWN, 0),
            usage={(one.route, one.model): one.usage for one in totals},
            answers=Counter({(one.route, one.model): one.requests for one in totals}),
        )

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _own(self, chunk: Chunk) -> Chunk:
        return replace(chunk, source=self._source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where the arms of a command are kept.

    Attributes:
        path: The ledger.
        started_at: UTC time of this start, ISO 8601 with offset.
        is_fresh: Nothing that an earlier start kept counts, unless it asked afresh and was stopped.
    """

    path: Path
    started_at: str
    is_fresh: bool = False

    def open(self, arm: Arm, analyzer: Analyzer, topic: str | None) -> KeptArm:
        """Open the journal of an arm; close it when it was asked.

        Raises:
            LedgerError: If the file cannot be used, or another command uses it.
        """
        source = source_of(arm, analyzer, topic)
        facts = {"arm": arm.name, **analyzer.run_key}
        if self.is_fresh:
            facts[afresh.FRESH] = afresh.YES
        return KeptArm(self._ledger((source,), _key_maker(source), facts, self.is_fresh), source)

    def end(self, sources: Collection[str]) -> None:
        """Note that a command came to its end, so that `--fresh` asks all of it again.

        Args:
            sources: The names of its arms.

        Raises:
            LedgerError: As `open`.
        """
        with self._ledger(tuple(sources), _key_maker(""), {"arm": "all"}) as ledger:
            ledger.alter(afresh.note_end)

    def _ledger(
        self,
        sources: Sequence[str],
        key_of: Callable[[Chunk], bytes],
        facts: Mapping[str, str],
        fresh: bool = False,
    ) -> Ledger:
        return Ledger.open(
            self.path,
            sources=sources,
            key_of=key_of,
            run_facts=facts,
            started_at=self.started_at,
            fresh=fresh,
        )

    def wanted(self, arm: Arm, analyzer: Analyzer, topic: str | None) -> list[bool]:
        """Return for each chunk of an arm whether it would be asked; takes no lock.

        Raises:
            LedgerError: If the file is no ledger.
        """
        if not self.path.exists():
            return [True] * len(arm.chunks)
        source = source_of(arm, analyzer, topic)
        key_of = _key_maker(source)
        with reading(self.path) as held:
            counts = not self.is_fresh or held.goes_on_afresh(source)
            keys = held.labelled_keys(source) if counts else set()
        return [key_of(chunk) not in keys for chunk in arm.chunks]

    def goes_on_afresh(self, sources: Collection[str]) -> bool:
        """Tell whether a start that asked these arms afresh was stopped, and this one goes on.

        Raises:
            LedgerError: If the file is no ledger.
        """
        if not self.is_fresh or not self.path.exists():
            return False
        with reading(self.path) as held:
            return any(held.goes_on_afresh(source) for source in sources)

    def last_answer_at(self, sources: Collection[str]) -> str | None:
        """Return when the last request of some arms was answered, or None."""
        if not self.path.exists():
            return None
        with reading(self.path) as held:
            found = [held.last_answer_at(source) for source in sources]
        return max((at for at in found if at is not None), default=None)


def source_of(arm: Arm, analyzer: Analyzer, topic: str | None) -> str:
    """Return the name of an arm in the ledger, by all that it asks."""
    hasher = hashlib.sha256()
    asked = [sorted(analyzer.run_key.items()), topic, arm.name, arm.chunks_per_request]
    hasher.update(json.dumps(asked).encode())
    for chunk in arm.chunks:
        place = chunk.place
        around = None if place is None else [place.number, place.total, place.before, place.after]
        told = [chunk.id, chunk.text, chunk.topic, chunk.document, chunk.source]
        hasher.update(json.dumps([*told, chunk.is_after_gap, around]).encode())
    return f"{arm.name} {hasher.hexdigest()[:_DIGEST_CHARS]}"


def _key_maker(source: str) -> Callable[[Chunk], bytes]:
    """Return what makes keys of the chunks of an arm; its name says what it asks."""

    def key_of(chunk: Chunk) -> bytes:
        return hashlib.sha256(json.dumps([source, chunk.id]).encode()).digest()[:_KEY_BYTES]

    return key_of


def _verdict(chunk_id: str, row: VerdictRow) -> Verdict:
    """Return a verdict as it was given; the ledger's sums have its tokens."""
    if row.labels:
        return Labeled(
            chunk_id=chunk_id,
            labels=row.labels,
            confidence=row.confidence,
            route=row.route or "",
            model=row.model or "",
            attempts=row.attempts,
            pack=row.pack,
            latency_s=row.latency_s or 0.0,
            usage=Usage(),
        )
    kind = FailureKind(row.error_kind or FailureKind.DEFECT)
    return Failed(
        chunk_id=chunk_id,
        error=ErrorDetail(kind=kind, message=row.error_message or ""),
        route=row.route,
        model=row.model,
        attempts=row.attempts,
        pack=row.pack,
        latency_s=row.latency_s,
    )
