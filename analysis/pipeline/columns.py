"""Which column of a table is the id, the text, the document, the topic and the title.

Pure. `tables` asks it; the messages name what is there and what may have been meant.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.errors import InputError
from analysis.pipeline.formats import HEADINGS, ROLES, TITLE
from analysis.pipeline.output import OUTPUT_COLUMNS

_SHOWN_COLUMNS = 20
_SHOWN_CHARS = 40  # a header may be a chunk by mistake; messages show its start


def find_roles(
    path: Path, columns: tuple[str, ...], named: Mapping[str, str | None]
) -> dict[str, int]:
    """Return role -> index of its column; roles without a column are absent.

    Args:
        path: For messages.
        columns: All columns of the table.
        named: Role -> the column that the user asked for, or None.

    Raises:
        InputError: If the text column or a named one is missing or doubled, or the table has a
            column of ours.
    """
    counts = Counter(columns)
    roles = {}
    for role in ROLES:
        name = named.get(role)
        if role == TITLE and name is None:
            continue
        wanted = role if name is None else as_written(name, columns)
        if counts[wanted] > 1:
            raise InputError(
                f"{path} has {counts[wanted]} columns named {shown(wanted)}. Rename all but one, "
                f"or name another column with --{role}-column."
            )
        if counts[wanted] == 1:
            roles[role] = columns.index(wanted)
        elif name is not None or role == "text":
            raise _missing_column(path, columns, role=role, wanted=wanted)
    ours = [name for name in OUTPUT_COLUMNS if name in counts]
    if ours:
        raise InputError(
            f"{path} already has the column {', '.join(ours)}, which this program writes. Rename "
            "or drop it, or name the file from before labelling as input."
        )
    return roles


def column_notes(columns: tuple[str, ...], roles: Mapping[str, int]) -> tuple[str, ...]:
    """Return what was taken for what, and which columns nearly were."""
    used = ", ".join(
        f"{role} from {shown(columns[roles[role]])}" for role in ROLES if role in roles
    )
    notes = [f"columns used: {used}"]
    if "id" not in roles:
        notes.append("no column 'id': the row number is the id")
    unused = (unused_note(role, columns, roles) for role in ROLES if role not in roles)
    return (*notes, *filter(None, unused))


def unused_note(role: str, columns: Sequence[str], roles: Mapping[str, int]) -> str | None:
    """Return what is said of a column that nearly has a role which no column has."""
    near = _near(role, columns, roles)
    if not near:
        return None
    return f"column {shown(near[0])} is not used as {role}; --{role}-column would use it"


def _near(role: str, columns: Sequence[str], roles: Mapping[str, int]) -> Sequence[str]:
    """Return the columns that may have been meant; for titles few words will do, and none used."""
    if role != TITLE:
        return alike(role, columns)
    free = (name for index, name in enumerate(columns) if index not in roles.values())
    return [name for name in free if name.strip().casefold() in HEADINGS]


def as_written(name: str, columns: Sequence[str]) -> str:
    """Return the name of a column as the table has it, if its accents are coded in another way.

    A keyboard writes é as one character, some programs as two, and nobody sees which. What no
    column, or more than one, is equal to in this sense is returned as it is.
    """
    if name in columns:
        return name
    plain = unicodedata.normalize("NFC", name)
    same = [column for column in columns if unicodedata.normalize("NFC", column) == plain]
    return same[0] if len(same) == 1 else name


def shown(name: str) -> str:
    """Return a name for a message: quoted, control characters escaped, not too long."""
    return repr(name if len(name) <= _SHOWN_CHARS else name[:_SHOWN_CHARS] + "…")


def alike(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that have `name` as one of their words, in any case."""
    wanted = name.strip().casefold()
    return tuple(column for column in columns if wanted in re.split(r"[\W_]+", column.casefold()))


def _missing_column(path: Path, columns: tuple[str, ...], *, role: str, wanted: str) -> InputError:
    """Return the error that names what is there and what may have been meant."""
    near = _nearest(wanted, columns)
    hint = f" Nearest: {', '.join(map(shown, near))}." if near else ""
    names = ", ".join(map(shown, columns[:_SHOWN_COLUMNS]))
    more = len(columns) - _SHOWN_COLUMNS
    rest = f" and {more} more" if more > 0 else ""
    one = " If that is several columns in one, pass --delimiter." if len(columns) == 1 else ""
    if columns[0].lstrip().startswith(("{", "[")):
        one = " If it is JSON Lines, give it a name that ends in .jsonl."
    return InputError(
        f"{path} has no column {shown(wanted)}. The first line must name the columns; found: "
        f"{names}{rest}.{hint} Pass --{role}-column NAME.{one}"
    )


def _nearest(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return up to three columns that may have been meant, without regard to case and spaces."""
    folded = {column.strip().casefold(): column for column in reversed(columns)}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=3, cutoff=0.5)
    both = (*alike(name, columns), *(folded[key] for key in close))
    return tuple(dict.fromkeys(both))[:3]
