"""What an analyzer plans before it sends: its routes, the size of packs, and estimates.

Pure. `labelling` uses it, and through it every analyzer and file run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from analysis.connections import TIER_ROUTES
from analysis.control.planner import Budgets, plan, ways_of
from analysis.control.routes import RoutePlan
from analysis.control.sizes import Packing
from analysis.labels.prompt import PromptBuilder
from analysis.prices import DEFAULT_TIER
from analysis.records import Chunk
from analysis.settings import CHOICE_ROUTES, UNSTATED_LIMITS, Settings
from analysis.tally import JobSizer, PackTally

FLEX = "flex"
"""The service tier whose answers may take minutes, so that a late one is nothing to act on."""


class Planning:
    """Route plans, packings and tallies for one analyzer.

    Attributes:
        routes: What the scheduler has to know of each route, in the order of preference.
    """

    def __init__(
        self,
        builder: PromptBuilder,
        *,
        models: Mapping[str, str],
        account: str,
        max_concurrent: int | None,
        service_tier: str | None,
        settings: Settings,
    ) -> None:
        self._builder = builder
        self._models = models
        self._service_tier = service_tier
        self._settings = settings
        self.routes = [
            RoutePlan(
                name=route,
                model=model,
                account=account if route != "offline" else "offline",
                in_flight=_in_flight(route, max_concurrent, settings),
                most_chunks=settings.decision_questions if route in CHOICE_ROUTES else None,
                states_limits=route not in UNSTATED_LIMITS,
                prompt="choices" if route in CHOICE_ROUTES else "text",
                may_copy=not (service_tier == FLEX and route in TIER_ROUTES),
            )
            for route, model in models.items()
        ]

    def limit_in_flight(self, most: int | None) -> None:
        """Plan with so many requests at once on every route; None: with each route's own number."""
        self.routes = [
            replace(one, in_flight=_in_flight(one.name, most, self._settings))
            for one in self.routes
        ]

    def learned(self, route: str) -> Budgets | None:
        """Return the limits that an earlier run has learned, None if it has not."""
        found = next(one.learned for one in self.routes if one.name == route)
        return None if found is None else Budgets.learned(found, self._settings)

    def packing(
        self,
        slices: Iterable[Sequence[Chunk]],
        *,
        topic: str | None,
        route: str,
        known: Budgets | None = None,
        every: int = 1,
    ) -> Packing:
        """Return how these chunks are packed if they begin on a route.

        Args:
            slices: The chunks.
            topic: Of chunks without one of their own.
            route: Where they begin.
            known: The limits as far as they are known; None assumes them, so that the packing
                depends on the chunks alone.
            every: The tokens of each so-many-th chunk stand for those of all.
        """
        sizer = JobSizer(
            self._builder,
            topic=topic,
            settings=self._settings,
            as_choices=route in CHOICE_ROUTES,
            every=every,
        )
        for chunks in slices:
            sizer.add(chunks)
        job, ways = sizer.size(), ways_of(self.routes, route, self._settings)
        budgets = known or Budgets.assumed(self._settings)
        found = plan(job, budgets, ways, settings=self._settings)
        return Packing(plan=found, job=job, ways=tuple(ways), budgets=known)

    def tally(
        self, route: str, topic: str | None, per_request: int, *, is_whole: bool = False
    ) -> PackTally:
        """Return a counter of what a job on a route takes."""
        return PackTally(
            self._builder,
            topic=topic,
            chunks_per_request=per_request,
            model=self._models[route],
            in_flight=next(one.in_flight for one in self.routes if one.name == route),
            settings=self._settings,
            as_choices=route in CHOICE_ROUTES,
            tier=(self._service_tier if route in TIER_ROUTES else None) or DEFAULT_TIER,
            is_whole=is_whole,
        )


def _in_flight(route: str, most: int | None, settings: Settings) -> int:
    own: int = getattr(settings, f"{route.replace('-', '_')}_in_flight")
    return own if most is None or route == "offline" else most
