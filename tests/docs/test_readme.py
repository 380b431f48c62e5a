"""What the README shows works as it is written there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.entry import local_service

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHUNKS = """id,text
1,"A night train sells no speed; it sells a night."
2,"Take the line to the coast: it has been full since May."
"""


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return pattern.findall(README)


def shell_lines() -> list[str]:
    """Return every command line of the README."""
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


def run_semfn(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a documented `semfn` line with the program of this checkout."""
    words = shlex.split(line)
    assert words[0] == "semfn"
    return subprocess.run(
        [sys.executable, "-m", "analysis", *words[1:]],
        cwd=folder,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    """Return the environment without keys and addresses, with this checkout in front."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return kept | {"PYTHONPATH": str(ROOT)}


def test_every_command_line_is_known() -> None:
    """No command stands in the README that this file or the checks do not run."""
    assert shell_lines() == [
        "pip install .",  # `bootstrap.py check wheel` builds and installs the wheel
        "python3 bootstrap.py demo",  # tests/commands/test_demo.py, tests/test_bootstrap.py
        'semfn run chunks.csv --topic "Night trains" --local',
        "export OPENAI_API_KEY=...",
        'semfn run chunks.csv --topic "Night trains"',
        "semfn simulate --port 8080",
        "python3 bootstrap.py test",
    ]


def test_local_run_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """The first run works, and its first words are the ones shown."""
    (tmp_path / "chunks.csv").write_text(CHUNKS, encoding="utf-8")
    done = run_semfn('semfn run chunks.csv --topic "Night trains" --local', tmp_path)
    assert done.returncode == 0, done.stderr
    (shown,) = blocks("text")
    assert shown.strip() in done.stderr
    header = (tmp_path / "chunks.labeled.csv").read_text(encoding="utf-8").splitlines()[0]
    for column in header.split(",")[2:]:
        assert f"`{column}`" in README


def test_run_with_a_key_works_against_a_service(tmp_path: Path) -> None:
    """The command without --local sends to the address that is set."""
    (tmp_path / "chunks.csv").write_text(CHUNKS, encoding="utf-8")
    with local_service() as base_url:
        done = run_semfn(
            'semfn run chunks.csv --topic "Night trains"',
            tmp_path,
            OPENAI_API_KEY="any",
            OPENAI_BASE_URL=base_url,
        )
    assert done.returncode == 0, done.stderr


def test_simulate_prints_its_address_first() -> None:
    """The documented service starts; another port is taken, since 8080 may be in use."""
    with subprocess.Popen(
        [sys.executable, "-m", "analysis", "simulate", "--port", "0"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        child.send_signal(signal.SIGTERM)
    assert re.fullmatch(r"base_url=http://127\.0\.0\.1:\d+/v1\n", first)


def test_python_example_runs(tmp_path: Path) -> None:
    """The example prints one line per chunk with label, route and model."""
    (example,) = blocks("python")
    with local_service() as base_url:
        done = subprocess.run(
            [sys.executable, "-c", example],
            cwd=tmp_path,
            env=clean_environment() | {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": base_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    ids = [line.split()[0] for line in done.stdout.splitlines()]
    assert ids == ["1", "2"]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5, 130])
def test_exit_codes_of_the_table_stand_in_the_help(code: int) -> None:
    """README and help name the same exit codes."""
    from click.testing import CliRunner

    from analysis.__main__ import main

    text = " ".join(CliRunner().invoke(main, ["run", "--help"]).output.split())
    assert f"| {code} |" in README
    assert re.search(rf"\b{code} \w", text.split("Exit codes:")[1])
