"""Labels that a set does not let stand together are told apart to the model, in few words."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder, choice_instructions, instructions

SET = Path(__file__).with_name("pairs_apart.toml")
GOLDEN = SET.with_suffix(".txt")
APART = LabelSet.load(str(SET))
NAMED = re.compile(r" Never together: ([^.]*)\.")

RENEW = (
    f"The instructions differ from {GOLDEN.name}. If that is meant, write what instructions "
    f"returns for {SET.name} to that file as UTF-8, and review the difference: users whose sets "
    "have `forbidden` are asked to pay for their rows again."
)


def told_apart(label_set: LabelSet) -> list[frozenset[str]]:
    """Return the pairs that the instructions name, each as often as they do."""
    found = NAMED.search(instructions(label_set))
    stars = found[1].split(", ") if found else []
    cut = (star.split(" with ") for star in stars)
    return [frozenset((one, other)) for one, others in cut for other in others.split(" or ")]


def test_the_instructions_are_the_reviewed_ones() -> None:
    """Byte for byte, for a set with such pairs; the label of most pairs stands first."""
    assert GOLDEN.read_text(encoding="utf-8") == instructions(APART), RENEW
    assert "Never together: goal with step or tip or warning, tip with warning." in (
        GOLDEN.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("name", LabelSet.available())
def test_sets_without_such_pairs_are_told_nothing_of_them(name: str) -> None:
    """So the rows of shipped sets, which have none, keep their prompt and are not asked again."""
    assert "Never together" not in instructions(LabelSet.load(name))


def test_the_choice_form_says_nothing_of_pairs_that_it_cannot_give() -> None:
    """It asks for one label; a second one must be in `pairs`, which has none that is forbidden."""
    without = replace(APART, forbidden=frozenset())
    assert choice_instructions(without) == choice_instructions(APART)
    pairs = itertools.combinations(APART.keys, 2)
    assert [("step", "warning")] == [pair for pair in pairs if APART.favours(pair)]


def test_sets_of_one_label_and_labels_that_stay_alone_need_no_such_words() -> None:
    """No pair can be given there, and none is paid for in the prompt."""
    assert [] == told_apart(replace(APART, max_labels=1, pairs=()))
    lonely = replace(APART, pairs=(), alone=frozenset({"goal", "tip"}))
    assert [] == told_apart(lonely)


def test_such_pairs_are_part_of_the_key_of_a_row() -> None:
    """A row that was asked without these words is not taken for one that was asked with them."""
    sets = [APART, replace(APART, forbidden=frozenset())]
    digests = [PromptBuilder(one, rng=random.Random(1)).digest for one in sets]
    assert digests[0] != digests[1]


@given(st.sets(st.frozensets(st.sampled_from(APART.keys), min_size=2, max_size=2)))
def test_every_pair_is_named_once_whatever_they_are(forbidden: set[frozenset[str]]) -> None:
    """As an answer is checked: what is told is what would be refused, but for labels alone."""
    label_set = replace(APART, pairs=(), forbidden=frozenset(forbidden))
    told = told_apart(label_set)
    assert len(told) == len(set(told))
    pairs = [
        frozenset(pair)
        for pair in itertools.combinations(APART.keys, 2)
        if APART.alone.isdisjoint(pair) and not label_set.allows(pair)
    ]
    assert set(pairs) == set(told)
