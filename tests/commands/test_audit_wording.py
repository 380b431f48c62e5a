"""Audits and proofs in plain lines."""

from __future__ import annotations

from typing import Any

from analysis.commands.audit_wording import (
    audit_lines,
    bill_lines,
    proof_lines,
    stop_line,
)
from analysis.commands.layout import width

SHARE = {
    "count": 3,
    "rows": 40,
    "requests": 4,
    "share": 0.075,
    "low": 0.004,
    "high": 0.599,
    "low_by_rows": 0.026,
    "high_by_rows": 0.199,
    "level": 0.95,
}
NONE = SHARE | {"count": 0, "share": 0.0, "low": 0.0, "high": 0.49, "high_by_rows": 0.088}
FOUND = {"rows": 40, "same": SHARE, "primary": SHARE, "any": SHARE, "first_ids": []}
BEYOND = {
    "rows": 40,
    "requests": 4,
    "difference": 0.05,
    "low": -0.1,
    "high": 0.4,
    "level": 0.95,
    "only_arm": 3,
    "only_again": 1,
    "p_value": 0.625,
}
BILL: dict[str, Any] = {
    "arms": 1,
    "estimated_usd": 0.02,
    "billed_usd": 0.018,
    "billed_to_estimated": 0.9,
    "estimated_input_tokens": 1_000,
    "billed_input_tokens": 900,
    "billed_usd_of_all_arms": 0.018,
    "simulated": False,
}


def arm(name: str, **more: Any) -> dict[str, Any]:
    """Return an arm of an audit."""
    billed = {"input_tokens": 9_000, "output_tokens": 400}
    counts = {"chunks": 40, "labelled": 40, "requests": 4, "billed": billed}
    return {"name": name, "changed": FOUND, "beyond_noise": BEYOND} | counts | more


def audit(**more: Any) -> dict[str, Any]:
    """Return the document of an audit."""
    return {
        "simulated": False,
        "run": {"routes": ["rest"], "models": {"rest": "gpt-6-luna"}, "chunks_per_request": 10},
        "sample": {"rows": 42, "seed": 1, "compared": 40, "reused": 1, "without_label": 1},
        "arms": [arm("again", beyond_noise=None), arm("alone"), arm("over realtime,rest")],
        "bill": BILL,
        "stopped": "",
    } | more


def proof(**more: Any) -> dict[str, Any]:
    """Return the document of a proof."""
    pair = {"first": "k=10", "second": "again", "is_noise": True, "found": FOUND}
    lost = {"first": "k=1", "second": "k=10", "is_noise": False, "found": None}
    latency = {"p50": 812.25, "p95": 1_400.0, "p99": 1_500.0, "samples": 20}
    route = {"name": "realtime", "model": "gpt-realtime-2.1-mini", "latency": latency}
    gone = {"name": "decisions", "model": "m", "latency": None, "against_packs_of_one": None}
    return {
        "simulated": False,
        "label_sets": [{"label_set": {"name": "ten_functions"}, "agreement": [pair, lost]}],
        "routes": [route | {"against_packs_of_one": FOUND}, gone],
        "bill": BILL,
        "not_asked": [],
        "stopped": "",
    } | more


def test_an_arm_without_answers_has_no_figures() -> None:
    """A cut audit still reads as a table."""
    lines = audit_lines(audit(arms=[arm("again", changed=None, beyond_noise=None)]), output="o.csv")
    (row,) = [line for line in lines if line.split()[:2] == ["again", "0"]]
    assert ["again", "0"] == row.split()


def test_changes_stand_with_interval_and_noise() -> None:
    """One line per arm; what was left out is counted."""
    lines = audit_lines(audit(), output="o.csv")
    assert "Sample: 42 rows, seed 1; compared: 40." in lines
    assert "Left out: 1 row without a label in the output." in lines
    assert "Left out: 1 row with a label from an earlier answer." in lines
    changed, beyond, _ = [line.split() for line in lines if line.startswith("alone ")]
    assert ["alone", "40", "4", "3", "0.075", "0.004", "to", "0.599"] == changed
    assert ["alone", "+0.050", "-0.100", "to", "+0.400", "0.6250"] == beyond
    assert [] == [line for line in lines if "simulated" in line]


def test_without_a_change_both_bounds_are_told() -> None:
    """Whether rows change one by one cannot be seen where none does."""
    still = arm("again", changed=FOUND | {"primary": NONE}, beyond_noise=None)
    text = " ".join(audit_lines(audit(arms=[still, arm("alone")]), output="o.csv"))
    assert "No change in again: the upper bound is for changes of whole requests." in text
    assert "one by one, it would be 0.088." in text
    single = arm("again", changed=FOUND | {"primary": NONE | {"requests": 40}}, beyond_noise=None)
    assert "No change" not in " ".join(audit_lines(audit(arms=[single]), output="o.csv"))


def test_another_order_is_told_with_its_false_sentence() -> None:
    """The prompt says that chunks stand in text order, and there they do not."""
    text = " ".join(audit_lines(audit(arms=[arm("shuffled")]), output="o.csv"))
    assert "part of the effect may be that false sentence." in text


def test_noise_alone_is_held_against_nothing() -> None:
    """A run of single chunks has one arm."""
    lines = audit_lines(audit(arms=[arm("again", beyond_noise=None)]), output="o.csv")
    assert [] == [line for line in lines if "beyond noise" in line or "sign-flip" in line]


def test_a_simulated_audit_marks_every_title() -> None:
    """No figure of the local service stands without the word."""
    lines = audit_lines(audit(simulated=True), output="o.csv")
    starts = ("Audit", "Primary", "Changed", "Asked (", "Bill")
    titles = [line for line in lines if line.startswith(starts)]
    assert 5 == len(titles)
    assert all("(simulated)" in line for line in titles)


def test_a_proof_shows_agreement_latency_and_bill() -> None:
    """Noise is named; a route that gave no answer has no figures."""
    lines = proof_lines(proof())
    assert any(line.endswith("noise") and "0.075" in line for line in lines)
    (row,) = [line for line in lines if line.startswith("realtime")]
    assert ["20", "812", "1,400"] == row.split()[2:5]
    assert any(line.split() == ["decisions", "m", "0"] for line in lines)
    assert "Bill: 0.02 USD; finished arms cost 0.90 of their estimate." in lines
    assert "Not asked: rest, decisions." == proof_lines(proof(not_asked=["rest", "decisions"]))[-1]


def test_agreement_of_all_labels_tells_both_bounds() -> None:
    """As an audit without a change does."""
    assert not any(line.startswith("Where all labels") for line in proof_lines(proof()))
    same = SHARE | {"count": 40, "share": 1.0, "low": 0.51, "high": 1.0, "low_by_rows": 0.912}
    pair = {"first": "k=1", "second": "k=10", "is_noise": False, "found": FOUND | {"same": same}}
    sets = [{"label_set": {"name": "ten_functions"}, "agreement": [pair]}]
    text = " ".join(proof_lines(proof(label_sets=sets)))
    assert "If rows changed one by one, it would be 0.912." in text


def test_a_bill_without_price_says_so() -> None:
    """And a simulated one shows tokens, no money."""
    unknown = BILL | {"billed_usd_of_all_arms": None, "billed_to_estimated": None}
    assert ["Bill: cost unknown."] == bill_lines(unknown, "")
    expected = "Bill (simulated): 900 input tokens, estimated 1,000."
    assert [expected] == bill_lines(BILL, " (simulated)")


def test_a_stop_is_told_once() -> None:
    """With its reason, and no control characters of a server."""
    assert [] == stop_line({"stopped": ""})
    (line,) = stop_line({"stopped": "no\x1b[2J money."})
    assert line.startswith("Stopped: no\\x1b[2J money. The figures")


def test_lines_fit_a_terminal() -> None:
    """But for names of files and routes."""
    lines = [*audit_lines(audit(simulated=True), output="o.csv"), *proof_lines(proof())]
    assert [] == [line for line in lines if width(line) > 90]
