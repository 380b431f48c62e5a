"""What a WebSocket route hears beside the answers: counted, or passed on to whoever listens.

io, without policy. `transport/websocket.py` and `transport/pool.py` have one each for all their
sockets.
"""

from __future__ import annotations

from collections import Counter

from analysis.transport import LimitsListener, SignListener
from analysis.wire.events import Begun, Event, Ignored, LimitsSeen, Violation
from analysis.wire.lane_frames import LaneEvent


class Hearing:
    """Counts and passes on; see the module.

    Args:
        route: Name of the route, for the listeners.
        on_limits: Told about each statement of rate limits.
        on_sign: Told when the answer to a request begins.

    Attributes:
        ignored: Name of an event that nobody needed -> how often it came.
        violations: What the peer did against the protocol -> how often.
    """

    def __init__(
        self,
        route: str,
        *,
        on_limits: LimitsListener | None = None,
        on_sign: SignListener | None = None,
    ) -> None:
        self._route = route
        self._on_limits = on_limits
        self._on_sign = on_sign
        self.ignored: Counter[str] = Counter()
        self.violations: Counter[str] = Counter()

    def hear(self, event: Event | LaneEvent) -> None:
        """Count or pass on an event; one that concerns somebody else is left to them."""
        match event:
            case Begun():
                if self._on_sign is not None:
                    self._on_sign(event.request_id)
            case LimitsSeen():
                if self._on_limits is not None:
                    self._on_limits(self._route, event.limits, None)
            case Violation():
                self.violations[event.reason] += 1
            case Ignored():
                self.ignored[event.type] += 1
            case _:
                pass  # whoever waits for it was woken
