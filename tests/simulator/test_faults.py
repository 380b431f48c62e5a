"""Behaviour of the fault catalogue, its scripts and its draws."""

from __future__ import annotations

import math
from random import Random

import pytest

from analysis.errors import ConfigurationError
from analysis.simulator.faults import (
    DEFECTS,
    FAULTS,
    LIES,
    NO_FAULT,
    REFUSALS,
    Faults,
    FaultSpan,
    LimitSpan,
    limit_changes,
    met,
    parse,
)

FIRST = ("drop", "error_500", "hang", "delay", "shuffle")


def test_options_are_read_by_name() -> None:
    """`KIND=PROBABILITY` becomes a mapping."""
    assert ({"drop": 0.5, "hang": 1.0}, ()) == parse(["drop=0.5", "hang=1"])


def test_options_with_times_become_a_script() -> None:
    """Spans of faults and of limits, seconds since the start; no end is for good."""
    expected = (
        FaultSpan(kind="overloaded", start_s=3.0, end_s=4.5, probability=1.0),
        FaultSpan(kind="quota", start_s=5.0, end_s=math.inf, probability=0.5),
        LimitSpan(name="rpm", start_s=10.0, end_s=math.inf, value=600),
        LimitSpan(name="tpm", start_s=0.0, end_s=math.inf, value=7),
    )
    options = ["overloaded=1@3-4.5", "quota=0.5@5-", "limits:rpm=600@10-", "limits:tpm=7"]
    assert ({}, expected) == parse(options)


@pytest.mark.parametrize(
    "option",
    [
        "boom=0.5",
        "drop=1.5",
        "drop=-1",
        "drop=nan",
        "drop",
        "drop=",
        "drop=1@4",
        "drop=1@4-3",
        "boom=1@0-",
        "limits:rpm=0@1-",
        "limits:rpm=x",
    ],
)
def test_wrong_options_are_refused(option: str) -> None:
    """An unknown fault, an impossible number and an unreadable option are named."""
    with pytest.raises(ConfigurationError, match=option.partition("=")[0].removeprefix("limits:")):
        parse([option])


def test_unknown_names_list_the_known_ones() -> None:
    """The message says which faults and which limits there are."""
    with pytest.raises(ConfigurationError, match=", ".join(FAULTS)):
        parse(["boom=0.5"])
    with pytest.raises(ConfigurationError, match=r"'xpm' is unknown\. Use one of: rpm, tpm, rpd"):
        parse(["limits:xpm=5@1-"])


def test_same_seed_gives_same_draws() -> None:
    """Two catalogues with one seed agree on every request, another seed does not."""
    options = dict.fromkeys(FAULTS, 0.2)
    first, second, other = (Faults(options, Random(seed)) for seed in (1, 1, 2))
    draws = [first.draw() for _ in range(200)]
    assert draws == [second.draw() for _ in range(200)]
    assert draws != [other.draw() for _ in range(200)]


@pytest.mark.parametrize("name", FAULTS)
def test_switching_faults_on_does_not_move_another(name: str) -> None:
    """The requests that meet a fault are the same with and without all others at their side."""
    alone = Faults({name: 0.3}, Random(1))
    beside = Faults({other: 0.3 if other == name else 1e-9 for other in FAULTS}, Random(1))
    hits = [bool(met(alone.draw())) for _ in range(100)]
    assert hits == [bool(met(beside.draw())) for _ in range(100)]
    assert 10 < sum(hits) < 60


def test_the_first_catalogue_keeps_its_sequence() -> None:
    """Five numbers and the share of the window per request, from the generator handed in."""
    random = Random(3)
    expected = []
    for _ in range(50):
        hits = [random.random() < 0.3 for _ in FIRST]
        expected.append((hits[3], hits[4], random.random()))
    faults = Faults({"delay": 0.3, "shuffle": 0.3, "duplicate": 0.5}, Random(3))
    draws = [faults.draw() for _ in range(50)]
    assert [(one[0], one[2] if one[1] else 0.0) for one in expected] == [
        (draw.is_delayed, draw.shuffle_share) for draw in draws
    ]


def test_no_fault_without_options() -> None:
    """A catalogue without probabilities never harms a request."""
    assert NO_FAULT == Faults({}, Random(1)).draw()


def test_endings_exclude_each_other() -> None:
    """Of those that end a request the first in the order of the catalogue's draw counts."""
    endings = {
        "error_500": "is_failed",
        "drop": "is_dropped",
        "hang": "is_hanging",
        "half_open": "is_half_open",
        "stall": "is_stalled",
        "torn": "is_torn",
    }
    names = list(endings)
    for place, name in enumerate(names):
        draw = Faults(dict.fromkeys(names[place:], 1.0), Random(1)).draw()
        assert {endings[name]: True} == met(draw)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("duplicate", "is_duplicated"),
        ("reorder", "is_reordered"),
        ("unknown_event", "has_unknown_event"),
        ("foreign_event", "has_foreign_event"),
    ],
)
def test_faults_of_frames_make_a_draw_mischievous(name: str, field: str) -> None:
    """Each sets its own field."""
    draw = Faults({name: 1.0}, Random(1)).draw()
    assert ({field: True}, True) == (met(draw), draw.is_mischievous)
    assert not Faults({"drop": 1.0}, Random(1)).draw().is_mischievous


def test_refusals_and_defects_go_by_name() -> None:
    """At most one of each, the first that was drawn."""
    for names, field in ((REFUSALS, "refused_as"), (DEFECTS, "defect")):
        for place, name in enumerate(names):
            draw = Faults(dict.fromkeys(names[place:], 1.0), Random(1)).draw()
            assert {field: name} == met(draw)


def test_lies_take_turns() -> None:
    """`lying_headers` chooses among all of them."""
    faults = Faults({"lying_headers": 1.0}, Random(1))
    assert set(LIES) == {faults.draw().lie for _ in range(100)}


def test_a_rejected_create_is_told() -> None:
    """The Realtime route asks for it."""
    assert {"is_create_rejected": True} == met(Faults({"rejected_create": 1.0}, Random(1)).draw())


def test_a_span_holds_from_its_start_to_before_its_end() -> None:
    """Outside of it the constant probability counts, and of two spans the later given one."""
    script = [
        FaultSpan(kind="overloaded", start_s=3.0, end_s=6.0, probability=0.5),
        FaultSpan(kind="overloaded", start_s=4.0, end_s=5.0, probability=1.0),
    ]
    faults = Faults({"overloaded": 0.25}, Random(1), script)
    ages = (0.0, 2.999, 3.0, 4.0, 5.0, 6.0)
    assert [0.25, 0.25, 0.5, 1.0, 0.5, 0.25] == [faults.probability("overloaded", a) for a in ages]
    assert (6.0, math.inf) == (faults.end_s("overloaded", 3.0), faults.end_s("overloaded", 9.0))
    assert "overloaded" == faults.draw(4.5).refused_as


def test_limits_change_at_the_edges_of_their_spans() -> None:
    """A span sets a limit and its end restores the one of the account."""
    script = [
        LimitSpan(name="rpm", start_s=10.0, end_s=20.0, value=600),
        LimitSpan(name="rpm", start_s=15.0, end_s=17.0, value=60),
        LimitSpan(name="tpm", start_s=12.0, end_s=math.inf, value=5),
    ]
    expected = [
        (10.0, "rpm", 600),
        (12.0, "tpm", 5),
        (15.0, "rpm", 60),
        (17.0, "rpm", 600),
        (20.0, "rpm", None),
    ]
    assert expected == limit_changes(script, {"rpm": None, "tpm": 100, "rpd": None})
