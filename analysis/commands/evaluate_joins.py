"""Whether two tables of `semfn evaluate` belong together: ids on both sides, rows, and texts.

io: reads the texts of tables. `evaluate_inputs` calls it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sized

from analysis.commands.labelled_tables import LabelledTable
from analysis.errors import InputError
from analysis.evaluation.rows import shown
from analysis.pipeline.formulas import unguard

TEXT = "text"
"""Column of the texts in both tables; where one of them has none, texts are not compared."""


def check_ids(
    one: LabelledTable,
    two: LabelledTable,
    rows: tuple[Sized, Sized],
    *,
    option: str,
    tell: Callable[[str], None],
) -> None:
    """Refuse to join rows without knowing which belong together; say where row numbers do it.

    Args:
        one: The first table: gold, or an output.
        two: The output beside it.
        rows: Rows of both.
        option: Names the column of ids of the first one.
        tell: Shows a line to the user.

    Raises:
        InputError: If only one table has ids, or row numbers of tables of different lengths would
            be joined.
    """
    if (one.id_column is None) != (two.id_column is None):
        without = one if one.id_column is None else two
        option = option if without is one else "--id-column"
        raise InputError(
            f"{without.path} has no column 'id', but the other file has ids. Name the column of "
            f"the ids with {option}."
        )
    if one.id_column is not None:
        return
    first, second = map(len, rows)
    if first != second:
        raise InputError(
            f"{one.path} has {first:,} rows and {two.path} {second:,}, and neither has a column "
            "'id', so nothing says which rows belong together. Name the columns of the ids with "
            f"{_both(option)}, or pass tables of the same rows."
        )
    tell(f"{one.path} and {two.path} have no column 'id': joined by row number.")


def check_texts(one: LabelledTable, two: LabelledTable, *, option: str) -> None:
    """Refuse joined rows whose texts differ in more than spaces; an empty text says nothing.

    Args:
        one: The first table.
        two: The output beside it; ids of both are unique.
        option: Names the column of ids of the first one.

    Raises:
        InputError: Names the first row.
    """
    texts, name, count = dict(_texts(one)), "", 0
    for other, text in _texts(two) if texts else ():  # not held: there may be millions
        if texts.get(other, text) != text:
            name, count = name if count else other, count + 1
    if not count:
        return
    row = f"row {name}" if two.id_column is None else f"the row with id {shown(name)}"
    more = count - 1
    rest = f", and so {'has' if more == 1 else 'have'} {more:,} more" if more else ""
    raise InputError(
        f"In {one.path} and {two.path}, {row} has two different texts{rest}, so labels of "
        f"different chunks would be compared. Name columns of ids that belong together with "
        f"{_both(option)}; where only a wording was edited, take the column {TEXT!r} out of one "
        "file."
    )


def _both(option: str) -> str:
    return option if option == "--id-column" else f"{option} and --id-column"


def _texts(table: LabelledTable) -> Iterator[tuple[str, int]]:
    """Yield id and hash of each text that is not empty; nothing without one column of that name."""
    if table.reader.columns.count(TEXT) != 1:
        return
    for number, (name, text) in table.cells((table.id_column, TEXT)):
        if plain := _plain(text):
            yield str(number) if table.id_column is None else name, hash(plain)


def _plain(text: str) -> str:
    """Return a text without what a spreadsheet adds, or an editor changes, unseen."""
    return " ".join(unicodedata.normalize("NFC", unguard(text)).split())
