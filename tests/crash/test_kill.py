"""Thirty kills: the same command finishes the job each time, and nothing is lost or swapped."""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from pathlib import Path

import pytest

from tests.crash.kill import (
    KILLS_PER_RUN,
    SHAPES,
    Report,
    Snapshot,
    check,
    digest_label,
    kill_many,
    summary,
)

RUNS = [(SHAPES[place % len(SHAPES)], 100 + place) for place in range(6)]
ROWS = [(f"id-{number}", f"text {number}") for number in range(40)]
LONE = SHAPES[0]


def test_thirty_kills_lose_swap_and_repay_nothing() -> None:
    """Six runs of five kills and more, both routes, two of them with very many copies.

    On a busy machine a run may come to its end before it is killed, and has fewer kills then.
    """
    reports = kill_many(RUNS, jobs=2)
    print(summary(reports))
    assert [[]] * 6 == [report.violations for report in reports], summary(reports)
    assert 4 * KILLS_PER_RUN <= sum(report.kills for report in reports)
    assert all(report.second for report in reports[4:])


class Finished:
    """A run without fault, made by hand: one kill with one request in flight, paid again.

    Attributes:
        output: Cells of the output.
        payments: (request, chunk) in the payment log.
        kept: What the ledger held at the kill.
        last: What it holds at the end.
    """

    def __init__(self) -> None:
        self.output = [[name, text, digest_label(text)] for name, text in ROWS]
        self.payments = [(f"q{number}", number) for number in range(40)] + [("q99", 5)]
        labels = {name: digest_label(text) for name, text in ROWS}
        self.kept = Snapshot(labels=dict(list(labels.items())[:5]), open_requests={"q5"})
        self.last = Snapshot(labels=labels, open_requests={"q5"})
        self.kept.requests |= {f"q{number}" for number in range(6)}

    def checked(self, folder: Path) -> Report:
        """Write the files and check them."""
        target, log = folder / "out.csv", folder / "payments.jsonl"
        with target.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("id", "text", "semantic_function"), *self.output])
        lines = [
            json.dumps({"request": name, "digests": [sha256(ROWS[row][1].encode()).hexdigest()]})
            for name, row in self.payments
        ]
        log.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return check(ROWS, target, log, [self.kept], LONE, self.last)


def test_the_check_passes_a_run_without_fault(tmp_path: Path) -> None:
    """What was in flight at the kill may be paid twice, and is counted."""
    report = Finished().checked(tmp_path)
    assert [] == report.violations
    assert (1, 1, [1]) == (report.kills, report.second_payments, report.repaid_per_kill)


def swap_labels(run: Finished) -> None:
    """Exchange two labels of the output."""
    other = next(row for row in run.output if row[2] != run.output[0][2])
    run.output[0][2], other[2] = other[2], run.output[0][2]


def swap_rows(run: Finished) -> None:
    """Exchange two rows of the output."""
    run.output[3], run.output[4] = run.output[4], run.output[3]


def lose_a_row(run: Finished) -> None:
    """Take a row out of the output."""
    del run.output[7]


def double_a_row(run: Finished) -> None:
    """Write a row twice."""
    run.output.append(run.output[-1])


def leave_a_label_out(run: Finished) -> None:
    """Write a row without its label."""
    run.output[7][2] = ""


def pay_twice(run: Finished) -> None:
    """Pay again for a chunk that was not in flight at the kill."""
    run.payments.append(("q100", 30))


def pay_three_times(run: Finished) -> None:
    """Pay a third time for the chunk that was in flight once."""
    run.payments.append(("q100", 5))


def change_a_saved_label(run: Finished) -> None:
    """Hold another label at the end than at the kill."""
    run.last.labels["id-2"] = "changed"


def lose_a_saved_label(run: Finished) -> None:
    """Hold no label at the end for a chunk that had one at the kill."""
    del run.last.labels["id-2"]


def label_without_payment(run: Finished) -> None:
    """Take a payment out of the log."""
    del run.payments[20]


def ask_again_for_what_was_held(run: Finished) -> None:
    """Ask once more, in a request that was given up, for a chunk that had its label."""
    run.payments.append(("q100", 0))
    run.last.second.add("q100")


def leave_a_request_open(run: Finished) -> None:
    """Leave a request of the last start without an ending."""
    run.last.open_requests.add("q39")


@pytest.mark.parametrize(
    "damage",
    [
        swap_labels,
        swap_rows,
        lose_a_row,
        double_a_row,
        leave_a_label_out,
        pay_twice,
        pay_three_times,
        change_a_saved_label,
        lose_a_saved_label,
        label_without_payment,
        ask_again_for_what_was_held,
        leave_a_request_open,
    ],
)
def test_the_check_finds_each_planted_fault(damage: object, tmp_path: Path) -> None:
    """Each kind of damage alone is a violation."""
    assert callable(damage)
    run = Finished()
    damage(run)
    assert run.checked(tmp_path).violations
