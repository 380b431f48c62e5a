"""What a run says of itself, in plain lines: before it sends, on the way, at the end.

Pure. `display` shows the lines; `estimate` uses the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.commands.request_wording import (
    about,
    all_runs_lines,
    counted,
    dollars,
    duration_words,
    refusal_lines,
    route_line,
    time_words,
)
from analysis.interrupts import INTERRUPTED
from analysis.prices import is_dated
from analysis.records import GIVEN_UP, FailureKind
from analysis.run_course import NOT_ASKED

if TYPE_CHECKING:
    from analysis.pipeline.report import RunSummary
    from analysis.pipeline.review import Outlook
    from analysis.pipeline.run import Plan

SHOWN_ID_CHARS = 60

LINE_EVERY_S = 10.0
"""Seconds between progress lines off a terminal."""

READ_EVERY_S = 0.5
"""Seconds between two looks at the cost so far."""

NOT_SENT = (FailureKind.EMPTY, FailureKind.TOO_LONG, FailureKind.STOPPED)
"""Kinds of rows that are no part of what is to be sent; the end counts them."""

WHOLE_AGAIN = (
    "The earlier command writes all of them again and asks for none that has a label; -o names "
    "another output for a part."
)
"""How to undo that a part of the input took the place of a whole output."""

STOPPING = "Interrupted. Requests in flight get some seconds to end; Ctrl-C again ends at once."

UNKNOWN_MODELS = frozenset(
    {"model_not_found", "invalid_model", "OperationNotSupported", "OpperationNotSupported"}
)
"""Codes of requests that no other try helps but one with another model."""


def plan_lines(plan: Plan) -> list[str]:
    """Return what is to be done, in plain lines."""
    lines = []
    if plan.unknown_requests:
        lines.append(
            f"{counted(plan.unknown_requests, 'request')} of earlier runs "
            f"({counted(plan.unknown_chunks, 'chunk')}) ended without an answer. They may have "
            "been paid for; what has no label is asked again."
        )
    if plan.goes_on_afresh:
        lines.append(
            "An earlier run with --fresh was stopped. This one goes on with it: what is paid for "
            "since then is not asked again."
        )
    if plan.replaced_rows:
        lines.append(
            f"The output has {counted(plan.replaced_rows, 'row')} of an earlier run, and gets "
            f"{plan.rows:,} in their place. {WHOLE_AGAIN}"
        )
    if plan.changed:
        why = "; ".join(plan.what_changed) or "text, topic, title or neighbours"
        lines.append(
            f"{counted(plan.changed, 'row')} changed since an earlier run ({why}): earlier labels "
            "do not count for them."
        )
    if plan.shortage is not None:
        free, needed = (one / 1e6 for one in (plan.shortage.free_bytes, plan.shortage.needed_bytes))
        lines.append(
            f"Too little room on the disk of {printable(str(plan.shortage.folder))}: {free:,.0f} "
            f"MB are free, and ledger and output take about {needed:,.0f} MB. Make room, or the "
            "run may end early."
        )
    if plan.review is not None:
        lines.extend(_review_lines(plan.review, " (simulated)" if plan.simulated else ""))
    others = _others(plan)
    if plan.to_do == 0:
        return [*lines, f"Nothing to do: {counted(plan.rows, 'row')}, {others}."]
    figures = plan.estimate
    amount = (
        f"{counted(figures.requests, 'request')}, about {figures.input_tokens:,} input and "
        f"{figures.output_tokens:,} output tokens"
    )
    if plan.simulated:
        estimate = f"{amount} (simulated)."
    else:
        price = (
            "cost unknown"
            if figures.cost_usd is None
            else f"{dollars(figures.cost_usd)} by the prices of {figures.price_date}"
        )
        known = "" if figures.is_learned else ", less or more once the service states its own"
        estimate = f"{amount}, {price}, {time_words(figures)}{known}."
    if not plan.simulated and len(set(plan.models.values())) > 1:
        models = ", ".join(f"{route} {model}" for route, model in plan.models.items())
        lines.append(
            f"Two models or more: {models}. A row goes to another model only after it failed on, "
            "or was refused by, the routes before; semfn_model names the model of each row."
        )
    if plan.without_logprobs:
        lines.append(
            f"No confidence on {', '.join(plan.without_logprobs)}: no token probabilities are "
            "stated there; semfn_confidence stays empty."
        )
    are_all = plan.rows == plan.to_do
    rows = counted(plan.rows, "row") + ("" if are_all else f": {others}, {plan.to_do:,} to do")
    return [*lines, f"{rows}. Estimate: {estimate}"]


def _review_lines(review: Outlook, mark: str) -> list[str]:
    """Return which rows get a mark for review, and which cannot get one."""
    line = f"Labels with a confidence below {review.bound:g} get 'uncertain' in semfn_review"
    if review.uncertain or review.without_confidence:
        line += (
            f"; of those that are there: {review.uncertain:,} below it, "
            f"{review.without_confidence:,} without a confidence{mark}"
        )
    lines = [f"{line}."]
    if review.silent_routes:
        lines.append(
            f"A row that is labelled over {' or '.join(review.silent_routes)} has no confidence "
            "and is not marked."
        )
    return lines


def review_line(summary: RunSummary, mark: str) -> str:
    """Return how many labels were marked, and how many could not be."""
    line = (
        f"Confidence below {summary.min_confidence:g}: {counted(summary.uncertain, 'row')} marked "
        f"'uncertain' in semfn_review{mark}"
    )
    if not summary.without_confidence:
        return f"{line}."
    without = counted(summary.without_confidence, "labelled row")
    return f"{line}; not marked: {without} without a confidence."


def _others(plan: Plan) -> str:
    """Return the rows that are not asked, by reason; two reasons always, the others if any."""
    counts = (
        (plan.taken_over, "take theirs from another ledger"),
        (plan.same_text, "repeat the text of another row"),
        (plan.passed_over, "were never asked"),
    )
    extra = "".join(f", {count:,} {reason}" for count, reason in counts if count)
    return f"{plan.reused:,} have a label{extra}, {plan.unsendable:,} cannot be sent"


def progress_line(
    *,
    done: int,
    failed: int,
    total: int,
    per_s: float | None,
    route: str | None,
    cost_usd: float | None = None,
) -> str:
    """Return how far a run is: chunks, failures, rate, time left, cost and route.

    Args:
        done: Chunks with a verdict.
        failed: Those of them without a label.
        total: Chunks that were to be done at the start.
        per_s: Chunks per second over the last minute; None: too early to say.
        route: The last one that answered.
        cost_usd: What was billed so far.
    """
    parts = [f"{done:,} of {total:,} chunks"]
    if failed:
        parts.append(f"{failed:,} failed")
    if done and per_s is not None:
        parts.append(f"{per_s:,.0f}/s" if per_s >= 1 else f"{per_s * 60:,.0f}/min")
        if done < total and per_s:
            parts.append(f"{duration_words((total - done) / per_s)} left")
    if cost_usd:
        parts.append(about(cost_usd))
    return ", ".join([*parts, route] if route else parts)


def summary_lines(summary: RunSummary) -> list[str]:
    """Return the end of a run in plain lines."""
    mark = " (simulated)" if summary.simulated else ""
    parts = (
        (summary.reused, "before"),
        (summary.taken_over, "from another ledger"),
        (summary.same_text, "with the label of another row of the same text"),
    )
    shares = "".join(f", {count:,} of them {words}" for count, words in parts if count)
    lines = [f"{summary.labeled:,} of {counted(summary.rows, 'row')} labelled{shares}{mark}."]
    if summary.by_label:
        labels = ", ".join(f"{label} {count:,}" for label, count in summary.by_label.items())
        lines.append(f"Labels{mark}: {labels}.")
    if summary.min_confidence is not None:
        lines.append(review_line(summary, mark))
    lines.extend(f"Not labelled: {line}" for line in failure_lines(summary))
    lines.extend(route_line(entry, mark) for entry in summary.routes)
    lines.extend(model_lines(summary))
    lines.extend(refusal_lines(summary, mark))
    lines.extend(copy_lines(summary))
    lines.extend(unknown_lines(summary))
    if summary.other_model_rows:
        lines.append(
            f"Exception: {counted(summary.other_model_rows, 'row')} labelled by another model than "
            "the first route asks for; semfn_route and semfn_model name it row by row."
        )
    has_asked = summary.record.get("logprobs") == "yes" and summary.min_confidence is None
    if summary.without_confidence and has_asked:
        lines.append(
            f"{counted(summary.without_confidence, 'labelled row')} without a confidence; no row "
            "is asked again to get one."
        )
    if reduced := summary.record.get("packs_reduced"):
        lines.append(f"Exception: {reduced}")
    if summary.labeled_now and (alone := summary.estimate.get("alone")):
        lines.append(
            f"{counted(alone, 'chunk')} sent alone: text or topic looks like orders to the model, "
            "or the text is long."
        )
    if summary.labeled_now and summary.label_s:
        rate = summary.labeled_now / summary.label_s
        lines.append(
            f"{counted(summary.labeled_now, 'chunk')} in {summary.label_s:.1f} s, {rate:,.0f}/s"
            f"{mark}."
        )
    if summary.replaced_rows:
        lines.append(
            f"The output had {counted(summary.replaced_rows, 'row')} and has {summary.rows:,} now. "
            f"{WHOLE_AGAIN}"
        )
    return [*lines, *all_runs_lines(summary), *stop_lines(summary)]


def model_lines(summary: RunSummary) -> list[str]:
    """Return the routes whose service reports another model than was asked for, and what it costs.

    A dated name of the same model is no other model.
    """
    if summary.simulated:
        return []
    lines = []
    for entry in summary.routes:
        model, asked = printable(entry["model"]), entry["asked_model"]
        if model == asked or is_dated(model, asked):
            continue
        cost = (
            f"its cost is not known by the prices of {summary.price_date}, so name its price in a "
            "table of your own (--prices FILE)"
            if entry["cost_usd"] is None
            else "the cost is by its price"
        )
        lines.append(
            f"Exception: {entry['route']} was asked for {asked} and answered as {model}; {cost}. A "
            f"budget counts by the price of {asked}."
        )
    return lines


def unknown_lines(summary: RunSummary) -> list[str]:
    """Return how many requests may have been paid for without an answer, and their largest cost.

    Those of this run and of earlier ones, as long as the ledger has nothing better to say of them.
    """
    count = summary.unknown_requests
    if not count:
        return []
    now = min(count, summary.requests.get("unknown", 0))
    runs = "" if now == count else f", {count - now:,} of them in earlier runs,"
    line = f"{counted(count, 'request')}{runs} ended without an answer and may have been paid for"
    if summary.simulated:
        return [f"{line} (simulated)."]
    if summary.unknown_cost_usd is None:
        return [f"{line}, at an unknown cost."]
    return [f"{line}: at most {dollars(summary.unknown_cost_usd)}, not in the figures above."]


def copy_lines(summary: RunSummary) -> list[str]:
    """Return how many requests were given up because a second one was answered first."""
    count = summary.requests.get(GIVEN_UP, 0)
    if not count:
        return []
    were, they = ("was", "it") if count == 1 else ("were", "they")
    line = (
        f"{counted(count, 'request')} {were} sent a second time because {they} took long; "
        "the slower one of the two may have been paid for"
    )
    return [f"{line}{_possible_cost(summary, count)}."]


def _possible_cost(summary: RunSummary, requests: int) -> str:
    """Return what so many requests may have cost: as much as answered ones, or nothing known."""
    answered = summary.requests.get("done", 0)
    if summary.simulated or not answered or not summary.cost_usd:
        return " (simulated)" if summary.simulated else ""
    possible = about(summary.cost_usd / answered * requests)
    return f": {possible}, not in the figures above"


def path_lines(summary: RunSummary) -> list[str]:
    """Return where the files of the run are, as the user named them."""
    output = "Partial output" if summary.stopped else "Output"
    paths = summary.paths
    return [
        f"{output}: {paths['output']}",
        f"Ledger: {paths['ledger']}",
        f"Results: {paths['results']}",
    ]


def end_lines(summary: RunSummary) -> list[str]:
    """Return only what went wrong, for a quiet run."""
    if summary.exit_code == 0:
        return []
    failures = failure_lines(summary) if not summary.stopped else []
    return [*(f"Not labelled: {line}" for line in failures), *stop_lines(summary)]


def failure_lines(summary: RunSummary) -> list[str]:
    """Return one line per kind of error, with an example."""
    lines = []
    for kind, count in summary.errors.items():
        if kind == FailureKind.STOPPED:
            lines.append(f"{counted(count, 'row')} {kind}, not reached.")
            continue
        example = summary.examples[kind]
        name = example["id"][:SHOWN_ID_CHARS]
        message = example["message"].rstrip(".")
        lines.append(f"{counted(count, 'row')} {kind}, first {name!r}: {message}.")
    return lines


def stop_lines(summary: RunSummary) -> list[str]:
    """Return why the run ended early and how to go on."""
    if not summary.stopped:
        return []
    is_own = summary.stopped == INTERRUPTED
    reason = "Interrupted." if is_own else f"Stopped: {summary.stopped.rstrip('.')}."
    change, kept = _going_on(summary)
    how = f"the command again{change}" if change else "the same command again"
    return [f"{reason} To go on, give {how}; {kept}."]


def _going_on(summary: RunSummary) -> tuple[str, str]:
    """Return what is to be changed to go on with a run, and what is asked again."""
    kept = "what is paid for is not asked again"
    if summary.exit_code == 3 and summary.refusals and UNKNOWN_MODELS.issuperset(summary.refusals):
        return " with another --model", "rows that have a label of this one are asked again"
    if summary.record["fresh"] == "yes":
        return " without --fresh", kept
    if summary.stopped.startswith(NOT_ASKED.partition("{")[0]):
        return " without --retry-failed", kept
    return "", kept


def partial_words(summary: RunSummary) -> str:
    """Return what a frame lacks and how to get it; empty if it has all that the run allows.

    Options stand there as those of the command.
    """
    if not summary.exit_code:
        return ""
    mark = " (simulated)" if summary.simulated else ""
    head = f"{summary.labeled:,} of {counted(summary.rows, 'row')} labelled{mark}"
    if not summary.stopped:
        failed = [
            (kind, count) for kind, count in summary.errors.items() if FailureKind(kind).is_failure
        ]
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in failed)
        return f"{head}; {summary.failed:,} failed ({kinds}). The column semfn_error says which."
    change, kept = _going_on(summary)
    how = f"the call again{change}" if change else "the same call again"
    return f"{head}; stopped: {summary.stopped.rstrip('.')}. Make {how} to go on; {kept}."


def printable(text: str) -> str:
    """Return a text with control characters escaped, so that none reaches the terminal."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else mark.encode("unicode_escape").decode()
        for mark in text
    )
