"""A ledger as a table: what is paid for, without the input, also while a run goes on.

io. commands/export.py calls it. It reads one snapshot, takes no lock, and writes the table whole or
not at all. The columns are source, id, those that a run appends, and two more.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.bill import SIMULATED_MODELS
from analysis.pipeline.dialect import cause
from analysis.pipeline.formats import (
    STREAM,
    Format,
    Kind,
    check_output_name,
    format_of,
    is_packed,
    json_value,
)
from analysis.pipeline.formulas import guarded
from analysis.pipeline.ledger_reading import HeldVerdicts, reading
from analysis.pipeline.ledger_rows import VerdictRow
from analysis.pipeline.output import (
    OUTPUT_COLUMNS,
    OUTPUT_KINDS,
    REVIEW_COLUMN,
    cells_of,
    check_writable,
    write_csv,
    write_whole,
)
from analysis.pipeline.overwriting import check_kind, check_no_input
from analysis.pipeline.parquet_rows import GROUP_ROWS, check_pyarrow
from analysis.pipeline.review import check_bound, is_uncertain, mark_of
from analysis.pipeline.sinks import GUARD, KEEP, check_formulas

EXPORT_COLUMNS = ("source", "id", *OUTPUT_COLUMNS, "semfn_message", "semfn_reused_from")
"""Columns of an exported table, in this order."""

_KINDS = (Kind.TEXT, Kind.TEXT, *OUTPUT_KINDS, Kind.TEXT, Kind.TEXT)
_COLUMNS = tuple(zip(EXPORT_COLUMNS, _KINDS, strict=True))
_ARROW_TYPES = {Kind.TEXT: "string", Kind.NUMBER: "float64", Kind.INTEGER: "int64"}

_Entry = tuple[str, str, VerdictRow]


@dataclass(slots=True, kw_only=True)
class Exported:
    """What an export wrote and what it left out.

    Attributes:
        labeled: Rows written that have a label.
        failed: Rows written that failed.
        not_failed: Rows with a label that were left out because only failed ones were wanted.
        not_labeled: Rows that were left out because they have no label, where uncertain ones were
            wanted.
        surer: Rows that were left out because their confidence is not below the bound.
        without_confidence: Rows with a label that were left out because no confidence is stated.
        set_aside: Verdicts left out because a run asked afresh after them.
        other_forms: Verdicts left out because their row was asked in another form, too.
        is_simulated: Some label of the ledger comes from the local service or from rules.
        stopped: Rows of the input that were written without a verdict; see `joined`.
        changed: Of them, those that have a verdict in another form only.
        not_reached: Rows of the input that were left out because they have no verdict.
        is_other_topic: The topic given for the input is not the one of the run.
        uncertain: Rows written with a mark for review.
        unmarked: Rows written with a label and no mark, since they have no confidence.
    """

    labeled: int = 0
    failed: int = 0
    not_failed: int = 0
    not_labeled: int = 0
    surer: int = 0
    without_confidence: int = 0
    set_aside: int = 0
    other_forms: int = 0
    is_simulated: bool = False
    stopped: int = 0
    changed: int = 0
    not_reached: int = 0
    is_other_topic: bool = False
    uncertain: int = 0
    unmarked: int = 0

    def count(self, verdict: VerdictRow, bound: float | None) -> None:
        """Count a row that is written, with a mark for review or without."""
        self.labeled += bool(verdict.labels)
        self.failed += not verdict.labels
        if bound is not None and verdict.labels:
            self.uncertain += is_uncertain(verdict.confidence, bound)
            self.unmarked += verdict.confidence is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an export writes.

    Attributes:
        only_failed: The failed rows only.
        uncertain: Only the rows whose label has a confidence below this, 0 to 1.
        min_confidence: Labels with a confidence below this, above 0 and up to 1, are marked in a
            column for it.
        names: Key -> what stands for it; other keys stand as they are.
        csv_formulas: `keep` or `guard`, for CSV.
        overwrite: A file that is no earlier export may be replaced, unless it is an input of the
            ledger.
    """

    only_failed: bool = False
    uncertain: float | None = None
    min_confidence: float | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    csv_formulas: str = KEEP
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_formulas(self.csv_formulas)
        if self.uncertain is not None and (self.only_failed or not 0 <= self.uncertain <= 1):
            raise ConfigurationError(
                f"uncertain is {self.uncertain!r}; pass a confidence from 0 to 1, and not together "
                "with --failed: a failed row has none."
            )
        if self.min_confidence is not None:
            check_bound("min_confidence", self.min_confidence)

    def takes(self, verdict: VerdictRow, done: Exported) -> bool:
        """Tell whether a row is written, and count it either way."""
        if self.only_failed and verdict.labels:
            done.not_failed += 1
            return False
        if self.uncertain is not None and not self._is_doubtful(verdict, done):
            return False
        done.count(verdict, self.min_confidence)
        return True

    def _is_doubtful(self, verdict: VerdictRow, done: Exported) -> bool:
        bound = self.uncertain or 0.0
        if is_doubtful := bool(verdict.labels) and is_uncertain(verdict.confidence, bound):
            return is_doubtful
        if not verdict.labels:
            done.not_labeled += 1
        elif verdict.confidence is None:
            done.without_confidence += 1
        else:
            done.surer += 1
        return False


EVERYTHING = Wanted()
"""All rows, without marks."""


def export(
    ledger: Path | str,
    output: Path | str,
    *,
    wanted: Wanted = EVERYTHING,
    stream: BinaryIO | None = None,
) -> Exported:
    """Write the verdicts in force of a ledger, one row for each row that was asked.

    Rows are ordered by source, then as they were first recorded. Of a row that was asked in several
    forms, the form of the last run over its source counts, else the newest. Memory does not grow
    with the number of rows.

    Args:
        ledger: An existing ledger; it stays as it is.
        output: The file; its suffix tells the format. `-` is the stream, as CSV.
        wanted: Which rows and columns.
        stream: Where `-` goes; it gets nothing before all rows are there.

    Raises:
        ConfigurationError: If the output cannot be used.
        LedgerError: If the ledger cannot be read, or the output cannot be written.
    """
    form = Format.CSV if str(output) == STREAM else format_of(Path(output))
    done = Exported()
    with reading(ledger) as held:
        if str(output) != STREAM:
            _check(Path(output), form, Path(ledger))
            check_output_name(output)
            check_no_input(Path(output), held.sources())
            if not wanted.overwrite:
                check_kind(Path(output), EXPORT_COLUMNS, "an earlier export")
        newest = held.newest(only_failed=wanted.only_failed)
        rows = (row for row in newest if wanted.takes(row[2], done))
        fill = _filler(form, rows, wanted)
        if str(output) != STREAM:
            write_whole(output, fill)
        elif stream is None:
            raise ConfigurationError(
                "An output of '-' needs an open standard output: name a file, or pass stream=."
            )
        else:
            _write_stream(fill, stream)
        _count_left_out(held, done)
    return done


def files_of(ledger: Path) -> list[Path]:
    """Return the ledger and the files that belong to it, none of which may be written over."""
    return [ledger.with_name(ledger.name + suffix) for suffix in ("", "-wal", "-shm", ".lock")]


def _check(output: Path, form: Format, ledger: Path) -> None:
    check_writable(output, inputs=files_of(ledger))
    if form is Format.PARQUET:
        if is_packed(output):
            raise ConfigurationError(
                f"Cannot write {output}: Parquet is packed inside. Leave .gz out of the name."
            )
        check_pyarrow()


def _count_left_out(held: HeldVerdicts, done: Exported) -> None:
    left = held.left_out()
    done.set_aside, done.other_forms = left.set_aside, left.other_forms
    done.is_simulated = not SIMULATED_MODELS.isdisjoint(held.models())
    uncounted = left.rows - done.labeled - done.failed
    done.not_failed = uncounted - done.not_labeled - done.surer - done.without_confidence


def _filler(form: Format, rows: Iterator[_Entry], wanted: Wanted) -> Callable[[BinaryIO], None]:
    """Return what writes the rows in a format."""
    bound, names = wanted.min_confidence, wanted.names
    ours = _COLUMNS if bound is None else (*_COLUMNS, (REVIEW_COLUMN, Kind.TEXT))
    columns = tuple(name for name, _ in ours)

    def fill(raw: BinaryIO) -> None:
        if form is Format.PARQUET:
            _write_parquet(raw, ours, (_values(*row, bound, names) for row in rows))
        elif form is Format.JSONL:
            named = (dict(zip(columns, _values(*row, bound, names), strict=True)) for row in rows)
            raw.writelines(json_value(each) + b"\n" for each in named)
        else:
            cells: Iterable[tuple[str, ...]] = (_texts(*row, bound, names) for row in rows)
            delimiter = "\t" if form is Format.TSV else ","
            if wanted.csv_formulas == GUARD:
                cells = map(guarded, cells)
            write_csv(raw, columns, cells, delimiter=delimiter, bom=False)

    return fill


def _texts(
    source: str, name: str, verdict: VerdictRow, bound: float | None, names: Mapping[str, str]
) -> tuple[str, ...]:
    ours = (verdict.error_message or "", verdict.reused_from or "")
    mark = () if bound is None else (mark_of(verdict.confidence, bound),)
    return (source, name, *cells_of(verdict, names).texts(), *ours, *mark)


def _values(
    source: str, name: str, verdict: VerdictRow, bound: float | None, names: Mapping[str, str]
) -> tuple[str | float | None, ...]:
    ours = (verdict.error_message, verdict.reused_from)
    mark = () if bound is None else (mark_of(verdict.confidence, bound) or None,)
    return (source, name, *cells_of(verdict, names).values(), *ours, *mark)


def _write_parquet(
    raw: BinaryIO,
    ours: Sequence[tuple[str, Kind]],
    rows: Iterator[tuple[str | float | None, ...]],
) -> None:
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    types = [getattr(arrow, _ARROW_TYPES[kind])() for _, kind in ours]
    schema = arrow.schema([(name, kind) for (name, _), kind in zip(ours, types, strict=True)])
    try:
        with parquet.ParquetWriter(raw, schema) as writer:
            while group := list(islice(rows, GROUP_ROWS)):
                columns = zip(zip(*group, strict=True), types, strict=True)
                arrays = [arrow.array(column, type=kind) for column, kind in columns]
                writer.write_table(arrow.table(arrays, schema=schema))
    except arrow.ArrowException as error:
        raise OSError(str(error)) from error


def _write_stream(fill: Callable[[BinaryIO], None], stream: BinaryIO) -> None:
    """Write the whole table to a file without a name, then pass its bytes on."""
    try:
        with closing(tempfile.TemporaryFile()) as raw:
            fill(raw)
            raw.seek(os.SEEK_SET)
            shutil.copyfileobj(raw, stream)
        stream.flush()
    except OSError as error:
        raise LedgerError(
            f"Cannot write the standard output: {cause(error)}. The ledger holds all of it: run "
            "the same command again."
        ) from error
