"""One dimension of an account's limit, requests or tokens per minute: a level and an excess.

Pure. The pacer keeps two of them. Amounts are in the unit of the dimension, rates per second.

The level is our copy of the service's minute bucket. As long as nothing is known of it, it is taken
as full; then it is what the service states as remaining, less what was drawn since, plus the refill
since, or, after a refusal, what the stated wait says.

The excess is what was drawn above the rate, and it is kept below the burst. The burst is small at
first and grows with each answer while the service states room. A refusal although the minute bucket
had room shows a hidden window: it holds what was let through above the rate, and from then on the
excess sinks slower than the rate by a guard.

Where no statement is to be expected, the burst grows so that twice as much goes per round trip,
until a refusal. After it the rate begins low and doubles every second, until the next refusal, and
from then on it is what was let through between two refusals.

A process that shares its account uses a part of everything: rate, level, burst and reserve.
"""

from __future__ import annotations

import math

from analysis.control.claims import Claims
from analysis.control.ease import Ease
from analysis.control.learned import LearnedLimit
from analysis.control.others import Others
from analysis.control.window import Window
from analysis.records import RateLimit
from analysis.settings import Settings

TINY = 1e-9
"""Below this an amount lacking is a matter of rounding."""

RAMP_S = 1.0
"""So long after a request had to wait for it a burst goes on growing."""


class Dimension:
    """Level and excess of one dimension.

    Attributes:
        per_minute: The limit in use.
        rate: Refill of the service's bucket in units per second.
        drawn: Everything drawn so far, net of what came back.
        is_assumed: Nobody has entered, learned, stated or named the limit.
        is_known: The service has stated what remains, so the level is more than a guess.
        remaining: What the service stated last as remaining, or None.
        window: The hidden one.
        others: What other users of the account draw.
        ease: Share of the rate that is used for now.
        claims: Which of the limits that the service states is believed.
        was_refused: A request was refused for this limit, or may have been.
        heard_at: When the service last stated what remains.
        returned: Part of what was given back that was refused.
        part: Part of the account that this process uses, 0 to 1.
        spare: What `ready_at` found beyond the amount, if that may be drawn at once.
        has_turns: Processes take turns, so what others draw is none of the rate's business.
    """

    def __init__(
        self,
        *,
        per_minute: float,
        least_burst: float,
        is_assumed: bool,
        now: float,
        settings: Settings,
        learned: LearnedLimit | None = None,
    ) -> None:
        """Start with nothing drawn.

        Args:
            per_minute: The limit, unless it was learned.
            least_burst: So much may go at once at the start.
            is_assumed: The limit is a default.
            now: Monotonic seconds.
            settings: Knobs.
            learned: From an earlier run.
        """
        self.per_minute = float(per_minute)
        self.is_assumed = is_assumed and learned is None
        if learned is not None:
            self.per_minute = learned.per_minute
        self.rate = self.per_minute / 60.0
        window_s, guard = (None, 0.0) if learned is None else (learned.window_s, learned.guard)
        self.window = Window(seconds=window_s, guard=guard, now=now, settings=settings)
        self.drawn = 0.0
        self.is_known = False
        self.remaining: float | None = None
        self.others = Others(settings=settings)
        self.ease = Ease(settings=settings)
        self._least_burst = least_burst
        self._knobs = settings
        self._at = now
        self._level = self.per_minute
        self._begun_at = now
        self._refused = 0.0
        self._refused_at: float | None = None
        self._excess = 0.0
        self._grown = 0.0
        self._lost = 0.0
        self._lost_at = now
        self._least = 0.0
        self.heard_at = now
        self.returned = 0.0
        self.part = 1.0
        self.spare = 0.0
        self.has_turns = False
        self._news_at = now
        self.claims = Claims(per_minute=self.per_minute, settings=settings)
        self.was_refused = False
        self._is_remaining_false = False
        self._is_ramping = False  # what waits for it lets the burst grow with time
        self._ramps_until = now
        self._sure_burst = 0.0  # while the ease is whole: at least; what lowers it unsets it

    def __repr__(self) -> str:
        return (
            f"Dimension(level {self._level:.1f}, excess {self._excess:.1f} of {self.burst:.1f}, "
            f"{self.per_minute:.0f}/min)"
        )

    @property
    def window_s(self) -> float | None:
        """Length of the hidden window, or None if none was met."""
        return self.window.seconds

    @property
    def guard(self) -> float:
        """Share of the rate by which the excess sinks slower."""
        return self.window.guard

    @property
    def burst(self) -> float:
        """Most that may be drawn above the rate; a larger single amount goes when nothing is."""
        ease, window_s = self.ease, self.window.seconds
        eased = self.rate if ease.is_whole else self.rate * ease.share(self._at)
        if window_s is not None:
            return self.part * window_s * eased
        least = self._knobs.burst_s * eased
        most = (least if least > self._least_burst else self._least_burst) + self._grown
        return self.part * (most if most < self.per_minute else self.per_minute)

    @property
    def is_stated(self) -> bool:
        """The limit in use was stated by the service."""
        return self.claims.limit is not None

    @property
    def is_blind(self) -> bool:
        """The service has stated neither the limit nor what remains of it."""
        return not self.is_known and self.claims.limit is None

    def pace(self, now: float) -> float:
        """Return the refill in units per second that this client plans with."""
        pace = self.part * (self._refill_rate() if self.others.per_s else self.rate)
        return pace if self.ease.is_whole else pace * self.ease.share(now)

    def level(self, now: float) -> float:
        """Return what the minute bucket is believed to hold; below zero after a refusal."""
        self._advance(now)
        return self._level

    def excess(self, now: float) -> float:
        """Return what was drawn above the rate."""
        self._advance(now)
        return self._excess

    def ready_at(self, amount: float, now: float) -> float:
        """Return the earliest time at which so much may be drawn; `now` if at once.

        It is asked several times for every request, so it calls few functions.
        """
        if now > self._at:
            self._advance(now)
        part, burst, is_whole = self.part, self._sure_burst, self.ease.is_whole
        if part == 0.0:
            return math.inf
        excess = self._excess + amount - (burst if burst > amount else amount)
        if excess > -amount or not is_whole:  # it may have grown
            burst = self.burst
            if is_whole:
                self._sure_burst = burst
            excess = self._excess + amount - (burst if burst > amount else amount)
        most = part * self.per_minute
        level = amount + self._reserve(amount) if self.is_known else amount
        level = (level if level < most else most) - self._level
        if level <= TINY and excess <= TINY:
            self.spare = -(level if level > excess else excess)
            return now
        pace = self.pace(now)
        sinks = pace * (1 - self.guard)
        wait_s = excess / sinks
        if self._is_ramping and excess > TINY:
            wait_s = min(wait_s, self._ramped_s(self._excess + amount - burst, sinks, now))
        return now + max(level / pace, wait_s)

    def take(self, amount: float, now: float) -> float:
        """Draw; the caller asked `ready_at` before. Return everything drawn up to now."""
        if now > self._at:
            self._advance(now)
        self._level -= amount
        self._excess += amount
        self.drawn += amount
        return self.drawn

    def refund(self, amount: float, now: float) -> None:
        """Give back what was reserved and not used; a negative amount draws more."""
        if now > self._at:
            self._advance(now)
        level, most, window = self._level + amount, self.part * self.per_minute, self.window
        self._level = level if level < most else most
        if amount < 0 or window.are_refunds_counted:
            excess = self._excess - amount
            self._excess = excess if excess > 0.0 else 0.0
        if amount > 0:
            window.has_refunds = True
        self.drawn -= amount
        if self.claims.limit is not None:
            self.claims.unserve(amount)

    def learn(
        self,
        limit: RateLimit,
        now: float,
        *,
        amount: float,
        sent_at: float | None,
        missing: float,
        is_joint: bool = False,
    ) -> None:
        """Take over what the service states.

        Args:
            limit: The statement.
            now: Monotonic seconds.
            amount: What the request drew that the statement belongs to, or is likely to; 0 if none.
            sent_at: When that request was sent; None if it is not known which one it is.
            missing: Drawn, net of what came back, without being in what is stated.
            is_joint: Not in the least that was stated with any request sent at that moment.
        """
        self._advance(now)
        if limit.limit is not None and limit.limit <= 0:
            return  # it applies no limit of this kind, so nothing remains of it either
        at = now if sent_at is None else sent_at
        if limit.limit is not None and not self._believe(float(limit.limit), amount, at, now):
            return
        if limit.remaining is None or limit.remaining < 0 or self._is_remaining_false:
            return
        self.heard_at = now
        self.remaining = float(limit.remaining)
        if sent_at is None or sent_at >= self._news_at or not self.is_known:  # else it is old
            least = min(self._least, self.remaining) if is_joint else self.remaining
            self._least = least
            level = self.part * (least + self._refill_rate() * (now - at)) - missing
            if self.remaining == 0 and not is_joint:  # it may lack more than nothing
                level = min(level, self._level)
            is_within = level < self._level < level + self.part and self.rate < 1.0
            if self.is_known and is_within and not self.others.per_s:
                level = self._level  # the service states whole units, and each takes a while
            self._set_level(min(self._most, level), sent_at, amount, now)
        self._let_grow(amount)

    def learned(self) -> LearnedLimit | None:
        """Return what another run can start from; None while the limit is assumed."""
        if self.is_assumed:
            return None
        return LearnedLimit(per_minute=self.per_minute, window_s=self.window_s, guard=self.guard)

    def confirm(self, amount: float) -> None:
        """Hear that so much was let through, on a way that states nothing."""
        if self.is_known and self._level > 0:
            self._let_grow(amount)

    def allow(self, amount: float) -> None:
        """Let so much go at once at the start, since nobody will state anything."""
        if self.is_blind and not self.was_refused:
            self._grown = max(self._grown, min(amount, self.per_minute))

    def confirm_blindly(self, amount: float, most: float) -> None:
        """Hear that so much was let through where no statement is to be expected.

        Args:
            amount: So much.
            most: The burst grows up to this.
        """
        gained, old = 0.0, self._grown
        if not self.ease.is_whole:
            before = self.burst
            self.ease.grow(amount / self.rate)
            gained = self.burst - before
        if old < most and not self.was_refused and self.window.seconds is None:
            if most > self.per_minute:
                most = self.per_minute
            more = self._knobs.blind_growth * amount - gained
            grown = old + (more / (self.part or TINY) if more > 0.0 else 0.0)
            self._grown = grown if grown < most else most

    def doubt(self, amount: float, now: float, *, later: float, wait_s: float) -> None:
        """Hear of a refusal that shows an assumed rate to be too high, before `refuse`.

        Args:
            amount: What the refused request would have drawn.
            now: Monotonic seconds.
            later: Drawn after it.
            wait_s: From now on; then the service has room for it.
        """
        self._advance(now)
        start = self._knobs.start_per_s * amount / self.rate
        asked_s = (self.drawn + self.returned - later) / self.rate
        self.ease.doubt(now, start=start, asked_s=asked_s, wait_s=wait_s)

    def adopt(self, per_minute: float, now: float, *, is_heard: bool) -> None:
        """Take over the limit that a refusal names.

        If the statement that came with it (`is_heard`) names another one, that has another unit.
        """
        self._advance(now)
        self.is_assumed = False
        self.ease.lift()
        self.claims.adopt(per_minute, now=now, in_use=self.per_minute, is_heard=is_heard)
        self._set_limit(per_minute)

    def forget(self, amount: float) -> None:
        """Hear that so much of what was drawn was refused: a hidden window does not count it."""
        if self.is_known:
            self._excess = max(0.0, self._excess - amount)
        else:  # as long as nothing is known, the rate is kept by what is sent
            self._refused += amount

    def refuse(self, amount: float, now: float, *, sent_at: float, wait_s: float) -> None:
        """Hear that the minute bucket lacked so much, and is to hold it after `wait_s`."""
        self._advance(now)
        self._note_refused()
        self._news_at = max(self._news_at, sent_at)
        if not self.is_known:
            self._refused_at, self._grown, self._sure_burst = now, 0.0, 0.0
            if self.window_s is None:
                self._excess = min(self._excess, self.burst)  # the level says the rest
            self.ease.mark(now + wait_s, asked_s=(self.drawn + self.returned) / self.rate)
        held = amount - self.pace(now) * wait_s
        self._level, self._least = min(self._level, held), min(self._least, held)

    def find_window(
        self, amount: float, now: float, *, wait_s: float, is_wait_stated: bool = False
    ) -> None:
        """Hear of a refusal although the minute bucket had room: a shorter window applies."""
        self._advance(now)
        self._note_refused()
        rate = self.rate * self._part_or_tiny()
        room = max(0.0, amount / rate - wait_s) if is_wait_stated else 0.0
        if self.window.find(self._excess / rate, amount / rate, now, room=room):
            self.ease.cut(now, flat_s=0.0)
        self._sure_burst = 0.0
        refilled = self.pace(now) * (1 - self.guard) * wait_s
        self._excess = max(self._excess, self.burst - amount + refilled)

    def lose(self, amount: float, now: float) -> None:
        """Hear that so much was drawn by a request that got lost: it need not have arrived."""
        self._lost += amount
        self._lost_at = now

    def exclude(self, amount: float, now: float) -> None:
        """Hear that so much was refused for something else than the hidden window."""
        self.window.exclude(amount / (self.rate * self._part_or_tiny()), now)
        self._sure_burst = 0.0

    def distrust(self) -> None:
        """Hear that what is stated as remaining is not true: it is ignored from now on."""
        self._is_remaining_false, self.is_known, self.remaining = True, False, None
        self._is_ramping = False

    def stop_growing(self) -> None:
        """Keep to the burst of the start from now on."""
        self._note_refused()
        self.window.shorten()
        self._sure_burst = 0.0

    def share(self, part: float, now: float, *, has_turns: bool) -> None:
        """Use this part of the account from now on.

        A larger part adds nothing at once: what others left may have been used by them.
        """
        self._advance(now)
        room = self.burst - self._excess
        if part < self.part:
            self._level = min(self._level, self._level * part / self.part)
        self.part, self.has_turns, self._sure_burst = part, has_turns, 0.0
        if has_turns:
            self.others.forget()  # what the level lacks was drawn by those who have other turns
        self._excess = self.burst - min(room, self.burst)

    def note_window(self) -> None:
        """Hear from another process that a hidden window applies."""
        if self.window_s is None:
            self.window.shorten()
            self._sure_burst = 0.0

    # Inside

    @property
    def _most(self) -> float:
        """What the minute bucket holds for this process when it is full."""
        return self.part * self.per_minute

    def _part_or_tiny(self) -> float:
        """Return the part as a divisor."""
        return max(self.part, TINY)

    def _advance(self, now: float) -> None:
        if now > self._at:
            if self._ramps_until > self._at:
                ramped_s = min(now, self._ramps_until) - self._at
                more = self._knobs.burst_ramp * self.rate * ramped_s
                self._grown = min(self.per_minute, self._grown + more)
            gained = self.pace(self._at) * (now - self._at)
            self._at = now
            level, most = self._level + gained, self.part * self.per_minute
            self._level = level if level < most else most
            if self._excess:
                self._excess = max(0.0, self._excess - gained * (1 - self.window.guard))

    def _ramped_s(self, lacking: float, sinks: float, now: float) -> float:
        """Return when a burst that grows from now on lets something go that lacks so much."""
        self._ramps_until = now + RAMP_S
        grows = self.part * self._knobs.burst_ramp * self.rate
        most = min(grows * RAMP_S, max(0.0, self._most - self.burst))
        wait_s = lacking / (sinks + grows)
        return wait_s if wait_s * grows <= most else (lacking - most) / sinks

    def _note_refused(self) -> None:
        self.was_refused, self._is_ramping, self._ramps_until = True, False, self._at

    def _refill_rate(self) -> float:
        """Return what the minute bucket gains for this client in a second."""
        return self.others.leave(self.rate, self._at - self.heard_at)

    def _reserve(self, amount: float) -> float:
        """Return what stays in the minute bucket, for what is not seen of it in time."""
        if not self.is_known:
            return 0.0
        seconds = self._knobs.reserve_s * self.part
        return max(self._knobs.reserve_units * amount, seconds * self.rate)

    def _set_level(self, level: float, sent_at: float | None, amount: float, now: float) -> None:
        more, was_known = level - self._level, self.is_known
        self._level, self.is_known = level, True
        if was_known and not self.window.is_episode(now):
            slack = self._knobs.lost_s * self.rate
            if self.window.seconds is None:  # no more was drawn than the minute lacks
                self._excess = min(self._excess, max(0.0, self._most - level) + slack)
            else:  # of what got lost, the service never saw what is left beyond what was believed
                unseen = min(self._lost, max(0.0, more - slack))
                self._excess = max(0.0, self._excess - unseen)
                self._lost -= unseen
        is_usual = self.ease.share(now) == 1.0 and not self.has_turns
        if was_known and sent_at is not None and is_usual:
            self.others.note(-more, sent_at - self._news_at, self.rate)
        if not was_known and self._refused_at is not None:
            self._excess = max(0.0, self._excess - self._refused)
            if self._level - self.rate * (now - self._refused_at) >= amount > 0:
                self.find_window(amount, now, wait_s=0.0)  # so it was not refused for the minute
        if sent_at is not None:
            self._news_at = sent_at
            if sent_at >= self._lost_at:
                self._lost = 0.0  # the service has had its say on it

    def _let_grow(self, amount: float) -> None:
        """Allow larger bursts, since the minute bucket has room."""
        if self.window_s is None and self.remaining:
            self._is_ramping = not (self.was_refused or self.has_turns)
            more = self._knobs.burst_growth * amount / self._part_or_tiny()
            self._grown = min(self.per_minute, self._grown + more)

    def _believe(self, stated: float, amount: float, at: float, now: float) -> bool:
        """Take over a stated limit, unless it is false."""
        if not self.claims.hear(stated, amount=amount, at=at, now=now, in_use=self.per_minute):
            if self.claims.limit is None:
                self.is_known, self.remaining, self.is_assumed = False, None, True
                self._set_limit(self.claims.before)
            return False
        was_assumed, self.is_assumed = self.is_assumed, False
        self.ease.lift()
        self._set_limit(stated)
        if was_assumed:  # so far the excess sank at a rate that need not be true
            drawn_s = now - self._begun_at
            self._excess = max(self._excess, self.drawn - drawn_s * self.rate)
        return True

    def _set_limit(self, per_minute: float) -> None:
        if per_minute == self.per_minute:
            return
        self.per_minute, self.rate, self._sure_burst = per_minute, per_minute / 60.0, 0.0
        self._grown = min(self._grown, per_minute)
        self._level = min(self._level, self._most)
        self._excess = min(self._excess, self.burst)
