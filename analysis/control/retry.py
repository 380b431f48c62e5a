"""After an outcome: what kind of failure it is, and what becomes of its chunks.

Pure. One table from error to rule, and per rule a function that counts the failure in the parcel's
history and names the fate of what becomes of it. The scheduler asks here and carries it out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from analysis.control.parcels import Parcel, cut, singles
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    DeadlinePassed,
    ModelRefused,
    RateLimited,
    RequestRejected,
    RouteAdapted,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, ErrorDetail, FailureKind
from analysis.settings import SETTINGS, Settings

SHARED_BLAME = 0.25
"""What the loss of a socket counts for each request on it. With one loss in a hundred requests and
32 of them on a socket, a request is lost with it every fourth time: five in a row happen, twenty do
not."""

LONE_FAILURES = 2
"""Failures that end a chunk: alone on so many routes, or so often on the only one (design 4.1)."""

DECLINED = ErrorDetail(
    kind=FailureKind.REFUSED, message="the service declined the question about this chunk"
)
"""Why a chunk has no label that was declined while the rest of its request was answered."""


class Follow(Enum):
    """What follows from a failed request."""

    WAIT = "wait"  # the same request again when the limit allows; no attempt counted
    AGAIN = "again"  # the same chunks again after a backoff, then the next route
    ADAPT = "adapt"  # the same chunks again at once: the route is in order
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
    (RouteAdapted, Rule(kind=FailureKind.UNAVAILABLE, follow=Follow.ADAPT)),
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


class Fate(Enum):
    """What becomes of a parcel after a failure."""

    AT_ONCE = "at_once"  # to the front of its queue
    AFTER_PAUSE = "after_pause"  # to the front of its queue, after a backoff
    BEHIND = "behind"  # to the end of its queue
    NEXT_ROUTE = "next_route"  # to the front of the next route's queue
    FAILED = "failed"  # its chunks get their verdict


Fates: TypeAlias = list[tuple[Fate, Parcel]]


def after_adapting(
    parcel: Parcel, error: TransportError, *, has_next: bool, settings: Settings = SETTINGS
) -> Fates:
    """Follow `ADAPT`: ask again at once, but no more often than after a lost way."""
    fates = after_lost_way(parcel, error, has_next=has_next, settings=settings)
    return [(Fate.AT_ONCE if fate is Fate.AFTER_PAUSE else fate, part) for fate, part in fates]


def after_lost_way(
    parcel: Parcel,
    error: TransportError,
    *,
    has_next: bool,
    is_probe: bool = False,
    settings: Settings = SETTINGS,
) -> Fates:
    """Follow `AGAIN`: the request or its reply got lost.

    A failed probe says nothing about its chunk, which was free to be any other one; the next probe
    is to be another one, so that a chunk which breaks the way does not pass for an outage. Chunks
    that were not sent have not failed: they wait for the route like those behind them. Requests
    that were lost with one socket bear a part of the blame each, since one of them may have broken
    it.
    Chunks that have used up their tries together get one more, each alone, for the same reason.
    """
    if is_probe:
        return [(Fate.BEHIND, parcel)]
    if not error.was_sent:
        return [(Fate.AFTER_PAUSE, parcel)]
    parcel.way_failures += 1 if error.loss is None else SHARED_BLAME
    if parcel.way_failures < settings.attempts_per_route:
        return [(Fate.AFTER_PAUSE, parcel)]
    if len(parcel.pack.items) > 1:
        parcel.way_failures = settings.attempts_per_route - 1
        return [(Fate.AFTER_PAUSE, part) for part in singles(parcel)]
    return [(Fate.NEXT_ROUTE if has_next else Fate.FAILED, parcel)]


def after_rejection(parcel: Parcel, *, has_next: bool) -> Fates:
    """Follow `DIVIDE`: the service or the model refused these chunks."""
    count = len(parcel.pack.items)
    if count == 1:
        return _after_lone_failure(parcel, has_next=has_next)
    parcel.answers += 1
    return [(Fate.AT_ONCE, half) for half in cut(parcel, (count + 1) // 2)]


def after_too_large(parcel: Parcel, *, has_next: bool) -> Fates:
    """The request exceeds a whole minute's limit and was not sent: halves, at last another route.

    One chunk that is too large by itself is not tried again on this route: no wait would help.
    """
    count = len(parcel.pack.items)
    if count > 1:  # nobody was asked, so they have not failed here
        return [(Fate.AT_ONCE, half) for half in cut(parcel, (count + 1) // 2)]
    return after_declined(parcel, has_next=has_next)


def after_declined(parcel: Parcel, *, has_next: bool) -> Fates:
    """The service answered the request and declined these chunks one by one, each by itself.

    They are not asked again on this route: the same request gets the same answer.
    """
    parcel.failed_routes += 1
    if has_next and parcel.failed_routes < LONE_FAILURES:
        return [(Fate.NEXT_ROUTE, parcel)]
    return [(Fate.FAILED, parcel)]


def after_bad_answer(
    parcel: Parcel, *, asked: int, has_next: bool, settings: Settings = SETTINGS
) -> Fates:
    """Follow `REASK`: the answer held no usable label for these chunks.

    Args:
        parcel: Those without a label.
        asked: Chunks in the request; one that is left over from a pack did not fail alone.
        has_next: A later route can be tried.
        settings: Knobs.
    """
    if asked == 1:
        return _after_lone_failure(parcel, has_next=has_next)
    parcel.answers += 1
    is_last = parcel.answers >= settings.answer_attempts - 1
    return [(Fate.AT_ONCE, part) for part in (singles(parcel) if is_last else [parcel])]


def _after_lone_failure(parcel: Parcel, *, has_next: bool) -> Fates:
    """A chunk alone in its request failed because of itself: once more, or not."""
    parcel.lone_failures += 1
    if parcel.failed_routes + 1 >= LONE_FAILURES or parcel.lone_failures >= LONE_FAILURES:
        return [(Fate.FAILED, parcel)]
    if not has_next:
        return [(Fate.AFTER_PAUSE, parcel)]
    parcel.failed_routes += 1
    return [(Fate.NEXT_ROUTE, parcel)]


def backoff_s(failures: float, *, rng: random.Random, settings: Settings = SETTINGS) -> float:
    """Return how long to wait after so many failures: full jitter, capped.

    Source: full jitter as in the AWS Builders' Library, "Timeouts, retries, and backoff".
    """
    growth = 2 ** min(max(0, int(failures) - 1), 30)
    return rng.uniform(0, min(settings.backoff_cap_s, settings.backoff_base_s * growth))


def is_unpaid(error: AnalysisError) -> bool:
    """Tell whether it is certain that nothing was generated for the failed request."""
    if isinstance(error, TransportError):
        return error.ending in (Ending.REFUSED, Ending.UNSENT)
    # A defect is a bad answer and a model's refusal an answer in its own way: both were generated.
    return isinstance(error, RequestRejected) and not isinstance(error, ModelRefused)
