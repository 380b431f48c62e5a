"""The table of failures names tests that exist, and exit codes that the command has."""

from __future__ import annotations

import ast
import re

import pytest

from tests.tidy.source_tree import ROOT

PAGE = ROOT / "docs" / "reference" / "failures.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
CODES = {"0", "1", "2", "3", "4", "5", "130", "137"}

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| situation"))
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_each_row_names_a_test_that_exists(row: list[str]) -> None:
    """Situation, what happens, exit code, cure and test, none of them empty."""
    assert 5 == len(row)
    assert all(row)
    found = NAMED.findall(row[4])
    assert found
    for path, name in found:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert name in {node.name for node in tree.body if isinstance(node, functions)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_each_exit_code_is_one_of_the_command(row: list[str]) -> None:
    """A row names codes of the command, or says in words where there is none."""
    assert set(re.findall(r"\d+", row[2])) <= CODES


def test_the_page_is_not_short() -> None:
    """The 27 odd files and what the promises are about have their rows."""
    assert 60 < len(ROWS)
