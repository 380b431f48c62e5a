"""Makes the generated pages of docs/reference: commands, settings, label sets, dialects, routes, a
part of errors.

Write them anew with `python -m tests.docs.reference_pages`; a test holds the files against this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

import click

from analysis.__main__ import main
from analysis.control.retry import Follow, rule_for
from analysis.settings import DEFAULT_MODELS, LANGUAGES, ROUTES, Settings
from analysis.wire.error_rows import Row, Where
from analysis.wire.error_table import TABLE
from tests.docs.dialects_page import dialects_page
from tests.docs.label_sets_page import label_sets_page
from tests.docs.results_page import results_page
from tests.docs.routes_page import routes_page

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
ERRORS_BEGIN = "## What a service says, and what becomes of it\n"
ERRORS_END = "## Names of unusable answers\n"
ERRORS_NOTE = (
    "The tables are made by `python -m tests.docs.reference_pages` from "
    "`analysis/wire/error_table.py`; a test compares.\n"
)
THEN = {
    Follow.WAIT: "wait, then the same request",
    Follow.AGAIN: "again after a pause",
    Follow.DIVIDE: "halves, down to the chunk",
    Follow.REASK: "the missing chunks again",
    Follow.CLOSE_ROUTE: "next route",
    Follow.CLOSE_ACCOUNT: "stop",
}
NOTE = "This page is made by `python -m tests.docs.reference_pages`; a test compares.\n"


def commands_page() -> str:
    """Return the page with the help of every command."""
    context = click.Context(main, info_name="semfn")
    parts = ["# Commands\n", NOTE, _help(main, "semfn", None)]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        parts.append(_help(command, name, context))
    return "\n".join(parts)


def _help(command: click.Command, name: str, parent: click.Context | None) -> str:
    settings = {"help_option_names": ["-h", "--help"], **command.context_settings}
    context = click.Context(command, info_name=name, parent=parent, terminal_width=88, **settings)
    title = context.command_path
    return f"## {title}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


def settings_page() -> str:
    """Return the page with every knob."""
    lines = [
        "# Settings\n",
        NOTE,
        "Fields of `analysis.settings.Settings`. Pass a changed copy as `settings=` to an analyzer "
        "or to `analyze_file`: `dataclasses.replace(SETTINGS, timeout_s=20)`.\n",
        "| setting | default | unit | range | reason |",
        "| --- | --- | --- | --- | --- |",
    ]
    for entry in fields(Settings):
        facts = entry.metadata
        lines.append(
            f"| `{entry.name}` | {entry.default:,} | {facts['unit']} "
            f"| {facts['low']:,} to {facts['high']:,} | {facts['reason']} |"
        )
    models = ", ".join(f"`{route}`: `{DEFAULT_MODELS[route]}`" for route in ROUTES)
    lines.append(f"\nModels by default: {models}.\n")
    lines.append(f"Languages: {', '.join(f'`{name}`' for name in LANGUAGES)}.")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Return the page of errors with its tables of foreign errors made anew."""
    page = (FOLDER / "errors.md").read_text(encoding="utf-8")
    before, _, rest = page.partition(ERRORS_BEGIN)
    parts = [ERRORS_BEGIN, ERRORS_NOTE]
    for where in Where:
        parts.append(f"### {where[0].upper()}{where[1:]}\n")
        parts.append("| what | meaning | becomes | ending | then | source |")
        parts.append("| --- | --- | --- | --- | --- | --- |")
        parts += [_error_line(row) for row in TABLE if row.where is where]
        parts.append("")
    return before + "\n".join(parts) + "\n" + ERRORS_END + rest.partition(ERRORS_END)[2]


def _error_line(row: Row) -> str:
    what = ", ".join(f"`{pattern}`" for pattern in row.patterns)
    meaning = row.meaning.format(host="the host")
    then = THEN[rule_for(row.becomes("")).follow]
    return (
        f"| {what} | {meaning} | `{row.becomes.__name__}` | {row.ending} | {then} | {row.source} |"
    )


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors_page,
    "commands.md": commands_page,
    "settings.md": settings_page,
    "label-sets.md": partial(label_sets_page, NOTE),
    "dialects.md": partial(dialects_page, NOTE),
    "routes.md": partial(routes_page, NOTE),
    "results.md": partial(results_page, NOTE),
}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
