"""Rows of a CSV or TSV file; every cell is text.

io. `tables` opens it. How the file itself is read is up to `analysis.pipeline.dialect`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.errors import InputError
from analysis.pipeline.dialect import Dialect, detect, records
from analysis.pipeline.formats import ROLES, Cells, Kind, Record, json_value


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRows:
    """A CSV file whose header is known; its cells are the cells of the file.

    Attributes:
        dialect: How the file is written.
        columns: The header, or those of its columns that are kept.
        kept: Places of these in a line of the file, or None for all.
    """

    dialect: Dialect
    columns: tuple[str, ...]
    kept: tuple[int, ...] | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All cells of a text file are text."""
        return (Kind.TEXT,) * len(self.columns)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed about the file."""
        return self.dialect.notes

    def narrowed(self, kept: Sequence[int]) -> CsvRows:
        """Return a reader of the same rows that knows only these columns, in this order."""
        places = tuple(kept if self.kept is None else (self.kept[at] for at in kept))
        return replace(self, columns=tuple(self.columns[at] for at in kept), kept=places)

    def check_roles(self, roles: Mapping[str, int]) -> None:
        """Text can be anything, so nothing is refused."""

    def records(self, roles: Mapping[str, int]) -> Generator[Record, None, None]:
        """Yield the rows.

        Raises:
            InputError: If a row cannot be read, or has more or fewer cells than the header.
        """
        kept = self.kept
        id_at, text_at, document_at, topic_at, title_at = (roles.get(role) for role in ROLES)
        assert text_at is not None  # a table without texts is not opened
        with closing(records(self.dialect)) as lines:
            _, header = next(lines, (0, self.columns))
            width = len(header)
            for number, (line, cells) in enumerate(lines, start=1):
                if len(cells) != width:
                    raise self._ragged(number, line, cells, width)
                if kept is not None:
                    cells = [cells[at] for at in kept]
                yield (
                    number,
                    line,
                    tuple(cells),
                    (
                        None if id_at is None else cells[id_at],
                        cells[text_at],
                        "" if document_at is None else cells[document_at],
                        "" if topic_at is None else cells[topic_at],
                        "" if title_at is None else cells[title_at],
                    ),
                )

    def _ragged(self, number: int, line: int, cells: Sequence[str], width: int) -> InputError:
        return InputError(
            f"{self.dialect.path}, line {line} (row {number}): {len(cells)} cells, but the "
            f"header has {width} columns. A cell that holds the delimiter "
            f"{self.dialect.delimiter!r} needs quotes around it; a cell that is missing needs "
            "its delimiter."
        )

    def size(self, cells: Cells) -> int:
        """Return the characters of all cells."""
        return sum(map(len, cells))

    def texts(self, cells: Cells) -> Sequence[str]:
        """Return the cells."""
        return cells

    def values(self, cells: Cells) -> Sequence[object]:
        """Return the cells."""
        return cells

    def json(self, cells: Cells) -> bytes:
        """Return an object with a string per column; the names must differ."""
        return json_value(dict(zip(self.columns, cells, strict=True)))


def open_csv(path: Path, *, encoding: str | None, delimiter: str | None, row_chars: int) -> CsvRows:
    """Open a CSV file; see `dialect.detect`."""
    dialect, columns = detect(path, encoding=encoding, delimiter=delimiter, row_chars=row_chars)
    return CsvRows(dialect=dialect, columns=columns)
