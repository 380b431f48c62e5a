"""What a route may send, what may leave it, and how verdicts are made."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from analysis.control.learned import Learned, LearnedLimit
from analysis.control.parcels import Parcel
from analysis.control.routes import (
    NEVER,
    RoutePlan,
    RouteState,
    all_down_since,
    has_open_route_after,
    lets_go_at,
    open_routes,
    way_out,
)
from analysis.records import Pack, Usage
from analysis.settings import SETTINGS
from tests.control.parcels import flight_of, parcel_of

AFTER_S = SETTINGS.other_model_after_s


def cost_of(route: str, pack: Pack) -> int:
    """Return the estimated tokens of the chunks."""
    return pack.tokens


def routes_of(*models: str, limit: int = 2, account: str = "k") -> list[RouteState]:
    """Return routes with these models, on one account."""
    plans = [
        RoutePlan(name=f"r{place}", model=model, account=account, in_flight=limit)
        for place, model in enumerate(models)
    ]
    return open_routes(plans, rng=random.Random(1), now=0.0, settings=SETTINGS)


def fly(route: RouteState, count: int) -> None:
    """Let so many requests be on their way."""
    route.flights = {str(place): flight_of(parcel_of("z")) for place in range(count)}


def take_down(route: RouteState, *, at: float, has_worked: bool = True) -> RouteState:
    """Open the breaker of a route."""
    if has_worked:
        route.breaker.on_success()
    route.breaker.on_failure(now=at, is_refused_connection=True)
    return route


def exit_of(parcel: Parcel, routes: list[RouteState], now: float) -> tuple[float, int]:
    """Return when and to which stage a parcel may leave."""
    return way_out(parcel, routes, cost_of=cost_of, after_s=AFTER_S, now=now)


def test_routes_share_a_pacer_by_account_and_model() -> None:
    """Limits are the account's, per model."""
    one, same, other = routes_of("m", "m", "n")
    assert one.pacer is same.pacer
    assert one.pacer is not other.pacer
    assert one.breaker is not same.breaker


def test_a_pacer_and_a_latency_begin_with_what_was_learned() -> None:
    """Any route of an account and model may bring it; the latency is the route's own."""
    learned = Learned(requests=LearnedLimit(per_minute=30.0))
    bare = RoutePlan(name="r0", model="m", account="k", in_flight=1)
    plans = [bare, replace(bare, name="r1", learned=learned, latency_s=3.0)]
    first, second = open_routes(plans, rng=random.Random(1), now=0.0, settings=SETTINGS)
    assert 30.0 == first.pacer.requests.per_minute
    assert SETTINGS.tokens_per_minute == first.pacer.tokens.per_minute
    assert pytest.approx(3.0) == second.latency.predict(1)
    assert first.latency.predict(1) < 2.0


def test_a_route_sends_up_to_its_limit() -> None:
    """Then only an outcome makes room."""
    (route,) = routes_of("m")
    parcel = parcel_of("ab")
    assert 0.0 == route.ready_at(parcel, cost_of=cost_of, now=0.0)
    fly(route, 2)
    assert NEVER == route.ready_at(parcel, cost_of=cost_of, now=0.0)


def test_a_route_that_is_shut_is_ready_for_a_probe_later() -> None:
    """One probe at a time, and within the limit; old requests in flight do not stop it."""
    (route,) = routes_of("m")
    take_down(route, at=1.0)
    parcel, probe_at = parcel_of("ab"), route.breaker.opens_at
    assert probe_at is not None
    assert probe_at == route.ready_at(parcel, cost_of=cost_of, now=1.0)
    fly(route, 1)
    assert probe_at == route.ready_at(parcel, cost_of=cost_of, now=probe_at)
    route.is_probed = True
    assert NEVER == route.ready_at(parcel, cost_of=cost_of, now=probe_at)


def test_the_pacer_counts_a_probe_as_one_chunk() -> None:
    """And another request as its whole pack."""
    knobs = replace(SETTINGS, tokens_per_minute=1_200, burst_s=1.0)
    plan = RoutePlan(name="r", model="m", account="k", in_flight=2)
    (route,) = open_routes([plan], rng=random.Random(1), now=0.0, settings=knobs)
    route.pacer.take(cost_tokens=10, now=0.0)
    assert 0.5 == route.ready_at(parcel_of("ab"), cost_of=cost_of, now=0.0)
    take_down(route, at=-100.0)
    assert 0.0 == route.ready_at(parcel_of("ab"), cost_of=cost_of, now=0.0)


def test_a_route_that_is_up_lets_nobody_go() -> None:
    """Whatever happened to the chunks."""
    one, other = routes_of("m", "n")
    assert NEVER == lets_go_at(one, other, has_failed=True, after_s=AFTER_S)


@pytest.mark.parametrize(
    ("model", "has_failed", "has_worked", "expected"),
    [
        ("n", False, True, 5.0 + AFTER_S),
        ("n", True, True, 5.0),
        ("n", False, False, 5.0),
        ("m", False, True, 5.0),
    ],
)
def test_a_route_that_is_down_lets_chunks_go(
    model: str, has_failed: bool, has_worked: bool, expected: float
) -> None:
    """At once if they failed there, it never worked, or the model is the same; else later."""
    one, other = routes_of("m", model)
    take_down(one, at=5.0, has_worked=has_worked)
    assert expected == lets_go_at(one, other, has_failed=has_failed, after_s=AFTER_S)


def test_a_parcel_leaves_only_for_a_route_that_can_send_it() -> None:
    """The rest stays with its own route, which may return."""
    one, other = routes = routes_of("m", "m")
    parcel = parcel_of("a", order=(0, 1))
    assert (NEVER, 0) == exit_of(parcel, routes, 5.0)
    take_down(one, at=5.0)
    assert (5.0, 1) == exit_of(parcel, routes, 5.0)
    fly(other, 2)
    assert (NEVER, 1) == exit_of(parcel, routes, 5.0)


def test_the_older_parcel_goes_first() -> None:
    """What the other route has itself waits no longer for what comes over."""
    one, other = routes = routes_of("m", "m")
    take_down(one, at=5.0)
    other.queue.append(parcel_of("b", order=(1,), since=2.0))
    assert (NEVER, 1) == exit_of(parcel_of("a", order=(0, 1), since=3.0), routes, 5.0)
    assert (5.0, 1) == exit_of(parcel_of("a", order=(0, 1), since=2.0), routes, 5.0)


def test_a_way_out_passes_over_routes_that_are_away_or_closed() -> None:
    """A third route counts if the second is down, too, and from when both let go."""
    one, other, third = routes = routes_of("m", "m", "n")
    parcel = parcel_of("a", order=(0, 1, 2))
    take_down(one, at=5.0)
    fly(other, 2)
    assert (NEVER, 1) == exit_of(parcel, routes, 6.0)
    fly(other, 0)
    take_down(other, at=7.0)
    assert (other.breaker.opens_at, 1) == exit_of(parcel, routes, 7.0)
    assert (40.0, 1) == exit_of(parcel, routes, 40.0)
    other.is_probed = True
    assert (40.0, 2) == exit_of(parcel, routes, 40.0)
    other.closed = "gone"
    assert (40.0, 2) == exit_of(parcel, routes, 40.0)
    third.closed = "gone"
    assert (NEVER, 0) == exit_of(parcel, routes, 40.0)
    assert not has_open_route_after(parcel, routes)


def test_all_are_down_since_the_last_one_went() -> None:
    """Closed routes do not count, and one that is up is enough."""
    one, other, third = routes = routes_of("m", "n", "o")
    take_down(one, at=5.0)
    third.closed = "gone"
    assert all_down_since(routes) is None
    take_down(other, at=9.0)
    assert 9.0 == all_down_since(routes)
    one.closed = other.closed = "gone"
    assert all_down_since(routes) is None


def test_a_request_takes_no_more_chunks_than_its_route_allows() -> None:
    """A probe takes one; without a limit the pack stays whole."""
    (route,) = routes_of("m")
    small = replace(route, plan=replace(route.plan, most_chunks=2))
    assert (2, True) == (small.most_at(0.0), route.most_at(0.0) > 1_000)
    route.breaker.on_silence(now=0.0)
    assert (1, True) == (route.most_at(60.0), route.is_to_probe(60.0))


def test_a_route_counts_what_it_was_billed() -> None:
    """Its statistics are plain values."""
    (route,) = routes_of("m")
    route.count_usage(
        Usage(
            input_tokens=10, cached_tokens=4, written_tokens=3, output_tokens=2, reasoning_tokens=1
        )
    )
    route.count_usage(Usage(input_tokens=1))
    found = route.statistics()
    assert (0, 11, 4, 3, 2, 1, True, 5_000.0) == (
        found["requests_answered"],
        found["input_tokens"],
        found["cached_tokens"],
        found["written_tokens"],
        found["output_tokens"],
        found["reasoning_tokens"],
        found["is_open"],
        found["requests_per_minute"],
    )
