"""Ctrl-C and SIGTERM in the middle of `semfn run`, with the service in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.commands.running import LONGEST_S, column, table

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX systems send them")

ROOT = str(Path(__file__).parents[2])
OUT = "chunks.labeled.csv"
PARTIAL = "chunks.labeled.partial.csv"
ROWS = 120


@contextmanager
def started(
    *arguments: object, folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run the program in a process of its own; it is killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "analysis", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ROOT, **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def payments(folder: Path) -> list[dict[str, object]]:
    """Return the records of complete lines of the payment log."""
    log = folder / "paid.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@contextmanager
def simulated(folder: Path, latency_ms: int) -> Iterator[dict[str, str]]:
    """Serve with this latency; give the variables that lead a run there."""
    options = ("--digest-labels", "--latency-ms", latency_ms, "--payment-log", "paid.jsonl")
    with started("simulate", *options, folder=folder) as service:
        assert service.stdout is not None
        address = service.stdout.readline().strip().removeprefix("base_url=")
        assert address, "the service did not start"
        yield {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": address}


def interrupted(
    folder: Path,
    variables: Mapping[str, str],
    signals: Sequence[signal.Signals],
    *options: object,
    paid: int = 1,
) -> tuple[int, str]:
    """Send the signals once so many requests are paid for; return exit code and stderr."""
    with started("run", "chunks.csv", *options, folder=folder, variables=variables) as run:
        while len(payments(folder)) < paid and run.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                run.wait(timeout=0.02)
        for place, number in enumerate(signals):
            if place:  # two at the same moment would arrive as one
                assert run.stderr is not None
                while "Interrupted. Requests" not in run.stderr.readline():
                    assert run.poll() is None
            run.send_signal(number)
        printed, said = run.communicate(timeout=LONGEST_S)
        assert "" == printed
        return run.returncode, said


def digests(folder: Path) -> list[str]:
    """Return the digests of all texts that were paid for, in order of payment."""
    return [
        str(digest)
        for record in payments(folder)
        for digest in record["digests"]  # type: ignore[attr-defined]
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_keeps_what_is_paid_and_the_command_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    """130, a partial file with each paid label, and none of these texts is asked again."""
    table(tmp_path, ROWS)
    options = ("--max-chunks-per-request", 2, "--max-concurrent", 4)
    with simulated(tmp_path, 100) as variables:
        code, said = interrupted(tmp_path, variables, [number], *options)
        assert 130 == code, said
        assert "Traceback" not in said
        paid = digests(tmp_path)
        labels = column(tmp_path / PARTIAL, "semantic_function")
        assert 0 < len(paid) < ROWS
        assert len(set(paid)) == sum(bool(label) for label in labels)
        assert {"", "stopped"} == set(column(tmp_path / PARTIAL, "semfn_error"))
        assert not (tmp_path / OUT).exists()
        assert "To go on, give the same command again" in said
        assert f"Partial output: {PARTIAL}" in said
        with started(
            "run", "chunks.csv", *options[:2], folder=tmp_path, variables=variables
        ) as run:
            _, said = run.communicate(timeout=LONGEST_S)
        assert 0 == run.returncode, said
        rest = digests(tmp_path)[len(paid) :]  # late requests may have been sent a second time
        assert set() == set(paid) & set(rest)
        assert ROWS == len(set(paid) | set(rest))
    assert not (tmp_path / PARTIAL).exists()
    kept = zip(labels, column(tmp_path / OUT, "semantic_function"), strict=True)
    assert all(before in ("", after) for before, after in kept)


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Requests that would take half a minute are left; the partial file is there all the same."""
    table(tmp_path, ROWS)
    hanging = ("--fault", "hang=0.5")
    with started(
        "simulate", "--digest-labels", "--payment-log", "paid.jsonl", *hanging, folder=tmp_path
    ) as service:
        assert service.stdout is not None
        address = service.stdout.readline().strip().removeprefix("base_url=")
        assert address, "the service did not start"
        variables = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": address}
        signals = [signal.SIGINT, signal.SIGINT]
        one = ("--max-chunks-per-request", 1)
        # More payments than requests at once (32): some answers are in the ledger by then.
        code, said = interrupted(tmp_path, variables, signals, *one, paid=40)
    assert 130 == code, said
    assert "Traceback" not in said
    assert "ended without an answer and may have been paid for (simulated)." in said
    labels = column(tmp_path / PARTIAL, "semantic_function")
    assert 0 < sum(bool(label) for label in labels) < ROWS
    assert not (tmp_path / OUT).exists()
