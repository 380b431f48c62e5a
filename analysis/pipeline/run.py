"""A whole run over one table or several: read, skip what is done, label, record, write.

io. `entry.analyze_file` makes a `TableRun` and drives it: `prepare` checks everything that can be
checked before anything is sent or written, `label` does the paid work and survives being stopped,
`finish` derives the outputs from the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from analysis.analyzer import Analyzer, Estimate, Tally
from analysis.errors import ConfigurationError, LedgerError, LocalProtocolError
from analysis.pipeline import afresh
from analysis.pipeline.dialect import cause
from analysis.pipeline.duplicates import FirstTexts
from analysis.pipeline.endpoint_forms import ENDPOINT, as_recorded, other_forms
from analysis.pipeline.formats import STREAM
from analysis.pipeline.inputs import InputJob
from analysis.pipeline.ledger import Ledger
from analysis.pipeline.ledger_copy import copied
from analysis.pipeline.ledger_rows import storable
from analysis.pipeline.output import STOPPED_CELLS, VerdictCells, cells_of, output_columns
from analysis.pipeline.overwriting import check_again, check_run_outputs
from analysis.pipeline.places import RunPaths
from analysis.pipeline.report import (
    Counts,
    RunSummary,
    StopKind,
    allowed_failures,
    is_simulated,
    models_of,
    summarize,
)
from analysis.pipeline.results_file import is_told, rows_replaced, write_results
from analysis.pipeline.reuse import Reuse
from analysis.pipeline.review import Outlook, Review, marked
from analysis.pipeline.room import Shortage, shortage_of
from analysis.pipeline.row_keys import key_maker
from analysis.pipeline.selection import Selection, Share
from analysis.pipeline.sinks import KEEP, check_stream, write_output
from analysis.pipeline.tables import Row, Table, scan
from analysis.records import Chunk, FailureKind, Labeled, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, known before anything is sent.

    Attributes:
        rows: Rows of all tables.
        reused: Rows whose label the ledger holds.
        unsendable: Rows that cannot be sent: empty, or too long.
        to_do: Rows that will be sent.
        estimate: For the rows to do.
        unknown_requests: Requests of earlier runs that may have been paid without an answer.
        unknown_chunks: Chunks in them.
        simulated: Labels come from the local service or from rules.
        taken_over: Rows whose label came from another ledger.
        same_text: Rows that get the verdict of another row with the same text.
        passed_over: Rows that were never asked, in a run that asks only failed ones again.
        changed: Rows that were asked before in another form only.
        what_changed: What the run asks in another way than the last one, in words.
        models: Route -> model that it asks for, in the order of the routes.
        review: What is known of the marks of doubtful labels, if they are wanted.
        without_logprobs: Routes with their models that give no token probabilities, if those are
            asked for.
        goes_on_afresh: An earlier run with `fresh` was stopped; what it was answered counts.
        replaced_rows: Rows of the outputs that are there, if a part of the input takes the place of
            more rows; else 0.
        shortage: A disk that will not hold ledger and outputs, or None.
    """

    rows: int
    reused: int
    unsendable: int
    to_do: int
    estimate: Estimate
    unknown_requests: int
    unknown_chunks: int
    simulated: bool
    taken_over: int = 0
    same_text: int = 0
    passed_over: int = 0
    changed: int = 0
    what_changed: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    review: Outlook | None = None
    without_logprobs: tuple[str, ...] = ()
    goes_on_afresh: bool = False
    replaced_rows: int = 0
    shortage: Shortage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoices:
    """How a run goes about its rows.

    Attributes:
        chunks_per_request: Largest pack.
        fresh: Ask everything again.
        retry_failed: Ask only rows that failed.
        reuse: Other ledgers whose labels serve for equal texts.
        max_failed: Failed rows that leave the exit code 0; see `report.allowed_failures`.
        is_capped_by_failures: Nothing more is sent once more rows than that failed.
        budget_usd: What the requests of this run may cost, or None.
        stop_after_s: Seconds after which nothing more is sent, or None.
        csv_formulas: See `sinks.FORMULAS`.
        record: What the run says about its settings.
        needs_topic: A row that has a text must have a topic, too.
        label_names: Key -> what stands for it in the output; other keys stand as they are.
        notes: Lines for the summary beside those about the inputs.
        review: Which labels are marked, or None.
        without_logprobs: See `Plan`.
        is_preview: The run is prepared on a copy of its ledger and goes no further; nothing is
            written.
        overwrite: Files that are no outputs of this ledger may be replaced by the outputs.
    """

    chunks_per_request: int
    fresh: bool = False
    retry_failed: bool = False
    reuse: tuple[Path, ...] = ()
    max_failed: float | str = 0
    is_capped_by_failures: bool = False
    budget_usd: float | None = None
    stop_after_s: float | None = None
    csv_formulas: str = KEEP
    record: Mapping[str, str] = field(default_factory=dict)
    needs_topic: bool = True
    label_names: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    review: Review | None = None
    without_logprobs: tuple[str, ...] = ()
    overwrite: bool = False
    is_preview: bool = False


Progress = Callable[[Verdict], None]


class TableRun:
    """One run; call `prepare`, `label`, `finish` in this order, and `close` at any time."""

    def __init__(
        self,
        *,
        jobs: Sequence[InputJob],
        paths: RunPaths,
        analyzer: Analyzer,
        choices: RunChoices,
        clock: Callable[[], float],
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        stdout: BinaryIO | None = None,
    ) -> None:
        """Set up; `stdout` takes an output of `-`."""
        self.tables = tuple(job.table for job in jobs)
        self.paths = paths
        self._analyzer = analyzer
        self._choices = choices
        self._clock = clock
        self._stdout = stdout
        self._held = contextlib.ExitStack()
        self._ledger: Ledger | None = None
        self._selection: Selection | None = None
        self._bound = None if choices.review is None else choices.review.bound
        self._counts = Counts(min_confidence=self._bound)
        self._began, self._started_at = clock(), utc_now()
        self._label_s = 0.0
        self._most_failed: int | None = None
        self._settled = self._requests = 0
        self._is_part = any(one.limit is not None or one.spans is not None for one in self.tables)
        self.run_id = f"{self._started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"

    # Before anything is sent

    def prepare(self) -> Plan:
        """Check inputs, outputs and ledger, and count what is to be done; nothing is sent.

        Raises:
            ConfigurationError: If input, output or options cannot be used.
            LedgerError: If a ledger cannot be used, or another run holds it.
        """
        ledger, inputs = self.paths.ledger, [table.path for table in self.tables]
        if self._choices.is_preview:
            ledger = self._held.enter_context(copied(ledger))
        else:
            self.paths.check(inputs)
            if STREAM in map(str, self.paths.outputs):
                check_stream(self._stdout)
        sources = [table.source for table in self.tables]
        if not self._choices.overwrite:
            check_run_outputs(self.paths, sources)
        run_key = as_recorded(ledger, self._analyzer.run_key)
        key_of = key_maker(run_key)
        firsts = self._held.enter_context(FirstTexts(key_of))
        reuse = self._open_reuse(run_key)
        rows, everything = self._scan(firsts)
        if self._choices.is_capped_by_failures:
            self._most_failed = allowed_failures(self._choices.max_failed, rows)
        facts = {"run_id": self.run_id, **run_key}
        self._ledger = Ledger.open(
            ledger,
            sources=sources,
            key_of=key_of,
            run_facts=dict(self._choices.record) | facts,
            started_at=self._started_at.isoformat(),
            fresh=self._choices.fresh and not self._is_part,
            retry_failed=self._choices.retry_failed,
            settings=self.tables[0].settings,  # those of the run: all inputs are read by them
        )
        goes_on = self._choices.fresh and self._goes_on_afresh(self._ledger)
        selection = Selection(self._ledger, firsts, retry_failed=self._choices.retry_failed)
        self._selection = selection
        share = selection.look_back(self._all_slices, reuse)
        estimate = self._count_wanted(selection, share, everything, copies=firsts.copies)
        self._requests = estimate.requests
        unknown = self._ledger.unknown_requests()
        return Plan(
            rows=rows,
            reused=share.held - share.taken_over,
            unsendable=everything.unsendable,
            to_do=estimate.chunks,
            estimate=estimate,
            unknown_requests=unknown.requests,
            unknown_chunks=unknown.chunks,
            simulated=is_simulated(self._analyzer),
            taken_over=share.taken_over,
            same_text=share.same_text,
            passed_over=share.passed_over,
            changed=share.changed,
            what_changed=self._ledger.what_changed() if share.changed else (),
            models=models_of(self._analyzer),
            review=self._outlook(share),
            without_logprobs=self._choices.without_logprobs,
            goes_on_afresh=goes_on,
            replaced_rows=rows_replaced(self.paths, rows) if self._is_part else 0,
            shortage=shortage_of(self.paths, inputs, rows=rows, estimate=estimate),
        )

    def _goes_on_afresh(self, ledger: Ledger) -> bool:
        """Set the rows aside where only a part of the input is asked; see `Plan.goes_on_afresh`."""
        names = {table.source: storable(table.source) for table in self.tables}
        going: list[bool] = []
        ledger.alter(
            lambda connection, run: going.extend(
                afresh.goes_on(connection, run, name) for name in names.values()
            )
        )
        for table in self.tables if self._is_part else ():
            with contextlib.closing(table.slices()) as slices:
                for rows in slices:
                    wanted = [(names[table.source], storable(row.chunk.id)) for row in rows]
                    ledger.alter(partial(afresh.set_rows_aside, rows=wanted))
        return any(going)

    def _outlook(self, share: Share) -> Outlook | None:
        if self._choices.review is None:
            return None
        slices = self._all_slices() if share.held else ()  # else no row has a label
        held = chain.from_iterable(map(self._open_ledger().lookup, slices))
        return self._choices.review.outlook(held)

    def _open_reuse(self, run_key: Mapping[str, str]) -> Reuse | None:
        if not self._choices.reuse:
            return None
        try:
            ledgers, host = self._choices.reuse, self._analyzer.run_key[ENDPOINT]
            others = [key_maker(one) for one in other_forms(ledgers, run_key, host)]
            reuse = Reuse.open(
                ledgers, own=self.paths.ledger, key_of=key_maker(run_key), other_keys=others
            )
        except LedgerError as error:  # a file that the user named; nothing is there to resume
            raise ConfigurationError(str(error)) from error
        self._held.callback(reuse.close)
        return reuse

    def _scan(self, firsts: FirstTexts) -> tuple[int, Estimate]:
        """Read all rows once; return how many there are, and the estimate for all of them."""
        tally = self._tally()

        def visit(rows: Sequence[Row]) -> None:
            chunks = [row.chunk for row in rows]
            tally.add(chunks)
            firsts.add(chunks)

        is_needed = self._choices.needs_topic
        found = sum(scan(table, visit, needs_topic=is_needed).rows for table in self.tables)
        return found, tally.estimate()

    def _count_wanted(
        self, selection: Selection, share: Share, everything: Estimate, *, copies: int
    ) -> Estimate:
        """Count the rows that are not asked, and return the estimate for those that are."""
        is_first = self._open_ledger().run == 1 and not self._choices.retry_failed
        if is_first and not copies and not share.taken_over:
            return everything
        tally = self._tally()
        for chunks in self._all_slices():
            tally.add(chunks, selection.wanted(chunks, share))
        return tally.estimate()

    # The paid work

    async def label(self, on_verdict: Progress | None = None) -> None:
        """Label what is missing; returns when all is done or the work was stopped.

        Raises:
            LedgerError: If the ledger cannot be written.
        """
        started = self._clock()
        choices = self._choices
        verdicts = self._analyzer.run(
            self._slices(),
            topic=self._topic,
            chunks_per_request=choices.chunks_per_request,
            journal=self._open_selection(),
            budget_usd=choices.budget_usd,
            stop_after_s=choices.stop_after_s,
            max_failed=self._most_failed,
            requests=self._requests,
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
        slices = self._all_slices()
        try:
            while (chunks := await asyncio.to_thread(next, slices, None)) is not None:
                yield chunks
        finally:
            with contextlib.suppress(ValueError):  # a thread still reads; it ends with its slice
                slices.close()

    # Afterwards

    @property
    def is_short(self) -> bool:
        """Whether the disk was full: what is in flight is still recorded, no more fits."""
        return self._open_ledger().shortage.is_set()

    def is_complete(self, plan: Plan) -> bool:
        """Tell whether each row has its verdict, so that a stop came too late to matter."""
        waiting = plan.rows - plan.reused - plan.taken_over - plan.same_text - plan.passed_over
        return self._settled == waiting

    def finish(self, plan: Plan, *, stop: StopKind | None = None, reason: str = "") -> RunSummary:
        """Derive the outputs and the summary from the ledger.

        Args:
            plan: What `prepare` returned.
            stop: Why the run stopped early, or None. Then OUT stays as it was and what is paid for
                goes to `OUT.partial.csv`.
            reason: The same for people.

        Raises:
            LedgerError: If output or summary cannot be written.
        """
        if plan.same_text:
            self._open_selection().settle_copies(self._all_slices)
        if stop is None and not self._choices.overwrite:
            check_again(self.paths, [table.source for table in self.tables])
        targets = self.paths.partials if stop else self.paths.outputs
        changed = self._write(targets)
        if stop is None:
            self._remove_partials()
            self._open_ledger().alter(afresh.note_end)
        summary = self._summary(plan, stop, reason)
        if changed or plan.to_do or not is_told(self.paths.results, summary):
            write_results(self.paths.results, summary)
        return summary

    def _summary(self, plan: Plan, stop: StopKind | None, reason: str) -> RunSummary:
        ledger, analyzer, paths = self._open_ledger(), self._analyzer, self.paths
        in_effect = {f"{route} in effect": text for route, text in analyzer.facts.items()}
        notes = [note for table in self.tables for note in table.notes]
        notes.extend(self._choices.notes)
        shown = paths.shown_output
        return summarize(
            run_id=self.run_id,
            started_at=self._started_at,
            ended_at=self._started_at + timedelta(seconds=self._clock() - self._began),
            label_s=self._label_s,
            notes=list(dict.fromkeys(notes)),
            inputs=[str(table.path) for table in self.tables],
            outputs=[str(path) for path in (paths.partials if stop else paths.outputs)],
            paths={
                "input": self.tables[0].path if len(self.tables) == 1 else shown,
                "output": paths.partials[0] if stop and len(self.tables) == 1 else shown,
                "ledger": paths.ledger,
                "results": paths.results,
            },
            plan_rows=plan.rows,
            reused=plan.reused,
            estimate=plan.estimate,
            counts=self._counts,
            totals=ledger.totals(),
            unknown=ledger.unknown_requests(with_this_run=True),
            analyzer=analyzer,
            record=dict(self._choices.record) | in_effect,
            stop=stop,
            reason=reason,
            max_failed=self._choices.max_failed,
            replaced_rows=0 if stop else plan.replaced_rows,
        )

    def _write(self, targets: Sequence[Path]) -> bool:
        """Put the outputs in their places; return whether that changed a file."""
        self._counts.clear_rows()
        changed = [
            write_output(
                target,
                table,
                self._cells(table),
                csv_formulas=self._choices.csv_formulas,
                ours=output_columns(has_review=self._bound is not None),
                stream=self._stdout,
            )
            for target, table in zip(targets, self.tables, strict=True)
        ]
        return any(changed)

    def _remove_partials(self) -> None:
        """Remove what an earlier stop left; the output now holds all of it."""
        for left, output in zip(self.paths.partials, self.paths.outputs, strict=True):
            try:
                left.unlink(missing_ok=True)
            except OSError as error:
                raise LedgerError(
                    f"{output} is written, but the old {left} cannot be removed: "
                    f"{cause(error)}. Remove it by hand."
                ) from error

    def _cells(self, table: Table) -> Iterator[tuple[Row, VerdictCells]]:
        """Yield a table's rows in input order with their verdicts, and count what they say."""
        ledger, names = self._open_ledger(), self._choices.label_names
        for rows in table.slices():
            held = ledger.lookup([row.chunk for row in rows])
            for row, verdict in zip(rows, held, strict=True):
                self._counts.add_row(row.chunk.id, verdict)
                cells = STOPPED_CELLS if verdict is None else cells_of(verdict, names)
                yield row, marked(cells, self._bound)

    # Inside

    def close(self) -> None:
        """Release ledger and private files; may be called more than once."""
        try:
            if self._ledger is not None:
                self._ledger.close()
        finally:
            self._held.close()

    @property
    def _topic(self) -> str | None:
        return self.tables[0].topic  # the same for all; rows have their own before it

    def _all_slices(self) -> Generator[list[Chunk], None, None]:
        for table in self.tables:
            with contextlib.closing(table.slices()) as slices:
                for rows in slices:
                    yield [row.chunk for row in rows]

    def _open_ledger(self) -> Ledger:
        if self._ledger is None:
            raise LocalProtocolError("A run works only after prepare().")
        return self._ledger

    def _open_selection(self) -> Selection:
        if self._selection is None:
            raise LocalProtocolError("A run works only after prepare().")
        return self._selection

    def _tally(self) -> Tally:
        return self._analyzer.tally(
            topic=self._topic, chunks_per_request=self._choices.chunks_per_request
        )
