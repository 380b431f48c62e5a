"""The local service and its clients, each in a process of its own.

io. `sockets` uses it. All of it stays on 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from benchmarks.score import constants
from benchmarks.score.constants import Regime

ROOT = Path(__file__).resolve().parents[2]
END_S = 5.0
"""A process that has nothing more to do gets so long to end by itself."""

FAULT_NAMES = {
    "server_error": "error_500",
    "drop": "drop",
    "hang": "hang",
    "void": "malformed",
}
"""Field of `Faults` -> name of the same fault in the local service."""


def service_options(regime: Regime, seed: int) -> list[str]:
    """Return the options of `semfn simulate` that make it the service of a regime.

    The buckets of the local service start full. To start with less, the limits are that low until
    the first request, which comes after they are raised.
    """
    (window_s,), (fill, _) = regime.windows_s, regime.fill
    options = ["--canned", f"--seed={seed}"]
    options += [f"--latency-ms={regime.ways[0].ttft_s * 1e3:g}"]
    options += [f"--ms-per-token={1e3 / regime.tokens_per_s:g}"]
    for name, limit in (("rpm", regime.rpm), ("tpm", regime.tpm)):
        options += [f"--{name}={round(limit * fill)}", f"--fault=limits:{name}={limit}@0-"]
    profile = {
        "latency_sigma": regime.ttft_sigma,
        "tail_share": regime.tail_chance,
        "tail_factor": constants.TAIL_START,
        "tail_alpha": constants.TAIL_ALPHA,
    }
    if window_s < 60.0:
        profile["hidden_window_s"] = window_s
    options += [f"--set={name}={value}" for name, value in profile.items()]
    if not any(way.tells_limits for way in regime.ways):
        options.append('--set=lie="absent"')
    for field, name in FAULT_NAMES.items():
        if chance := getattr(regime.faults, field):
            options.append(f"--fault={name}={chance}")
    if regime.outage is not None:
        begin, end = regime.outage
        options.append(f"--outage={regime.ways[0].name}={begin:g}:{end - begin:g}")
    return options


@contextmanager
def service(options: Sequence[str]) -> Iterator[str]:
    """Run the local service with these options; yield its base URL.

    Raises:
        RuntimeError: If it does not start; quotes what it said.
    """
    command = [sys.executable, "-m", "analysis", "simulate", *options]
    with subprocess.Popen(
        command,
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
                raise RuntimeError(f"The service did not start: {child.stderr.read()}")
            yield base_url
        finally:
            child.terminate()
            end(child)


class Client:
    """A client's process; use it with `with`.

    Args:
        state: Folder in which processes of one user share what they know of the account.
    """

    def __init__(self, state: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("client.py"))],
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(state)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.hear()

    def ask(self, job: dict[str, Any]) -> None:
        """Let it begin a job."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(job) + "\n")
        self._child.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Wait for its next line; the first one has no figures.

        Raises:
            RuntimeError: If it has ended.
        """
        assert self._child.stdout is not None
        line = self._child.stdout.readline().strip()
        if not line:
            raise RuntimeError("A client ended before its job; its error stands above.")
        found: dict[str, Any] = {} if line == "ready" else json.loads(line)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.close()
        end(self._child)
        self._child.stdout.close()


@contextmanager
def clients(count: int) -> Iterator[list[Client]]:
    """Run so many clients that share a state folder of their own."""
    with TemporaryDirectory() as folder:
        running = [Client(Path(folder)) for _ in range(count)]
        try:
            yield running
        finally:
            for one in running:
                one.__exit__(None, None, None)


def end(child: subprocess.Popen[str]) -> None:
    """Wait until a process has ended; kill it if it does not."""
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
