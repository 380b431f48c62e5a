"""The table of costs with a prompt cache is that of the present prompts and prices."""

from __future__ import annotations

from pathlib import Path

from tests.docs.cache_table import table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "money.md"


def test_the_page_has_the_present_table() -> None:
    """Written anew with `python -m tests.docs.cache_table`."""
    assert table() in PAGE.read_text(encoding="utf-8")


def test_a_hit_is_cheaper_and_a_miss_dearer_than_a_short_prompt() -> None:
    """And all chunks in one request or few change nothing about that."""
    rows = [line.split(" | ")[2:6] for line in table().splitlines()[2:]]
    assert 6 == len(rows)
    for row in rows:
        plain, missed, half, read = map(float, row)
        assert read < plain < half < missed
