"""Plays a suite: two clients under fire against one service, on the running event loop.

Each client labels a half of the chunks. The first replaces its sessions on time, before the service
ends them; the second does not know that they end. Each runs three jobs at once: one with a chunk
per request, one with packs, and one that is given up and begun anew as long as the others run, so
that answers come for which nobody waits.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any

from analysis.records import Chunk
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.simulator.server import LocalService
from analysis.transport import Transport
from tests.attribution.count import Count, Found, count
from tests.attribution.leftovers import client_sockets, leftovers
from tests.attribution.suites import LABEL_SET, Suite
from tests.attribution.witnesses import SERVICE_AGE_S, Endings, FieryService
from tests.observed_service import UNPACED

PACK = 5
"""Chunks per request of each client's second job."""

PLANNED_AGE_S = 0.75 * SERVICE_AGE_S
"""What the first client believes of the age of a session; it goes at 50 to 55 sixtieths of it."""

PATIENCE = 15
"""Verdicts after which the reader of the third job goes away."""

LONGEST_S = 3_600.0
"""Seconds of the loop's clock after which whoever still waits is taken to wait for good."""

SETTINGS = replace(
    UNPACED,
    attempts_per_route=50,
    answer_attempts=10,
    connect_attempts=10,
    connects_per_s=100.0,
    connect_burst=1_000,
    connect_timeout_s=2.0,
    silence_s=0.9,
    breaker_open_s=0.05,
    breaker_open_cap_s=0.5,
    outage_limit_s=86_400.0,
    first_contact_s=86_400.0,
)
"""Patience with the way, so that no chunk is given up because of it, and short waits."""

HASTY_IN_FLIGHT = 200

HASTY = replace(
    SETTINGS,
    hedge_unknown_s=0.05,
    hedge_blind=1.0,
    hedge_quantile=0.5,
    hedge_floor=1.0,
    hedge_share=1.0,
    hedge_extra=1_000,
    retry_tokens=10_000,
    concurrency_loss=1.0,
    concurrency_inflation=1.0,
    concurrency_after_outage=HASTY_IN_FLIGHT,
)
"""Whatever takes longer than the half of the requests is sent a second time."""

HASTY_DELAYS = 0.3
"""Share of the requests of which a hasty service delays the answer."""

HASTY_SLICE = 20
"""Chunks that a hasty job reads at once; then all are on their way, so that copies may go ..."""

HASTY_PAUSE_S = 0.1
"""... until it reads on."""

OPTIONS: dict[str, Any] = {"label_set": LABEL_SET, "timeout_s": 3.0, "max_concurrent": 32}

Wrap = Callable[[Transport], Transport]


async def play(
    suite: Suite, *, chunks: int, seed: int, wrap: Wrap | None = None, is_hasty: bool = False
) -> Count:
    """Label so many chunks over a route under fire, and count what came of it.

    Args:
        suite: The route, the form of the service and the faults.
        chunks: How many, both clients together.
        seed: Of the service and of both clients.
        wrap: Put around each transport of the clients.
        is_hasty: Send requests a second time as soon and as often as can be.
    """
    if is_hasty and suite.faults:
        suite = replace(suite, faults={**suite.faults, "delay": HASTY_DELAYS})
    service, journal = FieryService(suite, seed=seed), Endings()
    loop, wall = asyncio.get_running_loop(), time.monotonic()
    begin = loop.time()
    given = [Chunk(id=f"c{n}", text=f"Text {n} over {suite.name}.") for n in range(chunks)]
    async with LocalService(service) as local:
        async with AsyncExitStack() as held:
            clients = [_client(suite, local.base_url, n, seed, wrap, is_hasty) for n in range(2)]
            for client in clients:
                await held.enter_async_context(client)
            found, read = await _labelled(clients, given, journal, is_hasty=is_hasty)
            told = [client.statistics() for client in clients]
        sockets = await client_sockets(local.base_url)
    return count(
        given,
        found,
        read,
        service,
        journal,
        in_flight=sum(one["in_flight"] for one in told),
        copies=sum(one["requests_copied"] + one["requests_rescued"] for one in told),
        connections=_added([one["connections"].get(suite.route, {}) for one in told]),
        left=await leftovers(sockets),
        loop_s=round(loop.time() - begin, 2),
        wall_s=round(time.monotonic() - wall, 2),
    )


def _client(
    suite: Suite, base_url: str, number: int, seed: int, wrap: Wrap | None, is_hasty: bool
) -> HybridSemanticAnalyzer:
    """Return the client of this number; the first one knows about the age of sessions."""

    class Client(HybridSemanticAnalyzer):
        def _transport(self, route: str) -> Transport:
            made = super()._transport(route)
            if wrap is not None:
                made = self._transports[route] = wrap(made)
            return made

    settings = HASTY if is_hasty else SETTINGS
    options = OPTIONS | ({"max_concurrent": HASTY_IN_FLIGHT} if is_hasty else {})
    return Client(
        api_key=f"key-{number}",
        base_url=base_url,
        routes=(suite.route,),
        seed=seed + number,
        settings=settings if number else replace(settings, session_age_s=PLANNED_AGE_S),
        **options,
        **suite.client,
    )


async def _labelled(
    clients: Sequence[HybridSemanticAnalyzer],
    given: Sequence[Chunk],
    journal: Endings,
    *,
    is_hasty: bool,
) -> tuple[Found, Found]:
    """Run all jobs at once; what has not ended after `LONGEST_S` is given up.

    Returns:
        What came of the chunks given, and what was read of the jobs that were given up.
    """
    found: Found = []
    read: Found = []
    halves = [given[place :: len(clients)] for place in range(len(clients))]
    jobs = [
        asyncio.create_task(_job(client, part, per_request, journal, found, is_hasty=is_hasty))
        for client, half in zip(clients, halves, strict=True)
        for part, per_request in ((half[::2], 1), (half[1::2], PACK))
    ]
    fickle = [
        asyncio.create_task(_give_up_again_and_again(client, f"x{number}", read))
        for number, client in enumerate(clients)
    ]
    await asyncio.wait(jobs, timeout=LONGEST_S)
    for task in (*jobs, *fickle):
        task.cancel()
    ends = await asyncio.gather(*jobs, *fickle, return_exceptions=True)
    for error in ends:
        if isinstance(error, Exception):
            raise error
    return found, read


async def _job(
    client: HybridSemanticAnalyzer,
    chunks: Sequence[Chunk],
    per_request: int,
    journal: Endings,
    found: Found,
    *,
    is_hasty: bool,
) -> None:
    async def slices() -> AsyncIterator[Sequence[Chunk]]:
        step = HASTY_SLICE if is_hasty else len(chunks)
        for start in range(0, len(chunks), step):
            yield chunks[start : start + step]
            if is_hasty:
                await asyncio.sleep(HASTY_PAUSE_S)

    verdicts = client.run(slices(), topic="fire", chunks_per_request=per_request, journal=journal)
    async with aclosing(verdicts):
        async for result in verdicts:
            found.append(result)


async def _give_up_again_and_again(client: HybridSemanticAnalyzer, name: str, read: Found) -> None:
    """Begin jobs of chunks of their own, and leave each one in its midst."""
    for number in itertools.count():
        ids = [f"{name}-{number}-{place}" for place in range(4 * PATIENCE)]
        chunks = {one: Chunk(id=one, text=f"Text {one}, to be given up.") for one in ids}
        size = PACK if number % 2 else 1
        verdicts = client.stream(list(chunks.values()), chunks_per_request=size)
        async with aclosing(verdicts):
            async for verdict in verdicts:
                read.append((chunks[verdict.chunk_id], verdict))
                if len(read) % PATIENCE == 0:
                    break


def _added(counters: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return the sums of counters; those that count by name get one entry per name."""
    sums: Counter[str] = Counter()
    for one in counters:
        for name, value in one.items():
            inner = value.items() if isinstance(value, dict) else ()
            sums.update({f"{name} {kind}": times for kind, times in inner} if inner else {})
            sums.update({} if isinstance(value, dict) else {name: value})
    return dict(sorted(sums.items()))
