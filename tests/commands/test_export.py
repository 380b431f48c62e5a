"""The command `export`: what it says, and its exit codes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from analysis.commands.export import EXAMPLE, report
from analysis.pipeline.export import Exported
from tests.commands.running import semfn

CHUNKS = "id,text\n1,Night trains are back.\n2,For example the one to Vienna.\n3, \n"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return the ledger of a finished run with rule labels."""
    (tmp_path / "chunks.csv").write_text(CHUNKS, encoding="utf-8")
    ran = semfn("run", tmp_path / "chunks.csv", "--topic", "T", "--route", "offline", "--quiet")
    assert 0 == ran.exit_code, ran.output
    return tmp_path / "chunks.labeled.csv.semfn.sqlite"


def test_a_mistyped_ledger_ends_with_five(tmp_path: Path) -> None:
    """One sentence, no traceback, no file."""
    result = semfn("export", tmp_path / "typo.sqlite", "-o", tmp_path / "x.csv")
    said = f"Error: There is no ledger {tmp_path / 'typo.sqlite'}. Check the path.\n"
    assert (5, said) == (result.exit_code, result.stderr)
    assert [] == list(tmp_path.iterdir())


def test_an_output_that_cannot_be_used_ends_with_two(ledger: Path) -> None:
    """The ledger stays."""
    before = ledger.read_bytes()
    result = semfn("export", ledger, "-o", ledger)
    assert (2, before) == (result.exit_code, ledger.read_bytes())
    assert f"Output {ledger} is the input itself" in result.stderr


def test_the_output_must_be_named(ledger: Path) -> None:
    """Nothing is written over by a default."""
    result = semfn("export", ledger)
    assert 2 == result.exit_code
    assert "Missing option '-o'" in result.stderr


def test_a_table_is_written_and_said(ledger: Path, tmp_path: Path) -> None:
    """Rows with labels and errors; the report goes to stderr and names what is simulated."""
    target = tmp_path / "labels.csv"
    result = semfn("export", ledger, "-o", target)
    said = f"Wrote 3 rows to {target}: 2 with a label, 1 failed (simulated).\n"
    assert (0, "", said) == (result.exit_code, result.stdout, result.stderr)
    with target.open(encoding="utf-8", newline="") as file:
        assert {"1", "2", "3"} == {row["id"] for row in csv.DictReader(file)}


def test_failed_rows_go_to_stdout(ledger: Path) -> None:
    """With `-o -` and `--failed`; what is left out is said."""
    result = semfn("export", ledger, "-o", "-", "--failed")
    header, row = result.stdout.splitlines()
    assert (0, "3") == (result.exit_code, next(csv.DictReader([header, row]))["id"])
    said = "Wrote 1 row to stdout: 0 with a label, 1 failed (simulated).\nLeft out: 2 rows with a"
    assert f"{said} label.\n" == result.stderr


def test_rows_without_a_confidence_are_not_called_uncertain(ledger: Path, tmp_path: Path) -> None:
    """Rules state none, so nothing is written for review, and the line says why."""
    result = semfn("export", ledger, "-o", tmp_path / "review.csv", "--uncertain", "0.6")
    assert 0 == result.exit_code
    assert (
        "Left out: 2 rows whose route states no confidence, 1 row without a label."
        == result.stderr.splitlines()[1]
    )


def test_failed_rows_are_not_uncertain(ledger: Path, tmp_path: Path) -> None:
    """They have no label that could be unsure."""
    given = ("export", ledger, "-o", tmp_path / "x.csv", "--uncertain", "0.6", "--failed")
    result = semfn(*given)
    assert 2 == result.exit_code
    assert "not together with --failed" in result.stderr


@pytest.mark.parametrize("option", ["--topic", "--text-column", "--encoding", "--context"])
def test_options_about_an_input_need_one(ledger: Path, tmp_path: Path, option: str) -> None:
    """They would change nothing without it."""
    result = semfn("export", ledger, "-o", tmp_path / "x.csv", option, "1")
    said = f"Error: {option} says how an input is read. Pass --input FILE as well.\n"
    assert (2, said) == (result.exit_code, result.stderr)
    assert not (tmp_path / "x.csv").exists()


def test_marks_that_nothing_gets_are_counted(ledger: Path, tmp_path: Path) -> None:
    """Rules state no confidence, so the column is empty, and the line says why."""
    result = semfn("export", ledger, "-o", tmp_path / "x.csv", "--min-confidence", "0.8")
    assert 0 == result.exit_code
    assert (
        "0 rows marked 'uncertain' in semfn_review, 2 labelled rows without a confidence and a "
        "mark (simulated)." == result.stderr.splitlines()[1]
    )


def test_what_was_not_written_of_an_input_is_said() -> None:
    """Rows without an answer are named where they stand; a wrong topic is the likely cause."""
    done = Exported(labeled=2, stopped=1, changed=1, is_other_topic=True)
    assert [
        "Wrote 3 rows to x.csv: 2 with a label, 0 failed, 1 without an answer.",
        "1 row of the input has an answer in another form only, such as to another text or topic, "
        "which is not written; the topic given is not that of the run.",
    ] == report(done, "x.csv")
    assert "Left out: 2 rows without an answer." == report(Exported(not_reached=2), "-")[1]


def test_all_that_is_left_out_is_named() -> None:
    """In one line."""
    done = Exported(labeled=1_204, not_failed=1, set_aside=2, other_forms=3)
    assert [
        "Wrote 1,204 rows to stdout: 1,204 with a label, 0 failed.",
        "Left out: 1 row with a label, 2 answers set aside by a run with --fresh, 3 answers to "
        "another form of a row.",
    ] == report(done, "-")


def test_help_has_an_example_that_runs(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there, in the folder of the ledger."""
    assert EXAMPLE in semfn("export", "--help").stdout
    monkeypatch.chdir(ledger.parent)
    result = semfn(*EXAMPLE.split()[2:])
    assert 0 == result.exit_code, result.stderr
    assert Path("labels.csv").exists()
