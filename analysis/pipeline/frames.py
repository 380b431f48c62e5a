"""DataFrames in and out: a frame as a table of chunks, and verdict columns beside it.

io: writes the table that a run reads. `entry.analyze_dataframe` calls it. The frame handed in is
never changed. A frame that is not of pandas goes through narwhals, which comes with the extra
`frames` and is imported only for such a frame.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import importlib
import re
import sys
import tempfile
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import platformdirs

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.columns import as_written, unused_note
from analysis.pipeline.formats import ROLES as ROLES
from analysis.pipeline.formats import TITLE as TITLE
from analysis.pipeline.formats import Kind
from analysis.pipeline.output import OUTPUT_COLUMNS, output_columns, write_table
from analysis.pipeline.review import check_columns

if TYPE_CHECKING:
    import pandas as pd

    from analysis.pipeline.report import RunSummary

SHOWN_COLUMNS = 20
"""Columns that a message names."""

ROW = "row"
"""Column of the written table that tells the place of a row in the frame."""

_Frame = TypeVar("_Frame")
_DTYPES = {Kind.TEXT: "str", Kind.INTEGER: "Int64", Kind.NUMBER: "Float64"}
_NARWHALS = {Kind.TEXT: "String", Kind.INTEGER: "Int64", Kind.NUMBER: "Float64"}
_READERS = {Kind.TEXT: str, Kind.INTEGER: int, Kind.NUMBER: float}


def columns_of(
    frame: object, named: Mapping[str, Hashable], *, has_review: bool = False
) -> dict[str, int]:
    """Return role -> place of its column; `named` holds what the caller asked for.

    Args:
        frame: Of pandas, or any that narwhals knows and that holds its rows in memory.
        named: Role -> name of the column, or None for the usual name, if it is there; titles only
            come from a column that is named. A name that is no str is meant as it is, such as a
            number, or the tuple of a column with levels.
        has_review: A column of marks will be added, too.

    Raises:
        ConfigurationError: If it is no such frame, the text column or a named one is missing or
            doubled, or the frame already has a column of ours.
    """
    columns = list(_opened(frame).columns)
    names = list(map(_plain, columns))
    if has_review:
        check_columns("The DataFrame", names)
    if ours := [name for name in OUTPUT_COLUMNS if name in names]:
        raise ConfigurationError(
            f"The DataFrame already has the column {', '.join(ours)}, which this call adds. Drop "
            "it, or pass the frame from before labelling."
        )
    found = {}
    for role in ROLES:
        is_named = named.get(role) is not None
        if role == TITLE and not is_named:
            continue
        wanted = named[role] if is_named else role
        among = names if isinstance(wanted, str) else columns
        if isinstance(wanted, str):
            wanted = as_written(wanted, names)
        places = [place for place, name in enumerate(among) if name == wanted]
        if len(places) > 1:
            raise ConfigurationError(f"The DataFrame has {len(places)} columns named {wanted!r}.")
        if places:
            found[role] = places[0]
        elif is_named or role == "text":
            raise _no_column(frame, columns, role=role, wanted=wanted)
    return found


def _no_column(
    frame: object, columns: Sequence[Hashable], *, role: str, wanted: Hashable
) -> ConfigurationError:
    shown = ", ".join(map(repr, columns[:SHOWN_COLUMNS])) or "none at all"
    if len(columns) > SHOWN_COLUMNS:
        shown += ", ..."
    cure = f"Pass {role}_column."
    if _is_pandas(frame) and wanted in frame.index.names:
        cure = "It is in the index: pass frame.reset_index()."
    return ConfigurationError(f"The DataFrame has no column {wanted!r}; it has {shown}. {cure}")


def title_notes(frame: object, columns: Mapping[str, int]) -> tuple[str, ...]:
    """Return what is to be said of a column that may hold titles and is not used."""
    if TITLE in columns:
        return ()
    names = list(map(_plain, _opened(frame).columns))
    note = unused_note(TITLE, names, columns)
    return () if note is None else (in_words_of_frames(note, Path("DataFrame")),)


def write_frame(path: Path, frame: object, columns: Mapping[str, int]) -> str:
    """Write the columns that a run needs as CSV; return a hex digest of what was written.

    Missing values become empty texts; strings such as NA or null stay what they are. Ids,
    documents, topics and titles may be of any type and become their `str`.

    Raises:
        ConfigurationError: If a text is neither a string nor missing, or a cell holds what cannot
            be sent.
    """
    digest = hashlib.sha256()
    roles = list(columns)

    def rows() -> Iterator[Sequence[str]]:
        taken = [_texts(frame, columns[role], is_text=role == "text") for role in roles]
        for row, cells in enumerate(zip(*taken, strict=True)):
            digest.update(repr(cells).encode("utf-8", "surrogatepass"))
            yield (str(row), *cells)

    write_table(path, [ROW, *roles], rows(), delimiter=",", bom=False)
    return digest.hexdigest()[:32]


def with_verdicts(frame: _Frame, path: Path, *, has_review: bool = False) -> _Frame:
    """Return a new frame with the verdict columns of a run's output.

    It holds the rows of the output, in its order: all, or those of a limit or sample.
    """
    places: list[int] = []
    ours = output_columns(has_review=has_review)
    found: dict[str, list[Any]] = {name: [] for name, _ in ours}
    # No field is longer than its file; Windows takes no more than a long.
    longest = min(path.stat().st_size, (1 << 31) - 1)
    csv.field_size_limit(max(csv.field_size_limit(), longest))
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            places.append(int(row[ROW]))
            for name, kind in ours:
                found[name].append(_READERS[kind](row[name]) if row[name] else None)
    kinds = [kind for _, kind in ours]
    beside = _beside_pandas if _is_pandas(frame) else _beside_other
    labeled: _Frame = beside(frame, places, found, kinds)
    return labeled


def attach_summary(frame: object, summary: RunSummary) -> None:
    """Keep the summary of a run with its frame: in `attrs["semfn"]`, which only pandas has.

    Of the paths only that of the ledger is kept; the others were temporary.
    """
    if _is_pandas(frame):
        facts = summary.to_dict() | {"paths": {"ledger": summary.paths["ledger"]}}
        frame.attrs["semfn"] = {
            name: value for name, value in facts.items() if name not in ("inputs", "outputs")
        }


def in_words_of_frames(message: str, path: Path) -> str:
    """Return a message about the table at `path` for the caller who handed in a frame."""
    return re.sub(
        r"--([a-z][a-z-]*)",
        lambda option: f"{option[1].replace('-', '_')}=",
        message.replace(str(path), "DataFrame"),
    )


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for the table of a frame, and remove it at the end.

    Raises:
        LedgerError: If none can be made.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix="semfn-", ignore_cleanup_errors=True)
    except OSError as error:
        raise LedgerError(
            f"No temporary folder can be made: {error}. Make room on the disk, or set TMPDIR to a "
            "folder in which you may write."
        ) from error
    with made as name:
        yield Path(name)


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


def _plain(name: object) -> str:
    """Return the name of a column as text; of levels only the first one if the others are empty."""
    if isinstance(name, tuple) and name and not any(name[1:]):
        return str(name[0])
    return str(name)


def _is_pandas(frame: object) -> TypeGuard[pd.DataFrame]:
    """Tell whether it is a DataFrame of pandas, without importing pandas for it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(frame, pandas.DataFrame)


def _opened(frame: object) -> Any:
    """Return a frame of pandas as it is, another one by way of narwhals."""
    if _is_pandas(frame):
        return frame
    no_frame = ConfigurationError(
        f"A {_type_of(frame)} is no frame that can be labelled. Pass a DataFrame of pandas or "
        "polars, or a Table of pyarrow; a lazy frame needs collect() first."
    )
    if not hasattr(type(frame), "columns"):  # not of the object: a lazy one would work for it
        raise no_frame
    try:
        narwhals = importlib.import_module("narwhals")
    except ImportError as error:
        raise ConfigurationError(
            f"A frame of the type {_type_of(frame)} needs narwhals, which is not installed. "
            "Install it: pip install 'semfn[frames]'; or pass a DataFrame of pandas."
        ) from error
    try:
        return narwhals.from_native(frame, eager_only=True)
    except TypeError as error:
        raise no_frame from error
    except narwhals.exceptions.DuplicateError as error:
        raise ConfigurationError(
            f"The {_type_of(frame)} has several columns of one name, which only pandas can tell "
            "apart. Rename them, or pass its to_pandas()."
        ) from error


def _type_of(value: object) -> str:
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    return kind.__qualname__ if home == "builtins" else f"{home}.{kind.__qualname__}"


def _texts(frame: object, column: int, *, is_text: bool) -> Iterator[str]:
    opened = _opened(frame)
    values: Iterable[tuple[object, bool]]
    if _is_pandas(frame):
        series = frame.iloc[:, column]
        values = zip(series, series.isna(), strict=True)
    else:
        series = opened[:, column]
        values = ((value, value is None) for value in series.to_list())
    name = opened.columns[column]
    for row, (value, is_missing) in enumerate(values, 1):  # as in messages about files
        text = "" if is_missing else str(value)
        if text:
            _check_cell(value, text, f"column {name!r}, row {row}", is_text=is_text)
        yield text


def _check_cell(value: object, text: str, place: str, *, is_text: bool) -> None:
    """Refuse what is no text where one is wanted, and what no request and no file could hold."""
    if is_text and not isinstance(value, str):
        raise ConfigurationError(
            f"DataFrame, {place}: {text[:40]} is of the type {type(value).__name__}, not a "
            "string. Name another column with text_column=, or convert it: .astype(str)."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"DataFrame, {place}: the text holds half a character ({error.reason}). It was read "
            "with a wrong encoding: read it again."
        ) from error
    if "\0" in text:
        raise ConfigurationError(
            f"DataFrame, {place}: the text holds a NUL character. It is damaged: read it again, or "
            "remove the character."
        )


def _beside_pandas(
    frame: Any, places: list[int], found: Mapping[str, list[Any]], kinds: Sequence[Kind]
) -> Any:
    import pandas as pd

    is_whole = len(places) == len(frame)
    labeled = frame.copy(deep=False) if is_whole else frame.iloc[places].copy()
    for (name, values), kind in zip(found.items(), kinds, strict=True):
        key = (name, *[""] * (frame.columns.nlevels - 1)) if frame.columns.nlevels > 1 else name
        labeled[key] = pd.array(values, dtype=_DTYPES[kind])  # type: ignore[call-overload]
    return labeled


def _beside_other(
    frame: Any, places: list[int], found: Mapping[str, list[Any]], kinds: Sequence[Kind]
) -> Any:
    narwhals = importlib.import_module("narwhals")
    opened = narwhals.from_native(frame, eager_only=True)
    labeled = opened if len(places) == len(opened) else opened[places]
    added = [
        narwhals.new_series(
            name, values, getattr(narwhals, _NARWHALS[kind]), backend=opened.implementation
        )
        for (name, values), kind in zip(found.items(), kinds, strict=True)
    ]
    return labeled.with_columns(*added).to_native()
