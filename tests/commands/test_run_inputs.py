"""Inputs and outputs of every kind through the command: folders, pipes, other formats."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.__main__ import main
from analysis.simulator.service import Answerer
from tests.commands.running import (
    HEADER,
    NO_ENDPOINT,
    column,
    paid_service,
    semfn,
    table,
    written,
)

TOPIC = ("--topic", "Trains")


def lines_of(path: Path, names: str) -> Path:
    """Write a JSONL file with a row for each letter."""
    rows = [json.dumps({"id": name, "text": f"Text {name}.", "n": [1, None]}) for name in names]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def rows_of(folder: Path, rows: int, name: str) -> Path:
    """Write a table whose texts occur in no other one, with ids that do."""
    cells = [(str(number), f"{name} {number}.", "Trains") for number in range(rows)]
    return written(folder, [HEADER, *cells], name)


def test_a_folder_is_one_run_with_one_ledger(tmp_path: Path) -> None:
    """Each file gets its output in the folder beside it; ids may repeat between files."""
    folder = tmp_path / "in"
    folder.mkdir()
    rows_of(folder, 12, "a.csv")
    rows_of(folder, 5, "b.csv")
    lines_of(folder / "c.jsonl", "xyz")
    with paid_service() as service:
        result = semfn("run", folder, *TOPIC, "--json", env=service.environment())
        assert 0 == result.exit_code, result.output
        assert 20 == service.chunks
        again = semfn("run", folder, *TOPIC, env=service.environment())
        assert "Nothing to do: 20 rows, 20 have a label" in again.stderr
        assert 20 == service.chunks
    out = tmp_path / "in.labeled"
    summary = json.loads(result.stdout)
    assert (str(out), 3) == (summary["paths"]["output"], len(summary["outputs"]))
    assert 12 == len(column(out / "a.labeled.csv", "semantic_function"))
    third = (out / "c.labeled.jsonl").read_text(encoding="utf-8").splitlines()
    assert ["x", "y", "z"] == [json.loads(line)["id"] for line in third]
    assert [1, None] == json.loads(third[0])["n"]
    assert summary == json.loads((out / "run-results.json").read_bytes())


def test_a_stopped_run_over_several_files_leaves_their_outputs_alone(tmp_path: Path) -> None:
    """What is paid for stands in a partial file for each."""
    one, two = rows_of(tmp_path, 3, "a.csv"), rows_of(tmp_path, 3, "b.csv")
    with paid_service() as service:
        arguments = ("run", one, two, "-o", tmp_path / "out", *TOPIC)
        result = semfn(*arguments, "--stop-after", "1e-9", env=service.environment())
        assert 4 == result.exit_code, result.output
        names = set(os.listdir(tmp_path / "out"))
        assert {"a.labeled.partial.csv", "b.labeled.partial.csv"} < names
        assert not {"a.labeled.csv", "b.labeled.csv"} & names
        assert "Stopped: the 1e-09 s of this run are over." in result.stderr
        assert 0 == semfn(*arguments, env=service.environment()).exit_code
        assert 6 == service.chunks
    names = set(os.listdir(tmp_path / "out"))
    assert {"a.labeled.csv", "b.labeled.csv"} < names
    assert not any("partial" in name for name in names)


def test_several_files_without_a_folder_are_refused(tmp_path: Path) -> None:
    """The sentence says what to pass; no file is made."""
    one, two = table(tmp_path, 3, "a.csv"), table(tmp_path, 3, "b.csv")
    result = semfn("run", one, two, *TOPIC, "--local")
    assert 2 == result.exit_code
    assert "Several inputs need a folder for their outputs. Pass it with -o." in result.stderr
    assert {"a.csv", "b.csv"} == set(os.listdir(tmp_path))


def test_a_pipe_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are all that stands on stdout; the same bytes again send nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    given = table(tmp_path, 7).read_bytes()
    with paid_service() as service:
        runner = CliRunner(env=service.environment())
        first = runner.invoke(main, ["run", "-", *TOPIC], input=given)
        assert 0 == first.exit_code, first.stderr
        again = runner.invoke(main, ["run", "-", "-o", "-", *TOPIC], input=given)
        assert 7 == service.chunks
    assert first.stdout == again.stdout
    rows = list(csv.DictReader(io.StringIO(first.stdout)))
    assert ["c1", "c7"] == [rows[0]["id"], rows[-1]["id"]]
    assert all(row["semantic_function"] for row in rows)
    assert "standard input" not in first.stdout


def test_output_and_summary_cannot_share_stdout(tmp_path: Path) -> None:
    """It is refused before the input is read."""
    result = semfn("run", table(tmp_path), "-o", "-", "--json", "--local")
    assert (2, "") == (result.exit_code, result.stdout)
    assert "--json and an output of - both want stdout" in result.stderr


def test_a_reader_that_goes_away_loses_nothing(tmp_path: Path) -> None:
    """The end is an exit code and one sentence; the ledger beside the input holds the labels."""
    path = table(tmp_path, 2_000)
    command = [sys.executable, "-m", "analysis", "run", str(path), "-o", "-", *TOPIC, "--local"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        said = child.stderr.read().decode()
        assert 5 == child.wait(), said
    assert "The reader of the standard output has gone." in said
    assert "Traceback" not in said
    whole = semfn("run", path, *TOPIC, "--local", "--quiet")
    assert 0 == whole.exit_code
    assert 2_000 == len(column(tmp_path / "chunks.labeled.csv", "semantic_function"))


def test_a_sample_is_a_part_of_the_whole_run(tmp_path: Path) -> None:
    """The whole run pays for the other rows only, in the same requests."""
    path = table(tmp_path, 95)
    with paid_service() as service:
        sample = semfn("run", path, "--sample", "30", "--seed", "5", env=service.environment())
        assert 0 == sample.exit_code, sample.output
        assert "sample: 30 of 95 rows in whole requests, seed 5" in sample.stderr
        assert 30 == service.chunks == len(column(tmp_path / "chunks.labeled.csv", "id"))
        assert 3 == len(service.records)
        assert 0 == semfn("run", path, env=service.environment()).exit_code
        assert 95 == service.chunks
    assert 95 == len(column(tmp_path / "chunks.labeled.csv", "id"))


def test_limit_counts_over_all_inputs(tmp_path: Path) -> None:
    """The first rows of all of them together."""
    one, two = rows_of(tmp_path, 3, "a.csv"), rows_of(tmp_path, 9, "b.csv")
    with paid_service() as service:
        arguments = ("run", one, two, "-o", tmp_path / "out", "--limit", 5)
        assert 0 == semfn(*arguments, env=service.environment()).exit_code
        assert 5 == service.chunks
    assert 2 == len(column(tmp_path / "out" / "b.labeled.csv", "id"))


def test_equal_texts_are_paid_once(tmp_path: Path) -> None:
    """Within a run and across runs; such rows say that no request was sent for them."""
    rows = [(str(place), f"Text {place % 4}.", "Trains") for place in range(10)]
    path = written(tmp_path, [HEADER, *rows], "a.csv")
    other = written(tmp_path, [HEADER, *rows[2:6], ("n", "New.", "Trains")], "b.csv")
    with paid_service() as service:
        first = semfn("run", path, env=service.environment())
        assert (0, 4) == (first.exit_code, service.chunks), first.output
        ledger = tmp_path / "a.labeled.csv.semfn.sqlite"
        second = semfn("run", other, "--reuse", ledger, env=service.environment())
        assert (0, 5) == (second.exit_code, service.chunks), second.output
    output = tmp_path / "a.labeled.csv"
    labels = column(output, "semantic_function")
    assert labels[:4] * 2 + labels[:2] == labels
    assert ["1"] * 4 + ["0"] * 6 == column(output, "semfn_attempts")
    assert "6 of them with the label of another row of the same text" in first.stderr
    assert "4 of them from another ledger" in second.stderr


def test_equal_texts_in_documents_are_asked_each(tmp_path: Path) -> None:
    """There the neighbours are a part of the question."""
    header = ("id", "document", "text")
    rows = [(str(place), "d", "Same text.") for place in range(4)]
    with paid_service() as service:
        path = written(tmp_path, [header, *rows])
        result = semfn("run", path, *TOPIC, env=service.environment())
        assert (0, 4) == (result.exit_code, service.chunks), result.output


def test_a_row_whose_text_changed_is_asked_again(tmp_path: Path) -> None:
    """The plan says how many; the others keep their labels."""
    rows = [(str(place), f"Text {place}.", "Trains") for place in range(6)]
    path = written(tmp_path, [HEADER, *rows])
    with paid_service() as service:
        assert 0 == semfn("run", path, env=service.environment()).exit_code
        written(tmp_path, [HEADER, *rows[:5], ("5", "Another text.", "Trains")])
        result = semfn("run", path, env=service.environment())
        assert (0, 7) == (result.exit_code, service.chunks), result.output
        assert "1 row changed since an earlier run (text, topic, " in result.stderr
        other = semfn("run", path, "--model", "gpt-6-sol", env=service.environment())
        assert (0, 13) == (other.exit_code, service.chunks), other.output
    assert "6 rows changed since an earlier run (routes " in other.stderr


def test_only_failed_rows_are_asked_again(tmp_path: Path) -> None:
    """Rows that were never asked stay so, and the output stays partial until they were."""
    unlucky = ["Text number 7."]

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str, ...]]:
        return [() if text in unlucky else ("example",) for text in texts]

    path, output = table(tmp_path, 40), tmp_path / "chunks.labeled.csv"
    with paid_service(answerer=Answerer(name="digest-labels", label=label)) as service:
        first = semfn("run", path, "--limit", 20, env=service.environment())
        assert 1 == first.exit_code, first.output
        unlucky.clear()
        paid = service.chunks
        again = semfn("run", path, "--retry-failed", env=service.environment())
        assert (4, paid + 1) == (again.exit_code, service.chunks), again.output
        assert "19 have a label, 20 were never asked, 0 cannot be sent, 1 to do" in again.stderr
        assert "only failed rows were asked again; 20 rows were never asked" in again.stderr
        partial = column(tmp_path / "chunks.labeled.partial.csv", "semfn_error")
        assert ([""] * 20 + ["stopped"] * 20, 20) == (partial, len(column(output, "id")))
        assert 0 == semfn("run", path, env=service.environment()).exit_code
        assert paid + 21 == service.chunks


def test_dry_run_sends_and_writes_nothing(tmp_path: Path) -> None:
    """It needs no key, and prints on stdout what the run would say before it sends."""
    path = table(tmp_path, 30)
    dry = semfn("run", path, "--dry-run")
    assert 0 == dry.exit_code, dry.output
    assert dry.stdout.startswith("30 rows. Estimate: 3 requests, about ")
    assert dry.stdout.endswith("\nNothing was sent.\n")
    assert ["chunks.csv"] == os.listdir(tmp_path)


def test_without_a_key_there_is_no_run(tmp_path: Path) -> None:
    """A pipe changes nothing about that."""
    runner = CliRunner(env=NO_ENDPOINT)
    result = runner.invoke(main, ["run", "-", *TOPIC], input=table(tmp_path).read_bytes())
    assert 2 == result.exit_code
    assert "OPENAI_API_KEY" in result.stderr
