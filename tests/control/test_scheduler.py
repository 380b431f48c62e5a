"""What is sent when, and what follows each ending; whole runs are in tests/simulation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.control.decisions import Finished, WaitUntil
from analysis.errors import (
    AccountClosed,
    AnswerDefect,
    LedgerError,
    LocalProtocolError,
    ModelRefused,
    RateLimited,
    RequestRejected,
    RouteAdapted,
    RouteClosed,
    TransportError,
)
from analysis.records import FailureKind, RateLimit, Usage
from analysis.settings import SETTINGS
from tests.control.bench import LOST, OUTAGE_S, Bench, kinds
from tests.control.parcels import ids_of


def test_a_scheduler_needs_a_route() -> None:
    """Without one every chunk would wait forever."""
    with pytest.raises(LocalProtocolError, match="at least one route"):
        Bench()


def test_packs_go_in_order_up_to_the_limit() -> None:
    """The rest waits for an outcome; when all have ended it is finished."""
    bench = Bench("m", limit=2)
    assert Finished() == bench.poll()
    bench.offer("ab", "c", "d")
    first, second = bench.send(), bench.send()
    assert ("ab", "c", 2) == (ids_of(first.pack), ids_of(second.pack), bench.scheduler.in_flight)
    assert WaitUntil(None) == bench.poll() == bench.poll()
    assert [("a", "noise"), ("b", "noise")] == kinds(bench.answer(first))
    third = bench.send()
    for send in (second, third):
        bench.answer(send)
    assert Finished() == bench.poll()
    assert 4 == bench.scheduler.statistics()["chunks_labeled"]


def test_the_limit_in_flight_can_be_changed_and_given_back() -> None:
    """It holds for every route."""
    bench = Bench("m", limit=1)
    bench.offer(*"abcd")
    bench.scheduler.limit_in_flight(3)
    assert 3 == len(bench.sends())
    bench.scheduler.limit_in_flight(None)
    assert 1 == bench.count("r0", "in_flight_limit")


def test_learned_limits_hold_for_all_routes_of_a_model() -> None:
    """The second request of a minute waits for a minute."""
    bench = Bench("m", "m", "n")
    bench.scheduler.on_limits("r1", [RateLimit(name="requests", limit=1, remaining=1)], now=0.0)
    bench.offer("a", "b")
    assert [("r0", "a")] == bench.sends()
    assert WaitUntil(60.0) == bench.poll()
    assert (1.0, 5_000.0) == (
        bench.count("r0", "requests_per_minute"),
        bench.count("r2", "requests_per_minute"),
    )


def test_tokens_are_drawn_when_sent_and_settled_by_the_usage() -> None:
    """What was not used may be drawn again."""
    bench = Bench(
        "m",
        settings=replace(
            SETTINGS, tokens_per_minute=1_200, burst_s=1.0, reserve_units=0.0, reserve_s=0.0
        ),
    )
    stated = RateLimit(name="tokens", limit=1_200, remaining=20)
    bench.scheduler.on_limits("r0", [stated], now=0.0)
    bench.offer("ab", "cd")
    send = bench.send()
    assert WaitUntil(1.0) == bench.poll()
    bench.scheduler.on_answer(
        send.request_id,
        labels={0: ("noise",), 1: ("noise",)},
        defect=None,
        note="",
        usage=Usage(input_tokens=4, output_tokens=6),
        model="m",
        latency_s=0.1,
        now=0.0,
    )
    assert WaitUntil(0.5) == bench.poll()


def test_the_confidence_that_a_service_states_goes_with_the_label() -> None:
    """And none is made up where it states none."""
    bench = Bench("m")
    bench.offer("a", "b")
    settled = *bench.answer(bench.send(), confidence=0.75), *bench.answer(bench.send())
    assert [0.75, None] == [verdict.confidence for _, verdict in settled]


def test_declined_chunks_fail_at_once_where_there_is_no_other_route() -> None:
    """Those that got no answer at all are asked again, without them."""
    bench = Bench("m")
    bench.offer("abc")
    settled = bench.answer(bench.send(), "b", declined="c")
    assert [("b", "noise"), ("c", "refused")] == kinds(settled)
    assert [("r0", "a")] == bench.sends()


def test_a_request_holds_no_more_chunks_than_its_route_takes() -> None:
    """A pack goes out in parts, in order."""
    bench = Bench("m", most_chunks=2)
    bench.offer("abcde")
    assert [("r0", "ab"), ("r0", "cd"), ("r0", "e")] == bench.sends()


def test_missing_chunks_are_asked_again_and_at_last_alone() -> None:
    """Only they; the labels of the others are settled at once."""
    bench = Bench("m")
    bench.offer("abc")
    assert [("b", "noise")] == kinds(bench.answer(bench.send(), "b"))
    send = bench.send()
    assert ("ac", 2) == (ids_of(send.pack), send.attempt)
    assert () == bench.answer(send, "", defect="foreign_id")
    one, other = bench.send(), bench.send()
    assert ("a", "c", 3) == (ids_of(one.pack), ids_of(other.pack), one.attempt)
    assert () == bench.answer(one, "")
    again = bench.next_send()
    ((_, verdict),) = bench.answer(again, "", defect="empty")
    assert ("defect", "empty: why", 4) == (
        verdict.error and verdict.error.kind,
        verdict.error and verdict.error.message,
        verdict.attempts,
    )


def test_a_rate_limit_holds_everything_and_counts_no_attempt() -> None:
    """Nothing goes before the pause is over, then the same pack goes first."""
    bench = Bench("m", "m")
    bench.offer("ab", "c")
    send = bench.send()
    assert () == bench.fail(send, RateLimited("slow", retry_after_s=7.0))
    decision = bench.poll()
    assert isinstance(decision, WaitUntil)
    assert decision.at is not None
    assert 7.0 <= decision.at <= 7.7
    again = bench.next_send()
    assert ("ab", 1, decision.at) == (ids_of(again.pack), again.attempt, bench.now)
    assert ["rate_limited"] == bench.told
    assert (1, 0) == (bench.count("r0", "rate_limited"), bench.scheduler.statistics()["retries"])


def test_a_service_that_asks_to_slow_down_is_told_once_with_how_long_it_lasts() -> None:
    """Refusals within the next minute say nothing new."""
    bench = Bench("m")
    bench.offer("ab")
    bench.fail(bench.send(), RateLimited("slow", code="slow_down"))
    bench.fail(bench.next_send(), RateLimited("slow", code="slow_down"))
    assert ["rate_limited", "rate_cut", "rate_limited"] == bench.told


def test_a_rate_limit_beyond_the_cap_closes_the_route() -> None:
    """Its chunks go to the next one; without one the run stops."""
    bench = Bench("m", "n")
    bench.offer("a")
    bench.fail(bench.send(), RateLimited("tomorrow", retry_after_s=3_600.0))
    send = bench.send()
    assert ("r1", "n") == (send.route, send.model)
    bench.fail(send, RateLimited("tomorrow", retry_after_s=3_600.0))
    assert ("tomorrow", Finished()) == (bench.scheduler.stop_reason, bench.poll())
    assert [("a", "stopped")] == kinds(bench.scheduler.take_abandoned())
    assert () == bench.scheduler.take_abandoned()


def test_a_wait_beyond_the_cap_closes_every_route_of_the_same_limit() -> None:
    """Routes of one account and model share it: the second would wait just as long."""
    bench = Bench("m", "m", "n")
    bench.offer("a", order=(0, 1, 2))
    bench.fail(bench.send(), RateLimited("tomorrow", retry_after_s=3_600.0))
    assert ["route_closed", "route_closed"] == bench.told
    assert ("r2", "n") == ((send := bench.send()).route, send.model)
    alone = Bench("m", "m")
    alone.offer("a")
    alone.fail(alone.send(), RateLimited("tomorrow", retry_after_s=3_600.0))
    assert ("tomorrow", Finished()) == (alone.scheduler.stop_reason, alone.poll())
    assert [("a", "stopped")] == kinds(alone.scheduler.take_abandoned())


def test_a_route_that_only_refuses_is_closed_after_the_outage_limit() -> None:
    """A run never waits for an account that gives nothing; idle time does not count."""
    bench = Bench("m")
    bench.offer("a")
    bench.fail(bench.send(), RateLimited("slow", retry_after_s=50.0))
    bench.scheduler.withdraw(lambda pack: True, now=bench.now)
    bench.now = begin = 10 * OUTAGE_S
    bench.offer("b")
    while bench.scheduler.stop_reason is None:
        bench.fail(bench.next_send(), RateLimited("slow", retry_after_s=50.0))
    assert begin + OUTAGE_S <= bench.now <= begin + OUTAGE_S + 55.0
    assert "slow" == bench.scheduler.stop_reason


def test_a_refused_key_closes_every_route_of_its_account() -> None:
    """Routes of another account go on; the refused request is no attempt."""
    bench = Bench("m", "n", "m", accounts="kkx")
    bench.offer("a")
    bench.fail(bench.send(), AccountClosed("bad key"))
    send = bench.send()
    assert ("r2", 1) == (send.route, send.attempt)
    assert ["route_closed", "route_closed"] == bench.told
    assert "bad key" == bench.count("r1", "closed_because")


def test_a_refused_key_stops_the_run_if_no_route_is_left() -> None:
    """All that waits is abandoned; what is in flight still counts; later offers are not sent."""
    bench = Bench("m", "n")
    bench.offer("a", "b")
    bench.scheduler.limit_in_flight(2)
    bad, good = bench.send(), bench.send()
    bench.offer("c")
    error = AccountClosed("bad key")
    bench.fail(bad, error)
    assert error is bench.scheduler.stop_error
    assert WaitUntil(None) == bench.poll()
    assert [("b", "noise")] == kinds(bench.answer(good))
    bench.offer("d")
    assert Finished() == bench.poll()
    assert ["a", "c", "d"] == sorted(name for name, _ in kinds(bench.scheduler.take_abandoned()))


def test_a_closed_route_hands_its_chunks_on() -> None:
    """Also those that an order lists nothing else for: they fail with what is known."""
    bench = Bench("m", "n")
    bench.offer("a")
    bench.offer("b", order=(0,))
    bench.fail(bench.send(), RouteClosed("no such model"))
    assert [("r1", "a")] == bench.sends()
    assert [("b", "unavailable")] == kinds(bench.scheduler.take_abandoned())


def test_a_lost_request_comes_again_after_its_backoff() -> None:
    """Ahead of what waits, as its next attempt."""
    bench = Bench("m")
    bench.offer("a")
    bench.fail(bench.send(), LOST)
    decision = bench.poll()
    assert isinstance(decision, WaitUntil)
    assert decision.at is not None
    assert 0.0 < decision.at <= SETTINGS.backoff_base_s
    assert 2 == bench.next_send().attempt
    assert 1 == bench.scheduler.statistics()["retries"]


def test_a_wait_that_a_failing_service_asks_for_is_kept() -> None:
    """Up to the cap."""
    bench = Bench("m")
    for asked_s, expected_s in ((20.0, 20.0), (1e9, SETTINGS.retry_after_cap_s)):
        bench.offer("a")
        send = bench.next_send()
        begin = bench.now
        bench.fail(send, TransportError("busy", retry_after_s=asked_s))
        bench.answer(bench.next_send())
        assert begin + expected_s == bench.now


def test_a_chunk_that_gets_lost_too_often_fails() -> None:
    """After five attempts, when no other route is there; the breaker does not hide it."""
    bench = Bench("m")
    bench.offer("a")
    for _ in range(SETTINGS.attempts_per_route - 1):
        assert () == bench.fail(bench.next_send(), LOST)
        bench.offer("b")
        bench.answer(bench.send())
    assert [("a", "unavailable")] == kinds(bench.fail(bench.next_send(), LOST))


def test_a_rejected_pack_is_halved_down_to_the_chunk() -> None:
    """Neighbours get their labels; the chunk that is refused alone twice has failed."""
    bench, settled, sent = Bench("m"), list[tuple[str, str]](), list[str]()
    bench.offer("abcd")
    while len(settled) < 4:
        send = bench.next_send()
        names = ids_of(send.pack)
        sent.append(names)
        is_bad = "c" in names
        settled += kinds(bench.fail(send, RequestRejected("400")) if is_bad else bench.answer(send))
    assert ["abcd", "ab", "cd", "c", "d", "c"] == sent
    assert [("a", "noise"), ("b", "noise"), ("c", "rejected"), ("d", "noise")] == sorted(settled)


def test_a_reply_that_cannot_be_read_is_asked_again() -> None:
    """As an answer without labels."""
    bench = Bench("m")
    bench.offer("ab")
    bench.fail(bench.send(), AnswerDefect("no JSON", defect="malformed_reply"))
    assert [("r0", "ab")] == bench.sends()


def test_what_is_no_failure_of_a_request_is_raised() -> None:
    """A full disk is not the scheduler's business."""
    bench = Bench("m")
    bench.offer("a")
    with pytest.raises(LedgerError):
        bench.fail(bench.send(), LedgerError("disk full"))


def test_a_stop_abandons_what_waits_and_keeps_what_is_in_flight() -> None:
    """The first reason stays; missing chunks of a late answer are abandoned, too."""
    bench = Bench("m")
    bench.offer("ab", "c")
    first, second = bench.send(), bench.send()
    bench.fail(second, LOST)
    bench.offer("d")
    bench.scheduler.stop("by the user")
    bench.scheduler.stop("another reason")
    assert ["stopped"] == bench.told
    assert ("by the user", None) == (bench.scheduler.stop_reason, bench.scheduler.stop_error)
    assert WaitUntil(None) == bench.poll()
    assert [("a", "noise")] == kinds(bench.answer(first, "a"))
    assert Finished() == bench.poll()
    assert ["b", "c", "d"] == sorted(name for name, _ in kinds(bench.scheduler.take_abandoned()))


def test_a_request_that_is_lost_after_a_stop_is_abandoned() -> None:
    """It is not sent again."""
    bench = Bench("m")
    bench.offer("a")
    send = bench.send()
    bench.scheduler.stop("by the user")
    assert () == bench.fail(send, LOST)
    assert Finished() == bench.poll()
    assert [("a", FailureKind.STOPPED)] == kinds(bench.scheduler.take_abandoned())


def test_withdrawn_packs_are_forgotten_and_a_cancelled_request_gives_its_tokens_back() -> None:
    """Both queued and delayed ones; nobody gets a verdict on them."""
    bench = Bench("m", settings=replace(SETTINGS, tokens_per_minute=1_200, burst_s=1.0))
    bench.offer("a", "b", "c")
    lost, unsent = bench.send(), bench.send()
    bench.fail(lost, LOST)
    bench.scheduler.withdraw(lambda pack: ids_of(pack) in "ac", now=bench.now)
    bench.scheduler.cancel(unsent.request_id, was_sent=False, now=bench.now)
    assert (Finished(), ()) == (bench.poll(), bench.scheduler.take_abandoned())
    bench.offer("d")
    assert [("r0", "d")] == bench.sends()


def test_a_cancelled_request_that_was_sent_gives_nothing_back() -> None:
    """The service has counted its tokens, so the next request waits."""
    bench = Bench("m", settings=replace(SETTINGS, tokens_per_minute=1_200, burst_s=0.5))
    bench.offer("a")
    bench.scheduler.cancel(bench.send().request_id, was_sent=True, now=bench.now)
    bench.offer("b")
    assert isinstance(bench.poll(), WaitUntil)


def test_tokens_of_an_unusable_reply_are_counted() -> None:
    """It was billed, although nobody got a label for it."""
    bench = Bench("m")
    bench.offer("a")
    error = ModelRefused("no")
    error.usage = Usage(input_tokens=7, output_tokens=1)
    bench.fail(bench.send(), error)
    routes = bench.scheduler.statistics()["routes"]
    assert isinstance(routes, dict)
    assert (7, 1) == (routes["r0"]["input_tokens"], routes["r0"]["output_tokens"])


def test_misuse_is_our_own_error() -> None:
    """Time that goes back, and outcomes of requests that are not in flight."""
    bench = Bench("m")
    bench.now = 5.0
    bench.offer("a")
    send = bench.send()
    bench.answer(send)
    with pytest.raises(LocalProtocolError, match=f"{send.request_id} is not in flight"):
        bench.answer(send)
    bench.now = 4.0
    with pytest.raises(LocalProtocolError, match=r"back from 5\.0 to 4\.0"):
        bench.poll()


def test_a_route_that_adapted_is_not_down() -> None:
    """Many requests that were asked in the old way go again at once, on the same route."""
    bench = Bench("m", "n", limit=9)
    bench.offer(*"abcdefghi")
    sends = [bench.send() for _ in range(9)]
    for send in sends:
        bench.fail(send, RouteAdapted("one conversation only"))
    assert ["r0"] * 9 == [route for route, _ in bench.sends()]
    assert [] == bench.told
