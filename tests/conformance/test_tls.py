"""Clients of other makers connect over the TLS door with the authority's file, and not without."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import openai
import pytest
import websockets
from openai import AsyncOpenAI

from analysis.testing import LocalServiceHandle, async_local_service, local_service

needs_trustme = pytest.mark.skipif(
    find_spec("trustme") is None, reason="no TLS door without trustme: pip install semfn[tls]"
)

MODEL = "gpt-realtime-2.1-mini"
CHUNK = '{"chunks": [{"id": "a", "text": "For example, a night train."}]}'


RESPONSE: Any = {
    "conversation": "none",
    "output_modalities": ["text"],
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": CHUNK}]}
    ],
}


def options(handle: LocalServiceHandle) -> Any:
    """Return what the SDK hands on to websockets; its type leaves `ssl` out."""
    return {"ssl": trusting(handle)}


def trusting(handle: LocalServiceHandle) -> ssl.SSLContext:
    """Return what a client needs to believe in the certificate of this service only."""
    return ssl.create_default_context(cafile=str(handle.ca_file))


def socket_address(handle: LocalServiceHandle) -> str:
    """Return the address of the Realtime route."""
    assert handle.base_url.startswith("https://127.0.0.1:")
    return handle.base_url.replace("https://", "wss://") + f"/realtime?model={MODEL}"


@needs_trustme
@pytest.mark.asyncio
async def test_a_plain_websockets_client_connects() -> None:
    """With the file it is greeted."""
    async with (
        async_local_service(tls=True) as handle,
        websockets.connect(
            socket_address(handle),
            ssl=trusting(handle),
            additional_headers={"Authorization": "Bearer k"},
        ) as socket,
    ):
        assert '"session.created"' in str(await socket.recv())


@needs_trustme
@pytest.mark.asyncio
async def test_a_client_that_does_not_trust_the_file_is_not_served() -> None:
    """Nothing in the certificate is known to a system by itself."""
    async with async_local_service(tls=True) as handle:
        with pytest.raises(ssl.SSLCertVerificationError):
            await websockets.connect(socket_address(handle), ssl=ssl.create_default_context())


@needs_trustme
@pytest.mark.asyncio
async def test_the_realtime_client_of_the_sdk_is_answered() -> None:
    """From the greeting to the text of a response."""
    async with (
        async_local_service(tls=True) as handle,
        AsyncOpenAI(base_url=handle.base_url, api_key="k", max_retries=0) as sdk,
        sdk.realtime.connect(
            model=MODEL, websocket_connection_options=options(handle)
        ) as connection,
    ):
        await connection.response.create(response=RESPONSE)
        text = ""
        async for event in connection:
            if event.type == "response.output_text.done":
                text = event.text
            if event.type == "response.done":
                break
        assert '"example"' in text


@needs_trustme
@pytest.mark.asyncio
async def test_the_http_client_of_the_sdk_is_answered() -> None:
    """`POST /v1/responses` over https."""
    async with async_local_service(tls=True) as handle:
        client = openai.DefaultAsyncHttpxClient(verify=trusting(handle))
        async with AsyncOpenAI(
            base_url=handle.base_url, api_key="k", max_retries=0, http_client=client
        ) as sdk:
            response = await sdk.responses.create(model="gpt-6-luna", input=CHUNK)
        assert '"example"' in response.output_text


@needs_trustme
@pytest.mark.parametrize("route", ["rest", "realtime"])
def test_the_command_run_takes_the_file_from_the_environment(route: str, tmp_path: Path) -> None:
    """`SSL_CERT_FILE` is what OpenSSL itself reads, so no option is needed."""
    (tmp_path / "in.csv").write_text('id,text\n1,"For example, a night train."\n')
    words = ["run", "in.csv", "-o", "out.csv", "--topic", "trains", "--route", route]
    with local_service(tls=True) as handle:
        done = subprocess.run(
            [sys.executable, "-m", "analysis", *words],
            cwd=tmp_path,
            env=_environment() | handle.environ(),
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert 0 == done.returncode, done.stderr
    assert ",example," in (tmp_path / "out.csv").read_text().splitlines()[1]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path)}
