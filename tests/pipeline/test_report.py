"""What a summary counts, which keys it has, and how many failures a run may have."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from analysis.errors import ConfigurationError
from analysis.pipeline.ledger_rows import VerdictRow
from analysis.pipeline.report import Counts, allowed_failures
from tests.commands.examples import SUMMARY

KEYS = [
    "summary_version",
    "run_id",
    "exit_code",
    "rows",
    "labeled",
    "reused",
    "labeled_now",
    "same_text",
    "taken_over",
    "errors",
    "examples",
    "routes",
    "other_model_rows",
    "by_label",
    "usage",
    "cost_usd",
    "price_date",
    "requests",
    "refusals",
    "losses",
    "all_runs",
    "unknown_requests",
    "unknown_chunks",
    "unknown_cost_usd",
    "late_answers",
    "started_at",
    "ended_at",
    "duration_s",
    "label_s",
    "simulated",
    "stopped",
    "paths",
    "inputs",
    "outputs",
    "record",
    "notes",
    "estimate",
    "min_confidence",
    "uncertain",
    "without_confidence",
    "replaced_rows",
    "failed",
]


def row(*labels: str, error: str | None = None) -> VerdictRow:
    """Make a verdict as the ledger holds it."""
    return VerdictRow(
        labels=labels,
        confidence=None,
        route="rest",
        model="m",
        attempts=1,
        pack=1,
        latency_s=None,
        error_kind=error,
        error_message=None if error is None else f"about {error}",
    )


def test_keys_of_the_summary_are_stable() -> None:
    """Scripts rely on these names; a change of them moves the version of the summary."""
    assert KEYS == list(SUMMARY.to_dict())
    assert 2 == SUMMARY.to_dict()["summary_version"]


def test_json_holds_the_same_and_any_file_name() -> None:
    """Letters stay letters; a name that is no text becomes an escape that reads back."""
    summary = replace(SUMMARY, paths={"output": "第.csv", "ledger": "\udcff"})
    data = summary.to_json()
    assert "第.csv".encode() in data
    found = json.loads(data)
    assert {"output": "第.csv", "ledger": "\udcff"} == found["paths"]
    assert KEYS == list(found)
    assert data.endswith(b"}\n")


def test_rows_that_are_empty_or_not_reached_have_not_failed() -> None:
    """Only what should have a label counts against --max-failed."""
    errors = {"empty": 5, "stopped": 7, "defect": 2, "too_long": 1}
    assert 3 == replace(SUMMARY, errors=errors).failed


def test_counts_group_errors_with_the_first_example() -> None:
    """One number and one example per kind; primary labels and routes are counted."""
    counts = Counts()
    for name, verdict in (
        ("a", row("example", "noise")),
        ("b", row(error="defect")),
        ("c", row(error="defect")),
        ("d", None),
    ):
        counts.add_row(name, verdict)
    assert (1, {"example": 1}, {("rest", "m"): 1}) == (
        counts.labeled,
        counts.by_label,
        counts.by_route,
    )
    assert {"defect": 2, "stopped": 1} == counts.errors
    assert {"defect": {"id": "b", "message": "about defect"}} == counts.examples
    counts.clear_rows()
    assert (0, {}, {}, {}) == (counts.labeled, counts.errors, counts.examples, counts.by_label)


def test_counts_tell_doubtful_labels_from_unknown_ones() -> None:
    """Labelled rows only; without a bound no label is doubtful."""
    doubtful, sure = (replace(row("example"), confidence=each) for each in (0.5, 0.8))
    for bound, expected in ((0.8, (1, 1)), (0.9, (2, 1)), (None, (0, 1))):
        counts = Counts(min_confidence=bound)
        for verdict in (doubtful, sure, row("noise"), row(error="defect"), None):
            counts.add_row("a", verdict)
        assert expected == (counts.uncertain, counts.without_confidence)
        counts.clear_rows()
        assert (0, 0, bound) == (counts.uncertain, counts.without_confidence, counts.min_confidence)


@pytest.mark.parametrize(
    ("value", "rows", "expected"),
    [
        (0, 100, 0),
        (3, 2, 3),
        ("3", 100, 3),
        (3.0, 100, 3),
        (0.02, 50, 1),
        (0.02, 49, 0),
        ("2%", 50, 1),
        ("29%", 100, 29),
        (0.29, 100, 29),
        ("100%", 10, 10),
        (" 0.5 % ", 200, 1),
        ("0%", 10, 0),
    ],
)
def test_allowed_failures_are_a_number_or_an_exact_share(
    value: float | str, rows: int, expected: int
) -> None:
    """A share is rounded down, and no rounding of floats takes a row away."""
    assert expected == allowed_failures(value, rows)


@pytest.mark.parametrize("value", [-1, 1.5, "", "%", "some", "1.5", "-2%", "101%", "nan", "1/0"])
def test_other_values_are_refused(value: float | str) -> None:
    """The message shows the value and both forms."""
    with pytest.raises(ConfigurationError) as caught:
        allowed_failures(value, 10)
    assert f"--max-failed '{value}'" in str(caught.value)
    assert "2%" in str(caught.value)
