"""What the scheduler does with limits: statements by request, requests too large, long pauses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.control.decisions import Finished, WaitUntil
from analysis.control.learned import Learned, LearnedLimit
from analysis.errors import AnalysisError, RateLimited, RequestRejected
from analysis.records import FailureKind, RateLimit
from analysis.settings import SETTINGS
from tests.control.bench import LOST, Bench, kinds
from tests.control.parcels import ids_of

HOUR = RateLimited("later", retry_after_s=3_600.0)


def test_a_statement_reaches_the_pacer_with_its_request() -> None:
    """What was drawn after that request is taken off, what came before it and was heard is not."""
    bench = Bench("m")
    bench.offer("a", "b", "c")
    first, second, _ = bench.send(), bench.send(), bench.send()
    said = [RateLimit(name="requests", limit=6_000, remaining=5_000)]
    for send in (first, second):
        bench.scheduler.on_limits("r0", said, now=0.0, request_id=send.request_id)
    (pacer,) = {route.pacer for route in bench.scheduler._routes}
    assert 4_999.0 == pacer.requests.level(0.0)
    bench.scheduler.on_limits("r0", said, now=0.0, request_id="gone")
    assert 4_997.0 == pacer.requests.level(0.0)


@pytest.mark.parametrize(("error", "excess"), [(LOST, 5.0), (RequestRejected("no"), 10.0)])
def test_a_request_that_got_lost_need_not_have_arrived(error: AnalysisError, excess: float) -> None:
    """If much more is left than believed it leaves room for another; not so one that was read."""
    known = Learned(requests=LearnedLimit(per_minute=600, window_s=1.0, guard=0.0))
    bench = Bench("m", limit=200, learned=known)
    bench.now = 9.0
    bench.offer(*"abcdefghijk")
    sends = [bench.send() for _ in range(10)]
    pacer = bench.scheduler._routes[0].pacer
    low, full = (RateLimit(name="requests", limit=600, remaining=left) for left in (100, 600))
    bench.scheduler.on_limits("r0", [low], now=9.0, request_id=sends[0].request_id)
    bench.now = 9.1
    last = bench.send()
    assert 10.0 == pytest.approx(pacer.requests.excess(9.1))
    for send in sends[1:6]:
        bench.fail(send, error)
    bench.scheduler.on_limits("r0", [full], now=9.1, request_id=last.request_id)
    assert excess == pytest.approx(pacer.requests.excess(9.1))


def test_a_pack_above_a_minutes_tokens_goes_in_halves() -> None:
    """Without a wait and without a request to the service."""
    bench = Bench("m")
    bench.scheduler.on_limits("r0", [RateLimit(name="tokens", limit=25)], now=0.0)
    bench.offer("abcd")
    sends = [bench.next_send(), bench.next_send()]
    assert ["ab", "cd"] == [ids_of(send.pack) for send in sends]
    assert [1, 1] == [send.attempt for send in sends]


def test_a_chunk_above_a_minutes_tokens_fails_at_once_on_the_only_route() -> None:
    """The verdict says so."""
    bench = Bench("m")
    bench.scheduler.on_limits("r0", [RateLimit(name="tokens", limit=9)], now=0.0)
    bench.offer("a")
    assert Finished() == bench.poll()
    settled = bench.scheduler.take_abandoned()
    assert [("a", FailureKind.TOO_LONG)] == kinds(settled)


def test_a_chunk_above_a_minutes_tokens_takes_a_route_with_a_higher_limit() -> None:
    """Another model has limits of its own."""
    bench = Bench("m", "n")
    bench.scheduler.on_limits("r0", [RateLimit(name="tokens", limit=9)], now=0.0)
    bench.offer("a")
    assert [("r1", "a")] == bench.sends()


def test_a_route_that_asks_for_an_hour_is_used_again_after_it() -> None:
    """Meanwhile another one serves; the message says for how long."""
    bench = Bench("m", "n", accounts="kl")
    bench.offer("a")
    bench.fail(bench.send(), HOUR)
    assert [("r1", "a")] == bench.sends()
    assert str(bench.count("r0", "closed_because")) == "later"
    bench.now = 3_500.0
    bench.offer("b")
    assert [("r1", "b")] == bench.sends()
    bench.now = 4_000.0
    bench.offer("c")
    assert [("r0", "c")] == bench.sends()
    assert ["route_closed", "route_up"] == bench.told


def test_an_hour_for_a_model_and_account_is_one_for_all_its_routes() -> None:
    """A chunk does not wait an hour behind a route that shares the limit; another model serves."""
    bench = Bench("m", "m", "n", accounts="kkl")
    bench.offer("a")
    bench.fail(bench.send(), HOUR)
    assert [("r2", "a")] == bench.sends()


def test_an_hour_on_the_only_route_stops_the_run() -> None:
    """Nobody waits for it; the run can be resumed."""
    bench = Bench("m")
    bench.offer("a")
    bench.fail(bench.send(), HOUR)
    assert Finished() == bench.poll()
    assert [("a", FailureKind.STOPPED)] == kinds(bench.scheduler.take_abandoned())


def test_a_clock_that_was_suspended_for_hours_changes_nothing() -> None:
    """The buckets are full again, and not fuller."""
    bench = Bench("m", limit=200, settings=replace(SETTINGS, requests_per_minute=600))
    bench.offer(*"abcdefghijkl")
    assert 10 == len(bench.sends())
    bench.now = 8 * 3_600.0
    assert 2 == len(bench.sends())
    bench.offer(*"abcdefghijkl")
    assert 8 == len(bench.sends())
    decision = bench.poll()
    assert isinstance(decision, WaitUntil)
    assert decision.at is not None and 0.09 < decision.at - bench.now < 0.11
