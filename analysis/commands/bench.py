"""The command `semfn bench`: REST, Realtime and hybrid side by side, in figures.

io. `benchmarks/latency.py` calls it, too. Heavy imports happen inside the functions, so that
`--help` stays fast.
"""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from analysis.analyzer import Estimate
    from analysis.bench.latency import Options, Serve

RESULTS = Path("performance_results")

WIDTH = 100
"""Columns of the table where there is no terminal to ask."""


@click.command(
    epilog="Example: semfn bench --sizes 1,10,30 --rounds 3 --latency-ms 300",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--sizes", metavar="LIST", help="Chunks per job. [default: 1,10,30,300]")
@click.option("--rounds", type=int, help="How often every job is measured. [default: 5]")
@click.option(
    "--latency-ms",
    type=float,
    help="Median of the scripted latency, the same for all routes. [default: 518]",
)
@click.option("--seed", type=int, help="Of latencies and order of jobs; default fixed.")
@click.option("--chunks-per-request", type=int, help="1 to 20. [default: planned by job size]")
@click.option("--max-concurrent", type=int, help="Requests at once. [default: by route]")
@click.option(
    "--live", is_flag=True, help="Measure the endpoint of OPENAI_API_KEY and OPENAI_BASE_URL."
)
@click.option("--yes", is_flag=True, help="Go on although the estimate is above 5 USD.")
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Folder of the results.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
def bench(**options: Any) -> None:
    """Measure REST, Realtime and hybrid on jobs of several sizes, interleaved in one run.

    Without --live a simulated service in its own process answers, with one scripted latency for all
    routes: the figures show the client, and no model. Only --live tells how a real endpoint
    compares.

    Writes performance_comparison_TIME.json and, with the extra plot, a PNG beside it.

    Exit codes: 0 all labelled and equal; 1 a chunk failed, a label differs from the digest of its
    text, or the result could not be written; 2 something must be put right first; 130 interrupted.
    """
    sys.exit(execute(options))


def execute(options: dict[str, Any], *, serve: Serve | None = None) -> int:
    """Measure, write, print; return the exit code.

    Args:
        options: Those of the command, by name.
        serve: Starts the simulated service; by default in a process of its own.
    """
    from rich.console import Console

    from analysis.bench.latency import run
    from analysis.bench.service import simulated_service
    from analysis.errors import AnalysisError, ConfigurationError

    width = None if sys.stderr.isatty() else WIDTH
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True, width=width)
    folder: Path = options["results"]
    try:
        chosen = _chosen(options)
        folder.mkdir(parents=True, exist_ok=True)
        with _interrupts():
            measured = run(
                chosen,
                serve=serve or simulated_service,
                tell=console.print,
                agree=lambda figures: _agree(figures, console, is_confirmed=options["yes"]),
            )
        return _publish(measured, console, folder, as_json=options["as_json"])
    except ConfigurationError as error:
        console.print(f"Error: {error}")
        return 2
    except (AnalysisError, OSError) as error:
        console.print(f"Error: {error}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; no result was written.")
        return 130


def _chosen(options: dict[str, Any]) -> Options:
    """Return the options that were given; the others keep their defaults."""
    from analysis.bench.latency import Options

    given: dict[str, Any] = {
        name: options[name]
        for name in ("rounds", "latency_ms", "seed", "chunks_per_request", "max_concurrent")
        if options[name] is not None
    }
    if options["sizes"] is not None:
        given["sizes"] = _sizes(options["sizes"])
    return Options(is_live=options["live"], **given)


def _sizes(text: str) -> tuple[int, ...]:
    from analysis.errors import ConfigurationError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigurationError(
            f"--sizes {text!r} cannot be read. Pass numbers with commas, such as 1,10,30."
        ) from error


def _agree(figures: Estimate, console: Console, *, is_confirmed: bool) -> None:
    """Say what a live run takes; ask, or refuse, where it is expensive."""
    from analysis.errors import ConfigurationError
    from analysis.settings import SETTINGS

    cost = "unknown" if figures.cost_usd is None else f"at most about {figures.cost_usd:.2f} USD"
    console.print(
        f"Live: {figures.chunks} chunks in {figures.requests} requests, about "
        f"{figures.input_tokens:,} input and {figures.output_tokens:,} output tokens, cost {cost} "
        f"by prices of {figures.price_date}."
    )
    limit = SETTINGS.confirm_above_usd
    if is_confirmed or figures.cost_usd is None or figures.cost_usd <= limit:
        return
    question = f"The estimate is above {limit:.2f} USD. Go on?"
    is_terminal = console.is_terminal and sys.stdin.isatty()
    if not is_terminal or not click.confirm(question, err=True):
        raise ConfigurationError(
            f"The run is estimated at {figures.cost_usd:.2f} USD, above {limit:.2f} USD. Pass "
            "--yes to go on, or smaller --sizes and fewer --rounds."
        )


def _publish(measured: Any, console: Console, folder: Path, *, as_json: bool) -> int:
    """Write the files, print the table, return the exit code."""
    from analysis.bench import report
    from analysis.bench.plot import draw
    from analysis.errors import ConfigurationError

    now = datetime.now(UTC)
    document = report.make_document(measured, command=_command(measured.options), now=now)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    console.print(report.make_table(document), soft_wrap=False)
    for line in report.closing_lines(document):
        console.print(line)
    target = report.write(document, folder, now)
    console.print(f"Result: {target}")
    picture = target.with_suffix(".png")
    try:
        draw(document, picture)
        console.print(f"Plot: {picture}")
    except ConfigurationError as error:
        console.print(str(error))
    return 0 if report.is_good(document) else 1


def _command(options: Options) -> str:
    """Return the command that measures the same again."""
    words = ["semfn", "bench", "--sizes", ",".join(map(str, options.sizes))]
    words += ["--rounds", str(options.rounds), "--seed", str(options.seed)]
    words += ["--live"] if options.is_live else ["--latency-ms", f"{options.latency_ms:g}"]
    for name in ("chunks_per_request", "max_concurrent"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


@contextmanager
def _interrupts() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that no service is left behind.

    The event loop turns Ctrl-C into the cancellation of its task, but only where Python's own
    handler is in place; a shell starts background jobs without it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = (
        signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT)),
    )
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
