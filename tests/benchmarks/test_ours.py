"""The package's scheduler on the stage: complete, repeatable, never faster than the bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.control.decisions import Cancel, Decision, Send
from analysis.control.scheduler import Scheduler
from analysis.errors import DeadlinePassed, RateLimited, TransportError
from analysis.records import Ending
from analysis.settings import SETTINGS
from benchmarks.score import constants
from benchmarks.score.entrants import settings_for
from benchmarks.score.market import Fate, Kind
from benchmarks.score.ours import Ours, costs_of, error_of, windows
from benchmarks.score.stage import Run, Stage
from tests.benchmarks.runs import BY_NAME, short


def play(name: str, seed: int, *, chunks: int, is_told: bool = False) -> Run:
    """Play a short run of a regime."""
    regime = short(name, chunks=chunks)
    stage = Stage(regime, seed)
    settings = settings_for(regime, is_told=is_told)
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
    assert BY_NAME["rpm"].rpm == settings_for(BY_NAME["rpm"], is_told=True).requests_per_minute


def test_windows_are_those_of_the_cutter() -> None:
    """Consecutive chunks, ten a window, the rest in the last one; costs as the service reckons."""
    packs = list(windows(25, 10, SETTINGS))
    assert [10, 10, 5] == [len(pack.items) for pack in packs]
    assert list(range(25)) == [item.ticket for pack in packs for item in pack.items]
    assert constants.SIZES.reserved_tokens(5) == costs_of(constants.SIZES)("rest", packs[2])


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


class Impatient(Scheduler):
    """Gives every first attempt up when its first event comes, and offers its chunks again.

    Attributes:
        signs: When each first event came.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.signs: list[float] = []
        self._unwanted: list[Send] = []
        self._sent: dict[str, Send] = {}

    def on_sign(self, request_id: str, *, now: float) -> None:
        """Note it; the first one of a chunk makes its request unwanted."""
        super().on_sign(request_id, now=now)
        self.signs.append(now)
        packs = [send.pack for send in self._sent.values()]
        if packs.count(self._sent[request_id].pack) == 1:
            self._unwanted.append(self._sent[request_id])

    def poll(self, *, now: float) -> Decision:
        """Give up first; else decide as ever."""
        if self._unwanted:
            send = self._unwanted.pop()
            self.offer(send.pack, now=now)
            return Cancel(send.request_id)
        decision = super().poll(now=now)
        if isinstance(decision, Send):
            self._sent[decision.request_id] = decision
        return decision


def test_first_events_are_told_and_a_cancelled_request_is_billed() -> None:
    """Every chunk is asked for twice: the first request is given up and still costs all."""
    regime = short("small", chunks=3, is_quiet=True)
    stage = Stage(replace(regime, ways=regime.ways[:1]), 0)
    made: list[Impatient] = []

    def make(*args: Any, **named: Any) -> Scheduler:
        made.append(Impatient(*args, **named))
        return made[0]

    run = stage.run(Ours(stage, seed=0, pack=1, make=make))
    assert (6, 3, 0, True) == (run.requests, run.cancelled, run.late, run.is_complete)
    assert 6 * constants.SIZES.used_tokens(1) == run.paid_tokens
    assert 3 * constants.SIZES.used_tokens(1) == run.twice_tokens
    assert 6 == len(made[0].signs)
    assert sorted(made[0].signs) == made[0].signs
