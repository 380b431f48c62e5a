"""The token estimator is near the known averages, cheap to reason about, and never zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.tokens import MEMORY_TOKENS, MOST_RATIO, Correction, estimate

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
    [(ENGLISH, 3.9, 4.6), (RUSSIAN, 4.7, 6.0), (FRENCH, 3.7, 4.5), (CHINESE, 3.3, 4.0)],
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


def test_an_estimate_is_as_it_is_before_the_first_answer() -> None:
    """An answer without usage says nothing."""
    correction = Correction()
    correction.note(estimated=1_000, billed=0)
    correction.note(estimated=0, billed=10)
    assert (1.0, 1_234) == (correction.ratio, correction.apply(1_234))
    assert "Correction(1.00)" == repr(correction)


@pytest.mark.parametrize("truth", [0.6, 0.9, 1.1, 1.5, 2.5])
def test_twenty_answers_bring_an_estimate_near_to_the_bill(truth: float) -> None:
    """Within a tenth, whatever it was off by."""
    correction = Correction()
    for _ in range(20):
        correction.note(estimated=2_000, billed=round(2_000 * truth))
    assert abs(correction.apply(2_000) / (2_000 * truth) - 1) < 0.1


def test_texts_of_another_kind_are_followed() -> None:
    """Old answers count less and less."""
    correction = Correction()
    for billed in (1_000, 3_000):
        for _ in range(int(3 * MEMORY_TOKENS / 2_000)):
            correction.note(estimated=2_000, billed=billed)
    assert 1.5 * 0.9 < correction.ratio <= 1.5


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**7)), max_size=30))
def test_a_correction_stays_within_bounds(answers: list[tuple[int, int]]) -> None:
    """A service that counts something else does not make requests free or endless."""
    correction = Correction()
    for estimated, billed in answers:
        correction.note(estimated=estimated, billed=billed)
    assert 1 / MOST_RATIO <= correction.ratio <= MOST_RATIO
    assert correction.apply(100) >= 25
