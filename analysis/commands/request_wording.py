"""What a run says of its requests: by route, the refused and lost ones, and those of all runs.

Pure. `wording` puts the lines into the summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analysis.records import GIVEN_UP

if TYPE_CHECKING:
    from analysis.analyzer import Estimate
    from analysis.pipeline.report import RunSummary

SHOWN_CODES = 5

_WITHOUT_ANSWER = (("refused", "refused"), ("lost", "lost"), ("given_up", "given up"))


def route_line(entry: Mapping[str, Any], mark: str) -> str:
    """Return what the requests of a route and model took, with a mark for simulated ones."""
    head = (
        f"Route {entry['route']}, {entry['model']}{mark}: {counted(entry['requests'], 'request')}"
    )
    named = [f"{entry[name]:,} {words}" for name, words in _WITHOUT_ANSWER if entry.get(name)]
    unanswered = sum(entry.get(name, 0) for name, _ in _WITHOUT_ANSWER)
    if unanswered and unanswered == entry["requests"]:
        head += f" without an answer ({', '.join(named)})"
    elif unanswered:
        head += f", {unanswered:,} of them without an answer ({', '.join(named)})"
    if not entry["input_tokens"] and not entry["output_tokens"]:
        return f"{head}." if unanswered == entry["requests"] else f"{head}, no tokens reported."
    cached = _cached(entry["cached_tokens"], entry["written_tokens"])
    asked, answered = f"{entry['input_tokens']:,}", f"{entry['output_tokens']:,}"
    tokens = f"{asked} input{cached} and {answered} output tokens"
    if not entry["cost_usd"] and mark:  # rules have no price
        return f"{head}, {tokens}."
    if entry["cost_usd"] is None:
        return f"{head}, {tokens}, cost unknown."
    by = f" by the price of {entry['asked_model']}" if mark else ""
    return f"{head}, {tokens}, {dollars(entry['cost_usd'])}{by}."


def time_words(figures: Estimate) -> str:
    """Return how long the requests of an estimate take, and at which limits."""
    duration = duration_words(figures.duration_s)
    if figures.is_learned:
        return f"at least {duration} at the limits of earlier runs"
    return f"about {duration} at assumed limits"


def duration_words(seconds: float) -> str:
    """Return a time in seconds, minutes or hours, at least one second."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def refusal_lines(summary: RunSummary, mark: str) -> list[str]:
    """Return how many requests were refused and how many were lost, by error code."""
    parts = [
        f"{word}: {counted(sum(codes.values()), 'request')} ({_codes(codes)})"
        for word, codes in (("refused", summary.refusals), ("lost", summary.losses))
        if codes
    ]
    if not parts:
        return []
    line = "; ".join(parts)
    return [f"{line[0].upper()}{line[1:]}{mark}."]


def all_runs_lines(summary: RunSummary) -> list[str]:
    """Return what all runs of the ledger took, where this one was not the only one."""
    found = summary.all_runs
    sent = sum(number for state, number in found.get("requests", {}).items() if state != "unsent")
    now = sum(number for state, number in summary.requests.items() if state != "unsent")
    if sent == now:
        return []
    mark, usage = " (simulated)" if found["simulated"] else "", found["usage"]
    tokens = f"{usage['input_tokens']:,} input and {usage['output_tokens']:,} output tokens"
    given_up = found["requests"].get(GIVEN_UP, 0)
    twice = f", {given_up:,} of them given up" if given_up else ""
    cost = "" if found["simulated"] else ", cost unknown"
    if found["cost_usd"] or (found["cost_usd"] is not None and not mark):
        cost = f", {dollars(found['cost_usd'])}"
    runs = f"{counted(found['runs'], 'run')}, {counted(sent, 'request')}"
    return [f"All runs of this ledger: {runs}{twice}, {tokens}{cost}{mark}."]


def dollars(amount: float) -> str:
    """Return an amount of money without showing a small one as nothing."""
    return "under 0.01 USD" if 0 < amount < 0.01 else f"{amount:,.2f} USD"


def about(amount: float) -> str:
    """Return an estimated amount of money."""
    return f"about {dollars(amount)}" if amount >= 0.01 else dollars(amount)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _codes(codes: Mapping[str, int]) -> str:
    """Return error codes with their numbers, the most frequent first, cut to a few."""
    shown = [
        f"{code or 'no code'} {number:,}" for code, number in list(codes.items())[:SHOWN_CODES]
    ]
    rest = sum(list(codes.values())[SHOWN_CODES:])
    return ", ".join([*shown, *([f"others {rest:,}"] if rest else [])])


def _cached(read: int, written: int) -> str:
    """Return which part of the input the service's prompt cache took part in; "" if none."""
    parts = [f"{read:,} cached"] if read else []
    parts += [f"{written:,} written to the cache"] if written else []
    return f" (of them {', '.join(parts)})" if parts else ""
