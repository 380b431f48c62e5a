"""Where a run ends because its user said so: an amount of money, a time.

Pure. Only the scheduler and its parts use it.

A request that does not fit into the budget waits for requests on their way, which may cost less
than was reserved for them. The run stops as soon as that cannot help: with the next request it
would be above the budget even if everything on its way cost nothing.
The head of a queue is not passed over for a smaller one, so what is sent does not depend on sizes.

A copy of a slow request leaves a part of the budget to requests that were not sent yet.
"""

from __future__ import annotations

from analysis.control.parcels import Flight, Parcel
from analysis.control.routes import NEVER, RouteState
from analysis.control.runstate import RunState
from analysis.control.spending import Purse
from analysis.errors import LocalProtocolError
from analysis.records import StopCause, Usage

LEFT_BY_COPIES = 0.1
"""Part of the budget that copies of slow requests do not touch."""


def begin(run: RunState, *, budget_usd: float | None, seconds: float | None) -> None:
    """Set what a run may spend, and how long it may send, from now on; None lifts a cap.

    Raises:
        LocalProtocolError: If a route has no price. Whoever takes budgets checks that before.
    """
    if budget_usd is not None and any(route.plan.rates is None for route in run.routes):
        raise LocalProtocolError("A budget needs the price of each route.")
    run.purse = None if budget_usd is None else Purse(budget_usd)
    run.ends_at = None if seconds is None else run.now + seconds
    run.seconds = seconds or 0.0


def stop_if_over(run: RunState) -> None:
    """Stop a run whose time is over."""
    if run.ends_at is not None and run.now >= run.ends_at and run.stop_reason is None:
        run.stop(f"the {run.seconds:g} s of this run are over", cause=StopCause.TIME)


def over_at(run: RunState) -> float:
    """Return when the time of a run is over; `NEVER` if it is not limited or already stopped."""
    return NEVER if run.ends_at is None or run.stop_reason is not None else run.ends_at


def affords(run: RunState, route: RouteState, parcel: Parcel) -> bool:
    """Tell whether a parcel may be sent over a route now; stop a run that waits in vain."""
    purse = run.purse
    if purse is None:
        return True
    usd = _most_usd(run, route, parcel)
    if purse.has(usd):
        return True
    if not purse.may_have(usd):
        reason = f"the budget of {purse.limit_usd:g} USD is used up"
        run.stop(reason, cause=StopCause.BUDGET)
    return False


def affords_copy(run: RunState, route: RouteState, parcel: Parcel) -> bool:
    """Tell whether a parcel that is on its way may be sent a second time over a route."""
    purse = run.purse
    if purse is None:
        return True
    usd = _most_usd(run, route, parcel) + LEFT_BY_COPIES * purse.limit_usd
    return purse.has(usd)


def reserve(run: RunState, route: RouteState, flight: Flight) -> None:
    """Reserve what a request may cost that is sent now; it was asked for before."""
    if run.purse is None:
        return
    usd = _rates_usd(route, flight.cost_tokens, len(flight.pack.items))
    if not run.purse.reserve(flight.request_id, usd):
        raise LocalProtocolError(f"Request {flight.request_id} does not fit into {run.purse}.")


def settle(
    run: RunState, route: RouteState, flight: Flight, usage: Usage, *, is_free: bool = False
) -> None:
    """Count what a request that has ended cost.

    Args:
        run: The run.
        route: Over which it went.
        flight: The request.
        usage: As billed; without tokens nobody knows, unless it is free.
        is_free: It was refused, or never sent.
    """
    purse, rates = run.purse, route.plan.rates
    if purse is None or rates is None:
        return
    if usage.input_tokens or usage.output_tokens:
        purse.settle(flight.request_id, rates.bill_usd(usage))
    elif is_free:
        purse.release(flight.request_id)
    else:
        purse.settle(flight.request_id, None)


def _most_usd(run: RunState, route: RouteState, parcel: Parcel) -> float:
    tokens = run.cost_of(route.plan.name, parcel.pack)
    return _rates_usd(route, tokens, len(parcel.pack.items))


def _rates_usd(route: RouteState, tokens: int, chunks: int) -> float:
    rates = route.plan.rates
    return 0.0 if rates is None else rates.most_usd(tokens, chunks)
