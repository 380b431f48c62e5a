"""Cut the power after any call of a run, and check what the disk still holds.

`python -m tests.crash.power --states 5000 [--programs 40] [--results performance_results]` writes
crash_power_TIME.json; exit code 1 if there is a violation. `test_power.py` does 200 states.

One run of `told.py` is recorded by strace. `disk.py` makes states of its folder: after each call,
with what was not synced kept, lost or torn, and folders likewise. In each state the ledger is
opened as the next start would open it, then read with plain sqlite: every label that somebody was
told of has to be there, and the output has to be the old one or the new one, whole. On some states
the whole program goes on and has to finish the job without paying again for what was told.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from analysis.errors import LedgerError
from tests.crash.disk import Content, Disk, Names
from tests.crash.kill import digest_label, output_faults, simulated_service, write_figures
from tests.crash.points import SHAPE, Job
from tests.crash.tracing import Call, calls_of, recording, why_not
from tests.pipeline.ledger_samples import opened

OLD_OUTPUT = b"id,text\nof,an earlier run\n"
TOLD = "told.txt"
FINISHED = "finished"

MODES = (
    (Content.LOST, Names.LOST),
    (Content.TORN, Names.LOST),
    (Content.LOST, Names.PREFIX),
    (Content.TORN, Names.PREFIX),
    (Content.LOST, Names.KEPT),
    (Content.TORN, Names.KEPT),
    (Content.KEPT, Names.KEPT),
    (Content.KEPT, Names.LOST),
)
"""Bytes and names; the last but one is what kill -9 leaves."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What all states showed.

    Attributes:
        states: Number of states looked at.
        told: Labels that had been told, over all states.
        lost: Those of them that were not there.
        torn: Outputs that were neither the old nor the new one.
        programs: States on which the program went on.
        modes: States by mode.
        violations: Broken promises, in words.
    """

    states: int = 0
    told: int = 0
    lost: int = 0
    torn: int = 0
    programs: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A run to its end: the job, its calls in order, and the bytes of its output."""

    job: Job
    calls: list[Call]
    output: bytes


def recorded(job: Job, trace: Path) -> Recorded:
    """Do the run under strace, beside the output of an earlier run.

    Raises:
        RuntimeError: If it did not come to its end.
    """
    job.write_input()
    job.target.write_bytes(OLD_OUTPUT)
    words = [job.source, job.target, SHAPE.route, SHAPE.in_flight, SHAPE.pack, job.folder / TOLD]
    command = [sys.executable, "-m", "tests.crash.told", *map(str, words)]
    ended = job.start(recording(trace, job.with_bug(command)))
    if ended.returncode != 0:
        raise RuntimeError(f"The run ended with {ended.returncode}: {ended.stderr}")
    calls = [call for call in calls_of(trace) if job.name_of(call)]
    return Recorded(job=job, calls=calls, output=job.target.read_bytes())


def cut(run: Recorded, count: int | None, programs: int, seed: int) -> Report:
    """Look at states of a run, drawn by seed; without a count at all of them.

    Args:
        run: What was recorded; its folder is used for the states.
        count: Number of states that are drawn; those after calls on the output come on top.
        programs: On so many of them, evenly spread, the program goes on.
        seed: Of the draw and of what is torn.
    """
    rng = random.Random(seed)
    every = [(place, mode) for place in range(1, len(run.calls) + 1) for mode in MODES]
    if count is not None:
        # The output is written in a few calls only, which a draw may miss.
        own = {
            place
            for place, call in enumerate(run.calls, start=1)
            if run.job.name_of(call) == run.job.target.name
        }
        drawn = rng.sample(every, min(count, len(every)))
        every = sorted({*drawn, *(entry for entry in every if entry[0] in own)}, key=every.index)
    step = max(1, len(every) // programs) if programs else len(every) + 1
    report = Report()
    disk = Disk({str(run.job.target): OLD_OUTPUT})
    applied = 0
    for number, (place, mode) in enumerate(every, start=1):
        for call in run.calls[applied:place]:
            disk.apply(call)
        applied = place
        told = disk.content(str(run.job.folder / TOLD)).decode().split("\n")[:-1]
        lay_out(run.job, disk.after_power_loss(*mode, rng))
        found = look(run, told, report)
        report.states += 1
        report.modes[f"bytes {mode[0]}, names {mode[1]}"] += 1
        if number % step == 0 and not found:
            report.programs += 1
            found += go_on(run.job, told)
        report.violations += [f"after call {place}, {mode}: {fault}" for fault in found]
    return report


def lay_out(job: Job, files: dict[str, bytes]) -> None:
    """Make the folder of the run hold these files, and the input."""
    shutil.rmtree(job.folder)
    job.write_input()
    for name, data in files.items():
        path = Path(name)
        if path.name != TOLD and job.folder in path.parents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def look(run: Recorded, told: list[str], report: Report) -> list[str]:
    """Return what is wrong with the files as they lie there."""
    faults = []
    labels = dict(line.split(" ") for line in told if line != FINISHED)
    try:
        held = labels_in(run.job.target.with_name("out.csv.semfn.sqlite"))
    except (LedgerError, sqlite3.Error) as error:
        held = {}
        faults.append(f"the ledger cannot be opened: {error}")
    lost = [name for name, label in labels.items() if held.get(name) != label]
    report.told += len(labels)
    report.lost += len(lost)
    if lost:
        faults.append(f"{len(lost)} of {len(labels)} told labels are lost")
    for name, text in run.job.rows:
        if held.get(name, digest_label(text)) != digest_label(text):
            faults.append(f"{name}: the ledger holds another label than the service gave")
    output = run.job.target.read_bytes() if run.job.target.exists() else b""
    allowed = [run.output] if FINISHED in told else [OLD_OUTPUT, run.output]
    if output not in allowed:
        report.torn += 1
        faults.append(f"the output is neither old nor new: {len(output)} bytes")
    summary = run.job.target.with_name("out.csv.run-results.json")
    if summary.exists() and not is_json(summary):
        faults.append("the summary is torn")
    return faults


def is_json(path: Path) -> bool:
    """Tell whether a file holds JSON."""
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def labels_in(path: Path) -> dict[str, str]:
    """Open a ledger as a next start does, then return its labels as plain sqlite reads them."""
    if path.exists():
        opened(path).close()
        with closing(sqlite3.connect(path)) as ledger:
            (state,) = ledger.execute("PRAGMA integrity_check").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            rows = ledger.execute("SELECT id, json_extract(labels, '$[0]') FROM verdict").fetchall()
        return {name: label for name, label in rows if label}
    return {}


def go_on(job: Job, told: list[str]) -> list[str]:
    """Give the command again in such a state; return what is wrong then."""
    paid_before = len(job.log.read_bytes().splitlines())
    # The old output is not of this ledger.
    ended = job.start([*job.command, "--overwrite"])
    if ended.returncode != 0:
        return [f"the command ended with {ended.returncode}: {ended.stderr}"]
    texts = dict(job.rows)
    held = {sha256(texts[line.split(" ")[0]].encode()).hexdigest() for line in told if " " in line}
    payments = [json.loads(line) for line in job.log.read_bytes().splitlines()[paid_before:]]
    again = [digest for payment in payments for digest in payment["digests"] if digest in held]
    faults = output_faults(job.rows, job.target)
    return faults + [f"{len(again)} told labels were paid for again"] * bool(again)


def cut_all(folder: Path, count: int | None, programs: int, seed: int = 1) -> Report:
    """Record a run and look at its states."""
    log = folder / "payments.jsonl"
    log.touch()
    with simulated_service(log, SHAPE, 1) as base_url:
        job = Job(folder=folder / "run", seed=0, base_url=base_url, log=log)
        return cut(recorded(job, folder / "trace.txt"), count, programs, seed)


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--states", type=int, help="by default all, each once")
    parser.add_argument("--programs", type=int, default=40, help="states on which the program runs")
    parser.add_argument("--runs", type=int, default=1, help="recorded runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, help="folder of the result file")
    chosen = parser.parse_args()
    if reason := why_not():
        print(f"Not possible: {reason}.")
        return 2
    reports = []
    for run in range(chosen.runs):
        with tempfile.TemporaryDirectory() as folder:
            seed = chosen.seed + run
            reports.append(cut_all(Path(folder), chosen.states, chosen.programs, seed))
    found: dict[str, object] = {
        "what": "power cut after a call of a recorded run (simulated service)",
        "runs": len(reports),
        "states": sum(report.states for report in reports),
        "told_labels": sum(report.told for report in reports),
        "told_labels_lost": sum(report.lost for report in reports),
        "torn_outputs": sum(report.torn for report in reports),
        "programs_gone_on": sum(report.programs for report in reports),
        "modes": dict(sorted(sum((report.modes for report in reports), Counter()).items())),
        "violations": [fault for report in reports for fault in report.violations],
    }
    print(json.dumps(found, indent=2))
    if chosen.results:
        write_figures(chosen.results, "power", found)
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
