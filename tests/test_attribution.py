"""A label belongs to the chunk that it stands beside: whole runs, with faults and with tampering.

Labels are digests of the texts, so `wrong_labels` finds every exchange. The tampering below shows
that it does, and that an exchange of whole answers never gets so far.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from analysis.simulator.server import LocalService
from analysis.transport import Transport
from tests.attribution.crossing import Crossing, Exchange, labels_only, whole
from tests.observed_service import (
    ANALYZERS,
    UNPACED,
    ObservedService,
    chunks_of,
    digest_label,
    serving,
    wrong_labels,
)
from tests.virtual_loop import virtual

CHUNKS = chunks_of(1_000)
every_analyzer = pytest.mark.parametrize("kind", ANALYZERS)
packed = pytest.mark.parametrize("per_request", [1, 10])


def crossed(kind: str, *, pairs: int, exchange: Exchange) -> tuple[type[Any], list[Crossing]]:
    """Return an analyzer class whose transports cross answers, and the list of those."""
    made: list[Crossing] = []
    left = Counter(answers=2 * pairs)
    plain: Any = ANALYZERS[kind]

    class Crossed(plain):  # type: ignore[misc]
        def _transport(self, route: str) -> Transport:
            made.append(Crossing(super()._transport(route), left=left, exchange=exchange))
            return made[-1]

    return Crossed, made


@packed
@virtual
async def test_a_thousand_chunks_in_shuffled_order(per_request: int) -> None:
    """32 responses at once on one session, answers in another order: nothing is swapped."""
    service = ObservedService(latency_ms=50, faults={"shuffle": 1.0})
    async with serving("realtime", service, max_concurrent=32) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=per_request)
        assert [] == wrong_labels(CHUNKS, verdicts)
        assert 32 == service.most_parallel
        assert 1_000 == service.paid_chunks()
        (counters,) = analyzer.statistics()["connections"].values()
        assert (1, {}) == (counters["connections"], counters["violations"])


@every_analyzer
@packed
@virtual
async def test_a_thousand_chunks_with_every_fault_at_once(kind: str, per_request: int) -> None:
    """Dropped, hanging, late, refused and reordered: one right label for every chunk."""
    faults = {"drop": 0.02, "error_500": 0.05, "hang": 0.01, "delay": 0.05, "shuffle": 1.0}
    service = ObservedService(latency_ms=50, faults=faults)
    settings = replace(UNPACED, attempts_per_route=20)
    options = {"timeout_s": 3.0, "settings": settings, "max_concurrent": 32}
    async with serving(kind, service, **options) as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS, chunks_per_request=per_request)
        assert [] == wrong_labels(CHUNKS, verdicts)
        assert 0 == analyzer.statistics()["in_flight"]
        assert 1_000 <= service.paid_chunks()


@every_analyzer
@packed
@virtual
async def test_exchanged_answers_are_void_and_asked_again(kind: str, per_request: int) -> None:
    """Two requests get each other's answer: the ids tell, none is accepted, all are re-asked."""
    make, made = crossed(kind, pairs=4, exchange=whole)
    service = ObservedService(latency_ms=50)
    given = CHUNKS[:400]
    async with (
        LocalService(service) as local,
        make(api_key="k", base_url=local.base_url, settings=UNPACED, seed=3) as analyzer,
    ):
        verdicts = await analyzer.analyze_batch(given, chunks_per_request=per_request)
    assert [] == wrong_labels(given, verdicts)
    exchanged = [chunk_id for crossing in made for chunk_id in crossing.exchanged]
    assert 8 * per_request <= len(set(exchanged))
    assert sorted(set(exchanged)) == sorted(one.chunk_id for one in verdicts if one.attempts > 1)
    assert 400 + len(exchanged) == service.paid_chunks()


@every_analyzer
@packed
@virtual
async def test_the_check_finds_labels_exchanged_inside_good_answers(
    kind: str, per_request: int
) -> None:
    """Below the level of ids nothing can be noticed by the client; the digests show every one."""
    make, made = crossed(kind, pairs=4, exchange=labels_only)
    texts = dict(CHUNKS)
    async with (
        LocalService(ObservedService(latency_ms=50)) as local,
        make(api_key="k", base_url=local.base_url, settings=UNPACED, seed=3) as analyzer,
    ):
        verdicts = await analyzer.analyze_batch(CHUNKS[:400], chunks_per_request=per_request)
    (exchanged,) = [crossing.exchanged for crossing in made if crossing.exchanged]
    assert 8 * per_request == len(exchanged)
    found = wrong_labels(CHUNKS[:400], verdicts)
    partner = _partners(exchanged, per_request)
    assert sorted(found) == sorted(
        chunk_id
        for chunk_id in exchanged
        if digest_label(texts[chunk_id]) != digest_label(texts[partner[chunk_id]])
    )
    assert found


def _partners(exchanged: list[str], size: int) -> dict[str, str]:
    """Return for each chunk the one whose label it got: packs were exchanged two by two."""
    packs = [exchanged[start : start + size] for start in range(0, len(exchanged), size)]
    return {
        chunk_id: packs[place ^ 1][index]
        for place, pack in enumerate(packs)
        for index, chunk_id in enumerate(pack)
    }


@virtual
async def test_the_check_finds_two_swapped_verdicts() -> None:
    """A single exchange among a thousand right verdicts is found, at both places."""
    async with serving("rest") as (analyzer, _):
        verdicts = await analyzer.analyze_batch(CHUNKS)
    assert [] == wrong_labels(CHUNKS, verdicts)
    other = next(n for n in range(1_000) if verdicts[n].labels != verdicts[500].labels)
    swapped = list(verdicts)
    swapped[500] = replace(verdicts[500], labels=verdicts[other].labels)
    swapped[other] = replace(verdicts[other], labels=verdicts[500].labels)
    assert sorted([f"c{other}", "c500"]) == sorted(wrong_labels(CHUNKS, swapped))
    moved = [*verdicts[1:], verdicts[0]]
    assert 1_000 == len(wrong_labels(CHUNKS, moved))
