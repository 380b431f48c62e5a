"""The scheduler of the package on the stage: it is driven as dispatch drives it.

Pure. Windows come from the cutter, what is queued ahead is bounded as in dispatch, limits are
passed on where a way tells them, and failures become the errors that the transports raise.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from analysis.control.decisions import Finished, Send, Settled, WaitUntil
from analysis.control.packing import Cutter, Piece, chunks_per_request
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.errors import AnalysisError, DeadlinePassed, RateLimited, TransportError
from analysis.records import Chunk, Ending, Item, Labeled, Pack, RateLimit, Usage
from analysis.settings import SETTINGS, Settings
from benchmarks.score import constants
from benchmarks.score.constants import Regime
from benchmarks.score.market import Fate, Kind
from benchmarks.score.stage import Stage

MODEL = "model"
LABEL = ("example",)


class Ours:
    """One run of the package's scheduler."""

    def __init__(self, stage: Stage, *, seed: int, settings: Settings = SETTINGS) -> None:
        self._stage = stage
        self._settings = settings
        ids = itertools.count(1)
        self._scheduler = Scheduler(
            plans(),
            cost_of=cost_of,
            rng=random.Random(f"scheduler {seed}"),
            new_id=lambda: f"q{next(ids)}",
            notify=lambda name, message, fields: None,
            now=0.0,
            settings=settings,
        )
        count = stage.market.regime.chunks
        size = chunks_per_request(count, settings)
        in_flight = sum(way.in_flight for way in constants.WAYS)
        self._room = (settings.queue_packs + in_flight) * size
        self._windows = windows(count, size, settings)
        self._unread = 0
        self._wake_at: float | None = None

    def start(self) -> None:
        """Begin as dispatch does: offer what has room, then ask."""
        self._offer()
        self._drive()

    def _offer(self) -> None:
        while self._unread < self._room and (pack := next(self._windows, None)) is not None:
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

    def _wake(self, at: float) -> None:
        if self._wake_at == at:
            self._wake_at = None
            self._drive()

    def _send(self, send: Send) -> None:
        tickets = tuple(item.ticket for item in send.pack.items)
        sent_at = self._stage.now
        heard = partial(self._hear, send, sent_at)
        self._stage.send(send.route, tickets, heard, timeout_s=self._settings.timeout_s)

    def _hear(self, send: Send, sent_at: float, fate: Fate, answered: frozenset[int]) -> None:
        now, scheduler = self._stage.now, self._scheduler
        if fate.stated:
            limits = [
                RateLimit(name=one.name, limit=one.limit, remaining=one.remaining)
                for one in fate.stated
            ]
            scheduler.on_limits(send.route, limits, now=now, request_id=send.request_id)
        if (error := error_of(fate)) is not None:
            settled = scheduler.on_failure(send.request_id, error, now=now)
        else:
            count = len(send.pack.items)
            output = constants.OUTPUT_PER_REQUEST + constants.OUTPUT_PER_CHUNK * count
            settled = scheduler.on_answer(
                send.request_id,
                labels=dict.fromkeys(answered, LABEL),
                defect="foreign_id" if fate.kind is Kind.VOID else None,
                note="an item is missing",
                usage=Usage(input_tokens=constants.input_tokens(count), output_tokens=output),
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


def plans() -> list[RoutePlan]:
    """Return the ways as the scheduler is told of them: one model, one account."""
    return [
        RoutePlan(
            name=way.name,
            model=MODEL,
            account="account",
            in_flight=way.in_flight,
            states_limits=way.tells_limits,
        )
        for way in constants.WAYS
    ]


def cost_of(route: str, pack: Pack) -> int:
    """Return what a request for a pack reserves; the estimate is exact here."""
    return constants.reserved_tokens(len(pack.items))


def windows(count: int, size: int, settings: Settings) -> Iterator[Pack]:
    """Yield the packs of a job of one document, cut as dispatch cuts them."""
    cutter = Cutter(chunks_per_request=size, settings=settings)
    for number in range(count):
        chunk = Chunk(id=f"c{number}", text="x")
        piece = Piece(chunk=chunk, tokens=constants.CHUNK, topic=None)
        if window := cutter.add(piece):
            yield pack_of(window)
    if window := cutter.finish():
        yield pack_of(window)


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


def told(regime: Regime) -> Settings:
    """Return the settings of a user who has entered the limits of the account."""
    return replace(SETTINGS, requests_per_minute=regime.rpm, tokens_per_minute=regime.tpm)
