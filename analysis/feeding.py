"""How the chunks of a job come to the scheduler: read, checked, cut into packs, offered.

io by what it waits for: the source, the journal, and room. Only dispatch uses it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from analysis.control.packing import Piece, Window, obstacle, parts
from analysis.control.planner import Budgets
from analysis.control.sizes import PACKS_REPLANNED
from analysis.jobs import Job
from analysis.labels.prompt import PromptBuilder
from analysis.records import Chunk, ErrorDetail, Failed, FailureKind, Item, Pack
from analysis.settings import Settings
from analysis.telemetry import Tell

Slices = AsyncIterator[Sequence[Chunk]]
Offer = Callable[[Pack, Job], None]


class Feeder:
    """Feeds the jobs of one dispatcher.

    Attributes:
        room_packs: Packs of a job that may be unread: those in flight and those queued.
    """

    def __init__(
        self,
        *,
        jobs: dict[int, Job],
        builder: PromptBuilder,
        offer: Offer,
        limits_of: Callable[[Job], Budgets | None],
        latency_of: Callable[[Job, int], float],
        is_word_due: Callable[[], bool],
        expect: Callable[[int], None],
        tell: Tell,
        room_packs: int,
        settings: Settings,
    ) -> None:
        """Set up.

        Args:
            jobs: Ticket -> job, filled here.
            builder: Knows what was seen of the texts.
            offer: Takes a pack to the scheduler.
            limits_of: Returns the limits that a job meets first if they are known, else None.
            latency_of: Returns the usual seconds of a job's request with so many chunks.
            is_word_due: Tells whether an answer that will state limits is on its way.
            expect: Told how many requests will be offered later.
            tell: Told when packs change.
            room_packs: See the attribute.
            settings: Knobs.
        """
        self.room_packs = room_packs
        self._jobs = jobs
        self._looks = builder.looks
        self._offer_pack = offer
        self._limits_of = limits_of
        self._latency_of = latency_of
        self._is_word_due = is_word_due
        self._expect = expect
        self._tell = tell
        self._settings = settings
        self._tickets = itertools.count(1)
        self._ahead: dict[int, int] = {}

    async def feed(self, job: Job, slices: Slices, *, is_over: Callable[[], bool]) -> None:
        """Offer everything that the source gives and the journal does not hold yet.

        `is_over`: asked before each slice; True ends it.
        """
        try:
            await self._feed(job, slices, is_over=is_over)
        finally:
            self._foresee(job, 0)
            self._ahead.pop(id(job), None)

    async def _feed(self, job: Job, slices: Slices, *, is_over: Callable[[], bool]) -> None:
        await self._size(job)
        async for chunks in slices:
            if is_over():
                return
            wanted = await job.journal.missing(chunks) if job.journal else [True] * len(chunks)
            looks = self._looks.take(chunks, has_orders=job.is_packed)
            unsendable = []
            for chunk, is_wanted, (tokens, is_alone) in zip(chunks, wanted, looks, strict=True):
                problem = obstacle(chunk.text, tokens, self._settings)
                if problem is not None:
                    job.packed += 1
                    if is_wanted:
                        verdict = _unsendable(chunk, problem, tokens, self._settings.chunk_tokens)
                        unsendable.append((chunk, verdict))
                    continue
                piece = Piece(
                    chunk=chunk,
                    tokens=tokens,
                    topic=chunk.topic or job.topic,
                    is_wanted=is_wanted,
                    is_alone=is_alone,
                )
                if window := job.cutter.add(piece):
                    await self._offer(job, window)
            await self._settle_unsendable(job, unsendable)
        while (window := job.cutter.finish()) is not None:
            await self._offer(job, window)

    def _foresee(self, job: Job, requests: int) -> None:
        """Tell how many requests are still to come, of all jobs."""
        if self._ahead.get(id(job), 0) != requests:
            self._ahead[id(job)] = requests
            self._expect(sum(self._ahead.values()))

    async def _settle_unsendable(self, job: Job, failed: list[tuple[Chunk, Failed]]) -> None:
        if job.journal is not None:
            await asyncio.gather(*(job.journal.fail(chunk, verdict) for chunk, verdict in failed))
        job.waiting += len(failed)
        job.unread += len(failed)
        for chunk, verdict in failed:
            job.deliver(chunk, verdict)

    async def _offer(self, job: Job, window: Window) -> None:
        job.packed += len(window)
        for pieces in parts(window, self._settings):
            while job.unread >= self.room_packs * job.chunks_per_request:
                job.room.clear()
                await job.room.wait()
            items = []
            for piece in pieces:
                ticket = next(self._tickets)
                self._jobs[ticket] = job
                items.append(Item(ticket=ticket, chunk=piece.chunk, tokens=piece.tokens))
            job.waiting += len(items)
            job.unread += len(items)
            self._offer_pack(Pack(items=tuple(items), topic=window[0].topic), job)
        await self._size(job)

    async def _size(self, job: Job) -> None:
        """Set the size of the next pack; a long job may wait for word of the limits here."""
        if job.sizes is None:
            return
        while True:
            left = max(1, job.total - job.packed)
            self._foresee(job, left // job.chunks_per_request)
            size = job.sizes.next(
                left=left,
                budgets=self._limits_of(job),
                answered=job.answered if job.waiting else self._settings.plan_blind,
                is_word_due=self._is_word_due(),
                latency_s=partial(self._latency_of, job),
            )
            if size is not None:
                break
            job.news.clear()
            await job.news.wait()
        if (change := job.sizes.take_change()) is not None:
            self._tell(PACKS_REPLANNED, change, {})
        job.resize(size)


def _unsendable(chunk: Chunk, problem: FailureKind, tokens: int, limit: int) -> Failed:
    message = "the text is empty; nothing was sent"
    if problem is FailureKind.TOO_LONG:
        message = f"the text has about {tokens} tokens, more than {limit}; cut it first"
    return Failed(chunk_id=chunk.id, error=ErrorDetail(kind=problem, message=message))
