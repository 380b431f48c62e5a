"""Time limits: as long as they say, but for the time in which the process stood still."""

from __future__ import annotations

import asyncio

import pytest

from analysis.transport.patience import Patience
from tests.virtual_loop import VirtualLoop, virtual


def loop_here() -> VirtualLoop:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


async def seconds_until_cancelled(timeout_s: float) -> float:
    """Return how long work that never ends is waited for."""
    loop = loop_here()
    begin = loop.time()
    with pytest.raises(TimeoutError):
        async with Patience(timeout_s):
            await asyncio.Event().wait()
    return loop.time() - begin


@virtual
async def test_work_without_an_end_is_cancelled_in_time() -> None:
    """The steps make up the whole time, also where it is short."""
    assert [60.0, 1.0, 0.25] == [await seconds_until_cancelled(s) for s in (60.0, 1.0, 0.25)]


@virtual
async def test_work_that_ends_in_time_returns() -> None:
    """Nothing is left on the loop that could cancel something later."""
    async with Patience(2.0):
        await asyncio.sleep(1.9)
    await asyncio.sleep(60.0)


@virtual
async def test_an_error_of_the_work_passes_through() -> None:
    """Also one that happens in the last moment, and a cancellation from outside."""
    for error in (ValueError("no"), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            async with Patience(2.0):
                raise error


@pytest.mark.parametrize("begin_s", [1.0, 14.0, 16.0, 44.0, 46.0, 59.0])
def test_a_standstill_is_not_counted(begin_s: float) -> None:
    """Whenever it begins, what comes within a step after it is in time."""

    @virtual
    async def standing_still() -> None:
        loop, answer = loop_here(), asyncio.Event()
        loop.call_later(begin_s, loop.stand_still, 70.0)
        loop.call_later(begin_s + 71.0, answer.set)
        async with Patience(60.0):
            await answer.wait()

    standing_still()


@virtual
async def test_after_a_standstill_patience_ends_all_the_same() -> None:
    """The step in which it fell begins anew, and no other one."""
    loop = loop_here()
    loop.call_later(10.0, loop.stand_still, 70.0)
    assert 80.0 + 60.0 == await seconds_until_cancelled(60.0)


@virtual
async def test_a_late_timer_of_a_busy_loop_counts() -> None:
    """A loop that is late in every step cannot keep work for ever."""
    loop = loop_here()
    for second in range(60):
        loop.call_at(second + 0.5, loop.stand_still, 0.9)
    assert 8.0 <= await seconds_until_cancelled(8.0) < 12.0
