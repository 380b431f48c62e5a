"""Who plays what, with which packs, knowing what."""

from __future__ import annotations

from dataclasses import replace

from analysis.settings import SETTINGS
from benchmarks.score.constants import ALL_REGIMES, PLAIN
from benchmarks.score.entrants import ENTRANTS, planned, settings_for
from tests.benchmarks.runs import BY_NAME, short


def test_each_is_judged_by_packs_as_large_as_it_may_send() -> None:
    """The bounds of a run are those of its entrant."""
    regime = replace(PLAIN, chunks=200)
    for entrant in ENTRANTS.values():
        if entrant.is_ours:
            run = entrant.play(regime, 1)
            assert run.is_complete
            if entrant.largest_pack == 10:
                assert run.bound_ten_s == run.own_bound_s
            if entrant.largest_pack == 20:
                assert run.bound_s == run.own_bound_s


def test_lone_chunks_are_for_the_plain_job() -> None:
    """All others play everything."""
    picky = [name for name, one in ENTRANTS.items() if not all(map(one.plays, ALL_REGIMES))]
    assert ["ours-alone"] == picky
    assert ENTRANTS["ours-alone"].plays(PLAIN)


def test_who_is_told_the_limits_plans_with_them() -> None:
    """With thirty requests a minute the largest packs are planned."""
    regime = BY_NAME["rpm"]
    told = planned(regime, settings_for(regime, is_told=True))
    assert 20 == told.plan.chunks_per_request
    assert 1 == planned(BY_NAME["small"], SETTINGS).plan.chunks_per_request


def test_the_time_out_is_the_regimes() -> None:
    """A shortened clock shortens it, too."""
    assert 6.0 == settings_for(replace(PLAIN, timeout_s=6.0)).timeout_s


def test_a_second_run_begins_with_what_the_first_one_learned() -> None:
    """It is refused less often than the first one."""
    regime = short("rpm", chunks=200)
    cold, warm = (
        sum(ENTRANTS[name].play(regime, seed).limited for seed in range(4))
        for name in ("ours", "ours-warm")
    )
    assert warm < cold


def test_scripts_play_fewer_seeds_where_a_few_are_enough() -> None:
    """Small jobs vary most, so all their seeds are played."""
    seeds = range(12)
    script = ENTRANTS["one-session-pause"]
    assert 10 == len(script.runs(short("tpm", chunks=5), seeds))
    assert 12 == len(script.runs(short("small", chunks=5), seeds))
    assert 12 == len(ENTRANTS["ours"].runs(short("tpm", chunks=5), seeds))
