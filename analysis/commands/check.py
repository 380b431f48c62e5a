"""The command `semfn check`: what works here and at the endpoint, and the cure for what does not.

io. Registered in the program's group of commands. Heavy imports happen inside the functions, so
that `--help` stays fast.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.probed import endpoint_finding, endpoint_of, models_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    "--route",
    default="realtime,responses-ws,rest,decisions",
    help="Routes, separated by commas; offline, too.",
)
@click.option("--model", multiple=True, metavar="ROUTE=NAME", help="Model of a route.")
@click.option("--live", is_flag=True, help="Ask the open questions about the service instead.")
@click.option(
    "--question",
    metavar="NUMBERS",
    help="With --live: only these, such as 12.1,D.4. [default: all]",
)
@click.option("--long", "is_long", is_flag=True, help="With --live: the long questions, too.")
@click.option(
    "--transcript",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --live: a new file for all frames, with key and account masked.",
)
@click.option("--yes", is_flag=True, help="With --live: go on although it may cost above 0.05 USD.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON on stdout.")
def check(**options: Any) -> None:
    """Check Python, folder, key and endpoint, and print a line with ok or fail for each.

    The endpoint is asked: does it answer over HTTPS and over WebSocket, does it take the key, which
    Realtime settings does it take or refuse, what comes back for one chunk on each route, which
    limits does it state, and which models does it serve until when. Up to two chunks per route are
    sent; with a key that costs less than 0.01 USD at the default models.

    With --live it is asked what the documents leave open, such as how many Realtime responses run
    at once; each answer has a number and says what it cost. --json makes a document of them.

    Exit codes: 0 all ok; 2 no key and no address, or an option cannot be used; 3 something failed;
    130 interrupted.
    """
    if options["live"]:
        from analysis.commands import live_check

        sys.exit(live_check.execute(options))
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

    from analysis.check.course import PROBE_ROUTES
    from analysis.connections import check_routes
    from analysis.errors import ConfigurationError

    for name in ("question", "is_long", "transcript", "yes"):
        if options.get(name):
            raise ConfigurationError(
                f"--{name.removeprefix('is_')} goes with --live. Add --live, or leave it out."
            )
    routes = check_routes(options["route"])
    asked = models_of(options["model"], routes)
    with endpoint_of(options, is_needed=routes != ("offline",)) as endpoint:
        if endpoint.base_url:
            tell(endpoint_finding(endpoint))
        is_named = routes != PROBE_ROUTES
        asyncio.run(_tell_all(endpoint, routes, asked, tell, is_named=is_named))


async def _tell_all(
    endpoint: Endpoint,
    routes: tuple[str, ...],
    asked: Mapping[str, str],
    tell: Callable[[Finding], None],
    *,
    is_named: bool,
) -> None:
    from datetime import UTC, datetime

    from analysis.check import examine

    today = datetime.now(UTC).date()
    async for finding in examine(
        endpoint, today=today, routes=routes, asked=asked, is_named=is_named
    ):
        tell(finding)


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
