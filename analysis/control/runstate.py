"""What the parts of the scheduler share: routes, queues, requests on their way, time and chance.

Pure. The scheduler makes one and hands it to its parts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.control.decisions import Costs, Notify
from analysis.control.parcels import Flight
from analysis.control.queues import Queues
from analysis.control.routes import RouteState
from analysis.control.spending import Purse
from analysis.control.warming import Warming
from analysis.errors import AnalysisError
from analysis.records import StopCause
from analysis.settings import Settings


@dataclass(slots=True, kw_only=True)
class RunState:
    """The state of one analyzer's scheduler.

    Attributes:
        routes: In the order of preference.
        queues: What waits.
        cost_of: Tells what a request for a pack costs on a route.
        rng: Source of jitter.
        notify: Told (name, message, fields) when something changes.
        settings: Knobs.
        now: Monotonic seconds of the last call.
        busy_since: When the present work began; time without work says nothing about the routes.
        flights: Requests on their way, by id.
        losers: Requests to be cancelled: another one with their chunks was answered.
        ahead: Requests that will be offered later.
        is_whole: Every route is known to be in use; unset by whatever takes one out of use.
        retries: Requests sent again, so far.
        labeled: Chunks that got a label.
        stop_reason: Why nothing is sent any more, or None.
        stop_error: The error behind it, if one was.
        stop_cause: Who or what it was, or None.
        purse: What may be spent; None: any amount.
        ends_at: When nothing is sent any more, monotonic seconds; None: that is not limited.
        seconds: How long that was from the beginning.
        warming: Who waits for a request that fills a cache; None: no route has one to fill.
    """

    routes: Sequence[RouteState]
    queues: Queues
    cost_of: Costs
    rng: random.Random
    notify: Notify
    settings: Settings
    now: float
    busy_since: float
    flights: dict[str, Flight] = field(default_factory=dict)
    losers: list[str] = field(default_factory=list)
    ahead: int = 0
    is_whole: bool = False
    retries: int = 0
    labeled: int = 0
    stop_reason: str | None = None
    stop_error: AnalysisError | None = None
    stop_cause: StopCause | None = None
    purse: Purse | None = None
    ends_at: float | None = None
    seconds: float = 0.0
    warming: Warming | None = None

    def statistics(self) -> dict[str, object]:
        """Return counters of the run and of each route."""
        return {
            "chunks_labeled": self.labeled,
            "retries": self.retries,
            "in_flight": len(self.flights),
            "stopped": self.stop_reason,
            "billed_usd": self.billed_usd,
            "budget": None if self.purse is None else self.purse.statistics(),
            "routes": {route.plan.name: route.statistics() for route in self.routes},
        }

    @property
    def billed_usd(self) -> float | None:
        """What all usage that was reported so far costs; None where a price is not known."""
        total = 0.0
        for route in self.routes:
            usage, rates = route.usage, route.plan.rates
            if not (usage.input_tokens or usage.output_tokens):
                continue
            if rates is None:
                return None
            total += rates.bill_usd(usage)
        return total

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued and nothing on its way."""
        return not (self.flights or self.queues)

    def tell(self, name: str, message: str, **fields: str | float) -> None:
        """Report a change to whoever watches the run."""
        self.notify(name, message, fields)

    def stop(
        self,
        reason: str,
        error: AnalysisError | None = None,
        *,
        cause: StopCause = StopCause.SERVICE,
    ) -> None:
        """Send nothing more; everything queued is abandoned, what is in flight may still end."""
        if self.stop_reason is not None:
            return
        self.stop_reason, self.stop_error, self.stop_cause = reason, error, cause
        self.tell("stopped", reason)
        self.queues.stop(reason)
