"""All probes of an endpoint in the order in which one rests on the other.

io. Part of `analysis.check`; the command `check` shows each finding as it comes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from analysis.check.answers import limits, round_trip
from analysis.check.doors import DOORS, availability, models
from analysis.check.findings import Finding, absent
from analysis.check.trials import settings
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.settings import DEFAULT_MODELS

PROBE_ROUTES = ("realtime", "responses-ws", "rest", "decisions")
"""Routes that are probed unless the caller names others."""

LOCAL_ROUTE = "offline"
"""The route that has no door: it sends nothing."""


async def examine(
    endpoint: Endpoint,
    *,
    today: date,
    routes: Sequence[str] = PROBE_ROUTES,
    asked: Mapping[str, str] = DEFAULT_MODELS,
    is_named: bool = True,
) -> AsyncIterator[Finding]:
    """Yield what the probes find, one by one.

    Nothing is asked of a route whose door is shut: the finding of the door says why.

    Args:
        endpoint: Address and key.
        today: For the days until a model stops.
        routes: Which routes to probe.
        asked: Route -> model.
        is_named: The caller named the routes, so each one has to be there.
    """
    remote = [route for route in routes if route != LOCAL_ROUTE]
    is_open: dict[str, bool] = {}
    if remote:
        for finding in await availability(endpoint, routes=remote, asked=asked):
            is_open[finding.name] = finding.ok
            if finding.facts["is_simulated"]:
                endpoint = replace(endpoint, host=EMBEDDED)
            yield finding if is_named else absent(finding)
    if is_open.get("websocket"):
        for finding in await settings(endpoint, asked=asked):
            yield finding
    for route in routes:
        if route in remote and not is_open[DOORS[route]]:
            continue
        trip = await round_trip(endpoint, route, asked=asked)
        yield trip
        if trip.ok and route in remote:
            yield await limits(endpoint, route, asked=asked)
    if is_open.get("https"):
        served = [route for route in remote if is_named or is_open[DOORS[route]]]
        for finding in await models(endpoint, today=today, routes=served, asked=asked):
            yield finding
