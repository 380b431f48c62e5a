"""Each bad situation that is known of, with the real scheduler: what is sent, told and settled.

The runs are on virtual time and by seed, so they are the same each time. How closely limits are met
is the matter of `test_limits.py`.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from analysis.settings import SETTINGS
from tests.simulation.accounts import Limited
from tests.simulation.scenario import (
    NIGHT_S,
    Entry,
    Scenario,
    Service,
    Trace,
    labels_of,
    sends,
)
from tests.simulation.seeds import CLEAN, PLENTY
from tests.simulation.world import World, play

SEEDS = range(4)
TWIN = replace(CLEAN, name="second", account="other")
LIMITS = Limited(rpm=300, tpm=PLENTY, fill=0.5)
MUTE = replace(CLEAN, in_flight=32, states_limits=False)


def told(trace: Trace, name: str) -> list[Entry]:
    """Return the events of this name."""
    return [entry for entry in trace if entry.kind == name]


def failed(trace: Trace) -> list[int]:
    """Return the chunks without a label."""
    return [ticket for ticket, label in labels_of(trace).items() if label is None]


def assert_all_labeled(trace: Trace, chunks: int, seed: int) -> None:
    """Fail unless every chunk has a label."""
    assert (chunks, []) == (len(labels_of(trace)), failed(trace)), f"seed {seed}"


def limited(limits: Limited, seed: int, *, service: Service = CLEAN, chunks: int = 3_000) -> World:
    """Return the world after a run of packs of ten under limits that the user did not enter."""
    scenario = Scenario(
        services=(replace(service, in_flight=32),),
        chunks=chunks,
        chunks_per_request=10,
        limits=limits,
    )
    world = World(scenario, seed)
    world.run()
    return world


def assert_paced(world: World, seed: int, *, rate: float, refusals: int, slack: float) -> None:
    """Fail unless all is labelled, at about this rate per minute, with few refusals."""
    assert world.account is not None
    assert_all_labeled(world.trace, world.scenario.chunks, seed)
    assert len(world.account.refused) <= refusals, f"seed {seed}: {len(world.account.refused)}"
    held = world.account.spec.rpm * world.account.spec.fill
    least_s = max(1.0, (len(world.account.served) - held) / (rate / 60))
    assert world.now <= slack * least_s, f"seed {seed}: {world.now:.0f} s, not {least_s:.0f} s"


def test_unknown_limits_and_no_headers_at_all() -> None:
    """Refusals alone show the way: one burst of them, then few."""
    for seed in SEEDS:
        world = limited(
            replace(LIMITS, lie="absent", is_named=False), seed, service=replace(MUTE, waits="")
        )
        assert_paced(world, seed, rate=300, refusals=60, slack=1.6)


@pytest.mark.parametrize("lie", ["negative", "zero", "unit"])
def test_headers_that_lie(lie: str) -> None:
    """-1, 0 and a tenth of everything, where refusals name the true limit."""
    for seed in SEEDS:
        world = limited(replace(LIMITS, lie=lie), seed)
        assert_paced(world, seed, rate=300, refusals=60, slack=1.6)


def test_a_limit_lowered_in_mid_run() -> None:
    """To a half after 30 s: the other half is not missed by refusals without end."""
    for seed in SEEDS:
        world = limited(replace(LIMITS, lowered_at=30.0), seed)
        assert_paced(world, seed, rate=150, refusals=50, slack=1.2)


def test_another_program_with_half_of_the_account() -> None:
    """What it leaves is used."""
    for seed in SEEDS:
        world = limited(replace(LIMITS, others=0.5), seed)
        assert_paced(world, seed, rate=150, refusals=60, slack=1.25)


def test_a_retry_after_of_an_hour_pauses_the_route() -> None:
    """It is said until when; the other route does the work; the first one is left alone."""
    services = (replace(CLEAN, hour_from=2.0), TWIN)
    scenario = Scenario(services=services, chunks=100, feed_s=0.5)
    for seed in SEEDS:
        trace = play(scenario, seed)
        assert_all_labeled(trace, 100, seed)
        (closed,) = told(trace, "route_closed")
        assert "first" == closed.route
        found = re.fullmatch(r"first is out for (\d+) s: wait", closed.message)
        assert found is not None, closed.message
        assert 3_602.0 - closed.at - 1 <= int(found[1]) <= 1.1 * 3_600.0 + 1, f"seed {seed}"
        late = [entry for entry in sends(trace) if entry.route == "first" and entry.at > closed.at]
        assert [] == late, f"seed {seed}"
        assert trace[-1].at < 30.0, f"seed {seed}"


def test_after_an_hour_the_route_is_used_again() -> None:
    """A run that lasts so long goes back to it, and says so."""
    services = (replace(CLEAN, hour_from=2.0), TWIN)
    scenario = Scenario(services=services, chunks=160, chunks_per_request=1, feed_s=30.0)
    for seed in SEEDS:
        trace = play(scenario, seed)
        assert_all_labeled(trace, 160, seed)
        ups = [entry for entry in told(trace, "route_up") if entry.route == "first"]
        assert 3_602.0 <= ups[0].at <= 3_602.0 * 1.1, f"seed {seed}"
        assert [e for e in sends(trace) if e.route == "first" and e.at > ups[0].at], f"seed {seed}"


def test_quota_gone_on_one_route() -> None:
    """It is closed for the run with all of its account; the other account does the rest."""
    services = (replace(CLEAN, closed_from=2.0), TWIN)
    scenario = Scenario(services=services, chunks=100, feed_s=0.5)
    for seed in SEEDS:
        trace = play(scenario, seed)
        assert_all_labeled(trace, 100, seed)
        (closed,) = told(trace, "route_closed")
        assert ("first", "first is out for this run: no quota") == (closed.route, closed.message)
        late = [entry for entry in sends(trace) if entry.route == "first" and entry.at > closed.at]
        assert [] == late, f"seed {seed}"
        assert [] == told(trace, "stop"), f"seed {seed}"


def test_every_route_dead_for_90_s_and_back() -> None:
    """Nothing fails; probes go meanwhile, one chunk each, and the work goes on after them."""
    away = ((5.0, 95.0),)
    services = (replace(CLEAN, away=away), replace(TWIN, away=away))
    scenario = Scenario(services=services, chunks=400, feed_s=1.0)
    for seed in SEEDS:
        trace = play(scenario, seed)
        assert_all_labeled(trace, 400, seed)
        down_at = max(entry.at for entry in told(trace, "route_down") if entry.at < 10)
        meanwhile = [entry for entry in sends(trace) if down_at < entry.at < 95.0]
        assert meanwhile, f"seed {seed}"
        assert all(entry.is_probe and len(entry.tickets) == 1 for entry in meanwhile)
        ups = [entry.at for entry in told(trace, "route_up")]
        assert 95.0 <= min(ups) <= 95.0 + 1.2 * SETTINGS.breaker_open_cap_s, f"seed {seed}"
        assert trace[-1].at <= 95.0 + 1.2 * SETTINGS.breaker_open_cap_s + 10.0, f"seed {seed}"


@pytest.mark.parametrize("streams", [True, False])
def test_latency_ten_times_as_long_for_a_minute(streams: bool) -> None:
    """All is labelled with few copies, and the minute is all that is lost."""
    slow = replace(CLEAN, slow=((5.0, 65.0),), streams=streams)
    for seed in SEEDS:
        scenario = Scenario(services=(slow, TWIN), chunks=400, feed_s=1.0)
        trace = play(scenario, seed)
        assert_all_labeled(trace, 400, seed)
        copies = sum(entry.is_copy for entry in sends(trace))
        assert copies <= 0.05 * len(sends(trace)) + 2, f"seed {seed}: {copies}"
        assert trace[-1].at <= 95.0, f"seed {seed}"


@pytest.mark.parametrize("nature", ["deadly", "rejected", "refused"])
def test_a_chunk_that_always_fails(nature: str) -> None:
    """It alone has no label, and few requests hold it; it breaks the way, or is turned down."""
    services = (CLEAN, TWIN)
    for seed in SEEDS:
        scenario = Scenario(
            services=services,
            chunks=100,
            deadly=frozenset({42} if nature == "deadly" else ()),
            rejected=frozenset({42} if nature == "rejected" else ()),
            refused=frozenset({42} if nature == "refused" else ()),
        )
        trace = play(scenario, seed)
        assert [42] == failed(trace), f"seed {seed}"
        asked = [e for e in sends(trace) if 42 in e.tickets and not e.is_copy]
        most = 2 * (SETTINGS.attempts_per_route + 1) if nature == "deadly" else 5
        assert len(asked) <= most, f"seed {seed}: {len(asked)}"
        assert [] == told(trace, "stop"), f"seed {seed}"


def test_a_clock_that_stood_still_for_eight_hours() -> None:
    """What was on its way is asked again at once; no route is blamed and nothing fails."""
    for seed in SEEDS:
        scenario = Scenario(services=(CLEAN, TWIN), chunks=200, feed_s=0.2, suspended_at=2.0)
        trace = play(scenario, seed)
        assert_all_labeled(trace, 200, seed)
        assert [] == told(trace, "stop"), f"seed {seed}"
        (night,) = told(trace, "night")
        after = [entry for entry in sends(trace) if entry.at >= night.at]
        assert after[0].at - night.at <= 1.0, f"seed {seed}"
        assert trace[-1].at - NIGHT_S <= 25.0, f"seed {seed}: {trace[-1].at - NIGHT_S}"


def test_one_chunk() -> None:
    """It goes at once, over the first route; a second request is a copy of a late one."""
    for seed in SEEDS:
        trace = play(Scenario(services=(CLEAN, TWIN), chunks=1), seed)
        assert_all_labeled(trace, 1, seed)
        first, *more = sends(trace)
        assert (0.0, "first", (0,)) == (first.at, first.route, first.tickets)
        assert len(more) <= 1, f"seed {seed}"
        assert all(entry.is_copy for entry in more), f"seed {seed}"


def test_no_chunk() -> None:
    """There is nothing to do, and it is done at once."""
    trace = play(Scenario(services=(CLEAN, TWIN), chunks=0), 1)
    assert [("finished", 0.0)] == [(entry.kind, entry.at) for entry in trace]


def test_a_chunk_larger_than_a_minute_allows() -> None:
    """It fails at once and is never sent; those of its pack are labelled like all others."""
    for seed in SEEDS:
        scenario = Scenario(services=(CLEAN, TWIN), chunks=50, heavy=frozenset({17}))
        trace = play(scenario, seed)
        assert [17] == failed(trace), f"seed {seed}"
        assert [] == [entry for entry in sends(trace) if 17 in entry.tickets], f"seed {seed}"
        (verdict,) = [e for e in trace if e.kind == "verdicts" and 17 in e.tickets]
        assert 0.0 == verdict.at, f"seed {seed}"
