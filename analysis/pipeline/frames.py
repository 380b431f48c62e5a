"""DataFrames in and out: a frame as a table of chunks, and verdict columns beside it.

io: writes the table that a run reads. `entry.analyze_dataframe` calls it. The frame handed in is
never changed.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.output import OUTPUT_COLUMNS, write_table
from analysis.settings import SETTINGS

if TYPE_CHECKING:
    import pandas as pd

ROLES = ("id", "text", "document", "topic")

_COUNTS = ("semfn_pack", "semfn_attempts")
_NUMBERS = ("semfn_confidence", "semfn_latency_ms")


def columns_of(frame: pd.DataFrame, named: Mapping[str, str | None]) -> dict[str, str]:
    """Return role -> column of the frame; `named` holds what the caller asked for.

    Raises:
        ConfigurationError: If the text column or a named one is missing or doubled, or the frame
            already has a column of ours.
    """
    names = [str(name) for name in frame.columns]
    if ours := [name for name in OUTPUT_COLUMNS if name in names]:
        raise ConfigurationError(
            f"The DataFrame already has the column {', '.join(ours)}, which this call adds. Drop "
            "it, or pass the frame from before labelling."
        )
    found = {}
    for role in ROLES:
        wanted = named.get(role) or role
        count = names.count(wanted)
        if count > 1:
            raise ConfigurationError(f"The DataFrame has {count} columns named {wanted!r}.")
        if count == 1:
            found[role] = wanted
        elif named.get(role) is not None or role == "text":
            raise ConfigurationError(
                f"The DataFrame has no column {wanted!r}; it has {', '.join(map(repr, names))}. "
                f"Pass {role}_column."
            )
    return found


def write_frame(path: Path, frame: pd.DataFrame, columns: Mapping[str, str]) -> str:
    """Write the columns that a run needs as CSV; return a hex digest of what was written.

    Missing values become empty texts, everything else its `str`; strings such as NA or null stay
    what they are.
    """
    digest = hashlib.sha256()
    roles = list(columns)

    def rows() -> Iterator[Sequence[str]]:
        taken = [_texts(frame[columns[role]]) for role in roles]
        for cells in zip(*taken, strict=True):
            digest.update(repr(cells).encode("utf-8", "surrogatepass"))
            yield cells

    write_table(path, roles, rows(), delimiter=",", bom=False)
    return digest.hexdigest()[:32]


def _texts(column: pd.Series[Any]) -> Iterator[str]:
    for value, is_missing in zip(column, column.isna(), strict=True):
        yield "" if is_missing else str(value)


def in_words_of_frames(message: str, path: Path) -> str:
    """Return a message about the table at `path` for the caller who handed in a frame."""
    return re.sub(
        r"--([a-z][a-z-]*)",
        lambda option: f"{option[1].replace('-', '_')}=",
        message.replace(str(path), "DataFrame"),
    )


def state_ledger(digest: str) -> Path:
    """Return where the ledger of a frame with this digest is kept; makes the folder.

    Raises:
        LedgerError: If the state folder cannot be made.
    """
    folder = platformdirs.user_state_path("semfn", appauthor=False) / "frames"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"The state folder {folder} cannot be made: {error}. Pass ledger=PATH."
        ) from error
    return folder / f"{digest}.semfn.sqlite"


def with_verdicts(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return a new frame with the verdict columns of a run's output, row by row."""
    import pandas as pd

    found: dict[str, list[str]] = {name: [] for name in OUTPUT_COLUMNS}
    csv.field_size_limit(max(csv.field_size_limit(), SETTINGS.field_bytes))
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            for name in OUTPUT_COLUMNS:
                found[name].append(row[name])
    added: dict[str, Any] = {}
    for name, cells in found.items():
        values = [cell or None for cell in cells]
        if name in _COUNTS:
            added[name] = pd.array([value and int(value) for value in values], dtype="Int64")
        elif name in _NUMBERS:
            added[name] = pd.array([value and float(value) for value in values], dtype="Float64")
        else:
            added[name] = pd.array(values, dtype="str")
    beside = pd.DataFrame(added, index=frame.index)
    return pd.concat([frame, beside], axis="columns")
