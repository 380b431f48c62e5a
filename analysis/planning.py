"""What an analyzer plans before it sends: its routes, the size of packs, and estimates.

Pure. `labelling` uses it, and through it every analyzer and file run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from analysis.connections import TIER_ROUTES
from analysis.control.learned import Learned, LearnedLimit
from analysis.control.planner import Budgets, plan, ways_of
from analysis.control.routes import RoutePlan
from analysis.control.sizes import Packing
from analysis.control.spending import Rates
from analysis.errors import ConfigurationError
from analysis.labels.prompt import PromptBuilder
from analysis.prices import DEFAULT_TIER, PriceTable
from analysis.records import Chunk
from analysis.settings import CHOICE_ROUTES, UNSTATED_LIMITS, Settings
from analysis.tally import (
    CACHE_PREFIX_TOKENS,
    CACHE_ROUTES,
    JobSizer,
    PackTally,
    prefix_tokens,
)

SAMPLED_CHUNKS = 256
"""So many chunks of a list at least are measured to plan its packs; all of a shorter one."""

OFFLINE = "offline"
NO_LIMITS = Learned(requests=LearnedLimit(per_minute=1e12), tokens=LearnedLimit(per_minute=1e12))
"""Of the offline route: its labeller is a function in the process, and nobody counts its calls."""

FLEX = "flex"
"""The service tier whose answers may take minutes, so that a late one is nothing to act on."""


ESTIMATED_TOO_HIGH = 1.1
"""Estimated tokens of instructions and schema by those of the vocabulary o200k_base, for the
shipped sets with their examples: 1.05 to 1.13. Source: the tables in docs/reference/label-sets.md.
Where it is more, a run waits once in vain."""


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
        prices: PriceTable,
        settings: Settings,
    ) -> None:
        self._builder = builder
        self._models = models
        self._service_tier = service_tier
        self._prices = prices
        self._settings = settings
        self.routes = [
            RoutePlan(
                name=route,
                model=model,
                account=account if route != OFFLINE else OFFLINE,
                in_flight=_in_flight(route, max_concurrent, settings),
                most_chunks=settings.decision_questions if route in CHOICE_ROUTES else None,
                states_limits=route not in UNSTATED_LIMITS,
                prompt="choices" if route in CHOICE_ROUTES else "text",
                may_copy=not (service_tier == FLEX and route in TIER_ROUTES),
                rates=self._rates(route, model),
                cached_prefix_tokens=_surely_cached(builder, route),
                learned=NO_LIMITS if route == OFFLINE else None,
            )
            for route, model in models.items()
        ]

    def check_budget(self, budget_usd: float) -> None:
        """Check that a run can keep a budget.

        Raises:
            ConfigurationError: If it is no amount, or a model has no price.
        """
        if not math.isfinite(budget_usd) or budget_usd <= 0:
            raise ConfigurationError(
                f"A budget of {budget_usd:g} USD cannot be kept. Pass an amount above 0."
            )
        for one in self.routes:
            if one.rates is None:
                tier = self._tier(one.name)
                at = "" if tier == DEFAULT_TIER else f" at the service tier {tier}"
                raise ConfigurationError(
                    f"A budget needs a price for each model, and the table of {self._prices.date} "
                    f"has none for {one.model!r}{at} on the route {one.name}. Name the price in a "
                    "table of your own (--prices FILE, or prices=), or leave the budget out."
                )

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

    def _has_learned(self, route: str) -> bool:
        """Tell whether a limit is known, and not only a latency."""
        found = next(one.learned for one in self.routes if one.name == route)
        if found is None or found == NO_LIMITS:
            return False
        return (found.requests or found.tokens) is not None

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
            route=route,
            prices=self._prices,
            budgets=self.learned(route),
            is_learned=self._has_learned(route),
            settings=self._settings,
            as_choices=route in CHOICE_ROUTES,
            tier=self._tier(route),
            is_whole=is_whole,
        )

    def _tier(self, route: str) -> str:
        return (self._service_tier if route in TIER_ROUTES else None) or DEFAULT_TIER

    def _rates(self, route: str, model: str) -> Rates | None:
        """Return what tokens of a route cost, None if nobody knows."""
        price, knobs = self._prices.price_of(model, tier=self._tier(route)), self._settings
        if price is None:
            return None
        is_text = route not in CHOICE_ROUTES
        return Rates(
            input=price.input,
            cached=price.cached,
            written=price.input if price.written is None else price.written,
            output=price.output,
            answer_tokens=knobs.output_tokens_per_request * is_text,
            answer_tokens_each=knobs.output_tokens_per_chunk * is_text,
        )


def _surely_cached(builder: PromptBuilder, route: str) -> int:
    """Return the tokens of the instructions where a service caches them for all requests, else 0.

    So many by the estimate that there are enough although it is too high: a run that waits for a
    cache that will not be filled loses time and saves nothing.
    """
    tokens = prefix_tokens(builder, route) if route in CACHE_ROUTES else 0
    return tokens if tokens >= ESTIMATED_TOO_HIGH * CACHE_PREFIX_TOKENS else 0


def _in_flight(route: str, most: int | None, settings: Settings) -> int:
    own: int = getattr(settings, f"{route.replace('-', '_')}_in_flight")
    return own if most is None or route == OFFLINE else most
