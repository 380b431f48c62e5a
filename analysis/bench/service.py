"""The simulated service in a process of its own.

io. `latency` starts one per analyzer, so that client and service do not share an interpreter.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analysis.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package, installed or not."""

_LAST_LINE = re.compile(r"paid_requests=(\d+) cpu_s=(\d+\.\d+)")
"""What the service says when it ends."""

END_S = 5.0
"""Seconds that the service gets to end by itself; it needs about 0.3."""


@dataclass(slots=True, kw_only=True)
class RunningService:
    """A service, and what it says of its work when it has ended.

    Attributes:
        base_url: What clients take as their base URL.
        paid_requests: Requests that were paid; None before the end.
        cpu_s: Processor time of its process from the open door on; None before the end.
    """

    base_url: str
    paid_requests: int | None = None
    cpu_s: float | None = None


@contextmanager
def simulated_service(latency_ms: float, seed: int) -> Iterator[RunningService]:
    """Run `semfn simulate --digest-labels` in a child process; yield where it is.

    Leaving the context ends that process and fills in what it says of its work.

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
        service = None
        try:
            name, _, base_url = child.stdout.readline().strip().partition("=")
            if name != "base_url":
                said = child.stderr.read().strip().splitlines() or ["it said nothing"]
                raise ConfigurationError(f"The simulated service did not start: {said[-1]}")
            service = RunningService(base_url=base_url)
            yield service
        finally:
            _end(child)
            if service is not None and (said_last := _LAST_LINE.search(child.stderr.read())):
                service.paid_requests = int(said_last[1])
                service.cpu_s = float(said_last[2])


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()
