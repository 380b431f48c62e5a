"""What a run says of its requests: answered, refused, lost, and those of all runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.commands.request_wording import all_runs_lines, dollars, refusal_lines, route_line
from analysis.commands.wording import summary_lines
from tests.commands.examples import SUMMARY
from tests.commands.running import paid_service, semfn, table

(ENTRY,) = SUMMARY.routes
SILENT = {"input_tokens": 0, "output_tokens": 0, "cost_usd": None}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"requests": 1_430, "refused": 1_400, "lost": 20, "given_up": 10, **SILENT},
            "1,430 requests without an answer (1,400 refused, 20 lost, 10 given up).",
        ),
        (
            {"refused": 3},
            "100 requests, 3 of them without an answer (3 refused), 146,000 input and 11,000 "
            "output tokens, 0.02 USD.",
        ),
        (
            {"lost": 1, **SILENT},
            "100 requests, 1 of them without an answer (1 lost), no tokens reported.",
        ),
        (SILENT, "100 requests, no tokens reported."),
        (
            {"cost_usd": None},
            "100 requests, 146,000 input and 11,000 output tokens, cost unknown.",
        ),
    ],
)
def test_requests_without_an_answer_are_not_called_silent(
    changes: dict[str, Any], expected: str
) -> None:
    """They have no tokens for a reason, which is named; the others have theirs."""
    assert f"Route rest, gpt-6-luna: {expected}" == route_line({**ENTRY, **changes}, "")


def test_refused_and_lost_requests_are_counted_by_code() -> None:
    """The most frequent first, in one line; nothing is said where all were answered."""
    assert [] == refusal_lines(SUMMARY, "")
    refusals = {"rate_limit": 900, "server_error": 200, "a": 4, "b": 3, "c": 2, "d": 1, "": 1}
    summary = replace(SUMMARY, refusals=refusals, losses={"timeout": 1})
    line = (
        "Refused: 1,111 requests (rate_limit 900, server_error 200, a 4, b 3, c 2, others 2); "
        "lost: 1 request (timeout 1)."
    )
    assert [line] == refusal_lines(summary, "")
    assert line in summary_lines(summary)
    lost = replace(SUMMARY, losses={"": 2})
    assert ["Lost: 2 requests (no code 2) (simulated)."] == refusal_lines(lost, " (simulated)")


def test_all_runs_of_a_ledger_are_summed_where_there_were_several() -> None:
    """What the whole job cost; a single run has said so already."""
    assert [] == all_runs_lines(SUMMARY)
    every = {**SUMMARY.all_runs, "runs": 3, "requests": {"done": 250, "given_up": 2, "unsent": 5}}
    summary = replace(SUMMARY, all_runs=every)
    line = (
        "All runs of this ledger: 3 runs, 252 requests, 2 of them given up, 146,000 input and "
        "11,000 output tokens, 0.02 USD."
    )
    assert [line] == all_runs_lines(summary)
    assert line in summary_lines(summary)
    for simulated, end in ((False, "tokens, cost unknown."), (True, "tokens (simulated).")):
        changed = {**every, "cost_usd": None, "simulated": simulated}
        (found,) = all_runs_lines(replace(SUMMARY, all_runs=changed))
        assert found.endswith(end)


def test_a_job_of_two_runs_knows_what_both_took(tmp_path: Path) -> None:
    """The results of the second run have its own figures, and the sum, with a cost."""
    path = table(tmp_path, 30)
    with paid_service() as service:
        given = ("run", path, "--json")
        first = json.loads(semfn(*given, "--limit", 10, env=service.environment()).stdout)
        result = semfn(*given, env=service.environment())
    second = json.loads(result.stdout)
    assert (1, 2) == (first["all_runs"]["runs"], second["all_runs"]["runs"])
    sums = second["all_runs"]
    assert sums["usage"]["input_tokens"] == sum(
        one["usage"]["input_tokens"] for one in (first, second)
    )
    assert sums["cost_usd"] == pytest.approx(first["cost_usd"] + second["cost_usd"], abs=2e-6)
    assert 0 < first["cost_usd"] < second["cost_usd"]
    assert "All runs of this ledger: 2 runs, " in result.stderr
    assert (True, True) == (sums["simulated"], second["simulated"])


def test_a_request_that_was_never_sent_makes_no_second_run() -> None:
    """It took nothing."""
    every = {**SUMMARY.all_runs, "requests": {"done": 100, "unsent": 3}}
    assert [] == all_runs_lines(replace(SUMMARY, all_runs=every))


@pytest.mark.parametrize(
    ("amount", "expected"), [(0.0, "0.00 USD"), (0.004, "under 0.01 USD"), (1234.5, "1,234.50 USD")]
)
def test_a_small_amount_is_not_nothing(amount: float, expected: str) -> None:
    """Cents, with thousands apart."""
    assert expected == dollars(amount)
