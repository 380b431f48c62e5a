"""Broad exception handlers are few and each says why."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.source_tree import (
    ROOT,
    Module,
    assert_tidy,
    calls_of,
    comments_of,
    dotted,
    package_modules,
    places,
    write_tree,
)

MOST = 5
BROAD = frozenset({"Exception", "BaseException"})
MARKS = re.compile(r"noqa(: ?[A-Z0-9, ]+)?|type: ?ignore(\[[^]]*\])?|pragma: ?no cover")


def broad_handlers(module: Module) -> Iterator[int]:
    """Yield the lines that catch everything: bare except, Exception, BaseException, suppress."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or names_broad(node.type)):
            yield node.lineno
    for name, call in calls_of(module.tree):
        if name.endswith("suppress") and any(names_broad(argument) for argument in call.args):
            yield call.lineno


def names_broad(node: ast.expr) -> bool:
    """Return whether an expression, or a part of a tuple, names a class that catches everything."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(dotted(part).rsplit(".", 1)[-1] in BROAD for part in parts)


def handler_failures(root: Path) -> list[str]:
    """Return broad handlers without a reason, and all of them if there are too many."""
    failures, found = [], []
    for module in package_modules(root):
        comments = comments_of(module.text)
        for line in sorted(broad_handlers(module)):
            found.append(f"{module.where}:{line}")
            near = " ".join(comments.get(line + step, "") for step in (-1, 0, 1))
            if len(re.findall(r"\w+", MARKS.sub("", near))) < 3:
                failures.append(
                    f"{module.where}:{line}: broad handler without a reason. Catch the errors that "
                    "are meant; at a task boundary keep it and say why in a comment beside it."
                )
    if len(found) > MOST:
        failures += [
            f"{place}: one of {len(found)} broad handlers; at most {MOST}. Catch what is meant."
            for place in found
        ]
    return failures


def test_broad_handlers_are_few_and_explained() -> None:
    """At most five handlers of the package catch everything, each with a comment."""
    assert_tidy(handler_failures(ROOT))


def test_planted_handlers_without_reason_are_caught(tmp_path: Path) -> None:
    """Each form is found; a comment with words is a reason, a mark for a linter is not."""
    text = (
        "try:\n    f()\nexcept Exception:  # noqa: BLE001\n    g()\n"
        "try:\n    f()\nexcept:\n    g()\n"
        "try:\n    f()\nexcept (ValueError, BaseException) as e:\n    g()\n"
        "with contextlib.suppress(Exception):\n    f()\n"
        "try:\n    f()\nexcept Exception:  # noqa: BLE001 - the task ends here and is recorded\n"
        "    g()\n"
        "try:\n    f()\nexcept ValueError:\n    g()\n"
    )
    root = write_tree(tmp_path, {"analysis/a.py": text})
    expected = [f"analysis/a.py:{line}" for line in (3, 7, 11, 13)]
    assert expected == places(handler_failures(root))


def test_planted_sixth_handler_is_caught(tmp_path: Path) -> None:
    """Six explained handlers are one too many, and all places are listed."""
    one = "try:\n    f()\nexcept Exception:  # the task boundary of a worker\n    g()\n"
    expected: list[str] = []
    assert expected == handler_failures(write_tree(tmp_path, {"analysis/a.py": one * 5}))
    assert len(handler_failures(write_tree(tmp_path, {"analysis/b.py": one}))) == 6
