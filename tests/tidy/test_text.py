"""Words, names and addresses that do not belong into the repository."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.tidy.source_tree import (
    ROOT,
    assert_tidy,
    package_modules,
    places,
    python_files,
    tracked_files,
    write_tree,
)

# The patterns are put together from parts, so that this file does not contain what it looks for.
UNFINISHED = re.compile(
    r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")) + r")\b"
    r"|\bpass\s+# *stub",
)
HOME = re.compile(
    r"(?<![\w.:/*{}$%)-])/(?:" + "|".join(("home", "Users", "root", "work")) + r")/[\w.]"
    r"|\b[A-Za-z]:\\+Users\\+\w"
)
REGISTRY = re.compile(
    r"\b(?:"
    + "|".join(
        (
            r"pypi\.(?:org|python)",
            r"pythonhosted" + r"\.org",
            r"(?:conda\.)?anaconda" + r"\.(?:org|com)",
            r"registry\.(?:npmjs|yarnpkg)",
            r"jfrog\.io",
            "arti" + "factory",
            r"pkg\.dev",
        )
    )
    + r")",
    re.IGNORECASE,
)
BANNED_NAMES = frozenset({"utils", "helpers", "common", "misc", "base", "core", "manager"})
BANNED_FORMS = BANNED_NAMES | {"util", "helper", "managers"}
CODE_FOLDERS = ("analysis", "tests", "benchmarks", "bootstrap.py")
LARGEST_TEXT_BYTES = 5_000_000


def unfinished_failures(root: Path) -> list[str]:
    """Return the marks of unfinished work in Python files."""
    return [
        f"{path.relative_to(root).as_posix()}:{number}: {match[0]!r} marks unfinished work. Finish "
        "it or take it out; what is left for later belongs into an issue."
        for path in python_files(root)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := UNFINISHED.search(line))
    ]


def address_failures(root: Path) -> list[str]:
    """Return the paths of home or work folders and the registry hosts in text files."""
    failures = []
    for path in tracked_files(root):
        content = path.read_bytes()
        if b"\0" in content[:8192] or len(content) > LARGEST_TEXT_BYTES:
            continue
        where = path.relative_to(root).as_posix()
        lines = content.decode("utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if match := HOME.search(line):
                failures.append(
                    f"{where}:{number}: {match[0]!r} is a path of one machine. Use a path relative "
                    "to the repository or a temporary folder."
                )
            if match := REGISTRY.search(line):
                failures.append(
                    f"{where}:{number}: {match[0]!r} is the host of a package registry. Leave the "
                    "choice of the index to the configuration of pip or uv."
                )
    return failures


def name_failures(root: Path) -> list[str]:
    """Return files and folders whose name says nothing about their subject."""
    failures = []
    for path in python_files(root, *CODE_FOLDERS):
        inner = path.relative_to(root)
        for part in (*inner.parts[:-1], inner.stem.removeprefix("test_")):
            if part.lower() in BANNED_FORMS or part.lower().split("_")[-1] in BANNED_FORMS:
                failures.append(
                    f"{inner.as_posix()}:1: the name {part!r} fits everything. Name it by a "
                    "noun of the field, or move its parts to the files that they belong to."
                )
    return failures


def docstring_failures(root: Path) -> list[str]:
    """Return the modules of the package that do not open with a docstring."""
    return [
        f"{module.where}:1: no module docstring. Open with its role, pure or io, and who calls it."
        for module in package_modules(root)
        if not (ast.get_docstring(module.tree) or "").strip()
    ]


def test_nothing_is_marked_as_unfinished() -> None:
    """No Python file of the repository carries a mark of unfinished work."""
    assert_tidy(unfinished_failures(ROOT))


def test_no_paths_of_one_machine_and_no_registry_hosts() -> None:
    """No text file names a home or work folder or the host of a package registry."""
    assert_tidy(address_failures(ROOT))


def test_names_are_nouns_of_the_field() -> None:
    """No file or folder has a name from the list of names that fit everything."""
    assert_tidy(name_failures(ROOT))


def test_modules_open_with_a_docstring() -> None:
    """Every module of the package says what it is for."""
    assert_tidy(docstring_failures(ROOT))


def test_planted_unfinished_work_is_caught(tmp_path: Path) -> None:
    """Each mark is found as a word, in any Python file, and parts of words are left alone."""
    marks = ("TO" + "DO later", "FIX" + "ME", "XX" + "X", "raise NotImplemented" + "Error()")
    lines = [*(f"# {mark}" for mark in marks), "pass  # " + "stub", "x = 'XX" + "XL'", "pass"]
    root = write_tree(tmp_path, {"benchmarks/a.py": "\n".join(lines)})
    expected = [f"benchmarks/a.py:{line}" for line in (1, 2, 3, 4, 5)]
    assert expected == places(unfinished_failures(root))


def test_planted_addresses_are_caught(tmp_path: Path) -> None:
    """Home and work folders and registry hosts are found; addresses and shares are left alone."""
    lines = (
        "see /" + "home/someone/x",
        "'/" + "Users/someone'",
        '"C:\\' + 'Users\\someone"',
        "(/" + "work/tree)",
        "/" + "root/.cache",
        "https://" + "pypi" + ".org/simple",
        "https://files." + "pythonhosted" + ".org/x",
        "https://example.org/home/page and ./work/x and and/or/work/x",
        "~/x, /v1/responses, $HOME/x, /homework/x",
    )
    root = write_tree(tmp_path, {"docs/a.md": "\n".join(lines)})
    expected = [f"docs/a.md:{line}" for line in (1, 2, 3, 4, 5, 6, 7)]
    assert expected == places(address_failures(root))


def test_binary_files_are_left_alone(tmp_path: Path) -> None:
    """A file with zero bytes is not read as text."""
    (tmp_path / "a.bin").write_bytes(b"\0/" + b"home/someone")
    expected: list[str] = []
    assert expected == address_failures(tmp_path)


def test_planted_names_are_caught(tmp_path: Path) -> None:
    """A banned name is found as file, as folder, as ending and as test of such a file."""
    names = ("analysis/utils.py", "analysis/core/a.py", "analysis/io_helpers.py")
    files = dict.fromkeys((*names, "tests/test_common.py", "analysis/base_url.py"), "")
    expected = sorted(f"{name}:1" for name in (*names, "tests/test_common.py"))
    assert expected == sorted(places(name_failures(write_tree(tmp_path, files))))


def test_planted_missing_docstring_is_caught(tmp_path: Path) -> None:
    """A module with a comment only, and an empty package file, have no docstring."""
    files = {
        "analysis/a.py": "# words\nx = 1\n",
        "analysis/__init__.py": "",
        "analysis/b.py": '"""Words."""\n',
    }
    expected = ["analysis/__init__.py:1", "analysis/a.py:1"]
    assert expected == places(docstring_failures(write_tree(tmp_path, files)))
