"""Whole runs of the real scheduler on virtual time, by seed; every invariant in each of them.

A failure names the seed: `play(scenario_of(SEED), SEED)` repeats the run exactly.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest

from analysis.control.scheduler import Scheduler
from analysis.errors import LocalProtocolError
from analysis.settings import SETTINGS
from tests.simulation.invariants import INVARIANTS, Invariant, check_all
from tests.simulation.planted import PLANTED
from tests.simulation.scenario import Scenario, labels_of, sends
from tests.simulation.seeds import CLEAN, scenario_of
from tests.simulation.world import World, play

SEEDS = range(320)
HARD_SEEDS = (40035, 40715, 40955, 41195, 43090, 43135, 44075, 44675, 45075, 51695, 52135)
"""Bursts that arrive in another order, blind ones that cost refusals, probes that cut a pack."""


@pytest.mark.parametrize("tens", range(0, len(SEEDS), 40))
def test_every_run_keeps_every_invariant(tens: int) -> None:
    """Drops, 500s, hangs, rate limits, bad answers, refusals, outages, ends of account, stops."""
    for seed in SEEDS[tens : tens + 40]:
        check_seed(seed)


@pytest.mark.parametrize("seed", HARD_SEEDS)
def test_hard_runs_keep_every_invariant(seed: int) -> None:
    """Limits are hard to follow where a lot was sent before the first word on them."""
    check_seed(seed)


def check_seed(seed: int) -> None:
    """Play a seed and check it; a failure names both."""
    scenario = scenario_of(seed)
    try:
        check_all(scenario, play(scenario, seed))
    except AssertionError as error:
        error.add_note(f"seed {seed}: {scenario}")
        raise


def test_the_same_seed_gives_the_same_trace() -> None:
    """Also at another time of the clock, but for its rounding."""
    for seed in range(30):
        scenario = scenario_of(seed)
        first, second = ([entry.shown() for entry in play(scenario, seed)] for _ in range(2))
        assert first == second, f"seed {seed}"


def test_a_clock_that_began_long_ago_changes_nothing() -> None:
    """Clocks count from the start of the machine."""
    for seed in range(60):
        scenario = scenario_of(seed)
        check_all(scenario, play(scenario, seed, start=5e6))


def test_without_faults_no_request_is_wasted() -> None:
    """Every chunk is labelled in its first pack, or asked again for the one defect of the world."""
    scenario = Scenario(services=(CLEAN,), chunks=100, chunks_per_request=10)
    trace = play(scenario, 1)
    failed = [entry for entry in trace if entry.kind == "failure"]
    copies = [entry for entry in sends(trace) if entry.is_copy]
    assert 10 + len(failed) == len(sends(trace)) - len(copies)
    assert len(copies) <= 2
    assert all(labels_of(trace).values())


def test_light_faults_lose_no_chunk() -> None:
    """5 % 500s, 2 % drops, 1 % hangs, 1 % malformed, 1 % rate limits, on one route."""
    service = replace(
        CLEAN, server_error=0.05, drop=0.02, hang=0.01, malformed=0.01, limited=0.01, short=0.005
    )
    for seed in range(30):
        scenario = Scenario(services=(service,), chunks=200, chunks_per_request=10)
        labels = labels_of(play(scenario, seed))
        lost = [ticket for ticket, label in labels.items() if label is None]
        assert ([], 200) == (lost, len(labels)), f"seed {seed}"


def test_after_an_outage_the_first_route_is_used_again() -> None:
    """Sixty seconds away, another model behind: the rows before and after it are the first's."""
    services = (
        replace(CLEAN, away=((5.0, 65.0),)),
        replace(CLEAN, name="second", model="n"),
    )
    scenario = Scenario(services=services, chunks=400, chunks_per_request=4, feed_s=1.5)
    for seed in range(10):
        trace = play(scenario, seed)
        check_all(scenario, trace)
        assert all(labels_of(trace).values()), f"seed {seed}"
        first = [entry for entry in sends(trace) if entry.route == "first" and not entry.is_probe]
        returned = [entry for entry in first if entry.at > 65.0 + 1.2 * 30.0]
        other = [e for e in sends(trace) if e.route == "second" and e.at > 65.0 + 1.2 * 30.0]
        assert returned, f"seed {seed}"
        assert [] == other, f"seed {seed}"


def test_an_outage_does_not_hold_a_run_with_a_second_route_of_the_same_model() -> None:
    """The work goes over at once; what the lost route had drawn of the limits is all it costs."""
    away = replace(CLEAN, away=((1.0, 61.0),))
    knobs = replace(SETTINGS, requests_per_minute=60)
    ends = []
    for first in (CLEAN, away):
        services = (first, replace(CLEAN, name="second"))
        scenario = Scenario(services=services, chunks=90, chunks_per_request=1, settings=knobs)
        ends.append(play(scenario, 3)[-1].at)
    assert ends[1] <= 1.4 * ends[0]


def test_one_deadly_chunk_takes_no_other_with_it() -> None:
    """It breaks every request that it is in; all others are labelled, on one route or two."""
    for seed in range(20):
        services = (CLEAN, replace(CLEAN, name="second", model="n"))[: 1 + seed % 2]
        scenario = Scenario(services=services, chunks=50, deadly=frozenset({17}))
        trace = play(scenario, seed)
        check_all(scenario, trace)
        assert [17] == [t for t, label in labels_of(trace).items() if label is None], seed


def test_the_runs_reach_every_ending() -> None:
    """A run of seeds that never sees a fault would prove nothing about it."""
    reached: Counter[str] = Counter()
    for seed in range(100):
        scenario = scenario_of(seed)
        world = World(scenario, seed)
        trace = world.run()
        reached.update(type(entry.error).__name__ for entry in trace if entry.error)
        reached.update(entry.kind for entry in trace)
        reached["probe"] += sum(entry.is_probe for entry in trace)
        reached["other model"] += any(
            entry.route == "second" and scenario.services[1].model == "n" for entry in sends(trace)
        )
        reached["copy"] += sum(entry.is_copy for entry in trace)
        reached["declined"] += sum(bool(entry.declined) for entry in trace)
        reached["cut short"] += world.scheduler.stop_error is not None
    wanted = {"AccountClosed", "AnswerDefect", "DeadlinePassed", "ModelRefused", "RateLimited"}
    wanted |= {"RequestRejected", "TransportError", "probe", "other model", "cut short", "stop"}
    wanted |= {"declined", "copy", "cancel", "sign", "stated", "night", "withdraw", "route_closed"}
    assert set() == {name for name in wanted if reached[name] < 5}


@pytest.mark.parametrize(("bug", "invariant"), PLANTED)
def test_a_planted_bug_is_caught(bug: type[Scheduler], invariant: Invariant) -> None:
    """By the invariant about it, within a hundred seeds."""
    for seed in range(100):
        scenario = scenario_of(seed)
        world = World(scenario, seed, bug)
        with suppress(AssertionError, LocalProtocolError):  # a bug may break the run, too
            world.run(polls=5_000)
        try:
            invariant(scenario, world.trace)
        except AssertionError:
            return
    raise AssertionError(f"{bug.__name__} was not caught")


def test_every_invariant_has_a_planted_bug() -> None:
    """One that nothing ever breaks would prove nothing."""
    assert set(INVARIANTS) == {invariant for _, invariant in PLANTED}
