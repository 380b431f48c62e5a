"""A small HTTP server in the loop of the test, and a rest transport that speaks to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from aiohttp import web

from analysis.transport.rest import RestTransport
from analysis.wire.places import Place

Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

FOREVER_S = 240.0
"""A limit that no test reaches unless something hangs."""


async def obedient(asked: web.Request) -> web.StreamResponse:
    """Answer with the content that was asked, as a response."""
    body = await asked.json()
    part = {"type": "output_text", "text": body["input"][0]["content"]}
    response = {
        "id": "resp_1",
        "status": "completed",
        "model": "gpt-6-luna-2026",
        "output": [{"type": "message", "content": [part]}],
        "usage": {"input_tokens": 3, "output_tokens": 2},
        "metadata": body["metadata"],
    }
    headers = {"x-request-id": "req_7", "x-ratelimit-limit-requests": "60"}
    return web.json_response(response, headers=headers)


async def obedient_chat(asked: web.Request) -> web.StreamResponse:
    """Answer with the content that was asked, as a chat completion."""
    body = await asked.json()
    message = {"role": "assistant", "content": body["messages"][1]["content"]}
    completion = {
        "id": "chatcmpl-1",
        "model": "local-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    headers = {"x-request-id": "req_8", "x-ratelimit-limit-requests": "60"}
    return web.json_response(completion, headers=headers)


def fixed(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Return an answerer that always says the same."""

    async def answer(asked: web.Request) -> web.StreamResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=names)

    return answer


def error_body(code: str, message: str = "no", param: str | None = None) -> bytes:
    """Return an error body."""
    error = {"message": message, "type": "t", "param": param, "code": code}
    return json.dumps({"error": error}).encode()


def _handler(answer: Answer) -> Answer:
    """Return a bare function, which is what the server takes as handler."""

    async def handle(asked: web.Request) -> web.StreamResponse:
        return await answer(asked)

    return handle


@contextlib.asynccontextmanager
async def route(
    answer: Answer | None,
    chat: Answer | None = None,
    *,
    safety_identifier: str | None = None,
    **options: Any,
) -> AsyncIterator[RestTransport]:
    """Run a server with the given endpoints, and a transport that speaks to it."""
    app = web.Application()
    for path, answerer in (("responses", answer), ("chat/completions", chat)):
        if answerer is not None:
            app.router.add_post(f"/v1/{path}", _handler(answerer))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    place = Place(
        base_url=f"http://127.0.0.1:{port}/v1",
        api_key="sk-secret-key",
        safety_identifier=safety_identifier,
    )
    transport = RestTransport(place=place, **options)
    try:
        async with asyncio.timeout(FOREVER_S):
            yield transport
    finally:
        await transport.close()
        await runner.cleanup()
