"""`semfn evaluate --audit`: rows of a finished output are asked again in several ways.

io. `evaluate` calls it. Heavy imports happen inside the functions, so that `--help` stays fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analysis.commands.ending import code_of_stop

if TYPE_CHECKING:
    from analysis.analyzer import Estimate
    from analysis.audit.audited import Audit
    from analysis.audit.record import RunFacts
    from analysis.pipeline.tables import Table

Options = Mapping[str, Any]
_Command = TypeVar("_Command", bound=Callable[..., Any])

COMPARING = (
    *("gold", "gold_column", "gold_column_2", "gold_separator", "gold_id_column"),
    *("gold_encoding", "gold_delimiter", "mapping", "against", "between", "min_confidence"),
)
"""Options of a comparison, which an audit does not make."""

ASKING = (
    *("input", "topic", "text_column", "topic_column", "title_column", "route", "model"),
    *("local", "budget", "yes", "ledger", "fresh"),
)
"""Options that only an audit has."""


def audit_options(command: _Command) -> _Command:
    """Add the options of an audit to a command, in this order."""
    decorators = [
        click.option(
            "--audit",
            type=click.IntRange(1),
            metavar="N",
            help="Ask N rows again, alone, and with chunks or labels in another order: how often "
            "do labels change? Sends requests.",
        ),
        click.option(
            "--input",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Audit: the input of the run. [default: as the run was given]",
        ),
        click.option("--topic", help="Audit: the topic of the run."),
        click.option("--text-column", metavar="NAME", help="Audit: column of the texts."),
        click.option("--topic-column", metavar="NAME", help="Audit: column of the topics."),
        click.option(
            "--title-column",
            metavar="NAME",
            help="Audit: column of the titles. [default: that of the run]",
        ),
        click.option(
            "--route", metavar="LIST", help="Audit: also ask the same requests over these routes."
        ),
        click.option(
            "--model", multiple=True, metavar="[ROUTE=]NAME", help="Audit: models of --route."
        ),
        click.option("--local", is_flag=True, help="Audit: of a run with --local (simulated)."),
        click.option("--budget", type=float, metavar="USD", help="Audit: spend no more than this."),
        click.option(
            "--yes", is_flag=True, help="Audit: go on although the estimate is above 5 USD."
        ),
        click.option(
            "--ledger",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Audit: record of its answers. [default: OUTPUT.audit.semfn.sqlite]",
        ),
        click.option(
            "--fresh", is_flag=True, help="Audit: ask all again, also what its ledger holds."
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def check_without_audit(options: Options) -> None:
    """Refuse options of an audit where none is wanted.

    Raises:
        ConfigurationError: Names the first one.
    """
    from analysis.errors import ConfigurationError

    for name in ASKING:
        if options[name]:
            raise ConfigurationError(
                f"--{name.replace('_', '-')} belongs to an audit. Pass --audit N as well, or leave "
                "it out."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an audit found, ready to be printed or written.

    Attributes:
        document: All figures.
        lines: The same for people.
        table: CSV of the rows whose primary label changed in some arm.
        code: Exit code.
        paths: Files that were read, so that none of them is written.
    """

    document: dict[str, Any]
    lines: list[str]
    table: str
    code: int
    paths: tuple[Path, ...]


def run_audit(options: Options) -> Report:
    """Ask the rows again and return what was found.

    Raises:
        ConfigurationError: If an option cannot be used, or the audit is not what the run was.
        InputError: If a file cannot be used.
    """
    from analysis.audit.audited import Wanted, carry_out, prepare
    from analysis.audit.record import facts_of
    from analysis.commands.audit_wording import audit_lines
    from analysis.commands.kept import going_on_lines, store_of
    from analysis.commands.labelled_tables import open_labelled, read_output, read_texts
    from analysis.commands.options import models_of, settings_in_force
    from analysis.connections import check_routes
    from analysis.evaluation.cells import LabelReader
    from analysis.interrupts import hear_signals
    from analysis.labels.label_set import LabelSet

    _check(options)
    output: Path = options["output"]
    facts = facts_of(output)
    label_set = LabelSet.load(options["label_set"] or facts.label_set)
    label_set = label_set.in_language(facts.definitions)
    opened = open_labelled(
        output,
        id_column=options["id_column"],
        document_column=options["document_column"],
        encoding=options["encoding"],
        delimiter=options["delimiter"],
    )
    rows = read_output(opened, LabelReader(label_set))
    wanted = Wanted(
        rows=options["audit"],
        seed=options["seed"],
        routes=None if options["route"] is None else check_routes(options["route"]),
        model=models_of(options["model"]),
        local=options["local"],
        budget_usd=options["budget"],
        settings=settings_in_force(),
    )
    ledger = output.with_name(f"{output.name}.audit.semfn.sqlite")
    store = store_of(options, ledger, is_free=wanted.is_free(facts))
    with contextlib.ExitStack() as held:
        table = _input(options, facts)
        audit = prepare(
            held,
            facts=facts,
            wanted=wanted,
            label_set=label_set,
            table=table,
            rows=rows,
            texts=read_texts(opened, table.columns[table.roles["text"]]),
            output=output,
            store=store,
        )
        _announce(audit, is_confirmed=options["yes"] or options["budget"] is not None)
        with hear_signals(signal.default_int_handler):
            found = asyncio.run(carry_out(audit))
    document = {"output": str(output), "input": str(table.path)} | found.document
    return Report(
        document=document,
        lines=[
            *audit_lines(document, output=str(output)),
            *going_on_lines(store, is_stopped=found.stop_cause is not None),
        ],
        table=_table(audit, {one.arm.name: one.labels for one in found.asked}),
        code=code_of_stop(found.stop_cause),
        paths=(output, table.path),
    )


def _announce(audit: Audit, *, is_confirmed: bool) -> None:
    """Say what is kept, and what the rest takes; ask where that is expensive."""
    from analysis.commands.kept import kept_lines

    figures = audit.estimates()
    requests = sum(one.requests for one in figures)
    for line in kept_lines(audit.store, audit.sources, requests=requests):
        click.echo(line, err=True)
    if requests:
        agree(figures, is_simulated=audit.is_simulated, is_confirmed=is_confirmed)


def _table(audit: Audit, arms: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Return the rows whose primary label changed in some arm; labels are keys."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", "output", *arms])
    for name, row in audit.compared.items():
        found = [labels.get(name, ()) for labels in arms.values()]
        if any(labels and labels[0] != row.labels[0] for labels in found):
            writer.writerow(
                [name, row.labels[0], *(labels[0] if labels else "" for labels in found)]
            )
    return stream.getvalue()


def _check(options: Options) -> None:
    from analysis.errors import ConfigurationError

    for name in COMPARING:
        if options[name] is not None and options[name] != ():
            raise ConfigurationError(
                f"--{name.replace('_', '-')} and --audit cannot be combined. Give two commands."
            )
    if options["model"] and options["route"] is None:
        raise ConfigurationError(
            "--model belongs to --route here: an audit asks the models of the run. Pass --route "
            "as well, or leave it out."
        )
    budget = options["budget"]
    if budget is not None and not 0 < budget < float("inf"):
        raise ConfigurationError(f"--budget is {budget:g}; it must be US dollars above 0.")


def _input(options: Options, facts: RunFacts) -> Table:
    from analysis.pipeline.tables import open_table

    return open_table(
        options["input"] or facts.input,
        id_column=options["id_column"],
        text_column=options["text_column"],
        document_column=options["document_column"],
        topic_column=options["topic_column"],
        title_column=options["title_column"] or facts.title_column or None,
        topic=options["topic"],
        encoding=options["encoding"],
        delimiter=options["delimiter"],
        context=facts.context,
        settings=facts.settings,
    )


def agree(figures: Sequence[Estimate], *, is_simulated: bool, is_confirmed: bool) -> None:
    """Say what the audit takes; ask, or refuse, where it is expensive.

    Args:
        figures: Of each arm.
        is_simulated: Nothing is billed.
        is_confirmed: The user has said yes, or named a budget.

    Raises:
        ConfigurationError: If nobody agrees.
    """
    from analysis.commands.request_wording import dollars
    from analysis.errors import ConfigurationError
    from analysis.settings import SETTINGS

    requests = sum(one.requests for one in figures)
    tokens = sum(one.input_tokens for one in figures)
    costs = [one.cost_usd for one in figures if one.cost_usd is not None]
    is_known, cost = len(costs) == len(figures), sum(costs)
    price = dollars(cost) if is_known else "cost unknown"
    shown = "simulated" if is_simulated else f"{price} by prices of {figures[0].price_date}"
    click.echo(f"Audit: {requests:,} requests, about {tokens:,} input tokens, {shown}.", err=True)
    limit = SETTINGS.confirm_above_usd
    if is_simulated or is_confirmed or not is_known or cost <= limit:
        return
    question = f"The estimate is above {limit:.2f} USD. Go on?"
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if not is_terminal or not click.confirm(question, err=True):
        raise ConfigurationError(
            f"The audit is estimated at {cost:.2f} USD, above {limit:.2f} USD. Pass --yes to go "
            "on, --budget to cap it, or a smaller --audit."
        )
