"""The token estimator is near the known averages, cheap to reason about, and never zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.tokens import estimate

ENGLISH = "The city council will meet on Monday to decide how the old harbour should be used. "
RUSSIAN = "Городской совет соберётся в понедельник и решит, как использовать старую гавань. "
FRENCH = "Le conseil municipal se réunira lundi pour décider de l'avenir du vieux port de la cité. "
CHINESE = "市议会将于星期一开会，决定如何使用旧港口。"


def test_an_empty_text_has_no_tokens() -> None:
    """Only the empty text counts nothing."""
    assert 0 == estimate("")


@pytest.mark.parametrize("text", ["a", " ", ".", "7", "я", "é", "中", "😀", "\u200b", "\ud800"])
def test_a_single_character_counts(text: str) -> None:
    """Any character, a lone surrogate included, has at least one token."""
    assert estimate(text) >= 1


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [(ENGLISH, 3.9, 4.6), (RUSSIAN, 4.7, 6.0), (FRENCH, 3.7, 4.5), (CHINESE, 3.0, 3.7)],
)
def test_bytes_per_token_are_near_the_known_averages(text: str, low: float, high: float) -> None:
    """Prose of each language stays in the range that its vocabulary is known for."""
    text = text * 20
    assert low <= len(text.encode()) / estimate(text) <= high


def test_mixed_scripts_count_more_than_their_parts() -> None:
    """Changing scripts ends tokens, so a mixed text is estimated above the sum of its parts."""
    parts = estimate(ENGLISH) + estimate(RUSSIAN) + estimate(CHINESE)
    assert estimate(ENGLISH + RUSSIAN + CHINESE) > parts


def test_digits_and_signs_count_more_than_words() -> None:
    """A table of figures has more tokens than prose of the same length."""
    assert estimate("12.5; 80.1; 7,4 | 3.9" * 5) > 1.5 * estimate("the light on the wall" * 5)


@given(st.text(), st.text())
def test_more_text_never_has_fewer_tokens(first: str, second: str) -> None:
    """Appending text does not lower the estimate, and parts are never above the whole by two."""
    whole = estimate(first + second)
    assert whole >= max(estimate(first), estimate(second))
    assert whole >= estimate(first) + estimate(second) - 2 - whole * 0.08


@given(st.text(min_size=1))
def test_estimates_are_bounded_by_the_bytes(text: str) -> None:
    """No text has more tokens than bytes, but for the factor on mixed scripts and rounding up."""
    assert 1 <= estimate(text) <= 1.08 * len(text.encode("utf-8", "surrogatepass")) + 1
