"""The count names everything that is not as it should be; an empty account is built by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from typing import Any

from analysis.records import Chunk, Ending, ErrorDetail, Failed, FailureKind, Labeled, Usage
from tests.attribution.count import Count, Found, count
from tests.attribution.leftovers import Leftovers, leftovers
from tests.attribution.suites import KEYS, SUITES, due_label
from tests.attribution.witnesses import Endings, FieryService

CHUNKS = [Chunk(id=f"c{number}", text=f"Text {number}.") for number in range(4)]
NOTHING_LEFT = Leftovers(tasks=(), timers=(), sockets=())


def labelled(chunk: Chunk, **changes: Any) -> tuple[Chunk, Labeled]:
    """Return a chunk with the verdict due to it."""
    verdict = Labeled(
        chunk_id=chunk.id,
        labels=(due_label(chunk.text),),
        route="rest",
        model="m",
        attempts=1,
        pack=1,
        latency_s=0.1,
        usage=Usage(),
    )
    return chunk, replace(verdict, **changes)


def failed(chunk: Chunk, kind: FailureKind) -> tuple[Chunk, Failed]:
    """Return a chunk that was given up."""
    return chunk, Failed(chunk_id=chunk.id, error=ErrorDetail(kind=kind, message="no"))


def account() -> tuple[FieryService, Endings]:
    """Return both sides after one paid and answered request for each chunk."""
    service, journal = FieryService(SUITES["decisions"], seed=1), Endings()
    for chunk in CHUNKS:
        journal.asked[f"q-{chunk.id}"] = [chunk]
        journal.ended[f"q-{chunk.id}"] = [Ending.DONE]
        service.paid_by_digest[sha256(chunk.text.encode()).hexdigest()] += 1
    return service, journal


def counted(found: Found, sides: tuple[FieryService, Endings], read: Found | None = None) -> Count:
    """Return the count of these verdicts on `CHUNKS`."""
    service, journal = sides
    return count(
        CHUNKS,
        found,
        read or [],
        service,
        journal,
        in_flight=0,
        copies=0,
        connections={},
        left=NOTHING_LEFT,
        loop_s=1.0,
        wall_s=1.0,
    )


def all_labelled() -> Found:
    """Return the right verdict on each chunk."""
    return [labelled(chunk) for chunk in CHUNKS]


def test_an_account_in_order_has_no_problem() -> None:
    """One request, one payment and one right label for each chunk."""
    found = counted(all_labelled(), account())
    assert {} == found.problems()
    assert (4, 0, 0) == (found.labelled, found.again_unknown, found.again_spoilt)


def test_a_label_of_another_kind_is_wrong() -> None:
    """So is a verdict that names another chunk, and a wrong label in a job that was left."""
    other = next(key for key in KEYS if key != due_label(CHUNKS[0].text))
    found = all_labelled()
    found[0] = labelled(CHUNKS[0], labels=(other,))
    found[1] = labelled(CHUNKS[1], chunk_id="c9")
    read: Found = [labelled(Chunk(id="x", text=CHUNKS[0].text), labels=(other,))]
    assert {"wrong": ["c0", "c1", "x"]} == counted(found, account(), read).problems()


def test_a_chunk_without_exactly_one_verdict_is_lost() -> None:
    """Whether it has none or two."""
    found = [*all_labelled()[1:], labelled(CHUNKS[1])]
    assert {"lost": ["c0", "c1"]} == counted(found, account()).problems()


def test_a_chunk_that_was_given_up_for_no_reason_is_lost() -> None:
    """An unusable answer must have been spoilt by the service, twice, and a refusal given by it."""
    sides = account()
    found = all_labelled()
    found[0] = failed(CHUNKS[0], FailureKind.DEFECT)
    found[1] = failed(CHUNKS[1], FailureKind.REFUSED)
    found[2] = failed(CHUNKS[2], FailureKind.TIMEOUT)
    assert {"lost": ["c0", "c1", "c2"]} == counted(found, sides).problems()
    sides[0].alone_spoilt[CHUNKS[0].text] = 2
    sides[0].declined.add(CHUNKS[1].text)
    again = counted(found, sides)
    assert (["c0", "c1"], {"lost": ["c2"]}) == (again.given_up, again.problems())


def test_a_request_with_no_end_or_two_is_named() -> None:
    """Every request that is sent has to end once."""
    sides = account()
    sides[1].ended["q-c1"].append(Ending.UNKNOWN)
    del sides[1].ended["q-c0"]
    problems = counted(all_labelled(), sides).problems()
    assert {"unended": ["q-c0", "q-c1"], "overpaid": ["c0"]} == problems


def test_a_payment_that_the_client_does_not_know_of_is_named() -> None:
    """Paid twice with one answer, and not paid with one."""
    sides = account()
    digests = [sha256(chunk.text.encode()).hexdigest() for chunk in CHUNKS]
    sides[0].paid_by_digest[digests[0]] = 2
    sides[0].paid_by_digest[digests[1]] = 0
    problems = counted(all_labelled(), sides).problems()
    assert {"overpaid": ["c0"], "underpaid": ["c1"]} == problems


def test_second_payments_are_told_apart() -> None:
    """One for an answer that got lost, one for an answer that could not be used."""
    sides = account()
    for number, ending in ((0, Ending.UNKNOWN), (1, Ending.DONE)):
        chunk = CHUNKS[number]
        sides[1].asked[f"r-{chunk.id}"] = [chunk]
        sides[1].ended[f"r-{chunk.id}"] = [ending]
        sides[0].paid_by_digest[sha256(chunk.text.encode()).hexdigest()] += 1
    found = counted(all_labelled(), sides)
    assert {} == found.problems()
    assert (1, 1) == (found.again_unknown, found.again_spoilt)


def test_what_is_left_on_a_loop_is_seen() -> None:
    """A task that waits and a timer that is set; nothing after they are gone."""

    async def look() -> tuple[Leftovers, Leftovers]:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(60.0, print)
        task = asyncio.create_task(asyncio.Event().wait())
        before = await leftovers(())
        timer.cancel()
        task.cancel()
        return before, await leftovers(())

    before, after = asyncio.run(look())
    assert (1, 1, 0) == (len(before.tasks), len(before.timers), len(before.sockets))
    assert NOTHING_LEFT == after
