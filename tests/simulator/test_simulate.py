"""The command `simulate`, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from openai import AsyncOpenAI

from analysis.commands.simulate import simulate
from analysis.simulator.faults import FAULTS
from tests.simulator.examples import body, chat, pack
from tests.tidy.source_tree import ROOT

START = "from analysis.commands.simulate import simulate; simulate()"


@pytest.mark.parametrize(
    ("options", "model", "source"),
    [
        (("--digest-labels",), "digest-labels", "digest labels"),
        ((), "offline-rules", "the rule labeller"),
    ],
)
def test_serves_until_told_to_stop(
    tmp_path: Path, options: tuple[str, ...], model: str, source: str
) -> None:
    """First line the base URL, one line on stderr, answers, exit 0 on SIGTERM."""
    log = tmp_path / "paid.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", START, *options, "--payment-log", str(log), "--api-key", "k"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        name, _, base_url = process.stdout.readline().rstrip("\n").partition("=")
        assert "base_url" == name
        assert base_url.startswith("http://127.0.0.1:")
        assert model == asyncio.run(ask(base_url))
        assert 1 == json.loads(log.read_text())["chunks"]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=240)
        first, last = errors.splitlines()
        assert (0, f"Labels come from {source} (simulated).") == (process.returncode, first)
        assert re.fullmatch(r"paid_requests=1 cpu_s=\d+\.\d{3}", last)
    finally:
        process.kill()


def test_switches_reach_the_service() -> None:
    """Dialect, routes that are left out, schemas and outages are those that were asked for."""
    options = ["--dialect", "beta", "--without", "responses", "--no-json-schema"]
    outages = ["--outage", "models=0:60", "--ms-per-token", "1"]
    with subprocess.Popen(
        [sys.executable, "-c", START, "--digest-labels", *options, *outages],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().rstrip("\n").partition("=")[2]
            assert (["session.created", "conversation.created"], 404, 400, 503) == asyncio.run(
                look(base_url)
            )
        finally:
            process.terminate()


async def look(base_url: str) -> tuple[list[str], int, int, int]:
    """Return the greeting, and the status of three HTTP routes."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as session:
        async with session.ws_connect(f"{base_url}/realtime?model=gpt-realtime") as connection:
            greeting = [(await connection.receive_json())["type"] for _ in range(2)]
        async with session.post(f"{base_url}/responses", json=body()) as answer:
            responses = answer.status
        async with session.post(f"{base_url}/chat/completions", json=chat()) as answer:
            completions = answer.status
        async with session.get(f"{base_url}/models") as answer:
            return greeting, responses, completions, answer.status


async def ask(base_url: str) -> str:
    """Ask once through the SDK; return the reported model."""
    async with AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0) as sdk:
        response = await sdk.responses.create(model="gpt-6-luna", input=pack("For example, a bus."))
        return str(response.model)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--fault", "boom=1"], "drop, error_500, hang, delay, shuffle"),
        (["--fault", "drop=1@5"], "KIND=PROBABILITY@START-END"),
        (["--set", "boom=1"], "Use one of: latency_sigma"),
        (["--set", "latency_sigma=high"], "Write NAME=VALUE"),
        (["--endpoints", "chat,grpc"], "'grpc'"),
        (["--fault", "drop=2"], "allowed: 0 to 1"),
        (["--host", "0.0.0.0"], "loopback"),
        (["--rpm", "0"], "--rpm"),
        (["--dialect", "alpha"], "'ga', 'beta'"),
        (["--without", "grpc"], "'realtime', 'responses', 'responses-ws', 'chat'"),
        (["--outage", "chat"], "ROUTE=START:SECONDS"),
        (["--outage", "grpc=1:2"], "realtime, responses, responses-ws, chat"),
        (["--ms-per-token", "-1"], "--ms-per-token"),
    ],
)
def test_wrong_options_end_with_usage(options: list[str], part: str) -> None:
    """Exit 2, and the message names what is allowed."""
    result = CliRunner().invoke(simulate, ["--digest-labels", *options])
    assert 2 == result.exit_code
    assert part in result.output


def test_the_list_of_faults_names_all() -> None:
    """One line each, and nothing is served."""
    result = CliRunner().invoke(simulate, ["--fault-list"])
    assert 0 == result.exit_code
    assert list(FAULTS) == [line.split()[0] for line in result.output.splitlines()]


def test_the_event_log_begins_with_the_options(tmp_path: Path) -> None:
    """Seed, fault script and switches, so that a run can be repeated."""
    log = tmp_path / "events.jsonl"
    options = ["--seed", "7", "--fault", "quota=1@5-", "--set", "responses.lane_names=4"]
    with subprocess.Popen(
        [sys.executable, "-c", START, *options, "--event-log", str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
        finally:
            process.terminate()
    first = json.loads(log.read_text(encoding="utf-8").splitlines()[0])
    assert 7 == first["seed"]
    assert "quota" == first["options"]["fault_script"][0]["kind"]
    assert 4 == first["profile"]["responses"]["lane_names"]


def test_without_the_extra_a_tls_door_says_what_to_install(tmp_path: Path) -> None:
    """Exit 2 and one sentence."""
    (tmp_path / "trustme.py").write_text("raise ImportError")
    done = subprocess.run(
        [sys.executable, "-c", START, "--tls"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert 2 == done.returncode
    assert "pip install semfn[tls]" in done.stderr


@pytest.mark.skipif(
    find_spec("trustme") is None, reason="no TLS door without trustme: pip install semfn[tls]"
)
def test_a_tls_door_names_its_file_second() -> None:
    """Address, then the file that clients have to trust."""
    with subprocess.Popen(
        [sys.executable, "-c", START, "--tls"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline()
            name, _, path = process.stdout.readline().rstrip("\n").partition("=")
            assert base_url.startswith("base_url=https://127.0.0.1:")
            assert "ca_file" == name
            assert Path(path).read_text().startswith("-----BEGIN CERTIFICATE-----")
        finally:
            process.terminate()
    assert not Path(path).exists()
