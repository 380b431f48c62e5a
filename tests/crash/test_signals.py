"""Signals and closed pipes: what is paid for is kept, and the same command does the rest.

`tests/commands/test_run_signals.py` has Ctrl-C once and twice, and SIGTERM.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.kill import (
    LONGEST_S,
    ROOT,
    check,
    lines_of,
    output_faults,
    read_ledger,
    simulated_service,
)
from tests.crash.points import SHAPE, Job

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX systems send them")

SLOW = replace(SHAPE, latency_ms=300)
ROWS = 60
"""Many rounds of requests, so that a signal comes in mid-run also on a busy machine."""
STOOD_STILL_S = 2.5


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Serve digest labels in a process of its own; give its address and its payment log."""
    log = tmp_path_factory.mktemp("service") / "payments.jsonl"
    log.touch()
    with simulated_service(log, SLOW, 1) as base_url:
        yield base_url, log


@pytest.fixture
def job(tmp_path: Path, service: tuple[str, Path], request: pytest.FixtureRequest) -> Iterator[Job]:
    """Give a job with texts of its own, which no other test pays for."""
    seed = sum(request.node.name.encode())
    place = tmp_path / "run"
    made = Job(folder=place, seed=seed, base_url=service[0], log=service[1], count=ROWS)
    made.write_input()
    yield made


def started(job: Job, *options: str, ignores_hang_up: bool = False) -> subprocess.Popen[str]:
    """Start the program and wait until the service has been paid by it."""

    def hear() -> None:  # whatever the tests themselves were started with
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignores_hang_up else signal.SIG_DFL)

    paid = lines_of(job.log)
    process = subprocess.Popen(
        [*job.command, *options],
        cwd=ROOT,
        env=os.environ
        | {"OPENAI_BASE_URL": job.base_url, "OPENAI_API_KEY": "key-1"}
        | {"XDG_STATE_HOME": str(job.folder / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear,
    )
    until = time.monotonic() + LONGEST_S
    while lines_of(job.log) == paid and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return exit code and stderr."""
    try:
        _, said = process.communicate(timeout=LONGEST_S)
    finally:
        process.kill()
    return process.returncode, said


def second_payments(job: Job) -> int:
    """Give the command again, check both starts, and return what was paid twice.

    Without the copies of slow requests, which a busy machine may need.
    """
    kept = read_ledger(job.folder)
    again = job.start(job.command)
    assert 0 == again.returncode, again.stderr
    report = check(job.rows, job.target, job.log, [kept], SLOW, read_ledger(job.folder))
    assert [] == report.violations
    copies = SHAPE.pack * len(read_ledger(job.folder).second)
    return max(0, report.second_payments - copies)


def test_a_closed_terminal_stops_the_run_and_loses_nothing(job: Job) -> None:
    """SIGHUP is as SIGTERM: exit 130, what is in flight is taken, nothing is paid twice."""
    process = started(job)
    process.send_signal(signal.SIGHUP)
    code, said = ended(process)
    assert 130 == code, said
    assert 0 < len(read_ledger(job.folder).labels) < len(job.rows)
    assert job.target.with_name("out.partial.csv").exists()
    assert not job.target.exists()
    assert 0 == second_payments(job)


def test_nohup_lets_the_run_go_on(job: Job) -> None:
    """SIGHUP that was ignored at the start stays ignored: exit 0 and a whole output."""
    process = started(job, ignores_hang_up=True)
    process.send_signal(signal.SIGHUP)
    assert (0, "") == ended(process)
    assert [] == output_faults(job.rows, job.target)


def test_a_process_that_stood_still_goes_on(job: Job) -> None:
    """SIGSTOP for seconds while the service answers, then SIGCONT: no answer is lost."""
    process = started(job)
    process.send_signal(signal.SIGSTOP)
    time.sleep(STOOD_STILL_S)
    process.send_signal(signal.SIGCONT)
    assert (0, "") == ended(process)
    assert [] == output_faults(job.rows, job.target)
    assert 0 == second_payments(job)


def test_closed_stdout_ends_the_print_and_not_the_run(job: Job) -> None:
    """The reader of --json went away: the output is whole, and there is no traceback."""
    process = started(job, "--json")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    code, said = ended(process)
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert 0 == code, said
    assert [] == output_faults(job.rows, job.target)
    assert 0 == second_payments(job)
