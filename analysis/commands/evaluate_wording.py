"""An evaluation in plain lines of at most 80 columns.

Pure. `evaluate` prints them; the document comes from `analysis.evaluation.findings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

from analysis.commands.layout import GAP, clipped, laid_out, width, wrapped
from analysis.commands.wording import printable
from analysis.evaluation.counts import NONE
from analysis.evaluation.findings import Difference, few_warning

COLUMNS = 80
SHOWN_ROWS = 20

NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "kappa": "Cohen's kappa",
    "alpha": "Krippendorff's alpha",
    "any_match": "sets share a label",
    "micro_f1": "micro-F1 of sets",
    "jaccard": "mean Jaccard of sets",
    "alpha_sets": "alpha of sets (MASI)",
}
"""Figure -> how it is called; in the order in which they are shown."""

_ID_COLUMNS = 30
_LABEL_COLUMNS = 22

Name = Callable[[str], str]
"""Label key -> what is shown."""


def gold_lines(document: Mapping[str, Any], name: Name, *, output: str, gold: str) -> list[str]:
    """Return the evaluation of an output against gold.

    Args:
        document: `findings.Findings.document`.
        name: Shows a label.
        output: The file that was evaluated.
        gold: Where the gold labels come from.
    """
    counts, mark = document["counts"], _mark(document)
    lines = [
        f"Output: {printable(output)}",
        f"Gold: {printable(gold)}",
        f"Label set: {_set(document)}",
        f"Scored: {_rows(counts['scored'])}{mark}",
        *_left_out(
            (counts["only_in_output"], "only in the output", document["first_only_in_output"]),
            (counts["only_in_gold"], "only in the gold file", document["first_only_in_gold"]),
            (counts["without_gold"], "without a gold label", []),
            (counts["ignored"], "ignored by the mapping", []),
        ),
    ]
    if counts["unlabelled"]:
        missing = counts["scored"] - counts["labelled"]
        lines.append(
            f"Without a label, scored as wrong: {_rows(missing)} ({_kinds(counts['unlabelled'])})."
        )
    if counts["reused"]:
        lines.append(
            f"Labels taken from earlier answers, scored as the others: {counts['reused']:,}."
        )
    if document["scores"] is None:
        return [*lines, "No row of the output has a gold label, so there are no scores."]
    lines += ["", *_gold_scores(document, name), *_interval_lines(document)]
    lines += ["", *_label_table(document, name, ("gold", "output"))]
    lines += ["", *_confusion(document, name, ("gold", "output"))]
    lines += ["", *_group_lines(document)]
    if document["confidence"] is not None:
        lines += ["", *_confidence_lines(document["confidence"], mark)]
    found = dict(document)
    shown = dict(zip(few_warning(found), few_warning(found, name), strict=True))
    return [*lines, *_warning_lines(document, shown)]


def agreement_lines(
    document: Mapping[str, Any], name: Name, *, first: str, second: str
) -> list[str]:
    """Return the comparison of two outputs.

    Args:
        document: `findings.Findings.document`.
        name: Shows a label.
        first: The output that was named first.
        second: The other one.
    """
    counts, mark = document["counts"], _mark(document)
    lines = [
        f"First: {printable(first)}",
        f"Second: {printable(second)}",
        f"Label set: {_set(document)}",
        f"Compared: {_rows(counts['scored'])}{mark}",
        *_left_out(
            (counts["only_in_first"], "only in the first", document["first_only_in_first"]),
            (counts["only_in_second"], "only in the second", document["first_only_in_second"]),
            (counts["unlabelled"], "without a label in one of them", []),
            (counts["reused"], "with a label from an earlier answer", []),
        ),
    ]
    if document["scores"] is None:
        return [*lines, "No row has a label of its own in both, so there are no scores."]
    bounds = _bounds(document)
    rows = [("", "value", *(["95 % interval"] if bounds else []))]
    for key, value in _shown(document["scores"]):
        interval = [bounds.get(key, "")] if bounds else []
        rows.append((_agreement_name(key), _figure(value), *interval))
    lines += ["", f"Agreement{mark}", *laid_out(rows, right={1}), *_interval_lines(document)]
    lines += ["", *_label_table(document, name, ("first", "second"))]
    lines += ["", *_confusion(document, name, ("first", "second"))]
    lines += ["", *_pair_lines(document)]
    return [*lines, *_warning_lines(document)]


def difference_lines(
    document: Mapping[str, Any],
    found: Sequence[Difference],
    name: Name,
    sides: tuple[str, str],
    *,
    file: str | None,
) -> list[str]:
    """Return the first rows that differ, or where all of them are.

    Args:
        document: `findings.Findings.document`, whose rows these are.
        found: All of them.
        name: Shows a label.
        sides: How the two are called.
        file: Where all of them were written, or None.
    """
    title = f"{_rows(len(found))} with another primary label{_mark(document)}"
    if not found:
        return ["", f"No row differs{_mark(document)}."]
    if file is not None:
        return ["", f"{title}: {printable(file)}"]
    first = found[:SHOWN_ROWS]
    labels = [
        [clipped(_labels(side, name), _LABEL_COLUMNS) for side in (one.pair.first, one.pair.second)]
        for one in first
    ]
    # The ids have what the labels leave of the line.
    taken = sum(max(map(width, column)) for column in zip(sides, *labels, strict=True))
    room = COLUMNS - taken - 2 * len(GAP)
    ids = [clipped(printable(one.pair.id).replace("\n", " "), room) for one in first]
    rows = [("id", *sides), *((shown, *both) for shown, both in zip(ids, labels, strict=True))]
    more = "" if len(found) <= SHOWN_ROWS else f", the first {SHOWN_ROWS}"
    hint = [] if len(found) <= SHOWN_ROWS else ["--differences FILE writes all of them."]
    return ["", f"{title}{more}", *laid_out(rows), *hint]


def _labels(labels: Sequence[str], name: Name) -> str:
    return "; ".join(map(name, labels)) or NONE


def _set(document: Mapping[str, Any]) -> str:
    label_set, mapping = document["label_set"], document["mapping"]
    text = f"{label_set['name']} {label_set['version']}"
    return text if mapping is None else f"{text}, mapping {mapping}"


def _mark(document: Mapping[str, Any]) -> str:
    return {"all": " (simulated)", "part": " (partly simulated)", "none": ""}[document["simulated"]]


def _left_out(*reasons: tuple[int, str, Sequence[str]]) -> list[str]:
    lines = []
    for count, reason, ids in reasons:
        if count:
            first = f", first {clipped(printable(repr(ids[0])), _ID_COLUMNS)}" if ids else ""
            lines.append(f"Left out: {_rows(count)} {reason}{first}.")
    return lines


def _kinds(found: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(kind)} {count:,}" for kind, count in found.items())


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _shown(scores: Mapping[str, float | None]) -> list[tuple[str, float | None]]:
    return [(key, scores[key]) for key in NAMES if key in scores]


def _agreement_name(key: str) -> str:
    return "same primary label" if key == "accuracy" else NAMES[key]


def _bounds(document: Mapping[str, Any]) -> dict[str, str]:
    if document["intervals"] is None:
        return {}
    bounds = document["intervals"]["bounds"]
    return {key: f"{low:.3f} to {high:.3f}" for key, (low, high) in bounds.items()}


def _gold_scores(document: Mapping[str, Any], name: Name) -> list[str]:
    """Return the figures of all rows, beside those of labelled rows and of the majority label."""
    scores, base = document["scores"], document["majority"]
    labelled = document.get("labelled_scores")
    bounds = _bounds(document)
    is_partial = bool(document["counts"]["unlabelled"])
    head = ["", "all rows", *(["95 % interval"] if bounds else [])]
    head += [*(["labelled only"] if is_partial else []), "majority label"]
    rows = [head]
    for key, value in _shown(scores):
        cells = [NAMES[key], _figure(value), *([bounds.get(key, "")] if bounds else [])]
        if is_partial:
            cells.append(_figure(labelled.get(key)) if labelled else "")
        cells.append(_figure(base["scores"][key]) if key in base["scores"] else "")
        rows.append(cells)
    right = {index for index, title in enumerate(head) if index and title != "95 % interval"}
    return [
        f"Scores{_mark(document)}",
        *laid_out(rows, right=right),
        f"Majority label, the most frequent in gold: {name(base['label'])}.",
        "Macro-F1 is the mean over the labels in gold; one never predicted counts 0.",
    ]


def _interval_lines(document: Mapping[str, Any]) -> list[str]:
    intervals = document["intervals"]
    if intervals is None:
        return []
    name = _agreement_name if document["kind"] == "agreement" else NAMES.__getitem__
    shares = " and ".join(map(name, intervals["wilson"]))
    return [
        f"Intervals: bootstrap of {intervals['units']:,} {intervals['unit']}s, "
        f"{intervals['resamples']:,} resamples, seed {intervals['seed']};",
        f"for {shares} Wilson's, by {intervals['unit']}.",
    ]


def _label_table(document: Mapping[str, Any], name: Name, sides: tuple[str, str]) -> list[str]:
    has_gold = document["kind"] == "gold"
    titles = ("precision", "recall", "F1") if has_gold else ("F1",)
    rows = [["", *sides, *titles]]
    for one in document["labels"]:
        cells = [name(one["key"]), f"{one['first']:,}", f"{one['second']:,}"]
        figures = ("precision", "recall", "f1") if has_gold else ("f1",)
        rows.append([*cells, *(f"{one[key]:.3f}" for key in figures)])
    return [f"Labels{_mark(document)}", *laid_out(rows, right=set(range(1, len(rows[0]))))]


def _confusion(document: Mapping[str, Any], name: Name, sides: tuple[str, str]) -> list[str]:
    """Return the matrix; its columns carry the numbers of its rows, so that it fits the line."""
    confusion = document["confusion"]
    labels, matrix = confusion["labels"], confusion["rows"]
    numbers = [str(index) for index in range(1, len(labels) + 1)]
    table = [["", *numbers]]
    for number, label, row in zip(numbers, labels, matrix, strict=True):
        if label != NONE or any(row):
            counts = [str(count) if count else "." for count in row]
            table.append([f"{number:>{len(numbers[-1])}} {name(label)}", *counts])
    cells = laid_out([row[1:] for row in table], right=set(range(len(numbers))), gap=" ")
    room = max(_LABEL_COLUMNS, COLUMNS - max(map(width, cells)) - len(GAP))
    names = [clipped(row[0], room) for row in table]
    wide = max(map(width, names))
    body = [
        head + " " * (wide - width(head)) + GAP + rest
        for head, rest in zip(names, cells, strict=True)
    ]
    last = f"; {numbers[-1]} is {NONE}" if labels[-1] == NONE else ""
    title = f"Confusion, {sides[0]} down, {sides[1]} across by number{last}{_mark(document)}"
    return [title, *body]


def _group_lines(document: Mapping[str, Any]) -> list[str]:
    rows: list[tuple[str, ...]] = [("route", "model", "rows", "accuracy", "macro-F1", "kappa", "")]
    for group in document["groups"]:
        scores = group["scores"]
        rows.append(
            (
                clipped(printable(group["route"] or "not stated"), 14),
                clipped(printable(group["model"] or "not stated"), 22),
                f"{group['rows']:,}",
                *(_figure(scores[key]) for key in ("accuracy", "macro_f1", "kappa")),
                "simulated" if group["is_simulated"] else "",
            )
        )
    title = "Labelled rows by route and model"
    return [title, *laid_out(rows, right={2, 3, 4, 5})]


def _pair_lines(document: Mapping[str, Any]) -> list[str]:
    rows = [("first", "second", "rows", "same", "kappa")]
    for group in document["groups"]:
        scores = group["scores"]
        rows.append(
            (
                clipped(_origin(group["first"]), 27),
                clipped(_origin(group["second"]), 27),
                f"{group['rows']:,}",
                _figure(scores["accuracy"]),
                _figure(scores["kappa"]),
            )
        )
    lines = ["By route and model", *laid_out(rows, right={2, 3, 4})]
    if any(group[side]["is_simulated"] for group in document["groups"] for side in _SIDES):
        lines.append("* simulated")
    return lines


_SIDES = ("first", "second")


def _origin(group: Mapping[str, Any]) -> str:
    mark = "* " if group["is_simulated"] else ""
    return printable(f"{mark}{group['route'] or 'not stated'}, {group['model'] or 'not stated'}")


def _confidence_lines(found: Mapping[str, Any], mark: str) -> list[str]:
    calibration, threshold = found["calibration"], found.get("threshold")
    lines = []
    if calibration is None:
        lines.append("No labelled row states a confidence.")
    else:
        rows = [("confidence", "rows", "mean", "accuracy")]
        rows += [
            (
                f"{one['low']:.1f} to {one['high']:.1f}",
                f"{one['rows']:,}",
                "" if one["confidence"] is None else f"{one['confidence']:.3f}",
                "" if one["accuracy"] is None else f"{one['accuracy']:.3f}",
            )
            for one in calibration["bins"]
        ]
        lines += [
            f"Confidence of {_rows(calibration['rows'])}: ECE {calibration['ece']:.3f}, "
            f"Brier {calibration['brier']:.3f}{mark}",
            *laid_out(rows, right={1, 2, 3}),
            *_source_lines(found["sources"]),
        ]
    if threshold is not None:
        lines.append(_threshold_line(threshold, mark))
    return lines


def _source_lines(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return whose confidences the table holds, with figures of their own if they are several."""
    if len(sources) == 1:
        return [f"Stated by: {_origin(sources[0])}."]
    rows = [("stated by", "rows", "ECE", "Brier")]
    rows += [
        (_origin(one), f"{one['rows']:,}", f"{one['ece']:.3f}", f"{one['brier']:.3f}")
        for one in sources
    ]
    return laid_out(rows, right={1, 2, 3})


def _threshold_line(threshold: Mapping[str, Any], mark: str) -> str:
    accuracy = threshold["accuracy"]
    worth = "" if accuracy is None else f", accuracy {accuracy:.3f}{mark}"
    without = threshold["without"]
    rest = f"; {without:,} labelled without one" if without else ""
    return (
        f"At or above {threshold['min_confidence']:g}: {threshold['kept']:,} of "
        f"{_rows(threshold['rows'])} ({threshold['coverage']:.0%}){worth}{rest}."
    )


def _warning_lines(
    document: Mapping[str, Any], shown: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """Return the warnings; `shown` has those that name labels in the words of the user."""
    notes = (wrapped(f"Note: {shown.get(one, one)}", COLUMNS) for one in document["warnings"])
    return ["", *chain.from_iterable(notes)] if document["warnings"] else []


def mcnemar_lines(found: Mapping[str, Any], agreement: Mapping[str, Any]) -> list[str]:
    """Return which of two outputs is right more often where only one is.

    Args:
        found: `findings.compared_by_gold`.
        agreement: The document of the same two outputs, which says whether they are simulated.
    """
    by_document = found["unit"] == "document"
    test = "sign-flip test by document" if by_document else "McNemar's test"
    return [
        "",
        f"Right in only one of them, by gold{_mark(agreement)}: first {found['only_first']:,}, "
        f"second {found['only_second']:,}",
        f"of {_rows(found['rows'])}; {test}: p = {found['p_value']:.4f}.",
    ]
