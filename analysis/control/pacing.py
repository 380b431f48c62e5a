"""How fast requests may go: a limiter of requests and one of tokens, and the pauses demanded.

Pure. The scheduler asks `ready_at`, draws with `take`, gives back with `refund`, ends a call with
`end`, and passes on what the service says (`learn`) or demands (`hold`).

A request goes when both dimensions (`dimension.py`) allow it. Which call a statement belongs to
decides how it is read:

    statement                      level of the dimension
    of a known call                remaining - drawn since + refill
    of more that were sent at once least remaining of them - those without a statement + refill
    of some call                   remaining - all drawn since the oldest recent one
    refusal, no room               what the request lacks after the wait; may be below zero
    refusal, room                  as it is; bursts are bounded by a hidden window
    refusal, limit never stated    as for no room; an assumed rate begins low, then is measured
    refusal, slow_down             as it is; the rate is halved for a quarter of an hour
    none, nor is one expected      taken as full; bursts double per round trip

One is expected while a request is on its way over a route that states limits, unless an answer of
such a route came without any.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from analysis.control.calls import Call
from analysis.control.dimension import Dimension
from analysis.control.learned import Learned
from analysis.control.leases import Share, Spacing
from analysis.control.refusals import SLOW_DOWN, Refusals
from analysis.errors import RateLimited, RequestTooLarge
from analysis.records import RateLimit
from analysis.settings import SETTINGS, Settings


class Pacer:
    """Both dimensions of one model at one account, and the pause that a 429 demands.

    Attributes:
        requests: Requests per minute.
        tokens: Tokens per minute.
        tokens_reserved: Drawn so far.
        tokens_refunded: Given back so far, because they were reserved and not used.
    """

    def __init__(
        self,
        *,
        now: float,
        rng: random.Random,
        settings: Settings = SETTINGS,
        learned: Learned | None = None,
    ) -> None:
        """Start with nothing drawn.

        Args:
            now: Monotonic seconds.
            rng: Source of jitter.
            settings: Knobs; limits other than the defaults are believed to be the account's.
            learned: Limits known from an earlier run; they are believed more than the settings.
        """
        learned = learned or Learned()
        self.requests = Dimension(
            per_minute=settings.requests_per_minute,
            least_burst=settings.start_requests,
            is_assumed=settings.requests_per_minute == SETTINGS.requests_per_minute,
            now=now,
            settings=settings,
            learned=learned.requests,
        )
        self.tokens = Dimension(
            per_minute=settings.tokens_per_minute,
            least_burst=0.0,
            is_assumed=settings.tokens_per_minute == SETTINGS.tokens_per_minute,
            now=now,
            settings=settings,
            learned=learned.tokens,
        )
        self.tokens_reserved = 0
        self.tokens_refunded = 0
        self._rng = rng
        self._settings = settings
        self._calls: dict[Call, None] = {}
        self._held_until = now
        self._spaced_until = now
        self._holds_in_a_row = 0
        self._refused_since: float | None = None
        self._refusals = Refusals(self.requests, self.tokens, now=now, settings=settings)
        self._bound_until = now
        self._is_begun = False
        self._asked_at: float | None = None
        self._is_asking = False
        self._asked = 0
        self._is_mute = False
        self._turn_at: float | None = None
        self._unit_tokens = 0.0
        self._last = Call(sent_at=-math.inf, tokens=0, requests_drawn=0.0, tokens_drawn=0.0)
        self._returned = 0.0
        self._heard_of: float | None = None
        self._found = 0
        self._found_at = now

    def ready_at(self, cost_tokens: int, now: float) -> float:
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
        ready_at = self.requests.ready_at(1, now)
        if (tokens_at := self.tokens.ready_at(cost_tokens, now)) > ready_at:
            ready_at = tokens_at
        self._found = cost_tokens if ready_at <= now else 0
        self._found_at = now
        if self._held_until > ready_at:
            ready_at = self._held_until
        if self._spaced_until > ready_at:
            ready_at = self._spaced_until
        turn_at = self._turn_at
        return ready_at if turn_at is None else max(ready_at, turn_at)

    def take(self, cost_tokens: int, now: float) -> Call:
        """Draw one request and its tokens; hand the call to `end` when it has ended."""
        requests, tokens = self.requests, self.tokens
        # That `ready_at` has just found room for two requests of this cost spares asking it again.
        is_found = self._found == cost_tokens and self._found_at == now
        has_two = is_found and requests.spare >= 1.0 and tokens.spare >= cost_tokens
        self._found = 0
        drawn = requests.take(1, now), tokens.take(cost_tokens, now)
        call = Call(now, cost_tokens, *drawn, False, self._is_asking)
        self._calls[call] = None
        self._last, self._returned = call, tokens.returned
        if self._is_asking:
            self._asked += 1
            self._is_asking = False
        if self._turn_at is not None:
            self._turn_at = math.inf
        if cost_tokens > self._unit_tokens:
            self._unit_tokens = float(cost_tokens)
        self.tokens_reserved += cost_tokens
        if self._holds_in_a_row > 1:  # one request at a time finds out whether it goes on
            self._spaced_until = now + self._settings.spaced_s
        if not has_two:
            next_at = max(requests.ready_at(1, now), tokens.ready_at(cost_tokens, now))
            if next_at > now:
                self._bound_until = next_at + self._settings.bound_s
        return call

    def refund(self, tokens: int, now: float) -> None:
        """Give back tokens that were reserved and not used (negative: used beyond it)."""
        self.tokens.refund(tokens, now)
        self.tokens_refunded += tokens

    def end(self, call: Call) -> None:
        """Hear that a call is not on its way any more."""
        if call in self._calls:
            del self._calls[call]
            self._asked -= call.is_asked

    def lose(self, call: Call, now: float) -> None:
        """Hear that nobody knows what became of a call: its service may never have seen it."""
        self.requests.lose(1.0, now)
        self.tokens.lose(float(call.tokens), now)

    def learn(self, limits: Iterable[RateLimit], now: float, *, call: Call | None = None) -> None:
        """Take over what the service says about its limits.

        Args:
            limits: As stated.
            now: Monotonic seconds.
            call: The one on its way that they were stated with; None if that is not known.
        """
        likely = call or self._oldest(now)
        requests, tokens = self._missing(call, likely)
        sent_at = None if call is None else call.sent_at
        is_joint = False
        if call is not None:
            call.is_heard = True
            if self._heard_of == sent_at == self._last.sent_at:
                is_joint, (requests, tokens) = True, self._unheard(self._last)
            self._heard_of = sent_at
        for limit in limits:
            if limit.name == "requests":
                one, amount, missing = self.requests, 1.0, requests
            elif limit.name == "tokens":
                one, amount, missing = self.tokens, likely.tokens if likely else 0.0, tokens
            else:
                continue
            amount = 0.0 if likely is None else amount
            one.learn(
                limit, now, amount=amount, sent_at=sent_at, missing=missing, is_joint=is_joint
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
        refusals of requests that were on their way together count once. Up to a tenth, at most five
        seconds, is added by chance, so that waiting processes do not come back together.

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
            in_a_row, refusal = self._holds_in_a_row, refusal or RateLimited("")
            self._refusals.weigh(call, refusal, now, wait_s=retry_after_s, in_a_row=in_a_row)
        jitter_s = min(knobs.hold_jitter_s, 0.1 * retry_after_s)
        until = now + retry_after_s + self._rng.uniform(0, jitter_s)
        self._held_until = max(self._held_until, until)
        return self._held_until

    def take_slowed(self) -> float | None:
        """Return the share of the rate that `slow_down` has left; once for each cut."""
        found, self._refusals.slowed = self._refusals.slowed, None
        return found

    def refused_for(self, now: float, *, since: float) -> float:
        """Return the seconds from the first refusal after the last answer, or after `since`."""
        return 0.0 if self._refused_since is None else now - max(self._refused_since, since)

    def excuse(self, seconds: float) -> None:
        """Do not count so many seconds in `refused_for`: nothing was asked in them."""
        if self._refused_since is not None:
            self._refused_since += seconds

    def confirm(self, call: Call | None = None) -> None:
        """Hear that a request passed the limits.

        Where its service states nothing with answers, the answer itself lets the bursts grow, as
        far as what was stated elsewhere leaves room, or freely where nothing will be stated.
        """
        self._holds_in_a_row = 0
        self._refused_since = None
        if call is None:
            return
        requests, tokens = self.requests, self.tokens
        if call.is_asked and requests.is_blind:
            self._is_mute = True
        is_free = self._is_mute or not self._asked
        is_news = is_free and call.sent_at >= self._refusals.eased_at  # later ones were not refused
        if is_news and requests.is_blind:
            most = float(self._settings.blind_most) if self.is_guessed else math.inf
            requests.confirm_blindly(1.0, most)
        elif not call.is_heard:
            requests.confirm(1.0)
        if is_news and tokens.is_blind:
            tokens.confirm_blindly(float(call.tokens), math.inf)
        elif not call.is_heard:
            tokens.confirm(float(call.tokens))

    # For the scheduler and the planner

    @property
    def is_guessed(self) -> bool:
        """The requests limit is a default: nobody has entered, learned, stated or named one."""
        return self.requests.is_assumed

    def is_rate_bound(self, now: float) -> bool:
        """Tell whether a request had to wait for a limit just now."""
        return now < self._bound_until or now < self._held_until

    @property
    def may_begin(self) -> bool:
        """Whether `begin` can change anything."""
        return not (self._is_begun or self.requests.was_refused) and self.requests.is_blind

    def begin(self, *, requests: int, tokens: int, is_mute: bool) -> None:
        """Hear how much waits: long work on limits that nobody has stated starts slowly.

        Nothing changes once a service has stated or refused something.

        Args:
            requests: That wait.
            tokens: Of all of them.
            is_mute: No route states limits, so a statement need not be waited for.
        """
        if not (self.may_begin and self.is_long(requests=requests, tokens=tokens)):
            return
        self._is_begun, self._found, knobs = True, 0, self._settings
        if self.is_guessed:
            self.requests.ease.start(knobs.start_per_s / self.requests.rate)
        if is_mute:
            self._is_mute = True
            for one, amount in ((self.requests, 1.0), (self.tokens, tokens / requests)):
                count = knobs.blind_requests if one.is_assumed else knobs.blind_entered
                one.allow(amount * count)

    def is_long(self, *, requests: int, tokens: int) -> bool:
        """Tell whether so much takes a while at the limits in use."""
        least_s = max(requests / self.requests.rate, tokens / self.tokens.rate)
        return least_s >= self._settings.long_s

    def wants_statement(self, now: float) -> bool:
        """Tell whether a request should take a route that states limits, if there is one."""
        if self._asked_at is None:
            return not self.requests.is_known
        is_old = now - max(self._asked_at, self.requests.heard_at) >= self._settings.scout_every_s
        return is_old and self.is_rate_bound(now)

    def note_asked(self, now: float) -> None:
        """Hear that the next request takes such a route."""
        self._asked_at = now
        self._is_asking = True

    def budget(self, now: float) -> dict[str, tuple[float | None, float]]:
        """Return (left now or None, units per second) of `requests` and `tokens`."""
        return {"requests": _budget(self.requests, now), "tokens": _budget(self.tokens, now)}

    def learned(self) -> Learned:
        """Return what another run can start from."""
        return Learned(requests=self.requests.learned(), tokens=self.tokens.learned())

    # For the leases

    @property
    def has_turn(self) -> bool:
        """A turn was given and not used yet."""
        return self._turn_at is not None and self._turn_at < math.inf

    def ready_apart_from_turns(self, *, cost_tokens: int, now: float) -> float:
        """Return the earliest time that limits and pauses allow."""
        limits_at = max(self.requests.ready_at(1, now), self.tokens.ready_at(cost_tokens, now))
        self._found = 0
        return max(limits_at, self._held_until, self._spaced_until)

    def spacing(self) -> Spacing | None:
        """Return the spacing of requests where a hidden window holds only one."""
        seconds, dimension = max(
            (_spacing_s(self.requests, 1.0), "requests"),
            (_spacing_s(self.tokens, self._unit_tokens), "tokens"),
        )
        return Spacing(dimension=dimension, seconds=seconds) if seconds > 0 else None

    def share(self, share: Share, now: float) -> None:
        """Use this part of the account from now on, and turns; other processes use the rest."""
        has_turns = share.turn_in_s is not None
        for name, one in (("requests", self.requests), ("tokens", self.tokens)):
            one.share(share.part, now, has_turns=has_turns)
            if share.window == name:
                one.note_window()
        self._turn_at = None if share.turn_in_s is None else now + share.turn_in_s

    # Inside

    def _oldest(self, now: float) -> Call | None:
        """Return the oldest call that a statement just heard may belong to; None if none is."""
        since = now - self._settings.statement_age_s
        return next((call for call in self._calls if call.sent_at >= since), None)

    def _missing(self, call: Call | None, likely: Call | None) -> tuple[float, float]:
        """Return requests and tokens drawn that a statement may not have counted.

        Of a known call: what was drawn after it. Without one it may be as old as the oldest call
        of the last moment.
        """
        if likely is None:
            return 0.0, 0.0
        requests = self.requests.drawn - likely.requests_drawn
        tokens = self.tokens.drawn - likely.tokens_drawn
        return (requests + 1.0, tokens + likely.tokens) if call is None else (requests, tokens)

    def _unheard(self, last: Call) -> tuple[float, float]:
        """Return requests and tokens drawn that no statement has counted.

        For requests that were sent at one moment, `last` the last one of them and of all: in which
        order they arrived nobody knows, but what a lower statement than theirs says counts them.
        """
        alike = (call for call in self._calls if call.sent_at == last.sent_at)
        unheard = [call.tokens for call in alike if not call.is_heard]
        refused = self.tokens.returned - self._returned  # the service never drew these
        requests = self.requests.drawn - last.requests_drawn + len(unheard)
        return requests, self.tokens.drawn + refused - last.tokens_drawn + sum(unheard)


def _budget(one: Dimension, now: float) -> tuple[float | None, float]:
    """Return what may be drawn now, None if nothing is known, and what comes per second."""
    level = one.level(now) if one.is_known else None
    if one.window_s is not None:
        room = one.burst - one.excess(now)
        level = room if level is None else min(level, room)
    return level, one.pace(now)


def _spacing_s(one: Dimension, unit: float) -> float:
    """Return the seconds from one request of this amount to the next, 0 if no window asks it.

    That is, where the hidden window holds only one.
    """
    if one.window_s is None or one.window_s * one.rate > unit:
        return 0.0
    return unit / (one.rate * (1 - one.guard))
