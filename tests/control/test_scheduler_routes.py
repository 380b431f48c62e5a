"""Which route a chunk takes while routes refuse, go away and return."""

from __future__ import annotations

import pytest

from analysis.control.decisions import Finished, Send, WaitUntil
from analysis.errors import (
    ModelRefused,
    RateLimited,
    TransportError,
)
from analysis.settings import SETTINGS
from tests.control.bench import LOST, OUTAGE_S, UNREACHED, Bench, kinds
from tests.control.parcels import ids_of


def test_a_refused_chunk_is_tried_on_the_next_route_and_then_fails() -> None:
    """Alone on two routes is enough."""
    bench = Bench("m", "n", "o")
    bench.offer("a")
    assert () == bench.fail(bench.send(), ModelRefused("no"))
    send = bench.send()
    assert "r1" == send.route
    ((_, verdict),) = bench.fail(send, ModelRefused("no"))
    assert ("refused", "r1", "n", 2) == (
        verdict.error and verdict.error.kind,
        verdict.route,
        verdict.model,
        verdict.attempts,
    )


def test_chunks_wait_for_a_route_that_worked_before_another_model() -> None:
    """For `other_model_after_s`; then they go over as the other route has room."""
    bench = Bench("m", "n", limit=2)
    bench.offer("a", "b", "c")
    bench.answer(bench.send())
    sends = [bench.send(), bench.send()]
    bench.fail(sends[0], LOST)
    bench.fail(sends[1], UNREACHED)
    bench.offer(*"def")
    assert ["route_down"] == bench.told
    # The chunk that failed itself may go over as soon as its backoff is over; the one that was not
    # sent has not failed.
    send = bench.next_send()
    assert ("r1", "b") == (send.route, ids_of(send.pack))
    assert bench.now <= SETTINGS.backoff_base_s
    probes = []
    while (send := bench.next_send()).route == "r0":
        probes.append((send.is_probe, bench.now))
        bench.fail(send, UNREACHED)
    assert [True, True] == [is_probe for is_probe, _ in probes]
    assert (SETTINGS.other_model_after_s, "r1") == (bench.now, send.route)
    assert WaitUntil is type(bench.poll())
    assert 2 == bench.scheduler.in_flight


def test_what_a_probe_leaves_of_a_pack_stays_with_its_own_route() -> None:
    """One chunk goes to the other model; the first route returns and gets the other one."""
    bench = Bench("m", "n", accounts="kl")
    bench.offer("z", order=(1,))
    bench.fail(bench.send(), UNREACHED)
    bench.now = 2.0
    bench.offer("y", order=(0,))
    bench.fail(bench.send(), UNREACHED)
    bench.scheduler.withdraw(lambda pack: True, now=2.0)
    bench.offer("ab")
    bench.now = 3.7
    probe = bench.send()
    assert ("r1", "a", True) == (probe.route, ids_of(probe.pack), probe.is_probe)
    bench.now = 5.7
    other = bench.send()
    assert ("r0", "b", True) == (other.route, ids_of(other.pack), other.is_probe)


def test_chunks_that_stayed_are_sent_when_their_route_returns() -> None:
    """The probe finds out; its answer lets all others go there."""
    bench = Bench("m", "n", limit=1)
    bench.offer("a")
    bench.fail(bench.send(), UNREACHED)
    bench.offer("bc", "d", "e")
    over = bench.send()
    assert ("r1", "bc") == (over.route, ids_of(over.pack))
    probe = bench.next_send()
    assert (True, "r0", 1) == (probe.is_probe, probe.route, len(probe.pack.items))
    assert [("a", "noise")] == kinds(bench.answer(probe))
    assert ["route_down", "route_up"] == bench.told
    assert [("r0", "d")] == bench.sends()


def test_routes_of_one_model_take_over_at_once() -> None:
    """No label changes by it."""
    bench = Bench("m", "m")
    bench.offer("a")
    bench.answer(bench.send())
    bench.offer("b")
    bench.fail(bench.send(), UNREACHED)
    bench.offer("c")
    assert [("r1", "c")] == bench.sends()


def test_a_probe_goes_while_old_requests_still_hang() -> None:
    """One chunk, one at a time, within the limit; the rest of its pack stays ahead."""
    bench = Bench("m", limit=3)
    bench.offer("x", "abc")
    hanging, lost = bench.send(), bench.send()
    bench.scheduler.limit_in_flight(2)
    bench.fail(lost, UNREACHED)
    probe = bench.next_send()
    assert (True, "a", 2) == (probe.is_probe, ids_of(probe.pack), bench.scheduler.in_flight)
    over_at = SETTINGS.first_contact_s  # down since 0, and it never worked
    assert WaitUntil(over_at) == bench.poll()
    bench.fail(hanging, LOST)
    assert WaitUntil is type(bench.poll())
    bench.answer(probe)
    assert ("r0", "bc") in bench.sends()


def test_the_next_probe_is_another_chunk() -> None:
    """A chunk that breaks the way does not pass for an outage."""
    bench = Bench("m")
    bench.offer("x", "a", "b", "c")
    bench.answer(bench.send())
    bench.fail(bench.send(), UNREACHED)
    names = []
    for _ in range(4):
        probe = bench.next_send()
        names.append(ids_of(probe.pack))
        bench.fail(probe, LOST)
    assert ["a", "b", "c", "a"] == names


def test_a_probe_that_the_service_refuses_shows_that_it_is_there() -> None:
    """The route is in use again, after the pause that the service asks for."""
    bench = Bench("m")
    bench.offer("a", "b")
    bench.fail(bench.send(), UNREACHED)
    bench.fail(bench.next_send(), RateLimited("slow", retry_after_s=SETTINGS.first_contact_s * 2))
    assert ["route_down", "route_up", "rate_limited"] == bench.told
    assert not bench.next_send().is_probe
    assert bench.scheduler.stop_reason is None


@pytest.mark.parametrize(
    ("has_worked", "limit_s"), [(False, SETTINGS.first_contact_s), (True, OUTAGE_S)]
)
def test_a_run_stops_when_every_route_is_away_for_too_long(
    has_worked: bool, limit_s: float
) -> None:
    """Soon if none was ever reached; the reason names the last error; probes until then."""
    bench = Bench("m")
    if has_worked:
        bench.offer("z")
        bench.answer(bench.send())
    bench.offer("a", "b")
    bench.fail(bench.send(), UNREACHED)
    while isinstance(decision := bench.poll(), WaitUntil):
        assert decision.at is not None
        bench.now = decision.at
        if isinstance(probe := bench.poll(), Send):
            bench.fail(probe, UNREACHED)
    assert Finished() == decision
    assert limit_s <= bench.now <= limit_s + 1.2 * SETTINGS.breaker_open_cap_s
    reason = f"No route answered for {limit_s:.0f} s. Last error: no connection"
    assert (reason, reason) == (bench.scheduler.stop_reason, str(bench.scheduler.stop_error))
    assert ["stopped", "stopped"] == [k for _, k in kinds(bench.scheduler.take_abandoned())]


def test_time_without_work_is_no_outage() -> None:
    """A call long after one that failed gets its probe."""
    bench = Bench("m")
    bench.offer("a")
    bench.fail(bench.send(), UNREACHED)
    bench.scheduler.withdraw(lambda pack: True, now=bench.now)
    bench.now = 100 * OUTAGE_S
    assert Finished() == bench.poll()
    bench.offer("b")
    probe = bench.send()
    assert probe.is_probe
    bench.fail(probe, UNREACHED)
    assert isinstance(bench.poll(), WaitUntil)
    assert bench.scheduler.stop_reason is None


def test_chunks_at_a_last_route_that_stays_away_fail_while_the_others_work() -> None:
    """A chunk that the first route refused does not keep the run open for ever."""
    bench = Bench("m", "n")
    bench.offer("a", "b")
    for _ in range(2):
        bench.fail(bench.send(), ModelRefused("no"))
    assert [] == bench.told
    failed: list[tuple[str, str]] = []
    while len(failed) < 2:
        decision = bench.poll()
        failed += kinds(bench.scheduler.take_abandoned())
        if isinstance(decision, Send):
            assert "r1" == decision.route
            bench.fail(decision, UNREACHED)
        elif isinstance(decision, WaitUntil) and decision.at is not None:
            bench.now = decision.at
    assert [("a", "unavailable"), ("b", "unavailable")] == sorted(failed)
    assert SETTINGS.first_contact_s <= bench.now <= SETTINGS.first_contact_s + 30.0
    bench.offer("c")
    assert [("r0", "c")] == bench.sends()


def test_declined_chunks_go_to_the_next_route_and_are_not_asked_twice() -> None:
    """Whatever model it has; declined there too, they have failed, with both requests counted."""
    bench = Bench("m", "n")
    bench.offer("abc")
    assert [("b", "noise")] == kinds(bench.answer(bench.send(), "b", declined="ac"))
    send = bench.send()
    assert ("r1", "ac") == (send.route, ids_of(send.pack))
    settled = bench.answer(send, "a", declined="c")
    assert [("a", "noise"), ("c", "refused")] == kinds(settled)
    assert ("r1", 2) == (settled[1][1].route, settled[1][1].attempts)
    assert [] == bench.sends()


def test_a_cut_socket_moves_nothing_to_another_model() -> None:
    """All that was lost with it is asked again on the same route after a backoff."""
    bench = Bench("m", "n", limit=8)
    bench.offer(*"abcdefgh")
    socket = object()
    for send in [bench.send() for _ in range(8)]:
        lost = TransportError("cut")
        lost.loss = socket
        bench.fail(send, lost)
    again = [bench.next_send() for _ in range(8)]
    assert {"r0"} == {send.route for send in again}
    assert [] == bench.told


def test_what_was_not_sent_waits_for_its_own_model() -> None:
    """A refused connection says nothing about a chunk: it moves no sooner than those behind it."""
    bench = Bench("m", "n", limit=2)
    bench.offer("a", "b")
    bench.answer(bench.send())
    bench.fail(bench.send(), UNREACHED)
    while (send := bench.next_send()).route == "r0":
        bench.fail(send, UNREACHED)
    assert (SETTINGS.other_model_after_s, "r1", "b") == (bench.now, send.route, ids_of(send.pack))


@pytest.mark.parametrize(
    ("prompts", "route"), [(("text", "text"), "r1"), (("choices", "text"), "r0")]
)
def test_the_same_model_with_another_prompt_counts_as_another(
    prompts: tuple[str, str], route: str
) -> None:
    """Rows share one model and one prompt: what did not fail itself waits for its own route."""
    bench = Bench("m", "m", limit=2, prompts=prompts)
    bench.offer("a", "b")
    bench.answer(bench.send())
    bench.fail(bench.send(), UNREACHED)
    bench.offer("c")
    assert route == bench.next_send().route


def test_when_all_routes_are_away_the_run_stops_and_no_chunk_fails() -> None:
    """Also one whose last route went first: it is stopped with all others, resumable."""
    bench = Bench("m", "m", limit=1)
    bench.offer("a")
    bench.answer(bench.send())
    bench.offer("b", order=(1,))
    bench.fail(bench.send(), UNREACHED)
    bench.offer("c")
    held = bench.send()
    assert "r0" == held.route
    settled: list[tuple[str, str]] = []
    bench.now = 60.0  # the other route goes a minute later
    settled += kinds(bench.fail(held, UNREACHED))
    while not bench.scheduler.stop_reason:
        decision = bench.poll()
        if isinstance(decision, Send):
            settled += kinds(bench.fail(decision, UNREACHED))
        elif isinstance(decision, WaitUntil) and decision.at is not None:
            bench.now = decision.at
        settled += kinds(bench.scheduler.take_abandoned())
    assert ([("b", "stopped"), ("c", "stopped")], 180.0) == (sorted(settled), bench.now)
