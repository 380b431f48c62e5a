"""Runs of the simulation as tapes: they repeat themselves, and the invariants can be read off."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from analysis.control.scheduler import Scheduler
from analysis.control.tape import Recorder
from analysis.recording import Recording
from tests.simulation.invariants import name_of
from tests.simulation.planted import PLANTED
from tests.simulation.replay import NOT_ON_A_TAPE, broken_by, main
from tests.simulation.seeds import scenario_of
from tests.simulation.world import World, play

SEEDS = range(20)


def taped(seed: int, make: type[Scheduler] = Scheduler) -> list[str]:
    """Return the tape of a run."""
    lines: list[str] = []
    try:
        World(scenario_of(seed), seed, partial(Recorder, write=lines.append, make=make)).run(
            polls=5_000
        )
    except AssertionError:
        assert make is not Scheduler  # a planted bug may keep a run from ending
    return lines


def test_a_tape_changes_nothing_and_plays_again(tmp_path: Path) -> None:
    """The recorded run is the run, and its tape repeats every decision of it."""
    for seed in SEEDS:
        path = tmp_path / f"{seed}.jsonl"
        with Recording(path) as recording:
            make = partial(Recorder, write=recording.write)
            trace = play(scenario_of(seed), seed, make)
        shown = [entry.shown() for entry in trace]
        assert shown == [entry.shown() for entry in play(scenario_of(seed), seed)], f"seed {seed}"
        assert [] == list(broken_by(path.read_text().splitlines())), f"seed {seed}"
        assert 0 == main([str(path)]), f"seed {seed}"


@pytest.mark.parametrize(
    ("bug", "name"),
    [(bug, name_of(one)) for bug, one in PLANTED if one not in NOT_ON_A_TAPE],
)
def test_a_planted_bug_shows_on_its_tape(bug: type[Scheduler], name: str) -> None:
    """What a bug does to a run can be read off the tape."""
    for seed in range(100):
        if any(one.startswith(f"{name}:") for one in broken_by(taped(seed, bug))):
            return
    raise AssertionError(f"{bug.__name__} does not show")


def test_what_is_no_tape_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With one line and exit code 2."""
    path = tmp_path / "no.jsonl"
    assert 2 == main([str(path)])
    path.write_text("{}\n")
    assert 2 == main([str(path)])
    assert "belongs to no tape" in capsys.readouterr().err


def test_another_decision_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its line, exit code 1."""
    lines = taped(9)
    place = next(n for n, line in enumerate(lines) if '"is":"Send"' in line)
    lines[place] = lines[place].replace('"attempt":1', '"attempt":7')
    path = tmp_path / "changed.jsonl"
    path.write_text("\n".join(lines))
    assert 1 == main([str(path)])
    assert f"line {place + 1}, poll" in capsys.readouterr().out
