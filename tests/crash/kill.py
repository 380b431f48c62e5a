"""Kill the program at random moments, start it again, and check what is left from the outside.

`python tests/crash/kill.py --kills 1000 [--seed N] [--jobs 2] [--results performance_results]` runs
the long form and prints violations as k/n, and writes crash_kill_TIME.json; exit code 1 if there is
one. `test_kill.py` runs 30 kills.

A run is one file: a child process labels it through a service in another process and is killed by
SIGKILL when the service's payment log has reached a drawn number of lines; then the same command
again. Five kills fall into the work, a sixth one soon after the last payment, if the program is not
faster; then it may end by itself. The checks read the input, the output, the payment log and the
ledger, the latter with plain sqlite, and share no code with the program.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LABEL_SET = ROOT / "analysis" / "labels" / "sets" / "ten_functions.toml"
LABELS = [label["key"] for label in tomllib.loads(LABEL_SET.read_text(encoding="utf-8"))["labels"]]

ROWS = 300
KILLS_PER_RUN = 5
OPEN = ("intended", "unknown")
"""States of requests whose ending is not known: only these may be paid for twice."""

LAST_STEPS_S = 0.06
"""Real seconds in which the program settles the last answers and writes its output."""

LONGEST_S = 240.0
"""Real seconds for one start of the program; none that works takes so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a run is done: its route, chunks per request and requests at once.

    `late` is the share of answers that come late, so that their requests are sent a second time.
    """

    route: str
    pack: int
    in_flight: int
    latency_ms: int
    late: float = 0.0


SHAPES = (
    Shape(route="realtime", pack=1, in_flight=4, latency_ms=25),
    Shape(route="rest", pack=1, in_flight=4, latency_ms=25),
    Shape(route="realtime", pack=10, in_flight=3, latency_ms=60),
    Shape(route="rest", pack=10, in_flight=3, latency_ms=60),
    Shape(route="rest", pack=1, in_flight=150, latency_ms=60, late=0.3),
    Shape(route="realtime", pack=2, in_flight=100, latency_ms=60, late=0.3),
)


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """What the ledger held when the process was dead.

    Attributes:
        labels: By id.
        open_requests: Those in flight, and those whose ending got lost.
        second: Those that another one with the same chunks made needless: given up, or answered
            later.
        requests: All of them.
    """

    labels: dict[str, str]
    open_requests: set[str]
    second: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Report:
    """What one run showed.

    Attributes:
        kills: Times that the process was killed.
        second_payments: Chunks paid again, in all.
        in_flight_chunks: The most that may be: kills x requests at once x chunks of each.
        repaid_per_kill: Chunks of the requests open at each kill that were paid again later.
        second: Requests that another one with the same chunks made needless.
        violations: Broken promises, in words.
    """

    kills: int
    second_payments: int = 0
    in_flight_chunks: int = 0
    repaid_per_kill: list[int] = field(default_factory=list)
    second: int = 0
    violations: list[str] = field(default_factory=list)


def digest_label(text: str) -> str:
    """Return the label that the service gives to a text."""
    return str(LABELS[int.from_bytes(sha256(text.encode()).digest()[:8], "big") % len(LABELS)])


def kill_run(folder: Path, shape: Shape, seed: int) -> Report:
    """Do one run with its kills in an empty folder, and check it."""
    rng = random.Random(seed)
    source, target, log = folder / "big.csv", folder / "out.csv", folder / "payments.jsonl"
    rows = [(f"id-{number}", f"Text {number} of run {seed}.") for number in range(ROWS)]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text"), *rows])
    log.touch()
    snapshots: list[Snapshot] = []
    with simulated_service(log, shape, seed) as base_url:
        child = Child(command=program(source, target, shape), base_url=base_url, log=log)
        while len(snapshots) < KILLS_PER_RUN and child.is_killed_at(aim(log, rng, shape)):
            snapshots.append(read_ledger(folder))
        missing = ROWS - len(read_ledger(folder).labels)
        end = lines_of(log) + -(-missing // shape.pack)
        if child.is_killed_at(end, after_s=rng.uniform(0.0, LAST_STEPS_S)):
            snapshots.append(read_ledger(folder))
        child.finish()
        report = check(rows, target, log, snapshots, shape, read_ledger(folder))
        before = (target.read_bytes(), log.read_bytes())
        child.finish()
        if before != (target.read_bytes(), log.read_bytes()):
            report.violations.append("a finished run, run again, changed or paid something")
    return report


@contextmanager
def simulated_service(log: Path, shape: Shape, seed: int) -> Iterator[str]:
    """Run the service with digest labels in a process of its own; yields its base URL."""
    options = {"payment-log": log, "latency-ms": shape.latency_ms, "seed": seed}
    if shape.late:  # limits that are stated and bind nobody, so that all may go at once
        options |= {"fault": f"delay={shape.late}", "rpm": 1_000_000, "tpm": 1_000_000_000}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "analysis", "simulate", "--digest-labels", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("base_url=")
    finally:
        process.terminate()
        process.communicate()


def program(source: Path, target: Path, shape: Shape) -> list[str]:
    """Return the command of the run, the same for every start."""
    if shape.late:
        places = (str(source), str(target), shape.route, str(shape.in_flight), str(shape.pack))
        return [sys.executable, "-m", "tests.crash.hasty", *places]
    return [
        *(sys.executable, "-m", "analysis", "run", str(source), "-o", str(target), "--quiet"),
        *("--topic", "crashes", "--route", shape.route, "--max-concurrent", str(shape.in_flight)),
        *("--max-chunks-per-request", str(shape.pack)),
    ]


def aim(log: Path, rng: random.Random, shape: Shape) -> int:
    """Draw the number of lines of the payment log at which to kill."""
    share = ROWS // shape.pack // (KILLS_PER_RUN + 1)
    return lines_of(log) + rng.randint(0, share)


def lines_of(log: Path) -> int:
    """Return the whole lines of the payment log."""
    return log.read_bytes().count(b"\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """The program under test, one process for each start."""

    command: list[str]
    base_url: str
    log: Path

    def is_killed_at(self, lines: int, *, after_s: float = 0.0) -> bool:
        """Start it and kill it when the log has so many lines; False if it ended before."""
        process = self._start()
        until = time.monotonic() + LONGEST_S
        try:
            while lines_of(self.log) < lines and process.poll() is None:
                if time.monotonic() > until:
                    raise RuntimeError(f"The program hangs: {self.command}")
                time.sleep(0.001)
            time.sleep(after_s)
        finally:
            process.kill()
            _, errors = process.communicate()
        if process.returncode > 0:
            raise RuntimeError(f"The program ended with {process.returncode}: {errors}")
        return process.returncode < 0

    def finish(self) -> None:
        """Start it and wait until it ends."""
        _, errors = (process := self._start()).communicate(timeout=LONGEST_S)
        if process.returncode != 0:
            raise RuntimeError(f"The program ended with {process.returncode}: {errors}")

    def _start(self) -> subprocess.Popen[str]:
        own = {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "key-1"}
        return subprocess.Popen(
            self.command, cwd=ROOT, env=os.environ | own, stderr=subprocess.PIPE, text=True
        )


def read_ledger(folder: Path) -> Snapshot:
    """Read a copy of the ledger, so that looking at it changes nothing."""
    found = Snapshot(labels={}, open_requests=set())
    with tempfile.TemporaryDirectory() as place:
        for path in folder.glob("out.csv.semfn.sqlite*"):
            shutil.copy(path, place)
        copy = Path(place) / "out.csv.semfn.sqlite"
        if not copy.exists():  # killed before it was made
            return found
        with closing(sqlite3.connect(copy)) as ledger:
            tables = {name for (name,) in ledger.execute("SELECT name FROM sqlite_schema")}
            if {"verdict", "request"} <= tables:
                found.labels |= ledger.execute(
                    "SELECT id, labels FROM verdict WHERE labels IS NOT NULL"
                )
                of_use = {name for (name,) in ledger.execute("SELECT request_id FROM verdict")}
                for name, state, code in ledger.execute(
                    "SELECT request_id, state, code FROM request"
                ):
                    found.requests.add(name)
                    if code == "given_up" or (state == "done" and name not in of_use):
                        found.second.add(name)
                    elif state in OPEN:
                        found.open_requests.add(name)
    return found


def check(
    rows: list[tuple[str, str]],
    target: Path,
    log: Path,
    snapshots: list[Snapshot],
    shape: Shape,
    last: Snapshot,
) -> Report:
    """Hold the output, the ledger and the payments of a finished run against the promises."""
    report = Report(kills=len(snapshots))
    report.in_flight_chunks = report.kills * shape.in_flight * shape.pack
    report.violations += output_faults(rows, target)
    for kept in snapshots:
        changed = [name for name, label in kept.labels.items() if last.labels.get(name) != label]
        report.violations += [f"{name}: its saved label changed" for name in changed]
    payments = [json.loads(line) for line in log.read_bytes().splitlines()]
    paid = Counter(digest for payment in payments for digest in payment["digests"])
    chunks_of = {payment["request"]: payment["digests"] for payment in payments}
    seen: set[str] = set()
    lost = Counter(digest for name in last.second for digest in chunks_of.get(name, ()))
    report.second = len(last.second)
    report.violations += asked_again(rows, payments, snapshots)
    for kept in snapshots:
        digests = [one for name in kept.open_requests - seen for one in chunks_of.get(name, ())]
        seen |= kept.open_requests
        lost.update(digests)
        report.repaid_per_kill.append(len(digests))
        if len(digests) > shape.in_flight * shape.pack:
            report.violations.append(f"{len(digests)} chunks were in flight at a kill")
    for name, text in rows:
        times = paid[sha256(text.encode()).hexdigest()]
        report.second_payments += times - 1
        if times < 1:
            report.violations.append(f"{name}: labelled without a payment")
        if times - 1 > lost[sha256(text.encode()).hexdigest()]:
            report.violations.append(f"{name}: paid {times} times")
    if report.second_payments > report.in_flight_chunks + shape.pack * report.second:
        report.violations.append(f"{report.second_payments} second payments")
    if last.open_requests - seen:
        report.violations.append("requests without a kill have no ending")
    return report


def asked_again(
    rows: list[tuple[str, str]], payments: list[dict[str, Any]], snapshots: list[Snapshot]
) -> list[str]:
    """Return the chunks that a later start paid for although the ledger held their labels."""
    texts = dict(rows)
    return [
        f"{payment['request']} asks again for what had a label"
        for kept in snapshots
        for held in [{sha256(texts[name].encode()).hexdigest() for name in kept.labels}]
        for payment in payments
        if payment["request"] not in kept.requests and not held.isdisjoint(payment["digests"])
    ]


def output_faults(rows: list[tuple[str, str]], target: Path) -> list[str]:
    """Return what is wrong with the output: rows, their order, texts and labels."""
    if not target.exists():
        return ["there is no output"]
    with target.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    if [name for name, _ in rows] != [row["id"] for row in found]:
        return ["the ids of the output are not those of the input, in order, each once"]
    return [
        f"{name}: {row['semantic_function']!r} is not its label"
        for (name, text), row in zip(rows, found, strict=True)
        if (text, digest_label(text)) != (row["text"], row["semantic_function"])
    ]


def kill_many(runs: list[tuple[Shape, int]], jobs: int) -> list[Report]:
    """Do runs, some at once, each in a folder of its own."""

    def one(run: tuple[Shape, int]) -> Report:
        with tempfile.TemporaryDirectory() as folder:
            return kill_run(Path(folder), *run)

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, runs))


def summary(reports: list[Report]) -> str:
    """Return the figures of all runs in two lines."""
    kills = sum(report.kills for report in reports)
    broken = sum(bool(report.violations) for report in reports)
    repaid = [count for report in reports for count in report.repaid_per_kill] or [0]
    second = sum(report.second_payments for report in reports)
    needless = sum(report.second for report in reports)
    bound = sum(report.in_flight_chunks for report in reports)
    return (
        f"{kills} kills (simulated service): violations in {broken}/{len(reports)} runs\n"
        f"second payments {second}/{bound} chunks; chunks in flight per kill: "
        f"median {statistics.median(repaid):g}, worst {max(repaid)}; "
        f"{needless} requests of two with the same chunks"
    )


def figures(reports: list[Report]) -> dict[str, object]:
    """Return the figures of all runs as they go into a result file."""
    repaid = [count for report in reports for count in report.repaid_per_kill] or [0]
    return {
        "what": "kill -9 at random moments (simulated service)",
        "kills": sum(report.kills for report in reports),
        "runs": len(reports),
        "rows_per_run": ROWS,
        "runs_with_violations": sum(bool(report.violations) for report in reports),
        "second_payments": sum(report.second_payments for report in reports),
        "second_payments_at_most": sum(report.in_flight_chunks for report in reports),
        "chunks_in_flight_per_kill_median": statistics.median(repaid),
        "chunks_in_flight_per_kill_worst": max(repaid),
        "requests_of_two_with_the_same_chunks": sum(report.second for report in reports),
        "violations": [fault for report in reports for fault in report.violations],
    }


def write_figures(folder: Path, name: str, found: dict[str, object]) -> None:
    """Write crash_NAME_TIME.json and say where it is."""
    place = folder / f"crash_{name}_{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    place.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(place)


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, help="folder of the result file")
    chosen = parser.parse_args()
    count = -(-chosen.kills // KILLS_PER_RUN)
    runs = [(SHAPES[place % len(SHAPES)], chosen.seed + place) for place in range(count)]
    reports = kill_many(runs, chosen.jobs)
    print(summary(reports))
    for (shape, seed), report in zip(runs, reports, strict=True):
        for violation in report.violations:
            print(f"seed {seed}, {shape}: {violation}")
    if chosen.results:
        write_figures(chosen.results, "kill", figures(reports))
    return 1 if any(report.violations for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
