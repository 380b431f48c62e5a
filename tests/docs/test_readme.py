"""What the README states beside its blocks holds; the blocks run in `test_code_blocks.py`."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.__main__ import main
from analysis.connections import check_routes
from analysis.pipeline.output import OUTPUT_COLUMNS
from analysis.settings import ROUTES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_lines() -> list[str]:
    """Return every command line of the README."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_every_command_line_is_known() -> None:
    """No command stands in the README that the tests or the checks do not run."""
    expected = [
        "pip install .",  # `bootstrap.py check wheel` builds and installs the wheel
        "python3 bootstrap.py demo",  # tests/commands/test_demo.py, tests/test_bootstrap.py
        'semfn run chunks.csv --topic "Night trains" --local',  # from here on test_code_blocks.py
        "export OPENAI_API_KEY=...",
        "semfn check",
        'semfn run chunks.csv --topic "Night trains"',
        "semfn simulate --port 8080",
        "python3 bootstrap.py test",
    ]
    assert expected == shell_lines()


@pytest.mark.parametrize("column", OUTPUT_COLUMNS)
def test_columns_of_the_output_are_named(column: str) -> None:
    """Each column that a run writes stands in the README."""
    assert f"`{column}`" in README


@pytest.mark.parametrize("route", ROUTES)
def test_routes_are_named(route: str) -> None:
    """Each route that can be chosen has a row."""
    assert (route,) == check_routes(route)
    assert f"\n| `{route}` | " in README


def test_simulate_prints_its_address_first() -> None:
    """The documented service starts; another port is taken, since 8080 may be in use."""
    with subprocess.Popen(
        [sys.executable, "-m", "analysis", "simulate", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        child.send_signal(signal.SIGTERM)
    assert re.fullmatch(r"base_url=http://127\.0\.0\.1:\d+/v1\n", first)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5, 130])
def test_exit_codes_of_the_table_stand_in_the_help(code: int) -> None:
    """README and help name the same exit codes."""
    text = " ".join(CliRunner().invoke(main, ["run", "--help"]).output.split())
    assert f"| {code} |" in README
    assert re.search(rf"\b{code} \w", text.split("Exit codes:")[1])
