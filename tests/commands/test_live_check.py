"""The command `check --live` asks, says what it costs, and needs a yes where that is much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.check.questions import Answer
from analysis.check.spending import Spent
from analysis.commands.live_check import answer_line
from analysis.records import Usage
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Service
from tests.commands.test_check import DIGEST, KEY, ran

UNMARKED = ("realtime", "responses", "responses-ws", "decisions")
"""Without its list of models the simulated service is not recognized as one."""


def test_local_prints_a_line_for_each_question() -> None:
    """Number, outcome, finding, mark and cost; the sum comes on stderr."""
    outcome = ran("--live", "--local", "--question", "12.2e,12.4b,D.9")
    assert 0 == outcome.exit_code
    first, cannot, cancel, model = outcome.stdout.splitlines()
    assert "(simulated)" in first
    assert cannot.startswith("12.2e  not asked: only the usage page")
    assert "response_cancel_not_active" in cancel and cancel.endswith("(simulated)")
    assert "(simulated) [1 requests, " in model and model.endswith("USD]")
    assert "In all: 1 requests" in outcome.stderr and "(simulated)" in outcome.stderr


def test_json_is_one_document() -> None:
    """The findings are facts, and no line stands beside it on stdout."""
    outcome = ran("--live", "--local", "--json", "--question", "12.5,D.9")
    document = json.loads(outcome.stdout)
    assert ["12.5", "D.9"] == [answer["number"] for answer in document["answers"]]
    assert document["is_simulated"] is True
    assert "digest" not in outcome.stdout and "offline-rules" in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--live", "--local", "--question", "99"], "no question '99'"),
        (["--live", "--local", "--base-url", "http://127.0.0.1:9/v1"], "exclude each other"),
        (["--live", "--local", "--route", "pigeon"], "Route 'pigeon' does not exist"),
        (["--live"], "OPENAI_API_KEY"),
    ],
)
def test_an_option_that_cannot_be_used_is_exit_code_2(arguments: list[str], words: str) -> None:
    """The message says what is wrong."""
    outcome = ran(*arguments)
    assert 2 == outcome.exit_code
    assert words in outcome.stderr


@pytest.mark.parametrize("option", [["--question", "12.1"], ["--long"], ["--yes"]])
def test_options_of_the_questions_need_live(option: list[str]) -> None:
    """Without it they would be passed over in silence."""
    outcome = ran("--local", *option)
    assert 2 == outcome.exit_code
    assert f"{option[0]} goes with --live" in outcome.stdout


def test_a_dead_address_is_exit_code_3() -> None:
    """The questions failed, and nothing was spent."""
    outcome = ran(
        "--live", "--base-url", "http://127.0.0.1:9/v1", "--question", "12.4b", OPENAI_API_KEY=KEY
    )
    assert 3 == outcome.exit_code
    assert "12.4b  failed: " in outcome.stdout
    assert "In all: 0 requests" in outcome.stderr


def test_much_money_needs_a_yes() -> None:
    """Nothing is sent without; with it the question is asked."""
    payments: list[dict[str, Any]] = []
    service = Service(DIGEST, endpoints=UNMARKED, payment=payments.append)
    with start_in_thread(service) as base_url:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": base_url}
        wanted = ("--live", "--long", "--question", "D.4w,D.9")
        refused = ran(*wanted, **environment)
        assert (2, []) == (refused.exit_code, payments)
        agreed = ran(*wanted, "--yes", **environment)
    assert "needs a yes. Pass --yes" in refused.stderr
    assert (0, 1) == (agreed.exit_code, len(payments))
    assert "(simulated)" not in agreed.stdout


def test_a_model_without_price_needs_a_yes() -> None:
    """Nobody knows what it costs."""
    with start_in_thread(Service(DIGEST, endpoints=UNMARKED)) as base_url:
        outcome = ran(
            *("--live", "--question", "D.9", "--model", "decisions=ours"),
            OPENAI_API_KEY=KEY,
            OPENAI_BASE_URL=base_url,
        )
    assert 2 == outcome.exit_code
    assert "an unknown sum" in outcome.stderr


def test_little_money_needs_none() -> None:
    """What it costs at most is said before anything is sent."""
    with start_in_thread(Service(DIGEST, endpoints=UNMARKED)) as base_url:
        outcome = ran("--live", "--question", "D.9", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=base_url)
    assert 0 == outcome.exit_code
    assert "The questions cost up to 0.000 USD by prices of 2026-11-21." in outcome.stderr


def test_the_key_is_neither_shown_nor_written(tmp_path: Path) -> None:
    """Not in lines, not in the document, not in the transcript."""
    path = tmp_path / "frames.jsonl"
    wanted = ("--live", "--question", "12.2c,12.4b,D.9")
    with start_in_thread(Service(DIGEST, api_key=KEY)) as base_url:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": base_url}
        lines = ran(*wanted, "--transcript", str(path), **environment)
        again = ran(*wanted, "--transcript", str(path), **environment)
        document = ran(*wanted, "--json", **environment)
    assert [0, 2, 0] == [lines.exit_code, again.exit_code, document.exit_code]
    assert "is there already" in again.stderr
    doors = {json.loads(line)["door"] for line in path.read_text("utf-8").splitlines()}
    assert {"responses", "realtime", "POST /decisions"} == doors
    for shown in (lines.output, document.output, path.read_text("utf-8")):
        assert KEY not in shown and KEY[3:14] not in shown


def test_control_characters_of_a_server_do_not_reach_the_terminal() -> None:
    """An answer is one line; a cost that is unknown is called so."""
    answer = Answer(
        number="1.1",
        text="?",
        outcome="answered",
        message="a\x1b[2Jb\nc",
        spent=Spent(requests=1, usage=Usage(input_tokens=1_500), usd=None),
    )
    expected = "1.1    answered: a [2Jb c [1 requests, 1,500 tokens in, 0 out, cost unknown]"
    assert expected == answer_line(answer)
