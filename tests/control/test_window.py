"""A hidden window is found by refusals, becomes shorter with those of one burst, and is guarded."""

from __future__ import annotations

from analysis.control.window import Window
from analysis.settings import SETTINGS


def window() -> Window:
    """Return one that was not met yet."""
    return Window(seconds=None, guard=0.0, now=0.0, settings=SETTINGS)


def test_it_holds_what_was_let_through_and_no_refusal_of_the_same_burst() -> None:
    """Ten seconds' worth, less one second for each of the others refused with it."""
    found = window()
    assert not found.find(10.0, 1.0, 5.0)
    assert (10.0, SETTINGS.guard) == (found.seconds, found.guard)
    found.find(10.0, 1.0, 5.1)
    found.exclude(1.0, 5.2)
    assert 8.0 == found.seconds
    found.exclude(1.0, 50.0)
    assert (8.0, True, False) == (found.seconds, found.is_episode(6.9), found.is_episode(7.1))


def test_it_holds_more_where_the_wait_says_so() -> None:
    """What it still held is what the refused request did not lack; never less than nothing."""
    found = window()
    found.find(10.0, 1.0, 5.0, room=0.4)
    assert 10.4 == found.seconds


def test_it_is_neither_longer_than_a_minute_nor_shorter_than_the_shortest() -> None:
    """Whatever seems to have been let through; one that was learned shorter stays."""
    found = window()
    found.find(500.0, 1.0, 0.0)
    assert 60.0 == found.seconds
    found.exclude(100.0, 0.1)
    assert SETTINGS.window_s == found.seconds
    short = Window(seconds=0.1, guard=0.0, now=0.0, settings=SETTINGS)
    short.exclude(1.0, 0.1)
    assert 0.1 == short.seconds


def test_nothing_is_excluded_where_none_was_met() -> None:
    """Refusals for other reasons show no window; a burst that must not grow has the shortest."""
    found = window()
    found.exclude(1.0, 0.0)
    assert (None, False) == (found.seconds, found.is_episode(0.0))
    found.shorten()
    assert SETTINGS.window_s == found.seconds


def test_each_further_burst_adds_to_the_guard_and_at_its_cap_halves_the_rate() -> None:
    """Two seconds and more apart; the window never becomes longer again."""
    found, halved = window(), []
    for number in range(18):
        halved.append(found.find(3.0 + number, 1.0, 5.0 * number))
    assert (3.0, SETTINGS.guard_cap) == (found.seconds, found.guard)
    assert [False] * 16 + [True] * 2 == halved


def test_refunds_are_not_counted_once_they_did_not_help() -> None:
    """At the third burst; before any halving."""
    found = window()
    found.has_refunds = True
    counted = []
    for number in range(3):
        found.find(3.0, 1.0, 5.0 * number)
        counted.append(found.are_refunds_counted)
    assert [True, True, False] == counted


def test_it_shows_its_state() -> None:
    """Length and guard."""
    assert "Window(None, guard 0.000)" == repr(window())
