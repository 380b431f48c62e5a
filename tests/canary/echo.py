"""A service that refuses everything and repeats key and body in what it says.

    python -m tests.canary.echo ADDRESSES

It prints `base_url=URL`. The path says how it refuses: `URL/401/invalid_api_key` refuses requests
and handshakes with this status and code. Each address that was asked for is a line of the file
ADDRESSES.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.canary.canary import TEXT, TOPIC


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


async def refuse(asked: web.Request) -> web.StreamResponse:
    """Refuse a request or a handshake."""
    said = error(asked, asked.match_info["code"], await asked.text())
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
