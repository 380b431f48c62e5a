"""Neither the key nor the text of a chunk gets into a log, whatever level others have set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary.canary import KEY, TEXT, found_in, table
from tests.crash.kill import ROOT, SHAPES, simulated_service

ROUTES = ("responses-ws", "realtime", "rest", "decisions")


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve in a process of its own, so that all that is logged here is the client's."""
    log = tmp_path_factory.mktemp("service") / "payments.jsonl"
    with simulated_service(log, SHAPES[0], 1) as address:
        yield address


def logged(base_url: str, folder: Path, *routes: str) -> tuple[str, str]:
    """Run a program that logs everything, asyncio's debug mode on; return stdout and stderr."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.canary.program", base_url, str(folder), *routes],
        cwd=ROOT,
        env=os.environ | {"PYTHONASYNCIODEBUG": "1", "OPENAI_LOG": "debug"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert 0 == ended.returncode, ended.stderr
    return ended.stdout, ended.stderr


def test_a_log_at_debug_holds_neither_key_nor_text(base_url: str, tmp_path: Path) -> None:
    """All routes, root logger and asyncio at DEBUG: lines of other packages, and no secret."""
    table(tmp_path)
    said, log = logged(base_url, tmp_path, *ROUTES)
    assert [f"{route} 0 3" for route in ROUTES] == said.splitlines()
    assert [] == found_in(log)
    assert {"asyncio", "httpx2"} <= {line.split(" | ")[0] for line in log.splitlines()}


def test_the_package_below_would_log_both(base_url: str, tmp_path: Path) -> None:
    """Without our logger the websockets package writes key and text, so the search finds them."""
    _, log = logged(base_url, tmp_path, "bare")
    assert [KEY, TEXT] == found_in(log)
