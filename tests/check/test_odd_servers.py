"""A server that answers with odd shapes gets an answer or a failure for each question, no crash."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from analysis.check.live import QUESTIONS, answers
from analysis.check.questions import OUTCOMES, Answer
from analysis.check.wires import Patience
from analysis.endpoint import Endpoint
from tests.check.asking import wires_to

HASTY = Patience(reply_s=0.05, late_s=0.05, ping_s=0.05, age_s=0.05)

SHAPES: tuple[object, ...] = (None, 5, "text", [], [5, None], [{}], {}, {"error": 5}, {"id": []})
KINDS = (
    *("session.created", "session.updated", "response.created", "response.done", "error"),
    *("response.completed", "response.failed", "rate_limits.updated"),
)
FIELDS = ("session", "response", "error", "rate_limits", "headers", "status")


def frames_of(shape: object) -> list[str]:
    """Return an event of every kind with this shape in every field, then frames that are none."""
    events: list[Mapping[str, object]] = [
        {"type": kind, **dict.fromkeys(FIELDS, shape)} for kind in KINDS
    ]
    nested = {"response": {"metadata": shape, "output": shape, "usage": shape, "status": "failed"}}
    odd = [{"type": shape}, shape, {"type": "response.done", **nested}]
    return [json.dumps(event) for event in (*events, *odd)]


def body_of(shape: object) -> dict[str, Any]:
    """Return a body with this shape in every field that a question reads."""
    answer = {"probabilities": shape, "confidence": shape}
    chances = [{"value": shape, "probability": shape}] * 2
    listed = [answer, {"probabilities": chances, "confidence": 0.5}, shape]
    return {"usage": shape, "model": shape, "error": shape, "answers": listed}


async def asked_of(shape: object, *, status: int) -> list[Answer]:
    """Ask all questions of a server that knows this shape only."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.json_response(body_of(shape), status=status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        # All of it fits into the client's queue: a full one would hold up its closing.
        frames = frames_of(shape)
        await socket.send_str(frames.pop(0))
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            while frames:
                await socket.send_str(frames.pop(0))
        return socket

    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/openai/v1"
        wires = wires_to(Endpoint.find(api_key="any", base_url=base_url), patience=HASTY)
        try:
            return [one async for one in answers(wires, QUESTIONS, is_long=True)]
        finally:
            await wires.close()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("shape", SHAPES, ids=json.dumps)
def test_no_shape_breaks_a_question(shape: object, status: int) -> None:
    """Each question has an outcome, and what it says is ready for JSON."""
    given = asyncio.run(asked_of(shape, status=status))
    assert [question.number for question in QUESTIONS] == [answer.number for answer in given]
    assert {answer.outcome for answer in given} <= set(OUTCOMES)
    assert all(json.dumps(answer.to_dict()) and answer.message for answer in given)
