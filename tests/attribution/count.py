"""Makes of what both sides noted a count of what went right and wrong.

`play` calls it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from analysis.records import Chunk, Ending, Failed, FailureKind, Labeled, Verdict
from tests.attribution.leftovers import Leftovers
from tests.attribution.suites import due_label
from tests.attribution.witnesses import Endings, FieryService

SPOILT_TWICE = 2
"""Spoilt answers to a chunk alone in its request after which it is given up."""

Found = list[tuple[Chunk, Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What came of a suite.

    Attributes:
        chunks: How many were given.
        read_of_others: Verdicts beside these, from jobs that were left in their midst.
        labelled: How many of the chunks given got a label.
        given_up: Ids of chunks without label that the model declined, or whose answer was spoilt
            twice when asked alone.
        wrong: Ids of chunks with a label that is not theirs.
        lost: Ids of chunks without verdict, with more than one, or without label for no reason.
        unended: Ids of requests that did not end exactly once.
        in_flight: Requests that the schedulers still counted when all jobs were over.
        copies: Requests that were sent a second time because they took long.
        overpaid: Ids of chunks that were paid more often than the client's record allows.
        underpaid: Ids of chunks that were paid less often than answers came for them.
        requests: Requests sent for the chunks given.
        payments: The service's own name of a route -> requests paid on it, those of
            the jobs that were left included.
        again_unknown: Chunks paid once more because an answer got lost on its way.
        again_spoilt: Chunks paid once more because an answer could not be used.
        endings: How requests ended, with code -> how often.
        faults: Name of a fault, or code of a refusal -> requests that met it.
        connections: Counters of both clients' sockets, added up; empty without sockets.
        sessions: Sockets that the service opened.
        left: What was left when all was closed.
        loop_s: Seconds on the clock of the loop.
        wall_s: Seconds on the clock of the machine.
    """

    chunks: int
    read_of_others: int
    labelled: int
    given_up: list[str]
    wrong: list[str]
    lost: list[str]
    unended: list[str]
    in_flight: int
    copies: int
    overpaid: list[str]
    underpaid: list[str]
    requests: int
    payments: Mapping[str, int]
    again_unknown: int
    again_spoilt: int
    endings: Mapping[str, int]
    faults: Mapping[str, int]
    connections: Mapping[str, int]
    sessions: int
    left: Leftovers
    loop_s: float
    wall_s: float

    def problems(self) -> dict[str, Any]:
        """Return what should not be, by name; empty if all is well."""
        names = ("wrong", "lost", "unended", "in_flight", "overpaid", "underpaid")
        found = {name: value for name in names if (value := getattr(self, name))}
        return found | ({"left": self.left} if self.left.is_any else {})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with the number of ids in place of the ids."""
        return {
            name: len(value) if isinstance(value, list) else value
            for name, value in asdict(self).items()
        }


def count(
    given: Sequence[Chunk],
    found: Found,
    read: Found,
    service: FieryService,
    journal: Endings,
    *,
    in_flight: int,
    copies: int,
    connections: Mapping[str, int],
    left: Leftovers,
    loop_s: float,
    wall_s: float,
) -> Count:
    """Hold the verdicts, the journal and the payments against each other.

    Args:
        given: The chunks of the jobs that were read to their ends.
        found: The verdicts on them.
        read: Verdicts of jobs that were left in their midst; nothing but the label is held against
            anything.
        service: What the service noted.
        journal: How the requests of the first jobs ended.
        in_flight, copies, connections, left, loop_s, wall_s: As in `Count`.
    """
    done, unknown = journal.times(Ending.DONE), journal.times(Ending.UNKNOWN)
    paid = {one.id: service.paid_by_digest[sha256(one.text.encode()).hexdigest()] for one in given}
    again = {one.id: max(paid[one.id] - 1, 0) for one in given}
    spoilt = {one.id: min(max(done[one.id] - 1, 0), again[one.id]) for one in given}
    given_up = [chunk.id for chunk, one in found if _is_given_up(chunk, one, service)]
    return Count(
        chunks=len(given),
        read_of_others=len(read),
        labelled=sum(isinstance(verdict, Labeled) for _, verdict in found),
        given_up=given_up,
        wrong=[chunk.id for chunk, verdict in (*found, *read) if _is_wrong(chunk, verdict)],
        lost=list(_lost(given, found, given_up)),
        unended=journal.unended(),
        in_flight=in_flight,
        copies=copies,
        overpaid=[name for name, times in paid.items() if times > done[name] + unknown[name]],
        underpaid=[name for name, times in paid.items() if times < done[name]],
        requests=len(journal.asked),
        payments=dict(service.payments),
        again_unknown=sum(again.values()) - sum(spoilt.values()),
        again_spoilt=sum(spoilt.values()),
        endings=dict(sorted(journal.codes.items())),
        faults=dict(sorted(service.met.items())),
        connections=connections,
        sessions=service.sessions,
        left=left,
        loop_s=loop_s,
        wall_s=wall_s,
    )


def _is_wrong(chunk: Chunk, verdict: Verdict) -> bool:
    is_due = verdict.chunk_id == chunk.id and verdict.labels == (due_label(chunk.text),)
    return isinstance(verdict, Labeled) and not is_due


def _is_given_up(chunk: Chunk, verdict: Verdict, service: FieryService) -> bool:
    """Tell whether a chunk has no label, and the service is the reason."""
    if isinstance(verdict, Labeled):
        return False
    match verdict.error.kind:
        case FailureKind.DEFECT | FailureKind.REJECTED:
            return service.alone_spoilt[chunk.text] >= SPOILT_TWICE
        case FailureKind.REFUSED:
            return chunk.text in service.declined
        case _:
            return False


def _lost(given: Sequence[Chunk], found: Found, given_up: Sequence[str]) -> Iterator[str]:
    times = Counter(chunk.id for chunk, _ in found)
    failed = {chunk.id for chunk, verdict in found if isinstance(verdict, Failed)}
    for chunk in given:
        if times[chunk.id] != 1 or chunk.id in failed.difference(given_up):
            yield chunk.id
