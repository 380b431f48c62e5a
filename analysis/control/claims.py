"""Which of the limits that a service states is believed.

Pure. A dimension of the pacer has one. Some services state a limit in another unit than per minute:
then more is let through than the limit allows, or a refusal names another one.
"""

from __future__ import annotations

from analysis.settings import Settings


class Claims:
    """The limit that is believed, and the one that was found to be false.

    Attributes:
        limit: Believed, per minute; None if none is.
        before: The limit that was in use before it.
    """

    def __init__(self, *, per_minute: float, settings: Settings) -> None:
        self.limit: float | None = None
        self.before = per_minute
        self._false: float | None = None
        self._since = 0.0
        self._served = 0.0
        self._most = settings.limit_doubt

    def unserve(self, amount: float) -> None:
        """Do not count so much as let through: it came back, or was refused."""
        self._served = max(0.0, self._served - amount)

    def hear(self, stated: float, *, amount: float, at: float, now: float, in_use: float) -> bool:
        """Tell whether a stated limit is believed.

        Args:
            stated: The limit.
            amount: What was let through with it.
            at: When that was sent, monotonic seconds.
            now: Monotonic seconds.
            in_use: The limit so far.
        """
        if stated == self._false:
            return False
        if stated != self.limit:
            self.before, self.limit, self._since, self._served = in_use, stated, at, 0.0
        self._served += amount
        if self._served > self._most * stated * (1 + max(0.0, now - self._since) / 60.0):
            self._false, self.limit = stated, None
            return False
        return True

    def adopt(self, named: float, *, now: float, in_use: float, is_heard: bool) -> None:
        """Believe the limit that a refusal names, more than a statement that came with it.

        Args:
            named: The limit.
            now: Monotonic seconds.
            in_use: The limit so far.
            is_heard: A statement came with the refusal.
        """
        if named == self._false:
            self._false = None
        if named != self.limit:
            if is_heard and self.limit is not None:
                self._false = self.limit
            self.before, self.limit, self._since, self._served = in_use, named, now, 0.0
