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
    assert constants.SIZES.used_tokens(1) == run.paid_tokens


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
    assert constants.SIZES.used_tokens(1) == run.twice_tokens
    assert 3 * constants.SIZES.used_tokens(1) == run.paid_tokens
    assert 1 == run.doubled


def test_the_first_event_comes_before_the_end_where_the_way_streams() -> None:
    """It is told once over the WebSocket and never over HTTPS."""
    stage = Stage(short("small", chunks=2, is_quiet=True), 1)
    signs: list[str] = []
    ends: list[float] = []

    class Listener:
        def start(self) -> None:
            for chunk, way in enumerate(("responses-ws", "rest")):
                sign = partial(signs.append, way)
                stage.send(way, (chunk,), lambda fate, answered: ends.append(stage.now), sign=sign)

    stage.run(Listener())
    assert ["responses-ws"] == signs
    assert 2 == len(ends)


def test_a_cancelled_request_is_billed_and_never_heard_of() -> None:
    """Its answer settles nothing; the next request for its chunk counts as a rescue."""
    stage = Stage(short("small", chunks=1, is_quiet=True), 1)
    heard: list[Kind] = []

    def hear(fate: Fate, answered: frozenset[int]) -> None:
        heard.append(fate.kind)
        stage.settle(0, is_answered=True)

    class Impatient:
        def start(self) -> None:
            stage.cancel(stage.send("rest", (0,), hear))
            stage.at(20.0, self.again)

        def again(self) -> None:
            stage.send("rest", (0,), hear)

    run = stage.run(Impatient())
    assert [Kind.ANSWERED] == heard
    assert (2, 1, True) == (run.requests, run.cancelled, run.is_complete)
    assert 2 * constants.SIZES.used_tokens(1) == run.paid_tokens
    assert constants.SIZES.used_tokens(1) == run.twice_tokens


def test_an_answer_about_settled_chunks_is_late() -> None:
    """Of three answers about one chunk two are."""
    regime = short("small", chunks=1, is_quiet=True)
    script = staged(regime, [(at, "rest", (0,)) for at in (0.0, 0.1, 9.0)])
    assert 2 == script.stage.run(script).late


def test_bounds_are_those_of_the_packs_that_are_allowed() -> None:
    """The own bound is that of packs up to the size given, and so are the fewest tokens."""
    regime = short("rpm", chunks=100, is_quiet=True)
    runs = []
    for largest in (20, 10, 1):
        stage = Stage(regime, 1, largest_pack=largest)
        runs.append(stage.run(Script(stage, [(0.0, "rest", (0,))])))
    twenty, ten, one = runs
    assert twenty.bound_s == twenty.own_bound_s == ten.bound_s == one.bound_s
    assert ten.bound_ten_s == ten.own_bound_s < one.own_bound_s
    assert twenty.fewest_tokens < ten.fewest_tokens < one.fewest_tokens


def test_a_broken_connection_takes_all_its_requests() -> None:
    """Two share the first connection and two the second one; each drop takes two at once."""
    regime = replace(short("small", chunks=4), faults=replace(QUIET, drop=1.0))
    ways = tuple(replace(way, per_connection=2) for way in regime.ways)
    sends: list[tuple[float, str, Chunks]] = [(0.0, "responses-ws", (n,)) for n in range(4)]
    script = staged(replace(regime, ways=ways), sends)
    script.stage.run(script)
    times = [at for at, _ in script.heard]
    assert {Kind.DROPPED} == {kind for _, kind in script.heard}
    assert times[0] == times[1] < times[2] == times[3]
