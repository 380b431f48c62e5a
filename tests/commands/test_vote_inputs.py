"""Outputs become opinions: what is refused, what is left out, and how rows meet."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from analysis.commands.vote import vote
from analysis.commands.vote_inputs import Ballots, open_outputs, read_ballots
from analysis.errors import ConfigurationError, InputError
from analysis.evaluation.votes import ABSENT, Opinion
from tests.commands.labelled import OUTPUT_HEADER, output, output_rows
from tests.commands.running import written
from tests.pipeline.table_files import assert_says, refusal

LUNA = ("gpt-6-luna",)


def ballots(*words: object) -> Ballots:
    """Read what a command line names."""
    context = vote.make_context("vote", [*map(str, words), "-o", "-"])
    options: dict[str, Any] = context.params
    told: list[str] = []
    return read_ballots(options, open_outputs(options, told.append).tables)


def said(*words: object, kind: type[Exception] = InputError) -> str:
    """Return the message of the refusal of a command line."""
    return refusal(lambda: ballots(*words), kind)


def labels_of(found: Ballots) -> list[list[str]]:
    """Return per output the labels of each row, with a plus between two."""
    return [["+".join(one.labels) for one in opinions] for opinions in found.opinions]


def test_one_output_is_no_vote(tmp_path: Path) -> None:
    """The cure says which outputs are worth naming."""
    message = said(output(tmp_path, "noise"), kind=ConfigurationError)
    assert_says(message, "Votes need two outputs or more", "--model or --max-chunks-per-request")


def test_an_output_has_one_vote(tmp_path: Path) -> None:
    """The same file under another name is found, too."""
    one = output(tmp_path, "noise")
    (tmp_path / "link.csv").symlink_to(one)
    assert_says(said(one, tmp_path / "link.csv"), "link.csv is named twice", "name it once")


def test_a_missing_output_is_named(tmp_path: Path) -> None:
    """With the nearest file."""
    assert_says(said(output(tmp_path, "noise"), tmp_path / "ou.csv"), "ou.csv: no such file")


def test_a_table_without_labels_is_no_output(tmp_path: Path) -> None:
    """The input of the run, named by mistake."""
    chunks = written(tmp_path, [("id", "text"), ("c1", "Text 1.")], "chunks.csv")
    message = said(output(tmp_path, "noise"), chunks)
    assert_says(message, "chunks.csv has no column 'semantic_function'", "no output of semfn run")


def test_a_count_of_votes_does_not_vote(tmp_path: Path) -> None:
    """Its outputs would have two votes."""
    header = (*OUTPUT_HEADER, "semfn_votes")
    rows = [(*row, "noise=2") for row in output_rows("noise")]
    counted = written(tmp_path, [header, *rows], "voted.csv")
    assert_says(said(output(tmp_path, "noise"), counted), "voted.csv", "'semfn_votes'")


def test_an_unknown_label_is_refused_with_the_nearest(tmp_path: Path) -> None:
    """Which file, which row, and what may have been meant."""
    other = output(tmp_path, "noise exampel", name="two.csv")
    message = said(output(tmp_path, "noise noise"), other)
    assert_says(message, "two.csv", "'exampel' (1 x, first row 2; nearest: example)")


def test_doubled_ids_are_refused(tmp_path: Path) -> None:
    """In any of the outputs."""
    other = output(tmp_path, "noise noise", name="two.csv")
    other.write_text(other.read_text("utf-8").replace("c2", "c1"), encoding="utf-8")
    message = said(output(tmp_path, "noise noise"), other)
    assert_says(message, "two.csv: 1 rows repeat the id of an earlier row, first 'c1'")


def test_ids_that_never_meet_are_refused(tmp_path: Path) -> None:
    """Outputs of two inputs."""
    other = output(tmp_path, "noise", name="two.csv", first=9)
    assert_says(said(output(tmp_path, "noise"), other), "No id of", "'c1' and 'c9'", "--id-column")


def test_ids_do_not_meet_row_numbers(tmp_path: Path) -> None:
    """The file without ids is named."""
    other = written(tmp_path, [("text", "semantic_function"), ("Text 1.", "noise")], "two.csv")
    assert_says(said(output(tmp_path, "noise"), other), "two.csv has no column 'id'")


def test_another_text_under_an_id_is_refused(tmp_path: Path) -> None:
    """An input that was sorted, cut or edited between two runs without an id column."""
    other = output(tmp_path, "noise noise", name="two.csv")
    other.write_text(other.read_text("utf-8").replace("Text 2.", "Text two."), encoding="utf-8")
    message = said(output(tmp_path, "noise noise"), other)
    assert_says(message, "1 row has another text in", "two.csv", "under the same id: 'c2'")


def test_shuffled_rows_without_ids_are_refused(tmp_path: Path) -> None:
    """Row numbers are ids there; the texts show that they do not mean the same."""
    header = ("text", "semantic_function")
    one = written(tmp_path, [header, ("A.", "noise"), ("B.", "example")], "one.csv")
    two = written(tmp_path, [header, ("B.", "example"), ("A.", "noise")], "two.csv")
    assert_says(said(one, two), "2 rows have another text", "'1', '2'")


def test_a_text_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    """It is not passed over."""
    one, two = output(tmp_path, "noise"), output(tmp_path, "noise", name="two.csv")
    assert_says(said(one, two, "--text-column", "body"), "has no column 'body'", "--text-column")


def test_texts_that_are_not_there_are_not_compared(tmp_path: Path) -> None:
    """That is said; the texts of the others are compared all the same."""
    one, three = output(tmp_path, "noise"), output(tmp_path, "noise", name="three.csv")
    two = written(tmp_path, [("id", "semantic_function"), ("c1", "noise")], "two.csv")
    (note,) = ballots(one, two).notes
    assert_says(note, f"The texts of {two} were not compared")
    three.write_text(three.read_text("utf-8").replace("Text 1.", "Text I."), encoding="utf-8")
    assert_says(said(one, two, three), "1 row has another text", "three.csv")


def test_an_apostrophe_against_formulas_is_no_other_text(tmp_path: Path) -> None:
    """One run wrote its output with `--csv-formulas guard`, the other one did not."""
    one, two = output(tmp_path, "noise"), output(tmp_path, "noise", name="two.csv")
    one.write_text(one.read_text("utf-8").replace("Text 1.", "=1+1"), encoding="utf-8")
    two.write_text(two.read_text("utf-8").replace("Text 1.", "'=1+1"), encoding="utf-8")
    assert [["noise"], ["noise"]] == labels_of(ballots(one, two))


def test_rows_meet_by_id_in_the_order_of_the_first(tmp_path: Path) -> None:
    """Shuffled rows of the other output change nothing."""
    labels = "noise example+metaphor_analogy - contrast key_thesis noise example"
    one = output(tmp_path, labels)
    rows = output_rows("example - noise contrast noise noise key_thesis")
    straight = written(tmp_path, [OUTPUT_HEADER, *rows], "two.csv")
    random.Random(7).shuffle(rows)
    shuffled = written(tmp_path, [OUTPUT_HEADER, *rows], "three.csv")
    expected = ballots(one, straight)
    assert expected.opinions == ballots(one, shuffled).opinions
    assert labels.replace("-", "").split(" ") == labels_of(expected)[0]


def test_rows_of_one_output_only_are_counted_and_named(tmp_path: Path) -> None:
    """Those of the first stay, without a vote of the other; those of the other are left out."""
    one = output(tmp_path, "noise noise noise")
    two = output(tmp_path, "example example", name="two.csv", first=3)
    found = ballots(one, two)
    first, second = found.voters
    assert (0, None, 0, None) == (
        first.missing,
        first.first_missing,
        first.extra,
        first.first_extra,
    )
    assert (2, "c1", 1, "c4") == (
        second.missing,
        second.first_missing,
        second.extra,
        second.first_extra,
    )
    expected = Opinion(labels=("example",), models=LUNA)
    assert (ABSENT, ABSENT, expected) == found.opinions[1]


def test_a_row_without_a_label_has_no_model(tmp_path: Path) -> None:
    """A model that declined did not vote; its error is kept."""
    found = ballots(output(tmp_path, "-"), output(tmp_path, "noise", name="two.csv"))
    assert (Opinion(error="refused"),) == found.opinions[0]


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (("gpt-6-luna", "gpt-6-luna"), "none"),
        (("gpt-6-luna", "offline-rules"), "part"),
        (("digest-labels", "offline-rules"), "all"),
    ],
)
def test_simulated_outputs_are_known(
    tmp_path: Path, models: tuple[str, str], expected: str
) -> None:
    """By the models of the rows with a label, as in an evaluation."""
    rows = [
        row
        for place, model in enumerate(models)
        for row in output_rows("noise -", origin=("rest", model), first=1 + 2 * place)
    ]
    mixed = written(tmp_path, [OUTPUT_HEADER, *rows], "mixed.csv")
    found = ballots(mixed, output(tmp_path, "noise - noise -"))
    assert (expected, "none") == (found.voters[0].simulated, found.voters[1].simulated)
    assert (4, 2) == (found.voters[0].rows, found.voters[0].labelled)


def test_names_in_any_language_and_any_format_are_read(tmp_path: Path) -> None:
    """Names of --label-names ru beside keys in JSON Lines, where a number is an id as text."""
    one = written(
        tmp_path,
        [("id", "text", "semantic_function"), ("1", "A.", "Пояснение на примере")],
        "one.csv",
    )
    line = {"id": 1, "text": "A.", "semantic_function": "example", "semfn_model": "m"}
    two = tmp_path / "two.jsonl"
    two.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert [["example"], ["example"]] == labels_of(ballots(one, two))


def test_a_label_set_can_be_named(tmp_path: Path) -> None:
    """Without results beside the outputs, the option says what the labels are."""
    one, two = (output(tmp_path, "method", name=name) for name in ("one.csv", "two.csv"))
    assert_says(said(one, two), "label set ten_functions does not know: 'method'")
    assert "sci_abstract" == ballots(one, two, "--label-set", "sci_abstract").label_set.name
