"""A scheduler on a bench: the test turns its clock and plays its routes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

from analysis.control.decisions import Decision, Send, Settled, WaitUntil
from analysis.control.learned import Learned
from analysis.control.routes import RoutePlan
from analysis.control.scheduler import Scheduler
from analysis.control.spending import Rates
from analysis.errors import AnalysisError, TransportError
from analysis.records import Ending, Labeled, Usage
from analysis.settings import SETTINGS, Settings
from tests.control.parcels import TOKENS, ids_of, pack_of

LOST = TransportError("lost")
UNREACHED = TransportError("no connection", ending=Ending.UNSENT)
OUTAGE_S = SETTINGS.outage_limit_s


class Bench:
    """A scheduler with a clock that the test turns, and what it told."""

    def __init__(
        self,
        *models: str,
        limit: int = 4,
        accounts: str = "kkk",
        settings: Settings = SETTINGS,
        most_chunks: int | None = None,
        silent: int = 0,
        prompts: Sequence[str] = (),
        may_copy: bool = False,
        rates: Rates | None = None,
        learned: Learned | None = None,
        prefixes: Sequence[int] = (),
    ) -> None:
        ids = itertools.count(1)
        self.now = 0.0
        self.told: list[str] = []
        self.scheduler = Scheduler(
            [
                RoutePlan(
                    name=f"r{place}",
                    model=model,
                    account=accounts[place],
                    in_flight=limit,
                    most_chunks=most_chunks,
                    states_limits=place >= silent,
                    prompt=prompts[place] if prompts else "text",
                    may_copy=may_copy,
                    rates=rates,
                    learned=learned,
                    cached_prefix_tokens=prefixes[place] if prefixes else 0,
                )
                for place, model in enumerate(models)
            ],
            cost_of=lambda route, pack: pack.tokens,
            rng=random.Random(1),
            new_id=lambda: f"q{next(ids)}",
            notify=self.hear,
            now=0.0,
            settings=settings,
        )

    def hear(self, name: str, message: str, fields: Mapping[str, str | float]) -> None:
        """Note the name of what the scheduler tells."""
        self.told.append(name)

    def offer(self, *packs: str, order: tuple[int, ...] | None = None) -> None:
        """Queue packs of chunks with these ids."""
        for names in packs:
            self.scheduler.offer(pack_of(*names), now=self.now, order=order)

    def poll(self) -> Decision:
        """Ask for a decision now."""
        return self.scheduler.poll(now=self.now)

    def send(self) -> Send:
        """Ask for a decision that must be to send."""
        decision = self.poll()
        assert isinstance(decision, Send), decision
        return decision

    def sends(self) -> list[tuple[str, str]]:
        """Return (route, chunks) of everything that may go now."""
        found = []
        while isinstance(decision := self.poll(), Send):
            found.append((decision.route, ids_of(decision.pack)))
        return found

    def next_send(self) -> Send:
        """Turn the clock until something is sent."""
        for _ in range(1_000):
            decision = self.poll()
            if isinstance(decision, Send):
                return decision
            assert isinstance(decision, WaitUntil), decision
            assert decision.at is not None
            assert decision.at > self.now
            self.now = decision.at
        raise AssertionError("nothing is sent")

    def answer(
        self,
        send: Send,
        names: str | None = None,
        *,
        defect: str | None = None,
        declined: str = "",
        confidence: float | None = None,
    ) -> Settled:
        """Answer a request, for the chunks with these ids or for all; decline others."""
        asked = {item.chunk.id: item.ticket for item in send.pack.items}
        labels = {asked[name]: ("noise",) for name in (asked if names is None else names)}
        return self.scheduler.on_answer(
            send.request_id,
            labels=labels,
            defect=defect,
            note="why",
            usage=Usage(input_tokens=TOKENS * len(asked)),
            model=send.model,
            latency_s=0.5,
            now=self.now,
            confidences={} if confidence is None else dict.fromkeys(labels, confidence),
            refused=tuple(asked[name] for name in declined),
        )

    def fail(self, send: Send, error: AnalysisError) -> Settled:
        """Let a request fail."""
        return self.scheduler.on_failure(send.request_id, error, now=self.now)

    def count(self, route: str, name: str) -> object:
        """Return a counter of a route."""
        routes = self.scheduler.statistics()["routes"]
        assert isinstance(routes, dict)
        return routes[route][name]


def kinds(settled: Settled) -> list[tuple[str, str]]:
    """Return (chunk, error kind or label) of verdicts."""
    return [
        (item.chunk.id, verdict.labels[0] if isinstance(verdict, Labeled) else verdict.error.kind)
        for item, verdict in settled
    ]
