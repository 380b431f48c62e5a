"""The result document, its file and its table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from analysis.bench.figures import Job, service_work
from analysis.bench.latency import Measured, Options, Series
from analysis.bench.report import closing_lines, is_good, make_document, make_table, write
from analysis.records import Verdict
from tests.bench.examples import failed, job, labeled

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
KINDS = ("rest", "realtime", "hybrid")


def series(verdict: Verdict) -> Series:
    """Return a job of two chunks, the second with this verdict, and a cold start per analyzer."""
    jobs: list[Job] = [job(kind, [labeled(0), verdict]) for kind in KINDS]
    return Series(jobs=tuple(jobs), cold=tuple(job(kind, [labeled(0)]) for kind in KINDS))


def measured(verdict: Verdict, *, is_live: bool = False) -> Measured:
    """Return a measurement whose second chunk has this verdict everywhere."""
    return Measured(
        options=Options(sizes=(2,), rounds=1, is_live=is_live),
        scripted=series(verdict),
        bare=Series() if is_live else series(labeled(1)),
        host="api.example.org" if is_live else None,
        expected=None if is_live else [("c0", "noise"), ("c1", "noise")],
        models={"rest": "a", "realtime": "b"},
    )


def document(verdict: Verdict | None = None, *, is_live: bool = False) -> dict[str, Any]:
    """Return the document of such a measurement; by default all is right."""
    found = measured(verdict or labeled(1), is_live=is_live)
    return make_document(found, command="semfn bench", now=NOW)


def test_the_document_states_how_it_was_measured() -> None:
    """Question, command, time, version, machine, profile and notes are there."""
    found = document()
    assert found["simulated"] is True
    assert ("semfn bench", "2026-11-21T12:30:00+00:00") == (found["command"], found["at"])
    profile = found["profile"]
    assert (518.0, 0.2, 20261121) == tuple(profile[name] for name in ("median_ms", "sigma", "seed"))
    assert {"realtime": 8, "rest": 32} == found["setting"]["requests_in_flight"]
    assert {"system", "python", "processor", "cores"} == found["machine"].keys()
    assert "only --live answers" in found["notes"][0]
    assert found == json.loads(json.dumps(found))


@pytest.mark.parametrize(
    ("verdict", "counts", "good"),
    [
        (labeled(1), (0, 0), True),
        (labeled(1, "example"), (0, 3), False),
        (labeled(0), (0, 3), False),
        (failed(1), (3, 0), False),
    ],
)
def test_a_failed_chunk_and_a_wrong_label_are_found(
    verdict: Verdict, counts: tuple[int, int], good: bool
) -> None:
    """They are counted over all analyzers and make the result no good one."""
    found = document(verdict)
    assert (counts, good) == ((found["failed"], found["unequal_to_digest"]), is_good(found))


def test_a_live_result_has_no_profile_and_no_digest_check() -> None:
    """It names the endpoint, and that a ratio compares models, too."""
    verdicts = [replace(labeled(place), model="gpt-6-luna") for place in range(2)]
    jobs = tuple(job(kind, verdicts) for kind in KINDS)
    real = replace(measured(labeled(1), is_live=True), scripted=Series(jobs=jobs, cold=jobs))
    found = make_document(real, command="semfn bench --live", now=NOW)
    assert (False, None, None) == tuple(
        found[name] for name in ("simulated", "profile", "unequal_to_digest")
    )
    assert found["notes"][0].startswith("measured at api.example.org")
    assert is_good(found)


def test_a_live_result_is_simulated_if_its_answers_say_so() -> None:
    """An address may lead to a simulated service; the reported model tells."""
    found = document(is_live=True)
    assert found["simulated"] is True
    assert found["notes"][0].startswith("simulated")


def test_the_file_is_named_after_the_time(tmp_path: Path) -> None:
    """It holds the document."""
    path = write(document(), tmp_path, NOW)
    assert "performance_comparison_20261121T123000Z.json" == path.name
    assert document() == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("verdict", [labeled(1), failed(1)])
def test_the_table_fits_a_terminal(verdict: Verdict) -> None:
    """One line per cell and a heading of two, each with all its words, in 80 columns."""
    console = Console(width=80, record=True, file=StringIO())
    console.print(make_table(document(verdict)))
    lines = console.export_text().splitlines()
    assert 5 == len(lines)
    assert ["2", "rest", "rest"] == lines[2].split()[:3]
    assert "…" not in "".join(lines)


def test_the_work_of_the_services_stands_in_document_and_end() -> None:
    """Beside the client's; nothing is said where no service told it."""
    works = tuple(
        service_work(name, [job("rest", [labeled(0)], total_s=2)], paid_requests=50, cpu_s=cpu_s)
        for name, cpu_s in (("scripted", 0.1), ("bare", 0.2))
    )
    found = make_document(
        replace(measured(labeled(1)), services=works), command="semfn bench", now=NOW
    )
    assert [2.0, 4.0] == [one["cpu_ms_per_request"] for one in found["services"]]
    expected = (
        "Simulated services: 3.00 ms of processor time for each of 100 requests, at most 10% of a "
        "core."
    )
    assert expected in closing_lines(found)
    assert not [line for line in closing_lines(document()) if "processor time" in line]


def test_the_end_says_simulated_and_counts() -> None:
    """Below the table stand failures, unequal labels and what the figures mean."""
    text = " ".join(closing_lines(document(labeled(1, "example"))))
    assert "Failed chunks: 0. Labels unequal to the digest of their text: 3" in text
    assert "simulated: the same scripted latency for all routes" in text
