"""Endpoints that the tests of this folder probe."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from analysis.check import Finding
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.labels.label_set import LabelSet
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Service, digest_answerer

DIGEST = digest_answerer(LabelSet.load("ten_functions").keys)

NOBODY = Endpoint.find(api_key="any", base_url="http://127.0.0.1:9/v1")
"""Port 9 (discard) takes no connections here."""


@contextmanager
def service_at(*, is_marked: bool = True, **options: Any) -> Iterator[Endpoint]:
    """Run a simulated service; its endpoint is marked as local unless told otherwise."""
    with start_in_thread(Service(DIGEST, **options)) as base_url:
        yield Endpoint.find(
            api_key="local", base_url=base_url, host=EMBEDDED if is_marked else None
        )


@asynccontextmanager
async def scripted(talk: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Endpoint]:
    """Run a WebSocket server that does what `talk` says, and nothing else."""
    async with serve(talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Endpoint.find(api_key="any", base_url=f"http://127.0.0.1:{port}/v1")


def named(findings: tuple[Finding, ...] | list[Finding]) -> dict[str, Finding]:
    """Return findings by name."""
    return {finding.name: finding for finding in findings}
