"""The scheduler of the package on the stage: it is driven as dispatch drives it.

Pure. Windows come from the cutter, what is queued ahead is bounded as in dispatch, limits are
passed on where a way tells them, and failures become the errors that the transports raise.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from analysis.control.decisions import Cancel, Costs, Finished, Send, Settled, WaitUntil
from analysis.control.packing import Cutter, Piece
from analysis.control.planner import Budgets
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.sharing import Known
from analysis.control.sizes import Latencies, Packing, PackSizes
from analysis.errors import AnalysisError, DeadlinePassed, RateLimited, TransportError
from analysis.records import Chunk, Ending, Item, Labeled, Pack, RateLimit, Usage
from analysis.settings import SETTINGS, Settings
from benchmarks.score import constants
from benchmarks.score.constants import Sizes, Way
from benchmarks.score.market import Fate, Kind
from benchmarks.score.stage import Flight, Stage

MODEL = "model"
LABEL = ("example",)


class Ours:
    """One run of the package's scheduler.

    Args:
        stage: On which it plays.
        seed: Of its chance.
        pack: Chunks in a request, if they are all alike, or how the job is planned; by default as
            file runs cut them, with small jobs one by one.
        settings: Knobs.
        make: Makes the scheduler.
        known: What an earlier run has learned, by way.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        seed: int,
        pack: int | Packing | None = None,
        settings: Settings = SETTINGS,
        make: Callable[..., Scheduler] = Scheduler,
        known: Mapping[str, Known] = MappingProxyType({}),
    ) -> None:
        self._stage = stage
        regime = stage.market.regime
        self._sizes = regime.sizes
        ids = itertools.count(1)
        self._scheduler = make(
            plans(regime.ways, known),
            cost_of=costs_of(regime.sizes),
            rng=random.Random(f"scheduler {seed}"),
            new_id=lambda: f"q{next(ids)}",
            notify=lambda name, message, fields: None,
            now=0.0,
            settings=settings,
        )
        if pack is None:
            pack = 1 if regime.chunks <= settings.small_job else settings.chunks_per_request
        self._packs = Packs(regime.chunks, pack, settings, sizes=regime.sizes)
        in_flight = sum(way.in_flight for way in regime.ways)
        self._room = (settings.queue_packs + in_flight) * self._packs.most
        self._first = regime.ways[0].name
        self._unread = 0
        self._answered = 0
        self._wake_at: float | None = None
        self._flights: dict[str, Flight] = {}

    def start(self) -> None:
        """Begin as dispatch does: offer what has room, then ask."""
        self._offer()
        self._drive()

    def learned(self) -> Mapping[str, Known]:
        """Return what the next run can start from, by way."""
        return self._scheduler.learned()

    def _offer(self) -> None:
        self._scheduler.expect(self._packs.ahead, now=self._stage.now)
        while self._unread < self._room:
            known = Budgets.stated(self._scheduler.budgets(self._first))
            is_due = self._scheduler.awaits_limits(now=self._stage.now)
            pack = self._packs.next(
                known=known,
                answered=self._answered,
                is_word_due=is_due,
                latency_s=partial(self._scheduler.latency_s, self._first),
            )
            if pack is None:
                return
            self._unread += len(pack.items)
            self._scheduler.offer(pack, now=self._stage.now)

    def _drive(self) -> None:
        while True:
            decision = self._scheduler.poll(now=self._stage.now)
            self._settle(self._scheduler.take_abandoned())
            match decision:
                case Send():
                    self._send(decision)
                case WaitUntil(at=at):
                    if at is not None and at != self._wake_at:
                        self._wake_at = at
                        self._stage.at(at, partial(self._wake, at))
                    return
                case Finished():
                    return
                case Cancel(request_id=request_id):
                    self._cancel(request_id)

    def _wake(self, at: float) -> None:
        if self._wake_at == at:
            self._wake_at = None
            self._drive()

    def _send(self, send: Send) -> None:
        tickets = tuple(item.ticket for item in send.pack.items)
        heard = partial(self._hear, send, self._stage.now)
        sign = partial(self._sign, send.request_id)
        self._flights[send.request_id] = self._stage.send(send.route, tickets, heard, sign=sign)

    def _cancel(self, request_id: str) -> None:
        """Give up a request whose answer is of no use any more; it counts as sent and is billed."""
        self._stage.cancel(self._flights.pop(request_id))
        self._scheduler.cancel(request_id, was_sent=True, now=self._stage.now)

    def _sign(self, request_id: str) -> None:
        self._scheduler.on_sign(request_id, now=self._stage.now)
        self._drive()

    def _hear(self, send: Send, sent_at: float, fate: Fate, answered: frozenset[int]) -> None:
        now, scheduler = self._stage.now, self._scheduler
        del self._flights[send.request_id]
        if fate.stated:
            limits = [
                RateLimit(name=one.name, limit=one.limit, remaining=one.remaining)
                for one in fate.stated
            ]
            scheduler.on_limits(send.route, limits, now=now, request_id=send.request_id)
        if (error := error_of(fate)) is not None:
            settled = scheduler.on_failure(send.request_id, error, now=now)
        else:
            self._answered += 1
            count = len(send.pack.items)
            usage = Usage(
                input_tokens=self._sizes.input_tokens(count),
                output_tokens=self._sizes.output_tokens(count),
            )
            settled = scheduler.on_answer(
                send.request_id,
                labels=dict.fromkeys(answered, LABEL),
                defect="foreign_id" if fate.kind is Kind.VOID else None,
                note="an item is missing",
                usage=usage,
                model=MODEL,
                latency_s=now - sent_at,
                now=now,
            )
        self._settle(settled)
        self._offer()
        self._drive()

    def _settle(self, settled: Settled) -> None:
        self._unread -= len(settled)
        for item, verdict in settled:
            self._stage.settle(item.ticket, is_answered=isinstance(verdict, Labeled))


def plans(
    ways: Sequence[Way], known: Mapping[str, Known] = MappingProxyType({})
) -> list[RoutePlan]:
    """Return the ways as the scheduler is told of them: one model, one account."""
    return [
        RoutePlan(
            name=way.name,
            model=MODEL,
            account="account",
            in_flight=way.in_flight,
            states_limits=way.tells_limits,
            learned=known[way.name].limits if way.name in known else None,
            latency_s=known[way.name].latency_s if way.name in known else None,
        )
        for way in ways
    ]


def costs_of(sizes: Sizes) -> Costs:
    """Return what a request for a pack reserves; the estimate is exact here."""
    return lambda route, pack: sizes.reserved_tokens(len(pack.items))


class Packs:
    """The packs of a job of one document, sized and cut as dispatch does it.

    Attributes:
        most: No pack is larger.
    """

    def __init__(
        self, count: int, pack: int | Packing, settings: Settings, *, sizes: Sizes
    ) -> None:
        self._left = count
        self._sizes: PackSizes | None = None
        if isinstance(pack, Packing):
            self._sizes = PackSizes(pack, settings=settings)
            pack = self._sizes.most
        self.most = pack
        is_whole = self._sizes is not None
        self._cutter = Cutter(chunks_per_request=self.most, settings=settings, is_whole=is_whole)
        self._pieces = pieces(count, sizes)

    @property
    def ahead(self) -> int:
        """Requests that are to come, if the job is planned."""
        return 0 if self._sizes is None else self._left // self.most

    def next(
        self,
        *,
        known: Budgets | None = None,
        answered: int = 0,
        is_word_due: bool = False,
        latency_s: Latencies = lambda chunks: 1.0,
    ) -> Pack | None:
        """Return the next pack; None if none is left, or not before an answer."""
        if self._sizes is not None and self._left:
            size = self._sizes.next(
                left=self._left,
                budgets=known,
                answered=answered,
                is_word_due=is_word_due,
                latency_s=latency_s,
            )
            if size is None:
                return None
            self._cutter.resize(size)
        window = None
        for piece in self._pieces:
            if (window := self._cutter.add(piece)) is not None:
                break
        window = window or self._cutter.finish()
        if window is None:
            return None
        self._left -= len(window)
        return pack_of(window)


def pieces(count: int, sizes: Sizes) -> Iterator[Piece]:
    """Yield the chunks of a job of one document."""
    for number in range(count):
        chunk = Chunk(id=f"c{number}", text="x")
        yield Piece(chunk=chunk, tokens=round(sizes.chunk), topic=None)


def windows(
    count: int, size: int, settings: Settings, *, sizes: Sizes = constants.SIZES
) -> Iterator[Pack]:
    """Yield the packs of a job of one document, cut as dispatch cuts them."""
    packs = Packs(count, size, settings, sizes=sizes)
    while (pack := packs.next()) is not None:
        yield pack


def pack_of(window: tuple[Piece, ...]) -> Pack:
    """Return the pack of a window; the ticket of a chunk is its number."""
    return Pack(
        items=tuple(
            Item(ticket=int(piece.chunk.id[1:]), chunk=piece.chunk, tokens=piece.tokens)
            for piece in window
        )
    )


def error_of(fate: Fate) -> AnalysisError | None:
    """Return the error that a transport raises for a fate; None for an answer."""
    match fate.kind:
        case Kind.ANSWERED | Kind.VOID:
            return None
        case Kind.LIMITED:
            return RateLimited("429", retry_after_s=fate.wait_s)
        case Kind.SERVER_ERROR:
            return TransportError("500", ending=Ending.REFUSED, code="500")
        case Kind.DROPPED:
            return TransportError("dropped", ending=Ending.UNKNOWN, code="1006")
        case Kind.UNREACHED:
            return TransportError("no connection", ending=Ending.UNSENT, code="connect")
        case Kind.SILENT:
            return DeadlinePassed("late", ending=Ending.UNKNOWN, code="timeout")
