"""The service over real loopback sockets, driven by the vendor's SDK and by plain clients."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from analysis.errors import ConfigurationError
from analysis.simulator.outages import Outage
from analysis.simulator.profile import PROFILE
from analysis.simulator.server import LocalService, PaymentLog, start_in_thread
from tests.simulator.beta_shapes import beta_kinds
from tests.simulator.examples import (
    body,
    chat,
    events,
    labels_of,
    message,
    out_of_band,
    pack,
    service,
)
from tests.virtual_loop import virtual

REALTIME = "/realtime?model=gpt-realtime-2.1-mini"
BEARER = {"Authorization": "Bearer key-1"}


def client(local: LocalService, **options: Any) -> AsyncOpenAI:
    """Return the SDK's client without retries."""
    return AsyncOpenAI(
        **{"base_url": local.base_url, "api_key": "key-1", "max_retries": 0, **options}
    )


async def create(sdk: AsyncOpenAI, **changes: Any) -> Any:
    """Ask through the SDK."""
    return await sdk.responses.create(**body(**changes))


@pytest.mark.asyncio
async def test_sdk_gets_answers_and_limits() -> None:
    """A strict schema is answered; the raw response has limits and a request id."""
    async with LocalService(service()) as local, client(local) as sdk:
        response = await create(sdk)
        assert labels_of("one", "two") == json.loads(response.output_text)
        raw = await sdk.responses.with_raw_response.create(**body())
        assert "30000" == raw.headers["x-ratelimit-limit-requests"]
        assert raw.headers["x-request-id"].startswith("req_")
        assert "digest-labels" in [model.id async for model in sdk.models.list()]


@pytest.mark.asyncio
async def test_sdk_gets_chat_completions() -> None:
    """A strict schema is answered; a cut answer and a bad request are told as such."""
    async with LocalService(service()) as local, client(local) as sdk:
        completion: Any = await sdk.chat.completions.create(**chat())
        (choice,) = completion.choices
        assert ("stop", labels_of("one", "two")) == (
            choice.finish_reason,
            json.loads(choice.message.content),
        )
        raw = await sdk.chat.completions.with_raw_response.create(**chat(max_completion_tokens=3))
        assert "30000" == raw.headers["x-ratelimit-limit-requests"]
        assert "length" == raw.parse().choices[0].finish_reason
        with pytest.raises(openai.BadRequestError) as bad:
            await sdk.chat.completions.create(**chat(max_tokens=3))
        assert ("unsupported_parameter", "max_tokens") == (bad.value.code, bad.value.param)


@pytest.mark.asyncio
async def test_routes_that_are_left_out_are_not_found() -> None:
    """The SDK sees a 404 on HTTP, and on the upgrade."""
    account = service(endpoints={"chat"})
    async with LocalService(account) as local, client(local) as sdk:
        with pytest.raises(openai.NotFoundError, match="Invalid URL"):
            await create(sdk)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await exchange(local.base_url + REALTIME, headers=BEARER)
        assert 404 == refused.value.status
        await sdk.chat.completions.create(**chat())


@virtual
async def test_outage_cuts_and_refuses_until_it_is_over() -> None:
    """The open socket is cut, the next one is refused with 503, and then one is let in again."""
    account = service(outages=[Outage(route="realtime", start_s=60.0, duration_s=60.0)])
    async with LocalService(account) as local, aiohttp.ClientSession() as session:
        url = local.base_url + REALTIME
        async with session.ws_connect(url, headers=BEARER) as connection:
            assert "session.created" == (await connection.receive_json())["type"]
            assert aiohttp.WSMsgType.CLOSED == (await connection.receive()).type
            assert 1_006 == connection.close_code
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url, headers=BEARER)
        assert 503 == refused.value.status
        await asyncio.sleep(60.0)
        async with session.ws_connect(url, headers=BEARER) as connection:
            assert "session.created" == (await connection.receive_json())["type"]


@pytest.mark.asyncio
async def test_beta_server_talks_to_a_browser_of_its_time() -> None:
    """Key and dialect come as subprotocols, and an answer comes in the old events."""
    protocols = ("realtime", "openai-insecure-api-key.key-1", "openai-beta.realtime-v1")
    asked = {"type": "response.create", "response": {"modalities": ["text"]}}
    messages: list[str] = []
    async with (
        LocalService(service(dialect="beta", api_key="key-1")) as local,
        aiohttp.ClientSession() as session,
        session.ws_connect(local.base_url + REALTIME, protocols=protocols) as connection,
    ):
        await connection.send_json(asked)
        while not messages or "rate_limits.updated" not in messages[-1]:
            messages.append((await connection.receive()).data)
    kinds = beta_kinds([message.encode() for message in messages])
    assert (["session.created", "conversation.created"], "realtime") == (
        kinds[:2],
        connection.protocol,
    )
    assert "response.text.done" in kinds


@pytest.mark.asyncio
async def test_sdk_raises_its_own_errors() -> None:
    """Status and code lead to the SDK's exception classes."""
    async with LocalService(service(api_key="key-1", rpm=1)) as local, client(local) as sdk:
        with pytest.raises(openai.AuthenticationError) as refused:
            await create(client(local, api_key="bad"))
        assert "invalid_api_key" == refused.value.code
        with pytest.raises(openai.NotFoundError):
            await create(sdk, model="gpt-4")
        with pytest.raises(openai.BadRequestError) as bad:
            await create(sdk, max_output_tokens=1)
        assert "max_output_tokens" == bad.value.param
        await create(sdk)
        with pytest.raises(openai.RateLimitError) as limited:
            await create(sdk)
        assert "60" == limited.value.response.headers["retry-after"]
    async with LocalService(service(faults={"error_500": 1.0})) as local, client(local) as sdk:
        with pytest.raises(openai.InternalServerError):
            await create(sdk)


@virtual
async def test_dropped_and_hanging_requests_have_no_answer() -> None:
    """A drop is a connection error, a hang ends with the client's own time-out."""
    async with LocalService(service(faults={"drop": 1.0})) as local, client(local) as sdk:
        with pytest.raises(openai.APIConnectionError) as dropped:
            await create(sdk)
        assert not isinstance(dropped.value, openai.APITimeoutError)
    hanging = service(faults={"hang": 1.0})
    async with LocalService(hanging) as local, client(local, timeout=0.05) as sdk:
        with pytest.raises(openai.APITimeoutError):
            await create(sdk)


@virtual
async def test_answer_to_a_client_that_left_is_paid_as_lost() -> None:
    """The service notices that nobody waits any more."""
    paid: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    account = service(latency_ms=60_000, payment=paid.put_nowait)
    async with LocalService(account) as local, client(local, timeout=0.05) as sdk:
        with pytest.raises(openai.APITimeoutError):
            await create(sdk)
        assert (await asyncio.wait_for(paid.get(), 5))["delivered"] is False


@pytest.mark.asyncio
async def test_sdk_runs_a_realtime_session() -> None:
    """Greeting, update, several out-of-band calls, each with its own metadata."""
    texts = {str(number): f"text {number}" for number in range(5)}
    answers = {}
    async with (
        LocalService(service(latency_ms=5)) as local,
        client(local) as sdk,
        sdk.realtime.connect(model="gpt-realtime-2.1-mini") as connection,
    ):
        assert "session.created" == (await connection.recv()).type
        settings: Any = {"type": "realtime", "output_modalities": ["text"]}
        await connection.session.update(session=settings)
        assert "session.updated" == (await connection.recv()).type
        for rid, text in texts.items():
            response: Any = out_of_band(rid, text)
            await connection.response.create(response=response)
        async for event in connection:
            if event.type == "response.done":
                done: Any = event.response
                answers[done.metadata["rid"]] = json.loads(done.output[0].arguments)
                if len(answers) == len(texts):
                    break
    assert {rid: labels_of(text) for rid, text in texts.items()} == answers


async def exchange(url: str, *messages: dict[str, Any] | bytes, **options: Any) -> Any:
    """Send messages; return the frames, the close code and the chosen subprotocol."""
    frames = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, **options) as connection,
    ):
        for each in messages:
            if isinstance(each, bytes):
                await connection.send_bytes(each)
            else:
                await connection.send_str(json.dumps(each))
        async for received in connection:
            frames.append(received.data.encode())
    return events(frames), connection.close_code, connection.protocol


@pytest.mark.asyncio
async def test_frames_of_all_sizes_arrive_whole() -> None:
    """Short, medium and long frames carry the lengths of the WebSocket protocol."""
    long = pack(*(f"text {number}" for number in range(3_000)))
    response = {"conversation": "none", "output_modalities": ["text"], "input": [message(long)]}
    asked = {"type": "response.create", "response": response}
    async with LocalService(service()) as local:
        frames, code, _ = await exchange(
            local.base_url + REALTIME, asked, b"x", {"type": "session.close"}, headers=BEARER
        )
    texts = [frame["text"] for frame in frames if frame["type"] == "response.output_text.done"]
    assert (1_000, True) == (code, len(texts[0]) > 1 << 16)
    assert "invalid_event" == frames[-1]["error"]["code"]


@pytest.mark.asyncio
async def test_refused_handshakes_are_closed_with_their_code() -> None:
    """101, an error frame, then 3000 for the key and 4000 for model and dialect."""
    async with LocalService(service(api_key="key-1")) as local:
        url = local.base_url + REALTIME
        beta = BEARER | {"OpenAI-Beta": "realtime=v1"}
        found = [
            await exchange(url, headers={"Authorization": "Bearer bad"}),
            await exchange(url, headers=beta),
            await exchange(local.base_url + "/realtime?model=gpt-4", headers=BEARER),
        ]
    assert [3_000, 4_000, 4_000] == [code for _, code, _ in found]
    assert ["invalid_api_key", "beta_api_shape_disabled", "invalid_model"] == [
        frames[0]["error"]["code"] for frames, _, _ in found
    ]


@pytest.mark.asyncio
async def test_browser_subprotocol_is_chosen() -> None:
    """The key may come as a subprotocol; the service selects `realtime`."""
    protocols = ("realtime", "openai-insecure-api-key.key-1")
    async with LocalService(service(api_key="key-1")) as local:
        frames, code, protocol = await exchange(
            local.base_url + REALTIME, {"type": "session.close"}, protocols=protocols
        )
    assert ("session.created", 1_000, "realtime") == (frames[0]["type"], code, protocol)


@virtual
async def test_old_session_is_closed_by_the_timer() -> None:
    """Without any message the connection ends at its maximum age with 1001."""
    account = service(profile=replace(PROFILE, session_max_age_s=0.05))
    async with LocalService(account) as local:
        frames, code, _ = await exchange(local.base_url + REALTIME, headers=BEARER)
    assert ("session_expired", 1_001) == (frames[-1]["error"]["code"], code)


@pytest.mark.asyncio
async def test_drop_ends_the_socket_without_a_close_frame() -> None:
    """The client sees an abnormal closure."""
    asked = {"type": "response.create", "response": out_of_band("1", "x")}
    async with LocalService(service(faults={"drop": 1.0})) as local:
        frames, code, _ = await exchange(local.base_url + REALTIME, asked, headers=BEARER)
    assert (["session.created", "response.created"], 1_006) == (
        [frame["type"] for frame in frames],
        code,
    )


@pytest.mark.asyncio
async def test_plain_get_of_the_realtime_address_is_refused() -> None:
    """Who does not ask for a WebSocket is told so."""
    async with LocalService(service()) as local, aiohttp.ClientSession() as session:
        answer = await session.get(local.base_url + REALTIME)
        assert 400 == answer.status
        assert "WebSocket" in (await answer.json())["error"]["message"]


@virtual
async def test_shutdown_leaves_no_task() -> None:
    """Open sockets are closed with 1001, a hanging request ends, no task is left."""
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as session:
        async with LocalService(service(faults={"hang": 1.0})) as local:
            url = local.base_url + REALTIME
            connection = await session.ws_connect(url, headers=BEARER)
            await connection.receive()
            receiving = asyncio.create_task(connection.receive())
            hanging = asyncio.create_task(
                session.post(local.base_url + "/responses", json=body(), headers=BEARER)
            )
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(hanging), 0.05)
        assert 1_001 == (await receiving).data
        with pytest.raises(aiohttp.ClientError):
            await hanging
    assert before == asyncio.all_tasks()


def test_thread_serves_and_ends(tmp_path: Path) -> None:
    """The context yields a base URL, payments are on disk at once, and no thread is left."""
    before = threading.active_count()

    async def ask(base_url: str) -> None:
        async with AsyncOpenAI(base_url=base_url, api_key="key-1", max_retries=0) as sdk:
            await create(sdk)

    with (
        PaymentLog(tmp_path / "paid.jsonl") as log,
        start_in_thread(service(payment=log.write)) as base_url,
    ):
        asyncio.run(ask(base_url))
        (line,) = (tmp_path / "paid.jsonl").read_text().splitlines()
        assert (2, True) == (json.loads(line)["chunks"], json.loads(line)["delivered"])
    assert before == threading.active_count()


def test_taken_port_is_reported_by_the_thread() -> None:
    """The error of the bind reaches the caller, and the thread is gone."""
    before = threading.active_count()
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as taken,
        pytest.raises(OSError, match="in use"),
        start_in_thread(service(), port=taken.getsockname()[1]),
    ):
        pytest.fail("The port was taken.")
    assert before == threading.active_count()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_only_loopback_is_bound(host: str) -> None:
    """Other addresses are refused before anything is opened."""
    with pytest.raises(ConfigurationError, match="loopback"):
        LocalService(service(), host=host)


@pytest.mark.asyncio
async def test_a_ping_behind_the_frame_that_costs_the_socket_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is read after the cut, and its pong has nowhere to go; nothing is logged."""
    async with (
        LocalService(service(faults={"drop": 1.0})) as local,
        aiohttp.ClientSession(headers=BEARER) as session,
        session.ws_connect(local.base_url + REALTIME) as connection,
    ):
        assert "session.created" == (await connection.receive_json())["type"]
        asked = {"type": "response.create", "response": out_of_band("1", "x")}
        await connection.send_json(asked)
        for _ in range(3):
            await connection.ping()
        assert ["response.created"] == [json.loads(one.data)["type"] async for one in connection]
    assert [] == [record.message for record in caplog.records]
