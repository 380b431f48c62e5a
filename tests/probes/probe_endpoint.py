"""What the probe scripts of this folder share: an endpoint, and a plain script around a probe.

A script runs its cases against the simulated service in a thread of this process, or with `--live`
against the endpoint of OPENAI_API_KEY and OPENAI_BASE_URL. The same cases run under pytest; those
that are live only with `pytest -m live` or SEMFN_LIVE=1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from analysis.check import Finding, list_models, marked
from analysis.commands.check import line_of
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import AnalysisError, ConfigurationError
from analysis.labels.label_set import LabelSet
from analysis.settings import SETTINGS
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Service, digest_answerer

Probe: TypeAlias = Callable[[Endpoint], Awaitable[Sequence[Finding]]]

ANSWERER = digest_answerer(LabelSet.load("ten_functions").keys)
"""Labels are a function of the text, so that equal labels mean that none was swapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One probe and the simulated service that it meets when it is not live.

    Attributes:
        title: What is shown, for people.
        probe: Returns its findings.
        service: Options of `Service`, such as `dialect`.
        is_local_only: A real endpoint cannot be brought into this state.
    """

    title: str
    probe: Probe
    service: Mapping[str, Any] = field(default_factory=dict)
    is_local_only: bool = False


@contextmanager
def local_endpoint(**options: Any) -> Iterator[Endpoint]:
    """Run a simulated service with digest labels in a thread; yield its endpoint."""
    with start_in_thread(Service(ANSWERER, **options)) as base_url:
        yield Endpoint.find(api_key="local", base_url=base_url, host=EMBEDDED)


async def _findings(probe: Probe, endpoint: Endpoint) -> list[Finding]:
    return list(await probe(endpoint))


def run_local(case: Case) -> list[Finding]:
    """Return what a case finds at the simulated service."""
    with local_endpoint(**case.service) as endpoint:
        return asyncio.run(_findings(case.probe, endpoint))


def run_live(case: Case) -> list[Finding]:
    """Return what a case finds at the endpoint of the environment.

    Raises:
        ConfigurationError: If there is neither key nor address.
    """

    async def run() -> list[Finding]:
        endpoint = Endpoint.find()
        with contextlib.suppress(AnalysisError):  # a dead endpoint is what the probe finds
            endpoint = marked(endpoint, await list_models(endpoint, SETTINGS.connect_timeout_s))
        return await _findings(case.probe, endpoint)

    return asyncio.run(run())


def by_name(findings: Sequence[Finding]) -> dict[str, Finding]:
    """Return findings by name; each name stands for one."""
    found = {finding.name: finding for finding in findings}
    assert len(found) == len(findings), "Two findings have the same name."
    return found


def assert_all_ok(findings: Sequence[Finding]) -> None:
    """Fail with the lines of the findings that are not ok, or if there is none at all."""
    assert findings
    lines = [line_of(finding) for finding in findings if not finding.ok]
    assert not lines, "\n" + "\n".join(lines)


def live_obstacle(mark_expression: str, environment: Mapping[str, str]) -> str | None:
    """Return why live tests are skipped, or None if they run.

    Args:
        mark_expression: What stands behind `-m`.
        environment: Variables.
    """
    is_asked = mark_expression.strip() == "live" or environment.get("SEMFN_LIVE") == "1"
    if not is_asked:
        return "asks a real endpoint; run it with `pytest -m live` or SEMFN_LIVE=1"
    if not environment.get("OPENAI_API_KEY"):
        return "asks a real endpoint and needs OPENAI_API_KEY"
    return None


def main(description: str, cases: Sequence[Case], arguments: Sequence[str] | None = None) -> int:
    """Run the cases as a script; print one line per finding; return 0 if all are ok, else 1."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--live",
        action="store_true",
        help="ask the endpoint of OPENAI_API_KEY and OPENAI_BASE_URL; by default a simulated "
        "service in this process is asked",
    )
    is_live = parser.parse_args(arguments).live
    is_ok = True
    for case in cases:
        if is_live and case.is_local_only:
            continue
        print(case.title if is_live else f"{case.title} (simulated)")
        try:
            findings = run_live(case) if is_live else run_local(case)
        except ConfigurationError as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
        for finding in findings:
            print(f"  {line_of(finding)}")
        is_ok = is_ok and all(finding.ok for finding in findings)
    return 0 if is_ok else 1
