"""Runs with a budget on virtual time, by seed: faults, outages, limits, retries and copies.

What was spent is counted from the trace, by prices of its own, not by the scheduler.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from analysis.control.replay import replay
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.spending import Rates
from analysis.control.tape import Recorder
from analysis.errors import ModelRefused, RequestRejected, TransportError
from analysis.records import Ending, StopCause
from tests.simulation.scenario import Entry, Scenario, labels_of, sends
from tests.simulation.seeds import scenario_of
from tests.simulation.world import World

USD_PER_TOKEN = 0.001
RATES = Rates(input=1_000.0, cached=1_000.0, written=1_000.0, output=1_000.0)
SEEDS = range(400)


class Thrifty:
    """Makes schedulers with a budget; keeps the last one."""

    def __init__(self, budget_usd: float | None, *, seconds: float | None = None) -> None:
        self.budget_usd = budget_usd
        self.seconds = seconds
        self.lines: list[str] | None = None

    def __call__(self, routes: list[RoutePlan], *, now: float, **given: Any) -> Any:
        """Make one."""
        priced = [replace(plan, rates=RATES) for plan in routes]
        made: Scheduler | Recorder = (
            Scheduler(priced, now=now, **given)
            if self.lines is None
            else Recorder(priced, write=self.lines.append, now=now, **given)
        )
        made.cap(budget_usd=self.budget_usd, seconds=self.seconds, now=now)
        return made


def is_free(entry: Entry) -> bool:
    """Tell whether a failure is one that no service bills."""
    error = entry.error
    if isinstance(error, TransportError):
        return error.ending in (Ending.REFUSED, Ending.UNSENT)
    return isinstance(error, RequestRejected) and not isinstance(error, ModelRefused)


def most_at_stake(trace: list[Entry]) -> float:
    """Return the most US dollars that were spent and on their way at one time."""
    reserved: dict[str, float] = {}
    spent = most = 0.0
    for entry in trace:
        match entry.kind:
            case "send":
                reserved[entry.request_id] = entry.cost_tokens * USD_PER_TOKEN
            case "answer":
                del reserved[entry.request_id]
                spent += entry.usage_tokens * USD_PER_TOKEN
            case "failure":
                usd = reserved.pop(entry.request_id)
                spent += 0.0 if is_free(entry) else usd
            case "cancel":
                spent += reserved.pop(entry.request_id)
        most = max(most, spent + sum(reserved.values()))
    assert not reserved, "requests without an ending"
    return most


def budget_of(seed: int, scenario: Scenario) -> float:
    """Return a budget from nothing to more than enough."""
    chance = random.Random(f"budget {seed}")
    enough = scenario.chunks * 0.4
    return chance.choice([0.001, 0.4, 1.0, enough * 0.2, enough * 0.6, enough, enough * 20])


@pytest.mark.parametrize("first", range(0, len(SEEDS), 50))
def test_no_run_is_above_its_budget_and_every_chunk_ends(first: int) -> None:
    """Also with everything on its way counted at its price; the run ends, and no row is lost."""
    stops = 0
    for seed in SEEDS[first : first + 50]:
        scenario = scenario_of(seed)
        budget_usd = budget_of(seed, scenario)
        world = World(scenario, seed, Thrifty(budget_usd))
        try:
            trace = world.run()
            assert most_at_stake(trace) <= budget_usd + 1e-6
            gone = {t for entry in trace if entry.kind == "withdraw" for t in entry.tickets}
            assert set(range(scenario.chunks)) - gone <= set(labels_of(trace))
        except AssertionError as error:
            error.add_note(f"seed {seed}, {budget_usd} USD: {scenario}")
            raise
        stops += world.scheduler.stop_cause is StopCause.BUDGET
    assert stops >= 10  # else this shows nothing


def test_a_budget_that_is_large_enough_changes_nothing() -> None:
    """The same requests at the same times as without one."""
    for seed in range(60):
        scenario = scenario_of(seed)
        free = World(scenario, seed).run()
        rich = World(scenario, seed, Thrifty(1e6)).run()
        assert [one.shown() for one in free] == [one.shown() for one in rich], f"seed {seed}"


def test_after_its_time_a_run_sends_nothing_and_loses_nothing() -> None:
    """Requests on their way still end."""
    for seed in range(100):
        scenario = replace(scenario_of(seed), suspended_at=None, withdraw_at=None)
        trace = World(scenario, seed, Thrifty(None, seconds=4.0)).run()
        assert all(entry.at < 4.0 for entry in sends(trace)), f"seed {seed}"
        assert set(range(scenario.chunks)) == set(labels_of(trace)), f"seed {seed}"


def test_a_run_with_caps_is_recorded_and_repeats_itself() -> None:
    """Prices and caps stand on the tape."""
    for seed in range(12):
        scenario = scenario_of(seed)
        make = Thrifty(budget_of(seed, scenario), seconds=30.0)
        make.lines = []
        World(scenario, seed, make).run()
        assert replay(make.lines).difference is None, f"seed {seed}"
