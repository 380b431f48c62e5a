"""Whole runs of the real scheduler on virtual time, by seed; every invariant in each of them.

A failure names the seed: `play(scenario_of(SEED), SEED)` repeats the run exactly.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from analysis.control.scheduler import Scheduler
from analysis.settings import SETTINGS
from tests.simulation.invariants import INVARIANTS, Trace, check_all, sends
from tests.simulation.planted import PLANTED
from tests.simulation.world import Entry, MakeScheduler, Scenario, Service, World

SEEDS = range(320)
FOREVER = 1e9

CLEAN = Service(name="first", model="m", in_flight=8)


def shaken(chance: random.Random, service: Service) -> Service:
    """Return a service with faults of every kind, in chances that differ from seed to seed."""
    return replace(
        service,
        in_flight=chance.choice([1, 3, 8, 32]),
        drop=chance.choice([0, 0.02, 0.2]),
        server_error=chance.choice([0, 0.05, 0.3]),
        hang=chance.choice([0, 0.01, 0.05]),
        limited=chance.choice([0, 0.02, 0.2]),
        malformed=chance.choice([0, 0.02, 0.3]),
        short=chance.choice([0, 0.02, 0.2]),
        declines=chance.choice([0, 0, 0.02, 0.2]),
        cut=chance.choice([0, 0, 0.05]),
    )


def some(chance: random.Random, chunks: int, *, most: int = 3) -> frozenset[int]:
    """Return up to so many chunks."""
    return frozenset(chance.sample(range(chunks), chance.randint(0, most)))


def scenario_of(seed: int) -> Scenario:
    """Return the scenario of a seed: its kind goes by turns, the rest by chance."""
    chance = random.Random(f"scenario {seed}")
    chunks, size = chance.randint(1, 80), chance.choice([1, 2, 5, 10])
    first = replace(shaken(chance, CLEAN), states_limits=seed % 3 > 0)
    second = shaken(chance, replace(CLEAN, name="second", model=chance.choice(["m", "n"])))
    plain = Scenario(
        services=(first, second) if chance.random() < 0.7 else (first,),
        chunks=chunks,
        chunks_per_request=size,
        feed_s=chance.choice([0.0, 0.1, 3.0]),
        refused=some(chance, chunks, most=min(3, chunks)),
        rejected=some(chance, chunks, most=min(1, chunks)),
        settings=replace(
            SETTINGS,
            requests_per_minute=chance.choice([60, 600, 6_000]),
            tokens_per_minute=chance.choice([30_000, 2_000_000]),
        ),
    )
    begin = chance.uniform(0, 5)
    match seed % 10:
        case 0:  # one chunk breaks the way
            return replace(plain, deadly=some(chance, chunks, most=1))
        case 1:  # the first route was never there
            away = replace(first, away=((0.0, FOREVER),))
            return replace(plain, services=(away, second))
        case 2:  # an outage of the first route
            away = replace(first, away=((begin, begin + 60.0),))
            return replace(plain, services=(away, second), chunks=80, feed_s=3.0)
        case 3:  # the money ends
            account = chance.choice(["key", "other"])
            closed = replace(first, closed_from=begin)
            return replace(plain, services=(closed, replace(second, account=account)))
        case 4:  # everything vanishes for good
            gone = ((begin, FOREVER),)
            both = (replace(first, away=gone), replace(second, away=gone))
            return replace(plain, services=both, feed_s=1.0)
        case 5:  # the second route is away while chunks need it
            away = replace(second, away=((0.0, chance.choice([20.0, FOREVER])),))
            return replace(plain, services=(first, away))
        case 6:  # from some time on rate limits are all that comes
            return replace(plain, services=(replace(first, limited_from=begin), second))
        case 7:  # somebody stops it
            return replace(plain, stop_at=begin)
        case 8:  # three routes, the first two of one model
            third = shaken(chance, replace(CLEAN, name="third", model="n", account="other"))
            spans = ((begin, begin + chance.choice([20.0, 200.0])),)
            both = (replace(first, away=spans), replace(second, model="m", away=spans))
            return replace(plain, services=(*both, third), feed_s=1.0)
        case _:
            return plain


def play(
    scenario: Scenario, seed: int, make: MakeScheduler = Scheduler, start: float = 0.0
) -> list[Entry]:
    """Return the trace of one run."""
    return World(scenario, seed, make, start).run()


def labels_of(trace: list[Entry]) -> dict[int, str | None]:
    """Return what each chunk got."""
    return {t: label for e in trace if e.kind == "verdicts" for t, label in e.labels.items()}


@pytest.mark.parametrize("tens", range(0, len(SEEDS), 40))
def test_every_run_keeps_every_invariant(tens: int) -> None:
    """Drops, 500s, hangs, rate limits, bad answers, refusals, outages, ends of account, stops."""
    for seed in SEEDS[tens : tens + 40]:
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
    assert 10 + len(failed) == len(sends(trace))
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
    """The work goes over at once, and is done when it would have been without the outage."""
    away = replace(CLEAN, away=((1.0, 61.0),))
    knobs = replace(SETTINGS, requests_per_minute=60)
    ends = []
    for first in (CLEAN, away):
        services = (first, replace(CLEAN, name="second"))
        scenario = Scenario(services=services, chunks=90, chunks_per_request=1, settings=knobs)
        ends.append(play(scenario, 3)[-1].at)
    assert ends[1] <= 1.15 * ends[0]


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
        reached["declined"] += sum(bool(entry.declined) for entry in trace)
        reached["cut short"] += world.scheduler.stop_error is not None
    wanted = {"AccountClosed", "AnswerDefect", "DeadlinePassed", "ModelRefused", "RateLimited"}
    wanted |= {"RequestRejected", "TransportError", "probe", "other model", "cut short", "stop"}
    wanted |= {"declined"}
    assert set() == {name for name in wanted if reached[name] < 5}


@pytest.mark.parametrize(("bug", "invariant"), PLANTED)
def test_a_planted_bug_is_caught(
    bug: type[Scheduler], invariant: Callable[[Scenario, Trace], None]
) -> None:
    """By the invariant about it, within a hundred seeds."""
    for seed in range(100):
        scenario = scenario_of(seed)
        world = World(scenario, seed, bug)
        with suppress(AssertionError):  # a bug may keep the run from ending, too
            world.run()
        try:
            invariant(scenario, world.trace)
        except AssertionError:
            return
    raise AssertionError(f"{bug.__name__} was not caught")


def test_every_invariant_has_a_planted_bug() -> None:
    """One that nothing ever breaks would prove nothing."""
    assert set(INVARIANTS) == {invariant for _, invariant in PLANTED}
