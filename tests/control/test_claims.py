"""A stated limit is believed until more is let through, or a refusal names another one."""

from __future__ import annotations

from analysis.control.claims import Claims
from analysis.settings import SETTINGS


def claims() -> Claims:
    """Return claims of a dimension that assumes 6,000 a minute."""
    return Claims(per_minute=6_000.0, settings=SETTINGS)


def heard(
    found: Claims, stated: float, *, times: int = 1, at: float = 0.0, now: float = 0.0
) -> bool:
    """Let the service state a limit with so many requests; tell whether the last was believed."""
    believed = [
        found.hear(stated, amount=1.0, at=at, now=now, in_use=found.limit or 6_000.0)
        for _ in range(times)
    ]
    return believed[-1]


def test_a_stated_limit_is_believed() -> None:
    """The one before it is kept."""
    found = claims()
    assert heard(found, 300.0)
    assert (300.0, 6_000.0) == (found.limit, found.before)


def test_a_limit_of_which_twice_as_much_is_let_through_is_not_believed_any_more() -> None:
    """Forty of twenty are possible at the end of a minute; forty-one are not. Never again then."""
    found = claims()
    assert heard(found, 20.0, times=40)
    assert not heard(found, 20.0)
    assert (None, 6_000.0) == (found.limit, found.before)
    assert not heard(found, 20.0)
    assert heard(found, 3_000.0)


def test_a_minute_later_twice_as_much_is_possible() -> None:
    """Eighty of twenty in a minute."""
    found = claims()
    heard(found, 20.0)
    assert heard(found, 20.0, times=79, now=60.0)
    assert not heard(found, 20.0, now=60.0)


def test_what_was_refused_or_given_back_was_not_let_through() -> None:
    """It makes no limit false."""
    found = claims()
    heard(found, 20.0, times=40)
    found.unserve(1.0)
    assert heard(found, 20.0)
    found.unserve(1_000.0)
    assert heard(found, 20.0, times=40)


def test_a_named_limit_beats_the_one_stated_beside_it() -> None:
    """The other one is false from then on, unless it is named itself."""
    found = claims()
    heard(found, 30.0)
    found.adopt(300.0, now=0.0, in_use=30.0, is_heard=True)
    assert not heard(found, 30.0)
    assert 300.0 == found.limit
    found.adopt(30.0, now=1.0, in_use=300.0, is_heard=False)
    assert heard(found, 30.0)
