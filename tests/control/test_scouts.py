"""One request goes over a route that states limits, once assumed limits hold requests back."""

from __future__ import annotations

from dataclasses import replace

from analysis.control.decisions import WaitUntil
from analysis.records import RateLimit
from analysis.settings import SETTINGS
from tests.control.bench import UNREACHED, Bench
from tests.control.parcels import ids_of

TWO_AT_ONCE = replace(SETTINGS, requests_per_minute=120, burst_s=1.0)
"""Two requests a second, so the third of a burst has to wait."""


def routes_of(bench: Bench, chunks: int) -> list[str]:
    """Return the route of each of so many requests, answered one by one."""
    found = []
    for number in range(chunks):
        bench.offer(f"{number}")
        send = bench.next_send()
        found.append(send.route)
        bench.answer(send)
    return found


def test_a_small_job_sends_no_scout() -> None:
    """The burst is enough for it: nothing was held back."""
    bench = Bench("m", "m", silent=1, settings=TWO_AT_ONCE)
    bench.offer("a", "b")
    assert [("r0", "a"), ("r0", "b")] == bench.sends()


def test_the_request_after_the_first_wait_is_the_scout_and_only_it() -> None:
    """It waits its turn like any other: the limits are the account's."""
    bench = Bench("m", "m", silent=1, settings=TWO_AT_ONCE)
    bench.offer(*"abcde")
    assert ["r0", "r0"] == [route for route, _ in bench.sends()]
    decision = bench.poll()
    assert isinstance(decision, WaitUntil) and decision.at == 0.5
    assert ["r1", "r0", "r0"] == [bench.next_send().route for _ in range(3)]


def test_what_the_scout_hears_paces_both_routes() -> None:
    """A hundred times the assumed limit: the rest goes at once."""
    bench = Bench("m", "m", limit=8, silent=1, settings=TWO_AT_ONCE)
    bench.offer(*"abcdef")
    bench.sends()
    scout = bench.next_send()
    bench.scheduler.on_limits("r1", [RateLimit(name="requests", limit=12_000)], now=bench.now)
    bench.answer(scout)
    bench.now += 0.1
    assert [("r0", chunk) for chunk in "def"] == bench.sends()


def test_limits_that_were_stated_before_need_no_scout() -> None:
    """Whoever stated them."""
    bench = Bench("m", "m", silent=1, settings=TWO_AT_ONCE)
    bench.scheduler.on_limits("r1", [RateLimit(name="requests", limit=120)], now=bench.now)
    assert ["r0"] * 5 == routes_of(bench, 5)


def test_a_route_with_another_model_is_no_scout() -> None:
    """Its limits are its own, and its labels are another model's."""
    bench = Bench("m", "n", silent=1, settings=TWO_AT_ONCE)
    assert ["r0"] * 5 == routes_of(bench, 5)


def test_a_route_that_states_its_limits_sends_none() -> None:
    """They come with its answers."""
    bench = Bench("m", "m", settings=TWO_AT_ONCE)
    assert ["r0"] * 5 == routes_of(bench, 5)


def test_a_scout_that_finds_nobody_goes_back_to_its_own_route() -> None:
    """The chunk is answered there, and no second scout is sent."""
    bench = Bench("m", "m", silent=1, settings=TWO_AT_ONCE)
    bench.offer(*"abcd")
    bench.sends()
    scout = bench.next_send()
    assert ("r1", "c") == (scout.route, ids_of(scout.pack))
    bench.fail(scout, UNREACHED)
    left = [bench.next_send() for _ in range(2)]
    assert [("r0", "c"), ("r0", "d")] == sorted((one.route, ids_of(one.pack)) for one in left)


def test_a_route_that_asks_in_another_way_is_no_scout() -> None:
    """The same model with another prompt is another label."""
    bench = Bench("m", "m", silent=1, prompts=("text", "choices"), settings=TWO_AT_ONCE)
    assert ["r0"] * 5 == routes_of(bench, 5)


def test_a_queue_that_is_soon_done_sends_no_scout() -> None:
    """At a hundred requests a second, forty are not worth a connection; sixty are."""
    fast = replace(SETTINGS, requests_per_minute=6_000, burst_s=0.1)
    for chunks, routes in ((45, {"r0"}), (75, {"r0", "r1"})):
        bench = Bench("m", "m", limit=99, silent=1, settings=fast)
        bench.offer(*(f"{number:03}" for number in range(chunks)))
        assert routes == {bench.next_send().route for _ in range(chunks)}
