"""A ledger becomes a table: whole, at any time, in any format."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.export import EXPORT_COLUMNS, Exported, Wanted, export
from analysis.pipeline.ledger import Ledger
from analysis.records import FailureKind
from tests.pipeline.ledger_samples import (
    answer,
    chunk,
    failed,
    fill,
    labeled,
    opened,
    spoil_half,
)

ROWS = [
    {
        "source": "in.csv",
        "id": "1",
        "semantic_function": "example",
        "semantic_function_2": "noise",
        "semfn_confidence": "0.5000",
        "semfn_route": "rest",
        "semfn_model": "m-2026",
        "semfn_pack": "3",
        "semfn_attempts": "2",
        "semfn_latency_ms": "250.0",
        "semfn_error": "",
        "semfn_message": "",
        "semfn_reused_from": "",
    },
    {
        "source": "in.csv",
        "id": "=2",
        "semantic_function": "",
        "semantic_function_2": "",
        "semfn_confidence": "",
        "semfn_route": "",
        "semfn_model": "",
        "semfn_pack": "0",
        "semfn_attempts": "0",
        "semfn_latency_ms": "",
        "semfn_error": "refused",
        "semfn_message": "the model said no",
        "semfn_reused_from": "",
    },
]
"""What `ledger` exports, as CSV."""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a ledger with one labelled and one failed row."""

    async def record(held: Ledger) -> None:
        one, two = chunk("1"), chunk("=2")
        await answer(held, "r1", (one, labeled(one, "example", "noise")))
        await held.fail(two, failed(two, FailureKind.REFUSED, "the model said no"))

    path = tmp_path / "ledger.sqlite"
    with opened(path) as held:
        asyncio.run(record(held))
    return path


def table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """Read a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


# What cannot be done


@pytest.mark.parametrize("name", ["typo.sqlite", "labels.csv"])
def test_a_mistyped_ledger_writes_nothing(tmp_path: Path, target: Path, name: str) -> None:
    """Neither the ledger nor the table comes to be."""
    with pytest.raises(LedgerError, match="There is no ledger"):
        export(tmp_path / name, target)
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", ".lock"])
def test_the_ledger_is_not_overwritten_by_its_export(ledger: Path, suffix: str) -> None:
    """Nor a file that belongs to it."""
    output = ledger.with_name(ledger.name + suffix)
    with opened(ledger), pytest.raises(ConfigurationError, match="is the input itself"):
        export(ledger, output)


def test_outputs_that_cannot_be_are_refused(ledger: Path, tmp_path: Path) -> None:
    """Each with one sentence, before anything is written."""
    refused: list[tuple[Path | str, str]] = [
        (tmp_path / "typo" / "x.csv", "there is no folder"),
        (tmp_path, "is a folder"),
        (tmp_path / "x.parquet.gz", "Leave .gz out"),
        ("-", "needs an open standard output"),
    ]
    for output, said in refused:
        with pytest.raises(ConfigurationError, match=said):
            export(ledger, output)
    with pytest.raises(ConfigurationError, match="csv_formulas is 'cut'"):
        export(ledger, tmp_path / "x.csv", wanted=Wanted(csv_formulas="cut"))


def test_an_export_that_fails_leaves_the_old_table(tmp_path: Path, target: Path) -> None:
    """A ledger that is damaged in the middle gives an error and no half table."""
    path = tmp_path / "ledger.sqlite"
    fill(path, 500)
    spoil_half(path)
    target.write_text("old")
    with pytest.raises(LedgerError, match="cannot be read"):
        export(path, target, wanted=Wanted(overwrite=True))
    assert ("old", ["labels.csv", "ledger.sqlite", "ledger.sqlite.lock"]) == (
        target.read_text(),
        sorted(os.listdir(tmp_path)),
    )


class _Gone(io.BytesIO):
    """A pipe that nobody reads any more."""

    def write(self, data: object) -> int:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def test_a_closed_pipe_is_an_error_with_a_cure(ledger: Path) -> None:
    """Nothing is lost."""
    with pytest.raises(LedgerError, match=r"standard output.*run the same command again"):
        export(ledger, "-", stream=_Gone())


# What is written


def test_a_table_has_a_row_for_each_row_that_was_asked(ledger: Path, target: Path) -> None:
    """Labels, errors with their message, and where a label was taken from."""
    assert Exported(labeled=1, failed=1) == export(ledger, target)
    assert ROWS == table(target)
    assert list(EXPORT_COLUMNS) == list(ROWS[0])


def test_the_stream_gets_the_same_bytes_as_a_file(ledger: Path, target: Path) -> None:
    """As CSV."""
    stream = io.BytesIO()
    export(ledger, target)
    export(ledger, "-", stream=stream)
    assert target.read_bytes() == stream.getvalue()


def test_only_failed_rows_on_request(ledger: Path, target: Path) -> None:
    """The others are counted as left out."""
    assert Exported(failed=1, not_failed=1) == export(
        ledger, target, wanted=Wanted(only_failed=True)
    )
    assert ROWS[1:] == table(target)


@pytest.mark.parametrize(
    ("bound", "ids", "surer"), [(0.5, [], 1), (0.51, ["1"], 0), (1.0, ["1"], 0), (0.0, [], 1)]
)
def test_only_uncertain_rows_on_request(
    ledger: Path, target: Path, bound: float, ids: list[str], surer: int
) -> None:
    """Labels below the bound, which itself is sure enough; the others are counted."""
    done = export(ledger, target, wanted=Wanted(uncertain=bound))
    with target.open(encoding="utf-8", newline="") as file:
        assert ids == [row["id"] for row in csv.DictReader(file)]
    assert (len(ids), surer, 1, 0, 0) == (
        done.labeled,
        done.surer,
        done.not_labeled,
        done.without_confidence,
        done.not_failed,
    )


def test_a_bound_that_is_no_confidence_is_refused(ledger: Path, target: Path) -> None:
    """Nothing is written."""
    for bound in (-0.1, 1.5, float("nan")):
        with pytest.raises(ConfigurationError, match="pass a confidence from 0 to 1"):
            export(ledger, target, wanted=Wanted(uncertain=bound))
    assert not target.exists()


@pytest.mark.parametrize(("bound", "mark"), [(0.5, ""), (0.51, "uncertain")])
def test_doubtful_labels_are_marked_on_request(
    ledger: Path, target: Path, bound: float, mark: str
) -> None:
    """In a column behind the others; the bound itself is sure enough, a failed row has no mark."""
    done = export(ledger, target, wanted=Wanted(min_confidence=bound))
    assert [{**ROWS[0], "semfn_review": mark}, {**ROWS[1], "semfn_review": ""}] == table(target)
    assert Exported(labeled=1, failed=1, uncertain=int(bool(mark))) == done


@pytest.mark.asyncio
async def test_a_label_without_a_confidence_is_counted_and_not_marked(
    tmp_path: Path, target: Path
) -> None:
    """Whatever the bound."""
    path, one = tmp_path / "ledger.sqlite", chunk("1")
    with opened(path) as held:
        await answer(held, "r1", (one, replace(labeled(one), confidence=None)))
    done = export(path, target, wanted=Wanted(min_confidence=1.0))
    assert Exported(labeled=1, unmarked=1) == done
    assert [""] == [row["semfn_review"] for row in table(target)]


def test_marks_have_types(ledger: Path, tmp_path: Path) -> None:
    """Text where there is one, null where there is none."""
    parquet = pytest.importorskip("pyarrow.parquet")
    wanted = Wanted(min_confidence=1.0)
    export(ledger, tmp_path / "x.parquet", wanted=wanted)
    found = parquet.read_table(tmp_path / "x.parquet")
    assert ["uncertain", None] == found["semfn_review"].to_pylist()
    export(ledger, tmp_path / "x.jsonl", wanted=wanted)
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert ["uncertain", None] == [json.loads(line)["semfn_review"] for line in lines]


def test_a_bound_that_could_mark_nothing_is_refused() -> None:
    """Nothing is opened."""
    for bound in (0.0, 1.5, float("nan")):
        with pytest.raises(ConfigurationError, match="above 0 and up to 1"):
            Wanted(min_confidence=bound)


def test_formulas_are_guarded_on_request(ledger: Path, target: Path) -> None:
    """An id that a spreadsheet would run gets an apostrophe."""
    export(ledger, target, wanted=Wanted(csv_formulas="guard"))
    assert ["1", "'=2"] == [row["id"] for row in table(target)]


def test_the_suffix_tells_the_format(ledger: Path, tmp_path: Path) -> None:
    """Numbers are numbers and gaps are null where the format has them."""
    export(ledger, tmp_path / "x.tsv")
    assert ROWS == table(tmp_path / "x.tsv", delimiter="\t")
    export(ledger, tmp_path / "x.jsonl")
    one, two = map(json.loads, (tmp_path / "x.jsonl").read_text().splitlines())
    assert (0.5, 3, 250.0, None) == tuple(
        one[f"semfn_{name}"] for name in ("confidence", "pack", "latency_ms", "error")
    )
    assert (None, "the model said no") == (two["semantic_function"], two["semfn_message"])


def test_parquet_has_types(ledger: Path, tmp_path: Path) -> None:
    """Text, float and integer columns."""
    parquet = pytest.importorskip("pyarrow.parquet")
    export(ledger, tmp_path / "x.parquet")
    found = parquet.read_table(tmp_path / "x.parquet")
    assert list(EXPORT_COLUMNS) == found.column_names
    assert [0.5, None] == found["semfn_confidence"].to_pylist()
    assert ["1", "=2"] == found["id"].to_pylist()
    assert [3, 0] == found["semfn_pack"].to_pylist()


@pytest.mark.asyncio
async def test_a_run_that_goes_on_is_not_disturbed(tmp_path: Path, target: Path) -> None:
    """What is on the disk is exported, without the lock, and the run writes on."""
    path = tmp_path / "ledger.sqlite"
    one, two = chunk("1"), chunk("2")
    with opened(path) as held:
        await answer(held, "r1", (one, labeled(one)))
        assert 1 == export(path, target).labeled
        await answer(held, "r2", (two, labeled(two)))
        assert 2 == export(path, target).labeled
    assert ["1", "2"] == [row["id"] for row in table(target)]


@pytest.mark.asyncio
async def test_what_is_left_out_is_counted(tmp_path: Path, target: Path) -> None:
    """Answers that were set aside, and answers to another form of a row."""
    path = tmp_path / "ledger.sqlite"
    one, changed = chunk("1"), chunk("1", "changed")
    with opened(path) as held:
        await answer(held, "r1", (one, labeled(one)))
    with opened(path, fresh=True) as held:
        await answer(held, "r2", (one, labeled(one)))
    with opened(path) as held:
        await answer(held, "r3", (changed, failed(changed)))
    assert Exported(failed=1, set_aside=1, other_forms=1) == export(path, target)


@pytest.mark.asyncio
async def test_labels_of_rules_are_said_to_be_simulated(tmp_path: Path, target: Path) -> None:
    """As the service named its model."""
    path = tmp_path / "ledger.sqlite"
    one = chunk("1")
    rules = replace(labeled(one), model="offline-rules")
    with opened(path) as held:
        await answer(held, "r1", (one, rules))
    assert Exported(labeled=1, is_simulated=True) == export(path, target)


def test_a_table_that_holds_the_same_is_left_untouched(ledger: Path, target: Path) -> None:
    """The same rows give the same bytes, and the file keeps its time."""
    export(ledger, target)
    os.utime(target, (1, 1))
    export(ledger, target)
    assert 1 == target.stat().st_mtime
