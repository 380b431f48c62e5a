"""`semfn vote`: what is written and said, and how it ends."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from analysis.commands.layout import width
from tests.commands.labelled import OUTPUT_HEADER, gold_file, output, output_rows
from tests.commands.running import assert_refused, column, read, semfn, table, written

LABELS = ("noise example key_thesis -", "noise contrast key_thesis -", "noise contrast example -")


def outputs(
    folder: Path, *labels: str, origin: tuple[str, str] = ("rest", "gpt-6-luna")
) -> list[Path]:
    """Write outputs over one input, `0.csv` and so on."""
    return [
        output(folder, words, name=f"{place}.csv", origin=origin)
        for place, words in enumerate(labels)
    ]


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_one_output_is_refused(tmp_path: Path, extra: tuple[str, ...]) -> None:
    """Exit 2, one sentence, nothing written."""
    (one,) = outputs(tmp_path, "noise")
    result = semfn("vote", one, "-o", tmp_path / "v.csv", *extra)
    assert_refused(result, tmp_path, "Votes need two outputs or more", files=["0.csv"])


def test_the_table_must_be_named(tmp_path: Path) -> None:
    """Nothing is written over by a default."""
    result = semfn("vote", *outputs(tmp_path, *LABELS))
    assert 2 == result.exit_code
    assert "Missing option '-o'" in result.stderr


def test_table_and_document_cannot_share_stdout(tmp_path: Path) -> None:
    """As for a run."""
    result = semfn("vote", *outputs(tmp_path, *LABELS), "-o", "-", "--json")
    assert_refused(result, tmp_path, "both want stdout", files=["0.csv", "1.csv", "2.csv"])


def test_an_output_is_not_written_over(tmp_path: Path) -> None:
    """The votes stay where they are."""
    paths = outputs(tmp_path, *LABELS)
    before = [path.read_bytes() for path in paths]
    result = semfn("vote", *paths, "-o", paths[1])
    assert_refused(result, tmp_path, "is the input itself", files=["0.csv", "1.csv", "2.csv"])
    assert before == [path.read_bytes() for path in paths]


def test_a_full_disk_ends_with_five(tmp_path: Path) -> None:
    """Said in one sentence; what was there stays, and there is no half table."""
    resource = pytest.importorskip("resource")
    paths = outputs(tmp_path, *(" ".join(["noise"] * 2_000) for _ in range(2)))
    target = tmp_path / "v.csv"
    target.write_text("old", encoding="utf-8")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        result = semfn("vote", *paths, "-o", target, "--overwrite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (5, "old") == (result.exit_code, target.read_text("utf-8"))
    assert f"Error: Cannot write {target}: File too large" in result.stderr
    assert ["0.csv", "1.csv", "v.csv"] == sorted(os.listdir(tmp_path))


def test_a_table_that_is_there_is_replaced(tmp_path: Path) -> None:
    """Whole, as an export does, if it holds votes or the user says so."""
    target = tmp_path / "v.csv"
    command = ("vote", *outputs(tmp_path, *LABELS), "-o", target)
    target.write_text("old", encoding="utf-8")
    assert 2 == semfn(*command).exit_code
    assert "old" == target.read_text("utf-8")
    assert 0 == semfn(*command, "--overwrite").exit_code
    assert 0 == semfn(*command).exit_code
    assert ["noise", "contrast", "key_thesis", ""] == column(target, "semantic_function")
    assert [] == [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_the_majority_is_written(tmp_path: Path) -> None:
    """Label, share, route, models and counts of each row; no figure is made up."""
    target = tmp_path / "v.csv"
    paths = outputs(tmp_path, *LABELS)
    result = semfn("vote", *paths, "-o", target)
    assert (0, "") == (result.exit_code, result.stdout)
    first, second, third, fourth = read(target)
    assert ["id", "document", "text", "label"] == list(first)[:4]
    assert ("1.0000", "votes", "gpt-6-luna", "noise=3") == (
        first["semfn_confidence"],
        first["semfn_route"],
        first["semfn_model"],
        first["semfn_votes"],
    )
    assert ("0.6667", "contrast=2; example=1") == (
        second["semfn_confidence"],
        second["semfn_votes"],
    )
    assert ("key_thesis", "0.6667") == (third["semantic_function"], third["semfn_confidence"])
    assert ("", "", "", "refused", "(none)=3") == (
        fourth["semantic_function"],
        fourth["semfn_confidence"],
        fourth["semfn_route"],
        fourth["semfn_error"],
        fourth["semfn_votes"],
    )
    for name in ("semfn_pack", "semfn_attempts", "semfn_latency_ms"):
        assert {""} == set(column(target, name))


def test_what_was_counted_is_said(tmp_path: Path) -> None:
    """A sentence, a table of outcomes, a table of agreement, and no word of simulation."""
    target = tmp_path / "v.csv"
    paths = outputs(tmp_path, *LABELS)
    lines = semfn("vote", *paths, "-o", target).stderr.splitlines()
    assert f"Wrote 4 rows to {target}." == lines[0]
    assert any(line.startswith("unanimous") and line.endswith(" 1") for line in lines)
    assert any(line.startswith("majority") and line.endswith(" 2") for line in lines)
    assert any(line.startswith("no label") and line.endswith(" 1") for line in lines)
    assert [] == [line for line in lines if "simulated" in line or "two outputs" in line]
    assert [] == [line for line in lines[1:] if width(line) > 80]


def test_the_document_has_all_counts(tmp_path: Path) -> None:
    """Outcomes add up to the rows; each two outputs are compared."""
    paths = outputs(tmp_path, *LABELS)
    result = semfn("vote", *paths, "-o", tmp_path / "v.csv", "--json")
    document: dict[str, Any] = json.loads(result.stdout)
    assert (1, 4, "none") == (
        document["vote_version"],
        document["rows"],
        document["simulated"],
    )
    expected = {"unanimous": 1, "majority": 2, "plurality": 0, "tie": 0, "no label": 1}
    assert expected == document["outcomes"]
    shares = [(one["rows"], one["same"]) for one in document["agreement"]]
    assert [(3, 2), (3, 1), (3, 2)] == shares


def test_two_outputs_are_told_who_wins(tmp_path: Path) -> None:
    """The order on the command line decides, and that is said."""
    one, two = outputs(tmp_path, "noise", "contrast")
    found = []
    for paths in ((one, two), (two, one)):
        result = semfn("vote", *paths, "-o", tmp_path / "v.csv")
        assert "each difference is a tie" in result.stderr.replace("\n", " ")
        found += column(tmp_path / "v.csv", "semantic_function")
    assert ["noise", "contrast"] == found


def test_shuffled_rows_of_an_output_change_nothing(tmp_path: Path) -> None:
    """Rows meet by id, so the bytes are the same."""
    one, two, _ = outputs(tmp_path, *LABELS)
    rows = output_rows(LABELS[2])
    found = []
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        three = written(tmp_path, [OUTPUT_HEADER, *rows], "2.csv")
        assert 0 == semfn("vote", one, two, three, "-o", tmp_path / "v.csv").exit_code
        found.append((tmp_path / "v.csv").read_bytes())
    assert 1 == len(set(found))


def test_rows_of_one_output_only_are_named(tmp_path: Path) -> None:
    """The first output decides which rows there are."""
    one = output(tmp_path, "noise noise noise", name="one.csv")
    two = output(tmp_path, "noise noise", name="two.csv", first=3)
    lines = semfn("vote", one, two, "-o", tmp_path / "v.csv").stderr.splitlines()
    assert f"Not in {two}: 2 rows, first 'c1'; it has no vote on them." in lines
    assert f"Only in {two}: 1 row, first 'c4'; left out." in lines
    assert ["0.5000", "0.5000", "1.0000"] == column(tmp_path / "v.csv", "semfn_confidence")


def test_a_simulated_voter_marks_all_figures(tmp_path: Path) -> None:
    """Here, and in an evaluation of what was voted."""
    one = output(tmp_path, "noise example", name="one.csv")
    two = output(tmp_path, "noise noise", name="two.csv", origin=("offline", "offline-rules"))
    target = tmp_path / "v.csv"
    result = semfn("vote", one, two, "-o", target, "--json")
    assert f"Wrote 2 rows to {target} (partly simulated)." == result.stderr.splitlines()[0]
    assert "part" == json.loads(result.stdout)["simulated"]
    assert ["gpt-6-luna; offline-rules"] * 2 == column(target, "semfn_model")
    scored = semfn("evaluate", target, "--gold", gold_file(tmp_path, "noise example"))
    assert "Scored: 2 rows (partly simulated)" in scored.stdout.splitlines()


def test_confidence_of_votes_is_calibrated_as_any_other(tmp_path: Path) -> None:
    """`semfn evaluate --min-confidence` works, and says what this confidence is."""
    target = tmp_path / "v.csv"
    assert 0 == semfn("vote", *outputs(tmp_path, *LABELS), "-o", target).exit_code
    gold = gold_file(tmp_path, "noise example key_thesis noise")
    result = semfn("evaluate", target, "--gold", gold, "--min-confidence", "0.7")
    assert 0 == result.exit_code, result.output
    lines = result.stdout.splitlines()
    assert "Confidence of 3 rows: ECE 0.111, Brier 0.185" in lines
    assert "At or above 0.7: 1 of 4 rows (25%), accuracy 1.000." in lines
    assert "the share of outputs that agree on" in result.stdout


def test_outputs_of_runs_vote(tmp_path: Path) -> None:
    """Real outputs, of which one has names; the voted table has names, too, and goes to stdout."""
    chunks = table(tmp_path, 12)
    runs = (
        ("three.jsonl", ()),
        ("one.csv", ("--max-chunks-per-request", "1")),
        ("ten.csv", ("--label-names", "ru")),
    )
    paths = [tmp_path / name for name, _ in runs]
    for path, (_, extra) in zip(paths, runs, strict=True):
        given = ("run", chunks, "-o", path, "--route", "offline", "--quiet", *extra)
        assert 0 == semfn(*given).exit_code
    result = semfn("vote", *paths, "-o", "-", "--label-names", "fr")
    assert 0 == result.exit_code, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert column(chunks, "id") == [row["id"] for row in rows]
    assert {(1.0, "votes", "offline-rules")} == {
        (row["semfn_confidence"], row["semfn_route"], row["semfn_model"]) for row in rows
    }
    assert {f"{row['semantic_function']}=3" for row in rows} == {row["semfn_votes"] for row in rows}
    assert "Wrote 12 rows to stdout (simulated)." == result.stderr.splitlines()[0]
    assert "three.jsonl" in result.stderr
    assert "hardly two opinions" in result.stderr.replace("\n", " ")
