"""Which limit a refused request is about, and what that says about it.

Pure. The pacer passes each refusal on; the table at its top says how it is read.
"""

from __future__ import annotations

from analysis.control.calls import Call
from analysis.control.dimension import Dimension
from analysis.errors import RateLimited
from analysis.settings import Settings

SLOW_DOWN = "slow_down"
"""Code of a refusal because traffic rose too fast. Source: protocol notes, section 5.3."""


class Refusals:
    """Reads refusals for both dimensions of a pacer.

    Attributes:
        requests: Requests per minute.
        tokens: Tokens per minute.
        eased_at: When a rate was last lowered because it may be wrong, monotonic seconds.
        slowed: Share of the rate that is left since `slow_down` last cut it, until it is taken.
    """

    def __init__(
        self, requests: Dimension, tokens: Dimension, *, now: float, settings: Settings
    ) -> None:
        self.requests = requests
        self.tokens = tokens
        self.eased_at = now
        self._knobs = settings
        self.slowed: float | None = None
        self._slowed_at = now - settings.slow_down_every_s

    def weigh(
        self, call: Call, refusal: RateLimited, now: float, *, wait_s: float, in_a_row: int
    ) -> None:
        """Find out which limit a refusal is about, and change that one.

        Args:
            call: The refused one.
            refusal: What the service said.
            now: Monotonic seconds.
            wait_s: From now on; then the service has room for it.
            in_a_row: Refusals since the last answer, those of one moment counted once.
        """
        name, _, period = refusal.dimension.partition(" per ")
        both = [("requests", self.requests, 1.0), ("tokens", self.tokens, float(call.tokens))]
        self.tokens.returned += call.tokens
        if call.is_heard:
            self.requests.claims.unserve(1.0)
        if refusal.code == SLOW_DOWN:
            self._slow_down(call, now)
            return
        if period == "day" or refusal.code not in ("", "rate_limit_exceeded"):
            return  # the pause says it all: the limits of a minute are as they were
        about = [(one, cost) for one_name, one, cost in both if name in ("", one_name)]
        if name and refusal.limit:
            for one, _ in about:
                one.adopt(float(refusal.limit), now, is_heard=call.is_heard)
        lacking = [(one, c) for one, c in about if not self._had_room(one, c, call, refusal, now)]
        for _, one, cost in both:
            if lacking or (one, cost) not in about:
                one.exclude(cost, now)
        if not (lacking and self.requests.is_known):
            self.requests.forget(1.0)  # tokens were given back
        if not lacking:
            for one, cost in about:
                one.find_window(
                    cost, now, wait_s=wait_s, is_wait_stated=bool(refusal.retry_after_s)
                )
            return
        unstated = [(one, cost) for one, cost in lacking if not one.is_stated]
        self._doubt(unstated, call, now, wait_s, is_first=in_a_row <= 1)
        for one, cost in lacking:
            # A service that lets a refusal itself cost a request may leave that out of the wait.
            lost = in_a_row - 1.0 if one is self.requests else 0.0
            one.refuse(cost - lost, now, sent_at=call.sent_at, wait_s=wait_s)
            if call.is_heard and (one.remaining or 0.0) >= cost:  # what remains is not true
                one.distrust()

    def _slow_down(self, call: Call, now: float) -> None:
        """Halve the rate for a quarter of an hour; again only after a minute without refusal.

        Refusals in between only make it last: the guide asks for the rate of before, then to hold
        it, and a service that refuses now and then would be left with nothing. Not below a floor;
        as long as the limit is a guess, what goes below one half is undone by a statement.
        """
        knobs = self._knobs
        is_new = call.sent_at >= self._slowed_at + knobs.slow_down_every_s
        self._slowed_at = now
        floor = max(knobs.slow_down_floor, knobs.slow_down_per_s / self.requests.rate)
        for one in (self.requests, self.tokens):
            one.stop_growing()
            one.ease.keep(now, flat_s=knobs.slow_down_s)
            if is_new:
                is_again = one.is_assumed and one.ease.held(now) <= 0.5
                one.ease.cut(
                    now, flat_s=knobs.slow_down_s, is_for_guess=is_again, least=min(0.5, floor)
                )
        if is_new:
            self.slowed = self.requests.ease.held(now)

    def _doubt(
        self,
        lacking: list[tuple[Dimension, float]],
        call: Call,
        now: float,
        wait_s: float,
        *,
        is_first: bool,
    ) -> None:
        """Lower rates that may be wrong, once for requests that were on their way together.

        An assumed limit is doubted from the first refusal after an answer on: those after it may be
        for what the first ones cost. One that somebody has entered is doubted from the second
        refusal in a row on.
        """
        if call.sent_at < self.eased_at:
            return
        for one, cost in lacking:
            if one.is_assumed and is_first:
                later = one.drawn - (
                    call.requests_drawn if one is self.requests else call.tokens_drawn
                )
                one.doubt(cost, now, later=later, wait_s=wait_s)
            elif not (one.is_assumed or is_first):
                one.ease.cut(now, flat_s=0.0, is_for_guess=True)
        self.eased_at = now

    def _had_room(
        self, one: Dimension, cost: float, call: Call, refusal: RateLimited, now: float
    ) -> bool | None:
        """Tell whether the minute bucket had room for a refused request; None if nobody said."""
        if refusal.dimension and refusal.limit is not None and refusal.used is not None:
            return refusal.limit - refusal.used >= (refusal.requested or cost)
        if not one.is_known or one.remaining is None:
            return None
        if call.is_heard:
            return one.remaining >= cost
        doubt = max(cost, self._knobs.doubt_s * one.rate)  # so far the level may be wrong
        return one.level(now) >= cost + doubt
