"""Both sides of the account: the service, which notes what was paid and spoilt, and a journal.

The service is a real one; the journal holds how each request ended, as the client sees it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from analysis.records import Chunk, Ending, Failed, Request, Settlement
from analysis.simulator.faults import NO_FAULT, Draw
from analysis.simulator.profile import PROFILE, DecisionRules, ResponsesRules
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.service import Job, Question, Service, digest_answerer
from tests.attribution.suites import KEYS, Suite

LATENCY_MS = 50
SERVICE_AGE_S = 2.0
"""Age at which the service ends a session."""


class FieryService(Service):
    """A service with digest labels that notes what it was paid for and what it spoilt.

    Attributes:
        paid_by_digest: sha256 of a text -> how often a request with it was paid.
        payments: The service's own name of a route -> paid requests.
        met: Name of a fault -> how many requests met it.
        alone_spoilt: Text -> requests with it alone whose answer or creation was spoilt.
        declined: Texts in requests that the model declined.
        sessions: Sockets that were opened.
    """

    def __init__(self, suite: Suite, *, seed: int) -> None:
        self.paid_by_digest: Counter[str] = Counter()
        self.payments: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.alone_spoilt: Counter[str] = Counter()
        self.declined: set[str] = set()
        self.sessions = 0
        super().__init__(
            digest_answerer(KEYS),
            seed=seed,
            latency_ms=LATENCY_MS,
            faults=suite.faults,
            payment=self._note_payment,
            event_log=self._note_event,
            profile=replace(
                PROFILE,
                session_max_age_s=SERVICE_AGE_S,
                responses=ResponsesRules(connection_max_age_s=SERVICE_AGE_S),
                decisions=DecisionRules(is_order_wrong=True, has_extra_fields=True),
            ),
            **suite.service,
        )

    def unix_time(self, now: float) -> float:
        """Return a time long past, so that no client plans by the ends of sessions it is told.

        It would hold them against the wall clock, which goes on while the virtual one stands: when
        it replaces a session, and with it all that follows, would be another one in each run.
        """
        return now

    def _note_payment(self, payment: Json) -> None:
        self.payments[payment["route"]] += 1
        self.paid_by_digest.update(payment["digests"])

    def _note_event(self, event: Json) -> None:
        self.sessions += event["kind"] == "connected"

    def start(self, question: Question, now: float) -> Job:
        """Accept a request and note which faults it meets."""
        try:
            job = super().start(question, now)
        except Refusal as refusal:
            self.met[refusal.code or str(refusal.status)] += 1
            raise
        if job.draw is not NO_FAULT:
            self.met.update(faults_of(job.draw))
        texts = job.receipt.texts
        if job.draw.defect == "refusal":
            self.declined.update(texts)
        if len(texts) == 1 and (job.draw.defect or job.draw.is_create_rejected):
            self.alone_spoilt[texts[0]] += 1
        return job


_FIELDS = {
    "is_dropped": "drop",
    "is_failed": "error_500",
    "is_hanging": "hang",
    "is_delayed": "delay",
    "shuffle_share": "shuffle",
    "is_half_open": "half_open",
    "is_stalled": "stall",
    "is_torn": "torn",
    "is_duplicated": "duplicate",
    "is_reordered": "reorder",
    "has_unknown_event": "unknown_event",
    "has_foreign_event": "foreign_event",
    "is_create_rejected": "rejected_create",
}
"""Field of a draw -> name of the fault."""


def faults_of(draw: Draw) -> list[str]:
    """Return the names of the faults that a request meets."""
    found = [name for field, name in _FIELDS.items() if getattr(draw, field)]
    return [*found, *filter(None, (draw.defect, draw.lie and "lying_headers"))]


class Endings:
    """A journal in memory: which requests were asked, and how each ended.

    Attributes:
        asked: Id of a request -> the chunks in it.
        ended: Id of a request -> each of its endings; there should be one.
        codes: How often requests ended so; `done` has no code of its own.
    """

    def __init__(self) -> None:
        self.asked: dict[str, list[Chunk]] = {}
        self.ended: dict[str, list[Ending]] = {}
        self.codes: Counter[str] = Counter()

    async def missing(self, chunks: Sequence[Chunk]) -> Sequence[bool]:
        """Ask for all chunks."""
        return [True] * len(chunks)

    async def intend(self, request: Request) -> None:
        """Note a request."""
        assert request.request_id not in self.asked
        self.asked[request.request_id] = [item.chunk for item in request.pack.items]

    async def settle(self, settlement: Settlement) -> None:
        """Note its end."""
        self.ended.setdefault(settlement.request_id, []).append(settlement.ending)
        self.codes[f"{settlement.ending} {settlement.code}".strip()] += 1

    async def fail(self, chunk: Chunk, verdict: Failed) -> None:
        """Take a verdict that belongs to no request; the reader of the job counts it."""

    def unended(self) -> list[str]:
        """Return the ids of requests that did not end exactly once."""
        return [rid for rid in self.asked if len(self.ended.get(rid, ())) != 1]

    def times(self, ending: Ending) -> Counter[str]:
        """Return id of a chunk -> how many requests with it ended so."""
        found: Counter[str] = Counter()
        for rid, chunks in self.asked.items():
            if ending in self.ended.get(rid, ()):
                found.update(chunk.id for chunk in chunks)
        return found
