"""The guesses of the simulated service: those that a profile can switch, and those that it cannot.

io: reads the sources of the simulator. A guess is marked (G) in the docstring of a class of
`profile` behind the field that it is about, or in the text below a constant.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from analysis.simulator import profile
from analysis.simulator.profile import PROFILE

FOLDER = Path(profile.__file__).parent
MARK = re.compile(r" \((?:[^()]*: )?G\)")
_FIELD = re.compile(r"(\w+): (.*)", re.DOTALL)


class Switch(NamedTuple):
    """One guess: where it is, what it is set to, what it does."""

    name: str
    value: str
    words: str


def switches(values: Any = PROFILE, prefix: str = "") -> Iterator[Switch]:
    """Return the fields of a profile that are marked as guesses, those of its parts included."""
    words = _attributes(type(values))
    for field in fields(values):
        value = getattr(values, field.name)
        if is_dataclass(value):
            yield from switches(value, f"{prefix}{field.name}.")
        elif MARK.search(words[field.name]):
            yield Switch(f"{prefix}{field.name}", repr(value), _plain(words[field.name]))


def constants() -> Iterator[Switch]:
    """Return the constants of the simulator that are marked as guesses and that nothing changes."""
    for path in sorted(FOLDER.glob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, below in pairwise(body):
            text = _text(below)
            if isinstance(node, ast.Assign) and MARK.search(text):
                name = f"{path.stem}.{ast.unparse(node.targets[0])}"
                yield Switch(name, ast.unparse(node.value), _plain(text))


def _text(node: ast.stmt) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return ""


def _attributes(kind: type) -> dict[str, str]:
    """Return field -> its words in the section `Attributes` of a class."""
    entries = inspect.getdoc(kind).partition("Attributes:\n")[2]  # type: ignore[union-attr]
    found = {}
    for entry in re.split(r"\n    (?=\w)", f"\n{entries}")[1:]:
        matched = _FIELD.match(entry)
        assert matched is not None, entry
        found[matched[1]] = matched[2]
    return found


def _plain(words: str) -> str:
    return MARK.sub("", " ".join(words.split()))
