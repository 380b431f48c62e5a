"""The service of the score keeps its limits, repeats itself by seed and says what it does."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from benchmarks.score import constants
from benchmarks.score.constants import ALL_REGIMES, REGIMES, Faults, Regime
from benchmarks.score.market import Fate, Kind, Market, bound_of, cheapest_of, survival

QUIET = Faults(hang=0.0, server_error=0.0, bad_chunk=0.0)
SMALL, RPM, TPM, OUTAGE, FAULTS = REGIMES


def quiet(regime: Regime) -> Regime:
    """Return a regime in which nothing goes wrong."""
    return replace(regime, faults=QUIET)


def flood(market: Market, *, every_s: float, count: int, pack: int) -> list[tuple[float, Fate]]:
    """Send requests at a steady pace, whatever the answers are."""
    return [
        (place * every_s, market.ask("responses-ws", pack, place * every_s))
        for place in range(count)
    ]


def served(asked: Sequence[tuple[float, Fate]]) -> list[float]:
    """Return the times of the requests that passed the limits."""
    return [at for at, fate in asked if fate.kind is not Kind.LIMITED]


@pytest.mark.parametrize("seed", range(8))
def test_no_window_serves_more_requests_than_its_limit(seed: int) -> None:
    """Between any two served requests no more passed than a window holds and its rate brings."""
    market = Market(quiet(RPM), seed)
    room = max(1.0, RPM.rpm / 60 * market.window_s)
    # A refused request costs one of the minute's: a pace slightly above the limit goes on.
    times = served(flood(market, every_s=1.9, count=300, pack=1))
    assert len(times) > 50
    for first in range(len(times)):
        for last in range(first, len(times)):
            most = room + RPM.rpm / 60 * (times[last] - times[first])
            assert last - first + 1 <= most + 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_no_run_gets_more_tokens_than_its_limit(seed: int) -> None:
    """At any time, what was served fits into what was there and what came since."""
    market = Market(quiet(TPM), seed)
    level = min(TPM.tpm * market.fills[1], max(4_448.0, TPM.tpm / 60 * market.window_s))
    total, count = 0, 0
    for at, fate in flood(market, every_s=0.15, count=800, pack=20):
        if fate.kind is not Kind.LIMITED:
            total, count = total + constants.SIZES.used_tokens(20), count + 1
            assert total <= level + TPM.tpm / 60 * at + 1e-6
    assert count > 100
    assert total == market.paid_tokens


def test_refused_requests_are_counted_and_cost_a_unit() -> None:
    """Whoever floods is served less than the rate; the wait named is never above a minute."""
    market = Market(quiet(RPM), 0)
    asked = flood(market, every_s=0.1, count=3_000, pack=1)
    refused = [fate for _, fate in asked if fate.kind is Kind.LIMITED]
    assert len(refused) == market.limited
    assert len(served(asked)) < RPM.rpm * 5
    assert max(fate.wait_s or 0.0 for fate in refused) <= 60.0


@pytest.mark.parametrize("seed", range(12))
def test_who_waits_as_told_is_served(seed: int) -> None:
    """After the wait that a 429 names, the same request passes."""
    market = Market(quiet(TPM), seed)
    now = 0.0
    while (fate := market.ask("rest", 20, now)).kind is not Kind.LIMITED:
        now += 0.001
    assert fate.wait_s is not None
    assert Kind.ANSWERED is market.ask("rest", 20, now + fate.wait_s).kind


def test_what_is_not_used_comes_back_with_the_end_of_the_request() -> None:
    """A request takes its cap of output at first, and what it used in the end."""
    market = Market(quiet(TPM), 1)
    first = market.ask("rest", 20, 0.0)
    before = TPM.tpm * market.fills[1] - constants.SIZES.reserved_tokens(20)
    assert {"requests", "tokens"} == {one.name for one in first.stated}
    assert math.floor(before) == first.stated[1].remaining
    later = first.after_s + 1e-3
    second = market.ask("rest", 20, later)
    used = constants.SIZES.used_tokens(20) + constants.SIZES.reserved_tokens(20)
    grown = TPM.tpm / 60 * later
    expected = min(TPM.tpm, TPM.tpm * market.fills[1] - used + grown)
    assert expected == pytest.approx(second.stated[1].remaining, abs=1.0)


def test_only_some_ways_tell_the_limits() -> None:
    """Answers over the WebSocket say nothing; those over HTTPS tell limit and rest."""
    market = Market(quiet(SMALL), 0)
    assert () == market.ask("responses-ws", 1, 0.0).stated
    assert [SMALL.rpm, SMALL.tpm] == [one.limit for one in market.ask("rest", 1, 0.0).stated]


def test_first_events_come_where_the_way_streams() -> None:
    """After the first token, before the end; a hang and a broken connection have none."""
    market = Market(replace(quiet(SMALL), rpm=10**9, tpm=10**12), 60)
    fates = [market.ask("responses-ws", 20, float(at)) for at in range(50)]
    for fate in fates:
        assert fate.first_s is not None
        assert 20 * 12 / 90 == pytest.approx(fate.after_s - fate.first_s)
    assert market.ask("rest", 20, 60.0).first_s is None
    for faults in (replace(QUIET, hang=1.0), replace(QUIET, drop=1.0)):
        fate = Market(replace(SMALL, faults=faults), 0).ask("responses-ws", 1, 0.0)
        assert fate.first_s is None


def test_a_way_that_dies_in_the_middle_of_an_answer_has_sent_its_first_event() -> None:
    """A request that reached its first token before the way died was heard of; others were not."""
    market = outage_market(is_silent=True)
    pack, begin = 20, 20.0
    fates = [market.ask("responses-ws", pack, begin - 1.2) for _ in range(5)]
    assert all(fate.kind is Kind.DROPPED for fate in fates)
    heard = [fate.first_s for fate in fates if fate.first_s is not None]
    assert heard and max(heard) <= 1.2
    assert market.ask("responses-ws", pack, begin - 0.01).first_s is None


def test_a_regime_has_its_own_sizes_windows_and_ways() -> None:
    """The plain job: full buckets, no hidden window, no way tells its limits, 50 ms an answer."""
    market = Market(constants.PLAIN, 3)
    assert (60.0, (1.0, 1.0)) == (market.window_s, market.fills)
    fate = market.ask("rest", 10, 0.0)
    assert (Kind.ANSWERED, ()) == (fate.kind, fate.stated)
    assert 270 + 10 * (85 + 8 + 12) == market.paid_tokens
    assert fate.after_s < 0.2
    alone = 1_500 * (270 + 85 + 12)
    assert (alone - 250_000) / (250_000 / 60) == pytest.approx(bound_of(market, 1), rel=0.01)


def test_same_seed_same_service() -> None:
    """Two markets of one seed give the same fates; another seed gives others."""
    ours = flood(Market(FAULTS, 5), every_s=0.2, count=300, pack=5)
    same = flood(Market(FAULTS, 5), every_s=0.2, count=300, pack=5)
    other = flood(Market(FAULTS, 6), every_s=0.2, count=300, pack=5)
    assert ours == same
    assert ours != other


def test_faults_come_as_often_as_stated() -> None:
    """Over many requests the shares of all kinds are near the chances."""
    regime = replace(FAULTS, rpm=10**9, tpm=10**12)
    asked = flood(Market(regime, 60), every_s=0.01, count=20_000, pack=1)
    kinds = [fate.kind for _, fate in asked]
    for kind, chance in (
        (Kind.SERVER_ERROR, 0.02),
        (Kind.DROPPED, 0.015),
        (Kind.VOID, 0.01),
        (Kind.SILENT, 0.005),
    ):
        assert chance == pytest.approx(kinds.count(kind) / len(kinds), rel=0.25)
    useful = kinds.count(Kind.ANSWERED) / len(kinds)
    assert 0.95 == pytest.approx(useful, abs=0.005)


def outage_market(*, is_silent: bool) -> Market:
    """Return the first market of the outage regime that dies in this manner."""
    regime = quiet(OUTAGE)
    markets = (Market(regime, seed) for seed in range(100))
    return next(one for one in markets if one.is_outage_silent is is_silent)


@pytest.mark.parametrize("is_silent", [False, True])
def test_an_outage_takes_one_way_and_no_other(is_silent: bool) -> None:
    """From its begin to its end the first way answers nothing; the others go on."""
    market = outage_market(is_silent=is_silent)
    begin, end = 20.0, 80.0
    kinds = {}
    for at in (1.0, begin - 0.05, begin + 1, begin + 20, end):
        kinds[at] = market.ask("responses-ws", 1, at)
        assert Kind.ANSWERED is market.ask("rest", 1, at).kind
    assert Kind.ANSWERED is kinds[1.0].kind is kinds[end].kind
    noticed = begin + 15 if is_silent else begin
    assert Kind.DROPPED is kinds[begin - 0.05].kind
    assert noticed == pytest.approx(begin - 0.05 + kinds[begin - 0.05].after_s)
    assert (Kind.DROPPED if is_silent else Kind.UNREACHED) is kinds[begin + 1].kind
    assert Kind.UNREACHED is kinds[begin + 20].kind
    assert (10.0 if is_silent else 0.05) == kinds[begin + 20].after_s


def test_survival_is_the_share_of_slower_draws() -> None:
    """It falls from 1 to 0 and agrees with what the market draws."""
    grid = [survival(SMALL, place * 0.05) for place in range(700)]
    assert all(before >= after for before, after in pairwise(grid))
    assert [1.0, 0.0] == [grid[0], grid[-1]]
    regime = replace(quiet(SMALL), rpm=10**9, tpm=10**12)
    asked = flood(Market(regime, 3), every_s=0.01, count=20_000, pack=1)
    output_s = constants.SIZES.used_tokens(1) - constants.SIZES.input_tokens(1)
    for seconds in (0.3, 0.35, 0.45, 1.5):
        slower = sum(fate.after_s > seconds + output_s / 90 for _, fate in asked)
        assert survival(SMALL, seconds) == pytest.approx(slower / len(asked), abs=0.012)


def test_the_bound_of_a_small_job_is_the_mean_of_the_slowest_of_doubled_draws() -> None:
    """Ten draws, each the better of two, plus connecting and twelve tokens."""
    market, chance = Market(SMALL, 0), random.Random(1)

    def first_token_s() -> float:
        if chance.random() < constants.TAIL_CHANCE:
            slow = constants.TAIL_START * chance.paretovariate(constants.TAIL_ALPHA)
            return min(constants.TAIL_CAP_S, 0.35 * slow)
        return 0.35 * chance.lognormvariate(0.0, constants.TTFT_SIGMA)

    jobs = 20_000
    slowest = sum(
        max(min(first_token_s(), first_token_s()) for _ in range(10)) for _ in range(jobs)
    )
    assert slowest / jobs + 0.2 + 12 / 90 == pytest.approx(bound_of(market), rel=0.01)


def test_larger_packs_never_make_the_bound_worse() -> None:
    """With packs up to twenty a job can be finished as soon as with up to ten, and as cheaply."""
    for regime in ALL_REGIMES:
        market = Market(regime, 2)
        assert bound_of(market) <= bound_of(market, largest_pack=10)
        assert cheapest_of(market) <= regime.chunks * regime.sizes.used_tokens(1)
