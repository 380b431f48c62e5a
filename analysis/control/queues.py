"""What waits: the queue of each route, parcels delayed until a time, and verdicts not handed out.

Pure. Only the scheduler uses it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from analysis.control.decisions import Settled
from analysis.control.parcels import Parcel, fail_items, stop_items
from analysis.control.routes import NEVER, RouteState
from analysis.records import Item, Pack, Verdict

LAST_LAP = 64
"""A queue that is shorter is likely to be the rest of a job: as many packs are cut ahead."""


class Queues:
    """The parcels of a run that are not in flight.

    Attributes:
        stop_reason: Why nothing is queued any more, or None.
        next_at: When the first delayed parcel is due; `NEVER` if there is none.
    """

    def __init__(self, routes: Sequence[RouteState]) -> None:
        self.stop_reason: str | None = None
        self.next_at = NEVER
        self._routes = routes
        self._delayed: list[tuple[float, int, Parcel]] = []
        self._sequence = 0
        self._abandoned: list[tuple[Item, Verdict]] = []

    def __bool__(self) -> bool:
        return bool(self._delayed) or any(route.queue for route in self._routes)

    def put(self, parcel: Parcel, *, at_front: bool = False) -> None:
        """Queue a parcel at its present route."""
        if self.stop_reason is not None:
            self._abandoned.extend(stop_items(parcel, self.stop_reason))
        elif at_front:
            queue = self._routes[parcel.route_index].queue
            if parcel.attempts and queue and is_last_lap(queue):
                put_by_size(parcel, queue)
            else:
                queue.appendleft(parcel)
        else:
            self._routes[parcel.route_index].queue.append(parcel)

    def delay(self, parcel: Parcel, until: float) -> None:
        """Queue a parcel at that time."""
        if self.stop_reason is not None:
            self._abandoned.extend(stop_items(parcel, self.stop_reason))
        else:
            self._sequence += 1
            heapq.heappush(self._delayed, (until, self._sequence, parcel))
            self.next_at = self._delayed[0][0]

    def wake(self, now: float) -> None:
        """Put what is due to the front of its queue."""
        while self._delayed and self._delayed[0][0] <= now:
            self.put(heapq.heappop(self._delayed)[2], at_front=True)
        self._look_ahead()

    def leave(self, parcel: Parcel, *, at_front: bool = True, until: float = 0.0) -> None:
        """Move a parcel to its next route, or give it up if this was the last one.

        It is not sent there before `until`.
        """
        if parcel.stage + 1 < len(parcel.order):
            parcel.move_to(parcel.stage + 1)
            if until:
                self.delay(parcel, until)
            else:
                self.put(parcel, at_front=at_front)
        else:
            self.abandon(self.give_up(parcel))

    def give_up(self, parcel: Parcel) -> Settled:
        """Return the verdicts on chunks that nothing helped."""
        plan = self._routes[parcel.route_index].plan
        return fail_items(parcel, route=plan.name, model=plan.model)

    def abandon(self, settled: Iterable[tuple[Item, Verdict]]) -> None:
        """Keep verdicts that belong to no ending, until they are taken."""
        self._abandoned.extend(settled)

    def take_abandoned(self) -> Settled:
        """Return the verdicts kept; each one once."""
        settled, self._abandoned = tuple(self._abandoned), []
        return settled

    def stop(self, reason: str) -> None:
        """Abandon everything, now and from now on."""
        self.stop_reason = reason
        waiting = [parcel for _, _, parcel in self._delayed]
        for route in self._routes:
            waiting.extend(route.queue)
            route.queue.clear()
        self._delayed.clear()
        self._look_ahead()
        for parcel in waiting:
            self._abandoned.extend(stop_items(parcel, reason))

    def withdraw(self, is_unwanted: Callable[[Pack], bool]) -> None:
        """Forget packs that nobody waits for any more."""
        self._delayed = [entry for entry in self._delayed if not is_unwanted(entry[2].pack)]
        heapq.heapify(self._delayed)
        self._look_ahead()
        for route in self._routes:
            kept = [parcel for parcel in route.queue if not is_unwanted(parcel.pack)]
            route.queue.clear()
            route.queue.extend(kept)

    def _look_ahead(self) -> None:
        self.next_at = self._delayed[0][0] if self._delayed else NEVER


def bring_fresh(route: RouteState) -> None:
    """Put parcels that were sent before to the end of a queue, until its head is another one."""
    for _ in range(len(route.queue)):
        if not route.queue[0].attempts:
            return
        route.queue.rotate(-1)


def turns(routes: Sequence[RouteState]) -> Sequence[RouteState]:
    """Return the routes in the order in which their queues are served.

    A queue whose head was sent before comes first, so that no chunk waits for the end. Near the
    end it comes last if it is smaller than what waits elsewhere and was offered no later.
    """
    for place in range(1, len(routes)):
        if routes[place].queue and routes[place].peers:
            break
    else:
        return routes
    heads = [one.queue[0] for one in routes if one.queue]
    is_end = all(is_last_lap(one.queue) for one in routes)

    def turn(one: RouteState) -> int:
        if not (one.peers and one.queue and one.queue[0].attempts):
            return 1
        return 2 if is_end and any(goes_before(head, one.queue[0]) for head in heads) else 0

    return sorted(routes, key=turn)


def is_last_lap(queue: deque[Parcel]) -> bool:
    """Tell whether a queue is so short that no more is likely to come."""
    return len(queue) < LAST_LAP


def goes_before(other: Parcel, parcel: Parcel) -> bool:
    """Tell whether another parcel goes before a retry near the end: it is larger and no younger.

    The answer to a larger request takes longer, so what is sent last should be small.
    """
    return len(other.pack.items) > len(parcel.pack.items) and other.since <= parcel.since


def put_by_size(parcel: Parcel, queue: deque[Parcel]) -> None:
    """Put a retry behind all that go before it, from the head of the queue on."""
    for place, other in enumerate(queue):
        if not goes_before(other, parcel):
            queue.insert(place, parcel)
            return
    queue.append(parcel)
