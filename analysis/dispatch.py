"""The one asyncio loop: ask the scheduler, drive the transports, write the journal.

io, without policy: what goes when, how often and where is the scheduler's to say. The analyzers
hand in chunks through `Dispatcher.run` and get verdicts as they come.

Order for every request: the journal holds the intent, then the request is sent, then the journal
holds how it ended, and only then the verdicts are handed on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.control.decisions import Finished, Send, Settled, WaitUntil
from analysis.control.packing import Cutter, Piece, obstacle
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.errors import AnalysisError, DeadlinePassed, LocalProtocolError, TransportError
from analysis.labels.answer import check
from analysis.labels.prompt import PromptBuilder
from analysis.labels.tokens import estimate
from analysis.records import (
    Ask,
    Chunk,
    Ending,
    ErrorDetail,
    Failed,
    FailureKind,
    Item,
    Journal,
    Pack,
    RateLimit,
    Request,
    Settlement,
    TextReply,
    Usage,
    Verdict,
)
from analysis.settings import SETTINGS, Settings
from analysis.telemetry import Event, Sink
from analysis.transport import Transport

Slices = AsyncIterator[Sequence[Chunk]]

_OBSTACLES = {
    FailureKind.EMPTY: "the text is empty; nothing was sent",
    FailureKind.TOO_LONG: "the text has about {tokens} tokens, more than {limit}; cut it first",
}


@dataclass(slots=True, kw_only=True)
class Job:
    """The chunks of one call and the way back for their verdicts."""

    topic: str | None
    chunks_per_request: int
    order: tuple[int, ...] | None
    journal: Journal | None
    room_chunks: int
    results: asyncio.Queue[tuple[Chunk, Verdict] | None] = field(default_factory=asyncio.Queue)
    waiting: int = 0
    unread: int = 0
    is_fed: bool = False
    error: BaseException | None = None
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def deliver(self, chunk: Chunk, verdict: Verdict) -> None:
        """Hand a verdict to whoever reads this job."""
        self.waiting -= 1
        self.results.put_nowait((chunk, verdict))
        self.close_if_done()

    def close_if_done(self) -> None:
        """Tell the reader that nothing more comes, once that is so."""
        if self.is_fed and self.waiting == 0:
            self.results.put_nowait(None)

    def fail(self, error: BaseException) -> None:
        """End the job with an error that is not about one chunk."""
        self.error = self.error or error
        self.results.put_nowait(None)


class Dispatcher:
    """Runs jobs over the routes of one analyzer, on the event loop of the first call."""

    def __init__(
        self,
        plans: Sequence[RoutePlan],
        *,
        transports: Mapping[str, Transport],
        builder: PromptBuilder,
        timeout_s: float,
        on_event: Sink,
        rng: random.Random,
        settings: Settings = SETTINGS,
    ) -> None:
        """Set up a dispatcher on the running event loop; `transports` has one entry per plan."""
        self._clock = asyncio.get_running_loop().time
        self._transports = transports
        self._builder = builder
        self._on_event = on_event
        self.scheduler = Scheduler(
            plans,
            cost_of=lambda pack: builder.input_tokens(pack) + builder.output_cap(len(pack.items)),
            rng=rng,
            new_id=lambda: f"q{rng.getrandbits(64):016x}",
            notify=self.tell,
            now=self._clock(),
            settings=settings,
        )
        self._timeout_s = timeout_s
        self._settings = settings
        self._jobs: dict[int, Job] = {}
        self._open_jobs: list[Job] = []
        self._ticket = 0
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None

    # What the analyzers call

    async def run(
        self,
        slices: Slices,
        *,
        topic: str | None,
        chunks_per_request: int,
        order: tuple[int, ...] | None = None,
        journal: Journal | None = None,
    ) -> AsyncIterator[tuple[Chunk, Verdict]]:
        """Yield (chunk, verdict) in the order in which they settle.

        Chunks that the journal already holds get none. After a stop, chunks of a job without
        journal end as `stopped`, and those of a job with one are simply left.

        Raises:
            LedgerError: If the journal cannot write.
            LocalProtocolError: If a part of the package misbehaved.
        """
        self._start()
        room = self._settings.queue_packs * chunks_per_request
        job = Job(
            topic=topic,
            chunks_per_request=chunks_per_request,
            order=order,
            journal=journal,
            room_chunks=room,
        )
        self._open_jobs.append(job)
        feeder = asyncio.create_task(self._feed(job, slices))
        try:
            while (result := await job.results.get()) is not None:
                job.unread -= 1
                job.room.set()
                yield result
            if job.error is not None:
                raise job.error
        finally:
            self._open_jobs.remove(job)
            feeder.cancel()
            if job.waiting:
                self._withdraw(job)

    def stop(self, reason: str) -> None:
        """Send nothing more; requests in flight still end and count."""
        self.scheduler.stop(reason)
        self._wake.set()

    def tell(self, name: str, message: str, fields: Mapping[str, str | float]) -> None:
        """Make a run event of something that happened now."""
        self._on_event(Event(name=name, at=self._clock(), message=message, fields=fields))

    def hear_limits(self, route: str, limits: tuple[RateLimit, ...]) -> None:
        """Pass on what a transport heard about rate limits."""
        self.scheduler.on_limits(route, limits, now=self._clock())
        self._wake.set()

    async def close(self) -> None:
        """End the loop and all requests in flight, then the transports. May be called twice."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None
        for job in self._open_jobs:
            job.fail(LocalProtocolError("The analyzer was closed while it worked."))
        for transport in self._transports.values():
            await transport.close()

    # Feeding

    async def _feed(self, job: Job, slices: Slices) -> None:
        try:
            await self._feed_all(job, slices)
            job.is_fed = True
            job.close_if_done()
        except Exception as error:  # noqa: BLE001 (task boundary: the reader of the job gets it)
            job.fail(error)

    async def _feed_all(self, job: Job, slices: Slices) -> None:
        cutter = Cutter(chunks_per_request=job.chunks_per_request, settings=self._settings)
        async for chunks in slices:
            if self.scheduler.stop_reason is not None and job.journal is not None:
                return
            wanted = await job.journal.missing(chunks) if job.journal else [True] * len(chunks)
            unsendable = []
            for chunk, is_wanted in zip(chunks, wanted, strict=True):
                tokens = estimate(chunk.text)
                problem = obstacle(chunk.text, tokens, self._settings)
                if problem is not None:
                    if is_wanted:
                        unsendable.append((chunk, self._unsendable(chunk, problem, tokens)))
                    continue
                topic = chunk.topic or job.topic
                piece = Piece(chunk=chunk, tokens=tokens, topic=topic, is_wanted=is_wanted)
                if (window := cutter.add(piece)) is not None:
                    await self._offer(job, window)
            await self._settle_unsendable(job, unsendable)
        if (window := cutter.finish()) is not None:
            await self._offer(job, window)

    def _unsendable(self, chunk: Chunk, problem: FailureKind, tokens: int) -> Failed:
        limit = self._settings.chunk_tokens
        message = _OBSTACLES[problem].format(tokens=tokens, limit=limit)
        return Failed(chunk_id=chunk.id, error=ErrorDetail(kind=problem, message=message))

    async def _settle_unsendable(self, job: Job, failed: list[tuple[Chunk, Failed]]) -> None:
        if job.journal is not None:
            await asyncio.gather(*(job.journal.fail(chunk, verdict) for chunk, verdict in failed))
        for chunk, verdict in failed:
            job.waiting += 1
            job.unread += 1
            job.deliver(chunk, verdict)

    async def _offer(self, job: Job, window: tuple[Piece, ...]) -> None:
        while job.unread >= job.room_chunks:
            job.room.clear()
            await job.room.wait()
        items = []
        for piece in window:
            if piece.is_wanted:
                self._ticket += 1
                self._jobs[self._ticket] = job
                items.append(Item(ticket=self._ticket, chunk=piece.chunk, tokens=piece.tokens))
        if not items:
            return
        job.waiting += len(items)
        job.unread += len(items)
        pack = Pack(items=tuple(items), topic=window[0].topic)
        self.scheduler.offer(pack, now=self._clock(), order=job.order)
        self._wake.set()

    def _withdraw(self, job: Job) -> None:
        mine = {ticket for ticket, owner in self._jobs.items() if owner is job}
        self.scheduler.withdraw(lambda pack: pack.items[0].ticket in mine, now=self._clock())
        for ticket in mine:
            del self._jobs[ticket]

    # Driving

    def _start(self) -> None:
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._guard())

    async def _guard(self) -> None:
        """Run the loop; an error that is nobody's answer ends every job with it."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._drive(group)
        except BaseExceptionGroup as errors:
            for job in self._open_jobs:
                job.fail(errors.exceptions[0])

    async def _drive(self, group: asyncio.TaskGroup) -> None:
        while True:
            decision = self.scheduler.poll(now=self._clock())
            if abandoned := self.scheduler.take_abandoned():
                group.create_task(self._give_back(abandoned))
            match decision:
                case Send():
                    group.create_task(self._carry(decision))
                case WaitUntil(at=at):
                    await self._sleep(at)
                case Finished():
                    await self._sleep(None)

    async def _sleep(self, at: float | None) -> None:
        timer = None
        if at is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(max(0.0, at - self._clock()), self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()

    async def _carry(self, send: Send) -> None:
        """Take one request there and back."""
        job = self._jobs.get(send.pack.items[0].ticket)
        if job is None:  # its reader has gone; nobody wants to pay for this
            self.scheduler.cancel(send.request_id, now=self._clock())
            return
        ask = self._builder.ask(send.pack)
        request = Request(
            request_id=send.request_id,
            route=send.route,
            model=send.model,
            pack=send.pack,
            ask=ask,
            attempt=send.attempt,
        )
        journal = job.journal
        if journal is not None:
            await journal.intend(request)
        started = self._clock()
        try:
            reply = await self._ask(request)
        except AnalysisError as error:
            settled = self.scheduler.on_failure(send.request_id, error, now=self._clock())
            ending, code = _ending_of(error)
            usage, model = Usage(), None
        else:
            settled = self._read(send, reply, ask, self._clock() - started)
            ending, code, usage, model = Ending.DONE, "", reply.usage, reply.model
        self._wake.set()
        if journal is not None:
            await journal.settle(
                Settlement(
                    request_id=send.request_id,
                    ending=ending,
                    code=code,
                    usage=usage,
                    model=model,
                    verdicts=tuple((item.chunk, verdict) for item, verdict in settled),
                )
            )
        self._deliver(settled)

    async def _ask(self, request: Request) -> TextReply:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._transports[request.route].ask(request)
        except TimeoutError as late:
            raise DeadlinePassed(
                f"No answer from {request.route} within {self._timeout_s:g} s.", code="timeout"
            ) from late

    def _read(self, send: Send, reply: TextReply, ask: Ask, latency_s: float) -> Settled:
        checked = check(reply, ask, self._builder.label_set)
        return self.scheduler.on_answer(
            send.request_id,
            labels=checked.labels,
            defect=checked.defect,
            note=checked.note,
            usage=reply.usage,
            model=reply.model,
            latency_s=latency_s,
            now=self._clock(),
        )

    def _deliver(self, settled: Settled) -> None:
        for item, verdict in settled:
            job = self._jobs.pop(item.ticket, None)
            if job is not None:
                job.deliver(item.chunk, verdict)

    async def _give_back(self, abandoned: Settled) -> None:
        """Hand out verdicts that belong to no request; what was stopped is not journaled."""
        for item, verdict in abandoned:
            job = self._jobs.get(item.ticket)
            journal = job.journal if job is not None else None
            if (
                journal is not None
                and isinstance(verdict, Failed)
                and verdict.error.kind is not FailureKind.STOPPED
            ):
                await journal.fail(item.chunk, verdict)
        self._deliver(abandoned)


def _ending_of(error: AnalysisError) -> tuple[Ending, str]:
    """Return how a failed request ended and the code that the journal keeps."""
    code = str(getattr(error, "code", "") or getattr(error, "defect", ""))
    if isinstance(error, TransportError):
        return error.ending, code
    return Ending.REFUSED, code
