"""The command `semfn simulate`: serve the simulated service until it is told to stop.

io. Registered in the program's group of commands. Heavy imports happen inside the function, so
that `--help` stays fast.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.simulator.profile import ROUTES

if TYPE_CHECKING:
    from analysis.simulator.server import LocalService
    from analysis.simulator.service import Answerer


@click.command("simulate", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to bind.")
@click.option("--port", default=0, show_default=True, help="Port to bind; 0 takes a free one.")
@click.option("--api-key", help="Only key that is accepted; without it any key is good.")
@click.option(
    "--dialect",
    type=click.Choice(("ga", "beta")),
    default="ga",
    show_default=True,
    help="Dialect of the Realtime route.",
)
@click.option(
    "--latency-ms",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Median latency of an answer; 0 answers at once.",
)
@click.option(
    "--ms-per-token",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Milliseconds per token of an answer, on top of the latency.",
)
@click.option("--rpm", type=click.IntRange(min=1), help="Requests per minute; default no limit.")
@click.option("--tpm", type=click.IntRange(min=1), help="Tokens per minute; default no limit.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND=PROBABILITY",
    help="Fault per request: drop, error_500, hang, delay or shuffle. May be repeated.",
)
@click.option(
    "--outage",
    "outages",
    multiple=True,
    metavar="ROUTE=START:SECONDS",
    help="A route is out from START seconds after the start on. May be repeated.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(ROUTES),
    help="Leave a route out: its address is unknown. May be repeated.",
)
@click.option(
    "--no-json-schema",
    is_flag=True,
    help="Refuse JSON schemas for answers on the HTTP routes.",
)
@click.option("--seed", type=int, help="Seed of ids, latencies and faults; default fixed.")
@click.option(
    "--payment-log",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append one JSON line per paid request.",
)
@click.option(
    "--digest-labels",
    is_flag=True,
    help="Labels are a function of sha256 of the text, so that every swap shows.",
)
@click.option(
    "--session-max-age",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Seconds after which a Realtime session is closed; default 3600.",
)
def simulate(
    host: str,
    port: int,
    api_key: str | None,
    dialect: str,
    latency_ms: float,
    ms_per_token: float,
    rpm: int | None,
    tpm: int | None,
    faults: tuple[str, ...],
    outages: tuple[str, ...],
    without: tuple[str, ...],
    no_json_schema: bool,
    seed: int | None,
    payment_log: Path | None,
    digest_labels: bool,
    session_max_age: float | None,
) -> None:
    """Serve a simulated service on this machine, for trials and tests without a key.

    The first line on stdout is base_url=URL; give that URL to a client as its base URL.
    """
    import asyncio
    from dataclasses import replace

    from analysis.errors import ConfigurationError
    from analysis.simulator import faults as catalogue
    from analysis.simulator import outages as plan
    from analysis.simulator.profile import DEFAULT_SEED, PROFILE
    from analysis.simulator.server import LocalService, PaymentLog
    from analysis.simulator.service import Service

    age_s = PROFILE.session_max_age_s if session_max_age is None else session_max_age
    try:
        with ExitStack() as stack:
            payment = None
            if payment_log is not None:
                payment = stack.enter_context(PaymentLog(payment_log)).write
            service = Service(
                _answerer(is_digest=digest_labels),
                seed=DEFAULT_SEED if seed is None else seed,
                api_key=api_key,
                dialect=dialect,
                endpoints=frozenset(ROUTES) - frozenset(without),
                has_json_schema=not no_json_schema,
                latency_ms=latency_ms,
                ms_per_token=ms_per_token,
                rpm=rpm,
                tpm=tpm,
                faults=catalogue.parse(faults),
                outages=plan.parse(outages),
                payment=payment,
                profile=replace(PROFILE, session_max_age_s=age_s),
            )
            local = LocalService(service, host=host, port=port)
            source = "digest labels" if digest_labels else "the rule labeller"
            click.echo(f"Labels come from {source} (simulated).", err=True)
            asyncio.run(_serve(local))
    except (ConfigurationError, OSError) as error:
        raise click.UsageError(str(error)) from error


def _answerer(*, is_digest: bool) -> Answerer:
    """Return the simulated model: digest labels, or the rule labeller."""
    from analysis.labels.label_set import LabelSet
    from analysis.simulator.service import Answerer, digest_answerer

    if is_digest:
        return digest_answerer(LabelSet.load("ten_functions").keys)

    from analysis.labels.rules import label_texts

    return Answerer(name="offline-rules", label=label_texts)


async def _serve(local: LocalService) -> None:
    """Serve until SIGINT or SIGTERM, having printed the base URL."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with local:
        click.echo(f"base_url={local.base_url}")
        await stop.wait()
