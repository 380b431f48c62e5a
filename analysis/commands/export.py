"""`semfn export`: a ledger as a table, at any time.

io. Turns options into a call of `pipeline.export`, says what was written and what was left out, and
returns an exit code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from analysis.pipeline.export import Exported

EXAMPLE = "Example: semfn export chunks.labeled.csv.semfn.sqlite -o labels.csv"


@click.command(
    epilog=EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.argument("ledger", metavar="LEDGER", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    help="Table to write: .csv, .tsv, .jsonl, .parquet, or - for CSV on stdout.",
)
@click.option("--failed", "only_failed", is_flag=True, help="Only the rows that failed.")
@click.option(
    "--uncertain",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Only the rows whose label has a confidence below X, for review. Only the route decisions "
    "states one.",
)
@click.option(
    "--csv-formulas",
    default="keep",
    type=click.Choice(["keep", "guard"]),
    help="Cells of a CSV that a spreadsheet would run: as they are, or with an apostrophe.",
)
def export(ledger: Path, **options: Any) -> None:
    """Write what LEDGER holds: source, id, labels and errors of each row that was asked.

    Works while a run goes on, and changes nothing in the ledger. Rows are ordered by source, then
    as they were first recorded; rows that were never asked are not in a ledger. Of a row that was
    asked in several forms (another text, prompt, label set or model) the newest one is written.

    Exit codes: 0 written; 2 the output cannot be used; 5 disk or ledger.
    """
    from analysis.commands.wording import printable
    from analysis.errors import AnalysisError, ConfigurationError
    from analysis.pipeline import export as pipeline

    try:
        done = pipeline.export(ledger, stream=sys.stdout.buffer, **options)
    except AnalysisError as error:
        click.echo(printable(f"Error: {error}"), err=True)
        sys.exit(2 if isinstance(error, ConfigurationError) else 5)
    for line in report(done, options["output"]):
        click.echo(printable(line), err=True)


def report(done: Exported, output: str) -> list[str]:
    """Return what is said about an export: what was written, then what was left out."""
    place = "stdout" if output == "-" else output
    simulated = " (simulated)" if done.is_simulated else ""
    lines = [
        f"Wrote {_count(done.labeled + done.failed, 'row')} to {place}: {done.labeled:,} with a "
        f"label, {done.failed:,} failed{simulated}."
    ]
    left = [
        (done.not_failed, "row", "with a label"),
        (done.surer, "row", "with at least that confidence"),
        (done.without_confidence, "row", "whose route states no confidence"),
        (done.not_labeled, "row", "without a label"),
        (done.set_aside, "answer", "set aside by a run with --fresh"),
        (done.other_forms, "answer", "to another form of a row"),
    ]
    named = [f"{_count(count, noun)} {what}" for count, noun, what in left if count]
    return [*lines, f"Left out: {', '.join(named)}."] if named else lines


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
