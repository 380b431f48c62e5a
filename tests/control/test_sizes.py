"""How large the next pack is: as planned, and planned again when the limits are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.planner import Budget, Budgets, JobSize, Plan, Way, plan
from analysis.control.sizes import Packing, PackSizes, fixed, rest_of
from analysis.settings import SETTINGS

JOB = JobSize(
    stretches=((1_000, 1),),
    chunk_tokens=150,
    item_tokens=8,
    request_tokens=600,
    answer_tokens=12,
    request_answer_tokens=0,
    largest_answer_tokens=32,
)
WAYS = (Way(in_flight=64, base_s=0.35, chunk_s=0.133),)
FEW_REQUESTS = Budgets(
    requests=Budget(level=10.0, per_second=0.5), tokens=Budget(level=1e6, per_second=1e5)
)


FEW_TOKENS = Budgets(
    requests=Budget(level=5_000.0, per_second=83.0), tokens=Budget(level=0.0, per_second=16_667.0)
)


def sizes_of(packing: Packing) -> PackSizes:
    """Return the sizes of a job."""
    return PackSizes(packing, settings=SETTINGS)


def ask(sizes: PackSizes, left: int, budgets: Budgets | None, answered: int) -> int | None:
    """Return the size of the next pack; no word of limits is due."""
    latency_s = WAYS[0].latency_s
    return sizes.next(
        left=left, budgets=budgets, answered=answered, is_word_due=False, latency_s=latency_s
    )


def blind(job: JobSize = JOB) -> Packing:
    """Return a packing that was planned before anybody stated a limit."""
    found = plan(job, Budgets.assumed(SETTINGS), WAYS, settings=SETTINGS)
    return Packing(plan=replace(found, predicted_s=60.0), job=job, ways=WAYS)


def test_a_fixed_packing_stays() -> None:
    """What was asked for, from first to last."""
    sizes = sizes_of(fixed(7))
    assert [7, 7] == [ask(sizes, left, None, 9) for left in (100, 1)]
    assert (7, None) == (sizes.most, sizes.take_change())


def test_a_long_job_begins_with_few_large_packs_and_waits_for_word() -> None:
    """What it hears decides; it says so once."""
    sizes = sizes_of(blind())
    first = [ask(sizes, 1_000, None, 0) for _ in range(SETTINGS.plan_blind)]
    assert {20} == set(first)
    assert None is ask(sizes, 920, None, SETTINGS.plan_blind - 1)
    assert 20 == ask(sizes, 920, FEW_REQUESTS, 1)
    change = sizes.take_change()
    assert change is not None
    assert "20 chunks instead of the" in change
    assert "requests are scarce: 30 a minute" in change
    assert None is sizes.take_change()


def test_answers_without_word_of_limits_end_the_waiting() -> None:
    """Then the assumed limits hold."""
    packing = blind()
    sizes = sizes_of(packing)
    for _ in range(SETTINGS.plan_blind):
        ask(sizes, 1_000, None, 0)
    found = sizes.next(
        left=920,
        budgets=None,
        answered=SETTINGS.plan_blind,
        is_word_due=False,
        latency_s=WAYS[0].latency_s,
    )
    assert found is not None
    assert found <= 20


@pytest.mark.parametrize("predicted_s", [0.0, SETTINGS.long_s - 0.1])
def test_a_short_job_waits_for_nobody(predicted_s: float) -> None:
    """Nor does one that was planned with known limits."""
    short = replace(blind(), plan=Plan(chunks_per_request=3, predicted_s=predicted_s, because=""))
    assert 3 == ask(sizes_of(short), 1_000, None, 0)
    known = replace(blind(), budgets=FEW_REQUESTS)
    size = known.plan.chunks_per_request
    assert size == ask(sizes_of(known), 1_000, None, 0)


def test_the_last_packs_get_smaller_where_tokens_are_scarce() -> None:
    """So that the last answer does not come seconds after all others."""
    packing = replace(
        blind(), budgets=FEW_TOKENS, plan=replace(blind().plan, chunks_per_request=20)
    )
    sizes, found, left = sizes_of(packing), [], 1_000
    while left > 0:
        size = ask(sizes, left, FEW_TOKENS, 9)
        assert size is not None
        found.append(size)
        left -= size
    assert sorted(found, reverse=True) == found
    assert (20, SETTINGS.plan_last) == (found[0], found[-1])
    assert len([size for size in found if size < 20]) < 25


def test_the_last_packs_stay_where_requests_are_scarce() -> None:
    """A smaller pack is one more request."""
    packing = replace(
        blind(), budgets=FEW_REQUESTS, plan=replace(blind().plan, chunks_per_request=20)
    )
    found = ask(sizes_of(packing), 20, FEW_REQUESTS, 9)
    assert 20 == found


@given(
    stretches=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5)), min_size=1, max_size=5),
    share=st.floats(0.01, 1.0),
)
def test_what_is_left_of_a_job_has_so_many_chunks(
    stretches: list[tuple[int, int]], share: float
) -> None:
    """In stretches no longer than before."""
    job = replace(JOB, stretches=tuple(stretches))
    left = max(1, int(share * job.chunks))
    rest = rest_of(job, left)
    assert left == rest.chunks
    assert max(length for length, _ in rest.stretches) <= max(length for length, _ in stretches)
