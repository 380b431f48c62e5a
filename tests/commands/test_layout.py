"""Tables for the terminal line up, Chinese characters counted as two columns."""

from __future__ import annotations

import pytest

from analysis.commands.layout import clipped, clipped_front, laid_out, width, wrapped


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("abc", 3),
        ("主题", 4),
        ("ё", 1),
        ("е\u0308", 1),
        ("ａ", 2),
        ("हिन्दी", 5),
        ("❤\ufe0f", 1),
        ("a\u200db", 2),
        ("\u05e9\u05b8", 1),
    ],
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


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("папка/файл.csv", 9, "…файл.csv"),
        ("папка/файл.csv", 14, "папка/файл.csv"),
        ("目录/片段.csv", 9, "…片段.csv"),
        ("目录/片段.csv", 8, "…段.csv"),
        ("te\u0301x", 2, "…x"),
        ("te\u0301x", 3, "te\u0301x"),
        ("te\u0301xy", 3, "…xy"),
    ],
)
def test_the_end_of_a_path_is_kept(text: str, columns: int, expected: str) -> None:
    """No mark is left without its letter, and no wide sign is cut in half."""
    assert expected == clipped_front(text, columns)
    assert width(expected) <= columns


def test_lines_are_cut_at_spaces_by_columns() -> None:
    """Chinese names take their columns; a word that is too long stays whole."""
    assert ["a b", "cc"] == wrapped("a b cc", 4)
    assert ["主题 展", "开 x"] == wrapped("主题 展 开 x", 7)
    assert ["核心论点核心", "ab"] == wrapped("核心论点核心 ab", 5)
    assert [] == wrapped(" ", 5)
