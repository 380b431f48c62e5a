"""Processes that share a lease file draw no more than one, and all of what one may draw."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from analysis.account.lease_file import Clock
from analysis.account.leases import LeaseKeeper
from analysis.control.leases import Share, Spacing
from analysis.settings import SETTINGS
from tests.account.drawer import BURST_S, Drawer
from tests.virtual_loop import virtual

RATE = 40.0


class Process:
    """A drawer with its keeper, as one process has them, on the virtual clock."""

    def __init__(
        self,
        path: Path,
        name: str,
        units: float,
        rate: float = RATE,
        shared: Callable[[], float] | None = None,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self.events: list[tuple[str, str]] = []
        self.drawer = Drawer(rate, units, clock)
        self.keeper = LeaseKeeper(
            path,
            [self.drawer.group()],
            peer=name,
            notify=self._hear,
            clock=Clock(now=shared or clock, boot="boot"),
        )

    async def run(self) -> None:
        """Join, draw everything and leave."""
        await self.keeper.start()
        await self.drawer.work()
        await self.keeper.close()

    def _hear(self, name: str, message: str, fields: Mapping[str, str | float]) -> None:
        self.events.append((name, message))


def count_between(draws: Sequence[float], begin: float, end: float) -> int:
    """Return how many of sorted times are in [begin, end)."""
    return bisect_left(draws, end) - bisect_left(draws, begin)


def assert_within_rate(processes: Sequence[Process], rate: float = RATE) -> None:
    """No window holds more than its seconds of the rate, a burst, and one draw of each."""
    draws = sorted(at for one in processes for at in one.drawer.draws)
    for index, begin in enumerate(draws):
        for window_s in (0.2, 1.0, 10.0):
            count = bisect_right(draws, begin + window_s) - index
            assert count <= (window_s + BURST_S) * rate + len(processes)


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


@virtual
async def test_a_process_alone_is_never_touched(tmp_path: Path) -> None:
    """Its pacer hears nothing, and it writes at most twice a second."""
    one = Process(tmp_path / "limits.sqlite", "a", 400)
    began = now()
    await one.run()
    assert [] == one.drawer.shares
    assert [] == one.events
    assert pytest.approx(400 / RATE - BURST_S, abs=0.05) == now() - began
    assert one.keeper.writes <= 2 * (now() - began) + 1


@virtual
async def test_two_at_once_take_as_long_as_one(tmp_path: Path) -> None:
    """Half of the work each: both end when one process would have, and the rate is kept."""
    both = [Process(tmp_path / "limits.sqlite", name, 400) for name in "ab"]
    began = now()
    await asyncio.gather(*(one.run() for one in both))
    assert now() - began <= 1.05 * 800 / RATE
    assert_within_rate(both)


@virtual
async def test_whoever_comes_later_gets_half_within_half_a_second(tmp_path: Path) -> None:
    """And the one who was there first gives up as much."""
    both = [Process(tmp_path / "limits.sqlite", name, math.inf) for name in "ab"]
    first = asyncio.create_task(both[0].run())
    await asyncio.sleep(3.0)
    second = asyncio.create_task(both[1].run())
    came = now()
    await asyncio.sleep(4.0)
    for task in (first, second):
        task.cancel()
    for one in both:
        drawn = count_between(one.drawer.draws, came + 0.5, came + 3.5)
        assert 0.45 * 3 * RATE <= drawn <= 0.55 * 3 * RATE
    assert min(at for at, share in both[1].drawer.shares if share.part > 0.4) <= came + 0.35
    assert_within_rate(both)
    assert "2 processes use this account; this one has 50% of the limits." in both[0].events[0][1]


@virtual
async def test_what_one_leaves_goes_to_the_other(tmp_path: Path) -> None:
    """A quarter and three quarters of the work take together what one process takes."""
    both = [
        Process(tmp_path / "limits.sqlite", name, units) for name, units in (("a", 200), ("b", 600))
    ]
    began = now()
    await asyncio.gather(*(one.run() for one in both))
    assert now() - began <= 1.05 * 800 / RATE
    assert_within_rate(both)
    assert ("limits_shared", "No other process uses this account any more.") == both[1].events[-1]


@virtual
async def test_an_idle_process_leaves_nearly_everything(tmp_path: Path) -> None:
    """It has nothing to draw, so the other is hardly slower than alone."""
    path = tmp_path / "limits.sqlite"
    idle, busy = Process(path, "a", 0), Process(path, "b", 800)
    await idle.keeper.start()
    await asyncio.sleep(SETTINGS.lease_expires_s + 0.5)
    began = now()
    await busy.run()
    await idle.keeper.close()
    assert now() - began <= 1.05 * 800 / RATE


@virtual
async def test_the_part_of_a_crashed_process_is_free_when_its_lease_ends(tmp_path: Path) -> None:
    """Within three seconds; until then nobody uses it."""
    both = [Process(tmp_path / "limits.sqlite", name, math.inf) for name in "ab"]
    tasks = [asyncio.create_task(one.run()) for one in both]
    await asyncio.sleep(5.0)
    crash(both[1])
    tasks[1].cancel()
    crashed = now()
    await asyncio.sleep(5.0)
    tasks[0].cancel()
    draws = both[0].drawer.draws
    assert count_between(draws, crashed, crashed + 1.4) <= 0.55 * 1.4 * RATE
    assert count_between(draws, crashed + 3.0, crashed + 5.0) >= 0.95 * 2 * RATE
    assert_within_rate(both)


def crash(one: Process) -> None:
    """End a keeper without giving anything back."""
    assert one.keeper._task is not None
    one.keeper._leave = lambda: None  # type: ignore[method-assign]
    one.keeper._task.cancel()


@virtual
async def test_in_a_window_for_one_request_they_take_turns(tmp_path: Path) -> None:
    """One knows of the window, both keep its spacing, and each gets every second turn."""
    rate, spacing = 0.5, Spacing(dimension="requests", seconds=2.0)
    both = [Process(tmp_path / "limits.sqlite", name, 10, rate) for name in "ab"]
    both[1].drawer.spacing = spacing
    began = now()
    await asyncio.gather(*(one.run() for one in both))
    draws = sorted(at for one in both for at in one.drawer.draws)[4:]
    gaps = [later - earlier for earlier, later in itertools.pairwise(draws)]
    assert min(gaps) >= spacing.seconds - 0.001
    assert now() - began <= 1.05 * 20 / rate
    told = [share for _, share in both[0].drawer.shares if share.turn_in_s is not None]
    assert Share(part=1.0, turn_in_s=math.inf, window="requests") == told[0]


@virtual
async def test_a_turn_that_is_not_used_is_lost(tmp_path: Path) -> None:
    """A process that is told to wait takes no turns meanwhile, and none of its old ones later."""
    rate, spacing = 0.5, Spacing(dimension="requests", seconds=2.0)
    both = [Process(tmp_path / "limits.sqlite", name, math.inf, rate) for name in "ab"]
    for one in both:
        one.drawer.spacing = spacing
    tasks = [asyncio.create_task(one.run()) for one in both]
    await asyncio.sleep(9.0)
    paused = both[0].drawer
    assert paused.load().has_turn
    paused.paused_until = now() + 15.0
    await asyncio.sleep(40.0)
    for task in tasks:
        task.cancel()
    draws = sorted(at for one in both for at in one.drawer.draws)
    late = [at for at in draws if at > 9.0]
    assert min(later - at for at, later in itertools.pairwise(late)) >= spacing.seconds - 0.001
    assert 0 == count_between(paused.draws, 9.0, 23.9)
    assert count_between(draws, 9.0, 24.0) >= 15 / 2 - 1 - 1  # all but the turn that was lost
    assert count_between(draws, 24.0, 49.0) >= 25 / 2 - 2


@virtual
async def test_a_process_that_stood_still_begins_anew(tmp_path: Path) -> None:
    """Its lease has ended and the others have its part, so it uses what they leave."""
    path = tmp_path / "limits.sqlite"
    both = [Process(path, name, math.inf) for name in "ab"]
    tasks = [asyncio.create_task(one.run()) for one in both]
    await asyncio.sleep(3.0)
    with sqlite3.connect(path) as connection:  # as the other finds it after that time
        connection.execute("UPDATE lease SET part = 0 WHERE peer = 'a'")
        connection.execute("UPDATE lease SET part = 0.9, until = until + 5 WHERE peer = 'b'")
    connection.close()
    await asyncio.sleep(0.3)
    assert both[0].drawer.shares[-1][1].part <= 0.5
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize("jump_s", [-3600.0, -30.0, 30.0, 3600.0])
@virtual
async def test_a_clock_that_is_set_moves_parts_for_seconds_only(
    tmp_path: Path, jump_s: float
) -> None:
    """Where the clock of all is the time of day: they still share, and share what one leaves."""
    loop, ahead = asyncio.get_running_loop(), [0.0]

    def shared() -> float:
        return loop.time() + ahead[0]

    path = tmp_path / "limits.sqlite"
    both = [Process(path, name, math.inf, shared=shared) for name in "ab"]
    tasks = [asyncio.create_task(one.run()) for one in both]
    await asyncio.sleep(5.0)
    ahead[0] = jump_s
    await asyncio.sleep(2 * SETTINGS.lease_expires_s)
    settled = now()
    await asyncio.sleep(3.0)
    drawn = [count_between(one.drawer.draws, settled, settled + 3.0) for one in both]
    assert [] == [count for count in drawn if not 0.45 * 3 * RATE <= count <= 0.55 * 3 * RATE]
    tasks[1].cancel()
    await both[1].keeper.close()
    await asyncio.sleep(SETTINGS.lease_expires_s)
    left = now()
    await asyncio.sleep(3.0)
    tasks[0].cancel()
    assert count_between(both[0].drawer.draws, left, left + 3.0) >= 0.95 * 3 * RATE


@virtual
async def test_without_a_usable_file_the_process_goes_on_alone(tmp_path: Path) -> None:
    """One event, the whole rate, and another try later."""
    path = tmp_path / "limits.sqlite"
    path.write_text("not a database, and longer than its header would be" * 20)
    one = Process(path, "a", 200)
    began = now()
    await one.keeper.start()
    work = asyncio.create_task(one.drawer.work())
    await asyncio.sleep(1.0)
    path.unlink()
    await work
    assert pytest.approx(200 / RATE - BURST_S, abs=0.05) == now() - began
    assert [] == one.drawer.shares
    (event,) = one.events
    assert "cannot be used (file is not a database)" in event[1]
    assert {"processes": 1, "parts": {"model": 1.0}} == one.keeper.statistics()
    assert one.keeper.writes >= 1
    await one.keeper.close()


@virtual
async def test_nothing_is_left_after_the_end(tmp_path: Path) -> None:
    """The lease is given back, also by a loop that ends without `close`; closing twice is one."""
    path = tmp_path / "limits.sqlite"
    one, other = Process(path, "a", 1), Process(path, "b", 1)
    await one.run()
    await one.keeper.close()
    await other.keeper.start()
    task = other.keeper._task
    assert task is not None
    task.cancel()
    await asyncio.wait([task])
    await other.keeper.close()
    with sqlite3.connect(path) as connection:
        assert [] == connection.execute("SELECT peer FROM lease").fetchall()
    connection.close()


@virtual
async def test_a_keeper_that_was_never_started_can_be_closed(tmp_path: Path) -> None:
    """Nothing was opened."""
    await Process(tmp_path / "limits.sqlite", "a", 1).keeper.close()
    assert [] == os.listdir(tmp_path)
