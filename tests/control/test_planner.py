"""The planner predicts when the last answer is there, and takes the smallest k that is as good."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.learned import Learned, LearnedLimit
from analysis.control.planner import (
    Budget,
    Budgets,
    JobSize,
    Plan,
    Way,
    forecast,
    largest_pack,
    level,
    plan,
    ways_of,
)
from analysis.control.routes import RoutePlan
from analysis.settings import SETTINGS

WAY = Way(in_flight=64, base_s=0.5, chunk_s=0.25)


def job(*stretches: tuple[int, int], **changes: Any) -> JobSize:
    """Return a job of these stretches: 100 tokens a chunk, 600 of instructions."""
    figures: dict[str, Any] = {
        "chunk_tokens": 100.0,
        "item_tokens": 14.0,
        "request_tokens": 600.0,
        "answer_tokens": 20.0,
        "request_answer_tokens": 8.0,
        "largest_answer_tokens": 32.0,
    }
    return JobSize(stretches=stretches, **figures | changes)


def budgets(
    *,
    rpm: float = 1e9,
    tpm: float = 1e12,
    requests: float | None = None,
    tokens: float | None = None,
) -> Budgets:
    """Return limits a minute, and what their buckets hold."""
    return Budgets(
        requests=Budget(level=requests, per_second=rpm / 60),
        tokens=Budget(level=tokens, per_second=tpm / 60),
    )


def test_a_small_job_goes_one_by_one_while_nothing_is_scarce() -> None:
    """Also where it has more chunks than there are places in flight."""
    expected = Plan(chunks_per_request=1, predicted_s=0.75, because="nothing is scarce")
    assert expected == plan(job((50, 1)), budgets(), [replace(WAY, in_flight=8)])


def test_a_small_job_is_packed_where_requests_are_scarce() -> None:
    """Three a minute, 1.5 of them at hand: three packs of 17, and the last one waits for 30 s."""
    found = plan(job((50, 1)), budgets(rpm=3), [WAY])
    assert (17, "requests are scarce: 3 a minute") == (found.chunks_per_request, found.because)
    assert math.isclose(1.5 / 0.05 + 0.5 + 17 * 0.25, found.predicted_s)


def test_what_an_earlier_run_learned_is_planned_with() -> None:
    """What it did not learn is assumed."""
    learned = Learned(requests=LearnedLimit(per_minute=30.0))
    expected = replace(Budgets.assumed(SETTINGS), requests=Budget(level=None, per_second=0.5))
    assert expected == Budgets.learned(learned, SETTINGS)


def test_tokens_make_large_packs() -> None:
    """Each further chunk in a request shares its instructions; the buckets are empty."""
    found = plan(job((10_000, 1)), budgets(tpm=500_000, tokens=0.0), [WAY])
    assert (20, "tokens are scarce: 500,000 a minute") == (
        found.chunks_per_request,
        found.because,
    )
    assert math.isclose((500 * 608 + 10_000 * 134) / (5e5 / 60) + 5.5, found.predicted_s)


def test_places_are_filled_once_and_not_twice() -> None:
    """A hundred chunks over 32 places: four together, so that all are on their way at once."""
    found = plan(job((100, 1)), budgets(), [replace(WAY, in_flight=32)])
    assert 4 == found.chunks_per_request
    assert "places are scarce: 32 requests at once for 100 chunks" == found.because


def test_routes_that_share_the_work_have_their_places_together() -> None:
    """Two routes of 16 places are as good as one of 32."""
    both = [replace(WAY, in_flight=16)] * 2
    one = [replace(WAY, in_flight=32)]
    assert plan(job((100, 1)), budgets(), one) == plan(job((100, 1)), budgets(), both)


def test_a_filled_bucket_is_used_up_before_anything_is_packed() -> None:
    """A thousand requests at hand are enough for a thousand chunks, one by one."""
    full = budgets(rpm=60, requests=1_000)
    assert 1 == plan(job((1_000, 1)), full, [replace(WAY, in_flight=10_000)]).chunks_per_request


def test_documents_bound_the_packs() -> None:
    """Nothing is gained beyond the length of a stretch, and requests are counted by stretch."""
    many = job((3, 100), (4, 1))
    assert (101, 202, 304) == (many.requests(4), many.requests(2), many.requests(1))
    assert 4 == plan(many, budgets(rpm=30), [WAY]).chunks_per_request


def test_packs_are_levelled() -> None:
    """21 chunks at ten a pack are three of seven, by one request after the other."""
    sizes, left = [], 21
    while left:
        sizes.append(level(left, 10))
        left -= sizes[-1]
    assert [7, 7, 7] == sizes
    assert 7 == job((21, 1)).levelled(10)


def test_nothing_to_send_is_no_request() -> None:
    """An empty job has a plan like any other."""
    found = plan(job(), budgets(), [WAY])
    assert (1, 0.0) == (found.chunks_per_request, found.predicted_s)


@pytest.mark.parametrize(
    ("changes", "knobs", "expected"),
    [
        ({}, {}, 20),
        ({"largest_answer_tokens": 800.0}, {}, 4),  # (4096 * 0.8 - 8) / 800
        ({"chunk_tokens": 1_700.0}, {}, 4),  # 8000 / 1700
        ({}, {"context_tokens": 1_500}, 6),  # (1500 - 608) / 146
        ({}, {"plan_chunks": 5}, 5),
        ({"chunk_tokens": 30_000.0}, {}, 1),
    ],
)
def test_caps_hold(changes: dict[str, float], knobs: dict[str, Any], expected: int) -> None:
    """Output with the longest answers and slack, tokens of a pack, context, the setting."""
    settings = replace(SETTINGS, **knobs)
    assert expected == largest_pack(job((99, 1), **changes), budgets(), [WAY], settings=settings)


def test_a_request_fits_into_a_minute_and_into_its_route() -> None:
    """1,000 tokens a minute hold 600 of instructions and two chunks; a route may take one."""
    assert 2 == largest_pack(job((99, 1)), budgets(tpm=1_000), [WAY])
    assert 3 == largest_pack(job((99, 1)), budgets(), [replace(WAY, most_chunks=3), WAY])


def test_cost_counts_where_that_is_preferred() -> None:
    """Packs grow until instructions weigh 5 % of the rest, or to the most."""
    found = plan(job((9, 9)), budgets(), [WAY], prefer="cost")
    assert (9, "cost counts: instructions are 34% of what a chunk takes") == (
        found.chunks_per_request,
        found.because,
    )
    heavy = job((500, 1), chunk_tokens=1_000.0, request_tokens=100.0)
    assert 3 == plan(heavy, budgets(), [WAY], prefer="cost").chunks_per_request
    by_knob = replace(SETTINGS, plan_for_cost=True)
    assert 3 == plan(heavy, budgets(), [WAY], settings=by_knob).chunks_per_request


def test_what_a_scheduler_knows_is_taken_over() -> None:
    """Level and refill of both limits by name; before that, what is assumed."""
    stated = Budgets.of({"requests": (7.0, 1.0), "tokens": (None, 50.0)})
    assert budgets(rpm=60, tpm=3_000, requests=7.0) == stated
    assert Budgets.assumed(SETTINGS) == budgets(rpm=5_000, tpm=2_000_000)


def test_ways_are_the_routes_that_ask_alike() -> None:
    """The same model and the same form of question; another one shares no work."""
    plans = [
        RoutePlan(name=name, model=model, account="a", in_flight=4, prompt=prompt)
        for name, model, prompt in (
            ("realtime", "r", "text"),
            ("responses-ws", "m", "text"),
            ("rest", "m", "text"),
            ("decisions", "m", "choices"),
        )
    ]
    assert [1, 2, 2, 1] == [len(ways_of(plans, one.name)) for one in plans]


def some_job(rng: random.Random) -> tuple[JobSize, Budgets, list[Way]]:
    """Return a job, limits and ways by chance."""
    known = rng.random() < 0.5
    return (
        job(
            *((rng.randint(1, 60), rng.randint(1, 40)) for _ in range(rng.randint(1, 4))),
            chunk_tokens=rng.uniform(1, 900),
            request_tokens=rng.uniform(50, 2_000),
            largest_answer_tokens=rng.uniform(20, 400),
        ),
        budgets(
            rpm=rng.uniform(1, 6_000),
            tpm=rng.uniform(3_000, 3e6),
            requests=rng.uniform(-5, 500) if known else None,
            tokens=rng.uniform(-5_000, 2e5) if known else None,
        ),
        [
            Way(in_flight=rng.randint(1, 64), base_s=rng.uniform(0.1, 2), chunk_s=rng.uniform(0, 1))
            for _ in range(rng.randint(1, 3))
        ],
    )


def test_places_are_taken_in_rounds() -> None:
    """34 requests over 32 places take two rounds; of two ways each does what it can meanwhile."""
    alone = forecast(job((102, 1)), 3, budgets(), [replace(WAY, in_flight=32)])
    assert 2 * 1.25 == alone.places_s
    slow = Way(in_flight=32, base_s=3.0, chunk_s=0.0)
    both = forecast(job((102, 1)), 3, budgets(), [replace(WAY, in_flight=1), slow])
    assert 3.0 == both.places_s  # two by the fast one, 32 by the slow one


@given(st.randoms(use_true_random=False))
def test_no_other_size_is_better_and_no_cap_is_passed(rng: random.Random) -> None:
    """The plan is within the tolerance of each allowed size, by the prediction itself."""
    size, limits, ways = some_job(rng)
    found = plan(size, limits, ways)
    most = largest_pack(size, limits, ways)
    assert 1 <= found.chunks_per_request <= most
    for other in range(1, most + 1):
        bound = forecast(size, other, limits, ways).total_s * (1 + SETTINGS.plan_tolerance)
        assert found.predicted_s <= bound * (1 + 1e-9)


@given(st.randoms(use_true_random=False))
def test_more_budget_never_makes_a_slower_plan(rng: random.Random) -> None:
    """Of requests, tokens or places, but for the tolerance within which the smallest k is taken."""
    size, limits, ways = some_job(rng)
    before = plan(size, limits, ways).predicted_s

    def grown(one: Budget) -> Budget:
        factor, more = rng.choice([1.0, 1.5, 10.0]), rng.choice([0.0, 50.0])
        room = None if one.level is None else one.level + more
        return Budget(level=room, per_second=one.per_second * factor)

    richer = Budgets(requests=grown(limits.requests), tokens=grown(limits.tokens))
    wider = [replace(way, in_flight=way.in_flight + rng.randint(0, 9)) for way in ways]
    after = plan(size, richer, wider).predicted_s
    assert after <= before * (1 + SETTINGS.plan_tolerance) * (1 + 1e-9)


@given(st.integers(1, 500), st.integers(1, 20))
def test_levelled_packs_differ_by_one_at_most_and_are_no_more(length: int, size: int) -> None:
    """Cut one after the other, they are as many as full packs would be."""
    sizes, left = [], length
    while left:
        sizes.append(level(left, size))
        left -= sizes[-1]
    assert math.ceil(length / size) == len(sizes)
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
