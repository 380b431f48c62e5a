"""The command `label-sets`: which label sets exist, and what their labels mean.

Io: writes to stdout. The program's command group adds `label_sets`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from analysis.settings import LANGUAGES

if TYPE_CHECKING:
    from analysis.labels.label_set import LabelSet

_NAME_LANGUAGES = [language for language in LANGUAGES if language != "auto"]


@click.group(
    "label-sets",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.pass_context
def label_sets(context: click.Context) -> None:
    """List the label sets, or show the labels of one.

    Example: semfn label-sets show ten_functions --language fr
    """
    if context.invoked_subcommand is not None:
        return
    from analysis.labels.label_set import LabelSet

    rows = [("name", "version", "labels", "default")]
    for name in LabelSet.available():
        found = LabelSet.load(name)
        rows.append((found.name, found.version, str(len(found.labels)), found.default))
    click.echo(_table(rows))


@label_sets.command("show", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option(
    "--language",
    type=click.Choice(_NAME_LANGUAGES),
    default="en",
    show_default=True,
    help="Language of the names; definitions are English, as the model gets them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole set as one JSON document.")
def show(name: str, language: str, as_json: bool) -> None:
    """Print key, name and definition of every label of the set NAME.

    Example: semfn label-sets show ten_functions --json
    """
    from analysis.errors import ConfigurationError
    from analysis.labels.label_set import LabelSet

    try:
        label_set = LabelSet.load(name)
    except ConfigurationError as unknown:
        raise click.UsageError(str(unknown)) from unknown
    if as_json:
        click.echo(json.dumps(_document(label_set), ensure_ascii=False, indent=2))
        return
    rows = [("key", "name", "definition")]
    rows += [(one.key, one.names[language], one.definition) for one in label_set.labels]
    click.echo(_table(rows))


def _document(label_set: LabelSet) -> dict[str, Any]:
    return {
        "name": label_set.name,
        "version": label_set.version,
        "digest": label_set.digest,
        "default": label_set.default,
        "max_labels": label_set.max_labels,
        "alone": sorted(label_set.alone),
        "labels": [
            {
                "key": label.key,
                "names": dict(label.names),
                "aliases": list(label.aliases),
                "definition": label.definition,
            }
            for label in label_set.labels
        ],
    }


def _width(text: str) -> int:
    """Return the columns that a terminal needs for the text: Chinese characters take two."""
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lay out rows of equal length; the last column is not padded, so no line ends in spaces."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell))
            for cell, width in zip(row[:-1], widths[:-1], strict=True)
        )
        + "  "
        + row[-1]
        for row in rows
    )
