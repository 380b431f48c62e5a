"""How large the next pack of a job is: as planned, and planned again once the limits are known.

Pure. What hands the chunks of a job to the scheduler asks before each pack.

A plan that is made before any service has stated its limits rests on assumed ones. A job that is
long by those begins with a few of the largest packs, which are right if requests or tokens turn out
scarce and few enough to cost nothing if not; then it waits for word of the limits, or for answers
without such word, and is planned once more. The limits would hold its requests back meanwhile, so
waiting costs no time.

Where tokens are scarce, the last packs hold fewer chunks, so that the last answer does not come
seconds after all others.

Both are for jobs whose chunks are all known and whose packing is left to the planner; the packs of
a file run are cut by one rule from first to last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from analysis.control.planner import Budgets, JobSize, Plan, Way, forecast, largest_pack, plan
from analysis.settings import SETTINGS, Settings

Latencies: TypeAlias = Callable[[int], float]
"""Takes a number of chunks; returns the seconds of a request with so many."""

PACKS_REPLANNED = "packs_replanned"
"""Name of the run event that tells of a second plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How a job is to be packed.

    Attributes:
        plan: As planned before the first request.
        job: What is to be done, None if the packing is fixed.
        ways: The routes that share the job.
        budgets: The limits with which it was planned if they were known, else None.
    """

    plan: Plan
    job: JobSize | None = None
    ways: tuple[Way, ...] = ()
    budgets: Budgets | None = None


def fixed(chunks_per_request: int) -> Packing:
    """Return the packing that was asked for."""
    asked = Plan(chunks_per_request=chunks_per_request, predicted_s=0.0, because="asked for")
    return Packing(plan=asked)


class PackSizes:
    """The sizes of the packs of one job.

    Attributes:
        plan: The one in force.
        most: No pack is larger.
    """

    def __init__(self, packing: Packing, *, settings: Settings = SETTINGS) -> None:
        self.plan = packing.plan
        self._change: str | None = None
        self._packing = packing
        self._settings = settings
        self._given = 0
        self.most = packing.plan.chunks_per_request
        job, knobs = packing.job, settings
        self._is_open = (
            job is not None and packing.budgets is None and packing.plan.predicted_s >= knobs.long_s
        )
        self._is_token_bound = job is not None and self._waits_for_tokens(job, packing.budgets)
        if self._is_open:
            self.most = self._largest()
            self._is_open = self.most > packing.plan.chunks_per_request

    def next(
        self,
        *,
        left: int,
        budgets: Budgets | None,
        answered: int,
        is_word_due: bool,
        latency_s: Latencies,
    ) -> int | None:
        """Return the most chunks of the next pack; None: ask again after an answer.

        Args:
            left: Chunks that are not packed yet.
            budgets: The limits if they are known by now, else None.
            answered: Requests of this job that were answered.
            is_word_due: An answer is on its way that will state limits.
            latency_s: Tells the seconds of a request with so many chunks, as measured.
        """
        if self._is_open:
            if self._given < self._settings.plan_blind and budgets is None:
                self._given += 1
                return self._largest()
            if budgets is None and (is_word_due or answered < self._settings.plan_blind):
                return None
            self._plan_again(left, budgets)
        return self._tapered(left, budgets, latency_s)

    def _tapered(self, left: int, budgets: Budgets | None, latency_s: Latencies) -> int:
        """Return the size of a pack, smaller near the end of a job whose tokens are scarce.

        Tokens come at a steady rate, so it is known when the last ones come. A pack is no larger
        than what is answered by the time at which a small last one would be.
        """
        size, least = self.plan.chunks_per_request, self._settings.plan_last
        job = self._packing.job
        if job is None or budgets is None or size <= least or not self._is_token_bound:
            return size
        each = job.tokens_per_chunk + job.tokens_per_request / size
        chunk_s = each / budgets.tokens.per_second
        end_s = max(0, left - size) * chunk_s + latency_s(least)
        while size > least and latency_s(size) > end_s:
            size -= 1
        return size

    def take_change(self) -> str | None:
        """Return what a second plan has changed, for people; once."""
        change, self._change = self._change, None
        return change

    def _waits_for_tokens(self, job: JobSize, known: Budgets | None) -> bool:
        """Tell whether tokens decide when this job ends, by the plan in force."""
        size, knobs = self.plan.chunks_per_request, self._settings
        budgets = known or Budgets.assumed(knobs)
        times = forecast(job, size, budgets, self._packing.ways, settings=knobs)
        return times.tokens_s >= times.total_s > times.latency_s

    def _largest(self) -> int:
        job = self._packing.job
        assert job is not None
        budgets = Budgets.assumed(self._settings)
        return largest_pack(job, budgets, self._packing.ways, settings=self._settings)

    def _plan_again(self, left: int, known: Budgets | None) -> None:
        """Plan what is left, once."""
        self._is_open = False
        packing, knobs = self._packing, self._settings
        assert packing.job is not None
        job, budgets = rest_of(packing.job, left), known or Budgets.assumed(knobs)
        found = plan(job, budgets, packing.ways, settings=knobs)
        if found.chunks_per_request != self.plan.chunks_per_request:
            self._change = (
                f"Packs hold {found.chunks_per_request} chunks instead of the "
                f"{self.plan.chunks_per_request} that were planned: {found.because}."
            )
        self.plan = found
        self._is_token_bound = self._waits_for_tokens(job, known)


def rest_of(job: JobSize, left: int) -> JobSize:
    """Return what is left of a job when so many chunks are not packed yet, the last ones."""
    stretches, wanted = [], left
    for length, count in reversed(job.stretches):
        whole = min(count, wanted // length)
        if whole:
            stretches.append((length, whole))
            wanted -= length * whole
        if whole < count and wanted:
            stretches.append((wanted, 1))
            wanted = 0
    return replace(job, stretches=tuple(reversed(stretches)) or ((1, 1),))
