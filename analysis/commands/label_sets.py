"""The command `label-sets`: which label sets exist, what their labels mean, and files of own sets.

Io: writes to stdout and, with `export`, a file. The program's command group adds `label_sets`.
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
_HELP = {"help_option_names": ["-h", "--help"]}
_PACKED = 20
"""Chunks in the largest request, for the tokens that a set costs."""

_TEMPLATE = """\
# A copy of the label set {name}, to be changed. Give it a name of its own below; then
# semfn label-sets check {file} says what is left to do, and semfn run --label-set {file} uses it.
"""


@click.group("label-sets", invoke_without_command=True, context_settings=_HELP)
@click.pass_context
def label_sets(context: click.Context) -> None:
    """List the label sets; show, export or check one.

    Example: semfn label-sets show ten_functions --language fr
    """
    if context.invoked_subcommand is not None:
        return
    from analysis.labels.label_set import LabelSet

    rows = [("name", "version", "labels", "per chunk", "default")]
    for name in LabelSet.available():
        found = LabelSet.load(name)
        most = "1" if found.max_labels == 1 else f"1 to {found.max_labels}"
        rows.append((found.name, found.version, str(len(found.labels)), most, found.default))
    click.echo(_table(rows))


@label_sets.command("show", context_settings=_HELP)
@click.argument("name", metavar="NAME|FILE")
@click.option(
    "--language",
    type=click.Choice(_NAME_LANGUAGES),
    default="en",
    show_default=True,
    help="Language of the names.",
)
@click.option(
    "--definitions",
    type=click.Choice(_NAME_LANGUAGES),
    default="en",
    show_default=True,
    help="Language of the definitions; the model gets English ones unless a run has this option.",
)
@click.option("--examples", is_flag=True, help="Print the examples of each label, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole set as one JSON document.")
def show(name: str, language: str, definitions: str, examples: bool, as_json: bool) -> None:
    """Print the labels of a set, what they mean, their aliases, and its policy.

    Example: semfn label-sets show ten_functions --json
    """
    label_set = _loaded(name, definitions)
    if as_json:
        click.echo(json.dumps(_document(label_set), ensure_ascii=False, indent=2))
        return
    rows = [("key", "name", "definition")]
    rows += [(one.key, label_set.name_of(one.key, language), one.told) for one in label_set.labels]
    click.echo(_table(rows))
    if unnamed := label_set.unnamed(language):
        click.echo(_note_unnamed(language, unnamed), err=True)
    if aliases := [(one.key, ", ".join(one.aliases)) for one in label_set.labels if one.aliases]:
        click.echo("\n" + _table([("key", "also read as"), *aliases]))
    click.echo("\n" + "\n".join(_policy_lines(label_set)))
    if examples:
        told = [(one.key, text) for one in label_set.labels for text in one.examples or ("none",)]
        click.echo("\n" + _table([("key", "example"), *told]))


@label_sets.command("export", context_settings=_HELP)
@click.argument("name")
@click.option("-o", "--output", metavar="FILE", help="A new file, such as my.toml; else stdout.")
def export(name: str, output: str | None) -> None:
    """Write the file of the set NAME, to make an own set of it.

    Example: semfn label-sets export argument -o my.toml
    """
    from analysis.errors import ConfigurationError
    from analysis.labels.label_set import LabelSet

    try:
        text = LabelSet.text_of(name)
    except ConfigurationError as unknown:
        raise click.UsageError(str(unknown)) from unknown
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with open(output, "x", encoding="utf-8", newline="\n") as file:
            file.write(_TEMPLATE.format(name=name, file=output) + text)
    except FileExistsError as error:
        raise click.UsageError(f"{output} exists. Pass the name of a new file with -o.") from error
    except OSError as error:
        raise click.UsageError(
            f"{output} cannot be written: {error.strerror}. Pass another name with -o."
        ) from error


@label_sets.command("check", context_settings=_HELP)
@click.argument("file")
def check(file: str) -> None:
    """Read the label set FILE and say whether it can be used, and what it costs.

    Example: semfn label-sets check my.toml
    """
    from random import Random

    from analysis.labels.prompt import ITEM_TOKENS, PromptBuilder

    label_set = _loaded(file)
    tokens = PromptBuilder(label_set, rng=Random(0)).request_tokens  # no id is drawn
    share = tokens // _PACKED + ITEM_TOKENS
    click.echo(f"{file}: the set {label_set.name} can be used.")
    click.echo(
        f"{len(label_set.labels)} labels, at most {label_set.max_labels} for a chunk, default "
        f"{label_set.default}; digest {label_set.digest[:12]}."
    )
    click.echo(
        f"Instructions and schema: about {tokens} tokens a request, "
        f"{share} a chunk beside its text with {_PACKED} chunks a request."
    )
    if all(label.examples for label in label_set.labels):
        shown = PromptBuilder(label_set.with_examples(), rng=Random(0)).request_tokens
        click.echo(
            f"With --examples: about {shown} tokens a request; services cache from 1,024 of their "
            "own count on."
        )
    for language in _NAME_LANGUAGES:
        if unnamed := label_set.unnamed(language):
            click.echo(_note_unnamed(language, unnamed))


def _loaded(name: str, definitions: str = "en") -> LabelSet:
    from analysis.errors import ConfigurationError
    from analysis.labels.label_set import LabelSet

    try:
        return LabelSet.load(name).in_language(definitions)
    except ConfigurationError as unusable:
        raise click.UsageError(str(unusable)) from unusable


def _policy_lines(label_set: LabelSet) -> list[str]:
    """Return what may stand together and what else the model is told, in plain lines."""
    from analysis.labels.label_set import REMOVAL

    residual = label_set.default if label_set.residual is None else label_set.residual
    kinds = [f"{name} ({', '.join(keys)})" for name, keys in label_set.kinds.items()]
    pairs = [f"{first} with {second}" for first, second in label_set.pairs]
    forbidden = [" with ".join(pair) for pair in sorted(map(sorted, label_set.forbidden))]
    named = [
        ("Without a second label", ", ".join(sorted(label_set.alone))),
        ("Kinds", "; ".join(kinds)),
        ("Pairs that the model is told", "; ".join(pairs)),
        ("Pairs that are asked again", "; ".join(forbidden)),
        ("Main label", "" if label_set.criterion == REMOVAL else label_set.criterion),
        *(("Also told", rule) for rule in label_set.rules),
    ]
    topic = "needed" if label_set.needs_topic else "optional"
    return [
        f"At most {label_set.max_labels} for a chunk, default {label_set.default}; headings, "
        f"captions and very short chunks: {residual or 'no rule'}; topic {topic}.",
        *(f"{what}: {text}" for what, text in named if text),
    ]


def _note_unnamed(language: str, keys: Sequence[str]) -> str:
    instead = "their keys stand" if language == "en" else "the English name or the key stands"
    return f"Without name in {language}, where {instead} instead: {', '.join(keys)}."


def _document(label_set: LabelSet) -> dict[str, Any]:
    return {
        "name": label_set.name,
        "version": label_set.version,
        "digest": label_set.digest,
        "definition_language": label_set.definition_language,
        "default": label_set.default,
        "max_labels": label_set.max_labels,
        "alone": sorted(label_set.alone),
        "residual": label_set.residual,
        "rules": list(label_set.rules),
        "criterion": label_set.criterion,
        "topic": "needed" if label_set.needs_topic else "optional",
        "kinds": {name: list(keys) for name, keys in label_set.kinds.items()},
        "pairs": [list(pair) for pair in label_set.pairs],
        "forbidden": sorted(map(sorted, label_set.forbidden)),
        "labels": [
            {
                "key": label.key,
                "names": dict(label.names),
                "aliases": list(label.aliases),
                "definition": label.definition,
                "not_this": label.not_this,
                "definitions": dict(label.definitions),
                "examples": list(label.examples),
            }
            for label in label_set.labels
        ],
    }


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    from analysis.commands.layout import laid_out

    return "\n".join(laid_out(rows))
