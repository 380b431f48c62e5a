"""What the tidy checks know about the source tree: files, modules, imports, functions, comments.

Used by the tests of this folder only. All functions take the root of a checkout, so that each
check can be tried on a small planted tree.
"""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "analysis"
SKIPPED_FOLDERS = frozenset({"build", "dist", "node_modules", "demo-output"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module: `name` is absolute, `symbol` the name taken from it, or None."""

    name: str
    symbol: str | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One Python file, parsed."""

    root: Path
    path: Path
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        """Path relative to the root, with slashes."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def name(self) -> str:
        """Dotted name, such as `analysis.labels.answer`; a package has the name of its folder."""
        parts = list(self.path.relative_to(self.root).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def unit(self) -> str:
        """The file or folder right below the package, such as `labels`; `__init__` for the top."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"


def read_module(path: Path, root: Path) -> Module:
    """Read and parse one Python file."""
    text = path.read_text(encoding="utf-8")
    return Module(root=root, path=path, text=text, tree=ast.parse(text, filename=str(path)))


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """Write files by relative path, for planted examples; return the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def tracked_files(root: Path) -> list[Path]:
    """Return the files that belong to the repository, including those not yet committed.

    Without git, or outside of a repository, all files but those in hidden and built folders.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (root / ".git").exists():
        try:
            listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return walked_files(root)
        paths = [root / name for name in listed.decode("utf-8").split("\0") if name]
        return sorted({path for path in paths if path.is_file()})
    return walked_files(root)


def walked_files(root: Path) -> list[Path]:
    """Return all files below the root except those in hidden, cache and built folders."""
    found = []
    for path in sorted(root.rglob("*")):
        folders = path.relative_to(root).parts[:-1]
        is_skipped = any(
            part in SKIPPED_FOLDERS or part.startswith("__") or (part[0] == "." and part != ".ci")
            for part in folders
        )
        if path.is_file() and not is_skipped:
            found.append(path)
    return found


def python_files(root: Path, *folders: str) -> list[Path]:
    """Return the Python files of the repository, only those below `folders` if any are given."""
    return [
        path
        for path in tracked_files(root)
        if path.suffix == ".py" and (not folders or path.relative_to(root).parts[0] in folders)
    ]


def package_modules(root: Path) -> list[Module]:
    """Return all modules of the package, parsed."""
    return [read_module(path, root) for path in python_files(root, PACKAGE)]


def imports_of(module: Module) -> list[Import]:
    """Return all imports of a module: anywhere in the file, relative ones made absolute.

    `importlib.import_module("...")` with a fixed name counts.
    """
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found += [Import(name=one.name, symbol=None, line=node.lineno) for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute_name(module, node)
            found += [Import(name=base, symbol=one.name, line=node.lineno) for one in node.names]
        elif isinstance(node, ast.Call) and node.args:
            first = node.args[0]
            is_import = dotted(node.func).rsplit(".", 1)[-1] in ("import_module", "__import__")
            if is_import and isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append(Import(name=first.value, symbol=None, line=node.lineno))
    return found


def absolute_name(module: Module, node: ast.ImportFrom) -> str:
    """Return the absolute name of the module that a `from` import names."""
    if not node.level:
        return node.module or ""
    is_package = module.path.name == "__init__.py"
    parts = module.name.split(".")
    kept = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def internal_targets(module: Module, known: set[str]) -> Iterator[tuple[str, int]]:
    """Yield the modules of the package that a module imports, with lines.

    `known` holds the names of all modules: `from analysis.labels import answer` means the module
    `analysis.labels.answer` if there is one, else the package `analysis.labels`.
    """
    for entry in imports_of(module):
        if entry.name.split(".")[0] != PACKAGE:
            continue
        deeper = f"{entry.name}.{entry.symbol}"
        yield (deeper if deeper in known else entry.name), entry.line


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for a chain of names; calls in the chain are shown as `()`; else empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else node.attr
    if isinstance(node, ast.Call):
        return f"{dotted(node.func)}()"
    return ""


def calls_of(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield all calls with the dotted name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def functions_of(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield all functions and methods, also nested ones."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def comments_of(text: str) -> dict[int, str]:
    """Return the comments of a Python source by line, without the leading `#`."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def assert_tidy(failures: list[str]) -> None:
    """Fail with one line per finding; each names the place and the cure."""
    assert not failures, "\n" + "\n".join(failures)


def places(failures: list[str]) -> list[str]:
    """Return the `file:line` parts of failures, for comparison in tests."""
    return [":".join(failure.split(":")[:2]) for failure in failures]
