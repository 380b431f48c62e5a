"""Which limit a refusal is about."""

from __future__ import annotations

from analysis.control.calls import Call
from analysis.control.refusals import SLOW_DOWN, Refusals
from analysis.errors import RateLimited
from analysis.settings import SETTINGS
from tests.control.pacers import dimension, limited


def refusals() -> Refusals:
    """Return the reader of refusals of 10 requests and 1,000 tokens per second."""
    return Refusals(dimension(600), dimension(60_000), now=0.0, settings=SETTINGS)


def weigh(
    found: Refusals, refusal: RateLimited, *, sent_at: float = 1.0, in_a_row: int = 1
) -> tuple[float, float]:
    """Refuse a request of 500 tokens with a wait of one second; return both levels."""
    drawn = found.requests.take(1, sent_at), found.tokens.take(500, sent_at)
    found.tokens.refund(500, sent_at)
    found.weigh(Call(sent_at, 500, *drawn), refusal, 1.0, wait_s=1.0, in_a_row=in_a_row)
    return found.requests.level(1.0), found.tokens.level(1.0)


def test_a_refusal_that_names_tokens_lowers_their_level_only() -> None:
    """What is there after the wait is what the request lacked."""
    found = refusals()
    refusal = limited("tokens per min", 60_000, 60_000, 500)
    assert (599.0, -500.0) == weigh(found, refusal)
    assert (False, True) == (found.requests.was_refused, found.tokens.was_refused)


def test_a_refusal_although_there_was_room_shows_a_window() -> None:
    """The level stays as it is."""
    found = refusals()
    refusal = limited("tokens per min", 60_000, 10, 500)
    assert (599.0, 60_000.0) == weigh(found, refusal)
    assert (None, SETTINGS.window_s) == (found.requests.window_s, found.tokens.window_s)


def test_the_limit_of_a_day_changes_nothing_of_a_minute() -> None:
    """The pause says it all."""
    found = refusals()
    assert (599.0, 60_000.0) == weigh(found, limited("requests per day", 1_000, 1_000, 1))
    assert (False, 600.0) == (found.requests.was_refused, found.requests.per_minute)


def slow_down(found: Refusals, now: float) -> None:
    """Refuse a request that was sent just now, because traffic rose too fast."""
    drawn = found.requests.take(1, now), found.tokens.take(500, now)
    refusal = RateLimited("slow", code=SLOW_DOWN)
    found.weigh(Call(now, 500, *drawn), refusal, now, wait_s=1.0, in_a_row=1)


def test_slow_down_halves_both_rates_once() -> None:
    """Requests that were on their way together are one refusal."""
    found = refusals()
    refusal = RateLimited("slow", code=SLOW_DOWN, retry_after_s=1.0)
    weigh(found, refusal)
    weigh(found, refusal)
    assert (0.5, 0.5) == (found.requests.ease.share(1.0), found.tokens.ease.share(1.0))
    assert 0.5 == found.slowed


def test_slow_down_again_and_again_keeps_the_half_and_makes_it_last() -> None:
    """One request in five is refused for an hour; then it is held for 15 minutes more."""
    found = refusals()
    for second in range(0, 3_600, 5):
        slow_down(found, float(second))
    share = found.requests.ease.share
    assert (0.5, 0.5, 1.0) == (share(3_600.0), share(3_595.0 + 900.0), share(3_595.0 + 950.0))


def test_slow_down_after_a_quiet_minute_halves_again_down_to_an_eighth() -> None:
    """Ten requests a second are never left with less than 1.25."""
    found, shares = refusals(), []
    for minute in range(5):
        slow_down(found, minute * 61.0)
        shares.append(found.requests.ease.share(minute * 61.0))
    assert [0.5, 0.25, 0.125, 0.125, 0.125] == shares


def test_slow_down_leaves_a_low_limit_its_half() -> None:
    """Of 30 requests a minute 15, not 4: one request in four seconds."""
    found = Refusals(dimension(30), dimension(60_000), now=0.0, settings=SETTINGS)
    for minute in range(5):
        slow_down(found, minute * 61.0)
    assert 0.5 == found.requests.ease.share(300.0)


def test_slow_down_before_the_limit_is_stated_leaves_half_of_it() -> None:
    """However often: what was cut more allowed for a guess."""
    both = dimension(5_000, is_assumed=True), dimension(60_000, is_assumed=True)
    found = Refusals(*both, now=0.0, settings=SETTINGS)
    found.requests.ease.start(0.036)
    for minute in range(3):
        slow_down(found, minute * 61.0)
    assert 0.02 > found.requests.ease.share(123.0)
    for one in both:
        one.adopt(300.0, 123.0, is_heard=False)
    assert (0.5, 0.5) == (both[0].ease.share(123.0), both[1].ease.share(123.0))
    assert 2.5 == both[0].pace(123.0)


def test_an_entered_limit_is_doubted_from_the_second_refusal_in_a_row_on() -> None:
    """Once for requests that were on their way together."""
    found = refusals()
    weigh(found, RateLimited(""), in_a_row=1)
    assert (1.0, 1.0) == (found.requests.ease.share(1.0), found.eased_at)
    weigh(found, RateLimited(""), in_a_row=2)
    assert 0.5 == found.requests.ease.share(1.0)
    weigh(found, RateLimited(""), sent_at=0.5, in_a_row=3)
    assert 0.5 == found.requests.ease.share(1.0)
