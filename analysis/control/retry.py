"""After an outcome: what kind of failure it is and what follows from it.

Pure. One table from error to rule; the scheduler carries the rules out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    DeadlinePassed,
    ModelRefused,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, FailureKind
from analysis.settings import SETTINGS, Settings


class Follow(Enum):
    """What follows from a failed request."""

    WAIT = "wait"  # the same request again when the limit allows; no attempt counted
    AGAIN = "again"  # the same chunks again after a backoff, then the next route
    DIVIDE = "divide"  # halves, down to the chunk that cannot be answered
    REASK = "reask"  # ask again, at last one chunk per request
    CLOSE_ROUTE = "close_route"  # this route is over for the run
    CLOSE_ACCOUNT = "close_account"  # every route of this key and host is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The kind that a chunk's verdict names if nothing helps, and what follows first."""

    kind: FailureKind
    follow: Follow


_TABLE: tuple[tuple[type[AnalysisError], Rule], ...] = (
    # More special classes stand before those they inherit from.
    (RateLimited, Rule(kind=FailureKind.UNAVAILABLE, follow=Follow.WAIT)),
    (DeadlinePassed, Rule(kind=FailureKind.TIMEOUT, follow=Follow.AGAIN)),
    (TransportError, Rule(kind=FailureKind.UNAVAILABLE, follow=Follow.AGAIN)),
    (AccountClosed, Rule(kind=FailureKind.STOPPED, follow=Follow.CLOSE_ACCOUNT)),
    (RouteClosed, Rule(kind=FailureKind.REJECTED, follow=Follow.CLOSE_ROUTE)),
    (ModelRefused, Rule(kind=FailureKind.REFUSED, follow=Follow.DIVIDE)),
    (RequestRejected, Rule(kind=FailureKind.REJECTED, follow=Follow.DIVIDE)),
    (AnswerDefect, Rule(kind=FailureKind.DEFECT, follow=Follow.REASK)),
)


def rule_for(error: AnalysisError) -> Rule:
    """Return the rule for an error that a transport raised or an answer check named."""
    for error_class, rule in _TABLE:
        if isinstance(error, error_class):
            return rule
    raise error  # not a failure of a request: a bug or the disk, which no retry cures


def backoff_s(failures: int, *, rng: random.Random, settings: Settings = SETTINGS) -> float:
    """Return how long to wait after so many failures, from 1: full jitter, capped.

    Source: full jitter as in the AWS Builders' Library, "Timeouts, retries, and backoff".
    """
    growth = 2 ** min(failures - 1, 30)
    return rng.uniform(0, min(settings.backoff_cap_s, settings.backoff_base_s * growth))


def is_unpaid(error: AnalysisError) -> bool:
    """Tell whether it is certain that nothing was generated for the failed request."""
    return not isinstance(error, TransportError) or error.ending in (Ending.REFUSED, Ending.UNSENT)
