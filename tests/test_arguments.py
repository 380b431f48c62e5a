"""Chunks in the forms in which callers hand them in, and which of them is at fault."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pandas as pd
import pytest

from analysis.arguments import as_chunk, as_chunks
from analysis.errors import ConfigurationError
from analysis.records import Chunk

CURE = "Pass a Chunk, a mapping with the strings id and text, or a pair (id, text)."


def test_all_forms_of_a_chunk_are_read() -> None:
    """They are new values, without a place of an earlier call."""
    chunk = Chunk(id="a", text="b")
    given: list[Any] = [chunk, {"id": "a", "text": "b", "more": 1}, ("a", "b"), ["a", "b"]]
    assert [chunk] * 4 == list(as_chunks(given))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            {"id": 1, "text": "b"},
            "dict: its id is of the type int, 1, and must be a str, such as str(id)",
        ),
        ((2.5, "b"), "tuple: its id is of the type float, 2.5, and must be a str, such as str(id)"),
        (
            {"id": "a", "text": None},
            "dict: its text is of the type NoneType, and must be a str; a missing one is ''",
        ),
        (
            ("a", math.nan),
            "tuple: its text is of the type float, nan, and must be a str; a missing one is ''",
        ),
        ({"id": "a"}, "dict: 'text' is missing"),
        ("ab", "str: a text alone has no id"),
        (("a",), "tuple: not enough values to unpack (expected 2, got 1)"),
        (5, "int: cannot unpack non-iterable int object"),
    ],
)
def test_a_chunk_that_cannot_be_read_is_named_by_its_place(given: Any, fault: str) -> None:
    """With its fault and the cure, in two sentences."""
    with pytest.raises(ConfigurationError) as error:
        list(as_chunks([("x", "y"), given]))
    assert (f"Cannot read chunk 2 of those handed in, which is of the type {fault}. {CURE}") == str(
        error.value
    )


class Row(NamedTuple):
    """As `itertuples` of pandas yields them, in an order that is not that of a pair."""

    Index: int
    text: str
    id: str


class Pair(NamedTuple):
    """A pair by other names."""

    key: str
    words: str


def test_rows_with_names_are_read_by_them() -> None:
    """A row that could be unpacked like a pair does not swap id and text."""
    base = sqlite3.connect(":memory:")
    base.row_factory = sqlite3.Row
    row = base.execute("SELECT 'b' AS text, 'a' AS id").fetchone()
    base.close()
    series = pd.Series({"text": "b", "id": "a"})
    given: list[Any] = [Row(Index=0, text="b", id="a"), row, series, Pair("a", "b")]
    assert [Chunk(id="a", text="b")] * 4 == list(as_chunks(given))
    assert [Chunk(id="a", text="b")] == list(as_chunks([pd.Series(["a", "b"])]))  # type: ignore[list-item]


def test_a_row_with_names_needs_both_of_them() -> None:
    """It is no pair by the order of its columns."""
    with pytest.raises(ConfigurationError, match=r"of the type Series: 'id' is missing\. Pass a"):
        list(as_chunks([pd.Series({"text": "b", "key": "a"})]))  # type: ignore[list-item]


def test_frames_and_async_iterables_are_refused_with_the_cure() -> None:
    """A frame would yield the names of its columns, with levels even as pairs."""
    levels: Any = pd.DataFrame(
        [["a", "b"]], columns=pd.MultiIndex.from_tuples([("id", ""), ("x", "y")])
    )
    with pytest.raises(ConfigurationError, match=r"DataFrame, and a frame is .* analyze_dataframe"):
        as_chunks(levels)

    async def later() -> AsyncIterator[tuple[str, str]]:
        yield "a", "b"

    with pytest.raises(ConfigurationError, match=r"Pass a list .*, such as \[one async for one in"):
        as_chunks(later())  # type: ignore[arg-type]


def test_a_chunk_by_itself_has_no_place() -> None:
    """As in `analyze_chunk`."""
    with pytest.raises(ConfigurationError, match="Cannot read the chunk, which is of the type"):
        as_chunk((1, "b"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["topic", "title", "document"])
def test_other_words_of_a_chunk_are_named_with_its_id(name: str) -> None:
    """The one of the call is another one."""
    given: Any = {"id": "a", "text": "b", name: 5}
    with pytest.raises(ConfigurationError, match=f"The {name} of chunk 'a' is of the type int"):
        list(as_chunks([given]))
    given[name] = "b\ud800"
    with pytest.raises(ConfigurationError, match=f"The {name} of chunk 'a' holds half a surrogate"):
        list(as_chunks([given]))
