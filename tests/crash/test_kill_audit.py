"""A proof and an audit that are killed go on, and no chunk of an arm is paid for twice."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.crash.kill import Child, Shape, lines_of, simulated_service

ROWS = 24
SHAPE = Shape(route="rest", pack=10, in_flight=4, latency_ms=40)
SEMFN = (sys.executable, "-m", "analysis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the ledger of the arms holds in the end.

    Attributes:
        labelled: Arm -> chunks with a label.
        settling: Requests that gave a chunk its label, each with its arm.
        lost: Requests that were in flight at a kill.
        needless: Copies of slow requests.
    """

    labelled: Counter[str]
    settling: dict[str, str]
    lost: set[str]
    needless: set[str]


def table(folder: Path) -> Path:
    """Write the texts."""
    path = folder / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(f"id-{n}", f"Text {n} of the proof.", "T") for n in range(ROWS)]
        csv.writer(file).writerows([("id", "text", "topic"), *rows])
    return path


def kept_in(ledger: Path) -> Kept:
    """Read a ledger with plain sqlite."""
    with closing(sqlite3.connect(ledger)) as found:
        settling = dict(found.execute("SELECT request_id, source FROM verdict"))
        requests = list(found.execute("SELECT request_id, state, code FROM request"))
        labels = "SELECT source, count(*) FROM verdict WHERE labels IS NOT NULL GROUP BY source"
        labelled = Counter(dict(found.execute(labels).fetchall()))
    assert {"done", "unknown", "unsent"} >= {state for _, state, _ in requests}
    return Kept(
        labelled=labelled,
        settling=settling,
        lost={name for name, _, code in requests if code == "run_died"},
        needless={
            name
            for name, state, code in requests
            if code == "given_up" or (state == "done" and name not in settling)
        },
    )


def assert_paid_once(log: Path, since: int, kept: Kept, arms: int) -> None:
    """Assert that a second payment was for a request in flight at the kill, or for a copy."""
    assert arms == len(kept.labelled)
    payments = [json.loads(line) for line in log.read_bytes().splitlines()[since:]]
    times: Counter[tuple[str, str]] = Counter()
    for payment in payments:
        if payment["request"] in kept.settling:
            arm = kept.settling[payment["request"]]
            times.update((arm, digest) for digest in payment["digests"])
        else:
            assert payment["request"] in kept.lost | kept.needless
    assert kept.labelled.total() == len(times) == times.total()


def test_a_proof_goes_on_after_a_kill_and_pays_nothing_twice(tmp_path: Path) -> None:
    """Killed after the first arm: its answers count, the rest is asked, then nothing."""
    log, results = tmp_path / "payments.jsonl", tmp_path / "results"
    log.touch()
    command = [
        *(*SEMFN, "prove", "--input", str(table(tmp_path)), "--results", str(results)),
        *("--label-set", "ten_functions", "--route", "rest"),
    ]
    with simulated_service(log, SHAPE, 1) as base_url:
        child = Child(command=command, base_url=base_url, log=log)
        assert child.is_killed_at(ROWS + 2)
        child.finish()
        paid = lines_of(log)
        child.finish()
        assert paid == lines_of(log)
    (ledger,) = results.glob("prove_*.semfn.sqlite")
    assert_paid_once(log, 0, kept_in(ledger), arms=5)
    first, *_ = sorted(results.glob("prove_*.json"))
    document = json.loads(first.read_text(encoding="utf-8"))
    arms = [*document["label_sets"][0]["arms"], *document["routes"]]
    assert [ROWS] * 4 + [20] == [arm["labelled"] for arm in arms]
    assert ROWS == arms[0]["labelled_before"]


def test_an_audit_goes_on_after_a_kill_and_pays_nothing_twice(tmp_path: Path) -> None:
    """Beside the run's own ledger, whose answers serve no arm."""
    log, source = tmp_path / "payments.jsonl", table(tmp_path)
    log.touch()
    output = tmp_path / "texts.labeled.csv"
    run = [*SEMFN, "run", str(source), "--route", "rest", "--quiet"]
    audit = [*SEMFN, "evaluate", str(output), "--audit", str(ROWS)]
    with simulated_service(log, SHAPE, 2) as base_url:
        Child(command=run, base_url=base_url, log=log).finish()
        since = lines_of(log)
        child = Child(command=audit, base_url=base_url, log=log)
        assert child.is_killed_at(since + 8)
        child.finish()
        paid = lines_of(log)
        child.finish()
        assert paid == lines_of(log)
    kept = kept_in(tmp_path / "texts.labeled.csv.audit.semfn.sqlite")
    assert_paid_once(log, since, kept, arms=4)
    assert 4 * ROWS == kept.labelled.total()
