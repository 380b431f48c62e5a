"""Tables for the terminal line up, Chinese characters counted as two columns."""

from __future__ import annotations

import pytest

from analysis.commands.layout import clipped, laid_out, width


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("abc", 3), ("主题", 4), ("ё", 1), ("е\u0308", 1), ("ａ", 2)]
)
def test_width_is_that_of_the_terminal(text: str, expected: int) -> None:
    """Wide signs take two columns, combining ones none."""
    assert expected == width(text)


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("主题展开", 6, "主题…"), ("主题展开", 8, "主题展开")],
)
def test_clipped_text_fits(text: str, columns: int, expected: str) -> None:
    """What is cut is marked, and a wide sign is never cut in half."""
    assert expected == clipped(text, columns)
    assert width(expected) <= columns


def test_columns_line_up() -> None:
    """Text begins and numbers end below each other; no line ends in spaces."""
    rows = [("", "rows", ""), ("主题", "1,000", "x"), ("abc", "2", "")]
    assert [
        "       rows",
        "主题  1,000  x",
        "abc       2",
    ] == laid_out(rows, right={1})
