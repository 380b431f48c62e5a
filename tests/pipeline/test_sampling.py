"""Samples: whole requests of the full run, drawn by a seed."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.control.packing import Cutter, Piece, obstacle
from analysis.errors import ConfigurationError
from analysis.labels.tokens import estimate
from analysis.pipeline.sampling import Sample, draw
from analysis.pipeline.tables import Table, open_table, scan
from analysis.settings import Settings
from tests.pipeline.table_files import assert_says, json_lines, made, refusal

SMALL = Settings(pack_tokens=130, chunk_tokens=100)
TEXTS = ["", " ", "a few words", "word " * 45, "word " * 85, "word " * 200]


def windows(table: Table, size: int, knobs: Settings) -> list[tuple[str, ...]]:
    """Return the ids of each window that a run cuts from the rows of a table."""
    cutter = Cutter(chunks_per_request=size, settings=knobs)
    found = []
    for row in table.rows():
        chunk = row.chunk
        tokens = estimate(chunk.text)
        if obstacle(chunk.text, tokens, knobs) is not None:
            continue
        window = cutter.add(Piece(chunk=chunk, tokens=tokens, topic=chunk.topic))
        if window is not None:
            found.append(window)
    while (window := cutter.finish()) is not None:
        found.append(window)
    return [tuple(piece.chunk.id for piece in window) for window in found]


def ids(tables: Iterable[Table]) -> list[str]:
    """Return the ids of all rows."""
    return [row.chunk.id for table in tables for row in table.rows()]


ROWS = st.lists(st.tuples(*map(st.sampled_from, (TEXTS, "aaab", "xxxy", "tttu"))), max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    rows=ROWS,
    size=st.integers(1, 30),
    block=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_requests_are_those_of_the_full_run(
    rows: list[tuple[str, str, str, str]], size: int, block: int, seed: int
) -> None:
    """Every window of a sample is one of the whole run, but for the last block, which is cut."""
    with tempfile.TemporaryDirectory() as folder:
        names = ("text", "document", "topic", "head")
        lines = [dict(zip(names, row, strict=True)) for row in [("", "", "", ""), *rows]]
        path = made(Path(folder), json_lines(*lines), "a.jsonl")
        table = open_table(path, topic="x", title_column="head")
        (drawn,) = draw([table], Sample(size=size, seed=seed, block=block), SMALL)
        taken, everything = ids([drawn]), ids([table])
        assert min(size, len(everything)) == len(taken)
        assert sorted(taken, key=int) == taken
        full = set(windows(table, block, SMALL))
        strange = [one for one in windows(drawn, block, SMALL) if one not in full]
        assert len(strange) <= 1
        for window in strange:
            assert [one for one in full if one[: len(window)] == window]


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, size=st.integers(1, 30), more=st.integers(0, 20), seed=st.integers(0, 9))
def test_larger_sample_holds_the_smaller_one(
    rows: list[tuple[str, str, str, str]], size: int, more: int, seed: int
) -> None:
    """A pilot that grows pays for the new rows only."""
    with tempfile.TemporaryDirectory() as folder:
        lines = json_lines({"text": ""}, *({"text": text, "document": d} for text, d, *_ in rows))
        table = open_table(made(Path(folder), lines, "a.jsonl"))
        small, large = (
            set(ids(draw([table], Sample(size=count, seed=seed, block=3), SMALL)))
            for count in (size, size + more)
        )
        assert small <= large


def numbered(folder: Path, count: int, name: str = "a.csv") -> Table:
    """Return a table of one document with ids from 1."""
    rows = "".join(f"{number},text {number}\n" for number in range(1, count + 1))
    return open_table(made(folder, f"id,text\n{rows}", name), topic="t")


def test_blocks_are_cut_from_the_start_and_the_last_one_to_fit(tmp_path: Path) -> None:
    """Exactly so many rows, in input order, whole blocks but for one."""
    (drawn,) = draw([numbered(tmp_path, 1_000)], Sample(size=25, seed=1, block=10))
    rows = [int(one) for one in ids([drawn])]
    assert 25 == len(rows)
    blocks = Counter((row - 1) // 10 for row in rows)
    assert [5, 10, 10] == sorted(blocks.values())
    short = min(blocks, key=lambda block: blocks[block])
    assert [short * 10 + 1 + n for n in range(5)] == [
        row for row in rows if (row - 1) // 10 == short
    ]
    assert 25 == scan(drawn).rows


def test_seed_decides_what_is_drawn(tmp_path: Path) -> None:
    """One seed, one sample; another seed, another one."""
    table = numbered(tmp_path, 1_000)
    first, same, other = (
        ids(draw([table], Sample(size=50, seed=seed, block=5))) for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_every_block_is_as_likely_as_another(tmp_path: Path) -> None:
    """Over many seeds each of ten blocks comes up about equally often."""
    table = numbered(tmp_path, 50)
    seen = Counter(
        (int(one) - 1) // 5
        for seed in range(300)
        for one in ids(draw([table], Sample(size=10, seed=seed, block=5)))[::5]
    )
    assert 600 == seen.total()
    assert 40 < min(seen.values()) <= max(seen.values()) < 85


def test_row_numbers_are_those_of_the_whole_file(tmp_path: Path) -> None:
    """Without an id column the id of a drawn row is its number in the file."""
    table = open_table(made(tmp_path, "text\n" + "".join(f"text {n}\n" for n in range(1, 101))))
    (drawn,) = draw([table], Sample(size=12, seed=3, block=4))
    assert all(f"text {row.chunk.id}" == row.chunk.text for row in drawn.rows())
    assert all(str(row.number) == row.chunk.id for row in drawn.rows())


@pytest.mark.parametrize("size", [30, 31, 10_000])
def test_sample_of_all_rows_or_more_is_everything(tmp_path: Path, size: int) -> None:
    """Nothing is drawn twice and nothing is missing."""
    table = numbered(tmp_path, 30)
    (drawn,) = draw([table], Sample(size=size, seed=1, block=7))
    assert ids([table]) == ids([drawn])
    assert "sample: 30 of 30 rows in whole requests, seed 1" == drawn.notes[-1]


def test_sample_is_drawn_over_all_tables(tmp_path: Path) -> None:
    """The size is that of the run; a table may get no row at all."""
    tables = [numbered(tmp_path, 100, "a.csv"), numbered(tmp_path, 40, "b.csv")]
    drawn = draw(tables, Sample(size=20, seed=5, block=10))
    assert 20 == len(ids(drawn))
    counts = {
        tuple(scan(one).rows for one in draw(tables, Sample(size=10, seed=seed, block=10)))
        for seed in range(20)
    }
    assert {(10, 0), (0, 10)} == counts


def test_empty_table_gives_an_empty_sample(tmp_path: Path) -> None:
    """No rows, no blocks."""
    (drawn,) = draw([numbered(tmp_path, 0)], Sample(size=5, seed=1, block=10))
    assert [] == ids([drawn])


def test_rows_that_cannot_be_sent_belong_to_the_block_before(tmp_path: Path) -> None:
    """They do not shift the blocks, and those at the start go with the first one."""
    texts = ["", "a", "", "b", "c", "", "d", "", ""]
    table = open_table(made(tmp_path, "text,n\n" + "".join(f"{text},1\n" for text in texts)))
    spans = set()
    for seed in range(20):
        (drawn,) = draw([table], Sample(size=1, seed=seed, block=2))
        spans.add(drawn.spans)
    assert {((1, 1),), ((5, 5),)} == spans


@pytest.mark.parametrize("values", [{"size": 0, "block": 1}, {"size": 1, "block": 0}])
def test_empty_sample_is_refused(values: dict[str, int]) -> None:
    """A size below one is an error in the option."""
    assert_says(refusal(lambda: Sample(seed=1, **values), ConfigurationError), "Pass 1 or more")


def test_memory_grows_with_the_drawn_blocks_only(tmp_path: Path) -> None:
    """Ten times the rows need no more Python memory for the same sample."""
    peaks = []
    for count in (3_000, 30_000):
        table = numbered(tmp_path, count)
        tracemalloc.start()
        draw([table], Sample(size=500, seed=1, block=10))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
