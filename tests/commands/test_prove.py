"""`semfn prove`: digest first, one result, exit codes as for a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from tests.commands.running import HEADER, paid_service, semfn, table, written

PRICES = """date = "2026-11-01"
[models."gpt-6-luna"]
input = 2.0
cached = 0.2
output = 10.0
"""
"""Twenty times the price."""

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


def test_texts_that_are_left_out_and_sizes_that_compare_nothing_are_named(tmp_path: Path) -> None:
    """Before anything is sent, and again beside the figures."""
    texts = ["One.", "", "Two.", "One.", "Three."]
    rows = [(str(number), text, "T") for number, text in enumerate(texts)]
    source = written(tmp_path, [HEADER, *rows])
    result = prove(tmp_path, "--local", "--json", "--input", source, *SMALL)
    assert 0 == result.exit_code, result.output
    lines = result.stderr.splitlines()
    assert "2 of 5 texts are left out: empty, too long, or the same as an earlier one." == lines[1]
    same = "k=10 and k=20 ask the same requests of these texts: they compare nothing."
    assert 2 == sum(line.startswith(same) for line in lines)
    assert any(line.startswith("1 label set, 3 texts each: ") for line in lines)
    (figures,) = json.loads(result.stdout)["label_sets"]
    noise = [(one["first"], one["second"]) for one in figures["agreement"] if one["is_noise"]]
    assert [("k=10", "k=20"), ("k=10", "again")] == noise


def test_a_used_up_budget_ends_with_four(tmp_path: Path) -> None:
    """The estimate above it is told before, and the result is written all the same."""
    with paid_service() as paid:
        result = prove(tmp_path, "--budget", "0.001", *SMALL, env=paid.environment())
    assert 4 == result.exit_code
    assert "The budget will end it early" in result.stderr
    assert "Not asked: rest." in result.stderr
    assert "the same command asks only what is missing" in result.stderr
    assert 1 == len(list((tmp_path / "results").glob("*.json")))


def test_a_refused_key_ends_with_three(tmp_path: Path) -> None:
    """Every part is stopped, and each says why."""
    with paid_service(api_key="other") as paid:
        result = prove(tmp_path, *SMALL, env=paid.environment())
    assert 3 == result.exit_code
    assert "Stopped: " in result.stderr
    assert 0 == paid.chunks


def test_a_finished_proof_asks_nothing_until_it_is_to_be_fresh(tmp_path: Path) -> None:
    """The second start reads the answers of the first and says of when they are."""
    with paid_service() as paid:
        env = paid.environment()
        first = prove(tmp_path, "--json", *SMALL, env=env)
        chunks = paid.chunks
        again = prove(tmp_path, "--json", *SMALL, env=env)
        assert chunks == paid.chunks
        other = prove(tmp_path, "--ledger", tmp_path / "own.sqlite", *SMALL, env=env)
        assert 2 * chunks == paid.chunks
        fresh = prove(tmp_path, "--fresh", *SMALL, env=env)
        assert 3 * chunks == paid.chunks
    assert [0] * 4 == [result.exit_code for result in (first, again, other, fresh)], again.output
    assert "Nothing to ask: all answers are in " in again.stderr
    assert "Pass --fresh to ask again." in again.stderr
    assert "Nothing to ask" not in first.stderr + other.stderr + fresh.stderr
    one, two = json.loads(first.stdout), json.loads(again.stdout)
    assert one["bill"] == two["bill"]
    assert one["label_sets"][0]["agreement"] == two["label_sets"][0]["agreement"]
    assert one["routes"][0]["latency"] == two["routes"][0]["latency"]


@pytest.mark.parametrize("option", [("--fresh",), ("--ledger", "own.sqlite")])
def test_a_local_proof_keeps_nothing(tmp_path: Path, option: tuple[str, ...]) -> None:
    """Nothing was paid, so nothing is to be saved, and options about it are refused."""
    result = prove(tmp_path, "--local", *SMALL, *option)
    assert 2 == result.exit_code
    assert f"{option[0]} is about answers that were paid for" in result.stderr


def test_a_ledger_that_cannot_be_used_ends_with_five(tmp_path: Path) -> None:
    """Before anything is sent."""
    (tmp_path / "own.sqlite").write_text("mine", encoding="utf-8")
    with paid_service() as paid:
        env = paid.environment()
        result = prove(tmp_path, "--ledger", tmp_path / "own.sqlite", *SMALL, env=env)
        assert (5, 0) == (result.exit_code, paid.chunks)


def test_another_model_and_tier_are_another_protocol(tmp_path: Path) -> None:
    """They are asked for, on the routes that they are named for; prices change no digest."""
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES, encoding="utf-8")
    tier = ("--service-tier", "flex")
    with paid_service() as paid:
        env = paid.environment()
        plain = json.loads(prove(tmp_path, "--json", *SMALL, env=env).stdout)
        named = prove(tmp_path, "--json", "--model", "rest=gpt-6-sol", *tier, *SMALL, env=env)
        bare = prove(tmp_path, "--json", "--fresh", "--prices", prices, *SMALL, env=env)
    assert 0 == named.exit_code, named.output
    document, dear = json.loads(named.stdout), json.loads(bare.stdout)
    assert plain["digest"] != document["digest"]
    assert plain["digest"] == dear["digest"]
    assert dear["bill"]["estimated_usd"] > 10 * plain["bill"]["estimated_usd"]
    assert ([["rest", "gpt-6-sol"]], "flex") == (
        document["protocol"]["models"],
        document["protocol"]["service_tier"],
    )
    assert "gpt-6-sol" == document["label_sets"][0]["models"]["rest"]
    assert "gpt-6-luna" == document["label_sets"][0]["models"]["responses-ws"]
    assert "gpt-6-sol" == document["routes"][0]["model"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--model", "offline=x"), "which is not used"),
        (("--service-tier", "quick"), "Service tier 'quick' is not known"),
        (("--prices", "none.toml"), "none.toml cannot be read"),
    ],
)
def test_a_model_tier_or_table_that_is_none_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], part: str
) -> None:
    """Nothing is sent or written."""
    result = prove(tmp_path, "--local", *SMALL, *arguments)
    assert 2 == result.exit_code
    assert part in result.stderr


def test_without_a_key_the_same_steps_are_simulated(tmp_path: Path) -> None:
    """It is said first, and the document carries the mark."""
    result = prove(tmp_path, "--budget", "2", "--json", *SMALL)
    assert 0 == result.exit_code, result.output
    assert result.stderr.startswith("Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set")
    assert json.loads(result.stdout)["simulated"] is True
