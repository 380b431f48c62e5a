"""What other users of an account draw, as heard from statements."""

from __future__ import annotations

import pytest

from analysis.control.others import Others
from analysis.settings import SETTINGS

TAU_S = SETTINGS.others_tau_s


def test_what_is_lacking_after_each_statement_is_averaged() -> None:
    """A statement moves the average by what is lacking, over the time constant."""
    others = Others(settings=SETTINGS)
    others.note(4.0, 1.0, 10.0)
    others.note(4.0, 1.0, 10.0)
    assert 8.0 / TAU_S == pytest.approx(others.per_s)
    others.forget()
    assert "Others(0.000 per second)" == repr(others)


def test_no_more_can_be_drawn_than_was_refilled() -> None:
    """So a statement that is far off counts as the refill since the one before."""
    others = Others(settings=SETTINGS)
    others.note(1e9, 2.0, 10.0)
    assert 20.0 / TAU_S == pytest.approx(others.per_s)
    others.note(-1e9, 9.0, 10.0)
    assert 0.0 == others.per_s


def test_what_was_heard_long_ago_or_is_small_leaves_the_whole_rate() -> None:
    """And however much others draw, a share is left."""
    others = Others(settings=SETTINGS)
    others.per_s = 4.0
    assert (6.0, 10.0) == (others.leave(10.0, 0.0), others.leave(10.0, TAU_S + 0.1))
    others.per_s = SETTINGS.others_noise * 10.0
    assert 10.0 == others.leave(10.0, 0.0)
    others.per_s = 100.0
    assert SETTINGS.share_floor * 10.0 == others.leave(10.0, 0.0)
