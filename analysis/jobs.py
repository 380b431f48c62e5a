"""The chunks of one call on their way through dispatch, and a request of them.

io by what it holds: a queue and an event of asyncio. Only dispatch uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from analysis.control.decisions import Send, Settled
from analysis.control.packing import Cutter
from analysis.control.quality import PackingQuality, Reduction
from analysis.control.sizes import PackSizes
from analysis.errors import AnalysisError, AnswerDefect, ModelRefused, TransportError
from analysis.records import (
    GIVEN_UP,
    Ask,
    Chunk,
    Ending,
    ErrorDetail,
    Failed,
    FailureKind,
    Item,
    Journal,
    Reply,
    TextReply,
    Verdict,
)

CLOSED = "The analyzer was closed."


@dataclass(slots=True, kw_only=True)
class Job:
    """The chunks of one call and the way back for their verdicts.

    Attributes:
        cutter: Makes its windows.
        quality: Says when they are to be smaller.
        results: What the reader takes; None ends it, and then it raises `error` if there is one.
        waiting: Chunks handed to the scheduler and not settled.
        unread: The same, and those whose verdict the reader has not taken.
        is_fed: Nothing more comes from the source.
        is_left: Its reader has gone.
        room: Set when the reader took a verdict.
        sizes: Plans the next pack; None: all packs are of the size that was asked for.
        total: Chunks of the job, if `sizes` is set.
        packed: Those that were read and put into packs, or not to be sent.
        answered: Its requests that were answered.
        news: Set when a request or a chunk was decided on, or limits were stated.
        carriers: Tasks of its requests in flight.
    """

    topic: str | None
    chunks_per_request: int
    order: tuple[int, ...] | None
    journal: Journal | None
    cutter: Cutter
    quality: PackingQuality
    results: asyncio.Queue[tuple[Chunk, Verdict] | None] = field(default_factory=asyncio.Queue)
    waiting: int = 0
    unread: int = 0
    is_fed: bool = False
    is_left: bool = False
    error: Exception | None = None
    room: asyncio.Event = field(default_factory=asyncio.Event)
    carriers: set[asyncio.Task[None]] = field(default_factory=set)
    sizes: PackSizes | None = None
    total: int = 0
    packed: int = 0
    answered: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_packed(self) -> bool:
        """Whether a request may hold several chunks."""
        return self.chunks_per_request > 1

    def resize(self, chunks_per_request: int) -> None:
        """Cut packs of this size from now on, unless answers have shown that fewer is better."""
        self.cutter.resize(chunks_per_request)
        self.quality.follow(chunks_per_request)

    def watch(self, ask: Ask, reply: Reply, *, bad: int, once: int) -> Reduction | None:
        """Hear how an answer was; make smaller packs from now on if they go wrong.

        Args:
            ask: What was asked.
            reply: The answer.
            bad: Chunks without a usable item.
            once: Input tokens of a request without any chunk.
        """
        self.answered += 1
        used = reply.usage
        step = self.quality.note(
            asked=len(ask.tickets),
            bad=bad,
            tokens=(used.input_tokens or ask.estimated_input_tokens) + used.output_tokens,
            once=once,
            is_cut=isinstance(reply, TextReply) and reply.is_cut,
        )
        if step is not None:
            self.cutter.limit(step.after)
        return step

    def deliver(self, chunk: Chunk, verdict: Verdict) -> None:
        """Hand a verdict to whoever reads this job."""
        self.results.put_nowait((chunk, verdict))
        self.drop(1)

    def drop(self, count: int) -> None:
        """Wait for so many chunks less; tell the reader when nothing more comes."""
        self.waiting -= count
        self.news.set()
        if self.is_fed and self.waiting == 0:
            self.results.put_nowait(None)

    def fail(self, error: Exception) -> None:
        """End the job with an error that is not about one chunk."""
        self.error = self.error or error
        self.results.put_nowait(None)


@dataclass(slots=True, kw_only=True)
class Trip:
    """One request on its way; `settled` is None until the scheduler knows how it ended.

    Attributes:
        send: What the scheduler decided.
        job: Whose chunks it carries.
        is_sent: The journal holds it, and it was handed to its transport.
        is_given_up: Its copy was answered first, so it is being cancelled.
        settled: The verdicts that followed.
    """

    send: Send
    job: Job
    is_sent: bool = False
    is_given_up: bool = False
    settled: Settled | None = None


def goes_on(trip: Trip) -> bool:
    """Take back the cancellation of a request that was given up, so that it can be recorded.

    False if the analyzer or the reader ends it as well.
    """
    task = asyncio.current_task()
    return trip.is_given_up and task is not None and task.uncancel() == 0


def cut_off(send: Send, item: Item) -> Failed:
    """Return the verdict on a chunk whose request was in flight when the analyzer was closed."""
    message = f"{CLOSED} A request with this chunk was in flight and may have been paid for."
    return Failed(
        chunk_id=item.chunk.id,
        error=ErrorDetail(kind=FailureKind.STOPPED, message=message),
        route=send.route,
        model=send.model,
        attempts=send.attempt,
        pack=len(send.pack.items),
    )


def sent_only(settled: Settled, trip: Trip, trips: Iterable[Trip]) -> Settled:
    """Take back the attempts of copies that were announced and never handed to a transport.

    Args:
        settled: The verdicts of an answer.
        trip: The request that was answered.
        trips: All requests on their way.
    """
    if not settled or settled[0][1].attempts <= trip.send.attempt:
        return settled  # nothing was announced after it: the common case
    ticket = trip.send.pack.items[0].ticket
    unsent = sum(
        not one.is_sent and ticket in {item.ticket for item in one.send.pack.items} for one in trips
    )
    return tuple(
        (item, replace(verdict, attempts=verdict.attempts - unsent)) for item, verdict in settled
    )


def ending_of(trip: Trip, error: AnalysisError) -> tuple[Ending, str]:
    """Return how a failed request ended and the code that the journal keeps."""
    if isinstance(error, TransportError):
        if trip.is_given_up and error.ending is Ending.UNKNOWN:
            return Ending.UNKNOWN, GIVEN_UP
        return error.ending, error.code
    if isinstance(error, AnswerDefect):
        return Ending.DONE, error.defect  # a reply came, so it was paid for
    if isinstance(error, ModelRefused):
        return Ending.DONE, error.code  # an answer in its own way, paid for like any other
    return Ending.REFUSED, str(getattr(error, "code", ""))


def is_final(verdict: Verdict) -> TypeGuard[Failed]:
    """Tell whether a verdict without a request belongs into the journal: what was stopped, not."""
    return isinstance(verdict, Failed) and verdict.error.kind is not FailureKind.STOPPED
