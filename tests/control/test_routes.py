"""What a route may send, what may leave it, and how verdicts are made."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from analysis.control.routes import (
    NEVER,
    Parcel,
    RoutePlan,
    RouteState,
    all_down_since,
    cut,
    fail_items,
    has_open_route_after,
    label_items,
    lets_go_at,
    open_routes,
    singles,
    stop_items,
    way_out,
)
from analysis.records import ErrorDetail, Failed, FailureKind, Labeled, Pack, Usage
from analysis.settings import SETTINGS
from tests.control.parcels import ids_of, parcel_of

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


def test_parts_of_a_parcel_share_its_history() -> None:
    """Order of the chunks, and every counter."""
    parcel = replace(parcel_of("abc", order=(1, 0), since=3.0), attempts=4, answers=1, last=None)
    one, rest = cut(parcel, 1)
    assert ["a", "bc"] == [ids_of(one.pack), ids_of(rest.pack)]
    assert ["a", "b", "c"] == [ids_of(part.pack) for part in singles(parcel)]
    assert parcel == replace(rest, pack=parcel.pack)
    assert [parcel] == cut(parcel, 3)


def test_moving_on_begins_a_clean_record() -> None:
    """Attempts and lone failures on other routes are kept."""
    parcel = replace(parcel_of("a", order=(2, 0)), attempts=3, failed_routes=1, way_failures=5)
    assert (2, True) == (parcel.route_index, parcel.has_failed_here)
    parcel.move_to(1)
    assert (0, False, 3, 1) == (
        parcel.route_index,
        parcel.has_failed_here,
        parcel.attempts,
        parcel.failed_routes,
    )


def test_a_route_sends_up_to_its_limit() -> None:
    """Then only an outcome makes room."""
    (route,) = routes_of("m")
    parcel = parcel_of("ab")
    assert 0.0 == route.ready_at(parcel, cost_of=cost_of, now=0.0)
    route.in_flight = 2
    assert NEVER == route.ready_at(parcel, cost_of=cost_of, now=0.0)


def test_a_route_that_is_shut_is_ready_for_a_probe_later() -> None:
    """One probe at a time, and within the limit; old requests in flight do not stop it."""
    (route,) = routes_of("m")
    take_down(route, at=1.0)
    parcel, probe_at = parcel_of("ab"), route.breaker.opens_at
    assert probe_at is not None
    assert probe_at == route.ready_at(parcel, cost_of=cost_of, now=1.0)
    route.in_flight = 1
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
    other.in_flight = 2
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
    other.in_flight = 2
    assert (NEVER, 1) == exit_of(parcel, routes, 6.0)
    other.in_flight = 0
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


def test_only_labelled_chunks_get_a_verdict_with_their_share() -> None:
    """Each its own labels and an equal share of the usage."""
    parcel = replace(parcel_of("abc"), attempts=2)
    usage = Usage(input_tokens=31, output_tokens=6)
    found = [
        *label_items(
            parcel, "rest", {0: ("noise",), 2: ("example",)}, usage, "m-2026", 0.5, {2: 0.75}
        ),
    ]
    expected = [
        Labeled(
            chunk_id=name,
            labels=(label,),
            confidence=confidence,
            route="rest",
            model="m-2026",
            attempts=2,
            pack=3,
            latency_s=0.5,
            usage=Usage(input_tokens=tokens, output_tokens=2),
        )
        for name, label, tokens, confidence in (
            ("a", "noise", 11, None),
            ("c", "example", 10, 0.75),
        )
    ]
    assert expected == [verdict for _, verdict in found]
    assert ["a", "c"] == [item.chunk.id for item, _ in found]


def test_a_request_takes_no_more_chunks_than_its_route_allows() -> None:
    """The rest stays in order; a probe takes one; without a limit the pack stays whole."""
    (route,) = routes_of("m")
    small = replace(route, plan=replace(route.plan, most_chunks=2))

    def taken(route: RouteState, names: str, *, is_probe: bool = False) -> list[str]:
        return [ids_of(part.pack) for part in route.portion(parcel_of(names), is_probe=is_probe)]

    assert ["abcde"] == taken(route, "abcde")
    assert ["ab", "cde"] == taken(small, "abcde")
    assert ["ab"] == taken(small, "ab")
    assert ["a", "bc"] == taken(route, "abc", is_probe=True)
    assert ["a", "b"] == taken(small, "ab", is_probe=True)


def test_a_part_of_a_parcel_keeps_its_history() -> None:
    """In the order of the pack; there is no parcel of nothing."""
    parcel = replace(parcel_of("abc"), attempts=2)
    part = parcel.part({2, 0})
    assert part is not None
    assert ("ac", 2) == (ids_of(part.pack), part.attempts)
    assert None is parcel.part(())


def test_chunks_that_nothing_helped_say_what_went_wrong_last() -> None:
    """On which route, after how many requests; without any request: no answer."""
    detail = ErrorDetail(kind=FailureKind.TIMEOUT, message="late")
    plan = RoutePlan(name="rest", model="m", account="k", in_flight=1)
    ((item, verdict),) = fail_items(replace(parcel_of("a"), attempts=5, last=detail), plan)
    expected = Failed(chunk_id="a", error=detail, route="rest", model="m", attempts=5, pack=1)
    assert ("a", expected) == (item.chunk.id, verdict)
    ((_, verdict),) = fail_items(parcel_of("a"), plan)
    assert isinstance(verdict, Failed)
    assert FailureKind.UNAVAILABLE == verdict.error.kind


def test_chunks_of_a_stopped_run_say_why() -> None:
    """They name no route: none is to blame."""
    ((_, verdict),) = stop_items(replace(parcel_of("a"), attempts=1), "by the user")
    detail = ErrorDetail(kind=FailureKind.STOPPED, message="by the user")
    assert Failed(chunk_id="a", error=detail, attempts=1) == verdict


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
