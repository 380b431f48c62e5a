"""Billed tokens as services state them."""

from __future__ import annotations

import msgspec
import pytest

from analysis.records import Usage
from analysis.wire.usage import MOST_TOKENS, PromptUsage, StatedUsage, stated_usage, usage_of


def test_stated_counts_are_taken_as_they_are() -> None:
    """Each count goes to its field."""
    expected = Usage(
        input_tokens=10, cached_tokens=6, written_tokens=3, output_tokens=5, reasoning_tokens=4
    )
    assert expected == stated_usage(taken=10, cached=6, written=3, given=5, reasoning=4)


def test_the_largest_count_is_taken() -> None:
    """The bound itself is a count."""
    expected = Usage(input_tokens=MOST_TOKENS, output_tokens=MOST_TOKENS)
    assert expected == stated_usage(taken=MOST_TOKENS, given=MOST_TOKENS)


@pytest.mark.parametrize("count", [None, -1, MOST_TOKENS + 1, 2**63, 10**400])
def test_what_no_request_can_have_counts_as_none(count: int | None) -> None:
    """Missing, negative and endless counts are zero: the ledger keeps 64 bits."""
    found = stated_usage(taken=count, cached=count, written=count, given=count, reasoning=count)
    assert Usage() == found


def test_a_part_is_at_most_the_whole() -> None:
    """Else the price of the rest would be below zero."""
    expected = Usage(input_tokens=10, cached_tokens=8, written_tokens=2)
    assert expected == stated_usage(taken=10, cached=8, written=5, reasoning=3)
    assert Usage(input_tokens=3, cached_tokens=3) == stated_usage(taken=3, cached=9, written=1)


@pytest.mark.parametrize(
    ("kind", "taken", "given"),
    [(StatedUsage, "input", "output"), (PromptUsage, "prompt", "completion")],
)
def test_a_body_states_it_in_the_words_of_its_api(
    kind: type[StatedUsage], taken: str, given: str
) -> None:
    """Both say the same; a body without says nothing."""
    body = {
        f"{taken}_tokens": 10,
        f"{taken}_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 3},
        f"{given}_tokens": 5,
        f"{given}_tokens_details": {"reasoning_tokens": 4},
    }
    expected = Usage(
        input_tokens=10, cached_tokens=6, written_tokens=3, output_tokens=5, reasoning_tokens=4
    )
    assert expected == usage_of(msgspec.convert(body, kind))
    assert Usage() == usage_of(None)
