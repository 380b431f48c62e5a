"""A ledger and its input give the table of the run: without a key, without a request."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analysis.__main__ import main
from tests.commands.running import NO_ENDPOINT, column, paid_service, read, semfn, table, written

LEDGER = "chunks.labeled.csv.semfn.sqlite"
HEADER = ("id", "text", "document", "note")
ROWS = [
    (f"{number}", f"Text number {number}.", "one" if number < 8 else "two", "=1+1")
    for number in range(1, 16)
]
RUN = ("--topic", "Night trains")


def loose(folder: Path) -> Path:
    """Write a table without documents in which texts occur more than once; one row is empty."""
    cells = [(f"{n}", f"Text number {n % 4}.", "T") for n in range(1, 13)]
    return written(folder, [("id", "text", "topic"), *cells, ("13", " ", "T")])


def forget(ledger: Path, where: str) -> None:
    """Remove verdicts, as if the run had been killed before it recorded them."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(f"DELETE FROM verdict WHERE {where}")


def files(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return the input of a finished run with documents; its output and ledger lie beside it."""
    chunks = written(tmp_path, [HEADER, *ROWS])
    ran = semfn("run", chunks, *RUN, "--local", "--quiet")
    assert 0 == ran.exit_code, ran.output
    return chunks


# What is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--topic", "Day trains"), "had a topic of its own that is not the one given now"),
        ((*RUN, "--text-column", "note"), "ids, texts or documents are others"),
        ((*RUN, "--id-column", "note"), "repeat the id"),
        ((*RUN, "--text-column", "typo"), "has no column 'typo'"),
        ((), "--topic"),
        ((*RUN, "--context", "0"), "No row of chunks.csv has a verdict"),
    ],
)
def test_an_input_read_in_another_way_is_refused(
    finished: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    """One sentence that says what differs; nothing is written."""
    before = files(tmp_path)
    out = tmp_path / "x.csv"
    result = semfn("export", tmp_path / LEDGER, "--input", finished, "-o", out, *options)
    assert 2 == result.exit_code, result.output
    error = result.stderr[result.stderr.index("Error: ") :]
    assert words in error
    assert 1 == error.rstrip("\n").count("\n") + 1
    assert before == files(tmp_path)


def test_an_input_that_no_run_of_the_ledger_had_is_refused(finished: Path, tmp_path: Path) -> None:
    """The inputs that there are get named."""
    other = shutil.copy(finished, tmp_path / "copy.csv")
    given = ("export", tmp_path / LEDGER, "--input", other, "-o", tmp_path / "x.csv", *RUN)
    result = semfn(*given)
    assert 2 == result.exit_code
    assert "has no run over an input named copy.csv; it has: chunks.csv." in result.stderr
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("name", ["chunks.csv", LEDGER, f"{LEDGER}-wal", "typo/x.csv"])
def test_input_and_ledger_are_not_written_over(finished: Path, tmp_path: Path, name: str) -> None:
    """Nor is a folder made for a single output."""
    (tmp_path / f"{LEDGER}-wal").touch()
    before = files(tmp_path)
    result = semfn("export", tmp_path / LEDGER, "--input", finished, "-o", tmp_path / name, *RUN)
    assert 2 == result.exit_code, result.output
    assert before["chunks.csv"] == files(tmp_path)["chunks.csv"]
    assert before[LEDGER] == files(tmp_path)[LEDGER]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """With the cure; the file that stands in its place stays."""
    one, two = table(tmp_path, 1, "one.csv"), table(tmp_path, 1, "two.csv")
    ran = semfn("run", one, two, "--route", "offline", "-o", tmp_path / "out")
    assert 0 == ran.exit_code, ran.output
    (tmp_path / "file").write_text("mine")
    given = ("--input", one, "--input", two, "-o", tmp_path / "file" / "again")
    result = semfn("export", tmp_path / "out" / "semfn.sqlite", *given)
    assert 2 == result.exit_code, result.output
    assert "Cannot make the folder" in result.stderr
    assert "mine" == (tmp_path / "file").read_text()


def test_a_mistyped_ledger_ends_with_five(finished: Path, tmp_path: Path) -> None:
    """As without an input."""
    given = ("--input", finished, "-o", tmp_path / "x.csv", *RUN)
    result = semfn("export", tmp_path / "typo.sqlite", *given)
    assert 5 == result.exit_code
    assert "There is no ledger" in result.stderr


def test_an_input_with_the_column_of_marks_is_refused_for_marks_only(tmp_path: Path) -> None:
    """The output could not have it twice."""
    chunks = written(tmp_path, [("id", "text", "topic", "semfn_review"), ("1", "A.", "T", "mine")])
    semfn("run", chunks, "--route", "offline", "--quiet")
    given = ("export", tmp_path / LEDGER, "--input", chunks, "-o", tmp_path / "x.csv")
    result = semfn(*given, "--min-confidence", "0.5")
    assert 2 == result.exit_code
    assert "already has the column semfn_review" in result.stderr
    assert 0 == semfn(*given).exit_code
    assert ["mine"] == column(tmp_path / "x.csv", "semfn_review")


# The table of the run


def test_a_lost_output_comes_back_byte_for_byte(finished: Path, tmp_path: Path) -> None:
    """With all columns, neighbours and documents; the ledger stays as it is."""
    output = tmp_path / "chunks.labeled.csv"
    expected, ledger = output.read_bytes(), (tmp_path / LEDGER).read_bytes()
    output.unlink()
    result = semfn("export", tmp_path / LEDGER, "--input", finished, "-o", output, *RUN)
    assert 0 == result.exit_code, result.output
    assert expected == output.read_bytes()
    assert ledger == (tmp_path / LEDGER).read_bytes()
    said = f"Wrote 15 rows to {output}: 15 with a label, 0 failed (simulated)."
    assert said == result.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet", "x.tsv", "x.csv.gz"])
def test_every_format_is_that_of_the_run(finished: Path, tmp_path: Path, name: str) -> None:
    """The same command with another output writes the same bytes."""
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    ledger = tmp_path / LEDGER
    ran = semfn(
        "run", finished, *RUN, "--local", "--ledger", ledger, "-o", tmp_path / f"run-{name}"
    )
    assert 0 == ran.exit_code, ran.output
    semfn("export", ledger, "--input", finished, "-o", tmp_path / name, *RUN)
    assert (tmp_path / f"run-{name}").read_bytes() == (tmp_path / name).read_bytes()


def test_a_stopped_run_gives_the_table_of_its_partial_output(tmp_path: Path) -> None:
    """Rows that were not reached are `stopped`, those with the text of a labelled row are not."""
    chunks = loose(tmp_path)
    with paid_service(api_key="right") as service:
        first = semfn("run", chunks, "--limit", "3", env=service.environment())
        assert 0 == first.exit_code, first.output
        assert 3 == semfn("run", chunks, env=service.environment("wrong")).exit_code
    partial = tmp_path / "chunks.labeled.partial.csv"
    assert {"", "stopped", "empty"} == set(column(partial, "semfn_error"))
    for is_killed in (False, True):
        if is_killed:  # before the copies were recorded, which is done at the end
            forget(tmp_path / LEDGER, "reused_from = 'same text'")
        given = ("--input", chunks, "-o", tmp_path / "x.csv")
        result = semfn("export", tmp_path / LEDGER, *given)
        assert 0 == result.exit_code, result.output
        assert partial.read_bytes() == (tmp_path / "x.csv").read_bytes()
    labels, stopped = column(partial, "semantic_function"), column(partial, "semfn_error")
    line = (
        f"{sum(map(bool, labels))} with a label, 1 failed, {stopped.count('stopped')} without an "
        "answer (simulated)."
    )
    assert line in result.stderr


def test_a_run_that_died_before_an_answer_gives_only_stopped_rows(tmp_path: Path) -> None:
    """That is what there is."""
    chunks = table(tmp_path, 3)
    with paid_service(api_key="right") as service:
        semfn("run", chunks, env=service.environment("wrong"))
    forget(tmp_path / LEDGER, "true")
    result = semfn("export", tmp_path / LEDGER, "--input", chunks, "-o", tmp_path / "x.csv")
    assert 0 == result.exit_code, result.output
    assert ["stopped"] * 3 == column(tmp_path / "x.csv", "semfn_error")
    assert "0 with a label, 0 failed, 3 without an answer" in result.stderr


def test_a_text_that_changed_does_not_get_the_label_of_the_old_one(
    finished: Path, tmp_path: Path
) -> None:
    """Nor do its neighbours, which were asked beside the old text; all of them are counted."""
    changed = [(*row[:1], "Another text.", *row[2:]) if row[0] == "3" else row for row in ROWS]
    written(tmp_path, [HEADER, *changed])
    given = ("--input", finished, "-o", tmp_path / "x.csv", *RUN)
    result = semfn("export", tmp_path / LEDGER, *given)
    assert 0 == result.exit_code, result.output
    rows = read(tmp_path / "x.csv")
    assert ["2", "3", "4"] == [row["id"] for row in rows if row["semfn_error"] == "stopped"]
    assert [""] * 3 == [row["semantic_function"] for row in rows[1:4]]
    assert "3 rows of the input has an answer" not in result.stderr
    assert "3 rows of the input have an answer in another form only" in result.stderr


def test_another_topic_for_some_rows_is_said(tmp_path: Path) -> None:
    """Rows with a topic of their own have their labels all the same."""
    rows = [("id", "text", "topic"), ("1", "A text.", "Own"), ("2", "Another one.", "")]
    chunks = written(tmp_path, rows)
    semfn("run", chunks, "--topic", "T", "--route", "offline", "--quiet")
    given = ("--input", chunks, "-o", tmp_path / "x.csv", "--topic", "U")
    result = semfn("export", tmp_path / LEDGER, *given)
    assert (0, ["", "stopped"]) == (result.exit_code, column(tmp_path / "x.csv", "semfn_error"))
    assert "1 row of the input has an answer in another form only" in result.stderr
    assert "the topic given is not that of the run" in result.stderr


def test_several_inputs_go_to_a_folder(tmp_path: Path) -> None:
    """As the run wrote them: of the same name, and one without documents beside one with them."""
    (tmp_path / "a").mkdir()
    one = written(tmp_path / "a", [HEADER, *ROWS])
    two = written(tmp_path, [("id", "text", "note"), ("1", "A.", "x"), ("2", "B.", "y")])
    out = tmp_path / "out"
    ran = semfn("run", one, two, *RUN, "--local", "-o", out)
    assert 0 == ran.exit_code, ran.output
    again = tmp_path / "again"
    given: tuple[object, ...] = ("--input", one, "--input", two, "-o", again, *RUN)
    result = semfn("export", out / "semfn.sqlite", *given)
    assert 0 == result.exit_code, result.output
    outputs = sorted(path.relative_to(again) for path in again.rglob("*.csv"))
    assert 2 == len(outputs)
    for name in outputs:
        assert (out / name).read_bytes() == (again / name).read_bytes()


def test_standard_input_and_output(tmp_path: Path) -> None:
    """A run over a pipe is found by its name, the table goes to stdout."""
    text = "id,text\n1,A text.\n2,Another one.\n"
    ledger = tmp_path / "l.sqlite"
    given = ["run", "-", *RUN, "--route", "offline", "--ledger", str(ledger), "-o", "-"]
    ran = CliRunner(env=NO_ENDPOINT).invoke(main, given, input=text)
    assert 0 == ran.exit_code, ran.output
    given = ["export", str(ledger), "--input", "-", "-o", "-", *RUN]
    result = CliRunner(env=NO_ENDPOINT).invoke(main, given, input=text)
    assert (0, ran.stdout) == (result.exit_code, result.stdout)
    assert "Wrote 2 rows to stdout" in result.stderr


# Lists for review


def test_a_list_for_review_has_the_texts(tmp_path: Path) -> None:
    """The rows below the bound, with all their columns, in the order of the input."""
    chunks = table(tmp_path, 30)
    with paid_service() as service:
        given = ("run", chunks, "--route", "decisions", "--min-confidence", "0.9")
        assert 0 == semfn(*given, env=service.environment()).exit_code
        assert 30 <= service.chunks  # a busy machine may have a slow request copied
    rows = [row for row in read(tmp_path / "chunks.labeled.csv") if row["semfn_review"]]
    ledger, target = tmp_path / LEDGER, tmp_path / "review.csv"
    joined = ("export", ledger, "--input", chunks, "-o", target)
    result = semfn(*joined, "--uncertain", "0.9", "--min-confidence", "0.9")
    assert 0 == result.exit_code, result.output
    assert rows == read(target)
    assert rows[0]["text"].startswith("Text number")
    assert f"Left out: {30 - len(rows)} rows with at least that confidence." in result.stderr
    assert f"{len(rows)} rows marked 'uncertain' in semfn_review, 0 labelled" in result.stderr
    semfn(*joined, "--min-confidence", "0.9")
    assert (tmp_path / "chunks.labeled.csv").read_bytes() == target.read_bytes()


def test_a_list_of_failed_rows_has_the_texts_and_no_others(tmp_path: Path) -> None:
    """Rows that were never asked have not failed; they are counted."""
    chunks = loose(tmp_path)
    with paid_service(api_key="right") as service:
        semfn("run", chunks, "--limit", "1", env=service.environment())
        semfn("run", chunks, env=service.environment("wrong"))
    given = ("--input", chunks, "-o", tmp_path / "x.jsonl", "--failed")
    result = semfn("export", tmp_path / LEDGER, *given)
    (line,) = (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
    found: dict[str, Any] = json.loads(line)
    assert ("13", " ", "empty") == (found["id"], found["text"], found["semfn_error"])
    assert "Left out: 3 rows with a label, 9 rows without an answer." in result.stderr
