"""The table that `semfn vote` writes: the columns of the input, then the verdict of the votes.

io through `pipeline.sinks`, which writes it whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from analysis.commands.labelled_tables import LABEL, LABEL_2, LabelledTable
from analysis.errors import ConfigurationError, InputError
from analysis.evaluation.rows import BETWEEN_MODELS, VOTES
from analysis.evaluation.votes import Vote
from analysis.pipeline.csv_rows import CsvRows
from analysis.pipeline.formats import STREAM, Kind
from analysis.pipeline.output import check_writable
from analysis.pipeline.overwriting import check_kind
from analysis.pipeline.places import RESULTS
from analysis.pipeline.sinks import RUN_COLUMNS, check_sink, write_output
from analysis.pipeline.tables import Row, Table

VOTES_COLUMN = "semfn_votes"
"""Main labels with the outputs that have them, such as `example=2; noise=1`."""

VOTED_COLUMNS = (*RUN_COLUMNS, (VOTES_COLUMN, Kind.TEXT))
"""What stands behind the columns of the input; what votes do not have is left empty."""

_BETWEEN = "; "
# A mark that a run makes by its own confidence says nothing of the votes.
_DROPPED = frozenset(name for name, _ in RUN_COLUMNS) | {"semfn_review"}


@dataclass(frozen=True, slots=True)
class VotedCells:
    """The values of `VOTED_COLUMNS` for one row.

    Attributes:
        vote: The verdict.
        names: Key -> how the label is written; keys that are missing are written as they are.
    """

    vote: Vote
    names: Mapping[str, str]

    def texts(self) -> tuple[str, ...]:
        """Return the cells of a text file; the confidence has four decimals."""
        return tuple(
            "" if one is None else f"{one:.4f}" if isinstance(one, float) else one
            for one in self.values()
        )

    def values(self) -> tuple[str | float | None, ...]:
        """Return values for formats that have types."""
        vote, name = self.vote, self._name
        primary, second = (*map(name, vote.labels), None, None)[:2]
        counts = (f"{name(label)}={count}" for label, count in vote.counts)
        found: dict[str, str | float | None] = {
            LABEL: primary,
            LABEL_2: second,
            "semfn_confidence": None if vote.confidence is None else round(vote.confidence, 4),
            "semfn_route": VOTES if vote.labels else None,
            "semfn_model": BETWEEN_MODELS.join(vote.models) or None,
            "semfn_error": vote.error or None,
            VOTES_COLUMN: _BETWEEN.join(counts),
        }
        return tuple(found.get(column) for column, _ in VOTED_COLUMNS)

    def _name(self, key: str) -> str:
        return self.names.get(key, key)


def unlabelled(table: LabelledTable, stamp: tuple[int, int]) -> Table:
    """Return an output as the table that was labelled: without the columns of the run.

    Args:
        table: The output.
        stamp: Size and modification time (ns) when it was opened.

    Raises:
        InputError: If it has no other column.
    """
    columns = table.reader.columns
    kept = [place for place, name in enumerate(columns) if name not in _DROPPED]
    if not kept:
        raise InputError(
            f"{table.path} has no column but those of its labels, so there is nothing to put the "
            "votes beside. Take the output as semfn run wrote it."
        )
    reader = table.reader.narrowed(kept)
    return Table(
        path=table.path,
        source=table.path.name,
        reader=reader,
        # The first column stands in for the text, which nobody asks for here.
        roles={"text": 0} if isinstance(reader, CsvRows) else {},
        topic=None,
        limit=None,
        notes=(),
        stamp=stamp,
    )


def check_target(
    output: str, table: Table, inputs: Sequence[Path], *, overwrite: bool = False
) -> None:
    """Check, before rows are read, that the voted table can be written.

    Args:
        output: As the user named it.
        table: See `unlabelled`.
        inputs: The outputs that vote.
        overwrite: A file that is no earlier table of votes may be replaced.

    Raises:
        ConfigurationError: If it cannot, or would take the place of a file of a run.
    """
    if output == STREAM:
        check_sink(table, output)
        return
    ledgers = (path.with_name(f"{path.name}.semfn.sqlite") for path in inputs)
    check_writable(output, inputs=[*inputs, *ledgers])
    check_sink(table, output)
    results = Path(f"{output}.{RESULTS}")
    if results.exists():
        raise ConfigurationError(
            f"{output} is the output of a run, which {results} tells of. Pass another output with "
            "-o, or move both away."
        )
    if not overwrite:
        check_kind(Path(output), [name for name, _ in VOTED_COLUMNS], "votes")


def write_voted(
    output: str,
    table: Table,
    votes: Iterable[Vote],
    *,
    names: Mapping[str, str],
    csv_formulas: str,
    stream: BinaryIO,
) -> None:
    """Write the voted table whole, or leave what is there as it is.

    Args:
        output: The file; its suffix tells the format. `-` is the stream, in the format of the
            first output.
        table: See `unlabelled`.
        votes: One per row of the table, in its order.
        names: Key -> how the label is written.
        csv_formulas: `keep` or `guard`, for CSV.
        stream: Where `-` goes.

    Raises:
        InputError: If the first output changed since it was opened.
        LedgerError: If the file cannot be written.
    """

    def rows() -> Iterator[tuple[Row, VotedCells]]:
        for row, vote in zip(table.rows(), votes, strict=True):
            yield row, VotedCells(vote, names)

    write_output(
        output, table, rows(), csv_formulas=csv_formulas, stream=stream, ours=VOTED_COLUMNS
    )
