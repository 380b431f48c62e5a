"""Figures, goals and lines from runs made by hand."""

from __future__ import annotations

from benchmarks.score.table import (
    by_window,
    goal_lines,
    goal_of,
    goals,
    rank,
    regime_lines,
    spread,
    summarize,
    window_line,
)
from tests.benchmarks.runs import BY_NAME, made


def test_ranks_are_measured_values() -> None:
    """Nearest rank: nine of ten lie at or below the ninth."""
    assert 9 == rank([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 0.9)
    assert {"median": 2.0, "p90": 3.0, "worst": 3.0} == spread([3.0, 1.0, 2.0])


def test_a_summary_counts_incomplete_runs_as_they_are_given() -> None:
    """Their tokens are left out, their time is not."""
    runs = [
        made(),
        made(makespan_s=12.0, limited=3, requests=150),
        made(makespan_s=400.0, is_complete=False, paid_tokens=1, twice_tokens=0, lost=7),
    ]
    figures = summarize("ours", runs)
    assert (3, 2, 7) == (figures["runs"], figures["complete"], figures["lost"])
    assert {"median": 1.2, "p90": 40.0, "worst": 40.0} == figures["ratio"]
    assert 1.02 == figures["paid"]["worst"]
    assert 0.05 == figures["hedged_share"]["worst"]
    assert 0.02 == figures["limited_share"]["worst"]


def test_goals_are_reached_up_to_their_value_and_no_further() -> None:
    """The limit itself is reached; what a regime does not ask for is not listed."""
    regime = BY_NAME["rpm"]
    reached = goals(regime, summarize("ours", [made(makespan_s=10.6, limited=4)]))
    assert all(goal["reached"] for goal in reached)
    missed = goals(
        regime,
        summarize(
            "ours",
            [made(makespan_s=10.7, limited=5, paid_tokens=1_031, twice_tokens=60, lost=1)],
        ),
    )
    assert ["doubled verdicts", "runs not complete"] == [
        goal["what"] for goal in missed if goal["reached"]
    ]
    assert "429s, worst run" not in [
        goal["what"] for goal in goals(BY_NAME["small"], summarize("ours", [made()]))
    ]


def test_a_contestant_that_never_finishes_misses_the_goals() -> None:
    """There is no figure of paid tokens then, and the goal counts as missed."""
    figures = summarize("ours", [made(is_complete=False, makespan_s=400.0)])
    paid = next(goal for goal in goals(BY_NAME["rpm"], figures) if "paid" in goal["what"])
    assert (None, False) == (paid["measured"], paid["reached"])
    assert "missed   paid / fewest tokens, median: none (goal 1.03)" in goal_lines([paid])[0]


def test_lines_for_people() -> None:
    """A line per contestant that says simulated once, and one for the hidden windows."""
    runs = [made(), made(window_s=1.0, makespan_s=20.0, limited=9)]
    lines = regime_lines(BY_NAME["rpm"], [summarize("ours", runs), summarize("other", runs)])
    assert (
        "rpm: 1,000 chunks, requests scarce; 2 runs (simulated), bound 10.0 s, goal 1.06"
        == lines[0]
    )
    assert ["ours", "other"] == [line.split()[0] for line in lines[2:]]
    expected = "  by hidden window: 1 s: 2.00, 9 429s (1 runs); 60 s: 1.10, 1 429s (1 runs)"
    assert expected == window_line(by_window(runs))


def test_goals_depend_on_packs_and_on_what_was_known() -> None:
    """The plain job has a goal for packs of ten and one for lone chunks, none for others."""
    figures = summarize("ours", [made(makespan_s=12.0, own_bound_s=10.0)])
    plain = BY_NAME["plain"]
    wanted = {size: goals(plain, figures, largest_pack=size)[0] for size in (20, 10, 1)}
    assert "429s, worst run" == wanted[20]["what"]
    assert (1.5, True) == (wanted[10]["at_most"], wanted[10]["reached"])
    assert (1.03, False) == (wanted[1]["at_most"], wanted[1]["reached"])
    shares = [
        goals(BY_NAME["tpm"], figures, is_warm=is_warm)[1]["at_most"] for is_warm in (False, True)
    ]
    assert [0.013, 0.004] == shares


def test_the_goal_in_seconds_is_one_of_the_time_itself() -> None:
    """A third of the best other client's time, whatever the bound."""
    figures = summarize("ours", [made(makespan_s=4.2)])
    found = goals(BY_NAME["plain-faults"], figures)[0]
    assert ("makespan, s, median", False) == (found["what"], found["reached"])


def test_goals_for_people() -> None:
    """One, several or none."""
    found = [goal_of(BY_NAME[name]) for name in ("rpm", "plain", "plain-faults")]
    assert ["1.06", "1.5 for packs of ten, 1.03 for lone chunks", "none"] == found


def test_hedging_is_bounded_in_large_runs() -> None:
    """A job of ten chunks may send some of them twice."""
    figures = summarize("ours", [made(twice_tokens=90)])
    bounded = [
        name
        for name in ("small", "tpm")
        if any("hedged" in goal["what"] for goal in goals(BY_NAME[name], figures))
    ]
    assert ["tpm"] == bounded
