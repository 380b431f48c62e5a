"""The designs of common scripts, in cases that can be reckoned by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.score import constants
from benchmarks.score.market import Kind
from benchmarks.score.naive import TokenBucket, Workers
from benchmarks.score.stage import Stage
from tests.benchmarks.runs import Watched, short, watched


def test_one_session_asks_one_after_the_other() -> None:
    """No pause is skipped, no request is refused or repeated."""
    stage = Stage(short("small", chunks=20, is_quiet=True), 0)
    run = stage.run(Workers(stage, workers=1, pause_s=0.5))
    assert (20, 0, True) == (run.requests, run.limited, run.is_complete)
    least = 0.2 + 19 * 0.5 + 20 * (12 / 90)
    assert least < run.makespan_s < least + 20 * (5 * 0.35 + 0.03)


def test_workers_repeat_what_failed_and_lose_nothing() -> None:
    """With every tenth request failing, each chunk is answered once in the end."""
    regime = short("faults", chunks=300)
    faults = replace(regime.faults, server_error=0.05, drop=0.05, bad_chunk=0.05)
    stage = Stage(replace(regime, faults=faults), 2)
    run = stage.run(Workers(stage, workers=50, pause_s=0.0))
    assert (0, 0, True) == (run.lost, run.doubled, run.is_complete)
    assert run.requests > 300


@pytest.mark.parametrize(("pack", "requests"), [(1, 400), (10, 40)])
def test_a_token_bucket_sends_no_more_than_a_minute_holds(pack: int, requests: int) -> None:
    """Its own count of requests and tokens keeps both limits, whatever the service does."""
    stage = Stage(short("outage", chunks=400, is_quiet=True), 0, make=Watched)
    regime, sent = stage.market.regime, 0
    run = stage.run(TokenBucket(stage, pack=pack))
    for at, chunks, _ in watched(stage).asked:
        sent += constants.SIZES.reserved_tokens(chunks)
        assert sent <= regime.tpm + regime.tpm / 60 * at + 1e-6
    assert (0, 0, True) == (run.lost, run.doubled, run.is_complete)
    assert requests == run.requests - run.limited


def test_a_token_bucket_pauses_after_a_refusal() -> None:
    """Nothing is sent for fifteen seconds after a 429."""
    stage = Stage(short("rpm", chunks=60, is_quiet=True), 1, make=Watched)
    run = stage.run(TokenBucket(stage, pack=10))
    asked = watched(stage).asked
    refused = [at for at, _, fate in asked if fate.kind is Kind.LIMITED]
    assert run.limited == len(refused) > 0
    last_of_burst = max(at for at in refused if at < 1.0)
    assert min(at for at, _, _ in asked if at > last_of_burst) >= last_of_burst + 15.0
