"""The package's scheduler on the stage: complete, repeatable, never faster than the bound."""

from __future__ import annotations

import pytest

from analysis.errors import DeadlinePassed, RateLimited, TransportError
from analysis.records import Ending
from analysis.settings import SETTINGS
from benchmarks.score import constants
from benchmarks.score.market import Fate, Kind
from benchmarks.score.ours import Ours, cost_of, error_of, told, windows
from benchmarks.score.stage import Run, Stage
from tests.benchmarks.runs import BY_NAME, short


def play(name: str, seed: int, *, chunks: int, is_told: bool = False) -> Run:
    """Play a short run of a regime."""
    regime = short(name, chunks=chunks)
    stage = Stage(regime, seed)
    settings = told(regime) if is_told else SETTINGS
    return stage.run(Ours(stage, seed=seed, settings=settings))


@pytest.mark.parametrize("name", ["tpm", "outage", "faults"])
@pytest.mark.parametrize("seed", range(4))
def test_every_chunk_gets_one_answer(name: str, seed: int) -> None:
    """Under faults and with an outage nothing is lost or doubled, and no run beats its bound."""
    run = play(name, seed, chunks=1_500)
    assert (0, 0, True) == (run.lost, run.doubled, run.is_complete)
    assert run.ratio >= 1
    assert run.paid_tokens >= run.fewest_tokens


def test_same_seed_same_run() -> None:
    """All figures and the trace repeat; another seed has another trace."""
    first, again = play("faults", 3, chunks=400), play("faults", 3, chunks=400)
    assert first == again
    assert first.trace != play("faults", 4, chunks=400).trace


def test_the_limits_that_a_user_enters_are_used() -> None:
    """Told the limits, it sends fewer requests that are refused."""
    cold = sum(play("rpm", seed, chunks=200).limited for seed in range(4))
    warm = sum(play("rpm", seed, chunks=200, is_told=True).limited for seed in range(4))
    assert warm < cold
    assert BY_NAME["rpm"].rpm == told(BY_NAME["rpm"]).requests_per_minute


def test_windows_are_those_of_the_cutter() -> None:
    """Consecutive chunks, ten a window, the rest in the last one; costs as the service reckons."""
    packs = list(windows(25, 10, SETTINGS))
    assert [10, 10, 5] == [len(pack.items) for pack in packs]
    assert list(range(25)) == [item.ticket for pack in packs for item in pack.items]
    assert constants.reserved_tokens(5) == cost_of("rest", packs[2])


def test_each_fate_becomes_the_error_of_a_transport() -> None:
    """Answers are no errors; the others say whether tokens may have been billed."""
    errors = {kind: error_of(Fate(kind=kind, after_s=1.0, wait_s=2.5)) for kind in Kind}
    assert {Kind.ANSWERED, Kind.VOID} == {kind for kind, error in errors.items() if error is None}
    limited = errors[Kind.LIMITED]
    assert isinstance(limited, RateLimited)
    assert 2.5 == limited.retry_after_s
    assert isinstance(errors[Kind.SILENT], DeadlinePassed)
    endings = {
        kind: error.ending for kind, error in errors.items() if isinstance(error, TransportError)
    }
    assert {
        Kind.LIMITED: Ending.REFUSED,
        Kind.SERVER_ERROR: Ending.REFUSED,
        Kind.DROPPED: Ending.UNKNOWN,
        Kind.UNREACHED: Ending.UNSENT,
        Kind.SILENT: Ending.UNKNOWN,
    } == endings
