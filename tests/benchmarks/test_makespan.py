"""The command: tables for people, a document with all that it takes to repeat it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.makespan import main
from benchmarks.score import constants
from benchmarks.score.entrants import ENTRANTS


def test_the_document_holds_the_figures_and_what_was_simulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A small regime: every contestant, its goals, the seeds and the constants."""
    words = ["--regimes", "small", "--seeds", "3", "--parts", "score", "--set", "tuning"]
    assert 0 == main([*words, "--results", str(tmp_path)])
    (path,) = tmp_path.glob("makespan_*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["simulated"] is True
    assert "tuning" == document["seed_set"]
    assert str(tmp_path) not in document["command"]
    assert constants.INSTRUCTION == document["constants"]["INSTRUCTION"]
    (small,) = document["regimes"]
    assert [0, 2] == small["seeds"]
    shown = [one["contestant"] for one in small["contestants"]]
    assert [name for name in ENTRANTS if name != "ours-alone"] == shown
    assert 1.15 == small["contestants"][0]["goals"][0]["at_most"]
    printed = capsys.readouterr().out
    assert "3 runs (simulated)" in printed
    assert f"Wrote {path.name}" in printed


def test_without_a_number_there_are_enough_unseen_seeds(tmp_path: Path) -> None:
    """Small jobs vary most and get 200 seeds, none of them a tuning seed."""
    words = ["--regimes", "small", "--only", "ours", "--parts", "score"]
    assert 0 == main([*words, "--results", str(tmp_path)])
    (path,) = tmp_path.glob("makespan_*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert [1_000, 1_199] == document["regimes"][0]["seeds"]
    assert constants.TUNING_SEEDS.stop <= constants.UNSEEN_SEEDS.start


@pytest.mark.parametrize(
    "words", [["--regimes", "rpn"], ["--seeds", "0"], ["--seeds", "2000"], ["--runs", "0"]]
)
def test_what_does_not_exist_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the value and what is allowed."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert 2 == caught.value.code
    assert words[1] in capsys.readouterr().err
