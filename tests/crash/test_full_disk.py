"""Disks that are full, broken, read-only or gone: exit 5, one sentence, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.kill import Snapshot, check, lines_of, read_ledger, simulated_service
from tests.crash.points import SHAPE, Job, Point, recorded_points
from tests.crash.tracing import disturbed, why_not

pytestmark = pytest.mark.skipif(why_not() != "", reason=why_not())


LEDGER = "out.csv.semfn.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A call that fails.

    Attributes:
        call: Its name.
        file: Below the folder; numbers in it stand as `N`.
        place: Which of these calls of an undisturbed run, as an index; so many from its start.
        lasts: All later ones fail, too.
        error: What it says.
        said: A part of the sentence on stderr.
    """

    call: str
    file: str
    place: int = 0
    lasts: bool = False
    error: str = "EIO"
    said: str


BROKEN = {
    "the first fsync of a request fails once": Broken(
        call="fdatasync", file=f"{LEDGER}-wal", place=2, said="cannot be written"
    ),
    "a later fsync of the ledger fails once": Broken(
        call="fdatasync", file=f"{LEDGER}-wal", place=4, said="cannot be written"
    ),
    "the ledger cannot be made": Broken(
        call="pwrite64", file=f"{LEDGER}.draft", error="ENOSPC", said="cannot be opened"
    ),
    "the ledger cannot grow": Broken(
        call="pwrite64",
        file=f"{LEDGER}-wal",
        place=11,
        lasts=True,
        error="ENOSPC",
        said="cannot be written",
    ),
    "the lock cannot be written": Broken(
        call="ftruncate", file=f"{LEDGER}.lock", said="cannot be opened"
    ),
    "the temporary file of the output cannot be synced": Broken(
        call="fsync", file=".semfn-N-N.tmp", lasts=True, said="Cannot write"
    ),
    "the output cannot be renamed": Broken(
        call="rename", file="out.csv", lasts=True, error="ENOSPC", said="Cannot write"
    ),
    "the summary cannot be renamed": Broken(
        call="rename", file="out.csv.run-results.json", said="Cannot write"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A service in a process of its own, its payment log, and the calls of a whole run."""

    log: Path
    base_url: str
    points: list[Point]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Serve digest labels, and record one run."""
    folder = tmp_path_factory.mktemp("stage")
    log = folder / "payments.jsonl"
    log.touch()
    with simulated_service(log, SHAPE, 1) as base_url:
        job = Job(folder=folder / "run", seed=1_000, base_url=base_url, log=log)
        yield Stage(log=log, base_url=base_url, points=recorded_points(job, folder / "trace.txt"))


def job_in(folder: Path, stage: Stage, seed: int) -> Job:
    """Return a job with texts of its own, its input written."""
    job = Job(folder=folder, seed=seed, base_url=stage.base_url, log=stage.log)
    job.write_input()
    return job


def failing(job: Job, stage: Stage, broken: Broken) -> list[str]:
    """Return the command of a job in which this call fails."""
    alike = [one for one in stage.points if (broken.call, broken.file) == (one.call, one.file)]
    point = alike[broken.place]
    return disturbed(
        job.folder.with_name("trace.txt"),
        job.command,
        call=point.call,
        path=str(job.folder / point.file) if point.has_fixed_name else "",
        nth=f"{point.nth}{'+' * broken.lasts}",
        what=f"error={broken.error}",
    )


def assert_whole(job: Job, kept: Snapshot) -> None:
    """Give the command again, on a disk in order, and check what came out of both starts."""
    ended = job.start(job.command)
    assert 0 == ended.returncode, ended.stderr
    report = check(job.rows, job.target, job.log, [kept], SHAPE, read_ledger(job.folder))
    assert [] == report.violations


@pytest.mark.parametrize("name", BROKEN)
def test_a_call_that_fails_ends_the_run_and_the_command_goes_on(
    tmp_path: Path, stage: Stage, name: str
) -> None:
    """Exit 5 with one sentence; beyond what is in flight nothing is paid that is not kept."""
    broken = BROKEN[name]
    job = job_in(tmp_path / "run", stage, list(BROKEN).index(name))
    paid_before = lines_of(job.log)
    ended = job.start(failing(job, stage, broken))
    assert 5 == ended.returncode, ended.stderr
    assert "Traceback" not in ended.stderr
    assert 1 == ended.stderr.count("Error: "), ended.stderr
    assert broken.said in ended.stderr
    kept = read_ledger(job.folder)
    paid = (lines_of(job.log) - paid_before) * SHAPE.pack
    assert paid - len(kept.labels) <= SHAPE.in_flight * SHAPE.pack
    assert job.target.exists() == (broken.file == "out.csv.run-results.json")
    assert_whole(job, kept)


def test_learned_limits_that_cannot_be_kept_do_not_end_a_run(tmp_path: Path, stage: Stage) -> None:
    """A run can do without them: exit 0 and a whole output."""
    job = job_in(tmp_path / "run", stage, 100)
    broken = Broken(
        call="pwrite64", file="state/semfn/limits.sqlite", lasts=True, error="ENOSPC", said=""
    )
    ended = job.start(failing(job, stage, broken))
    assert 0 == ended.returncode, ended.stderr
    assert "ENOSPC" in (tmp_path / "trace.txt").read_text(encoding="ascii")
    assert_whole(job, read_ledger(job.folder))


def test_a_folder_that_may_not_be_written_is_refused_before_anything_is_sent(
    tmp_path: Path, stage: Stage
) -> None:
    """Exit 2, one sentence, no payment; with the right to write the command does the job."""
    job = job_in(tmp_path / "run", stage, 101)
    paid_before = lines_of(job.log)
    refusing = Broken(call="openat", file=".semfn-N-N.tmp", error="EACCES", said="")
    ended = job.start(failing(job, stage, refusing))
    assert 2 == ended.returncode, ended.stderr
    assert f"Error: Cannot write {job.target}: Permission denied" in ended.stderr
    assert paid_before == lines_of(job.log)
    assert_whole(job, read_ledger(job.folder))
