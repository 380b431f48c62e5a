"""Behaviour of the fault catalogue and its draws."""

from __future__ import annotations

from random import Random

import pytest

from analysis.errors import ConfigurationError
from analysis.simulator.faults import FAULTS, NO_FAULT, Faults, parse


def test_options_are_read_by_name() -> None:
    """`KIND=PROBABILITY` becomes a mapping."""
    assert {"drop": 0.5, "hang": 1.0} == parse(["drop=0.5", "hang=1"])


@pytest.mark.parametrize("option", ["boom=0.5", "drop=1.5", "drop=-1", "drop=nan", "drop", "drop="])
def test_wrong_options_are_refused(option: str) -> None:
    """An unknown fault, an impossible probability and an unreadable option are named."""
    with pytest.raises(ConfigurationError, match=option.partition("=")[0]):
        parse([option])


def test_unknown_fault_lists_the_known_ones() -> None:
    """The message says which names are allowed."""
    with pytest.raises(ConfigurationError, match=", ".join(FAULTS)):
        parse(["boom=0.5"])


def test_same_seed_gives_same_draws() -> None:
    """Two catalogues with one seed agree on every request, another seed does not."""
    options = {"drop": 0.2, "error_500": 0.2, "hang": 0.2, "delay": 0.3, "shuffle": 0.3}
    first, second, other = (Faults(options, Random(seed)) for seed in (1, 1, 2))
    draws = [first.draw() for _ in range(200)]
    assert draws == [second.draw() for _ in range(200)]
    assert draws != [other.draw() for _ in range(200)]


def test_switching_one_fault_on_does_not_move_another() -> None:
    """The requests that meet `delay` are the same with and without `shuffle`."""
    alone, beside = (
        Faults({"delay": 0.3}, Random(1)),
        Faults({"delay": 0.3, "shuffle": 0.5}, Random(1)),
    )
    assert [alone.draw().is_delayed for _ in range(100)] == [
        beside.draw().is_delayed for _ in range(100)
    ]


def test_no_fault_without_options() -> None:
    """A catalogue without probabilities never harms a request."""
    assert NO_FAULT == Faults({}, Random(1)).draw()


def test_endings_exclude_each_other() -> None:
    """A failed request is neither dropped nor hanging, a dropped one is not hanging."""
    certain = dict.fromkeys(FAULTS, 1.0)
    draw = Faults(certain, Random(1)).draw()
    assert (True, False, False) == (draw.is_failed, draw.is_dropped, draw.is_hanging)
    draw = Faults({"drop": 1.0, "hang": 1.0}, Random(1)).draw()
    assert (False, True, False) == (draw.is_failed, draw.is_dropped, draw.is_hanging)
