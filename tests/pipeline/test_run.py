"""One run over a table, step by step, with the offline route: plan, labels, files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.errors import LedgerError, LocalProtocolError
from analysis.pipeline.inputs import open_inputs
from analysis.pipeline.places import RunPaths
from analysis.pipeline.report import StopKind
from analysis.pipeline.run import RunChoices, TableRun
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from tests.commands.running import HEADER, column, read, table, written

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@contextmanager
def prepared(
    path: Path, *, limit: int | None = None, language: str = "auto"
) -> Iterator[tuple[TableRun, HybridSemanticAnalyzer]]:
    """Make a run over this table into out.csv beside it; it is closed at the end."""
    analyzer = HybridSemanticAnalyzer(routes="offline", language=language, seed=1)
    (job,) = open_inputs([path], path.with_name("out.csv"))
    jobs = [replace(job, table=replace(job.table, limit=limit))]
    run = TableRun(
        jobs=jobs,
        paths=RunPaths.of(jobs, ledger=path.with_name("out.sqlite")),
        analyzer=analyzer,
        choices=RunChoices(chunks_per_request=10, record={"fresh": "no"}),
        clock=lambda: 0.0,
        utc_now=lambda: NOW,
    )
    try:
        yield run, analyzer
    finally:
        run.close()


async def labelled(run: TableRun, analyzer: HybridSemanticAnalyzer) -> None:
    """Do the work of a run."""
    async with analyzer:
        await run.label()


def test_plan_counts_rows_before_anything_is_labelled(tmp_path: Path) -> None:
    """Rows to do, rows that cannot be sent, rows that are there; no output appears."""
    path = written(tmp_path, [HEADER, ("1", "a", "T"), ("2", "", "T"), ("3", "b", "T")])
    with prepared(path, limit=1) as (run, analyzer):
        plan = run.prepare()
        assert (1, 0, 0, 1, True) == (
            plan.rows,
            plan.reused,
            plan.unsendable,
            plan.to_do,
            plan.simulated,
        )
        assert not (tmp_path / "out.csv").exists()
        asyncio.run(labelled(run, analyzer))
        assert run.is_complete(plan)
        run.finish(plan)
    with prepared(path) as (run, _):
        plan = run.prepare()
        assert (3, 1, 1, 1, 1) == (
            plan.rows,
            plan.reused,
            plan.unsendable,
            plan.to_do,
            plan.estimate.requests,
        )
        assert not run.is_complete(plan)


def test_keys_are_those_of_earlier_versions(tmp_path: Path) -> None:
    """A key hashes what is asked and the JSON of text and topic, so that old ledgers serve on."""
    texts = {"1": 'a "quote"\\ and\ttab', "2": "Свет и 猫 🐈", "3": "plain"}
    rows = [(name, text, "T", "d" * (name == "3")) for name, text in texts.items()]
    path = written(tmp_path, [(*HEADER, "document"), *rows])
    with prepared(path) as (run, analyzer):
        run.prepare()
        asyncio.run(labelled(run, analyzer))
        asked = json.dumps(dict(analyzer.run_key), sort_keys=True)
    places: dict[str, list[str]] = {"3": ["in a document"]}
    expected = {
        name: hashlib.sha256((asked + json.dumps([text, "T", *places.get(name, [])])).encode())
        for name, text in texts.items()
    }
    with closing(sqlite3.connect(tmp_path / "out.sqlite")) as ledger:
        keys = dict(ledger.execute("SELECT id, key FROM verdict"))
    assert {name: hasher.digest()[:16] for name, hasher in expected.items()} == keys


def test_finished_run_writes_output_and_summary(tmp_path: Path) -> None:
    """Files whole, the temporary ones gone, the same figures in both."""
    path = table(tmp_path, 25)
    with prepared(path) as (run, analyzer):
        plan = run.prepare()
        asyncio.run(labelled(run, analyzer))
        summary = run.finish(plan)
    assert (0, 25, 25, True) == (
        summary.exit_code,
        summary.labeled,
        summary.labeled_now,
        summary.simulated,
    )
    assert summary.to_json() == (tmp_path / "out.csv.run-results.json").read_bytes()
    assert sum(summary.by_label.values()) == len(read(tmp_path / "out.csv"))
    ours = ("out.csv", "out.csv.run-results.json", "out.sqlite", "out.sqlite.lock")
    expected = {"chunks.csv", *ours}
    assert expected == set(os.listdir(tmp_path))


def test_stopped_run_writes_the_partial_file_only(tmp_path: Path) -> None:
    """What is there goes to the partial file; a finished run removes it."""
    path = table(tmp_path, 25)
    with prepared(path) as (run, analyzer):
        plan = run.prepare()
        summary = run.finish(plan, stop=StopKind.SERVICE, reason="The key is refused.")
    assert (3, "The key is refused.", {"stopped": 25}) == (
        summary.exit_code,
        summary.stopped,
        summary.errors,
    )
    assert ["stopped"] * 25 == column(tmp_path / "out.partial.csv", "semfn_error")
    assert not (tmp_path / "out.csv").exists()
    with prepared(path) as (run, analyzer):
        plan = run.prepare()
        asyncio.run(labelled(run, analyzer))
        run.finish(plan)
    assert not (tmp_path / "out.partial.csv").exists()
    assert 25 == len(read(tmp_path / "out.csv"))


def test_partial_file_that_cannot_be_removed_is_named(tmp_path: Path) -> None:
    """The output is written all the same."""
    path = table(tmp_path, 2)
    (tmp_path / "out.partial.csv").mkdir()
    with prepared(path) as (run, analyzer):
        plan = run.prepare()
        asyncio.run(labelled(run, analyzer))
        with pytest.raises(LedgerError, match=r"out\.csv is written, but .* Remove it by hand"):
            run.finish(plan)
    assert 2 == len(read(tmp_path / "out.csv"))


def test_summary_that_cannot_be_written_is_a_ledger_error(tmp_path: Path) -> None:
    """The output is there by then; the sentence names the summary."""
    path = table(tmp_path, 2)
    (tmp_path / "out.csv.run-results.json").mkdir()
    with prepared(path) as (run, analyzer):
        plan = run.prepare()
        asyncio.run(labelled(run, analyzer))
        with pytest.raises(LedgerError, match="Cannot write the summary"):
            run.finish(plan)
    assert (tmp_path / "out.csv").exists()


def test_key_of_a_label_is_what_decides_it(tmp_path: Path) -> None:
    """The language of the prompt changes the key only if the prompt changes; a topic always."""
    path = table(tmp_path, 2)
    with prepared(path) as (run, analyzer):
        plan = run.prepare()
        asyncio.run(labelled(run, analyzer))
        run.finish(plan)
    written(tmp_path, [HEADER, ("c1", "Text number 1.", "Trains"), ("c2", "Text number 2.", "X")])
    with prepared(path) as (run, _):
        assert 1 == run.prepare().reused


def test_record_of_the_run_stands_in_the_summary(tmp_path: Path) -> None:
    """Settings and the UTC time that was handed in."""
    with prepared(table(tmp_path, 1)) as (run, _):
        summary = run.finish(run.prepare(), stop=StopKind.INTERRUPTED, reason="interrupted")
    found = json.loads(summary.to_json())
    assert ("no", "2026-11-21T10:00:00+00:00", 130) == (
        found["record"]["fresh"],
        found["started_at"],
        found["exit_code"],
    )
    assert run.run_id.startswith("20261121T100000Z-")


def test_steps_out_of_order_are_our_own_mistake(tmp_path: Path) -> None:
    """Without a plan there is nothing to label; closing twice is allowed."""
    with prepared(table(tmp_path, 1)) as (run, analyzer):
        with pytest.raises(LocalProtocolError):
            asyncio.run(labelled(run, analyzer))
        run.close()


def test_a_clock_that_is_set_back_does_not_shorten_a_run(tmp_path: Path) -> None:
    """The end is the start and the seconds since then, as in the ledger."""
    analyzer = HybridSemanticAnalyzer(routes="offline", seed=1)
    jobs = open_inputs([table(tmp_path, 2)], tmp_path / "out.csv")
    days, seconds = iter([NOW, NOW.replace(hour=9)]), iter(range(0, 1_000, 5))
    run = TableRun(
        jobs=jobs,
        paths=RunPaths.of(jobs),
        analyzer=analyzer,
        choices=RunChoices(chunks_per_request=10, record={"fresh": "no"}),
        clock=lambda: float(next(seconds)),
        utc_now=lambda: next(days),
    )
    with closing(run):
        plan = run.prepare()
        asyncio.run(labelled(run, analyzer))
        summary = run.finish(plan)
    assert 15.0 == summary.duration_s
    assert ("2026-11-21T10:00:00+00:00", "2026-11-21T10:00:15+00:00") == (
        summary.started_at,
        summary.ended_at,
    )
