"""What is known of an account's limits before the first request of a run.

Pure. A pacer starts from it (`Pacer(learned=...)`) and tells it (`Pacer.learned`); whoever stores
it between runs passes it on.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedLimit:
    """What is known of one dimension.

    Attributes:
        per_minute: The limit, > 0.
        window_s: Length of the hidden window, > 0; None if none was met.
        guard: Share of the rate by which a burst refills slower, from 0 to 1.
    """

    per_minute: float
    window_s: float | None = None
    guard: float = 0.0

    def __post_init__(self) -> None:
        if self.per_minute <= 0:
            raise ValueError(f"per_minute is {self.per_minute}; it must be above 0.")
        if self.window_s is not None and self.window_s <= 0:
            raise ValueError(f"window_s is {self.window_s}; it must be above 0, or None.")
        if not 0 <= self.guard < 1:
            raise ValueError(f"guard is {self.guard}; it must be from 0 to below 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What is known of the limits of one model at one account.

    Attributes:
        requests: None if no service has stated or named the limit.
        tokens: The same.
    """

    requests: LearnedLimit | None = None
    tokens: LearnedLimit | None = None
