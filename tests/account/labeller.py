"""A small program that labels chunks without end: one request each, over REST.

`python -m tests.account.labeller BASE_URL` prints the shared clock's time for each verdict, until
it is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from analysis.account.lease_file import shared_clock
from analysis.semantic_function import SemanticRestAnalyzer


async def label_for_ever(base_url: str) -> None:
    """Label and print until the process ends."""
    clock = shared_clock()
    chunks = ((str(number), "A sentence.") for number in itertools.count())
    async with SemanticRestAnalyzer("key-1", base_url=base_url) as analyzer:
        async for _ in analyzer.stream(chunks, chunks_per_request=1):
            print(clock.now(), flush=True)


if __name__ == "__main__":
    asyncio.run(label_for_ever(sys.argv[1]))
