"""Which routes are out, for how long, and when a run has to stop because of it.

Pure. Only the scheduler and its aftermath use it.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.control.routes import NEVER, RouteState, all_down_since, all_up
from analysis.control.runstate import RunState
from analysis.errors import AnalysisError, TransportError


def close(
    run: RunState, routes: Sequence[RouteState], error: AnalysisError, *, until: float = NEVER
) -> None:
    """Take routes out, for the run or until a time; stop the run if none is left."""
    span = "this run" if until == NEVER else f"{until - run.now:.0f} s"
    for route in routes:
        if route.closed is None:
            route.closed, route.opens_at, route.silent_at = str(error), until, None
            run.is_whole = False
            name = route.plan.name
            run.tell("route_closed", f"{name} is out for {span}: {error}", route=name)
    if all(route.closed is not None for route in run.routes):
        run.stop(str(error), error)


def settle(run: RunState) -> bool:
    """Stop a run that has to stop, and use routes again; tell whether all were in use before."""
    if all_up(run.routes):
        run.is_whole = True
        return True
    stop_if_all_away(run)
    reopen(run)
    return False


def reopen(run: RunState) -> None:
    """Use routes again whose pause is over."""
    for route in run.routes:
        if route.closed is not None and route.opens_at <= run.now:
            route.closed, route.silent_at, name = None, None, route.plan.name
            run.tell("route_up", f"{name} may be used again.", route=name)


def stop_if_all_away(run: RunState) -> None:
    """Stop a run whose routes have all been away for longer than anybody waits."""
    down_since = all_down_since(run.routes)
    if run.stop_reason is not None or down_since is None or run.is_idle:
        return
    if over_at(run, down_since) <= run.now:
        last = next((route.last_error for route in run.routes if route.last_error), "")
        reason = f"No route answered for {patience_s(run):.0f} s. Last error: {last}"
        run.stop(reason, TransportError(reason))


def over_at(run: RunState, down_since: float) -> float:
    """Return when a route, or all, have been down for so long that nobody has to wait."""
    return max(down_since, run.busy_since) + patience_s(run)


def patience_s(run: RunState) -> float:
    """Return how long an outage is waited for: shorter if no route was ever reached."""
    has_worked = any(route.breaker.ever_worked for route in run.routes)
    return run.settings.outage_limit_s if has_worked else run.settings.first_contact_s


def excuse(run: RunState, seconds: float) -> None:
    """Do not count so long a time as an outage or a refusal: nobody could ask meanwhile."""
    run.busy_since += seconds
    for route in run.routes:
        route.breaker.excuse(seconds)
        route.signed_at += seconds
        route.silent_at = None
    for pacer in {id(route.pacer): route.pacer for route in run.routes}.values():
        pacer.excuse(seconds)
    for flight in run.flights.values():
        flight.sent_at += seconds
    message = f"The clock went on for {seconds:.0f} s while nothing could be asked."
    run.tell("suspended", message, seconds=seconds)
