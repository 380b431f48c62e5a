"""`semfn run`: label the chunks of a CSV file.

io. Turns options into a call of `entry.analyze_file`, shows what happens, and returns an exit code.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from analysis.commands.display import Display
    from analysis.errors import AnalysisError
    from analysis.pipeline.report import RunSummary

INTERRUPTED_EARLY = "Interrupted before anything was sent."
INTERRUPTED_LATE = (
    "Interrupted while the output was written. What is paid for is kept in the ledger; give the "
    "same command again to write it."
)

_SHOWN = frozenset({"input_file", "output", "quiet", "as_json", "debug"})
"""Options that are no options of `entry.analyze_file`."""


class PackSize(click.ParamType[int | str]):
    """A number of chunks, or `auto`; the range is checked by `entry.RunOptions`."""

    name = "N|auto"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return how the two forms are shown."""
        return self.name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the number or `auto`."""
        try:
            return "auto" if value == "auto" else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of chunks nor auto.", param, ctx)


@click.command(
    epilog="Example: semfn run chunks.csv --topic 'Night trains' --local",
    context_settings={
        "auto_envvar_prefix": "SEMFN_RUN",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
    },
)
@click.argument("input_file", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("--topic", help="What the text is about; fills where a row has no topic.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Output file. [default: INPUT with .labeled.csv]",
)
@click.option("--id-column", help="Column of the ids. [default: id, else the row number]")
@click.option("--text-column", help="Column of the texts. [default: text]")
@click.option("--document-column", help="Column of the documents. [default: document, if there]")
@click.option("--topic-column", help="Column of the topics. [default: topic, if there]")
@click.option("--encoding", help="Encoding of the input. [default: utf-8]")
@click.option("--delimiter", help="Delimiter of the input. [default: comma, or as in the header]")
@click.option("--label-set", default="ten_functions", help="Name of the label set.")
@click.option("--language", default="auto", help="Language of the texts: auto, en, ru, fr, zh.")
@click.option(
    "--route",
    default="responses-ws,rest",
    help="Routes in order, separated by commas: realtime, responses-ws, rest, decisions, offline.",
)
@click.option("--model", multiple=True, metavar="[ROUTE=]NAME", help="Model of a route.")
@click.option("--service-tier", metavar="NAME", help="auto, default, flex, priority and others.")
@click.option(
    "--max-chunks-per-request",
    type=PackSize(),
    help="1 to 20, or auto: by the size of the input and the assumed limits. [default: 10]",
)
@click.option("--max-concurrent", type=int, help="Requests at once. [default: by route]")
@click.option(
    "--local",
    is_flag=True,
    help="Label through a service in this process: no key, rule labels (simulated).",
)
@click.option("--yes", is_flag=True, help="Go on although the estimate is above 5 USD.")
@click.option("--limit", type=int, help="Only the first N rows.")
@click.option(
    "--max-failed", default="0", metavar="N|P%", help="Failed rows up to which the exit code is 0."
)
@click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    help="Record of the run. [default: OUTPUT with .semfn.sqlite]",
)
@click.option("--fresh", is_flag=True, help="Ask everything again; earlier answers are kept aside.")
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
    """Label each chunk of INPUT (CSV or TSV, also .gz) and write it with the labels beside them.

    The same command again continues where it stopped, and sends nothing when all is done.

    Exit codes: 0 all labelled; 1 more failed rows than --max-failed; 2 something must be put right
    first, nothing was sent; 3 stopped by the service, resumable; 5 disk or ledger, resumable; 130
    interrupted, resumable.
    """
    sys.exit(execute(options))


def execute(options: Mapping[str, Any]) -> int:
    """Do the run and return its exit code; every message goes to stderr, `--json` to stdout."""
    from analysis.commands.display import Display
    from analysis.errors import AnalysisError

    display = Display(
        is_quiet=options["quiet"], is_local=options["local"], is_confirmed=options["yes"]
    )
    try:
        with display:
            summary = _analyze(options, display)
    except (KeyboardInterrupt, click.Abort):
        _say(INTERRUPTED_LATE if display.has_sent else INTERRUPTED_EARLY)
        return 130
    except AnalysisError as error:
        if options["debug"]:
            traceback.print_exc()
        for line in (f"Error: {error}", *getattr(error, "__notes__", ())):
            _say(line)
        return _exit_code(error)
    display.on_summary(summary)
    if options["as_json"]:
        click.echo(summary.to_json(), nl=False)
    return summary.exit_code


def _analyze(options: Mapping[str, Any], display: Display) -> RunSummary:
    from analysis.entry import Hooks, analyze_file
    from analysis.interrupts import hear_signals

    hooks = Hooks(
        on_notes=display.on_notes,
        on_plan=display.on_plan,
        on_verdict=display.on_verdict,
        on_event=display.on_event,
        handles_signals=True,
    )
    passed = {name: value for name, value in options.items() if name not in _SHOWN}
    # Outside of the paid work, which hears signals itself, all of them end the command.
    with hear_signals(signal.default_int_handler):
        return analyze_file(
            options["input_file"],
            options["output"],
            hooks=hooks,
            **passed | {"model": _models(options["model"])},
        )


def _exit_code(error: AnalysisError) -> int:
    from analysis.errors import ConfigurationError, LedgerError

    match error:
        case ConfigurationError():
            return 2
        case LedgerError():
            return 5
        case _:
            return 3


def _say(message: str) -> None:
    from analysis.commands.wording import printable

    with contextlib.suppress(OSError):  # nobody reads stderr any more; the exit code still tells
        click.echo(printable(message), err=True)


def _models(values: tuple[str, ...]) -> str | dict[str, str] | None:
    """Read `NAME` once, or `ROUTE=NAME` once per route."""
    from analysis.errors import ConfigurationError

    if not values:
        return None
    if len(values) == 1 and "=" not in values[0]:
        return values[0]
    pairs = [value.split("=", 1) for value in values]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise ConfigurationError(
            f"--model {' '.join(values)} cannot be read. Pass one NAME, or ROUTE=NAME per route."
        )
    return dict(pairs)


# Beside each option its help names the variable that sets it.
for _option in run.params:
    if isinstance(_option, click.Option):
        _option.show_envvar = True
