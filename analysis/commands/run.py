"""`semfn run`: label the chunks of a CSV file.

io. Turns options into a call of `entry.analyze_file`, shows what happens, and returns an exit code.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.ending import ended, say
from analysis.commands.options import (
    asking_options,
    input_options,
    label_names_option,
    models_of,
    settings_in_force,
    with_variables,
)
from analysis.commands.standard import bytes_in, bytes_out, print_document

if TYPE_CHECKING:
    from analysis.commands.display import Display
    from analysis.pipeline.report import RunSummary

INTERRUPTED_EARLY = "Interrupted before anything was sent."
INTERRUPTED_LATE = (
    "Interrupted while the output was written. What is paid for is kept in the ledger; give the "
    "same command again to write it."
)

_SHOWN = frozenset({"inputs", "output", "quiet", "as_json", "debug", "dry_run"})
"""Options that are no options of `entry.analyze_file`."""


@click.command(
    epilog="Example: semfn run chunks.csv --topic 'Night trains' --local",
    context_settings={
        "auto_envvar_prefix": "SEMFN_RUN",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
    },
)
@input_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Output file, - for stdout, or the folder for several. [default: INPUT with .labeled]",
)
@asking_options
@click.option(
    "--logprobs",
    is_flag=True,
    help="Ask for token probabilities: a confidence on responses-ws and rest, where model and "
    "server state them.",
)
@click.option(
    "--local",
    is_flag=True,
    help="Label through a service in this process: no key, rule labels (simulated).",
)
@click.option("--budget", type=float, metavar="USD", help="Spend no more than this in the run.")
@click.option("--yes", is_flag=True, help="Go on although the estimate is above 5 USD.")
@click.option("--stop-after", type=float, metavar="S", help="Send nothing after so many seconds.")
@click.option(
    "--max-failed",
    metavar="N|P%",
    help="Failed rows up to which the exit code is 0; the run ends when there are more. "
    "[default: 0, without an end]",
)
@click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    help="Record of the run. [default: OUTPUT with .semfn.sqlite]",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace a file at the place of the output, whatever it is."
)
@click.option("--fresh", is_flag=True, help="Ask everything again; earlier answers are kept aside.")
@click.option("--retry-failed", is_flag=True, help="Ask only the rows that failed.")
@click.option(
    "--reuse",
    multiple=True,
    metavar="LEDGER",
    type=click.Path(path_type=Path),
    help="Another ledger whose labels serve for equal texts without a document.",
)
@label_names_option
@click.option(
    "--csv-formulas",
    type=click.Choice(["keep", "guard"]),
    default="keep",
    help="Leave cells that a spreadsheet would run as they are, or guard them.",
)
@click.option(
    "--min-confidence",
    type=float,
    metavar="X",
    help="Add the column semfn_review, with 'uncertain' for labels whose confidence is below X, "
    "0 to 1. Needs the route decisions or --logprobs.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what is to be done, with requests, tokens, cost and time; send and write nothing.",
)
@click.option("--quiet", is_flag=True, help="No progress, only errors.")
@click.option(
    "--json",
    "as_json",
    envvar="SEMFN_RUN_JSON",
    is_flag=True,
    help="Print the summary as JSON on stdout.",
)
@click.option(
    "--tape",
    type=click.Path(path_type=Path),
    help="New file for the decisions of the run, without texts and ids, to play them again.",
)
@click.option("--debug", is_flag=True, help="Show a traceback on errors.")
def run(**options: Any) -> None:
    """Label each chunk of the INPUTs and write it with the labels beside them.

    INPUT is CSV, TSV or JSONL (also .gz), Parquet, a folder of such files, or - for stdin. The
    same command again continues where it stopped, and sends nothing when all is done.

    semfn_confidence holds the probability that the route decisions states for the label; with
    --logprobs, on responses-ws and rest, the one with which the model wrote it; else it is empty.

    Exit codes: 0 all labelled; 1 more failed rows than --max-failed; 2 something must be put right
    first, nothing was sent; 3 stopped by the service, resumable; 4 stopped by --budget,
    --stop-after or --retry-failed, or at 5 USD that nobody was asked about, resumable; 5 disk or
    ledger, resumable; 130 interrupted, resumable.
    """
    sys.exit(execute(options))


def execute(options: Mapping[str, Any]) -> int:
    """Do the run and return its exit code; every message goes to stderr, results to stdout."""
    from analysis.commands.display import Display

    if options["as_json"] and str(options["output"]) == "-":
        say("Error: --json and an output of - both want stdout. Name an output file with -o.")
        return 2
    if options["dry_run"]:
        from analysis.commands import dry_run

        return dry_run.execute(options)
    display = Display(
        is_quiet=options["quiet"],
        is_local=options["local"],
        is_confirmed=options["yes"] or options["budget"] is not None,
    )

    def work() -> int:
        with display:
            summary = _analyze(options, display)
        display.on_summary(summary)
        if options["as_json"] and (trouble := print_document(summary.to_json())):
            say(f"Error: {trouble} The same summary stands in {summary.paths['results']}.")
            return summary.exit_code or 5
        return summary.exit_code

    return ended(
        work,
        is_debug=options["debug"],
        interrupted=lambda: INTERRUPTED_LATE if display.has_sent else INTERRUPTED_EARLY,
    )


def _analyze(options: Mapping[str, Any], display: Display) -> RunSummary:
    from analysis.entry import analyze_file
    from analysis.hooks import Hooks
    from analysis.interrupts import hear_signals

    hooks = Hooks(
        on_notes=display.on_notes,
        on_plan=display.on_plan,
        on_meter=display.on_meter,
        on_verdict=display.on_verdict,
        on_event=display.on_event,
        handles_signals=True,
        stdin=bytes_in(),
        stdout=bytes_out(),
    )
    passed = {name: value for name, value in options.items() if name not in _SHOWN}
    # Outside of the paid work, which hears signals itself, all of them end the command.
    with hear_signals(signal.default_int_handler):
        return analyze_file(
            list(options["inputs"]),
            options["output"],
            hooks=hooks,
            settings=settings_in_force(),
            **passed | {"model": models_of(options["model"])},
        )


with_variables(run)
