"""The lower bound: closed forms, and an obvious schedule that it never exceeds."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.score.bound import (
    Job,
    Limiter,
    cheapest,
    expected_max,
    strict,
    strict_at,
    uniform,
    uniform_at,
)

FREE = Limiter(level=1e12, rate=1e9)
PLAIN = Job(
    chunks=100,
    largest_pack=10,
    instruction=600,
    chunk=150,
    extra=8,
    output=12,
    output_request=0,
    ttft_s=0.5,
    tokens_per_s=120,
    connect_s=0.2,
    slots=1_000,
    requests=(FREE,),
    tokens=(FREE,),
)


def earliest(limiters: dict[Limiter, list[float]], amount: float, now: float) -> float:
    """Return when so much may be drawn from all buckets; levels are [level, at, capacity]."""
    at = now
    for limiter, (level, since, capacity) in limiters.items():
        there = min(capacity, level + limiter.rate * (now - since))
        at = max(at, now + max(0.0, amount - there) / limiter.rate)
    return at


def draw(limiters: dict[Limiter, list[float]], amount: float, now: float) -> None:
    """Take so much from all buckets."""
    for limiter, state in limiters.items():
        level, since, capacity = state
        state[0] = min(capacity, level + limiter.rate * (now - since)) - amount
        state[1] = now


def greedy(job: Job, pack: int) -> float:
    """Return the finish of a schedule that knows all: level packs, each as early as may be."""
    count = math.ceil(job.chunks / pack)
    small, more = divmod(job.chunks, count)
    sizes = [small + 1] * more + [small] * (count - more)
    dearest = job.instruction + job.output_request + sizes[0] * (job.chunk + job.extra + job.output)
    requests = {one: [one.level, 0.0, max(one.level, 1.0)] for one in job.requests}
    tokens = {one: [one.level, 0.0, max(one.level, dearest)] for one in job.tokens}
    busy: list[float] = []
    now, last = job.connect_s, 0.0
    for size in sizes:
        if len(busy) == job.slots:
            now = max(now, heapq.heappop(busy))
        per_chunk = job.chunk + job.output + (job.extra if size > 1 else 0)
        cost = job.instruction + job.output_request + size * per_chunk
        for _ in range(2):  # waiting for one dimension never lessens the other
            now = max(earliest(requests, 1, now), earliest(tokens, cost, now))
        draw(requests, 1, now)
        draw(tokens, cost, now)
        heapq.heappush(busy, now + job.latency(size))
        last = max(last, now + job.latency(size))
    return last


def clairvoyant(job: Job) -> float:
    """Return the best such schedule over all sizes of packs."""
    return min(greedy(job, pack) for pack in range(1, job.largest_pack + 1))


def test_latency_alone() -> None:
    """Without a scarce thing each chunk travels alone: connect, first token, twelve tokens."""
    assert 0.2 + 0.5 + 0.1 == pytest.approx(strict(PLAIN))
    assert strict(PLAIN) == pytest.approx(uniform(PLAIN))


def test_requests_scarce() -> None:
    """Ten requests of ten, four of them there at once, one a second: six seconds and an answer."""
    job = replace(PLAIN, requests=(Limiter(level=4, rate=1.0), FREE))
    assert 6 + 0.5 + 1.0 == pytest.approx(uniform_at(job, 10))
    # The strict bound lets the last request be one of a single chunk.
    assert 6 + 0.5 + 0.1 == pytest.approx(strict_at(job, 10))


def test_tokens_scarce() -> None:
    """The tokens of ten requests, less what is there, at the rate; then one answer."""
    demand = 10 * 600 + 100 * (150 + 12) + 100 * 8
    job = replace(PLAIN, tokens=(Limiter(level=3_000, rate=500.0),))
    assert (demand - 3_000) / 500 + 0.5 + 1.0 == pytest.approx(uniform_at(job, 10))


def test_the_tightest_limiter_counts() -> None:
    """Of two limits of one dimension the one that is later counts."""
    tight, wide = Limiter(level=1, rate=1.0), Limiter(level=60, rate=1.0)
    job = replace(PLAIN, requests=(wide, tight))
    assert strict(replace(PLAIN, requests=(tight,))) == strict(job)


def test_slots_scarce() -> None:
    """One slot works off all requests one after the other."""
    job = replace(PLAIN, slots=1)
    assert 0.2 + 10 * 0.5 + 100 * 0.1 == pytest.approx(uniform(job))


def test_a_lone_chunk_does_not_pay_for_sharing() -> None:
    """Of 3 chunks in 2 requests of up to 3, one is alone; of 3 in 3, all are."""
    job = replace(PLAIN, chunks=3, largest_pack=3, tokens=(Limiter(level=0, rate=1.0),))
    alone = 3 * 162
    assert 3 * 600 + alone + 0.6 == pytest.approx(strict_at(job, 3))
    assert 2 * 600 + alone + 2 * 8 + 0.6 == pytest.approx(strict_at(job, 2))
    assert 1 * 600 + alone + 3 * 8 + 0.6 == pytest.approx(strict_at(job, 1))


def test_cheapest_is_the_largest_pack_where_instructions_are_long() -> None:
    """A hundred chunks in ten requests; with nothing to share, each alone."""
    assert 10 * 600 + 100 * 170 == cheapest(PLAIN)
    assert 100 * 162 == cheapest(replace(PLAIN, instruction=0))


def test_expected_max_of_exponentials_is_a_harmonic_number() -> None:
    """The maximum of n exponential draws has the mean 1 + 1/2 + ... + 1/n; of two copies half."""
    harmonic = sum(1 / place for place in range(1, 11))
    one = expected_max(lambda t: math.exp(-t), draws=10, copies=1, cap=60.0)
    two = expected_max(lambda t: math.exp(-t), draws=10, copies=2, cap=60.0)
    assert harmonic == pytest.approx(one, rel=1e-6)
    assert harmonic / 2 == pytest.approx(two, rel=1e-6)


def test_expected_max_of_a_sure_value() -> None:
    """A draw that is always two seconds has this maximum."""
    found = expected_max(lambda t: 1.0 if t < 2 else 0.0, draws=5, copies=2, cap=8.0)
    assert pytest.approx(found, rel=1e-3) == 2.0


def random_job(chance: random.Random) -> Job:
    """Return a job whose limits may or may not bind."""
    rpm, tpm = 10 ** chance.uniform(1, 4), 10 ** chance.uniform(4.5, 7)
    return Job(
        chunks=chance.randint(1, 1_500),
        largest_pack=chance.randint(1, 20),
        instruction=chance.randint(50, 1_500),
        chunk=chance.randint(20, 400),
        extra=chance.randint(0, 20),
        output=chance.randint(5, 40),
        output_request=chance.randint(0, 20),
        ttft_s=chance.uniform(0.1, 1.0),
        tokens_per_s=chance.uniform(40, 200),
        connect_s=chance.uniform(0, 0.5),
        slots=chance.choice([1, 8, 64, 128]),
        requests=(
            Limiter(level=rpm * chance.uniform(0, 1), rate=rpm / 60),
            Limiter(level=max(1.0, rpm / 60), rate=rpm / 60),
        ),
        tokens=(Limiter(level=tpm * chance.uniform(0, 1), rate=tpm / 60),),
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_no_schedule_beats_the_bounds(seed: int) -> None:
    """strict <= uniform <= the schedule that knows all."""
    job = random_job(random.Random(seed))
    slack = 1 + 1e-9
    assert strict(job) <= uniform(job) * slack
    assert uniform(job) <= clairvoyant(job) * slack


def test_the_strict_bound_is_nearly_reached_by_long_runs() -> None:
    """On 40 random jobs the schedule that knows all is within 7 % of it in long runs.

    Long: over 20 s, and over ten answers of a full pack; all packs of that schedule are of one
    size, so that its end waits for a full one.
    """
    jobs = [random_job(random.Random(f"near {seed}")) for seed in range(40)]
    reached = [(clairvoyant(job), job) for job in jobs]
    long = [
        best / strict(job)
        for best, job in reached
        if best > max(20.0, 10 * job.latency(job.largest_pack))
    ]
    assert len(long) >= 20
    assert max(long) <= 1.07
