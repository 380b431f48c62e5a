"""Behaviour of the latency model."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from analysis.errors import ConfigurationError
from analysis.simulator.faults import NO_FAULT, Draw
from analysis.simulator.latency import Latency
from analysis.simulator.profile import PROFILE


def latency(**changes: Any) -> Latency:
    """Return a model with a median of 100 ms and 5 ms per token; changes go to the profile."""
    return Latency(latency_ms=100.0, ms_per_token=5.0, profile=replace(PROFILE, **changes), seed=1)


def draws(model: Latency, count: int = 2_000) -> list[float]:
    """Return the times to the first token of so many requests."""
    return [model.first_s(NO_FAULT) for _ in range(count)]


def test_the_median_is_the_one_asked_for() -> None:
    """Log-normal around it, so that the same seed gives the same times."""
    first = draws(latency())
    assert pytest.approx(0.1, rel=0.02) == median(first)
    assert first == draws(latency())


def test_the_tail_multiplies_its_share_and_moves_no_other_time() -> None:
    """A tenth is at least five times as late, some far more; the rest is as it was."""
    plain, tailed = draws(latency()), draws(latency(tail_share=0.1))
    factors = [late / time for time, late in zip(plain, tailed, strict=True)]
    slow = [factor for factor in factors if factor > 1]
    assert len(factors) - len(slow) == factors.count(1.0)
    assert 0.07 < len(slow) / len(factors) < 0.13
    assert 5.0 <= min(slow) + 1e-9
    assert max(slow) > 50.0


def test_faults_add_to_the_first_token() -> None:
    """`delay` ten times and half a second, `shuffle` its share of 50 ms."""
    exact = latency(latency_sigma=0.0)
    delayed, shuffled = Draw(is_delayed=True), Draw(shuffle_share=0.5)
    assert pytest.approx([1.6, 0.125]) == [exact.first_s(delayed), exact.first_s(shuffled)]


def test_generation_goes_token_by_token() -> None:
    """Ten tokens of five milliseconds."""
    assert pytest.approx(0.05) == latency().generation_s(10)


def test_times_below_zero_are_refused() -> None:
    """Both of them."""
    for times in ({"latency_ms": -1.0}, {"ms_per_token": -1.0}):
        with pytest.raises(ConfigurationError, match="at least 0"):
            Latency(**({"latency_ms": 0.0, "ms_per_token": 0.0} | times), profile=PROFILE, seed=1)
