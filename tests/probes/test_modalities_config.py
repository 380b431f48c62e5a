"""Which settings a Realtime session takes and which it refuses, in the server's own words.

python tests/probes/test_modalities_config.py [--live]
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # as a script, from any folder: the repository comes onto the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pytest

from analysis.check import TRIALS, settings
from tests.probes.probe_endpoint import Case, assert_all_ok, by_name, main, run_live, run_local

SETTINGS = Case(title="Settings", probe=settings)
BETA = Case(
    title="Settings, beta dialect", probe=settings, service={"dialect": "beta"}, is_local_only=True
)


@pytest.mark.parametrize(("case", "dialect"), [(SETTINGS, "ga"), (BETA, "beta")])
def test_each_setting_is_taken_or_refused_as_documented(case: Case, dialect: str) -> None:
    """The product's settings are confirmed, and the matrix of single ones comes out as expected."""
    findings = run_local(case)
    assert_all_ok(findings)
    found = by_name(findings)
    assert dialect == found.pop("session settings").facts["dialect"]
    expected = {
        f"setting {trial.name}": "accepted" if trial.is_taken else "refused"
        for trial in TRIALS[dialect]
    }
    assert expected == {name: finding.facts["outcome"] for name, finding in found.items()}


def test_refusals_quote_the_server() -> None:
    """The words that the quick reference lists as common errors are those of the server."""
    found = by_name(run_local(BETA))
    cold = found["setting temperature 0.5"].facts
    assert ["decimal_below_min_value", "session.temperature"] == [cold["code"], cold["param"]]
    assert "below minimum value. Expected a value >= 0.6" in str(cold["words"])
    assert "Supported combinations are: ['text'] and ['audio', 'text']." in str(
        found['setting modalities ["audio"]'].facts["words"]
    )


@pytest.mark.live
def test_the_real_endpoint_takes_the_settings_of_the_product() -> None:
    """The product's settings are confirmed and every trial is answered."""
    assert_all_ok(run_live(SETTINGS))


if __name__ == "__main__":
    sys.exit(main("Which settings does a Realtime session take?", [SETTINGS, BETA]))
