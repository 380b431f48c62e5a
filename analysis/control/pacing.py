"""How fast requests may go: a limiter of requests and one of tokens, and the pauses demanded.

Pure. The scheduler asks `ready_at`, draws with `take`, gives back with `refund`, ends a call with
`end`, and passes on what the service says (`learn`) or demands (`hold`).

A request goes when both dimensions (`dimension.py`) have level and credit for it. Which call a
statement belongs to decides how it is read:

    statement                      level of the dimension
    of a known call                remaining - drawn since - sent before, unheard + refill since
    of some call                   remaining - all drawn since the oldest recent one
    refusal, no room               what the request lacks after the wait; may be below zero
    refusal, room                  as it is; the credit is bounded by a hidden window
    refusal, limit never stated    as for no room, and the assumed rate is halved
    refusal, slow_down             as it is; the rate is halved for a quarter of an hour
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from analysis.control.dimension import Dimension
from analysis.errors import RateLimited, RequestTooLarge
from analysis.records import RateLimit
from analysis.settings import SETTINGS, Settings

SLOW_DOWN = "slow_down"
"""Code of a refusal because traffic rose too fast. Source: protocol notes, section 5.3."""


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A request on its way, as the pacer knows it.

    Attributes:
        sent_at: When it was drawn, monotonic seconds.
        tokens: Drawn for it.
        requests_drawn: Everything drawn of requests up to and with it.
        tokens_drawn: Everything drawn of tokens up to and with it.
        is_heard: The service has stated limits with it.
    """

    sent_at: float
    tokens: int
    requests_drawn: float
    tokens_drawn: float
    is_heard: bool = False


class Pacer:
    """Both dimensions of one model at one account, and the pause that a 429 demands.

    Attributes:
        requests: Requests per minute.
        tokens: Tokens per minute.
        is_guessed: The requests limit is assumed: no service has stated it yet.
        is_short: A request has emptied a bucket, so that the next one had to wait.
        is_scouted: A request was sent to a route for what it says about the limits.
    """

    def __init__(self, *, now: float, rng: random.Random, settings: Settings = SETTINGS) -> None:
        self.requests = Dimension(
            per_minute=settings.requests_per_minute,
            unit=1.0,
            start_units=settings.start_requests,
            now=now,
            settings=settings,
        )
        self.tokens = Dimension(
            per_minute=settings.tokens_per_minute,
            unit=0.0,
            start_units=1,
            now=now,
            settings=settings,
        )
        self.is_guessed = True
        self.is_short = False
        self.is_scouted = False
        self._rng = rng
        self._settings = settings
        self._calls: dict[Call, None] = {}
        self._held_until = now
        self._holds_in_a_row = 0
        self._refused_since: float | None = None
        self._eased_at = now
        self._slowed_at = -settings.slow_down_every_s + now

    def ready_at(self, *, cost_tokens: int, now: float) -> float:
        """Return the earliest time at which a request of this cost may be sent.

        Args:
            cost_tokens: Estimated input plus the output cap of the request.
            now: Monotonic seconds.

        Raises:
            RequestTooLarge: If the cost exceeds a whole minute's limit, so that no wait would help.
        """
        most = self.tokens.per_minute
        if cost_tokens > most:
            raise RequestTooLarge(
                f"The request needs about {cost_tokens} tokens, and the limit is {most:.0f} tokens "
                "a minute. Ask for fewer or shorter chunks at once, or for a higher limit."
            )
        return max(
            self._held_until,
            self.requests.ready_at(1, now),
            self.tokens.ready_at(cost_tokens, now),
        )

    def take(self, *, cost_tokens: int, now: float) -> Call:
        """Draw one request and its tokens; hand the call to `end` when it has ended."""
        requests, tokens = self.requests, self.tokens
        requests.take(1, now)
        tokens.take(cost_tokens, now)
        self.is_short = self.is_short or requests.is_short_of(1) or tokens.is_short_of(cost_tokens)
        call = Call(
            sent_at=now,
            tokens=cost_tokens,
            requests_drawn=requests.drawn,
            tokens_drawn=tokens.drawn,
        )
        self._calls[call] = None
        return call

    def refund(self, *, tokens: int, now: float) -> None:
        """Give back tokens that were reserved and not used (negative: used beyond it)."""
        self.tokens.refund(tokens, now)

    def end(self, call: Call) -> None:
        """Hear that a call is not on its way any more."""
        self._calls.pop(call, None)

    def learn(self, limits: Iterable[RateLimit], now: float, *, call: Call | None = None) -> None:
        """Take over what the service says about its limits.

        Args:
            limits: As stated.
            now: Monotonic seconds.
            call: The one on its way that they were stated with; None if that is not known.
        """
        likely = call or self._oldest(now)
        requests, tokens = self._not_counted(call, likely)
        if call is not None:
            call.is_heard = True
        sent_at = None if call is None else call.sent_at
        for limit in limits:
            if limit.name == "requests":
                self.requests.learn(
                    limit,
                    now,
                    amount=0.0 if likely is None else 1.0,
                    sent_at=sent_at,
                    not_counted=requests,
                )
                self.is_guessed = self.is_guessed and not self.requests.is_stated
            elif limit.name == "tokens":
                self.tokens.learn(
                    limit,
                    now,
                    amount=0.0 if likely is None else likely.tokens,
                    sent_at=sent_at,
                    not_counted=tokens,
                )

    def hold(
        self,
        *,
        retry_after_s: float | None,
        now: float,
        call: Call | None = None,
        refusal: RateLimited | None = None,
    ) -> float:
        """Send nothing for as long as a rate limit demands; return until when.

        Without a stated time (or with one of zero) the pause doubles from refusal to refusal;
        refusals of requests that were on their way together count once. Up to a tenth is added by
        chance, so that waiting processes do not come back together.

        Args:
            retry_after_s: As stated, or None.
            now: Monotonic seconds.
            call: The refused one, which has ended and got its tokens back.
            refusal: What the service said.
        """
        if self._refused_since is None:
            self._refused_since = now
        if now >= self._held_until:
            self._holds_in_a_row += 1
        knobs = self._settings
        backoff_s = knobs.backoff_base_s * 2 ** min(self._holds_in_a_row, 16)
        backoff_s = min(knobs.backoff_cap_s, backoff_s)
        if retry_after_s is None or retry_after_s <= 0:
            retry_after_s = backoff_s
        elif refusal is not None and refusal.code == SLOW_DOWN:
            retry_after_s = max(retry_after_s, backoff_s)
        if call is not None:
            self._weigh(call, refusal or RateLimited(""), now, retry_after_s)
        until = now + retry_after_s * (1 + self._rng.uniform(0, 0.1))
        self._held_until = max(self._held_until, until)
        return self._held_until

    def refused_for(self, now: float, *, since: float) -> float:
        """Return the seconds from the first refusal after the last answer, or after `since`."""
        return 0.0 if self._refused_since is None else now - max(self._refused_since, since)

    def confirm(self, call: Call | None = None) -> None:
        """Hear that a request passed the limits.

        Where its service states nothing with answers, the answer itself lets the bursts grow, as
        far as what was stated elsewhere leaves room.
        """
        self._holds_in_a_row = 0
        self._refused_since = None
        if call is not None and not call.is_heard:
            self.requests.confirm(1.0)
            self.tokens.confirm(call.tokens)

    # Inside

    def _oldest(self, now: float) -> Call | None:
        """Return the oldest call that a statement just heard may belong to; None if none is."""
        since = now - self._settings.statement_age_s
        return next((call for call in self._calls if call.sent_at >= since), None)

    def _not_counted(self, call: Call | None, likely: Call | None) -> tuple[float, float]:
        """Return requests and tokens drawn that a statement may not have counted.

        Of a known call: what was drawn after it, and by calls sent before it of which the service
        has said nothing. Without one it may be as old as the oldest call of the last moment.
        """
        if likely is None:
            return 0.0, 0.0
        requests = self.requests.drawn - likely.requests_drawn
        tokens = self.tokens.drawn - likely.tokens_drawn
        if call is None:
            return requests + 1.0, tokens + likely.tokens
        for other in self._calls:
            if other is call:
                break
            if not other.is_heard:
                requests += 1.0
                tokens += other.tokens
        return requests, tokens

    def _weigh(self, call: Call, refusal: RateLimited, now: float, wait_s: float) -> None:
        """Find out which limit a refusal is about, and how."""
        name, _, period = refusal.dimension.partition(" per ")
        costs = [(self.requests, "requests", 1.0), (self.tokens, "tokens", float(call.tokens))]
        if call.is_heard:
            self.requests.unserve(1.0)  # tokens were given back
        if refusal.code == SLOW_DOWN:
            for one, _, _ in costs:
                one.stop_growing()
            if call.sent_at >= self._slowed_at + self._settings.slow_down_every_s:
                self._slowed_at = now
                for one, _, _ in costs:
                    one.ease.cut(now, flat_s=self._settings.slow_down_s)
            return
        if period == "day" or refusal.code not in ("", "rate_limit_exceeded"):
            return  # the pause says it all: the limits of a minute are as they were
        if name:
            costs = [cost for cost in costs if cost[1] == name]
        if name and refusal.limit:
            for one, _, _ in costs:
                one.adopt(float(refusal.limit), now, is_heard=call.is_heard)
        rooms = [(one, cost, _room(one, cost, call, refusal, now)) for one, _, cost in costs]
        if all(room for _, _, room in rooms):
            for one, cost, _ in rooms:
                one.find_window(cost, now, wait_s=wait_s)
            return
        lacking = [(one, cost) for one, cost, room in rooms if not room]
        self._ease([one for one, _ in lacking if not one.is_stated], call, now)
        for one, cost in lacking:
            one.refuse(cost, now, wait_s=wait_s, lost=1.0 if one is self.requests else 0.0)
            if call.is_heard and (one.remaining or 0.0) >= cost:  # what remains is not true
                one.find_window(cost, now, wait_s=wait_s)

    def _ease(self, dimensions: list[Dimension], call: Call, now: float) -> None:
        """Halve rates, once for requests that were on their way together."""
        if not dimensions or call.sent_at < self._eased_at:
            return
        self._eased_at = now
        for one in dimensions:
            one.ease.cut(now, flat_s=0.0, is_for_guess=True)


def _room(one: Dimension, cost: float, call: Call, refusal: RateLimited, now: float) -> bool | None:
    """Tell whether the minute bucket had room for a refused request; None if nobody said."""
    if refusal.dimension and refusal.limit is not None and refusal.used is not None:
        return refusal.limit - refusal.used >= (refusal.requested or cost)
    if not one.is_known or one.remaining is None:
        return None
    return one.remaining >= cost if call.is_heard else one.level(now) >= cost
