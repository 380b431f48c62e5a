"""When a session is replaced, and the waits before a new one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import TransportError
from analysis.wire.lifetime import Backoff, rotate_after_s


@given(seed=st.integers(0, 2**32))
def test_an_hour_is_left_between_minute_50_and_55(seed: int) -> None:
    """The place is drawn, so that sockets opened together are not replaced together."""
    wait_s = rotate_after_s(age_s=3600.0, expires_at=None, wall_now=1e9, rng=random.Random(seed))
    assert 3000.0 <= wait_s <= 3300.0


@pytest.mark.parametrize(
    ("left_s", "age_s"),
    [(600.0, 600.0), (7200.0, 3600.0), (1.0, 3600.0), (0.0, 3600.0), (-3600.0, 3600.0)],
)
def test_only_a_nearer_end_beats_the_known_age(left_s: float, age_s: float) -> None:
    """An end in the past, at once or far away is a matter of clocks."""
    rng = random.Random(1)
    wait_s = rotate_after_s(age_s=3600.0, expires_at=1e9 + left_s, wall_now=1e9, rng=rng)
    assert age_s * 50 / 60 <= wait_s <= age_s * 55 / 60


@given(seed=st.integers(0, 2**32))
def test_waits_are_drawn_from_the_last_one(seed: int) -> None:
    """From the base to three times the last wait, and never beyond the cap."""
    backoff = Backoff(base_s=0.5, cap_s=8.0, rng=random.Random(seed))
    last_s = 0.5
    for _ in range(20):
        wait_s = backoff.next_s()
        assert 0.5 <= wait_s <= min(8.0, 3 * last_s)
        last_s = wait_s
    backoff.reset()
    assert backoff.next_s() <= 1.5


def test_the_services_own_wish_beats_the_draw_up_to_the_cap() -> None:
    """A wait that was asked for is no reason to wait longer the next time."""
    backoff = Backoff(base_s=0.5, cap_s=8.0, rng=random.Random(1))
    waits = [backoff.next_s(TransportError("busy", retry_after_s=wish)) for wish in (2.0, 60.0)]
    assert [2.0, 8.0] == waits
    assert backoff.next_s(TransportError("busy")) <= 1.5
    assert repr(backoff).startswith("Backoff(last wait ")
