"""What the scheduler does when a service takes less, the machine slept, or retries run out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.control.decisions import Finished, WaitUntil
from analysis.errors import AT_ONCE, RateLimited, TransportError
from analysis.settings import SETTINGS
from tests.control.bench import LOST, UNREACHED, Bench
from tests.control.parcels import ids_of

CROWDED = RateLimited("Too many responses in progress.", dimension=AT_ONCE)
SERVER_ERROR = TransportError("500", code="500")


def test_a_service_that_takes_no_more_at_once_gets_fewer() -> None:
    """The rate is not touched, and the refused chunks go as soon as another request ends."""
    bench = Bench("m", limit=8)
    bench.offer(*"abcdefgh")
    sends = [bench.send() for _ in range(8)]
    for send in sends[3:]:
        bench.fail(send, CROWDED)
    assert (3, 5) == (bench.count("r0", "in_flight_limit"), bench.count("r0", "rate_limited"))
    assert [] == bench.sends()
    bench.answer(sends[0])
    again = bench.send()
    assert (1, True) == (again.attempt, ids_of(again.pack) in "defgh")


def test_a_service_that_takes_not_even_one_is_waited_for() -> None:
    """With growing pauses, since somebody else uses its places."""
    bench = Bench("m", limit=1)
    bench.offer("a")
    bench.fail(bench.send(), CROWDED)
    found = bench.poll()
    assert isinstance(found, WaitUntil)
    assert found.at is not None
    assert SETTINGS.backoff_base_s < found.at <= 3 * SETTINGS.backoff_base_s


def test_losses_in_a_row_lower_what_is_in_flight_and_answers_raise_it() -> None:
    """A single loss is chance."""
    bench = Bench("m", limit=8, settings=replace(SETTINGS, breaker_failures=100))
    bench.offer(*"abcdefgh")
    for send in [bench.send() for _ in range(3)]:
        bench.fail(send, SERVER_ERROR)
    assert 8 == bench.count("r0", "in_flight_limit")
    bench.fail(bench.next_send(), SERVER_ERROR)
    assert 5 == bench.count("r0", "in_flight_limit")
    assert ["in_flight_limit"] == bench.told


def test_a_machine_that_slept_has_seen_no_outage() -> None:
    """Eight hours later the route is probed and the run goes on; buckets hold no more than ever."""
    bench = Bench("m")
    bench.offer("a", "b")
    bench.answer(bench.send())
    bench.fail(bench.send(), UNREACHED)
    waiting = bench.poll()
    assert isinstance(waiting, WaitUntil)
    bench.now = 8 * 3_600.0
    assert bench.send().is_probe
    assert None is bench.scheduler.stop_reason
    assert ["route_down", "suspended"] == bench.told


def test_a_long_wait_that_was_asked_for_is_no_sleep() -> None:
    """Nor is a quiet time in which nobody had work."""
    bench = Bench("m")
    bench.offer("a")
    bench.fail(bench.send(), RateLimited("later", retry_after_s=100.0))
    assert "a" == ids_of(bench.next_send().pack)
    assert 100.0 <= bench.now
    bench.now += 40.0
    bench.offer("b")
    bench.send()
    assert "suspended" not in bench.told


def test_retries_wait_when_too_many_requests_fail() -> None:
    """New chunks go first, and one retry at a time until answers have paid for more."""
    knobs = replace(SETTINGS, retry_tokens=2, breaker_failures=1_000, breaker_window=1_000)
    bench = Bench("m", limit=16, settings=knobs)
    bench.offer(*"abcd")
    for send in [bench.send() for _ in range(4)]:
        bench.fail(send, SERVER_ERROR)
    bench.now = 10.0
    assert 2 == len(bench.sends())
    bench.offer("e")
    assert [("r0", "e")] == bench.sends()
    assert [] == bench.sends()


@pytest.mark.parametrize("error", [LOST, SERVER_ERROR])
def test_failures_over_two_routes_of_one_model_are_counted_together(error: TransportError) -> None:
    """Changing between them adds no attempts: five on the first stage, five on the last."""
    knobs = replace(SETTINGS, breaker_failures=1_000, breaker_window=1_000)
    bench = Bench("m", "m", settings=knobs)
    bench.offer("a")
    for _ in range(2 * SETTINGS.attempts_per_route):
        bench.fail(bench.next_send(), error)
    assert Finished() == bench.poll()
