"""What results beside outputs say of their label sets, and what is refused or noted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.commands.vote_facts import VoterFacts, common_label_set, facts_beside, notes_on
from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from tests.commands.running import semfn, table
from tests.pipeline.table_files import refusal

TEN = LabelSet.load("ten_functions")
ZH = TEN.in_language("zh")


def facts(name: str, **fields: Any) -> VoterFacts:
    """Return the facts of an output of a run with the default set."""
    usual = {"label_set": TEN.name, "digest": TEN.digest, "topic": "a", "way": ("rest", "10")}
    return VoterFacts(output=Path(name), **usual | fields)


def test_an_output_without_results_has_no_facts(tmp_path: Path) -> None:
    """Results of other outputs in the folder do not count."""
    (tmp_path / "run-results.json").write_text(json.dumps({"outputs": ["other.csv"]}))
    assert facts_beside(tmp_path / "out.csv") is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"record": {"label_set": "a 1"}}'])
def test_broken_results_are_refused(tmp_path: Path, text: str) -> None:
    """They are named, and how to go on; nothing is guessed."""
    (tmp_path / "out.csv.run-results.json").write_text(text)
    message = refusal(lambda: facts_beside(tmp_path / "out.csv"), ConfigurationError)
    assert str(tmp_path / "out.csv.run-results.json") in message
    assert "--label-set" in message


def test_the_results_of_a_run_are_read(tmp_path: Path) -> None:
    """Two runs over one table that differ in their packs were not asked in the same way."""
    chunks = table(tmp_path, 3)
    for name, size in (("one", 1), ("ten", 10), ("again", 10)):
        target = tmp_path / f"{name}.csv"
        given = ("run", chunks, "-o", target, "--max-chunks-per-request", size, "--quiet")
        assert 0 == semfn(*given, "--route", "offline").exit_code
    found = [facts_beside(tmp_path / f"{name}.csv") for name in ("one", "ten", "again")]
    known = [one for one in found if one is not None]
    assert [(TEN.name, TEN.digest)] * 3 == [(one.label_set, one.digest) for one in known]
    assert known[0].way != known[1].way
    assert known[1].way == known[2].way


def test_results_of_a_folder_tell_of_its_outputs(tmp_path: Path) -> None:
    """A run over several inputs writes one file for all of them."""
    inputs = [table(tmp_path, 2, name) for name in ("a.csv", "b.csv")]
    folder = tmp_path / "out"
    given = ("run", *inputs, "-o", folder, "--route", "offline", "--quiet")
    assert 0 == semfn(*given).exit_code
    output = next(path for path in folder.iterdir() if path.suffix == ".csv")
    found = facts_beside(output)
    assert found is not None
    assert TEN.digest == found.digest


def test_different_sets_are_refused() -> None:
    """Both outputs and both sets are named."""
    other = facts("two.csv", label_set="argument", digest="x")
    message = refusal(lambda: common_label_set(None, [facts("one.csv"), other]), ConfigurationError)
    assert "one.csv was labelled with the set ten_functions, two.csv with argument" in message


def test_one_set_in_two_forms_is_refused() -> None:
    """The same name with another digest has other definitions."""
    changed = facts("two.csv", digest="x")
    message = refusal(
        lambda: common_label_set(None, [facts("one.csv"), changed]), ConfigurationError
    )
    assert "two.csv with ten_functions with other definitions" in message


def test_another_set_than_that_of_the_runs_is_refused() -> None:
    """The option is not followed against what the results say."""
    message = refusal(lambda: common_label_set("argument", [facts("one.csv")]), ConfigurationError)
    assert "Leave --label-set argument out." in message


def test_a_set_that_changed_since_the_run_is_refused() -> None:
    """What the labels meant then is not what they mean now."""
    message = refusal(
        lambda: common_label_set(None, [facts("one.csv", digest="x")]), ConfigurationError
    )
    words = f"one.csv was labelled with another set than ten_functions {TEN.version} is now"
    assert words in message


def test_a_set_whose_file_has_gone_is_named_by_option() -> None:
    """The message says which output needs it."""
    gone = facts("one.csv", label_set="/nowhere/mine.toml")
    message = refusal(lambda: common_label_set(None, [gone]), ConfigurationError)
    assert message.endswith("one.csv was labelled with it; name it with --label-set.")


def test_without_results_the_option_or_the_default_holds() -> None:
    """Then only the keys can be checked, by whoever reads the rows."""
    assert "argument" == common_label_set("argument", []).name
    assert "ten_functions" == common_label_set(None, []).name


def test_outputs_that_were_asked_alike_are_noted() -> None:
    """They are hardly two opinions; different topics are noted, too."""
    found = [facts("a"), facts("b", way=("rest", "1")), facts("c", topic="b")]
    same, topics = notes_on(found)
    assert same.startswith("a and c were asked in the same way")
    assert "The outputs were labelled with different topics." == topics
    assert [] == notes_on([facts("a"), facts("b", way=("rest", "1"), topic="")])


def test_labels_of_another_run_are_noted(tmp_path: Path) -> None:
    """With --reuse the labels of one run stand in two outputs."""
    chunks = table(tmp_path, 3)
    given = ("run", chunks, "--route", "offline", "--quiet")
    assert 0 == semfn(*given, "-o", tmp_path / "one.csv").exit_code
    ledger = tmp_path / "one.csv.semfn.sqlite"
    assert 0 == semfn(*given, "-o", tmp_path / "two.csv", "--reuse", ledger).exit_code
    found = facts_beside(tmp_path / "two.csv")
    assert found is not None
    (note,) = notes_on([found])
    assert note.startswith(f"3 labels of {tmp_path / 'two.csv'} came from the ledger of another")


def test_outputs_with_other_words_for_the_same_labels_are_counted_together() -> None:
    """Examples, or definitions in another language: other opinions on the same labels."""
    told = [facts("two.csv", digest=one.digest) for one in (TEN.with_examples(), TEN)]
    assert TEN is common_label_set(None, [*told, facts("three.csv", digest=ZH.digest)])
