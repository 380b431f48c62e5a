"""The command `label-sets` prints sets and labels."""

from __future__ import annotations

import json
import unicodedata

import pytest
from click.testing import CliRunner

from analysis.commands.label_sets import label_sets
from analysis.labels.label_set import LabelSet

TEN = LabelSet.load("ten_functions")


def printed(*arguments: str) -> str:
    """Run the command, which must succeed without a word on stderr, and return its stdout."""
    outcome = CliRunner().invoke(label_sets, list(arguments))
    assert (0, "") == (outcome.exit_code, outcome.stderr)
    return outcome.stdout


def columns_before(line: str, part: str) -> int:
    """Return how many columns of a terminal stand before `part`."""
    before = line[: line.index(part)]
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in before)


def test_without_argument_the_sets_are_listed() -> None:
    """Each set has a line with name, version, number of labels and default."""
    lines = [line.split() for line in printed().splitlines()]
    assert [
        ["name", "version", "labels", "default"],
        ["ten_functions", "1", "10", "topic_development"],
    ] == lines


@pytest.mark.parametrize("language", ["en", "ru", "fr", "zh"])
def test_definitions_start_in_the_same_column(language: str) -> None:
    """The table is aligned in every language, Chinese characters counted as two columns."""
    header, *lines = printed("show", "ten_functions", "--language", language).splitlines()
    starts = [
        columns_before(line, label.definition)
        for line, label in zip(lines, TEN.labels, strict=True)
    ]
    assert [columns_before(header, "definition")] * len(TEN.labels) == starts


def test_names_are_shown_in_the_language_asked_for() -> None:
    """English is the default, other languages by option."""
    assert "Key thesis" in printed("show", "ten_functions")
    assert "核心论点" in printed("show", "ten_functions", "--language", "zh")


def test_json_holds_the_whole_set() -> None:
    """The JSON document has policy, digest and all names, in the order of the set."""
    document = json.loads(printed("show", "ten_functions", "--json"))
    assert [TEN.digest, 2, ["noise"]] == [
        document[key] for key in ("digest", "max_labels", "alone")
    ]
    assert list(TEN.keys) == [label["key"] for label in document["labels"]]
    assert "Шум" == document["labels"][4]["names"]["ru"]


def test_an_unknown_set_is_a_usage_error() -> None:
    """A mistyped name exits with 2, names the nearest set and leaves stdout empty."""
    outcome = CliRunner().invoke(label_sets, ["show", "ten_function"])
    assert (2, "") == (outcome.exit_code, outcome.stdout)
    assert "nearest: ten_functions" in outcome.stderr
