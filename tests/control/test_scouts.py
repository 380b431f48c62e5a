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

LONG = tuple(f"{number}" for number in range(6))
"""Packs that take three seconds at two requests a second: long work."""


def routes_of(bench: Bench) -> list[str]:
    """Return the routes of long work, each request answered before the next one."""
    bench.offer(*LONG)
    found = []
    for _ in LONG:
        send = bench.next_send()
        found.append(send.route)
        bench.answer(send)
    return found


def test_a_small_job_sends_no_scout() -> None:
    """What waits takes a second and a half."""
    bench = Bench("m", "m", silent=1, settings=TWO_AT_ONCE)
    bench.offer("a", "b", "c")
    assert ["r0"] * 3 == [bench.next_send().route for _ in range(3)]


def test_the_first_request_of_long_work_is_the_scout_and_only_it() -> None:
    """It waits its turn like any other: the limits are the account's."""
    bench = Bench("m", "m", limit=8, silent=1, settings=TWO_AT_ONCE)
    bench.offer(*LONG)
    assert [("r1", "0"), ("r0", "1")] == bench.sends()
    decision = bench.poll()
    assert isinstance(decision, WaitUntil) and decision.at == 0.5
    assert ["r0"] * 4 == [bench.next_send().route for _ in range(4)]


def test_another_scout_goes_when_what_it_told_is_old_and_requests_wait() -> None:
    """Five seconds later."""
    bench = Bench("m", "m", limit=99, silent=1, settings=TWO_AT_ONCE)
    bench.offer(*(f"{number:02}" for number in range(30)))
    told = []
    for _ in range(24):
        send = bench.next_send()
        if send.route == "r1":
            told.append(bench.now)
    assert [0.0, 5.0] == told[:2]  # it has answered by then, so others follow it


def test_what_the_scout_hears_paces_both_routes() -> None:
    """A hundred times the assumed limit: the rest goes at once."""
    bench = Bench("m", "m", limit=8, silent=1, settings=TWO_AT_ONCE)
    bench.offer(*LONG)
    scout = bench.send()
    bench.sends()
    bench.scheduler.on_limits("r1", [RateLimit(name="requests", limit=12_000)], now=bench.now)
    bench.answer(scout)
    bench.now += 0.1
    assert list(LONG[2:]) == [chunk for _, chunk in bench.sends()]


def test_what_remains_was_stated_before_so_no_scout_is_needed() -> None:
    """Whoever stated it."""
    bench = Bench("m", "m", silent=1, settings=TWO_AT_ONCE)
    said = [RateLimit(name="requests", limit=120, remaining=100)]
    bench.scheduler.on_limits("r1", said, now=bench.now)
    assert ["r0"] * 6 == routes_of(bench)


def test_a_route_with_another_model_is_no_scout() -> None:
    """Its limits are its own, and its labels are another model's."""
    bench = Bench("m", "n", silent=1, settings=TWO_AT_ONCE)
    assert ["r0"] * 6 == routes_of(bench)


def test_a_route_that_states_its_limits_sends_none() -> None:
    """They come with its answers."""
    bench = Bench("m", "m", settings=TWO_AT_ONCE)
    assert ["r0"] * 6 == routes_of(bench)


def test_a_route_that_asks_in_another_way_is_no_scout() -> None:
    """The same model with another prompt is another label."""
    bench = Bench("m", "m", silent=1, prompts=("text", "choices"), settings=TWO_AT_ONCE)
    assert ["r0"] * 6 == routes_of(bench)


def test_a_scout_that_finds_nobody_goes_back_to_its_own_route() -> None:
    """The chunk is answered there, and no second scout is sent at once."""
    bench = Bench("m", "m", limit=8, silent=1, settings=TWO_AT_ONCE)
    bench.offer(*LONG)
    scout = bench.send()
    assert ("r1", "0") == (scout.route, ids_of(scout.pack))
    bench.fail(scout, UNREACHED)
    left = [bench.next_send() for _ in LONG]
    assert {"r0"} == {one.route for one in left}
    assert set(LONG) == {ids_of(one.pack) for one in left}
