"""A client in a process of its own: labels jobs over real sockets, one after the other.

io. `local` starts it. It says `ready` when everything is imported, then takes a job per line of
stdin and answers each with a line on stdout, both JSON. It ends with its input.

    {"base_url": "http://127.0.0.1:1/v1", "routes": "responses-ws,rest", "first": 0, "count": 10,
     "characters": 600, "pack": null, "seed": 0, "settings": {"timeout_s": 6.0}}
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from analysis import HybridSemanticAnalyzer
from analysis.records import Chunk, Labeled
from analysis.settings import SETTINGS

ANY_KEY = "simulated"
WORDS = "the town kept its market on the square because the river froze late in most winters "


def chunks_of(first: int, count: int, characters: int) -> list[Chunk]:
    """Return chunks of equal length and different text."""
    text = WORDS * (characters // len(WORDS) + 1)
    return [
        Chunk(id=f"c{number}", text=f"{number:07d} {text}"[:characters])
        for number in range(first, first + count)
    ]


async def label(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job and return what it took.

    Returns:
        `seconds` and `cpu_s` of the one call, counts of chunks that got no label (`lost`), of
        `requests`, of 429s (`limited`) and of tokens (`paid`).
    """
    chunks = chunks_of(job["first"], job["count"], job["characters"])
    async with HybridSemanticAnalyzer(
        ANY_KEY,
        base_url=job["base_url"],
        routes=job["routes"],
        seed=job["seed"],
        settings=replace(SETTINGS, **job["settings"]),
    ) as analyzer:
        began, cpu = time.perf_counter(), time.process_time()
        verdicts = await analyzer.analyze_batch(chunks, chunks_per_request=job["pack"])
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        routes = analyzer.statistics()["routes"].values()
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "lost": sum(not isinstance(verdict, Labeled) for verdict in verdicts),
        "requests": sum(route["requests_sent"] for route in routes),
        "limited": sum(route["rate_limited"] for route in routes),
        "paid": sum(route["input_tokens"] + route["output_tokens"] for route in routes),
    }


def main() -> None:
    """Serve the jobs on stdin."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(asyncio.run(label(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
