"""What the relay keeps and how it is read."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.conformance.wiretap import Line, Wiretap, read

GET = b"GET /v1/models HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


def line(to_service: bytes, to_client: bytes) -> Line:
    """Return a connection with these bytes."""
    return Line(to_service=bytearray(to_service), to_client=bytearray(to_client))


def test_requests_of_one_connection_get_their_own_answers() -> None:
    """In order, bodies included."""
    post = b"POST /v1/x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc"
    found = list(read(line(GET + post, OK + OK.replace(b"200 OK", b"404 No"))))
    assert [("GET", b"", 200, b"{}"), ("POST", b"abc", 404, b"{}")] == [
        (one.method, one.body, one.status, one.answer) for one in found
    ]
    assert all(one.is_whole for one in found)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [(b"", 0, b""), (OK[:-1], 200, b"{"), (OK[:20], 0, b"")],
)
def test_torn_answers_are_not_whole(answer: bytes, status: int, body: bytes) -> None:
    """What came of them is there."""
    (found,) = read(line(GET, answer))
    assert (status, body, False) == (found.status, found.answer, found.is_whole)


def test_an_answer_that_the_end_of_the_connection_ends_is_whole() -> None:
    """It has neither length nor chunks."""
    (found,) = read(line(GET, b"HTTP/1.1 200 OK\r\n\r\nabc"))
    assert (b"abc", True) == (found.answer, found.is_whole)


def test_half_a_request_is_none() -> None:
    """Nobody can have answered it."""
    assert [] == list(read(line(GET[:-2], b"")))


@pytest.mark.asyncio
async def test_messages_of_a_socket_are_read_in_both_directions() -> None:
    """Fragments are put together; binary ones and pings are left out."""

    async def answer(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(["so ", "it ", "is"] if message == "long" else message)

    async with serve(answer, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with Wiretap(f"http://127.0.0.1:{port}/v1") as tap:
            address = tap.base_url.replace("http", "ws")
            async with connect(address, compression=None, proxy=None) as socket:
                await (await socket.ping())
                for message in ("é", b"\x00", "long"):
                    await socket.send(message)
                    await socket.recv()
    (found,) = read(tap.lines[0])
    assert (101, "/v1") == (found.status, found.path)
    assert (("é", "long"), ("é", "so it is")) == (found.sent, found.received)


@pytest.mark.asyncio
async def test_a_cut_is_handed_on() -> None:
    """Neither side waits for the other for ever."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        Wiretap(f"http://127.0.0.1:{port}") as tap,
        aiohttp.ClientSession() as client,
    ):
        with pytest.raises(aiohttp.ClientError):
            await client.get(tap.base_url)
    assert [0] == [exchange.status for exchange in read(tap.lines[0])]
