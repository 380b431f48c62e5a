"""Verdicts taken from other rows, several inputs in one ledger, and what a second run asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.errors import LedgerError, LocalProtocolError
from analysis.pipeline.ledger_rows import FailedRow, HeldLabel
from analysis.records import FailureKind
from tests.pipeline.ledger_samples import (
    answer,
    chunk,
    failed,
    key_of,
    labeled,
    labels_of,
    opened,
    rows,
)

HELD = HeldLabel(
    labels='["noise"]',
    confidence=0.75,
    route="rest",
    model="m-2025",
    pack=10,
    reused_from="pilot.sqlite run 2",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv.semfn.sqlite"


# Adopting


def test_a_row_is_not_copied_from_itself_nor_from_a_foreign_source(path: Path) -> None:
    """Both are bugs of ours, and nothing is written."""
    one = chunk("1")
    with opened(path) as ledger:
        with pytest.raises(LocalProtocolError, match="of itself"):
            ledger.adopt([(one, (None, "1"))])
        with pytest.raises(LocalProtocolError, match=r"'x\.csv', which is none of the sources"):
            ledger.adopt([(one, ("x.csv", "2"))])
        assert [None] == ledger.lookup([one])


def test_a_row_without_verdict_gives_none(path: Path) -> None:
    """A stopped run leaves the copies of its unasked rows unasked."""
    with opened(path) as ledger:
        assert 0 == ledger.adopt([(chunk("2"), (None, "1"))])
        assert 0 == ledger.adopt([])
        assert [None] == ledger.lookup([chunk("2")])


@pytest.mark.asyncio
async def test_a_row_with_another_text_gives_none(path: Path) -> None:
    """The verdict of the first row counts only under the key of the copy."""
    one = chunk("1")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one)))
        assert 0 == ledger.adopt([(chunk("2", "other text"), (None, "1"))])


@pytest.mark.asyncio
async def test_a_copy_has_the_verdict_but_neither_attempts_nor_tokens(path: Path) -> None:
    """Label, confidence, route, model and pack are those of the first row; none is paid twice."""
    one, two = chunk("1"), chunk("2")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one, "example", "noise")))
        assert 1 == ledger.adopt([(two, ("in.csv", "1"))])
        first, copy = ledger.lookup([one, two])
        assert first is not None
        assert replace(first, attempts=0, latency_s=None, reused_from="same text") == copy
        assert [False] == await ledger.missing([two])
        assert 1 == ledger.totals().run[0].requests
    tokens = "input_tokens + cached_tokens + written_tokens + output_tokens + reasoning_tokens"
    assert [("1", 19, "r1", 1), ("2", 0, "r1", 1)] == rows(
        path, f"SELECT id, {tokens}, request_id, run FROM verdict"
    )


@pytest.mark.asyncio
async def test_a_failure_is_copied_and_gives_way_to_a_label(path: Path) -> None:
    """The copies of a failed row fail as it did; when it gets a label, they get it, too."""
    one, two = chunk("1"), chunk("2")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, failed(one, FailureKind.REFUSED, "no")))
        assert 1 == ledger.adopt([(two, (None, "1"))])
        assert ["refused"] == [row and row.error_kind for row in ledger.lookup([two])]
        assert [True] == await ledger.missing([two])
        await answer(ledger, "r2", (one, labeled(one)))
        assert 1 == ledger.adopt([(two, (None, "1"))])
        assert [("example",)] == labels_of(ledger, two)


@pytest.mark.asyncio
async def test_a_label_in_force_is_never_replaced(path: Path) -> None:
    """Neither by a copy nor by a label of another ledger."""
    one, two = chunk("1"), chunk("2")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one, "a")), (two, labeled(two, "b")))
        assert 0 == ledger.adopt([(two, (None, "1")), (one, HELD)])
        assert [("a",), ("b",)] == labels_of(ledger, one, two)


def test_a_label_of_another_ledger_names_it(path: Path) -> None:
    """The row is labelled without a request of this ledger."""
    one = chunk("1")
    with opened(path) as ledger:
        assert 1 == ledger.adopt([(one, HELD)])
        (row,) = ledger.lookup([one])
        assert row is not None
        found = (row.labels, row.confidence, row.model, row.pack, row.attempts, row.reused_from)
        assert (("noise",), 0.75, "m-2025", 10, 0, "pilot.sqlite run 2") == found
    assert [(None,)] == rows(path, "SELECT request_id FROM verdict")


def test_adopting_into_a_closed_ledger_is_an_error(path: Path) -> None:
    """It says so instead of waiting for ever."""
    ledger = opened(path)
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.adopt([(chunk("1"), HELD)])


# Several inputs


@pytest.mark.parametrize("sources", [[], ["a.csv", "a.csv"]])
def test_sources_are_named_once_each(path: Path, sources: list[str]) -> None:
    """Else two rows could have one identity; no file is made."""
    with pytest.raises(LocalProtocolError, match="each named once"):
        opened(path, sources=sources)
    assert not path.exists()


def test_a_chunk_without_source_among_several_is_a_bug(path: Path) -> None:
    """It could belong to either."""
    with (
        opened(path, sources=["a.csv", "b.csv"]) as ledger,
        pytest.raises(LocalProtocolError, match="comes from None"),
    ):
        ledger.lookup([chunk("1")])


@pytest.mark.asyncio
async def test_the_same_id_in_two_inputs_is_two_rows(path: Path) -> None:
    """Each keeps its own label, also when later a run has only one of the inputs."""
    one, other = chunk("1", source="a.csv"), chunk("1", source="b.csv")
    with opened(path, sources=["a.csv", "b.csv"]) as ledger:
        await answer(ledger, "r1", (one, labeled(one, "x")), (other, labeled(other, "y")))
        assert [("x",), ("y",)] == labels_of(ledger, one, other)
    with opened(path, sources=["b.csv"]) as ledger:
        assert [("y",), ("y",)] == labels_of(ledger, chunk("1"), other)
    assert [(1, "a.csv"), (1, "b.csv"), (2, "b.csv")] == rows(path, "SELECT * FROM run_input")


@pytest.mark.asyncio
async def test_fresh_retires_all_inputs_of_the_run(path: Path) -> None:
    """And no other one."""
    pair = [chunk("1", source="a.csv"), chunk("1", source="b.csv")]
    third = chunk("1", source="c.csv")
    with opened(path, sources=["a.csv", "b.csv", "c.csv"]) as ledger:
        await answer(ledger, "r1", *((each, labeled(each)) for each in [*pair, third]))
    with opened(path, sources=["a.csv", "b.csv"], fresh=True) as ledger:
        assert [None, None] == ledger.lookup(pair)
    with opened(path, sources=["c.csv"]) as ledger:
        assert [("example",)] == labels_of(ledger, third)


# A second run


@pytest.mark.asyncio
async def test_only_failed_rows_are_missing_on_retry_failed(path: Path) -> None:
    """Labelled rows and rows never asked, also in this form, are left alone."""
    good, bad, new = chunk("g"), chunk("b"), chunk("n")
    with opened(path) as ledger:
        await answer(ledger, "r1", (good, labeled(good)), (bad, failed(bad)))
    with opened(path, retry_failed=True) as ledger:
        asked = [good, bad, new, chunk("b", "other text")]
        assert [True, False, None, None] == ledger.held(asked)
        assert [False, True, False, False] == await ledger.missing(asked)


@pytest.mark.asyncio
async def test_rows_asked_under_another_key_are_counted_as_changed(path: Path) -> None:
    """Labels and failures count, new rows and unchanged ones do not, nor what was retired."""
    one, two, three = chunk("1"), chunk("2"), chunk("3")
    changed = [chunk("1", "new"), chunk("2", "new"), three, chunk("4")]
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one)), (two, failed(two)))
        await answer(ledger, "r3", (three, labeled(three)))
        assert (2, 0) == (ledger.changed(changed), ledger.changed([one, two, three]))
        await answer(ledger, "r2", (changed[0], labeled(changed[0])))
        assert 1 == ledger.changed(changed)
    with opened(path, fresh=True) as ledger:
        assert 0 == ledger.changed(changed)


def test_what_changed_names_the_facts_that_decide(path: Path) -> None:
    """Digests are cut, other facts are whole; what does not decide is not named."""
    before = {"prompt": "3f2a90c1aa", "routes": "rest=a", "endpoint": "h", "run_id": "1"}
    now = {"prompt": "9c1b77d0aa", "routes": "rest=b", "endpoint": "h", "run_id": "2"}
    with opened(path, run_facts=before) as ledger:
        assert () == ledger.what_changed()
    with opened(path, run_facts=now) as ledger:
        expected = ("prompt 3f2a90c1 -> 9c1b77d0", "routes rest=a -> rest=b")
        assert expected == ledger.what_changed()
    with opened(path, run_facts=now, sources=["other.csv"]) as ledger:
        assert () == ledger.what_changed()
    with opened(path, run_facts=now) as ledger:
        assert () == ledger.what_changed()


@pytest.mark.asyncio
async def test_failures_are_those_of_the_newest_form(path: Path) -> None:
    """A row that failed in an earlier form and has a label now is not failed."""
    one, two, three = (chunk(name) for name in "321")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, failed(one)), (two, failed(two, message="first")))
        await ledger.fail(three, failed(three, FailureKind.EMPTY, "no text"))
        again = chunk("3", "new")
        await answer(ledger, "r2", (again, labeled(again)))
        expected = [
            FailedRow(source="in.csv", id="2", error_kind="defect", message="first", attempts=0),
            FailedRow(source="in.csv", id="1", error_kind="empty", message="no text", attempts=0),
        ]
        assert expected == list(ledger.failures())


def test_key_of_is_the_hash_of_the_text() -> None:
    """The samples of these tests have equal keys exactly where text and topic are equal."""
    assert key_of(chunk("1")) == key_of(chunk("2"))
    assert key_of(chunk("1")) != key_of(chunk("1", "other"))
