"""The limit of requests in flight starts at the cap, shrinks with losses, grows with answers."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.control.concurrency import Concurrency
from analysis.control.latency import RECENT
from analysis.settings import SETTINGS

IDLE_S = SETTINGS.concurrency_idle_s


def answer(
    found: Concurrency, *, now: float, count: int = 1, in_flight: int | None = None
) -> Concurrency:
    """Report answers of requests sent 0.5 s before; the limit is in use unless stated."""
    for _ in range(count):
        used = found.limit if in_flight is None else in_flight
        found.on_success(in_flight=used, latency_s=0.5, is_slow=False, now=now)
    return found


def test_it_starts_at_the_cap_and_stays_there() -> None:
    """Answers do not lift it above."""
    assert 64 == Concurrency(cap=64).limit
    assert 64 == answer(Concurrency(cap=64), now=0.0, count=100).limit


@pytest.mark.parametrize(("start", "limit"), [(None, 32), (9, 9), (1, 1), (32, 32), (99, 32)])
def test_a_learned_limit_below_the_cap_is_where_it_starts(start: int | None, limit: int) -> None:
    """A larger one is the cap."""
    assert limit == Concurrency(cap=32, start=start).limit


def test_it_doubles_per_round_trip_below_the_soft_cap() -> None:
    """Each answer adds one: 2, 4, 8, 16."""
    found, limits = Concurrency(cap=64, start=2), []
    for now in range(1, 4):
        limits.append(answer(found, now=now, count=found.limit).limit)
    assert [4, 8, 16] == limits


def test_above_the_soft_cap_it_adds_two_per_round_trip() -> None:
    """16, then about 18, then about 20."""
    found, limits = Concurrency(cap=64, start=16), []
    for now in range(1, 4):
        limits.append(answer(found, now=now, count=found.limit).limit)
    assert [17, 19, 21] == limits


def test_unused_room_does_not_grow() -> None:
    """Less than half of ten in flight says nothing; half does."""
    assert 10 == answer(Concurrency(cap=64, start=10), now=1.0, count=50, in_flight=4).limit
    assert 11 == answer(Concurrency(cap=64, start=10), now=1.0, in_flight=5).limit


def test_a_slow_answer_adds_nothing() -> None:
    """Whatever is in use."""
    found = Concurrency(cap=64, start=10)
    found.on_success(in_flight=10, latency_s=2.0, is_slow=True, now=1.0)
    assert 10 == found.limit


def test_a_loss_takes_three_tenths() -> None:
    """64, 44, 30, at last one."""
    found = Concurrency(cap=64)
    cuts = [found.on_loss(latency_s=1.0, now=now) for now in range(2)]
    assert ([True, True], 30) == (cuts, found.limit)
    for now in range(2, 12):
        found.on_loss(latency_s=1.0, now=now)
    assert (1, False) == (found.limit, found.on_loss(latency_s=1.0, now=99.0))


def test_requests_lost_together_count_once() -> None:
    """32 with one socket are one loss, and so are those reported within a round trip."""
    found = Concurrency(cap=64)
    cuts = [found.on_loss(latency_s=2.0, now=10.0 + index / 32) for index in range(32)]
    assert ([True] + [False] * 31, 44) == (cuts, found.limit)
    assert found.on_loss(latency_s=2.0, now=12.0)


def test_a_request_sent_before_the_cut_does_not_lift_the_limit() -> None:
    """Its answer says nothing about the lower limit; that of a later request does."""
    found = Concurrency(cap=64, start=10)
    assert found.on_loss(latency_s=0.5, now=10.0)
    assert 7 == answer(found, now=10.4).limit
    assert 8 == answer(found, now=10.5).limit


def test_inflation_takes_less_than_a_loss() -> None:
    """And stops where an outage would start anew: others may be the cause."""
    found = Concurrency(cap=64)
    assert found.on_inflation(latency_s=1.0, now=0.0)
    assert 54 == found.limit
    for now in range(1, 100):
        answer(found, now=now, count=RECENT, in_flight=0)
        found.on_inflation(latency_s=0.5, now=now)
    assert SETTINGS.concurrency_after_outage == found.limit
    assert not Concurrency(cap=2).on_inflation(latency_s=1.0, now=0.0)


def test_inflation_counts_once_per_round_trip_and_per_half_of_its_median() -> None:
    """After a cut neither answers alone nor time alone make the report a new one."""
    found = Concurrency(cap=64)
    assert found.on_inflation(latency_s=1.0, now=0.0)
    assert not found.on_inflation(latency_s=1.0, now=5.0)
    answer(found, now=5.0, count=RECENT // 2, in_flight=0)
    assert not found.on_inflation(latency_s=6.0, now=5.0)
    assert found.on_inflation(latency_s=1.0, now=5.0)


def test_a_refusal_of_more_shows_the_limit() -> None:
    """64 at once, of which the service takes ten."""
    found = Concurrency(cap=64)
    cuts = [found.on_crowded(in_flight=many, now=1.0) for many in range(64, 10, -1)]
    assert (10, {True}) == (found.limit, set(cuts))
    assert not found.on_crowded(in_flight=40, now=1.1)
    assert found.on_crowded(in_flight=1, now=1.2)
    assert 1 == found.limit


def test_above_a_shown_limit_it_tries_one_more_after_five_round_trips() -> None:
    """Two more that were taken end the caution."""
    found = Concurrency(cap=64)
    found.on_crowded(in_flight=9, now=0.0)
    limits = [answer(found, now=now, count=found.limit).limit for now in range(1, 14)]
    assert [8, 8, 8, 8, 9, 9, 9, 9, 9, 10, 16] == limits[:11]


def test_a_loss_below_a_shown_limit_is_made_good_quickly() -> None:
    """Up to the limit that the service has shown one per answer, then slowly."""
    found = Concurrency(cap=64)
    found.on_crowded(in_flight=11, now=0.0)
    found.on_loss(latency_s=1.0, now=5.0)
    assert 7 == found.limit
    assert 10 == answer(found, now=6.0, count=6).limit


def test_after_an_outage_it_starts_slowly() -> None:
    """With four, whatever time the outage took, and doubles up to the soft cap."""
    found = answer(Concurrency(cap=64), now=0.0)
    found.after_outage()
    assert 4 == found.limit_at(2 * IDLE_S)
    assert 8 == answer(found, now=2 * IDLE_S, count=4).limit
    small = Concurrency(cap=2)
    small.after_outage()
    assert 2 == small.limit


@pytest.mark.parametrize(("later_s", "limit"), [(IDLE_S, 44), (IDLE_S + 1, 64)])
def test_a_shrunken_limit_is_forgotten_after_ten_idle_minutes(later_s: float, limit: int) -> None:
    """Ten minutes without a report, not a second less."""
    found = Concurrency(cap=64)
    found.on_loss(latency_s=1.0, now=5.0)
    assert limit == found.limit_at(5.0 + later_s)
    found.on_success(in_flight=1, latency_s=0.1, is_slow=False, now=5.0 + later_s)
    assert limit == found.limit


def test_a_used_limit_is_not_forgotten() -> None:
    """A report every five minutes, for an hour."""
    found = Concurrency(cap=64)
    found.on_loss(latency_s=1.0, now=0.0)
    for minute in range(5, 65, 5):
        answer(found, now=60.0 * minute, in_flight=1)
    assert 44 == found.limit_at(3_600.0)


def test_the_user_can_move_the_cap_in_mid_run() -> None:
    """Below and above the route's own; what was learned stays learned."""
    found, limits = Concurrency(cap=32), []
    for cap in (5, 100, None):
        found.set_cap(cap)
        limits.append(found.limit)
    assert [5, 100, 32] == limits
    found.on_loss(latency_s=1.0, now=0.0)
    limits = []
    for cap in (5, 100, None):
        found.set_cap(cap)
        limits.append(answer(found, now=1.0, count=10, in_flight=1).limit)
    assert [5, 22, 22] == limits


def test_the_cap_reached_by_growth_is_a_cap_again() -> None:
    """A higher one holds at once then; one below the route's own leaves the question open."""
    reached = answer(Concurrency(cap=8, start=4), now=1.0, count=4)
    reached.set_cap(20)
    assert 20 == reached.limit
    held = Concurrency(cap=32, start=4)
    held.set_cap(6)
    answer(held, now=1.0, count=9)
    held.set_cap(None)
    assert 6 == held.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One event of a route, some seconds after the one before."""

    name: str
    after_s: float
    count: int


REPORTS = st.builds(
    Report,
    name=st.sampled_from(["answer", "slow", "loss", "inflation", "crowd", "outage", "cap", "own"]),
    after_s=st.sampled_from([0.0, 0.1, 1.0, 10.0, IDLE_S + 1]),
    count=st.integers(1, 100),
)


def feed(found: Concurrency, report: Report, *, now: float) -> None:
    """Report it."""
    match report.name:
        case "answer" | "slow":
            is_slow = report.name == "slow"
            found.on_success(in_flight=report.count, latency_s=0.5, is_slow=is_slow, now=now)
        case "loss":
            found.on_loss(latency_s=0.5, now=now)
        case "inflation":
            found.on_inflation(latency_s=0.5, now=now)
        case "crowd":
            found.on_crowded(in_flight=report.count, now=now)
        case "outage":
            found.after_outage()
        case "cap":
            found.set_cap(report.count)
        case _:
            found.set_cap(None)


@given(cap=st.integers(1, 64), start=st.none() | st.integers(1, 99), reports=st.lists(REPORTS))
@settings(deadline=None)
def test_the_limit_is_always_from_one_to_the_cap(
    cap: int, start: int | None, reports: list[Report]
) -> None:
    """Losses never raise it, answers never lower it."""
    found, most, now = Concurrency(cap=cap, start=start), cap, 0.0
    for report in reports:
        now += report.after_s
        before = found.limit_at(now)
        feed(found, report, now=now)
        most = {"cap": report.count, "own": cap}.get(report.name, most)
        assert 1 <= found.limit <= most
        assert found.limit_at(now) == found.limit
        if report.name in ("loss", "inflation", "crowd"):
            assert found.limit <= before
        if report.name in ("answer", "slow"):
            assert before <= found.limit


@pytest.mark.parametrize("seed", range(5))
def test_it_settles_near_what_the_service_can_bear(seed: int) -> None:
    """A service that drops what exceeds 24 at once: between 60 % and 110 % of that, on average."""
    rng, found, limits = random.Random(seed), Concurrency(cap=64), []
    for now in range(400):
        sent = found.limit
        for _ in range(sent):
            found.on_success(in_flight=sent, latency_s=0.5, is_slow=False, now=now)
        if sent > 24 or rng.random() < 0.001 * sent:
            found.on_loss(latency_s=0.5, now=now + 0.5)
        limits.append(found.limit)
    assert 0.6 < sum(limits[20:]) / len(limits[20:]) / 24 < 1.1


def test_a_limit_shows_its_state() -> None:
    """Limit and cap."""
    assert "Concurrency(9 of 64)" == repr(Concurrency(cap=64, start=9))
