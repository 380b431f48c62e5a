"""`semfn run --fresh`: what it asks again, and what it must not pay for twice or take away."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result

from tests.commands.running import Paid, column, paid_service, semfn, table

OUT = "chunks.labeled.csv"
GOES_ON = "An earlier run with --fresh was stopped."


def run(service: Paid, path: Path, *options: object, key: str = "right") -> Result:
    """Label a table on one route, so that a cap is met to the request."""
    chosen = ("--route", "rest", "--max-concurrent", 1, *options)
    return semfn("run", path, *chosen, env=service.environment(key))


def test_the_same_command_goes_on_after_a_stop(tmp_path: Path) -> None:
    """It pays for each row once more and not for what it was answered before the stop."""
    path = table(tmp_path, 60)
    with paid_service() as service:
        assert 0 == run(service, path).exit_code
        assert 4 == run(service, path, "--fresh", "--budget", 0.0005).exit_code
        stopped_at = service.chunks
        assert 60 < stopped_at < 120
        result = run(service, path, "--fresh")
        assert (0, 120) == (result.exit_code, service.chunks)
        assert GOES_ON in result.stderr
        assert 60 == len(column(tmp_path / OUT, "semantic_function"))
        result = run(service, path, "--fresh")
        assert (0, 180, False) == (result.exit_code, service.chunks, GOES_ON in result.stderr)


def test_a_run_that_got_no_answer_takes_nothing_away(tmp_path: Path) -> None:
    """Neither a plan that needs a yes nor a refused key costs the labels that are there."""
    path = table(tmp_path)
    with paid_service(api_key="right") as service:
        assert 0 == run(service, path).exit_code
        assert 3 == run(service, path, "--fresh", key="wrong").exit_code
        assert 0 == run(service, path).exit_code
        assert 30 == service.chunks
        assert 0 == run(service, path, "--fresh").exit_code
        assert 60 == service.chunks


def test_a_part_that_is_asked_afresh_leaves_the_rest(tmp_path: Path) -> None:
    """With --limit or --sample only the rows of the part are set aside."""
    path = table(tmp_path, 60)
    with paid_service() as service:
        assert 0 == run(service, path).exit_code
        assert 0 == run(service, path, "--fresh", "--limit", 10).exit_code
        assert 0 == run(service, path, "--fresh", "--sample", 10).exit_code
        assert 80 == service.chunks
        assert 0 == run(service, path).exit_code
        assert 80 == service.chunks
        assert 60 == len(column(tmp_path / OUT, "semantic_function"))
