"""The command `semfn check`: what works here and at the endpoint, and the cure for what does not.

io. Registered in the program's group of commands. Heavy imports happen inside the functions, so
that `--help` stays fast.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from analysis.check import Finding
    from analysis.endpoint import Endpoint

OLDEST_PYTHON = (3, 11)
SCHEMA_VERSION = 1
"""Of the document of `--json`."""


@click.command(
    "check",
    epilog="Example: semfn check --local",
    context_settings={
        "auto_envvar_prefix": "SEMFN_CHECK",
        "show_default": True,
        "help_option_names": ["-h", "--help"],
    },
)
@click.option("--local", is_flag=True, help="Check a service in this process (simulated).")
@click.option(
    "--base-url", help="Address of the service. [default: OPENAI_BASE_URL, else OpenAI's]"
)
@click.option(
    "--route", default="realtime,rest", help="Routes, separated by commas: realtime, rest, offline."
)
@click.option("--model", multiple=True, metavar="ROUTE=NAME", help="Model of a route.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON on stdout.")
def check(**options: Any) -> None:
    """Check Python, folder, key and endpoint, and print a line with ok or fail for each.

    The endpoint is asked: does it answer over HTTPS and over WebSocket, does it take the key, which
    Realtime settings does it take or refuse, what comes back for one chunk on each route, which
    limits does it state, and which models does it serve until when. Two chunks per route are sent;
    with a key that costs less than 0.01 USD at the default models.

    Exit codes: 0 all ok; 2 no key and no address, or an option cannot be used; 3 something failed;
    130 interrupted.
    """
    sys.exit(execute(options))


def execute(options: dict[str, Any], *, folder: Path | None = None) -> int:
    """Do the checks and return the exit code; lines or JSON go to stdout.

    Args:
        options: Those of the command, by name.
        folder: Checked for being writable; by default the current one.
    """
    from analysis.errors import ConfigurationError

    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not options["as_json"]:
            click.echo(line_of(finding))

    try:
        tell(python_finding(sys.version_info[:3], sys.platform))
        tell(folder_finding(folder or Path.cwd()))
        _probe(options, tell)
        code = 0 if all(finding.ok for finding in findings) else 3
    except ConfigurationError as error:
        tell(_refused(error))
        code = 2
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        return 130
    if options["as_json"]:
        _print_document(findings, code)
    return code


def line_of(finding: Finding) -> str:
    """Return the one line for people; control characters of a server do not reach a terminal."""
    line = f"{'ok  ' if finding.ok else 'fail'}  {finding.name}: {finding.message}"
    if finding.cure:
        line += f" -> {finding.cure}"
    return "".join(sign if sign.isprintable() else " " for sign in line)


def python_finding(version: tuple[int, ...], system: str) -> Finding:
    """Return whether this Python is new enough."""
    from analysis import __version__
    from analysis.check import Finding

    oldest = ".".join(map(str, OLDEST_PYTHON))
    spelled = ".".join(map(str, version))
    return Finding(
        name="python",
        ok=version >= OLDEST_PYTHON,
        message=f"{spelled} on {system}, semfn {__version__}",
        cure="" if version >= OLDEST_PYTHON else f"Install Python {oldest} or later.",
        facts={"python": spelled, "system": system, "semfn": __version__},
    )


def folder_finding(folder: Path) -> Finding:
    """Return whether results and ledgers can be written to a folder."""
    import tempfile

    from analysis.check import Finding

    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"semfn")
            trial.flush()
    except OSError as error:
        return Finding(
            name="folder",
            ok=False,
            message=f"{folder} cannot be written: {error.strerror or error}",
            cure="Change to a folder that can be written, or name one with --output and --ledger.",
        )
    return Finding(name="folder", ok=True, message=f"{folder} can be written")


def _probe(options: dict[str, Any], tell: Callable[[Finding], None]) -> None:
    """Ask the endpoint, the local service included, and tell every finding as it comes."""
    import asyncio
    from contextlib import ExitStack

    from analysis.connections import check_routes
    from analysis.endpoint import EMBEDDED, Endpoint
    from analysis.errors import ConfigurationError

    routes = check_routes(options["route"])
    asked = _models(options["model"], routes)
    if options["local"] and options["base_url"]:
        raise ConfigurationError("--local and --base-url exclude each other. Leave one out.")
    with ExitStack() as held:
        if options["local"]:
            address = held.enter_context(_local_service())
            endpoint = Endpoint.find(api_key="local", base_url=address, host=EMBEDDED)
        elif routes == ("offline",):
            endpoint = Endpoint.none()
        else:
            endpoint = Endpoint.find(base_url=options["base_url"])
        if endpoint.base_url:
            tell(_endpoint_finding(endpoint))
        asyncio.run(_tell_all(endpoint, routes, asked, tell))


def _local_service() -> AbstractContextManager[str]:
    """Return the local service in a thread of its own, with labels from rules."""
    from analysis.labels.rules import label_texts
    from analysis.simulator.server import start_in_thread
    from analysis.simulator.service import Answerer, Service

    return start_in_thread(Service(Answerer(name="offline-rules", label=label_texts)))


def _endpoint_finding(endpoint: Endpoint) -> Finding:
    """Return where requests go and whether a key is set, which is never shown."""
    from analysis.check import Finding
    from analysis.endpoint import EMBEDDED, NO_KEY

    key = "not set" if endpoint.api_key == NO_KEY else "set (OPENAI_API_KEY)"
    address = endpoint.base_url
    if endpoint.host == EMBEDDED:
        key, address = "not needed", f"local service at {address} (simulated)"
    return Finding(
        name="endpoint",
        ok=True,
        message=f"{address}, key {key}",
        facts={"base_url": endpoint.base_url, "key": key},
    )


async def _tell_all(
    endpoint: Endpoint,
    routes: tuple[str, ...],
    asked: Mapping[str, str],
    tell: Callable[[Finding], None],
) -> None:
    from datetime import UTC, datetime

    from analysis.check import examine

    today = datetime.now(UTC).date()
    async for finding in examine(endpoint, today=today, routes=routes, asked=asked):
        tell(finding)


def _models(values: tuple[str, ...], routes: tuple[str, ...]) -> dict[str, str]:
    """Return route -> model: the defaults, and `ROUTE=NAME` on top."""
    from analysis.errors import ConfigurationError
    from analysis.settings import DEFAULT_MODELS

    asked = dict(DEFAULT_MODELS)
    for value in values:
        route, mark, name = value.partition("=")
        if not mark or not name or route not in routes:
            raise ConfigurationError(
                f"--model {value} cannot be used. Write ROUTE=NAME with one of the routes "
                f"{', '.join(routes)}."
            )
        asked[route] = name
    return asked


def _refused(error: Exception) -> Finding:
    from analysis.check import Finding

    return Finding(
        name="configuration",
        ok=False,
        message=str(error),
        cure="Nothing was sent. `semfn check --help` shows the options.",
    )


def _print_document(findings: list[Finding], code: int) -> None:
    import json

    document = {
        "version": SCHEMA_VERSION,
        "exit_code": code,
        "findings": [finding.to_dict() for finding in findings],
    }
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))
