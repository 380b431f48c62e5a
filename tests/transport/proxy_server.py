"""A small HTTP proxy in the loop of the test; whatever it is asked for, it leads to one local port.

So a test can use a host name that nobody resolves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Proxy:
    """Leads to `port`, or refuses everybody with `status`; keeps the first line of each request."""

    def __init__(self, port: int, *, status: int = 200) -> None:
        self._port = port
        self._status = status
        self.url = ""
        self.asked: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        self.asked.append(line.decode())
        method, target, version = line.split()
        if self._status != 200:
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self._status)
        else:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            if method == b"CONNECT":
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = b"/" + target.split(b"/", 3)[3]
                far_writer.write(b" ".join((method, path, version)) + b"\r\n" + rest)
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def proxying(port: int, *, status: int = 200) -> AsyncIterator[Proxy]:
    """Run a proxy that leads to a port."""
    proxy = Proxy(port, status=status)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    async with server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
