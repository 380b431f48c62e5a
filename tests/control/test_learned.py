"""What is learned of limits is checked, since it comes from a file."""

from __future__ import annotations

import pytest

from analysis.control.learned import LearnedLimit


def test_a_learned_limit_needs_a_limit_only() -> None:
    """No window and no guard by default."""
    found = LearnedLimit(per_minute=300)
    assert (None, 0.0) == (found.window_s, found.guard)


@pytest.mark.parametrize(
    ("per_minute", "window_s", "guard"),
    [(0.0, None, 0.0), (300.0, 0.0, 0.0), (300.0, 1.0, 1.0), (300.0, 1.0, -0.1)],
)
def test_values_that_cannot_be_are_refused(
    per_minute: float, window_s: float | None, guard: float
) -> None:
    """The message names the value."""
    with pytest.raises(ValueError, match="must be"):
        LearnedLimit(per_minute=per_minute, window_s=window_s, guard=guard)
