"""`semfn estimate`: what labelling an input would take, by route; nothing is sent or written.

io. Turns options into a call of `entry.estimate_file` and prints its figures on stdout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.ending import ended
from analysis.commands.options import asking_options, input_options, models_of, with_variables
from analysis.commands.request_wording import dollars, time_words
from analysis.commands.standard import bytes_in

if TYPE_CHECKING:
    from analysis.analyzer import Estimate, FileEstimate

_SHOWN = frozenset({"inputs", "as_json", "debug"})
"""Options that are no options of `entry.estimate_file`."""


@click.command(
    epilog="Example: semfn estimate chunks.csv --topic 'Night trains' --route rest,realtime",
    context_settings={
        "auto_envvar_prefix": "SEMFN_ESTIMATE",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
    },
)
@input_options
@asking_options
@click.option(
    "--json",
    "as_json",
    envvar="SEMFN_ESTIMATE_JSON",
    is_flag=True,
    help="Print the figures as JSON.",
)
@click.option("--debug", is_flag=True, help="Show a traceback on errors.")
def estimate(**options: Any) -> None:
    """Tell what labelling the INPUTs would take: rows, requests, tokens, cost and time by route.

    Nothing is sent, nothing is written, and no key is needed. Each route is counted as if all rows
    went over it alone.

    Exit codes: 0 the figures are there; 2 something must be put right first; 5 the folder for
    temporary files cannot be written; 130 interrupted.
    """
    sys.exit(execute(options))


def execute(options: Mapping[str, Any]) -> int:
    """Print the figures and return the exit code; messages go to stderr."""
    from analysis.entry import estimate_file
    from analysis.hooks import Hooks

    def tell(notes: Sequence[str]) -> None:
        for note in notes:
            click.echo(f"Input: {note}.", err=True)

    hooks = Hooks(on_notes=tell, stdin=bytes_in())
    passed = {name: value for name, value in options.items() if name not in _SHOWN}

    def work() -> int:
        passed["model"] = models_of(options["model"])
        found = estimate_file(list(options["inputs"]), hooks=hooks, **passed)
        if options["as_json"]:
            click.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
            return 0
        for line in estimate_lines(found):
            click.echo(line)
        return 0

    return ended(work, is_debug=options["debug"])


def estimate_lines(found: FileEstimate) -> list[str]:
    """Return an estimate in plain lines."""
    first = found.routes[0]
    alone = f", {first.alone:,} of them alone" if first.alone else ""
    lines = [
        f"Rows: {found.rows:,}, of which {first.chunks:,} would be sent{alone}; "
        f"{first.unsendable - first.too_long:,} are empty, {first.too_long:,} too long.",
        f"Chunks in one request: {found.packing}.",
    ]
    lines.extend(_route_line(one) for one in found.routes)
    several = "Each route is counted as if all rows went over it. " if found.routes[1:] else ""
    return [
        *lines,
        f"{several}Prices of {first.price_date}; times at {_limits(found)}. Nothing was sent.",
    ]


def _limits(found: FileEstimate) -> str:
    """Say which limits the times go by."""
    assumed = "the limits that are assumed until the service states its own"
    learned = [one.route for one in found.routes if one.is_learned]
    if not learned:
        return assumed
    if len(learned) == len(found.routes):
        return "the limits that earlier runs have learned"
    return f"the limits that earlier runs have learned ({', '.join(learned)}), else {assumed}"


def _route_line(one: Estimate) -> str:
    noun = "request" if one.requests == 1 else "requests"
    head = f"Route {one.route}, {one.model}: {one.requests:,} {noun}, about "
    tokens = f"{one.input_tokens:,} input and {one.output_tokens:,} output tokens"
    cost = "cost unknown" if one.cost_usd is None else dollars(one.cost_usd)
    if one.cached_tokens and one.least_cost_usd is not None:
        cost += (
            f" ({dollars(one.least_cost_usd)} if the service reads {one.cached_tokens:,} input "
            "tokens from its cache)"
        )
    return f"{head}{tokens}, {cost}, {time_words(one)}."


with_variables(estimate)
