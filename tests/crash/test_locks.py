"""Several processes with one ledger: one works, the others are refused and send nothing."""

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

SLOW = replace(SHAPE, latency_ms=300)
RIVALS = 3


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """Give a job that takes seconds, and a service of its own."""
    log = tmp_path / "payments.jsonl"
    log.touch()
    with simulated_service(log, SLOW, 1) as base_url:
        made = Job(folder=tmp_path / "run", seed=1, base_url=base_url, log=log)
        made.write_input()
        yield made


def start(job: Job) -> subprocess.Popen[str]:
    """Start the program."""
    return subprocess.Popen(
        job.command,
        cwd=ROOT,
        env=os.environ | {"OPENAI_BASE_URL": job.base_url, "OPENAI_API_KEY": "key-1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_payment(job: Job, process: subprocess.Popen[str]) -> None:
    """Wait until a request was paid for."""
    until = time.monotonic() + LONGEST_S
    while lines_of(job.log) == 0 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)


def test_rivals_of_a_run_are_refused_with_its_pid(job: Job) -> None:
    """Exit 5 and one sentence for each of them; the first one ends as if it had been alone."""
    holder = start(job)
    try:
        wait_for_payment(job, holder)
        holder.send_signal(signal.SIGSTOP)  # so that it cannot end before the others began
        rivals = [start(job) for _ in range(RIVALS)]
        for rival in rivals:
            _, said = rival.communicate(timeout=LONGEST_S)
            assert 5 == rival.returncode, said
            assert [said] == said.splitlines(keepends=True)
            assert f"in use by another run, process {holder.pid}." in said
        holder.send_signal(signal.SIGCONT)
        _, said = holder.communicate(timeout=LONGEST_S)
    finally:
        holder.kill()
    assert 0 == holder.returncode, said
    assert [] == output_faults(job.rows, job.target)
    report = check(job.rows, job.target, job.log, [], SLOW, read_ledger(job.folder))
    assert ([], 0) == (report.violations, report.second_payments)


def test_rivals_that_start_at_once_do_the_work_once(job: Job) -> None:
    """One of them works, whichever it is; each chunk is paid for once."""
    processes = [start(job) for _ in range(RIVALS + 1)]
    said = [process.communicate(timeout=LONGEST_S)[1] for process in processes]
    codes = sorted(process.returncode for process in processes)
    assert [0] + [5] * RIVALS == codes, said
    report = check(job.rows, job.target, job.log, [], SLOW, read_ledger(job.folder))
    assert ([], 0) == (report.violations, report.second_payments)


def test_the_lock_of_a_killed_run_is_free_at_once(job: Job) -> None:
    """Its pid still stands in the lock file; the next start takes over and finishes."""
    holder = start(job)
    wait_for_payment(job, holder)
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=LONGEST_S)
    lock = job.target.with_name("out.csv.semfn.sqlite.lock")
    assert str(holder.pid) == lock.read_text(encoding="ascii")
    kept = read_ledger(job.folder)
    again = job.start(job.command)
    assert 0 == again.returncode, again.stderr
    report = check(job.rows, job.target, job.log, [kept], SLOW, read_ledger(job.folder))
    assert [] == report.violations
