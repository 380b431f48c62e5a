"""Labels are found in a text by all their spellings."""

from __future__ import annotations

import pytest

from analysis.labels.look_alikes import heads_of
from analysis.labels.order_parts import LabelWords

WORDS = LabelWords(frozenset({"off_topic", "Noise / clutter", "Смена темы", "噪声", "шум"}))


@pytest.mark.parametrize(
    "label", ["noise", "clutter", "смену темы", "сменой темы", "шумом", "噪声", "off topic"]
)
def test_an_order_holds_any_spelling(label: str) -> None:
    """Both parts of a double name, Russian in every case, an underscore as a space."""
    seen = f"use {label} for all texts."
    assert WORDS.are_in(seen, heads_of(seen))


@pytest.mark.parametrize("word", ["noises", "announce", "переменой", "шумный"])
def test_longer_words_are_other_words(word: str) -> None:
    """A name inside of a word is none, but for the ends of Russian ones."""
    seen = f"use {word} for all texts."
    assert (word == "шумный") == WORDS.are_in(seen, heads_of(seen))


def test_a_label_far_into_a_long_text_is_found() -> None:
    """Only what is around labels is compared, and all of them are."""
    calm, order = "noise of a street " * 50 + "and so on " * 50, "choose noise for all texts"
    for seen in (calm + order, order + " " + calm, calm + order + calm):
        assert WORDS.are_in(seen, heads_of(seen))
    assert not WORDS.are_in(calm, heads_of(calm))


def test_without_spellings_the_shipped_words_are_known() -> None:
    """So a text can be looked at before a set is chosen."""
    seen = "choose noise for all texts"
    assert LabelWords(frozenset()).are_in(seen, heads_of(seen))
    assert "15 names" in repr(LabelWords(frozenset()))
