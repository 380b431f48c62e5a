"""A cue is found where its words stand, and counts where the text means it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.cue_patterns import Cue, comparable_cue


@pytest.mark.parametrize(
    ("cue", "text", "expected"),
    [
        ("for example", "rye, for example, rises", 1),
        ("for example", "forexample", 0),
        ("example", "examples", 0),
        ("example*", "examples and example", 2),
        ("(one|two) ovens", "one ovens, two ovens, three ovens", 2),
        ("a (very )?big oven", "a big oven or a very big oven", 2),
        ("one .. other", "one is hot, the other cold", 1),
        ("one .. other", "one is hot. the other cold", 0),
        ("one .. other", "one " + "x" * 60 + " other", 0),
        ("page #", "page 12", 1),
        ("page #", "page twelve", 0),
        ("; the", "hot; the cold", 1),
        ("%", "12%", 1),
        ("a.b", "axb", 0),
    ],
)
def test_the_notation_means_what_it_says(cue: str, text: str, expected: int) -> None:
    """Alternatives, endings, gaps within a sentence, numbers; all else stands for itself."""
    assert expected == Cue([cue], "en").count(text)


def test_chinese_cues_stand_anywhere() -> None:
    """There are no blanks around words."""
    assert [1, 0] == [Cue(["例如"], language).count("按例如此") for language in ("zh", "en")]


@pytest.mark.parametrize(
    ("language", "cue", "text"),
    [
        ("en", "like a", "it is not like a wheel"),
        ("en", "like a", "it isn't like a wheel"),
        ("fr", "comme un", "ce n'est pas comme un tas"),
        ("ru", "похож на", "он совсем не похож на ремень"),
        ("zh", "好比", "这不好比"),
        ("en", "like a", 'the words "like a" stand there'),
        ("ru", "похож на", "слова «похож на» лишние"),
    ],
)
def test_denied_and_quoted_cues_occur_but_do_not_count(language: str, cue: str, text: str) -> None:
    """Two questions: whether the words are there, and whether they are meant."""
    found = Cue([cue], language)
    assert (True, False, 0) == (found.occurs(text), found.counts(text), found.count(text))


def test_a_negation_farther_away_denies_something_else() -> None:
    """Only the words right before a cue deny it."""
    assert Cue(["for example"], "en").counts("it does not rise, for example in rye")


def test_opening_cues_begin_the_text() -> None:
    """Blanks and bullets may stand before them, a dash of speech may not."""
    cue = Cue(["take"], "en", at_start=True)
    texts = ["take rye", "  - take rye", "* take rye", "— take rye", "we take rye", "taken"]
    assert [True, True, True, False, False, False] == [cue.starts(text) for text in texts]


def test_cues_as_written_keep_their_capitals() -> None:
    """A capitalised word stands for a name."""
    cue = Cue(["In ~"], "en", at_start=True, as_written=True)
    assert [True, False] == [cue.starts(text) for text in ("In Lyon it rains", "In all, it rains")]


def test_blanked_phrases_are_gone() -> None:
    """Nothing of a trap is left for a cue to find."""
    blanked = Cue(["惯例如"], "zh").blank("按惯例如此")
    assert ("按·此", 0) == (blanked, Cue(["例如"], "zh").count(blanked))


def test_cues_are_compared_in_the_form_of_texts() -> None:
    """Width is folded, and the blanks of the notation stay."""
    assert ["对了,", " .. же", "© "] == [comparable_cue(one) for one in ("对了，", " .. же", "© ")]


@given(st.lists(st.text("ab c", min_size=1, max_size=5), min_size=1, max_size=5), st.text("ab c"))
def test_a_list_finds_what_its_phrases_find(phrases: list[str], text: str) -> None:
    """Shared beginnings change nothing: the oracle tries each phrase alone."""
    words = [phrase for phrase in map(str.strip, phrases) if phrase and "  " not in phrase]
    if words:
        alone = any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in words)
        assert alone == Cue(words, "en").occurs(text)
