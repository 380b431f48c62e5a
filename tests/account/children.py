"""Programs of these tests in processes of their own, which print a time for each thing done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LONGEST_S = 240.0
"""Real seconds to wait for something: on a busy machine a process stands still for seconds."""


def wait_until(has_happened: Callable[[], bool]) -> bool:
    """Wait until something is so; return False if it never is."""
    until = time.monotonic() + LONGEST_S
    while not (found := has_happened()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


class Child:
    """A process that draws from a common limit; `draws` grows while it lives.

    Args:
        module: Program; each line that it prints is a time of the shared clock.
        arguments: Of the program.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.draws: list[float] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.draws.extend(float(line) for line in lines if line.endswith("\n"))

    def kill(self) -> None:
        """End it as a crash would, and wait until all it printed is read."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def has_drawn(self, least: float, *, after: float) -> bool:
        """Return whether so many draws were within a second, some time after a moment."""
        later = self.draws[bisect_left(self.draws, after) :]
        return any(bisect_left(later, at + 1.0) - place >= least for place, at in enumerate(later))

    def count(self, begin: float, end: float) -> int:
        """Return how many draws were in [begin, end)."""
        return bisect_left(self.draws, end) - bisect_left(self.draws, begin)


def is_shared(children: list[Child], begin: float, seconds: float) -> bool:
    """Return whether each drew two fifths of all, at least, in some such time since a moment."""
    ends = [child.draws[-1] for child in children]
    starts = [at for at in children[0].draws if begin <= at <= min(ends) - seconds]
    for start in starts:
        drawn = [child.count(start, start + seconds) for child in children]
        if min(drawn) >= 0.4 * sum(drawn):
            return True
    return False
