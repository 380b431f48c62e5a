"""Writes down every call into a scheduler and every decision, so that a run can be played again.

Pure: lines go to a function that is handed in. dispatch puts a `Recorder` in place of its scheduler
where a run is to be recorded; `control/replay.py` plays the lines.

A tape is JSON lines. The first one holds the plans and the settings, each further one a call:

    do      method                                now     monotonic seconds, if it takes any
    gave    what it returned                      raised  or the class of the error that it raised
    draws   numbers drawn by chance in it         ids     request ids made in it
    costs   costs asked for in it, if new         told    route and name of the events in it

Texts of chunks, topics, ids of chunks and documents, and messages are not written: a chunk is its
ticket, its tokens and a hash of its id. What the scheduler gets from outside (chance, ids, costs)
is written as it was drawn, since others draw from the same source.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from analysis import errors
from analysis.control.breaker import LOSSES
from analysis.control.decisions import Costs, Decision, Notify, Settled
from analysis.control.leases import Load, Share
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.sharing import Known
from analysis.errors import AnalysisError
from analysis.records import Failed, Item, Labeled, Pack, RateLimit, StopCause, Usage
from analysis.settings import SETTINGS, Settings

VERSION = 1
"""Of the form of the lines; a tape of another one is not played."""

COSTS = 1_024
"""Costs that are remembered, so as not to be written again; more than packs wait at the front."""

Fields: TypeAlias = dict[str, Any]
Write: TypeAlias = Callable[[str], None]
Result = TypeVar("Result")


class Recorder:
    """A scheduler that is written down; takes its place in dispatch.

    Attributes:
        scheduler: The one at work.
    """

    def __init__(
        self,
        routes: Sequence[RoutePlan],
        *,
        write: Write,
        cost_of: Costs,
        rng: random.Random,
        new_id: Callable[[], str],
        notify: Notify,
        now: float,
        settings: Settings = SETTINGS,
        make: Callable[..., Scheduler] = Scheduler,
    ) -> None:
        """Make the scheduler and write the first line.

        Args:
            routes: As for Scheduler, like all arguments that are not explained here.
            write: Takes one line, without its end.
            cost_of: See routes.
            rng: See routes.
            new_id: See routes.
            notify: See routes.
            now: See routes.
            settings: See routes.
            make: Makes the scheduler.
        """
        self._write = write
        self._chance = _Written(rng)
        self._ids: list[str] = []
        self._costs: list[list[object]] = []
        self._known: dict[tuple[str, str], int] = {}
        self._told: list[list[str]] = []
        self._losses: deque[tuple[object, int]] = deque(maxlen=LOSSES)
        self._lost = 0

        def cost(route: str, pack: Pack) -> int:
            tokens = cost_of(route, pack)
            key = route, spans(item.ticket for item in pack.items)
            if self._known.get(key) != tokens:
                if len(self._known) >= COSTS:
                    self._known.clear()
                self._known[key] = tokens
                self._costs.append([*key, tokens])
            return tokens

        def identify() -> str:
            request_id = new_id()
            self._ids.append(request_id)
            return request_id

        def tell(name: str, message: str, told: Mapping[str, str | float]) -> None:
            self._told.append([str(told.get("route", "")), name])
            notify(name, message, told)

        def start() -> None:
            self.scheduler = make(
                routes,
                cost_of=cost,
                rng=self._chance,
                new_id=identify,
                notify=tell,
                now=now,
                settings=settings,
            )

        plans = [asdict(plan) for plan in routes]
        self._call("start", start, now=now, tape=VERSION, plans=plans, settings=asdict(settings))

    @property
    def stop_reason(self) -> str | None:
        """See Scheduler."""
        return self.scheduler.stop_reason

    @property
    def stop_error(self) -> AnalysisError | None:
        """See Scheduler."""
        return self.scheduler.stop_error

    @property
    def stop_cause(self) -> StopCause | None:
        """See Scheduler."""
        return self.scheduler.stop_cause

    @property
    def in_flight(self) -> int:
        """See Scheduler; not written, since it changes nothing."""
        return self.scheduler.in_flight

    def budgets(self, route: str) -> Mapping[str, tuple[float | None, float]]:
        """See Scheduler; not written, since it changes nothing."""
        return self.scheduler.budgets(route)

    def latency_s(self, route: str, chunks: int) -> float:
        """See Scheduler; not written, since it changes nothing."""
        return self.scheduler.latency_s(route, chunks)

    def awaits_limits(self, *, now: float) -> bool:
        """See Scheduler; not written, since it changes nothing."""
        return self.scheduler.awaits_limits(now=now)

    def load(self, account: str, model: str, *, now: float) -> Load:
        """See Scheduler; not written, since it changes nothing."""
        return self.scheduler.load(account, model, now=now)

    def learned(self) -> Mapping[str, Known]:
        """See Scheduler; not written, since it changes nothing."""
        return self.scheduler.learned()

    def statistics(self) -> dict[str, object]:
        """See Scheduler; not written, since it changes nothing."""
        return self.scheduler.statistics()

    def offer(self, pack: Pack, *, now: float, order: tuple[int, ...] | None = None) -> None:
        """See Scheduler."""
        items = [
            [item.ticket, item.tokens, blurred(item.chunk.id), blurred(item.chunk.document)]
            for item in pack.items
        ]
        self._call(
            "offer",
            lambda: self.scheduler.offer(pack, now=now, order=order),
            now=now,
            items=items,
            topic=blurred(pack.topic),
            order=order,
        )

    def expect(self, requests: int, *, now: float) -> None:
        """See Scheduler."""
        self._call(
            "expect",
            lambda: self.scheduler.expect(requests, now=now),
            now=now,
            requests=requests,
        )

    def foresee(self, requests: int) -> None:
        """See Scheduler."""
        self._call("foresee", lambda: self.scheduler.foresee(requests), requests=requests)

    def on_limits(
        self,
        route: str,
        limits: Iterable[RateLimit],
        *,
        now: float,
        request_id: str | None = None,
    ) -> None:
        """See Scheduler."""
        stated = tuple(limits)
        self._call(
            "on_limits",
            lambda: self.scheduler.on_limits(route, stated, now=now, request_id=request_id),
            now=now,
            route=route,
            limits=[asdict(limit) for limit in stated],
            request_id=request_id,
        )

    def share(self, account: str, model: str, share: Share, *, now: float) -> None:
        """See Scheduler; JSON has no number for a turn that never comes."""
        in_s = share.turn_in_s
        plain = asdict(share) | {"turn_in_s": "never" if in_s == math.inf else in_s}
        self._call(
            "share",
            lambda: self.scheduler.share(account, model, share, now=now),
            now=now,
            account=account,
            model=model,
            share=plain,
        )

    def on_sign(self, request_id: str, *, now: float) -> None:
        """See Scheduler."""
        self._call(
            "on_sign",
            lambda: self.scheduler.on_sign(request_id, now=now),
            now=now,
            request_id=request_id,
        )

    def on_answer(
        self,
        request_id: str,
        *,
        labels: Mapping[int, tuple[str, ...]],
        defect: str | None,
        note: str,
        usage: Usage,
        model: str,
        latency_s: float,
        now: float,
        confidences: Mapping[int, float] = MappingProxyType({}),
        refused: Collection[int] = (),
    ) -> Settled:
        """See Scheduler."""
        return self._call(
            "on_answer",
            lambda: self.scheduler.on_answer(
                request_id,
                labels=labels,
                defect=defect,
                note=note,
                usage=usage,
                model=model,
                latency_s=latency_s,
                now=now,
                confidences=confidences,
                refused=refused,
            ),
            now=now,
            request_id=request_id,
            labels=[[ticket, *keys] for ticket, keys in labels.items()],
            defect=defect,
            usage=usage.to_dict(),
            model=model,
            latency_s=latency_s,
            refused=sorted(refused),
        )

    def on_failure(self, request_id: str, error: AnalysisError, *, now: float) -> Settled:
        """See Scheduler."""
        return self._call(
            "on_failure",
            lambda: self.scheduler.on_failure(request_id, error, now=now),
            now=now,
            request_id=request_id,
            error=self._plain_error(error),
        )

    def limit_in_flight(self, limit: int | None) -> None:
        """See Scheduler."""
        self._call("limit_in_flight", lambda: self.scheduler.limit_in_flight(limit), limit=limit)

    def cap(self, *, budget_usd: float | None, seconds: float | None, now: float) -> None:
        """See Scheduler."""
        self._call(
            "cap",
            lambda: self.scheduler.cap(budget_usd=budget_usd, seconds=seconds, now=now),
            now=now,
            budget_usd=budget_usd,
            seconds=seconds,
        )

    def stop(
        self,
        reason: str,
        error: AnalysisError | None = None,
        cause: StopCause = StopCause.INTERRUPTED,
    ) -> None:
        """See Scheduler."""
        plain = None if error is None else self._plain_error(error)
        self._call(
            "stop", lambda: self.scheduler.stop(reason, error, cause), error=plain, cause=cause
        )

    def withdraw(self, is_unwanted: Callable[[Pack], bool], *, now: float) -> None:
        """See Scheduler."""
        unwanted: list[int] = []

        def noted(pack: Pack) -> bool:
            if answer := is_unwanted(pack):
                unwanted.extend(item.ticket for item in pack.items)
            return answer

        self._call(
            "withdraw",
            lambda: self.scheduler.withdraw(noted, now=now),
            now=now,
            unwanted=unwanted,
        )

    def cancel(self, request_id: str, *, was_sent: bool, now: float) -> None:
        """See Scheduler."""
        self._call(
            "cancel",
            lambda: self.scheduler.cancel(request_id, was_sent=was_sent, now=now),
            now=now,
            request_id=request_id,
            was_sent=was_sent,
        )

    def take_abandoned(self) -> Settled:
        """See Scheduler; written only if there is something."""
        settled = self.scheduler.take_abandoned()
        if settled:
            self._call("take_abandoned", lambda: settled)
        return settled

    def poll(self, *, now: float) -> Decision:
        """See Scheduler."""
        return self._call("poll", lambda: self.scheduler.poll(now=now), now=now)

    def _call(self, do: str, act: Callable[[], Result], **given: object) -> Result:
        """Do it, write down what was given, drawn and returned; a call that raises is written."""
        line: Fields = {"do": do, **given}
        try:
            result = act()
            line["gave"] = plain_result(result)
            return result
        except AnalysisError as error:
            line["raised"] = type(error).__name__
            raise
        finally:
            for name, noted in (
                ("draws", self._chance.drawn),
                ("ids", self._ids),
                ("costs", self._costs),
                ("told", self._told),
            ):
                if noted:
                    line[name] = noted.copy()
                    noted.clear()
            self._write(json.dumps(line, separators=(",", ":")))

    def _plain_error(self, error: AnalysisError) -> Fields:
        """Return an error without its message; what was lost together has one number."""
        known = next(one for one in type(error).__mro__ if one.__module__ == errors.__name__)
        plain: Fields = {"is": known.__name__}
        for name, value in vars(error).items():
            if name == "loss":
                plain["loss"] = self._number_of(value)
            elif isinstance(value, Usage):
                plain["usage"] = value.to_dict()
            elif name != "request_id" and isinstance(value, str | int | float | None):
                plain[name] = value
        return plain

    def _number_of(self, loss: object) -> int | None:
        if loss is None:
            return None
        for known, number in self._losses:
            if known is loss:
                return number
        self._lost += 1
        self._losses.append((loss, self._lost))
        return self._lost


class _Written(random.Random):
    """Chance that notes what it gives; all other methods of Random draw from these two."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(0)
        self._source = source
        self.drawn: list[float | int] = []

    def random(self) -> float:
        """Return a number from 0 to 1."""
        self.drawn.append(number := self._source.random())
        return number

    def getrandbits(self, count: int, /) -> int:
        """Return a number of so many bits."""
        self.drawn.append(number := self._source.getrandbits(count))
        return number


def plain_result(result: object) -> object:
    """Return what a call gave as plain values: verdicts by ticket, packs as spans of tickets."""
    match result:
        case Pack():
            return spans(item.ticket for item in result.items)
        case Item():
            return result.ticket
        case Labeled():
            return [list(result.labels), result.route, result.attempts]
        case Failed():
            return [str(result.error.kind), result.route, result.attempts]
        case tuple() | list():
            return [plain_result(one) for one in result]
    if is_dataclass(result) and not isinstance(result, type):
        shown = {one.name: plain_result(getattr(result, one.name)) for one in fields(result)}
        return {"is": type(result).__name__, **shown}
    return result


def spans(tickets: Iterable[int]) -> str:
    """Return tickets in their order as text, such as `3-7 12`; `tickets_in` reads it."""
    runs: list[list[int]] = []
    for ticket in tickets:
        if runs and ticket == runs[-1][1] + 1:
            runs[-1][1] = ticket
        else:
            runs.append([ticket, ticket])
    return " ".join(f"{first}-{last}" if first < last else f"{first}" for first, last in runs)


def tickets_in(text: str) -> tuple[int, ...]:
    """Return the tickets that `spans` wrote."""
    runs = ([int(end) for end in run.split("-")] for run in text.split())
    return tuple(ticket for run in runs for ticket in range(run[0], run[-1] + 1))


def blurred(name: str | None) -> str | None:
    """Return the first 48 bits of the SHA-256 hash of an id, in hex; None stays None."""
    return None if name is None else hashlib.sha256(name.encode()).hexdigest()[:12]
