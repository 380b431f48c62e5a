"""The limits of one account beyond one run: known from earlier ones, shared with others.

io. An analyzer has one; it loads before its first request and saves at its end, and dispatch lets
it share while it sends. What cannot be read, written or shared is told once and stops nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from analysis.control.learned import Learned, LearnedLimit
from analysis.control.leases import Share
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.sharing import Known
from analysis.control.tape import Recorder
from analysis.settings import SETTINGS, Settings

if TYPE_CHECKING:
    from analysis.account.leases import Group, LeaseKeeper
    from analysis.account.memory import LimitsMemory

LEASE_FILE = "limits.sqlite"
"""Below the state folder."""

OFFLINE = "offline"
"""The route that sends nothing."""

Notify: TypeAlias = Callable[[str, str, Mapping[str, str | float]], None]
"""Told (name, message, fields) of a run event."""


class AccountLimits:
    """What an analyzer knows and shares of its account."""

    def __init__(
        self, *, host: str, secret: str, notify: Notify, settings: Settings = SETTINGS
    ) -> None:
        """Set it up; nothing is read yet.

        Args:
            host: Host and port of the service.
            secret: Key and whatever else decides whose limits apply; only a salted hash is kept.
            notify: Told of what happens.
            settings: Knobs.
        """
        self._host = host
        self._secret = secret
        self._notify = notify
        self._knobs = settings
        self._found: tuple[Path, str] | None = None
        self._is_lost = False
        self._keeper: LeaseKeeper | None = None

    # Between runs

    def warm(self, plans: Sequence[RoutePlan]) -> list[RoutePlan]:
        """Return the plans of an analyzer's routes with what earlier runs learned of each.

        Writes nothing: an estimate asks, too.
        """
        place = self._remembering() if self._has_memory() else None
        if place is None:
            return list(plans)
        memory, knobs = self._memory(place[0], self._notify), self._knobs
        found = [memory.load(place[1], one.model, one.name) for one in plans]
        return [
            plan
            if known is None
            else replace(plan, learned=_trusted(known.limits, knobs), latency_s=known.latency_s)
            for plan, known in zip(plans, found, strict=True)
        ]

    async def save(self, plans: Sequence[RoutePlan], known: Mapping[str, Known]) -> None:
        """Keep what a run has learned, by route, for the next one."""
        place = self._remembering() if known else None
        if place is None:
            return
        found = {(one.model, one.name): known[one.name] for one in plans if one.name in known}
        loop = asyncio.get_running_loop()

        def tell(name: str, message: str, fields: Mapping[str, str | float]) -> None:
            loop.call_soon_threadsafe(self._notify, name, message, fields)

        await asyncio.to_thread(self._memory(place[0], tell).save, place[1], found)

    # Between processes

    async def share(
        self,
        scheduler: Scheduler | Recorder,
        plans: Sequence[RoutePlan],
        *,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """Begin to share the limits of these routes; return when the scheduler knows its part.

        Args:
            scheduler: Asked how busy it is, and told its part.
            plans: Of its routes.
            clock: The time that the scheduler goes by.
            wake: Called when the scheduler was told something.
        """
        await self.leave()
        keys = dict.fromkeys((one.account, one.model) for one in plans if one.name != OFFLINE)
        place = self._place() if self._knobs.share_limits and keys else None
        if place is None:
            return
        from analysis.account.leases import Group, LeaseKeeper  # sqlite, only where it is wanted

        folder, name = place

        def told(account: str, model: str, share: Share) -> None:
            scheduler.share(account, model, share, now=clock())
            wake()

        def group(account: str, model: str) -> Group:
            return Group(
                key=(name, model),
                load=lambda: scheduler.load(account, model, now=clock()),
                share=partial(told, account, model),
            )

        self._keeper = LeaseKeeper(
            folder / LEASE_FILE,
            [group(*key) for key in keys],
            peer=secrets.token_hex(8),
            notify=self._notify,
            settings=self._knobs,
        )
        await self._keeper.start()

    async def leave(self) -> None:
        """Give back what is held; may be called more than once."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.close()

    def statistics(self) -> dict[str, object] | None:
        """Return how many processes share and which part this one has; None: it does not share."""
        return None if self._keeper is None else self._keeper.statistics()

    # Inside

    def _place(self) -> tuple[Path, str] | None:
        """Return the state folder and the account's name in it; None if it cannot be used."""
        if self._found is None and not self._is_lost:
            from analysis.account.identity import account_name, state_folder

            folder = state_folder()
            try:
                name = account_name(folder, host=self._host, api_key=self._secret)
                self._found = folder, name
            except OSError as error:
                self._is_lost = True
                message = (
                    f"The folder {folder} cannot be used ({error}), so limits are neither kept for "
                    "the next run nor shared with other processes."
                )
                self._notify("notice", message, {})
        return self._found

    def _has_memory(self) -> bool:
        """Tell whether some run has saved anything here, without making the folder or its salt."""
        from analysis.account.identity import state_folder
        from analysis.account.memory import FOLDER

        return self._found is not None or (state_folder() / FOLDER).exists()

    def _remembering(self) -> tuple[Path, str] | None:
        """Return the place, None also if nothing is to be remembered."""
        return self._place() if self._knobs.learned_limits_days else None

    def _memory(self, folder: Path, notify: Notify) -> LimitsMemory:
        from analysis.account.memory import LimitsMemory

        return LimitsMemory(
            folder, now=lambda: datetime.now(UTC), notify=notify, settings=self._knobs
        )


def _trusted(found: Learned, settings: Settings) -> Learned:
    """Return learned limits without those of which somebody has entered another figure."""
    return Learned(
        requests=_unless_entered(found.requests, settings, "requests_per_minute"),
        tokens=_unless_entered(found.tokens, settings, "tokens_per_minute"),
    )


def _unless_entered(
    found: LearnedLimit | None, settings: Settings, knob: str
) -> LearnedLimit | None:
    entered, usual = getattr(settings, knob), getattr(SETTINGS, knob)
    is_other = found is not None and entered not in (usual, found.per_minute)
    return None if is_other else found
