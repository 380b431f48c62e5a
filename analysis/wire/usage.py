"""The tokens that a service says it has billed, in the form in which they can be kept and added.

Pure. The readers of replies in `wire/` call it. A count that no request can have counts as none, so
that no word of a server ends a run in the ledger, whose numbers have 64 bits.
"""

from __future__ import annotations

import msgspec

from analysis.records import Usage

MOST_TOKENS = 1_000_000_000
"""Of one request. The largest context of 2026 has 1,050,000; the sum over 9,000,000,000 requests
still has 64 bits."""


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class StatedUsage(msgspec.Struct):
    """The `usage` of a response or of a decision."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class PromptUsage(StatedUsage):
    """The `usage` of a chat completion: the same under other names."""

    input_tokens: int | None = msgspec.field(name="prompt_tokens", default=None)
    output_tokens: int | None = msgspec.field(name="completion_tokens", default=None)
    input_tokens_details: _InputDetails | None = msgspec.field(
        name="prompt_tokens_details", default=None
    )
    output_tokens_details: _OutputDetails | None = msgspec.field(
        name="completion_tokens_details", default=None
    )


def usage_of(stated: StatedUsage | None) -> Usage:
    """Return the usage that a body states, nothing if it states none."""
    if stated is None:
        return Usage()
    taken = stated.input_tokens_details or _InputDetails()
    given = stated.output_tokens_details or _OutputDetails()
    return stated_usage(
        taken=stated.input_tokens,
        cached=taken.cached_tokens,
        written=taken.cache_write_tokens,
        given=stated.output_tokens,
        reasoning=given.reasoning_tokens,
    )


def stated_usage(
    *,
    taken: int | None,
    cached: int | None = None,
    written: int | None = None,
    given: int | None = None,
    reasoning: int | None = None,
) -> Usage:
    """Return the usage that a service stated; what is missing or cannot be counts as zero.

    Args:
        taken: Tokens of the input.
        cached: The part of them that was read from the prompt cache; at most all of them.
        written: The part of them that was written to it; at most the rest.
        given: Tokens of the output.
        reasoning: The part of them that is reasoning; at most all of them.
    """
    taken, given = _possible(taken), _possible(given)
    cached = min(_possible(cached), taken)
    return Usage(
        input_tokens=taken,
        cached_tokens=cached,
        written_tokens=min(_possible(written), taken - cached),
        output_tokens=given,
        reasoning_tokens=min(_possible(reasoning), given),
    )


def _possible(count: int | None) -> int:
    return count if count is not None and 0 <= count <= MOST_TOKENS else 0
