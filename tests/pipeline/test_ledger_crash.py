"""Processes that work on one ledger are killed with SIGKILL; what they were told is kept, stays.

Started as a program (`python -m tests.pipeline.test_ledger_crash LEDGER RUN`), this file is such a
process: it labels the chunks of an endless job that the ledger does not hold yet, with the name
of its run, and prints what the ledger acknowledged. RUN `hold` only opens the ledger and waits.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest

from analysis.errors import LedgerError
from analysis.pipeline.ledger import Ledger
from analysis.records import Chunk
from tests.pipeline.ledger_samples import (
    chunk,
    done,
    labeled,
    labels_of,
    opened,
    request,
    rows,
)

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 8
PACK = 5
KILLS = 7


def say(*lines: str) -> None:
    """Print whole lines at once, so that a kill cuts none of them."""
    os.write(1, "".join(f"{line}\n" for line in lines).encode())


async def label_without_end(ledger: Ledger, run: str) -> None:
    """Label pack after pack with the name of the run, several at a time."""

    async def work(packs: Iterator[tuple[int, list[Chunk]]]) -> None:
        for number, pack in packs:
            missing = [
                each
                for each, is_missing in zip(pack, await ledger.missing(pack), strict=True)
                if is_missing
            ]
            if missing:
                await ledger.intend(request(f"{run}/{number}", *missing))
                say(f"intended {run}/{number}")
                await ledger.settle(
                    done(f"{run}/{number}", *((each, labeled(each, run)) for each in missing))
                )
                say(f"done {run}/{number}", *(f"label {each.id}" for each in missing))

    packs = ((n, [chunk(str(n * PACK + offset)) for offset in range(PACK)]) for n in count())
    await asyncio.gather(*(work(packs) for _ in range(WORKERS)))


def start(path: Path, run: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.test_ledger_crash", str(path), run],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output_of_killed(process: subprocess.Popen[str], after_lines: int) -> list[tuple[str, str]]:
    """Kill the process when it has printed so many lines; return all that it printed."""
    assert process.stdout is not None
    with process:
        lines = [process.stdout.readline() for _ in range(after_lines)]
        process.kill()
        lines += process.stdout.readlines()
    assert all(line.endswith("\n") for line in lines), "the process ended before it was killed"
    return [(word, name) for word, _, name in (line.strip().partition(" ") for line in lines)]


def test_what_was_acknowledged_survives_kills_and_never_changes(tmp_path: Path) -> None:
    """After each kill every acknowledged record is there, whole, unchanged, and paid once."""
    path = tmp_path / "job.semfn.sqlite"
    random = Random(20_261_121)
    labels: dict[str, str] = {}
    states: dict[str, str] = {}
    for kill in range(1, KILLS + 1):
        run = f"run{kill}"
        printed = output_of_killed(start(path, run), random.randint(1, 600))
        states |= {name: "unknown" for word, name in printed if word == "intended"}
        states |= {name: "done" for word, name in printed if word == "done"}
        told = [name for word, name in printed if word == "label"]
        assert not labels.keys() & set(told), "a chunk that was paid for was asked again"
        labels |= dict.fromkeys(told, run)

        with opened(path) as ledger:
            assert [(label,) for label in labels.values()] == labels_of(ledger, *map(chunk, labels))
            assert "intended" not in ledger.totals().overall_states
            assert ledger.unknown_requests().requests <= kill * WORKERS
            held = len(rows(path, "SELECT id FROM verdict"))
            assert len(labels) <= held <= len(labels) + kill * WORKERS * PACK
        assert [("ok",)] == rows(path, "PRAGMA integrity_check")
        kept = dict(rows(path, "SELECT request_id, state FROM request"))
        # A request may be done without being acknowledged: killed between commit and print.
        assert set() == {name for name in states if kept.get(name) not in (states[name], "done")}
    assert len(labels) > 0


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    """A second process is refused and told who works; after a kill the ledger opens at once."""
    path = tmp_path / "job.semfn.sqlite"
    process = start(path, "hold")
    assert process.stdout is not None
    assert "open\n" == process.stdout.readline()
    with pytest.raises(LedgerError, match=f"in use by another run, process {process.pid}"):
        opened(path)
    output_of_killed(process, 0)
    with opened(path) as ledger:
        assert 2 == ledger.run


if __name__ == "__main__":
    with opened(Path(sys.argv[1])) as held_ledger:
        say("open")
        if sys.argv[2] == "hold":
            sys.stdin.read()
        else:
            asyncio.run(label_without_end(held_ledger, sys.argv[2]))
