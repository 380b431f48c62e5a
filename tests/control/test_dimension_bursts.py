"""How a dimension finds out how much may go above the rate, and how it counts whole units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from analysis.control.dimension import RAMP_S, Dimension
from analysis.settings import SETTINGS
from tests.control.pacers import dimension, told

RAMPING = replace(SETTINGS, burst_growth=0.0)


def pressed() -> Dimension:
    """Return a dimension of 10 a second that has room in its minute and wants to send more."""
    found = dimension(settings=RAMPING)
    found.take(10, 0.0)
    told(found, 0.0, limit=600, remaining=590, sent_at=0.0)
    assert found.ready_at(1, 0.0) > 0.0
    return found


def test_a_burst_grows_with_time_while_requests_wait_for_it() -> None:
    """By a second's worth in a second, so a request goes twice as soon."""
    found = pressed()
    sinks = 10.0 + SETTINGS.burst_ramp * 10.0
    assert pytest.approx(1.0 / sinks) == found.ready_at(1, 0.0)
    assert 0.1 == found.ready_at(1, 0.1)
    assert pytest.approx(10.0 + SETTINGS.burst_ramp * 1.0) == found.burst


def test_a_burst_that_nobody_waits_for_stays_as_it_is() -> None:
    """After a pause of a minute not a whole minute's worth goes at once."""
    found = pressed()
    found.level(60.0)
    assert pytest.approx(10.0 + SETTINGS.burst_ramp * 10.0 * RAMP_S) == found.burst


def test_a_refusal_ends_the_growth() -> None:
    """Of whatever kind; so does a statement that turns out to be false."""
    ends: list[Callable[[Dimension], None]] = [
        lambda one: one.refuse(1, 0.1, sent_at=0.1, wait_s=0.1),
        lambda one: one.find_window(1, 0.1, wait_s=0.1),
        lambda one: one.stop_growing(),
    ]
    for end in ends:
        found = pressed()
        found.level(0.1)
        end(found)
        burst = found.burst
        found.ready_at(100, 0.1)
        found.level(1.0)
        assert burst == found.burst


def test_before_a_service_has_stated_its_room_a_burst_does_not_grow() -> None:
    """Nor where processes take turns."""
    found = dimension(settings=RAMPING)
    found.take(10, 0.0)
    assert 0.1 == found.ready_at(1, 0.0)
    found.level(1.0)
    assert 10.0 == found.burst


def test_a_level_within_the_unit_that_is_stated_stays_as_it_is() -> None:
    """The service states whole units, and at thirty a minute half of one takes a second."""
    found = dimension(30)
    told(found, 0.0, limit=30, remaining=10, sent_at=0.0)
    for remaining, expected in ((10, 10.5), (9, 9.0), (9, 9.0), (11, 11.0)):
        told(found, 1.0, limit=30, remaining=remaining, sent_at=1.0)
        assert pytest.approx(expected) == found.level(1.0)


def test_where_units_are_many_or_others_draw_them_the_level_is_what_is_stated() -> None:
    """What is left of a unit may be theirs, and it is not worth a doubt at ten a second."""
    found = dimension(600)
    told(found, 0.0, limit=600, remaining=100, sent_at=0.0)
    told(found, 0.05, limit=600, remaining=100, sent_at=0.05)
    assert 100.0 == found.level(0.05)
    found = dimension(30)
    told(found, 0.0, limit=30, remaining=10, sent_at=0.0)
    found.others.per_s = 0.1
    told(found, 1.0, limit=30, remaining=10, sent_at=1.0)
    assert 10.0 == found.level(1.0)


def test_the_wait_of_a_refusal_shows_what_the_window_still_held() -> None:
    """Of a request that lacks 0.4 of itself 0.6 were there; a wait of our own shows nothing."""
    for is_stated, window_s in ((True, 5.06), (False, 5.0)):
        found = dimension(settings=replace(SETTINGS, burst_s=9.0))
        found.take(50, 0.0)
        found.find_window(1, 0.0, wait_s=0.04, is_wait_stated=is_stated)
        assert pytest.approx(window_s) == found.window_s
