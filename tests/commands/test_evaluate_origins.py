"""The results beside outputs: their label set is taken, and what differs is noted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from analysis.commands.evaluate_origins import (
    check_mapping,
    known_facts,
    notes_on,
)
from analysis.commands.vote_facts import WAY, VoterFacts, chosen_label_set
from analysis.errors import ConfigurationError
from analysis.evaluation.mapping import Mapping as LabelMapping
from analysis.labels.label_set import LabelSet
from tests.commands.running import semfn, written

TEN = LabelSet.load("ten_functions")
KNOWN = {"prompt": "p", "context": "1", "chunks_per_request": "10", "language": "auto"}


def facts(
    name: str = "one.csv",
    *,
    label_set: str = "ten_functions",
    digest: str = TEN.digest,
    topic: str = "",
    way: Mapping[str, str] = KNOWN,
) -> VoterFacts:
    """Return how an output was made."""
    return VoterFacts(
        output=Path(name),
        label_set=label_set,
        digest=digest,
        topic=topic,
        way=tuple(way.get(entry, "") for entry in WAY),
    )


def test_the_label_set_is_that_of_the_results() -> None:
    """Unless it is named; without results it is the usual one."""
    own = facts(label_set="sci_abstract")
    assert "sci_abstract" == chosen_label_set(None, [own]).name
    assert "argument" == chosen_label_set("argument", [own]).name
    assert "ten_functions" == chosen_label_set(None, []).name


def test_a_label_set_that_is_gone_is_asked_for(tmp_path: Path) -> None:
    """One sentence names the output and the option."""
    with pytest.raises(ConfigurationError, match=r"one.csv was labelled with it; name it with"):
        chosen_label_set(None, [facts(label_set=str(tmp_path / "gone.toml"))])


def test_a_mapping_for_another_set_is_refused(tmp_path: Path) -> None:
    """Of own sets nothing but their file is known, which says nothing of their name."""
    mapping = LabelMapping.load("csabstruct")
    check_mapping(mapping, [facts(label_set="sci_abstract"), facts(label_set="mine.toml")])
    with pytest.raises(ConfigurationError) as error:
        check_mapping(mapping, [facts(label_set="sci_abstract"), facts("two.csv")])
    assert (
        "Mapping csabstruct is for the label set sci_abstract, and two.csv was labelled with "
        "ten_functions. Pass a mapping for ten_functions, or an output of sci_abstract."
    ) == str(error.value)


def test_the_command_says_so_before_it_reads_labels(tmp_path: Path) -> None:
    """Unless the set is named, which is the user's own word."""
    path = written(tmp_path, [("id", "text", "gold"), ("1", "For example, x.", "method")])
    assert 0 == semfn("run", path, "--topic", "T", "--route", "offline").exit_code
    asked = ("evaluate", tmp_path / "chunks.labeled.csv", "--gold", "gold")
    result = semfn(*asked, "--mapping", "csabstruct")
    assert 2 == result.exit_code
    assert "was labelled with ten_functions. Pass a mapping for ten_functions" in result.stderr


def test_results_that_cannot_be_read_are_told_and_left_out(tmp_path: Path) -> None:
    """The figures do not need them."""
    told: list[str] = []
    output = tmp_path / "one.csv"
    output.with_name("one.csv.run-results.json").write_text("{", encoding="utf-8")
    assert [] == known_facts([output, tmp_path / "two.csv"], told.append)
    assert 1 == len(told) and "it is no JSON" in told[0]


def test_what_is_the_same_needs_no_note() -> None:
    """Two outputs of the same way, or one of the set that is loaded."""
    assert () == notes_on([facts(), facts("two.csv")], TEN)
    assert () == notes_on([], TEN)


def test_definitions_that_changed_are_noted() -> None:
    """For each output that was made with others, and between the two; the prompt follows."""
    old = facts("two.csv", digest="other", way=KNOWN | {"prompt": "q"})
    own, between = notes_on([facts(), old], TEN)
    assert own.startswith("two.csv was labelled with ten_functions as it was then, which is not")
    assert between.endswith("They differ in: label set or its definitions.")


@pytest.mark.parametrize(
    ("entry", "value", "name"),
    [
        ("prompt", "q", "prompt"),
        ("context", "0", "neighbours sent along (--context)"),
        ("chunks_per_request", "1", "chunks in a request"),
        ("language", "ru", "language"),
    ],
)
def test_another_way_of_asking_is_noted(entry: str, value: str, name: str) -> None:
    """An entry that one of the results does not have says nothing."""
    other = facts("two.csv", way=KNOWN | {entry: value})
    (note,) = notes_on([facts(), other], TEN)
    assert note.startswith("one.csv and two.csv were not asked in the same way")
    assert note.endswith(f"They differ in: {name}.")
    assert () == notes_on([facts(), facts("two.csv", way=KNOWN | {entry: ""})], TEN)


def test_another_topic_is_noted() -> None:
    """By its digest; the topic itself is in no results."""
    (note,) = notes_on([facts(), facts("two.csv", topic="abc")], TEN)
    assert note.endswith("They differ in: topic.")
