"""Behaviour of the token buckets and their refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.simulator.limits import Bucket, Limits, go_duration, no_credit, overloaded
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


def admitted(limits: Limits, *times: float, tokens: int = 1) -> list[bool]:
    """Return for each time whether a request was admitted."""
    told = []
    for now in times:
        try:
            limits.admit("m", tokens, now)
        except Refusal:
            told.append(False)
        else:
            told.append(True)
    return told


def test_a_hidden_window_holds_its_share_of_the_minute() -> None:
    """One second of 120 a minute admits two at once; what is reported shows a nearly full minute.

    Refused requests are not counted here, so that only the window speaks.
    """
    profile = replace(PROFILE, hidden_window_s=1.0, is_refused_request_counted=False)
    limits = Limits(rpm=120, tpm=None, profile=profile)
    assert [True, True, False, True, False] == admitted(limits, 0.0, 0.0, 0.0, 0.5, 0.5)
    assert 118 == limits.report(1, 0.5)[0].remaining


def test_a_request_larger_than_the_hidden_window_passes_when_it_is_full() -> None:
    """It takes all there is, and the next one waits for the whole window."""
    profile = replace(PROFILE, hidden_window_s=1.0)
    limits = Limits(rpm=None, tpm=6_000, profile=profile)
    assert [True, False, True] == admitted(limits, 0.0, 0.9, 1.0, tokens=500)


@given(st.lists(st.floats(0, 0.5), max_size=60))
def test_no_window_admits_more_than_its_burst_and_its_refill(pauses: list[float]) -> None:
    """A second of 120 a minute never sees more than 2 at once and 2 more while it lasts."""
    profile = replace(PROFILE, hidden_window_s=1.0, is_refused_request_counted=False)
    limits = Limits(rpm=120, tpm=None, profile=profile)
    now, times = 0.0, []
    for pause in pauses:
        now += pause
        times += [now] * admitted(limits, now)[0]
    for start in times:
        assert sum(start <= at < start + 1 for at in times) <= 4


def test_the_daily_limit_shows_in_its_refusal_only() -> None:
    """Its text names it, the wait is a share of a day, and no report holds it."""
    limits = Limits(rpm=None, tpm=None, rpd=10, profile=PROFILE)
    assert [True] * 10 == admitted(limits, *[0.0] * 10)
    with pytest.raises(Refusal, match=r"requests per day \(RPD\): Limit 10, Used 10") as caught:
        limits.admit("m", 1, 0.0)
    assert pytest.approx(8_640.0) == caught.value.retry_after_s
    assert "requests" == caught.value.kind
    assert ["requests", "tokens"] == [state.name for state in limits.report(1, 0.0)]


def test_traffic_that_rises_too_fast_is_slowed_down() -> None:
    """A minute may bring twice the one before, or the floor."""
    profile = replace(PROFILE, slow_down_factor=2.0, slow_down_floor=3, slow_down_retry_s=60.0)
    limits = Limits(rpm=None, tpm=None, profile=profile)
    assert [True, True, True, False] == admitted(limits, *[1.0] * 4)
    assert [True] * 6 + [False] == admitted(limits, *[61.0] * 7)
    assert [True] * 3 + [False] == admitted(limits, *[240.0] * 4)
    with pytest.raises(Refusal) as caught:
        limits.admit("m", 1, 241.0)
    assert (429, "slow_down", 60.0) == (
        caught.value.status,
        caught.value.code,
        caught.value.retry_after_s,
    )


def test_a_limit_can_be_lowered_and_lifted() -> None:
    """What was left is cut to the new limit; without a limit nothing is refused."""
    limits = Limits(rpm=100, tpm=None, profile=PROFILE)
    limits.set_limit("requests", 2, 10.0)
    assert [True, True, False] == admitted(limits, 10.0, 10.0, 10.0)
    limits.set_limit("requests", 60, 11.0)
    assert [False, True] == admitted(limits, 11.0, 13.0)
    limits.set_limit("requests", None, 13.0)
    assert [True] * 500 == admitted(limits, *[13.0] * 500)
    limits.set_limit("tokens", 5, 14.0)
    assert [True, False] == admitted(limits, 14.0, 14.0, tokens=5)


@pytest.mark.parametrize(
    ("lie", "expected"),
    [
        ("", [("requests", 59, 1.0), ("tokens", 90, 6.0)]),
        ("negative", [("requests", -1, 1.0), ("tokens", -1, 6.0)]),
        ("zero", [("requests", 0, 0.0), ("tokens", 0, 0.0)]),
        ("unit", [("requests", 59, 1_000.0), ("tokens", 90, 6_000.0)]),
        ("absent", []),
    ],
)
@pytest.mark.parametrize("is_profile", [False, True])
def test_reports_can_lie(
    lie: str, expected: list[tuple[str, int, float]], is_profile: bool
) -> None:
    """By request or, through the profile, always."""
    limits = Limits(rpm=60, tpm=100, profile=replace(PROFILE, lie=lie if is_profile else ""))
    limits.admit("m", 10, 0.0)
    states = limits.report(10, 0.0, lie="" if is_profile else lie)
    assert expected == [(one.name, one.remaining, round(one.reset_s, 9)) for one in states]


def test_the_project_has_a_limit_of_its_own_by_profile() -> None:
    """It repeats the tokens of the account."""
    profile = replace(PROFILE, is_project_limit_reported=True)
    _, tokens, project = Limits(rpm=None, tpm=100, profile=profile).report(1, 0.0)
    assert replace(tokens, name="project-tokens") == project


def test_refusals_by_fault_have_the_codes_of_the_vendor() -> None:
    """503 server_is_overloaded and 429 insufficient_quota."""
    told = [(one.status, one.kind, one.code) for one in (overloaded(1.0), no_credit())]
    assert [
        (503, "server_error", "server_is_overloaded"),
        (429, "insufficient_quota", "insufficient_quota"),
    ] == told
