"""What waits: in order, until its time, and never lost by a stop."""

from __future__ import annotations

import random
from dataclasses import replace

from analysis.control.parcels import Parcel
from analysis.control.queues import LAST_LAP, Queues, turns
from analysis.control.routes import NEVER, RoutePlan, RouteState, open_routes
from analysis.records import Failed, FailureKind
from analysis.settings import SETTINGS
from tests.control.parcels import ids_of, parcel_of


def queues_of(count: int = 2) -> tuple[Queues, list[RouteState]]:
    """Return queues over so many routes."""
    plans = [
        RoutePlan(name=f"r{place}", model="m", account="k", in_flight=2) for place in range(count)
    ]
    routes = open_routes(plans, rng=random.Random(1), now=0.0, settings=SETTINGS)
    return Queues(routes), routes


def retry(names: str, *, order: tuple[int, ...] = (0,), since: float = 0.0) -> Parcel:
    """Return a parcel that was sent before."""
    return replace(parcel_of(names, order=order, since=since), attempts=1)


def waiting(route: RouteState) -> str:
    """Return the chunks in the queue of a route."""
    return "".join(ids_of(parcel.pack) for parcel in route.queue)


def test_a_parcel_waits_at_its_route_behind_or_before_the_others() -> None:
    """An empty set of queues is false."""
    queues, (first, second) = queues_of()
    assert not queues
    queues.put(parcel_of("a"))
    queues.put(parcel_of("b"), at_front=True)
    queues.put(parcel_of("c", order=(1,)))
    assert ("ba", "c", True) == (waiting(first), waiting(second), bool(queues))


def test_delayed_parcels_come_to_the_front_when_they_are_due() -> None:
    """Not before; of two that are due the later one is in front."""
    queues, (first, _) = queues_of()
    queues.put(parcel_of("z"))
    queues.delay(parcel_of("b"), 2.0)
    queues.delay(parcel_of("a"), 1.0)
    queues.delay(parcel_of("c"), 3.0)
    assert 1.0 == queues.next_at
    queues.wake(0.5)
    assert "z" == waiting(first)
    queues.wake(2.0)
    assert ("baz", 3.0, True) == (waiting(first), queues.next_at, bool(queues))
    queues.wake(3.0)
    assert NEVER == queues.next_at


def test_a_parcel_leaves_for_its_next_route_or_is_given_up() -> None:
    """The verdicts wait until they are taken, once."""
    queues, (_, second) = queues_of()
    parcel = parcel_of("a", order=(0, 1))
    queues.leave(parcel)
    assert "a" == waiting(second)
    queues.leave(parcel)
    ((_, verdict),) = queues.take_abandoned()
    assert isinstance(verdict, Failed)
    assert (FailureKind.UNAVAILABLE, "r1", ()) == (
        verdict.error.kind,
        verdict.route,
        queues.take_abandoned(),
    )


def test_a_stop_abandons_what_waits_and_what_still_comes() -> None:
    """Whatever it waits for."""
    queues, _ = queues_of()
    queues.put(parcel_of("a"))
    queues.delay(parcel_of("b"), 5.0)
    queues.stop("enough")
    queues.put(parcel_of("c"))
    queues.delay(parcel_of("d"), 9.0)
    settled = queues.take_abandoned()
    assert "abcd" == "".join(sorted(item.chunk.id for item, _ in settled))
    kinds = {verdict.error.kind for _, verdict in settled if isinstance(verdict, Failed)}
    assert ({FailureKind.STOPPED}, False) == (kinds, bool(queues))


def test_withdrawn_packs_are_forgotten() -> None:
    """Queued and delayed ones; nobody gets a verdict."""
    queues, (first, _) = queues_of()
    for name in "ab":
        queues.put(parcel_of(name))
        queues.delay(parcel_of(name), 1.0)
    queues.withdraw(lambda pack: ids_of(pack) == "a")
    queues.wake(1.0)
    assert ("bb", ()) == (waiting(first), queues.take_abandoned())


def test_a_queue_of_equal_routes_whose_head_was_sent_before_is_served_first() -> None:
    """Else chunks that came back to the second route would wait for the end of the first queue."""
    queues, (first, second) = queues_of()
    queues.put(parcel_of("a"))
    assert [first, second] == list(turns((first, second)))
    again = parcel_of("b", order=(1,))
    queues.put(again)
    assert [first, second] == list(turns((first, second)))
    again.attempts = 1
    assert [second, first] == list(turns((first, second)))


def test_near_the_end_a_retry_goes_behind_what_is_larger() -> None:
    """Unless it was offered earlier; its answer takes less time, so it does not end the run."""
    queues, (first, _) = queues_of()
    for names in ("abc", "de", "f"):
        queues.put(parcel_of(names))
    queues.put(retry("xy"), at_front=True)
    assert "abcxydef" == waiting(first)
    queues.put(retry("z", since=-1.0), at_front=True)
    assert "zabcxydef" == waiting(first)
    queues.put(retry("uvw"), at_front=True)
    assert "uvwzabcxydef" == waiting(first)


def test_far_from_the_end_a_retry_is_the_next() -> None:
    """Nobody waits for the end of a long queue."""
    queues, (first, _) = queues_of()
    for _ in range(LAST_LAP):
        queues.put(parcel_of("ab"))
    queues.put(retry("z"), at_front=True)
    assert "z" == waiting(first)[0]


def test_near_the_end_a_smaller_retry_of_an_equal_route_is_served_last() -> None:
    """A larger one, or an older one, is served first as ever."""
    queues, (first, second) = queues_of()
    queues.put(parcel_of("ab"))
    for again, expected in (
        (retry("x", order=(1,)), [first, second]),
        (retry("x", order=(1,), since=-1.0), [second, first]),
        (retry("xyz", order=(1,)), [second, first]),
    ):
        second.queue.clear()
        second.queue.append(again)
        assert expected == list(turns((first, second)))


def test_a_parcel_may_have_to_wait_at_its_next_route() -> None:
    """It is queued there when its time has come."""
    queues, (first, second) = queues_of()
    queues.leave(parcel_of("a", order=(0, 1)), until=5.0)
    queues.wake(4.9)
    assert ("", "", 5.0) == (waiting(first), waiting(second), queues.next_at)
    queues.wake(5.0)
    assert ("", "a") == (waiting(first), waiting(second))
