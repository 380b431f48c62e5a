"""Options that several commands share: how inputs are read, and how they would be asked about.

Each is a decorator of a click command; `run` and `estimate` use them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from analysis.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


class PackSize(click.ParamType[int | str]):
    """A number of chunks, or `auto`; the range is checked by `run_options.RunOptions`."""

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


label_names_option = click.option(
    "--label-names",
    type=click.Choice(["en", "ru", "fr", "zh"]),
    help="Write the labels by their names in a language. [default: by their keys]",
)
"""Of the commands that write an output of a run."""


def input_options(command: _Command) -> _Command:
    """Add the inputs and how they are read."""
    argument = click.argument(
        "inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path)
    )
    return argument(reading_options(command))


def reading_options(command: _Command) -> _Command:
    """Add how inputs are read."""
    return _with(
        command,
        [
            click.option("--topic", help="What the text is about; fills where a row has no topic."),
            click.option("--id-column", help="Column of the ids. [default: id, else row number]"),
            click.option("--text-column", help="Column of the texts. [default: text]"),
            click.option(
                "--document-column", help="Column of the documents. [default: document, if there]"
            ),
            click.option("--topic-column", help="Column of the topics. [default: topic, if there]"),
            click.option(
                "--title-column",
                help="Column of the titles, shown with the chunks. [default: none]",
            ),
            click.option("--encoding", help="Encoding of the input. [default: utf-8]"),
            click.option(
                "--delimiter", help="Delimiter of the input. [default: comma, or as in the header]"
            ),
        ],
    )


def asking_options(command: _Command) -> _Command:
    """Add labels, routes, models, packing, and the choice of rows."""
    return _with(
        command,
        [
            click.option(
                "--label-set",
                default="ten_functions",
                help="Name of a label set, or path of a .toml file.",
            ),
            click.option(
                "--examples",
                is_flag=True,
                help="Tell the model examples of each label, too: a longer prompt, which services "
                "cache from 1,024 tokens on. What it does to the labels is unmeasured.",
            ),
            click.option(
                "--definitions",
                type=click.Choice(["en", "ru", "fr", "zh"]),
                default="en",
                help="Language of the definitions that the model gets; all but en are unmeasured.",
            ),
            click.option(
                "--language", default="auto", help="Language of the texts: auto, en, ru, fr, zh."
            ),
            click.option(
                "--route",
                default="responses-ws,rest",
                help="Routes in order, separated by commas: realtime, responses-ws, rest, "
                "decisions, offline.",
            ),
            click.option(
                "--model", multiple=True, metavar="[ROUTE=]NAME", help="Model of a route."
            ),
            click.option(
                "--service-tier", metavar="NAME", help="auto, default, flex, priority and others."
            ),
            click.option(
                "--prices", type=click.Path(path_type=Path), help="Price table of your own (TOML)."
            ),
            click.option(
                "--max-chunks-per-request",
                type=PackSize(),
                help="1 to 20, or auto: by the size of the input and the assumed limits. "
                "[default: 10]",
            ),
            click.option(
                "--context",
                type=int,
                metavar="N",
                help="Show so many texts before and after the chunks of a request, from their "
                "document; they are not labelled there. [default: 1 with a document column, "
                "else 0]",
            ),
            click.option(
                "--max-concurrent", type=int, help="Requests at once. [default: by route]"
            ),
            click.option("--limit", type=int, metavar="N", help="Only the first N rows."),
            click.option(
                "--sample", type=int, metavar="N", help="Only N rows, drawn in whole requests."
            ),
            click.option("--seed", type=int, default=0, metavar="S", help="Draws other rows."),
        ],
    )


def models_of(values: tuple[str, ...]) -> str | dict[str, str] | None:
    """Read `NAME` once, or `ROUTE=NAME` once per route.

    Raises:
        ConfigurationError: If it is neither.
    """
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


def settings_in_force() -> Settings:
    """Return the settings that whoever called the command handed in as click's `obj`, if any.

    A program around the command has no other way to them; a person has the options.
    """
    from analysis.settings import SETTINGS, Settings

    context = click.get_current_context(silent=True)
    return (None if context is None else context.find_object(Settings)) or SETTINGS


def with_variables(command: click.Command) -> None:
    """Let the help of each option name the variable that sets it."""
    for option in command.params:
        if isinstance(option, click.Option):
            option.show_envvar = True


def _with(command: _Command, decorators: Sequence[Callable[[_Command], _Command]]) -> _Command:
    """Apply decorators so that their options stand in this order."""
    for decorator in reversed(decorators):
        command = decorator(command)
    return command
