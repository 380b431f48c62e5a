"""Votes: who wins, what breaks a tie, what the confidence is, and what may stand beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from analysis.evaluation.rows import NONE
from analysis.evaluation.votes import ABSENT, Agreement, Opinion, Outcome, Vote, count_votes, elect
from analysis.labels.label_set import LabelSet

TEN = LabelSet.load("ten_functions")
FAVOURED = ("key_thesis", "metaphor_analogy")
PLAIN = next(
    (one, two)
    for one in TEN.keys
    for two in TEN.keys
    if one != two and TEN.allows((one, two)) and not TEN.favours((one, two))
)
"""Two labels that the set allows together and does not suggest."""

ROWS = st.lists(
    st.sampled_from(TEN.keys).flatmap(
        lambda key: st.sampled_from([(), (key,), (key, "example"), (key, "noise")])
    ),
    min_size=2,
    max_size=6,
).map(lambda rows: [Opinion(labels=tuple(dict.fromkeys(row)), models=("m",)) for row in rows])


def opinions(words: str) -> list[Opinion]:
    """Return an opinion per word: labels with a plus between, `-` for a refusal."""
    return [
        Opinion(error="refused")
        if word == "-"
        else Opinion(labels=tuple(word.split("+")), models=("m",))
        for word in words.split()
    ]


def voted(words: str, label_set: LabelSet = TEN) -> Vote:
    """Count the votes of a row."""
    return count_votes(opinions(words), label_set)


def test_without_any_label_there_is_none() -> None:
    """No label, no confidence, no model; the error of the first output that states one."""
    row = [ABSENT, Opinion(error="refused"), Opinion(error="timeout")]
    expected = Vote(
        labels=(),
        confidence=None,
        models=(),
        error="refused",
        counts=((NONE, 3),),
        outcome=Outcome.NONE,
    )
    assert expected == count_votes(row, TEN)


def test_an_output_without_a_label_does_not_agree() -> None:
    """Two of three agree though the third says nothing: two thirds, and a majority."""
    vote = voted("noise - noise")
    assert (("noise",), 2 / 3, "") == (vote.labels, vote.confidence, vote.error)
    assert ((("noise", 2), (NONE, 1)), Outcome.MAJORITY) == (vote.counts, vote.outcome)


def test_one_voice_among_silent_ones_is_no_majority() -> None:
    """One of three has a label, so it wins with a third."""
    vote = voted("- - noise")
    assert (1 / 3, Outcome.PLURALITY) == (vote.confidence, vote.outcome)


def test_all_agree() -> None:
    """Unanimous means all outputs given."""
    assert (1.0, Outcome.UNANIMOUS) == (
        voted("noise noise").confidence,
        voted("noise noise").outcome,
    )


def test_most_votes_win_without_half() -> None:
    """Two of five are more than any other label has."""
    vote = voted("contrast noise example noise key_thesis")
    assert (("noise",), Outcome.PLURALITY) == (vote.labels, vote.outcome)
    assert ("noise", 2) == vote.counts[0]


def test_a_second_label_breaks_a_tie() -> None:
    """One has the label beside its own, so it wins against the one that was named first."""
    vote = voted("noise contrast+example example")
    assert ("example", Outcome.TIE) == (vote.labels[0], vote.outcome)


def test_the_output_named_first_breaks_a_tie() -> None:
    """The order of the outputs decides where nothing else does."""
    assert ("noise", "contrast") == (
        voted("noise contrast").labels[0],
        voted("contrast noise").labels[0],
    )


def test_second_labels_weigh_only_among_tied_ones() -> None:
    """Three second labels do not beat two main ones."""
    vote = voted("noise noise contrast+example key_thesis+example topic_development+example")
    assert "noise" == vote.labels[0]


def test_half_of_the_labelled_ones_must_carry_the_second_label() -> None:
    """As main or second label; the silent output does not count, and one of three is too few."""
    assert ("key_thesis", "example") == voted("key_thesis+example key_thesis -").labels
    assert ("key_thesis", "example") == voted("key_thesis example key_thesis+example").labels
    assert ("key_thesis",) == voted("key_thesis+example key_thesis key_thesis").labels


def test_a_pair_that_nobody_gave_must_be_suggested_by_the_set() -> None:
    """Two labels of different outputs are no pair unless the policy of the set has it."""
    assert TEN.favours(FAVOURED)
    assert FAVOURED == voted(" ".join(FAVOURED)).labels
    assert PLAIN[:1] == voted(" ".join(PLAIN)).labels


def test_a_pair_that_an_output_gave_needs_only_to_be_allowed() -> None:
    """Both outputs have it, so it stays; the order of its labels does not matter."""
    assert PLAIN == voted(f"{'+'.join(PLAIN)} {'+'.join(PLAIN)}").labels
    assert PLAIN == voted(f"{'+'.join(PLAIN)} {PLAIN[0]} {'+'.join(reversed(PLAIN))}").labels


def test_what_the_set_forbids_never_stands_together() -> None:
    """Also where every output has it, as an edited file may; a set of single labels has no pair."""
    key = next(iter(TEN.alone))
    assert (key,) == voted(f"{key}+example {key}+example").labels
    single = replace(TEN, max_labels=1, pairs=(), alone=frozenset())
    assert PLAIN[:1] == voted(" ".join(["+".join(PLAIN)] * 2), single).labels


def test_models_are_those_with_a_label() -> None:
    """Each once, in the order of the outputs; one that failed did not vote."""
    row = [
        Opinion(labels=("noise",), models=("b",)),
        Opinion(labels=("example",), models=("a", "b")),
        Opinion(models=("c",), error="refused"),
    ]
    assert ("b", "a") == count_votes(row, TEN).models


@given(ROWS)
def test_the_winner_has_at_least_as_many_votes_as_any_other(row: Sequence[Opinion]) -> None:
    """And the counts add up, the confidence is a share, and the labels are allowed together."""
    vote = count_votes(row, TEN)
    main = Counter(one.labels[0] for one in row if one.labels)
    assert len(row) == sum(count for _, count in vote.counts)
    assert dict(main) == {label: count for label, count in vote.counts if label != NONE}
    if not main:
        assert (None, Outcome.NONE) == (vote.confidence, vote.outcome)
        return
    assert max(main.values()) == main[vote.labels[0]]
    assert main[vote.labels[0]] / len(row) == vote.confidence
    assert 1 / len(row) <= vote.confidence <= 1
    assert TEN.allows(vote.labels)


@given(ROWS, st.integers())
def test_the_order_of_outputs_matters_only_in_a_tie(row: Sequence[Opinion], seed: int) -> None:
    """Any permutation gives the same main label, counts and outcome."""
    vote = count_votes(row, TEN)
    other = count_votes(Random(seed).sample(row, len(row)), TEN)
    assert (sorted(vote.counts), vote.outcome) == (sorted(other.counts), other.outcome)
    assert vote.confidence == other.confidence
    if vote.outcome is not Outcome.TIE:
        assert vote.labels[:1] == other.labels[:1]


def test_an_election_counts_rows_and_agreement() -> None:
    """Every row has one outcome; two outputs are compared where both have a label."""
    outputs = [opinions("noise example - -"), opinions("noise contrast noise -")]
    election = elect(outputs, TEN)
    expected = [("noise",), ("example", "contrast"), ("noise",), ()]
    assert expected == [vote.labels for vote in election.votes]
    assert {
        Outcome.UNANIMOUS: 1,
        Outcome.MAJORITY: 0,
        Outcome.PLURALITY: 1,
        Outcome.TIE: 1,
        Outcome.NONE: 1,
    } == election.outcomes
    (agreement,) = election.agreements
    assert (Agreement(first=0, second=1, rows=2, same=1), 0.5) == (agreement, agreement.share)


def test_outputs_that_never_meet_have_no_share() -> None:
    """Nothing is said of the agreement of two outputs without a common labelled row."""
    (agreement,) = elect([opinions("noise -"), opinions("- noise")], TEN).agreements
    assert (0, None) == (agreement.rows, agreement.share)


def test_no_rows_no_votes() -> None:
    """An empty table is decided, too."""
    election = elect([[], [], []], TEN)
    assert ((), 0, 3) == (
        election.votes,
        sum(election.outcomes.values()),
        len(election.agreements),
    )


@given(st.lists(st.tuples(*[st.sampled_from(["noise", "example+noise", "-"])] * 3), max_size=20))
def test_equal_rows_are_decided_as_single_ones(rows: list[tuple[str, str, str]]) -> None:
    """That equal rows share a verdict changes none of them."""
    table = [opinions(" ".join(row)) for row in rows]
    outputs = [[row[at] for row in table] for at in range(3)]
    assert [count_votes(row, TEN) for row in table] == list(elect(outputs, TEN).votes)
