"""An audit and a proof in plain lines of at most 80 columns, but for names of files and routes.

Pure. `evaluate_audit` and `prove` print them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from analysis.audit.arms import AGAIN, ALONE, SHUFFLED
from analysis.commands.evaluate_wording import COLUMNS
from analysis.commands.layout import laid_out
from analysis.commands.wording import dollars, printable

MEANING = {
    AGAIN: "the same requests once more: its share is noise",
    ALONE: "each chunk in a request of its own",
    SHUFFLED: "the same chunks in each request, in another order",
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
        f"Primary labels that changed{mark}",
        *laid_out([_HEAD, *map(_change_row, document["arms"])], right={1, 2, 3, 5, 6}),
        *(
            f"{printable(arm['name'])}: {MEANING[arm['name']]}."
            for arm in document["arms"]
            if arm["name"] in MEANING
        ),
    ]
    note = (
        "beyond noise: the share above that of the repeated requests; p: how likely such a "
        "difference is where the arm changes nothing (McNemar's test)."
    )
    lines += wrap(note, COLUMNS) if len(document["arms"]) > 1 else []
    lines += ["", *cost_lines(document["arms"], mark), *bill_lines(document["bill"], mark)]
    return [*lines, *stop_line(document)]


_HEAD = ("", "rows", "changed", "share", "95 % interval", "beyond noise", "p")


def _change_row(arm: Document) -> tuple[str, ...]:
    found, beyond = arm["changed"], arm["beyond_noise"]
    if found is None:
        return (printable(arm["name"]), "0", *[""] * (len(_HEAD) - 2))
    share = found["primary"]
    cells = (
        printable(arm["name"]),
        f"{found['rows']:,}",
        f"{share['count']:,}",
        f"{share['share']:.3f}",
        interval(share),
    )
    if beyond is None:
        return (*cells, "", "")
    return (*cells, f"{beyond['difference']:+.3f}", f"{beyond['p_value']:.4f}")


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
    rows = [("route", "model", "chunks", "p50 ms", "p95 ms", "same label", "95 % interval")]
    rows += map(_latency_row, document["routes"])
    lines += ["", f"Routes, one request at a time{mark}", *laid_out(rows, right={2, 3, 4, 5})]
    lines.append("same label: as over the first routes, one chunk in a request.")
    lines += ["", *bill_lines(document["bill"], mark), *stop_line(document)]
    missing = document["not_asked"]
    return [*lines, f"Not asked: {', '.join(missing)}."] if missing else lines


_PAIR_HEAD = ("label set", "first", "second", "rows", "same label", "95 % interval", "")


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
