"""What is left of connections on a loop when they should all be gone.

Looks into the loop, which has no public door for that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TURNS = 20
"""Turns of the loop in which what was closed may end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Things that are still there, as text for people; all three empty if all is well."""

    tasks: tuple[str, ...]
    timers: tuple[str, ...]
    sockets: tuple[str, ...]

    @property
    def is_any(self) -> bool:
        """Whether something is left."""
        return bool(self.tasks or self.timers or self.sockets)


async def client_sockets(base_url: str) -> tuple[str, ...]:
    """Return the sockets of this loop whose other end is the service."""
    await _settle()
    port = urlsplit(base_url).port
    return tuple(
        f"{transport.get_extra_info('sockname')} to {port}"
        for transport in _transports()
        if (transport.get_extra_info("peername") or (None, None))[1] == port
    )


async def leftovers(sockets: tuple[str, ...]) -> Leftovers:
    """Return what is left on the running loop beside the caller, and these sockets."""
    await _settle()
    loop: Any = asyncio.get_running_loop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return Leftovers(
        tasks=tuple(repr(task) for task in tasks),
        timers=tuple(repr(timer) for timer in loop._scheduled if not timer.cancelled()),
        sockets=(*sockets, *(repr(transport) for transport in _transports())),
    )


async def _settle() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _transports() -> list[asyncio.Transport]:
    """Return the connections that the loop watches."""
    loop: Any = asyncio.get_running_loop()
    handles = [handle for key in loop._selector.get_map().values() for handle in key.data]
    owners = {getattr(handle._callback, "__self__", None) for handle in handles if handle}
    return [owner for owner in owners if isinstance(owner, asyncio.Transport)]
