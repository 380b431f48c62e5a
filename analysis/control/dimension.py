"""One dimension of an account's limit, requests or tokens per minute: a level and a credit.

Pure. The pacer keeps two of them. Amounts are in the unit of the dimension, rates per second.

The level is our copy of the service's minute bucket. It holds at most a minute's limit, starts with
the burst, since how full the service's own bucket is, is not known, and is set by what the service
states: what remains, less what was drawn since, less what is on its way, plus the refill since.

The credit bounds bursts. It starts small and grows by half per answer that states room (slow
start); the first refusal that comes although the minute bucket had room shows a hidden window.
Then it holds `window_s` of the rate and refills slower than the rate by a guard.
"""

from __future__ import annotations

from analysis.control.ease import Ease
from analysis.records import RateLimit
from analysis.settings import Settings

TINY = 1e-9
"""Below this an amount lacking is a matter of rounding."""


class Dimension:
    """Level and credit of one dimension.

    Attributes:
        per_minute: The limit in use.
        drawn: Everything drawn so far, net of what came back.
        is_known: The service has stated what remains, so the level is more than a guess.
        remaining: What the service stated last as remaining, or None.
        has_window: A hidden window was found: slow start is over.
        guard: Share of the rate by which the credit refills slower.
        others: What other users of the account draw, units per second; negative if the service
            refills faster than its stated limit says.
        ease: Share of the rate that is used for now.
    """

    def __init__(
        self, *, per_minute: float, unit: float, start_units: int, now: float, settings: Settings
    ) -> None:
        """Start with a full burst.

        Args:
            per_minute: The assumed limit.
            unit: Largest amount of one request, as far as it is known.
            start_units: So many requests may go at once at the start.
            now: Monotonic seconds.
            settings: Knobs.
        """
        self.per_minute = float(per_minute)
        self.drawn = 0.0
        self.is_known = False
        self.remaining: float | None = None
        self.has_window = False
        self.guard = 0.0
        self.others = 0.0
        self.ease = Ease(settings=settings)
        self._unit = unit
        self._start_units = start_units
        self._knobs = settings
        self._at = now
        self._grown = 0.0
        self._level = self._credit = self.capacity
        self._stated: float | None = None
        self._stated_at = now
        self._served = 0.0
        self._before = self.per_minute
        self._doubted: float | None = None
        self._episode_at = now
        self._was_refused = False
        self._are_refunds_counted = True
        self._has_refunds = False

    def __repr__(self) -> str:
        return (
            f"Dimension(level {self._level:.1f}, credit {self._credit:.1f} of {self.capacity:.1f}, "
            f"{self.per_minute:.0f}/min)"
        )

    @property
    def rate(self) -> float:
        """Refill of the service's bucket in units per second."""
        return self.per_minute / 60.0

    @property
    def capacity(self) -> float:
        """Largest burst in units; never below what one request takes."""
        return self._capacity_for(self._unit)

    @property
    def is_stated(self) -> bool:
        """The limit in use was stated by the service."""
        return self._stated is not None

    def pace(self, now: float) -> float:
        """Return the refill in units per second that this client plans with."""
        return self._refill_rate() * self.ease.share(now)

    def level(self, now: float) -> float:
        """Return what the minute bucket is believed to hold; below zero after a refusal."""
        self._advance(now)
        return self._level

    def credit(self, now: float) -> float:
        """Return what may be drawn in one burst; below zero after a cost above the burst."""
        self._advance(now)
        return self._credit

    def ready_at(self, amount: float, now: float) -> float:
        """Return the earliest time at which so much may be drawn; `now` if at once.

        An amount above the limit goes when all of it is there, and leaves a debt. Asking changes
        nothing: the burst is made to hold a larger amount than before only when that is taken.
        """
        self._advance(now)
        more = self._more_for(amount)
        asked = min(amount + self._reserve(max(self._unit, amount)), self.per_minute)
        level = asked - self._level - (0.0 if self.is_known else more)
        credit = min(amount, self.capacity + more) - self._credit - more
        if level <= TINY and credit <= TINY:
            return now
        pace = self.pace(now)
        return now + max(level / pace, credit / (pace * (1 - self.guard)))

    def is_short_of(self, amount: float) -> bool:
        """Tell whether so much cannot be drawn at the time of the last change."""
        return self._level < amount or self._credit < amount

    def take(self, amount: float, now: float) -> None:
        """Draw; the caller asked `ready_at` before."""
        self._advance(now)
        self._fit(amount)
        self._level -= amount
        self._credit -= amount
        self.drawn += amount

    def refund(self, amount: float, now: float) -> None:
        """Give back what was reserved and not used; a negative amount draws more."""
        self._advance(now)
        self._level = min(self.per_minute, self._level + amount)
        if amount < 0 or self._are_refunds_counted:
            self._credit = min(self.capacity, self._credit + amount)
        self._has_refunds = self._has_refunds or amount > 0
        self.drawn -= amount
        self.unserve(amount)

    def unserve(self, amount: float) -> None:
        """Do not count so much as served: it came back, or was refused."""
        self._served = max(0.0, self._served - amount)

    def learn(
        self,
        limit: RateLimit,
        now: float,
        *,
        amount: float,
        sent_at: float | None,
        not_counted: float,
    ) -> None:
        """Take over what the service states.

        Args:
            limit: The statement.
            now: Monotonic seconds.
            amount: What the request drew that the statement belongs to, or is likely to; 0 if none.
            sent_at: When that request was sent; None if it is not known which one it is.
            not_counted: Drawn, net of what came back, without being in what is stated.
        """
        self._advance(now)
        if limit.limit is not None and limit.limit <= 0:
            return  # it applies no limit of this kind, so nothing remains of it either
        if limit.limit is not None and not self._believe(
            float(limit.limit), amount, now if sent_at is None else sent_at, now
        ):
            return
        if limit.remaining is None or limit.remaining < 0:
            return
        self.remaining = float(limit.remaining)
        since_s = 0.0 if sent_at is None else now - sent_at
        level = self.remaining - not_counted + self._refill_rate() * since_s
        level = min(self.per_minute, level)
        if self.is_known and sent_at is not None and self.ease.share(now) == 1.0:
            lacking = self._level - level  # where nothing remains it may lack more, not less
            self._note_drift(lacking if self.remaining > 0 else max(0.0, lacking))
        self._level, self.is_known = level, True
        if not self.has_window and self.remaining > 0:
            self._grow(amount)

    def confirm(self, amount: float) -> None:
        """Hear that so much was let through, on a way that states nothing."""
        if self.is_known and not self.has_window and self._level > 0:
            self._grow(amount)

    def adopt(self, per_minute: float, now: float, *, is_heard: bool) -> None:
        """Take over the limit that a refusal names.

        If the statement that came with it (`is_heard`) names another one, that has another unit.
        """
        self._advance(now)
        if per_minute == self._doubted:
            self._doubted = None
        if per_minute != self._stated:
            if is_heard and self._stated is not None:
                self._doubted = self._stated
            self._before, self._stated, self._stated_at = self.per_minute, per_minute, now
            self._served = 0.0
        self._set_limit(per_minute)

    def refuse(self, amount: float, now: float, *, wait_s: float, lost: float = 0.0) -> None:
        """Hear that the minute bucket lacked so much, and is to hold it after `wait_s`.

        Args:
            amount: What was asked for.
            now: Monotonic seconds.
            wait_s: As stated.
            lost: What the refusal itself is likely to have cost.
        """
        self._advance(now)
        self._note_refusal()
        self._level = min(self._level, amount - self.pace(now) * wait_s - lost)

    def find_window(self, amount: float, now: float, *, wait_s: float) -> None:
        """Hear of a refusal although the minute bucket had room: a shorter window applies."""
        self._advance(now)
        self._note_refusal()
        knobs = self._knobs
        if not self.has_window:
            self.stop_growing()
            self.guard = knobs.guard
            self._episode_at = now
        elif now - self._episode_at >= knobs.guard_every_s:
            self._episode_at = now
            if self._has_refunds and self._are_refunds_counted and self.guard > knobs.guard:
                self._are_refunds_counted = False  # the hidden window keeps what was reserved
            elif self.guard >= knobs.guard_cap:
                self.ease.cut(now, flat_s=0.0)
            self.guard = min(knobs.guard_cap, self.guard + knobs.guard_step)
        refilled = self.pace(now) * (1 - self.guard) * wait_s
        self._credit = min(self._credit, self.capacity, amount - refilled)

    def stop_growing(self) -> None:
        """End slow start, after a refusal."""
        self._note_refusal()
        self.has_window = True
        self._grown = 0.0
        self._credit = min(self._credit, self.capacity)

    # Inside

    def _advance(self, now: float) -> None:
        if now > self._at:
            gained = self.pace(self._at) * (now - self._at)
            self._level = min(self.per_minute, self._level + gained)
            self._at = now
            self._credit = min(self.capacity, self._credit + gained * (1 - self.guard))

    def _refill_rate(self) -> float:
        """Return what the minute bucket gains for this client in a second."""
        knobs, rate = self._knobs, self.rate
        others = self.others if abs(self.others) > knobs.others_noise * rate else 0.0
        return max(rate - others, knobs.share_floor * rate)

    def _capacity_for(self, unit: float) -> float:
        """Return the largest burst if the largest amount of one request is `unit`."""
        knobs = self._knobs
        seconds, units = (
            (knobs.window_s, 1) if self.has_window else (knobs.burst_s, self._start_units)
        )
        burst = max(units * unit, seconds * self.rate * self.ease.share(self._at))
        return min(max(self.per_minute, unit), burst + self._grown)

    def _more_for(self, amount: float) -> float:
        """Return how much larger the burst is with a request of this amount."""
        return self._capacity_for(amount) - self.capacity if amount > self._unit else 0.0

    def _fit(self, amount: float) -> None:
        """Let the burst hold the largest amount of one request."""
        more = self._more_for(amount)
        self._unit = max(self._unit, amount)
        self._credit += more
        if not self.is_known:
            self._level += more

    def _reserve(self, unit: float) -> float:
        """Return what stays in the minute bucket, for what is not seen of it in time."""
        if not self.is_known:
            return 0.0
        return max(self._knobs.reserve_units * unit, self._knobs.reserve_s * self.rate)

    def _note_refusal(self) -> None:
        """The service refuses, so it does not refill faster than it says."""
        self._was_refused = True
        self.others = max(0.0, self.others)

    def _note_drift(self, lacking: float) -> None:
        """Hear how much less the service's bucket holds than was believed."""
        knobs, rate = self._knobs, self.rate
        least = 0.0 if self._was_refused else -knobs.unit_boost * rate
        others = self.others + lacking / knobs.others_tau_s
        self.others = min((1 - knobs.share_floor) * rate, max(least, others))

    def _grow(self, amount: float) -> None:
        more = self._knobs.burst_growth * amount
        self._grown = min(self.per_minute, self._grown + more)
        self._credit = min(self.capacity, self._credit + more)

    def _believe(self, stated: float, amount: float, sent_at: float, now: float) -> bool:
        """Take over a stated limit, unless more than that was just served: another unit, then."""
        if stated == self._doubted:
            return False
        if stated != self._stated:
            self._before = self.per_minute
            self._stated, self._stated_at, self._served = stated, sent_at, 0.0
        self._served += amount
        most = stated * (1 + max(0.0, now - self._stated_at) / 60.0)
        if self._served > self._knobs.limit_doubt * most:
            self._doubted, self._stated = stated, None
            self.is_known, self.remaining = False, None
            self._set_limit(self._before)
            return False
        self.ease.lift()
        self._set_limit(stated)
        return True

    def _set_limit(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._grown = min(self._grown, per_minute)
        self._level = min(self._level, per_minute)
        self._credit = min(self._credit, self.capacity)
