"""Which of several equal routes a request takes, and which one is preferred."""

from __future__ import annotations

import random

from analysis.control.choice import Preference, route_for
from analysis.control.parcels import Parcel
from analysis.control.routes import RoutePlan, RouteState, open_routes
from analysis.settings import SETTINGS
from tests.control.parcels import flight_of, parcel_of


def routes_of(*models: str, limit: int = 2) -> list[RouteState]:
    """Return routes with these models, on one account."""
    plans = [
        RoutePlan(name=f"r{place}", model=model, account="k", in_flight=limit)
        for place, model in enumerate(models)
    ]
    return open_routes(plans, rng=random.Random(1), now=0.0, settings=SETTINGS)


def over(routes: list[RouteState], parcel: Parcel, best: int | None = None) -> int:
    """Return the index of the route that a parcel takes."""
    home = routes[parcel.route_index]
    return route_for(home, parcel, routes, preferred=best, now=0.0, settings=SETTINGS).index


def fill(route: RouteState, count: int) -> None:
    """Let so many requests be on their way."""
    route.flights = {str(place): flight_of(parcel_of("z")) for place in range(count)}


def answer(route: RouteState, seconds: float, times: int = 30) -> None:
    """Let a route show how long it takes."""
    for _ in range(times):
        route.latency.note(1, seconds)


def test_a_request_takes_the_first_route_while_it_can() -> None:
    """Only routes of the same model and account are an alternative at all."""
    routes = routes_of("m", "m", "n")
    parcel = parcel_of("a", order=(0, 1, 2))
    assert [(1,), (0,), ()] == [route.peers for route in routes]
    assert 0 == over(routes, parcel)
    fill(routes[0], 2)
    assert 0 == over(routes_of("m", "n"), parcel)


def test_a_full_route_lets_others_help_if_it_is_slow_enough() -> None:
    """A machine that is busy with the first one is not made faster by a second one."""
    routes, parcel = routes_of("m", "m"), parcel_of("a", order=(0, 1))
    fill(routes[0], 2)
    assert 0 == over(routes, parcel)  # nothing is known of its latency yet
    answer(routes[0], 0.5)
    assert 1 == over(routes, parcel)
    answer(routes[0], 0.001, times=200)
    assert 0 == over(routes, parcel)


def test_a_full_route_that_answers_fast_keeps_its_work_while_limits_bind() -> None:
    """A place is free sooner than another route has connected."""
    routes, parcel = routes_of("m", "m"), parcel_of("a", order=(0, 1))
    fill(routes[0], 2)
    routes[0].pacer.hold(retry_after_s=1.0, now=0.0)
    assert routes[0].pacer.is_rate_bound(0.0)
    answer(routes[0], 0.001, times=200)
    assert 0 == over(routes, parcel)
    parcel.way_failures = 1
    assert 0 == over(routes, parcel)


def test_while_limits_bind_a_route_that_says_nothing_gets_no_more() -> None:
    """Others take it, whatever is on their way, until it is heard of again."""
    routes, parcel = routes_of("m", "m", limit=9), parcel_of("a", order=(0, 1))
    fill(routes[0], 1)
    fill(routes[1], 3)
    for route in routes:
        answer(route, 0.5)
        route.signed_at = 9.0
    routes[0].pacer.hold(retry_after_s=100.0, now=0.0)

    def taken(now: float) -> int:
        return route_for(routes[0], parcel, routes, None, now, SETTINGS).index

    assert 0 == taken(10.0)
    routes[1].signed_at = 29.0
    assert 1 == taken(30.0)
    routes[0].signed_at = 29.5
    assert 0 == taken(30.0)


def test_chunks_that_failed_try_another_way_first() -> None:
    """If it has room and is up."""
    routes, parcel = routes_of("m", "m"), parcel_of("a", order=(0, 1))
    parcel.way_failures = 1
    assert 1 == over(routes, parcel)
    routes[1].breaker.on_failure(now=0.0, is_refused_connection=True)
    assert 0 == over(routes, parcel)


def test_routes_that_were_left_behind_are_no_choice() -> None:
    """The chunks failed there."""
    routes, parcel = routes_of("m", "m", "m"), parcel_of("a", order=(0, 1, 2))
    parcel.move_to(1)
    parcel.way_failures = 1
    assert 2 == over(routes, parcel)


def test_limits_that_hold_requests_back_spread_them() -> None:
    """The one with the fewest on their way; less is lost with a route that dies."""
    routes, parcel = routes_of("m", "m", limit=8), parcel_of("a", order=(0, 1))
    pacer = routes[0].pacer
    while not pacer.is_rate_bound(0.0):
        pacer.take(cost_tokens=1_000, now=0.0)
        pacer.ready_at(cost_tokens=1_000, now=0.0)
    fill(routes[0], 2)
    fill(routes[1], 1)
    assert 0 == over(routes, parcel)  # it has to connect first
    answer(routes[1], 0.5)
    assert 1 == over(routes, parcel)
    fill(routes[1], 3)
    assert 0 == over(routes, parcel)


def test_a_route_that_was_not_used_for_long_gets_one_request() -> None:
    """So that its figures are not too old; if it was ever used."""
    routes, late = routes_of("m", "m"), SETTINGS.explore_every_s
    preference = Preference(settings=SETTINGS)
    preference.review(routes, late)
    assert None is preference.take()
    answer(routes[0], 0.5)
    answer(routes[1], 0.5)
    preference.review(routes, late - 1.0)
    assert None is preference.take()
    preference.review(routes, late)
    assert (1, None) == (preference.take(), preference.take())
    parcel = parcel_of("a", order=(0, 1))
    assert (1, 0) == (over(routes, parcel, best=1), over(routes, parcel, best=0))
    routes[1].used_at = late
    preference.review(routes, late)
    assert None is preference.take()


def test_the_better_route_is_preferred_after_a_while() -> None:
    """By a margin, for twenty seconds, and not back at once."""
    routes = routes_of("m", "m")
    one, other = routes
    preference = Preference(settings=SETTINGS)
    answer(one, 1.0)
    assert None is preference.review(routes, 0.0)
    answer(other, 0.9)
    assert None is preference.review(routes, 1.0)
    answer(other, 0.5, times=100)
    assert None is preference.review(routes, 2.0)
    assert None is preference.review(routes, 21.9)
    found = preference.review(routes, 22.0)
    assert found is not None
    assert (other, "0.50 s per chunk over r1, 1.00 s over r0") == found
    answer(one, 0.1, times=200)
    assert None is preference.review(routes, 23.0)
    assert None is preference.review(routes, 81.0)
    assert preference.review(routes, 82.0) is not None
    assert 0 == preference.index


def test_errors_make_a_route_worse() -> None:
    """Half of the requests lost: an answer takes twice as long."""
    routes = routes_of("m", "m")
    one, other = routes
    answer(one, 1.0)
    answer(other, 1.2)
    for _ in range(4):
        one.breaker.on_success()
        one.breaker.on_failure(now=0.0)
    preference = Preference(settings=SETTINGS)
    preference.review(routes, 0.0)
    assert preference.review(routes, SETTINGS.prefer_after_s) is not None
    assert 1 == preference.index
