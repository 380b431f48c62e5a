"""What the requests of a run cost, and those of all runs of its ledger, by a price table.

Pure. The report puts it into the summary. A run against the local service has no bill: what its
requests would cost is told by the price of the model that was asked for, and marked as simulated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.pipeline.ledger_rows import LedgerTotals, RouteTotals, UnknownRequests
from analysis.prices import DEFAULT_TIER, PriceTable
from analysis.records import Usage

SIMULATED_MODELS = frozenset({"offline-rules", "digest-labels"})
"""Models that are no language model: labels of the local service or of rules."""


def served_tier(facts: Mapping[str, str], route: str, *, asked: str = DEFAULT_TIER) -> str | None:
    """Return the service tier that answered on a route, by which its requests are priced.

    Args:
        facts: Route -> JSON of what is in effect there.
        route: Name of the route.
        asked: What counts where nothing is known of the route, since nothing was sent over it.

    Returns:
        `default` if the service named none, None if it named several: the ledger does not hold
        which request was answered by which.
    """
    if route not in facts:
        return asked
    found = json.loads(facts[route])
    one = found.get("service_tier")
    tiers = found.get("service_tiers") or ([one] if one else [DEFAULT_TIER])
    return str(tiers[0]) if len(tiers) == 1 else None


def total_of(
    entries: Sequence[RouteTotals],
    facts: Mapping[str, str],
    prices: PriceTable,
    *,
    asked_tier: str = DEFAULT_TIER,
) -> tuple[Usage, float | None]:
    """Return the tokens of all entries and their cost in US dollars, None if that is not known."""
    usage, cost = Usage(), 0.0
    is_known = True
    for entry in entries:
        usage += entry.usage
        price = cost_of(entry, facts, prices, asked_tier=asked_tier)
        is_known = is_known and price is not None
        cost += price or 0.0
    return usage, (round(cost, 6) if is_known else None)


def possible_usd(
    unknown: UnknownRequests, facts: Mapping[str, str], prices: PriceTable
) -> float | None:
    """Return what requests without a known ending cost at most, if they were paid for."""
    costs = [cost_of(entry, facts, prices) for entry in unknown.possible]
    known = [cost for cost in costs if cost is not None]
    is_known = len(known) == len(costs) and not unknown.unestimated
    return round(sum(known), 6) if is_known else None


def cost_of(
    entry: RouteTotals,
    facts: Mapping[str, str],
    prices: PriceTable,
    *,
    asked_tier: str = DEFAULT_TIER,
) -> float | None:
    """Return what the requests of a route and model cost in US dollars, None if not known."""
    tier = served_tier(facts, entry.route, asked=asked_tier)
    if tier is None:
        return None
    model = entry.asked if entry.model in SIMULATED_MODELS else entry.model
    return prices.cost_usd(model, entry.usage, tier=tier, requests=entry.requests)


def all_runs(
    totals: LedgerTotals, facts: Mapping[str, str], prices: PriceTable, *, is_simulated: bool
) -> dict[str, Any]:
    """Return what all runs of a ledger took together, JSON-ready.

    The cost is None where runs asked for several service tiers: the ledger does not hold which of
    them answered in an earlier run.
    """
    (tier, *others) = totals.tiers or ("",)
    usage, cost = total_of(totals.overall, facts, prices, asked_tier=tier or DEFAULT_TIER)
    models = {entry.model for entry in totals.overall}
    return {
        "runs": totals.runs,
        "requests": dict(totals.overall_states),
        "usage": usage.to_dict(),
        "cost_usd": None if others else cost,
        "simulated": is_simulated or not SIMULATED_MODELS.isdisjoint(models),
    }
