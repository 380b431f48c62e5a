"""The simulated service in a process of its own.

io. `latency` starts one per analyzer, so that client and service do not share an interpreter.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package, installed or not."""

END_S = 5.0
"""Seconds that the service gets to end by itself; it needs about 0.3."""


@contextmanager
def simulated_service(latency_ms: float, seed: int) -> Iterator[str]:
    """Run `semfn simulate --digest-labels` in a child process; yield its base URL.

    Leaving the context ends that process.

    Raises:
        ConfigurationError: If it does not start; quotes its last line.
    """
    options = ["--digest-labels", "--latency-ms", f"{latency_ms:g}", "--seed", str(seed)]
    # Started beside this package, since the caller's folder may hold another one of its name.
    with subprocess.Popen(
        [sys.executable, "-m", "analysis", "simulate", *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        try:
            name, _, base_url = child.stdout.readline().strip().partition("=")
            if name != "base_url":
                said = child.stderr.read().strip().splitlines() or ["it said nothing"]
                raise ConfigurationError(f"The simulated service did not start: {said[-1]}")
            yield base_url
        finally:
            _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()
