"""Whole evaluations: what is scored, what is left out, and what is marked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from analysis.evaluation.findings import (
    Evaluation,
    against_gold,
    between_outputs,
    compared_by_gold,
)
from analysis.evaluation.mapping import Mapping
from analysis.evaluation.rows import GoldRow, Match, OutputRow, match
from analysis.labels.label_set import LabelSet

SCI = LabelSet.load("sci_abstract")
HOW = Evaluation(label_set=SCI, simulated_models=frozenset({"offline-rules"}), resamples=50)
LUNA = {"route": "rest", "model": "gpt-6-luna", "attempts": 1}
RULES = {"route": "offline", "model": "offline-rules", "attempts": 1}


def gold(labels: str) -> list[GoldRow]:
    """Return a gold row per word; `-` has no label, `x` is ignored, a plus parts two labels."""
    return [
        GoldRow(
            id=str(row),
            labels=() if word in "-x" else tuple(word.split("+")),
            is_ignored=word == "x",
        )
        for row, word in enumerate(labels.split())
    ]


def output(labels: str, **facts: Any) -> list[OutputRow]:
    """Return an output row per word; `-` was refused."""
    rows = [
        OutputRow(id=str(row), labels=() if word == "-" else tuple(word.split("+")), **facts)
        for row, word in enumerate(labels.split())
    ]
    return [row if row.labels else replace(row, error="refused") for row in rows]


def beside(first: list[Any], second: list[OutputRow]) -> Match[Any]:
    """Join two lists of rows."""
    return match(first, second, first_name="first", second_name="second")


def scored(labels: str, found: list[OutputRow], how: Evaluation = HOW) -> dict[str, Any]:
    """Return the document of an evaluation against gold."""
    return against_gold(beside(gold(labels), found), how).document


def test_rows_are_counted_by_what_becomes_of_them() -> None:
    """Nothing is dropped without a count."""
    document = scored(
        "method result - x other method", [*output("method method result other -", **LUNA)]
    )
    assert {
        "output_rows": 5,
        "gold_rows": 6,
        "only_in_output": 0,
        "only_in_gold": 1,
        "ignored": 1,
        "without_gold": 1,
        "scored": 3,
        "labelled": 2,
        "unlabelled": {"refused": 1},
        "reused": 0,
    } == document["counts"]
    assert ["5"] == document["first_only_in_gold"]


def test_rows_without_a_label_are_wrong_and_the_others_stand_beside() -> None:
    """One of two labelled rows is right: a third of all three."""
    document = scored("method result other", output("method method -", **LUNA))
    assert 1 / 3 == pytest.approx(document["scores"]["accuracy"])
    assert 0.5 == document["labelled_scores"]["accuracy"]


def test_a_mapping_folds_the_labels_of_the_output() -> None:
    """A conclusion is right where the corpus calls it a result."""
    how = replace(HOW, mapping=Mapping.load("csabstruct"))
    rows = output("conclusion result", **LUNA)
    assert 1.0 == scored("result result", rows, how)["scores"]["accuracy"]
    assert 0.5 == scored("result result", rows)["scores"]["accuracy"]


def test_figures_of_sets_need_second_gold_labels() -> None:
    """Else a second label of the output could only be wrong."""
    rows = output("method+result other", **LUNA)
    assert "jaccard" not in scored("method other", rows)["scores"]
    assert 1.0 == scored("method+result other", rows)["scores"]["jaccard"]


def test_each_route_and_model_has_a_line_of_its_own() -> None:
    """Rules among answers of a model are marked, and the whole is called partly simulated."""
    rows = [*output("method method result", **LUNA), *output("- - - other", **RULES)[3:]]
    document = scored("method result result other", rows)
    assert [("gpt-6-luna", 3, False), ("offline-rules", 1, True)] == [
        (group["model"], group["rows"], group["is_simulated"]) for group in document["groups"]
    ]
    assert "part" == document["simulated"]
    assert any(note.startswith("Some labels are simulated") for note in document["warnings"])


def test_two_models_are_marked_as_a_mixture() -> None:
    """Figures of all rows stand for none of the two."""
    rows = [*output("method", **LUNA), *output("- result", route="rest", model="other")[1:]]
    document = scored("method result", rows)
    assert "none" == document["simulated"]
    assert any(note.startswith("The rows come from several") for note in document["warnings"])


def test_rules_alone_are_simulated() -> None:
    """Every figure is marked by the document."""
    assert "all" == scored("method result", output("method result", **RULES))["simulated"]


def test_labels_with_few_gold_rows_are_named() -> None:
    """Nine rows are few, ten are not."""
    document = scored("method " * 9 + "result " * 10, output("method " * 19, **LUNA))
    assert any(note.startswith("Fewer than 10 gold rows: method.") for note in document["warnings"])


def test_few_documents_are_named() -> None:
    """Intervals from three documents look better than they are."""
    rows = [replace(row, document=f"d{row.id}") for row in output("method method result", **LUNA)]
    document = scored("method result result", rows)
    assert any("rest on 3 documents" in note for note in document["warnings"])


def test_one_document_has_no_intervals_and_says_so() -> None:
    """Where none were asked for, nothing is said."""
    rows = [replace(row, document="d") for row in output("method result", **LUNA)]
    note = "There are no intervals: they need two documents, or two rows without any."
    assert note in scored("method other", rows)["warnings"]
    assert note not in scored("method other", rows, replace(HOW, resamples=0))["warnings"]


def test_the_document_of_a_row_may_stand_in_either_table() -> None:
    """The gold table's document is used where the output has none."""
    first = [replace(row, document=f"d{row.id}") for row in gold("method result")]
    found = against_gold(beside(first, output("method result", **LUNA)), HOW)
    assert "document" == found.document["intervals"]["unit"]


def test_confidence_is_held_against_gold() -> None:
    """Rows without a confidence are counted, and not kept by a threshold."""
    rows = output("method method result", **LUNA)
    rows = [replace(rows[0], confidence=0.9), replace(rows[1], confidence=0.6), rows[2]]
    document = scored("method result result", rows, replace(HOW, min_confidence=0.8))
    assert 2 == document["confidence"]["calibration"]["rows"]
    threshold = document["confidence"]["threshold"]
    assert (1, 3, 1.0, 1) == (
        threshold["kept"],
        threshold["rows"],
        threshold["accuracy"],
        threshold["without"],
    )


def test_confidences_name_their_routes_and_models() -> None:
    """Probabilities of different things have figures of their own, and a warning."""
    rows = output("method method result", **LUNA)
    rows = [
        replace(rows[0], confidence=0.9),
        replace(rows[1], confidence=0.5, route="decisions"),
        replace(rows[2], confidence=0.8, route="decisions"),
    ]
    document = scored("method result result", rows)
    sources = document["confidence"]["sources"]
    assert [("decisions", 2), ("rest", 1)] == [(one["route"], one["rows"]) for one in sources]
    assert [0.35, 0.1] == pytest.approx([one["ece"] for one in sources])
    assert any("confidences come from several" in one for one in document["warnings"])
    alone = scored("method result result", rows[1:])
    assert not any("confidences" in one for one in alone["warnings"])


def test_without_confidence_there_is_no_calibration() -> None:
    """Routes that state none leave the part out; a threshold then keeps no row."""
    rows = output("method result", **LUNA)
    assert scored("method result", rows)["confidence"] is None
    found = scored("method result", rows, replace(HOW, min_confidence=0.5))["confidence"]
    assert (None, 0) == (found["calibration"], found["threshold"]["kept"])


def test_without_a_scored_row_there_are_no_figures() -> None:
    """A gold column that is empty is no reason to fail."""
    document = scored("- -", output("method result", **LUNA))
    assert (None, None, []) == (document["scores"], document["intervals"], document["groups"])


def test_rows_without_any_label_have_figures_and_no_groups() -> None:
    """A run that was refused as a whole is scored as wrong."""
    document = scored("method result", output("- -", **LUNA))
    assert (0.0, []) == (document["scores"]["accuracy"], document["groups"])
    assert "labelled_scores" not in document


def test_rows_that_differ_are_listed_in_the_order_of_the_output() -> None:
    """A missing label differs from any gold label."""
    found = against_gold(beside(gold("method result other"), output("result result -")), HOW)
    assert ["0", "2"] == [one.pair.id for one in found.differences]
    assert 2 == found.document["differences"]


def test_what_is_not_defined_is_null_in_json() -> None:
    """JSON has no nan; the document can be written as it is."""
    document = scored("method method", output("method method", **LUNA))
    assert document["scores"]["kappa"] is None
    assert document == json.loads(json.dumps(document, allow_nan=False))


def test_two_outputs_are_compared_on_labels_of_their_own() -> None:
    """Missing and reused labels are left out and counted."""
    first = output("method result other - method", **LUNA)
    second = output("method method other method -", **RULES)
    second[2] = replace(second[2], attempts=0)
    found = between_outputs(beside(first, second), HOW)
    counts = found.document["counts"]
    assert (2, 2, 1) == (counts["scored"], counts["unlabelled"], counts["reused"])
    assert ({"refused": 1}, {"refused": 1}) == (
        counts["unlabelled_first"],
        counts["unlabelled_second"],
    )
    assert 0.5 == found.document["scores"]["accuracy"]
    assert ["1"] == [one.pair.id for one in found.differences]
    assert "part" == found.document["simulated"]


def test_agreement_names_the_routes_and_models_of_both_sides() -> None:
    """A line per pair of origins, with its number of rows."""
    found = between_outputs(
        beside(output("method result", **LUNA), output("method result", **RULES)), HOW
    )
    (group,) = found.document["groups"]
    assert ("gpt-6-luna", "offline-rules", 2) == (
        group["first"]["model"],
        group["second"]["model"],
        group["rows"],
    )


def test_agreement_does_not_depend_on_the_order_of_the_outputs() -> None:
    """Kappa and alpha are the same with both exchanged."""
    one, two = output("method result other method"), output("method other other result")
    figures = [
        between_outputs(beside(*both), HOW).document["scores"] for both in ((one, two), (two, one))
    ]
    for name in ("accuracy", "kappa", "alpha"):
        assert figures[0][name] == pytest.approx(figures[1][name])


def test_two_outputs_by_gold() -> None:
    """McNemar's test counts the chunks that only one of them has right."""
    right = gold("method result other method")
    one, two = output("method result method -"), output("method method other method")
    found = compared_by_gold(beside(right, one), beside(right, two), HOW)
    expected = {"rows": 4, "only_first": 1, "only_second": 2, "unit": "row", "p_value": 1.0}
    assert expected == found


def test_two_outputs_by_gold_are_exchanged_by_document() -> None:
    """Eight rows that only the second has right: one case in 128 by row, one of two by document."""
    right, wrong = gold("method " * 8), output("result " * 8)
    by_row = compared_by_gold(beside(right, wrong), beside(right, output("method " * 8)), HOW)
    assert ("row", 2 / 2**8) == (by_row["unit"], by_row["p_value"])
    placed = [replace(row, document=f"d{int(row.id) // 4}") for row in right]
    found = compared_by_gold(beside(placed, wrong), beside(placed, output("method " * 8)), HOW)
    assert ("document", 2 / 2**2) == (found["unit"], found["p_value"])


def test_all_right_is_not_certain() -> None:
    """Twenty rows without an error: accuracy from 0.839, and a note on what has no width."""
    document = scored("method result " * 10, output("method result " * 10, **LUNA))
    low, high = document["intervals"]["bounds"]["accuracy"]
    assert (0.839, 1.0) == (round(low, 3), high)
    assert any(note.startswith("An interval without width") for note in document["warnings"])
    assert any("rest on 20 rows" in note for note in document["warnings"])


def test_enough_rows_need_no_note() -> None:
    """Fifty rows of two labels, some of them wrong."""
    found = output("method result " * 20 + "result method " * 5, **LUNA)
    notes = scored("method result " * 25, found, replace(HOW, resamples=200))["warnings"]
    assert [] == [note for note in notes if "width" in note or "rest on" in note]


def test_one_row_without_a_document_is_told() -> None:
    """Then rows are drawn, and that makes intervals too narrow."""
    rows = [replace(row, document="d") for row in output("method result method", **LUNA)]
    found = scored("method result result", [replace(rows[0], document=None), *rows[1:]])
    assert any(note.startswith("1 row names no document") for note in found["warnings"])
    without = scored("method result", output("method result", **LUNA))
    assert not any(" no document" in note for note in without["warnings"])


def test_one_simulated_vote_marks_its_row() -> None:
    """Rules and a language model voted: partly simulated, in figures and in the group."""
    facts = {"route": "votes", "confidence": 0.5}
    mixed = output("method", model="gpt-6-luna; offline-rules", **facts)
    document = scored("method", mixed)
    assert ("part", True) == (document["simulated"], document["groups"][0]["is_simulated"])
    rules = output("method", model="offline-rules; offline-rules", **facts)
    assert "all" == scored("method", rules)["simulated"]
    luna = output("method", model="gpt-6-luna; gpt-6-terra", **facts)
    assert "none" == scored("method", luna)["simulated"]


def test_confidence_of_votes_is_called_what_it_is() -> None:
    """A note, only where labels come from votes."""
    found = [scored("method", output("method", route=route)) for route in ("votes", "decisions")]
    notes = [[one for one in each["warnings"] if "share of outputs" in one] for each in found]
    assert ([1, 0], [1, 0]) == (list(map(len, notes)), [each["votes"] for each in found])
