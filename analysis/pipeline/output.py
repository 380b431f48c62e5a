"""The table that a run writes: its columns, its cells, its place; written whole or not at all.

io. The run calls it; reading is the business of `dialect` and `tables`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import BinaryIO, TextIO

from analysis.errors import ConfigurationError, LedgerError, LocalProtocolError
from analysis.pipeline.dialect import cause

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

_BLOCK_BYTES = (
    1 << 20
)  # how much of two files is compared at a time; any size gives the same answer


def write_table(
    path: Path | str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    delimiter: str,
    bom: bool,
    encoding: str = "utf-8",
) -> bool:
    """Write a whole table, or leave what is there as it is; .gz is packed.

    The rows go to a temporary file in the same folder, which is synced and then renamed. An
    exception of the iterator itself passes through, and the temporary file is removed.

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
                    if target.suffix.lower() == ".gz"
                    else nullcontext(raw)
                ) as packed:
                    text = io.TextIOWrapper(packed, encoding, newline="")
                    _write_rows(text, columns, rows, delimiter=delimiter, bom=bom)
                    text.detach()
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


def verdict_cells(
    *,
    labels: Sequence[str],
    confidence: float | None,
    route: str | None,
    model: str | None,
    pack: int,
    attempts: int,
    latency_s: float | None,
    error: str | None,
) -> tuple[str, ...]:
    """Return the cells of `OUTPUT_COLUMNS` for one verdict; what is None becomes an empty cell."""
    if len(labels) > 2:
        raise LocalProtocolError(f"A verdict has at most two labels, not {len(labels)}.")
    primary, secondary = (*labels, "", "")[:2]
    return (
        primary,
        secondary,
        "" if confidence is None else f"{confidence:.4f}",
        route or "",
        model or "",
        str(pack),
        str(attempts),
        "" if latency_s is None else f"{latency_s * 1000:.1f}",
        error or "",
    )


def default_output(path: Path | str) -> Path:
    """Return where the labeled table goes: chunks.csv.gz -> chunks.labeled.csv beside it."""
    path = Path(path)
    name = path.with_suffix("").name if path.suffix.lower() == ".gz" else path.name
    stem, suffix = os.path.splitext(name)
    match suffix.lower():
        case ".csv":
            return path.with_name(f"{stem}.labeled.csv")
        case ".tsv":
            return path.with_name(f"{stem}.labeled.tsv")
        case _:  # kept in the name: notes.v1 and notes.v2 must not share an output
            return path.with_name(f"{name}.labeled.csv")


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


def _write_rows(
    text: TextIO,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    delimiter: str,
    bom: bool,
) -> None:
    # The other UTF codecs write their mark themselves, and no other encoding has one.
    if bom and codecs.lookup(text.encoding).name in ("utf-8", "utf-16-le", "utf-16-be"):
        text.write("\ufeff")
    writer = csv.writer(_LineFeeds(text), delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    text.flush()


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
