"""When a route counts as silent."""

from __future__ import annotations

from analysis.control.decisions import WaitUntil
from analysis.control.watch import is_quiet, patience_s
from analysis.settings import SETTINGS
from tests.control.bench import Bench


def test_patience_is_four_times_the_expected_and_at_least_the_floor() -> None:
    """1.5 s for a fast route, 8 s where two seconds are usual."""
    assert (1.5, 8.0) == (patience_s(0.35), patience_s(2.0))


def test_three_requests_without_a_sign_are_silence() -> None:
    """Counted from the third oldest, or from the last sign; two requests say nothing."""
    bench = Bench("m", "m", limit=8)
    bench.offer("z")
    bench.answer(bench.send())
    usual_s = bench.scheduler.latency_s("r0", 1)
    bench.offer("a", "b")
    assert [("r0", "a"), ("r0", "b")] == bench.sends()
    assert WaitUntil(None) == bench.poll()
    bench.now = 1.0
    bench.offer("c")
    third = bench.send()
    assert WaitUntil(1.0 + patience_s(usual_s)) == bench.poll()
    bench.now = 2.0
    bench.scheduler.on_sign(third.request_id, now=2.0)
    assert WaitUntil(2.0 + patience_s(usual_s)) == bench.poll()
    bench.now = 2.0 + patience_s(usual_s)
    bench.poll()
    assert ["route_down"] == bench.told


def test_a_route_is_quiet_while_a_single_request_waits_for_long() -> None:
    """For its first sign, and as long as nothing else is heard; that is no silence yet."""
    bench = Bench("m", limit=8)
    bench.offer("z")
    bench.answer(bench.send())
    (route,) = bench.scheduler._routes
    assert not is_quiet(route, 99.0, SETTINGS)
    patient_s = patience_s(route.latency.predict(1))
    bench.offer("a")
    waiting = bench.send()
    assert not is_quiet(route, patient_s, SETTINGS)
    assert is_quiet(route, patient_s + 0.1, SETTINGS)
    assert "closed" == route.breaker.state
    bench.scheduler.on_sign(waiting.request_id, now=patient_s)
    assert not is_quiet(route, 2 * patient_s, SETTINGS)


def test_word_of_limits_is_due_while_an_answer_that_tells_is_not_late() -> None:
    """Of a route that states them."""
    bench = Bench("m", "m", silent=1)
    assert not bench.scheduler.awaits_limits(now=0.0)
    bench.offer("a")
    bench.send()
    assert not bench.scheduler.awaits_limits(now=0.0)
    telling = Bench("m")
    telling.offer("a")
    telling.send()
    late_s = SETTINGS.hedge_blind * telling.scheduler.latency_s("r0", 1)
    assert telling.scheduler.awaits_limits(now=late_s)
    assert not telling.scheduler.awaits_limits(now=late_s + 0.1)
