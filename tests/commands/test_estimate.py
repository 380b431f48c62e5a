"""`semfn estimate` says what a run would take, without key, without a request, without a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from analysis.analyzer import Estimate, FileEstimate
from analysis.commands.estimate import estimate_lines
from tests.commands.running import paid_service, semfn

ROUTES = "responses-ws,rest,realtime,decisions"


def table_of(folder: Path, rows: int = 25) -> Path:
    """Return a table with an empty row and one that is too long."""
    source = folder / "in.csv"
    lines = [f"{place},A sentence with the number {place}." for place in range(rows)]
    long = "字" * 50_000
    source.write_text("\n".join(["id,text", *lines, "e,", f"l,{long}"]) + "\n", encoding="utf-8")
    return source


def estimated(*arguments: object) -> Result:
    """Give the command."""
    return semfn("estimate", *arguments, "--topic", "t")


def one(**figures: object) -> Estimate:
    """Return the estimate of a route."""
    known = {
        "chunks": 9,
        "unsendable": 3,
        "too_long": 1,
        "requests": 2,
        "input_tokens": 1_000_000,
        "output_tokens": 100,
        "cost_usd": 0.6,
        "duration_s": 12.0,
        "price_date": "2026-11-21",
        "route": "realtime",
        "model": "m",
    }
    return Estimate(**known | figures)  # type: ignore[arg-type]


def test_nothing_is_written_and_no_key_is_needed(tmp_path: Path) -> None:
    """Every route has a line with requests, tokens, cost and time."""
    source = table_of(tmp_path)
    outcome = estimated(source, "--route", ROUTES)
    assert 0 == outcome.exit_code, outcome.output
    assert [source] == list(tmp_path.iterdir())
    lines = outcome.stdout.splitlines()
    assert "Rows: 27, of which 25 would be sent; 1 are empty, 1 too long." == lines[0]
    assert "Chunks in one request: 10." == lines[1]
    for route, line in zip(ROUTES.split(","), lines[2:6], strict=True):
        assert line.startswith(f"Route {route}, gpt-")
        assert ": 3 requests, about " in line
        assert " USD" in line
        assert "about 1 s at assumed limits." in line
    assert "Nothing was sent." in lines[6]
    assert "Input: columns used" in outcome.stderr


def test_the_figures_are_those_of_a_run(tmp_path: Path) -> None:
    """The run that follows names the same estimate, and sends as many requests."""
    source = table_of(tmp_path)
    options = ("--max-chunks-per-request", "4", "--route", "rest", "--json")
    found = json.loads(estimated(source, *options).stdout)
    ran = json.loads(semfn("run", source, "--topic", "t", *options, "--local").stdout)
    (route,) = found["routes"]
    for name in ("requests", "input_tokens", "output_tokens", "cost_usd"):
        assert ran["estimate"][name] == route[name], name
    assert (27, 25, 1, 1) == tuple(found[name] for name in ("rows", "to_send", "empty", "too_long"))
    assert route["requests"] == ran["requests"]["done"]


def test_a_plan_by_size_is_said_with_its_reason(tmp_path: Path) -> None:
    """As the run would plan it."""
    outcome = estimated(table_of(tmp_path), "--max-chunks-per-request", "auto")
    assert "Chunks in one request: 1 (auto: " in outcome.stdout


def test_a_price_of_one_s_own_counts_and_a_model_without_one_has_no_cost(tmp_path: Path) -> None:
    """Unknown is not nothing."""
    source = table_of(tmp_path)
    options = ("--route", "rest", "--model", "house-model")
    assert "cost unknown" in estimated(source, *options).stdout
    prices = tmp_path / "prices.toml"
    prices.write_text('[models."house-model"]\ninput = 1000\ncached = 0\noutput = 0\n')
    outcome = estimated(source, *options, "--prices", prices)
    assert "cost unknown" not in outcome.stdout
    assert "Prices of 2026-11-21 and " in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["missing.csv"], "no such file"),
        (["in.csv", "--route", "pigeon"], "pigeon"),
        (["in.csv", "--text-column", "body"], "body"),
        (["in.csv", "--prices", "missing.toml"], "missing.toml cannot be read: No such file"),
        (["in.csv", "--prices", "in.csv"], "is no TOML"),
        (["in.csv", "--model", "a=b=c", "--model", "x"], "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(
    tmp_path: Path, arguments: list[str], match: str
) -> None:
    """Exit code 2, the sentence on stderr and nothing on stdout."""
    table_of(tmp_path)
    outcome = estimated(*(tmp_path / one if "." in one else one for one in arguments))
    assert (2, "") == (outcome.exit_code, outcome.stdout)
    assert match in outcome.stderr


def test_a_table_without_rows_takes_nothing(tmp_path: Path) -> None:
    """All figures are zero."""
    source = tmp_path / "in.csv"
    source.write_text("id,text\n")
    (route,) = json.loads(estimated(source, "--route", "rest", "--json").stdout)["routes"]
    assert (0, 0, 0, 0.0) == tuple(
        route[name] for name in ("requests", "input_tokens", "output_tokens", "cost_usd")
    )


def test_lines_tell_what_a_cache_may_save_and_which_chunks_go_alone() -> None:
    """Amounts, times and counts in words."""
    route = one(alone=2, cached_tokens=500_000, least_cost_usd=0.31, duration_s=7_200.0)
    lines = estimate_lines(FileEstimate(rows=12, packing="10", routes=(route,)))
    assert [
        "Rows: 12, of which 9 would be sent, 2 of them alone; 2 are empty, 1 too long.",
        "Chunks in one request: 10.",
        "Route realtime, m: 2 requests, about 1,000,000 input and 100 output tokens, 0.60 USD "
        "(0.31 USD if the service reads 500,000 input tokens from its cache), about 2.0 h at "
        "assumed limits.",
        "Prices of 2026-11-21; times at the limits that are assumed until the service states its "
        "own. Nothing was sent.",
    ] == lines
    short = one(cost_usd=0.001, duration_s=600.0)
    line = estimate_lines(FileEstimate(rows=12, packing="10", routes=(short,)))[2]
    assert line.endswith("under 0.01 USD, about 10 min at assumed limits.")


def test_times_go_by_learned_limits_as_those_of_the_run(tmp_path: Path, state_folder: Path) -> None:
    """A run of 30 requests a minute has left its limits: estimate, dry run and run agree."""
    source = table_of(tmp_path)
    given = ("--topic", "t", "--route", "rest,realtime", "--max-chunks-per-request", 1)
    with paid_service(rpm=600) as paid:
        env = paid.environment()
        before = semfn("estimate", source, *given, env=env)
        assert [] == list(state_folder.rglob("*"))
        assert 0 == semfn("run", source, *given, "--limit", 2, "--quiet", env=env).exit_code
        after = semfn("estimate", source, *given, "--json", env=env)
        words = semfn("estimate", source, *given, env=env).stdout.splitlines()
        dry = semfn("run", source, *given, "--fresh", "--dry-run", env=env).stdout.splitlines()
        stranger = semfn("estimate", source, *given, env=paid.environment("another"))
        run = semfn("run", source, *given, "--fresh", env=env)
    rest, realtime = json.loads(after.stdout)["routes"]
    assert (True, False) == (rest["is_learned"], realtime["is_learned"])
    assert pytest.approx(2.5) == rest["duration_s"]
    assert [] == [line for line in dry[:-1] if line not in run.stderr.splitlines()]
    assert "at least 2 s" in dry[-2]
    assert "at the limits that earlier runs have learned (rest), else the limits" in words[-1]
    assert "times at the limits that are assumed until" in before.stdout
    assert before.stdout == stranger.stdout
    assert "at least 2 s" in next(line for line in words if line.startswith("Route rest"))
    assert "at least 2 s" in next(line for line in run.stderr.splitlines() if "Estimate" in line)
