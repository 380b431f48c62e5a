"""Counts of votes as lines for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.commands.layout import width
from analysis.commands.vote_inputs import Ballots, Voter
from analysis.commands.vote_wording import document_of, lines_of
from analysis.evaluation.votes import Opinion, elect
from analysis.labels.label_set import LabelSet

TEN = LabelSet.load("ten_functions")


def voter(path: str, **fields: Any) -> Voter:
    """Return an output of one labelled row."""
    usual: dict[str, Any] = {"rows": 1, "labelled": 1, "simulated": "none"}
    return Voter(path=Path(path), **usual | fields)


def ballots(*voters: Voter, notes: tuple[str, ...] = ()) -> Ballots:
    """Return the ballots of outputs that agree on one row."""
    opinions = tuple((Opinion(labels=("noise",), models=("m",)),) for _ in voters)
    return Ballots(label_set=TEN, voters=voters, opinions=opinions, notes=notes)


def said(found: Ballots, output: str = "v.csv") -> list[str]:
    """Return the lines."""
    return lines_of(document_of(found, elect(found.opinions, found.label_set), output))


def test_lines_of_three_outputs() -> None:
    """What was written, how the votes fell, who agrees with whom."""
    expected = [
        "Wrote 1 row to v.csv.",
        "",
        "Votes of 3 outputs",
        "unanimous, all outputs                             1",
        "majority, more than half                           0",
        "plurality, half or fewer and more than for others  0",
        "tie, broken by rule                                0",
        "no label in any output                             0",
        "",
        "Same main label, where both have one",
        "first  second  rows   same",
        "a.csv  b.csv      1  1.000",
        "a.csv  c.csv      1  1.000",
        "b.csv  c.csv      1  1.000",
    ]
    assert expected == said(ballots(voter("a.csv"), voter("b.csv"), voter("c.csv")))


def test_any_simulated_voter_marks_every_title() -> None:
    """All of them, or some; an output without labels says nothing of either."""
    rules = voter("b.csv", simulated="all")
    empty = voter("c.csv", labelled=0)
    mixed = said(ballots(voter("a.csv"), rules))
    assert 3 == sum("(partly simulated)" in line for line in mixed)
    simulated = said(ballots(rules, empty))
    assert 3 == sum("(simulated)" in line for line in simulated)


def test_long_paths_show_their_end() -> None:
    """Every table and note fits a terminal; the end of a path tells outputs apart."""
    names = [f"{'folder/' * 20}{name}.csv" for name in ("one", "two")]
    lines = said(ballots(*map(voter, names), notes=("A note. " * 30,)), output="-")
    assert "Wrote 1 row to stdout." == lines[0]
    (pair,) = [line for line in lines if line.endswith("1.000")]
    assert ("one.csv" in pair, "two.csv" in pair) == (True, True)
    # A path in the note about ties is one word and is not broken.
    assert [] == [line for line in lines if width(line) > 80 and "folder/" not in line]


def test_signs_for_the_terminal_are_shown() -> None:
    """A file name cannot move the cursor or begin a line."""
    lines = said(ballots(voter("a\x1b[2J\n.csv"), voter("b.csv")))
    assert [] == [line for line in lines[:-3] if "\x1b" in line or "\n" in line]
