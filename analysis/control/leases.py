"""How processes that use one account share its rate: by leases on parts of it.

Pure. `account.leases` keeps the leases in a file that all processes of a user on one machine see,
and tells the pacer which part of the rate it may use.

A lease is a part of the rate, from 0 to 1, until a time. A process renews it before it ends, says
with it how much it wants, and changes it by these rules:

    who                                   part
    wants more, and some of it is free    grows at once, up to its fair part
    wants more, and nothing is free       waits; the others see that it is needy
    sees somebody needy                   shrinks to its own fair part: pacer first, then the file
    sees nobody needy                     keeps what it has and takes what is free
    was late in renewing                  has none, and begins anew
    crashed                               its part is free when its lease ends

Parts only grow into what is free, inside one transaction, so their sum is at most 1 at any time.
The fair part is max-min: nobody gets more than it wants while others want more than they have, and
what nobody wants is divided evenly.

Where a hidden window holds a single request, parts are not enough: two processes at half the rate
each would meet in it again and again. Then they take turns: each request needs a time of its own
from the file, one spacing after the one before, and the pacers use the whole rate. A process holds
one turn at most and asks for the next one when it could use it, so all get equally many; a turn
that is not used, or was given to a process that crashed, costs one spacing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.settings import Settings

TINY = 1e-6
"""Parts that differ by less are equal."""

STEP = 0.05
"""What is wanted is told in such steps, so that small changes move nobody's part."""

KEPT = 0.9
"""So much of what others add to a spacing is kept."""

MOST_TURNS = 100
"""Turns further ahead were given before the clock was set back."""

LONGEST_S = 60.0
"""No lease is given for longer: the upper end of the range of `lease_expires_s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What one process holds.

    Attributes:
        peer: Id of the process; a new one at each start.
        part: Part of the account's rate, 0 to 1.
        wanted: Part that it could use, 0 to 1.
        until: Seconds of the clock that the processes share.
    """

    peer: str
    part: float
    wanted: float
    until: float

    def __post_init__(self) -> None:
        if not (0 <= self.part <= 1 and 0 <= self.wanted <= 1 and math.isfinite(self.until)):
            raise ValueError(f"{self} is not a lease: part and wanted are from 0 to 1.")

    @property
    def is_needy(self) -> bool:
        """It wants more than it has."""
        return self.wanted > self.part + TINY


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """A hidden window that holds a single request.

    Attributes:
        dimension: Which limit it is of, `requests` or `tokens`.
        seconds: From one request to the next, above 0.
    """

    dimension: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The next free turn of an account and model, as the file holds it.

    Attributes:
        spacing: As the processes know it.
        next_at: Seconds of the clock that the processes share.
    """

    spacing: Spacing
    next_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a pacer may use from now on.

    Attributes:
        part: Part of the rate, 0 to 1; 0: send nothing.
        turn_in_s: None: no turns. Else one request may go so many seconds from now, or later, and
            then none until the next share; infinite: none at all before that.
        window: `requests` or `tokens` where there are turns: a hidden window of this dimension is
            known, maybe to others only.
    """

    part: float
    turn_in_s: float | None = None
    window: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy a pacer is.

    Attributes:
        is_waiting: A request is there that nothing but the pacer keeps back.
        ready_in_s: Seconds until the pacer would let it go, apart from turns.
        requests: Drawn since the start.
        tokens: Drawn since the start, net of what came back.
        requests_per_s: The account's rate, before it is shared.
        tokens_per_s: The same of tokens.
        spacing: A hidden window that holds a single request, if one is known.
        has_turn: The last turn has not been used.
    """

    is_waiting: bool
    ready_in_s: float
    requests: float
    tokens: float
    requests_per_s: float
    tokens_per_s: float
    spacing: Spacing | None = None
    has_turn: bool = False


class Demand:
    """Which part of the rate a process could use, from what it has drawn of late."""

    def __init__(self, *, settings: Settings) -> None:
        self._knobs = settings
        self._last: tuple[float, Load] | None = None
        self._used = 0.0
        self._waited_at = -math.inf

    def __repr__(self) -> str:
        return f"Demand(used {self._used:.3f}, waited at {self._waited_at:.1f})"

    def wanted(self, load: Load, now: float) -> float:
        """Return the part, from `lease_idle_share` to 1; times never go back.

        All of it if a request had to wait within the last seconds, and for a process that begins,
        which has something to do. Else some more than is used: a process that its connections or
        its source hold back leaves the rest to others.
        """
        knobs = self._knobs
        if load.is_waiting or self._last is None:
            self._waited_at = now
        if self._last is not None and now > self._last[0]:
            past, before = self._last
            used = max(
                (load.requests - before.requests) / load.requests_per_s,
                (load.tokens - before.tokens) / load.tokens_per_s,
                0.0,
            )
            keep = math.exp(-(now - past) / knobs.lease_expires_s)
            self._used = keep * self._used + (1 - keep) * used / (now - past)
        self._last = now, load
        if now - self._waited_at <= knobs.lease_expires_s:
            return 1.0
        steps = math.ceil(knobs.lease_headroom * self._used / STEP - TINY)
        return min(1.0, max(knobs.lease_idle_share, steps * STEP))


def fair_parts(wanted: Sequence[float]) -> list[float]:
    """Divide the whole by what each wants; the parts add up to 1 if there are any.

    Max-min: in the order of what is wanted, each gets that or an even part of what is left. What is
    over then is divided evenly.
    """
    parts, left = [0.0] * len(wanted), 1.0
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    for place, index in enumerate(order):
        parts[index] = min(wanted[index], left / (len(order) - place))
        left -= parts[index]
    return [part + left / len(parts) for part in parts]


def others_of(peer: str, leases: Sequence[Lease], now: float) -> list[Lease]:
    """Return the leases of others that count.

    One that ends later than any lease given now was written before the clock was set back.
    """
    return [
        lease for lease in leases if lease.peer != peer and now < lease.until <= now + LONGEST_S
    ]


def free_part(others: Sequence[Lease]) -> float:
    """Return what the others leave."""
    return max(0.0, 1.0 - sum(lease.part for lease in others))


def target(wanted: float, others: Sequence[Lease]) -> float:
    """Return the part to aim at: all that is free, or the fair one if somebody needs more.

    Args:
        wanted: What this process could use.
        others: Leases of the others that count.
    """
    if not any(lease.is_needy for lease in others):
        return 1.0
    return fair_parts([wanted, *(lease.wanted for lease in others)])[0]


def usable(wanted: float, in_use: float, others: Sequence[Lease]) -> float:
    """Return the part that the pacer may go on with until the file is written.

    The others only took what was free, so less than `in_use` is free to a process only if its own
    lease has ended without its noticing.

    Args:
        wanted: What this process could use.
        in_use: What its pacer uses now.
        others: Leases of the others that count.
    """
    return min(in_use, target(wanted, others), free_part(others))


def claim(wanted: float, in_use: float, others: Sequence[Lease]) -> float:
    """Return the part to write down: the target as far as it is free, not below what is in use.

    Args:
        wanted: What this process could use.
        in_use: What its pacer uses now, after `usable`; 0 for a process that begins.
        others: Leases of the others that count, read in the same transaction.
    """
    return min(free_part(others), max(in_use, target(wanted, others)))


def spacing_of(own: Spacing | None, turn: Turn | None, now: float) -> Spacing | None:
    """Return the spacing of the next turn.

    What others wrote holds for a minute after the last turn. A longer one of theirs is taken over
    but for a tenth, so that one that was too long for a while comes down from turn to turn.
    """
    if turn is None or turn.next_at + LONGEST_S < now:
        return own
    if own is None:
        return turn.spacing
    longer_s = max(0.0, turn.spacing.seconds - own.seconds)
    return Spacing(dimension=own.dimension, seconds=own.seconds + KEPT * longer_s)


def turn_at(spacing: Spacing, turn: Turn | None, now: float) -> float:
    """Return when the next turn is; the one after it is a spacing later."""
    if turn is None or turn.next_at > now + MOST_TURNS * spacing.seconds:
        return now
    return max(now, turn.next_at)
