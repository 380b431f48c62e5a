"""A label can be used, or the flaw says which label, which field and what would do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.errors import ConfigurationError
from analysis.labels.label import (
    MOST_DEFINITION_SIZE,
    MOST_EXAMPLE_SIZE,
    MOST_EXAMPLES,
    Label,
    check_count,
    check_labels,
    check_language,
    is_key,
    spellings,
)
from analysis.labels.set_text import Flaw

ONE = Label(
    key="one",
    names={"en": "One"},
    definition="First.",
    not_this="The second is two.",
    examples=("One by one.",),
)
TWO = Label(key="two", names={}, definition="Second.", aliases=("zwei",))


def test_the_model_is_told_the_definition_and_what_is_another_label() -> None:
    """In one line, with a space between the two."""
    assert ("First. The second is two.", "Second.") == (ONE.told, TWO.told)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        *(("a", True), ("key_thesis2", True), ("x" * 40, True), ("x" * 41, False), ("", False)),
        *(("Key", False), ("2nd", False), ("тезис", False), ("a-b", False), ("a\n", False)),
    ],
)
def test_keys_are_small_latin_words(key: str, expected: bool) -> None:
    """They are column values that scripts compare, so they have one spelling."""
    assert expected == is_key(key)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (replace(TWO, key="one"), "key"),
        (replace(TWO, key="Two"), "key"),
        (replace(TWO, names={"de": "Zwei"}), "names"),
        (replace(TWO, names={"en": "Two\n"}), "names"),
        (replace(TWO, definitions={"de": "Das zweite."}), "definitions"),
        (replace(TWO, definition="a\u2028b"), "definition"),
        (replace(TWO, not_this="a\x00"), "not_this"),
        (replace(TWO, not_this=" "), "not_this"),
        (replace(TWO, names={"en": "\u202eowT"}), "names"),
        (replace(TWO, aliases=("zwei\r",)), "aliases"),
        (replace(TWO, definition="\u200b"), "definition"),
        (replace(TWO, definitions={"ru": "..."}), "definitions.ru"),
        (replace(TWO, definitions={"ru": "x" * (MOST_DEFINITION_SIZE + 1)}), "definitions.ru"),
        (replace(TWO, not_this="x" * (MOST_DEFINITION_SIZE - len("Second."))), "definition"),
        (replace(TWO, examples=("Fine.", "Not\nfine.")), "examples"),
        (replace(TWO, examples=("Fine.", " ")), "examples"),
        (replace(TWO, examples=("x" * (MOST_EXAMPLE_SIZE + 1),)), "examples"),
        (replace(TWO, examples=tuple("abcdef")), "examples"),
        (replace(TWO, examples=("One by one. ",)), "examples"),
    ],
)
def test_a_flaw_names_label_and_field(changed: Label, field: str) -> None:
    """The place counts from 0; the key of the label is in the message."""
    with pytest.raises(Flaw) as caught:
        check_labels((ONE, changed))
    assert (1, field) == (caught.value.label, caught.value.field)
    assert repr(changed.key) in str(caught.value)


@pytest.mark.parametrize(("count", "cure"), [(1, "Add one."), (41, "Split it into two sets.")])
def test_too_few_or_too_many_labels_are_a_flaw_of_a_file(count: int, cure: str) -> None:
    """The cure is named; two and forty can be used."""
    check_count(2)
    check_count(40)
    with pytest.raises(Flaw) as caught:
        check_count(count)
    assert str(caught.value).endswith(cure)


def test_good_labels_pass_with_a_definition_of_the_longest_size() -> None:
    """Names may hold any letters and spaces, also those that French puts before a colon."""
    longest = replace(
        TWO, definition="x" * MOST_DEFINITION_SIZE, names={"fr": "Deux\u00a0: «\u202fb»"}
    )
    check_labels((ONE, longest))


def test_spellings_lead_to_keys() -> None:
    """Keys, names and aliases."""
    assert {"one": "one", "two": "two", "zwei": "two"} == spellings((ONE, TWO))


@pytest.mark.parametrize("name", ["ONE", "one/", "一", "?"])
def test_a_spelling_of_two_labels_is_a_flaw(name: str) -> None:
    """So is one without letters."""
    with pytest.raises(Flaw) as caught:
        spellings((replace(ONE, aliases=("一",)), replace(TWO, aliases=(name,))))
    assert (1, "aliases") == (caught.value.label, caught.value.field)


def test_an_unknown_language_of_names_is_refused() -> None:
    """The four are named."""
    check_language("zh")
    with pytest.raises(ConfigurationError, match=r"'auto' is unknown\. Pass one of: en, ru, fr"):
        check_language("auto")


def test_examples_within_the_bounds_are_taken() -> None:
    """As many and as long as the bounds say; the same text twice at one label is harmless."""
    texts = tuple(f"{place}".ljust(MOST_EXAMPLE_SIZE, ".") for place in range(MOST_EXAMPLES - 1))
    check_labels((ONE, replace(TWO, examples=(*texts, texts[0]))))
