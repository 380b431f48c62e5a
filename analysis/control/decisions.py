"""What the scheduler can answer to `poll`, and the shapes of what it is given and gives back.

Pure. The scheduler makes them, dispatch acts on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from analysis.records import Item, Pack, Verdict


@dataclass(slots=True)
class Send:
    """Hand this pack to this route now, under this request id.

    `is_copy`: the chunks are on their way in another request, too, which takes too long.
    Nobody changes it; it is not frozen since one is made per request, and that takes six times as
    long.
    """

    request_id: str
    route: str
    model: str
    pack: Pack
    attempt: int
    is_probe: bool
    is_copy: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up this request: another one with its chunks was answered first.

    The shell ends it with `Scheduler.cancel`, or with its outcome if that comes before.
    """

    request_id: str


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Call `poll` again at `at`, or after the next outcome or offer if `at` is None."""

    at: float | None


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is queued and nothing is in flight."""


Decision: TypeAlias = Send | Cancel | WaitUntil | Finished
Settled: TypeAlias = tuple[tuple[Item, Verdict], ...]
Costs: TypeAlias = Callable[[str, Pack], int]
"""Takes a route's name and a pack; returns estimated input tokens plus output cap of a request."""

Notify: TypeAlias = Callable[[str, str, Mapping[str, str | float]], None]
