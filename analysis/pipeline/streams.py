"""Standard input as a file that can be read more than once.

io. The run opens it around its work. A run reads its input several times, so what comes through a
pipe is copied once, to a file that only the user can read and that is removed at the end.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from analysis.errors import AnalysisError, InputError, LedgerError
from analysis.pipeline.dialect import cause
from analysis.pipeline.formats import Format

NAME = "standard input"
"""What messages call the file."""

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 12  # spaces before the first sign may fill so much


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """What came through a stream.

    Attributes:
        path: The file; its name tells the format that its first bytes have.
        digest: 32 hexadecimal digits that only the same bytes have.
    """

    path: Path
    digest: str


@contextmanager
def spooled(stream: BinaryIO, *, parent: Path | None = None) -> Generator[Spool, None, None]:
    """Copy a stream to a private file for as long as the context is open.

    An error of the package that names the file calls it `standard input` once it has left here.

    Args:
        stream: What is read to its end.
        parent: Folder for the copy; by default the one for temporary files.

    Raises:
        InputError: If the stream is empty or cannot be read.
        LedgerError: If the copy cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="semfn-", dir=parent) as folder:
        path = Path(folder) / "stdin"
        digest = _copy(stream, path)
        path = path.rename(path.with_name(f"{path.name}{_suffix(path)}"))
        try:
            yield Spool(path=path, digest=digest)
        except AnalysisError as error:
            error.args = tuple(
                part.replace(str(path), NAME) if isinstance(part, str) else part
                for part in error.args
            )
            raise


def _copy(stream: BinaryIO, path: Path) -> str:
    """Copy all bytes; return their digest."""
    hasher = hashlib.sha256()
    size = 0
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as copy:
            while block := _read(stream):
                hasher.update(block)
                size += copy.write(block)
    except OSError as error:
        raise LedgerError(
            f"Cannot keep {NAME} in the folder for temporary files: {cause(error)}. Make room "
            "there, or set TMPDIR to another folder."
        ) from error
    if not size:
        raise InputError(f"The {NAME} is empty. Pipe a table into it, or name a file.")
    return hasher.hexdigest()[:32]


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_BLOCK_BYTES)
    except OSError as error:
        raise InputError(f"Cannot read {NAME}: {cause(error)}. Save it to a file first.") from error


def _suffix(path: Path) -> str:
    """Return the suffix for what the file holds."""
    with path.open("rb") as raw:
        head = raw.read(_HEAD_BYTES)
    if not head.startswith(b"\x1f\x8b"):
        return _format(head).value
    try:
        with gzip.open(path, "rb") as unpacked:
            return f"{_format(unpacked.read(_HEAD_BYTES)).value}.gz"
    except (EOFError, zlib.error, OSError):
        return f"{Format.CSV.value}.gz"  # its reader will name the damage


def _format(head: bytes) -> Format:
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return Format.JSONL
    return Format.CSV
