"""The options of the local service, and processes that end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.commands.simulate import simulate
from analysis.testing import ServiceOptions, make_service, read_switches
from benchmarks.score.constants import PLAIN, SHORT_REGIMES
from benchmarks.score.local import service, service_options

BY_NAME = {regime.name: regime for regime in SHORT_REGIMES}


def test_buckets_that_are_not_full_are_raised_before_the_first_request() -> None:
    """A tenth of 300 requests a minute is there at first."""
    options = service_options(BY_NAME["rpm"], 7)
    assert {"--rpm=30", "--fault=limits:rpm=300@0-", "--seed=7"} <= set(options)
    assert not any("hidden" in option or "outage" in option for option in options)


def test_faults_outages_and_windows_are_those_of_the_regime() -> None:
    """Each has its option; a way that tells no limits has a service that tells none."""
    assert "--outage=responses-ws=1.5:6" in service_options(BY_NAME["outage"], 0)
    faults = service_options(BY_NAME["faults"], 0)
    assert {
        "--fault=error_500=0.02",
        "--fault=drop=0.015",
        "--fault=malformed=0.01",
        "--fault=hang=0.005",
    } <= set(faults)
    assert '--set=lie="absent"' not in faults
    plain = service_options(replace(PLAIN, windows_s=(1.0,)), 0)
    assert {'--set=lie="absent"', "--set=hidden_window_s=1.0", "--latency-ms=50"} <= set(plain)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_the_service_takes_the_options(name: str) -> None:
    """They are options of the command, and make a service with limits."""
    options = service_options(BY_NAME[name], 0)
    chosen = dict(simulate.make_context("simulate", options).params)
    for log in ("payment_log", "event_log"):
        assert chosen.pop(log) is None
    chosen["endpoints"] = chosen["endpoints"].split(",")
    chosen["switches"] = read_switches(chosen["switches"])
    made = make_service(ServiceOptions.of(chosen), payment=None, event_log=None)
    assert made.profile.latency_sigma == BY_NAME[name].ttft_sigma
    assert bool(made.profile.lie) == ("plain" in name)


def test_a_service_that_does_not_start_says_why() -> None:
    """Its last words are quoted."""
    with pytest.raises(RuntimeError, match="No such option"), service(["--nonsense"]):
        pass
