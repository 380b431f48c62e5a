"""bootstrap.py makes .venv once, repairs it when it is half made, and hands over to the task.

Each test works on a small checkout of its own: a copy of bootstrap.py, two lock files and stand-ins
for the tools. Most use a stand-in for uv that only notes its arguments; one runs pip itself on a
wheel made here, without an index.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bootstrap import ROOT, version_problem
from tests.tidy.source_tree import write_tree

UV = """#!/bin/sh
echo "$@" >> "{root}/uv.log"
if [ -p "{root}/gate" ]; then read line < "{root}/gate"; fi
exit $(/bin/cat "{root}/uv.exit")
"""
TOOL = "import sys\nprint('{name}', *sys.argv[1:])\nsys.exit({code})\n"

posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a shell script")


def checkout(root: Path) -> Path:
    """Make a small checkout with a uv that succeeds without installing anything."""
    files = {
        "requirements.lock": "# core\n",
        "requirements-dev.lock": "# dev\n",
        "analysis/__init__.py": "",
        "analysis/commands/__init__.py": "",
        "analysis/commands/demo.py": TOOL.format(name="demo", code=7),
        "pytest.py": TOOL.format(name="pytest", code=0),
        "ruff.py": TOOL.format(name="ruff", code=1),
        "mypy.py": TOOL.format(name="mypy", code=0),
        "uv.exit": "0",
        "uv.log": "",
        "tools/uv": UV.format(root=root),
    }
    write_tree(root, files)
    (root / "tools/uv").chmod(0o755)
    shutil.copy(ROOT / "bootstrap.py", root)
    return root


def command(root: Path, *arguments: str) -> list[str]:
    """Return the command line of a call."""
    return [sys.executable, str(root / "bootstrap.py"), *arguments]


def environment(root: Path, **variables: str) -> dict[str, str]:
    """Return variables under which only the stand-in for uv is found and pip has no index."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP") if name in os.environ}
    pip = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(root)}
    return {**kept, **pip, "PATH": str(root / "tools"), **variables}


def call(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run bootstrap.py of a checkout from another folder and wait for it."""
    return subprocess.run(
        command(root, *arguments),
        cwd=root.parent,
        env=environment(root, **variables),
        capture_output=True,
        text=True,
        timeout=240,
    )


def uv_calls(root: Path) -> list[str]:
    """Return the lock files that the stand-in for uv was asked to install, in order."""
    return [Path(line.split()[-1]).name for line in (root / "uv.log").read_text().splitlines()]


@posix_only
def test_demo_installs_once_and_hands_over(tmp_path: Path) -> None:
    """Arguments go to the task, its exit code comes back, and the second call installs nothing."""
    root = checkout(tmp_path)
    first, second = call(root, "demo", "--rows", "3"), call(root, "demo")
    expected = [(7, "demo --rows 3\n"), (7, "demo\n")]
    assert expected == [(one.returncode, one.stdout) for one in (first, second)]
    assert "requirements.lock" in first.stderr
    assert second.stderr == ""
    (line,) = (root / "uv.log").read_text().splitlines()
    python = root / ".venv/bin/python"
    lock = root / "requirements.lock"
    assert f"pip install --quiet --python {python} --require-hashes -r {lock}" == line


@posix_only
def test_dev_install_serves_both_tasks(tmp_path: Path) -> None:
    """`test` adds the dev lock to a core install, and `demo` after it needs nothing."""
    root = checkout(tmp_path)
    marker = root / ".venv/marker"
    call(root, "demo")
    marker.touch()
    done = call(root, "test", "-k", "name")
    call(root, "demo")
    assert (done.returncode, done.stdout) == (0, "pytest -k name\n")
    assert marker.exists()
    expected = ["requirements.lock", "requirements-dev.lock"]
    assert expected == uv_calls(root)


@posix_only
@pytest.mark.parametrize(
    "damage", ["no stamp", "broken stamp", "other Python", "no interpreter", "changed lock"]
)
def test_damaged_venv_is_made_anew(tmp_path: Path, damage: str) -> None:
    """Whatever makes .venv doubtful, the next call empties it and installs again."""
    root = checkout(tmp_path)
    call(root, "demo")
    stamp, marker = root / ".venv/semfn-stamp.json", root / ".venv/marker"
    marker.touch()
    match damage:
        case "no stamp":
            stamp.unlink()
        case "broken stamp":
            stamp.write_text('{"python": ')
        case "other Python":
            stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "python": "other"}))
        case "no interpreter":
            (root / ".venv/bin/python").unlink()
        case "changed lock":
            (root / "requirements.lock").write_text("# another\n")
    done = call(root, "demo")
    assert done.stdout == "demo\n"
    assert not marker.exists()
    assert len(uv_calls(root)) == 2


@posix_only
def test_killed_call_is_repaired_after_its_installer_ended(tmp_path: Path) -> None:
    """An installer that outlives its call is waited for; then .venv is made anew."""
    root = checkout(tmp_path)
    gate = root / "gate"
    os.mkfifo(gate)
    killed = subprocess.Popen(
        command(root, "demo"), env=environment(root), stderr=subprocess.DEVNULL
    )
    with gate.open("w") as release:  # opens when the installer waits at its end
        killed.kill()
        killed.wait()
        gate.unlink()
        assert not (root / ".venv/semfn-stamp.json").exists()
        with subprocess.Popen(
            command(root, "demo"),
            env=environment(root),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as repair:
            assert repair.stderr is not None
            assert "waiting" in repair.stderr.readline()
            release.write("go on\n")
            release.close()
            stdout, _ = repair.communicate()
    assert (repair.returncode, stdout) == (7, "demo\n")
    assert len(uv_calls(root)) == 2


def make_wheel(root: Path, name: str) -> str:
    """Write a wheel with one module and return its lock entry."""
    path = root / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": f"WORD = {name!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{inner},,\n" for inner in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(inner, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}==1.0 --hash=sha256:{digest}\n"


def test_pip_steps_in_and_refuses_a_wrong_hash(tmp_path: Path) -> None:
    """Pip serves where uv fails or is missing; a wrong hash ends the call without a stamp."""
    root = checkout(tmp_path)
    (root / "uv.exit").write_text("2")
    entry, other = make_wheel(root, "tiny"), make_wheel(root, "other")
    wrong = other.rpartition(":")[0] + ":" + "0" * 64 + "\n"
    files = {
        "analysis/commands/demo.py": "import tiny\nprint(tiny.WORD)\n",
        "requirements.lock": entry,
        "requirements-dev.lock": entry + wrong,
    }
    write_tree(root, files)
    first = call(root, "demo")
    assert (first.returncode, first.stdout) == (0, "tiny\n"), first.stderr
    shutil.rmtree(root / "tools")
    second = call(root, "demo", PIP_FIND_LINKS="")
    assert (second.returncode, second.stdout, second.stderr) == (0, "tiny\n", "")
    refused = call(root, "test")
    assert refused.returncode == 1
    assert "hash" in refused.stderr.lower()
    assert "Installing requirements-dev.lock failed" in refused.stderr
    assert not (root / ".venv/semfn-stamp.json").exists()


@posix_only
def test_check_runs_all_named_steps_and_names_the_failed_ones(tmp_path: Path) -> None:
    """A failed step does not keep the next from running; the last line lists the failed ones."""
    root = checkout(tmp_path)
    done = call(root, "check", "lint", "types", "tests")
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[-1] == "Failed: lint."
    tools = ["ruff", "ruff", "mypy", "pytest"]
    assert tools == [line.split()[0] for line in done.stdout.splitlines()]
    words = [" ".join(line.split()[:3]) for line in lines if line.startswith("check ")]
    expected = ["check lint: FAILED", "check types: ok", "check tests: ok"]
    assert expected == words[1::2]


@posix_only
def test_check_passes_when_all_steps_pass(tmp_path: Path) -> None:
    """Exit code 0 and a closing line with the names of the steps."""
    root = checkout(tmp_path)
    done = call(root, "check", "types", "tests")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "All steps passed: types, tests."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Usage: python3 bootstrap.py demo|test|check [ARGS...]"),
        (("tset",), "Usage: python3 bootstrap.py demo|test|check [ARGS...]"),
        (("check", "tpyes"), "Unknown step 'tpyes'. Steps: lint types docs wheel tests."),
    ],
)
def test_wrong_arguments_change_nothing(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """A mistyped task or step ends with 2 and one line, before .venv is touched."""
    root = checkout(tmp_path)
    done = call(root, *arguments)
    assert (done.returncode, done.stderr.strip()) == (2, sentence)
    assert not (root / ".venv").exists()


def test_old_python_gets_a_sentence() -> None:
    """The sentence names both versions; 3.11.0 is new enough."""
    expected = "bootstrap.py needs Python 3.11 or newer; this is 3.10.13. Call it with a newer one."
    assert expected == version_problem((3, 10, 13))
    assert version_problem((3, 11, 0)) == ""


def test_old_python_can_read_the_file() -> None:
    """The syntax stays within Python 3.6, where the version check would be reached."""
    source = (ROOT / "bootstrap.py").read_text(encoding="utf-8")
    assert ast.parse(source, feature_version=(3, 6)).body
