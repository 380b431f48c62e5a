"""How fast a route may open sockets: one budget for all of them.

Pure; time is an argument. `transport/pool.py` asks it before each attempt.
"""

from __future__ import annotations


class ConnectBudget:
    """A bucket of attempts: so many at once, then so many a second.

    An attempt whose socket proved good is given back, so that only attempts which led to nothing
    slow a route down: a server that takes connections and drops them gets few of them.

    Args:
        per_s: Attempts per second in the long run.
        burst: Attempts at once.
        now: Monotonic seconds.
    """

    def __init__(self, *, per_s: float, burst: int, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = float(burst)
        self._at = now

    def __repr__(self) -> str:
        return f"<ConnectBudget {self._left:.2f} of {self._burst} left at {self._at:.2f}>"

    def take(self, now: float) -> float:
        """Take an attempt and return the seconds to wait before it is made.

        Callers that wait stand in line: each is sent to a later time.
        """
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        self._left -= 1.0
        return max(0.0, -self._left / self._per_s)

    def give_back(self) -> None:
        """Return an attempt that led to a good socket."""
        self._left = min(float(self._burst), self._left + 1.0)
