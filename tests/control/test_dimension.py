"""A dimension copies the service's minute bucket and bounds bursts; both follow what it hears."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.control.learned import LearnedLimit
from analysis.settings import SETTINGS
from tests.control.pacers import GROWING, dimension, told


def test_it_starts_with_a_seconds_worth_and_refills_at_its_rate() -> None:
    """600 a minute are 10 a second; nothing else is known, so the minute counts as full."""
    found = dimension()
    assert (10.0, 600.0, 0.0) == (found.burst, found.level(0.0), found.excess(0.0))
    found.take(10, 0.0)
    assert (0.1, 590.0) == (found.ready_at(1, 0.0), found.level(0.0))
    assert (5.0, 0.0) == (found.excess(0.5), found.excess(9.0))
    assert 600.0 == found.level(9.0)


def test_a_small_limit_lets_the_starting_requests_go_at_once() -> None:
    """Two at 60 a minute, where a second's worth is one; one where the limit is one."""
    assert 2.0 == dimension(60, least_burst=2.0).burst
    assert 1.0 == dimension(1, least_burst=2.0).burst


def test_an_amount_above_the_burst_goes_when_nothing_is_in_excess() -> None:
    """At the start it may go at once; later it waits for what was drawn before."""
    found = dimension(480)
    assert (0.0, 0.0) == (found.ready_at(8, 0.0), found.ready_at(24, 0.0))
    found.take(8, 0.0)
    assert 1.0 == found.ready_at(24, 0.0)
    found.take(24, 1.0)
    assert (24.0, 4.0) == (found.excess(1.0), found.ready_at(8, 1.0))


@given(
    st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(1.0, 900.0)), max_size=20),
    st.lists(st.floats(1.0, 900.0), min_size=1, max_size=5),
    st.booleans(),
)
def test_questions_have_no_effect(
    draws: list[tuple[float, float]], asked: list[float], is_known: bool
) -> None:
    """Whatever else is asked about at the same time, each answer is the same the second time."""
    found, now = dimension(least_burst=0.0), 0.0
    for pause, amount in draws:
        now += pause
        found.take(amount, now)
    if is_known:
        told(found, now, limit=600, remaining=300, sent_at=now, amount=1.0)
    first = [found.ready_at(amount, now) for amount in asked]
    assert first == [found.ready_at(amount, now) for amount in asked]


def test_a_statement_with_its_call_sets_the_level() -> None:
    """What remains, less what is missing in it, plus the refill since."""
    found = dimension()
    told(found, 1.0, limit=600, remaining=500, sent_at=0.5, missing=27)
    assert (478.0, True, True) == (found.level(1.0), found.is_known, found.is_stated)


def test_a_statement_without_its_call_adds_no_refill() -> None:
    """It may be as new as the moment."""
    found = dimension()
    told(found, 1.0, limit=600, remaining=500, missing=32)
    assert 468.0 == found.level(1.0)


def test_a_statement_about_an_earlier_request_than_the_last_one_is_old() -> None:
    """Answers overtake each other; what was refused later is newer, too."""
    found = dimension()
    told(found, 1.0, limit=600, remaining=500, sent_at=0.9)
    told(found, 1.0, limit=600, remaining=100, sent_at=0.5)
    assert 501.0 == pytest.approx(found.level(1.0))
    found.refuse(1, 2.0, sent_at=1.9, wait_s=3.0)
    told(found, 2.0, limit=600, remaining=500, sent_at=1.5)
    assert -29.0 == found.level(2.0)


@pytest.mark.parametrize(("limit", "remaining"), [(-1, -1), (0, 0), (None, -1), (None, None)])
def test_limits_that_cannot_be_change_nothing(limit: int | None, remaining: int | None) -> None:
    """Some services send 0 or -1 for limits that they do not apply."""
    found = dimension()
    told(found, 0.0, limit=limit, remaining=remaining)
    assert (600.0, 600.0, False) == (found.per_minute, found.level(0.0), found.is_known)


def test_a_limit_in_another_unit_gives_way_to_the_one_before() -> None:
    """Twenty in ten seconds is stated as 20; forty-one served in a second are no 20 a minute."""
    found = dimension(6_000)
    for _ in range(41):
        told(found, 1.0, limit=20, remaining=10, sent_at=0.5)
    assert (6_000.0, False, False) == (found.per_minute, found.is_stated, found.is_known)
    assert found.is_assumed


def test_a_limit_that_a_refusal_names_beats_the_one_beside_it() -> None:
    """The other one has another unit, and is not heard again."""
    found = dimension(6_000)
    told(found, 1.0, limit=30, remaining=10, sent_at=0.5)
    found.adopt(300, 1.0, is_heard=True)
    told(found, 2.0, limit=30, remaining=10, sent_at=1.5)
    assert 300.0 == found.per_minute


def test_bursts_grow_with_answers_while_there_is_room() -> None:
    """By what was answered; a statement that nothing is left lets nothing grow."""
    found = dimension()
    for _ in range(10):
        told(found, 0.0, limit=600, remaining=500, sent_at=0.0)
    assert 20.0 == found.burst
    told(found, 0.0, limit=600, remaining=0, sent_at=0.0)
    found.confirm(5.0)
    assert 20.0 == found.burst


def test_a_hidden_window_holds_what_was_let_through_above_the_rate() -> None:
    """Thirty of thirty-two went through at once: three seconds' worth; and there is a guard."""
    found = dimension(settings=replace(SETTINGS, burst_growth=3.0))
    for _ in range(10):
        told(found, 0.0, limit=600, remaining=500, sent_at=0.0)
    found.take(32, 0.0)
    for _ in range(2):
        found.forget(1)
        found.find_window(1, 0.0, wait_s=0.5)
    assert (3.0, 30.0, 0.005) == (found.window_s, found.burst, found.guard)
    assert 0.5 == pytest.approx(found.ready_at(1, 0.0))
    told(found, 1.0, limit=600, remaining=500, sent_at=1.0)
    assert 30.0 == found.burst


def test_no_window_is_shorter_than_a_second() -> None:
    """One that seems to hold nothing holds 0.9 s of the rate."""
    found = dimension()
    found.find_window(1, 0.0, wait_s=1.0)
    assert (0.9, 9.0) == (found.window_s, found.burst)
    assert 1.0 == pytest.approx(found.ready_at(1, 0.0))


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


def test_a_window_that_keeps_reservations_stops_refunds_of_the_excess() -> None:
    """The third episode of a dimension with refunds shows it; the level still gets them."""
    found = dimension()
    found.take(8, 0.0)
    found.refund(2, 0.0)
    for now in (0.0, 2.0, 4.0):
        found.find_window(1, now, wait_s=0.0)
    found.take(4, 4.0)
    before = found.excess(4.0), found.level(4.0)
    found.refund(2, 4.0)
    assert (before[0], before[1] + 2) == (found.excess(4.0), found.level(4.0))


def test_a_refusal_without_room_may_leave_the_level_below_zero() -> None:
    """After the stated wait there is room for the refused request."""
    found = dimension()
    found.refuse(1, 0.0, sent_at=0.0, wait_s=3.0)
    assert (-29.0, 3.0) == (found.level(0.0), found.ready_at(1, 0.0))


def test_the_first_statement_explains_a_refusal_before_it() -> None:
    """There was room when it came, so it was for a hidden window; if not, it was not."""
    for remaining, window_s in ((500, 1.2), (5, None)):
        found = dimension(settings=replace(SETTINGS, burst_s=3.0))
        found.take(22, 0.0)
        found.refuse(1, 1.0, sent_at=0.9, wait_s=0.1)
        told(found, 1.0, limit=600, remaining=remaining, sent_at=0.0, missing=22)
        assert window_s == found.window_s


def test_what_remains_is_ignored_once_it_was_false() -> None:
    """Our own account of it goes on, and bursts do not grow."""
    found = dimension()
    told(found, 0.0, limit=600, remaining=600, sent_at=0.0)
    burst = found.burst
    found.refuse(1, 1.0, sent_at=0.9, wait_s=1.0)
    found.distrust()
    told(found, 1.0, limit=600, remaining=600, sent_at=1.0)
    found.confirm(1.0)
    assert (-9.0, False, burst) == (found.level(1.0), found.is_known, found.burst)


def test_requests_lost_on_their_way_leave_room_in_the_window() -> None:
    """Twenty seconds' worth more is left than believed, so the bursts may use it; not five."""
    found = dimension(learned=LearnedLimit(per_minute=600, window_s=30.0, guard=0.0))
    told(found, 9.0, limit=600, remaining=300, sent_at=9.0)
    found.take(250, 9.0)
    told(found, 9.0, limit=600, remaining=100, sent_at=9.0)
    assert (100.0, 250.0) == (found.level(9.0), found.excess(9.0))
    found.lose(250, 9.0)
    told(found, 9.0, limit=600, remaining=300, sent_at=9.0)
    assert (300.0, 100.0) == (found.level(9.0), found.excess(9.0))


def test_no_more_comes_back_to_the_window_than_got_lost() -> None:
    """Of thirty that got lost thirty come back, and none that a later word has judged."""
    found = dimension(learned=LearnedLimit(per_minute=600, window_s=30.0, guard=0.0))
    told(found, 9.0, limit=600, remaining=300, sent_at=9.0)
    found.take(250, 9.0)
    found.lose(30, 9.0)
    told(found, 9.0, limit=600, remaining=400, sent_at=9.0)
    assert 220.0 == found.excess(9.0)
    told(found, 9.0, limit=600, remaining=600, sent_at=9.0)
    assert 220.0 == found.excess(9.0)


def test_without_a_hidden_window_no_more_was_drawn_than_the_minute_lacks() -> None:
    """What is left says so, but for five seconds' worth that may be on its way."""
    found = dimension()
    found.take(250, 0.0)
    for _ in range(2):
        told(found, 0.0, limit=600, remaining=550, sent_at=0.0)
    assert 100.0 == found.excess(0.0)


def test_a_first_word_that_was_too_low_says_nothing_of_the_window() -> None:
    """Much more is left than believed although nothing got lost: the window stays full."""
    found = dimension(learned=LearnedLimit(per_minute=600, window_s=30.0, guard=0.0))
    found.take(250, 0.0)
    told(found, 1.0, limit=600, remaining=300, sent_at=0.0, missing=250)
    before = found.excess(1.0)
    told(found, 1.0, limit=600, remaining=300, sent_at=1.0)
    assert (300.0, before) == (found.level(1.0), found.excess(1.0))


def test_what_sank_at_an_assumed_rate_is_counted_again_at_the_stated_one() -> None:
    """Twenty sent in a second at a hundred a second are an excess of 19.5 at thirty a minute."""
    found = dimension(6_000, is_assumed=True)
    for number in range(20):
        found.take(1, number / 20)
    told(found, 1.0, limit=30, remaining=5, sent_at=1.0)
    assert (19.5, False) == (found.excess(1.0), found.is_assumed)


def test_a_reserve_stays_once_the_level_is_known() -> None:
    """0.15 s of the rate, at least 0.3 of an amount, never more than the whole limit."""
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
    assert 4.0 < found.others.per_s < 6.0
    for _ in range(600):
        now += 0.1
        left = max(0.0, left - 5)
        told(found, now, limit=600, remaining=int(left), sent_at=now)
    assert 2.0 == pytest.approx(found.pace(now))
    for _ in range(2_000):
        now += 0.1
        left = min(600.0, left + 1.0)
        told(found, now, limit=600, remaining=int(left), sent_at=now)
    assert 10.0 == found.pace(now)


def test_the_use_by_others_is_forgotten_when_nothing_is_heard() -> None:
    """After twenty seconds without a statement the whole rate is used again."""
    found = dimension()
    for number in range(1, 200):
        told(found, number / 10, limit=600, remaining=600 - 2 * number, sent_at=number / 10)
    assert found.pace(20.0) < 6.0
    found.level(45.0)
    assert 10.0 == found.pace(45.0)


def test_a_learned_window_is_a_burst_at_once() -> None:
    """It is told again as it was learned; an assumed limit is not told."""
    known = LearnedLimit(per_minute=300, window_s=10.0, guard=0.015)
    found = dimension(6_000, is_assumed=True, learned=known)
    assert (50.0, False, known) == (found.burst, found.is_assumed, found.learned())
    assert dimension(is_assumed=True).learned() is None


def test_a_window_that_was_just_found_did_not_hold_what_was_refused_otherwise() -> None:
    """Of thirty-two, one was refused for the window and twenty for the minute: it held eleven."""
    found = dimension(settings=replace(SETTINGS, burst_growth=3.0))
    for _ in range(10):
        told(found, 0.0, limit=600, remaining=500, sent_at=0.0)
    found.take(32, 0.0)
    found.forget(1)
    found.find_window(1, 0.0, wait_s=0.5)
    for _ in range(20):
        found.exclude(1, 0.1)
    assert 1.1 == pytest.approx(found.window_s)
    found.exclude(1, 9.0)
    assert 1.1 == pytest.approx(found.window_s)


def test_what_comes_back_after_refusals_of_a_window_was_not_lost() -> None:
    """Right after them much more may remain than believed, and the window is full all the same."""
    found = dimension()
    told(found, 0.0, limit=600, remaining=300, sent_at=0.0)
    found.take(9, 0.0)
    found.find_window(1, 0.0, wait_s=0.0)
    before = found.excess(0.0)
    told(found, 0.0, limit=600, remaining=500, sent_at=0.0)
    assert before == found.excess(0.0)


def test_it_shows_its_state() -> None:
    """The repr names level, excess and limit."""
    assert "Dimension(level 600.0, excess 0.0 of 10.0, 600/min)" == repr(dimension())


class Slow:
    """The same rules without growth and statements: every change is replayed for every look."""

    def __init__(self, per_minute: float) -> None:
        self.rate = per_minute / 60
        self.limit = per_minute
        self.changes: list[tuple[float, float]] = []

    def look(self, now: float) -> tuple[float, float]:
        """Return level and excess."""
        level, excess, before = self.limit, 0.0, 0.0
        for at, amount in [*self.changes, (now, 0.0)]:
            gained = self.rate * (at - before)
            level = min(self.limit, min(self.limit, level + gained) + amount)
            excess = max(0.0, max(0.0, excess - gained) - amount)
            before = at
        return level, excess


@given(
    st.integers(60, 60_000),
    st.lists(st.tuples(st.floats(0, 5), st.integers(-20, 30)), max_size=40),
)
def test_it_keeps_the_same_accounts_as_a_slow_version(
    per_minute: int, steps: list[tuple[float, int]]
) -> None:
    """Draws (positive) and refunds in any order; nothing is lost, and what is drawn is the sum."""
    found, slow, now, drawn = dimension(per_minute), Slow(per_minute), 0.0, 0
    for pause, amount in steps:
        now += pause
        if amount > 0:
            found.take(amount, now)
        else:
            found.refund(-amount, now)
        drawn += amount
        slow.changes.append((now, -amount))
        assert pytest.approx(slow.look(now), abs=1e-6) == (found.level(now), found.excess(now))
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
    """I6: for any two sends, what went between them is within the largest burst + rate x time.

    Each statement of a full minute between them may tell that a burst before it never arrived.
    """
    found = dimension(per_minute, settings=replace(GROWING, burst_s=burst_s))
    now, sent, most, heard = 0.0, list[tuple[float, int]](), max(1.0, found.burst), 0
    for pause, what in steps:
        now += pause
        if what == "hear":
            told(found, now, limit=per_minute, remaining=per_minute, sent_at=now, amount=1.0)
            heard += 1
        elif what == "window":
            found.find_window(1, now, wait_s=0.2)
        elif what == "short":
            found.refuse(1, now, sent_at=now, wait_s=0.2)
        else:
            now = max(now, found.ready_at(1, now))
            found.take(1, now)
            sent.append((now, heard))
        most = max(most, found.burst)
        assert found.level(now) <= found.per_minute + 1e-9
    for first, (begin, heard_before) in enumerate(sent):
        for count, (at, heard) in enumerate(sent[first:], 1):
            bursts = (1 + heard - heard_before) * most
            assert count <= bursts + found.rate * (at - begin) + 1e-6


def test_a_smaller_part_has_a_smaller_burst_at_once() -> None:
    """What was remembered of the larger one is forgotten."""
    found = dimension(600)
    found.allow(100)
    assert 0.0 == found.ready_at(1, 0.0)
    found.share(0.1, 0.0, has_turns=False)
    found.take(found.burst, 0.0)
    assert found.ready_at(1, 0.0) > 0.0


WHAT = ["take", "refund", "blind", "hear", "refuse", "window", "limit", "share", "cut", "part"]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 2.0),
            st.sampled_from(
                [
                    "take",
                    "refund",
                    "blind",
                    "hear",
                    "refuse",
                    "window",
                    "limit",
                    "share",
                    "cut",
                    "part",
                ]
            ),
        ),
        max_size=60,
    )
)
def test_what_is_remembered_of_the_burst_changes_no_time(steps: list[tuple[float, str]]) -> None:
    """Whatever was heard, a dimension that remembers nothing of it gives the same answer."""
    found, now = dimension(600), 0.0
    for pause, what in steps:
        now += pause
        match what:
            case "take":
                found.take(5, now)
            case "refund":
                found.refund(2, now)
            case "blind":
                found.confirm_blindly(3.0, 200.0)
            case "hear":
                told(found, now, limit=600, remaining=300, sent_at=now, amount=4.0)
            case "refuse":
                found.refuse(1, now, sent_at=now, wait_s=0.2)
            case "window":
                found.find_window(1, now, wait_s=0.2)
            case "limit":
                told(found, now, limit=300, remaining=200, sent_at=now)
            case "share":
                found.share(0.5, now, has_turns=False)
            case "part":
                found.share(1.0, now, has_turns=False)
            case _:
                found.ease.cut(now, flat_s=1.0)
        fresh = copy.copy(found)
        fresh._sure_burst = 0.0
        for amount in (1.0, 8.0, 40.0):
            assert fresh.ready_at(amount, now) == found.ready_at(amount, now)


@given(st.floats(0.0, 1e6), st.floats(1, 100_000), st.integers(1_000, 10_000_000))
def test_what_is_ready_later_is_ready_then(start: float, cost: float, per_minute: int) -> None:
    """I9: when `ready_at` says so it may go, but for one step of the clock; and not before."""
    found = dimension(per_minute, at=start)
    found.take(cost, start)
    then = found.ready_at(cost, start)
    assert found.ready_at(cost, then) <= then + 1e-6
    early = start + (then - start) * 0.9
    again = dimension(per_minute, at=start)
    again.take(cost, start)
    assert (again.ready_at(cost, early) > early) == (then > start)
