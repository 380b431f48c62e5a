"""Marks for review through whole runs: what is refused, what is marked, what it does not touch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import analyze_dataframe
from analysis.errors import ConfigurationError, InputError
from analysis.simulator.profile import DecisionRules, Profile
from tests.commands.running import assert_refused, column, paid_service, read, semfn, table, written

ROWS = 30
MIXED = Profile(decisions=DecisionRules(refused_share=0.3))
"""A service whose Decisions API refuses some texts, which then go to the next route."""


def review_of(rows: list[dict[str, Any]], bound: float) -> list[str]:
    """Return the marks that follow from the confidences of an output."""
    cells = [row["semfn_confidence"] for row in rows]
    return ["uncertain" if cell not in ("", None) and float(cell) < bound else "" for cell in cells]


def results_of(output: Path) -> dict[str, Any]:
    """Return the results beside an output."""
    found: dict[str, Any] = json.loads(
        output.with_name(f"{output.name}.run-results.json").read_bytes()
    )
    return found


# What is refused before anything is sent


@pytest.mark.parametrize("bound", ["0", "1.5", "-1", "nan"])
def test_a_bound_out_of_range_is_refused(tmp_path: Path, bound: str) -> None:
    """Exit 2, no file, nothing paid; the dry run says the same."""
    chunks = table(tmp_path)
    given = ("run", chunks, "--route", "decisions", "--min-confidence", bound)
    with paid_service() as service:
        for more in ((), ("--dry-run",)):
            result = semfn(*given, *more, env=service.environment())
            assert_refused(result, tmp_path, "above 0 and up to 1", files=["chunks.csv"])
        assert [] == service.records


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "the run has responses-ws, rest"),
        (("--route", "realtime,offline"), "the run has realtime, offline"),
        (("--route", "realtime", "--logprobs"), "the run has realtime"),
        (("--local", "--route", "decisions"), "--local labels by rules"),
    ],
)
def test_a_run_that_could_mark_nothing_is_refused(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    """No route of it states a confidence; the cure is named."""
    chunks = table(tmp_path)
    with paid_service() as service:
        environment = service.environment()
        result = semfn("run", chunks, *options, "--min-confidence", "0.8", env=environment)
        assert [] == service.records
    parts = ("can mark nothing", words, "Add --route decisions")
    assert_refused(result, tmp_path, *parts, files=["chunks.csv"])


def test_an_input_with_the_column_is_refused_only_where_it_would_be_written(
    tmp_path: Path,
) -> None:
    """Without the option it is a column as any other."""
    chunks = written(tmp_path, [("id", "text", "topic", "semfn_review"), ("1", "A.", "T", "mine")])
    with paid_service() as service:
        given = ("run", chunks, "--route", "decisions")
        result = semfn(*given, "--min-confidence", "0.8", env=service.environment())
        assert_refused(result, tmp_path, "has the column semfn_review", files=["chunks.csv"])
        assert 0 == semfn(*given, env=service.environment()).exit_code
    assert ["mine"] == column(tmp_path / "chunks.labeled.csv", "semfn_review")


# What is marked


def test_without_the_option_there_is_no_column(tmp_path: Path) -> None:
    """And the results say that nothing is marked."""
    with paid_service() as service:
        semfn("run", table(tmp_path), "--route", "decisions", env=service.environment())
    output = tmp_path / "chunks.labeled.csv"
    assert "semfn_error" == list(read(output)[0])[-1]
    found = results_of(output)
    assert (None, 0, 0) == (
        found["min_confidence"],
        found["uncertain"],
        found["without_confidence"],
    )


def test_another_bound_asks_nothing_and_writes_other_marks(tmp_path: Path) -> None:
    """Rows, summary and results agree each time; no exit code changes, no label goes."""
    chunks, output = table(tmp_path, ROWS), tmp_path / "chunks.labeled.csv"
    seen = []
    with paid_service() as service:
        for bound in (0.8, 0.9, 1.0, 0.0001):
            given = ("run", chunks, "--route", "decisions", "--min-confidence", bound)
            result = semfn(*given, "--max-failed", "0", env=service.environment())
            assert (0, ROWS) == (result.exit_code, service.chunks), result.output
            rows = read(output)
            marks = [row["semfn_review"] for row in rows]
            assert review_of(rows, bound) == marks
            count = marks.count("uncertain")
            found = results_of(output)
            assert (bound, count, 0, 0) == (
                found["min_confidence"],
                found["uncertain"],
                found["without_confidence"],
                found["failed"],
            )
            noun = "row" if count == 1 else "rows"
            assert f"Confidence below {bound:g}: {count} {noun} marked" in result.stderr
            assert {""} == {row["semfn_error"] for row in rows}
            assert all(row["semantic_function"] for row in rows)
            seen.append(count)
        again = semfn("run", chunks, "--route", "decisions", env=service.environment())
        assert (0, ROWS) == (again.exit_code, service.chunks)
    assert 0 == seen[-1] < seen[0] < seen[1] <= seen[2]
    assert "semfn_review" not in read(output)[0]


def test_a_bound_that_moves_no_mark_is_told_all_the_same(tmp_path: Path) -> None:
    """The results name the bound of the last run even where the output stays as it is."""
    chunks, output = table(tmp_path, 3), tmp_path / "chunks.labeled.csv"
    with paid_service() as service:
        for bound in (0.0001, 0.0002):
            given = ("run", chunks, "--route", "decisions", "--min-confidence", bound)
            semfn(*given, env=service.environment())
            assert bound == results_of(output)["min_confidence"]


def test_rows_of_a_silent_route_are_counted_and_not_marked(tmp_path: Path) -> None:
    """Said before anything is sent, at the end, in the results, and before the next run."""
    chunks, output = table(tmp_path, 60), tmp_path / "chunks.labeled.csv"
    given = ("run", chunks, "--route", "decisions,rest", "--min-confidence", "0.9")
    with paid_service(profile=MIXED) as service:
        first = semfn(*given, env=service.environment())
        again = semfn(*given, env=service.environment())
    rows = read(output)
    without = [row for row in rows if row["semfn_route"] == "rest"]
    assert without
    assert {("", "")} == {(row["semfn_confidence"], row["semfn_review"]) for row in without}
    assert review_of(rows, 0.9) == [row["semfn_review"] for row in rows]
    assert "A row that is labelled over rest has no confidence and is not marked." in first.stderr
    assert (
        f"; not marked: {len(without)} labelled row{'s' * (len(without) > 1)} without a confidence."
        in first.stderr
    )
    assert len(without) == results_of(output)["without_confidence"]
    uncertain = results_of(output)["uncertain"]
    assert (
        f"of those that are there: {uncertain} below it, {len(without)} without a confidence"
        in again.stderr
    )


def test_a_partial_output_has_the_marks_of_what_is_there(tmp_path: Path) -> None:
    """Rows that were not reached have none, and `semfn_error` says why."""
    chunks = table(tmp_path, ROWS)
    given = ("run", chunks, "--route", "decisions", "--min-confidence", "0.9")
    with paid_service(api_key="right") as service:
        semfn(*given, "--limit", "20", env=service.environment())
        result = semfn(*given, env=service.environment("wrong"))
        assert (3, 20) == (result.exit_code, service.chunks), result.output
    rows = read(tmp_path / "chunks.labeled.partial.csv")
    marks = [row["semfn_review"] for row in rows]
    assert (20, {"stopped"}) == (
        sum(bool(row["semantic_function"]) for row in rows),
        {row["semfn_error"] for row in rows[20:]},
    )
    assert review_of(rows, 0.9) == marks
    assert {""} == set(marks[20:])
    assert "uncertain" in marks[:20]


# Every kind of output


def test_all_formats_have_the_same_marks(tmp_path: Path) -> None:
    """JSON has null where there is none, Parquet a text column; a folder has it in each file."""
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    chunks, other = table(tmp_path, ROWS), table(tmp_path, 5, "other.csv")
    ledger = ("--ledger", tmp_path / "l.sqlite")
    given = ("--route", "decisions", "--min-confidence", "0.9")
    with paid_service() as service:
        environment = service.environment()
        for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet"):
            out = ("-o", tmp_path / name)
            result = semfn("run", chunks, *given, *ledger, *out, env=environment)
            assert 0 == result.exit_code, result.output
        stream = semfn("run", chunks, *given, *ledger, "-o", "-", env=environment)
        folder = tmp_path / "both"
        assert 0 == semfn("run", chunks, other, *given, "-o", folder, env=environment).exit_code
    expected = [row["semfn_review"] or None for row in read(tmp_path / "a.csv")]
    assert {"uncertain", None} == set(expected)
    assert (tmp_path / "a.csv").read_bytes() == stream.stdout_bytes
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert expected == [line["semfn_review"] for line in lines]
    found = parquet.read_table(tmp_path / "a.parquet")
    assert expected == found["semfn_review"].to_pylist()
    assert "string" == str(found.schema.field("semfn_review").type)
    for name in ("chunks.labeled.csv", "other.labeled.csv"):
        rows = read(folder / name)
        assert review_of(rows, 0.9) == [row["semfn_review"] for row in rows]


def test_evaluate_reads_an_output_with_marks(tmp_path: Path) -> None:
    """The column is none of its business."""
    pytest.importorskip("sklearn")
    chunks, output = table(tmp_path, ROWS), tmp_path / "chunks.labeled.csv"
    with paid_service() as service:
        given = ("run", chunks, "--route", "decisions", "--min-confidence", "0.9")
        semfn(*given, env=service.environment())
    result = semfn(
        "evaluate", output, "--gold-column", "semantic_function", "--min-confidence", "0.9"
    )
    assert 0 == result.exit_code, result.output
    sure = ROWS - results_of(output)["uncertain"]
    assert f"{sure}" in result.stdout


# Frames


def test_a_frame_with_the_column_is_refused() -> None:
    """Before anything is looked at."""
    frame = pd.DataFrame({"text": ["a"], "semfn_review": ["mine"]})
    with pytest.raises(InputError, match="The DataFrame already has the column semfn_review"):
        analyze_dataframe(frame, topic="T", route="decisions", min_confidence=0.5)
    with pytest.raises(ConfigurationError, match="can mark nothing"):
        analyze_dataframe(frame, topic="T", min_confidence=0.5)


def test_a_frame_gets_the_column_and_keeps_index_and_types(tmp_path: Path) -> None:
    """Marks are strings, their absence is a missing value."""
    frame = pd.DataFrame(
        {"text": [f"Text number {n}." for n in range(20)], "n": range(20)}, index=range(20, 0, -1)
    )
    with paid_service() as service:
        labeled = analyze_dataframe(
            frame,
            topic="Trains",
            route="decisions",
            min_confidence=0.9,
            api_key="k",
            base_url=service.base_url,
            ledger=tmp_path / "l.sqlite",
        )
    pd.testing.assert_frame_equal(frame, labeled[list(frame.columns)])
    assert ("semfn_review", "str") == (labeled.columns[-1], str(labeled["semfn_review"].dtype))
    doubtful = labeled["semfn_confidence"] < 0.9
    assert list(doubtful) == [mark == "uncertain" for mark in labeled["semfn_review"]]
    assert labeled["semfn_review"].isna().sum() == 20 - doubtful.sum()
    assert doubtful.sum() == labeled.attrs["semfn"]["uncertain"] > 0


def test_token_probabilities_are_marked_too(tmp_path: Path) -> None:
    """With --logprobs the default routes state a confidence; those below the bound are marked."""
    chunks = table(tmp_path)
    with paid_service() as service:
        given = ("run", chunks, "--logprobs", "--min-confidence", "0.5")
        assert 0 == semfn(*given, env=service.environment()).exit_code
    rows = read(tmp_path / "chunks.labeled.csv")
    below = [float(row["semfn_confidence"]) < 0.5 for row in rows]
    assert {True, False} == set(below)
    assert ["uncertain" if each else "" for each in below] == [row["semfn_review"] for row in rows]
