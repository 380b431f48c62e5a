"""`semfn run --dry-run`: the plan of the run, by its ledger, without a trace."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.commands.running import HEADER, paid_service, semfn, table, written

LEDGER = "chunks.labeled.csv.semfn.sqlite"


def state_of(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a folder by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_what_the_ledger_holds_is_not_counted(tmp_path: Path) -> None:
    """After a pilot the rest, after the whole run nothing; no file changes."""
    path = table(tmp_path, 30)
    with paid_service() as service:
        where = service.environment()
        assert 0 == semfn("run", path, "--limit", "10", env=where).exit_code
        before, paid = state_of(tmp_path), service.chunks
        dry = semfn("run", path, "--dry-run", env=where)
        assert dry.stdout.startswith("30 rows: 10 have a label, 0 cannot be sent, 20 to do. "), dry
        assert (before, paid) == (state_of(tmp_path), service.chunks)
        assert 0 == semfn("run", path, env=where).exit_code
        dry = semfn("run", path, "--dry-run", env=where)
    expected = "Nothing to do: 30 rows, 30 have a label, 0 cannot be sent.\nNothing was sent.\n"
    assert expected == dry.stdout


@pytest.mark.parametrize(
    "more",
    [("--fresh",), ("--retry-failed",), ("--topic", "Buses"), ("--route", "rest"), ()],
)
def test_the_lines_are_those_of_the_run(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Whatever the options make of the ledger, and with texts that repeat."""
    rows = [(f"c{number}", f"Text {number % 7}.") for number in range(20)]
    path = written(tmp_path, [HEADER[:2], *rows, ("c20", "")])
    with paid_service() as service:
        where = service.environment()
        assert 0 == semfn("run", path, "--limit", "4", "--topic", "T", env=where).exit_code
        command = ("run", path, "--topic", "T", *more)
        dry = semfn(*command, "--dry-run", env=where)
        told = semfn(*command, env=where)
    *lines, last = dry.stdout.splitlines()
    assert "Nothing was sent." == last
    for line in lines:
        assert line in told.stderr.splitlines(), told.stderr


def test_another_topic_is_said_to_be_what_changed(tmp_path: Path) -> None:
    """Rows that are asked anew cost money, so the reason is named."""
    path = written(tmp_path, [HEADER[:2], ("1", "a"), ("2", "b")])
    assert 0 == semfn("run", path, "--local", "--topic", "Trains").exit_code
    dry = semfn("run", path, "--local", "--topic", "Buses", "--dry-run")
    assert dry.stdout.startswith("2 rows changed since an earlier run (topic): "), dry.output


def test_a_dry_run_of_the_local_service_starts_none(tmp_path: Path) -> None:
    """It knows the labels of an earlier local run by their key."""
    path = table(tmp_path, 5)
    assert 0 == semfn("run", path, "--local").exit_code
    dry = semfn("run", path, "--local", "--dry-run")
    assert dry.stdout.startswith("Nothing to do: 5 rows, 5 have a label"), dry.output
    dry = semfn("run", path, "--route", "offline", "--dry-run")
    assert "5 rows changed since an earlier run" in dry.stdout


def test_json_has_the_counts(tmp_path: Path) -> None:
    """For programs; one document on stdout."""
    path = table(tmp_path, 12)
    found = json.loads(semfn("run", path, "--dry-run", "--json", "--quiet").stdout)
    assert (12, 12, 0, False) == (
        found["rows"],
        found["to_do"],
        found["reused"],
        found["simulated"],
    )
    assert (2, 12) == (found["estimate"]["requests"], found["estimate"]["chunks"])


def test_what_the_run_would_refuse_is_refused(tmp_path: Path) -> None:
    """A file of somebody else at the place of the output, and a ledger that is none."""
    path, out = table(tmp_path, 3), tmp_path / "out.csv"
    out.write_text("mine", encoding="utf-8")
    dry = semfn("run", path, "-o", out, "--dry-run")
    assert (2, True) == (dry.exit_code, "stays as it is" in dry.stderr)
    dry = semfn("run", path, "--ledger", out, "--dry-run")
    assert (5, True) == (dry.exit_code, "is not a semfn ledger" in dry.stderr)
    assert {"chunks.csv", "out.csv"} == set(state_of(tmp_path))


def test_no_file_appears_for_a_tape(tmp_path: Path) -> None:
    """There are no decisions to write."""
    path = table(tmp_path, 3)
    assert 0 == semfn("run", path, "--dry-run", "--tape", tmp_path / "tape").exit_code
    assert {"chunks.csv"} == set(state_of(tmp_path))
