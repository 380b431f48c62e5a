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
    ("looked_at", "is_dead"), [(14.99, False), (15.0, True), (20.0, True), (20.01, False)]
)
def test_only_a_timely_look_finds_it_dead(looked_at: float, is_dead: bool) -> None:
    """A look that comes late shows that this process stood still; the limit begins anew."""
    watch = SilenceWatch(15.0)
    watch.begin(0.0)
    assert is_dead == watch.is_dead(looked_at)
    if looked_at > 20.0:
        assert looked_at + 15.0 == watch.due_at


def test_the_repr_shows_the_limit() -> None:
    """A failing test prints when it is due."""
    watch = SilenceWatch(15.0)
    watch.begin(1.0)
    assert "SilenceWatch(15 s, due at 16.0)" == repr(watch)
