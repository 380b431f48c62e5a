"""Pure folders stay pure, and the clock, sleep and global chance stay in the modules for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.source_tree import (
    ROOT,
    Module,
    assert_tidy,
    calls_of,
    dotted,
    imports_of,
    package_modules,
    places,
    write_tree,
)

PURE_UNITS = frozenset(
    {"records", "settings", "models", "prices", "errors", "telemetry", "quoting"}
    | {"labels", "control", "wire", "evaluation", "simulator"}
)
IO_IN_PURE_UNITS = frozenset(
    {"analysis.simulator.server", "analysis.simulator.certificates", "analysis.labels.set_file"}
)
"""The doors of the simulator and the reader of users' label sets are the io modules in folders that
are pure otherwise."""

OUTSIDE = frozenset(
    {"os", "pathlib", "shutil", "tempfile", "glob", "sqlite3", "filelock"}
    | {"socket", "ssl", "selectors", "http", "urllib", "requests", "httpx", "httpx2"}
    | {"aiohttp", "websockets", "openai", "tenacity"}
    | {"asyncio", "threading", "multiprocessing", "concurrent", "subprocess", "signal"}
    | {"time", "secrets", "pandas", "click", "rich"}
)
"""Modules through which the outside world comes in."""

ALLOWED_INSIDE = frozenset({"urllib.parse"})
"""Parts of the above that only compute."""

OUTSIDE_CALLS = frozenset({"open", "print", "input", "breakpoint", "exec", "eval"})

PACKAGE_DATA = frozenset({"evaluation", "labels", "models", "prices"})
"""These read their own package data (mappings, label sets, prompts, the price table): the same
bytes at every call, shipped with the code, so values in still decide the values out."""

CLOCK_MODULES = frozenset(
    {
        "analysis.dispatch",
        "analysis.entry",
        "analysis.__main__",
        "analysis.pipeline.run",
        "analysis.pipeline.ledger",
        "analysis.pipeline.limits",
        "analysis.simulator.server",
    }
)
CLOCK_UNITS = frozenset({"account", "transport", "commands", "bench"})

CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
CHANCE_IMPORTS = frozenset({"secrets"})
CHANCE_CALLS = frozenset({"uuid.uuid1", "uuid.uuid4", "os.urandom", "uuid1", "uuid4", "urandom"})


def is_pure(module: Module) -> bool:
    """Return whether the tree calls this module pure."""
    return module.unit in PURE_UNITS and module.name not in IO_IN_PURE_UNITS


def purity_failures(root: Path) -> list[str]:
    """Return every door to the outside in a pure module."""
    failures = []
    for module in package_modules(root):
        if is_pure(module):
            failures += [
                f"{module.where}:{line}: pure module uses {what}. Take the value or function as an "
                "argument, and let an io module (dispatch, transport, pipeline, commands) hand it "
                "in."
                for line, what in sorted(doors(module))
            ]
    return failures


def doors(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of each import or call that reaches outside."""
    for entry in imports_of(module):
        full = entry.name if entry.symbol is None else f"{entry.name}.{entry.symbol}"
        is_allowed = any(f"{full}.".startswith(f"{name}.") for name in ALLOWED_INSIDE)
        if entry.name.split(".")[0] in OUTSIDE and not is_allowed:
            yield entry.line, full
        if full.startswith("importlib.resources") and module.unit not in PACKAGE_DATA:
            yield entry.line, full
    for name, call in calls_of(module.tree):
        if name in OUTSIDE_CALLS:
            yield call.lineno, f"{name}()"
    yield from chance_and_clock(module)


def clock_failures(root: Path) -> list[str]:
    """Return each use of clock, sleep or global chance outside of the modules for them."""
    return [
        f"{module.where}:{line}: {what} is for dispatch, transport, run, ledger, limits, commands, "
        "entry and server only. Take `now: float` or a `random.Random` as an argument."
        for module in package_modules(root)
        if module.name not in CLOCK_MODULES and module.unit not in CLOCK_UNITS
        for line, what in sorted(set(chance_and_clock(module)))
    ]


def chance_and_clock(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of each use of a clock, of sleep, or of chance without a seed."""
    for entry in imports_of(module):
        if entry.name == "time" or entry.name in CHANCE_IMPORTS:
            yield entry.line, f"{entry.name}"
        if entry.name == "random" and entry.symbol not in (None, "Random"):
            yield entry.line, f"random.{entry.symbol}"
        if entry.name == "asyncio" and entry.symbol == "sleep":
            yield entry.line, "asyncio.sleep"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            if name.startswith("random.") and name != "random.Random":
                yield node.lineno, name
    for name, call in calls_of(module.tree):
        head, _, last = name.rpartition(".")
        if last in CLOCK_CALLS and head.rsplit(".", 1)[-1] in ("datetime", "date"):
            yield call.lineno, f"{name}()"
        if name == "asyncio.sleep" or name in CHANCE_CALLS:
            yield call.lineno, f"{name}()"
        if last == "time" and head != "time" and not call.args and "loop" in head:
            yield call.lineno, f"{name}()"
        if name in ("random.Random", "Random") and not call.args:
            yield call.lineno, f"{name}() without a seed"


def test_pure_modules_are_pure() -> None:
    """Values in, values out: no sockets, files, clock or global chance in pure folders."""
    assert_tidy(purity_failures(ROOT))


def test_clock_and_chance_stay_in_their_modules() -> None:
    """Only the listed shells read a clock, sleep or draw without a given generator."""
    assert_tidy(clock_failures(ROOT))


def planted_lines(tmp_path: Path, where: str, *lines: str) -> Path:
    """Write one module of the given lines below a new root."""
    return write_tree(tmp_path, {where: "\n".join(lines) + "\n"})


def test_planted_doors_are_caught(tmp_path: Path) -> None:
    """Each kind of door is found in a pure module, also inside functions."""
    lines = (
        "import socket",
        "from os import path",
        "import websockets.asyncio",
        "from importlib import resources",
        "from time import monotonic",
        "print(1)",
        "def f():",
        "    import asyncio",
        "    return open('x')",
    )
    root = planted_lines(tmp_path, "analysis/control/pacing.py", *lines)
    found = {place.rsplit(":", 1)[1] for place in places(purity_failures(root))}
    expected = {"1", "2", "3", "4", "5", "6", "8", "9"}
    assert expected == found


def test_planted_clocks_and_chance_are_caught(tmp_path: Path) -> None:
    """Each way to read time or draw without a seed is found outside of the shells."""
    lines = (
        "import time",
        "from random import choice",
        "x = random.random()",
        "y = random.Random()",
        "z = datetime.datetime.now(UTC)",
        "a = date.today()",
        "async def f():",
        "    await asyncio.sleep(0)",
        "    return asyncio.get_running_loop().time()",
        "b = uuid.uuid4()",
        "c = rng.random(), random.Random(7), timing.time()",
    )
    root = planted_lines(tmp_path, "analysis/analyzer.py", *lines)
    expected = [f"analysis/analyzer.py:{line}" for line in (1, 2, 3, 4, 5, 6, 8, 9, 10)]
    assert expected == places(clock_failures(root))


def test_shells_and_types_are_free(tmp_path: Path) -> None:
    """Shells use the clock; pure modules use the type Random, urllib.parse and package data."""
    files = {
        "analysis/transport/rest.py": "import time\nimport asyncio\n",
        "analysis/simulator/server.py": "import time\nimport aiohttp\n",
        "analysis/control/retry.py": (
            "import random\nfrom urllib.parse import urlsplit\n"
            "def f(rng: random.Random):\n    return rng.random()\n"
        ),
        "analysis/labels/label_set.py": "from importlib import resources\n",
    }
    root = write_tree(tmp_path, files)
    expected: list[str] = []
    assert expected == purity_failures(root) + clock_failures(root)
