"""A service that refuses everything and repeats key and body in what it says.

    python -m tests.canary.echo ADDRESSES

It prints `base_url=URL`. The path says how it refuses: `URL/401/invalid_api_key` refuses requests
and handshakes with this status and code. Each address that was asked for is a line of the file
ADDRESSES. `URL/400/html` repeats the texts of a request without quotes, in a spelling of
`canary.SPELLINGS`; with the status 200 that is the answer of the model, and its name.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.canary.canary import SPELLINGS, TEXT, TEXTS, TOPIC


def error(asked: web.Request, code: str, body: str) -> dict[str, Any]:
    """Return an error that repeats who asked and what."""
    held = asked.headers.get("Authorization", "")
    key = held.split(" ")[-1]
    return {
        "type": "invalid_request_error",
        "code": code,
        "message": f"Bad value '{TEXT}' or \"{TOPIC}\" sent by {key} ({held}). Body: {body}",
        "param": held,
    }


def repeated(spelling: str, body: str) -> str:
    """Return the texts that stand in a request, in a spelling."""
    asked = json.dumps(json.loads(body), ensure_ascii=False)
    return " and ".join(SPELLINGS[spelling](text) for text in TEXTS if text in asked)


def answer(words: str) -> dict[str, Any]:
    """Return an answer of the Responses API that is no JSON."""
    part = {"type": "output_text", "text": words, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": words,
        "output": [message | {"content": [part]}],
        "usage": {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18},
    }


async def refuse(asked: web.Request) -> web.StreamResponse:
    """Refuse a request or a handshake."""
    code, body = asked.match_info["code"], await asked.text()
    if code in SPELLINGS and asked.match_info["status"] == "200":
        return web.json_response(answer(repeated(code, body)))
    said = error(asked, code, body)
    if code in SPELLINGS and body:
        words = repeated(code, body)
        said |= {"message": f"No: {words} is bad", "code": words}
    headers = {"x-request-id": asked.headers.get("Authorization", "").split(" ")[-1]}
    status = int(asked.match_info["status"])
    return web.json_response({"error": said}, status=status, headers=headers)


async def serve(addresses: Path) -> None:
    """Serve until this process is ended."""
    log = addresses.open("a", encoding="utf-8", buffering=1)

    async def note(asked: web.Request) -> web.StreamResponse:
        print(json.dumps(str(asked.rel_url)), file=log)
        return await refuse(asked)

    app = web.Application()
    app.router.add_route("*", "/{status:\\d+}/{code}/{rest:.*}", note)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    print(f"base_url=http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
