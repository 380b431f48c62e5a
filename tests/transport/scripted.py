"""A WebSocket server whose connections follow a script, and a transport that speaks to it."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from analysis.transport.websocket import RealtimeTransport
from analysis.wire.places import Place

from .examples import SETTINGS

Json: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[["Session"], Awaitable[None]]

FOREVER_S = 240.0
"""A limit that no test reaches unless something hangs."""


class Session:
    """The server's end of one socket: sends and reads single frames."""

    def __init__(self, socket_end: ServerConnection) -> None:
        self.socket = socket_end
        self.session: Json = {
            "type": "realtime",
            "model": "m-2026",
            "output_modalities": ["audio"],
            "audio": {"input": {"turn_detection": {"create_response": True}}},
        }

    def speak_beta(self) -> None:
        """Be a server of the beta dialect."""
        self.session = {
            "model": "m-2026",
            "modalities": ["audio", "text"],
            "temperature": 0.8,
            "turn_detection": {"type": "server_vad", "create_response": True},
        }

    async def say(self, name: str, **fields: Any) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps({"type": name, "event_id": "e"} | fields))

    async def heard(self) -> Json:
        """Return the next frame of the client."""
        found: Json = json.loads(await self.socket.recv())
        return found

    async def greet(self) -> None:
        """Open the session."""
        await self.say("session.created", session=self.session)
        if "modalities" in self.session:
            await self.say("conversation.created", conversation={"id": "conv_1"})

    async def take_update(self) -> None:
        """Confirm the client's settings."""
        await self.confirm(await self.heard())

    async def confirm(self, update: Json) -> None:
        """Put the client's settings into effect."""
        assert "session.update" == update["type"]
        self.session |= update["session"]
        await self.say("session.updated", session=self.session)

    async def refuse(self, event: Json, code: str) -> None:
        """Answer one event of the client with an error."""
        kind = "invalid_request_error"
        error = {"type": kind, "code": code, "message": "no", "event_id": event["event_id"]}
        await self.say("error", error=error)

    async def begin(self, ask: Json, response_id: str) -> None:
        """Announce the response to an ask."""
        metadata = ask["response"]["metadata"]
        response = {"id": response_id, "status": "in_progress", "metadata": metadata}
        await self.say("response.created", response=response)

    async def answer(self, response_id: str, text: str) -> None:
        """Make a response from start to end that names nobody."""
        await self.say("response.created", response={"id": response_id, "status": "in_progress"})
        part = {"type": "output_text", "text": text}
        output = [{"type": "message", "role": "assistant", "content": [part]}]
        response = {"id": response_id, "status": "completed", "output": output}
        await self.say("response.done", response=response)

    async def finish(self, ask: Json, response_id: str) -> None:
        """End the response with the ask's own content."""
        is_beta = "modalities" in self.session
        kind = "text" if is_beta else "output_text"
        part = {"type": kind, "text": ask["response"]["input"][0]["content"][0]["text"]}
        response = {
            "id": response_id,
            "status": "completed",
            "output": [{"type": "message", "content": [part]}],
            "metadata": ask["response"]["metadata"],
        }
        await self.say("response.done", response=response)


async def obedient(session: Session) -> None:
    """Greet, take all settings, answer every ask at once."""
    await session.greet()
    await session.take_update()
    number = 0
    while True:
        ask = await session.heard()
        if ask["type"] == "session.update":
            await session.confirm(ask)
            continue
        number += 1
        await session.begin(ask, f"p{number}")
        await session.say("response.output_text.delta", response_id=f"p{number}", delta="x")
        await session.finish(ask, f"p{number}")


async def obedient_beta(session: Session) -> None:
    """Do the same in the beta dialect."""
    session.speak_beta()
    await obedient(session)


class Service:
    """A server on a free port: the n-th connection is handled by the n-th handler."""

    def __init__(self, *handlers: Handler, status: int | None = None, **headers: str) -> None:
        self._handlers = handlers
        self._status = status
        self._headers = headers
        self.base_url = ""
        self.requests: list[HttpRequest] = []

    @property
    def connections(self) -> int:
        """How many opening handshakes came."""
        return len(self.requests)

    def answer(self, connection: ServerConnection, asked: HttpRequest) -> Response | None:
        """Record the handshake, and refuse it if this server refuses."""
        self.requests.append(asked)
        if self._status is None:
            return None
        reply = Response(self._status, http.HTTPStatus(self._status).phrase, Headers(), b"{}")
        for name, value in self._headers.items():
            reply.headers[name.replace("_", "-")] = value
        return reply

    async def handle(self, socket_end: ServerConnection) -> None:
        """Run the handler of this connection; the last one serves all further ones."""
        handler = self._handlers[min(self.connections, len(self._handlers)) - 1]
        with contextlib.suppress(ConnectionClosed):
            await handler(Session(socket_end))
            await socket_end.wait_closed()


@contextlib.asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Service]:
    """Run the server."""
    async with serve(service.handle, "127.0.0.1", 0, process_request=service.answer) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        service.base_url = f"http://127.0.0.1:{port}/v1"
        yield service


@contextlib.asynccontextmanager
async def route(
    service: Service, *, place: Json | None = None, limit_s: float = FOREVER_S, **options: Any
) -> AsyncIterator[RealtimeTransport]:
    """Run a server and a transport that speaks to it; waits between attempts are zero.

    `place` holds further fields of the place, `options` arguments of the transport; `limit_s` is
    for tests with a clock of their own.
    """
    async with serving(service), asyncio.timeout(limit_s):
        chosen: Json = {"backoff_base_s": 0.0, "connect_timeout_s": 20.0, "settings": SETTINGS}
        transport = RealtimeTransport(
            place=Place(base_url=service.base_url, api_key="sk-secret-key", **(place or {})),
            rng=random.Random(1),
            **(chosen | options),
        )
        try:
            yield transport
        finally:
            await transport.close()
