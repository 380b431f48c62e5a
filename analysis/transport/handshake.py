"""Opens and closes WebSockets: address, headers, limits of the library, refused openings.

io. The transports over WebSockets call it; it hands back an open socket and speaks
no protocol on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket_connect
from websockets.protocol import State

from analysis.wire import failures
from analysis.wire.places import Place

FRAME_BYTES = 16 * 1024 * 1024
"""Largest frame taken; the library's default of 1 MiB ends a session on a long answer."""

PING_S = 20.0
"""Seconds between pings and until a missing pong ends the socket; as the service pings itself."""

CLOSE_S = 2.0
"""Seconds to wait for the other side's close frame."""


def _silent_logger() -> logging.Logger:
    """Return a logger for the websockets package that cannot emit the Authorization header.

    The package logs all headers and frames at DEBUG; they hold the key and the texts.
    """
    logger = logging.getLogger(f"{__name__}.frames")
    logger.setLevel(logging.INFO)
    logger.addFilter(lambda record: record.levelno >= logging.INFO)
    logger.addHandler(logging.NullHandler())
    return logger


_LOGGER = _silent_logger()


class _Connect(websocket_connect):
    """The library's connect without redirects: the key goes to the given address only."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def is_open(socket: ClientConnection) -> bool:
    """Tell whether what is sent now goes out.

    After the other side's close frame, or the loss of the way, a socket is open in name only: the
    library takes a frame then, waits for the end and drops it.
    """
    return socket.state is State.OPEN and not socket.transport.is_closing()


async def hang_up(socket: ClientConnection) -> None:
    """Close a socket within 2 * CLOSE_S; by force where nothing can be written any more.

    The library would wait until its close frame is written, however long the way is blocked.
    """
    if socket.state is State.CLOSED:
        return
    try:
        async with asyncio.timeout(2 * CLOSE_S):
            await socket.close()
    except TimeoutError:
        socket.transport.abort()
        await socket.wait_closed()


async def dial(
    place: Place,
    *,
    path: str,
    model: str | None,
    headers: Mapping[str, str],
    timeout_s: float,
    frame_bytes: int = FRAME_BYTES,
    subprotocols: Sequence[str] = (),
    create_connection: type[ClientConnection] | None = None,
) -> ClientConnection:
    """Return an open socket.

    Args:
        place: Where the service is and how it is shown who asks.
        path: Below the base URL, such as `realtime`.
        model: Named in the address; None where it stands in the body.
        headers: Sent beside those of the place.
        timeout_s: For the whole opening.
        frame_bytes: Largest frame that is taken.
        subprotocols: Offered after those of the place, where the place offers any.
        create_connection: Class of the socket, for those who look at control frames.

    Raises:
        TransportError: If there is nobody, or nobody in time; nothing was sent.
        RequestRejected: If the handshake was refused for good.
    """
    host = place.host
    offered = [*(of_place := place.subprotocols()), *(subprotocols if of_place else ())]
    proxy: Literal[True] | None = None if place.is_loopback else True
    try:
        return await _Connect(
            place.socket_address(path, model),
            additional_headers={**place.socket_headers(), **headers},
            subprotocols=[websockets.Subprotocol(name) for name in offered] or None,
            compression=None,
            proxy=proxy,
            open_timeout=timeout_s,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=frame_bytes,
            logger=_LOGGER,
            create_connection=create_connection,
        )
    except websockets.InvalidStatus as error:
        response = error.response
        names = {name.lower(): value for name, value in response.headers.raw_items()}
        raise failures.at_handshake(
            response.status_code, headers=names, body=bytes(response.body or b"")
        ) from error
    except (OSError, ImportError, websockets.WebSocketException) as error:
        raise failures.from_exception(error, host=host, is_opening=True) from error
