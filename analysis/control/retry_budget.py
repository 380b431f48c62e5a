"""How many more retries a run may afford.

Pure. The scheduler earns with each answer, asks before each retry that follows a failure of the
way, and spends with it. When the budget is empty, the work waits in its queue: a run drops nothing,
and an overloaded service does not get its own failures back as further load. A wait that a rate
limit asks for is no retry.

Source: gRPC proposal A6 (tokens, a tenth per success, one per failure); Finagle's RetryBudget (a
share of the requests); pacing notes, section 5.
"""

from __future__ import annotations

from analysis.settings import SETTINGS, Settings


class RetryBudget:
    """Tokens: one pays for one retry."""

    __slots__ = ("_knobs", "_requests", "_tokens")

    def __init__(self, *, settings: Settings = SETTINGS) -> None:
        self._knobs = settings
        self._requests = 0
        self._tokens = float(settings.retry_tokens)

    def __repr__(self) -> str:
        return f"RetryBudget({self._tokens:.1f} of {self.size:.1f})"

    @property
    def tokens(self) -> float:
        """Tokens left, from 0 to `size`."""
        return self._tokens

    @property
    def size(self) -> float:
        """Most tokens that can be saved up: the start, or a share of the requests so far."""
        least, size = self._knobs.retry_tokens, self._knobs.retry_share * self._requests
        return size if size > least else least

    def may_retry(self) -> bool:
        """Tell whether a retry can be paid for."""
        return self._tokens >= 1.0

    def earn(self) -> None:
        """Hear that a request was answered."""
        self._requests += 1
        knobs = self._knobs
        tokens, size = self._tokens + knobs.retry_earn, knobs.retry_share * self._requests
        if size < knobs.retry_tokens:
            size = knobs.retry_tokens
        self._tokens = tokens if tokens < size else size

    def spend(self, amount: float = 1.0) -> None:
        """Hear that a retry is sent; a probe may be sent although nothing is left to pay it.

        Requests that were lost together, with one socket, pay a part each.
        """
        self._requests += 1
        self._tokens = max(0.0, self._tokens - amount)
