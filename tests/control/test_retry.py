"""Every error has one rule, and every failure of a parcel one fate."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.control.retry import (
    SHARED_BLAME,
    Fate,
    Fates,
    Follow,
    after_adapting,
    after_bad_answer,
    after_declined,
    after_lost_way,
    after_rejection,
    after_too_large,
    backoff_s,
    is_unpaid,
    rule_for,
)
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    ConfigurationError,
    DeadlinePassed,
    LedgerError,
    ModelRefused,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, FailureKind
from analysis.settings import SETTINGS
from tests.control.bench import LOST, UNREACHED
from tests.control.parcels import ids_of, parcel_of

RULES: list[tuple[AnalysisError, FailureKind, Follow, bool]] = [
    (RateLimited("x"), FailureKind.UNAVAILABLE, Follow.WAIT, True),
    (DeadlinePassed("x"), FailureKind.TIMEOUT, Follow.AGAIN, False),
    (TransportError("x"), FailureKind.UNAVAILABLE, Follow.AGAIN, False),
    (TransportError("x", ending=Ending.UNSENT), FailureKind.UNAVAILABLE, Follow.AGAIN, True),
    (TransportError("x", ending=Ending.REFUSED), FailureKind.UNAVAILABLE, Follow.AGAIN, True),
    (AccountClosed("x"), FailureKind.STOPPED, Follow.CLOSE_ACCOUNT, True),
    (RouteClosed("x"), FailureKind.REJECTED, Follow.CLOSE_ROUTE, True),
    (ModelRefused("x"), FailureKind.REFUSED, Follow.DIVIDE, False),
    (RequestRejected("x"), FailureKind.REJECTED, Follow.DIVIDE, True),
    (AnswerDefect("x", defect="empty"), FailureKind.DEFECT, Follow.REASK, False),
]


def shown(fates: Fates) -> list[tuple[Fate, str]]:
    """Return fates with the ids of the chunks that they are about."""
    return [(fate, ids_of(parcel.pack)) for fate, parcel in fates]


@pytest.mark.parametrize(("error", "kind", "follow", "unpaid"), RULES)
def test_every_error_of_a_request_has_a_rule(
    error: AnalysisError, kind: FailureKind, follow: Follow, unpaid: bool
) -> None:
    """Kind of the verdict, what follows, and whether nothing was generated for certain."""
    rule = rule_for(error)
    assert (kind, follow, unpaid) == (rule.kind, rule.follow, is_unpaid(error))


@pytest.mark.parametrize("error", [LedgerError("disk"), ConfigurationError("x")])
def test_what_is_no_failure_of_a_request_is_raised(error: AnalysisError) -> None:
    """No retry cures a full disk."""
    with pytest.raises(type(error)):
        rule_for(error)


def test_declined_chunks_are_never_asked_again_on_their_route() -> None:
    """The next route gets them together; without one, or the second time, they have failed."""
    parcel = parcel_of("ab")
    assert [(Fate.FAILED, "ab")] == shown(after_declined(parcel_of("ab"), has_next=False))
    assert [(Fate.NEXT_ROUTE, "ab")] == shown(after_declined(parcel, has_next=True))
    assert [(Fate.FAILED, "ab")] == shown(after_declined(parcel, has_next=True))


def test_the_halves_of_a_request_too_large_have_not_failed() -> None:
    """Nobody was asked, so another model gets them no sooner than other chunks."""
    parts = [parcel for _, parcel in after_too_large(parcel_of("abc"), has_next=True)]
    assert [False, False] == [parcel.has_failed_here for parcel in parts]


def test_a_request_too_large_is_halved_and_a_lone_chunk_leaves_the_route_at_once() -> None:
    """It is asked nowhere twice: no wait lets it pass."""
    assert [(Fate.AT_ONCE, "ab"), (Fate.AT_ONCE, "c")] == shown(
        after_too_large(parcel_of("abc"), has_next=False)
    )
    assert [(Fate.FAILED, "a")] == shown(after_too_large(parcel_of("a"), has_next=False))
    assert [(Fate.NEXT_ROUTE, "a")] == shown(after_too_large(parcel_of("a"), has_next=True))


def test_a_chunk_declined_once_and_refused_alone_elsewhere_has_failed() -> None:
    """Both count as routes that it was left by because of itself."""
    parcel = parcel_of("a")
    after_declined(parcel, has_next=True)
    assert [(Fate.FAILED, "a")] == shown(after_rejection(parcel, has_next=True))


def test_a_lost_request_goes_again_up_to_its_attempts() -> None:
    """Four pauses; the fifth loss ends a lone chunk here."""
    parcel = parcel_of("a")
    fates = []
    for _ in range(SETTINGS.attempts_per_route):
        fates += shown(after_lost_way(parcel, LOST, has_next=False))
    pauses = [(Fate.AFTER_PAUSE, "a")] * (SETTINGS.attempts_per_route - 1)
    assert [*pauses, (Fate.FAILED, "a")] == fates


def test_a_lone_chunk_that_got_lost_too_often_tries_the_next_route() -> None:
    """If there is one."""
    parcel = parcel_of("a")
    parcel.way_failures = SETTINGS.attempts_per_route - 1
    fates = after_lost_way(parcel, LOST, has_next=True)
    assert [(Fate.NEXT_ROUTE, "a")] == shown(fates)


def test_a_pack_that_got_lost_too_often_is_tried_chunk_by_chunk_once() -> None:
    """One chunk that breaks the way does not take its neighbours with it."""
    parcel = parcel_of("abc")
    parcel.way_failures = SETTINGS.attempts_per_route - 1
    fates = after_lost_way(parcel, LOST, has_next=False)
    assert [(Fate.AFTER_PAUSE, name) for name in "abc"] == shown(fates)
    last = after_lost_way(fates[1][1], LOST, has_next=False)
    assert [(Fate.FAILED, "b")] == shown(last)


def test_a_lost_probe_is_not_counted_and_goes_behind_the_others() -> None:
    """The next probe is another chunk."""
    parcel = parcel_of("a")
    for _ in range(50):
        fates = after_lost_way(parcel, LOST, is_probe=True, has_next=True)
        assert [(Fate.BEHIND, "a")] == shown(fates)
    assert not parcel.has_failed_here


def test_a_refused_pack_is_divided_down_to_its_chunks() -> None:
    """Halves in order, the first one the larger."""
    halves = after_rejection(parcel_of("abcde"), has_next=False)
    assert [(Fate.AT_ONCE, "abc"), (Fate.AT_ONCE, "de")] == shown(halves)
    assert all(parcel.has_failed_here for _, parcel in halves)


def test_a_bad_answer_is_asked_again_together_and_at_last_alone() -> None:
    """Two answers for the pack, the third one alone, as `answer_attempts` says."""
    parcel = parcel_of("ab")
    assert [(Fate.AT_ONCE, "ab")] == shown(after_bad_answer(parcel, asked=2, has_next=False))
    alone = after_bad_answer(parcel, asked=2, has_next=False)
    assert [(Fate.AT_ONCE, "a"), (Fate.AT_ONCE, "b")] == shown(alone)
    once = replace(SETTINGS, answer_attempts=1)
    at_once = after_bad_answer(parcel_of("ab"), asked=2, has_next=False, settings=once)
    assert [(Fate.AT_ONCE, "a"), (Fate.AT_ONCE, "b")] == shown(at_once)


def test_the_last_chunk_of_a_pack_did_not_fail_alone() -> None:
    """It gets its own try, however many of its neighbours were labelled."""
    parcel = parcel_of("a")
    assert [(Fate.AT_ONCE, "a")] == shown(after_bad_answer(parcel, asked=10, has_next=True))
    assert [(Fate.NEXT_ROUTE, "a")] == shown(after_bad_answer(parcel, asked=1, has_next=True))


@pytest.mark.parametrize("follow", [after_rejection, partial(after_bad_answer, asked=1)])
def test_a_lone_chunk_fails_after_two_routes_or_twice_on_the_only_one(
    follow: Callable[..., Fates],
) -> None:
    """Because of itself; what the way did does not count."""
    only = parcel_of("a")
    assert [(Fate.AFTER_PAUSE, "a")] == shown(follow(only, has_next=False))
    assert [(Fate.FAILED, "a")] == shown(follow(only, has_next=False))
    two = parcel_of("a", order=(0, 1, 2))
    assert [(Fate.NEXT_ROUTE, "a")] == shown(follow(two, has_next=True))
    two.move_to(1)
    assert [(Fate.FAILED, "a")] == shown(follow(two, has_next=True))
    late = parcel_of("a", order=(0, 1))
    late.way_failures = 5
    late.move_to(1)
    assert [(Fate.AFTER_PAUSE, "a")] == shown(follow(late, has_next=False))
    assert [(Fate.FAILED, "a")] == shown(follow(late, has_next=False))


@given(st.integers(1, 2_000), st.integers(0, 2**32))
def test_the_backoff_is_full_jitter_below_its_cap(failures: int, seed: int) -> None:
    """Anything from nothing to base x 2^(n-1), and never above the cap."""
    pause = backoff_s(failures, rng=random.Random(seed))
    bound = SETTINGS.backoff_base_s * 2 ** min(failures - 1, 40)
    assert 0 <= pause <= min(SETTINGS.backoff_cap_s, bound)


def test_the_backoff_uses_its_whole_range() -> None:
    """The mean of full jitter is half of its bound."""
    rng = random.Random(1)
    pauses = [backoff_s(4, rng=rng) for _ in range(1_000)]
    assert 0.9 <= sum(pauses) / len(pauses) <= 1.1


def test_a_route_that_adapted_is_asked_again_at_once() -> None:
    """As often as after a lost way, so that no server can keep it going for ever."""
    parcel, times = parcel_of("a"), SETTINGS.attempts_per_route
    fates = [after_adapting(parcel, LOST, has_next=False)[0][0] for _ in range(times)]
    assert [Fate.AT_ONCE] * (times - 1) + [Fate.FAILED] == fates


def test_requests_that_were_lost_together_bear_a_part_of_the_blame() -> None:
    """Twenty such losses count as five of a request alone."""
    cut = TransportError("cut")
    cut.loss = object()
    parcel, times = parcel_of("a"), int(SETTINGS.attempts_per_route / SHARED_BLAME)
    fates = [after_lost_way(parcel, cut, has_next=False)[0][0] for _ in range(times)]
    assert [Fate.AFTER_PAUSE] * (times - 1) + [Fate.FAILED] == fates


def test_what_was_not_sent_has_not_failed() -> None:
    """It waits for its route as often as need be; the route's own pause bounds that."""
    parcel = parcel_of("a")
    fates = [after_lost_way(parcel, UNREACHED, has_next=True)[0][0] for _ in range(99)]
    assert ({Fate.AFTER_PAUSE}, False) == (set(fates), parcel.has_failed_here)
