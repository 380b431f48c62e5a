"""Where no service states limits, answers and refusals show the way."""

from __future__ import annotations

import random

import pytest

from analysis.control.calls import Call
from analysis.control.pacing import Pacer
from analysis.errors import RateLimited
from analysis.settings import SETTINGS
from tests.control.pacers import dimension, pacer, refused, stated, told


def at_once(found: Pacer) -> list[Call]:
    """Return all calls that may go at time 0."""
    calls = []
    while found.ready_at(cost_tokens=100, now=0.0) <= 0.0:
        calls.append(found.take(cost_tokens=100, now=0.0))
    return calls


def test_where_nothing_is_to_be_expected_twice_as_much_goes_per_round_trip() -> None:
    """Some sixteen at once, as no route states limits. Each answer lets two more go."""
    found = Pacer(now=0.0, rng=random.Random(1))
    found.begin(requests=2_000, tokens=2_000_000, is_mute=True)
    sent = []
    for _ in range(3):
        calls = at_once(found)
        for call in calls:
            found.end(call)
            found.confirm(call)
        sent.append(len(calls))
    assert [19, 38, 76] == sent


def test_entered_limits_are_believed_for_more_where_nothing_is_to_be_expected() -> None:
    """A second's worth and the slots of a route; not where a route may state something."""
    for is_mute, count in ((True, 68), (False, 4)):
        found = pacer(rpm=6_000, tpm=25_000)
        found.begin(requests=2_000, tokens=200_000, is_mute=is_mute)
        assert count == len(at_once(found))


def test_growth_waits_while_a_route_may_state_limits_and_goes_on_when_it_does_not() -> None:
    """An answer of it without limits, or with false ones, says that none will be stated."""
    for lie in ([], stated((-1, -1), (-1, -1))):
        found = pacer(rpm=600, tpm=600_000)
        found.note_asked(0.0)
        scout = found.take(cost_tokens=1_000, now=0.0)
        found.confirm(found.take(cost_tokens=1_000, now=0.0))
        assert 10.0 == found.requests.burst
        found.learn(lie, 0.1, call=scout)
        found.end(scout)
        found.confirm(scout)
        assert 12.0 == found.requests.burst


def test_a_request_that_came_to_nothing_is_not_waited_for() -> None:
    """Whoever was asked is gone."""
    found = pacer(rpm=600, tpm=600_000)
    found.note_asked(0.0)
    found.end(found.take(cost_tokens=1_000, now=0.0))
    found.confirm(found.take(cost_tokens=1_000, now=0.0))
    assert 12.0 == found.requests.burst


def test_an_assumed_limit_is_believed_for_a_burst_of_a_few_hundred() -> None:
    """Beyond that the assumed rate is kept; one that was entered is believed for a minute."""
    knobs = SETTINGS
    assumed, entered = Pacer(now=0.0, rng=random.Random(1)), pacer(rpm=6_000)
    for found in (assumed, entered):
        for _ in range(2_000):
            found.confirm(found.take(cost_tokens=1, now=0.0))
    least = knobs.requests_per_minute / 60
    assert pytest.approx(knobs.blind_most + least) == assumed.requests.burst
    assert 4_100.0 == entered.requests.burst


def test_after_the_first_refusal_an_assumed_limit_begins_low_and_doubles() -> None:
    """Thirty requests that were on their way together are one reason; then three a second."""
    found = Pacer(now=0.0, rng=random.Random(1))
    calls = [found.take(cost_tokens=10, now=0.0) for _ in range(30)]
    for call in calls:
        refused(found, call, 1.0, RateLimited("slow"))
    assert 3.0 == pytest.approx(found.requests.pace(1.0))
    refused(found, found.take(cost_tokens=10, now=2.0), 2.1, RateLimited("slow"))
    assert 3.0 == pytest.approx(found.requests.pace(2.1))  # it is for what the first ones cost
    for _ in range(3):
        found.confirm(found.take(cost_tokens=10, now=5.0))
    assert 6.0 == pytest.approx(found.requests.pace(5.0))


def test_between_two_refusals_the_rate_is_measured() -> None:
    """Forty-one were asked in eight seconds from one to the other; a twentieth less is used."""
    found = Pacer(now=0.0, rng=random.Random(1))
    refused(found, found.take(cost_tokens=10, now=0.0), 0.0, RateLimited("", retry_after_s=1.0))
    for number in range(40):
        call = found.take(cost_tokens=10, now=1.0 + number / 10)
        found.end(call)
        found.confirm(call)
    call = found.take(cost_tokens=10, now=8.0)
    refused(found, call, 8.0, RateLimited("", retry_after_s=1.0))
    assert 0.95 * 41 / 8 == pytest.approx(found.requests.pace(8.0))
    assert 0.95 * 41 / 8 * 1.04 == pytest.approx(found.requests.pace(18.0))


def test_a_limit_that_somebody_entered_is_doubted_from_the_second_refusal_in_a_row_on() -> None:
    """The first one may be for a window, or for an account that was not fresh."""
    found = pacer(rpm=6_000, tpm=600_000)
    refused(found, found.take(cost_tokens=10, now=0.0), 0.1, RateLimited("slow"))
    assert 1.0 == found.requests.ease.share(0.1)
    refused(found, found.take(cost_tokens=10, now=2.0), 2.1, RateLimited("slow"))
    assert 0.5 == found.requests.ease.share(2.1)


def test_long_work_on_assumed_limits_starts_with_a_few_requests() -> None:
    """Three at once and three a second, until a service states its limits; short work does not."""
    for packs, at_once in ((500, 3), (50, 40)):
        found, sent = Pacer(now=0.0, rng=random.Random(1)), 0
        found.begin(requests=packs, tokens=packs * 830, is_mute=False)
        while found.ready_at(cost_tokens=830, now=0.0) <= 0.0:
            call = found.take(cost_tokens=830, now=0.0)
            sent += 1
        assert at_once == sent
    found = Pacer(now=0.0, rng=random.Random(1))
    found.begin(requests=500, tokens=0, is_mute=False)
    for _ in range(3):
        call = found.take(cost_tokens=830, now=0.0)
    assert pytest.approx(1 / 3, rel=0.01) == found.ready_at(cost_tokens=830, now=0.0)
    found.learn(stated((5_000, 4_000), (2_000_000, 1_000_000)), 0.1, call=call)
    assert 0.1 == found.ready_at(cost_tokens=830, now=0.1)


def test_limits_that_were_entered_are_used_at_once() -> None:
    """Nothing is to be found out first."""
    found = pacer(rpm=6_000)
    found.begin(requests=5_000, tokens=0, is_mute=False)
    assert (100.0, False) == (found.requests.burst, found.is_guessed)


def test_a_refusal_before_any_statement_leaves_the_excess_to_the_level() -> None:
    """What a large burst drew need not sink at the low rate that follows."""
    found = dimension(6_000, is_assumed=True)
    found.allow(1_000)
    found.take(900, 0.0)
    found.doubt(1, 1.0, later=0.0, wait_s=1.0)
    found.refuse(1, 1.0, sent_at=0.9, wait_s=1.0)
    assert 2.0 == pytest.approx(found.ready_at(1, 1.0))


def test_nothing_is_allowed_or_grown_once_it_was_refused_or_stated() -> None:
    """The burst of the start stays."""
    stated, refused = dimension(), dimension()
    told(stated, 0.0, limit=600, remaining=0, sent_at=0.0)
    refused.refuse(1, 0.0, sent_at=0.0, wait_s=1.0)
    for found in (stated, refused):
        found.allow(100)
    refused.confirm_blindly(10, most=600)
    assert (10.0, 10.0) == (stated.burst, refused.burst)


def test_a_limit_that_a_refusal_names_ends_the_low_start() -> None:
    """It is used in full."""
    found = dimension(6_000, is_assumed=True)
    found.ease.start(0.01)
    found.adopt(300, 0.0, is_heard=False)
    assert 5.0 == found.pace(0.0)
