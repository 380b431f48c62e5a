"""Planned outages: during one a route is cut off and refuses everything.

Pure. The service asks with its age in seconds; the command reads its options through `parse`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from analysis.errors import ConfigurationError
from analysis.simulator.profile import ROUTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One route is out from `start_s` for `duration_s`, in seconds since the service started.

    Raises:
        ConfigurationError: If the route is unknown or a time cannot be used.
    """

    route: str
    start_s: float
    duration_s: float

    def __post_init__(self) -> None:
        if self.route not in ROUTES:
            raise ConfigurationError(
                f"Route {self.route!r} of an outage is unknown. Use one of: {', '.join(ROUTES)}."
            )
        if not (0 <= self.start_s < math.inf and 0 < self.duration_s < math.inf):
            raise ConfigurationError(
                f"Outage of {self.route!r} from {self.start_s} s for {self.duration_s} s cannot be "
                "used. The start must be at least 0 and the duration above 0."
            )

    @property
    def end_s(self) -> float:
        """The first moment at which the route is back."""
        return self.start_s + self.duration_s


def parse(options: Iterable[str]) -> tuple[Outage, ...]:
    """Read options of the form `ROUTE=START:SECONDS`.

    Raises:
        ConfigurationError: If an option has another form or cannot be used.
    """
    outages = []
    for option in options:
        route, _, times = option.partition("=")
        start, _, duration = times.partition(":")
        try:
            start_s, duration_s = float(start), float(duration)
        except ValueError as error:
            raise ConfigurationError(
                f"Outage {option!r} cannot be read. Write ROUTE=START:SECONDS, for example "
                f"realtime=2:5, with one of: {', '.join(ROUTES)}."
            ) from error
        outages.append(Outage(route=route, start_s=start_s, duration_s=duration_s))
    return tuple(outages)


class Outages:
    """The plan of all outages; an age is in seconds since the service started."""

    def __init__(self, outages: Iterable[Outage]) -> None:
        self._by_route: dict[str, list[Outage]] = {}
        for outage in sorted(outages, key=lambda one: one.start_s):
            self._by_route.setdefault(outage.route, []).append(outage)

    def __repr__(self) -> str:
        return f"Outages({self._by_route})"

    def is_out(self, route: str, age_s: float) -> bool:
        """Return whether the route is out at this age."""
        if route not in self._by_route:
            return False
        return any(one.start_s <= age_s < one.end_s for one in self._by_route[route])

    def next_start_s(self, route: str, age_s: float) -> float | None:
        """Return when the next outage of the route starts, or None if there is none."""
        later = (one.start_s for one in self._by_route.get(route, ()) if one.start_s > age_s)
        return next(later, None)
