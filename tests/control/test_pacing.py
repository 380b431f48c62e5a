"""Requests and tokens stay within burst and rate; pauses that the service demands are kept."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from analysis.control.pacing import Bucket, Pacer
from analysis.records import RateLimit
from analysis.settings import SETTINGS


def pacer(*, rpm: int = 60, tpm: int = 60_000, burst_s: float = 1.0) -> Pacer:
    """Return a pacer at time 0 with these limits."""
    knobs = replace(SETTINGS, requests_per_minute=rpm, tokens_per_minute=tpm, burst_s=burst_s)
    return Pacer(now=0.0, rng=random.Random(1), settings=knobs)


def test_a_bucket_starts_full_and_refills_at_its_rate() -> None:
    """600 a minute are 10 a second, with one second's worth as burst."""
    bucket = Bucket(per_minute=600, burst_s=1.0, now=0.0)
    assert (10.0, 10.0, 10.0) == (bucket.rate, bucket.capacity, bucket.level(0.0))
    bucket.take(10, 0.0)
    assert (0.0, 5.0, 10.0) == (bucket.level(0.0), bucket.level(0.5), bucket.level(9.0))


def test_a_bucket_holds_at_least_one_unit() -> None:
    """At 6 a minute one may go at once, the next after ten seconds."""
    bucket = Bucket(per_minute=6, burst_s=1.0, now=0.0)
    assert 0.0 == bucket.ready_at(1, 0.0)
    bucket.take(1, 0.0)
    assert 10.0 == bucket.ready_at(1, 0.0)


def test_a_cost_above_the_burst_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    """The next cost waits until the debt is paid."""
    bucket = Bucket(per_minute=480, burst_s=1.0, now=0.0)
    bucket.take(1, 0.0)
    assert 0.125 == bucket.ready_at(24, 0.0)
    bucket.take(24, 0.125)
    assert -16.0 == bucket.level(0.125)
    assert 2.25 == bucket.ready_at(1, 0.125)


def test_a_refund_fills_up_to_the_burst_and_a_negative_one_draws() -> None:
    """What was reserved and not used comes back; what was used beyond it is drawn."""
    bucket = Bucket(per_minute=600, burst_s=1.0, now=0.0)
    bucket.take(8, 0.0)
    bucket.refund(3, 0.0)
    assert 5.0 == bucket.level(0.0)
    bucket.refund(-7, 0.0)
    assert -2.0 == bucket.level(0.0)
    bucket.refund(100, 0.0)
    assert 10.0 == bucket.level(0.0)


def test_a_bucket_takes_over_limit_and_rest() -> None:
    """A smaller limit shrinks the burst, a smaller rest the level; a larger rest adds nothing."""
    bucket = Bucket(per_minute=600, burst_s=1.0, now=0.0)
    bucket.learn(RateLimit(name="requests", limit=300, remaining=200), 0.0)
    assert (5.0, 5.0) == (bucket.rate, bucket.level(0.0))
    bucket.learn(RateLimit(name="requests", remaining=0), 0.0)
    assert (5.0, 0.0) == (bucket.rate, bucket.level(0.0))
    bucket.learn(RateLimit(name="requests", limit=6_000, remaining=5_999), 0.0)
    assert (100.0, 0.0) == (bucket.rate, bucket.level(0.0))


def test_limits_that_cannot_be_are_ignored() -> None:
    """Some services send 0 or -1 for limits that they do not apply."""
    bucket = Bucket(per_minute=600, burst_s=1.0, now=0.0)
    bucket.learn(RateLimit(name="requests", limit=0, remaining=-1), 0.0)
    bucket.learn(RateLimit(name="requests", limit=-1), 0.0)
    assert (10.0, 10.0) == (bucket.rate, bucket.level(0.0))


def test_a_bucket_shows_its_state() -> None:
    """The repr names level, burst and limit."""
    assert "Bucket(10.0 of 10.0, 600/min)" == repr(Bucket(per_minute=600, burst_s=1.0, now=0.0))


def test_both_dimensions_hold_a_request_back() -> None:
    """The later of both counts, and a learned limit reaches its own bucket."""
    found = pacer(rpm=60, tpm=60_000)
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


def test_a_stated_pause_is_kept_with_up_to_a_tenth_more() -> None:
    """Nothing is ready before it is over; a shorter one does not cut it."""
    found = pacer(rpm=6_000)
    until = found.hold(retry_after_s=20.0, now=1.0)
    assert 21.0 <= until <= 23.0
    assert until == found.hold(retry_after_s=0.5, now=2.0)
    assert until == found.ready_at(cost_tokens=1, now=2.0)


def test_without_a_stated_pause_it_doubles_per_refusal() -> None:
    """Half a second, one, two ... up to the cap; zero seconds count as not stated."""
    found, now, pauses = pacer(), 0.0, []
    for stated in (None, 0.0, None, None, None, None, -1.0):
        until = found.hold(retry_after_s=stated, now=now)
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


def test_an_answer_ends_the_row_of_refusals() -> None:
    """After it the pause begins at its first length again, and nobody counts as refused."""
    found = pacer()
    until = found.hold(retry_after_s=None, now=0.0)
    until = found.hold(retry_after_s=None, now=until)
    assert until == found.refused_for(until, since=0.0)
    assert until - 0.2 == found.refused_for(until, since=0.2)
    found.confirm()
    assert 0.0 == found.refused_for(until, since=0.0)
    assert found.hold(retry_after_s=None, now=until) - until <= 0.55


@given(
    st.integers(1, 6_000),
    st.integers(1_000, 1_000_000),
    st.floats(0.05, 60.0),
    st.lists(st.tuples(st.integers(1, 5_000), st.floats(0.0, 3.0)), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_burst_and_rate(
    rpm: int, tpm: int, burst_s: float, asked: list[tuple[int, float]]
) -> None:
    """For any two sends: what went from one to the other is within burst + rate x time + one."""
    found, now, sent = pacer(rpm=rpm, tpm=tpm, burst_s=burst_s), 0.0, []
    for cost, pause in asked:
        now += pause
        now = max(now, found.ready_at(cost_tokens=cost, now=now))
        found.take(cost_tokens=cost, now=now)
        sent.append((now, cost))
    for first, (begin, _) in enumerate(sent):
        for last in range(first, len(sent)):
            width = sent[last][0] - begin
            assert last - first + 1 <= found.requests.capacity + rpm / 60 * width + 1e-6
            tokens = sum(cost for _, cost in sent[first : last + 1])
            debt = max(0.0, sent[last][1] - found.tokens.capacity)
            assert tokens <= found.tokens.capacity + debt + tpm / 60 * width + 1e-3


@given(st.floats(0.0, 1e6), st.integers(1, 100_000), st.integers(1_000, 10_000_000))
def test_what_is_ready_later_is_ready_then(start: float, cost: int, tpm: int) -> None:
    """At the time that `ready_at` names a request may go, but for one step of the clock."""
    knobs = replace(SETTINGS, tokens_per_minute=tpm)
    found = Pacer(now=start, rng=random.Random(3), settings=knobs)
    found.take(cost_tokens=cost, now=start)
    then = found.ready_at(cost_tokens=cost, now=start)
    assert then - 1e-9 <= found.ready_at(cost_tokens=cost, now=then) <= then + 1e-9
