"""A whole evaluation as one JSON-ready document: an output against gold, or against another one.

Pure. `commands.evaluate` hands in joined rows and shows the document; `commands.evaluate_wording`
makes lines of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from analysis.evaluation.audit import mcnemar
from analysis.evaluation.calibration import Judged, above, calibrate
from analysis.evaluation.counts import PairCounts, count_pairs
from analysis.evaluation.grouped import sign_flip
from analysis.evaluation.intervals import RESAMPLES, SEED, Intervals, bootstrap
from analysis.evaluation.mapping import Mapping, fold_all
from analysis.evaluation.rows import VOTES, GoldRow, Match, OutputRow, Pair
from analysis.evaluation.scores import FEW, figures, label_scores, majority
from analysis.labels.label_set import LabelSet

EVALUATION_VERSION = 1

FEW_UNITS = 50
"""Bootstrap intervals from fewer rows or documents than this are narrower than they should be."""

SHOWN_IDS = 20
"""So many of the ids that only one table has are in the document; all of them are counted."""

NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How to evaluate.

    Attributes:
        label_set: What all labels are keys of.
        mapping: Applied to the gold labels already; folds the labels of the output.
        simulated_models: Models whose labels come from rules or digests, not from a language model.
        resamples: Of the bootstrap; 0 leaves intervals out.
        seed: Of the bootstrap.
        min_confidence: Report coverage and accuracy at or above it, or None.
    """

    label_set: LabelSet
    mapping: Mapping | None = None
    simulated_models: frozenset[str] = field(default_factory=frozenset)
    resamples: int = RESAMPLES
    seed: int = SEED
    min_confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row on which the two sides do not have the same primary label.

    Attributes:
        pair: The labels of both sides.
        first: The row of the first output, or None where the first side is gold.
        second: The row of the output that was compared.
    """

    pair: Pair
    first: OutputRow | None
    second: OutputRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an evaluation found.

    Attributes:
        document: JSON-ready values, with a version.
        differences: In the order of the output.
    """

    document: dict[str, Any]
    differences: tuple[Difference, ...]


def against_gold(matched: Match[GoldRow], how: Evaluation) -> Findings:
    """Score an output against gold.

    Rows without gold, and those that the mapping ignores, are left out and counted. Rows without a
    label are scored as wrong; the scores of labelled rows alone stand beside.

    Raises:
        ConfigurationError: If scikit-learn is missing.
    """
    scored = [
        (_pair(gold.labels, row, gold.document, how.mapping), row)
        for gold, row in matched.pairs
        if _is_judged(gold)
    ]
    labelled = [one for one in scored if one[1].labels]
    rows = [gold for gold, _ in matched.pairs]
    counts = {
        "output_rows": len(matched.pairs) + len(matched.only_second),
        "gold_rows": len(matched.pairs) + len(matched.only_first),
        "only_in_output": len(matched.only_second),
        "only_in_gold": len(matched.only_first),
        "ignored": sum(gold.is_ignored for gold in rows),
        "without_gold": sum(not gold.labels and not gold.is_ignored for gold in rows),
        "scored": len(scored),
        "labelled": len(labelled),
        "unlabelled": _reasons(row for _, row in scored),
        "reused": sum(row.is_reused for _, row in scored),
    }
    document = _head("gold", how) | {
        "counts": counts,
        "first_only_in_output": list(matched.only_second[:SHOWN_IDS]),
        "first_only_in_gold": list(matched.only_first[:SHOWN_IDS]),
    }
    # Without second gold labels, those of the output could only be counted as wrong.
    with_sets = any(len(pair.first) > 1 for pair, _ in scored)
    document |= _scores([pair for pair, _ in scored], how, with_sets)
    if scored:
        label, base = majority(_counted([pair for pair, _ in scored], how))
        scores = _plain(figures(base, with_sets=with_sets))
        document["majority"] = {"label": label, "scores": scores}
    if labelled:
        alone = _counted([pair for pair, _ in labelled], how)
        document["labelled_scores"] = _plain(figures(alone, with_sets=with_sets))
    document["groups"] = _groups(labelled, how)
    document["confidence"] = _confidence(scored, how)
    document["votes"] = sum(row.route == VOTES for _, row in labelled)
    document["simulated"] = _simulated((row for _, row in labelled), how)
    document["warnings"] = _warnings(document, how)
    return _found(document, ((pair, None, row) for pair, row in scored))


def between_outputs(matched: Match[OutputRow], how: Evaluation) -> Findings:
    """Compare two outputs row by row, without gold.

    Rows without a label on some side, and rows whose label was taken from an earlier answer on some
    side, are left out and counted: they say nothing on whether the two agree.

    Raises:
        ConfigurationError: If scikit-learn is missing.
    """
    both = [each for each in matched.pairs if each[0].labels and each[1].labels]
    compared = [
        (_pair(one.labels, two, one.document or two.document, None), one, two)
        for one, two in both
        if not one.is_reused and not two.is_reused
    ]
    counts = {
        "first_rows": len(matched.pairs) + len(matched.only_first),
        "second_rows": len(matched.pairs) + len(matched.only_second),
        "only_in_first": len(matched.only_first),
        "only_in_second": len(matched.only_second),
        "unlabelled_first": _reasons(one for one, _ in matched.pairs),
        "unlabelled_second": _reasons(two for _, two in matched.pairs),
        "unlabelled": len(matched.pairs) - len(both),
        "reused": len(both) - len(compared),
        "scored": len(compared),
    }
    document = _head("agreement", how) | {
        "counts": counts,
        "first_only_in_first": list(matched.only_first[:SHOWN_IDS]),
        "first_only_in_second": list(matched.only_second[:SHOWN_IDS]),
    }
    pairs = [pair for pair, _, _ in compared]
    with_sets = any(len(pair.first) > 1 or len(pair.second) > 1 for pair in pairs)
    document |= _scores(pairs, how, with_sets)
    document["groups"] = _group_pairs(compared, how)
    rows = (row for _, one, two in compared for row in (one, two))
    document["simulated"] = _simulated(rows, how)
    document["warnings"] = _warnings(document, how)
    return _found(document, compared)


def compared_by_gold(one: Match[GoldRow], two: Match[GoldRow], how: Evaluation) -> dict[str, Any]:
    """Return which of two outputs is right more often, on the chunks that gold and both hold.

    A row without a label is not right. Where every row names its document, documents are exchanged
    as wholes; else the test is McNemar's.

    Returns:
        `rows`, how many only the first or only the second output has right, the `unit` of the test
        and its `p_value`.
    """
    first = {row.id: (gold, row) for gold, row in one.pairs if _is_judged(gold)}
    judged: list[tuple[bool, bool]] = []
    gains: Counter[str | None] = Counter()
    for gold, row in two.pairs:
        beside = first.get(row.id)
        if beside is None or not _is_judged(gold):
            continue
        verdicts = _is_right(*beside, how), _is_right(gold, row, how)
        judged.append(_VERDICTS[verdicts])
        gains[beside[0].document or beside[1].document] += verdicts[0] - verdicts[1]
    found = {"rows": len(judged)} | asdict(mcnemar(judged)) | {"unit": "row"}
    if not judged or None in gains:
        return found
    return found | {"unit": "document", "p_value": sign_flip(gains.values())}


_VERDICTS = {(one, two): (one, two) for one in (False, True) for two in (False, True)}
"""Each pair of verdicts once, so that a million rows share four of them."""


def _is_judged(gold: GoldRow) -> bool:
    return bool(gold.labels) and not gold.is_ignored


def _is_right(gold: GoldRow, row: OutputRow, how: Evaluation) -> bool:
    return gold.labels[:1] == fold_all(row.labels, how.mapping)[:1]


def _head(kind: str, how: Evaluation) -> dict[str, Any]:
    label_set = how.label_set
    return {
        "evaluation_version": EVALUATION_VERSION,
        "kind": kind,
        "label_set": {
            "name": label_set.name,
            "version": label_set.version,
            "digest": label_set.digest,
        },
        "mapping": None if how.mapping is None else how.mapping.name,
    }


def _pair(
    first: Sequence[str], row: OutputRow, document: str | None, mapping: Mapping | None
) -> Pair:
    return Pair(
        id=row.id,
        first=tuple(first),
        second=fold_all(row.labels, mapping),
        document=document or row.document,
    )


def _counted(pairs: Sequence[Pair], how: Evaluation) -> PairCounts:
    return count_pairs(pairs, how.label_set.keys)


def _scores(pairs: Sequence[Pair], how: Evaluation, with_sets: bool) -> dict[str, Any]:
    """Return all figures of the pairs; without pairs there is nothing to say."""
    if not pairs:
        return {"scores": None, "intervals": None, "labels": [], "confusion": None}
    counts = _counted(pairs, how)
    intervals = bootstrap(
        pairs, counts, with_sets=with_sets, resamples=how.resamples, seed=how.seed
    )
    matrix = counts.confusion().astype(int)
    used = [
        index for index in range(len(counts.names)) if matrix[index].any() or matrix[:, index].any()
    ]
    return {
        "scores": _plain(figures(counts, with_sets=with_sets)),
        "intervals": None if intervals is None else _interval_values(intervals),
        "labels": [asdict(one) | {"is_few": one.is_few} for one in label_scores(counts)],
        "confusion": {
            "labels": [counts.names[index] for index in used],
            "rows": [[int(matrix[one, two]) for two in used] for one in used],
        },
    }


def _interval_values(intervals: Intervals) -> dict[str, Any]:
    bounds = {name: list(both) for name, both in intervals.bounds.items()}
    return asdict(intervals) | {"bounds": bounds, "wilson": list(intervals.wilson)}


def _plain(found: dict[str, float]) -> dict[str, float | None]:
    """Return figures as JSON has them: what is not defined is null."""
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def _reasons(rows: Any) -> dict[str, int]:
    found = Counter(row.error or NO_REASON for row in rows if not row.labels)
    return dict(sorted(found.items()))


def _group_of(row: OutputRow, how: Evaluation) -> dict[str, Any]:
    return {
        "route": row.route,
        "model": row.model,
        "is_simulated": not how.simulated_models.isdisjoint(row.models),
    }


def _groups(labelled: Sequence[tuple[Pair, OutputRow]], how: Evaluation) -> list[dict[str, Any]]:
    """Return the scores of the rows of each route and model, the largest group first."""
    found: dict[tuple[str, str], list[tuple[Pair, OutputRow]]] = {}
    for pair, row in labelled:
        found.setdefault((row.route, row.model), []).append((pair, row))
    groups = []
    for members in sorted(found.values(), key=len, reverse=True):
        scores = _plain(figures(_counted([pair for pair, _ in members], how)))
        head = _group_of(members[0][1], how) | {"rows": len(members)}
        groups.append(head | {"scores": scores})
    return groups


def _group_pairs(
    compared: Sequence[tuple[Pair, OutputRow, OutputRow]], how: Evaluation
) -> list[dict[str, Any]]:
    """Return the agreement of each pair of (route, model), the largest group first."""
    found: dict[tuple[str, ...], list[tuple[Pair, OutputRow, OutputRow]]] = {}
    for entry in compared:
        _, one, two = entry
        found.setdefault((one.route, one.model, two.route, two.model), []).append(entry)
    return [
        {
            "first": _group_of(members[0][1], how),
            "second": _group_of(members[0][2], how),
            "rows": len(members),
            "scores": _plain(figures(_counted([pair for pair, _, _ in members], how))),
        }
        for members in sorted(found.values(), key=len, reverse=True)
    ]


def _simulated(rows: Iterable[OutputRow], how: Evaluation) -> str:
    """Return how many of the rows are no model's: `all`, `part` or `none`.

    A row that was decided by votes of rules and of a language model is one of a part.
    """
    distinct = {row.model: row for row in rows}  # few of millions
    models = [frozenset(row.models) for row in distinct.values()]
    if all(how.simulated_models.isdisjoint(one) for one in models):
        return "none"
    return "all" if all(one and one <= how.simulated_models for one in models) else "part"


def _confidence(scored: Sequence[tuple[Pair, OutputRow]], how: Evaluation) -> dict[str, Any] | None:
    """Return the calibration of the rows that state a confidence, or None where none does.

    `sources` says whose confidences these are: routes and models state probabilities of different
    things, so each has its own figures beside those of all.
    """
    judged: list[Judged] = []
    by_source: dict[tuple[str, str], list[Judged]] = {}
    heads: dict[tuple[str, str], dict[str, Any]] = {}
    for pair, row in scored:
        if row.labels and row.confidence is not None:
            judged.append((row.confidence, pair.agrees))
            by_source.setdefault((row.route, row.model), []).append(judged[-1])
            heads.setdefault((row.route, row.model), _group_of(row, how))
    found = calibrate(judged)
    if found is None and how.min_confidence is None:
        return None
    document: dict[str, Any] = {
        "calibration": None if found is None else asdict(found),
        "sources": [
            heads[source] | {"rows": one.rows, "ece": one.ece, "brier": one.brier}
            for source, rows in sorted(by_source.items(), key=lambda entry: -len(entry[1]))
            if (one := calibrate(rows)) is not None
        ],
    }
    if how.min_confidence is not None:
        without = sum(bool(row.labels) and row.confidence is None for _, row in scored)
        kept = above(judged, min_confidence=how.min_confidence, rows=len(scored), without=without)
        document["threshold"] = asdict(kept) | {"coverage": kept.coverage}
    return document


def _warnings(document: dict[str, Any], how: Evaluation) -> list[str]:
    """Return what a reader of the figures has to know, one sentence each."""
    found = []
    if document["kind"] == "gold":
        found += few_warning(document)
    if document.get("votes"):
        found.append(
            "The confidence of labels from votes is the share of outputs that agree on the label, "
            "not a probability that a model states."
        )
    if document["simulated"] == "all":
        found.append("All labels are simulated: they come from rules, not from a language model.")
    if document["simulated"] == "part":
        found.append(
            "Some labels are simulated: the figures of all rows mix rules with a language model. "
            "Read the line of each route and model instead."
        )
    elif len(document["groups"]) > 1:
        found.append(
            "The rows come from several routes or models; the figures of all rows mix them. Each "
            "has a line of its own."
        )
    if len((document.get("confidence") or {}).get("sources", ())) > 1:
        found.append(
            "The confidences come from several routes or models, which state probabilities of "
            "different things: the table of all of them mixes these. Each has a line of its own."
        )
    intervals = document["intervals"]
    if intervals is None and document["scores"] is not None and how.resamples:
        found.append("There are no intervals: they need two documents, or two rows without any.")
    return [*found, *([] if intervals is None else _interval_warnings(intervals))]


def few_warning(document: dict[str, Any], name: Callable[[str], str] = str) -> list[str]:
    """Return what is to be known of labels that gold hardly has; nothing if there are none.

    Args:
        document: Of an output against gold.
        name: Shows a label.
    """
    few = [name(one["key"]) for one in document["labels"] if one["is_few"]]
    has_intervals = document["intervals"] is not None
    return [
        f"Fewer than {FEW} gold rows: {', '.join(few)}. Chance moves their scores, and "
        f"macro-F1 with them{'; its interval is too narrow then' * has_intervals}."
    ] * bool(few)


def _interval_warnings(intervals: dict[str, Any]) -> list[str]:
    """Return what makes intervals worth less than they look."""
    found = []
    if intervals["units"] < FEW_UNITS:
        found.append(
            f"The intervals rest on {intervals['units']} {intervals['unit']}s; with fewer than "
            f"{FEW_UNITS} those of the bootstrap are too narrow."
        )
    if any(low == high for low, high in intervals["bounds"].values()):
        found.append(
            "An interval without width says only that all resamples gave the same figure, not that "
            "it is certain; Wilson's intervals allow for what was not seen."
        )
    if without := intervals["without_document"]:
        found.append(
            f"{without:,} row{' names' if without == 1 else 's name'} no document and the others "
            "do, so rows were drawn, not documents. Where rows of a document are alike, the "
            "intervals are too narrow: fill the column of documents."
        )
    return found


def _found(
    document: dict[str, Any], rows: Iterable[tuple[Pair, OutputRow | None, OutputRow]]
) -> Findings:
    differences = tuple(
        Difference(pair=pair, first=one, second=two) for pair, one, two in rows if not pair.agrees
    )
    document["differences"] = len(differences)
    return Findings(document=document, differences=differences)
