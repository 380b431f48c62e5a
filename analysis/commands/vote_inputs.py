"""What `semfn vote` counts: outputs of several runs, joined by the ids of the first one.

io. `vote` calls `read_ballots`; the tables are read by `labelled_tables`. Held in memory are the
ids and a digest of each text of the first output, a reference per row and output, and the rows of
one output at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.commands.labelled_tables import LabelledTable, open_labelled, read_output
from analysis.commands.vote_facts import common_label_set, facts_beside, notes_on
from analysis.commands.voted_table import VOTES_COLUMN
from analysis.errors import ConfigurationError, InputError
from analysis.evaluation.cells import LabelReader
from analysis.evaluation.rows import OutputRow, by_id, shown
from analysis.evaluation.votes import ABSENT, Opinion
from analysis.labels.label_set import LabelSet
from analysis.pipeline.bill import SIMULATED_MODELS
from analysis.pipeline.dialect import check_file
from analysis.pipeline.formulas import unguard

TEXT = "text"
"""Column of the texts where no option names one."""

_FEWEST = 2
_SHOWN_IDS = 5

Options = Mapping[str, Any]
"""Those of the command, by name."""

Tell = Callable[[str], None]
"""Shows a line to the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """One output.

    Attributes:
        path: The file.
        rows: All of its rows.
        labelled: Those with a label.
        simulated: `all`, `part` or `none` of these have labels of rules or of the local service.
        missing: Rows of the first output that it does not have.
        first_missing: Id of the first of them, or None.
        extra: Rows that the first output does not have; they are left out.
        first_extra: Id of the first of them, or None.
    """

    path: Path
    rows: int
    labelled: int
    simulated: str
    missing: int = 0
    first_missing: str | None = None
    extra: int = 0
    first_extra: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballots:
    """All that is counted.

    Attributes:
        label_set: What all labels are keys of.
        voters: The outputs, in the order in which they were named.
        opinions: Per output what it says of each row of the first one, in the order of that one.
        notes: What makes the count worth less, one sentence each.
    """

    label_set: LabelSet
    voters: tuple[Voter, ...]
    opinions: tuple[tuple[Opinion, ...], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """Opened outputs.

    Attributes:
        tables: In the order in which they were named.
        stamp: Size and modification time (ns) of the first one when it was opened.
    """

    tables: tuple[LabelledTable, ...]
    stamp: tuple[int, int]


def open_outputs(options: Options, tell: Tell) -> Polled:
    """Open the outputs and check what can be told without reading their rows.

    Args:
        options: Those of the command, by name.
        tell: Shows what was assumed about the files.

    Raises:
        ConfigurationError: If there are fewer than two outputs, or an option cannot be used.
        InputError: If a file cannot be opened, or is named twice or no output of a run.
    """
    paths: Sequence[Path] = options["outputs"]
    if len(paths) < _FEWEST:
        raise ConfigurationError(
            "Votes need two outputs or more. Name the outputs of other runs over the same input as "
            "well, such as one with --model or --max-chunks-per-request."
        )
    stamp = check_file(paths[0])
    tables = tuple(_opened(options, path) for path in paths)
    for table in tables:
        for note in table.notes:
            tell(f"{table.path}: {note}.")
    _check_distinct(paths)
    _check_ids(tables)
    return Polled(tables=tables, stamp=stamp)


def _opened(options: Options, path: Path) -> LabelledTable:
    table = open_labelled(
        path,
        id_column=options["id_column"],
        encoding=options["encoding"],
        delimiter=options["delimiter"],
    )
    if VOTES_COLUMN in table.reader.columns:
        raise InputError(
            f"{path} has the column {VOTES_COLUMN!r}, so it was counted from votes itself. Name "
            "the outputs of the runs from which it was made."
        )
    return table


def _check_distinct(paths: Sequence[Path]) -> None:
    for index, path in enumerate(paths):
        if any(path.samefile(other) for other in paths[:index]):
            raise InputError(f"{path} is named twice. An output has one vote; name it once.")


def _check_ids(tables: Sequence[LabelledTable]) -> None:
    """Refuse to join ids of one file with row numbers of another."""
    without = [table for table in tables if table.id_column is None]
    if without and len(without) < len(tables):
        raise InputError(
            f"{without[0].path} has no column 'id', but another output has ids. Name the column of "
            "the ids with --id-column."
        )


def read_ballots(options: Options, tables: Sequence[LabelledTable]) -> Ballots:
    """Read all outputs and join them.

    Raises:
        ConfigurationError: If the outputs have different label sets.
        InputError: If a row cannot be read, a label is unknown, ids are doubled or meet nowhere, or
            texts differ.
    """
    found = [facts_beside(table.path) for table in tables]
    facts = [one for one in found if one is not None]
    label_set = common_label_set(options["label_set"], facts)
    known: dict[Opinion, Opinion] = {}
    first = by_id(read_output(tables[0], LabelReader(label_set)), str(tables[0].path))
    places = {name: place for place, name in enumerate(first)}
    opinions = [tuple(_opinions(first.values(), known))]
    voters = [_voter(tables[0].path, first.values())]
    del first  # the rows of one output at a time are enough
    for table in tables[1:]:
        voter, placed = _placed(table, LabelReader(label_set), tables[0].path, places, known)
        voters.append(voter)
        opinions.append(placed)
    notes = [*notes_on(facts), *_check_texts(options, tables)]
    return Ballots(
        label_set=label_set,
        voters=tuple(voters),
        opinions=tuple(opinions),
        notes=tuple(notes),
    )


def _placed(
    table: LabelledTable,
    labels: LabelReader,
    first: Path,
    places: Mapping[str, int],
    known: dict[Opinion, Opinion],
) -> tuple[Voter, tuple[Opinion, ...]]:
    """Return an output, and what it says of each row of the first one in the order of that one."""
    rows = by_id(read_output(table, labels), str(table.path))
    placed = [ABSENT] * len(places)
    for name, opinion in zip(rows, _opinions(rows.values(), known), strict=True):
        if name in places:
            placed[places[name]] = opinion
    return _beside(table.path, rows, first, places), tuple(placed)


def _opinions(rows: Iterable[OutputRow], known: dict[Opinion, Opinion]) -> Iterable[Opinion]:
    """Yield what each row says; the same opinion is the same object, which bounds memory."""
    for row in rows:
        models = row.models if row.labels else ()
        opinion = Opinion(labels=row.labels, models=models, error=row.error)
        yield known.setdefault(opinion, opinion)


def _voter(path: Path, rows: Iterable[OutputRow], **beside: Any) -> Voter:
    models = [row.model in SIMULATED_MODELS for row in rows if row.labels]
    part = "all" if all(models) else "part"
    return Voter(
        path=path,
        rows=sum(1 for _ in rows),
        labelled=len(models),
        simulated=part if any(models) else "none",
        **beside,
    )


def _beside(
    path: Path, rows: Mapping[str, OutputRow], first: Path, places: Mapping[str, int]
) -> Voter:
    """Return an output beside the first one.

    Raises:
        InputError: If they share no id.
    """
    missing = [name for name in places if name not in rows]
    extra = [name for name in rows if name not in places]
    if rows and places and len(extra) == len(rows):
        raise InputError(
            f"No id of {first} is in {path}: the first ones are {shown(missing[0])} and "
            f"{shown(extra[0])}. All must be outputs of the same input; name the column of the ids "
            "with --id-column."
        )
    return _voter(
        path,
        rows.values(),
        missing=len(missing),
        first_missing=next(iter(missing), None),
        extra=len(extra),
        first_extra=next(iter(extra), None),
    )


def _check_texts(options: Options, tables: Sequence[LabelledTable]) -> list[str]:
    """Refuse outputs that have another text under an id; return what could not be compared."""
    column: str = options["text_column"] or TEXT
    notes = []
    if options["text_column"] is None:
        without = [table for table in tables if column not in table.reader.columns]
        tables = [table for table in tables if column in table.reader.columns]
        notes = [
            f"The texts of {table.path} were not compared: it has no column {column!r}. "
            "--text-column names another one."
            for table in without
        ]
        if len(tables) < _FEWEST:
            return notes
    first = dict(_texts(tables[0], column))
    for table in tables[1:]:
        others = ((name, first.get(name, text), text) for name, text in _texts(table, column))
        differing = [name for name, one, two in others if one != two]
        if differing:
            names = ", ".join(map(shown, differing[:_SHOWN_IDS]))
            rows = "1 row has" if len(differing) == 1 else f"{len(differing):,} rows have"
            raise InputError(
                f"{rows} another text in {table.path} than in {tables[0].path} under the same id: "
                f"{names}. Label the same input with both, or name the column of the ids with "
                "--id-column."
            )
    return notes


def _texts(table: LabelledTable, column: str) -> Iterable[tuple[str, int]]:
    """Yield id and digest of each text; an apostrophe of `--csv-formulas guard` does not count."""
    table.place(column, "--text-column")
    for number, (name, text) in table.cells((table.id_column, column)):
        yield (str(number) if table.id_column is None else name), hash(unguard(text))
