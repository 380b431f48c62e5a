"""A ledger is read without its lock and stays as it is; the newest form of a row is found."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from analysis.errors import LedgerError
from analysis.pipeline.ledger_reading import LeftOut, reading
from analysis.pipeline.ledger_rows import FIND_ROWS
from tests.pipeline.ledger_samples import (
    answer,
    chunk,
    failed,
    fill,
    key_of,
    labeled,
    make_schema_1,
    opened,
    spoil_half,
)

A, B = {"prompt": "a"}, {"prompt": "b"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv.semfn.sqlite"


def newest(path: Path) -> list[tuple[str, str]]:
    """Return id and first label, or error kind, of each row."""
    with reading(path) as held:
        return [
            (name, row.labels[0] if row.labels else row.error_kind or "")
            for _, name, row in held.newest()
        ]


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return the content of each file but the shared memory, which any reader may change."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.suffix != "-shm"}


# What cannot be read


@pytest.mark.parametrize("name", ["typo.sqlite", "typo/ledger.sqlite", "empty.sqlite"])
def test_a_mistyped_path_is_an_error_and_no_new_file(tmp_path: Path, name: str) -> None:
    """Neither a ledger nor a folder is made; an empty file is no ledger."""
    (tmp_path / "empty.sqlite").touch()
    with (
        pytest.raises(LedgerError, match=r"There is no ledger .*Check the path"),
        reading(tmp_path / name),
    ):
        pass
    assert ["empty.sqlite"] == os.listdir(tmp_path)


def test_a_foreign_file_stays_as_it_was(path: Path) -> None:
    """It is refused before SQLite sees it."""
    path.write_bytes(b"id,text\n1,hello\n")
    with pytest.raises(LedgerError, match="is not a semfn ledger"), reading(path):
        pass
    assert {path.name: b"id,text\n1,hello\n"} == bytes_of(path.parent)


def test_a_newer_schema_is_an_error(path: Path) -> None:
    """Its columns may mean something else."""
    opened(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4")
    with pytest.raises(LedgerError, match="has schema 4; this program knows 3"), reading(path):
        pass


def test_a_damaged_ledger_is_an_error(path: Path) -> None:
    """It is named with what SQLite says."""
    opened(path).close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 20_000)
    with pytest.raises(LedgerError, match="cannot be read"), reading(path):
        pass


def test_damage_further_inside_is_an_error_where_it_is_met(path: Path) -> None:
    """Also in the middle of the rows."""
    fill(path, 500)
    spoil_half(path)
    with pytest.raises(LedgerError, match="cannot be read"), reading(path) as held:
        list(held.newest())


def test_nothing_can_be_written_through_it(path: Path) -> None:
    """The connection refuses."""
    opened(path).close()
    with reading(path) as held, pytest.raises(sqlite3.OperationalError, match="readonly"):
        held._connection.execute("DELETE FROM verdict")


# What stays


@pytest.mark.asyncio
async def test_a_closed_ledger_and_its_folder_stay_as_they_are(path: Path) -> None:
    """No WAL is left beside it."""
    with opened(path) as ledger:
        await answer(ledger, "r1", (chunk("1"), labeled(chunk("1"))))
    before = bytes_of(path.parent)
    assert [("1", "example")] == newest(path)
    assert before == bytes_of(path.parent)


@pytest.mark.asyncio
async def test_a_ledger_is_read_as_one_snapshot_while_a_run_goes_on(path: Path) -> None:
    """What is committed counts, what comes while it is read does not; the run is not disturbed."""
    one, two = chunk("1"), chunk("2")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one)))
        with reading(path) as held:
            await answer(ledger, "r2", (two, labeled(two)))
            assert ["1"] == [name for _, name, _ in held.newest()]
        assert [("1", "example"), ("2", "example")] == newest(path)


@pytest.mark.asyncio
async def test_the_ledger_of_a_killed_run_stays_as_it_is(path: Path, tmp_path: Path) -> None:
    """What its WAL holds is read, and not written into the file."""
    with opened(path) as ledger:
        await answer(ledger, "r1", (chunk("1"), labeled(chunk("1"))))
        dead = tmp_path / "dead"
        dead.mkdir()
        for suffix in ("", "-wal"):
            copy = dead / (path.name + suffix)
            copy.write_bytes(path.with_name(copy.name).read_bytes())
    before = bytes_of(dead)
    assert [("1", "example")] == newest(dead / path.name)
    after = bytes_of(dead)
    assert before == {name: after[name] for name in before}


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="rights bind only users who are not root"
)
@pytest.mark.asyncio
async def test_a_ledger_in_a_folder_that_cannot_be_written_is_read(path: Path) -> None:
    """An archive may be read-only."""
    with opened(path) as ledger:
        await answer(ledger, "r1", (chunk("1"), labeled(chunk("1"))))
    path.parent.chmod(0o500)
    try:
        assert [("1", "example")] == newest(path)
    finally:
        path.parent.chmod(0o700)


# Which verdict of a row


@pytest.mark.asyncio
async def test_rows_come_by_source_and_then_as_first_recorded(path: Path) -> None:
    """A failure that got a label later stays in its place."""
    names = [("b.csv", "2"), ("b.csv", "1"), ("a.csv", "9")]
    chunks = [chunk(name, source=source) for source, name in names]
    with opened(path, sources=["b.csv", "a.csv"]) as ledger:
        for number, each in enumerate(chunks):
            await answer(ledger, f"r{number}", (each, failed(each)))
        await answer(ledger, "r9", (chunks[0], labeled(chunks[0])))
    assert [("9", "defect"), ("2", "example"), ("1", "defect")] == newest(path)


@pytest.mark.asyncio
async def test_the_newest_form_of_a_row_counts(path: Path) -> None:
    """Another text in a later run replaces what was said of the first one; once each."""
    old, new, other = chunk("1", "old"), chunk("1", "new"), chunk("2")
    with opened(path) as ledger:
        await answer(ledger, "r1", (old, labeled(old, "old")), (other, labeled(other, "kept")))
    with opened(path) as ledger:
        await answer(ledger, "r2", (new, failed(new)))
    assert [("2", "kept"), ("1", "defect")] == newest(path)
    with reading(path) as held:
        assert LeftOut(rows=2, set_aside=0, other_forms=1) == held.left_out()
        assert ["1"] == [row.id for row in held.failures()]


@pytest.mark.asyncio
async def test_the_form_of_the_last_run_goes_before_a_newer_one(path: Path) -> None:
    """A run that goes back to its first prompt records nothing, and its labels count again."""
    one, as_b = chunk("1"), chunk("1", "other key")
    with opened(path, run_facts=A) as ledger:
        await answer(ledger, "r1", (one, labeled(one, "a")))
    with opened(path, run_facts=B) as ledger:
        await answer(ledger, "r2", (as_b, labeled(as_b, "b")))
    assert [("1", "b")] == newest(path)
    opened(path, run_facts=B, sources=["other.csv"]).close()
    assert [("1", "b")] == newest(path)
    opened(path, run_facts=A).close()
    assert [("1", "a")] == newest(path)


@pytest.mark.asyncio
async def test_what_a_fresh_run_set_aside_is_left_out(path: Path) -> None:
    """It is counted."""
    one, two = chunk("1"), chunk("2")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one, "a")), (two, labeled(two, "a")))
    with opened(path, fresh=True) as ledger:
        await answer(ledger, "r2", (one, labeled(one, "b")))
    assert [("1", "b")] == newest(path)
    with reading(path) as held:
        assert LeftOut(rows=1, set_aside=2, other_forms=0) == held.left_out()


def test_an_old_schema_is_read_as_the_newest_one(path: Path) -> None:
    """Without changing the file."""
    make_schema_1(path)
    before = path.read_bytes()
    assert [("1", "example")] == newest(path)
    with reading(path) as held:
        ((_, label),) = held.labels()
    assert f"{path.name} run 1" == label.reused_from
    assert before == path.read_bytes()


@pytest.mark.asyncio
async def test_ids_that_are_no_text_are_shown_as_escapes(path: Path) -> None:
    """They can be written to any table."""
    odd = chunk("\ud800")
    with opened(path) as ledger:
        await answer(ledger, "r1", (odd, labeled(odd)))
    assert [("\\ud800", "example")] == newest(path)


# Verdicts by key


@pytest.mark.asyncio
async def test_a_verdict_is_found_by_source_id_and_key_alone(path: Path) -> None:
    """More rows than one question holds; what one of the three does not fit is not found."""
    chunks = [chunk(str(number), f"text {number}") for number in range(2 * FIND_ROWS + 1)]
    odd = chunk("\ud800", "odd")
    with opened(path) as ledger:
        await answer(ledger, "r1", *((each, labeled(each, each.text)) for each in [*chunks, odd]))
    with reading(path) as held:
        places = [("in.csv", each.id, key_of(each)) for each in [*chunks, odd]]
        found = [row.labels[0] if row else None for row in held.lookup(places)]
        wrong = [
            ("other.csv", "1", key_of(chunks[1])),
            ("in.csv", "2", key_of(chunks[1])),
            ("in.csv", "1", key_of(chunks[2])),
            (None, "1", key_of(chunks[1])),
        ]
        assert [None] * 4 == held.lookup(wrong)
        assert [] == held.lookup([])
    assert [each.text for each in [*chunks, odd]] == found


@pytest.mark.asyncio
async def test_what_is_known_of_an_input_is_of_its_last_run(path: Path) -> None:
    """Another input of the same ledger has other facts; one that no run had has none."""
    one = chunk("1")
    with opened(path, run_facts=A) as ledger:
        await answer(ledger, "r1", (one, labeled(one)))
    opened(path, run_facts=B).close()
    opened(path, run_facts=A, sources=["other.csv"]).close()
    with reading(path) as held:
        assert ("in.csv", "other.csv") == held.sources()
        assert [B, A, None] == [
            held.last_facts(name) for name in ("in.csv", "other.csv", "typo.csv")
        ]
        assert [True, False] == [held.has(name) for name in ("in.csv", "other.csv")]
        assert [True, False] == [held.has("in.csv", name) for name in ("1", "2")]


def test_an_old_schema_knows_its_inputs_and_keys(path: Path) -> None:
    """As the newest one does."""
    make_schema_1(path)
    with closing(sqlite3.connect(path)) as connection:
        ((source, name, key),) = connection.execute("SELECT source, id, key FROM verdict")
    with reading(path) as held:
        (verdict,) = held.lookup([(source, name, key)])
        assert verdict is not None
        assert (("example",), (source,)) == (verdict.labels, held.sources())
        assert held.last_facts(source) is not None


@pytest.mark.asyncio
async def test_keys_and_time_of_one_source_are_read(path: Path) -> None:
    """Of the rows with a label in force; a failure and a retired label have none."""
    one, two = chunk("1"), chunk("2")
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one)), (two, failed(two)))
    with reading(path) as held:
        assert {key_of(one)} == held.labelled_keys("in.csv")
        assert set() == held.labelled_keys("another")
        assert (held.last_answer_at("in.csv") or "").startswith("20")
        assert held.last_answer_at("another") is None
    with opened(path, fresh=True), reading(path) as held:
        assert set() == held.labelled_keys("in.csv")
