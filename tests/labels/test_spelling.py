"""Ways to write one name become equal, and different names stay different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.spelling import nearest, plain


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("Key  thesis", "keythesis"),
        ("key_thesis", "keythesis"),
        ("ＫＥＹ　ＴＨＥＳＩＳ", "keythesis"),
        ("Ещё, НЕ всё", "ещеневсе"),
        ("metaphor/analogy", "metaphoranalogy"),
        ("metaphor OR analogy", "metaphoranalogy"),
        ("隐喻或类比", "隐喻类比"),
        ("Me\u0301taphore", "métaphore"),
        ("Oregon", "oregon"),
        ("OR", ""),
        ("Straße", "strasse"),
        ("", ""),
    ],
)
def test_what_is_left_of_a_spelling(spelling: str, expected: str) -> None:
    """Letters and digits in small form, without the words for "or"; words that hold it stay."""
    assert expected == plain(spelling)


@given(st.text())
def test_a_plain_spelling_is_read_like_the_spelling_in_capitals(text: str) -> None:
    """Any text, with or without spaces around it."""
    assert plain(text) == plain(f"  {text}\n") == plain(text.replace("_", " "))


def test_the_nearest_of_nothing_is_nothing() -> None:
    """Otherwise one of the allowed values is always named."""
    assert (None, "noise", "a") == (
        nearest("x", []),
        nearest("nois", ["noise", "b"]),
        nearest("", ["a"]),
    )
