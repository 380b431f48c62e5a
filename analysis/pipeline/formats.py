"""The formats that a table can have, and what the reader of each one promises.

io by name only: nothing is opened here. `tables` picks the reader, `sinks` the writer; both go by
the name of the file.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from analysis.errors import ConfigurationError

ROLES = ("id", "text", "document", "topic", "title")
"""What a column can be to us; everything else is carried along."""

TITLE = "title"
"""The role that a column has only where the user names it: a column called so may hold anything,
and what is sent must not change because a table has one."""

HEADINGS = ("title", "headline")
"""Names of columns, in any case, that may hold titles."""

STREAM = "-"
"""Stands for standard input and standard output."""


class Format(Enum):
    """How a table is written; the value is the suffix."""

    CSV = ".csv"
    TSV = ".tsv"
    JSONL = ".jsonl"
    PARQUET = ".parquet"


_SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
}


_FOREIGN = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"), Format.CSV),
    **dict.fromkeys((".zip", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz", ".zst"), Format.CSV),
    **dict.fromkeys((".pdf", ".doc", ".docx", ".odt", ".html", ".xml"), Format.CSV),
    **dict.fromkeys((".sqlite", ".db", ".pkl", ".pickle", ".npy"), Format.CSV),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".avro"), Format.PARQUET),
    **dict.fromkeys((".json", ".yaml", ".yml"), Format.JSONL),
}
"""Suffixes of formats that are not written here -> the nearest one that is."""


class Kind(Enum):
    """What the values of a column are, where they are not missing."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OTHER = "other"  # nested values, or several kinds in one column


Cells = tuple[Any, ...]
"""What a reader holds of a row; only the same reader can tell what is in it."""

Named = tuple[str | None, str, str, str, str]
"""Id (None where the table has no ids), text, document, topic and title; missing values are
empty."""

Record = tuple[int, int, Cells, Named]
"""Number of the row from 1, line of the file on which it starts, cells, and what we need of it."""


class Reader(Protocol):
    """Reads the rows of one file again and again, and tells what its own cells hold.

    Attributes:
        columns: Names of all columns, in the order of the file.
        kinds: Of each column.
        notes: What was assumed, one line each, to be shown to the user.
    """

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def kinds(self) -> tuple[Kind, ...]: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def narrowed(self, kept: Sequence[int]) -> Reader:
        """Return a reader of the same rows that knows only these columns, in this order."""

    def check_roles(self, roles: Mapping[str, int]) -> None:
        """Refuse columns whose type cannot be what they are to be; raises InputError."""

    def records(self, roles: Mapping[str, int]) -> Generator[Record, None, None]:
        """Yield the rows; raises InputError if one cannot be read.

        Args:
            roles: Role -> index of its column.
        """

    def size(self, cells: Cells) -> int:
        """Return about how much memory a row takes, in characters."""

    def texts(self, cells: Cells) -> Sequence[str]:
        """Return the values of a row as text, one per column; a missing one is empty."""

    def values(self, cells: Cells) -> Sequence[object]:
        """Return the values of a row by the kinds of their columns; what is OTHER as text."""

    def json(self, cells: Cells) -> bytes:
        """Return a row as one JSON object without a line end."""


def suffix_of(path: Path) -> str:
    """Return the suffix that tells the format, in small letters, without `.gz`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def is_packed(path: Path) -> bool:
    """Tell whether the name says that the file is packed by gzip."""
    return path.suffix.lower() == ".gz"


def known_format(path: Path) -> Format | None:
    """Return the format that a file's name tells, or None."""
    return _SUFFIXES.get(suffix_of(path))


def format_of(path: Path) -> Format:
    """Return the format that a file's name tells; names that tell nothing are read as CSV."""
    return known_format(path) or Format.CSV


def check_output_name(output: Path | str) -> None:
    """Refuse an output whose name promises a format that is not written.

    Raises:
        ConfigurationError: Says which name to take instead.
    """
    path = Path(output)
    nearest = _FOREIGN.get(suffix_of(path))
    if nearest is not None:
        stem = path.name[: -len(path.suffix)] if not is_packed(path) else path.with_suffix("").stem
        raise ConfigurationError(
            f"{output} would be a file of another kind than its name says: {suffix_of(path)} is "
            f"not written. Name it {path.with_name(stem + nearest.value)}."
        )


def known_suffixes() -> str:
    """Return the suffixes of all formats for a message."""
    return ", ".join(_SUFFIXES)


def json_value(value: object) -> bytes:
    """Return a value as compact JSON; what JSON does not know becomes a string."""
    return msgspec.json.encode(value, enc_hook=_written)


def as_text(value: object) -> str:
    """Return a value for a text cell.

    A string stays what it is, a missing value is empty, everything else is its compact JSON, of
    which a string, such as the one of a date, goes without its quotes.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    encoded = json_value(value)
    if encoded == b"null":  # a number that is none
        return ""
    if encoded.startswith(b'"'):
        return msgspec.json.decode(encoded, type=str)
    return encoded.decode()


def _written(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
