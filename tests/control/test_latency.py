"""Latency is learned per size of a request, through a heavy tail, and compared with a baseline."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.control.latency import CLIP, ENOUGH, WINDOW, Latency
from analysis.settings import SETTINGS

FIRST_S = 0.35
PER_CHUNK_S = 0.13
PRIOR_S = SETTINGS.latency_prior_s + SETTINGS.latency_prior_per_chunk_s


def usual(chunks: int) -> float:
    """Return the median seconds of the service in these tests."""
    return FIRST_S + PER_CHUNK_S * chunks


def drawn(rng: random.Random, chunks: int) -> float:
    """Draw a latency: lognormal, and one in a hundred from a Pareto tail."""
    first_s = FIRST_S * math.exp(rng.gauss(0, 0.25))
    if rng.random() < 0.01:
        first_s = FIRST_S * min(3 * rng.paretovariate(1.5), 100)
    return first_s + PER_CHUNK_S * chunks


def taught(*, chunks: int = 1, answers: int = 300, seed: int = 1) -> Latency:
    """Return a latency after so many answers of the service."""
    rng, latency = random.Random(seed), Latency()
    teach(latency, rng, chunks=chunks, answers=answers)
    return latency


def teach(
    latency: Latency, rng: random.Random, *, chunks: int, answers: int, times: float = 1.0
) -> None:
    """Note answers of a service that is so many times as slow as usual."""
    for _ in range(answers):
        latency.note(chunks, times * drawn(rng, chunks))


def inflation_of(latency: Latency) -> float:
    """Return the inflation after enough samples."""
    assert latency.inflation is not None
    return latency.inflation


def test_before_an_answer_the_prior_predicts() -> None:
    """A second and 0.15 s per chunk; nothing else is known."""
    latency = Latency()
    assert (1.15, 2.5) == (latency.predict(1), latency.predict(10))
    assert (0, None, None, None, None, None) == (
        latency.samples,
        latency.median,
        latency.quantile(0.95),
        latency.inflation,
        latency.seconds_per_chunk,
        latency.first,
    )


def test_an_earlier_run_scales_the_prior() -> None:
    """Its usual latency is of one chunk."""
    latency = Latency(usual_s=2.3)
    assert pytest.approx((2.3, 5.0)) == (latency.predict(1), latency.predict(10))
    assert 0 == latency.samples


def test_a_note_returns_the_seconds_by_what_was_predicted_before() -> None:
    """Also for a latency beyond the clip."""
    latency = Latency()
    assert 2.0 == pytest.approx(latency.note(1, 2 * PRIOR_S))
    predicted = latency.predict(5)
    assert 100.0 == pytest.approx(latency.note(5, 100 * predicted))
    assert 2 == latency.samples


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=400))
@settings(max_examples=30, deadline=None)
def test_quantiles_are_the_nearest_ranks_of_the_last_x(seconds: list[float]) -> None:
    """As sorting the last 300 anew finds them; None before 20."""
    latency = Latency()
    last = sorted([latency.note(1, one) for one in seconds][-WINDOW:])
    for share in (0.0, 0.25, 0.5, 0.95, 1.0):
        rank = max(1, math.ceil(share * len(last)))
        assert (None if len(last) < ENOUGH else last[rank - 1]) == latency.quantile(share)
    assert latency.quantile(0.5) == latency.median


@pytest.mark.parametrize("chunks", [1, 10])
@pytest.mark.parametrize("seed", range(10))
def test_thirty_answers_teach_the_usual_latency(chunks: int, seed: int) -> None:
    """Within 15 %, and x is about 1 from then on."""
    latency = taught(chunks=chunks, answers=30, seed=seed)
    assert usual(chunks) == pytest.approx(latency.predict(chunks), rel=0.15)
    teach(latency, random.Random(seed + 100), chunks=chunks, answers=WINDOW)
    assert 1.0 == pytest.approx(latency.median or 0.0, rel=0.05)


def test_one_size_leaves_the_slope_to_the_prior() -> None:
    """After requests of one chunk those of ten are predicted by the prior's slope, nearly."""
    latency = taught(chunks=1)
    learned = (latency.predict(10) - latency.predict(1)) / 9
    assert SETTINGS.latency_prior_per_chunk_s == pytest.approx(learned, rel=0.3)


@pytest.mark.parametrize(("first", "then"), [(1, 10), (10, 1), (2, 20)])
def test_a_change_of_size_is_learned_and_does_not_look_like_inflation(
    first: int, then: int
) -> None:
    """Ten answers suffice for the new size, and the old one is still known after many more."""
    rng, latency = random.Random(5), Latency()
    teach(latency, rng, chunks=first, answers=300)
    teach(latency, rng, chunks=then, answers=10)
    assert usual(then) == pytest.approx(latency.predict(then), rel=0.2)
    teach(latency, rng, chunks=then, answers=3_000)
    assert (usual(first), usual(then)) == pytest.approx(
        (latency.predict(first), latency.predict(then)), rel=0.2
    )
    assert inflation_of(latency) < 1.3


def test_mixed_sizes_teach_base_and_slope() -> None:
    """A service whose slope is a third of the prior's and whose base is twice as long."""
    rng, latency = random.Random(2), Latency()
    for _ in range(1_000):
        chunks = rng.choice((1, 3, 10))
        latency.note(chunks, (2.0 + 0.05 * chunks) * math.exp(rng.gauss(0, 0.1)))
    assert (2.05, 2.5) == pytest.approx((latency.predict(1), latency.predict(10)), rel=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_a_heavy_tail_hardly_moves_the_prediction(seed: int) -> None:
    """Over 1,000 answers it stays within 30 % of the median."""
    rng, latency = random.Random(seed), Latency()
    teach(latency, rng, chunks=1, answers=50)
    ratios = []
    for _ in range(1_000):
        latency.note(1, drawn(rng, 1))
        ratios.append(latency.predict(1) / usual(1))
    assert 0.7 < min(ratios) and max(ratios) < 1.3
    assert 1.0 == pytest.approx(statistics.fmean(ratios), abs=0.05)


def test_two_late_answers_count_little_and_the_third_counts() -> None:
    """Less than 6 % each; the third shows that it is the service."""
    latency = taught()
    steps = []
    for _ in range(3):
        before = latency.predict(1)
        latency.note(1, 4 * usual(1))
        steps.append(latency.predict(1) / before - 1)
    assert max(steps[:2]) < 0.06 < 0.1 < steps[2]


def test_a_hopelessly_late_answer_counts_as_a_late_one() -> None:
    """A day is five times the prediction, for the prediction and for the means."""
    late, clipped = taught(), taught()
    late.note_first(0.4)
    clipped.note_first(0.4)
    late.note_first(86_400.0)
    clipped.note_first(CLIP * 0.4)
    late.note(1, 86_400.0)
    clipped.note(1, CLIP * clipped.predict(1))
    assert clipped.predict(1) == pytest.approx(late.predict(1))
    assert clipped.first == late.first
    assert (late.seconds_per_chunk or 0.0) < 2 * usual(1)


@pytest.mark.parametrize("chunks", [1, 10])
@pytest.mark.parametrize("seed", range(5))
def test_a_slow_down_of_ten_times_is_followed_within_fifty_answers(chunks: int, seed: int) -> None:
    """Within 20 %, both into it and out of it."""
    rng, latency = random.Random(seed), Latency()
    teach(latency, rng, chunks=chunks, answers=200)
    for times in (10.0, 1.0):
        teach(latency, rng, chunks=chunks, answers=50, times=times)
        assert times * usual(chunks) == pytest.approx(latency.predict(chunks), rel=0.2)


def test_a_slow_down_leaves_the_ratio_of_slope_and_base() -> None:
    """Ten times, seen with one size only, is ten times for every size, and then no more."""
    rng, latency = random.Random(4), Latency()
    for _ in range(100):
        teach(latency, rng, chunks=rng.choice((1, 10)), answers=1)
    for times in (10.0, 1.0):
        teach(latency, rng, chunks=1, answers=100, times=times)
        assert times * usual(10) == pytest.approx(latency.predict(10), rel=0.25)


def test_inflation_shows_a_slow_down_that_x_gets_used_to() -> None:
    """Ten times for 200 answers: x is 1 again, inflation stays until the service is well."""
    rng, latency = random.Random(3), Latency()
    teach(latency, rng, chunks=1, answers=300)
    assert 1.0 <= inflation_of(latency) < 1.35
    teach(latency, rng, chunks=1, answers=200, times=10.0)
    assert 1.0 == pytest.approx(latency.note(1, 10 * usual(1)), rel=0.2)
    assert inflation_of(latency) > 8.0
    teach(latency, rng, chunks=1, answers=50)
    assert 0.9 < inflation_of(latency) < 1.5


def test_the_baseline_gets_used_to_a_lasting_slow_down() -> None:
    """Three times as slow for good: after 4,000 answers that is how the service is."""
    rng, latency = random.Random(3), Latency()
    teach(latency, rng, chunks=1, answers=1_000)
    teach(latency, rng, chunks=1, answers=500, times=3.0)
    assert inflation_of(latency) > 2.0
    teach(latency, rng, chunks=1, answers=4_000, times=3.0)
    assert inflation_of(latency) < 1.5


def test_means_follow_the_last_answers() -> None:
    """The first sample is taken as it is, each further one by a tenth."""
    latency = Latency()
    latency.note_first(1.0)
    assert 1.0 == latency.first
    latency.note_first(2.0)
    assert 1.1 == pytest.approx(latency.first)
    latency.note(10, 5.0)
    assert 0.5 == latency.seconds_per_chunk
    latency.note(5, 5.0)
    assert 0.55 == pytest.approx(latency.seconds_per_chunk)


@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1e9)), max_size=200))
@settings(max_examples=100, deadline=None)
def test_predictions_stay_positive_and_grow_with_the_request(
    answers: list[tuple[int, float]],
) -> None:
    """Whatever a service does, also with a clock that shows no time at all."""
    latency = Latency()
    for chunks, seconds in answers:
        assert latency.note(chunks, seconds) > 0
        assert 0 < latency.predict(1) <= latency.predict(400) < math.inf


def test_inflation_is_seen_when_most_of_the_last_answers_are_late() -> None:
    """Asked after 50 calm answers, it is seen at the 26th late one, and not before."""
    latency = Latency()
    for _ in range(50):
        latency.note(1, 1.0)
    found = [latency.is_inflated()]
    for _ in range(26):
        latency.note(1, 9.0)
        found.append(latency.is_inflated())
    assert [False] * 26 + [True] == found


@given(st.integers(0, 10**9), st.lists(st.sampled_from([1.0, 1.4, 3.0]), max_size=6))
@settings(max_examples=60, deadline=None)
def test_inflation_is_seen_at_the_very_answer(seed: int, loads: list[float]) -> None:
    """Although it is looked at only after answers that can change it."""
    chance, latency, plain = random.Random(seed), Latency(), Latency()
    for load in loads:
        for _ in range(40):
            seconds = load * chance.lognormvariate(-1.0, 0.4)
            latency.note(1, seconds)
            plain.note(1, seconds)
            inflation = plain.inflation
            is_so = inflation is not None and inflation >= SETTINGS.concurrency_inflated
            assert is_so == latency.is_inflated()


def test_a_latency_shows_its_state() -> None:
    """Base, slope, samples."""
    assert "Latency(1.000 s + 0.150 s/chunk, 0 samples)" == repr(Latency())
