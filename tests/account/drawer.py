"""A small paced worker that shares its rate, for tests of leases; also a program of its own.

`python tests/account/drawer.py FILE PEER RATE` draws until it is killed, one line with the shared
clock's time per draw. It stands for a pacer: a bucket with a part, and turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from collections.abc import Callable
from pathlib import Path

from analysis.account.lease_file import shared_clock
from analysis.account.leases import Group, LeaseKeeper
from analysis.control.leases import Load, Share, Spacing

KEY = ("account", "model")
BURST_S = 0.1
"""Largest burst, in seconds of the rate, and never less than one draw."""


class Drawer:
    """Draws units at its part of a rate.

    Attributes:
        left: Units still to be drawn.
        draws: Times of those drawn.
        shares: What it was told, with times.
        spacing: A hidden window that it knows of.
        paused_until: The service asked to wait until then.
    """

    def __init__(self, rate: float, units: float, clock: Callable[[], float]) -> None:
        self.left = units
        self.draws: list[float] = []
        self.shares: list[tuple[float, Share]] = []
        self.spacing: Spacing | None = None
        self.paused_until = -math.inf
        self._rate = rate
        self._clock = clock
        self._share = Share(part=1.0)
        self._at = clock()
        self._credit = self._most()
        self._turn_at: float | None = None
        self._told = asyncio.Event()

    def group(self) -> Group:
        """Return it as the keeper of leases knows it."""
        return Group(key=KEY, load=self.load, share=self.share)

    def load(self) -> Load:
        """Return how busy it is."""
        filled_at, ready_at, now = self._filled_at(), self._ready_at(), self._clock()
        return Load(
            is_waiting=self.left > 0 and ready_at > now,
            ready_in_s=filled_at - now,
            requests=len(self.draws),
            tokens=0.0,
            requests_per_s=self._rate,
            tokens_per_s=1.0,
            spacing=self.spacing,
            has_turn=self._turn_at is not None and self._turn_at < math.inf,
        )

    def share(self, share: Share) -> None:
        """Use this part from now on."""
        now = self._clock()
        self._fill()
        self.shares.append((now, share))
        self._share = share
        self._credit = min(self._credit, self._most() if share.part else 0.0)
        self._turn_at = None if share.turn_in_s is None else now + share.turn_in_s
        self._told.set()

    async def work(self, drawn: Callable[[float], None] = lambda now: None) -> None:
        """Draw all that is left."""
        while self.left > 0:
            at, now = self._ready_at(), self._clock()
            if at > now:
                await self._wait(at - now)
                continue
            self._credit -= 1
            self.left -= 1
            if self._turn_at is not None:
                self._turn_at = math.inf
            self.draws.append(now)
            drawn(now)

    async def _wait(self, seconds: float) -> None:
        self._told.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._told.wait()

    def _ready_at(self) -> float:
        return max(self._filled_at(), -math.inf if self._turn_at is None else self._turn_at)

    def _filled_at(self) -> float:
        self._fill()
        pace = self._rate * self._share.part
        if self._credit >= 1 - 1e-6:
            return max(self._at, self.paused_until)
        return max(self._at + (1 - self._credit) / pace if pace else math.inf, self.paused_until)

    def _fill(self) -> None:
        now = self._clock()
        gained = self._rate * self._share.part * (now - self._at)
        self._at, self._credit = now, min(self._most(), self._credit + gained)

    def _most(self) -> float:
        return max(1.0, BURST_S * self._rate * self._share.part)


async def draw_for_ever(path: Path, peer: str, rate: float) -> None:
    """Draw and print until the process ends."""
    clock = shared_clock()
    drawer = Drawer(rate, math.inf, clock.now)
    keeper = LeaseKeeper(
        path, [drawer.group()], peer=peer, notify=lambda name, message, fields: None, clock=clock
    )
    await keeper.start()
    await drawer.work(lambda now: print(now, flush=True))


if __name__ == "__main__":
    asyncio.run(draw_for_ever(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
