"""Mappings from labels of a corpus to keys: the shipped files, and files of users."""

from __future__ import annotations

import pytest

from analysis.errors import ConfigurationError
from analysis.evaluation.mapping import Mapping, fold_all, folded
from analysis.labels.label_set import LabelSet
from tests.tidy.source_tree import ROOT

TEXT = """
name = "mine"
label_set = "sci_abstract"
source = "a corpus"
ignore = ["Title"]

[gold]
METHODS = "method"
"study design" = "method"

[predicted]
conclusion = "result"
"""


@pytest.mark.parametrize("name", Mapping.available())
def test_shipped_mappings_fit_their_label_sets(name: str) -> None:
    """Each file is called as it says, and names keys of its set only."""
    mapping = Mapping.load(name)
    mapping.check(LabelSet.load(mapping.label_set))
    assert (name, True) == (mapping.name, bool(mapping.source))


def test_mappings_of_the_usual_corpora_are_shipped() -> None:
    """Names that docs and users rely on."""
    expected = {"biorc800", "cna", "csabstruct", "law_india", "microtexts", "newsdiscourse"}
    assert expected | {"nicta_piboso", "persuasive_essays", "pubmed_rct"} == set(
        Mapping.available()
    )


def test_a_rebuttal_of_the_microtexts_is_a_counter_argument() -> None:
    """In the corpus the word names the attack, in the set the answer to it."""
    gold = Mapping.load("microtexts").gold
    assert ("counter", "rebuttal") == (gold["rebuttal"], gold["undercut"])


def test_a_file_is_read() -> None:
    """Gold labels are known in any case, width and with spaces around."""
    mapping = Mapping.parse(TEXT, source="mine.toml")
    assert "method" == mapping.gold[folded(" Methods ")] == mapping.gold[folded("ＭＥＴＨＯＤＳ")]
    assert frozenset({"title"}) == mapping.ignore


def test_the_file_of_the_documentation_is_read() -> None:
    """The page shows a file that works."""
    page = (ROOT / "docs" / "howto" / "evaluate-labels.md").read_text(encoding="utf-8")
    text = next(block for block in page.split("```text\n") if block.startswith("name = "))
    mapping = Mapping.parse(text.split("```", maxsplit=1)[0], source="mine.toml")
    mapping.check(LabelSet.load("sci_abstract"))
    assert ("method", "result") == (mapping.gold["methods"], mapping.predicted["conclusion"])


def test_the_table_of_the_documentation_is_complete() -> None:
    """Every shipped mapping stands on the page."""
    page = (ROOT / "docs" / "howto" / "evaluate-labels.md").read_text(encoding="utf-8")
    assert [] == [name for name in Mapping.available() if f"`{name}`" not in page]


def test_labels_that_the_corpus_does_not_have_are_folded() -> None:
    """A conclusion counts as a result; two labels that become one are one."""
    mapping = Mapping.parse(TEXT, source="mine.toml")
    assert ("result",) == fold_all(("conclusion", "result"), mapping)
    assert ("conclusion", "other") == fold_all(("conclusion", "other"), None)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("[gold]", "[gold", "is not TOML"),
        ('name = "mine"', "", "needs a text in 'name', found nothing. Write name = "),
        ('source = "a corpus"', 'source = " "', "needs a text in 'source'"),
        ('METHODS = "method"', "METHODS = 3", "[gold] must hold lines"),
        ('name = "mine"', f"name = {'[' * 3000}", "Brackets stand in brackets more than 100 deep"),
        ('name = "mine"', f"name = {'1' * 5000}", "A number has too many digits (at line 2)"),
        ('name = "mine"', 'name = "a\\u001b[1m"', "control character in 'name': \"a\\u001b[1m\"."),
        ('ignore = ["Title"]', "ignore = [true]", "'ignore' must be a list of gold labels, not [t"),
        ("[predicted]", "[guessed]", "unknown field 'guessed'"),
        ('METHODS = "method"', 'METHODS = "method"\nMethods = "result"', "stands for two keys"),
        ('ignore = ["Title"]', 'ignore = "Title"', "'ignore' must be a list"),
        ('ignore = ["Title"]', 'ignore = ["methods"]', "'methods' is both mapped and ignored"),
    ],
)
def test_broken_files_are_refused(old: str, new: str, part: str) -> None:
    """The message names the file and what is wrong in it."""
    with pytest.raises(ConfigurationError) as refused:
        Mapping.parse(TEXT.replace(old, new), source="mine.toml")
    assert "mine.toml" in str(refused.value)
    assert part in str(refused.value)


def test_a_file_without_gold_labels_is_refused() -> None:
    """There would be nothing to map."""
    text = TEXT.split("[gold]", maxsplit=1)[0]
    with pytest.raises(ConfigurationError, match=r"needs a table \[gold\]"):
        Mapping.parse(text, source="mine.toml")


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    """A mistyped key would leave its rows wrong."""
    mapping = Mapping.parse(TEXT.replace('"result"', '"results"'), source="mine.toml")
    with pytest.raises(ConfigurationError, match=r"'results', which is no key .* nearest: result"):
        mapping.check(LabelSet.load("sci_abstract"))


def test_a_key_without_a_similar_one_is_refused_with_all() -> None:
    """Naming any of them as nearest would be a guess."""
    mapping = Mapping.parse(TEXT.replace('"result"', '"banana"'), source="mine.toml")
    with pytest.raises(ConfigurationError, match="there are: background, objective, method, resul"):
        mapping.check(LabelSet.load("sci_abstract"))


def test_a_name_in_place_of_a_key_is_refused_with_the_key() -> None:
    """A mapping leads to keys; whoever wrote the name in another language is told which."""
    mapping = Mapping.parse(TEXT.replace('"method"', '"методы"'), source="mine.toml")
    with pytest.raises(ConfigurationError, match=r"'методы', which is no key .*nearest: method"):
        mapping.check(LabelSet.load("sci_abstract"))


def test_another_label_set_is_refused() -> None:
    """The message says which set the mapping is for."""
    with pytest.raises(ConfigurationError, match="Pass --label-set sci_abstract"):
        Mapping.parse(TEXT, source="mine.toml").check(LabelSet.load("ten_functions"))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """All names are listed."""
    with pytest.raises(ConfigurationError, match=r"nearest: pubmed_rct. Pass one of: biorc800, "):
        Mapping.load("pubmed")
