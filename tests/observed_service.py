"""The simulated service with notes on what it was asked, and analyzers that speak to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeAlias

from analysis.labels.label_set import LabelSet
from analysis.records import Labeled, Verdict
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.semantic_function_realtime import SemanticRealtimeAnalyzer
from analysis.settings import SETTINGS
from analysis.simulator.refusals import Refusal
from analysis.simulator.server import LocalService
from analysis.simulator.service import Answerer, Job, Question, Service, digest_answerer

LABELS = LabelSet.load("ten_functions").keys

UNPACED = replace(
    SETTINGS,
    requests_per_minute=10_000_000,
    tokens_per_minute=10_000_000_000,
    hedge_share=0.0,
    hedge_extra=0,
    share_limits=False,
    learned_limits_days=0.0,
)
"""Knobs of an account without limits to speak of, so that nothing is shared or learned."""

Analyzer: TypeAlias = SemanticRestAnalyzer | SemanticRealtimeAnalyzer | HybridSemanticAnalyzer

ANALYZERS: dict[str, Callable[..., Analyzer]] = {
    "rest": SemanticRestAnalyzer,
    "realtime": SemanticRealtimeAnalyzer,
    "hybrid": HybridSemanticAnalyzer,
}
"""Name, for test ids -> the analyzer."""


class ObservedService(Service):
    """A service with digest labels that notes payments, topics and the times of its requests.

    Attributes:
        payments: Records of the payment log.
        topics: Topic of each request.
        asked: (route, model) of each request.
        spans: (route, accepted at, ends at) of each request.
        accepts: So many requests; further ones are refused, since the quota is gone.
    """

    def __init__(self, *, accepts: int | None = None, **options: Any) -> None:
        self.payments: list[dict[str, Any]] = []
        self.topics: list[str | None] = []
        self.asked: list[tuple[str, str]] = []
        self.spans: list[tuple[str, float, float]] = []
        self.accepts = accepts
        self._changed = asyncio.Event()
        digest = digest_answerer(LABELS)

        def label(texts: Sequence[str], topic: str | None) -> Sequence[Sequence[str]]:
            self.topics.append(topic)
            return digest.label(texts, topic)

        answerer = Answerer(name="digest-labels", label=label, probability=digest.probability)
        super().__init__(answerer, payment=self._note, **options)

    def _note(self, payment: dict[str, Any]) -> None:
        self.payments.append(payment)
        self._changed.set()

    async def until(self, has_happened: Callable[[], bool]) -> None:
        """Wait until something is so; looked at after every request and payment."""
        while not has_happened():
            self._changed.clear()
            await self._changed.wait()

    def start(self, question: Question, now: float) -> Job:
        """Accept a request and note when it runs."""
        if self.accepts is not None and len(self.spans) >= self.accepts:
            raise Refusal("Your quota is gone.", status=429, code="insufficient_quota")
        job = super().start(question, now)
        self.asked.append((question.route, question.model))
        self.spans.append((question.route, now, job.at))
        self._changed.set()
        return job

    @property
    def most_parallel(self) -> int:
        """The highest number of requests that ran at once."""
        steps = sorted(
            step for _, begin, end in self.spans for step in ((begin, 1, end), (end, -1, 0.0))
        )
        running = highest = 0
        for _, change, _ in sorted(steps, key=lambda step: (step[0], step[1])):
            running += change
            highest = max(highest, running)
        return highest

    def paid_chunks(self) -> int:
        """Return the chunks of all paid requests."""
        return sum(payment["chunks"] for payment in self.payments)


@contextlib.asynccontextmanager
async def serving(
    kind: str, service: Service | None = None, **options: Any
) -> AsyncIterator[tuple[Any, Any]]:
    """Run a service and an analyzer that speaks to it; yields (analyzer, service)."""
    chosen = service or ObservedService(latency_ms=50)
    arguments = {"api_key": "key-1", "topic": "trains", "settings": UNPACED, "seed": 7} | options
    async with (
        LocalService(chosen) as local,
        ANALYZERS[kind](base_url=local.base_url, **arguments) as analyzer,
    ):
        yield analyzer, chosen


def digest_label(text: str) -> str:
    """Return the label that a service with digest labels gives to a text.

    Written anew, so that nothing under test decides what is right.
    """
    return LABELS[int.from_bytes(sha256(text.encode()).digest()[:8], "big") % len(LABELS)]


def chunks_of(count: int, start: int = 0) -> list[tuple[str, str]]:
    """Return pairs (id, text) whose texts are all different."""
    return [(f"c{number}", f"Text number {number}.") for number in range(start, start + count)]


def wrong_labels(chunks: Sequence[tuple[str, str]], verdicts: Iterable[Verdict]) -> list[str]:
    """Return the ids of chunks whose verdict, in the same place, is not the one due to them."""
    return [
        chunk_id
        for (chunk_id, text), verdict in zip(chunks, verdicts, strict=True)
        if not isinstance(verdict, Labeled)
        or verdict.chunk_id != chunk_id
        or verdict.labels != (digest_label(text),)
    ]
