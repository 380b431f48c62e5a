"""The command `semfn simulate`: serve the simulated service until it is told to stop.

io. Registered in the program's group of commands. Heavy imports happen inside the function, so
that `--help` stays fast.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.simulator.profile import DEFAULT_SEED, PROFILE, ROUTES

if TYPE_CHECKING:
    from analysis.simulator.server import LocalService
    from analysis.simulator.service import Service

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("simulate", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to bind.")
@click.option("--port", default=0, show_default=True, help="Port to bind; 0 takes a free one.")
@click.option(
    "--tls",
    is_flag=True,
    help="Serve https and wss with a throw-away certificate; the second line on stdout is "
    "ca_file=PATH, the file that clients have to trust.",
)
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
@click.option("--rpd", type=click.IntRange(min=1), help="Requests per day; default no limit.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND=P[@START-END]",
    help="Fault with its probability per request, for good or between two times in seconds since "
    "the start; limits:rpm=N@START-END changes a limit. --fault-list names all kinds. May be "
    "repeated.",
)
@click.option(
    "--fault-list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, parameter, value: _list_faults(context) if value else None,
    help="Print all kinds of faults and exit.",
)
@click.option(
    "--outage",
    "outages",
    multiple=True,
    metavar="ROUTE=START:SECONDS",
    help="A route is out from START seconds after the start on. May be repeated.",
)
@click.option(
    "--endpoints",
    metavar="ROUTE,...",
    default=",".join(ROUTES),
    show_default=True,
    help="Routes that exist; the addresses of the others are unknown.",
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
@click.option(
    "--no-logprobs",
    is_flag=True,
    help="State no probabilities of tokens: refuse requests that ask for them.",
)
@click.option("--seed", type=int, default=DEFAULT_SEED, help="Seed of ids, latencies and faults.")
@click.option("--payment-log", type=FILE, help="Append one JSON line per paid request.")
@click.option("--event-log", type=FILE, help="Append one JSON line per thing that happened.")
@click.option(
    "--digest-labels",
    is_flag=True,
    help="Labels are a function of sha256 of the text, so that every swap shows.",
)
@click.option("--obedient", is_flag=True, help="The model obeys usual wordings of orders in texts.")
@click.option(
    "--canned",
    is_flag=True,
    help="Every chunk gets the same label at least cost, to measure clients.",
)
@click.option(
    "--session-max-age",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    default=PROFILE.session_max_age_s,
    show_default=True,
    help="Seconds after which a Realtime session is closed.",
)
@click.option(
    "--set",
    "switches",
    multiple=True,
    metavar="NAME=VALUE",
    help="Field of the service's profile, such as responses.lane_names=4; a wrong name prints all "
    "of them. May be repeated.",
)
def simulate(payment_log: Path | None, event_log: Path | None, **options: Any) -> None:
    """Serve a simulated service on this machine, for trials and tests without a key.

    The first line on stdout is base_url=URL; give that URL to a client as its base URL. The last
    line on stderr, after SIGINT or SIGTERM, says how many requests were paid and what processor
    time it took to serve.
    """
    import asyncio

    from analysis.errors import ConfigurationError
    from analysis.simulator.server import LocalService, PaymentLog
    from analysis.testing import ServiceOptions, make_service, open_tls, read_switches

    try:
        options["endpoints"] = options["endpoints"].split(",")
        options["switches"] = read_switches(options["switches"])
        chosen = ServiceOptions.of(options)
        with ExitStack() as stack:
            payment, event = (
                None if path is None else stack.enter_context(PaymentLog(path)).write
                for path in (payment_log, event_log)
            )
            service = make_service(chosen, payment=payment, event_log=event)
            tls, ca_file = open_tls(chosen, stack)
            local = LocalService(service, host=chosen.host, port=chosen.port, tls=tls)
            source = "digest labels" if chosen.digest_labels else "the rule labeller"
            click.echo(f"Labels come from {source} (simulated).", err=True)
            asyncio.run(_serve(local, service, ca_file))
    except (ConfigurationError, OSError) as error:
        raise click.UsageError(str(error)) from error


def _list_faults(context: click.Context) -> None:
    from analysis.simulator.faults import FAULTS

    for name, meaning in FAULTS.items():
        click.echo(f"{name:16} {meaning}")
    context.exit()


async def _serve(local: LocalService, service: Service, ca_file: Path | None) -> None:
    """Serve until SIGINT or SIGTERM, having printed the base URL."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with local:
        started_s = time.process_time()
        click.echo(f"base_url={local.base_url}")
        if ca_file is not None:
            click.echo(f"ca_file={ca_file}")
        await stop.wait()
        cpu_s = time.process_time() - started_s
    click.echo(f"paid_requests={service.paid} cpu_s={cpu_s:.3f}", err=True)
