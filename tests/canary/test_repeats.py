"""A service that repeats the texts it was sent, without quotes, does not get them into what is said
and kept, in whatever way it spells them."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import pytest

from analysis import analyze_file
from analysis.hooks import Hooks
from tests.canary.canary import KEY, SPELLINGS, TEXTS, repeated_in
from tests.canary.test_ends import Echo, echo, variables
from tests.commands.running import read, semfn

__all__ = ["echo"]


def table(folder: Path) -> Path:
    """Write a table of the texts."""
    path = folder / "birds.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text"), *enumerate(TEXTS)])
    return path


def kept(folder: Path) -> dict[str, list[str]]:
    """Return what stands of the texts in files that are no table."""
    files = [path for path in folder.iterdir() if path.suffix != ".csv"]
    assert any(path.name.endswith(".sqlite") for path in files)
    found = {path.name: repeated_in(path.read_bytes()) for path in files}
    return {name: parts for name, parts in found.items() if parts}


@pytest.mark.parametrize("route", ["rest", "decisions"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_texts_in_a_refusal_are_not_repeated(
    tmp_path: Path, echo: Echo, caplog: pytest.LogCaptureFixture, spelling: str, route: str
) -> None:
    """Packed and alone; not on a terminal, in logs, ledger, results or columns of the output."""
    caplog.set_level(logging.DEBUG)
    result = semfn(
        *("run", table(tmp_path), "--topic", "x", "--route", route, "--debug", "--json"),
        env=variables(f"{echo.base_url}/400/{spelling}"),
    )
    assert result.exit_code == 1, result.output
    assert [] == repeated_in(result.stdout + result.stderr + caplog.text)
    assert {} == kept(tmp_path)
    rows = read(tmp_path / "birds.labeled.csv")
    assert ["rejected"] * 3 == [row["semfn_error"] for row in rows]
    assert [] == repeated_in(json.dumps([{**row, "text": ""} for row in rows], ensure_ascii=False))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_texts_in_an_answer_that_is_no_json_are_not_repeated(
    tmp_path: Path, echo: Echo, spelling: str
) -> None:
    """Nor is a text that the service gives for the name of its model."""
    result = semfn(
        *("run", table(tmp_path), "--topic", "x", "--route", "rest", "--debug", "--json"),
        env=variables(f"{echo.base_url}/200/{spelling}"),
    )
    assert result.exit_code == 1, result.output
    assert [] == repeated_in(result.stdout + result.stderr)
    assert {} == kept(tmp_path)


def test_events_verdicts_and_tape_do_not_repeat_texts(tmp_path: Path, echo: Echo) -> None:
    """What a program hears of a run whose service repeats texts."""
    heard: list[str] = []
    analyze_file(
        table(tmp_path),
        topic="x",
        route="rest",
        api_key=KEY,
        base_url=f"{echo.base_url}/401/raw",
        tape=tmp_path / "run.tape",
        hooks=Hooks(on_event=lambda event: heard.append(repr(event))),
    )
    assert heard
    assert [] == repeated_in("".join(heard))
    assert {} == kept(tmp_path)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_search_finds_each_spelling(spelling: str) -> None:
    """So that silence above is silence."""
    assert 6 == len(repeated_in(" ".join(SPELLINGS[spelling](text) for text in TEXTS)))
