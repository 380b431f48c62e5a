"""Makes the generated pages of docs/reference: commands, settings, label sets.

Write them anew with `python -m tests.docs.reference_pages`; a test holds the files against this.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from analysis.__main__ import main
from analysis.labels.label_set import LabelSet
from analysis.settings import DEFAULT_MODELS, LANGUAGES, ROUTES, Settings

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
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


def label_sets_page() -> str:
    """Return the page with every label set."""
    parts = ["# Label sets\n", NOTE]
    for name in LabelSet.available():
        label_set = LabelSet.load(name)
        parts.append(
            f"## {name}\n\nVersion {label_set.version}, at most {label_set.max_labels} labels for "
            f"a chunk, default `{label_set.default}`. Alone: "
            f"{', '.join(f'`{key}`' for key in sorted(label_set.alone))}.\n"
        )
        parts.append(
            "| key | en | ru | fr | zh | definition |\n| --- | --- | --- | --- | --- | --- |"
        )
        for label in label_set.labels:
            names = " | ".join(label.names[language] for language in ("en", "ru", "fr", "zh"))
            parts.append(f"| `{label.key}` | {names} | {label.definition} |")
    return "\n".join(parts) + "\n"


PAGES = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "label-sets.md": label_sets_page,
}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
