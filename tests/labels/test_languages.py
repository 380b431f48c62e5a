"""Texts are compared in one form, and their language is told by script and small words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.languages import comparable, detect_language


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("en", "Hard flour absorbs more water, so the dough stays slack for the first hour."),
        ("ru", "Щенку нужно спать до восемнадцати часов в сутки, иначе он плохо учится."),
        ("fr", "Les matières brunes apportent du carbone et gardent le tas au sec."),
        ("zh", "发酵初期产生的气体较多，坛口要留出空间。"),
        ("zh", "使用 Python 编写的程序"),
        ("ru", "Программа на Python работает"),
        ("fr", "Il est sur la table"),
        ("en", "It was a café on the corner"),
        ("en", "12345"),
        ("en", ""),
    ],
)
def test_languages_are_told_apart(expected: str, text: str) -> None:
    """Single foreign words do not change the language of a text."""
    assert expected == detect_language(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("for example, rye", "Ｆｏｒ　Ｅｘａｍｐｌｅ， ｒｙｅ"),
        ("l'eau", "L’eau"),
        ("елка", "Ёлка"),
        ("a b", "  a \n\t b "),
        ("café", "cafe\u0301"),
        ("word", "wo\u00adr\u200bd"),
        ("", " \u3000"),
    ],
)
def test_ways_to_write_the_same_are_compared_alike(expected: str, text: str) -> None:
    """Case, width, composition, apostrophes, ё, blanks and invisible signs do not matter."""
    assert expected == comparable(text)


@given(st.text(max_size=200))
def test_any_text_has_a_form_and_a_language(text: str) -> None:
    """The form has single spaces only, and the language is one of four."""
    assert comparable(text) == " ".join(comparable(text).split())
    assert detect_language(text) in {"en", "fr", "ru", "zh"}
