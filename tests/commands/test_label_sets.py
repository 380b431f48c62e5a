"""The command `label-sets` prints sets and labels."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

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
        ["name", "version", "labels", "per", "chunk", "default"],
        ["argument", "2", "8", "1", "to", "2", "non_argument"],
        ["doc_zones", "2", "7", "1", "body"],
        ["intro_moves", "2", "8", "1", "to", "2", "other"],
        ["legal_roles", "2", "7", "1", "ratio"],
        ["news_schema", "2", "9", "1", "current_context"],
        ["sci_abstract", "2", "6", "1", "to", "2", "other"],
        ["ten_functions", "2", "10", "1", "to", "2", "topic_development"],
    ] == lines


@pytest.mark.parametrize("language", ["en", "ru", "fr", "zh"])
def test_definitions_start_in_the_same_column(language: str) -> None:
    """The table is aligned in every language, Chinese characters counted as two columns."""
    table = printed("show", "ten_functions", "--language", language).partition("\n\n")[0]
    header, *lines = table.splitlines()
    starts = [
        columns_before(line, label.told) for line, label in zip(lines, TEN.labels, strict=True)
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


def test_examples_are_shown_on_demand() -> None:
    """Below the table, each with its label; the JSON document always has them."""
    first = TEN.labels[0].examples[0]
    shown = printed("show", "ten_functions", "--examples")
    assert "" == shown.partition(printed("show", "ten_functions"))[0]
    (line,) = (line for line in shown.splitlines() if first in line)
    assert line.startswith("topic_development ")
    assert first not in printed("show", "ten_functions")
    document = json.loads(printed("show", "ten_functions", "--json"))
    assert first == document["labels"][0]["examples"][0]


def test_aliases_and_policy_are_shown() -> None:
    """A refused label points here, so everything that is read must stand here."""
    table, aliases, policy = printed("show", "ten_functions").split("\n\n")
    assert len(TEN.labels) + 1 == len(table.splitlines())
    shown = [line.split(maxsplit=1) for line in aliases.splitlines()]
    assert ["key", "also read as"] == shown[0]
    assert [[one.key, ", ".join(one.aliases)] for one in TEN.labels] == shown[1:]
    assert [
        "At most 2 for a chunk, default topic_development; headings, captions and very short "
        "chunks: topic_development; topic needed.",
        "Without a second label: noise",
        "Kinds: content (topic_development, example, key_thesis, contrast); style "
        "(metaphor_analogy, humour_irony, lyrical_digression)",
        "Pairs that the model is told: content with style; example with contrast; key_thesis with "
        "contrast; transition with topic_change; humour_irony with metaphor_analogy",
    ] == policy.splitlines()


def test_rules_and_forbidden_pairs_are_shown(tmp_path: Path) -> None:
    """And that there is no rule for headings."""
    path = tmp_path / "own.toml"
    text = LabelSet.text_of("argument").replace('name = "argument"', 'name = "own"')
    policy = '[policy]\nresidual = ""\nrules = ["Be strict."]\nforbidden = [["reason", "claim"]]'
    policy += '\ntopic = "optional"\ncriterion = "the boldest one"'
    path.write_text(text.replace("[policy]", policy), encoding="utf-8")
    assert [
        "At most 2 for a chunk, default non_argument; headings, captions and very short chunks: "
        "no rule; topic optional.",
        "Without a second label: non_argument",
        "Pairs that the model is told: counter with rebuttal; claim with evidence",
        "Pairs that are asked again: claim with reason",
        "Main label: the boldest one",
        "Also told: Be strict.",
    ] == printed("show", str(path)).split("\n\n")[2].splitlines()


@pytest.mark.parametrize("language", ["ru", "fr", "zh"])
def test_definitions_in_another_language_are_shown(language: str) -> None:
    """With names in English unless the other option says so; the JSON has them, too."""
    text = printed("show", "ten_functions", "--definitions", language)
    assert "Key thesis" in text
    assert TEN.labels[3].definitions[language] in text
    document = json.loads(printed("show", "ten_functions", "--definitions", language, "--json"))
    expected = language, TEN.in_language(language).digest
    assert expected == (document["definition_language"], document["digest"])


def test_definitions_that_a_set_does_not_have_are_refused() -> None:
    """With what to add to a file."""
    said = refused("show", "argument", "--definitions", "fr")
    assert "Label set argument has no definitions in 'fr' for central_claim, claim, " in said


def test_an_unknown_set_is_a_usage_error() -> None:
    """A mistyped name exits with 2, names the nearest set and leaves stdout empty."""
    for command in ("show", "export"):
        outcome = CliRunner().invoke(label_sets, [command, "ten_function"])
        assert (2, "") == (outcome.exit_code, outcome.stdout)
        assert "nearest: ten_functions" in outcome.stderr


def refused(*arguments: str) -> str:
    """Run the command, which must exit with 2 and an empty stdout, and return its stderr."""
    outcome = CliRunner().invoke(label_sets, list(arguments))
    assert (2, "") == (outcome.exit_code, outcome.stdout)
    return " ".join(outcome.stderr.split())


def test_an_exported_set_becomes_an_own_one(tmp_path: Path) -> None:
    """Exported, renamed, changed, checked, shown; the first check tells what to change."""
    path = tmp_path / "my.toml"
    assert "" == printed("export", "argument", "-o", str(path))
    text = path.read_text(encoding="utf-8")
    assert "to be changed. Give it a name of its own" in text
    assert LabelSet.load("argument").digest == LabelSet.load(str(path)).digest
    changed = text.replace("Weakens a counter-argument.", "Answers an attack.")
    path.write_text(changed, encoding="utf-8")
    assert "line 7: the set calls itself 'argument'" in refused("check", str(path))
    path.write_text(changed.replace('name = "argument"', 'name = "my_argument"'), encoding="utf-8")
    lines = printed("check", str(path)).splitlines()
    assert f"{path}: the set my_argument can be used." == lines[0]
    assert lines[1].startswith("8 labels, at most 2 for a chunk, default non_argument; digest ")
    assert lines[2].startswith("Instructions and schema: about ")
    assert lines[3].startswith("With --examples: about ")
    assert 4 == len(lines)
    assert "Answers an attack." in printed("show", str(path))


def test_export_without_file_writes_the_set_as_it_is_shipped() -> None:
    """To look at it or to pipe it."""
    assert LabelSet.text_of("sci_abstract") == printed("export", "sci_abstract")


def test_export_never_writes_over_a_file(tmp_path: Path) -> None:
    """The own work may be in it."""
    path = tmp_path / "my.toml"
    path.write_text("mine", encoding="utf-8")
    assert "exists. Pass the name of a new file with -o." in refused(
        "export", "argument", "-o", str(path)
    )
    assert "mine" == path.read_text(encoding="utf-8")
    assert "cannot be written: No such file or directory." in refused(
        "export", "argument", "-o", str(tmp_path / "no" / "my.toml")
    )


def test_labels_without_name_are_told(tmp_path: Path) -> None:
    """With the name that stands instead; stdout holds the table alone."""
    path = tmp_path / "bare.toml"
    path.write_text(
        'name = "bare"\nversion = "1"\n[policy]\ndefault = "a"\nmax_labels = 1\n'
        '[[labels]]\nkey = "a"\ndefinition = "First."\nnames.en = "Alpha"\n'
        '[[labels]]\nkey = "b"\ndefinition = "Second."\n',
        encoding="utf-8",
    )
    outcome = CliRunner().invoke(label_sets, ["show", str(path), "--language", "ru"])
    assert 0 == outcome.exit_code
    rows = [["key", "name", "definition"], ["a", "Alpha", "First."], ["b", "b", "Second."]]
    table, _, policy = outcome.stdout.partition("\n\n")
    assert rows == [line.split() for line in table.splitlines()]
    assert (
        "At most 1 for a chunk, default a; headings, captions and very short chunks: a; topic "
        "needed.\n"
    ) == policy
    assert (
        "Without name in ru, where the English name or the key stands instead: a, b.\n"
    ) == outcome.stderr
    lines = printed("check", str(path)).splitlines()
    assert "Without name in en, where their keys stand instead: b." == lines[3]


def test_a_missing_file_is_a_usage_error() -> None:
    """Also where a shipped set has the name of the file."""
    for command in ("show", "check"):
        assert "argument.toml cannot be read" in refused(command, "argument.toml")
