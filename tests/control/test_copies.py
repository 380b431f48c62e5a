"""A request that takes too long is sent a second time; the first answer counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.control.decisions import Cancel, Finished, Send, WaitUntil
from analysis.control.queues import LAST_LAP
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    RateLimited,
    RequestRejected,
    TransportError,
)
from analysis.records import Ending, FailureKind
from analysis.settings import SETTINGS, Settings
from tests.control.bench import LOST, Bench, kinds
from tests.control.parcels import ids_of


def late(*models: str, names: str = "a", settings: Settings = SETTINGS) -> tuple[Bench, Send, Send]:
    """Return a bench on which a request is late and has just been copied, and both requests."""
    bench = Bench(*models, may_copy=True, settings=settings)
    bench.offer("z")
    bench.answer(bench.send())  # so that the route has a usual latency
    bench.offer(names)
    first = bench.send()
    copy = bench.next_send()
    assert (False, True) == (first.is_copy, copy.is_copy)
    assert ids_of(first.pack) == ids_of(copy.pack)
    return bench, first, copy


def test_a_late_request_is_copied_after_a_multiple_of_the_usual_time() -> None:
    """Over another route of the same model; the journal hears of one more attempt."""
    bench, first, copy = late("m", "m")
    assert ("r0", "r1", 1, 2) == (first.route, copy.route, first.attempt, copy.attempt)
    usual_s = bench.scheduler._routes[0].latency.predict(1)
    assert pytest.approx(SETTINGS.hedge_blind * usual_s) == bench.now


def test_with_one_route_the_copy_takes_another_lane_of_it() -> None:
    """A route with another model is none for a copy."""
    _, first, copy = late("m", "n")
    assert ("r0", "r0") == (first.route, copy.route)


def test_before_the_first_answer_nobody_knows_what_late_is() -> None:
    """So the wait is long."""
    bench = Bench("m", may_copy=True)
    bench.offer("a")
    bench.send()
    assert WaitUntil(SETTINGS.hedge_unknown_s) == bench.poll()


@pytest.mark.parametrize("is_copy_first", [False, True])
def test_the_first_answer_settles_and_the_other_request_is_cancelled(is_copy_first: bool) -> None:
    """Each chunk gets one verdict; what comes after it is counted and settles nothing."""
    bench, first, copy = late("m", "m")
    winner, loser = (copy, first) if is_copy_first else (first, copy)
    ((item, verdict),) = bench.answer(winner)
    assert ("a", winner.route, 2) == (item.chunk.id, verdict.route, verdict.attempts)
    assert Cancel(loser.request_id) == bench.poll()
    bench.scheduler.cancel(loser.request_id, was_sent=True, now=bench.now)
    assert Finished() == bench.poll()


def test_a_second_answer_is_counted_and_dropped() -> None:
    """It came before it could be cancelled."""
    bench, first, copy = late("m", "m")
    assert [("a", "noise")] == kinds(bench.answer(first))
    assert () == bench.answer(copy)
    assert 1 == bench.count("r1", "answers_late")
    assert Finished() == bench.poll()


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        TransportError("500", code="500"),
        RateLimited("wait", retry_after_s=1.0),
        RequestRejected("400", code="invalid_request_error"),
    ],
)
def test_a_failure_changes_nothing_while_the_copy_is_on_its_way(error: AnalysisError) -> None:
    """And if both fail, it is one failure of the chunks: they are asked again."""
    bench, first, copy = late("m", "m", names="ab")
    assert () == bench.fail(copy, error)
    assert not bench.scheduler._queues
    assert () == bench.fail(first, LOST)
    again = bench.next_send()
    assert ("ab", 1) == (ids_of(again.pack), bench.scheduler.in_flight)


@pytest.mark.parametrize(("ending", "attempts"), [(Ending.UNSENT, 1), (Ending.UNKNOWN, 2)])
def test_a_copy_that_never_left_is_no_attempt(ending: Ending, attempts: int) -> None:
    """The chunks travelled in the first request only."""
    bench, first, copy = late("m", "m")
    bench.fail(copy, TransportError("no connection", code="1006", ending=ending))
    ((_, verdict),) = bench.answer(first)
    assert attempts == verdict.attempts


def test_an_account_that_closes_keeps_the_copy_on_its_way() -> None:
    """The chunks get their verdict from whatever comes of it."""
    bench, first, copy = late("m", "m")
    bench.fail(copy, AccountClosed("gone", code="insufficient_quota"))
    assert () == bench.scheduler.take_abandoned()
    assert [("a", "noise")] == kinds(bench.answer(first))


def test_what_one_answer_left_out_the_other_may_bring() -> None:
    """Nothing is asked a third time meanwhile, and no chunk gets two verdicts."""
    bench, first, copy = late("m", "m", names="ab")
    assert [("a", "noise")] == kinds(bench.answer(first, "a"))
    assert [] == bench.sends()
    assert [("b", "noise")] == kinds(bench.answer(copy))
    assert Finished() == bench.poll()


def test_what_both_left_out_is_asked_again() -> None:
    """Only that."""
    bench, first, copy = late("m", "m", names="ab")
    bench.answer(first, "a")
    assert () == bench.answer(copy, "a")
    assert "b" == ids_of(bench.send().pack)


def test_a_chunk_that_was_declined_is_not_asked_there_again() -> None:
    """Its copy may still label it; if that fails, it goes to the other route."""
    bench, first, copy = late("m", "n", names="ab")
    bench.answer(first, "a", declined="b")
    assert [] == bench.sends()
    assert () == bench.fail(copy, LOST)
    assert [("r1", "b")] == bench.sends()


def test_a_declined_chunk_keeps_the_wait_that_its_copy_was_asked_for() -> None:
    """The route to which it goes next has just failed it with two seconds to wait."""
    bench, first, copy = late("m", "m", names="ab")
    bench.answer(first, "a", declined="b")
    error = TransportError("500", ending=Ending.REFUSED, retry_after_s=2.0)
    begin = bench.now
    assert () == bench.fail(copy, error)
    send = bench.next_send()
    assert ("r1", "b") == (send.route, ids_of(send.pack))
    assert bench.now >= begin + 2.0


def test_each_declined_chunk_leaves_the_route_that_declined_it() -> None:
    """Where both requests declined some, a chunk goes on to the route that was not asked last."""
    bench, first, copy = late("m", "m", names="ab")
    assert () == bench.answer(first, "", declined="b")
    assert () == bench.answer(copy, "", declined="a")
    assert {("r1", "b"), ("r0", "a")} == set(bench.sends())


def test_a_chunk_that_both_requests_declined_has_failed() -> None:
    """Two routes have said so; the third one is not asked."""
    bench, first, copy = late("m", "m", "n", names="ab")
    bench.answer(first, "a", declined="b")
    assert [("b", FailureKind.REFUSED)] == kinds(bench.answer(copy, "a", declined="b"))
    assert Finished() == bench.poll()


def test_declined_by_both_requests_on_one_route_counts_once() -> None:
    """So the next route is asked."""
    bench, first, copy = late("m", "n", names="ab")
    bench.answer(first, "a", declined="b")
    assert () == bench.answer(copy, "a", declined="b")
    assert [("r1", "b")] == bench.sends()


def test_what_one_request_declined_the_other_may_label() -> None:
    """It was paid for, so it counts."""
    bench, first, copy = late("m", "m", names="ab")
    assert [("a", "noise")] == kinds(bench.answer(first, "a", declined="b"))
    assert [("b", "noise")] == kinds(bench.answer(copy))
    assert Finished() == bench.poll()


def test_copies_are_a_small_share_of_the_requests() -> None:
    """Two more than that are free, for small jobs."""
    bench = Bench("m", may_copy=True, limit=64)
    bench.offer("z")
    bench.answer(bench.send())
    bench.offer(*"abcdefghij")
    first = [bench.send() for _ in range(10)]
    copies = [bench.next_send() for _ in range(2)]
    assert {True} == {send.is_copy for send in copies}
    assert [] == bench.sends()
    assert 2 == bench.scheduler.statistics()["requests_copied"]
    for send in first:
        bench.answer(send)


def test_without_a_share_nothing_is_copied() -> None:
    """The knobs switch copies off."""
    bench = Bench("m", may_copy=True, settings=replace(SETTINGS, hedge_share=0.0, hedge_extra=0))
    bench.offer("a")
    bench.send()
    assert WaitUntil(None) == bench.poll()


def test_other_work_comes_first() -> None:
    """While something waits, a late request costs no time."""
    bench, *_ = late("m", "m")
    bench.offer(*"bcdefghijk")
    assert 8 - 2 == len(bench.sends())
    bench.now += 1.0
    assert [] == bench.sends()
    assert 1 == bench.scheduler.statistics()["requests_copied"]


def test_a_silent_route_is_taken_down_and_its_requests_are_rescued() -> None:
    """Over the other route, however many they are; a late answer brings the route back."""
    bench = Bench("m", "m", may_copy=True, limit=8)
    bench.offer("z")
    bench.answer(bench.send())
    bench.offer("abcde")
    for name in "fghij":
        bench.offer(name)
    asked = [bench.send() for _ in range(6)]
    assert {"r0"} == {send.route for send in asked}
    bench.scheduler._copies.hedged = 1_000  # the share is used up
    rescued = [bench.next_send() for _ in range(6)]
    assert {"r1"} == {send.route for send in rescued}
    assert sorted(ids_of(send.pack) for send in asked) == sorted(
        ids_of(send.pack) for send in rescued
    )
    assert ["route_down"] == bench.told
    assert 6 == bench.scheduler.statistics()["requests_rescued"]
    bench.answer(asked[1])
    assert ["route_down", "route_up"] == bench.told


def test_a_sign_of_life_postpones_the_silence() -> None:
    """First events come early; with them a dead route is found sooner than by whole answers."""
    bench = Bench("m", "m", may_copy=False, limit=8)
    bench.offer(*"abcde")
    asked = [bench.send() for _ in range(5)]
    bench.now = 0.1
    bench.scheduler.on_sign(asked[0].request_id, now=0.1)
    found = bench.poll()
    assert WaitUntil(0.1 + SETTINGS.silence_floor_s) == found
    bench.now = 1.0
    bench.scheduler.on_sign(asked[1].request_id, now=1.0)
    assert WaitUntil(1.0 + SETTINGS.silence_floor_s) == bench.poll()


@pytest.mark.parametrize("models", ["m", "mm"])
def test_a_wait_that_a_copy_was_asked_for_holds_after_a_bad_answer(models: str) -> None:
    """Its route is told to be asked again in 2 s, then the first request gets nothing of use."""
    bench, first, copy = late(*models)
    bench.fail(copy, TransportError("500", ending=Ending.REFUSED, retry_after_s=2.0))
    told_at = bench.now
    assert () == bench.answer(first, "", defect="empty")
    assert "a" == ids_of(bench.next_send().pack)
    assert told_at + 2.0 <= bench.now


def planned(bench: Bench, *packs: str) -> Send:
    """Let a large request be late while these packs wait for the limits; return it."""
    bench.offer("z")
    bench.answer(bench.send())
    bench.offer("abc")
    large = bench.send()
    bench.now += 60.0
    bench.scheduler._routes[0].pacer.hold(retry_after_s=1.0, now=bench.now)
    bench.offer(*packs)
    return large


def test_a_late_request_is_copied_before_smaller_ones() -> None:
    """Near the end, since its answer takes longer than theirs."""
    bench = Bench("m", "m", may_copy=True)
    planned(bench, "de", "f")
    first, *others = [bench.next_send() for _ in range(3)]
    assert (True, "abc") == (first.is_copy, ids_of(first.pack))
    assert ["de", "f"] == [ids_of(send.pack) for send in others]


@pytest.mark.parametrize("packs", [["def"], ["de"] * LAST_LAP])
def test_what_is_as_large_or_not_the_end_comes_first(packs: list[str]) -> None:
    """Nobody waits for one request yet."""
    bench = Bench("m", "m", may_copy=True)
    planned(bench, *packs)
    assert not bench.next_send().is_copy


def test_a_chunk_that_probes_a_dead_route_is_asked_elsewhere() -> None:
    """It is not held there until the time of its request is over, and the probe has failed."""
    bench = Bench("m", "m", may_copy=True)
    bench.offer("y", "z")
    bench.answer(bench.send())
    first = bench.scheduler._routes[0]
    first.breaker.on_failure(now=bench.now, is_refused_connection=True)
    bench.scheduler._run.is_whole = False
    bench.answer(bench.send())
    bench.now = first.breaker.opens_at or 0.0
    bench.offer("a")
    probe = bench.send()
    assert ("r0", True) == (probe.route, probe.is_probe)
    copy = bench.next_send()
    assert ("r1", True, "a") == (copy.route, copy.is_copy, ids_of(copy.pack))
    bench.answer(copy)
    assert Cancel(probe.request_id) == bench.poll()
    bench.scheduler.cancel(probe.request_id, was_sent=True, now=bench.now)
    assert (first.breaker.opens_at or 0.0) > bench.now
    assert Finished() == bench.poll()
