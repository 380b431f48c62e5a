"""Arms are asked whole or up to a stop, and billed request by request."""

from __future__ import annotations

import signal

import pytest

from analysis.audit.arms import Arm
from analysis.audit.asking import LEAST_USD, ask_all, left_of
from analysis.records import Chunk, StopCause, Verdict
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from tests.commands.running import Paid, paid_service

pytestmark = pytest.mark.asyncio


def arm(name: str, size: int, count: int = 12) -> Arm:
    """Return an arm over so many texts."""
    texts = tuple(Chunk(id=str(n), text=f"Text number {n}.") for n in range(count))
    return Arm(name=name, chunks=texts, chunks_per_request=size)


def analyzer_of(paid: Paid) -> HybridSemanticAnalyzer:
    """Return an analyzer for the service."""
    return HybridSemanticAnalyzer(routes=("rest",), api_key="right", base_url=paid.base_url)


async def test_all_arms_are_asked_and_billed_each_for_itself() -> None:
    """The payments of the service are those of the arms, and the labels of the arms are equal."""
    with paid_service() as paid:
        found = await ask_all((arm("ten", 10), arm("one", 1)), analyzer_of(paid))
    ten, one = found
    assert ["", ""] == [each.stopped for each in found]
    # More than the packs need where a slow request was sent a second time.
    assert (True, True) == (ten.bill.answers.total() >= 2, one.bill.answers.total() >= 12)
    assert ten.labels == one.labels
    assert 12 == len(one.labels) == len(one.latencies_s)
    assert 24 <= paid.chunks
    paid_tokens = sum(record["input_tokens"] for record in paid.records)
    assert paid_tokens >= ten.bill.total.input_tokens + one.bill.total.input_tokens
    assert {("rest", "digest-labels"): 12} == dict(one.origins)
    figures = ten.figures()
    assert ("ten", 12, 12, {}) == tuple(
        figures[key] for key in ("name", "chunks", "labelled", "not_labelled")
    )


async def test_a_budget_ends_the_arms_and_what_was_asked_counts() -> None:
    """The second arm finds nothing left; the third one is not begun."""
    with paid_service() as paid:
        first = arm("first", 1, count=3)
        found = await ask_all((first, arm("second", 1), first), analyzer_of(paid), budget_usd=0.001)
    assert ["first", "second"] == [each.arm.name for each in found]
    assert StopCause.BUDGET == found[-1].stop_cause
    assert "budget" in found[-1].stopped
    assert len(found[-1].labels) < 12
    spent = sum(each.spent_usd or 0.0 for each in found)
    assert 0 < spent <= 0.001
    assert pytest.approx(0.001 - spent) == left_of(0.001, found)
    assert (None, LEAST_USD) == (left_of(None, found), left_of(spent, found))


async def test_ctrl_c_ends_the_arms_and_keeps_what_was_answered() -> None:
    """What is in flight still counts; nothing new is sent."""
    heard: list[Verdict] = []

    def interrupt(verdict: Verdict) -> None:
        heard.append(verdict)
        if len(heard) == 1:
            signal.raise_signal(signal.SIGINT)

    with paid_service() as paid:
        long = arm("first", 1, count=400)
        (only,) = await ask_all((long, long), analyzer_of(paid), on_verdict=interrupt)
    assert (StopCause.INTERRUPTED, "interrupted") == (only.stop_cause, only.stopped)
    assert 0 < len(only.labels) < 400


async def test_a_refused_key_stops_the_first_arm() -> None:
    """Nothing raises: the reason stands in the result."""
    with paid_service(api_key="other") as paid:
        (only,) = await ask_all((arm("first", 10), arm("second", 10)), analyzer_of(paid))
    assert (StopCause.SERVICE, {}) == (only.stop_cause, only.labels)
    assert only.stopped
