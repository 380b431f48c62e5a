"""The command `semfn check --live`: what the documents leave open, asked of an endpoint.

io. `commands/check.py` calls it. Heavy imports happen inside the functions, so that `--help` stays
fast.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.ending import ended
from analysis.commands.probed import endpoint_finding, endpoint_of, models_of

if TYPE_CHECKING:
    from analysis.check.questions import Answer, Question
    from analysis.check.transcript import Transcript
    from analysis.check.wires import Patience, Wires
    from analysis.endpoint import Endpoint

FREE_USD = 0.05
"""What may be spent without being asked."""


def execute(options: dict[str, Any], *, patience: Patience | None = None) -> int:
    """Ask the questions and return the exit code; lines or JSON go to stdout.

    Args:
        options: Those of the command, by name.
        patience: How long to wait; by default as long as a real service needs.
    """

    def work() -> int:
        given = _ask(options, patience)
        return 3 if any(answer.outcome == "failed" for answer in given) else 0

    return ended(work)


def answer_line(answer: Answer) -> str:
    """Return the one line for people; control characters of a server do not reach a terminal."""
    line = f"{answer.number:<6} {answer.outcome}: {answer.message}"
    if answer.is_simulated:
        line += " (simulated)"
    if answer.spent.requests:
        line += f" [{_spent(answer.spent)}]"
    return "".join(sign if sign.isprintable() else " " for sign in line)


def _spent(spent: Any) -> str:
    """Return what was sent and what it cost, in words."""
    cost = "cost unknown" if spent.usd is None else f"{spent.usd:.4f} USD"
    return (
        f"{spent.requests} requests, {spent.usage.input_tokens:,} tokens in, "
        f"{spent.usage.output_tokens:,} out, {cost}"
    )


def _ask(options: dict[str, Any], patience: Patience | None) -> list[Answer]:
    """Ask the wanted questions, and print the answers."""
    from analysis.check.live import QUESTIONS
    from analysis.check.questions import select
    from analysis.check.transcript import Mask, Transcript
    from analysis.connections import check_routes

    asked = select(QUESTIONS, options["question"])
    routes = check_routes(options["route"])
    models = models_of(options["model"], routes)
    with endpoint_of(options) as named:
        endpoint = asyncio.run(_marked(named))
        if not options["as_json"]:
            click.echo(endpoint_finding(endpoint).message)
        limit_usd = _agreed(endpoint, asked, models, options)
        mask = Mask(endpoint)
        with Transcript(options["transcript"], mask=mask, clock=time.monotonic) as transcript:
            return asyncio.run(
                _asked(endpoint, asked, models, options, limit_usd, transcript, patience)
            )


async def _marked(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint, marked if the simulated service answers there."""
    from analysis.check import list_models, marked
    from analysis.errors import AnalysisError
    from analysis.settings import SETTINGS

    try:
        return marked(endpoint, await list_models(endpoint, SETTINGS.connect_timeout_s))
    except AnalysisError:
        return endpoint  # the questions find out what is wrong


def _agreed(
    endpoint: Endpoint, asked: tuple[Question, ...], models: dict[str, str], options: dict[str, Any]
) -> float | None:
    """Return how much may be spent; say what it may cost, and ask where that is much.

    Raises:
        ConfigurationError: If nobody agrees.
    """
    from analysis.check.live import highest_cost
    from analysis.endpoint import EMBEDDED
    from analysis.errors import ConfigurationError
    from analysis.prices import price_table

    if endpoint.host == EMBEDDED:
        return None
    table = price_table()
    cost = highest_cost(asked, models, table, is_long=options["is_long"])
    shown = "an unknown sum" if cost is None else f"up to {cost:.3f} USD"
    click.echo(f"The questions cost {shown} by prices of {table.date}.", err=True)
    if cost is not None and cost <= FREE_USD:
        return FREE_USD
    if not options["yes"]:
        is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
        if not is_terminal or not click.confirm("Go on?", err=True):
            raise ConfigurationError(
                f"The questions may cost {shown}, and above {FREE_USD:.2f} USD needs a yes. Pass "
                "--yes to go on, or --question with fewer numbers."
            )
    return cost


async def _asked(
    endpoint: Endpoint,
    asked: tuple[Question, ...],
    models: dict[str, str],
    options: dict[str, Any],
    limit_usd: float | None,
    transcript: Transcript,
    patience: Patience | None,
) -> list[Answer]:
    """Ask and print; the last line or the document says what all of it cost."""
    from analysis.check.live import answers, document
    from analysis.check.spending import Spending
    from analysis.check.wires import PATIENCE, Wires
    from analysis.connections import check_routes

    now = datetime.now(UTC)
    spending = Spending(limit_usd)
    wires = Wires(
        endpoint,
        models=models,
        spending=spending,
        transcript=transcript,
        clock=time.monotonic,
        nonce=now.isoformat(),
        patience=patience or PATIENCE,
    )
    given: list[Answer] = []
    try:
        asking = answers(
            wires, asked, routes=check_routes(options["route"]), is_long=options["is_long"]
        )
        async for answer in asking:
            given.append(answer)
            if not options["as_json"]:
                click.echo(answer_line(answer))
    finally:
        # What was paid for is shown, also when a person interrupts the rest.
        await wires.close()
        if options["as_json"]:
            click.echo(json.dumps(document(wires, given, now), ensure_ascii=False, indent=2))
        _close(wires, options)
    return given


def _close(wires: Wires, options: dict[str, Any]) -> None:
    """Say what all of it cost, also when it was interrupted."""
    from analysis.endpoint import EMBEDDED

    mark = " (simulated)" if wires.endpoint.host == EMBEDDED else ""
    click.echo(f"In all: {_spent(wires.spending.total)}{mark}.", err=True)
    if options["transcript"] is not None:
        click.echo(f"Transcript: {options['transcript']}", err=True)
