"""Files and functions stay short enough to be read at once."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.tidy.source_tree import (
    ROOT,
    assert_tidy,
    functions_of,
    package_modules,
    places,
    python_files,
    write_tree,
)

FILE_LINES = 500
FUNCTION_LINES = 70
FOLDERS = ("analysis", "tests", "benchmarks", "bootstrap.py")


def file_failures(root: Path) -> list[str]:
    """Return the Python files that are too long."""
    failures = []
    for path in python_files(root, *FOLDERS):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > FILE_LINES:
            failures.append(
                f"{path.relative_to(root).as_posix()}:{count}: {count} lines; at most {FILE_LINES}."
                " Split the file by subject, each part named by a noun of the field."
            )
    return failures


def function_failures(root: Path) -> list[str]:
    """Return the functions of the package that are too long, docstring included."""
    return [
        f"{module.where}:{node.lineno}: {node.name} has {length} lines; at most {FUNCTION_LINES}. "
        "Give a part of it a name of its own."
        for module in package_modules(root)
        for node in functions_of(module)
        if (length := function_length(node)) > FUNCTION_LINES
    ]


def function_length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function from `def` to its end."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_are_short() -> None:
    """No Python file of the repository is longer than the limit."""
    assert_tidy(file_failures(ROOT))


def test_functions_are_short() -> None:
    """No function of the package is longer than the limit."""
    assert_tidy(function_failures(ROOT))


def test_planted_long_file_is_caught(tmp_path: Path) -> None:
    """The limit itself is allowed, one line more is not, in each folder."""
    files = {
        "analysis/a.py": "x = 1\n" * FILE_LINES,
        "tests/b.py": "x = 1\n" * (FILE_LINES + 1),
        "benchmarks/c.py": "x = 1\n" * (FILE_LINES + 1),
        "bootstrap.py": "x = 1\n" * (FILE_LINES + 1),
        "elsewhere/d.py": "x = 1\n" * (FILE_LINES + 1),
    }
    expected = ["benchmarks/c.py:501", "bootstrap.py:501", "tests/b.py:501"]
    assert expected == places(file_failures(write_tree(tmp_path, files)))


def test_planted_long_function_is_caught(tmp_path: Path) -> None:
    """The limit itself is allowed, one line more is not, also for async methods."""
    body = "    x = 1\n" * (FUNCTION_LINES - 1)
    text = f"def good():\n{body}\ndef bad():\n{body}    x = 1\n"
    method = "        x = 1\n" * FUNCTION_LINES
    text += f"class A:\n    async def worse(self):\n{method}"
    root = write_tree(tmp_path, {"analysis/a.py": text})
    expected = ["analysis/a.py:72", "analysis/a.py:144"]
    assert expected == places(function_failures(root))
