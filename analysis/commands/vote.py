"""`semfn vote`: one label per row, by the majority of several outputs.

io. Reads outputs, has `analysis.evaluation.votes` count them, writes a table and says how the votes
fell. Nothing is sent. Heavy imports happen inside the functions, so that `--help` stays fast.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from analysis.commands.ending import ended, say
from analysis.settings import LANGUAGES

_NAME_LANGUAGES = [language for language in LANGUAGES if language != "auto"]


@click.command(
    epilog="Example: semfn vote ten.csv one.csv other-model.csv -o voted.csv",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument(
    "outputs", metavar="OUTPUT OUTPUT...", nargs=-1, type=click.Path(path_type=Path), required=True
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="VOTED",
    help="Table to write: .csv, .tsv, .jsonl, .parquet, or - for stdout in the format of the first "
    "OUTPUT.",
)
@click.option(
    "--label-set",
    metavar="NAME|FILE",
    help="Label set of the runs. [default: as the results beside the outputs say, else "
    "ten_functions]",
)
@click.option("--id-column", metavar="NAME", help="Column of ids. [default: id, else row number]")
@click.option(
    "--text-column",
    metavar="NAME",
    help="Column of texts, which must be the same in all. [default: text, if there]",
)
@click.option("--encoding", help="Encoding of the outputs. [default: utf-8]")
@click.option("--delimiter", help="Delimiter of the outputs.")
@click.option(
    "--label-names",
    type=click.Choice(_NAME_LANGUAGES),
    help="Write names of labels in a language. [default: keys]",
)
@click.option(
    "--csv-formulas",
    default="keep",
    show_default=True,
    type=click.Choice(["keep", "guard"]),
    help="Cells of a CSV that a spreadsheet would run: as they are, or with an apostrophe.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace a file at the place of the output, whatever it is."
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON on stdout.")
@click.option("--debug", is_flag=True, help="Show a traceback on errors.")
def vote(**options: Any) -> None:
    """Write the label that most of the OUTPUTs have for each row of the first one.

    The OUTPUTs were written by semfn run for the same input, with other models, routes or pack
    sizes, and meet by id. Nothing is sent.

    In a tie the label wins that more OUTPUTs have as second label, then that of the OUTPUT named
    first. semfn_confidence is the share of the OUTPUTs that have the label as their main one; an
    OUTPUT without a label for the row counts as not agreeing. semfn_votes has all main labels.

    Exit codes: 0 written; 2 something must be put right first; 5 disk.
    """
    sys.exit(execute(options))


def execute(options: Mapping[str, Any]) -> int:
    """Count, write, and return the exit code."""
    return ended(lambda: _vote(options), is_debug=options["debug"])


def _vote(options: Mapping[str, Any]) -> int:
    """Read, count, write and say what was counted."""
    from analysis.commands.vote_inputs import open_outputs, read_ballots
    from analysis.commands.vote_wording import document_of, lines_of
    from analysis.commands.voted_table import check_target, unlabelled, write_voted
    from analysis.errors import ConfigurationError
    from analysis.evaluation.votes import elect
    from analysis.pipeline.formats import STREAM

    output: str = options["output"]
    if options["as_json"] and output == STREAM:
        raise ConfigurationError(
            "--json and an output of - both want stdout. Name an output file with -o."
        )
    polled = open_outputs(options, say)
    table = unlabelled(polled.tables[0], polled.stamp)
    check_target(output, table, options["outputs"], overwrite=options["overwrite"])
    ballots = read_ballots(options, polled.tables)
    election = elect(ballots.opinions, ballots.label_set)
    language = options["label_names"]
    names = {
        key: ballots.label_set.name_of(key, language) for key in ballots.label_set.keys if language
    }
    write_voted(
        output,
        table,
        election.votes,
        names=names,
        csv_formulas=options["csv_formulas"],
        stream=sys.stdout.buffer,
    )
    document = document_of(ballots, election, output)
    for line in lines_of(document):
        say(line)
    if options["as_json"]:
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        # A file name may hold bytes that are no text; as an escape they do no harm.
        click.echo(text.encode("utf-8", errors="backslashreplace"), nl=False)
    return 0
