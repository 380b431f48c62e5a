"""The command `semfn`, also as `python -m analysis`.

io. Loads a command's module when it is called, so that `--help` is fast.
"""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys
from typing import Any

import click

from analysis import __version__

_COMMANDS = {
    "bench": ("analysis.commands.bench", "bench", "Measure latency: REST, Realtime, hybrid."),
    "check": ("analysis.commands.check", "check", "Check key, endpoint, limits and models."),
    "estimate": ("analysis.commands.estimate", "estimate", "Tell what a run would take."),
    "evaluate": (
        "analysis.commands.evaluate",
        "evaluate",
        "Score labels against gold, or another output.",
    ),
    "export": ("analysis.commands.export", "export", "Write what a ledger holds as a table."),
    "label-sets": ("analysis.commands.label_sets", "label_sets", "List and show label sets."),
    "prove": ("analysis.commands.prove", "prove", "Measure what packing and routes change."),
    "run": ("analysis.commands.run", "run", "Label the chunks of a CSV file."),
    "simulate": (
        "analysis.commands.simulate",
        "simulate",
        "Serve a simulated endpoint on this machine.",
    ),
    "vote": ("analysis.commands.vote", "vote", "Count the votes of several outputs."),
}


class _Commands(click.Group):
    """A group that imports a command when it is wanted."""

    def invoke(self, ctx: click.Context) -> Any:
        """Do a command; one that is interrupted and does not end by itself ends with 130.

        click ends with 1, which is the code of a run with failed rows.
        """
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(130)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where there is none of that name."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            names = ", ".join(_COMMANDS)
            ctx.fail(f"There is no command {args[0]!r}.{hint} Commands: {names}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in _COMMANDS.items()])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: semfn run chunks.csv --topic 'Night trains' --local",
)
@click.version_option(__version__, prog_name="semfn")
def main() -> None:
    """Label what each chunk of a text does, with an LLM."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        prepare(sys.stdout, is_stated="PYTHONIOENCODING" in os.environ)


def prepare(stream: io.TextIOWrapper, *, is_stated: bool) -> None:
    """Make a stream take all texts: names in Chinese on a machine whose code page is Cyrillic.

    What goes to a file or another program is UTF-8 like all files of this program, unless the user
    stated an encoding. What an encoding lacks becomes an escape.
    """
    if is_stated or stream.isatty():
        stream.reconfigure(errors="backslashreplace")
    else:
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main(prog_name="semfn"))
