"""A pacer holds requests back by both dimensions, reads statements by call, and keeps pauses."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.control.learned import Learned, LearnedLimit
from analysis.control.pacing import Pacer
from analysis.errors import RateLimited, RequestTooLarge
from analysis.records import RateLimit
from tests.control.pacers import limited, pacer, refused, stated, told


def test_both_dimensions_hold_a_request_back() -> None:
    """The later of both counts, and a learned limit reaches its own dimension."""
    found = pacer(rpm=60, tpm=60_000)
    for _ in range(2):
        found.take(cost_tokens=500, now=0.0)
    assert 1.0 == found.ready_at(cost_tokens=400, now=0.0)
    found = pacer(rpm=6_000, tpm=60_000)
    found.take(cost_tokens=1_000, now=0.0)
    assert 0.4 == found.ready_at(cost_tokens=400, now=0.0)
    found.refund(tokens=600, now=0.0)
    assert 0.0 == found.ready_at(cost_tokens=400, now=0.0)
    limits = [
        RateLimit(name="requests", limit=120),
        RateLimit(name="tokens", limit=6_000),
        RateLimit(name="images", limit=1),
    ]
    found.learn(limits, 0.0)
    assert (120.0, 6_000.0) == (found.requests.per_minute, found.tokens.per_minute)


def test_a_cost_above_a_whole_minute_raises_at_once() -> None:
    """No wait would help; the message names both numbers."""
    found = pacer(tpm=1_000)
    found.hold(retry_after_s=100.0, now=0.0)
    with pytest.raises(RequestTooLarge, match="1001 tokens, and the limit is 1000") as caught:
        found.ready_at(cost_tokens=1_001, now=0.0)
    assert "request_too_large" == caught.value.code
    assert 100.0 < found.ready_at(cost_tokens=1_000, now=0.0)


def test_a_statement_counts_what_was_sent_after_its_call() -> None:
    """Three calls; the second one's answer tells: less the third, plus the refill."""
    found = pacer(rpm=600, tpm=600_000)
    calls = [found.take(cost_tokens=1_000, now=number / 10) for number in range(3)]
    found.learn(stated((600, 500), (600_000, 400_000)), 1.0, call=calls[1])
    assert (508.0, 408_000.0) == (found.requests.level(1.0), found.tokens.level(1.0))
    found.learn(stated((600, 500), (600_000, 400_000)), 1.0, call=calls[2])
    assert 508.0 == found.requests.level(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_requests_of_one_moment_are_each_counted_once(seed: int) -> None:
    """In whatever order they arrived and were answered, the least that remained is what is left."""
    chance, found = random.Random(seed), pacer(rpm=600)
    calls = [found.take(cost_tokens=100, now=0.0) for _ in range(10)]
    arrived = list(enumerate(chance.sample(calls, 10), start=1))
    for place, call in chance.sample(arrived, 10):
        left = stated((600, 200 - place), (60_000, 30_000 - 100 * place))
        found.learn(left, 0.0, call=call)
        found.end(call)
    assert (190.0, 29_000.0) == (found.requests.level(0.0), found.tokens.level(0.0))


def test_among_requests_of_one_moment_a_refusal_tells_what_is_below_zero() -> None:
    """Twelve find ten: the last wait says that the two refusals cost a request each."""
    found = pacer(rpm=60)
    calls = [found.take(cost_tokens=100, now=0.0) for _ in range(12)]
    for place, call in enumerate(reversed(calls)):
        found.learn(stated((60, max(0, 9 - place)), (60_000, 50_000)), 0.0, call=call)
        if place >= 10:
            refused(found, call, 0.0, RateLimited("slow", retry_after_s=place - 7.0))
        else:
            found.end(call)
    assert -3.0 == found.requests.level(0.0)


def test_a_statement_of_some_call_takes_off_all_drawn_since_the_oldest_was_sent() -> None:
    """The oldest of the last second: a request that hangs says nothing about a statement."""
    found = pacer(rpm=600, tpm=600_000)
    for _ in range(3):
        found.take(cost_tokens=1_000, now=0.0)
    found.learn(stated((600, 500), (600_000, 400_000)), 1.0)
    assert (497.0, 397_000.0) == (found.requests.level(1.0), found.tokens.level(1.0))
    found.end(found.take(cost_tokens=1_000, now=1.0))
    found.learn(stated((600, 500), (600_000, 400_000)), 1.0)
    assert (496.0, 396_000.0) == (found.requests.level(1.0), found.tokens.level(1.0))
    found.learn(stated((600, 500), (600_000, 400_000)), 9.0)  # not theirs: they are too old
    assert (500.0, 400_000.0) == (found.requests.level(9.0), found.tokens.level(9.0))


def test_answers_of_a_way_that_states_nothing_let_bursts_grow_once_the_level_is_known() -> None:
    """One statement elsewhere is enough; a call that was heard has counted already."""
    found = pacer(rpm=600, tpm=600_000)
    found.note_asked(0.0)
    scout = found.take(cost_tokens=1_000, now=0.0)
    for _ in range(3):
        found.confirm(found.take(cost_tokens=1_000, now=0.0))
    assert (10.0, 10_000.0) == (found.requests.burst, found.tokens.burst)
    found.learn(stated((600, 500), (600_000, 400_000)), 0.0, call=scout)
    found.end(scout)
    found.confirm(scout)
    assert (11.0, 11_000.0) == (found.requests.burst, found.tokens.burst)
    found.confirm(found.take(cost_tokens=2_000, now=0.0))
    assert (12.0, 13_000.0) == (found.requests.burst, found.tokens.burst)


def test_a_refusal_with_room_in_the_minute_finds_a_hidden_window() -> None:
    """Of the dimension that is named; the level and the other one stay."""
    found = pacer(rpm=600, tpm=600_000)
    call = found.take(cost_tokens=1_000, now=0.0)
    refused(found, call, 0.0, limited("requests per min", 600, 20, 1, 0.1))
    assert (0.9, None) == (found.requests.window_s, found.tokens.window_s)
    assert 599.0 == found.requests.level(0.0)


def test_without_a_name_both_bursts_are_bounded() -> None:
    """Both dimensions had room by what was stated with the refusal itself.

    The refused request lacked 0.1 s of tokens, so the window held 0.8 s beside those that another
    one drew above the rate.
    """
    found = pacer(rpm=6_000, tpm=600_000)
    call = found.take(cost_tokens=9_000, now=0.0)
    found.learn(stated((6_000, 5_000), (600_000, 500_000)), 0.1, call=call)
    found.tokens.take(9_000, 0.1)
    refused(found, call, 0.1, RateLimited("slow", retry_after_s=0.1))
    assert 0.9 == found.requests.window_s
    assert pytest.approx(1.6) == found.tokens.window_s


def test_a_refusal_without_room_names_the_limit_and_the_wait() -> None:
    """A limit lowered in mid-run is taken over; the wait shows the level below zero."""
    found = pacer(rpm=600)
    call = found.take(cost_tokens=1_000, now=0.0)
    refused(found, call, 0.0, limited("requests per min", 300, 300, 1, 2.0))
    assert (300.0, 1.0) == (found.requests.per_minute, found.requests.ease.share(0.0))
    assert -9.0 == found.requests.level(0.0)  # 1 - 5/s x 2 s
    assert 2.0 < found.ready_at(cost_tokens=1, now=0.0)


def test_each_further_refusal_in_a_row_may_have_cost_a_request() -> None:
    """Some services leave that out of the wait that they state; an answer ends the row."""
    found, now = pacer(rpm=600), 0.0
    for lost in (0.0, 1.0, 2.0):
        call = found.take(cost_tokens=1_000, now=now)
        until = refused(found, call, now, limited("requests per min", 600, 600, 1, 1.0))
        assert pytest.approx(1 - 10 - lost, abs=0.01) == found.requests.level(now)
        now = max(until, found.ready_at(cost_tokens=1, now=now))
    found.confirm()
    call = found.take(cost_tokens=1_000, now=now)
    refused(found, call, now, limited("requests per min", 600, 600, 1, 1.0))
    assert -9.0 == found.requests.level(now)


def test_a_refusal_beside_a_full_minute_is_believed_more_than_the_statement() -> None:
    """What the service states as remaining is ignored from then on."""
    found = pacer(rpm=600)
    call = found.take(cost_tokens=1_000, now=0.0)
    found.learn(stated((600, 600), (60_000, 60_000)), 0.1, call=call)
    refused(found, call, 0.1, limited("requests per min", 600, 600, 1, 2.0))
    other = found.take(cost_tokens=1_000, now=3.0)
    found.learn(stated((600, 600), (60_000, 60_000)), 3.1, call=other)
    assert (False, True) == (found.requests.is_known, found.tokens.is_known)
    assert found.requests.level(3.1) < 20.0


def test_a_daily_limit_or_a_lack_of_capacity_changes_no_rate() -> None:
    """The pause says it all."""
    for refusal in (
        limited("requests per day", 200, 200, 1, 60.0),
        RateLimited("no capacity", code="resource_unavailable", retry_after_s=60.0),
    ):
        found = pacer(rpm=600)
        before = repr(found.requests)
        until = refused(found, found.take(cost_tokens=10, now=0.0), 0.0, refusal)
        assert 60.0 <= until == found.ready_at(cost_tokens=10, now=0.0)
        found.requests.refund(1, 0.0)
        assert (before, 1.0) == (repr(found.requests), found.requests.ease.share(0.0))


def test_slow_down_halves_the_rate_for_a_quarter_of_an_hour() -> None:
    """Once after a quiet minute; then it grows back within a minute."""
    found = pacer(rpm=600)
    calls = [found.take(cost_tokens=10, now=0.0) for _ in range(3)]
    for call in calls:
        refused(found, call, 1.0, RateLimited("slow", code="slow_down", retry_after_s=0.1))
    ease = found.requests.ease
    assert (0.5, 0.5, 1.0) == (ease.share(1.0), ease.share(901.0), ease.share(951.0))
    assert (0.5, None) == (found.take_slowed(), found.take_slowed())
    refused(
        found, found.take(cost_tokens=10, now=61.0), 61.1, RateLimited("slow", code="slow_down")
    )
    assert 0.25 == ease.share(61.1)


def test_a_stated_pause_is_kept_with_up_to_a_tenth_more() -> None:
    """Nothing is ready before it is over; a shorter one does not cut it."""
    found = pacer(rpm=6_000)
    until = found.hold(retry_after_s=20.0, now=1.0)
    assert 21.0 <= until <= 23.0
    assert until == found.hold(retry_after_s=0.5, now=2.0)
    assert until == found.ready_at(cost_tokens=1, now=2.0)


def test_chance_adds_five_seconds_at_most_to_a_long_pause() -> None:
    """An hour is an hour."""
    until = pacer().hold(retry_after_s=3_600.0, now=0.0)
    assert 3_600.0 <= until <= 3_605.0


def test_without_a_stated_pause_it_doubles_per_refusal() -> None:
    """Half a second, one, two ... up to the cap; zero seconds count as not stated."""
    found, now, pauses = pacer(), 0.0, []
    for said in (None, 0.0, None, None, None, None, -1.0):
        until = found.hold(retry_after_s=said, now=now)
        pauses.append(until - now)
        now = until
    for expected, pause in zip([0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0], pauses, strict=True):
        assert expected <= pause <= 1.1 * expected + 1e-9


def test_refusals_of_requests_on_their_way_together_count_once() -> None:
    """Thirty refusals at one moment are one refusal."""
    found = pacer()
    for _ in range(30):
        found.hold(retry_after_s=None, now=0.0)
    assert found.ready_at(cost_tokens=1, now=0.0) <= 0.55


def test_after_refusals_in_a_row_requests_go_one_by_one_until_an_answer() -> None:
    """Half a second apart, from the second refusal on."""
    found = pacer(rpm=6_000)
    until = found.hold(retry_after_s=None, now=0.0)
    found.take(cost_tokens=1, now=until)
    assert until == found.ready_at(cost_tokens=1, now=until)
    until = found.hold(retry_after_s=None, now=until)
    found.take(cost_tokens=1, now=until)
    assert until + 0.5 == found.ready_at(cost_tokens=1, now=until)
    found.confirm()
    found.take(cost_tokens=1, now=until + 0.5)
    assert until + 0.5 == found.ready_at(cost_tokens=1, now=until + 0.5)


def test_an_answer_ends_the_row_of_refusals() -> None:
    """After it the pause begins at its first length again, and nobody counts as refused."""
    found = pacer()
    until = found.hold(retry_after_s=None, now=0.0)
    until = found.hold(retry_after_s=None, now=until)
    assert until == found.refused_for(until, since=0.0)
    assert until - 0.2 == found.refused_for(until, since=0.2)
    found.excuse(0.5)
    assert until - 0.5 == found.refused_for(until, since=0.0)
    found.confirm()
    found.excuse(0.5)
    assert 0.0 == found.refused_for(until, since=0.0)
    assert found.hold(retry_after_s=None, now=until) - until <= 0.55


def test_a_statement_is_wanted_at_the_start_and_when_it_is_old_while_requests_wait() -> None:
    """Every five seconds, however many ask."""
    found = pacer(rpm=120)
    assert found.wants_statement(0.0)
    found.note_asked(0.0)
    call = found.take(cost_tokens=10, now=0.0)
    found.learn(stated((120, 60), (60_000, 60_000)), 1.0, call=call)
    assert not found.wants_statement(4.0)
    now = 4.0
    while now < 6.5:
        now = found.ready_at(cost_tokens=10, now=now)
        found.take(cost_tokens=10, now=now)
    assert found.wants_statement(now)
    found.note_asked(now)
    assert not found.wants_statement(now)


def test_it_is_rate_bound_while_a_request_has_to_wait_and_for_a_second_after_it() -> None:
    """And during a pause."""
    found = pacer(rpm=60)
    found.take(cost_tokens=10, now=0.0)
    assert not found.is_rate_bound(0.0)
    found.take(cost_tokens=10, now=0.0)
    assert (True, False) == (found.is_rate_bound(1.9), found.is_rate_bound(2.1))
    found.hold(retry_after_s=10.0, now=5.0)
    assert (True, False) == (found.is_rate_bound(14.9), found.is_rate_bound(16.5))


def test_the_budget_is_what_is_left_of_minute_and_window() -> None:
    """None where nothing is known, then the level, then what a window allows."""
    found = pacer(rpm=600, tpm=600_000)
    assert (None, 10.0) == found.budget(0.0)["requests"]
    told(found.requests, 0.0, limit=600, remaining=400, sent_at=0.0)
    assert (400.0, 10.0) == found.budget(0.0)["requests"]
    found.requests.find_window(1, 0.0, wait_s=0.1)
    assert pytest.approx(0.005) == found.budget(0.0)["requests"][0]


def test_the_budget_and_the_counters_follow_what_is_drawn() -> None:
    """Level and rate of both dimensions; tokens reserved and given back."""
    found = pacer(rpm=600, tpm=600_000)
    call = found.take(cost_tokens=1_000, now=0.0)
    found.learn(stated((600, 500), (600_000, 400_000)), 0.0, call=call)
    assert {"requests": (500.0, 10.0), "tokens": (400_000.0, 10_000.0)} == found.budget(0.0)
    found.refund(tokens=300, now=0.0)
    assert (1_000, 300) == (found.tokens_reserved, found.tokens_refunded)


def test_what_was_learned_is_where_the_next_run_starts() -> None:
    """Limit, window and guard of both dimensions; nothing of those that are assumed."""
    assert Learned() == Pacer(now=0.0, rng=random.Random(1)).learned()
    known = Learned(
        requests=LearnedLimit(per_minute=300, window_s=10.0, guard=0.015),
        tokens=LearnedLimit(per_minute=100_000),
    )
    found = Pacer(now=0.0, rng=random.Random(1), learned=known)
    assert known == found.learned()
    found.begin(requests=5_000, tokens=0, is_mute=False)
    assert (False, 50.0) == (found.is_guessed, found.requests.burst)


@settings(deadline=None)
@given(
    st.integers(1, 6_000),
    st.integers(5_000, 1_000_000),
    st.floats(0.05, 60.0),
    st.lists(st.tuples(st.integers(1, 5_000), st.floats(0.0, 3.0)), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_burst_and_rate(
    rpm: int, tpm: int, burst_s: float, asked: list[tuple[int, float]]
) -> None:
    """I6: for any two sends, what went from one to the other is within burst + rate x time."""
    found, now, sent = pacer(rpm=rpm, tpm=tpm, burst_s=burst_s), 0.0, []
    for cost, pause in asked:
        now += pause
        now = max(now, found.ready_at(cost_tokens=cost, now=now))
        found.take(cost_tokens=cost, now=now)
        sent.append((now, cost))
    for first, (begin, _) in enumerate(sent):
        for last in range(first, len(sent)):
            width = sent[last][0] - begin
            assert last - first + 1 <= max(1.0, found.requests.burst) + rpm / 60 * width + 1e-6
            tokens = sum(cost for _, cost in sent[first : last + 1])
            assert tokens <= max(found.tokens.burst, max(asked)[0]) + tpm / 60 * width + 1e-3


@given(st.lists(st.tuples(st.integers(1, 5_000), st.integers(0, 6_000)), max_size=40))
def test_what_is_reserved_less_what_comes_back_is_what_was_used(
    costs: list[tuple[int, int]],
) -> None:
    """I5: whatever was estimated; and no dimension holds more than it may."""
    found = pacer(tpm=600_000)
    for number, (cost, used) in enumerate(costs):
        call = found.take(cost_tokens=cost, now=number / 10)
        found.end(call)
        found.refund(tokens=cost - used, now=number / 10)
        assert found.tokens.level(number / 10) <= 600_000
    assert sum(used for _, used in costs) == found.tokens.drawn
    assert len(costs) == found.requests.drawn
    assert found.tokens.drawn == found.tokens_reserved - found.tokens_refunded


@given(
    st.integers(1, 6_000),
    st.lists(
        st.tuples(
            st.integers(1, 4_000), st.floats(0.0, 2.0), st.sampled_from(["hear", "refuse", ""])
        ),
        max_size=40,
    ),
)
def test_what_may_go_goes_and_nothing_waits_for_ever(
    rpm: int, steps: list[tuple[int, float, str]]
) -> None:
    """I9: whatever is heard, the time to wait is finite, and when it is over the request may go."""
    found, now = pacer(rpm=rpm, tpm=60_000), 0.0
    for cost, pause, what in steps:
        now += pause
        ready_at = found.ready_at(cost_tokens=cost, now=now)
        assert now <= ready_at <= now + 600.0
        now = ready_at
        assert found.ready_at(cost_tokens=cost, now=now) <= now + 1e-6
        call = found.take(cost_tokens=cost, now=now)
        if what == "hear":
            found.learn(stated((rpm, rpm // 2), (60_000, 30_000)), now, call=call)
            found.confirm(call)
        if what == "refuse":
            refused(found, call, now, RateLimited("slow", retry_after_s=1.0))
        found.end(call)
