"""`semfn prove`: digest first, one result, exit codes as for a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from tests.commands.running import paid_service, semfn, table

SMALL = ("--label-set", "ten_functions", "--limit", 20, "--route", "rest")


def prove(folder: Path, *arguments: object, env: dict[str, str | None] | None = None) -> Result:
    """Give the command with its results in a folder."""
    return semfn("prove", "--results", folder / "results", *arguments, env=env)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--local", "--budget", "0"), "--budget is 0"),
        (("--local", "--topic", "Trains"), "--topic is about texts of your own"),
        (("--local", "--label-set", "ten_function"), "ten_functions"),
        (("--local", "--route", "telepathy"), "telepathy"),
        (("--local", "--input", "none.csv"), "none.csv"),
        ((), "OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, arguments: tuple[object, ...], part: str
) -> None:
    """Nothing is sent or written."""
    result = prove(tmp_path, *arguments)
    assert (2, "") == (result.exit_code, result.stdout)
    assert part in result.stderr
    assert [] == list(tmp_path.rglob("*.json"))


def test_a_folder_that_cannot_be_made_is_refused_first(tmp_path: Path) -> None:
    """Before anything is paid."""
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    result = prove(tmp_path / "file", "--local", *SMALL)
    assert 2 == result.exit_code
    assert "Pass another one with --results" in result.stderr


def test_the_digest_comes_first_and_one_result_is_written(tmp_path: Path) -> None:
    """What is printed as JSON is what stands in the file, and it says simulated."""
    result = prove(tmp_path, "--local", "--json", *SMALL)
    assert 0 == result.exit_code, result.output
    document = json.loads(result.stdout)
    assert f"Protocol: {document['digest']}" == result.stderr.splitlines()[0]
    (target,) = (tmp_path / "results").iterdir()
    assert document == json.loads(target.read_text(encoding="utf-8"))
    assert document["simulated"]
    assert "Agreement of primary labels (simulated)" in result.stderr
    assert (20, ["ten_functions"]) == (
        document["protocol"]["chunks"],
        document["protocol"]["label_sets"],
    )


def test_texts_of_ones_own_are_asked(tmp_path: Path) -> None:
    """Another input is another protocol."""
    source = table(tmp_path, 8)
    result = prove(tmp_path, "--local", "--json", "--input", source, "--topic", "T", *SMALL)
    assert 0 == result.exit_code, result.output
    document = json.loads(result.stdout)
    assert [8, 8, 8, 8] == [arm["chunks"] for arm in document["label_sets"][0]["arms"]]


def test_a_used_up_budget_ends_with_four(tmp_path: Path) -> None:
    """The estimate above it is told before, and the result is written all the same."""
    with paid_service() as paid:
        result = prove(tmp_path, "--budget", "0.001", *SMALL, env=paid.environment())
    assert 4 == result.exit_code
    assert "The budget will end it early" in result.stderr
    assert "Not asked: rest." in result.stderr
    assert 1 == len(list((tmp_path / "results").iterdir()))


def test_a_refused_key_ends_with_three(tmp_path: Path) -> None:
    """Every part is stopped, and each says why."""
    with paid_service(api_key="other") as paid:
        result = prove(tmp_path, *SMALL, env=paid.environment())
    assert 3 == result.exit_code
    assert "Stopped: " in result.stderr
    assert 0 == paid.chunks
