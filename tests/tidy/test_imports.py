"""Who may import whom, and no cycles: the table of the tree as a test."""

from __future__ import annotations

from pathlib import Path

from tests.tidy.source_tree import (
    PACKAGE,
    ROOT,
    assert_tidy,
    internal_targets,
    package_modules,
    places,
    write_tree,
)

VALUES = frozenset({"records", "errors", "settings"})
PROMISE = VALUES | {"labels", "telemetry", "prices"}
ROUTED = PROMISE | {
    "analyzer",
    "arguments",
    "connections",
    "dispatch",
    "endpoint",
    "kinds",
    "tally",
    "transport",
}
ANALYZERS = ROUTED | {"labelling", "wire"}  # wire for the value `SessionSettings`

MAY_IMPORT: dict[str, frozenset[str]] = {
    "records": frozenset(),
    "errors": frozenset({"records"}),  # an error carries an `Ending`
    "settings": VALUES | {"settings_control"},
    "settings_control": frozenset(),
    "recording": frozenset(),
    "interrupts": frozenset(),
    "kinds": frozenset({"errors"}),
    "hooks": VALUES | {"pipeline", "telemetry"},
    "progress": VALUES
    | {"commands", "hooks", "interrupts", "pipeline", "run_course", "run_options", "telemetry"},
    "run_inputs": ROUTED | {"hooks", "pipeline", "run_options", "semantic_function_hybrid"},
    "run_course": ROUTED
    | {"hooks", "interrupts", "pipeline", "run_options", "semantic_function_hybrid"},
    "run_options": VALUES
    | {"arguments", "connections", "endpoint", "hooks", "kinds", "labelling", "labels"}
    | {"pipeline"},
    "models": VALUES,
    "prices": VALUES,
    "telemetry": VALUES,
    "labels": VALUES,
    "control": VALUES,
    "wire": VALUES,
    "evaluation": VALUES | {"labels"},
    "transport": VALUES | {"wire"},
    "account": VALUES | {"control"},
    "dispatch": VALUES
    | {"account", "control", "feeding", "jobs", "labels", "quoting", "wire", "transport"}
    | {"telemetry"},
    "quoting": VALUES,
    "feeding": VALUES | {"control", "jobs", "labels", "telemetry"},
    "jobs": VALUES | {"control"},
    "analyzer": PROMISE,
    "arguments": PROMISE | {"analyzer", "endpoint", "kinds"},
    "endpoint": VALUES | {"kinds", "wire"},  # for the value `Place`
    "tally": PROMISE | {"analyzer", "control"},
    "connections": VALUES | {"endpoint", "kinds", "labels", "transport", "wire"},
    "planning": PROMISE | {"connections", "control", "tally"},
    "lifetime": VALUES | {"transport"},
    "labelling": ROUTED | {"account", "control", "lifetime", "planning"},
    "semantic_function": ANALYZERS,
    "semantic_function_realtime": ANALYZERS,
    "semantic_function_hybrid": ANALYZERS,
    "pipeline": PROMISE | {"analyzer", "evaluation"},
    "simulator": frozenset({"records", "errors"}),
    "samples": frozenset(),
}
"""What each file or folder of the package may import from the others."""

FREE = frozenset(
    {"__init__", "__main__", "commands", "entry", "bench", "check", "testing", "integrations"}
    | {"audit"}
)
"""The doors: they may import anything but what `CLOSED` forbids."""

CLOSED = {
    "__init__": "the public names are for users; import from the module that defines the name",
    "integrations": "each needs an extra, so nobody imports them; turn the import round",
    "samples": "it holds data for the demo; only commands read it",
}
"""Units that others may not import, and what to do instead."""

ENTITLED = {
    "__init__": frozenset(
        {"__main__", "commands", "entry", "bench", "check", "testing", "integrations"} | {"audit"}
    ),
    "samples": frozenset({"audit", "bench", "commands"}),
}


def import_failures(root: Path) -> list[str]:
    """Return every import that the table does not allow, and every folder that it does not know."""
    modules = package_modules(root)
    known = {module.name for module in modules}
    failures = []
    for module in modules:
        unit = module.unit
        if unit not in MAY_IMPORT and unit not in FREE:
            failures.append(
                f"{module.where}:1: {unit!r} has no row in tests/tidy/test_imports.py. "
                "Put the file into an existing folder, or decide what it may import and add a row."
            )
            continue
        for target, line in internal_targets(module, known):
            failures += refusal(f"{module.where}:{line}", unit, unit_of(target))
    return failures


def unit_of(target: str) -> str:
    """Return the unit of a dotted module name of the package."""
    parts = target.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def refusal(where: str, unit: str, target: str) -> list[str]:
    """Return why `unit` may not import `target`, or nothing."""
    if target == unit:
        return []
    if target in CLOSED and unit not in ENTITLED.get(target, frozenset()):
        return [f"{where}: {unit} imports {target}: {CLOSED[target]}."]
    if unit in FREE or target in MAY_IMPORT[unit]:
        return []
    allowed = ", ".join(sorted(MAY_IMPORT[unit])) or "nothing"
    return [
        f"{where}: {unit} imports {target}; it may import {allowed}. Hand the value or function in "
        "as an argument from a folder that may import both, or move it to records.py."
    ]


def import_graph(root: Path) -> dict[str, set[str]]:
    """Return which module imports which, imports inside functions included.

    The package's own `__init__` is left out: it loads public names on demand and decides nothing.
    """
    modules = [module for module in package_modules(root) if module.name != PACKAGE]
    known = {module.name for module in modules}
    return {
        module.name: {name for name, _ in internal_targets(module, known) if name in known}
        - {module.name}
        for module in modules
    }


def cycle_failures(root: Path) -> list[str]:
    """Return each import cycle once, starting at its alphabetically first module."""
    graph = import_graph(root)
    cycles: set[tuple[str, ...]] = set()
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            cycle = path[path.index(name) :]
            first = cycle.index(min(cycle))
            cycles.add((*cycle[first:], *cycle[:first]))
            return
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, [*path, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return [
        f"{cycle[0].replace('.', '/')}.py:1: import cycle {' -> '.join([*cycle, cycle[0]])}. "
        "Move what both need into a third module, or hand it in as an argument."
        for cycle in sorted(cycles)
    ]


def test_imports_follow_the_table() -> None:
    """Every import inside the package is allowed by the table of the tree."""
    assert_tidy(import_failures(ROOT))


def test_no_import_cycles() -> None:
    """No module reaches itself through imports, not even through those inside functions."""
    assert_tidy(cycle_failures(ROOT))


def test_planted_imports_are_caught(tmp_path: Path) -> None:
    """A forbidden import is found at the top, in a function, relative, and under TYPE_CHECKING."""
    files = {
        "analysis/__init__.py": "",
        "analysis/records.py": "from analysis.errors import AnalysisError\n",
        "analysis/errors.py": "",
        "analysis/labels/rules.py": "from analysis import records\nimport analysis.control.retry\n",
        "analysis/control/retry.py": "def f():\n    from ..wire import events\n",
        "analysis/wire/events.py": "if TYPE_CHECKING:\n    from analysis.labels import rules\n",
        "analysis/simulator/service.py": "from analysis.wire.events import X\n",
        "analysis/pipeline/run.py": "from analysis.semantic_function import A\n",
        "analysis/semantic_function.py": "from analysis import Chunk\n",
    }
    expected = [
        "analysis/control/retry.py:2",
        "analysis/labels/rules.py:2",
        "analysis/pipeline/run.py:1",
        "analysis/records.py:1",
        "analysis/semantic_function.py:1",
        "analysis/simulator/service.py:1",
        "analysis/wire/events.py:2",
    ]
    assert expected == places(import_failures(write_tree(tmp_path, files)))


def test_the_simulator_imports_neither_side_of_the_wire(tmp_path: Path) -> None:
    """The simulator may not share code with what it stands against."""
    lines = [f"import analysis.{name}\n" for name in ("wire", "labels", "control", "transport")]
    files = {"analysis/simulator/faults.py": "".join(lines)}
    root = write_tree(tmp_path, files)
    assert [f"analysis/simulator/faults.py:{line}" for line in (1, 2, 3, 4)] == places(
        import_failures(root)
    )


def test_planted_unknown_folder_is_caught(tmp_path: Path) -> None:
    """A folder without a row in the table is a failure, whatever it imports."""
    root = write_tree(tmp_path, {"analysis/plumbing/pipes.py": ""})
    expected = ["analysis/plumbing/pipes.py:1"]
    assert expected == places(import_failures(root))


def test_samples_and_integrations_are_closed(tmp_path: Path) -> None:
    """Samples are read by commands only, and nobody imports an integration."""
    files = {
        "analysis/commands/demo.py": "from analysis import samples\n",
        "analysis/entry.py": "from analysis import samples\nimport analysis.integrations.pandas\n",
        "analysis/samples/__init__.py": "",
        "analysis/integrations/pandas.py": "from analysis.entry import analyze_dataframe\n",
    }
    root = write_tree(tmp_path, files)
    expected = ["analysis/entry.py:1", "analysis/entry.py:2"]
    assert expected == places(import_failures(root))


def test_planted_cycle_is_caught_once(tmp_path: Path) -> None:
    """A cycle of three modules, one edge hidden in a function, is reported once."""
    files = {
        "analysis/wire/a.py": "from analysis.wire import b\n",
        "analysis/wire/b.py": "from analysis.wire.c import X\n",
        "analysis/wire/c.py": "def f():\n    from . import a\n",
        "analysis/wire/d.py": "from analysis.wire import a\n",
    }
    (failure,) = cycle_failures(write_tree(tmp_path, files))
    assert "analysis.wire.a -> analysis.wire.b -> analysis.wire.c -> analysis.wire.a" in failure
