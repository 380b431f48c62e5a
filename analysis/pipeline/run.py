"""A whole run over one table: read, skip what is done, label, record, write.

io. `entry.analyze_file` makes a `TableRun` and drives it: `prepare` checks everything that can be
checked before anything is sent or written, `label` does the paid work and survives being stopped,
`finish` derives the output from the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analysis.analyzer import Analyzer, Estimate, Tally
from analysis.errors import ConfigurationError, LedgerError, LocalProtocolError
from analysis.pipeline.dialect import cause
from analysis.pipeline.ledger import Ledger
from analysis.pipeline.output import OUTPUT_COLUMNS, check_writable, verdict_cells, write_table
from analysis.pipeline.report import Counts, RunSummary, StopKind, is_simulated, summarize
from analysis.pipeline.tables import Scan, Table, scan
from analysis.records import Chunk, FailureKind, Labeled, Verdict

KEY_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaths:
    """Where a run reads and writes."""

    output: Path
    ledger: Path

    @property
    def partial(self) -> Path:
        """Where a stopped run puts what is paid for: `OUT.partial.csv`."""
        name = self.output.name
        packed = name[-3:] if name.lower().endswith(".gz") else ""
        plain = Path(name.removesuffix(packed))
        return self.output.with_name(f"{plain.stem}.partial{plain.suffix}{packed}")

    @property
    def summary(self) -> Path:
        """Where the summary goes."""
        return self.output.with_name(f"{self.output.name}.summary.json")

    def check(self, source: Path) -> None:
        """Check that all can be written, and that none of them is another one or the input.

        Raises:
            ConfigurationError: Names the two that are the same file, or what cannot be written.
        """
        check_writable(self.output, inputs=[source])
        named = {
            "input": source,
            "output": self.output,
            "partial output": self.partial,
            "summary": self.summary,
            "ledger": self.ledger,
        }
        seen: dict[str, str] = {}
        for name, path in named.items():
            other = seen.setdefault(os.path.realpath(path), name)
            if other != name:
                raise ConfigurationError(
                    f"{path} would be both {other} and {name} of this run. Pass another output "
                    "with -o, or another ledger with --ledger."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, known before anything is sent.

    Attributes:
        rows: Rows of the table.
        reused: Rows whose label the ledger holds.
        unsendable: Rows that cannot be sent: empty, or too long.
        to_do: Rows that will be sent.
        estimate: For the rows to do.
        unknown_requests: Requests of earlier runs that may have been paid without an answer.
        unknown_chunks: Chunks in them.
        simulated: Labels come from the local service or from rules.
    """

    rows: int
    reused: int
    unsendable: int
    to_do: int
    estimate: Estimate
    unknown_requests: int
    unknown_chunks: int
    simulated: bool


Progress = Callable[[Verdict], None]


class TableRun:
    """One run; call `prepare`, `label`, `finish` in this order, and `close` at any time."""

    def __init__(
        self,
        *,
        table: Table,
        paths: RunPaths,
        analyzer: Analyzer,
        chunks_per_request: int,
        fresh: bool = False,
        max_failed: float | str = 0,
        clock: Callable[[], float],
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        settings_record: Mapping[str, str],
    ) -> None:
        self.table = table
        self.paths = paths
        self._analyzer = analyzer
        self._chunks_per_request = chunks_per_request
        self._fresh = fresh
        self._max_failed = max_failed
        self._clock = clock
        self._utc_now = utc_now
        self._record = dict(settings_record)
        self._ledger: Ledger | None = None
        self._counts = Counts()
        self._started_at = utc_now()
        self._label_s = 0.0
        self._settled = 0
        self.run_id = f"{self._started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"

    # Before anything is sent

    def prepare(self) -> Plan:
        """Check input, output and ledger, and count what is to be done; nothing is sent.

        Raises:
            ConfigurationError: If input, output or options cannot be used.
            LedgerError: If the ledger cannot be used, or another run holds it.
        """
        self.paths.check(self.table.path)
        found, everything = self._scan()
        self._ledger = Ledger.open(
            self.paths.ledger,
            source=self.table.source,
            key_of=self._key_maker(),
            run_facts=self._record | {"run_id": self.run_id, **self._analyzer.run_key},
            started_at=self._started_at.isoformat(),
            fresh=self._fresh,
        )
        reused, estimate = self._count_missing(everything)
        unknown = self._ledger.unknown_requests()
        return Plan(
            rows=found.rows,
            reused=reused,
            unsendable=everything.unsendable,
            to_do=estimate.chunks,
            estimate=estimate,
            unknown_requests=unknown.requests,
            unknown_chunks=unknown.chunks,
            simulated=is_simulated(self._analyzer),
        )

    def _scan(self) -> tuple[Scan, Estimate]:
        tally = self._tally()
        found = scan(self.table, lambda rows: tally.add([row.chunk for row in rows]))
        return found, tally.estimate()

    def _count_missing(self, everything: Estimate) -> tuple[int, Estimate]:
        """Return how many rows the ledger holds, and the estimate for the others."""
        ledger = self._open_ledger()
        tally = self._tally()
        reused = 0
        for rows in self.table.slices():
            chunks = [row.chunk for row in rows]
            held = [
                verdict is not None and bool(verdict.labels) for verdict in ledger.lookup(chunks)
            ]
            reused += sum(held)
            tally.add(chunks, [not is_held for is_held in held])
        return (reused, tally.estimate()) if reused else (0, everything)

    def _key_maker(self) -> Callable[[Chunk], bytes]:
        shape = json.dumps(dict(sorted(self._analyzer.run_key.items())), sort_keys=True)
        prefix = hashlib.sha256(shape.encode())

        def key_of(chunk: Chunk) -> bytes:
            content = json.dumps([chunk.text, chunk.topic], ensure_ascii=True)
            hasher = prefix.copy()
            hasher.update(content.encode())
            return hasher.digest()[:KEY_BYTES]

        return key_of

    # The paid work

    async def label(self, on_verdict: Progress | None = None) -> None:
        """Label what is missing; returns when all is done or the work was stopped.

        Raises:
            LedgerError: If the ledger cannot be written.
        """
        started = self._clock()
        verdicts = self._analyzer.run(
            self._slices(),
            topic=self.table.topic,
            chunks_per_request=self._chunks_per_request,
            journal=self._open_ledger(),
        )
        try:
            async for _, verdict in verdicts:
                if isinstance(verdict, Labeled):
                    self._counts.labeled_now += 1
                    self._settled += 1
                elif verdict.error.kind is not FailureKind.STOPPED:
                    self._settled += 1
                if on_verdict is not None:
                    on_verdict(verdict)
        finally:
            self._label_s = self._clock() - started

    async def _slices(self) -> AsyncIterator[Sequence[Chunk]]:
        slices = self.table.slices()
        try:
            while (rows := await asyncio.to_thread(next, slices, None)) is not None:
                yield [row.chunk for row in rows]
        finally:
            with contextlib.suppress(ValueError):  # a thread still reads; it ends with its slice
                slices.close()

    # Afterwards

    def is_complete(self, plan: Plan) -> bool:
        """Tell whether each row has its verdict, so that a stop came too late to matter."""
        return self._settled == plan.rows - plan.reused

    def finish(self, plan: Plan, *, stop: StopKind | None = None, reason: str = "") -> RunSummary:
        """Derive the output and the summary from the ledger.

        Args:
            plan: What `prepare` returned.
            stop: Why the run stopped early, or None. Then OUT stays as it was and what is paid for
                goes to `OUT.partial.csv`.
            reason: The same for people.

        Raises:
            LedgerError: If output or summary cannot be written.
        """
        target = self.paths.partial if stop else self.paths.output
        changed = self._write(target)
        if stop is None:
            self._remove_partial()
        ledger = self._open_ledger()
        summary = summarize(
            run_id=self.run_id,
            started_at=self._started_at,
            ended_at=self._utc_now(),
            label_s=self._label_s,
            table=self.table,
            paths={
                "input": self.table.path,
                "output": target,
                "ledger": self.paths.ledger,
                "summary": self.paths.summary,
            },
            plan_rows=plan.rows,
            reused=plan.reused,
            estimate=plan.estimate,
            counts=self._counts,
            totals=ledger.totals(),
            unknown=ledger.unknown_requests(),
            analyzer=self._analyzer,
            record=self._record
            | {f"{route} in effect": text for route, text in self._analyzer.facts.items()},
            stop=stop,
            reason=reason,
            max_failed=self._max_failed,
        )
        if changed or plan.to_do:
            self._write_summary(summary)
        return summary

    def _write(self, target: Path) -> bool:
        """Put the output in its place; return whether that changed the file."""
        columns = (*self.table.columns, *OUTPUT_COLUMNS)
        delimiter, bom = self.table.delimiter, self.table.has_bom
        return write_table(target, columns, self._cells(), delimiter=delimiter, bom=bom)

    def _remove_partial(self) -> None:
        """Remove what an earlier stop left; the output now holds all of it."""
        try:
            self.paths.partial.unlink(missing_ok=True)
        except OSError as error:
            raise LedgerError(
                f"{self.paths.output} is written, but the old {self.paths.partial} cannot be "
                f"removed: {cause(error)}. Remove it by hand."
            ) from error

    def _cells(self) -> Iterator[tuple[str, ...]]:
        """Yield the output's rows in input order, and count what they say."""
        self._counts.clear_rows()
        ledger = self._open_ledger()
        for rows in self.table.slices():
            held = ledger.lookup([row.chunk for row in rows])
            for row, verdict in zip(rows, held, strict=True):
                self._counts.add_row(row.chunk.id, verdict)
                if verdict is None:
                    yield (*row.cells, *_STOPPED_CELLS)
                    continue
                cells = verdict_cells(
                    labels=verdict.labels,
                    confidence=verdict.confidence,
                    route=verdict.route,
                    model=verdict.model,
                    pack=verdict.pack,
                    attempts=verdict.attempts,
                    latency_s=verdict.latency_s,
                    error=verdict.error_kind,
                )
                yield (*row.cells, *cells)

    def _write_summary(self, summary: RunSummary) -> None:
        target = self.paths.summary
        text = summary.to_json()
        fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
        try:
            fresh.write_bytes(text)
            os.replace(fresh, target)
        except OSError as error:
            raise LedgerError(
                f"Cannot write the summary {target}: {cause(error)}. Make room or mend the disk, "
                "then run the same command again."
            ) from error
        finally:
            fresh.unlink(missing_ok=True)

    # Inside

    def close(self) -> None:
        """Release the ledger; may be called more than once."""
        if self._ledger is not None:
            self._ledger.close()

    def _open_ledger(self) -> Ledger:
        if self._ledger is None:
            raise LocalProtocolError("A run works only after prepare().")
        return self._ledger

    def _tally(self) -> Tally:
        return self._analyzer.tally(
            topic=self.table.topic, chunks_per_request=self._chunks_per_request
        )


_STOPPED_CELLS = verdict_cells(
    labels=(),
    confidence=None,
    route=None,
    model=None,
    pack=0,
    attempts=0,
    latency_s=None,
    error=FailureKind.STOPPED,
)
