"""Programs of these tests in processes of their own, which print a time for each thing done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from bisect import bisect_left
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


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

    def count(self, begin: float, end: float) -> int:
        """Return how many draws were in [begin, end)."""
        return bisect_left(self.draws, end) - bisect_left(self.draws, begin)
