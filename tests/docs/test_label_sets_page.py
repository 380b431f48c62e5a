"""The tokens on the page of label sets belong to the prompts of now, and are within their goal."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import instructions
from analysis.planning import ESTIMATED_TOO_HIGH
from analysis.tally import CACHE_PREFIX_TOKENS
from tests.docs.prompt_tokens import PLACE, TARGET, counts, digests, estimated

RENEW = "Count anew, see the first lines of tests/docs/prompt_tokens.py."
DECISIONS = Path(__file__).parents[2] / "docs/explanation/decisions-route.md"
UNHURRIED = tomllib.loads(TARGET.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LabelSet.available())
def test_the_counts_are_those_of_the_present_prompt(name: str) -> None:
    """Each with the digest of the prompt that was counted."""
    present = digests(LabelSet.load(name))
    assert present == {key: UNHURRIED[name][key] for key in present}, RENEW


@pytest.mark.parametrize("name", LabelSet.available())
def test_the_input_beside_the_text_is_within_its_goal(name: str) -> None:
    """At most 60 tokens a chunk at 20 chunks a request, counted; without context estimated, too."""
    assert UNHURRIED[name]["overhead"] <= 60
    assert UNHURRIED[name]["in_context"] <= 60
    assert estimated(LabelSet.load(name))["overhead"] <= 60


@pytest.mark.parametrize("name", LabelSet.available())
def test_the_estimate_is_near_and_not_low(name: str) -> None:
    """For what is told once: never below the count, and at most an eighth above it."""
    guess = estimated(LabelSet.load(name))["instructions"]
    assert UNHURRIED[name]["instructions"] <= guess <= 1.125 * UNHURRIED[name]["instructions"]


@pytest.mark.parametrize("name", LabelSet.available())
def test_with_examples_every_set_reaches_the_cache(name: str) -> None:
    """Instructions and schema by the exact count, with a twentieth to spare; as is estimated."""
    assert UNHURRIED[name]["shown"] >= 1.05 * CACHE_PREFIX_TOKENS
    guess = estimated(LabelSet.load(name))["shown"]
    assert ESTIMATED_TOO_HIGH * CACHE_PREFIX_TOKENS <= guess <= 1.135 * UNHURRIED[name]["shown"]


def test_counts_are_sums_of_their_parts() -> None:
    """With a counter of characters."""
    found = counts(LabelSet.load("doc_zones"), len)
    expected = (found["instructions"] + found["schema"]) / 20 + found["envelope"]
    assert found["overhead"] == pytest.approx(expected, abs=0.1)


def test_a_document_adds_its_rule_its_place_and_two_texts() -> None:
    """With a counter of characters: the rule of the golden files, and what the content holds."""
    label_set = LabelSet.load("doc_zones")
    found = counts(label_set, len)
    rule = len(instructions(label_set, has_context=True)) - len(instructions(label_set))
    fields = '"position":"31-50 of 80","context_before":[""],"context_after":[""],'
    around = len(fields) + 2 * len(PLACE.before[0])
    assert found["in_context"] - found["overhead"] == pytest.approx((rule + around) / 20, abs=0.1)


def test_the_page_of_decisions_has_the_counts_of_shorter_questions() -> None:
    """And no question with keys would bring the largest set to the goal of the other routes."""
    found = UNHURRIED["ten_functions"]
    cells = [f"| {found[key]} |" for key in ("with_ids_only", "with_keys_only", "with_letters")]
    page = DECISIONS.read_text(encoding="utf-8")
    assert [] == [cell for cell in cells if cell not in page], RENEW
    assert f"takes {found['as_choices']} tokens" in page
    assert found["with_keys_only"] > 60
    others = [
        UNHURRIED[name]["as_choices"] for name in LabelSet.available() if name != "ten_functions"
    ]
    assert (44, 58) == (round(min(others)), round(max(others)))
