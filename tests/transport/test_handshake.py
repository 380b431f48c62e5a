"""Addresses and headers of an opening; what a refused one means stands in the opening tests."""

from __future__ import annotations

import pytest

from analysis.transport.handshake import dial, host_of, websocket_address

from .scripted import Service, Session, serving


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime"),
        ("http://127.0.0.1:8080/v1/", "ws://127.0.0.1:8080/v1/realtime"),
        ("nonsense", "nonsense:///realtime"),
    ],
)
def test_the_socket_stands_below_the_base_url(base_url: str, address: str) -> None:
    """An address without a scheme stays one that no library opens."""
    assert address == websocket_address(base_url, "realtime")


@pytest.mark.parametrize(
    ("address", "host"), [("wss://a.example:1/v1/realtime", "a.example"), ("odd", "odd")]
)
def test_messages_name_the_host(address: str, host: str) -> None:
    """What cannot be read is named as it was given."""
    assert host == host_of(address)


@pytest.mark.asyncio
async def test_the_key_and_the_given_headers_are_sent() -> None:
    """Nothing is compressed, and no protocol is spoken yet."""

    async def silent(session: Session) -> None:
        await session.socket.wait_closed()

    async with serving(service := Service(silent)):
        address = websocket_address(service.base_url, "realtime")
        socket = await dial(address, api_key="k", headers={"X-One": "1"}, timeout_s=20.0)
        await socket.close()
    (asked,) = service.requests
    assert ("Bearer k", "1") == (asked.headers["Authorization"], asked.headers["X-One"])
    assert "Sec-WebSocket-Extensions" not in asked.headers
