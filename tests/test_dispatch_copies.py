"""Two requests with the same chunks: whatever comes when, each chunk gets one verdict.

Transports made by hand on virtual time. The route has answered once before each test, so that it
has a usual latency of a second; a request is copied at 1.5 of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace

import pytest

from analysis.control.routes import RoutePlan
from analysis.control.sizes import fixed
from analysis.dispatch import Dispatcher
from analysis.errors import LedgerError, TransportError
from analysis.labels.prompt import PromptBuilder
from analysis.records import GIVEN_UP, Ending, FailureKind, Labeled, Reply, Request, Settlement
from analysis.settings import Settings
from tests.observed_service import UNPACED
from tests.test_dispatch import LABEL_SET, REPLY_S, Line, chunks, good_reply, results_of, sliced
from tests.virtual_loop import virtual

COPYING = replace(UNPACED, hedge_extra=2, hedge_share=0.0)
COPIED_AT_S = COPYING.hedge_blind * REPLY_S

Play = Callable[[Request, int], Awaitable[Reply]]


class Played(Line):
    """A line on which each test says what becomes of a request and of its copy.

    Attributes:
        asked: Requests that reached the transport, but for those of the warm-up.
        ended: Their ids, once the transport let go of them.
    """

    def __init__(self, play: Play) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self.ended: list[str] = []
        self.play = play

    async def ask(self, request: Request) -> Reply:
        """Answer the warm-up after a second, and the others as the test says."""
        if request.pack.items[0].chunk.id.startswith("warm"):
            await asyncio.sleep(REPLY_S)
            return await good_reply(request)
        self.asked.append(request)
        self.in_flight += 1
        try:
            return await self.play(request, len(self.asked))
        finally:
            self.in_flight -= 1
            self.ended.append(request.request_id)

    def endings(self) -> list[tuple[int, Ending, str]]:
        """Return (place among the requests asked, ending, code) of what was settled."""
        places = {request.request_id: place for place, request in enumerate(self.asked, start=1)}
        return [
            (places[one.request_id], one.ending, one.code)
            for one in self.settlements
            if one.request_id in places
        ]


async def warm(line: Played, *, in_flight: int = 4, settings: Settings = COPYING) -> Dispatcher:
    """Return a dispatcher whose route has answered once."""
    rng = random.Random(1)
    of = Dispatcher(
        [RoutePlan(name="rest", model="m", account="a", in_flight=in_flight, may_copy=True)],
        transports={"rest": line},
        builder=PromptBuilder(LABEL_SET, rng=rng),
        timeout_s=120.0,
        on_event=lambda event: None,
        rng=rng,
        settings=settings,
    )
    await results_of(of, chunks(1, "warm"))
    return of


async def nothing_is_left(of: Dispatcher, line: Played) -> None:
    """Close, and find neither a request in flight nor a task."""
    await of.close()
    assert (0, 0) == (of.scheduler.in_flight, line.in_flight)
    assert not of._trips
    assert not of._jobs
    assert {asyncio.current_task()} == asyncio.all_tasks()


def first_after(seconds: float, *, copy_s: float) -> Play:
    """Answer the first request after so many seconds, its copy so many after it was sent."""

    async def play(request: Request, place: int) -> Reply:
        await asyncio.sleep(seconds if place == 1 else copy_s)
        return await good_reply(request)

    return play


@virtual
async def test_the_copy_wins_and_the_first_request_is_recorded_as_given_up() -> None:
    """One verdict; the journal holds an ending for both, in the order in which they came."""
    line = Played(first_after(60.0, copy_s=REPLY_S))
    of = await warm(line)
    ((chunk, verdict),) = await results_of(of, chunks(1), journal=line)
    assert ("c0", True, 2) == (chunk.id, isinstance(verdict, Labeled), verdict.attempts)
    assert [(1, Ending.UNKNOWN, GIVEN_UP), (2, Ending.DONE, "")] == sorted(line.endings())
    assert 2 == of.labeled
    await nothing_is_left(of, line)


@pytest.mark.parametrize("turns", range(6))
@virtual
async def test_both_answer_in_the_same_turn_of_the_loop(turns: int) -> None:
    """Or a few turns apart: whoever is read first counts, both are recorded."""
    gate = asyncio.Event()

    async def play(request: Request, place: int) -> Reply:
        await gate.wait()
        for _ in range(turns if place == 1 else 3):
            await asyncio.sleep(0)
        return await good_reply(request)

    line = Played(play)
    of = await warm(line)
    asyncio.get_running_loop().call_later(COPIED_AT_S + 1.0, gate.set)
    ((_, verdict),) = await results_of(of, chunks(1), journal=line)
    assert isinstance(verdict, Labeled)
    assert [1, 2] == sorted(place for place, _, _ in line.endings())
    assert 2 == of.labeled
    await nothing_is_left(of, line)


@virtual
async def test_an_answer_that_came_with_the_cancellation_is_recorded_as_one() -> None:
    """Some libraries return a result although they were cancelled; then it was paid for."""

    async def play(request: Request, place: int) -> Reply:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60.0 if place == 1 else REPLY_S)
        return await good_reply(request)

    line = Played(play)
    of = await warm(line)
    ((_, verdict),) = await results_of(of, chunks(1), journal=line)
    assert isinstance(verdict, Labeled)
    assert [(1, Ending.DONE, ""), (2, Ending.DONE, "")] == sorted(line.endings())
    assert [0, 1] == sorted(len(one.verdicts) for one in line.settlements)
    await nothing_is_left(of, line)


@virtual
async def test_a_failure_that_came_with_the_cancellation_is_recorded_as_one() -> None:
    """It changes nothing for the chunk, nothing is sent again, and it counts as given up."""

    async def play(request: Request, place: int) -> Reply:
        try:
            await asyncio.sleep(60.0 if place == 1 else REPLY_S)
        except asyncio.CancelledError as error:
            raise TransportError("reset", code="1006") from error
        return await good_reply(request)

    line = Played(play)
    of = await warm(line)
    ((_, verdict),) = await results_of(of, chunks(1), journal=line)
    assert isinstance(verdict, Labeled)
    assert [(1, Ending.UNKNOWN, GIVEN_UP), (2, Ending.DONE, "")] == sorted(line.endings())
    await asyncio.sleep(60.0)
    assert 2 == len(line.asked)
    await nothing_is_left(of, line)


@virtual
async def test_an_answer_that_comes_while_the_copy_is_being_announced_stops_the_copy() -> None:
    """The journal holds the intent of the copy, and that it was not sent: it is no attempt."""
    is_announced = asyncio.Event()

    class Announcing(Played):
        async def intend(self, request: Request) -> None:
            if request.attempt == 2:
                is_announced.set()
            await super().intend(request)

    async def play(request: Request, place: int) -> Reply:
        await is_announced.wait()
        return await good_reply(request)

    line = Announcing(play)
    of = await warm(line)
    ((_, verdict),) = await results_of(of, chunks(1), journal=line)
    assert isinstance(verdict, Labeled)
    assert 1 == verdict.attempts
    assert [1] == [place for place, _, _ in line.endings()]
    assert [(Ending.DONE, ""), (Ending.UNSENT, GIVEN_UP)] == sorted(
        (one.ending, one.code) for one in line.settlements
    )
    assert 2 == sum(note.startswith("intend") for note in line.diary)
    await nothing_is_left(of, line)


@virtual
async def test_a_copy_that_fails_while_the_answer_is_being_written_changes_nothing() -> None:
    """The answer came first; its verdict reaches the reader once."""

    async def play(request: Request, place: int) -> Reply:
        if place == 1:
            await asyncio.sleep(COPIED_AT_S + 1.0)
            return await good_reply(request)
        try:
            await asyncio.sleep(60.0)
        finally:
            raise TransportError("reset", code="1006")

    line = Played(play)
    of = await warm(line)
    ((_, verdict),) = await results_of(of, chunks(1), journal=line)
    assert isinstance(verdict, Labeled)
    assert 2 == verdict.attempts
    assert [(1, Ending.DONE, ""), (2, Ending.UNKNOWN, GIVEN_UP)] == sorted(line.endings())
    assert 2 == len(line.asked)
    await nothing_is_left(of, line)


@virtual
async def test_both_fail_and_the_chunk_is_asked_again_once() -> None:
    """The chunk is not lost between its two requests."""

    async def play(request: Request, place: int) -> Reply:
        if place <= 2:
            await asyncio.sleep(COPIED_AT_S + 1.0 if place == 1 else REPLY_S)
            raise TransportError("reset", code="1006")
        return await good_reply(request)

    line = Played(play)
    of = await warm(line)
    ((_, verdict),) = await results_of(of, chunks(1), journal=line)
    assert isinstance(verdict, Labeled)
    assert (3, 3) == (len(line.asked), len(line.endings()))
    await nothing_is_left(of, line)


@virtual
async def test_the_reader_goes_while_a_copy_is_in_flight() -> None:
    """Both requests are cancelled before the generator is closed, and none is sent after."""
    line = Played(first_after(60.0, copy_s=60.0))
    of = await warm(line)
    job = of.run(sliced(chunks(1)), topic=None, packing=fixed(1), journal=line)
    async with aclosing(job):
        reader = asyncio.ensure_future(anext(job))
        await asyncio.sleep(COPIED_AT_S + 1.0)
        assert 2 == line.in_flight
        reader.cancel()
        await asyncio.wait([reader])
    assert (2, 0, 0) == (len(line.asked), line.in_flight, of.scheduler.in_flight)
    await asyncio.sleep(60.0)
    assert 2 == len(line.asked)
    await nothing_is_left(of, line)


@virtual
async def test_a_failure_after_the_reader_has_gone_sends_nothing_again() -> None:
    """Its transport turns the cancellation into a failure, after which others are tried again."""

    async def play(request: Request, place: int) -> Reply:
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError as error:
            raise TransportError("reset", code="1006") from error
        return await good_reply(request)

    line = Played(play)
    of = await warm(line)
    job = asyncio.create_task(results_of(of, chunks(1)))
    await asyncio.sleep(0.5)
    job.cancel()
    await asyncio.wait([job])
    await asyncio.sleep(60.0)
    assert (1, 0) == (len(line.asked), of.scheduler.in_flight)
    await nothing_is_left(of, line)


@virtual
async def test_closing_with_copies_in_flight_gives_one_verdict_each() -> None:
    """A chunk that travels twice is stopped once."""
    line = Played(first_after(60.0, copy_s=60.0))
    of = await warm(line, in_flight=8)
    job = asyncio.create_task(results_of(of, chunks(3)))
    await asyncio.sleep(COPIED_AT_S + 1.0)
    assert 5 == line.in_flight  # two copies are free
    await of.close()
    results = await job
    assert ["c0", "c1", "c2"] == sorted(chunk.id for chunk, _ in results)
    assert {FailureKind.STOPPED} == {one.error.kind for _, one in results if one.error}
    await nothing_is_left(of, line)


@virtual
async def test_after_a_stop_no_copy_is_sent_and_those_in_flight_count() -> None:
    """The copy of one answers after the stop; the other chunk waits for its own request."""

    async def play(request: Request, place: int) -> Reply:
        await asyncio.sleep({1: 60.0, 2: 5.0}.get(place, REPLY_S))
        return await good_reply(request)

    line = Played(play)
    settings = replace(COPYING, hedge_extra=1)
    of = await warm(line, settings=settings, in_flight=8)
    job = asyncio.create_task(results_of(of, chunks(2), journal=line))
    await asyncio.sleep(COPIED_AT_S + 0.15)
    of.stop("enough")
    results = await job
    assert [True, True] == [isinstance(verdict, Labeled) for _, verdict in results]
    assert 3 == len(line.asked) == len(line.endings())
    await nothing_is_left(of, line)


@virtual
async def test_a_journal_that_cannot_note_a_given_up_request_ends_the_job() -> None:
    """As with any other ending; what was answered before stays answered."""

    class Full(Played):
        async def settle(self, settlement: Settlement) -> None:
            if settlement.code == GIVEN_UP:
                raise LedgerError("disk full")
            await super().settle(settlement)

    line = Full(first_after(60.0, copy_s=REPLY_S))
    of = await warm(line)
    with pytest.raises(LedgerError, match="disk full"):
        await results_of(of, chunks(1), journal=line)
    assert ["c0"] == [one.verdicts[0][0].id for one in line.settlements if one.verdicts]
    await nothing_is_left(of, line)


@virtual
async def test_a_transport_that_needs_time_to_let_go_is_waited_for() -> None:
    """The verdict is read at once; the ending is in the journal before the job is over."""

    async def play(request: Request, place: int) -> Reply:
        try:
            await asyncio.sleep(60.0 if place == 1 else REPLY_S)
        except asyncio.CancelledError:
            await asyncio.sleep(3.0)  # it closes its socket
            raise
        return await good_reply(request)

    line = Played(play)
    of = await warm(line)
    clock = asyncio.get_running_loop().time
    read_at = 0.0
    async for _ in of.run(sliced(chunks(1)), topic=None, packing=fixed(1), journal=line):
        read_at = clock()
    assert [(1, Ending.UNKNOWN, GIVEN_UP), (2, Ending.DONE, "")] == sorted(line.endings())
    assert pytest.approx(3.0) == clock() - read_at
    await nothing_is_left(of, line)


@virtual
async def test_closing_while_a_request_is_being_given_up_waits_for_nothing() -> None:
    """Its transport does not let go; the second cancellation ends that, and nothing is recorded."""

    async def play(request: Request, place: int) -> Reply:
        try:
            await asyncio.sleep(60.0 if place == 1 else REPLY_S)
        except asyncio.CancelledError:
            await asyncio.sleep(30.0)
            raise
        return await good_reply(request)

    line = Played(play)
    of = await warm(line)
    job = of.run(sliced(chunks(1)), topic=None, packing=fixed(1), journal=line)
    _, verdict = await anext(job)
    assert isinstance(verdict, Labeled)
    begin = asyncio.get_running_loop().time()
    await nothing_is_left(of, line)
    assert begin == asyncio.get_running_loop().time()
    assert [(2, Ending.DONE, "")] == line.endings()
    await job.aclose()


@virtual
async def test_a_copy_takes_a_place_like_any_request() -> None:
    """With one request at once there is none, and no more than two of two are taken."""
    line = Played(first_after(10.0, copy_s=REPLY_S))
    of = await warm(line, in_flight=1)
    ((_, verdict),) = await results_of(of, chunks(1))
    assert (1, 1) == (len(line.asked), verdict.attempts)
    of.limit_in_flight(2)
    await results_of(of, chunks(2))
    assert 3 == len(line.asked)
    await nothing_is_left(of, line)


@virtual
async def test_two_jobs_at_once_have_copies_of_their_own() -> None:
    """Same ids, same texts: each reader gets the verdicts on its own chunks, once."""

    async def play(request: Request, place: int) -> Reply:
        await asyncio.sleep(30.0 if request.attempt == 1 else REPLY_S)
        return await good_reply(request)

    line = Played(play)
    settings = replace(COPYING, hedge_extra=100)
    of = await warm(line, settings=settings, in_flight=16)
    jobs = [chunks(4), chunks(4)]
    found = await asyncio.gather(*(results_of(of, given, journal=line) for given in jobs))
    for given, results in zip(jobs, found, strict=True):
        assert sorted(map(id, given)) == sorted(id(chunk) for chunk, _ in results)
        assert {2} == {verdict.attempts for _, verdict in results}
    assert 16 == len(line.asked) == len(line.endings())
    assert 8 == sum(code == GIVEN_UP for _, _, code in line.endings())
    await nothing_is_left(of, line)
