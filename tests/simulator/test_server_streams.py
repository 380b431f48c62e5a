"""Lanes, streamed answers and broken deliveries over real loopback sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from analysis.simulator.outages import Outage
from analysis.simulator.profile import PROFILE, ResponsesRules
from analysis.simulator.server import LocalService
from analysis.simulator.service import Service
from tests.simulator.examples import body, chat, service
from tests.virtual_loop import virtual

BEARER = {"Authorization": "Bearer key-1"}
SOON_S = 0.1
"""How long a test waits for nothing to come."""


@asynccontextmanager
async def lanes(account: Service, **options: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Serve and open one connection in WebSocket mode."""
    options = {"headers": BEARER, **options}
    async with (
        LocalService(account) as local,
        aiohttp.ClientSession() as session,
        session.ws_connect(local.base_url + "/responses", **options) as connection,
    ):
        yield connection


async def ask(connection: aiohttp.ClientWebSocketResponse, **changes: Any) -> None:
    """Send one request."""
    await connection.send_json({"type": "response.create", **body(store=False, **changes)})


async def statuses(connection: aiohttp.ClientWebSocketResponse) -> list[str]:
    """Return the types of the frames until the last event or the end of the connection."""
    types: list[str] = []
    async for message in connection:
        types.append(json.loads(message.data)["type"].removeprefix("response."))
        if types[-1] == "completed":
            break
    return types


@virtual
async def test_lanes_are_answered() -> None:
    """The first frame comes after the first request, the last one ends it."""
    async with lanes(service()) as connection:
        await ask(connection, stream_id="a")
        types = await statuses(connection)
    assert ("created", "completed") == (types[0], types[-1])


@virtual
@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"headers": {"Authorization": "Bearer bad"}}, 401),
        ({"headers": {}}, 401),
        ({"headers": {"api-key": "key-1"}}, 101),
        ({"headers": {}, "protocols": ("realtime", "openai-insecure-api-key.key-1")}, 101),
    ],
)
async def test_key_is_checked_before_the_upgrade(options: dict[str, Any], status: int) -> None:
    """A bad key is an HTTP answer; a good one may come in each of the known places."""
    found = 101
    try:
        async with lanes(service(api_key="key-1"), **options) as connection:
            assert not connection.closed
    except aiohttp.WSServerHandshakeError as error:
        found = error.status
    assert status == found


@virtual
@pytest.mark.parametrize(
    ("account", "status"),
    [
        (service(endpoints={"responses"}), 404),
        (service(outages=[Outage(route="responses-ws", start_s=0, duration_s=60)]), 503),
    ],
)
async def test_route_that_is_away_is_not_opened(account: Service, status: int) -> None:
    """Switched off it is unknown, and during an outage it is overloaded."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with lanes(account):
            pytest.fail("The route was away.")
    assert status == refused.value.status


@virtual
async def test_old_connection_is_closed() -> None:
    """The error frame comes first, then 1000."""
    profile = replace(PROFILE, responses=ResponsesRules(connection_max_age_s=0.02))
    async with lanes(service(profile=profile)) as connection:
        assert ["error"] == await statuses(connection)
        assert 1_000 == connection.close_code


@virtual
async def test_torn_frame_ends_the_connection_in_its_middle() -> None:
    """The client sees every whole frame and an abnormal closure."""
    async with lanes(service(faults={"torn": 1.0})) as connection:
        await ask(connection)
        assert "output_item.done" == (await statuses(connection))[-1]
        assert 1_006 == connection.close_code


def pinging(**options: Any) -> Service:
    """Return a service that sends a PING every few milliseconds."""
    rules = ResponsesRules(ping_interval_s=0.01)
    return service(profile=replace(PROFILE, responses=rules, shuffle_window_s=0.0), **options)


@virtual
async def test_service_sends_pings_at_its_interval() -> None:
    """Between the frames, without being asked."""
    async with lanes(pinging(), autoping=False) as connection:
        for _ in range(2):
            assert aiohttp.WSMsgType.PING == (await connection.receive()).type


@virtual
async def test_half_open_socket_is_silent_and_unread() -> None:
    """No frame, no PING and no PONG come any more, and no closure either."""
    paid: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    account = pinging(faults={"half_open": 1.0}, payment=paid.put_nowait)
    quick = aiohttp.ClientWSTimeout(ws_close=0.01)
    async with lanes(account, autoping=False, timeout=quick) as connection:
        await ask(connection)
        assert (await asyncio.wait_for(paid.get(), 5))["delivered"] is False
        with pytest.raises(asyncio.TimeoutError):
            while True:
                # What was sent before the fault may still come; after it nothing does.
                await asyncio.wait_for(connection.receive(), SOON_S)
        await connection.ping()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connection.receive(), SOON_S)
        assert not connection.closed


async def post(url: str, request: dict[str, Any]) -> tuple[int, bytes, bool]:
    """Return status, what came of the body, and whether it was whole."""
    data = b""
    timeout = aiohttp.ClientTimeout(total=SOON_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, json=request, headers=BEARER) as answer,
    ):
        try:
            async for part in answer.content.iter_any():
                data += part
        except (TimeoutError, aiohttp.ClientPayloadError):
            return answer.status, data, False
        return answer.status, data, True


@virtual
async def test_torn_answer_has_half_its_body() -> None:
    """The length of the whole was announced."""
    async with LocalService(service(faults={"torn": 1.0})) as local:
        status, data, is_whole = await post(local.base_url + "/responses", body())
    assert (200, b'{"id":', False) == (status, data[:6], is_whole)


@virtual
@pytest.mark.parametrize(
    ("fault", "part"),
    [
        ("drop", b"response.in_progress"),
        ("torn", b"response.output_text.done"),
        ("hang", b"response.in_progress"),
        ("stall", b"response.output_text.delta"),
    ],
)
async def test_faulty_stream_breaks_off(fault: str, part: bytes) -> None:
    """What came before the fault is there, the end is not."""
    async with LocalService(service(faults={fault: 1.0}, ms_per_token=0.1)) as local:
        status, data, is_whole = await post(local.base_url + "/responses", body(stream=True))
    assert (200, True, False) == (status, part in data, is_whole)
    assert not data.endswith(b"\n\n") or b"response.completed" not in data


@virtual
async def test_streams_are_delivered_whole() -> None:
    """Both routes end as their protocol says, and both are paid as delivered."""
    records: list[dict[str, Any]] = []
    account = service(payment=records.append, ms_per_token=0.1)
    async with LocalService(account) as local:
        first = await post(local.base_url + "/responses", body(stream=True))
        second = await post(local.base_url + "/chat/completions", chat(stream=True))
    assert [True, True] == [is_whole for _, _, is_whole in (first, second)]
    assert b"event: response.completed" in first[1].split(b"\n\n")[-2]
    assert second[1].endswith(b"data: [DONE]\n\n")
    assert [True, True] == [record["delivered"] for record in records]


@virtual
async def test_stream_to_a_client_that_left_is_paid_as_lost() -> None:
    """The service notices it in the middle."""
    paid: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    account = service(payment=paid.put_nowait, ms_per_token=10_000)
    async with LocalService(account) as local:
        await post(local.base_url + "/responses", body(stream=True))
        assert (await asyncio.wait_for(paid.get(), 5))["delivered"] is False
