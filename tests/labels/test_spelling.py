"""Ways to write one name become equal, and different names stay different."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.labels.spelling import (
    Readings,
    bare,
    listed,
    near_hint,
    near_or_all,
    nearest,
    parts,
    plain,
)


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


def test_the_nearest_is_similar_or_nothing() -> None:
    """A name without likeness would send the reader the wrong way."""
    assert (None, "noise", None, None) == (
        nearest("x", []),
        nearest("nois", ["noise", "b"]),
        nearest("", ["a"]),
        nearest("banana", ["metaphor_analogy", "noise"]),
    )


def test_words_about_the_nearest() -> None:
    """It is named where there is one; else all are, as many as a line holds, or none."""
    assert "nearest: noise" == near_or_all("nois", ["noise", "b"])
    assert "there are: noise, b" == near_or_all("banana", ["noise", "b"])
    assert ("; nearest: noise", "") == (near_hint("nois", ["noise"]), near_hint("x", ["noise"]))
    assert "; nearest: key" == near_hint("nois", {"noise": "key"})
    many = listed(f"label_{number:02}" for number in range(40))
    assert many.endswith(", label_19 and 20 more")
    assert len(many) < 220


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("Thèse", "these"),
        ("ÉLÉMENT de CŒUR", "elementdecoeur"),
        ("Ёлка, йод", "елкайод"),
        ("核心論點", "核心论点"),
        ("隱喻或類比", "隐喻类比"),
    ],
)
def test_accents_and_traditional_characters_are_bare(spelling: str, expected: str) -> None:
    """Latin letters lose their accents; Cyrillic й is a letter of its own and stays."""
    assert expected == bare(spelling)


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("Humor, irony, or sarcasm", {"humor", "irony", "sarcasm"}),
        ("Ирония/сарказм", {"ирония", "сарказм"}),
        ("幽默、反讽或讽刺", {"幽默", "反讽", "讽刺"}),
        ("Шум (не по теме)", {"шум", "непотеме"}),
        ("Original order", {"originalorder"}),
        ("/ или", set()),
    ],
)
def test_parts_stand_between_slashes_commas_and_words_for_or(
    spelling: str, expected: set[str]
) -> None:
    """Without order; a word that begins with "or" is not parted."""
    assert expected == parts(spelling)


READINGS = Readings(
    [
        *(("one", "one"), ("Uno or eins", "one"), ("Été", "one"), ("x/shared", "one")),
        *(("two", "two"), ("y/shared", "two")),
    ]
)


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("ete", "one"),
        ("eins/uno", "one"),
        ("one, uno", "one"),
        ("shared or x", "one"),
        ("shared/y", "two"),
        ("uno", None),
        ("shared", None),
        ("shared/shared", None),
        ("one/two", None),
        ("one/three", None),
        ("", None),
    ],
)
def test_a_spelling_is_read_if_one_label_alone_has_all_of_its_parts(
    spelling: str, expected: str | None
) -> None:
    """A single part of a name is not its name; a part of two labels decides nothing."""
    assert expected == READINGS.key_of(spelling)


def test_what_two_labels_could_claim_is_none() -> None:
    """Without their accents the two are the same."""
    found = Readings([("pêcheur", "fisher"), ("pécheur", "sinner")])
    assert None is found.key_of("pecheur")


@given(st.text())
@example("OÙ")
def test_any_text_has_parts_and_a_bare_form(text: str) -> None:
    """Bare twice is bare once, but for a whole "où" that becomes "ou"; no part is empty."""
    found = bare(text)
    assert bare(found) == ("" if found in ("or", "ou", "или", "либо") else found)
    assert "" not in parts(text)
