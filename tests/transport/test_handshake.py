"""Addresses and headers of an opening; what a refused one means stands in the opening tests."""

from __future__ import annotations

import pytest

from analysis.transport.handshake import dial
from analysis.wire.places import Place

from .scripted import Service, Session, serving


@pytest.mark.asyncio
async def test_the_key_and_the_given_headers_are_sent() -> None:
    """Nothing is compressed, and no protocol is spoken yet."""

    async def silent(session: Session) -> None:
        await session.socket.wait_closed()

    async with serving(service := Service(silent)):
        socket = await dial(
            Place(base_url=service.base_url, api_key="k"),
            path="realtime",
            model="m",
            headers={"X-One": "1"},
            timeout_s=20.0,
        )
        await socket.close()
    (asked,) = service.requests
    assert ("Bearer k", "1") == (asked.headers["Authorization"], asked.headers["X-One"])
    assert "Sec-WebSocket-Extensions" not in asked.headers
