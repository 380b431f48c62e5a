"""What a run did, counted from the ledger and the output; and how it says so.

io only for reading the package's price table. pipeline/run.py makes the summary, commands print it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

from analysis.analyzer import Analyzer, Estimate
from analysis.errors import ConfigurationError
from analysis.pipeline.bill import SIMULATED_MODELS, all_runs, cost_of, possible_usd, total_of
from analysis.pipeline.ledger_rows import (
    SAME_TEXT,
    LedgerTotals,
    RouteTotals,
    UnknownRequests,
    VerdictRow,
)
from analysis.pipeline.review import is_uncertain
from analysis.prices import PriceTable
from analysis.records import FailureKind, Usage

SUMMARY_VERSION = 2
"""Moves when a field of the summary changes its meaning or goes."""

ESTIMATED = ("requests", "input_tokens", "output_tokens", "cost_usd", "alone")
"""What a summary repeats of the estimate before the run."""


class StopKind(Enum):
    """Why a run ended early; the value is the exit code."""

    FAILURES = 1
    SERVICE = 3
    CAP = 4
    DISK = 5
    INTERRUPTED = 130


@dataclass(slots=True)
class Counts:
    """Counters of one run, filled while the output is derived."""

    labeled_now: int = 0
    labeled: int = 0
    same_text: int = 0
    taken_over: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Mapping[str, str]] = field(default_factory=dict)
    by_route: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_label: Counter[str] = field(default_factory=Counter)
    min_confidence: float | None = None
    uncertain: int = 0
    without_confidence: int = 0

    def clear_rows(self) -> None:
        """Forget what was counted about rows, before they are counted anew."""
        self.labeled = self.same_text = self.taken_over = 0
        self.uncertain = self.without_confidence = 0
        for counter in (self.errors, self.by_route, self.by_label):
            counter.clear()
        self.examples.clear()

    def shares(self) -> dict[str, Any]:
        """Return the counters that stand in the summary as they are."""
        names = ("labeled", "labeled_now", "same_text", "taken_over")
        doubts = ("min_confidence", "uncertain", "without_confidence")
        return {name: getattr(self, name) for name in (*names, *doubts)}

    def add_row(self, chunk_id: str, verdict: VerdictRow | None) -> None:
        """Count one row of the output; None is a row that a stopped run did not reach."""
        if verdict is None:
            self.errors[FailureKind.STOPPED] += 1
        elif verdict.labels:
            self.labeled += 1
            self.same_text += verdict.reused_from == SAME_TEXT
            self.taken_over += verdict.reused_from not in (None, SAME_TEXT)
            self.by_route[(verdict.route or "", verdict.model or "")] += 1
            self.by_label[verdict.labels[0]] += 1
            self.without_confidence += verdict.confidence is None
            if self.min_confidence is not None:
                self.uncertain += is_uncertain(verdict.confidence, self.min_confidence)
        else:
            kind = verdict.error_kind or ""
            self.errors[kind] += 1
            example = {"id": chunk_id, "message": verdict.error_message or ""}
            self.examples.setdefault(kind, example)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did.

    Attributes:
        exit_code: As documented for the command.
        rows: Rows of the input.
        labeled: Rows of the output with a label, reused ones included.
        reused: Rows whose label the ledger held before the run.
        labeled_now: Rows labelled by requests of this run.
        same_text: Labelled rows that have the label of another row with the same text.
        taken_over: Labelled rows whose label came from another ledger.
        errors: Error kind -> rows of the output.
        examples: Error kind -> `id` and `message` of the first such row.
        routes: One entry per route and model as the service reported it: the model that was asked
            for, rows, requests that were sent, of them refused, lost and given up, billed tokens of
            this run, cost by the price of `model`, simulated by that of the model asked for.
        other_model_rows: Labelled rows of routes that ask for another model than the first route.
        by_label: Primary label -> rows.
        usage: Tokens billed in this run.
        cost_usd: By the price table, or None if a model or service tier is not listed, or if a
            route was answered by several tiers; a simulated one if `simulated`.
        price_date: Day of the price table.
        refusals: Error code -> requests of this run that the service refused.
        losses: Error code -> requests of this run that ended without an answer, without those that
            were given up; `in_flight` is the code of those that an interruption cut off.
        all_runs: What all runs of the ledger took: `runs` that sent something, `requests` by state,
            `usage`, `cost_usd`, and `simulated` if that is true of any of them.
        unknown_requests: Requests of this and earlier runs that may have been paid without answer.
        unknown_chunks: Chunks in them.
        unknown_cost_usd: What they cost at most, beside `cost_usd`; None if that is not known.
        late_answers: Second labels that were dropped.
        duration_s: Start to end of the run.
        label_s: Of it, the time in which requests were sent.
        simulated: Labels came from the local service or from rules, so no figure is a real one.
        stopped: Why the run ended early, or empty.
        paths: `input` and `output` (of several the folder), `ledger`, `results`.
        inputs: All inputs.
        outputs: The output of each.
        record: Settings and versions of the run.
        notes: What the reader of the inputs assumed.
        min_confidence: Labels with a confidence below it are marked in the output, or None.
        uncertain: Rows of the output that are marked.
        without_confidence: Labelled rows of the output whose route or model stated no confidence;
            none is marked, and none is asked again to get one.
        replaced_rows: Rows of the earlier output, if fewer of a part of the input took its place;
            else 0.
    """

    run_id: str
    exit_code: int
    rows: int
    labeled: int
    reused: int
    labeled_now: int
    same_text: int
    taken_over: int
    errors: Mapping[str, int]
    examples: Mapping[str, Mapping[str, str]]
    routes: Sequence[Mapping[str, Any]]
    other_model_rows: int
    by_label: Mapping[str, int]
    usage: Usage
    cost_usd: float | None
    price_date: str
    requests: Mapping[str, int]
    refusals: Mapping[str, int]
    losses: Mapping[str, int]
    all_runs: Mapping[str, Any]
    unknown_requests: int
    unknown_chunks: int
    unknown_cost_usd: float | None
    late_answers: int
    started_at: str
    ended_at: str
    duration_s: float
    label_s: float
    simulated: bool
    stopped: str
    paths: Mapping[str, str]
    inputs: Sequence[str]
    outputs: Sequence[str]
    record: Mapping[str, str]
    notes: Sequence[str]
    estimate: Mapping[str, Any]
    min_confidence: float | None = None
    uncertain: int = 0
    without_confidence: int = 0
    replaced_rows: int = 0

    @property
    def failed(self) -> int:
        """Rows without a label that should have one: neither empty nor merely not reached."""
        ignored = (FailureKind.EMPTY, FailureKind.STOPPED)
        return sum(count for kind, count in self.errors.items() if kind not in ignored)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready values, with its version."""
        found: dict[str, Any] = {"summary_version": SUMMARY_VERSION}
        for name in self.__slots__:
            value = getattr(self, name)
            found[name] = value.to_dict() if isinstance(value, Usage) else value
        found["failed"] = self.failed
        return found

    def to_json(self) -> bytes:
        """Return the summary as a JSON document in UTF-8, for files and pipes."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n"
        # A file name may hold bytes that are no text; as a JSON escape they do no harm.
        return text.encode("utf-8", errors="backslashreplace")


def summarize(
    *,
    run_id: str,
    started_at: datetime,
    ended_at: datetime,
    label_s: float,
    notes: Sequence[str],
    inputs: Sequence[str],
    outputs: Sequence[str],
    paths: Mapping[str, Path],
    plan_rows: int,
    reused: int,
    estimate: Estimate,
    counts: Counts,
    totals: LedgerTotals,
    unknown: UnknownRequests,
    analyzer: Analyzer,
    record: Mapping[str, str],
    stop: StopKind | None,
    reason: str,
    max_failed: float | str,
    replaced_rows: int = 0,
) -> RunSummary:
    """Put together what a run did; for `max_failed` see `allowed_failures`."""
    facts = analyzer.facts
    usage, cost = total_of(totals.run, facts, analyzer.prices)
    asked = models_of(analyzer)
    routes = [_route_entry(entry, counts, facts, analyzer.prices, asked) for entry in totals.run]
    models = {model for _, model in counts.by_route} | {entry.model for entry in totals.run}
    simulated = bool(models & SIMULATED_MODELS) or is_simulated(analyzer)
    summary = RunSummary(
        run_id=run_id,
        exit_code=stop.value if stop else 0,
        rows=plan_rows,
        reused=reused,
        **counts.shares(),
        errors={str(kind): count for kind, count in sorted(counts.errors.items())},
        examples=dict(sorted(counts.examples.items())),
        routes=routes,
        other_model_rows=_other_model_rows(counts, analyzer),
        by_label=dict(counts.by_label.most_common()),
        usage=usage,
        cost_usd=cost,
        price_date=analyzer.prices.date,
        requests=_ended(totals.run_states),
        refusals=dict(totals.refusals),
        losses=dict(totals.losses),
        all_runs=all_runs(totals, facts, analyzer.prices, is_simulated=simulated)
        | {"requests": _ended(totals.overall_states)},
        unknown_requests=unknown.requests,
        unknown_chunks=unknown.chunks,
        unknown_cost_usd=possible_usd(unknown, facts, analyzer.prices),
        late_answers=totals.late,
        started_at=started_at.isoformat(timespec="seconds"),
        ended_at=ended_at.isoformat(timespec="seconds"),
        duration_s=round((ended_at - started_at).total_seconds(), 3),
        label_s=round(label_s, 3),
        simulated=simulated,
        stopped=reason,
        paths={name: str(path) for name, path in paths.items()},
        inputs=inputs,
        outputs=outputs,
        record={**record, **_reductions(analyzer)},
        notes=notes,
        estimate={name: getattr(estimate, name) for name in ESTIMATED},
        replaced_rows=replaced_rows,
    )
    if stop is None and summary.failed > allowed_failures(max_failed, plan_rows):
        return _with_exit_code(summary, 1)
    return summary


def allowed_failures(max_failed: float | str, rows: int) -> int:
    """Return how many failed rows a run may have.

    Args:
        max_failed: A number of rows, a share of the rows above 0 and below 1, or a text: `3` is
            three rows, `2%` a share.
        rows: Rows of the input.

    Raises:
        ConfigurationError: If it is none of these.
    """
    text = str(max_failed).strip()
    is_share = text.endswith("%") or (isinstance(max_failed, float) and 0 < max_failed < 1)
    try:
        # Exact, since 29 % of 100 rows as a float is a little less than 29.
        number = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        number = Fraction(-1)
    if number < 0 or (is_share and number > 1) or not (is_share or number.denominator == 1):
        raise ConfigurationError(
            f"--max-failed {text!r} cannot be used. Pass a number of rows such as 10, or a share "
            "of them such as 2%."
        )
    return int(number * rows) if is_share else int(number)


def _ended(states: Mapping[str, int]) -> dict[str, int]:
    """Return state of a request -> number for a run that ended.

    What is still `intended` was in flight when the run was cut off: its outcome is `unknown`, as
    the next run will record it.
    """
    found = dict(states)
    if cut_off := found.pop("intended", 0):
        found["unknown"] = found.get("unknown", 0) + cut_off
    return found


def is_simulated(analyzer: Analyzer) -> bool:
    """Tell before a run whether its labels come from the local service or from rules."""
    return analyzer.run_key["endpoint"] in ("embedded", "offline")


def models_of(analyzer: Analyzer) -> dict[str, str]:
    """Return route -> model that a run asks for there, in the order of its routes."""
    return dict(entry.split("=", 1) for entry in analyzer.run_key["routes"].split(","))


def first_route(analyzer: Analyzer) -> str:
    """Return the name of the first route of a run."""
    return analyzer.run_key["routes"].split("=", 1)[0]


def _reductions(analyzer: Analyzer) -> Mapping[str, str]:
    """Return how packs became smaller within the run, if they did: an exception to its rule."""
    found = analyzer.statistics().get("packs_reduced")
    return {"packs_reduced": " ".join(found)} if found else {}


def _with_exit_code(summary: RunSummary, code: int) -> RunSummary:
    values = {name: getattr(summary, name) for name in summary.__slots__}
    return RunSummary(**values | {"exit_code": code})


def _route_entry(
    entry: RouteTotals,
    counts: Counts,
    facts: Mapping[str, str],
    prices: PriceTable,
    asked: Mapping[str, str],
) -> dict[str, Any]:
    cost = cost_of(entry, facts, prices)
    return {
        "route": entry.route,
        "model": entry.model,
        "asked_model": asked.get(entry.route, entry.model),
        "rows": counts.by_route.get((entry.route, entry.model), 0),
        "requests": entry.requests,
        "refused": entry.refused,
        "lost": entry.lost,
        "given_up": entry.given_up,
        **entry.usage.to_dict(),
        "cost_usd": None if cost is None else round(cost, 6),
    }


def _other_model_rows(counts: Counts, analyzer: Analyzer) -> int:
    """Count labelled rows of routes that ask for another model than the first route."""
    asked = models_of(analyzer)
    own = asked[first_route(analyzer)]
    return sum(rows for (route, _), rows in counts.by_route.items() if asked.get(route, own) != own)
