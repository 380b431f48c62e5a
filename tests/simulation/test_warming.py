"""Whole runs on routes that cache their prompt: faults of every kind meet the one before the crowd.

The scheduler is told that every route has a cache and that any wait for it pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.spending import Rates
from analysis.control.tape import Recorder
from tests.simulation.invariants import check_all
from tests.simulation.pace_invariants import nothing_idles
from tests.simulation.replay import broken_by
from tests.simulation.scenario import Trace
from tests.simulation.seeds import scenario_of
from tests.simulation.world import MakeScheduler, World

SEEDS = range(240)
RATES = Rates(input=1.0, cached=0.1, written=1.25, output=5.0)


def caching(routes: Sequence[RoutePlan], *, make: MakeScheduler = Scheduler, **given: Any) -> Any:
    """Return a scheduler whose routes cache a prefix, for which it always waits."""
    plans = [replace(plan, rates=RATES, cached_prefix_tokens=1_200) for plan in routes]
    knobs = replace(given.pop("settings"), warm_share=1.0, warm_least_usd=0.0)
    return make(plans, settings=knobs, **given)


def waits_of(trace: Trace) -> int:
    """Return how often the others waited for a first request."""
    return sum(entry.kind == "cache_awaited" for entry in trace)


def played(seed: int, make: MakeScheduler = caching) -> tuple[World, Trace]:
    """Return a world after the run of a seed, and its trace."""
    world = World(scenario_of(seed), seed, make)
    world.scheduler.foresee(10_000)  # so that no job counts as small
    return world, world.run()


def test_every_run_keeps_every_invariant() -> None:
    """But that nothing waits while there is room: that is what a wait for a cache is."""
    waits = 0
    for seed in SEEDS:
        try:
            world, trace = played(seed)
            check_all(world.scenario, trace, but=frozenset({nothing_idles}))
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        waits += waits_of(trace)
    assert waits >= len(SEEDS) / 4


def test_routes_without_a_cache_are_played_as_before() -> None:
    """Every decision is the same, whatever the knobs of the cache are."""

    def knobs_only(routes: Sequence[RoutePlan], **given: Any) -> Scheduler:
        settings = replace(given.pop("settings"), warm_share=1.0, warm_least_usd=0.0)
        return Scheduler(routes, settings=settings, **given)

    for seed in SEEDS[:60]:
        traces = [played(seed, make)[1] for make in (Scheduler, knobs_only)]
        shown = [[entry.shown() for entry in trace] for trace in traces]
        assert shown[0] == shown[1], f"seed {seed}"


def test_a_tape_of_a_wait_plays_again() -> None:
    """With what was foreseen, and every decision."""
    waits = 0
    for seed in SEEDS[:20]:
        lines: list[str] = []
        make = partial(caching, make=partial(Recorder, write=lines.append))
        waits += waits_of(played(seed, make)[1])
        found = [one for one in broken_by(lines) if not one.startswith("nothing_idles:")]
        assert [] == found, f"seed {seed}"
    assert waits
