"""Keeps this process's leases on the rates of its accounts, beside the loop that sends.

io: a task on the event loop, and a thread for the file. Whoever owns the pacers starts it before
the first request and closes it after the last one. What a part is, and who gets which, stands in
control/leases.

Theory of operation. Twice in a block (`lease_block_s`) it reads what the others hold. Whatever has
to be given up is taken from the pacer first and then from the file; whatever is free is taken in
the file first and then given to the pacer: so the pacers of all processes together never use more
than the whole. Turns, where there are any, are taken in the file and then given to the pacer. The
lease is written once in a block, and at once when a part is to change hands; while a process has
less than it wants, or takes turns, it looks ten times in a block.

A process alone holds the whole, and its pacer is never touched. If the file cannot be used, one
event tells so, the pacers go on with what they have, and the file is tried again now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from analysis.account.lease_file import Asked, Clock, Given, Key, LeaseFile, Seen, shared_clock
from analysis.control.leases import (
    TINY,
    Demand,
    Lease,
    Load,
    Share,
    Spacing,
    free_part,
    spacing_of,
    target,
    turn_at,
    usable,
)
from analysis.settings import SETTINGS, Settings

T = TypeVar("T")
Notify: TypeAlias = Callable[[str, str, Mapping[str, str | float]], None]
"""Told (name, message, fields) of a run event."""

FILE_ERRORS = (sqlite3.Error, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One pacer: what shares a rate, how busy it is, and how it is told its part.

    Attributes:
        key: Name of the account (`identity.account_name`) and model.
        load: Returns how busy it is; asked for on the event loop.
        share: Told what may be used from now on.
    """

    key: Key
    load: Callable[[], Load]
    share: Callable[[Share], None]


class _Held:
    """What this process holds of one group."""

    def __init__(self, group: Group, settings: Settings) -> None:
        self.in_use = 1.0
        self.lease: Lease | None = None
        self.others: list[Lease] = []
        self._group = group
        self._knobs = settings
        self._demand = Demand(settings=settings)
        self._wanted = 0.0
        self._spacing: Spacing | None = None
        self._turn_until = -math.inf
        self._wants_turn = False

    def look(self, seen: Seen, now: float) -> None:
        """Take in what the others hold; give up at once what is theirs."""
        load = self._group.load()
        self.others = seen.others
        self._wanted = self._demand.wanted(load, now)
        if self.lease is not None:
            self._use(usable(self._wanted, self.in_use, seen.others))
        self._look_for_turns(seen, load, now)

    def ask(self, now: float) -> Asked | None:
        """Return what is to be written; None: nothing yet."""
        if not (self._is_due(now) or self._wants_turn):
            return None
        return Asked(
            wanted=self._wanted,
            in_use=0.0 if self.lease is None else self.in_use,
            spacing=self._spacing if self._wants_turn else None,
        )

    def take(self, given: Given, now: float) -> None:
        """Use what was written."""
        self.lease = given.lease
        self._use(given.lease.part)
        if given.turn_at is not None and self._spacing is not None:
            self._wants_turn = False
            self._turn_until = given.turn_at + self._spacing.seconds / 2
            self._share_turn(max(0.0, given.turn_at - now))

    @property
    def is_pressed(self) -> bool:
        """It is to look often: others have what it wants, or they take turns."""
        is_short = bool(self.others) and self.in_use < self._wanted - TINY
        return is_short or self._spacing is not None

    # Inside

    def _use(self, part: float) -> None:
        """Tell the pacer, if that changes anything; with turns it uses the whole rate."""
        if abs(part - self.in_use) > TINY:
            self.in_use = part
            if self._spacing is None:
                self._group.share(Share(part=part))

    def _look_for_turns(self, seen: Seen, load: Load, now: float) -> None:
        had, self._wants_turn = self._spacing, False
        is_alone, turn = not seen.others, seen.turn
        if is_alone and had is not None and turn is not None and turn.next_at > now:
            return  # the last turns of those who have gone are still to be kept
        self._spacing = spacing_of(load.spacing, seen.turn, now) if seen.others else None
        if self._spacing is None:
            if had is not None:
                self._group.share(Share(part=self.in_use))
            return
        is_late = load.has_turn and now > self._turn_until
        if had is None or is_late:  # others count on it that a turn is used in time
            self._share_turn(math.inf)
        if is_late or not load.has_turn:
            in_s = turn_at(self._spacing, seen.turn, now) - now
            self._wants_turn = load.is_waiting and load.ready_in_s <= in_s + TINY

    def _share_turn(self, in_s: float) -> None:
        if self._spacing is not None:
            window = self._spacing.dimension
            self._group.share(Share(part=1.0, turn_in_s=in_s, window=window))

    def _is_due(self, now: float) -> bool:
        """Tell whether the lease is to be written."""
        lease, knobs = self.lease, self._knobs
        if lease is None:
            return True
        age_s = now - (lease.until - knobs.lease_expires_s)
        if not -TINY <= age_s < knobs.lease_block_s - TINY:  # below 0: the clock was set back
            return True
        if not self.others:
            return False
        reach = min(target(self._wanted, self.others), free_part(self.others))
        return (
            abs(lease.part - self.in_use) > TINY
            or abs(lease.wanted - self._wanted) > TINY
            or reach > lease.part + TINY
        )


class LeaseKeeper:
    """Leases of one process; an object for one event loop.

    Attributes:
        writes: Transactions so far.
    """

    def __init__(
        self,
        path: Path,
        groups: Sequence[Group],
        *,
        peer: str,
        notify: Notify,
        settings: Settings = SETTINGS,
        clock: Clock | None = None,
    ) -> None:
        """Set it up; nothing is opened yet.

        Args:
            path: Of the lease file.
            groups: The pacers.
            peer: Id of this process, another one at each start.
            notify: Told when the number of processes changes, and when the file is of no use.
            settings: Knobs.
            clock: Of all processes together; this machine's by default.
        """
        self.writes = 0
        self._path = path
        self._held = {group.key: _Held(group, settings) for group in groups}
        self._peer = peer
        self._notify = notify
        self._knobs = settings
        self._clock = clock or shared_clock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="leases")
        self._file: LeaseFile | None = None  # only its thread touches it
        self._is_told = False
        self._processes = 1
        self._joined = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._left: Future[None] | None = None

    async def start(self) -> None:
        """Begin; return when the pacers know their parts, or after a block at the latest."""
        self._task = asyncio.create_task(self._keep())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._knobs.lease_block_s):
                await self._joined.wait()

    async def close(self) -> None:
        """Give back everything; may be called more than once."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
            with contextlib.suppress(*FILE_ERRORS):
                await self._in_thread(self._leave)
            self._thread.shutdown(wait=False)
        elif self._left is not None:
            with contextlib.suppress(*FILE_ERRORS):
                await asyncio.wrap_future(self._left)

    def statistics(self) -> dict[str, object]:
        """Return how many processes share, and this one's part by model."""
        parts = {model: round(held.in_use, 3) for (_, model), held in self._held.items()}
        return {"processes": self._processes, "parts": parts}

    # The task

    async def _keep(self) -> None:
        try:
            while True:
                pause_s = await self._step()
                self._joined.set()
                await asyncio.sleep(pause_s)
        finally:
            if self._task is not None:  # nobody calls `close`: the loop ends
                self._left = self._thread.submit(self._leave)
                self._thread.shutdown(wait=False)

    async def _step(self) -> float:
        """Look and write once; return the seconds until the next time."""
        knobs = self._knobs
        try:
            await self._look()
        except FILE_ERRORS as error:
            if not self._is_told:
                self._is_told = True
                self._tell_failure(error)
            return knobs.lease_expires_s
        is_pressed = any(held.is_pressed for held in self._held.values())
        return knobs.lease_block_s / (10 if is_pressed else 2)

    async def _look(self) -> None:
        found = await self._in_thread(lambda: self._open().read(self._held))
        now = self._clock.now()
        asked: dict[Key, Asked] = {}
        for key, held in self._held.items():
            held.look(found[key], now)
            if (one := held.ask(now)) is not None:
                asked[key] = one
        if asked:
            self.writes += 1
            expires_s = self._knobs.lease_expires_s
            given = await self._in_thread(lambda: self._open().claim(asked, expires_s=expires_s))
            for key, one_given in given.items():
                self._held[key].take(one_given, self._clock.now())
        self._tell_processes()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # In the thread

    def _open(self) -> LeaseFile:
        if self._file is None:
            self._file = LeaseFile(self._path, peer=self._peer, clock=self._clock)
        return self._file

    def _leave(self) -> None:
        if self._file is not None:
            with contextlib.closing(self._file):
                self._file.release()

    # Telling

    def _tell_processes(self) -> None:
        processes = 1 + max(len(held.others) for held in self._held.values())
        part = min(held.in_use for held in self._held.values())
        if processes != self._processes and part > 0:  # at 0 it waits for the others to make room
            self._processes = processes
            self._notify(
                "limits_shared",
                f"{processes} processes use this account; this one has {part:.0%} of the limits."
                if processes > 1
                else "No other process uses this account any more.",
                {"processes": processes, "part": part},
            )

    def _tell_failure(self, error: Exception) -> None:
        self._notify(
            "notice",
            f"Limits are not shared with other processes: {self._path} cannot be used ({error}). "
            "Start only one run at a time, or delete the file while none runs.",
            {},
        )
