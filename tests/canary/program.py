"""Somebody's program that logs everything: `logging.basicConfig(level=DEBUG)` before any call.

    python -m tests.canary.program BASE_URL FOLDER ROUTE...
    python -m tests.canary.program BASE_URL FOLDER bare

With routes it labels the table in FOLDER over each of them. With `bare` it opens a socket with the
websockets package alone, as a program without care would do it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import websockets

from analysis import analyze_file
from tests.canary.canary import KEY, TEXT, TOPIC


async def bare(base_url: str) -> None:
    """Open a socket with the key, and send the text."""
    address = base_url.replace("http", "ws") + "/responses"
    headers = {"Authorization": f"Bearer {KEY}"}
    async with websockets.connect(address, additional_headers=headers, proxy=None) as socket:
        await socket.send(TEXT)


def main() -> None:
    """Do what the arguments say."""
    base_url, folder, *routes = sys.argv[1:]
    logging.basicConfig(level=logging.DEBUG, format="%(name)s | %(message)s | %(args)s")
    if routes == ["bare"]:
        asyncio.run(bare(base_url))
        return
    source = Path(folder) / "birds.csv"
    for route in routes:
        target = source.with_name(f"{route}.csv")
        made = analyze_file(
            source, target, topic=TOPIC, route=route, api_key=KEY, base_url=base_url
        )
        print(route, made.exit_code, made.labeled)


if __name__ == "__main__":
    main()
