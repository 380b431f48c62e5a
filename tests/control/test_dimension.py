"""A dimension copies the service's minute bucket and bounds bursts; both follow what it hears."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.dimension import Dimension
from analysis.records import RateLimit
from analysis.settings import SETTINGS, Settings


def dimension(
    per_minute: float = 600, *, start_units: int = 1, settings: Settings = SETTINGS, at: float = 0.0
) -> Dimension:
    """Return a dimension of requests."""
    return Dimension(
        per_minute=per_minute, unit=1.0, start_units=start_units, now=at, settings=settings
    )


def told(
    found: Dimension,
    now: float,
    *,
    limit: int | None = None,
    remaining: int | None = None,
    amount: float = 1.0,
    sent_at: float | None = None,
    not_counted: float = 0.0,
) -> None:
    """Let the service state something."""
    found.learn(
        RateLimit(name="requests", limit=limit, remaining=remaining),
        now,
        amount=amount,
        sent_at=sent_at,
        not_counted=not_counted,
    )


def test_it_starts_with_a_seconds_worth_and_refills_at_its_rate() -> None:
    """600 a minute are 10 a second."""
    found = dimension()
    assert (10.0, 10.0, 10.0) == (found.capacity, found.level(0.0), found.credit(0.0))
    found.take(10, 0.0)
    assert (0.1, 0.0) == (found.ready_at(1, 0.0), found.level(0.0))
    assert (5.0, 10.0) == (found.credit(0.5), found.credit(9.0))
    assert 90.0 == found.level(9.0)  # nobody drew, so the service's bucket has gained that


def test_a_small_limit_lets_the_starting_requests_go_at_once() -> None:
    """Two at 60 a minute, where a second's worth is one; one where the limit is one."""
    assert 2.0 == dimension(60, start_units=2).capacity
    assert 1.0 == dimension(1, start_units=2).capacity


def test_the_burst_grows_to_hold_the_largest_cost() -> None:
    """At the start it may go at once; later it waits for what was drawn before."""
    found = dimension(480)
    assert (0.0, 0.0) == (found.ready_at(8, 0.0), found.ready_at(24, 0.0))
    found.take(8, 0.0)
    assert 1.0 == found.ready_at(24, 0.0)
    found.take(24, 1.0)
    assert (24.0, 0.0) == (found.capacity, found.credit(1.0))


def test_to_ask_for_a_larger_amount_changes_nothing_for_a_smaller_one() -> None:
    """Only a draw makes room for it: several routes ask about different requests in one poll."""
    found = dimension(480)
    found.take(8, 0.0)
    before = (found.ready_at(8, 0.0), found.level(0.0), found.credit(0.0), found.capacity)
    assert 1.0 == found.ready_at(24, 0.0)
    assert before == (found.ready_at(8, 0.0), found.level(0.0), found.credit(0.0), found.capacity)
    assert 1.0 == before[0]


@given(
    st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(1.0, 900.0)), max_size=20),
    st.lists(st.floats(1.0, 900.0), min_size=1, max_size=5),
    st.booleans(),
)
def test_questions_have_no_effect(
    draws: list[tuple[float, float]], asked: list[float], is_known: bool
) -> None:
    """Whatever else is asked about at the same time, each answer is the same the second time."""
    found, now = Dimension(per_minute=600, unit=0.0, start_units=1, now=0.0, settings=SETTINGS), 0.0
    for pause, amount in draws:
        now += pause
        found.take(amount, now)
    if is_known:
        told(found, now, limit=600, remaining=300, sent_at=now, amount=1.0)
    first = [found.ready_at(amount, now) for amount in asked]
    assert first == [found.ready_at(amount, now) for amount in asked]


def test_a_statement_with_its_call_sets_the_level() -> None:
    """What remains, less what is not counted in it, plus the refill since."""
    found = dimension()
    told(found, 1.0, limit=600, remaining=500, sent_at=0.5, not_counted=27)
    assert (478.0, True, True) == (found.level(1.0), found.is_known, found.is_stated)


def test_a_statement_without_its_call_adds_no_refill() -> None:
    """It may be as new as the moment."""
    found = dimension()
    told(found, 1.0, limit=600, remaining=500, not_counted=32)
    assert 468.0 == found.level(1.0)


@pytest.mark.parametrize(("limit", "remaining"), [(-1, -1), (0, 0), (None, -1), (None, None)])
def test_limits_that_cannot_be_change_nothing(limit: int | None, remaining: int | None) -> None:
    """Some services send 0 or -1 for limits that they do not apply."""
    found = dimension()
    told(found, 0.0, limit=limit, remaining=remaining)
    assert (600.0, 10.0, False) == (found.per_minute, found.level(0.0), found.is_known)


def test_a_limit_of_which_more_was_just_served_is_in_another_unit() -> None:
    """Twenty in ten seconds is stated as 20; forty-one served in a second are no 20 a minute."""
    found = dimension(6_000)
    for _ in range(41):
        told(found, 1.0, limit=20, remaining=10, sent_at=0.5)
    assert (6_000.0, False, False) == (found.per_minute, found.is_stated, found.is_known)
    told(found, 2.0, limit=20, remaining=10, sent_at=1.5)
    assert 6_000.0 == found.per_minute
    told(found, 2.0, limit=3_000, remaining=10, sent_at=1.5)
    assert 3_000.0 == found.per_minute


def test_a_limit_that_a_refusal_names_beats_the_one_beside_it() -> None:
    """The other one has another unit, and is not heard again."""
    found = dimension(6_000)
    told(found, 1.0, limit=30, remaining=10, sent_at=0.5)
    found.adopt(300, 1.0, is_heard=True)
    told(found, 2.0, limit=30, remaining=10, sent_at=1.5)
    assert 300.0 == found.per_minute
    found.adopt(30, 3.0, is_heard=True)
    assert 30.0 == found.per_minute


def test_slow_start_grows_by_half_per_answer_until_a_window_is_found() -> None:
    """A refusal although there was room ends it: 0.9 s of the rate and a guard from then on."""
    found = dimension()
    for _ in range(10):
        found.take(1, 0.0)
    for _ in range(10):
        told(found, 0.0, limit=600, remaining=500, sent_at=0.0)
    assert (25.0, 15.0) == (found.capacity, found.credit(0.0))
    found.find_window(1, 0.0, wait_s=1.0)
    assert (9.0, 0.005) == (found.capacity, found.guard)
    assert pytest.approx(-8.95) == found.credit(0.0)
    told(found, 1.0, limit=600, remaining=500, sent_at=0.5)
    assert 9.0 == found.capacity


def test_the_guard_grows_per_episode_to_its_cap_and_then_the_rate_is_halved() -> None:
    """Refusals within two seconds are one episode."""
    found = dimension()
    guards = []
    for now in (0.0, 1.0, 2.0, 4.0):
        found.find_window(1, now, wait_s=0.0)
        guards.append(round(found.guard, 3))
    assert [0.005, 0.005, 0.015, 0.025] == guards
    for number in range(13):
        found.find_window(1, 10.0 + 2 * number, wait_s=0.0)
    assert (0.15, 1.0) == (found.guard, found.ease.share(34.0))
    found.find_window(1, 40.0, wait_s=0.0)
    assert 0.5 == found.ease.share(40.0)


def test_a_window_that_keeps_reservations_stops_refunds_of_the_credit() -> None:
    """The third episode of a dimension with refunds shows it; the level still gets them."""
    found = dimension()
    found.take(8, 0.0)
    found.refund(2, 0.0)
    for now in (0.0, 2.0, 4.0):
        found.find_window(1, now, wait_s=0.0)
    found.take(4, 4.0)
    before = found.credit(4.0), found.level(4.0)
    found.refund(2, 4.0)
    assert (before[0], before[1] + 2) == (found.credit(4.0), found.level(4.0))


def test_a_refusal_without_room_may_leave_the_level_below_zero() -> None:
    """After the stated wait there is room for the refused request, and for what it cost itself."""
    found = dimension()
    found.refuse(1, 0.0, wait_s=3.0)
    assert (-29.0, 3.0) == (found.level(0.0), found.ready_at(1, 0.0))
    found.refuse(1, 0.0, wait_s=3.0, lost=1.0)
    assert 3.1 == pytest.approx(found.ready_at(1, 0.0))


def test_a_reserve_stays_once_the_level_is_known() -> None:
    """0.15 s of the rate, at least 0.3 of a unit, never more than the whole limit."""
    found = dimension()
    told(found, 0.0, limit=600, remaining=2, sent_at=0.0)
    assert 0.05 == pytest.approx(found.ready_at(1, 0.0))
    one = dimension(1)
    told(one, 0.0, limit=1, remaining=1, sent_at=0.0)
    assert 0.0 == one.ready_at(1, 0.0)


def test_the_use_by_others_slows_down_to_a_share_and_ends_when_they_do() -> None:
    """Half the rate drawn by somebody else is seen in a minute; the floor is a fifth."""
    found = dimension()
    left, now = 300.0, 0.0
    for _ in range(600):
        now += 0.1
        left -= 0.5  # ten a second come in, we draw ten a second, others five
        found.take(1, now)
        told(found, now, limit=600, remaining=int(left), sent_at=now)
    assert 4.0 < found.others < 6.0
    for _ in range(600):
        now += 0.1
        left = max(0.0, left - 5)
        told(found, now, limit=600, remaining=int(left), sent_at=now)
    assert 2.0 == pytest.approx(found.pace(now))
    for _ in range(2_000):
        now += 0.1
        left = min(600.0, left + 1.0)
        told(found, now, limit=600, remaining=int(left), sent_at=now)
    assert 10.0 <= found.pace(now)


def test_it_shows_its_state() -> None:
    """The repr names level, credit and limit."""
    assert "Dimension(level 10.0, credit 10.0 of 10.0, 600/min)" == repr(dimension())


class Slow:
    """The same rules without slow start and statements: every change is replayed for every look."""

    def __init__(self, per_minute: float, burst: float) -> None:
        self.rate = per_minute / 60
        self.limit = per_minute
        self.burst = burst
        self.changes: list[tuple[float, float]] = []

    def look(self, now: float) -> tuple[float, float]:
        """Return level and credit."""
        level = credit = self.burst
        before = 0.0
        for at, amount in [*self.changes, (now, 0.0)]:
            gained = self.rate * (at - before)
            level = min(self.limit, min(self.limit, level + gained) + amount)
            credit = min(self.burst, min(self.burst, credit + gained) + amount)
            before = at
        return level, credit


@given(
    st.integers(60, 60_000),
    st.lists(st.tuples(st.floats(0, 5), st.integers(-20, 30)), max_size=40),
)
def test_it_keeps_the_same_accounts_as_a_slow_version(
    per_minute: int, steps: list[tuple[float, int]]
) -> None:
    """Draws (positive) and refunds in any order; nothing is lost, and what is drawn is the sum."""
    found = Dimension(per_minute=per_minute, unit=30.0, start_units=1, now=0.0, settings=SETTINGS)
    slow, now, drawn = Slow(per_minute, max(30.0, per_minute / 60)), 0.0, 0
    slow.burst = min(slow.burst, max(slow.limit, 30.0))
    for pause, amount in steps:
        now += pause
        if amount > 0:
            found.take(amount, now)
        else:
            found.refund(-amount, now)
        drawn += amount
        slow.changes.append((now, -amount))
        assert pytest.approx(slow.look(now), abs=1e-6) == (found.level(now), found.credit(now))
    assert drawn == found.drawn


@given(
    st.integers(1, 6_000),
    st.floats(0.05, 60.0),
    st.lists(
        st.tuples(st.floats(0.0, 3.0), st.sampled_from(["send", "hear", "window", "short"])),
        min_size=1,
        max_size=80,
    ),
)
def test_no_window_holds_more_than_the_burst_and_the_rate(
    per_minute: int, burst_s: float, steps: list[tuple[float, str]]
) -> None:
    """For any two sends: what went between them is within the largest burst + rate x time."""
    found = dimension(per_minute, settings=replace(SETTINGS, burst_s=burst_s))
    now, sent, most = 0.0, [], found.capacity
    for pause, what in steps:
        now += pause
        if what == "hear":
            told(found, now, limit=per_minute, remaining=per_minute, sent_at=now, amount=1.0)
        elif what == "window":
            found.find_window(1, now, wait_s=0.2)
        elif what == "short":
            found.refuse(1, now, wait_s=0.2)
        else:
            now = max(now, found.ready_at(1, now))
            found.take(1, now)
            sent.append(now)
        most = max(most, found.capacity)
        assert found.credit(now) <= found.capacity + 1e-9
        assert found.level(now) <= found.per_minute + 1e-9
    fastest = found.rate * (1 + SETTINGS.unit_boost)
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= most + fastest * (sent[last] - begin) + 1e-6


@given(st.floats(0.0, 1e6), st.floats(1, 100_000), st.integers(1_000, 10_000_000))
def test_what_is_ready_later_is_ready_then(start: float, cost: float, per_minute: int) -> None:
    """At the time that `ready_at` names it may go, but for one step of the clock; not before."""
    found = dimension(per_minute, at=start)
    found.take(cost, start)
    then = found.ready_at(cost, start)
    assert found.ready_at(cost, then) <= then + 1e-6
    early = start + (then - start) * 0.9
    again = dimension(per_minute, at=start)
    again.take(cost, start)
    assert (again.ready_at(cost, early) > early) == (then > start)
