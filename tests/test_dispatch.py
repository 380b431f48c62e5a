"""The loop between scheduler, transports and journal, with doubles at both ends."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from analysis.control.routes import RoutePlan
from analysis.control.sizes import fixed
from analysis.dispatch import Dispatcher
from analysis.errors import (
    AnalysisError,
    AnswerDefect,
    LedgerError,
    ModelRefused,
    RequestRejected,
    TransportError,
)
from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.records import (
    Choice,
    ChoiceReply,
    Chunk,
    Ending,
    Failed,
    FailureKind,
    Labeled,
    RateLimit,
    Reply,
    Request,
    Settlement,
    TextReply,
    Usage,
    Verdict,
)
from tests.observed_service import UNPACED
from tests.virtual_loop import virtual

LABEL_SET = LabelSet.load("ten_functions")
REPLY_S = 1.0
USAGE = Usage(input_tokens=10, output_tokens=2)

Results: TypeAlias = list[tuple[Chunk, Verdict]]
Answer: TypeAlias = Callable[[Request], Awaitable[Reply]]


class Line:
    """A transport that answers after a second, and a journal; both write the same diary.

    Attributes:
        diary: What happened, in order.
        fails: Name of a journal method that raises from now on, or empty.
        held: Ids of chunks that the journal holds already.
        settlements: What was settled.
        in_flight: Requests that are being answered, and the highest number of them.
    """

    route = "rest"

    def __init__(self, answer: Answer | None = None) -> None:
        self.diary: list[str] = []
        self.fails = ""
        self.held: set[str] = set()
        self.settlements: list[Settlement] = []
        self.in_flight = self.most_in_flight = 0
        self._answer = answer or good_reply

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def ask(self, request: Request) -> Reply:
        """Answer after a while."""
        self._note("send", request.pack.items[0].chunk)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(REPLY_S)
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    async def missing(self, chunks: Sequence[Chunk]) -> Sequence[bool]:
        """Hold what `held` names."""
        return [chunk.id not in self.held for chunk in chunks]

    async def intend(self, request: Request) -> None:
        """Note the intent, after a turn of the loop."""
        await self._write("intend", request.pack.items[0].chunk)

    async def settle(self, settlement: Settlement) -> None:
        """Note the ending."""
        self.settlements.append(settlement)
        await self._write("settle", settlement.verdicts[0][0] if settlement.verdicts else None)

    async def fail(self, chunk: Chunk, verdict: Failed) -> None:
        """Note the verdict."""
        await self._write("fail", chunk)

    async def _write(self, what: str, chunk: Chunk | None) -> None:
        await asyncio.sleep(0.1)
        if self.fails == what:
            raise LedgerError(f"cannot {what}")
        self._note(what, chunk)

    def _note(self, what: str, chunk: Chunk | None) -> None:
        self.diary.append(f"{what} {chunk.id}" if chunk else what)


async def good_reply(request: Request) -> TextReply:
    """Label every chunk of the request as an example."""
    answers = [{"id": short, "labels": ["example"]} for short in request.ask.tickets]
    return TextReply(
        text=json.dumps({"answers": answers}),
        model="double",
        usage=USAGE,
    )


def dispatcher(line: Line, *, in_flight: int = 2, route: str = "rest", **more: Any) -> Dispatcher:
    """Return a dispatcher over one route."""
    rng = random.Random(1)
    chosen: dict[str, Any] = {"settings": UNPACED, "on_event": lambda event: None} | more
    plan = RoutePlan(name=route, model="m", account="a", in_flight=in_flight)
    return Dispatcher(
        [plan],
        transports={route: line},
        builder=PromptBuilder(LABEL_SET, rng=rng),
        timeout_s=20.0,
        rng=rng,
        **chosen,
    )


async def choosing(request: Request) -> ChoiceReply:
    """Answer with choices, and decline the last chunk of the request."""
    *answered, declined = request.ask.tickets
    shares = {"contrast": 0.7, "example": 0.3}
    found = {short: Choice(probabilities=shares) for short in answered}
    return ChoiceReply(choices=found | {declined: Choice()}, model="double", usage=USAGE)


def chunks(count: int, name: str = "c") -> list[Chunk]:
    """Return chunks of different texts."""
    return [Chunk(id=f"{name}{number}", text=f"text {number}") for number in range(count)]


async def sliced(given: Sequence[Chunk], size: int = 5) -> AsyncIterator[Sequence[Chunk]]:
    """Hand chunks out in slices."""
    for start in range(0, len(given), size):
        yield given[start : start + size]


async def results_of(of: Dispatcher, given: Sequence[Chunk], **options: Any) -> Results:
    """Run a job to its end."""
    chosen: dict[str, Any] = {"topic": None, "packing": fixed(1)} | options
    return [result async for result in of.run(sliced(given), **chosen)]


@virtual
async def test_intent_then_send_then_settle_then_verdict() -> None:
    """The journal holds the intent before the request leaves and its end before the reader."""
    line = Line()
    of = dispatcher(line)
    async for chunk, _ in of.run(sliced(chunks(6)), topic=None, packing=fixed(1), journal=line):
        line.diary.append(f"read {chunk.id}")
    for chunk in chunks(6):
        steps = [f"{what} {chunk.id}" for what in ("intend", "send", "settle", "read")]
        assert steps == sorted(steps, key=line.diary.index)
    assert 24 == len(line.diary)
    assert {Ending.DONE} == {settlement.ending for settlement in line.settlements}
    assert 6 == len({settlement.request_id for settlement in line.settlements})
    await of.close()


@virtual
async def test_what_cannot_be_intended_is_not_sent() -> None:
    """The journal refuses the first intents: the job ends with its error, nothing was sent."""
    line = Line()
    line.fails = "intend"
    of = dispatcher(line)
    with pytest.raises(LedgerError, match="cannot intend"):
        await results_of(of, chunks(20), journal=line)
    await asyncio.sleep(60)
    assert [] == line.diary
    assert 0 == of.scheduler.in_flight
    await of.close()


@virtual
async def test_what_cannot_be_settled_is_not_handed_on() -> None:
    """The journal fails at an ending: the reader gets its error and not that verdict."""
    line = Line()
    of = dispatcher(line)
    read = []
    with pytest.raises(LedgerError, match="cannot settle"):
        async for chunk, _ in of.run(
            sliced(chunks(20)), topic=None, packing=fixed(1), journal=line
        ):
            read.append(chunk.id)
            if len(read) == 4:
                line.fails = "settle"
    assert read == [note.split()[1] for note in line.diary if note.startswith("settle")]
    sent = len(line.diary)
    await asyncio.sleep(60)
    assert (sent, 0, 0) == (len(line.diary), of.scheduler.in_flight, line.in_flight)
    await of.close()


@virtual
async def test_a_failing_journal_ends_its_own_job_only() -> None:
    """Another job on the same routes goes on, and later ones work."""
    line, other = Line(), Line()
    line.fails = "settle"
    of = dispatcher(line, in_flight=4)
    lost, kept = await asyncio.gather(
        results_of(of, chunks(10), journal=line),
        results_of(of, chunks(10, "d"), journal=other),
        return_exceptions=True,
    )
    assert isinstance(lost, LedgerError)
    assert isinstance(kept, list)
    assert [f"d{n}" for n in range(10)] == sorted(chunk.id for chunk, _ in kept)
    assert 3 == len(await results_of(of, chunks(3, "e")))
    await of.close()


@virtual
async def test_a_defect_of_a_transport_ends_its_own_job_only() -> None:
    """An exception that no transport may raise reaches the reader of that job, and no other."""

    async def answer(request: Request) -> TextReply:
        if request.pack.items[0].chunk.id == "bad0":
            raise ZeroDivisionError("a defect")
        return await good_reply(request)

    of = dispatcher(Line(answer), in_flight=4)
    lost, kept = await asyncio.gather(
        results_of(of, chunks(1, "bad")), results_of(of, chunks(10)), return_exceptions=True
    )
    assert isinstance(lost, ZeroDivisionError)
    assert isinstance(kept, list)
    assert (10, 0) == (len(kept), of.scheduler.in_flight)
    await of.close()


@virtual
async def test_jobs_at_once_get_their_own_verdicts() -> None:
    """Two jobs with the same ids share the routes; each reader gets its own chunk objects."""
    line = Line()
    of = dispatcher(line, in_flight=3)
    jobs = [chunks(12), chunks(12), chunks(12)]
    found = await asyncio.gather(*(results_of(of, given) for given in jobs))
    for given, results in zip(jobs, found, strict=True):
        assert sorted(map(id, given)) == sorted(id(chunk) for chunk, _ in results)
    assert 3 == line.most_in_flight
    await of.close()


@virtual
async def test_chunks_that_the_journal_holds_are_not_sent() -> None:
    """They shape the windows: the packs of a resumed run are those of the first."""
    line = Line()
    line.held = {"c0", "c1", "c2", "c3", "c6"}
    results = await results_of(dispatcher(line), chunks(10), packing=fixed(4), journal=line)
    assert ["c4", "c5", "c7", "c8", "c9"] == sorted(chunk.id for chunk, _ in results)
    assert [3, 3, 3, 2, 2] == [one.pack for _, one in sorted(results, key=lambda r: r[0].id)]


@virtual
async def test_the_source_is_read_only_so_far_ahead() -> None:
    """Of 100,000 chunks no more than a slice, a window and the documented room lie unread."""
    settings = replace(UNPACED, queue_packs=20)
    of = dispatcher(Line(), in_flight=8, settings=settings)
    read = taken = farthest = 0

    async def source() -> AsyncIterator[Sequence[Chunk]]:
        nonlocal read
        for start in range(0, 100_000, 50):
            read += 50
            yield [Chunk(id=str(start + step), text="t") for step in range(50)]

    room = (20 + 8) * 10  # packs queued and in flight
    assert (20 + 8) * 10 == room
    async for _ in of.run(source(), topic=None, packing=fixed(10)):
        taken += 1
        farthest = max(farthest, read - taken)
    assert 100_000 == taken
    assert room <= farthest <= room + 50 + 10
    await of.close()


@virtual
async def test_room_never_keeps_a_place_in_flight_empty() -> None:
    """More places in flight than packs in the queue: all of them are used."""
    line = Line()
    of = dispatcher(line, in_flight=100, settings=replace(UNPACED, queue_packs=1))
    assert 300 == len(await results_of(of, chunks(300)))
    assert 100 == line.most_in_flight
    of.limit_in_flight(150)
    await results_of(of, chunks(300))
    assert 150 == line.most_in_flight
    await of.close()


@virtual
async def test_a_job_whose_reader_goes_is_withdrawn() -> None:
    """What is queued is not sent, what is in flight is given up, and the others go on."""
    line = Line()
    of = dispatcher(line, in_flight=2)
    other = asyncio.create_task(results_of(of, chunks(6, "d")))
    async with aclosing(of.run(sliced(chunks(50)), topic=None, packing=fixed(1))) as job:
        await anext(job)
    sent = sum(note.startswith("send c") for note in line.diary)
    assert 6 == len(await other)
    assert sent == sum(note.startswith("send c") for note in line.diary)
    assert (0, 0) == (of.scheduler.in_flight, line.in_flight)
    await of.close()


@virtual
async def test_a_job_that_is_cancelled_before_its_requests_start_leaves_no_place_taken() -> None:
    """Cancelled in the very turn in which requests are handed out: all places are free again."""
    line = Line()
    of = dispatcher(line, in_flight=2)
    for turns in range(12):
        job = asyncio.create_task(results_of(of, chunks(4)))
        for _ in range(turns):
            await asyncio.sleep(0)
        job.cancel()
        await asyncio.wait([job])
        assert (0, 0) == (of.scheduler.in_flight, line.in_flight), turns
    assert 4 == len(await results_of(of, chunks(4)))
    await of.close()


@virtual
async def test_closing_stops_what_is_read_and_ends_what_is_in_flight() -> None:
    """Every chunk of the job still gets one verdict; the source is read to its end."""
    line = Line()
    of = dispatcher(line, in_flight=2)
    results = []
    async for result in of.run(sliced(chunks(300)), topic=None, packing=fixed(1)):
        results.append(result)
        if len(results) == 5:
            await of.close()
    assert 300 == len({chunk.id for chunk, _ in results})
    stopped = [one for _, one in results if isinstance(one, Failed)]
    assert {FailureKind.STOPPED} == {verdict.error.kind for verdict in stopped}
    assert 2 >= sum(verdict.attempts for verdict in stopped)
    assert (0, 0) == (of.scheduler.in_flight, line.in_flight)
    await of.close()


@virtual
async def test_after_a_stop_a_journaled_job_keeps_what_is_paid() -> None:
    """Requests in flight end and are settled; `stopped` is not a verdict for the journal."""
    line = Line()
    of = dispatcher(line, in_flight=3)
    job = asyncio.create_task(results_of(of, chunks(400), journal=line))
    await asyncio.sleep(REPLY_S)
    of.stop("enough")
    results = await job
    labeled = [chunk.id for chunk, verdict in results if isinstance(verdict, Labeled)]
    assert 3 == len(labeled) == sum(note.startswith("settle") for note in line.diary)
    assert not any(note.startswith("fail") for note in line.diary)
    await of.close()


@virtual
async def test_verdicts_without_a_request_are_journaled() -> None:
    """Empty texts go to the journal before the reader, and nothing is sent for them."""
    line = Line()
    of = dispatcher(line)
    given = [Chunk(id="a", text=" "), Chunk(id="b", text="good")]
    results = await results_of(of, given, journal=line)
    assert ["a", "b"] == sorted(chunk.id for chunk, _ in results)
    assert ["fail a", "intend b", "send b", "settle b"] == sorted(line.diary)
    await of.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TransportError("lost", code="1006"), (Ending.UNKNOWN, "1006")),
        (TransportError("nobody", ending=Ending.UNSENT, code="x"), (Ending.UNSENT, "x")),
        (RequestRejected("no", code="bad"), (Ending.REFUSED, "bad")),
        (AnswerDefect("odd", defect="many_calls"), (Ending.DONE, "many_calls")),
        (ModelRefused("no", code="refusal"), (Ending.DONE, "refusal")),
    ],
)
@virtual
async def test_the_journal_hears_how_a_request_ended(
    error: AnalysisError, expected: tuple[Ending, str]
) -> None:
    """Paid, refused, not sent or unknown: a reply that cannot be used was paid for."""

    async def answer(request: Request) -> TextReply:
        raise error

    line = Line(answer)
    of = dispatcher(line, settings=replace(UNPACED, attempts_per_route=1))
    job = asyncio.create_task(results_of(of, chunks(1), journal=line))
    while not line.settlements:  # noqa: ASYNC110 (the journal is a double without events)
        await asyncio.sleep(0.5)
    assert expected == (line.settlements[0].ending, line.settlements[0].code)
    job.cancel()
    await asyncio.wait([job])
    await of.close()


@virtual
async def test_latency_begins_when_the_request_is_sent() -> None:
    """The time to connect is not part of it, and a time-out while connecting paid nothing."""

    class Slow(Line):
        async def open(self) -> None:
            await asyncio.sleep(15.0)

    ((_, verdict),) = await results_of(dispatcher(Slow()), chunks(1))
    assert REPLY_S == verdict.latency_s

    class Dead(Line):
        async def open(self) -> None:
            await asyncio.sleep(100.0)

    line = Dead()
    of = dispatcher(line)
    ((_, verdict),) = await results_of(of, chunks(1), journal=line)
    assert isinstance(verdict, Failed)
    assert FailureKind.STOPPED is verdict.error.kind
    assert Ending.UNSENT is line.settlements[0].ending
    assert not any(note.startswith("send") for note in line.diary)
    await of.close()


@virtual
async def test_a_route_of_choices_is_asked_for_choices() -> None:
    """Its probabilities become labels and confidence; a declined chunk is refused at once."""
    asked: list[Request] = []

    async def answer(request: Request) -> ChoiceReply:
        asked.append(request)
        return await choosing(request)

    of = dispatcher(Line(answer), route="decisions")
    results = await results_of(of, chunks(3), packing=fixed(3))
    await of.close()
    assert [(LABEL_SET.keys, 0)] == [
        (request.ask.choices, request.ask.max_output_tokens) for request in asked
    ]
    assert [("contrast", "example"), ("contrast", "example"), ()] == [v.labels for _, v in results]
    assert [0.7, 0.7, None] == [verdict.confidence for _, verdict in results]
    assert FailureKind.REFUSED == (results[2][1].error and results[2][1].error.kind)


@virtual
async def test_a_runner_up_counts_from_the_threshold_of_the_settings() -> None:
    """The knob reaches the reading of the answer."""
    settings = replace(UNPACED, second_label_probability=0.5)
    of = dispatcher(Line(choosing), settings=settings, route="decisions")
    results = await results_of(of, chunks(2), packing=fixed(2))
    await of.close()
    assert ("contrast",) == results[0][1].labels


@virtual
async def test_limits_reach_the_scheduler_with_their_request() -> None:
    """So the refill since it was sent counts: at 100,000 a second more is left than was stated."""
    levels: list[float] = []

    async def telling(request: Request) -> TextReply:
        said = (RateLimit(name="requests", limit=6_000_000, remaining=500_000),)
        for known in (None, request.request_id):
            of.hear_limits("rest", said, known)
            level, _ = of.scheduler.budgets("rest")["requests"]
            assert level is not None
            levels.append(level)
        return await good_reply(request)

    of = dispatcher(Line(telling))
    await results_of(of, chunks(1))
    assert [True, False] == [level <= 500_000 for level in levels]
    await of.close()
