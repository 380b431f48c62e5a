"""The command `bench`: files, streams and exit codes; no time is asserted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analysis.bench.latency import Serve
from analysis.commands.bench import bench, execute
from tests.bench.examples import broken_service, digest_service, wrong_service
from tests.commands.running import LONGEST_S

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--sizes", "1,3", "--rounds", "2", "--latency-ms", "0")
NO_ENDPOINT = {"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None}


def called(folder: Path, *options: str, **environment: str) -> Result:
    """Run the command with its results below `folder`."""
    env = NO_ENDPOINT | environment
    return CliRunner().invoke(bench, [*options, "--results", str(folder)], env=env)


def executed(folder: Path, serve: Serve) -> int:
    """Run the command on a tiny job against this service; return its exit code."""
    unset = dict.fromkeys(("seed", "chunks_per_request", "max_concurrent"))
    flags = dict.fromkeys(("live", "yes", "as_json"), False)
    sizes: dict[str, Any] = {"sizes": "1,3", "rounds": 1, "latency_ms": 0.0, "results": folder}
    options = sizes | unset | flags
    return execute(options, serve=serve)


def only_result(folder: Path) -> dict[str, Any]:
    """Return the one result below `folder`."""
    (path,) = folder.glob("performance_comparison_*.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_a_run_writes_its_result_and_says_simulated(tmp_path: Path) -> None:
    """With the service in its own process: exit 0, stdout empty, file and mark on stderr."""
    folder = tmp_path / "new" / "results"
    done = called(folder, *TINY)
    assert (0, "") == (done.exit_code, done.stdout), done.stderr
    found = only_result(folder)
    assert found["simulated"] is True
    assert 6 == len(found["cells"])
    assert [1.0] * 6 == [cell["success"] for cell in found["cells"]]
    assert (0, 0) == (found["unequal_to_digest"], found["unequal_between_analyzers"])
    assert ["scripted"] * 3 == [one["series"] for one in found["services"]]
    assert "of processor time for each of" in done.stderr
    assert "simulated: the same scripted latency for all routes" in done.stderr
    assert f"Result: {next(folder.glob('*.json'))}" in done.stderr


def test_json_is_the_result_on_stdout(tmp_path: Path) -> None:
    """The same document as in the file; its command leads to the same measurement."""
    done = called(tmp_path, *TINY, "--chunks-per-request", "2", "--json")
    assert only_result(tmp_path) == json.loads(done.stdout)
    assert (
        "semfn bench --sizes 1,3 --rounds 2 --seed 20261121 --latency-ms 0 --chunks-per-request 2"
        == json.loads(done.stdout)["command"]
    )


def test_a_planted_wrong_label_is_found(tmp_path: Path) -> None:
    """Exit 1, and every label is counted as unequal to its digest; the file is written."""
    assert 0 == executed(tmp_path / "right", digest_service)
    assert 1 == executed(tmp_path / "wrong", wrong_service)
    found = only_result(tmp_path / "wrong")
    assert (3 * (1 + 3) + 3, 0) == (found["unequal_to_digest"], found["failed"])


def test_a_service_that_refuses_leaves_no_result(tmp_path: Path) -> None:
    """Exit 1, since nothing could be measured."""
    assert 1 == executed(tmp_path, broken_service)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--live",), "set OPENAI_API_KEY"),
        (("--sizes", "one"), "such as 1,10,30"),
        (("--sizes", "331"), "330 chunks"),
        (("--rounds", "0"), "at least 1"),
    ],
)
def test_what_must_be_put_right_ends_with_2(
    tmp_path: Path, options: tuple[str, ...], part: str
) -> None:
    """One line says what; nothing is written."""
    done = called(tmp_path, *options)
    assert (2, "") == (done.exit_code, done.stdout)
    assert part in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_live_states_the_cost_and_wants_a_yes(tmp_path: Path) -> None:
    """Above 5 USD without a terminal: exit 2 with the figure, before anything is sent."""
    done = called(tmp_path, "--live", "--rounds", "100000", OPENAI_API_KEY="any")
    assert 2 == done.exit_code
    assert "input and" in done.stderr and "--yes" in done.stderr


def test_live_measures_the_endpoint_that_is_set(tmp_path: Path) -> None:
    """The answers of a simulated endpoint keep the word simulated in the result."""
    with digest_service(0, 1) as service:
        base_url = service.base_url
        done = called(tmp_path, "--live", "--sizes", "2", "--rounds", "1", OPENAI_BASE_URL=base_url)
    assert 0 == done.exit_code, done.stderr
    found = only_result(tmp_path)
    assert (True, None, None) == (
        found["simulated"],
        found["profile"],
        found["cells"][0]["overhead_ms"],
    )
    assert base_url.split("/")[2] == found["endpoint"]


def test_help_has_an_example() -> None:
    """It also states the exit codes."""
    text = CliRunner().invoke(bench, ["--help"]).stdout
    assert "Example: semfn bench" in text
    assert "Exit codes: 0" in text


def test_the_script_is_the_command(tmp_path: Path) -> None:
    """From any folder; its own name stands in the usage."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "latency.py"), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=True,
    )
    assert done.stdout.startswith("Usage: python benchmarks/latency.py [OPTIONS]")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the child processes through /proc")
def test_a_stop_leaves_no_service_behind(tmp_path: Path) -> None:
    """SIGTERM in the middle: exit 130, and the processes of the services are gone."""
    start = "from analysis.commands.bench import bench; bench()"
    long = ("--sizes", "1", "--rounds", "10000", "--latency-ms", "50")
    with subprocess.Popen(
        [sys.executable, "-c", start, *long, "--results", tmp_path],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        assert child.stderr.readline().startswith("Series 50 ms")
        services = children_of(child.pid)
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=LONGEST_S)
    assert (3, 130) == (len(services), child.returncode)
    assert "Interrupted; no result was written." in said
    assert [] == [pid for pid in services if Path(f"/proc/{pid}").exists()]
    assert [] == os.listdir(tmp_path)


def children_of(pid: int) -> list[int]:
    """Return the ids of the child processes of a process."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in listed.split()]
