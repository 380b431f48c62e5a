"""Kill the program at its n-th fsync, write, rename, open; start it again; check from the outside.

`python -m tests.crash.points --all [--jobs 2] [--results performance_results]` does every point and
writes crash_points_TIME.json; exit code 1 if there is a violation. `test_points.py` does 40.

strace counts the calls of each thread by itself, so of two threads that write the same file the one
that is first at a number is hit; `power.py` has the state after each call, in their order.

A run under strace shows which calls the program makes on its files: ledger, its WAL and draft,
lock, output, summary, learned limits. A point is one of these calls; the process is killed before
the call takes effect, then the same command does the rest. The checks are those of `kill.py`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.kill import (
    LONGEST_S,
    ROOT,
    Shape,
    check,
    lines_of,
    program,
    read_ledger,
    simulated_service,
    write_figures,
)
from tests.crash.tracing import Call, calls_of, disturbed, recording, why_not

ROWS = 16
SHAPE = Shape(route="responses-ws", pack=2, in_flight=3, latency_ms=5)
"""A run of about 0.7 s; its sockets need no import of the openai package."""

_NUMBERED = re.compile(r"(?<=[-.])\d+(?=[-.])")
"""Process ids and counters in names of temporary files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where the program is killed.

    Attributes:
        call: Name of the call.
        file: Path below the folder of the run; numbers in it stand as `N`.
        nth: From 1, among the calls on that file, or among all of that name where the name of the
            file holds a number.
    """

    call: str
    file: str
    nth: int

    @property
    def has_fixed_name(self) -> bool:
        """Tell whether strace can count its calls alone; of a rename it sees the old name only."""
        return self.call != "rename" and "N" not in self.file

    @property
    def kind(self) -> str:
        """What is done to what, without the number."""
        return f"{self.call} {self.file}"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What one point showed.

    Attributes:
        point: As it was planned.
        hit: What was done to what when the process died; empty if it came to its end before.
        labels: Labels that the ledger held then.
        second_payments: Chunks paid again.
        violations: Broken promises, in words.
    """

    point: Point
    hit: str = ""
    labels: int = 0
    second_payments: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One small run in a folder of its own, with texts of its own.

    Attributes:
        folder: Empty at first.
        seed: Makes the texts.
        base_url: Of the service.
        log: Payment log of the service, shared by all jobs.
        bug: Name of a bug of `bugs.py` that the program has; empty for none.
        count: Rows.
    """

    folder: Path
    seed: int
    base_url: str
    log: Path
    bug: str = ""
    count: int = ROWS

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Ids and texts."""
        return [(f"id-{place}", f"Text {place} of run {self.seed}.") for place in range(self.count)]

    @property
    def source(self) -> Path:
        """The input."""
        return self.folder / "big.csv"

    @property
    def target(self) -> Path:
        """The output."""
        return self.folder / "out.csv"

    @property
    def command(self) -> list[str]:
        """The command, the same for every start."""
        return self.with_bug(program(self.source, self.target, SHAPE))

    def with_bug(self, command: list[str]) -> list[str]:
        """Return a command of the form `python -m MODULE ...` that does its work with the bug."""
        python, _, *words = command
        return [python, "-m", "tests.crash.bugs", self.bug, *words] if self.bug else command

    def write_input(self) -> None:
        """Make the folder and the input."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.source.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("id", "text"), *self.rows])

    def start(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Do a command to its end, however it ends."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ
            | {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "key-1"}
            | {"XDG_STATE_HOME": str(self.folder / "state")},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )

    def name_of(self, call: Call) -> str:
        """Return the file of a call below the folder; empty if it is none of ours."""
        for path in reversed(call.paths):
            if path == str(self.folder):
                return "."
            if path.startswith(f"{self.folder}/") and path != str(self.source):
                return _NUMBERED.sub("N", path[len(str(self.folder)) + 1 :])
        return ""


def recorded_points(job: Job, trace: Path) -> list[Point]:
    """Do a run to its end under strace; return its points, in the order in which they came."""
    job.write_input()
    ended = job.start(recording(trace, job.command))
    if ended.returncode != 0:
        raise RuntimeError(f"The run ended with {ended.returncode}: {ended.stderr}")
    alike: Counter[tuple[int, str, str]] = Counter()
    points: dict[Point, None] = {}
    for call in sorted(calls_of(trace), key=lambda call: call.begun):
        name = job.name_of(call)
        fixed = (call.thread, call.name, name)
        any_file = (call.thread, call.name, "")
        if name:
            alike[fixed] += 1
        alike[any_file] += 1
        if name and call.may_change:
            point = Point(call=call.name, file=name, nth=alike[fixed])
            if not point.has_fixed_name:
                point = Point(call=call.name, file=name, nth=alike[any_file])
            points[point] = None
    return list(points)


def spread(points: list[Point], count: int) -> list[Point]:
    """Return so many points: of each kind the middle one, then the one beside it, and so on.

    Files of the run come before those of learned limits, which a run can do without.
    """
    of_kind: dict[str, list[Point]] = {}
    for point in points:
        of_kind.setdefault(point.kind, []).append(point)
    ranked = []
    for kind, alike in of_kind.items():
        middle = len(alike) // 2
        nearest = sorted(range(len(alike)), key=lambda place: abs(place - middle))
        later = 2 * (" state/" in kind)
        ranked += [(turn + later, alike[place]) for turn, place in enumerate(nearest)]
    return [point for _, point in sorted(ranked, key=lambda entry: entry[0])[:count]]


def crash(job: Job, point: Point) -> Outcome:
    """Kill the program at a point, start it again, and check what is left."""
    job.write_input()
    trace = job.folder / "trace.txt"
    path = str(job.folder if point.file == "." else job.folder / point.file)
    command = disturbed(
        trace,
        job.command,
        call=point.call,
        path=path if point.has_fixed_name else "",
        nth=str(point.nth),
        what="signal=SIGKILL",
    )
    first = job.start(command)
    kept = read_ledger(job.folder)
    outcome = Outcome(point=point, labels=len(kept.labels))
    if first.returncode >= 0:
        outcome.violations += [f"ended with {first.returncode}"] * (first.returncode != 0)
    else:
        open_calls = [call for call in calls_of(trace) if call.result is None]
        outcome.hit = next((f"{call.name} {job.name_of(call)}" for call in open_calls), "")
    second = job.start(job.command)
    if second.returncode != 0:
        said = (second.stderr.splitlines() or [""])[-1]
        outcome.violations.append(f"the same command ended with {second.returncode}: {said}")
        return outcome
    report = check(job.rows, job.target, job.log, [kept], SHAPE, read_ledger(job.folder))
    outcome.second_payments = report.second_payments
    outcome.violations += report.violations + leftovers(job)
    return outcome


def leftovers(job: Job) -> list[str]:
    """Return what lies beside the output of a finished run and should not; drafts may be left."""
    whole = job.target.with_name("out.csv.run-results.json")
    try:
        found = json.loads(whole.read_bytes())
    except (OSError, ValueError) as error:
        return [f"the summary cannot be read: {error}"]
    return [] if found["exit_code"] == 0 else ["the summary tells of another end"]


def crash_all(count: int | None, jobs: int, folder: Path) -> tuple[list[Point], list[Outcome]]:
    """Do points, some at once; without a count all of them.

    Returns:
        All points of the program, and the outcomes of those that were done.
    """
    log = folder / "payments.jsonl"
    log.touch()
    with simulated_service(log, SHAPE, 1) as base_url:

        def job(seed: int) -> Job:
            return Job(folder=folder / str(seed), seed=seed, base_url=base_url, log=log)

        points = recorded_points(job(0), folder / "trace.txt")
        chosen = points if count is None else spread(points, count)
        with ThreadPoolExecutor(jobs) as pool:
            outcomes = list(pool.map(crash, map(job, range(1, len(chosen) + 1)), chosen))
    assert lines_of(log) >= len(chosen)
    return points, outcomes


def summary(points: Iterable[Point], outcomes: list[Outcome]) -> dict[str, object]:
    """Return the figures as they go into a result file."""
    broken = [outcome for outcome in outcomes if outcome.violations]
    hits = Counter(outcome.hit or "not reached" for outcome in outcomes)
    return {
        "what": "kill -9 before a call of the program, by strace (simulated service)",
        "points": len(list(points)),
        "done": len(outcomes),
        "killed": sum(bool(outcome.hit) for outcome in outcomes),
        "violations": len(broken),
        "second_payments": sum(outcome.second_payments for outcome in outcomes),
        "worst_second_payments": max(outcome.second_payments for outcome in outcomes),
        "in_flight_chunks": SHAPE.in_flight * SHAPE.pack,
        "hits": dict(sorted(hits.items())),
        "broken": [f"{outcome.point}: {outcome.violations}" for outcome in broken],
    }


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every point; else 40")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, help="folder of the result file")
    chosen = parser.parse_args()
    if reason := why_not():
        print(f"Not possible: {reason}.")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        points, outcomes = crash_all(None if chosen.all else 40, chosen.jobs, Path(folder))
    found = summary(points, outcomes)
    print(json.dumps(found, indent=2))
    if chosen.results:
        write_figures(chosen.results, "points", found)
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
