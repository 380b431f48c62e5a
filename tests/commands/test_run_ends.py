"""How `semfn run` ends early, and that the same command then goes on."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from analysis.pipeline.ledger import Ledger
from analysis.settings import SETTINGS
from analysis.simulator.service import Answerer
from tests.commands.running import LONGEST_S, column, paid_service, semfn, table

OUT = "chunks.labeled.csv"
PARTIAL = "chunks.labeled.partial.csv"
LEDGER = f"{OUT}.semfn.sqlite"


def process(
    *arguments: object, base_url: str, folder: Path, limit_bytes: int | None = None
) -> subprocess.Popen[str]:
    """Start `semfn run` in a process of its own; files may not grow beyond `limit_bytes`."""
    environment = {**os.environ, "OPENAI_API_KEY": "right", "OPENAI_BASE_URL": base_url}
    root = str(Path(__file__).parents[2])

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes or 0, limit_bytes or 0))

    return subprocess.Popen(
        [sys.executable, "-m", "analysis", "run", *map(str, arguments)],
        cwd=folder,
        env={**environment, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit if limit_bytes else None,
    )


def requests_in(ledger: Path) -> int:
    """Count the requests that the ledger knows of."""
    with closing(sqlite3.connect(ledger)) as connection:
        return int(connection.execute("SELECT count(*) FROM request").fetchone()[0])


def test_refused_key_stops_at_once_and_the_right_one_goes_on(tmp_path: Path) -> None:
    """Exit 3 after the requests in flight; OUT stays, the partial file says `stopped`."""
    path, out = table(tmp_path, 1_000), tmp_path / OUT
    out.write_text("of an earlier run", encoding="utf-8")
    with paid_service(api_key="right") as service:
        result = semfn("run", path, "--overwrite", env=service.environment("sk-canary-wrong"))
        assert (3, "") == (result.exit_code, result.stdout), result.output
        assert requests_in(tmp_path / LEDGER) <= SETTINGS.responses_ws_in_flight
        assert ("of an earlier run", 0) == (out.read_text(encoding="utf-8"), service.chunks)
        assert {"stopped"} == set(column(tmp_path / PARTIAL, "semfn_error"))
        assert 1_000 == len(column(tmp_path / PARTIAL, "id"))
        for part in ("The endpoint refused the key", "Check OPENAI_API_KEY", "the same command"):
            assert 1 == result.stderr.count(part), result.stderr
        assert f"Partial output: {tmp_path / PARTIAL}" in result.stderr
        assert "canary" not in result.stderr
        assert b"canary" not in (tmp_path / LEDGER).read_bytes()
        result = semfn("run", path, "--overwrite", env=service.environment())
        assert 0 == result.exit_code, result.output
    told = json.loads((tmp_path / f"{OUT}.run-results.json").read_text(encoding="utf-8"))
    # On a busy machine requests that take long are sent a second time; both may be answered.
    sent = told["requests"]["done"] + told["requests"].get("given_up", 0)
    assert 1_000 <= service.chunks <= 10 * sent, result.output
    assert not (tmp_path / PARTIAL).exists()
    assert 1_000 == sum(bool(label) for label in column(out, "semantic_function"))


def test_refused_key_closes_both_routes_with_one_sentence(tmp_path: Path) -> None:
    """Routes of the same key and host end together; the reason stands there once."""
    with paid_service(api_key="right") as service:
        environment = service.environment("wrong")
        result = semfn("run", table(tmp_path), "--route", "realtime,rest", env=environment)
    assert 3 == result.exit_code
    assert 1 == result.stderr.count("refused the key"), result.stderr


def test_quiet_run_still_says_why_it_stopped(tmp_path: Path) -> None:
    """--quiet leaves out progress, not what went wrong."""
    with paid_service(api_key="right") as service:
        result = semfn("run", table(tmp_path), "--quiet", env=service.environment("wrong"))
    assert 3 == result.exit_code
    lines = result.stderr.splitlines()
    assert 1 == len(lines), lines
    assert lines[0].startswith("Stopped: The endpoint refused the key")


def test_failed_rows_end_with_one_and_are_asked_again(tmp_path: Path) -> None:
    """A row without a usable answer has a kind, the others a label; later only it is asked."""
    unlucky = ["Text number 7."]

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str, ...]]:
        return [() if text in unlucky else ("example",) for text in texts]

    path = table(tmp_path, 20)
    with paid_service(answerer=Answerer(name="digest-labels", label=label)) as service:
        result = semfn("run", path, env=service.environment())
        assert 1 == result.exit_code, result.output
        assert "19 of 20 rows labelled (simulated)." in result.stderr
        assert "Not labelled: 1 row defect, first 'c7': " in result.stderr
        assert "Stopped" not in result.stderr
        errors = column(tmp_path / OUT, "semfn_error")
        assert {"c7": "defect"} == {
            name: error for name, error in zip(column(path, "id"), errors, strict=True) if error
        }
        allowed = semfn("run", path, "--max-failed", "5%", env=service.environment())
        assert 0 == allowed.exit_code, allowed.output
        unlucky.clear()
        paid = service.chunks
        result = semfn("run", path, env=service.environment())
        assert (0, paid + 1) == (result.exit_code, service.chunks), result.output
    assert {""} == set(column(tmp_path / OUT, "semfn_error"))


def test_run_that_got_no_label_is_simulated_all_the_same(tmp_path: Path) -> None:
    """The model that answered without a usable label says so, and no price is named."""

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str, ...]]:
        return [() for _ in texts]

    path = table(tmp_path, 3)
    with paid_service(answerer=Answerer(name="digest-labels", label=label)) as service:
        result = semfn("run", path, "--route", "rest", env=service.environment())
    assert 1 == result.exit_code, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Route rest")]
    assert line.startswith("Route rest, digest-labels (simulated): ")
    assert "cost" not in line


def test_service_that_is_away_or_broken_ends_the_run(tmp_path: Path) -> None:
    """No connection, or 500 to everything: exit 3 in seconds, the trouble and the cure named."""
    folders = [tmp_path / "away", tmp_path / "broken"]
    for folder in folders:
        folder.mkdir()
        table(folder, 100)
    with paid_service(faults={"error_500": 1.0}) as service:
        addresses = ("http://127.0.0.1:9/v1", service.base_url)
        runs = [
            process("chunks.csv", base_url=address, folder=folder)
            for address, folder in zip(addresses, folders, strict=True)
        ]
        try:
            ends = [run.communicate(timeout=LONGEST_S) for run in runs]
        finally:
            for run in runs:
                run.kill()
    troubles = ("No connection to 127.0.0.1", "server_error: ")
    for run, folder, (printed, said), trouble in zip(runs, folders, ends, troubles, strict=True):
        assert (3, "") == (run.returncode, printed), said
        (stopped,) = [line for line in said.splitlines() if line.startswith("Stopped: ")]
        assert trouble in stopped
        assert "OPENAI_BASE_URL" in stopped
        assert "To go on, give the same command again" in stopped
        assert len(said.splitlines()) <= 13, said
        assert {"stopped"} == set(column(folder / PARTIAL, "semfn_error"))
        assert not (folder / OUT).exists()


def test_ledger_in_use_names_the_other_process(tmp_path: Path) -> None:
    """Exit 5 with the pid of the holder; nothing is sent."""
    path = table(tmp_path)
    options = {"sources": ["x"], "key_of": lambda chunk: bytes(16), "run_facts": {}}
    with (
        Ledger.open(tmp_path / LEDGER, started_at="2026-11-21T10:00:00Z", **options),  # type: ignore[arg-type]
        paid_service() as service,
    ):
        result = semfn("run", path, env=service.environment())
    assert 5 == result.exit_code, result.output
    assert (
        f"in use by another run, process {os.getpid()} (this one). Wait for its end"
        in result.stderr
    )
    assert [] == service.records
    assert not (tmp_path / OUT).exists()


def test_full_disk_ends_with_five_and_loses_nothing(tmp_path: Path) -> None:
    """The ledger cannot grow: exit 5, one sentence; with room the command pays for the rest."""
    pytest.importorskip("resource")
    path = table(tmp_path, 1_500)
    with paid_service(latency_ms=5) as service:
        run = process(path, base_url=service.base_url, folder=tmp_path, limit_bytes=350_000)
        try:
            printed, said = run.communicate(timeout=LONGEST_S)
        finally:
            run.kill()
        assert (5, "") == (run.returncode, printed), said
        assert 1 == said.count("Error: "), said
        assert "Traceback" not in said
        assert not (tmp_path / OUT).exists()
        paid = service.chunks
        assert 0 < paid < 1_500
        result = semfn("run", path, env=service.environment())
        assert 0 == result.exit_code, result.output
        # What was in flight when the disk was full may be paid twice, and nothing else.
        assert 1_500 <= service.chunks <= 1_500 + (64 + 32) * 10
    assert 1_500 == sum(bool(label) for label in column(tmp_path / OUT, "semantic_function"))


def test_output_folder_that_vanished_ends_with_five(tmp_path: Path) -> None:
    """What is paid for is in the ledger; with the folder back nothing is asked again."""
    path, folder, ledger = table(tmp_path, 300), tmp_path / "out", tmp_path / "run.sqlite"
    folder.mkdir()
    arguments = (path, "-o", folder / OUT, "--ledger", ledger, "--max-chunks-per-request", 1)
    with paid_service(latency_ms=30) as service:
        run = process(*arguments, base_url=service.base_url, folder=tmp_path)
        try:
            while not service.records and run.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    run.wait(timeout=0.02)
            shutil.rmtree(folder)
            _, said = run.communicate(timeout=LONGEST_S)
        finally:
            run.kill()
        assert 5 == run.returncode, said
        assert f"Error: Cannot write {folder / OUT}" in said
        assert "kept in the ledger" in said
        folder.mkdir()
        result = semfn("run", *arguments, env=service.environment())
        assert 0 == result.exit_code, result.output
        # Late requests may have been sent a second time: 5 in a hundred, and 2 in each run.
        assert 300 <= service.chunks <= 300 * 1.05 + 4, result.output


def test_closed_stderr_does_not_end_the_run(tmp_path: Path) -> None:
    """A reader such as `head` that goes away costs nothing: the run ends and is whole."""
    table(tmp_path, 50)
    with paid_service(latency_ms=20) as service:
        run = process("chunks.csv", "--json", base_url=service.base_url, folder=tmp_path)
        try:
            assert run.stderr is not None and run.stdout is not None
            run.stderr.close()
            found = json.loads(run.stdout.read())
            assert 0 == run.wait(timeout=LONGEST_S)
        finally:
            run.kill()
    assert 50 == found["labeled"]
