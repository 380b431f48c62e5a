"""Plant bugs in the program, one at a time, and see whether the checks find them.

`python -m tests.crash.planted [--results performance_results]` prints caught / planted, and writes
crash_planted_TIME.json; exit code 1 if one is missed or a check finds fault with the program as it
is. `test_planted.py` does the quick ones.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from tests.canary.canary import found_in, table
from tests.crash import power
from tests.crash.kill import (
    LONGEST_S,
    ROOT,
    check,
    lines_of,
    output_faults,
    read_ledger,
    simulated_service,
    write_figures,
)
from tests.crash.points import SHAPE, Job, Point, recorded_points
from tests.crash.tracing import disturbed, why_not

SLOW = replace(SHAPE, latency_ms=250)
ROWS = 40
"""Enough rounds of requests for a signal in mid-run."""
POWER_STATES, POWER_DRAWS = 150, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A bug and the check that has to find it.

    Attributes:
        bug: Its name in `bugs.py`.
        check: Does a run with it in a folder; returns what is wrong, in words.
        is_quick: One of those that are planted with every run of the tests.
    """

    bug: str
    check: Callable[[Job], list[str]]
    is_quick: bool = False


def started(job: Job, *, paid: int = 0) -> subprocess.Popen[str]:
    """Start the program; return when it has paid for so many requests more, or has ended."""
    target = lines_of(job.log) + paid
    process = subprocess.Popen(
        job.command,
        cwd=ROOT,
        env=os.environ
        | {"OPENAI_BASE_URL": job.base_url, "OPENAI_API_KEY": "key-1"}
        | {"XDG_STATE_HOME": str(job.folder / "state")},
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + LONGEST_S
    while lines_of(job.log) < target and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    return process


def after_signal(job: Job, number: signal.Signals) -> list[str]:
    """Send a signal in mid-run, let the same command finish, and check both starts."""
    job.write_input()
    process = started(job, paid=4)
    process.send_signal(number)
    process.communicate(timeout=LONGEST_S)
    faults = []
    if number is signal.SIGTERM and job.target.exists():
        faults.append("a stopped run touched the output")
    kept = read_ledger(job.folder)
    again = job.start(job.command)
    if again.returncode != 0:
        return [*faults, f"the same command ended with {again.returncode}: {again.stderr}"]
    report = check(job.rows, job.target, job.log, [kept], SLOW, read_ledger(job.folder))
    told = json.loads(job.target.with_name("out.csv.run-results.json").read_bytes())
    if told["unknown_requests"] != len(kept.open_requests):
        faults.append(f"{len(kept.open_requests)} requests have no known ending; told otherwise")
    if number is signal.SIGTERM and report.second_payments:
        faults.append(f"{report.second_payments} chunks that were paid for were dropped at a stop")
    return faults + report.violations


def after_kill(job: Job) -> list[str]:
    """Kill in mid-run."""
    return after_signal(job, signal.SIGKILL)


def after_stop(job: Job) -> list[str]:
    """End in mid-run as systems end programs."""
    return after_signal(job, signal.SIGTERM)


def without_power(job: Job) -> list[str]:
    """Cut the power after the calls of a run; look at more states until something is wrong."""
    run = power.recorded(job, job.folder.with_name("trace.txt"))
    draws = (power.cut(run, POWER_STATES, 0, seed=seed).violations for seed in range(POWER_DRAWS))
    return next((violations for violations in draws if violations), [])


def with_another_text(job: Job) -> list[str]:
    """Change every text after a whole run: each row needs the label of its new text."""
    job.write_input()
    job.start(job.command)
    other = replace(job, seed=job.seed + 1_000_000)
    other.write_input()
    ended = other.start(other.command)
    if ended.returncode not in (0, 2):
        return [f"the command ended with {ended.returncode}: {ended.stderr}"]
    if ended.returncode == 2:  # refused instead of asked again, which is as good
        return []
    return output_faults(other.rows, other.target)


def beside_another(job: Job) -> list[str]:
    """Start a second process while the first one stands still."""
    job.write_input()
    holder = started(job, paid=1)
    holder.send_signal(signal.SIGSTOP)
    try:
        rival = job.start(job.command)
    finally:
        holder.send_signal(signal.SIGCONT)
        holder.communicate(timeout=LONGEST_S)
    # A holder that stands still within a commit refuses a rival, too, but without this sentence.
    is_refused = rival.returncode == 5 and "is in use by another run" in rival.stderr
    return [] if is_refused else [f"a second process ended with {rival.returncode}: {rival.stderr}"]


def with_a_failed_sync(job: Job) -> list[str]:
    """Let one fsync of the ledger fail in mid-run: the run has to end."""
    trace = job.folder.with_name("trace.txt")
    wal = "out.csv.semfn.sqlite-wal"
    points = recorded_points(replace(job, folder=job.folder.with_name("before")), trace)
    alike = [point for point in points if ("fdatasync", wal) == (point.call, point.file)]
    job.write_input()
    point: Point = alike[len(alike) // 2]
    command = disturbed(
        trace,
        job.command,
        call=point.call,
        path=str(job.folder / wal),
        nth=str(point.nth),
        what="error=EIO",
    )
    ended = job.start(command)
    return [] if ended.returncode == 5 else [f"the run ended with {ended.returncode}"]


def late_answer(job: Job) -> list[str]:
    """Settle two requests with the same chunk: the first label has to stay."""
    job.folder.mkdir(parents=True)
    words = [sys.executable, "-m", "tests.crash.late", str(job.folder / "l.sqlite")]
    said = job.start(job.with_bug(words))
    return [] if said.stdout == "example\n" else [f"the label is {said.stdout!r} {said.stderr}"]


def everything_logged(job: Job) -> list[str]:
    """Label with all logging on: no secret may stand in the log."""
    job.folder.mkdir(parents=True)
    table(job.folder)
    words = ["tests.canary.program", job.base_url, str(job.folder), "responses-ws"]
    ended = job.start(job.with_bug([sys.executable, "-m", *words]))
    return [f"the log holds {secret!r}" for secret in found_in(ended.stderr)]


PLANTED = (
    Planted(bug="intent_after_send", check=after_kill, is_quick=True),
    Planted(bug="labels_shifted_by_one", check=after_kill, is_quick=True),
    Planted(bug="row_written_twice", check=after_kill),
    Planted(bug="everything_is_missing", check=after_kill),
    Planted(bug="unknown_not_counted", check=after_kill, is_quick=True),
    Planted(bug="partial_over_output", check=after_stop),
    Planted(bug="stop_drops_what_is_in_flight", check=after_stop),
    Planted(bug="resume_without_key", check=with_another_text),
    Planted(bug="no_lock", check=beside_another, is_quick=True),
    Planted(bug="late_answer_wins", check=late_answer, is_quick=True),
    Planted(bug="frames_in_the_log", check=everything_logged, is_quick=True),
    Planted(bug="told_before_commit", check=without_power),
    Planted(bug="ledger_without_sync", check=without_power, is_quick=True),
    Planted(bug="rename_without_sync", check=without_power),
    Planted(bug="output_in_place", check=without_power, is_quick=True),
    Planted(bug="failed_sync_is_ignored", check=with_a_failed_sync),
)


def faults_of(planted: Planted, bug: str, folder: Path, base_url: str, log: Path) -> list[str]:
    """Return what the check of a planted bug finds with a bug, which may be `none`."""
    place = folder / f"{planted.bug}-{bug}"
    place.mkdir()
    # Texts of its own: what another job pays for in the same log is no fault of this one.
    words = f"{planted.bug} {bug} {folder.name}"
    seed = int.from_bytes(sha256(words.encode()).digest()[:6], "big")
    job = Job(folder=place / "run", seed=seed, base_url=base_url, log=log, bug=bug, count=ROWS)
    return planted.check(job)


def main() -> int:
    """Plant all bugs."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--results", type=Path, help="folder of the result file")
    chosen = parser.parse_args()
    if reason := why_not():
        print(f"Not possible: {reason}.")
        return 2
    caught: dict[str, str] = {}
    false_alarms: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "payments.jsonl"
        log.touch()
        with simulated_service(log, SLOW, 1) as base_url:
            for planted in PLANTED:
                faults = faults_of(planted, planted.bug, Path(name), base_url, log)
                caught[planted.bug] = faults[0][:200] if faults else ""
                print(f"{planted.bug}: {caught[planted.bug] or 'MISSED'}", flush=True)
                if calm := faults_of(planted, "none", Path(name), base_url, log):
                    false_alarms[planted.bug] = calm
    found: dict[str, object] = {
        "what": "bugs planted on purpose, and what found them (simulated service)",
        "planted": len(caught),
        "caught": sum(bool(fault) for fault in caught.values()),
        "false_alarms": false_alarms,
        "found": caught,
    }
    print(f"caught {found['caught']} / planted {found['planted']}; false alarms {false_alarms}")
    if chosen.results:
        write_figures(chosen.results, "planted", found)
    return 0 if found["caught"] == found["planted"] and not false_alarms else 1


if __name__ == "__main__":
    sys.exit(main())
