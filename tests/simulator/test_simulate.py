"""The command `simulate`, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from openai import AsyncOpenAI

from analysis.commands.simulate import simulate
from tests.simulator.examples import body, chat, pack

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
        _, errors = process.communicate(timeout=20)
        assert (0, f"Labels come from {source} (simulated).\n") == (process.returncode, errors)
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
        (["--fault", "drop=2"], "allowed: 0 to 1"),
        (["--host", "0.0.0.0"], "loopback"),
        (["--rpm", "0"], "--rpm"),
        (["--dialect", "alpha"], "'ga', 'beta'"),
        (["--without", "batch"], "'realtime', 'responses', 'chat', 'models'"),
        (["--outage", "chat"], "ROUTE=START:SECONDS"),
        (["--outage", "batch=1:2"], "realtime, responses, chat, models"),
        (["--ms-per-token", "-1"], "--ms-per-token"),
    ],
)
def test_wrong_options_end_with_usage(options: list[str], part: str) -> None:
    """Exit 2, and the message names what is allowed."""
    result = CliRunner().invoke(simulate, ["--digest-labels", *options])
    assert 2 == result.exit_code
    assert part in result.output
