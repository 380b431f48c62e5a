"""The chunks of one call on their way through dispatch, and a request of them.

io by what it holds: a queue and an event of asyncio. Only dispatch uses it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from analysis.control.decisions import Send, Settled
from analysis.records import Chunk, Journal, Verdict


@dataclass(slots=True, kw_only=True)
class Job:
    """The chunks of one call and the way back for their verdicts.

    Attributes:
        results: What the reader takes; None ends it, and then it raises `error` if there is one.
        waiting: Chunks handed to the scheduler and not settled.
        unread: The same, and those whose verdict the reader has not taken.
        is_fed: Nothing more comes from the source.
        room: Set when the reader took a verdict.
        carriers: Tasks of its requests in flight.
    """

    topic: str | None
    chunks_per_request: int
    order: tuple[int, ...] | None
    journal: Journal | None
    results: asyncio.Queue[tuple[Chunk, Verdict] | None] = field(default_factory=asyncio.Queue)
    waiting: int = 0
    unread: int = 0
    is_fed: bool = False
    error: Exception | None = None
    room: asyncio.Event = field(default_factory=asyncio.Event)
    carriers: set[asyncio.Task[None]] = field(default_factory=set)

    def deliver(self, chunk: Chunk, verdict: Verdict) -> None:
        """Hand a verdict to whoever reads this job."""
        self.results.put_nowait((chunk, verdict))
        self.drop(1)

    def drop(self, count: int) -> None:
        """Wait for so many chunks less; tell the reader when nothing more comes."""
        self.waiting -= count
        if self.is_fed and self.waiting == 0:
            self.results.put_nowait(None)

    def fail(self, error: Exception) -> None:
        """End the job with an error that is not about one chunk."""
        self.error = self.error or error
        self.results.put_nowait(None)


@dataclass(slots=True, kw_only=True)
class Trip:
    """One request on its way; `settled` is None until the scheduler knows how it ended."""

    send: Send
    job: Job
    is_sent: bool = False
    settled: Settled | None = None
