"""The shortest time in which a job can be finished under its limits.

Pure. Nothing of the package is used, so that a mistake of the scheduler is not repeated here.
Symbols as in the pacing notes, section 1: N chunks, R requests, k chunks per request.

`uniform` is the best time with packs of one size, `strict` holds for every mix of sizes:
strict <= uniform <= any schedule. A real run reaches neither: both leave out refused calls, faults
and the tail of the last answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

STEPS = 4_000
"""Intervals of the integral in `expected_max`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """One limit of one dimension: what is there at time 0, and what comes per second."""

    level: float
    rate: float

    def time_for(self, amount: float) -> float:
        """Return the earliest time by which so much can have been drawn."""
        return 0.0 if amount <= self.level else (amount - self.level) / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job and the service that it meets; sizes in tokens, times in seconds.

    Attributes:
        chunks: N, >= 1.
        largest_pack: Most chunks in a request.
        instruction: Input of every request.
        chunk: Input of a chunk.
        extra: Further input of a chunk that is not alone in its request.
        output: Output of a chunk.
        output_request: Output of every request.
        ttft_s: Floor of the time to the first token.
        tokens_per_s: Speed of the output.
        connect_s: From the start until a request can be sent.
        slots: Most requests at once, all ways together.
        requests: All limits on the number of requests.
        tokens: All limits on the number of tokens.
    """

    chunks: int
    largest_pack: int
    instruction: float
    chunk: float
    extra: float
    output: float
    output_request: float
    ttft_s: float
    tokens_per_s: float
    connect_s: float
    slots: int
    requests: tuple[Limiter, ...]
    tokens: tuple[Limiter, ...]

    def latency(self, pack: int) -> float:
        """Return L(k): seconds from a request for k chunks to its complete answer."""
        return self.ttft_s + (self.output_request + pack * self.output) / self.tokens_per_s

    def demand(self, requests: int, sharing: int) -> float:
        """Return W: tokens of so many requests of which `sharing` chunks are not alone."""
        per_chunk = self.chunk + self.output
        overhead = requests * (self.instruction + self.output_request)
        return overhead + self.chunks * per_chunk + sharing * self.extra

    def finish(self, requests: int, *, sharing: int, largest: int, smallest: int) -> float:
        """Return the largest of T_latency, T_rpm, T_tpm and T_slots for so many requests.

        Args:
            requests: R.
            sharing: Chunks that are not alone in their request.
            largest: A size that at least one request has.
            smallest: No request is smaller.
        """
        latency = self.connect_s + self.latency(largest)
        last = self.latency(smallest)
        rpm = max([self.connect_s, *(one.time_for(requests) for one in self.requests)]) + last
        drawn = self.demand(requests, sharing)
        tpm = max([self.connect_s, *(one.time_for(drawn) for one in self.tokens)]) + last
        output = requests * self.output_request + self.chunks * self.output
        busy = requests * self.ttft_s + output / self.tokens_per_s
        return max(latency, rpm, tpm, self.connect_s + busy / self.slots)


def uniform_at(job: Job, pack: int) -> float:
    """Return T(k): the bound with ceil(N/k) requests of nearly equal size."""
    requests = math.ceil(job.chunks / pack)
    largest, smallest = math.ceil(job.chunks / requests), job.chunks // requests
    sharing = 0 if largest == 1 else job.chunks
    if smallest == 1 and largest == 2:  # the packs of one do not pay for sharing
        sharing = 2 * (job.chunks - requests)
    return job.finish(requests, sharing=sharing, largest=largest, smallest=smallest)


def uniform(job: Job) -> float:
    """Return the least T(k) over all allowed k."""
    return min(uniform_at(job, pack) for pack in range(1, job.largest_pack + 1))


def strict_at(job: Job, requests: int) -> float:
    """Return the bound for every way to put the chunks into so many requests."""
    most = job.largest_pack
    alone = job.chunks
    if most > 1:
        alone = min(job.chunks, (most * requests - job.chunks) // (most - 1))
    largest = math.ceil(job.chunks / requests)
    return job.finish(requests, sharing=job.chunks - alone, largest=largest, smallest=1)


@lru_cache(maxsize=4_096)
def strict(job: Job) -> float:
    """Return the least bound over all numbers of requests.

    All of them are tried: with few tokens of instruction the demand need not rise with R, and a
    bisection would miss the least one. All contestants meet the same jobs, so results are kept.
    """
    fewest = math.ceil(job.chunks / job.largest_pack)
    return min(strict_at(job, requests) for requests in range(fewest, job.chunks + 1))


def cheapest(job: Job) -> float:
    """Return the fewest tokens for which the job can be had, limits and time left aside."""
    options = []
    for pack in range(1, job.largest_pack + 1):
        requests = math.ceil(job.chunks / pack)
        options.append(job.demand(requests, 0 if pack == 1 else job.chunks))
    return min(options)


def expected_max(
    survival: Callable[[float], float], *, draws: int, copies: int, cap: float
) -> float:
    """Return the expected maximum of draws, each of them the least of some copies.

    The integral of 1 - (1 - S(t)^copies)^draws from 0 to `cap`, by Simpson's rule on a square
    grid, which is dense near 0.

    Args:
        survival: S(t), the chance that one copy takes longer than t.
        draws: N.
        copies: Copies of each draw; 2 allows for a hedge of every request.
        cap: No draw exceeds it.
    """

    def height(place: int) -> float:
        x = place / STEPS
        t = cap * x * x
        return (1.0 - (1.0 - survival(t) ** copies) ** draws) * 2.0 * cap * x

    weights = (4.0 if place % 2 else 2.0 for place in range(1, STEPS))
    inner = sum(
        weight * height(place) for weight, place in zip(weights, range(1, STEPS), strict=True)
    )
    return (height(0) + inner + height(STEPS)) / (3.0 * STEPS)
