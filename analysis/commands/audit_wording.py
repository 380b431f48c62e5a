"""An audit and a proof in plain lines of at most 80 columns, but for names of files and routes.

Pure. `evaluate_audit` and `prove` print them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from analysis.audit.arms import AGAIN, ALONE, RELISTED, SHUFFLED
from analysis.commands.evaluate_wording import COLUMNS
from analysis.commands.layout import laid_out
from analysis.commands.request_wording import dollars
from analysis.commands.wording import printable

MEANING = {
    AGAIN: "the same requests once more: its share is noise",
    ALONE: "each chunk in a request of its own",
    SHUFFLED: "the same chunks in each request, in another order; the request still says that they "
    "stand in text order, so part of the effect may be that false sentence",
    RELISTED: "the same requests, with the labels listed in another order",
}
"""Arm -> what was asked in it."""

Document = Mapping[str, Any]


def audit_lines(document: Document, *, output: str) -> list[str]:
    """Return an audit in lines.

    Args:
        document: `audited.document_of`.
        output: The output that was audited.
    """
    mark = marked(document)
    run, sample = document["run"], document["sample"]
    routes = ", ".join(f"{route} ({run['models'][route]})" for route in run["routes"])
    lines = [
        f"Audit of {printable(output)}{mark}",
        f"Asked as in the run: {printable(routes)}, {run['chunks_per_request']} in a request.",
        f"Sample: {_rows(sample['rows'])}, seed {sample['seed']}; "
        f"compared: {sample['compared']:,}.",
        *_left_out(sample),
        "",
        *change_lines(document["arms"], mark),
        *_meanings(document["arms"]),
        *beyond_lines(document["arms"], mark),
    ]
    lines += ["", *cost_lines(document["arms"], mark), *bill_lines(document["bill"], mark)]
    return [*lines, *stop_line(document)]


def change_lines(arms: Sequence[Document], mark: str) -> list[str]:
    """Return how many labels each arm changed, with intervals by request."""
    rows: list[Sequence[str]] = [("", "rows", "requests", "changed", "share", "95 % interval")]
    for arm in arms:
        name, found = printable(arm["name"]), arm["changed"]
        if found is None:
            rows.append((name, "0", *[""] * 4))
            continue
        share = found["primary"]
        counts = (f"{share[key]:,}" for key in ("rows", "requests", "count"))
        rows.append((name, *counts, f"{share['share']:.3f}", interval(share)))
    lines = [f"Primary labels that changed{mark}", *laid_out(rows, right={1, 2, 3, 4})]
    return [*lines, *_unchanged_lines(arms)]


def _unchanged_lines(arms: Sequence[Document]) -> list[str]:
    """Return both bounds where nothing changed, so that nobody sees how rows change together."""
    shares = {
        printable(arm["name"]): arm["changed"]["primary"]
        for arm in arms
        if arm["changed"] and not arm["changed"]["primary"]["count"]
    }
    packed = {name: one for name, one in shares.items() if one["requests"] < one["rows"]}
    if not packed:
        return []
    by_rows = max(one["high_by_rows"] for one in packed.values())
    note = (
        f"No change in {', '.join(packed)}: the upper bound is for changes of whole requests. If "
        f"rows changed one by one, it would be {by_rows:.3f}."
    )
    return wrap(note, COLUMNS)


def _meanings(arms: Sequence[Document]) -> list[str]:
    return [
        line
        for arm in arms
        if arm["name"] in MEANING
        for line in wrap(f"{arm['name']}: {MEANING[arm['name']]}.", COLUMNS)
    ]


def beyond_lines(arms: Sequence[Document], mark: str) -> list[str]:
    """Return what arms change beyond the noise; nothing where no arm can be held against it."""
    rows = [("", "difference", "95 % interval", "p")]
    for arm in arms:
        if (found := arm["beyond_noise"]) is not None:
            bounds = f"{found['low']:+.3f} to {found['high']:+.3f}"
            figures = (f"{found['difference']:+.3f}", bounds, f"{found['p_value']:.4f}")
            rows.append((printable(arm["name"]), *figures))
    if len(rows) == 1:
        return []
    note = (
        "difference: the share above that of the repeated requests; p: how likely such a "
        "difference is where the arm changes nothing (sign-flip test). Intervals and test take "
        "whole requests, whose chunks can change together."
    )
    title = f"Changed beyond noise{mark}"
    return ["", title, *laid_out(rows, right={1, 3}), *wrap(note, COLUMNS)]


def _left_out(sample: Document) -> list[str]:
    reasons = (
        (sample["without_label"], "without a label in the output"),
        (sample["reused"], "with a label from an earlier answer"),
    )
    return [f"Left out: {_rows(count)} {reason}." for count, reason in reasons if count]


def interval(share: Document) -> str:
    """Return the interval of a share."""
    return f"{share['low']:.3f} to {share['high']:.3f}"


def marked(document: Document) -> str:
    """Return the mark of figures that are no model's."""
    return " (simulated)" if document["simulated"] else ""


def cost_lines(arms: Sequence[Document], mark: str) -> list[str]:
    """Return what each arm took."""
    rows = [("", "chunks", "labelled", "requests", "input tokens", "output tokens")]
    rows += [
        (
            printable(arm["name"]),
            f"{arm['chunks']:,}",
            f"{arm['labelled']:,}",
            f"{arm['requests']:,}",
            f"{arm['billed']['input_tokens']:,}",
            f"{arm['billed']['output_tokens']:,}",
        )
        for arm in arms
    ]
    return [f"Asked{mark}", *laid_out(rows, right=set(range(1, 6)))]


def bill_lines(bill: Document, mark: str) -> list[str]:
    """Return the bill beside the estimate."""
    if mark:
        tokens = (
            f"Bill{mark}: {bill['billed_input_tokens']:,} input tokens, estimated "
            f"{bill['estimated_input_tokens']:,}."
        )
        return [tokens]
    amount = bill["billed_usd_of_all_arms"]
    paid = "cost unknown" if amount is None else dollars(amount)
    ratio = bill["billed_to_estimated"]
    worth = "" if ratio is None else f"; finished arms cost {ratio:.2f} of their estimate"
    return [f"Bill: {paid}{worth}."]


def proof_lines(document: Document) -> list[str]:
    """Return a proof in lines.

    Args:
        document: `proof.document_of`.
    """
    mark = marked(document)
    rows: list[tuple[str, ...]] = [
        ("label set", "first", "second", "rows", "same label", "95 % interval", "")
    ]
    for one in document["label_sets"]:
        rows += [_pair_row(one["label_set"]["name"], pair) for pair in one["agreement"]]
    lines = [f"Agreement of primary labels{mark}", *laid_out(rows, right={3, 4})]
    lines.append("noise: the same requests twice; no other figure can be expected to be above it.")
    lines += same_arm_lines(
        (pair["first"], pair["second"])
        for one in document["label_sets"]
        for pair in one["agreement"]
        if pair["is_noise"] and pair["second"] != AGAIN
    )
    lines.append("Intervals are by request: chunks of one request can change together.")
    lines += _same_lines(
        [pair["found"] for one in document["label_sets"] for pair in one["agreement"]]
    )
    rows = [("route", "model", "chunks", "p50 ms", "p95 ms", "same label", "95 % interval")]
    rows += map(_latency_row, document["routes"])
    lines += ["", f"Routes, one request at a time{mark}", *laid_out(rows, right={2, 3, 4, 5})]
    lines.append("same label: as over the first routes, one chunk in a request.")
    lines += ["", *bill_lines(document["bill"], mark), *stop_line(document)]
    missing = document["not_asked"]
    return [*lines, f"Not asked: {', '.join(missing)}."] if missing else lines


def same_arm_lines(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return that some pack sizes ask the same, each pair once."""
    return [
        line
        for first, second in dict.fromkeys(pairs)
        for line in wrap(
            f"{first} and {second} ask the same requests of these texts: they compare nothing. "
            "Take more texts, or longer documents.",
            COLUMNS,
        )
    ]


def _same_lines(pairs: Sequence[Document | None]) -> list[str]:
    """Return the other bound of arms that agree on all rows; as in `_unchanged_lines`."""
    shares = [pair["same"] for pair in pairs if pair]
    bounds = [
        one["low_by_rows"]
        for one in shares
        if one["count"] == one["rows"] and one["requests"] < one["rows"]
    ]
    if not bounds:
        return []
    note = (
        "Where all labels are the same, the lower bound is for changes of whole requests. If rows "
        f"changed one by one, it would be {min(bounds):.3f}."
    )
    return wrap(note, COLUMNS)


def _pair_row(label_set: str, pair: Document) -> tuple[str, ...]:
    names = (label_set, pair["first"], pair["second"])
    noise = "noise" if pair["is_noise"] else ""
    if pair["found"] is None:
        return (*names, "0", "", "", noise)
    same = pair["found"]["same"]
    return (*names, f"{same['rows']:,}", f"{same['share']:.3f}", interval(same), noise)


def _latency_row(route: Document) -> tuple[str, ...]:
    latency, found = route["latency"], route["against_packs_of_one"]
    head = (route["name"], printable(route["model"]))
    times = ("0", "", "")
    if latency is not None:
        times = (
            f"{latency['samples']:,}",
            f"{latency['p50']:,.0f}",
            f"{latency['p95']:,.0f}",
        )
    if found is None:
        return (*head, *times, "", "")
    return (*head, *times, f"{found['same']['share']:.3f}", interval(found["same"]))


def stop_line(document: Document) -> list[str]:
    """Return why not all was asked."""
    if not document["stopped"]:
        return []
    reason = printable(document["stopped"]).rstrip(".")
    return [f"Stopped: {reason}. The figures are those of what was asked before."]


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")
