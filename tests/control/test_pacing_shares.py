"""A pacer keeps to its part of the account, and to turns."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.leases import Share, Spacing
from analysis.settings import SETTINGS
from tests.control.pacers import dimension, pacer, stated, told


def test_a_part_of_the_account_is_a_part_of_everything() -> None:
    """Pace, burst, reserve and the cap of the minute of both; what remains counts in part."""
    found = pacer(rpm=600, tpm=600_000)
    found.share(Share(part=0.5), 0.0)
    assert (5.0, 5.0, 300.0) == (
        found.requests.pace(0.0),
        found.requests.burst,
        found.requests.level(9.0),
    )
    call = found.take(cost_tokens=1_000, now=10.0)
    found.learn(stated((600, 500), (600_000, 400_000)), 11.0, call=call)
    assert 0.5 * (500 + 10) == found.requests.level(11.0)
    assert 0.5 * (400_000 + 10_000) == found.tokens.level(11.0)


def test_with_no_part_nothing_goes_and_with_turns_one_request_each() -> None:
    """A turn is used by the next request; then nothing goes before another share."""
    found = pacer(rpm=600)
    found.share(Share(part=0.0), 0.0)
    assert math.inf == found.ready_at(cost_tokens=10, now=0.0)
    found = pacer(rpm=600)
    found.share(Share(part=1.0, turn_in_s=2.0, window="requests"), 1.0)
    assert (3.0, True) == (found.ready_at(cost_tokens=10, now=1.0), found.has_turn)
    assert 1.0 == found.ready_apart_from_turns(cost_tokens=10, now=1.0)
    found.take(cost_tokens=10, now=3.0)
    assert (math.inf, False) == (found.ready_at(cost_tokens=10, now=9.0), found.has_turn)
    assert (0.9, None) == (found.requests.window_s, found.tokens.window_s)
    found.share(Share(part=1.0), 9.0)
    assert 9.0 == found.ready_at(cost_tokens=10, now=9.0)


def test_a_hidden_window_of_a_single_request_has_a_spacing() -> None:
    """Of the dimension where it is longer; larger windows have none."""
    found = pacer(rpm=60, tpm=60_000)
    assert found.spacing() is None
    found.requests.find_window(1, 0.0, wait_s=0.0)
    assert Spacing(dimension="requests", seconds=1 / (1 - SETTINGS.guard)) == found.spacing()
    found.take(cost_tokens=2_000, now=0.0)
    found.tokens.note_window()
    assert Spacing(dimension="tokens", seconds=2.0) == found.spacing()


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 1.0)), min_size=1, max_size=30))
def test_two_pacers_with_parts_of_one_account_stay_within_its_bursts(
    steps: list[tuple[float, float]],
) -> None:
    """However the parts change, if both change at once: what both draw fits burst and rate."""
    pair, now, sent = (pacer(rpm=600, tpm=10_000_000), pacer(rpm=600, tpm=10_000_000)), 0.0, 0
    for one in pair:
        one.share(Share(part=0.5), 0.0)
    for pause, part in steps:
        now += pause
        for one, own in zip(pair, (part, 1.0 - part), strict=True):
            one.share(Share(part=own), now)
        for one in pair:
            while one.ready_at(cost_tokens=1, now=now) <= now and one.requests.burst >= 1.0:
                one.take(cost_tokens=1, now=now)
                sent += 1
        assert sent <= 10.0 + 10.0 * now + 1e-6


def test_a_smaller_part_takes_at_once_and_a_larger_one_gives_nothing_at_once() -> None:
    """The level shrinks in proportion, the room of the burst to the burst; both refill in time."""
    found = dimension()
    found.take(4, 0.0)
    found.share(0.5, 0.0, has_turns=False)
    assert (298.0, 5.0, 0.0) == (found.level(0.0), found.burst, found.excess(0.0))
    found.share(1.0, 0.0, has_turns=False)
    assert (298.0, 10.0, 5.0) == (found.level(0.0), found.burst, found.excess(0.0))
    assert (303.0, 0.0) == (found.level(0.5), found.excess(0.5))


def test_a_debt_stays_whole_in_a_smaller_part() -> None:
    """Somebody has to pay it."""
    found = dimension()
    found.refuse(1, 0.0, sent_at=0.0, wait_s=3.0)
    found.share(0.5, 0.0, has_turns=False)
    assert -29.0 == found.level(0.0)


def test_without_a_part_there_is_nothing_and_no_end_of_waiting() -> None:
    """Until there is a part again."""
    found = dimension()
    found.share(0.0, 0.0, has_turns=False)
    assert (0.0, 0.0, math.inf) == (found.level(9.0), found.burst, found.ready_at(1, 9.0))
    found.share(0.5, 9.0, has_turns=False)
    assert 9.2 == pytest.approx(found.ready_at(1, 9.0))


def test_with_turns_what_others_draw_is_no_drift() -> None:
    """It is forgotten, and not seen again while there are turns."""
    found = dimension()
    for number in range(1, 200):
        told(found, number / 10, limit=600, remaining=600 - 2 * number, sent_at=number / 10)
    assert found.others.per_s > 0
    found.share(1.0, 20.0, has_turns=True)
    told(found, 21.0, limit=600, remaining=0, sent_at=21.0)
    assert 0.0 == found.others.per_s


def test_bursts_of_a_part_grow_as_if_the_whole_were_used() -> None:
    """Two halves that answer alternately are as large together as one whole."""
    found = dimension()
    found.share(0.5, 0.0, has_turns=False)
    for _ in range(10):
        told(found, 0.0, limit=600, remaining=500, sent_at=0.0)
    assert 15.0 == found.burst
