"""`semfn prove`: what packing and routes do to labels, latency and the bill, by a fixed protocol.

io. Turns options into a call of `audit.proof`, writes one JSON and returns an exit code. Heavy
imports happen inside the functions, so that `--help` stays fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.ending import code_of_stop, ended

if TYPE_CHECKING:
    from analysis.audit.proof import Progressed, Proof
    from analysis.audit.protocol import Protocol
    from analysis.records import Chunk

RESULTS = Path("performance_results")
Options = Mapping[str, Any]


@click.command(
    epilog="Example: semfn prove --budget 2",
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.option("--budget", type=float, default=2.0, metavar="USD", help="Spend no more than this.")
@click.option(
    "--local",
    is_flag=True,
    help="Ask a service in this process (simulated), as without key and address.",
)
@click.option(
    "--input",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Texts of your own. [default: the shipped samples]",
)
@click.option("--topic", help="What they are about; fills where a row has no topic.")
@click.option("--id-column", metavar="NAME", help="Column of the ids. [default: id]")
@click.option("--text-column", metavar="NAME", help="Column of the texts. [default: text]")
@click.option("--document-column", metavar="NAME", help="Column of the documents.")
@click.option("--topic-column", metavar="NAME", help="Column of the topics.")
@click.option("--title-column", metavar="NAME", help="Column of the titles. [default: none]")
@click.option(
    "--label-set", multiple=True, metavar="NAME|FILE", help="Only these. [default: four sets]"
)
@click.option("--route", metavar="LIST", help="Measure only these routes. [default: four routes]")
@click.option("--model", multiple=True, metavar="[ROUTE=]NAME", help="Model of a route.")
@click.option("--service-tier", metavar="NAME", help="auto, default, flex, priority and others.")
@click.option("--prices", type=click.Path(path_type=Path), help="Price table of your own (TOML).")
@click.option(
    "--limit", type=click.IntRange(2), metavar="N", help="Texts for each set. [default: 200]"
)
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    help="Folder of the result.",
)
@click.option(
    "--ledger",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Record of the answers. [default: prove_DIGEST.semfn.sqlite in --results]",
)
@click.option("--fresh", is_flag=True, help="Ask all again, also what the ledger holds.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
def prove(**options: Any) -> None:
    """Ask 200 texts for each of four label sets in packs of 1, 10 and 20, and 20 texts over each
    route; tell how far labels agree, how long requests take, and what they cost.

    What is asked is fixed before: the digest of the protocol is printed first. Another --input,
    --label-set, --route, --limit, --model or --service-tier is another protocol, with another
    digest. Writes prove_TIME.json, also when it is stopped early.

    Answers are kept in a ledger as they come: after any stop the same command goes on, and after
    the end it asks nothing more. With --local there is none.

    Exit codes: 0 all labelled; 1 a chunk has no label; 2 something must be put right first, nothing
    was sent; 3 a service stopped it or a part of it; 4 stopped by --budget; 5 the result or the
    ledger cannot be written; 130 interrupted.
    """
    raise SystemExit(execute(options))


def execute(options: Options) -> int:
    """Carry out the protocol and return the exit code; lines go to stderr, JSON to stdout."""
    from analysis.interrupts import hear_signals

    def work() -> int:
        with contextlib.ExitStack() as held:
            chosen = _with_service(options)
            proof, notes = _prepared(held, chosen)
            target = _target(chosen["results"])
            _announce(proof, notes)
            with hear_signals(signal.default_int_handler):
                return _carried_out(proof, target, as_json=chosen["as_json"])

    return ended(work, interrupted=lambda: "Interrupted; no result was written.")


def _with_service(options: Options) -> Options:
    """Return the options with `local` where there is neither key nor address; says so."""
    from analysis.endpoint import VARIABLES

    if options["local"] or any(os.environ.get(VARIABLES[one]) for one in ("api_key", "base_url")):
        return options
    click.echo(
        f"Neither {VARIABLES['api_key']} nor {VARIABLES['base_url']} is set: the same steps are "
        "asked of a service in this process, and every figure is simulated.",
        err=True,
    )
    return {**options, "local": True}


def _prepared(held: contextlib.ExitStack, options: Options) -> tuple[Proof, list[str]]:
    """Return the proof, and what is to be said of its texts."""
    from analysis.audit.proof import prepare
    from analysis.audit.protocol import chosen
    from analysis.commands.kept import store_of
    from analysis.commands.options import settings_in_force
    from analysis.entry import read_prices
    from analysis.errors import ConfigurationError

    budget = options["budget"]
    if not 0 < budget < float("inf"):
        raise ConfigurationError(f"--budget is {budget:g}; it must be US dollars above 0.")
    protocol = _protocol(options)
    given = _chunks(options)
    chunks = chosen(given, protocol)
    ledger = options["results"] / f"prove_{protocol.of(chunks).digest[:12]}.semfn.sqlite"
    proof = prepare(
        held,
        protocol=protocol,
        chunks=chunks,
        budget_usd=budget,
        is_local=options["local"],
        prices=None if options["prices"] is None else read_prices(options["prices"]),
        store=store_of(options, ledger, is_free=options["local"]),
        settings=settings_in_force(),
    )
    return proof, _left_out(len(given), len(chunks), protocol)


def _left_out(given: int, asked: int, protocol: Protocol) -> list[str]:
    """Return how many texts of an input that was read to its end are not asked, and why."""
    if asked == protocol.chunks or asked == given:
        return []
    return [
        f"{given - asked:,} of {given:,} texts are left out: empty, too long, or the same as an "
        "earlier one."
    ]


def _protocol(options: Options) -> Protocol:
    """Return the standard protocol, or what the options make of it."""
    from dataclasses import replace

    from analysis.audit.protocol import Protocol
    from analysis.commands.options import models_of
    from analysis.connections import check_routes, check_service_tier
    from analysis.semantic_function_hybrid import models_by_route

    protocol = Protocol()
    if options["label_set"]:
        sets = tuple(dict.fromkeys(options["label_set"]))
        protocol = replace(protocol, label_sets=sets, route_label_set=sets[0])
    if options["route"] is not None:
        protocol = replace(protocol, routes=check_routes(options["route"]))
    if options["limit"] is not None:
        protocol = replace(protocol, chunks=options["limit"])
    routes = tuple(dict.fromkeys((*protocol.pack_routes, *protocol.routes)))
    named = models_by_route(models_of(options["model"]), routes)
    return replace(
        protocol,
        models=tuple((route, named[route]) for route in routes if route in named) or None,
        service_tier=check_service_tier(options["service_tier"], routes),
    )


def _chunks(options: Options) -> Sequence[Chunk]:
    from analysis.audit.protocol import sample_chunks
    from analysis.errors import ConfigurationError
    from analysis.pipeline.tables import open_table, scan

    columns = (
        *("id_column", "text_column", "document_column", "topic_column", "title_column"),
        "topic",
    )
    if options["input"] is None:
        for name in columns:
            if options[name] is not None:
                raise ConfigurationError(
                    f"--{name.replace('_', '-')} is about texts of your own. Pass --input as well."
                )
        return list(sample_chunks())
    table = open_table(options["input"], **{name: options[name] for name in columns})
    scan(table, needs_topic=False)
    return [row.chunk for rows in table.slices() for row in rows]


def _target(folder: Path) -> Path:
    """Return the file of the result; its folder is made before anything is sent."""
    from analysis.errors import ConfigurationError
    from analysis.pipeline.dialect import cause

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot make the folder {folder}: {cause(error)}. Pass another one with --results."
        ) from error
    return folder / f"prove_{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"


def _announce(proof: Proof, notes: Sequence[str]) -> None:
    """Print the digest first, then what is left to ask and what it takes."""
    from analysis.commands.audit_wording import same_arm_lines
    from analysis.commands.kept import kept_lines
    from analysis.commands.request_wording import dollars

    figures = proof.estimates()
    chunks = max(len(arm.chunks) for part in proof.parts for arm in part.arms)
    requests, tokens = (
        sum(getattr(one, name) for one in figures) for name in ("requests", "input_tokens")
    )
    cost = sum(one.cost_usd or 0.0 for one in figures)  # without a price there is no budget
    mark = "simulated" if proof.is_local else f"{dollars(cost)} by {figures[0].price_date}"
    click.echo(f"Protocol: {proof.protocol.digest}", err=True)
    for line in (*notes, *kept_lines(proof.store, proof.sources, requests=requests)):
        click.echo(line, err=True)
    if not requests:
        return
    for line in same_arm_lines(proof.same_arms):
        click.echo(line, err=True)
    sets = len(proof.protocol.label_sets)
    click.echo(
        f"{sets} label set{'' if sets == 1 else 's'}, {chunks:,} texts each: {requests:,} "
        f"requests, about {tokens:,} input tokens, {mark}; budget {dollars(proof.budget_usd)}.",
        err=True,
    )
    if not proof.is_local and cost > proof.budget_usd:
        click.echo("The budget will end it early: the estimate is above it.", err=True)


def _carried_out(proof: Proof, target: Path, *, as_json: bool) -> int:
    from analysis.audit.proof import carry_out, document_of
    from analysis.commands.audit_wording import proof_lines
    from analysis.commands.kept import going_on_lines
    from analysis.commands.wording import printable
    from analysis.errors import LedgerError
    from analysis.pipeline.dialect import cause

    started = datetime.now(UTC)
    done = asyncio.run(carry_out(proof, tell=lambda line: click.echo(printable(line), err=True)))
    times = {
        "started": f"{started:%Y-%m-%dT%H:%M:%SZ}",
        "finished": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    document = document_of(proof, done) | times
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    if as_json:
        click.echo(text, nl=False)
    is_stopped = done.stop_cause is not None or done.is_service_missing
    for line in (*proof_lines(document), *going_on_lines(proof.store, is_stopped=is_stopped)):
        click.echo(line, err=True)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LedgerError(
            f"Cannot write {target}: {cause(error)}. Pass another folder with --results."
        ) from error
    click.echo(f"Result: {target}", err=True)
    return _exit_code(done)


def _exit_code(done: Progressed) -> int:
    if done.stop_cause is not None:
        return code_of_stop(done.stop_cause)
    if done.is_service_missing:
        return 3
    return int(any(len(one.labels) < len(one.arm.chunks) for one in done.arms))
