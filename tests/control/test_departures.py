"""What a request that is sent draws, and how it is noted."""

from __future__ import annotations

import random
from dataclasses import replace

from analysis.control.copies import Copies
from analysis.control.decisions import Send
from analysis.control.departures import Departures, head_of
from analysis.control.queues import Queues
from analysis.control.retry_budget import RetryBudget
from analysis.control.routes import RoutePlan, RouteState, open_routes
from analysis.control.runstate import RunState
from analysis.records import Pack
from analysis.settings import SETTINGS
from tests.control.parcels import TOKENS, ids_of, parcel_of


def station(most_chunks: int | None = None) -> tuple[Departures, RouteState, list[str], RunState]:
    """Return departures with one route, that route, the costs asked for and the run."""
    plan = RoutePlan(name="r", model="m", account="k", in_flight=9, most_chunks=most_chunks)
    rng, asked = random.Random(1), list[str]()
    routes = open_routes([plan], rng=rng, now=0.0, settings=SETTINGS)

    def cost_of(route: str, pack: Pack) -> int:
        asked.append(ids_of(pack))
        return pack.tokens

    run = RunState(
        routes=routes,
        queues=Queues(routes),
        cost_of=cost_of,
        rng=rng,
        notify=lambda name, message, fields: None,
        settings=SETTINGS,
        now=0.0,
        busy_since=0.0,
    )
    budget, copies = RetryBudget(settings=SETTINGS), Copies(settings=SETTINGS)
    return Departures(run, budget, copies, lambda: f"q{copies.sent}"), routes[0], asked, run


def test_a_request_is_noted_and_its_cost_drawn() -> None:
    """At its route and in the run, under one id."""
    departures, route, asked, run = station()
    parcel = parcel_of("ab")
    expected = Send("q1", "r", "m", parcel.pack, 1, is_probe=False)
    assert expected == departures.send(parcel, route, 0.0)
    assert ["ab"] == asked
    assert run.flights == route.flights
    assert (2 * TOKENS, 1) == (route.pacer.tokens_reserved, parcel.flights)


def test_the_cost_is_asked_for_once_in_a_decision() -> None:
    """`ready_at` has asked; for another pack, or in a later decision, it is asked again."""
    departures, route, asked, run = station()
    first, second = parcel_of("a"), parcel_of("b")
    route.ready_at(first, run.cost_of, 0.0)
    departures.send(first, route, 0.0)
    assert ["a"] == asked
    departures.send(first, route, 0.0)
    route.ready_at(first, run.cost_of, 0.0)
    departures.send(second, route, 0.0)
    assert ["a", "a", "a", "b"] == asked


def test_a_retry_is_paid_for_once() -> None:
    """Its debt is gone with it."""
    departures, route, _, _ = station()
    parcel = replace(parcel_of("a"), attempts=1, debt=1.0)
    before = departures._budget.tokens
    departures.send(parcel, route, 0.0)
    departures.send(parcel, route, 0.0)
    assert (before - 1.0, 0.0) == (departures._budget.tokens, parcel.debt)


def test_a_copy_on_the_same_route_is_an_echo() -> None:
    """Its loss is no further evidence about the route."""
    departures, route, _, run = station()
    parcel = parcel_of("a")
    departures.send(parcel, route, 0.0)
    copy = departures.launch(parcel, route, 1.0, False, True)
    assert (True, 2) == (copy.is_copy, copy.attempt)
    assert [False, True] == [flight.is_echo for flight in run.flights.values()]


def test_the_rest_of_a_pack_that_is_too_large_stays_in_front() -> None:
    """In the queue that it came from."""
    _, route, _, _ = station(most_chunks=2)
    route.queue.extend([parcel_of("abc"), parcel_of("d")])
    assert "ab" == ids_of(head_of(route, route, 0.0).pack)
    assert ["c", "d"] == [ids_of(parcel.pack) for parcel in route.queue]
