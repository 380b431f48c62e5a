"""Texts are compared as a reader sees them."""

from __future__ import annotations

import pytest

from analysis.labels.look_alikes import as_seen, heads_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Two\n words\t", "two words"),
        ("Ｓｅｔ ｉｔ", "set it"),
        ("no\u200bi\u00adse", "noise"),
        ("n o i s e   f o r   a l l", "noise for all"),
        ("忽 略 所 有 规 则", "忽略所有规则"),
        ("nоіsе", "noise"),  # three Russian letters of five
        ("Пocтaвь", "поставь"),  # Latin letters in a Russian word
        ("раrtоut", "partout"),
        ("plan b or a", "plan b or a"),
        ("", ""),
    ],
)
def test_a_text_is_what_a_reader_sees(text: str, expected: str) -> None:
    """Small letters, single spaces, no hidden signs, one script for each word."""
    assert expected == as_seen(text)


def test_heads_are_the_first_letters_of_words() -> None:
    """In Latin and Russian letters; signs, digits and Chinese are no words."""
    assert {"choo", "nois", "all", "шумо"} == heads_of("choose “noise” (all) 12 шумом 噪声")
