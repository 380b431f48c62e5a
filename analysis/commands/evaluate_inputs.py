"""What `semfn evaluate` compares: options and files as joined rows.

io. `evaluate` calls `read_inputs`; the tables are read by `labelled_tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.commands.evaluate_joins import check_ids, check_texts
from analysis.commands.evaluate_origins import (
    check_mapping,
    known_facts,
    notes_on,
)
from analysis.commands.labelled_tables import (
    LabelledTable,
    open_labelled,
    read_gold,
    read_output,
)
from analysis.commands.vote_facts import VoterFacts, chosen_label_set
from analysis.errors import ConfigurationError
from analysis.evaluation.cells import LabelReader
from analysis.evaluation.extra import check_extra
from analysis.evaluation.findings import Evaluation
from analysis.evaluation.mapping import Mapping as LabelMapping
from analysis.evaluation.rows import GoldRow, Match, OutputRow, match, shown
from analysis.pipeline.bill import SIMULATED_MODELS
from analysis.pipeline.dialect import cause

GOLD_COLUMN = "label"
"""Column of the gold labels where no option names one."""

_SHOWN_ORIGINS = 10

Options = Mapping[str, Any]
"""Those of the command, by name."""

Tell = Callable[[str], None]
"""Shows a line to the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """An output beside its gold labels.

    Attributes:
        title: Where the gold labels come from.
        matched: Joined rows.
    """

    title: str
    matched: Match[GoldRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Two outputs side by side.

    Attributes:
        names: How they are called.
        matched: Joined rows.
        gold: The second one beside the gold labels, or None where that is not asked.
    """

    names: tuple[str, str]
    matched: Match[OutputRow]
    gold: Match[GoldRow] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that an evaluation needs; at least one of `gold` and `other` is there.

    Attributes:
        how: Label set, mapping and further choices.
        output: The output, as the user named it.
        gold: Its gold labels, or None.
        other: What it is compared with, or None.
        paths: Files that were read, so that none of them is written.
        notes: What differs in how the outputs were made, one sentence each.
    """

    how: Evaluation
    output: str
    gold: Gold | None
    other: Other | None
    paths: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _GoldTable:
    """Gold labels of a table, and how the table is called."""

    table: LabelledTable
    rows: Sequence[GoldRow]
    title: str


def read_inputs(options: Options, tell: Tell) -> Inputs:
    """Read and join everything that the options name.

    Args:
        options: Those of the command, by name.
        tell: Shows what was assumed about the files.

    Raises:
        ConfigurationError: If options cannot be combined or used, or scikit-learn is missing.
        InputError: If a file cannot be read, a label is unknown, or rows cannot be joined.
    """
    _check(options)
    check_extra()  # before large files are read
    outputs = [path for path in (options["output"], options["against"]) if path is not None]
    facts = known_facts(outputs, tell)
    how = _how(options, facts)
    table = _opened(options, options["output"], tell)
    rows = read_output(table, LabelReader(how.label_set))
    paths = [table.path]
    gold = None
    if _wants_gold(options):
        gold = _gold(options, table, how, tell)
        paths.append(gold.table.path)
    other = None
    if options["against"] is not None:
        second = _opened(options, options["against"], tell)
        paths.append(second.path)
        other = _against(table, rows, second, how, gold, tell)
    elif options["between"]:
        other = _between(table, rows, options["between"])
    return Inputs(
        how=how,
        output=str(table.path),
        gold=None
        if gold is None
        else Gold(title=gold.title, matched=_beside_gold(gold, table, rows, tell)),
        other=other,
        paths=tuple(paths),
        notes=notes_on(facts, how.label_set),
    )


def _wants_gold(options: Options) -> bool:
    return options["gold"] is not None or options["gold_column"] is not None


def _check(options: Options) -> None:
    """Refuse options that leave nothing to compare, or contradict each other."""
    wants_gold = _wants_gold(options)
    has_other = options["against"] is not None or bool(options["between"])
    if not wants_gold and not has_other:
        raise ConfigurationError(
            "There is nothing to compare with. Pass --gold FILE, --gold-column NAME of a column in "
            "OUTPUT, --against OTHER, or --between with two routes."
        )
    if options["against"] is not None and options["between"]:
        raise ConfigurationError("--against and --between cannot be combined. Pass one of them.")
    if wants_gold and options["between"]:
        raise ConfigurationError(
            "--between cannot be combined with gold labels. The evaluation against gold shows "
            "each route and model in a line of its own; pass one of the two."
        )
    separator = options["gold_separator"]
    if separator is not None and not separator.strip():
        raise ConfigurationError(
            "--gold-separator is blank, but names of labels hold spaces. Pass a sign such as ';'."
        )
    if not wants_gold:
        for name in ("gold_column_2", "gold_separator", "mapping", "min_confidence"):
            if options[name] is not None:
                option = name.replace("_", "-")
                raise ConfigurationError(f"--{option} needs gold labels. Pass --gold as well.")


def _how(options: Options, facts: Sequence[VoterFacts]) -> Evaluation:
    """Load label set and mapping.

    Where no option names the set, the mapping does, or the results beside the output.
    """
    mapping = None if options["mapping"] is None else _mapping(options["mapping"])
    named = options["label_set"] or (None if mapping is None else mapping.label_set)
    if mapping is not None and options["label_set"] is None:
        check_mapping(mapping, facts)
    label_set = chosen_label_set(named, facts)
    if mapping is not None:
        mapping.check(label_set)
    return Evaluation(
        label_set=label_set,
        mapping=mapping,
        simulated_models=SIMULATED_MODELS,
        resamples=options["resamples"],
        seed=options["seed"],
        min_confidence=options["min_confidence"],
    )


def _mapping(name: str) -> LabelMapping:
    """Load a mapping by name, or from a file: the same rule as for label sets."""
    if not name.endswith(".toml") and "/" not in name and "\\" not in name:
        return LabelMapping.load(name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"Cannot read the mapping {name}: {cause(error)}. Name a TOML file in UTF-8."
        ) from error
    return LabelMapping.parse(text, source=name)


def _opened(options: Options, path: Path, tell: Tell) -> LabelledTable:
    table = open_labelled(
        path,
        id_column=options["id_column"],
        document_column=options["document_column"],
        encoding=options["encoding"],
        delimiter=options["delimiter"],
    )
    return _told(table, tell)


def _told(table: LabelledTable, tell: Tell) -> LabelledTable:
    for note in table.notes:
        tell(f"{table.path}: {note}.")
    return table


def _gold(options: Options, output: LabelledTable, how: Evaluation, tell: Tell) -> _GoldTable:
    """Read the gold labels, from a file or from the output itself."""
    table, column = output, options["gold_column"]
    if options["gold"] is not None and _is_column(options, output):
        column = options["gold"]
    elif options["gold"] is not None:
        table = open_labelled(
            Path(options["gold"]),
            id_column=options["gold_id_column"],
            encoding=options["gold_encoding"],
            delimiter=options["gold_delimiter"],
            side="gold-",
        )
        _told(table, tell)
    columns = [column or GOLD_COLUMN]
    if options["gold_column_2"] is not None:
        columns.append(options["gold_column_2"])
    elif (second := f"{columns[0]}2") in table.reader.columns:
        tell(f"{table.path}: column {second!r} is not used; --gold-column-2 {second} would use it.")
    for name, option in zip(columns, ("--gold-column", "--gold-column-2"), strict=False):
        table.place(name, option)
    cure = "Correct them, or pass the right --label-set or --mapping."
    if options["gold_separator"] is None:
        cure += " Several labels in one cell need --gold-separator."
    labels = LabelReader(how.label_set, mapping=how.mapping, separator=options["gold_separator"])
    rows = read_gold(table, labels, columns, cure)
    title = " and ".join(f"column {shown(name)}" for name in columns)
    if table is not output:
        title = f"{title} of {table.path}"
    return _GoldTable(table=table, rows=rows, title=title)


def _is_column(options: Options, output: LabelledTable) -> bool:
    """Tell whether `--gold` names a column of the output, and no file."""
    name = options["gold"]
    is_column = name in output.reader.columns
    if not Path(name).exists():
        if not is_column:
            raise ConfigurationError(
                f"--gold {name} is neither a file nor a column of {output.path}. Its columns are: "
                f"{', '.join(map(shown, output.reader.columns))}."
            )
        if options["gold_column"] is not None:
            raise ConfigurationError(
                f"--gold {name} names a column, and so does --gold-column. Pass one of them."
            )
        return True
    if is_column:
        raise ConfigurationError(
            f"--gold {name} is both a file and a column of {output.path}. Pass --gold-column "
            f"{name} for the column, or --gold ./{name} for the file."
        )
    return False


def _beside_gold(
    gold: _GoldTable, table: LabelledTable, rows: Sequence[OutputRow], tell: Tell
) -> Match[GoldRow]:
    """Join an output with gold: row by row in the same file, else by id."""
    if gold.table is table:
        return Match(pairs=tuple(zip(gold.rows, rows, strict=True)), only_first=(), only_second=())
    option = "--gold-id-column"
    check_ids(gold.table, table, (gold.rows, rows), option=option, tell=tell)
    found = match(
        gold.rows,
        rows,
        first_name=str(gold.table.path),
        second_name=str(table.path),
        ids=f"Name the columns of the ids with {option} and --id-column.",
    )
    check_texts(gold.table, table, option=option)
    return found


def _against(
    table: LabelledTable,
    rows: Sequence[OutputRow],
    second: LabelledTable,
    how: Evaluation,
    gold: _GoldTable | None,
    tell: Tell,
) -> Other:
    """Join two outputs, and the second one with gold where there is some."""
    others = read_output(second, LabelReader(how.label_set))
    check_ids(table, second, (rows, others), option="--id-column", tell=tell)
    names = str(table.path), str(second.path)
    matched = match(
        rows,
        others,
        first_name=names[0],
        second_name=names[1],
        ids="Both must be outputs of the same input; name the column of the ids with --id-column.",
    )
    check_texts(table, second, option="--id-column")
    beside = None
    if gold is not None and gold.table is not table:
        beside = _beside_gold(gold, second, others, tell)
    elif gold is not None:
        # The gold labels stand in the first output, so its rows carry them to the second.
        beside = match(gold.rows, others, first_name=names[0], second_name=names[1])
    return Other(names=names, matched=matched, gold=beside)


def _between(table: LabelledTable, rows: Sequence[OutputRow], origins: tuple[str, str]) -> Other:
    """Join rows of two routes or models within one output."""
    first, second = ([row for row in rows if one in (row.route, row.model)] for one in origins)
    known = dict.fromkeys(
        name for row in rows for name in (row.route, row.model) if name and row.labels
    )
    for origin, found in zip(origins, (first, second), strict=True):
        if not found:
            names = ", ".join(map(shown, list(known)[:_SHOWN_ORIGINS])) or "none"
            raise ConfigurationError(
                f"--between: no row of {table.path} has the route or model {shown(origin)}. There "
                f"are: {names}."
            )
    if set(map(id, first)) & set(map(id, second)):
        raise ConfigurationError(
            f"--between: some rows are of both {origins[0]} and {origins[1]}. Name two routes, or "
            "two models."
        )
    matched = match(
        first,
        second,
        first_name=f"{origins[0]} in {table.path}",
        second_name=f"{origins[1]} in {table.path}",
        ids=(
            "--between needs rows of both with the same id, as in two outputs put together; two "
            "files are compared by --against."
        ),
    )
    return Other(names=origins, matched=matched, gold=None)
