"""The command `check` prints a line for each finding and ends with the code that it documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analysis.check import Finding
from analysis.commands.check import (
    check,
    execute,
    folder_finding,
    line_of,
    python_finding,
)
from analysis.labels.label_set import LabelSet
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Service, digest_answerer

DIGEST = digest_answerer(LabelSet.load("ten_functions").keys)
NO_ENVIRONMENT: dict[str, str | None] = {"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None}
KEY = "sk-very-secret-0123456789"


def ran(*arguments: str, **environment: str) -> Result:
    """Run the command without any variable but the given ones."""
    return CliRunner().invoke(check, list(arguments), env={**NO_ENVIRONMENT, **environment})


def test_local_prints_a_line_for_each_probe() -> None:
    """All ok, exit code 0, and every line about the service says simulated."""
    outcome = ran("--local")
    assert (0, "") == (outcome.exit_code, outcome.stderr)
    lines = outcome.stdout.splitlines()
    assert all(line.startswith("ok    ") for line in lines)
    about_here = ("python", "folder")
    assert all(
        "simulated" in line
        for line in lines
        if not line.removeprefix("ok    ").startswith(about_here)
    )
    names = [line.removeprefix("ok    ").split(":")[0] for line in lines]
    doors = ["https", "websocket", "websocket responses", "https decisions"]
    assert ["python", "folder", "endpoint", *doors, "key", "dialect"] == names[:9]
    for route in ("realtime", "responses-ws", "rest", "decisions"):
        assert f"round trip {route}" in names and f"limits {route}" in names
    assert "session settings" in names


def test_without_key_and_address_nothing_is_sent() -> None:
    """Exit code 2, with both cures."""
    outcome = ran()
    assert 2 == outcome.exit_code
    last = outcome.stdout.splitlines()[-1]
    assert last.startswith("fail  configuration: ")
    assert "OPENAI_API_KEY" in last and "OPENAI_BASE_URL" in last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--local", "--route", "pigeon"], "Route 'pigeon' does not exist"),
        (["--local", "--model", "gpt-6-luna"], "Write ROUTE=NAME"),
        (["--local", "--route", "rest", "--model", "realtime=x"], "routes rest"),
        (["--local", "--base-url", "http://127.0.0.1:9/v1"], "exclude each other"),
        (["--base-url", "http://example.org/v1"], "unprotected"),
    ],
)
def test_an_option_that_cannot_be_used_is_exit_code_2(arguments: list[str], words: str) -> None:
    """The line names what is wrong."""
    outcome = ran(*arguments)
    assert 2 == outcome.exit_code
    assert words in outcome.stdout


def test_a_dead_address_is_exit_code_3() -> None:
    """All doors fail, each with its cure."""
    outcome = ran("--base-url", "http://127.0.0.1:9/v1", OPENAI_API_KEY=KEY)
    assert 3 == outcome.exit_code
    failures = [line for line in outcome.stdout.splitlines() if line.startswith("fail")]
    assert 4 == len(failures)
    assert all(" -> " in line for line in failures)


@pytest.mark.parametrize("is_accepted", [True, False])
def test_the_key_is_never_shown(is_accepted: bool) -> None:
    """Not where it is accepted and not where the service refuses it; only that it is set."""
    with start_in_thread(Service(DIGEST, api_key=KEY if is_accepted else "another")) as base_url:
        plain = ran(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=base_url)
        as_json = ran("--json", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=base_url)
    assert [0 if is_accepted else 3] * 2 == [plain.exit_code, as_json.exit_code]
    assert "key set (OPENAI_API_KEY)" in plain.stdout
    for shown in (plain.output, as_json.output):
        assert KEY not in shown and KEY[3:14] not in shown


def test_json_is_one_document() -> None:
    """It has the version, the exit code, and the same findings as values."""
    outcome = ran("--local", "--json", "--route", "rest")
    document = json.loads(outcome.stdout)
    assert [1, 0] == [document["version"], document["exit_code"]]
    findings = {finding["name"]: finding for finding in document["findings"]}
    assert findings["round trip rest"]["facts"]["is_simulated"] is True
    assert "websocket" not in findings


def test_another_model_can_be_named() -> None:
    """A server that serves other models is checked with one of them."""
    outcome = ran("--local", "--route", "rest", "--model", "rest=gpt-4o-mini")
    assert 0 == outcome.exit_code
    assert "gpt-4o-mini is listed and stops on 2027-01-14" in outcome.stdout


def test_offline_needs_neither_key_nor_address() -> None:
    """The rules label one chunk in this process."""
    outcome = ran("--route", "offline")
    assert 0 == outcome.exit_code
    assert "example from offline-rules" in outcome.stdout


def test_an_old_python_fails_with_its_cure() -> None:
    """3.10 is too old, 3.11 is not."""
    old, new = python_finding((3, 10, 14), "linux"), python_finding((3, 11, 0), "linux")
    assert [(False, "Install Python 3.11 or later."), (True, "")] == [
        (old.ok, old.cure),
        (new.ok, new.cure),
    ]


def test_a_folder_that_cannot_be_written_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names it and the exit code is 3; a good folder keeps nothing of the trial."""
    assert folder_finding(tmp_path).ok
    assert [] == list(tmp_path.iterdir())
    options = {"local": False, "base_url": None, "route": "offline", "model": (), "as_json": False}
    assert 3 == execute(options, folder=tmp_path / "missing")
    assert f"fail  folder: {tmp_path / 'missing'} cannot be written" in capsys.readouterr().out


def test_control_characters_of_a_server_do_not_reach_the_terminal() -> None:
    """A finding is one line, whatever the server said."""
    finding = Finding(name="door", ok=True, message="a\x1b[2Jb\nc\u202ed")
    assert "ok    door: a [2Jb c d" == line_of(finding)
