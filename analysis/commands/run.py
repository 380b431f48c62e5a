"""`semfn run`: label the chunks of a CSV file.

io. Turns options into a call of `entry.analyze_file`, shows what happens, and returns an exit code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from analysis.pipeline.report import RunSummary


@click.command(
    epilog="Example: semfn run chunks.csv --topic 'Night trains' --local",
    context_settings={"auto_envvar_prefix": "SEMFN_RUN", "show_default": True},
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
    "--route", default="rest", help="Routes in order, separated by commas: realtime, rest, offline."
)
@click.option("--model", multiple=True, metavar="[ROUTE=]NAME", help="Model of a route.")
@click.option("--max-chunks-per-request", type=int, help="1 to 20. [default: 10]")
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
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout.")
@click.option("--debug", is_flag=True, help="Show a traceback on errors.")
def run(**options: Any) -> None:
    """Label each chunk of INPUT (CSV or TSV, also .gz) and write it with the labels beside them.

    The same command again continues where it stopped, and sends nothing when all is done.

    Exit codes: 0 all labelled; 1 more failed rows than --max-failed; 2 something must be put right
    first, nothing was sent; 3 stopped by the service, resumable; 5 disk or ledger; 130 interrupted,
    resumable.
    """
    sys.exit(execute(options))


def execute(options: dict[str, Any]) -> int:
    """Do the run and return its exit code; every message goes to stderr, `--json` to stdout."""
    from analysis.errors import AnalysisError, ConfigurationError, LedgerError

    as_json, debug = options.pop("as_json"), options.pop("debug")
    try:
        summary = _analyze(options)
    except KeyboardInterrupt:
        _say("Interrupted before anything was sent.")
        return 130
    except AnalysisError as error:
        if debug:
            raise
        match error:
            case ConfigurationError():
                _say(f"Error: {error}")
                return 2
            case LedgerError():
                _say(f"Error: {error} The same command continues when this is cured.")
                return 5
            case _:
                _say(f"Error: {error}")
                return 3
    if as_json:
        import json

        click.echo(json.dumps(summary.to_dict(), ensure_ascii=False, indent=2))
    return summary.exit_code


def _analyze(options: dict[str, Any]) -> RunSummary:
    from analysis.commands.display import Display
    from analysis.entry import Hooks, analyze_file

    quiet, yes = options.pop("quiet"), options["yes"]
    display = Display(
        is_quiet=quiet, is_local=options["local"], is_confirmed=yes, command=_again(options)
    )
    hooks = Hooks(
        on_notes=display.on_notes,
        on_plan=display.on_plan,
        on_verdict=display.on_verdict,
        on_event=display.on_event,
        handles_signals=True,
    )
    with display:
        summary = analyze_file(
            options.pop("input_file"),
            options.pop("output"),
            model=_models(options.pop("model")),
            max_failed=_max_failed(options.pop("max_failed")),
            hooks=hooks,
            **options,
        )
    display.on_summary(summary)
    return summary


def _say(message: str) -> None:
    click.echo(message, err=True)


def _again(options: dict[str, Any]) -> str:
    return f"semfn run {options['input_file']} with the same options"


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


def _max_failed(value: str) -> float:
    """Read a number of rows, or a percentage as a share below 1."""
    from analysis.errors import ConfigurationError

    text = value.strip()
    try:
        number = float(text.removesuffix("%")) / 100 if text.endswith("%") else int(text)
    except ValueError as error:
        raise ConfigurationError(
            f"--max-failed {value!r} is neither a number of rows nor a percentage such as 2%."
        ) from error
    if number < 0 or (text.endswith("%") and number > 1):
        raise ConfigurationError(f"--max-failed {value!r} is out of range.")
    return min(number, 1 - 1e-12) if text.endswith("%") else number
