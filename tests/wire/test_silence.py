"""When a silent connection is given up."""

from __future__ import annotations

import pytest

from analysis.wire.silence import SilenceWatch


def test_nobody_waits_nothing_is_due() -> None:
    """A connection at rest may be silent for ever."""
    watch = SilenceWatch(15.0)
    watch.heard(5.0)
    assert (None, False) == (watch.due_at, watch.is_dead(1e9))


def test_the_limit_runs_from_the_first_request_or_the_last_sign() -> None:
    """A second request does not push it away; a frame or a pong does."""
    watch = SilenceWatch(15.0)
    watch.begin(10.0)
    watch.begin(20.0)
    assert 25.0 == watch.due_at
    watch.heard(22.0)
    assert (37.0, 5.0) == (watch.due_at, watch.ping_s)
    watch.rest()
    assert watch.due_at is None


@pytest.mark.parametrize(
    ("looked_at", "is_dead"), [(14.99, False), (15.0, True), (17.5, True), (17.51, False)]
)
def test_only_a_timely_look_finds_it_dead(looked_at: float, is_dead: bool) -> None:
    """A look that comes late shows that this process stood still; the limit begins anew."""
    watch = SilenceWatch(15.0)
    watch.begin(0.0)
    assert [False, False] == [watch.is_dead(5.0), watch.is_dead(10.0)]
    assert is_dead == watch.is_dead(looked_at)
    if looked_at > 17.5:
        assert looked_at + 15.0 == watch.due_at


def test_looks_that_are_late_by_little_still_find_it_dead() -> None:
    """A pong came back at once, so the look before the limit misses it by a hair."""
    watch = SilenceWatch(15.0)
    watch.begin(0.0)
    watch.heard(0.001)
    looks = [5.001, 10.003, 15.0005, 20.01]
    assert [False, False, False, True] == [watch.is_dead(at) for at in looks]


def test_a_long_sleep_of_this_process_is_not_taken_for_silence() -> None:
    """What came in meanwhile is read first; after that the limit holds again."""
    watch = SilenceWatch(15.0)
    watch.begin(0.0)
    looks = [5.0, 8 * 3600.0, 8 * 3600.0 + 5.0, 8 * 3600.0 + 10.0, 8 * 3600.0 + 15.0]
    assert [False, False, False, False, True] == [watch.is_dead(at) for at in looks]


def test_the_repr_shows_the_limit() -> None:
    """A failing test prints when it is due."""
    watch = SilenceWatch(15.0)
    watch.begin(1.0)
    assert "SilenceWatch(15 s, due at 16.0)" == repr(watch)
