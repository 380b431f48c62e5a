"""Run events: what happened, for progress displays, logs and tests.

Pure. dispatch and pipeline make them; whoever wants them hands in a sink. Chunk texts and keys
never stand in an event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        name: `route_down`, `route_up`, `route_closed`, `route_preferred`, `rate_limited`,
            `rate_cut`, `in_flight_limit`, `cache_awaited`, `packs_reduced`, `packs_replanned`,
            `limits_shared`, `no_confidence`, `suspended`, `stopped` or `notice`.
        at: Monotonic seconds of the run's clock.
        message: One sentence for people.
        fields: The same as values: route names, codes, seconds.
    """

    name: str
    at: float
    message: str
    fields: Mapping[str, str | float] = field(default_factory=dict)


Sink: TypeAlias = Callable[[Event], None]
Tell: TypeAlias = Callable[[str, str, Mapping[str, str | float]], None]
"""Takes name, message and fields of an event that happens now."""
