"""Parts are divided max-min, grow only into what is free, and turns follow each other."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.leases import (
    LONGEST_S,
    MOST_TURNS,
    Demand,
    Lease,
    Load,
    Spacing,
    Turn,
    claim,
    fair_parts,
    free_part,
    others_of,
    spacing_of,
    target,
    turn_at,
    usable,
)
from analysis.settings import SETTINGS

parts = st.integers(0, 100).map(lambda hundredths: hundredths / 100)


def lease(peer: str, part: float, wanted: float, until: float = 2.0) -> Lease:
    """Return a lease."""
    return Lease(peer=peer, part=part, wanted=wanted, until=until)


def load(*, requests: float = 0.0, tokens: float = 0.0, is_waiting: bool = False) -> Load:
    """Return the load of a pacer at 10 requests and 1,000 tokens a second."""
    return Load(
        is_waiting=is_waiting,
        ready_in_s=0.0,
        requests=requests,
        tokens=tokens,
        requests_per_s=10.0,
        tokens_per_s=1_000.0,
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], []),
        ([0.02], [1.0]),
        ([1.0, 1.0], [0.5, 0.5]),
        ([1.0, 0.02], [0.98, 0.02]),
        ([0.3, 1.0, 1.0], [0.3, 0.35, 0.35]),
        ([0.2, 0.4], [0.4, 0.6]),
        ([0.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_the_whole_is_divided_by_what_each_wants(
    wanted: list[float], expected: list[float]
) -> None:
    """Small wishes are met, large ones share the rest, and what is over goes to all alike."""
    assert expected == pytest.approx(fair_parts(wanted))


@given(st.lists(parts, min_size=1, max_size=8))
def test_fair_parts_are_max_min(wanted: list[float]) -> None:
    """They add up to 1; who gets less than wanted gets as much as anybody."""
    found = fair_parts(wanted)
    assert 1.0 == pytest.approx(sum(found))
    for part, asked in zip(found, wanted, strict=True):
        assert part >= min(asked, 1 / len(wanted)) - 1e-9
        assert part >= asked - 1e-9 or part >= max(found) - 1e-9


@given(st.lists(st.tuples(st.integers(0, 3), parts, st.booleans()), max_size=60))
def test_parts_never_add_up_to_more_than_the_whole(
    steps: list[tuple[int, float, bool]],
) -> None:
    """Whoever writes whatever wish in any order, late ones too, what is held stays within 1.

    A process that is late lost its lease without noticing; it looks before it goes on.
    """
    held: dict[int, Lease] = {}
    in_use = dict.fromkeys(range(4), 0.0)
    for peer, wanted, is_late in steps:
        if is_late:
            held.pop(peer, None)
            continue
        others = [one for number, one in held.items() if number != peer]
        in_use[peer] = usable(wanted, in_use[peer], others)
        part = claim(wanted, in_use[peer], others)
        held[peer] = lease(str(peer), part, wanted)
        in_use[peer] = part
        assert sum(one.part for one in held.values()) <= 1 + 1e-9


@given(st.lists(parts, min_size=1, max_size=6))
def test_parts_reach_what_is_fair_within_two_rounds(wanted: list[float]) -> None:
    """The first one holds the whole; after two looks of each nobody lacks what another has over."""
    held = {0: lease("0", 1.0, wanted[0])}
    for number in range(1, len(wanted)):
        held[number] = lease(str(number), 0.0, wanted[number])
    for _ in range(2):
        for number, wish in enumerate(wanted):
            others = [one for other, one in held.items() if other != number]
            kept = usable(wish, held[number].part, others)
            held[number] = lease(str(number), claim(wish, kept, others), wish)
    fair = fair_parts(wanted)
    for number, one in held.items():
        assert one.part >= min(one.wanted, fair[number]) - 1e-5


def test_nobody_shrinks_for_somebody_who_has_enough() -> None:
    """A part above the fair one is kept while the others have what they want."""
    others = [lease("b", 0.1, 0.1)]
    assert 0.9 == claim(0.02, usable(0.02, 0.9, others), others)
    others = [lease("b", 0.1, 0.3)]
    assert pytest.approx(0.36) == claim(0.02, usable(0.02, 0.9, others), others)


def test_a_process_alone_has_the_whole() -> None:
    """Whatever it wants."""
    assert 1.0 == target(0.02, [])
    assert 1.0 == claim(0.02, 0.0, [])


def test_an_ended_lease_is_noticed_before_going_on() -> None:
    """Others have taken what was held; only what they leave may be used."""
    assert pytest.approx(0.1) == usable(1.0, 0.6, [lease("b", 0.9, 0.9)])
    assert 0.0 == free_part([lease("b", 0.9, 0.9), lease("c", 0.2, 0.9)])


def test_leases_of_others_count_until_they_end() -> None:
    """One's own does not, nor one that has ended, nor one from before the clock was set back."""
    counted = lease("b", 0.5, 1.0, until=10.1)
    found = [lease("a", 0.5, 1.0, until=10.1), counted, lease("c", 0.5, 1.0, until=10.0)]
    found.append(lease("d", 0.5, 1.0, until=10.0 + LONGEST_S + 1))
    assert [counted] == others_of("a", found, 10.0)


@pytest.mark.parametrize(
    ("part", "wanted", "until"), [(1.1, 0.5, 2.0), (0.5, -0.1, 2.0), (0.5, 0.5, math.inf)]
)
def test_a_lease_out_of_range_is_refused(part: float, wanted: float, until: float) -> None:
    """Parts are from 0 to 1, and it ends."""
    with pytest.raises(ValueError, match="not a lease"):
        lease("a", part, wanted, until)


def test_whoever_waits_wants_everything_for_a_while() -> None:
    """A request that had to wait counts for as long as a lease, and so does the beginning."""
    demand, expires_s = Demand(settings=SETTINGS), SETTINGS.lease_expires_s
    assert 1.0 == demand.wanted(load(), 0.0)
    assert 1.0 == demand.wanted(load(), expires_s)
    assert SETTINGS.lease_idle_share == demand.wanted(load(), expires_s + 0.1)
    assert 1.0 == demand.wanted(load(is_waiting=True), 10.0)
    assert 1.0 == demand.wanted(load(), 10.0 + expires_s)
    assert SETTINGS.lease_idle_share == demand.wanted(load(), 10.1 + expires_s)


@pytest.mark.parametrize(("requests_s", "tokens_s"), [(4.0, 0.0), (0.0, 400.0), (1.0, 400.0)])
def test_whoever_does_not_wait_wants_some_more_than_is_used(
    requests_s: float, tokens_s: float
) -> None:
    """The scarcer of both counts: 0.4 of the rate is used, half as much more is wanted."""
    demand = Demand(settings=SETTINGS)
    for step in range(200):
        now = step * 0.25
        found = demand.wanted(load(requests=requests_s * now, tokens=tokens_s * now), now)
    assert pytest.approx(0.6) == found


def test_what_comes_back_is_no_use() -> None:
    """More given back than drawn counts as nothing drawn."""
    demand = Demand(settings=SETTINGS)
    demand.wanted(load(tokens=5_000.0), 0.0)
    assert SETTINGS.lease_idle_share == demand.wanted(load(tokens=0.0), 3.0)


def test_the_longer_spacing_holds_and_comes_down() -> None:
    """What others wrote counts until a minute after the last turn, but for a tenth of it."""
    own, other = (
        Spacing(dimension="requests", seconds=2.0),
        Spacing(dimension="tokens", seconds=3.0),
    )
    turn = Turn(spacing=other, next_at=10.0)
    assert Spacing(dimension="requests", seconds=2.9) == spacing_of(own, turn, 10.0)
    assert other == spacing_of(None, turn, 10.0 + LONGEST_S)
    assert own == spacing_of(own, turn, 10.1 + LONGEST_S)
    assert None is spacing_of(None, turn, 10.1 + LONGEST_S)
    assert own == spacing_of(own, Turn(spacing=replace(other, seconds=1.0), next_at=10.0), 10.0)


def test_a_turn_is_never_before_the_free_one() -> None:
    """At once if nobody has one; a turn from before the clock was set back does not count."""
    spacing = Spacing(dimension="requests", seconds=2.0)
    assert 5.0 == turn_at(spacing, None, 5.0)
    assert 7.0 == turn_at(spacing, Turn(spacing=spacing, next_at=7.0), 5.0)
    assert 9.0 == turn_at(spacing, Turn(spacing=spacing, next_at=7.0), 9.0)
    late = Turn(spacing=spacing, next_at=5.1 + MOST_TURNS * spacing.seconds)
    assert 5.0 == turn_at(spacing, late, 5.0)
