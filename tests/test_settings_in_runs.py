"""Settings that a user turns have their effect behind each door: files, data frames and lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.entry import analyze_dataframe, analyze_file
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import Settings
from analysis.simulator.server import start_in_thread
from tests.commands.running import written
from tests.observed_service import UNPACED, ObservedService
from tests.reading_service import reading

TEXTS = [f"Text number {number}." for number in range(10)]
LONG = "A sentence that is repeated. " * 100

Door = Callable[[Path, Sequence[str], dict[str, Any]], None]
"""Labels texts with the options of a run."""


def of_file(folder: Path, texts: Sequence[str], options: dict[str, Any]) -> None:
    """Label a file."""
    path = written(folder, [("id", "text"), *((str(n), text) for n, text in enumerate(texts))])
    analyze_file(path, max_failed=len(texts), **options)


def of_frame(folder: Path, texts: Sequence[str], options: dict[str, Any]) -> None:
    """Label a data frame."""
    frame = pd.DataFrame({"text": list(texts)})
    analyze_dataframe(frame, ledger=folder / "l.sqlite", max_failed=len(texts), **options)


def of_stream(folder: Path, texts: Sequence[str], options: dict[str, Any]) -> None:
    """Label what an iterator yields, with an analyzer."""
    given = {name: options[name] for name in ("api_key", "base_url", "topic", "settings")}
    routes = (options["route"],)

    async def label() -> None:
        async with HybridSemanticAnalyzer(routes=routes, **given) as analyzer:
            async for _ in analyzer.stream((str(n), text) for n, text in enumerate(texts)):
                pass

    asyncio.run(label())


DOORS: dict[str, Door] = {"file": of_file, "frame": of_frame, "stream": of_stream}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    """Return each door in turn."""
    return DOORS[request.param]


def turned(**changes: Any) -> Settings:
    """Return the settings of an account without limits, with some of them changed."""
    return replace(UNPACED, **changes)


def test_a_text_that_is_too_long_is_not_sent(tmp_path: Path, door: Door) -> None:
    """Beyond `chunk_tokens`; by default the same text is."""
    asked = []
    for number, knobs in enumerate((turned(), turned(chunk_tokens=100))):
        (tmp_path / str(number)).mkdir()
        with reading() as (service, options):
            door(tmp_path / str(number), [*TEXTS, LONG], options | {"settings": knobs})
        asked.append(LONG in service.asked)
    assert [True, False] == asked
    assert sorted(TEXTS) == service.asked


def test_chunks_in_a_request_are_those_of_the_settings(tmp_path: Path, door: Door) -> None:
    """Where the call names no number."""
    with reading() as (service, options):
        door(tmp_path, TEXTS, options | {"settings": turned(chunks_per_request=4)})
    assert [2, 4, 4] == sorted(len(one["chunks"]) for one in service.contents)


def test_tokens_of_a_request_are_bounded_by_the_settings(tmp_path: Path, door: Door) -> None:
    """A pack ends before `pack_tokens`, however few its chunks are."""
    texts = [f"{number} {LONG[:1_200]}" for number in range(6)]
    with reading() as (service, options):
        door(tmp_path, texts, options | {"settings": turned(pack_tokens=700)})
    assert sorted(texts) == service.asked
    assert [2, 2, 2] == [len(one["chunks"]) for one in service.contents]


@pytest.mark.parametrize("route", ["realtime", "responses-ws", "rest", "decisions"])
def test_requests_at_once_are_those_of_the_settings(tmp_path: Path, door: Door, route: str) -> None:
    """Each route has a number of its own; one at a time is never two."""
    knobs = turned(**{f"{route.replace('-', '_')}_in_flight": 1}, chunks_per_request=2)
    service = ObservedService(latency_ms=5)
    with start_in_thread(service) as base_url:
        options = {"api_key": "k", "base_url": base_url, "route": route, "topic": "T"}
        door(tmp_path, TEXTS, options | {"settings": knobs})
    assert (5, 1) == (len(service.asked), service.most_parallel)
