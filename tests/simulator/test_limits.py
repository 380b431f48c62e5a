"""Behaviour of the token buckets and their refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.simulator.limits import Bucket, Limits, go_duration
from analysis.simulator.profile import PROFILE
from analysis.simulator.refusals import Refusal


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.017, "17ms"),
        (0.0001, "1ms"),
        (1.0, "1s"),
        (90.5, "1m30.5s"),
        (360.0, "6m0s"),
        (3_661.0, "1h1m1s"),
        (6.946, "6.946s"),
    ],
)
def test_durations_are_written_as_the_vendor_writes_them(seconds: float, text: str) -> None:
    """Examples of the protocol notes, and the edges."""
    assert text == go_duration(seconds)


def test_bucket_starts_full_and_refills_over_a_minute() -> None:
    """A whole minute's worth goes at once, half of it is back after half a minute."""
    bucket = Bucket(60)
    bucket.take(60, 100.0)
    assert (1.0, 30.0) == (bucket.wait_s(1, 100.0), bucket.level(130.0))
    assert 60.0 == bucket.level(1_000.0)


def test_refund_counts_from_its_time_on() -> None:
    """Reserved tokens come back at the completion, not before."""
    bucket = Bucket(60)
    bucket.take(60, 0.0)
    bucket.refund(20, 1.0)
    assert (0.5, 21.0) == (bucket.level(0.5), bucket.level(1.0))


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 80)), max_size=60))
def test_no_minute_admits_more_than_twice_the_limit(steps: list[tuple[float, int]]) -> None:
    """Whatever is asked when, 60 seconds never admit more than a full bucket and its refill."""
    limits = Limits(rpm=None, tpm=100, profile=PROFILE)
    now, admitted = 0.0, []
    for pause, cost in steps:
        now += pause
        try:
            limits.admit("m", cost, now)
        except Refusal:
            continue
        admitted.append((now, cost))
    for start, _ in admitted:
        assert sum(cost for at, cost in admitted if start <= at < start + 60) <= 200 + 1e-6


def test_refusal_names_the_limit_and_the_wait() -> None:
    """The text and the attributes say what is short and for how long."""
    limits = Limits(rpm=None, tpm=60_000, profile=PROFILE)
    limits.admit("m", 60_000, 0.0)
    with pytest.raises(Refusal) as caught:
        limits.admit("m", 644, 0.0)
    assert (429, "tokens", "rate_limit_exceeded") == (
        caught.value.status,
        caught.value.kind,
        caught.value.code,
    )
    assert caught.value.retry_after_s == pytest.approx(0.644)
    assert (
        "on tokens per min (TPM): Limit 60000, Used 60000, Requested 644. Please try again in "
        "644ms." in caught.value.message
    )


def test_request_above_a_whole_minute_gets_no_retry_hint() -> None:
    """What can never pass is told apart by its text."""
    with pytest.raises(Refusal, match=r"Request too large .* Limit 100, Requested 101\.") as caught:
        Limits(rpm=None, tpm=100, profile=PROFILE).admit("m", 101, 0.0)
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(("is_counted", "admitted_after_s"), [(True, 1.5), (False, 1.0)])
def test_refused_requests_count(is_counted: bool, admitted_after_s: float) -> None:
    """A refused request uses up what had come back, unless the profile says otherwise."""
    profile = replace(PROFILE, is_refused_request_counted=is_counted)
    limits = Limits(rpm=60, tpm=None, profile=profile)
    for _ in range(60):
        limits.admit("m", 1, 0.0)
    with pytest.raises(Refusal, match="requests per min"):
        limits.admit("m", 1, 0.5)
    limits.admit("m", 1, admitted_after_s)


def test_account_without_limits_reports_those_of_the_profile() -> None:
    """Nothing is enforced, and the large account is reported as nearly full."""
    limits = Limits(rpm=None, tpm=None, profile=PROFILE)
    for _ in range(100_000):
        limits.admit("m", 1_000_000, 0.0)
    requests, tokens = limits.report(120, 0.0)
    assert (30_000, 29_999) == (requests.limit, requests.remaining)
    assert (180_000_000, 179_999_880) == (tokens.limit, tokens.remaining)
