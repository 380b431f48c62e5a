"""A Responses WebSocket whose connections follow a script, and a route that speaks to it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

from websockets.exceptions import ConnectionClosed

from analysis.records import Request, TextReply
from analysis.settings import SETTINGS, Settings
from analysis.transport.pool import LanesTransport
from analysis.wire.places import Place
from tests.wire.lane_examples import completed, created, frame

from .examples import request
from .scripted import FOREVER_S, Json, Service, Session, serving

Outcome: TypeAlias = TextReply | BaseException
LaneHandler: TypeAlias = Callable[[Session], Awaitable[None]]

QUICK = replace(SETTINGS, backoff_base_s=0.001, backoff_cap_s=0.01, connects_per_s=1_000.0)
"""Waits that are almost none."""


def name_of(ask: Json) -> str | None:
    """Return the lane that a request names."""
    name: str | None = ask.get("stream_id")
    return name


def rid_of(ask: Json) -> str:
    """Return our id of a request."""
    rid: str = ask["metadata"]["rid"]
    return rid


async def begin(session: Session, ask: Json) -> None:
    """Announce the response to a request; its id is made of ours."""
    rid = rid_of(ask)
    await session.socket.send(created(f"resp-{rid}", rid, name_of(ask)))


async def finish(session: Session, ask: Json, **fields: Any) -> None:
    """End the response with the request's own content, and further fields."""
    rid, part = rid_of(ask), {"type": "output_text", "text": ask["input"][-1]["content"]}
    output = [{"type": "message", "content": [part]}]
    end = completed(f"resp-{rid}", rid, name_of(ask), output=output, **fields)
    await session.socket.send(end)


async def refuse(session: Session, code: str, name: str | None = None, **fields: Any) -> None:
    """Send an error event."""
    error = {"type": "invalid_request_error", "code": code, "message": "no"} | fields
    await session.socket.send(frame("error", name, status=400, error=error))


async def answer(session: Session, ask: Json) -> None:
    """Begin and end a response."""
    await begin(session, ask)
    await finish(session, ask)


async def obedient(session: Session) -> None:
    """Answer every request at once."""
    while True:
        await answer(session, await session.heard())


async def silent(session: Session) -> None:
    """Read and never answer."""
    while True:
        await session.heard()


def after(seconds: float) -> LaneHandler:
    """Return a server that answers each request after so many seconds, all side by side."""

    async def late(session: Session, ask: Json) -> None:
        await begin(session, ask)
        await asyncio.sleep(seconds)
        await finish(session, ask)

    async def handle(session: Session) -> None:
        async with asyncio.TaskGroup() as group:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    group.create_task(_until_closed(late(session, await session.heard())))

    return handle


async def _until_closed(step: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionClosed):
        await step


def requests(count: int, prefix: str = "r") -> list[Request]:
    """Return so many requests."""
    return [request(f"{prefix}{number}") for number in range(count)]


async def ask_all(
    transport: LanesTransport, asked: list[Request]
) -> list[TextReply | BaseException]:
    """Return the reply, or the error, of each request, all asked at once."""
    return await asyncio.gather(*map(transport.ask, asked), return_exceptions=True)


def texts(replies: list[Outcome]) -> list[str | None]:
    """Return the texts of replies; None stands for an error."""
    return [reply.text if isinstance(reply, TextReply) else None for reply in replies]


def contents(asked: list[Request]) -> list[str]:
    """Return what each request asks, which the servers here answer."""
    return [one.ask.content for one in asked]


@contextlib.asynccontextmanager
async def route(
    service: Service, *, settings: Settings = QUICK, **options: Any
) -> AsyncIterator[LanesTransport]:
    """Run a server and a route that speaks to it; waits between attempts are none."""
    async with serving(service), asyncio.timeout(FOREVER_S * 1_000):
        transport = LanesTransport(
            place=Place(base_url=service.base_url, api_key="sk-secret-key"),
            rng=random.Random(1),
            settings=settings,
            **options,
        )
        try:
            yield transport
        finally:
            await transport.close()
