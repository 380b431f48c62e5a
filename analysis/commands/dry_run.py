"""`semfn run --dry-run`: what the run would do now, by its ledger and its texts; nothing is sent.

io. Turns options into a call of `entry.plan_file` and prints the lines that the run itself would
print before it sends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.ending import ended
from analysis.commands.options import models_of
from analysis.commands.standard import bytes_in
from analysis.commands.wording import plan_lines, printable

if TYPE_CHECKING:
    from analysis.pipeline.run import Plan

_SHOWN = frozenset({"inputs", "output", "quiet", "as_json", "debug", "dry_run"})
"""Options that are no options of `entry.plan_file`."""

_COUNTS = (
    "rows",
    "reused",
    "taken_over",
    "same_text",
    "passed_over",
    "unsendable",
    "changed",
    "to_do",
)


def execute(options: Mapping[str, Any]) -> int:
    """Print the plan on stdout and return the exit code; messages go to stderr."""
    from analysis.entry import plan_file
    from analysis.hooks import Hooks

    def tell(notes: Sequence[str]) -> None:
        for note in notes:
            click.echo(printable(f"Input: {note}."), err=True)

    hooks = Hooks(on_notes=None if options["quiet"] else tell, stdin=bytes_in())
    passed = {name: value for name, value in options.items() if name not in _SHOWN}

    def work() -> int:
        passed["model"] = models_of(options["model"])
        plan = plan_file(list(options["inputs"]), options["output"], hooks=hooks, **passed)
        if options["as_json"]:
            click.echo(json.dumps(document_of(plan), ensure_ascii=False, indent=2))
            return 0
        for line in (*plan_lines(plan), "Nothing was sent."):
            click.echo(printable(line))
        return 0

    return ended(work, is_debug=options["debug"])


def document_of(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON-ready values: counts of rows, and the estimate for those to do."""
    from dataclasses import asdict

    return {
        **{name: getattr(plan, name) for name in _COUNTS},
        "simulated": plan.simulated,
        "estimate": asdict(plan.estimate),
    }
