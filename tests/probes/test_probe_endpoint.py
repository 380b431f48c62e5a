"""The probe scripts run as plain scripts, and live tests run only when they are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from analysis.check import Finding
from analysis.endpoint import Endpoint
from tests.probes.probe_endpoint import Case, live_obstacle, main

FOLDER = Path(__file__).resolve().parent
SCRIPTS = (
    "test_hybrid_semantic.py",
    "test_modalities_config.py",
    "test_performance_comparison.py",
    "test_realtime_availability.py",
    "test_realtime_simple.py",
)
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("OPENAI_", "SEMFN_", "PYTHONPATH"))
}


async def good(endpoint: Endpoint) -> Sequence[Finding]:
    """Find nothing wrong."""
    return [Finding(name="door", ok=True, message="open")]


async def bad(endpoint: Endpoint) -> Sequence[Finding]:
    """Find one thing wrong."""
    return [Finding(name="door", ok=False, message="shut", cure="Open it.")]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a script as a person does, from a folder that is not the repository."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=CLEAN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_each_script_starts_from_another_folder(tmp_path: Path) -> None:
    """Nothing but the interpreter is needed to find the package, and each explains itself."""
    running = {name: start(tmp_path, str(FOLDER / name), "--help") for name in SCRIPTS}
    for name, child in running.items():
        said, _ = child.communicate(timeout=240)
        assert child.returncode == 0, f"{name}\n{said}"
        assert "--live" in said


def test_a_script_asks_the_local_service_by_default(tmp_path: Path) -> None:
    """Without key and options it ends with 0, and every line says that it is simulated."""
    child = start(tmp_path, str(FOLDER / "test_realtime_simple.py"))
    said, _ = child.communicate(timeout=240)
    assert child.returncode == 0, said
    lines = said.splitlines()
    assert all("simulated" in line for line in lines), said
    assert 6 == sum(line.startswith("  ok  ") for line in lines)


def test_every_probe_of_the_folder_is_run_above() -> None:
    """A new script joins the list."""
    found = sorted(path.name for path in FOLDER.glob("test_*.py") if path != Path(__file__))
    assert list(SCRIPTS) == found


@pytest.mark.parametrize(("probe", "code"), [(good, 0), (bad, 1)])
def test_the_exit_code_tells_whether_all_is_ok(
    probe: type, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finding that is not ok makes it 1 and shows its cure."""
    case = Case(title="A door", probe=probe)
    assert code == main("Doors.", [case], [])
    shown = ["  ok    door: open", "  fail  door: shut -> Open it."][code]
    assert ["A door (simulated)", shown] == capsys.readouterr().out.splitlines()


def test_a_live_script_leaves_out_what_only_the_local_service_can_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --live the endpoint of the environment is asked, and local cases are not shown."""
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    cases = [
        Case(title="A door", probe=good),
        Case(title="A back door", probe=bad, is_local_only=True),
    ]
    assert 0 == main("Doors.", cases, ["--live"])
    assert ["A door", "  ok    door: open"] == capsys.readouterr().out.splitlines()


def test_a_live_script_without_key_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 1 and names the variable."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert 1 == main("Doors.", [Case(title="A door", probe=good)], ["--live"])
    assert "Set OPENAI_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("expression", "environment", "obstacle"),
    [
        ("", {}, "run it with"),
        ("not live", {"OPENAI_API_KEY": "k"}, "run it with"),
        ("", {"OPENAI_API_KEY": "k"}, "run it with"),
        ("live", {}, "needs OPENAI_API_KEY"),
        ("live", {"OPENAI_API_KEY": "k"}, None),
        ("", {"OPENAI_API_KEY": "k", "SEMFN_LIVE": "1"}, None),
    ],
)
def test_live_tests_run_only_when_asked_for(
    expression: str, environment: dict[str, str], obstacle: str | None
) -> None:
    """A key alone starts nothing; the reason of the skip says how to start it."""
    found = live_obstacle(expression, environment)
    assert (obstacle is None) == (found is None)
    assert (obstacle or "") in (found or "")
