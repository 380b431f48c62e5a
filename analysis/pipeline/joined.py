"""A ledger beside its inputs: the tables that their run would write now, without asking anything.

io. commands/export.py opens the inputs and calls it. A row gets the verdict that the ledger holds
for its key, made as the last run over its input made it: so a label never stands beside a text, a
topic or a document that it was not given for. What that run would ask anew has `semfn_error`
`stopped`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from analysis.errors import ConfigurationError
from analysis.pipeline.bill import SIMULATED_MODELS
from analysis.pipeline.dialect import cause
from analysis.pipeline.duplicates import FirstTexts
from analysis.pipeline.export import EVERYTHING, Exported, Wanted, files_of
from analysis.pipeline.formats import STREAM
from analysis.pipeline.inputs import InputJob
from analysis.pipeline.ledger_reading import HeldVerdicts, reading
from analysis.pipeline.ledger_rows import SAME_TEXT, VerdictRow, deciding
from analysis.pipeline.output import (
    OUTPUT_COLUMNS,
    STOPPED_CELLS,
    VerdictCells,
    cells_of,
    check_writable,
    output_columns,
)
from analysis.pipeline.overwriting import check_kind, check_ledger, check_no_input
from analysis.pipeline.places import results_of
from analysis.pipeline.reading_facts import settings_of
from analysis.pipeline.review import check_columns, marked
from analysis.pipeline.row_keys import key_maker
from analysis.pipeline.sinks import write_output
from analysis.pipeline.tables import Row, Table, scan
from analysis.records import Chunk
from analysis.settings import DEFAULT_CONTEXT

_SHOWN_SOURCES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """An input with what its last run states: its facts, and how it made the keys of rows."""

    job: InputJob
    facts: Mapping[str, str]
    key_of: Callable[[Chunk], bytes]


def join(
    ledger: Path,
    jobs: Sequence[InputJob],
    *,
    topic_digest: str,
    context: int | None = None,
    wanted: Wanted = EVERYTHING,
    stream: BinaryIO | None = None,
) -> Exported:
    """Write each input with the verdicts that a ledger holds for its rows, in input order.

    Memory does not grow with the number of rows.

    Args:
        ledger: An existing ledger, also one of a run that goes on; it stays as it is.
        jobs: The inputs, read as for the run, each with its output; all of one `open_inputs`.
        topic_digest: Of the topic that they were opened with, as runs record it.
        context: Texts before and after a row that are part of its key; by default as in the run.
        wanted: Which rows, and whether doubtful labels are marked.
        stream: Where an output of `-` goes.

    Raises:
        ConfigurationError: If the input is not that of a run of the ledger, or was asked in another
            form, so that no row has a verdict; or if an output cannot be used.
        InputError: If a row cannot be read.
        LedgerError: If the ledger cannot be read, or an output cannot be written.
    """
    done = Exported()
    with ExitStack() as held:
        verdicts = held.enter_context(reading(ledger))
        parts = _parts(verdicts, ledger, jobs, context)
        if wanted.min_confidence is not None:
            for job in jobs:
                check_columns(job.table.path, job.table.columns)
        keys = {part.job.table.source: part.key_of for part in parts}
        firsts = held.enter_context(FirstTexts(lambda chunk: keys[chunk.source or ""](chunk)))
        for part in parts:
            scan(part.job.table, lambda rows: firsts.add([row.chunk for row in rows]))
        for part in parts:
            _look_back(verdicts, ledger, part, firsts, topic_digest)
            done.is_other_topic |= _is_other_topic(part.facts, topic_digest)
        _check_outputs(ledger, jobs, wanted, verdicts.sources())
        for part in parts:
            rows = _rows(verdicts, part, firsts, wanted, done)
            write_output(
                part.job.output,
                part.job.table,
                rows,
                csv_formulas=wanted.csv_formulas,
                ours=output_columns(has_review=wanted.min_confidence is not None),
                stream=stream,
            )
        done.is_simulated = not SIMULATED_MODELS.isdisjoint(verdicts.models())
    return done


def _parts(
    verdicts: HeldVerdicts, ledger: Path, jobs: Sequence[InputJob], context: int | None
) -> list[_Part]:
    """Find the last run over each input, and read the input with the context of that run."""
    has_documents = any("document" in job.table.roles for job in jobs)
    found = []
    for job in jobs:
        facts = verdicts.last_facts(job.table.source)
        if facts is None:
            names = verdicts.sources()
            shown = ", ".join(names[:_SHOWN_SOURCES]) or "none"
            more = f" and {len(names) - _SHOWN_SOURCES} more" if names[_SHOWN_SOURCES:] else ""
            raise ConfigurationError(
                f"{ledger} has no run over an input named {job.table.source}; it has: {shown}"
                f"{more}. Pass the inputs of the run with --input, under their own names."
            )
        recorded = int(facts.get("context", 0))
        if context is not None:
            recorded = context
        elif has_documents and "document" not in job.table.roles and recorded == DEFAULT_CONTEXT:
            recorded = 0  # the default of a run is no context where an input has no documents
        table = replace(job.table, context=recorded, settings=settings_of(facts))
        found.append(
            _Part(
                job=replace(job, table=table),
                facts=facts,
                key_of=key_maker(deciding(facts)),
            )
        )
    return found


def _check_outputs(
    ledger: Path, jobs: Sequence[InputJob], wanted: Wanted, sources: Sequence[str]
) -> None:
    """Refuse outputs that cannot be written, or would replace what is no output of the ledger."""
    inputs = [job.table.path for job in jobs]
    for job in jobs:
        if str(job.output) == STREAM:
            continue
        if len(jobs) > 1:
            _make_folder(job.output.parent)
        check_writable(job.output, inputs=[*inputs, *files_of(ledger)])
        check_no_input(job.output, sources)
        if not wanted.overwrite:
            check_kind(job.output, OUTPUT_COLUMNS, "labels of a run")
            check_ledger(job.output, ledger, results=results_of(job.output, several=len(jobs) > 1))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot make the folder {folder}: {cause(error)}. Pass another one with -o."
        ) from error


def _look_back(
    verdicts: HeldVerdicts,
    ledger: Path,
    part: _Part,
    firsts: FirstTexts,
    topic_digest: str,
) -> None:
    """Let rows with a verdict speak for their text; refuse an input of which none has one."""
    has_any = False
    for chunks in _chunks(part.job.table):
        found = verdicts.lookup([_place(part, chunk) for chunk in chunks])
        has_any = has_any or any(found)
        firsts.prefer(chunks, [None if one is None else bool(one.labels) for one in found])
    source = part.job.table.source
    if has_any or not verdicts.has(source):  # a run that died early has no verdict at all
        return
    if _is_other_topic(part.facts, topic_digest):
        had = "a topic" if part.facts["topic_digest"] else "no topic"
        raise ConfigurationError(
            f"No row of {source} has a verdict in {ledger}: the last run over it had {had} of its "
            "own that is not the one given now. Pass the --topic of the run."
        )
    raise ConfigurationError(
        f"No row of {source} has a verdict in {ledger} in the form of the last run over it: its "
        "ids, texts or documents are others. Pass the input as it was, with the column options "
        "(--text-column and so on) and the --context of the run."
    )


def _is_other_topic(facts: Mapping[str, str], topic_digest: str) -> bool:
    return facts.get("topic_digest", topic_digest) != topic_digest


def _rows(
    verdicts: HeldVerdicts, part: _Part, firsts: FirstTexts, wanted: Wanted, done: Exported
) -> Iterator[tuple[Row, VerdictCells]]:
    """Yield the wanted rows of an input with their verdicts, and count all of them."""
    source, bound = part.job.table.source, wanted.min_confidence
    is_part = wanted.only_failed or wanted.uncertain is not None
    for rows in part.job.table.slices():
        chunks = [row.chunk for row in rows]
        found = _with_copies(verdicts, part, firsts, chunks)
        for row, verdict in zip(rows, found, strict=True):
            if verdict is not None:
                if wanted.takes(verdict, done):
                    yield row, marked(cells_of(verdict, wanted.names), bound)
                continue
            done.changed += verdicts.has(source, row.chunk.id)
            if is_part:
                done.not_reached += 1
            else:
                done.stopped += 1
                yield row, marked(STOPPED_CELLS, bound)


def _with_copies(
    verdicts: HeldVerdicts, part: _Part, firsts: FirstTexts, chunks: Sequence[Chunk]
) -> list[VerdictRow | None]:
    """Return the verdicts of rows; one without its own has that of the row that has its text.

    A run copies such verdicts into the ledger when it ends, so one that was killed has not.
    """
    found = verdicts.lookup([_place(part, chunk) for chunk in chunks])
    origins = firsts.first_of(chunks)
    lacking = [
        (number, (*origin, part.key_of(chunks[number])))
        for number, (verdict, origin) in enumerate(zip(found, origins, strict=True))
        if verdict is None and origin is not None
    ]
    copies = verdicts.lookup([place for _, place in lacking])
    for (number, _), copy in zip(lacking, copies, strict=True):
        if copy is not None:
            found[number] = replace(copy, attempts=0, latency_s=None, reused_from=SAME_TEXT)
    return found


def _place(part: _Part, chunk: Chunk) -> tuple[str | None, str, bytes]:
    return (chunk.source, chunk.id, part.key_of(chunk))


def _chunks(table: Table) -> Iterator[list[Chunk]]:
    for rows in table.slices():
        yield [row.chunk for row in rows]
