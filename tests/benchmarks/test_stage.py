"""The clock of the score: what is sent, counted and cut off."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from benchmarks.score import constants
from benchmarks.score.constants import Regime
from benchmarks.score.market import Fate, Kind
from benchmarks.score.stage import Chunks, Stage
from tests.benchmarks.runs import QUIET, Watched, short, watched


class Script:
    """Sends chunks as it is told at the start, and keeps how each request ended."""

    def __init__(self, stage: Stage, sends: list[tuple[float, str, Chunks]]) -> None:
        self.stage = stage
        self.sends = sends
        self.heard: list[tuple[float, Kind]] = []

    def start(self) -> None:
        """Set a timer per request."""
        for at, way, chunks in self.sends:
            self.stage.at(at, partial(self._send, way, chunks))

    def _send(self, way: str, chunks: Chunks) -> None:
        def hear(fate: Fate, answered: frozenset[int]) -> None:
            self.heard.append((self.stage.now, fate.kind))
            for chunk in sorted(answered):
                self.stage.settle(chunk, is_answered=True)

        self.stage.send(way, chunks, hear)


def staged(regime: Regime, sends: list[tuple[float, str, Chunks]]) -> Script:
    """Return a script on a stage of its own."""
    return Script(Stage(regime, 1, make=Watched), sends)


def test_the_first_request_of_a_way_opens_its_connection() -> None:
    """It arrives after connecting; a later one on that way does not wait again."""
    regime = short("small", chunks=2, is_quiet=True)
    script = staged(regime, [(0.0, "rest", (0,)), (5.0, "rest", (1,))])
    run = script.stage.run(script)
    arrived = [at for at, _, _ in watched(script.stage).asked]
    assert 0.2 <= arrived[0] <= 0.2 + constants.ARRIVAL_JITTER_S
    assert 5.0 <= arrived[1] <= 5.0 + constants.ARRIVAL_JITTER_S
    assert run.is_complete
    assert script.heard[-1][0] == run.makespan_s


def test_a_hanging_request_ends_with_its_time_out() -> None:
    """The client gives up after a minute and the chunk stays without an answer."""
    regime = replace(short("small", chunks=1), faults=replace(QUIET, hang=1.0))
    script = staged(regime, [(0.0, "rest", (0,))])
    run = script.stage.run(script)
    at, kind = script.heard[0]
    assert Kind.SILENT is kind
    assert 60.2 == pytest.approx(at, abs=constants.ARRIVAL_JITTER_S)
    assert (False, 1) == (run.is_complete, run.lost)
    assert constants.used_tokens(1) == run.paid_tokens


def test_a_forgotten_chunk_is_lost_and_the_run_counts_as_the_cut_off() -> None:
    """Who sends one of two chunks has not finished early."""
    script = staged(short("small", chunks=2, is_quiet=True), [(0.0, "rest", (0,))])
    run = script.stage.run(script)
    assert (1, False) == (run.lost, run.is_complete)
    assert run.makespan_s == max(40 * run.bound_s, 300.0)


def test_a_run_that_goes_on_for_too_long_is_cut_off() -> None:
    """What would come after the cut-off does not happen, and nothing counts as given up."""
    regime = short("small", chunks=2, is_quiet=True)
    script = staged(regime, [(0.0, "rest", (0,)), (301.0, "rest", (1,))])
    run = script.stage.run(script)
    assert (0, False, 1) == (run.lost, run.is_complete, run.requests)


def test_a_chunk_in_flight_twice_is_counted_as_hedged() -> None:
    """The tokens of the second request count, those of a later one do not."""
    regime = short("small", chunks=1, is_quiet=True)
    script = staged(regime, [(0.0, "rest", (0,)), (0.0, "decisions", (0,)), (50.0, "rest", (0,))])
    run = script.stage.run(script)
    assert constants.used_tokens(1) == run.twice_tokens
    assert 3 * constants.used_tokens(1) == run.paid_tokens
    assert 1 == run.doubled
