"""A run ends where its user said so: nothing is sent beyond it, nothing is lost, nothing hangs."""

from __future__ import annotations

import pytest

from analysis.control.decisions import Finished, Settled, WaitUntil
from analysis.control.spending import Rates
from analysis.errors import (
    AccountClosed,
    AnswerDefect,
    LocalProtocolError,
    RateLimited,
    TransportError,
)
from analysis.records import Ending, FailureKind, StopCause, Usage
from tests.control.bench import LOST, Bench, kinds
from tests.control.parcels import ids_of

PER_TOKEN = Rates(input=1e6, cached=1e6, written=1e6, output=1e6)
"""A US dollar a token, so a chunk costs ten."""


def capped(usd: float, *models: str, limit: int = 4, may_copy: bool = False) -> Bench:
    """Return a bench with a budget."""
    bench = Bench(*(models or ("m",)), limit=limit, rates=PER_TOKEN, may_copy=may_copy)
    bench.scheduler.cap(budget_usd=usd, seconds=None, now=0.0)
    return bench


def spent(bench: Bench) -> tuple[float, float]:
    """Return what is spent and what is reserved."""
    found = bench.scheduler.statistics()["budget"]
    assert isinstance(found, dict)
    return found["spent_usd"], found["reserved_usd"]


def abandoned(bench: Bench) -> list[tuple[str, str]]:
    """Return the verdicts on what was given up."""
    found: Settled = bench.scheduler.take_abandoned()
    return kinds(found)


def test_a_budget_without_prices_is_a_mistake_of_the_caller() -> None:
    """Whoever takes budgets from users names the model and the cure before."""
    bench = Bench("m")
    with pytest.raises(LocalProtocolError, match="price of each route"):
        bench.scheduler.cap(budget_usd=1.0, seconds=None, now=0.0)


def test_a_first_request_above_the_budget_stops_the_run_at_once() -> None:
    """Nothing is sent, and every chunk ends as stopped."""
    bench = capped(9.0)
    bench.offer("a", "b")
    assert Finished() == bench.poll()
    assert [("a", "stopped"), ("b", "stopped")] == abandoned(bench)
    assert StopCause.BUDGET is bench.scheduler.stop_cause
    assert "the budget of 9 USD is used up" == bench.scheduler.stop_reason


def test_what_does_not_fit_waits_for_what_is_on_its_way() -> None:
    """A refusal costs nothing, so its place in the budget is free again."""
    bench = capped(25.0)
    bench.offer("a", "b", "c")
    first, second = bench.send(), bench.send()
    assert WaitUntil(None) == bench.poll()
    assert (0.0, 20.0) == spent(bench)
    bench.fail(first, TransportError("refused", ending=Ending.UNSENT))
    third = bench.next_send()
    bench.answer(second)
    bench.answer(third)
    assert (20.0, 0.0) == spent(bench)
    assert Finished() == bench.poll()
    assert 1 == len(abandoned(bench))


def test_a_run_stops_as_soon_as_no_ending_can_help() -> None:
    """What is on its way still ends, counts and labels its chunks."""
    bench = capped(25.0)
    bench.offer("a", "b", "c")
    first, second = bench.send(), bench.send()
    bench.answer(first)
    assert WaitUntil(None) == bench.poll()
    bench.answer(second)
    assert Finished() == bench.poll()
    assert [("c", "stopped")] == abandoned(bench)
    assert 2 == bench.scheduler.statistics()["chunks_labeled"]

    bench = capped(25.0)
    bench.offer("a", "b", "cd")
    first, second = bench.send(), bench.send()
    bench.answer(first)
    bench.poll()
    assert StopCause.BUDGET is bench.scheduler.stop_cause
    assert [("b", "noise")] == kinds(bench.answer(second))


def test_a_larger_request_is_not_passed_over_for_a_smaller_one() -> None:
    """What is sent does not depend on sizes; the small one behind it is left, too."""
    bench = capped(25.0)
    bench.offer("a", "bcd", "e")
    assert [("r0", "a")] == bench.sends()
    assert [("b", "stopped"), ("c", "stopped"), ("d", "stopped"), ("e", "stopped")] == abandoned(
        bench
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LOST, 10.0),
        (TransportError("no connection", ending=Ending.UNSENT), 0.0),
        (RateLimited("slow", retry_after_s=1.0), 0.0),
        (AnswerDefect("junk", defect="not_json"), 10.0),
    ],
)
def test_an_ending_counts_by_what_it_may_have_cost(error: Exception, expected: float) -> None:
    """An unknown ending keeps its reservation; usage that a failure reports is the bill."""
    bench = capped(100.0)
    bench.offer("a")
    assert isinstance(error, AnswerDefect | TransportError)
    bench.fail(bench.send(), error)
    assert (expected, 0.0) == spent(bench)


def test_the_usage_of_a_failure_is_its_bill() -> None:
    """A bad answer was generated, and says what it took."""
    bench = capped(100.0)
    bench.offer("a")
    error = AnswerDefect("junk", defect="not_json")
    error.usage = Usage(input_tokens=7, output_tokens=1)
    bench.fail(bench.send(), error)
    assert (8.0, 0.0) == spent(bench)


@pytest.mark.parametrize(("was_sent", "expected"), [(True, 10.0), (False, 0.0)])
def test_a_request_that_was_given_up_counts_if_it_was_sent(was_sent: bool, expected: float) -> None:
    """The service may have worked on it."""
    bench = capped(100.0)
    bench.offer("a")
    bench.scheduler.cancel(bench.send().request_id, was_sent=was_sent, now=0.0)
    assert (expected, 0.0) == spent(bench)


def test_retries_are_paid_from_the_same_budget() -> None:
    """A chunk whose requests get lost again and again ends as stopped, not in a loop."""
    bench = capped(35.0)
    bench.offer("a")
    for _ in range(3):
        bench.fail(bench.next_send(), LOST)
    while isinstance(decision := bench.poll(), WaitUntil):
        assert decision.at is not None
        bench.now = decision.at
    assert Finished() == decision
    assert [("a", FailureKind.STOPPED)] == abandoned(bench)
    assert (30.0, 0.0) == spent(bench)


def test_a_copy_leaves_the_last_of_the_budget_to_first_requests() -> None:
    """The late request itself is waited for."""
    bench = capped(30.0, may_copy=True)
    bench.offer("z")
    bench.answer(bench.send())
    bench.offer("a")
    bench.send()
    decision = bench.poll()
    for _ in range(5):
        assert isinstance(decision, WaitUntil)
        if decision.at is None:
            break
        bench.now = decision.at
        decision = bench.poll()
    assert (10.0, 10.0) == spent(bench)
    bench.offer("b")
    assert "b" == ids_of(bench.send().pack)


def test_a_route_after_another_takes_what_is_left_only_if_it_fits() -> None:
    """A row that fails on the first route is not sent to the next one beyond the budget."""
    bench = capped(15.0, "m", "n")
    bench.offer("a")
    first = bench.send()
    bench.answer(first, "")
    assert Finished() == bench.poll()
    assert [("a", "stopped")] == abandoned(bench)


def test_a_budget_holds_on_the_way_out_of_a_route_that_is_away() -> None:
    """The later route is asked for only with money for it."""
    bench = capped(25.0, "m", "m", limit=1)
    bench.offer("ab", "cd")
    bench.fail(bench.send(), TransportError("no connection", ending=Ending.UNSENT))
    while isinstance(decision := bench.poll(), WaitUntil) and decision.at is not None:
        bench.now = decision.at
    assert (0.0, 20.0) == spent(bench)


def test_after_so_many_seconds_nothing_is_sent_any_more() -> None:
    """What is on its way still ends; the scheduler asks to be called at that time."""
    bench = Bench("m", limit=1)
    bench.now = 2.0
    bench.scheduler.cap(budget_usd=None, seconds=3.0, now=2.0)
    bench.offer("a", "b")
    first = bench.send()
    assert WaitUntil(5.0) == bench.poll()
    bench.now = 5.0
    assert WaitUntil(None) == bench.poll()
    assert [("b", "stopped")] == abandoned(bench)
    assert (StopCause.TIME, "the 3 s of this run are over") == (
        bench.scheduler.stop_cause,
        bench.scheduler.stop_reason,
    )
    assert [("a", "noise")] == kinds(bench.answer(first))
    assert Finished() == bench.poll()


def test_caps_hold_until_they_are_lifted() -> None:
    """A second run of one analyzer sets its own."""
    bench = capped(10.0)
    bench.scheduler.cap(budget_usd=None, seconds=None, now=0.0)
    bench.offer("a", "b", "c")
    assert 3 == len(bench.sends())
    assert bench.scheduler.statistics()["budget"] is None


def test_the_cause_of_a_stop_is_told_apart() -> None:
    """The service's own no, and somebody who asked for it."""
    bench = Bench("m")
    assert bench.scheduler.stop_cause is None
    bench.scheduler.stop("enough")
    assert StopCause.INTERRUPTED is bench.scheduler.stop_cause


def test_the_no_of_a_service_is_a_cause_of_its_own() -> None:
    """Whoever sees the exit code knows who has to act."""
    refused = Bench("m")
    refused.offer("a")
    refused.fail(refused.send(), AccountClosed("no money", code="insufficient_quota"))
    assert StopCause.SERVICE is refused.scheduler.stop_cause
