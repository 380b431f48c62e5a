"""Options and files become joined rows; what was read is known, so that nothing overwrites it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.commands.evaluate import evaluate
from analysis.commands.evaluate_inputs import Inputs, read_inputs
from analysis.errors import ConfigurationError, InputError
from tests.commands.labelled import gold_file, output
from tests.commands.running import written


def inputs(*words: object) -> tuple[Inputs, list[str]]:
    """Read what a command line names; return it with what was told."""
    told: list[str] = []
    context = evaluate.make_context("evaluate", [str(word) for word in words])
    options: dict[str, Any] = context.params
    return read_inputs(options, told.append), told


def test_gold_in_the_output_needs_no_ids(tmp_path: Path) -> None:
    """Rows of one file meet by their place, so doubled ids do no harm."""
    path = output(tmp_path, "noise example", "noise noise")
    path.write_text(path.read_text("utf-8").replace("c2", "c1"), encoding="utf-8")
    found, _ = inputs(path, "--gold", "label")
    assert found.gold is not None
    assert [("noise",), ("noise",)] == [gold.labels for gold, _ in found.gold.matched.pairs]
    assert "column 'label'" == found.gold.title


def test_all_files_that_were_read_are_known(tmp_path: Path) -> None:
    """Output, gold and other output."""
    one = output(tmp_path, "noise")
    two = output(tmp_path, "noise", name="two.csv")
    gold = gold_file(tmp_path, "noise")
    found, _ = inputs(one, "--gold", gold, "--against", two)
    assert (one, gold, two) == found.paths


def test_gold_of_the_first_output_serves_the_second(tmp_path: Path) -> None:
    """The gold column stands in one of two outputs; ids carry it to the other."""
    one = output(tmp_path, "noise example", "noise noise")
    two = output(tmp_path, "example noise", name="two.csv", first=2)
    found, _ = inputs(one, "--gold", "label", "--against", two)
    assert found.other is not None and found.other.gold is not None
    assert (1, ("c3",)) == (len(found.other.gold.pairs), found.other.gold.only_second)


def test_notes_on_files_are_told(tmp_path: Path) -> None:
    """A delimiter that was taken from the header is not taken silently."""
    path = output(tmp_path, "noise")
    gold = tmp_path / "gold.csv"
    gold.write_text("id;label\nc1;noise\n", encoding="utf-8")
    _, told = inputs(path, "--gold", gold)
    assert 1 == len(told)
    assert told[0].startswith(f"{gold}: ")


def test_the_label_set_follows_the_mapping(tmp_path: Path) -> None:
    """An option that contradicts it is refused."""
    path = output(tmp_path, "method", "METHODS")
    found, _ = inputs(path, "--gold", "label", "--mapping", "pubmed_rct")
    assert "sci_abstract" == found.how.label_set.name
    with pytest.raises(ConfigurationError, match="is for the label set sci_abstract, not argument"):
        inputs(path, "--gold", "label", "--mapping", "pubmed_rct", "--label-set", "argument")


def test_seed_resamples_and_threshold_are_passed_on(tmp_path: Path) -> None:
    """The evaluation is told what the user asked for."""
    words = ("--seed", 7, "--resamples", 20, "--min-confidence", 0.5)
    found, _ = inputs(output(tmp_path, "noise", "noise"), "--gold", "label", *words)
    assert (7, 20, 0.5) == (found.how.seed, found.how.resamples, found.how.min_confidence)


def test_tables_without_ids_need_the_same_rows(tmp_path: Path) -> None:
    """Row numbers of two lengths are refused, equal ones told; another text is refused, too."""
    header, *rows = ("text", "semantic_function"), ("One.", "noise"), ("Two.", "example")
    path = written(tmp_path, [header, *rows], "out.csv")
    short = written(tmp_path, [("label",), ("example",)], "short.csv")
    with pytest.raises(InputError, match="neither has a column 'id'"):
        inputs(path, "--gold", short)
    gold = written(tmp_path, [("label",), ("noise",), ("example",)], "gold.csv")
    _, told = inputs(path, "--gold", gold)
    assert [f"{gold} and {path} have no column 'id': joined by row number."] == told
    other = written(tmp_path, [header, *reversed(rows)], "other.csv")
    with pytest.raises(InputError, match="row 1 has two different texts, and so has 1 more"):
        inputs(path, "--against", other)


def test_doubled_ids_are_told_before_texts(tmp_path: Path) -> None:
    """The cause comes first."""
    header = ("id", "text", "semantic_function")
    path = written(tmp_path, [header, ("a", "One.", "noise"), ("a", "Two.", "noise")], "out.csv")
    other = written(tmp_path, [header, ("a", "One.", "noise")], "other.csv")
    with pytest.raises(InputError, match="repeat the id"):
        inputs(path, "--against", other)
