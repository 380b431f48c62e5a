"""Room on the disk for what a run writes: looked at before it sends, and a part held in reserve.

io: asks the file system. `run` tells of a shortage before anything is paid for; the writer of a
ledger gives up its reserve where the disk is full, so that the answers in flight are still kept.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from analysis.analyzer import Estimate
from analysis.pipeline.formats import STREAM
from analysis.pipeline.places import RunPaths

RESERVE_BYTES = 4 << 20
"""Held from open to close of a ledger. A commit writes some ten pages of 4 KiB, so that the answers
of a hundred requests in flight find room."""

_LOG_BYTES = 4 << 20  # SQLite writes its log back into the file at 1,000 pages of 4 KiB
_ROW_BYTES = 200  # of a verdict in the ledger: 20,000 rows took 157 each, with short ids
_REQUEST_BYTES = 250  # of a request: 182 measured
_CELLS_BYTES = 70  # of a row of the output beside the input: 51 measured

Free = Callable[[Path], int]
Device = Callable[[Path], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """A folder whose disk will not hold what goes there.

    Attributes:
        folder: Of the ledger or of an output.
        free_bytes: On its disk, for this user.
        needed_bytes: Estimated.
    """

    folder: Path
    free_bytes: int
    needed_bytes: int


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk of a folder; raises OSError."""
    return shutil.disk_usage(folder).free


def device_of(folder: Path) -> int:
    """Return which disk a folder is on; raises OSError."""
    return folder.stat().st_dev


def shortage_of(
    paths: RunPaths,
    inputs: Sequence[Path],
    *,
    rows: int,
    estimate: Estimate,
    free: Free = free_bytes,
    device: Device = device_of,
) -> Shortage | None:
    """Return the first disk that has too little room for ledger and outputs, if one has.

    Where nothing is to be asked there is nothing to lose, and a file system that does not tell is
    taken to have room. An output is written beside the one that it replaces. The reserve is not
    counted: the ledger holds it by now.

    Args:
        paths: Where the run writes.
        inputs: Its tables.
        rows: All rows.
        estimate: For the rows that will be asked.
        free: Free bytes of a folder's disk.
        device: Which disk a folder is on.
    """
    if not estimate.chunks:
        return None
    records = estimate.chunks * _ROW_BYTES + estimate.requests * _REQUEST_BYTES
    sizes = [(paths.ledger.resolve().parent, _LOG_BYTES + records)]
    outputs = [path for path in paths.outputs if str(path) != STREAM]
    cells = rows * _CELLS_BYTES // len(paths.outputs)
    with contextlib.suppress(OSError):
        pairs = zip(outputs, inputs, strict=False)
        sizes += [(output.resolve().parent, _size(one) + cells) for output, one in pairs]
        return next(_shortages(sizes, free, device), None)
    return None


def _size(path: Path) -> int:
    """Return the bytes of a file; 0 for a pipe, and for what is not there."""
    return path.stat().st_size if path.is_file() else 0


def _shortages(sizes: Sequence[tuple[Path, int]], free: Free, device: Device) -> Iterator[Shortage]:
    needed: defaultdict[int, int] = defaultdict(int)
    folders: dict[int, Path] = {}
    for folder, size in sizes:
        disk = device(folder)
        needed[disk] += size
        folders.setdefault(disk, folder)
    for disk, folder in folders.items():
        if (left := free(folder)) < needed[disk]:
            yield Shortage(folder=folder, free_bytes=left, needed_bytes=needed[disk])


def reserve(folder: Path) -> BinaryIO | None:
    """Take some room of a folder's disk, and give it back when the result is closed.

    The file has no name, so that it is gone with the process, whatever ends it.

    Returns:
        None where there is no room for it, or it cannot be made.
    """
    with contextlib.ExitStack() as held:
        try:
            file = held.enter_context(tempfile.TemporaryFile(dir=folder))
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
            else:
                file.write(bytes(RESERVE_BYTES))
                file.flush()
        except OSError:
            return None
        held.pop_all()
        return file
