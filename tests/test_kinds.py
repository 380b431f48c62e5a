"""Arguments of a wrong kind: one sentence of ours, whatever it is and wherever it is handed in."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.endpoint import Endpoint
from analysis.entry import analyze_dataframe, analyze_file, estimate_file
from analysis.errors import ConfigurationError
from analysis.kinds import FLAG, NUMBER, PATHS, TEXT, TEXTS, check_kind, plain_number
from analysis.run_options import RunOptions
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.semantic_function_realtime import RealtimeSessionConfig, SemanticRealtimeAnalyzer
from tests.commands.running import table

ODD: tuple[Any, ...] = (
    *(None, 5, 0, -1, -1.5, 10**400, math.nan, math.inf, True),
    *("x", "", "\ud800", b"x", Path("x")),
    *([], ["x"], ("x",), [5], {}, {"a": 1}, {1: "a"}, {"x"}),
    *(object(), int, lambda: None),
)
"""Values, each of which is wrong for nearly all arguments."""

ADDRESS = {"api_key": "k", "base_url": "http://127.0.0.1:9/v1"}
KINDS = (SemanticRestAnalyzer, SemanticRealtimeAnalyzer, HybridSemanticAnalyzer)


def assert_ours(call: Callable[[Any], object], given: dict[str, Any]) -> None:
    """Assert that a call with each of the odd values does its work or refuses it in our words."""
    (name,) = given
    for value in ODD:
        try:
            call({name: value})
        except ConfigurationError as error:
            assert len(str(error)) > len(name), f"{name}={value!r}"
        except Exception as error:
            raise AssertionError(f"{name}={value!r:.60}") from error


@pytest.mark.parametrize("name", [field.name for field in fields(RunOptions)])
def test_each_option_of_a_run_takes_or_refuses_any_value(name: str) -> None:
    """Before a file is opened."""
    assert_ours(lambda given: RunOptions(**given), {name: None})


@pytest.mark.parametrize("kind", KINDS)
def test_each_argument_of_an_analyzer_takes_or_refuses_any_value(kind: Callable[..., Any]) -> None:
    """Before anything is connected; an estimate works with whatever was taken."""
    for name in inspect.signature(kind).parameters:

        def estimate(given: dict[str, Any]) -> None:
            address = {} if "endpoint" in given else ADDRESS
            kind(**{**address, **given}).estimate([("1", "A text.")])

        assert_ours(estimate, {name: None})


def test_each_argument_of_endpoints_and_sessions_takes_or_refuses_any_value() -> None:
    """The same for the values that the analyzers take."""
    for name in inspect.signature(Endpoint.find).parameters:
        assert_ours(lambda given: Endpoint.find(**{**ADDRESS, **given}), {name: None})
    for name in inspect.signature(RealtimeSessionConfig).parameters:
        assert_ours(lambda given: RealtimeSessionConfig(**given), {name: None})


def test_each_argument_of_a_call_takes_or_refuses_any_value() -> None:
    """Topics and numbers of chunks reach the tokens and the prompt."""

    async def ask(given: dict[str, Any]) -> None:
        async with HybridSemanticAnalyzer(routes="offline") as analyzer:
            asked: dict[str, Any] = {"chunks": [("1", "A text.")], **given}
            analyzer.estimate(**asked)
            await analyzer.analyze_batch(**asked)

    for name in ("chunks", "topic", "chunks_per_request"):
        assert_ours(lambda given: asyncio.run(ask(given)), {name: None})


def test_each_argument_of_the_doors_takes_or_refuses_any_value(tmp_path: Path) -> None:
    """Paths, frames, topics, hooks and ledgers."""
    path, frame = table(tmp_path, 1), pd.DataFrame({"text": ["A text."]})

    def run_file(given: dict[str, Any]) -> None:
        asked: dict[str, Any] = {"path_in": path, "path_out": tmp_path / "o.csv"}
        analyze_file(**{**asked, "route": "offline", **given})

    def run_frame(given: dict[str, Any]) -> None:
        asked: dict[str, Any] = {"frame": frame, "ledger": tmp_path / "l.sqlite"}
        analyze_dataframe(**{**asked, "route": "offline", **given})

    for name in ("path_in", "topic", "hooks", "encoding", "delimiter"):
        assert_ours(run_file, {name: None})
    for name in ("frame", "topic", "hooks", "limit", "budget", "stop_after"):
        assert_ours(run_frame, {name: None})
    assert_ours(lambda given: estimate_file(path, **given), {"topic": None})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"label_set": ["x"]},
            "label_set is of the type list; it must be the name of a label set or the path of its "
            "file as str, or a LabelSet.",
        ),
        ({"model": 5}, "model is of the type int; it must be a str, or a mapping from str to str"),
        ({"timeout_s": "5"}, "timeout_s is of the type str; it must be a number that a float can"),
        (
            {"progress": asyncio.sleep},
            "progress is a function that cannot be used; it must be True or False, or a plain "
            "function (no async one), or None.",
        ),
        ({"yes": "no"}, "yes is of the type str; it must be True or False."),
        (
            {"route": ["rest", 5]},
            "route is a list that cannot be used; it must be a str, or a",
        ),
        ({"settings": None}, "settings is None; it must be a Settings."),
        ({"context": ""}, "context is ''; it must be a whole number from 0"),
        ({"limit": 10**400}, "it must be a whole number, 1 to 1000000000000000."),
    ],
)
def test_a_refusal_names_argument_kind_and_cure(given: dict[str, Any], expected: str) -> None:
    """One sentence each."""
    with pytest.raises(ConfigurationError) as error:
        RunOptions(**given)
    assert expected in str(error.value)


def test_a_topic_of_a_wrong_kind_is_named_by_both_doors(tmp_path: Path) -> None:
    """It is no option, so it has a check of its own."""
    chosen: dict[str, Any] = {"topic": 5, "route": "offline"}
    for call in (
        lambda: analysis.analyze_dataframe(pd.DataFrame({"text": ["a"]}), **chosen),
        lambda: analysis.analyze_file(table(tmp_path), **chosen),
    ):
        with pytest.raises(ConfigurationError, match="The topic is of the type int"):
            call()


def test_a_key_is_never_shown() -> None:
    """Not even one of a wrong kind."""
    with pytest.raises(ConfigurationError) as error:
        SemanticRestAnalyzer(b"sk-secret")  # type: ignore[arg-type]
    assert "api_key is of the type bytes; it must be a str, or None." == str(error.value)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    """As they come out of a frame; whoever asked for them has Python's own."""
    numbers: tuple[Any, ...] = (np.int64(3), np.uint8(3), np.float32(0.5), np.float64(0.5), True)
    assert [3, 3, 0.5, 0.5, True] == [plain_number(value) for value in numbers]
    assert [int, int, float, np.float64, bool] == [type(plain_number(value)) for value in numbers]
    frame = pd.DataFrame({"text": ["One.", "Two.", "Three."]})
    chosen: dict[str, Any] = {"topic": "x", "route": "offline", "ledger": tmp_path / "l.sqlite"}
    assert 2 == len(analyze_dataframe(frame, limit=np.int64(2), timeout_s=np.int32(9), **chosen))
    SemanticRestAnalyzer(max_concurrent=np.int64(3), timeout_s=np.float32(9), **ADDRESS)  # type: ignore[arg-type]


def test_kinds_tell_values_apart() -> None:
    """Truth values are no numbers, a text is no list of texts."""
    assert [True, False, False] == [NUMBER.takes(value) for value in (1, True, 10**400)]
    assert [True, True, False] == [TEXTS.takes(value) for value in (["x"], (), "x")]
    assert [True, False] == [PATHS.takes(value) for value in ([Path("x"), "y"], ["\ud800"])]
    check_kind("x", False, TEXT | FLAG)
    with pytest.raises(ConfigurationError, match="x is of the type int; it must be a str, or True"):
        check_kind("x", 1, TEXT | FLAG)
