"""What an evaluation looks at: labelled rows, gold rows, and pairs of the two.

Pure. `commands.evaluate` makes rows from tables; `findings` compares them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from analysis.errors import InputError

Labels = tuple[str, ...]
"""Label keys of one chunk, the primary one first; empty where there is none."""

NONE = "(none)"
"""Stands for a missing label in tables of figures and in counts of votes."""

VOTES = "votes"
"""Route of a row whose label was counted from several outputs."""

BETWEEN_MODELS = "; "
"""Stands between the models of such a row."""

_SHOWN_IDS = 5
_SHOWN_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldRow:
    """What people say of one chunk.

    Attributes:
        id: The chunk, a raw string.
        labels: Gold labels; empty where the cell is.
        is_ignored: The mapping leaves this gold label out.
        document: The document of the chunk, if a column names it.
    """

    id: str
    labels: Labels
    is_ignored: bool = False
    document: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRow:
    """What a run says of one chunk: the columns that it wrote.

    Attributes:
        id: The chunk, a raw string.
        labels: At most two; empty where the row has no label.
        document: The document of the chunk, if a column names it.
        route: Route that answered, or empty.
        model: Model that answered, or empty; of votes all of them, see `models`.
        confidence: 0 to 1, or None where the route states none.
        attempts: Requests of this run that the chunk was in, or None where the column is missing.
        error: Kind of failure, or empty.
    """

    id: str
    labels: Labels
    document: str | None = None
    route: str = ""
    model: str = ""
    confidence: float | None = None
    attempts: int | None = None
    error: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """The models behind the label; more than one only where it was counted from votes."""
        return tuple(self.model.split(BETWEEN_MODELS)) if self.model else ()

    @property
    def is_reused(self) -> bool:
        """Whether the label was taken from an earlier answer: nothing was asked for this row."""
        return self.attempts == 0 and bool(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two opinions on one chunk: gold and output, or two outputs.

    Attributes:
        id: The chunk.
        first: Gold labels, or those of the first output.
        second: Labels of the output, or those of the other output; empty where there is none.
        document: The document of the chunk, or None.
    """

    id: str
    first: Labels
    second: Labels
    document: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether both have the same primary label."""
        return self.first[:1] == self.second[:1]


_First = TypeVar("_First", GoldRow, OutputRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(Generic[_First]):
    """Rows of two tables joined by id.

    Attributes:
        pairs: Rows with the same id, in the order of the second table.
        only_first: Ids that only the first table has, in its order.
        only_second: Ids that only the second table has, in its order.
    """

    pairs: tuple[tuple[_First, OutputRow], ...] = field(repr=False)
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def match(
    first: Sequence[_First],
    second: Sequence[OutputRow],
    *,
    first_name: str,
    second_name: str,
    ids: str = "",
) -> Match[_First]:
    """Join two tables by id; ids are compared as raw strings.

    Args:
        first: Rows of gold, or of the first output.
        second: Rows of the output, or of the other output.
        first_name: The first table, for messages.
        second_name: The second table, for messages.
        ids: What to do when no id is in both, one sentence.

    Raises:
        InputError: If an id is empty or doubled in one table, or no id is in both.
    """
    ours, theirs = by_id(first, first_name), by_id(second, second_name)
    pairs = tuple((ours[name], row) for name, row in theirs.items() if name in ours)
    if not pairs and ours and theirs:
        raise InputError(
            f"No id of {first_name} is in {second_name}: the first ones are "
            f"{shown(next(iter(ours)))} and {shown(next(iter(theirs)))}. "
            f"{_CODED * _are_twins(ours, theirs)}{ids}".rstrip()
        )
    return Match(
        pairs=pairs,
        only_first=tuple(name for name in ours if name not in theirs),
        only_second=tuple(name for name in theirs if name not in ours),
    )


_CODED = (
    "They differ only in how accents are coded (é as one character or as two): write them in one "
    "way, such as Unicode NFC. "
)


def _are_twins(ours: Iterable[str], theirs: Iterable[str]) -> bool:
    """Tell whether ids of both look the same; nobody would find the difference by eye."""
    plain = [{unicodedata.normalize("NFC", name) for name in names} for names in (ours, theirs)]
    return not plain[0].isdisjoint(plain[1])


_Row = TypeVar("_Row", GoldRow, OutputRow)


def by_id(rows: Iterable[_Row], name: str) -> Mapping[str, _Row]:
    """Return the rows by id, in their order.

    Raises:
        InputError: If an id is empty, or occurs twice; names the first ones.
    """
    found: dict[str, _Row] = {}
    doubled: dict[str, None] = {}
    empty = double = 0
    for row in rows:
        empty += not row.id
        if row.id in found and row.id:
            double += 1
            doubled[row.id] = None
        found.setdefault(row.id, row)
    if empty:
        raise InputError(
            f"{name}: {empty:,} rows have an empty id, so they cannot be joined. Fill them, or "
            "name another id column."
        )
    if double:
        first = ", ".join(map(shown, list(doubled)[:_SHOWN_IDS]))
        raise InputError(
            f"{name}: {double:,} rows repeat the id of an earlier row, first {first}. Make the "
            "ids unique, or name another id column."
        )
    return found


def shown(text: str) -> str:
    """Return a text for a message: quoted, control characters escaped, not too long."""
    return repr(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…")
