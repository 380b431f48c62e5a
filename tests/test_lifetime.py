"""An analyzer that nobody closed, and one on another event loop than that of its first call."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from analysis.errors import ConfigurationError
from analysis.lifetime import Lifetime, weakly
from analysis.testing import LocalServiceHandle, local_service
from tests.observed_service import ANALYZERS, UNPACED

every_analyzer = pytest.mark.parametrize("kind", ANALYZERS)


class Line:
    """A transport that notes on which loop it was closed."""

    def __init__(self) -> None:
        self.closed_on: list[asyncio.AbstractEventLoop] = []

    async def close(self) -> None:
        """Note it."""
        self.closed_on.append(asyncio.get_running_loop())


class Owner:
    """Has a life with one connection."""

    def __init__(self) -> None:
        self.line = Line()
        lines: Any = {"rest": self.line}
        self.lifetime = Lifetime(self, lines)


@pytest.fixture
def service() -> Iterator[LocalServiceHandle]:
    """Serve on a loop of its own, which outlives those of the analyzers."""
    gc.collect()  # what other tests left complains now and not later
    with local_service() as handle:
        yield handle


def made(kind: str, service: LocalServiceHandle) -> Any:
    """Return an analyzer that nobody closes."""
    return ANALYZERS[kind](api_key="k", base_url=service.base_url, settings=UNPACED)


@every_analyzer
def test_an_unclosed_analyzer_ends_with_its_loop(
    kind: str, service: LocalServiceHandle, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning names it; neither asyncio nor a library complains of what was torn apart."""
    analyzer = made(kind, service)
    name = type(analyzer).__name__
    with pytest.warns(ResourceWarning) as heard:
        asyncio.run(analyzer.analyze_chunk("a", "Some text."))
    told = [str(one.message) for one in heard if "was not closed" in str(one.message)]
    assert [f"A {name} was not closed."] == [words.partition(" Use")[0] for words in told]
    assert [] == [record for record in caplog.records if record.name == "asyncio"]
    with pytest.raises(ConfigurationError, match=r"its first call.* each asyncio\.run"):
        asyncio.run(analyzer.analyze_chunk("a", "Some text."))
    asyncio.run(analyzer.close())


@every_analyzer
def test_an_analyzer_that_nobody_has_ends(
    kind: str, service: LocalServiceHandle, caplog: pytest.LogCaptureFixture
) -> None:
    """As when a cell of a notebook runs again: its tasks and connections go while the loop runs."""

    async def cell() -> None:
        analyzer = made(kind, service)
        await analyzer.analyze_batch([("a", "Some text."), ("b", "More of it.")])
        del analyzer
        gc.collect()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    with pytest.warns(ResourceWarning, match="was not closed"):
        asyncio.run(cell())
    assert [] == [record for record in caplog.records if record.name == "asyncio"]


@every_analyzer
def test_plain_functions_are_told_that_no_loop_runs(kind: str) -> None:
    """Where nothing was asked yet there is nothing to stop."""
    analyzer = ANALYZERS[kind](api_key="k", base_url="http://127.0.0.1:9/v1", settings=UNPACED)
    with pytest.raises(ConfigurationError, match="no event loop runs here"):
        analyzer.stop("enough")


def test_another_loop_is_refused_while_the_own_one_lives() -> None:
    """The first call decides; nothing is closed by asking elsewhere."""
    owner = Owner()

    async def call() -> None:
        owner.lifetime.check()

    with asyncio.Runner() as home:
        home.run(call())
        home.run(call())
        owner.lifetime.check()  # a plain function may stop it
        with asyncio.Runner() as other:
            with pytest.raises(ConfigurationError, match="another one"):
                other.run(call())
            with pytest.raises(ConfigurationError, match="another one"):
                other.run(owner.lifetime.close())
        assert [] == owner.line.closed_on
        home.run(owner.lifetime.close())
        assert [home.get_loop()] == owner.line.closed_on
        with pytest.raises(ConfigurationError, match="is closed"):
            home.run(call())


def test_another_loop_may_close_it_at_home() -> None:
    """Its connections end on the loop on which they were made."""
    owner = Owner()
    is_up, is_over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def live() -> None:
        owner.lifetime.check()
        loops.append(asyncio.get_running_loop())
        is_up.set()
        await is_over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    is_up.wait()
    asyncio.run(owner.lifetime.close())
    loops[0].call_soon_threadsafe(is_over.set)
    thread.join()
    assert loops == owner.line.closed_on


def test_closing_twice_or_unused_ends_each_thing_once() -> None:
    """What works for it ends before its connections, and not again."""
    owner = Owner()
    ended: list[int] = []

    async def end() -> None:
        ended.append(len(owner.line.closed_on))

    async def live() -> None:
        owner.lifetime.on_close = end
        await owner.lifetime.close()
        await owner.lifetime.close()

    asyncio.run(live())
    assert [0] == ended


def test_a_loop_that_was_closed_under_it_leaves_nothing_to_end() -> None:
    """Closing is quiet then; there is no loop on which anything could be said."""
    owner = Owner()
    loop = asyncio.new_event_loop()

    async def call() -> None:
        owner.lifetime.check()

    loop.run_until_complete(call())
    loop.close()
    asyncio.run(owner.lifetime.close())
    assert [] == owner.line.closed_on


def test_weak_calls_end_with_their_object() -> None:
    """They hold nothing alive, and later calls do nothing."""
    heard: list[str] = []

    class Ear:
        def hear(self, word: str) -> None:
            heard.append(word)

    ear = Ear()
    call = weakly(ear.hear)
    call("one")
    del ear
    gc.collect()
    call("two")
    assert ["one"] == heard
