"""Lines of an evaluation: matrices, confidence, notes, and ids that could harm a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from analysis.commands.evaluate_wording import (
    agreement_lines,
    difference_lines,
    gold_lines,
    mcnemar_lines,
)
from analysis.evaluation.findings import Evaluation, Findings, against_gold, between_outputs
from analysis.evaluation.rows import GoldRow, OutputRow, match
from analysis.labels.label_set import LabelSet

TEN = LabelSet.load("ten_functions")


def rows(labels: str, model: str = "gpt-6-luna", **facts: Any) -> list[OutputRow]:
    """Return an output row per word; `-` has no label."""
    return [
        OutputRow(
            id=f"c{number}",
            labels=() if word == "-" else tuple(word.split("+")),
            route="rest",
            model=model,
            attempts=1,
            **facts,
        )
        for number, word in enumerate(labels.split())
    ]


def judged(found: list[OutputRow], gold: str, **options: Any) -> Findings:
    """Hold rows against a gold label per word."""
    how = Evaluation(
        label_set=TEN, simulated_models=frozenset({"offline-rules"}), resamples=0, **options
    )
    right = [GoldRow(id=f"c{n}", labels=tuple(w.split("+"))) for n, w in enumerate(gold.split())]
    return against_gold(match(right, found, first_name="gold", second_name="out"), how)


def shown(found: Findings) -> list[str]:
    """Return the lines of an evaluation against gold, with keys."""
    return gold_lines(found.document, str, output="out.csv", gold="column 'label'")


def section(lines: list[str], title: str) -> list[str]:
    """Return the lines below a title up to the next empty line."""
    start = next(index for index, line in enumerate(lines) if line.startswith(title)) + 1
    return lines[start : lines.index("", start)] if "" in lines[start:] else lines[start:]


def test_the_confusion_matrix_has_numbered_columns() -> None:
    """Gold goes down, output across; missing labels have the last column and no row."""
    lines = shown(judged(rows("noise noise example -"), "noise example example noise"))
    assert "Confusion, gold down, output across by number; 3 is (none)" in lines
    assert [
        "           1 2 3",
        "1 example  1 1 .",
        "2 noise    . 1 1",
    ] == section(lines, "Confusion")


def test_labels_have_their_scores() -> None:
    """Counts of both sides, precision, recall and F1."""
    lines = section(shown(judged(rows("noise noise example"), "noise example example")), "Labels")
    assert [
        "         gold  output  precision  recall     F1",
        "example     2       1      1.000   0.500  0.667",
        "noise       1       2      0.500   1.000  0.667",
    ] == lines


def test_labelled_rows_stand_beside_only_where_labels_are_missing() -> None:
    """Else the two columns would be the same."""
    some = section(shown(judged(rows("noise -"), "noise noise")), "Scores")
    full = section(shown(judged(rows("noise noise"), "noise example")), "Scores")
    assert (True, False) == ("labelled only" in some[0], "labelled only" in full[0])


def test_a_figure_that_is_not_defined_says_so() -> None:
    """Kappa of one label everywhere is neither zero nor one."""
    lines = section(shown(judged(rows("noise noise"), "noise noise")), "Scores")
    (kappa,) = [line.split() for line in lines if line.startswith("Cohen's kappa")]
    assert ["not", "defined", "not", "defined"] == kappa[2:]


def test_rows_by_route_and_model_are_marked() -> None:
    """A mixture of rules and a model has a line for each, and a note."""
    found = rows("noise example")
    found[1] = rows("- example", "offline-rules")[1]
    lines = shown(judged(found, "noise example"))
    assert [False, True] == [
        line.endswith("simulated") for line in section(lines, "Labelled rows by route")[1:]
    ]
    assert any(line.startswith("Note: Some labels are simulated") for line in lines)


def test_confidence_has_ten_lines_with_counts() -> None:
    """Empty bins are shown without figures."""
    found = judged(rows("noise noise", confidence=0.95), "noise example", min_confidence=0.9)
    lines = section(shown(found), "Confidence of 2 rows: ECE 0.450, Brier 0.453")
    assert (13, "0.0 to 0.1     0") == (len(lines), lines[1])
    assert "0.9 to 1.0     2  0.950     0.500" == lines[10]
    assert "Stated by: rest, gpt-6-luna." == lines[11]
    assert "At or above 0.9: 2 of 2 rows (100%), accuracy 0.500." == lines[12]


def test_confidences_of_two_routes_have_a_line_each_and_a_note() -> None:
    """A choice and written tokens do not have the same kind of probability."""
    found = rows("noise noise", confidence=0.95)
    found[1] = replace(found[1], route="decisions", confidence=0.5)
    lines = shown(judged(found, "noise noise"))
    place = lines.index("stated by              rows    ECE  Brier")
    assert [
        "rest, gpt-6-luna          1  0.050  0.003",
        "decisions, gpt-6-luna     1  0.500  0.250",
    ] == lines[place + 1 : place + 3]
    assert any(line.startswith("Note: The confidences come from several") for line in lines)


def test_a_threshold_without_confidence_keeps_nothing() -> None:
    """Labelled rows without a confidence are counted."""
    lines = shown(judged(rows("noise -"), "noise noise", min_confidence=0.9))
    assert "No labelled row states a confidence." in lines
    assert "At or above 0.9: 0 of 2 rows (0%); 1 labelled without one." in lines


def test_ids_cannot_move_the_cursor() -> None:
    """Control characters and line ends of ids are escaped or spaces, and long ids are cut."""
    found = rows("noise noise noise")
    names = ("a\x1b[2Jb", "two\nlines", "x" * 100)
    right = [GoldRow(id=name, labels=("example",)) for name in names]
    ours = [OutputRow(id=name, labels=row.labels) for name, row in zip(names, found, strict=True)]
    how = Evaluation(label_set=TEN, resamples=0)
    matched = against_gold(match(right, ours, first_name="gold", second_name="out"), how)
    shown_rows = (matched.document, matched.differences, str, ("gold", "output"))
    lines = difference_lines(*shown_rows, file=None)[3:]
    starts = ["a\\x1b[2Jb ", "two lines ", "x" * 62 + "… "]
    assert starts == [line[: len(start)] for line, start in zip(lines, starts, strict=True)]


def test_no_difference_is_said() -> None:
    """An empty table would look like a fault."""
    for mark, simulated in (("", "none"), (" (simulated)", "all")):
        lines = difference_lines(
            {"simulated": simulated}, [], str, ("gold", "output"), file="d.csv"
        )
        assert ["", f"No row differs{mark}."] == lines


def test_rows_that_differ_carry_the_mark() -> None:
    """As a list, and where they went to a file."""
    how = Evaluation(label_set=TEN, simulated_models=frozenset({"offline-rules"}), resamples=0)
    both = match(
        rows("noise example", "offline-rules"),
        rows("noise noise", "offline-rules"),
        first_name="one",
        second_name="two",
    )
    found = between_outputs(both, how)
    for file, end in ((None, ""), ("d.csv", ": d.csv")):
        lines = difference_lines(
            found.document, found.differences, str, ("first", "second"), file=file
        )
        assert f"1 row with another primary label (simulated){end}" == lines[1]


def test_agreement_names_both_origins() -> None:
    """Simulated sides carry a star, which is explained."""
    how = Evaluation(label_set=TEN, simulated_models=frozenset({"offline-rules"}), resamples=0)
    both = match(
        rows("noise example"),
        rows("noise noise", "offline-rules"),
        first_name="one",
        second_name="two",
    )
    lines = agreement_lines(between_outputs(both, how).document, str, first="one", second="two")
    below = section(lines, "By route and model")
    assert "rest, gpt-6-luna  * rest, offline-rules     2  0.500  0.000" == below[1]
    assert "* simulated" == below[2]


def test_mcnemar_in_words() -> None:
    """Counts of both sides, rows and the p-value; marked as the two outputs are."""
    found = {"rows": 10, "only_first": 2, "only_second": 8, "unit": "row", "p_value": 0.109375}
    assert [
        "",
        "Right in only one of them, by gold: first 2, second 8",
        "of 10 rows; McNemar's test: p = 0.1094.",
    ] == mcnemar_lines(found, {"simulated": "none"})
    assert [
        "",
        "Right in only one of them, by gold (partly simulated): first 2, second 8",
        "of 10 rows; sign-flip test by document: p = 0.1094.",
    ] == mcnemar_lines(found | {"unit": "document"}, {"simulated": "part"})
