"""Importing the package and asking for help stay light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.tidy.source_tree import ROOT, assert_tidy, write_tree

HEAVY = ("openai", "pandas", "aiohttp", "websockets", "numpy")

IMPORT = "import analysis"
HELP = """
import contextlib, io, runpy
sys.argv = ["semfn", "--help"]
try:
    with contextlib.redirect_stdout(io.StringIO()):
        runpy.run_module("analysis", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, f"--help ended with {end.code}"
"""


def loaded_after(code: str, root: Path) -> list[str]:
    """Run code in a fresh Python that sees the package below `root`; return the heavy modules."""
    report = f"\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}{report}"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    loaded: list[str] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def start_failures(code: str, what: str, root: Path) -> list[str]:
    """Return the heavy modules that a start of the package loads."""
    return [
        f"analysis/__init__.py:1: {what} loads {name}. Import it inside the function that needs it;"
        f' find the way with: python -X importtime -c "import analysis" 2>&1 | grep {name}'
        for name in loaded_after(code, root)
    ]


def test_import_is_light() -> None:
    """`import analysis` loads none of the heavy packages."""
    assert_tidy(start_failures(IMPORT, "import analysis", ROOT))


def test_help_is_light() -> None:
    """`semfn --help` loads none of the heavy packages."""
    assert_tidy(start_failures(HELP, "semfn --help", ROOT))


def test_planted_heavy_start_is_caught(tmp_path: Path) -> None:
    """A heavy import is found after an import and after help, which are told apart."""
    files = {
        "analysis/__init__.py": "import websockets\n",
        "analysis/__main__.py": "import sys\nimport aiohttp\nprint('Usage')\nsys.exit(0)\n",
    }
    root = write_tree(tmp_path, files)
    expected = [["websockets"], ["aiohttp", "websockets"]]
    assert expected == [loaded_after(IMPORT, root), loaded_after(HELP, root)]
