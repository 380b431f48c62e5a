"""An arm that was answered is not asked again, and no other arm takes its answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.audit.arms import AGAIN, Arm
from analysis.audit.asking import Asked, ask, ask_all, estimated
from analysis.audit.kept import Store, source_of
from analysis.errors import LedgerError
from analysis.records import Chunk, Ending, Place, Settlement, StopCause
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from tests.commands.running import UNHURRIED, Paid, paid_service
from tests.pipeline.ledger_samples import request

pytestmark = pytest.mark.asyncio

CHUNKS = tuple(
    Chunk(id=str(n), text=f"Text number {n}.", document="d", source="a.csv") for n in range(24)
)
TEN = Arm(name="k=10", chunks=CHUNKS, chunks_per_request=10)
AGAIN_TEN = replace(TEN, name=AGAIN)


def store(folder: Path, *, is_fresh: bool = False) -> Store:
    """Return the store of one start."""
    path = folder / "kept.sqlite"
    return Store(path=path, started_at="2026-11-21T12:00:00+00:00", is_fresh=is_fresh)


def analyzer_of(
    paid: Paid, model: str | None = None, api_key: str = "right"
) -> HybridSemanticAnalyzer:
    """Return an analyzer for the service."""
    return HybridSemanticAnalyzer(
        routes=("rest",), api_key=api_key, base_url=paid.base_url, model=model, settings=UNHURRIED
    )


async def asked(
    paid: Paid, kept: Store, *arms: Arm, budget_usd: float | None = None
) -> list[Asked]:
    """Ask arms in a new process, as it were."""
    analyzer = analyzer_of(paid)
    found = await ask_all(arms, analyzer, store=kept, budget_usd=budget_usd)
    if not found[-1].stopped:
        kept.end([source_of(arm, analyzer, None) for arm in arms])
    return found


def told(one: Asked) -> tuple[object, ...]:
    """Return what a figure can be made of, without the counts of this start."""
    return (one.labels, one.origins, one.latencies_s, one.bill.total, one.bill.requests)


async def test_a_second_start_asks_nothing_and_finds_all(tmp_path: Path) -> None:
    """Labels, routes, models, latencies and the bill are those of the first."""
    with paid_service() as paid:
        (first,) = await asked(paid, store(tmp_path), TEN)
        before = len(paid.records)
        (second,) = await asked(paid, store(tmp_path), TEN)
        assert before == len(paid.records) == first.bill.requests
        analyzer = analyzer_of(paid)
        assert 0 == estimated(TEN, analyzer, None, store(tmp_path)).requests
        assert 3 == estimated(TEN, analyzer, None).requests
        assert 3 == estimated(TEN, analyzer, None, store(tmp_path, is_fresh=True)).requests
    assert told(first) == told(second)
    assert (0, 24) == (first.kept, second.kept)
    assert first.billed_usd == second.billed_usd


async def test_each_arm_is_asked_for_itself(tmp_path: Path) -> None:
    """The same requests once more are paid once more, and only then."""
    with paid_service() as paid:
        await asked(paid, store(tmp_path), TEN, AGAIN_TEN)
        assert 48 == paid.chunks
        await asked(paid, store(tmp_path), TEN, AGAIN_TEN)
        assert 48 == paid.chunks


async def test_a_start_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    """A budget ends the first start; windows of the rest are those of the whole arm."""
    alone = replace(TEN, chunks_per_request=1)
    with paid_service() as paid:
        (first,) = await asked(paid, store(tmp_path), alone, budget_usd=0.0006)
        assert StopCause.BUDGET == first.stop_cause
        assert 0 < len(first.labels) < 24
        left = estimated(alone, analyzer_of(paid), None, store(tmp_path))
        assert 24 - len(first.labels) == left.chunks
        (second,) = await asked(paid, store(tmp_path), alone)
        assert ("", 24) == (second.stopped, len(second.labels))
        assert 24 == paid.chunks
    assert len(first.labels) == second.kept
    assert 24 == second.bill.requests


async def test_fresh_asks_all_again_and_bills_the_new_answers_only(tmp_path: Path) -> None:
    """What was answered before stays in the file and counts no more."""
    with paid_service() as paid:
        (first,) = await asked(paid, store(tmp_path), TEN)
        (second,) = await asked(paid, store(tmp_path, is_fresh=True), TEN)
        assert 48 == paid.chunks
        (third,) = await asked(paid, store(tmp_path), TEN)
        assert 48 == paid.chunks
    assert first.bill.requests == second.bill.requests == third.bill.requests
    assert 0 == second.kept


async def test_fresh_goes_on_after_a_stop_and_pays_once_more_only(tmp_path: Path) -> None:
    """Also for an arm that was whole before the stop; after the end all is asked again."""
    one = replace(TEN, name="k=1", chunks_per_request=1)
    fresh = store(tmp_path, is_fresh=True)
    with paid_service() as paid:
        sources = [source_of(arm, analyzer_of(paid), None) for arm in (TEN, one)]
        await asked(paid, store(tmp_path), TEN, one)
        assert (48, False) == (paid.chunks, fresh.goes_on_afresh(sources))
        ten, stopped = await asked(paid, fresh, TEN, one, budget_usd=0.0012)
        before = paid.chunks
        assert (24, StopCause.BUDGET) == (len(ten.labels), stopped.stop_cause)
        assert 72 < before < 96
        assert fresh.goes_on_afresh(sources)
        assert 0 == estimated(TEN, analyzer_of(paid), None, fresh).requests
        assert 96 - before == estimated(one, analyzer_of(paid), None, fresh).chunks
        ten, whole = await asked(paid, fresh, TEN, one)
        assert (96, 24, 24) == (paid.chunks, len(ten.labels), len(whole.labels))
        assert not fresh.goes_on_afresh(sources)
        await asked(paid, fresh, TEN, one)
        assert 144 == paid.chunks


async def test_fresh_that_gets_no_answer_takes_nothing_away(tmp_path: Path) -> None:
    """A refused key does not cost what was paid for."""
    with paid_service(api_key="right") as paid:
        await asked(paid, store(tmp_path), TEN)
        async with analyzer_of(paid, api_key="wrong") as refused:
            found = await ask(TEN, refused, store=store(tmp_path, is_fresh=True))
            assert StopCause.SERVICE == found.stop_cause
        await asked(paid, store(tmp_path), TEN)
        assert 24 == paid.chunks


async def test_an_arm_is_named_by_all_that_it_asks() -> None:
    """Model, topic, name, pack size, chunks, their texts, order and neighbours."""
    with paid_service() as paid:
        analyzer = analyzer_of(paid)
        first, *rest = CHUNKS
        place = Place(number=1, before=("x",))
        names = {
            source_of(TEN, analyzer, None),
            source_of(TEN, analyzer_of(paid, model="gpt-6-nano"), None),
            source_of(TEN, analyzer, "topic"),
            source_of(AGAIN_TEN, analyzer, None),
            source_of(replace(TEN, chunks_per_request=5), analyzer, None),
            source_of(replace(TEN, chunks=CHUNKS[1:]), analyzer, None),
            source_of(replace(TEN, chunks=CHUNKS[::-1]), analyzer, None),
            source_of(replace(TEN, chunks=(replace(first, text="x"), *rest)), analyzer, None),
            source_of(replace(TEN, chunks=(replace(first, place=place), *rest)), analyzer, None),
        }
    assert 9 == len(names)


async def test_the_bill_of_all_starts_leaves_out_what_was_never_sent(tmp_path: Path) -> None:
    """A copy that was given up before a connection was there took nothing."""
    with paid_service() as paid:
        analyzer, one = analyzer_of(paid), request("r1", *CHUNKS[:2])
        kept = store(tmp_path).open(TEN, analyzer, None)
    for name, ending in (("r1", Ending.UNSENT), ("r2", Ending.UNKNOWN)):
        await kept.intend(replace(one, request_id=name))
        await kept.settle(Settlement(request_id=name, ending=ending, verdicts=()))
    bill = kept.bill()
    kept.close()
    assert (1, 1) == (bill.requests, bill.unknown)


async def test_a_chunk_that_failed_is_asked_again_and_tells_why_meanwhile(tmp_path: Path) -> None:
    """Its verdict stands in the figures of a start that could not ask it."""
    empty = replace(TEN, chunks=(Chunk(id="e", text=" "), *CHUNKS[:2]))
    with paid_service() as paid:
        await asked(paid, store(tmp_path), empty)
        (found,) = await asked(paid, store(tmp_path), empty)
        assert 2 == paid.chunks
    assert {"empty": 1} == found.figures()["not_labelled"]
    assert (2, 2) == (found.figures()["labelled"], found.figures()["labelled_before"])


async def test_the_last_answer_has_its_time(tmp_path: Path) -> None:
    """None before there is one."""
    with paid_service() as paid:
        names = [source_of(TEN, analyzer_of(paid), None)]
        assert store(tmp_path).last_answer_at(names) is None
        await asked(paid, store(tmp_path), TEN)
        at = store(tmp_path).last_answer_at(names)
        assert at is not None and at.startswith("2026-11-21T12:00")
        assert store(tmp_path).last_answer_at(["another"]) is None


async def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """Before anything is sent, and it stays as it was."""
    kept = store(tmp_path)
    kept.path.write_text("mine", encoding="utf-8")
    with paid_service() as paid:
        with pytest.raises(LedgerError):
            estimated(TEN, analyzer_of(paid), None, kept)
        with pytest.raises(LedgerError):
            await asked(paid, kept, TEN)
        assert 0 == paid.chunks
    assert "mine" == kept.path.read_text(encoding="utf-8")
