"""Runs of the real scheduler against an account with limits: seconds needed, refusals met.

The bound: what the run draws beyond what the account holds at the start, at the account's rate.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import pytest

from analysis.settings import SETTINGS
from tests.simulation.accounts import Limited
from tests.simulation.invariants import check_all
from tests.simulation.scenario import Scenario
from tests.simulation.seeds import CLEAN
from tests.simulation.world import World

PLENTY = 10_000_000
WINDOWS_S = (None, 1.0, 10.0, 60.0)
SEEDS = range(5)


def rpm_bound(chance: random.Random) -> Limited:
    """Return an account where requests are scarce."""
    return Limited(
        rpm=300, tpm=PLENTY, window_s=chance.choice(WINDOWS_S), fill=chance.uniform(0.3, 1)
    )


def tpm_bound(chance: random.Random) -> Limited:
    """Return an account where tokens are scarce."""
    return Limited(
        rpm=5_000, tpm=200_000, window_s=chance.choice(WINDOWS_S), fill=chance.uniform(0.3, 1)
    )


def run(limits: Limited, seed: int, *, chunks: int, rpm: int, tpm: int, is_named: bool) -> World:
    """Return the world after a run of packs of ten; every chunk that can has its label."""
    scenario = Scenario(
        services=(replace(CLEAN, in_flight=32, names_requests=is_named),),
        chunks=chunks,
        chunks_per_request=10,
        limits=limits,
        settings=replace(SETTINGS, requests_per_minute=rpm, tokens_per_minute=tpm),
    )
    world = World(scenario, seed)
    world.run()
    return world


def bound_s(world: World, limits: Limited) -> float:
    """Return the seconds that no client can beat: the scarcer of both dimensions."""
    assert world.account is not None
    served = world.account.served
    is_refunded = limits.window_s in (None, 60.0)  # a hidden window keeps what was reserved
    tokens = sum(cost - (150 if is_refunded else 0) for _, cost in served)
    seconds = 0.3
    for drawn, limit in ((len(served), limits.rpm), (tokens, limits.tpm)):
        window = limit / 60 * (limits.window_s or 60.0)
        held = min(limit * limits.fill, max(window, 1.0))
        seconds = max(seconds, 0.3 + (drawn - held) / (limit / 60 * (1 - limits.others)))
    return seconds


def scores(
    make: Callable[[random.Random], Limited],
    *,
    chunks: int = 5_000,
    rpm: int = 5_000,
    tpm: int = 2_000_000,
    is_named: bool = True,
) -> tuple[float, float, float]:
    """Return the median of seconds / bound, and median and maximum of refusals per request."""
    ratios, refusals = [], []
    for seed in SEEDS:
        limits = make(random.Random(seed))
        world = run(limits, seed, chunks=chunks, rpm=rpm, tpm=tpm, is_named=is_named)
        assert world.account is not None
        ratios.append(world.now / bound_s(world, limits))
        refusals.append(len(world.account.refused) / len(world.account.served))
    return median(ratios), median(refusals), max(refusals)


def assert_within(found: tuple[float, float, float], *limits: float) -> None:
    """Fail with the scores if one of them is above its limit."""
    assert all(one <= most for one, most in zip(found, limits, strict=True)), (found, limits)


def test_configured_requests_are_used_up_with_few_refusals() -> None:
    """Within 5 % of the bound; four refusals in a run of 500 at most."""
    assert_within(scores(rpm_bound, rpm=300), 1.05, 4 / 500, 5 / 500)


def test_configured_tokens_are_used_up_with_few_refusals() -> None:
    """Within 5 % of the bound, although nobody says whether a window keeps reservations."""
    assert_within(scores(tpm_bound, tpm=200_000), 1.05, 0.03, 0.04)


def test_a_statement_of_unknown_origin_serves_almost_as_well() -> None:
    """As on a Realtime session."""
    assert_within(scores(rpm_bound, rpm=300, is_named=False), 1.06, 0.03, 0.04)


def test_limits_far_below_the_assumed_ones_are_learned_from_one_burst() -> None:
    """What is in flight at once may be refused, once."""
    assert_within(scores(rpm_bound), 1.06, 32 / 500, 45 / 500)


@pytest.mark.parametrize("lie", ["absent", "negative", "zero", "full", "unit"])
def test_false_statements_neither_stall_nor_flood_where_refusals_name_the_limit(lie: str) -> None:
    """None at all, -1, 0, always full, another unit."""
    found = scores(lambda chance: replace(rpm_bound(chance), lie=lie))
    assert_within(found, 1.1, 0.08, 0.12)


@pytest.mark.parametrize("lie", ["absent", "negative", "zero", "full"])
def test_without_any_word_on_limits_refusals_alone_are_enough(lie: str) -> None:
    """Neither true statements nor counts nor times to wait."""
    found = scores(lambda chance: replace(rpm_bound(chance), lie=lie, is_named=False))
    assert_within(found, 1.5, 0.08, 0.12)


def test_another_unit_in_every_statement_slows_down_but_does_not_stall() -> None:
    """A tenth of the limit, and refusals that name nothing."""
    make: Callable[[random.Random], Limited] = lambda chance: replace(  # noqa: E731
        rpm_bound(chance), lie="unit", is_named=False
    )
    assert_within(scores(make), 11.0, 0.08, 0.12)


def test_another_program_with_half_of_the_account_is_noticed() -> None:
    """The other half is used, with few refusals more."""
    found = scores(lambda chance: replace(rpm_bound(chance), others=0.5))
    assert_within(found, 1.08, 0.08, 0.1)


def test_a_limit_lowered_in_mid_run_is_kept_from_then_on() -> None:
    """By half after half a minute: refusals stay as they are otherwise."""
    for seed in SEEDS:
        limits = replace(rpm_bound(random.Random(seed)), lowered_at=30.0)
        world = run(limits, seed, chunks=5_000, rpm=300, tpm=PLENTY, is_named=True)
        assert world.account is not None
        late = [at for at in world.account.refused if at > 30.0]
        served = sum(at > 40.0 for at, _ in world.account.served)
        assert len(late) <= 6, f"seed {seed}: {late}"
        assert served >= 0.9 * 150 / 60 * (world.now - 42.0), f"seed {seed}"


def test_a_limit_raised_in_mid_run_is_used_from_then_on() -> None:
    """Twice as much after half a minute: nearly all of it is drawn."""
    for seed in SEEDS:
        limits = replace(rpm_bound(random.Random(seed)), lowered_at=30.0, lowered_to=2.0)
        world = run(limits, seed, chunks=8_000, rpm=300, tpm=PLENTY, is_named=True)
        assert world.account is not None
        served = sum(at > 40.0 for at, _ in world.account.served)
        assert len(world.account.refused) <= 12, f"seed {seed}: {world.account.refused}"
        assert served >= 0.9 * 600 / 60 * (world.now - 42.0), f"seed {seed}"


def test_slow_down_for_ever_stops_the_run_with_few_requests() -> None:
    """Two minutes after the first one nobody waits any more; it is asked ever more rarely."""
    for seed in SEEDS:
        limits = replace(rpm_bound(random.Random(seed)), slow_down_above=0)
        world = run(limits, seed, chunks=1_000, rpm=300, tpm=PLENTY, is_named=True)
        assert world.account is not None
        assert ([], True) == (world.account.served, len(world.account.refused) <= 26)
        assert 120.0 <= world.now <= 140.0, f"seed {seed}: {world.now}"


def test_without_any_word_on_limits_there_are_a_few_refusals_a_minute() -> None:
    """Once the rate is found; in a long run, from its first half minute on."""
    for seed in SEEDS:
        limits = replace(rpm_bound(random.Random(seed)), lie="absent")
        world = run(limits, seed, chunks=15_000, rpm=5_000, tpm=PLENTY, is_named=False)
        assert world.account is not None
        late = sum(at > 30.0 for at in world.account.refused)
        assert late <= 6 * world.now / 60, f"seed {seed}: {late} in {world.now:.0f} s"


def test_after_slow_down_half_the_rate_is_kept() -> None:
    """More than 40 requests in ten seconds are too many for it, and 300 a minute are more."""
    for seed in SEEDS:
        limits = replace(rpm_bound(random.Random(seed)), slow_down_above=40)
        world = run(limits, seed, chunks=3_000, rpm=300, tpm=PLENTY, is_named=True)
        assert world.account is not None
        assert not [at for at in world.account.refused if at > 20.0], f"seed {seed}"
        # The ten seconds of the burst have to pass before anything is let through again.
        assert world.now <= 1.25 * 300 / (150 / 60), f"seed {seed}: {world.now}"


def test_every_invariant_holds_with_limits_and_faults() -> None:
    """Except the one on windows, which knows the limits of the settings only."""
    for seed in range(60):
        chance = random.Random(f"limits {seed}")
        scenario = Scenario(
            services=(replace(CLEAN, drop=0.02, server_error=0.05, hang=0.01, short=0.02),),
            chunks=chance.randint(1, 300),
            limits=Limited(
                rpm=chance.choice([60, 600]),
                tpm=chance.choice([30_000, PLENTY]),
                window_s=chance.choice(WINDOWS_S),
                fill=chance.uniform(0, 1),
                lie=chance.choice(["", "absent", "negative", "zero", "full", "unit"]),
                is_named=chance.random() < 0.7,
                others=chance.choice([0.0, 0.5]),
            ),
        )
        try:
            check_all(scenario, World(scenario, seed).run())
        except AssertionError as error:
            error.add_note(f"seed {seed}: {scenario}")
            raise
