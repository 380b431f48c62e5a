"""Votes: what several outputs say of one chunk becomes one verdict.

Pure. `commands.vote` hands in what each output holds of a row, and writes what is returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations

from analysis.evaluation.rows import NONE, Labels
from analysis.labels.label_set import LabelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one output says of one row.

    Attributes:
        labels: At most two, the main one first; empty where the output has none for the row.
        models: Models behind the label; empty where none is stated.
        error: Kind of failure, or empty.
    """

    labels: Labels = ()
    models: tuple[str, ...] = ()
    error: str = ""


ABSENT = Opinion()
"""Of an output that does not have the row: it counts as one without a label."""


class Outcome(Enum):
    """How a row was decided; each row has exactly one of these."""

    UNANIMOUS = "unanimous"
    MAJORITY = "majority"
    PLURALITY = "plurality"
    TIE = "tie"
    NONE = "no label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The verdict of all outputs on a row.

    Attributes:
        labels: At most two, the main one first; empty where no output has a label.
        confidence: Outputs with this main label / outputs given; None without a label.
        models: Of the outputs that have a label, each once, in the order of the outputs.
        error: Kind of failure of the first output that states one; empty where there is a label.
        counts: Main label -> outputs, most first, then in the order of the outputs; those without
            a label stand last as `rows.NONE`. They add up to the outputs given.
        outcome: Unanimous if all outputs given have this main label, a majority if more than half
            of them, a plurality if fewer and yet more than any other, else a tie.
    """

    labels: Labels
    confidence: float | None
    models: tuple[str, ...]
    error: str
    counts: tuple[tuple[str, int], ...]
    outcome: Outcome


def count_votes(opinions: Sequence[Opinion], label_set: LabelSet) -> Vote:
    """Return the verdict of the opinions on one row.

    The main label is the one that most outputs have as their main label. In a tie it is the one of
    these that more outputs have as their second label, then the one that the earliest output has.

    The second label is the one that most outputs have beside the main label, as their own main or
    second one; in a tie the one that is met first when the outputs are read in their order. At
    least half of the outputs with a label must have it. It must go together with the main label by
    the policy of the set, or at least be allowed beside it if an output gave these two itself.

    Args:
        opinions: One per output, in the order in which the outputs were named; at least one.
        label_set: What the labels are keys of.
    """
    given = [one for one in opinions if one.labels]
    main = Counter(one.labels[0] for one in given)  # in the order of the outputs
    counts = main.most_common()  # stable: equal ones stay in that order
    if len(given) < len(opinions):
        counts.append((NONE, len(opinions) - len(given)))
    if not given:
        error = next((one.error for one in opinions if one.error), "")
        return Vote(
            labels=(),
            confidence=None,
            models=(),
            error=error,
            counts=tuple(counts),
            outcome=Outcome.NONE,
        )
    winner = _winner(given, main)
    second = _second(given, winner, label_set)
    return Vote(
        labels=(winner,) if second is None else (winner, second),
        confidence=main[winner] / len(opinions),
        models=tuple(dict.fromkeys(name for one in given for name in one.models)),
        error="",
        counts=tuple(counts),
        outcome=_outcome(main, main[winner], len(opinions)),
    )


def _winner(given: Sequence[Opinion], main: Counter[str]) -> str:
    most = max(main.values())
    tied = [label for label, count in main.items() if count == most]
    # `max` returns the first of equal ones, and these stand in the order of the outputs.
    return max(tied, key=lambda label: sum(label in one.labels[1:] for one in given))


def _second(given: Sequence[Opinion], winner: str, label_set: LabelSet) -> str | None:
    carriers = Counter(label for one in given for label in one.labels if label != winner)
    pairs = {frozenset(one.labels) for one in given}
    for label, count in carriers.most_common():
        both = (winner, label)
        is_given = frozenset(both) in pairs and label_set.allows(both)
        if 2 * count >= len(given) and (is_given or label_set.favours(both)):
            return label
    return None


def _outcome(main: Counter[str], votes: int, outputs: int) -> Outcome:
    if votes == outputs:
        return Outcome.UNANIMOUS
    if 2 * votes > outputs:
        return Outcome.MAJORITY
    is_tied = list(main.values()).count(votes) > 1
    return Outcome.TIE if is_tied else Outcome.PLURALITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often two outputs say the same.

    Attributes:
        first: Place of one output, from 0.
        second: Place of the other.
        rows: Rows for which both have a label.
        same: Those of them with the same main label.
    """

    first: int
    second: int
    rows: int
    same: int

    @property
    def share(self) -> float | None:
        """The share of the rows with the same main label, or None without rows."""
        return self.same / self.rows if self.rows else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """All rows decided.

    Attributes:
        votes: One per row, in the order of the rows.
        outcomes: Outcome -> rows; all outcomes are there.
        agreements: Of each two outputs.
    """

    votes: tuple[Vote, ...]
    outcomes: dict[Outcome, int]
    agreements: tuple[Agreement, ...]


def elect(outputs: Sequence[Sequence[Opinion]], label_set: LabelSet) -> Election:
    """Return the verdict on every row.

    Rows with the same opinions share one `Vote`, so memory per row is that of a reference.

    Args:
        outputs: Per output its opinions, all in the order of the rows and of the same length.
        label_set: What the labels are keys of.
    """
    found: dict[tuple[Opinion, ...], Vote] = {}
    votes = []
    times = Counter[tuple[Opinion, ...]]()
    for row in zip(*outputs, strict=True):
        vote = found.get(row)
        if vote is None:
            vote = found[row] = count_votes(row, label_set)
        times[row] += 1
        votes.append(vote)
    outcomes = dict.fromkeys(Outcome, 0)
    for row, count in times.items():
        outcomes[found[row].outcome] += count
    agreements = tuple(
        _agreement(first, second, times) for first, second in combinations(range(len(outputs)), 2)
    )
    return Election(votes=tuple(votes), outcomes=outcomes, agreements=agreements)


def _agreement(first: int, second: int, times: Counter[tuple[Opinion, ...]]) -> Agreement:
    both = [
        (row[first].labels[0] == row[second].labels[0], count)
        for row, count in times.items()
        if row[first].labels and row[second].labels
    ]
    return Agreement(
        first=first,
        second=second,
        rows=sum(count for _, count in both),
        same=sum(count for is_same, count in both if is_same),
    )
