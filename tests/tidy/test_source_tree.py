"""The helpers of the tidy checks see what they should see."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tidy.source_tree import (
    ROOT,
    Import,
    comments_of,
    imports_of,
    internal_targets,
    package_modules,
    read_module,
    tracked_files,
    walked_files,
    write_tree,
)

PLANTED = {
    "analysis/__init__.py": "",
    "analysis/labels/__init__.py": "from .answer import read\n",
    "analysis/labels/answer.py": (
        "import json.decoder\n"
        "from . import prompt\n"
        "from ..records import Chunk\n"
        "def read():\n"
        "    import importlib\n"
        "    return importlib.import_module('analysis.entry')\n"
    ),
}


def test_relative_nested_and_dynamic_imports_are_found(tmp_path: Path) -> None:
    """Imports are absolute whatever their form, and those inside functions count."""
    root = write_tree(tmp_path, PLANTED)
    module = read_module(root / "analysis/labels/answer.py", root)
    assert [
        Import(name="analysis.entry", symbol=None, line=6),
        Import(name="analysis.labels", symbol="prompt", line=2),
        Import(name="analysis.records", symbol="Chunk", line=3),
        Import(name="importlib", symbol=None, line=5),
        Import(name="json.decoder", symbol=None, line=1),
    ] == sorted(imports_of(module), key=lambda entry: (entry.name, entry.line))


def test_relative_import_in_a_package_file_stays_in_the_package(tmp_path: Path) -> None:
    """`from .answer` in `labels/__init__.py` means `analysis.labels.answer`."""
    root = write_tree(tmp_path, PLANTED)
    module = read_module(root / "analysis/labels/__init__.py", root)
    expected = [("analysis.labels.answer", 1)]
    assert expected == list(internal_targets(module, set()))


def test_a_name_taken_from_a_package_is_a_module_if_there_is_one(tmp_path: Path) -> None:
    """`from . import prompt` points to the module `prompt` when the tree has it."""
    root = write_tree(tmp_path, {**PLANTED, "analysis/labels/prompt.py": ""})
    module = read_module(root / "analysis/labels/answer.py", root)
    known = {one.name for one in package_modules(root)}
    assert ("analysis.labels.prompt", 2) in list(internal_targets(module, known))


def test_names_and_units_follow_the_folders(tmp_path: Path) -> None:
    """A module's unit is the file or folder right below the package."""
    root = write_tree(tmp_path, PLANTED)
    expected = [
        ("analysis", "__init__"),
        ("analysis.labels", "labels"),
        ("analysis.labels.answer", "labels"),
    ]
    assert expected == [(module.name, module.unit) for module in package_modules(root)]


def test_comments_are_told_from_strings() -> None:
    """A `#` inside a string is no comment."""
    expected = {2: "why"}
    assert expected == comments_of("a = '# no'\nb = 1  # why\n")


def test_walk_skips_hidden_and_built_folders(tmp_path: Path) -> None:
    """Without git, caches and environments are left out and `.ci` is kept."""
    files = {
        ".venv/a.py": "",
        "x/__pycache__/b.py": "",
        ".ci/run": "",
        "x/c.py": "",
        ".gitignore": "",
    }
    root = write_tree(tmp_path, files)
    expected = [".ci/run", ".gitignore", "x/c.py"]
    assert expected == [path.relative_to(root).as_posix() for path in walked_files(root)]


def test_new_files_count_before_they_are_committed(tmp_path: Path) -> None:
    """Files that git does not ignore are listed, committed or not."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    root = write_tree(tmp_path, {".gitignore": "old.py\n", "old.py": "", "new.py": ""})
    subprocess.run([git, "init", "-q"], cwd=root, check=True)
    assert [root / ".gitignore", root / "new.py"] == tracked_files(root)


def test_the_real_tree_is_found() -> None:
    """The root is this repository: its own file and the package are listed."""
    names = {path.relative_to(ROOT).as_posix() for path in tracked_files(ROOT)}
    assert {"bootstrap.py", "analysis/records.py", "tests/tidy/source_tree.py"} <= names
