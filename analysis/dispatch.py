"""The one asyncio loop: ask the scheduler, drive the transports, write the journal.

io, without policy: what goes when, how often and where is the scheduler's to say. The analyzers
hand in chunks through `Dispatcher.run` and get verdicts as they come.

Order for every request: the journal holds the intent, then the request is sent, then the journal
holds how it ended, and only then the verdicts are handed on.

A job is one call. What goes wrong with its source or its journal ends that job and no other. A job
whose reader has gone is withdrawn, and its requests in flight are cancelled and free their places.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeGuard

from analysis.control.decisions import Finished, Send, Settled, WaitUntil
from analysis.control.packing import Cutter, Piece, obstacle
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.errors import (
    AnalysisError,
    AnswerDefect,
    DeadlinePassed,
    ModelRefused,
    TransportError,
)
from analysis.jobs import Job, Trip
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
    Reply,
    Request,
    Settlement,
    Verdict,
)
from analysis.settings import CHOICE_ROUTES, SETTINGS, Settings
from analysis.telemetry import Event, Sink
from analysis.transport import Transport

Slices = AsyncIterator[Sequence[Chunk]]


CLOSED = "The analyzer was closed."


class Dispatcher:
    """Runs jobs over the routes of one analyzer, on the event loop of the first call.

    `labeled` counts the chunks that got a label since the start.
    """

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
        has_confidence: bool = True,
    ) -> None:
        """Set up a dispatcher on the running event loop; `transports` has one entry per plan.

        Without `has_confidence` no probability of a reply gets into a verdict.
        """
        self._has_confidence = has_confidence
        self._clock = asyncio.get_running_loop().time
        self._plans = tuple(plans)
        self._transports = transports
        self._builder = builder
        self._on_event = on_event
        self.scheduler = Scheduler(
            plans,
            cost_of=self._cost_of,
            rng=rng,
            new_id=lambda: f"q{rng.getrandbits(64):016x}",
            notify=self.tell,
            now=self._clock(),
            settings=settings,
        )
        self._timeout_s = timeout_s
        self._settings = settings
        self.labeled = 0
        self._jobs: dict[int, Job] = {}
        self._open_jobs: list[Job] = []
        self._ticket = 0
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._is_closed = False
        self._room_packs = settings.queue_packs + sum(plan.in_flight for plan in self._plans)

    # What the analyzers call

    async def run(
        self,
        slices: Slices,
        *,
        topic: str | None,
        chunks_per_request: int,
        order: tuple[int, ...] | None = None,
        journal: Journal | None = None,
    ) -> AsyncGenerator[tuple[Chunk, Verdict], None]:
        """Yield (chunk, verdict) in the order in which they settle.

        Chunks that the journal already holds get none. After a stop, chunks of a job without
        journal end as `stopped`; a job with one does not read on. A source that fails ends the job
        after what is in flight. Close the generator to give up.

        Raises:
            LedgerError: If the journal cannot write.
            Exception: What the source raised, or a part of the package that misbehaved.
        """
        self._start()
        job = Job(topic=topic, chunks_per_request=chunks_per_request, order=order, journal=journal)
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
            await self._forget(job, feeder)

    def limit_in_flight(self, limit: int | None) -> None:
        """Allow so many requests at once on every route; None returns to each route's own."""
        in_flight = sum(limit or plan.in_flight for plan in self._plans)
        self._room_packs = self._settings.queue_packs + in_flight
        self.scheduler.limit_in_flight(limit)
        self._wake.set()

    def room_chunks(self, chunks_per_request: int) -> int:
        """Return how many chunks of a job may be unread: the packs in flight and those queued."""
        return self._room_packs * chunks_per_request

    def stop(self, reason: str) -> None:
        """Send nothing more; requests in flight still end and count."""
        self.scheduler.stop(reason)
        self._wake.set()

    def tell(self, name: str, message: str, fields: Mapping[str, str | float]) -> None:
        """Make a run event of something that happened now."""
        self._on_event(Event(name=name, at=self._clock(), message=message, fields=fields))

    def hear_limits(
        self, route: str, limits: tuple[RateLimit, ...], request_id: str | None = None
    ) -> None:
        """Pass on what a transport heard about rate limits, with which request if it knows."""
        self.scheduler.on_limits(route, limits, now=self._clock(), request_id=request_id)
        self._wake.set()

    async def close(self) -> None:
        """End the loop and what is in flight; unanswered chunks are `stopped`. May be repeated."""
        self._is_closed = True
        if self._open_jobs:
            self.scheduler.stop(CLOSED)
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner])
        self._deliver(self.scheduler.take_abandoned())

    # Feeding

    async def _feed(self, job: Job, slices: Slices) -> None:
        try:
            await self._feed_all(job, slices)
        except Exception as error:  # noqa: BLE001 (task boundary: the reader of the job gets it)
            job.error = job.error or error
            self._withdraw(job)
        job.is_fed = True
        job.drop(0)

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
                        verdict = _unsendable(chunk, problem, tokens, self._settings.chunk_tokens)
                        unsendable.append((chunk, verdict))
                    continue
                topic = chunk.topic or job.topic
                piece = Piece(chunk=chunk, tokens=tokens, topic=topic, is_wanted=is_wanted)
                if window := cutter.add(piece):
                    await self._offer(job, window)
            await self._settle_unsendable(job, unsendable)
        if (window := cutter.finish()) is not None:
            await self._offer(job, window)

    async def _settle_unsendable(self, job: Job, failed: list[tuple[Chunk, Failed]]) -> None:
        if job.journal is not None:
            await asyncio.gather(*(job.journal.fail(chunk, verdict) for chunk, verdict in failed))
        job.waiting += len(failed)
        job.unread += len(failed)
        for chunk, verdict in failed:
            job.deliver(chunk, verdict)

    async def _offer(self, job: Job, window: tuple[Piece, ...]) -> None:
        while job.unread >= self.room_chunks(job.chunks_per_request):
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
        if self._is_closed:  # the loop that hands out what is given up has ended
            self._deliver(self.scheduler.take_abandoned())

    # Giving up

    async def _forget(self, job: Job, feeder: asyncio.Task[None]) -> None:
        """End whatever still works for a job whose reader has gone."""
        if job.waiting:
            self._withdraw(job)
        running = {task for task in (feeder, *job.carriers) if not task.done()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _withdraw(self, job: Job) -> None:
        """Take back what a job has queued; its requests in flight still end."""
        tickets: set[int] = set()

        def is_unwanted(pack: Pack) -> bool:
            is_mine = self._jobs.get(pack.items[0].ticket) is job
            if is_mine:
                tickets.update(item.ticket for item in pack.items)
            return is_mine

        self.scheduler.withdraw(is_unwanted, now=self._clock())
        for ticket in tickets:
            del self._jobs[ticket]
        job.waiting -= len(tickets)

    def _end_trip(self, trip: Trip, task: asyncio.Task[None]) -> None:
        """Account for a request whose task has ended, in whatever way and however early."""
        job, send, left = trip.job, trip.send, trip.send.pack.items
        job.carriers.discard(task)
        if trip.settled is None:
            self.scheduler.cancel(send.request_id, was_sent=trip.is_sent, now=self._clock())
            self._wake.set()
        else:
            left = tuple(item for item, _ in trip.settled)
        for item in left:
            if self._jobs.pop(item.ticket, None) is None:
                continue  # its verdict was handed on
            if self._is_closed:
                job.deliver(item.chunk, _cut_off(send, item))
            else:
                job.drop(1)

    # Driving

    def _start(self) -> None:
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._guard())

    async def _guard(self) -> None:
        """Run the loop; an error of the loop itself ends every job with it."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._drive(group)
        except ExceptionGroup as errors:
            for job in self._open_jobs:
                job.fail(errors.exceptions[0])

    async def _drive(self, group: asyncio.TaskGroup) -> None:
        while True:
            decision = self.scheduler.poll(now=self._clock())
            if abandoned := self.scheduler.take_abandoned():
                self._give_back(abandoned, group)
            match decision:
                case Send():
                    self._send(decision, group)
                case WaitUntil(at=at):
                    await self._sleep(at)
                case Finished():
                    await self._sleep(None)

    async def _sleep(self, at: float | None) -> None:
        loop = asyncio.get_running_loop()
        timer = None if at is None else loop.call_at(at, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._wake.clear()

    def _send(self, send: Send, group: asyncio.TaskGroup) -> None:
        job = self._jobs.get(send.pack.items[0].ticket)
        if job is None:  # its reader has gone; nobody wants to pay for this
            self.scheduler.cancel(send.request_id, was_sent=False, now=self._clock())
            return
        trip = Trip(send=send, job=job)
        task = group.create_task(self._boundary(job, partial(self._carry, trip)))
        job.carriers.add(task)
        task.add_done_callback(partial(self._end_trip, trip))

    async def _boundary(self, job: Job, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step for a job; its error ends this job and no other."""
        try:
            await step()
        except Exception as error:  # noqa: BLE001 (task boundary: the reader of the job gets it)
            job.fail(error)

    async def _carry(self, trip: Trip) -> None:
        """Take one request there and back."""
        send, journal = trip.send, trip.job.journal
        ask = self._builder.ask(send.pack, as_choices=send.route in CHOICE_ROUTES)
        request = Request(
            request_id=send.request_id,
            route=send.route,
            model=send.model,
            pack=send.pack,
            ask=ask,
            attempt=send.attempt,
        )
        if journal is not None and trip.job.error is None:
            await journal.intend(request)
        if trip.job.error is not None:
            return  # the job has ended meanwhile; its reader will raise this
        trip.is_sent = True
        try:
            reply, latency_s = await self._ask(request)
        except AnalysisError as error:
            trip.settled = self.scheduler.on_failure(send.request_id, error, now=self._clock())
            ending, code, usage, model = *_ending_of(error), error.usage, None
        else:
            trip.settled = self._read(send, reply, ask, latency_s)
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
                    verdicts=tuple((item.chunk, verdict) for item, verdict in trip.settled),
                )
            )
        self._deliver(trip.settled)

    async def _ask(self, request: Request) -> tuple[Reply, float]:
        """Return the reply and its seconds from send to end; connecting is not among them."""
        transport = self._transports[request.route]
        sent_at: float | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                await transport.open()
                sent_at = self._clock()
                return await transport.ask(request), self._clock() - sent_at
        except TimeoutError as late:
            what = "No connection over" if sent_at is None else "No answer from"
            ending = Ending.UNSENT if sent_at is None else Ending.UNKNOWN
            message = f"{what} {request.route} within {self._timeout_s:g} s."
            raise DeadlinePassed(message, ending=ending, code="timeout") from late

    def _cost_of(self, route: str, pack: Pack) -> int:
        as_choices, count = route in CHOICE_ROUTES, len(pack.items)
        asked = self._builder.input_tokens(pack, as_choices=as_choices)
        return asked + self._builder.output_cap(count, as_choices=as_choices)

    def _read(self, send: Send, reply: Reply, ask: Ask, latency_s: float) -> Settled:
        checked = check(reply, ask, self._builder.label_set, settings=self._settings)
        self.labeled += len(checked.labels)
        return self.scheduler.on_answer(
            send.request_id,
            labels=checked.labels,
            defect=checked.defect,
            note=checked.note,
            usage=reply.usage,
            model=reply.model,
            latency_s=latency_s,
            now=self._clock(),
            confidences=checked.confidences if self._has_confidence else {},
            refused=checked.refused,
        )

    # Handing on

    def _deliver(self, settled: Settled, _: object = None) -> None:
        for item, verdict in settled:
            job = self._jobs.pop(item.ticket, None)
            if job is not None:
                job.deliver(item.chunk, verdict)

    def _give_back(self, abandoned: Settled, group: asyncio.TaskGroup) -> None:
        """Hand out verdicts that belong to no request; what was stopped is not journaled."""
        for item, verdict in abandoned:
            result, job = ((item, verdict),), self._jobs.get(item.ticket)
            if job is None or job.journal is None or not _is_final(verdict):
                self._deliver(result)
                continue
            record = partial(job.journal.fail, item.chunk, verdict)
            task = group.create_task(self._boundary(job, record))
            task.add_done_callback(partial(self._deliver, result))


def _is_final(verdict: Verdict) -> TypeGuard[Failed]:
    return isinstance(verdict, Failed) and verdict.error.kind is not FailureKind.STOPPED


def _unsendable(chunk: Chunk, problem: FailureKind, tokens: int, limit: int) -> Failed:
    message = "the text is empty; nothing was sent"
    if problem is FailureKind.TOO_LONG:
        message = f"the text has about {tokens} tokens, more than {limit}; cut it first"
    return Failed(chunk_id=chunk.id, error=ErrorDetail(kind=problem, message=message))


def _cut_off(send: Send, item: Item) -> Failed:
    message = f"{CLOSED} A request with this chunk was in flight and may have been paid for."
    return Failed(
        chunk_id=item.chunk.id,
        error=ErrorDetail(kind=FailureKind.STOPPED, message=message),
        route=send.route,
        model=send.model,
        attempts=send.attempt,
        pack=len(send.pack.items),
    )


def _ending_of(error: AnalysisError) -> tuple[Ending, str]:
    """Return how a failed request ended and the code that the journal keeps."""
    if isinstance(error, TransportError):
        return error.ending, error.code
    if isinstance(error, AnswerDefect):
        return Ending.DONE, error.defect  # a reply came, so it was paid for
    if isinstance(error, ModelRefused):
        return Ending.DONE, error.code  # an answer in its own way, paid for like any other
    return Ending.REFUSED, str(getattr(error, "code", ""))
