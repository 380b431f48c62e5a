"""The figures over real sockets: sizes, shares, and one short run of each kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.score.constants import SHORT, SHORT_REGIMES, Sizes
from benchmarks.score.local import clients
from benchmarks.score.sockets import (
    job_of,
    lines,
    measured,
    over_sockets,
    pair_lines,
    sizes_of,
    summarize,
    summarize_pair,
)
from tests.benchmarks.runs import made

SMALL = SHORT_REGIMES[0]


def heard(**changes: Any) -> dict[str, Any]:
    """Return what a client says, with some of it changed."""
    plain = {"seconds": 2.0, "cpu_s": 0.1, "lost": 0, "requests": 3, "limited": 1, "took_s": 2.5}
    return {**plain, **changes}


def test_sizes_are_those_behind_the_counts() -> None:
    """What one, ten and twenty chunks count tells all sizes."""
    sizes = Sizes(
        instruction=800,
        chunk=150,
        extra_per_chunk=6,
        output_per_chunk=11,
        output_per_request=4,
    )
    rows = [(k, sizes.input_tokens(k), sizes.output_tokens(k)) for k in (20, 1, 10)]
    assert sizes == sizes_of(rows)


def test_a_job_is_the_regimes() -> None:
    """Routes, texts, packs and time-out; a part of it has its own chunks."""
    job = job_of(SHORT, "http://127.0.0.1:1/v1", 5, range(1_500, 3_000))
    assert ("responses-ws,rest", 1_500, 1_500) == (job["routes"], job["first"], job["count"])
    assert (600, 5, {"timeout_s": 6.0}) == (job["characters"], job["seed"], job["settings"])


def test_medians_are_compared() -> None:
    """Three seconds over sockets, two on virtual time: one and a half."""
    runs = [heard(seconds=3.0), heard(seconds=2.0), heard(seconds=90.0, lost=1)]
    figures = summarize(SHORT, runs, [made(makespan_s=2.0)])
    share, lost = figures["goals"]
    assert (1.5, False) == (share["measured"], share["reached"])
    assert (1, False) == (lost["measured"], lost["reached"])
    assert "tpm: 3,000 chunks, tokens scarce; 3 runs" in lines(figures)[0]


def test_two_processes_are_compared_with_one() -> None:
    """Time from the common start to the last end; refusals of both count."""
    alone = [[heard(took_s=10.0, limited=2)]]
    shared = [[heard(took_s=10.4, seconds=5.2), heard(took_s=10.4, seconds=10.3)]]
    figures = summarize_pair(SHORT, alone, shared)
    assert (1.04, True) == (figures["goals"][0]["measured"], figures["goals"][0]["reached"])
    assert (2, 2, 0.5) == (
        figures["alone_limited"],
        figures["together_limited"],
        figures["first_end_share"],
    )
    assert "the first of them was done after 50%" in pair_lines(figures)[1]


def test_a_job_over_sockets_loses_nothing() -> None:
    """One client, then two with a part each, against services of their own; sizes are measured."""
    with clients(2) as both:
        regime = replace(measured(SMALL, both[0]), tokens_per_s=1e6, chunks=9)
        assert regime.sizes.instruction > 0
        assert regime.sizes.chunk == pytest.approx(150, abs=20)
        (alone,) = over_sockets(regime, 1, both[:1])
        pair = over_sockets(regime, 2, both)
    assert (0, 9) == (alone["lost"], alone["requests"])
    assert [(0, 4), (0, 5)] == [(one["lost"], one["requests"]) for one in pair]
    used = 9 * (regime.sizes.input_tokens(1) + regime.sizes.output_tokens(1))
    assert used == pytest.approx(alone["paid"], rel=0.02)
    assert pair[0]["took_s"] >= max(one["seconds"] for one in pair)
