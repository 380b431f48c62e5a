"""The file that a run writes: its columns, its cells, its place; written whole or not at all.

io. `sinks` fills it with a table; reading is the business of `tables`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from analysis.errors import ConfigurationError, LedgerError, LocalProtocolError
from analysis.pipeline.dialect import cause
from analysis.pipeline.formats import Kind, is_packed, known_format
from analysis.pipeline.ledger_rows import VerdictRow
from analysis.records import FailureKind

OUTPUT_COLUMNS = (
    "semantic_function",
    "semantic_function_2",
    "semfn_confidence",
    "semfn_route",
    "semfn_model",
    "semfn_pack",
    "semfn_attempts",
    "semfn_latency_ms",
    "semfn_error",
)
"""Columns that a run appends, in this order."""

OUTPUT_KINDS = (
    Kind.TEXT,
    Kind.TEXT,
    Kind.NUMBER,
    Kind.TEXT,
    Kind.TEXT,
    Kind.INTEGER,
    Kind.INTEGER,
    Kind.NUMBER,
    Kind.TEXT,
)
"""What each of them holds, in formats that have types."""

REVIEW_COLUMN = "semfn_review"
"""Stands behind them where labels that are not sure enough are marked; see `review`."""

_BLOCK_BYTES = (
    1 << 20
)  # how much of two files is compared at a time; any size gives the same answer


def output_columns(*, has_review: bool) -> tuple[tuple[str, Kind], ...]:
    """Return name and kind of each column that a run appends, with the column of marks or not."""
    ours = tuple(zip(OUTPUT_COLUMNS, OUTPUT_KINDS, strict=True))
    return (*ours, (REVIEW_COLUMN, Kind.TEXT)) if has_review else ours


def shown_confidence(confidence: float) -> float:
    """Return a confidence as outputs show it, in all formats."""
    return round(confidence, 4)


def write_table(
    path: Path | str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    delimiter: str,
    bom: bool,
    encoding: str = "utf-8",
) -> bool:
    """Write a whole CSV table, or leave what is there as it is; see `write_whole`."""

    def fill(raw: BinaryIO) -> None:
        write_csv(raw, columns, rows, delimiter=delimiter, bom=bom, encoding=encoding)

    return write_whole(path, fill)


def write_whole(path: Path | str, fill: Callable[[BinaryIO], None]) -> bool:
    """Write a whole file, or leave what is there as it is; .gz is packed.

    The bytes go to a temporary file in the same folder, which is synced and then renamed. An
    exception of `fill` that is no error of the disk passes through, and the temporary file is
    removed.

    Args:
        path: The file.
        fill: Writes all bytes and leaves the stream open; the same content must be the same bytes.

    Returns:
        Whether the file changed; a file that holds the same bytes already is left untouched.

    Raises:
        LedgerError: If the file cannot be written.
    """
    # Behind a symbolic link it is the file that is replaced, not the link.
    target = Path(os.path.realpath(path))
    try:
        temporary, raw = open_temporary(target.parent)
        with ExitStack() as undo:
            undo.callback(temporary.unlink)
            with raw:
                if target.exists():
                    shutil.copymode(target, temporary)
                # No name and no time inside: the same rows give the same bytes.
                with (
                    gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0)
                    if is_packed(target)
                    else nullcontext(raw)
                ) as packed:
                    fill(cast(BinaryIO, packed))
                raw.flush()
                os.fsync(raw.fileno())
            if _is_same(temporary, target):
                return False
            os.replace(temporary, target)
            undo.pop_all()
        _sync_folder(target.parent)
        return True
    except (OSError, UnicodeEncodeError, csv.Error) as error:
        raise LedgerError(
            f"Cannot write {path}: {cause(error)}. What is paid for is kept in the ledger. Make "
            "room or mend the disk, then run the same command again."
        ) from error


def open_temporary(folder: Path) -> tuple[Path, BinaryIO]:
    """Make a new hidden file in `folder`, with the permissions that any new file gets."""
    number = 0
    while True:
        path = folder / f".semfn-{os.getpid()}-{number}.tmp"
        try:
            return path, path.open("xb")
        except FileExistsError:
            number += 1  # another table of this process, or left by a dead one with this number


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCells:
    """The values of `OUTPUT_COLUMNS` for one row; what is None is left empty.

    Attributes:
        labels: At most two keys.
        confidence: 0 to 1.
        pack: Chunks in the request.
        latency_s: Seconds from sending to the end of the answer.
        error: Kind of the failure.
        review: Mark of the row, which may be empty; None: the output has no column for it.
    """

    labels: Sequence[str]
    confidence: float | None
    route: str | None
    model: str | None
    pack: int
    attempts: int
    latency_s: float | None
    error: str | None
    review: str | None = None

    def __post_init__(self) -> None:
        if len(self.labels) > 2:
            raise LocalProtocolError(f"A verdict has at most two labels, not {len(self.labels)}.")

    def texts(self) -> tuple[str, ...]:
        """Return the cells of a text file; numbers have fixed decimals."""
        primary, secondary = (*self.labels, "", "")[:2]
        return (
            primary,
            secondary,
            "" if self.confidence is None else f"{self.confidence:.4f}",
            self.route or "",
            self.model or "",
            str(self.pack),
            str(self.attempts),
            "" if self.latency_s is None else f"{self.latency_s * 1000:.1f}",
            self.error or "",
            *(() if self.review is None else (self.review,)),
        )

    def values(self) -> tuple[str | float | None, ...]:
        """Return values for formats that have types; the numbers are those of `texts`."""
        primary, secondary = (*self.labels, None, None)[:2]
        return (
            primary,
            secondary,
            None if self.confidence is None else shown_confidence(self.confidence),
            self.route,
            self.model,
            self.pack,
            self.attempts,
            None if self.latency_s is None else round(self.latency_s * 1000, 1),
            self.error,
            *(() if self.review is None else (self.review or None,)),
        )


STOPPED_CELLS = VerdictCells(
    labels=(),
    confidence=None,
    route=None,
    model=None,
    pack=0,
    attempts=0,
    latency_s=None,
    error=FailureKind.STOPPED,
)
"""Those of a row that was not reached."""


def cells_of(verdict: VerdictRow, names: Mapping[str, str] | None = None) -> VerdictCells:
    """Return the cells of a verdict as the ledger holds it, by its keys or by names for them."""
    labels = verdict.labels
    return VerdictCells(
        labels=[names.get(key, key) for key in labels] if names else labels,
        confidence=verdict.confidence,
        route=verdict.route,
        model=verdict.model,
        pack=verdict.pack,
        attempts=verdict.attempts,
        latency_s=verdict.latency_s,
        error=verdict.error_kind,
    )


def default_output(path: Path | str) -> Path:
    """Return where the labeled table goes: chunks.csv.gz -> chunks.labeled.csv beside it."""
    path = Path(path)
    name = path.with_suffix("").name if is_packed(path) else path.name
    if known_format(path) is None:  # all of the name: notes.v1 and notes.v2 share no output
        return path.with_name(f"{name}.labeled.csv")
    stem, suffix = os.path.splitext(name)
    return path.with_name(f"{stem}.labeled{suffix.lower()}")


def check_writable(path: Path | str, *, inputs: Iterable[Path | str] = ()) -> None:
    """Check, before anything is paid for, that `write_table` can put a file at `path`.

    Raises:
        ConfigurationError: If it cannot, or if the file is one of the inputs.
    """
    path = Path(path)
    cure = "Pass another output with -o."
    try:
        mode = path.stat().st_mode if path.exists() else stat.S_IFREG
        if not stat.S_ISREG(mode):
            raise ConfigurationError(f"Cannot write {path}: it is a folder or device. {cure}")
        for source in inputs:
            if path.exists() and Path(source).exists() and path.samefile(source):
                raise ConfigurationError(f"Output {path} is the input itself. {cure}")
        temporary, raw = open_temporary(Path(os.path.realpath(path)).parent)
        raw.close()
        temporary.unlink()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"Cannot write {path}: there is no folder {path.parent}. Make it, or {cure.lower()}"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Cannot write {path}: {cause(error)}. {cure}") from error


class _LineFeeds:
    """Ends each row with LF.

    The csv module quotes a lone CR in a cell only when its own row end holds one (before Python
    3.13), so the writer is told CRLF, and this cuts it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        return self._stream.write(row[:-2] + "\n")


def write_csv(
    raw: BinaryIO,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    delimiter: str,
    bom: bool,
    encoding: str = "utf-8",
) -> None:
    """Write header and rows as CSV; the stream stays open.

    Raises:
        OSError, UnicodeEncodeError, csv.Error: If it cannot be written.
    """
    text = io.TextIOWrapper(raw, encoding, newline="")
    # The other UTF codecs write their mark themselves, and no other encoding has one.
    if bom and codecs.lookup(encoding).name in ("utf-8", "utf-16-le", "utf-16-be"):
        text.write("\ufeff")
    writer = csv.writer(_LineFeeds(text), delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    text.flush()
    text.detach()


def _is_same(one: Path, two: Path) -> bool:
    """Tell whether both files are there and hold the same bytes."""
    if not two.exists() or one.stat().st_size != two.stat().st_size:
        return False
    with one.open("rb") as first, two.open("rb") as second:
        while block := first.read(_BLOCK_BYTES):
            if block != second.read(_BLOCK_BYTES):
                return False
    return True


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; Windows cannot open folders."""
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
