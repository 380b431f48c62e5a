"""The tokens that a service says it has billed, in the form in which they can be kept and added.

Pure. The readers of replies in `wire/` call it. A count that no request can have counts as none, so
that no word of a server ends a run in the ledger, whose numbers have 64 bits.
"""

from __future__ import annotations

from analysis.records import Usage

MOST_TOKENS = 1_000_000_000
"""Of one request. The largest context of 2026 has 1,050,000; the sum over 9,000,000,000 requests
still has 64 bits."""


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
