"""Choose how many chunks go into one request.

Pure. The analyzers call `plan` once per call or file run; `quality` lowers the size later.

For every k the planner predicts when the last answer is there, and takes the smallest k that is as
good as the best. The prediction is the largest of four times, with R(k) requests, W(k) tokens, an
answer after L(k) seconds, F what a bucket holds and r its refill:

    latency    L(k)                          one request takes so long
    requests   (R - F) / r + L               the requests of a minute are used up
    tokens     (W - F) / r + L               the tokens of a minute are used up
    places     rounds of L                   so many requests may be in flight at once

    R(k) = sum over stretches of ceil(length / k)        W(k) = R * (I + O0) + N * (c + h + o)
    L(k) = base + k * seconds for a chunk

A stretch is a row of chunks of one document, topic and title, since a pack never crosses them.
Places are left out for small jobs, which go one by one unless a limit of the account holds them
back: one chunk alone is what packed labels are held against.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.control.learned import Learned
from analysis.control.routes import RoutePlan
from analysis.settings import SETTINGS, Settings

_ROUNDING = 1e-9
"""A round so near its end is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSize:
    """What a job holds, as far as packing is concerned; sizes in tokens.

    Attributes:
        stretches: Pairs (length in chunks, how many stretches of that length), lengths >= 1.
        chunk_tokens: Mean text of a chunk.
        item_tokens: Around each text in the request.
        request_tokens: Of a request without any chunk: instructions, schema, topic.
        answer_tokens: Mean answer to a chunk.
        request_answer_tokens: Around the answers of a request.
        largest_answer_tokens: The longest answer to a chunk that may come.
    """

    stretches: tuple[tuple[int, int], ...]
    chunk_tokens: float
    item_tokens: float
    request_tokens: float
    answer_tokens: float
    request_answer_tokens: float
    largest_answer_tokens: float

    @property
    def chunks(self) -> int:
        """Chunks in all."""
        return sum(length * count for length, count in self.stretches)

    @property
    def tokens_per_request(self) -> float:
        """What every request takes, whatever it holds."""
        return self.request_tokens + self.request_answer_tokens

    @property
    def tokens_per_chunk(self) -> float:
        """What a chunk adds to its request."""
        return self.chunk_tokens + self.item_tokens + self.answer_tokens

    def requests(self, size: int) -> int:
        """Return the requests at so many chunks together."""
        return sum(count * math.ceil(length / size) for length, count in self.stretches)

    def tokens(self, size: int) -> float:
        """Return the tokens that are billed at so many chunks together."""
        return self.requests(size) * self.tokens_per_request + self.chunks * self.tokens_per_chunk

    def levelled(self, size: int) -> int:
        """Return the largest pack if each stretch is cut into equal packs of up to `size`."""
        return max((level(length, size) for length, _ in self.stretches), default=1)


def level(length: int, size: int) -> int:
    """Return the first pack of a row of chunks, so that no runt is left at its end.

    Applied to what is left again and again, packs differ by at most one chunk.
    """
    return math.ceil(length / math.ceil(length / size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One limit of an account: what its bucket holds, None if unknown, and its refill."""

    level: float | None
    per_second: float

    def wait_s(self, amount: float, settings: Settings) -> float:
        """Return the seconds until so much has been let through; 0 if at once."""
        known = self.level
        room = settings.plan_level_s * self.per_second if known is None else known
        return max(0.0, (amount - room) / self.per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Both limits of an account for one model."""

    requests: Budget
    tokens: Budget

    @classmethod
    def assumed(cls, settings: Settings = SETTINGS) -> Budgets:
        """Return what is assumed before a service has stated anything."""
        return cls(
            requests=Budget(level=None, per_second=settings.requests_per_minute / 60),
            tokens=Budget(level=None, per_second=settings.tokens_per_minute / 60),
        )

    @classmethod
    def learned(cls, found: Learned, settings: Settings = SETTINGS) -> Budgets:
        """Return what an earlier run has learned, else what is assumed."""
        requests, tokens = settings.requests_per_minute, settings.tokens_per_minute
        per_request = found.requests.per_minute if found.requests else requests
        per_token = found.tokens.per_minute if found.tokens else tokens
        return cls(
            requests=Budget(level=None, per_second=per_request / 60),
            tokens=Budget(level=None, per_second=per_token / 60),
        )

    @classmethod
    def stated(cls, found: Mapping[str, tuple[float | None, float]]) -> Budgets | None:
        """Return what a scheduler knows, None if no service has stated what is left of a limit."""
        is_known = any(level is not None for level, _ in found.values())
        return cls.of(found) if is_known else None

    @classmethod
    def of(cls, found: Mapping[str, tuple[float | None, float]]) -> Budgets:
        """Return what a scheduler knows: `requests` and `tokens` -> (level or None, per second)."""
        (requests, per_request), (tokens, per_token) = found["requests"], found["tokens"]
        return cls(
            requests=Budget(level=requests, per_second=per_request),
            tokens=Budget(level=tokens, per_second=per_token),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A route that may serve the job.

    Attributes:
        in_flight: Requests at once.
        base_s: Seconds of a request, whatever it holds.
        chunk_s: Seconds for each chunk in it.
        most_chunks: Most chunks that its requests take, or None.
    """

    in_flight: int
    base_s: float
    chunk_s: float
    most_chunks: int | None = None

    def latency_s(self, size: int) -> float:
        """Return the seconds of a request of so many chunks."""
        return self.base_s + self.chunk_s * size


def ways_of(plans: Sequence[RoutePlan], name: str, settings: Settings = SETTINGS) -> list[Way]:
    """Return the routes that share the work of one: the same model, the same form of question."""
    first = next(one for one in plans if one.name == name)
    return [
        Way(
            in_flight=one.in_flight,
            base_s=settings.latency_prior_s,
            chunk_s=settings.latency_prior_per_chunk_s,
            most_chunks=one.most_chunks,
        )
        for one in plans
        if one.asks_like(first)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The four times of a job at one size of packs, in seconds."""

    latency_s: float
    requests_s: float
    tokens_s: float
    places_s: float

    @property
    def total_s(self) -> float:
        """When the last answer is there."""
        return max(self.latency_s, self.requests_s, self.tokens_s, self.places_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a job is packed.

    Attributes:
        chunks_per_request: k.
        predicted_s: When the last answer is there, by the figures that were known.
        because: Why not another size, for people.
    """

    chunks_per_request: int
    predicted_s: float
    because: str


Preference = Literal["time", "cost"]


def plan(
    job: JobSize,
    budgets: Budgets,
    ways: Sequence[Way],
    *,
    prefer: Preference | None = None,
    settings: Settings = SETTINGS,
) -> Plan:
    """Return the packing with which the job ends first, or costs least.

    Args:
        job: What is to be done.
        budgets: As they are now.
        ways: The routes that share the job, at least one.
        prefer: `time`: the smallest k within `plan_tolerance` of the shortest time. `cost`: the
            smallest k at which instructions are no more than `plan_overhead` of a chunk's tokens.
            None: as the knob `plan_for_cost` says.
        settings: Knobs.
    """
    if not job.chunks:
        return Plan(chunks_per_request=1, predicted_s=0.0, because="there is nothing to send")
    longest = max(length for length, _ in job.stretches)
    most = min(longest, largest_pack(job, budgets, ways, settings=settings))
    times = {
        size: forecast(job, size, budgets, ways, settings=settings) for size in range(1, most + 1)
    }
    if prefer == "cost" or (prefer is None and settings.plan_for_cost):
        size, because = _cheapest(job, most, settings)
    else:
        bound = min(times.values(), key=lambda found: found.total_s).total_s
        bound *= 1 + settings.plan_tolerance
        size = next(size for size, found in times.items() if found.total_s <= bound)
        because = _reason(job, times[1], budgets, ways)
    size = job.levelled(size)
    return Plan(chunks_per_request=size, predicted_s=times[size].total_s, because=because)


def largest_pack(
    job: JobSize, budgets: Budgets, ways: Sequence[Way], *, settings: Settings = SETTINGS
) -> int:
    """Return the most chunks that one request may hold, >= 1.

    Bounded by the setting, by what the routes take, by the model's output limit with some slack and
    the longest answers, by its context, by the tokens of a pack, and by a minute's tokens.
    """
    knobs = settings
    most = [knobs.plan_chunks, *(way.most_chunks for way in ways if way.most_chunks is not None)]
    text = job.chunk_tokens + job.item_tokens
    answer = job.largest_answer_tokens
    once = job.tokens_per_request
    room = [
        (knobs.output_limit_tokens * (1 - knobs.output_slack) - job.request_answer_tokens, answer),
        (knobs.context_tokens - once, text + answer),
        (knobs.pack_tokens, job.chunk_tokens),
        (60 * budgets.tokens.per_second - once, text + answer),
    ]
    most += [int(tokens // each) for tokens, each in room if each > 0]
    return max(1, min(most))


def forecast(
    job: JobSize,
    size: int,
    budgets: Budgets,
    ways: Sequence[Way],
    *,
    settings: Settings = SETTINGS,
) -> Forecast:
    """Return the times of a job at so many chunks together."""
    requests = job.requests(size)
    latencies = [way.latency_s(job.levelled(size)) for way in ways]
    latency_s = min(latencies)
    wait_requests_s = budgets.requests.wait_s(requests, settings)
    wait_tokens_s = budgets.tokens.wait_s(job.tokens(size), settings)
    places_s = 0.0
    if job.chunks > settings.small_job:
        places = [way.in_flight for way in ways]
        places_s = _rounds_s(requests, list(zip(places, latencies, strict=True)))
    return Forecast(
        latency_s=latency_s,
        requests_s=wait_requests_s and wait_requests_s + latency_s,
        tokens_s=wait_tokens_s and wait_tokens_s + latency_s,
        places_s=places_s,
    )


def _rounds_s(requests: int, ways: Sequence[tuple[int, float]]) -> float:
    """Return when so many requests are answered by ways of (places, seconds for each request).

    A place answers one request after the other, so the answer is a whole multiple of a latency.
    """
    at = requests / sum(places / took for places, took in ways)  # it cannot be earlier
    while True:
        rounds = [int(at / took + _ROUNDING) for _, took in ways]
        if sum(places * done for (places, _), done in zip(ways, rounds, strict=True)) >= requests:
            return at
        at = min((done + 1) * took for (_, took), done in zip(ways, rounds, strict=True))


def _cheapest(job: JobSize, most: int, settings: Settings) -> tuple[int, str]:
    """Return the smallest k at which instructions weigh little, and the reason."""
    once, each = job.tokens_per_request, job.tokens_per_chunk
    size = min(most, max(1, math.ceil(once / (settings.plan_overhead * each))))
    share = once / size / (once / size + each)
    return size, f"cost counts: instructions are {share:.0%} of what a chunk takes"


def _reason(job: JobSize, alone: Forecast, budgets: Budgets, ways: Sequence[Way]) -> str:
    """Return what would make the job longer than one request, if chunks went one by one."""
    longest = alone.total_s
    if longest == alone.latency_s:
        return "nothing is scarce"
    if longest == alone.requests_s:
        return f"requests are scarce: {budgets.requests.per_second * 60:,.0f} a minute"
    if longest == alone.tokens_s:
        return f"tokens are scarce: {budgets.tokens.per_second * 60:,.0f} a minute"
    places = sum(way.in_flight for way in ways)
    return f"places are scarce: {places:,} requests at once for {job.chunks:,} chunks"
