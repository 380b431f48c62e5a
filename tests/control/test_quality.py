"""Packs get smaller where their answers go wrong, and stay where that is chance or does not pay."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.quality import PackingQuality, Reduction
from analysis.settings import SETTINGS

ONCE, EACH = 600, 85
"""Tokens of a request without chunks, and of a chunk with its answer."""


def note(
    quality: PackingQuality, *, bad: int, asked: int | None = None, is_cut: bool = False
) -> Reduction | None:
    """Tell of one answer, by default to a pack as large as they are now."""
    asked = quality.most if asked is None else asked
    tokens = ONCE + EACH * asked
    return quality.note(asked=asked, bad=bad, tokens=tokens, once=ONCE, is_cut=is_cut)


def answers_until_a_step(quality: PackingQuality, share: float, rng: random.Random) -> int:
    """Return how many answers it takes until a step if this share of them is lost."""
    for count in range(1, 10_000):
        if note(quality, bad=quality.most * (rng.random() < share)) is not None:
            return count
    return 10_000


def test_answers_that_are_all_lost_halve_the_packs_after_a_few() -> None:
    """The step says what was found, and what it changes for tokens and requests."""
    quality = PackingQuality(chunks_per_request=10)
    steps = [note(quality, bad=10) for _ in range(5)]
    assert [None] * 4 == steps[:4]
    step = steps[4]
    assert step is not None
    assert (10, 5, 5, 5, 2.0) == (step.before, step.after, step.bad, step.answers, step.requests)
    assert (5, [step]) == (quality.most, quality.reductions)
    assert 600 / 1_450 == pytest.approx(step.more_tokens)
    # Once more as it was, and then each of them alone: 10 requests for 685 tokens.
    assert (1_450 + 10 * 685) / 1_450 == pytest.approx(step.asked_again)
    expected = (
        "Packs reduced from 10 to 5 chunks: 5 of 5 answers lacked chunks, and asking again takes "
        "about 572% more tokens; smaller packs take 41% more, in 2.0 times as many requests."
    )
    assert expected == step.message
    assert {"before": 10, "after": 5, "bad": 5, "answers": 5, "requests": 2.0}.items() <= (
        step.fields.items()
    )


@pytest.mark.parametrize("share", [0.018, 0.05])
def test_bad_answers_by_chance_change_nothing_however_long_the_run_is(share: float) -> None:
    """Five runs of 200,000 chunks with void answers by chance: packs stay as they are."""
    for seed in range(5):
        quality, rng = PackingQuality(chunks_per_request=10), random.Random(seed)
        for _ in range(20_000):
            note(quality, bad=10 * (rng.random() < share))
        assert [] == quality.reductions


def test_a_model_that_fails_at_large_packs_gets_smaller_ones_within_dozens_of_answers() -> None:
    """Of answers to ten 30 % are lost, to five 1 %: one step, and after it none."""
    found = []
    for seed in range(100):
        quality, rng = PackingQuality(chunks_per_request=10), random.Random(seed)
        found.append(answers_until_a_step(quality, 0.3, rng))
        for _ in range(2_000):
            note(quality, bad=5 * (rng.random() < 0.01))
        assert 5 == quality.most
    found.sort()
    assert found[50] <= 36
    assert found[95] <= 100


def test_a_model_that_begins_to_fail_late_is_seen_as_well() -> None:
    """10,000 good answers are no credit: the ratio begins anew; the bound is higher by then."""
    for seed in range(5):
        quality, rng = PackingQuality(chunks_per_request=10), random.Random(seed)
        for _ in range(10_000):
            note(quality, bad=10 * (rng.random() < 0.01))
        assert answers_until_a_step(quality, 0.5, rng) <= 100


def test_a_step_that_cannot_pay_is_not_taken() -> None:
    """Answers lack one chunk of ten, a fifth of them: less than smaller packs take."""
    quality, rng = PackingQuality(chunks_per_request=10), random.Random(1)
    for _ in range(2_000):
        note(quality, bad=rng.random() < 0.2)
    assert 10 == quality.most


def test_packs_whose_answers_always_lack_a_chunk_go_down_to_one() -> None:
    """20, 10, 5, 2, 1; a single chunk says nothing more."""
    quality, sizes = PackingQuality(chunks_per_request=20), [20]
    for _ in range(100):
        if note(quality, bad=1) is not None:
            sizes.append(quality.most)
    assert [20, 10, 5, 2, 1] == sizes


def test_cut_answers_take_a_quarter_off_and_those_sent_before_it_no_more() -> None:
    """Of twenty packs of ten in flight that come back cut, five make one step, to seven."""
    quality = PackingQuality(chunks_per_request=10)
    steps = [note(quality, asked=10, bad=4, is_cut=True) for _ in range(20)]
    assert [(4, 7)] == [(at, step.after) for at, step in enumerate(steps) if step]
    assert note(quality, bad=0, is_cut=True) is None  # nothing was lost


def test_one_cut_answer_in_a_hundred_changes_nothing() -> None:
    """It is bad like any other: a model that rambles now and then does so at any size."""
    quality, rng = PackingQuality(chunks_per_request=10), random.Random(2)
    for _ in range(20_000):
        note(quality, bad=5 * (rng.random() < 0.01), is_cut=True)
    assert [] == quality.reductions


def test_documents_shorter_than_a_pack_are_halved_themselves() -> None:
    """Where no document has more than three chunks, half of ten would change nothing."""
    quality = PackingQuality(chunks_per_request=10)
    steps = [note(quality, asked=3, bad=3) for _ in range(5)]
    assert steps[4] is not None
    assert (10, 1, 3.0) == (steps[4].before, steps[4].after, steps[4].requests)


def test_packs_that_a_step_would_leave_as_they_are_count_nothing() -> None:
    """Bad answers to five chunks do not halve ten, and good ones to three hide nothing."""
    quality = PackingQuality(chunks_per_request=10)
    note(quality, bad=0)
    assert [None] * 50 == [note(quality, asked=5, bad=5) for _ in range(50)]
    for _ in range(9):
        note(quality, bad=10)
        note(quality, asked=3, bad=0)
    assert 5 == quality.most


def test_a_larger_pack_is_judged_by_its_own_answers() -> None:
    """Bad answers to small packs at the start say nothing of a size that was not tried."""
    quality = PackingQuality(chunks_per_request=10)
    for _ in range(4):
        note(quality, asked=4, bad=4)
    assert [None] * 4 == [note(quality, bad=10) for _ in range(4)]


def test_one_chunk_and_packs_from_before_a_step_say_nothing() -> None:
    """Neither is an answer to a pack of the present size."""
    quality = PackingQuality(chunks_per_request=10)
    assert [None] * 50 == [note(quality, asked=1, bad=1) for _ in range(50)]
    for _ in range(5):
        note(quality, bad=10)
    assert [None] * 50 == [note(quality, asked=10, bad=10) for _ in range(50)]
    assert 5 == quality.most


def test_a_plan_may_move_the_size_until_answers_have_spoken() -> None:
    """After a step it is the step that counts."""
    quality = PackingQuality(chunks_per_request=10)
    quality.follow(4)
    assert 4 == quality.most
    for _ in range(5):
        note(quality, bad=4)
    quality.follow(10)
    assert 2 == quality.most


def test_it_shows_its_state() -> None:
    """Size, and what is counted against it."""
    quality = PackingQuality(chunks_per_request=10)
    note(quality, bad=10)
    assert "PackingQuality(most 10, 1 of 1 bad)" == repr(quality)


@given(
    st.lists(
        st.tuples(st.integers(1, 20), st.integers(0, 20), st.integers(0, 3_000), st.booleans()),
        max_size=200,
    )
)
def test_whatever_is_heard_packs_only_get_smaller(
    heard: list[tuple[int, int, int, bool]],
) -> None:
    """Down to one at the least, also where a service bills less than was estimated."""
    knobs = replace(SETTINGS, quality_answers=1, quality_chance=0.5)
    quality, sizes = PackingQuality(chunks_per_request=20, settings=knobs), [20]
    for asked, bad, tokens, is_cut in heard:
        step = quality.note(
            asked=asked, bad=min(asked, bad), tokens=tokens, once=ONCE, is_cut=is_cut
        )
        if step is not None:
            assert sizes[-1] == step.before > step.after == quality.most >= 1
            sizes.append(quality.most)
