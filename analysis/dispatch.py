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
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import partial

from analysis.account.limits import AccountLimits
from analysis.control.decisions import Cancel, Finished, Send, Settled, WaitUntil
from analysis.control.packing import Cutter
from analysis.control.planner import Budgets
from analysis.control.quality import PACKS_REDUCED, PackingQuality
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.sizes import Packing, PackSizes
from analysis.control.tape import Recorder
from analysis.errors import AnalysisError, DeadlinePassed
from analysis.feeding import Feeder, Slices
from analysis.jobs import CLOSED, Job, Trip, cut_off, ending_of, goes_on, is_final, sent_only
from analysis.labels.answer import check
from analysis.labels.prompt import PromptBuilder
from analysis.labels.tokens import Correction
from analysis.quoting import Silencer, texts_of, with_plain_model, without_texts
from analysis.records import (
    GIVEN_UP,
    Ask,
    Chunk,
    Ending,
    Journal,
    Labeled,
    Pack,
    RateLimit,
    Reply,
    Request,
    Settlement,
    StopCause,
    Usage,
    Verdict,
)
from analysis.settings import CHOICE_ROUTES, SETTINGS, Settings
from analysis.telemetry import Event, Sink
from analysis.transport import Transport
from analysis.transport.patience import Patience


class Dispatcher:
    """Runs jobs over the routes of one analyzer, on the event loop of the first call.

    `labeled` counts the chunks that got a label since the start; `corrections` has for each route
    how its billed input compares with the estimate.
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
        tape: Callable[[str], None] | None = None,
        account: AccountLimits | None = None,
    ) -> None:
        """Set up a dispatcher on the running event loop; `transports` has one entry per plan.

        Without `has_confidence` no probability of a reply gets into a verdict. `tape` takes the
        lines from which the decisions of this run can be played again (`control/tape`). `account`
        shares the limits with other processes while the loop runs.
        """
        self._account = account
        self._has_confidence = has_confidence
        self._clock = asyncio.get_running_loop().time
        self._plans = tuple(plans)
        self._transports = transports
        self._builder = builder
        self._on_event = on_event
        make: Callable[..., Scheduler | Recorder] = (
            Scheduler if tape is None else partial(Recorder, write=tape)
        )
        self.scheduler: Scheduler | Recorder = make(
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
        self.corrections = {plan.name: Correction() for plan in self._plans}
        self._jobs: dict[int, Job] = {}
        self._trips: dict[str, tuple[Trip, asyncio.Task[None]]] = {}
        self._silencer = Silencer(lambda: (trip.send.pack for trip, _ in self._trips.values()))
        self._open_jobs: list[Job] = []
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._is_closed = False
        self._feeder = Feeder(
            jobs=self._jobs,
            builder=builder,
            offer=self._offer,
            limits_of=lambda job: self.limits_of(self._first_of(job)),
            latency_of=lambda job, size: self.scheduler.latency_s(self._first_of(job), size),
            is_word_due=lambda: self.scheduler.awaits_limits(now=self._clock()),
            expect=lambda requests: self.scheduler.expect(requests, now=self._clock()),
            tell=self.tell,
            room_packs=settings.queue_packs + sum(plan.in_flight for plan in self._plans),
            settings=settings,
        )

    # What the analyzers call

    async def run(
        self,
        slices: Slices,
        *,
        topic: str | None,
        packing: Packing,
        order: tuple[int, ...] | None = None,
        journal: Journal | None = None,
        is_whole: bool = False,
    ) -> AsyncGenerator[tuple[Chunk, Verdict], None]:
        """Yield (chunk, verdict) in the order in which they settle.

        Chunks that the journal already holds get none. After a stop, chunks of a job without
        journal end as `stopped`; a job with one does not read on. A source that fails ends the job
        after what is in flight. Close the generator to give up. `is_whole`: level the packs.

        Raises:
            LedgerError: If the journal cannot write.
            Exception: What the source raised, or a part of the package that misbehaved.
        """
        self._start()
        knobs = self._settings
        sizes = None if packing.job is None else PackSizes(packing, settings=knobs)
        most = packing.plan.chunks_per_request if sizes is None else sizes.most
        job = Job(
            topic=topic,
            chunks_per_request=most,
            order=order,
            journal=journal,
            cutter=Cutter(chunks_per_request=most, settings=knobs, is_whole=is_whole),
            quality=PackingQuality(chunks_per_request=most, settings=knobs),
            sizes=sizes,
            total=0 if packing.job is None else packing.job.chunks,
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
            await self._forget(job, feeder)

    def limit_in_flight(self, limit: int | None) -> None:
        """Allow so many requests at once on every route; None returns to each route's own."""
        in_flight = sum(limit or plan.in_flight for plan in self._plans)
        self._feeder.room_packs = self._settings.queue_packs + in_flight
        self.scheduler.limit_in_flight(limit)
        self._wake.set()

    def limits_of(self, route: str) -> Budgets | None:
        """Return the limits of a route if the service has stated any, else None."""
        return Budgets.stated(self.scheduler.budgets(route))

    def cap(self, *, budget_usd: float | None, seconds: float | None) -> None:
        """Spend no more, and send no longer, than this from now on; None lifts a cap."""
        self.scheduler.cap(budget_usd=budget_usd, seconds=seconds, now=self._clock())
        self._wake.set()

    def stop(self, reason: str, cause: StopCause = StopCause.INTERRUPTED) -> None:
        """Send nothing more; requests in flight still end and count."""
        self.scheduler.stop(reason, cause=cause)
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
        for job in self._open_jobs:
            job.news.set()

    def hear_sign(self, request_id: str) -> None:
        """Pass on that an answer begins; it makes nothing due, so the loop sleeps on."""
        self.scheduler.on_sign(request_id, now=self._clock())

    async def close(self) -> None:
        """End the loop and what is in flight; unanswered chunks are `stopped`. May be repeated."""
        self._is_closed = True
        if self._open_jobs:
            self.scheduler.stop(CLOSED)
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner])
        if self._account is not None:
            await self._account.leave()
        self._deliver(self.scheduler.take_abandoned())

    # Feeding

    async def _feed(self, job: Job, slices: Slices) -> None:
        def is_over() -> bool:
            return self.scheduler.stop_reason is not None and job.journal is not None

        try:
            await self._feeder.feed(job, slices, is_over=is_over)
        except Exception as error:  # noqa: BLE001 (task boundary: the reader of the job gets it)
            job.error = job.error or error
            self._withdraw(job)
        job.is_fed = True
        job.drop(0)

    def _offer(self, pack: Pack, job: Job) -> None:
        self.scheduler.offer(pack, now=self._clock(), order=job.order)
        self._wake.set()
        if self._is_closed:  # the loop that hands out what is given up has ended
            self._deliver(self.scheduler.take_abandoned())

    def _first_of(self, job: Job) -> str:
        return self._plans[job.order[0] if job.order else 0].name

    # Giving up

    async def _forget(self, job: Job, feeder: asyncio.Task[None]) -> None:
        """End whatever still works for a job whose reader has gone."""
        job.is_left = True
        if job.waiting:
            self._withdraw(job)
            for task in job.carriers:
                task.cancel()
        feeder.cancel()
        running = {task for task in (feeder, *job.carriers) if not task.done()}
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
        del self._trips[send.request_id]
        if trip.settled is None:
            self.scheduler.cancel(send.request_id, was_sent=trip.is_sent, now=self._clock())
            self._wake.set()
        else:
            left = tuple(item for item, _ in trip.settled)
        for item in left:
            if self._jobs.pop(item.ticket, None) is None:
                continue  # its verdict was handed on
            if self._is_closed:
                job.deliver(item.chunk, cut_off(send, item))
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
                if self._account is not None:
                    await self._account.share(
                        self.scheduler, self._plans, clock=self._clock, wake=self._wake.set
                    )
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
                case Cancel(request_id=request_id):
                    self._give_up(request_id)
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
        if job is None or job.is_left:  # nobody wants to pay for this
            self.scheduler.cancel(send.request_id, was_sent=False, now=self._clock())
            for item in send.pack.items:
                self._jobs.pop(item.ticket, None)
            return
        trip = Trip(send=send, job=job)
        task = group.create_task(self._boundary(job, partial(self._carry, trip)))
        job.carriers.add(task)
        self._trips[send.request_id] = trip, task
        task.add_done_callback(partial(self._end_trip, trip))

    def _give_up(self, request_id: str) -> None:
        """End a request whose copy was answered; its task notes how, and what it may have cost."""
        trip, task = self._trips[request_id]
        if trip.is_given_up or trip.settled is not None:
            return
        trip.is_given_up = True
        if trip.is_sent:
            task.cancel()

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
        ending, code, usage, model = await self._outcome(trip, request)
        self._wake.set()
        trip.job.news.set()
        if journal is not None:
            await journal.settle(
                Settlement(
                    request_id=send.request_id,
                    ending=ending,
                    code=code,
                    usage=usage,
                    model=model,
                    verdicts=tuple((item.chunk, verdict) for item, verdict in trip.settled or ()),
                )
            )
        self._deliver(trip.settled or ())

    async def _outcome(self, trip: Trip, request: Request) -> tuple[Ending, str, Usage, str | None]:
        """Ask, and let the scheduler decide what follows; return what the journal keeps."""
        if trip.is_given_up:
            return self._drop(trip), GIVEN_UP, Usage(), None
        trip.is_sent = True
        try:
            reply, latency_s = await self._ask(request)
        except asyncio.CancelledError:
            if not goes_on(trip):
                raise
            return self._drop(trip), GIVEN_UP, Usage(), None
        except AnalysisError as error:
            send = trip.send
            self._silencer.clean(error, send.pack)  # before anybody hears of it
            trip.settled = self.scheduler.on_failure(send.request_id, error, now=self._clock())
            return *ending_of(trip, error), error.usage, None
        # Also where it was given up: an answer that has come is not undone by a cancellation.
        settled = self._read(trip, reply, request.ask, latency_s)
        trip.settled = sent_only(settled, trip, (one for one, _ in self._trips.values()))
        return Ending.DONE, "", reply.usage, reply.model

    def _drop(self, trip: Trip) -> Ending:
        """Tell the scheduler of the end of a request that was given up; return the ending."""
        trip.settled = ()
        self.scheduler.cancel(trip.send.request_id, was_sent=trip.is_sent, now=self._clock())
        return Ending.UNKNOWN if trip.is_sent else Ending.UNSENT

    async def _ask(self, request: Request) -> tuple[Reply, float]:
        """Return the reply and its seconds from send to end; connecting is not among them."""
        transport = self._transports[request.route]
        sent_at: float | None = None
        try:
            async with Patience(self._timeout_s):
                await transport.open()
                sent_at = self._clock()
                reply = await transport.ask(request)
                return with_plain_model(reply, request.pack), self._clock() - sent_at
        except TimeoutError as late:
            what = "No connection over" if sent_at is None else "No answer from"
            ending = Ending.UNSENT if sent_at is None else Ending.UNKNOWN
            message = f"{what} {request.route} within {self._timeout_s:g} s."
            raise DeadlinePassed(message, ending=ending, code="timeout") from late

    def _cost_of(self, route: str, pack: Pack) -> int:
        as_choices, count = route in CHOICE_ROUTES, len(pack.items)
        asked = self._builder.input_tokens(pack, as_choices=as_choices)
        asked = self.corrections[route].apply(asked)
        return asked + self._builder.output_cap(count, as_choices=as_choices)

    def _read(self, trip: Trip, reply: Reply, ask: Ask, latency_s: float) -> Settled:
        send, correction = trip.send, self.corrections[trip.send.route]
        checked = check(reply, ask, self._builder.label_set, settings=self._settings)
        correction.note(estimated=ask.estimated_input_tokens, billed=reply.usage.input_tokens)
        once = self._builder.once_tokens(as_choices=send.route in CHOICE_ROUTES)
        lost = len(checked.missing)
        if step := trip.job.watch(ask, reply, bad=lost, once=correction.apply(once)):
            self.tell(PACKS_REDUCED, step.message, step.fields)
        settled = self.scheduler.on_answer(
            send.request_id,
            labels=checked.labels,
            defect=checked.defect,
            note=checked.note and without_texts(checked.note, texts_of(send.pack)),
            usage=reply.usage,
            model=reply.model,
            latency_s=latency_s,
            now=self._clock(),
            confidences=checked.confidences if self._has_confidence else {},
            refused=checked.refused,
        )
        self.labeled += sum(isinstance(verdict, Labeled) for _, verdict in settled)
        return settled

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
            if job is None or job.journal is None or not is_final(verdict):
                self._deliver(result)
                continue
            record = partial(job.journal.fail, item.chunk, verdict)
            task = group.create_task(self._boundary(job, record))
            task.add_done_callback(partial(self._deliver, result))
