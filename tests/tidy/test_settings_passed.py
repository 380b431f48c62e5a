"""Every setting is read, and whoever holds settings hands them on.

A parameter with the usual settings as its default is easily forgotten in a call: then a knob that a
user turned does nothing there, and no test of the called part shows it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from analysis.settings import Settings
from tests.tidy.source_tree import (
    PACKAGE,
    ROOT,
    Module,
    absolute_name,
    assert_tidy,
    dotted,
    places,
    python_files,
    read_module,
    write_tree,
)

USUAL = "SETTINGS"
"""Name of the defaults, in every module."""

DOORS = frozenset({"audit", "bench", "check", "commands", "testing", "simulator"})
"""These take no settings of a user, so all that they call has the usual ones."""

OWN = frozenset({"settings", "settings_control"})
"""Where the settings stand."""

HOLDERS = frozenset({"settings", "_settings", "knobs", "_knobs"})
"""Names under which modules hold settings."""

COMPARED = frozenset({"analysis.control.pacing"})
"""Reads the usual value to tell whether a limit was entered."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


Source = tuple[Module, list[ast.AST]]
"""A module with all of its nodes."""


@functools.cache
def sources(root: Path) -> tuple[Source, ...]:
    """Return the modules that settings reach, each walked once."""
    modules = (read_module(path, root) for path in python_files(root, PACKAGE))
    return tuple(
        (module, list(ast.walk(module.tree)))
        for module in modules
        if module.unit not in DOORS | OWN
    )


def names_usual(node: ast.AST | None) -> bool:
    """Tell whether an expression has the usual settings in it."""
    found = () if node is None else ast.walk(node)
    return any(isinstance(one, ast.Name) and one.id == USUAL for one in found)


def defaulted(function: Function, *, is_method: bool) -> dict[str, int | None]:
    """Return parameter -> position in a call, of those whose default is a usual setting."""
    given = [*function.args.posonlyargs, *function.args.args][is_method:]
    late = function.args.defaults
    places = list(enumerate(given))[len(given) - len(late) :] if late else []
    found: dict[str, int | None] = {
        name.arg: number
        for (number, name), default in zip(places, late, strict=True)
        if names_usual(default)
    }
    for name, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if names_usual(value):
            found[name.arg] = None
    return found


def takers(module: Module) -> Iterator[tuple[str, dict[str, int | None]]]:
    """Yield what can be called by name and takes settings, and which of its parameters do."""
    for node in module.tree.body:
        if isinstance(node, Function):
            yield node.name, defaulted(node, is_method=False)
        if isinstance(node, ast.ClassDef):
            own: dict[str, int | None] = {
                entry.target.id: None
                for entry in node.body
                if isinstance(entry, ast.AnnAssign)
                and isinstance(entry.target, ast.Name)
                and names_usual(entry.value)
            }
            for method in node.body:
                if isinstance(method, Function):
                    is_static = "staticmethod" in map(dotted, method.decorator_list)
                    found = defaulted(method, is_method=not is_static)
                    if method.name == "__init__":
                        own |= found
                    else:
                        yield f"{node.name}.{method.name}", found
            yield node.name, own


def passing_failures(root: Path) -> list[str]:
    """Return each call that leaves out settings, and each look at the usual ones instead."""
    known = {
        f"{module.name}.{name}": found
        for module, _ in sources(root)
        for name, found in takers(module)
        if found
    }
    return [
        failure
        for source in sources(root)
        for failure in (*left_out(source, known), *looked_up(source))
    ]


def left_out(source: Source, known: dict[str, dict[str, int | None]]) -> Iterator[str]:
    """Yield the calls of a module that do not say which settings count."""
    module, nodes = source
    homes = {
        one.name: f"{absolute_name(module, node)}.{one.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for one in node.names
    }
    for call in nodes:
        if not isinstance(call, ast.Call):
            continue
        name = dotted(call.func)
        head, _, rest = name.partition(".")
        home = homes.get(head, f"{module.name}.{head}")
        wanted = known.get(f"{home}.{rest}" if rest else home, {})
        given = {entry.arg for entry in call.keywords}
        missing = [
            parameter
            for parameter, position in wanted.items()
            if not given & {parameter, None}  # None: two stars, which may hold it
            and (position is None or position >= len(call.args))
        ]
        for parameter in missing:
            yield (
                f"{module.where}:{call.lineno}: {name}() is called without {parameter}, so it has "
                "the usual settings whatever its user says. Hand the settings on."
            )


def looked_up(source: Source) -> Iterator[str]:
    """Yield where a module reads a usual setting that is no default of a parameter or field."""
    module, nodes = source
    if module.name in COMPARED or USUAL not in module.text:
        return
    defaults = {
        id(one) for node in nodes for default in _defaults(node) for one in ast.walk(default)
    }
    for node in nodes:
        is_usual = isinstance(node, ast.Attribute) and dotted(node.value) == USUAL
        if isinstance(node, ast.Attribute) and is_usual and id(node) not in defaults:
            yield (
                f"{module.where}:{node.lineno}: {dotted(node)} is the usual value, whatever a user "
                "says. Take `settings` as an argument."
            )


def _defaults(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.arguments):
        return [*node.defaults, *(default for default in node.kw_defaults if default is not None)]
    return [node.value] if isinstance(node, ast.AnnAssign) and node.value is not None else []


@functools.cache
def read_names(root: Path) -> frozenset[str]:
    """Return the names that modules read of the settings that they hold."""
    names = [entry.name for entry in fields(Settings)]
    found = set()
    for _, nodes in sources(root):
        for node in nodes:
            if isinstance(node, ast.Attribute) and _is_held(node.value):
                found.add(node.attr)
            if isinstance(node, ast.Call) and dotted(node.func) == "getattr":
                spelled, is_held = node.args[1], _is_held(node.args[0])
                found |= {one for one in names if is_held and _may_be(spelled, one)}
    return frozenset(found)


def _is_held(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in HOLDERS


def _may_be(node: ast.expr, name: str) -> bool:
    """Tell whether a name that is put together, such as f"{route}_in_flight", may be this one."""
    if not isinstance(node, ast.JoinedStr) or not isinstance(node.values[-1], ast.Constant):
        return False
    return name.endswith(str(node.values[-1].value))


@pytest.mark.parametrize("name", [entry.name for entry in fields(Settings)])
def test_every_setting_is_read(name: str) -> None:
    """A knob that nothing reads must go: it promises what does not happen."""
    assert name in read_names(ROOT), f"Nothing reads the setting {name}. Use it, or remove it."


def test_settings_are_handed_on() -> None:
    """From the doors that take them down to each part that reads one."""
    assert_tidy(passing_failures(ROOT))


def test_planted_gaps_are_caught(tmp_path: Path) -> None:
    """A call without settings, by name and by class, and a look at the usual value."""
    files = {
        "analysis/control/pacing.py": (
            "def wait(first, settings=SETTINGS): ...\n"
            "class Pacer:\n"
            "    def __init__(self, *, knobs=SETTINGS): ...\n"
            "    @classmethod\n"
            "    def of(cls, first, *, most_s=SETTINGS.most_s): ...\n"
            "x = SETTINGS.most_s\n"
        ),
        "analysis/entry.py": (
            "from analysis.control.pacing import Pacer, wait\n"
            "wait(1)\nwait(1, mine)\nwait(1, settings=mine)\nwait(1, **mine)\n"
            "Pacer()\nPacer(knobs=mine)\nPacer.of(1)\nother.of(1)\nother.wait(1)\n"
            "def door(settings=SETTINGS):\n    return SETTINGS.small\n"
        ),
        "analysis/commands/run.py": "from analysis.control.pacing import wait\nwait(1)\n",
    }
    root = write_tree(tmp_path, files)
    expected = [f"analysis/entry.py:{line}" for line in (2, 6, 8, 12)]
    assert expected == sorted(places(passing_failures(root)), key=lambda place: (len(place), place))


def test_planted_readers_are_found(tmp_path: Path) -> None:
    """Under each name of a holder, and by a name that is put together; another's field is none."""
    lines = (
        "a = self._settings.silence_s",
        "b = profile.window_s",
        "c = getattr(settings, f'{route}_in_flight')",
        "d = getattr(settings, name)",
    )
    root = write_tree(tmp_path, {"analysis/control/pacing.py": "\n".join(lines) + "\n"})
    flights = {one.name for one in fields(Settings) if one.name.endswith("_in_flight")}
    assert flights | {"silence_s"} == read_names(root)
