"""Several processes want one ledger at once: one works at a time, and a killed one blocks nobody.

Started as a program (`python -m tests.pipeline.test_ledger_lock LEDGER WITNESS`), this file is such
a process: for each line on stdin it tries to open the ledger and prints `in`, `out`, or `both` if
another one is in, too. It knows the latter from a lock of the system on the file WITNESS, which is
no part of the program under test.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from analysis.errors import LedgerError
from tests.pipeline.ledger_samples import opened, rows

fcntl = pytest.importorskip("fcntl")

ROOT = Path(__file__).resolve().parents[2]
KILLS = 10


class Contender:
    """A process that tries to open the ledger whenever it is told to."""

    def __init__(self, ledger: Path, witness: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.pipeline.test_ledger_lock", str(ledger), str(witness)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self) -> None:
        """Let it try."""
        assert self.process.stdin is not None
        self.process.stdin.write("try\n")
        self.process.stdin.flush()

    def heard(self) -> str:
        """Return what it says of its try."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """Kill it with SIGKILL and wait for its end."""
        with self.process:
            self.process.kill()


def outcomes(contenders: list[Contender]) -> list[str]:
    """Let all try at the same time, and return what each says."""
    for each in contenders:
        each.tell()
    return [each.heard() for each in contenders]


@pytest.mark.parametrize("count", [2, 8])
def test_one_of_many_processes_works_and_a_killed_one_blocks_nobody(
    tmp_path: Path, count: int
) -> None:
    """In each round exactly one process gets in; the next round follows its kill at once."""
    ledger, witness = tmp_path / "job.sqlite", tmp_path / "witness"
    random = Random(count)
    contenders = [Contender(ledger, witness) for _ in range(count)]
    try:
        for turn in range(1, KILLS // 2 + 1):
            random.shuffle(contenders)
            said = outcomes(contenders)
            assert ["in", *["out"] * (count - 1)] == sorted(said), f"round {turn}: {said}"
            holder = contenders.pop(said.index("in"))
            assert ["out"] * (count - 1) == outcomes(contenders)
            holder.kill()
            contenders.append(Contender(ledger, witness))
    finally:
        for each in contenders:
            each.kill()
    assert [(KILLS // 2,)] == rows(ledger, "SELECT count(*) FROM run")
    assert [("ok",)] == rows(ledger, "PRAGMA integrity_check")


def contend(ledger: Path, witness: Path) -> None:
    """Try to open the ledger for each line on stdin; once in, stay until the end."""
    held = []  # a ledger that nobody holds is closed
    with witness.open("w") as file:
        for _ in sys.stdin:
            try:
                held.append(opened(ledger))
            except LedgerError as error:
                assert "in use by another run" in str(error)
                print("out", flush=True)
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                print("in", flush=True)
            except BlockingIOError:
                print("both", flush=True)


if __name__ == "__main__":
    contend(Path(sys.argv[1]), Path(sys.argv[2]))
