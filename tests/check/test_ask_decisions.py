"""Each open question about decisions tells of the service what the service does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.check.ask_decisions import (
    GRID,
    GRID_ROUNDS,
    REFUSED,
    SENTENCES,
    numbered,
    usage,
)
from analysis.check.wires import HttpReply
from analysis.errors import AnswerDefect
from analysis.simulator.profile import PROFILE, Profile
from tests.check.asking import answers_to, facts_of
from tests.check.endpoints import service_at


def rules(**options: Any) -> Profile:
    """Return a profile whose Decisions API has other rules."""
    return replace(PROFILE, decisions=replace(PROFILE.decisions, **options))


@pytest.mark.parametrize("is_per_question", [True, False])
def test_how_input_is_counted_is_found_out(is_per_question: bool) -> None:
    """Once, or again for every question."""
    with service_at(profile=rules(is_billed_per_question=is_per_question)) as endpoint:
        facts = facts_of(endpoint, "D.1")
    assert facts["input_is_counted"] == ("per question" if is_per_question else "once")
    assert ["1", "20", "400"] == list(facts["input_tokens"])


def test_without_token_counts_nothing_is_concluded() -> None:
    """Three zeros are no evidence of how input is counted."""
    asked: list[dict[str, Any]] = [{"usage": told} for told in (None, {}, {"input_tokens": 0})]
    for body in asked:
        reply = HttpReply(status=200, headers={}, body=body, content=b"", seconds=0.0)
        with pytest.raises(AnswerDefect, match="no input tokens"):
            usage(reply)


def test_both_cache_modes_are_tried_cold_and_warm() -> None:
    """The breakpoint is written once and read once; nothing of it was in the cache before."""
    with service_at() as endpoint:
        facts = facts_of(endpoint, "D.2")
        again = facts_of(endpoint, "D.2")
    first, second = facts["explicit"]
    assert first["written"] > 1_024
    assert (0, first["written"], 0) == (first["read"], second["read"], second["written"])
    assert facts["default"][0]["written"] > 1_024
    # The nonce of the tests is fixed, so the second check finds the prefix of the first.
    assert again["explicit"][0]["read"] == first["written"]


def test_wrong_requests_are_told_with_status_code_and_words() -> None:
    """What is taken all the same says how many answers it got."""
    with service_at() as endpoint:
        (answer,) = answers_to(endpoint, "D.4")
    facts: dict[str, Any] = dict(answer.facts)
    assert list(REFUSED) == list(facts)
    assert {"status": 200, "answers": 1} == facts["empty instructions"]
    refused = [said for said in facts.values() if "answers" not in said]
    assert 8 == len(refused)
    assert all(400 == said["status"] and said["code"] and said["message"] for said in refused)


def test_an_input_beyond_the_window_is_asked_on_demand() -> None:
    """It is one request, and its refusal is quoted."""
    profile = replace(PROFILE, context_tokens=10_000)
    with service_at(profile=profile) as endpoint:
        (unasked,) = answers_to(endpoint, "D.4w")
        facts = facts_of(endpoint, "D.4w", is_long=True)
    assert ("not asked", 0) == (unasked.outcome, unasked.spent.requests)
    assert (400, "context_length_exceeded") == (facts["status"], facts["code"])


def test_limits_of_both_addresses_are_compared() -> None:
    """They are equal here, and what is left goes down at both."""
    with service_at(rpm=500, tpm=200_000) as endpoint:
        facts = facts_of(endpoint, "D.5")
    assert facts["limits_are_equal"] is True
    left = [
        int(facts[name]["x-ratelimit-remaining-requests"])
        for name in ("decisions_1", "responses_1", "decisions_2", "responses_2")
    ]
    assert sorted(left, reverse=True) == left


@pytest.mark.parametrize("total", [1.0, 0.99])
def test_probabilities_are_held_against_the_notes(total: float) -> None:
    """Order, sum and formula are found; a sum that is off shows."""
    with service_at(profile=rules(probability_sum=total)) as endpoint:
        facts = facts_of(endpoint, "D.6")
    count = 5 * len(SENTENCES)
    assert [count, count] == [facts["answers"], facts["in_option_order"]]
    assert (facts["sum_off_by_at_most"] > 0.005) is (total < 1)
    assert facts["digits_at_most"] > 0


def test_refused_questions_have_no_probabilities() -> None:
    """Then nothing is claimed of them."""
    with service_at(profile=rules(is_all_refused=True)) as endpoint:
        facts = facts_of(endpoint, "D.6")
    assert (0, 0, None) == (
        facts["answers"],
        facts["in_option_order"],
        facts["sum_off_by_at_most"],
    )


def test_every_cell_of_the_grid_is_measured_as_often() -> None:
    """The sizes stand beside the figures."""
    with service_at() as endpoint:
        (answer,) = answers_to(endpoint, "D.8")
    cells = answer.facts["cells"]
    assert isinstance(cells, list)
    assert [(count, len(numbered(times)), GRID_ROUNDS) for count, times in GRID] == [
        (cell["questions"], cell["input_characters"], len(cell["ms"])) for cell in cells
    ]


def test_the_model_that_is_read_back_is_told() -> None:
    """The local service names its answerer."""
    with service_at() as endpoint:
        facts = facts_of(endpoint, "D.9")
    assert {"asked": "gpt-6-luna", "read_back": "digest-labels"} == facts


def test_a_batch_is_tried_without_a_file_and_for_nothing() -> None:
    """The local service refuses the address; the known one fails for the file."""
    with service_at() as endpoint:
        (answer,) = answers_to(endpoint, "D.10")
    facts: dict[str, Any] = dict(answer.facts)
    assert facts["is_refused_alike"] is False
    assert "endpoint" == facts["/v1/decisions"]["param"]
    assert 0 == answer.spent.requests


@pytest.mark.parametrize("number", ["D.3", "D.7"])
def test_what_needs_a_person_is_not_asked(number: str) -> None:
    """The reason stands in its place."""
    with service_at() as endpoint:
        (answer,) = answers_to(endpoint, number)
    assert "not asked" == answer.outcome
    assert answer.message
