"""Labels of other ledgers are found by key alone, and never those of another form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import LedgerError
from analysis.pipeline.reuse import Reuse
from analysis.records import Chunk
from tests.pipeline.ledger_samples import (
    answer,
    chunk,
    failed,
    fill,
    key_of,
    labeled,
    labels_of,
    make_schema_1,
    opened,
    rows,
)


@pytest.fixture
def pilot(tmp_path: Path) -> Path:
    return tmp_path / "pilot.sqlite"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own.sqlite"


def found(paths: Sequence[Path], own: Path, *chunks: Chunk, **options: Any) -> list[str | None]:
    """Return the labels found for each chunk, as they stand in the column."""
    with Reuse.open(paths, own=own, **({"key_of": key_of} | options)) as reuse:
        return [None if label is None else label.labels for label in reuse.find(chunks)]


def test_each_wrong_ledger_is_one_sentence(tmp_path: Path, pilot: Path, own: Path) -> None:
    """A missing file, a foreign one, the run's own."""
    foreign = tmp_path / "in.csv"
    foreign.write_text("id,text\n")
    for path, said in [
        (tmp_path / "typo.sqlite", "There is no ledger"),
        (foreign, "is not a semfn ledger"),
        (own, "is the one of this run"),
    ]:
        with pytest.raises(LedgerError, match=said):
            Reuse.open([path], own=own, key_of=key_of)
    link = tmp_path / "link.sqlite"
    link.symlink_to(own)
    with pytest.raises(LedgerError, match="is the one of this run"):
        Reuse.open([link], own=own, key_of=key_of)
    assert ["in.csv", "link.sqlite"] == sorted(each.name for each in tmp_path.iterdir())


@pytest.mark.asyncio
async def test_a_label_is_found_for_the_same_text_under_any_id_and_source(
    pilot: Path, own: Path
) -> None:
    """With confidence, route, model and pack, and where it was taken from."""
    one = chunk("1")
    with opened(pilot, sources=["pilot.csv"]) as ledger:
        await answer(ledger, "r1", (one, labeled(one, "example", "noise")))
        with Reuse.open([pilot], own=own, key_of=key_of) as reuse:
            (label, other) = reuse.find([chunk("77"), chunk("1", "other text")])
            assert 1 == reuse.labels
    assert label is not None
    assert ('["example", "noise"]', 0.5, "rest", "m-2026", 3, "pilot.sqlite run 1") == (
        label.labels,
        label.confidence,
        label.route,
        label.model,
        label.pack,
        label.reused_from,
    )
    assert other is None


@pytest.mark.asyncio
async def test_failures_retired_labels_blank_rows_and_documents_are_not_reused(
    pilot: Path, own: Path
) -> None:
    """Only labels in force count, and only for loose texts."""
    bad, old, blank, good = chunk("1", "bad"), chunk("2", "old"), chunk("3", " "), chunk("4", "x")
    with opened(pilot) as ledger:
        pairs = [(each, labeled(each)) for each in (old, blank)]
        await answer(ledger, "r1", *pairs)
    with opened(pilot, fresh=True) as ledger:
        await answer(ledger, "r2", (bad, failed(bad)), (good, labeled(good)))
        await answer(ledger, "r3", (blank, labeled(blank)))
    document = Chunk(id="4", text="x", document="d")
    asked = [bad, old, blank, document, good]
    assert [None, None, None, None, '["example"]'] == found([pilot], own, *asked)


@pytest.mark.asyncio
async def test_the_ledger_named_first_wins(tmp_path: Path, own: Path) -> None:
    """Where two hold a label for one key."""
    paths = [tmp_path / "a.sqlite", tmp_path / "b.sqlite"]
    for path in paths:
        with opened(path) as ledger:
            await answer(ledger, "r1", (chunk("1"), labeled(chunk("1"), path.stem)))
    assert ['["a"]'] == found(paths, own, chunk("5"))
    assert ['["b"]'] == found(paths[::-1], own, chunk("5"))


@pytest.mark.asyncio
async def test_keys_that_share_their_first_half_are_told_apart(pilot: Path, own: Path) -> None:
    """A label is found only under the whole key."""
    keys = {"a": bytes(16), "b": bytes(15) + b"\1"}
    short = {"key_of": lambda one: keys[one.text]}
    with opened(pilot, **short) as ledger:
        await answer(ledger, "r1", (chunk("1", "a"), labeled(chunk("1", "a"))))
    assert [None, '["example"]'] == found([pilot], own, chunk("1", "b"), chunk("2", "a"), **short)


def test_a_ledger_of_an_older_schema_is_reused_and_stays_old(pilot: Path, own: Path) -> None:
    """Only its own run may migrate it."""
    make_schema_1(pilot)
    assert ['["example"]'] == found([pilot], own, chunk("9"))
    assert [(1,)] == rows(pilot, "PRAGMA user_version")


@pytest.mark.asyncio
async def test_what_is_found_is_adopted_under_the_own_id(pilot: Path, own: Path) -> None:
    """The row has a label in its own ledger, marked with the other one's name."""
    with opened(pilot) as ledger:
        await answer(ledger, "r1", (chunk("1"), labeled(chunk("1"))))
    nine = chunk("9")
    with opened(own) as ledger, Reuse.open([pilot], own=own, key_of=key_of) as reuse:
        (label,) = reuse.find([nine])
        assert label is not None
        assert 1 == ledger.adopt([(nine, label)])
        assert [("example",)] == labels_of(ledger, nine)
        assert [False] == await ledger.missing([nine])
    assert [("9", "pilot.sqlite run 1")] == rows(own, "SELECT id, reused_from FROM verdict")


def test_a_full_disk_is_one_sentence_with_a_cure(pilot: Path) -> None:
    """The copy goes to the folder for temporary files."""
    fill(pilot, 3_000)
    with Reuse(key_of) as reuse:
        reuse._database.execute("PRAGMA max_page_count = 10")
        with pytest.raises(LedgerError, match=r"pilot.sqlite cannot be copied .*TMPDIR"):
            reuse.copy(pilot)
