"""A share is halved by a refusal, kept for a while, and grows back."""

from __future__ import annotations

from dataclasses import replace

from analysis.control.ease import Ease
from analysis.settings import SETTINGS


def test_a_share_is_whole_until_it_is_cut() -> None:
    """At any time of the clock."""
    ease = Ease(settings=SETTINGS)
    assert (1.0, 1.0) == (ease.share(0.0), ease.share(5e6))


def test_a_cut_share_stays_flat_and_is_whole_again_after_its_own_time() -> None:
    """Half for ten seconds, then 2 % of the half more per second."""
    ease = Ease(settings=SETTINGS)
    ease.cut(100.0, flat_s=10.0)
    assert (0.5, 0.5, 0.75, 1.0, 1.0) == tuple(map(ease.share, (100.0, 110.0, 135.0, 160.0, 1e9)))


def test_a_second_cut_halves_what_there_is_and_no_cut_goes_below_the_floor() -> None:
    """The longer flat time counts."""
    ease = Ease(settings=replace(SETTINGS, ease_floor=0.1))
    ease.cut(0.0, flat_s=100.0)
    ease.cut(1.0, flat_s=0.0)
    assert (0.25, 0.25) == (ease.share(1.0), ease.share(100.0))
    for _ in range(9):
        ease.cut(1.0, flat_s=0.0)
    assert 0.1 == ease.share(1.0)


def test_an_ease_shows_its_state() -> None:
    """Share and time."""
    ease = Ease(settings=SETTINGS)
    ease.cut(3.0, flat_s=2.0)
    assert "Ease(0.500 until 5.0)" == repr(ease)


def test_a_stated_limit_lifts_only_what_allowed_for_a_guess() -> None:
    """A cut for another reason stays, also if a cut for a guess follows."""
    guessed, other = Ease(settings=SETTINGS), Ease(settings=SETTINGS)
    guessed.cut(0.0, flat_s=0.0, is_for_guess=True)
    other.cut(0.0, flat_s=900.0)
    other.cut(0.0, flat_s=0.0, is_for_guess=True)
    guessed.lift()
    other.lift()
    assert (1.0, 0.5) == (guessed.share(0.0), other.share(0.0))


def test_a_share_to_start_with_is_lifted_by_a_statement() -> None:
    """It allows for a guess only; and it is never above the whole."""
    ease = Ease(settings=SETTINGS)
    ease.start(0.1)
    assert 0.1 == ease.share(0.0)
    ease.lift()
    assert 1.0 == ease.share(0.0)
    ease.start(7.0)
    assert 1.0 == ease.share(0.0)


def test_while_nothing_is_known_the_share_grows_with_what_passes() -> None:
    """Not with time; as much as passes in a second is added in it, so it doubles."""
    ease = Ease(settings=SETTINGS)
    ease.start(0.1)
    assert 0.1 == ease.share(1e6)
    ease.grow(0.1)
    assert 0.2 == ease.share(0.0)
    ease.grow(7.0)
    assert 1.0 == ease.share(0.0)
    ease.cut(0.0, flat_s=0.0)
    ease.grow(0.1)
    assert 0.5 == ease.share(0.0)


def test_the_first_doubt_begins_low_and_the_next_one_measures() -> None:
    """Two seconds' worth of the whole rate in ten seconds are a fifth of it."""
    ease = Ease(settings=SETTINGS)
    ease.doubt(0.0, start=0.1, asked_s=3.0, wait_s=1.0)
    ease.mark(1.0, asked_s=3.0)
    assert 0.1 == ease.share(0.0)
    ease.grow(0.5)
    ease.doubt(10.0, start=0.1, asked_s=5.0, wait_s=1.0)
    assert 0.95 * 0.2 == ease.share(10.0)


def test_a_measured_share_grows_hardly_at_first() -> None:
    """After ten seconds by 4 %, after fifty it is doubled, as one that was halved."""
    ease = Ease(settings=SETTINGS)
    ease.mark(0.0, asked_s=0.0)
    ease.doubt(9.5, start=1.0, asked_s=2.0, wait_s=0.5)
    found = [round(ease.share(now) / ease.share(9.5), 3) for now in (19.5, 59.5)]
    assert [1.04, 2.0] == found


def test_a_doubt_that_comes_too_soon_changes_nothing() -> None:
    """The measure goes on from the first of such refusals; without any traffic it is halved."""
    ease = Ease(settings=SETTINGS)
    ease.start(0.4)
    ease.mark(0.0, asked_s=0.0)
    ease.doubt(0.5, start=0.1, asked_s=0.5, wait_s=0.1)
    ease.mark(0.6, asked_s=0.5)
    assert 0.4 == ease.share(0.5)
    ease.doubt(2.0, start=0.1, asked_s=0.5, wait_s=0.0)
    assert 0.95 * 0.25 == ease.share(2.0)
    ease.mark(2.0, asked_s=0.5)
    ease.doubt(4.0, start=0.1, asked_s=0.5, wait_s=0.0)
    assert 0.95 * 0.25 * (1 + 0.02 * 4 / 50) / 2 == ease.share(4.0)


def test_a_cut_while_nothing_is_known_leaves_half_of_the_limit_that_is_stated_later() -> None:
    """Not half of the few requests that the start allowed; the hold goes on."""
    ease = Ease(settings=SETTINGS)
    ease.start(0.04)
    ease.cut(10.0, flat_s=900.0)
    assert (0.02, 0.02) == (ease.share(10.0), ease.share(900.0))
    ease.grow(5.0)
    assert 0.02 == ease.share(10.0)  # no doubling for a service that asks for less
    ease.lift()
    assert (0.5, 0.5, 0.75, 1.0) == tuple(map(ease.share, (11.0, 910.0, 935.0, 960.0)))


def test_a_cut_after_the_limit_is_stated_is_not_undone_by_the_next_statement() -> None:
    """The other order: start, statement, cut, statement."""
    ease = Ease(settings=SETTINGS)
    ease.start(0.04)
    ease.lift()
    ease.cut(10.0, flat_s=900.0)
    ease.lift()
    assert (0.5, 0.5) == (ease.share(10.0), ease.held(10.0))


def test_a_cut_keeps_to_its_own_floor_and_never_raises() -> None:
    """A share that is below it already stays as it is."""
    ease = Ease(settings=SETTINGS)
    for expected in (0.5, 0.3, 0.3):
        ease.cut(0.0, flat_s=900.0, least=0.3)
        assert expected == ease.share(0.0)
    ease.cut(0.0, flat_s=900.0, least=0.9)
    assert 0.3 == ease.share(0.0)


def test_a_share_that_grows_back_can_be_kept_where_it_is() -> None:
    """From then on for so long."""
    ease = Ease(settings=SETTINGS)
    ease.cut(0.0, flat_s=0.0)
    ease.keep(25.0, flat_s=100.0)
    assert (0.75, 0.75) == (ease.share(25.0), ease.share(125.0))


def test_a_measured_share_allows_for_what_is_cut_already() -> None:
    """A fifth of the rate was let through at half of it: that fifth is what is used."""
    ease = Ease(settings=SETTINGS)
    ease.cut(0.0, flat_s=900.0)
    ease.mark(0.0, asked_s=0.0)
    ease.doubt(9.5, start=1.0, asked_s=2.0, wait_s=0.5)
    assert (0.95 * 0.2, 0.5) == (ease.share(9.5), ease.held(9.5))
