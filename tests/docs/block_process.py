"""Runs one documented block or command line in a process of its own, with the imports done before.

Used by `test_code_blocks.py`. The processes are forked from one server that has loaded what every
block needs, so that a block costs its own work and not another second of imports. Nothing of one
block is left for the next.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path

PRELOADED = [
    "tests.docs.block_process",
    "analysis.__main__",
    "analysis.commands.run",
    "analysis.check",
    "analysis.bench.latency",
    "analysis.entry",
    "analysis.simulator.server",
    "analysis.transport.rest",
    "analysis.transport.websocket",
    "openai",
    "pandas",
    "rich.console",
]
OUTPUT = "output.txt"
STATUS = "status.txt"
"""Holds the exit code: the fork server reports 255 when it reads a fast child's end too late."""

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


def run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], *, timeout_s: float
) -> tuple[str, str]:
    """Run a script or the arguments of `semfn` in a folder.

    Args:
        words: `script.py`, or `semfn` and its arguments.
        folder: Becomes the current folder.
        environment: All of it.
        timeout_s: After which the process is ended.

    Returns:
        What it wrote on both streams, and what failed, or an empty string.
    """
    status = folder / STATUS
    status.unlink(missing_ok=True)
    process = CONTEXT.Process(target=_work, args=(list(words), folder, dict(environment)))
    process.start()
    process.join(timeout_s)
    is_late = process.is_alive()
    if is_late:
        process.kill()
        process.join()
    process.close()
    code = status.read_text(encoding="utf-8") if status.exists() else "none, it died"
    shown = (folder / OUTPUT).read_text(encoding="utf-8")
    failed = (
        f"no end within {timeout_s:g} s" if is_late else f"exit code {code}" if code != "0" else ""
    )
    return shown, failed


def _work(words: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Do it, in the new process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    target = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(target, stream)
    code: object = 0
    try:
        _perform(words)
    except SystemExit as end:
        code = end.code or 0
    Path(folder, STATUS).write_text(str(code), encoding="utf-8")


def _perform(words: list[str]) -> None:
    if words[0] != "semfn":
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        return
    from analysis.__main__ import main

    main(words[1:], prog_name="semfn")
