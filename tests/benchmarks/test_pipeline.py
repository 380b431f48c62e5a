"""What a run takes beside the labelling: each part in small, and how rounds are summed up."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from benchmarks import pipeline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def options(*words: str) -> argparse.Namespace:
    """Return the options of a command line."""
    return pipeline._options(words)


def test_overhead_is_the_run_less_the_analyzer_alone() -> None:
    """Its parts add up to it: what is not measured by itself is a difference."""
    found = pipeline.overhead(rows=300, k=10, has_documents=True)
    parts = ("scan", "plan", "ledger", "again", "loop", "output")
    assert found["overhead_us"] == pytest.approx(sum(found[f"{part}_us"] for part in parts), abs=1)
    assert min(found["alone_us"], found["scan_us"], found["ledger_us"], found["output_us"]) > 0


def test_memory_is_that_of_a_process_of_its_own() -> None:
    """The peak of the child, and not the one of the process that started it."""
    ballast = bytearray(300 * 2**20)
    found = pipeline.run_child("memory", pipeline.ROOT, rows=100)
    assert found["before_mib"] <= found["peak_mib"] < 250
    assert found["files_mib"] > 0
    del ballast


def test_a_timer_is_watched_while_rows_are_labelled() -> None:
    """All rows come back, and the timer was late now and then."""
    found = pipeline.lag(rows=100, k=10, place="thread")
    assert found["probes"] > 0
    assert 0 <= found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]


@pytest.mark.parametrize("route", pipeline.ROUTES)
def test_lost_connections_leave_no_file_open(route: str) -> None:
    """After each loss another connection takes the place of the lost one."""
    found = pipeline.reconnects(route=route, lost=20)
    assert found["files_before"] >= found["files_after"]
    assert found["asked"] > found["lost"] == 20
    # The client on REST does not count them. Ten go before; the last ones end with an answer.
    assert found["reconnects"] is None or found["reconnects"] >= 30


def test_rounds_are_summed_up_by_median_and_least() -> None:
    """Other processes of the machine can only add to what one takes."""
    found = pipeline.summed([{"scan_us": 5.0}, {"scan_us": 9.0}, {"scan_us": 6.0}])
    assert {"scan_us": {"median": 6.0, "least": 5.0}} == found


def test_another_checkout_is_measured_first_in_each_round(tmp_path: Path) -> None:
    """Both are named in the result, and this one is what the figures are about."""
    assert ["this"] == list(pipeline._subjects(options()))
    found = pipeline._subjects(options("--beside", str(tmp_path)))
    assert [("beside", tmp_path), ("this", pipeline.ROOT)] == list(found.items())


def test_a_row_without_label_ends_the_measurement() -> None:
    """A fast run that lost rows is no result."""
    with pytest.raises(SystemExit, match="9 of 10 rows"):
        pipeline._check(9, 10)
