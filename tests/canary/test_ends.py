"""However a run ends, key, text and topic stand only in the output that was asked for."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from analysis import analyze_file
from analysis.hooks import Hooks
from analysis.simulator.service import Answerer
from tests.canary.canary import ID, KEY, TEXT, TOPIC, found_in, found_in_files, table
from tests.commands.running import paid_service, read, semfn
from tests.crash.kill import ROOT

OUT = "birds.labeled.csv"
PARTIAL = "birds.labeled.partial.csv"


@dataclass(frozen=True, slots=True)
class Echo:
    """A service that repeats in each refusal what it was told, and the addresses asked for."""

    base_url: str
    addresses: Path


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    """Run it in a process of its own."""
    addresses = tmp_path_factory.mktemp("echo") / "addresses.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.canary.echo", str(addresses)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Echo(process.stdout.readline().strip().removeprefix("base_url="), addresses)
    finally:
        process.terminate()
        process.communicate()


def variables(base_url: str) -> dict[str, str | None]:
    """Return the variables that lead a run there with the canary as key."""
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": base_url}


def assert_silent(folder: Path, *said: str) -> None:
    """Assert that no secret stands in what was said, nor in a file that is no table."""
    assert [] == [secret for text in said for secret in found_in(text)], said
    tables = [path for path in folder.iterdir() if path.suffix == ".csv"]
    assert {} == found_in_files(folder, but=tables)
    for path in tables:
        assert KEY not in path.read_text(encoding="utf-8")
        own = {name: row[name] for row in read(path) for name in row if name != "text"}
        assert [] == found_in(json.dumps(own))


@pytest.mark.parametrize(
    ("way", "route"),
    [
        ("401/invalid_api_key", "responses-ws"),
        ("401/invalid_api_key", "realtime"),
        ("401/invalid_api_key", "rest"),
        ("401/invalid_api_key", "decisions"),
        ("400/odd_request", "rest"),
        ("400/odd_request", "decisions"),
        ("404/model_not_found", "rest"),
        ("429/insufficient_quota", "responses-ws"),
        ("429/insufficient_quota", "rest"),
    ],
)
def test_a_service_that_repeats_secrets_is_not_repeated(
    tmp_path: Path,
    state_folder: Path,
    echo: Echo,
    caplog: pytest.LogCaptureFixture,
    way: str,
    route: str,
) -> None:
    """With --debug, --json and all logging on; not in ledger, summary, lock or learned limits."""
    caplog.set_level(logging.DEBUG)
    path = table(tmp_path)
    result = semfn(
        *("run", path, "--topic", TOPIC, "--route", route, "--debug", "--json"),
        *("--max-chunks-per-request", 1),
        env=variables(f"{echo.base_url}/{way}"),
    )
    assert result.exit_code in (1, 3), result.output
    assert (tmp_path / f"{OUT}.semfn.sqlite").exists()
    assert_silent(tmp_path, result.stdout, result.stderr, caplog.text)
    assert {} == found_in_files(state_folder, but=())
    addresses = echo.addresses.read_text(encoding="utf-8")
    assert f"/{way}/" in addresses
    assert [] == found_in(addresses)


def test_a_defect_of_the_answer_says_nothing_of_the_text(tmp_path: Path) -> None:
    """The failed row is named by its id; its text and what the model said stay out."""

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str, ...]]:
        return [() if text == TEXT else ("example",) for text in texts]

    path = table(tmp_path)
    with paid_service(answerer=Answerer(name="digest-labels", label=label)) as service:
        result = semfn("run", path, "--topic", TOPIC, "--debug", env=variables(service.base_url))
    assert 1 == result.exit_code, result.output
    assert ID in result.stderr
    assert_silent(tmp_path, result.stderr, result.stdout)


def test_a_whole_run_keeps_the_text_in_its_column(tmp_path: Path, state_folder: Path) -> None:
    """The id may stand in the ledger; the text only where it was read from and asked for."""
    path = table(tmp_path)
    with paid_service() as service:
        result = semfn("run", path, "--topic", TOPIC, "--json", env=variables(service.base_url))
        assert 0 == result.exit_code, result.output
        assert [] == found_in(json.dumps(service.records))
    assert ID.encode() in (tmp_path / f"{OUT}.semfn.sqlite").read_bytes()
    assert TEXT in (tmp_path / OUT).read_text(encoding="utf-8")
    assert_silent(tmp_path, result.stdout, result.stderr)
    assert {} == found_in_files(state_folder, but=())


def test_a_disk_error_with_a_traceback_tells_no_secret(tmp_path: Path) -> None:
    """The ledger is a folder: exit 5, a traceback by --debug, and no secret in it."""
    path = table(tmp_path)
    (tmp_path / f"{OUT}.semfn.sqlite").mkdir()
    with paid_service() as service:
        result = semfn("run", path, "--topic", TOPIC, "--debug", env=variables(service.base_url))
    assert 5 == result.exit_code, result.output
    assert "Traceback" in result.stderr
    assert_silent(tmp_path, result.stderr)


def test_a_tape_and_the_events_hold_no_secret(tmp_path: Path) -> None:
    """What a run decides and tells is noted without key, text and topic."""
    path = table(tmp_path)
    events: list[str] = []
    with paid_service(api_key="another") as service:
        summary = analyze_file(
            path,
            topic=TOPIC,
            api_key=KEY,
            base_url=service.base_url,
            tape=tmp_path / "run.tape",
            hooks=Hooks(on_event=lambda event: events.append(repr(event))),
        )
    assert 3 == summary.exit_code
    assert events and (tmp_path / "run.tape").stat().st_size > 0
    assert_silent(tmp_path, *events)
    assert ID not in (tmp_path / "run.tape").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no process list in /proc")
def test_the_process_list_shows_no_key(tmp_path: Path) -> None:
    """The command line holds the topic that was typed, and neither key nor text."""
    path = table(tmp_path)
    with paid_service(latency_ms=300) as service:
        child = subprocess.Popen(
            [sys.executable, "-m", "analysis", "run", str(path), "--topic", TOPIC, "--quiet"],
            cwd=ROOT,
            env=os.environ | {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": service.base_url},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            lists = []
            while child.poll() is None:
                lists.append(Path(f"/proc/{child.pid}/cmdline").read_bytes())
            _, said = child.communicate()
        finally:
            child.kill()
    assert 0 == child.returncode, said
    assert any(TOPIC.encode() in seen for seen in lists)
    assert [] == [seen for seen in lists if KEY.encode() in seen or TEXT.encode() in seen]
