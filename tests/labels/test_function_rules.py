"""The cue lists of the ten labels are complete and written as texts are compared."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest

from analysis.labels.function_rules import DEFAULT, LABELS, label_function, stems_of
from analysis.labels.label_set import NAME_LANGUAGES, LabelSet
from analysis.labels.languages import comparable

TEN = LabelSet.load("ten_functions")


def cues_of(language: str) -> list[str]:
    """Return all cues of a language that are compared in lower case."""
    file = resources.files("analysis.labels") / "cues" / f"{language}.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    found = list(tables.pop("traps", []))
    assert set(TEN.keys) - {DEFAULT} == set(tables)
    for table in tables.values():
        groups = [table[key] for key in table if key not in ("weak", "cased")]
        found += [cue for group in [*groups, *table.get("weak", [])] for cue in group]
    return found


def test_labels_and_default_are_those_of_the_set() -> None:
    """The rules know the set that they are for."""
    assert (sorted(TEN.keys), TEN.default) == (sorted(LABELS), DEFAULT)


@pytest.mark.parametrize("language", NAME_LANGUAGES)
def test_every_label_has_cues_in_every_language(language: str) -> None:
    """A language without them would get the default for all texts."""
    assert len(cues_of(language)) > 100


@pytest.mark.parametrize("language", NAME_LANGUAGES)
def test_cues_are_written_so_that_they_can_match(language: str) -> None:
    """A capital, a double blank, an open bracket or a question mark out of place never matches."""
    wrong = [
        cue
        for cue in cues_of(language)
        if cue != cue.lower()
        or "ё" in cue
        or "  " in cue
        or "~" in cue
        or cue.count(" .. ") > 1
        or cue.count("(") != cue.count(")")
        or re.search(r"\([^()]*\(", cue)
        or re.search(r"[^)]\?.", comparable(cue))
        or not cue.strip()
    ]
    assert [] == wrong


def test_stems_are_what_words_of_a_topic_begin_with() -> None:
    """Short words say nothing, long ones count by their beginning, Chinese ones by pairs."""
    assert ("bread", "price") == stems_of("The Price of breads")
    assert ("广告", "告与", "与消", "消费") == tuple(
        sorted(stems_of("广告与消费"), key="广告与消费".find)
    )
    assert () == stems_of("")


def test_addresses_alone_are_noise() -> None:
    """A line of links has no function in a text."""
    text = "https://example.org/a www.example.org"
    assert ("noise",) == label_function(text, stems=(), language="auto")
