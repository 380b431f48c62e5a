"""Is the endpoint there: reached over HTTPS and WebSocket, greeted, key accepted, dialect known.

python tests/probes/test_realtime_availability.py [--live]
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # as a script, from any folder: the repository comes onto the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pytest

from analysis.check import Finding, availability
from analysis.endpoint import Endpoint
from tests.probes.probe_endpoint import Case, assert_all_ok, by_name, main, run_live, run_local


async def probe(endpoint: Endpoint) -> tuple[Finding, ...]:
    """Knock at both doors."""
    return await availability(endpoint, routes=("realtime", "rest"))


GA = Case(title="Availability", probe=probe)
BETA = Case(
    title="Availability, beta dialect",
    probe=probe,
    service={"dialect": "beta"},
    is_local_only=True,
)


@pytest.mark.parametrize(("case", "dialect"), [(GA, "ga"), (BETA, "beta")])
def test_the_service_is_reached_and_its_dialect_told(case: Case, dialect: str) -> None:
    """Both doors open, the key is accepted at both, and the greeting shows the dialect."""
    findings = run_local(case)
    assert_all_ok(findings)
    found = by_name(findings)
    assert ["https", "websocket", "key", "dialect"] == list(found)
    assert ["HTTPS", "WebSocket"] == found["key"].facts["accepted_over"]
    assert dialect == found["dialect"].facts["dialect"]


@pytest.mark.live
def test_the_real_endpoint_is_there() -> None:
    """The same at the endpoint of the environment."""
    assert_all_ok(run_live(GA))


if __name__ == "__main__":
    sys.exit(main("Is the endpoint there, and which dialect does it speak?", [GA, BETA]))
