"""What a person sees of a run: a live line on a terminal, plain lines elsewhere, a summary.

io. Everything goes to stderr; stdout is left to results. A stderr that is closed or gone ends the
display and not the run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from analysis.entry import check_cost
from analysis.errors import ConfigurationError
from analysis.pipeline.report import unanswered
from analysis.pipeline.run import INTERRUPTED
from analysis.records import GIVEN_UP, FailureKind
from analysis.settings import SETTINGS

if TYPE_CHECKING:
    from analysis.pipeline.report import RunSummary
    from analysis.pipeline.run import Plan, RunPaths
    from analysis.records import Verdict
    from analysis.telemetry import Event

LINE_EVERY_S = 10.0
"""Seconds between progress lines off a terminal."""

WIDE_COLUMNS = 72
"""Terminal width from which the live line has a bar."""

NOT_SENT = (FailureKind.EMPTY, FailureKind.TOO_LONG, FailureKind.STOPPED)
"""Kinds of rows that are no part of what is to be sent; the end counts them."""

SHOWN_ID_CHARS = 60


class RunConsole(Console):
    """A console for plain text that reports a closed pipe instead of ending the process."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        is_terminal: bool | None = None,
        width: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Write to `stream`, by default whatever stderr is at the time.

        `environment` stands for the variables that speak of the terminal (TERM, NO_COLOR).
        """
        super().__init__(
            file=stream,
            stderr=True,
            force_terminal=is_terminal,
            width=width,
            _environ=environment,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Display:
    """Shows one run; use it with `with`, and hand its `on_...` methods to the run."""

    def __init__(
        self,
        *,
        is_quiet: bool,
        is_local: bool,
        is_confirmed: bool,
        console: RunConsole | None = None,
    ) -> None:
        self._console = console or RunConsole()
        self._is_quiet = is_quiet
        self._is_local = is_local
        self._is_confirmed = is_confirmed
        self._is_gone = False
        self._pending: list[str] = []
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._total = 0
        self._done = 0
        self._failed = 0
        self._started_at = self._last_line = time.monotonic()
        self.has_sent = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_progress()

    def on_notes(self, notes: Sequence[str]) -> None:
        """Say what was assumed about the input."""
        for note in notes:
            self._say(f"Input: {note}.")

    def on_plan(self, plan: Plan, paths: RunPaths) -> None:
        """Say what will be done; ask, or refuse, where it is expensive.

        Raises:
            ConfigurationError: If the cost needs a yes that is not there.
        """
        if self._is_local:
            self._say(
                "Labels come from rules, not from a language model: --local starts a service in "
                "this process (simulated)."
            )
        for line in plan_lines(plan):
            self._say(line)
        if plan.to_do:
            self._confirm(plan)
            self.has_sent = True
            self._start(plan.to_do)

    def on_verdict(self, verdict: Verdict) -> None:
        """Count one verdict and move the display."""
        self._flush()
        error = verdict.error
        if error is not None and error.kind in NOT_SENT:
            return
        self._done += 1
        self._failed += error is not None
        self._tick(verdict.route)

    def on_event(self, event: Event) -> None:
        """Say what happens to routes; each turn of pacing and of limits would be too much.

        What closes a route waits for the next event: if that stops the run, the end says it.
        """
        match event.name:
            case "rate_limited":
                self._tick(None)
            case "in_flight_limit" | "route_preferred":
                pass  # for who watches a run by events
            case "route_closed":
                self._pending.append(event.message)
            case "stopped":
                self._pending.clear()
                if event.message == INTERRUPTED:
                    self._say(
                        "Interrupted. Requests in flight get some seconds to end; Ctrl-C again "
                        "ends at once."
                    )
            case _:
                self._flush()
                self._say(event.message)

    def on_summary(self, summary: RunSummary) -> None:
        """Say what was done and where it is; what went wrong also when it is quiet."""
        self._end_progress()
        self._flush()
        for line in end_lines(summary) if self._is_quiet else summary_lines(summary):
            self._print(line)
        for line in () if self._is_quiet else path_lines(summary):
            self._print(line, is_whole=True)

    # Inside

    def _start(self, total: int) -> None:
        self._total = total
        self._started_at = self._last_line = time.monotonic()
        if self._is_quiet or not self._console.is_terminal or self._console.is_dumb_terminal:
            return
        is_wide = self._console.width >= WIDE_COLUMNS
        columns = [
            *([BarColumn(bar_width=20)] if is_wide else []),
            TextColumn("{task.description}", table_column=Column(no_wrap=True), markup=False),
        ]
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task(f"0 of {total:,} chunks", total=total)
        self._progress.start()

    def _tick(self, route: str | None) -> None:
        if not self._total:
            return
        now = time.monotonic()
        line = progress_line(
            done=self._done,
            failed=self._failed,
            total=self._total,
            seconds=now - self._started_at,
            route=route,
        )
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self._done, description=line)
        elif now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self._say(line)

    def _end_progress(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            try:
                progress.stop()
            except OSError:
                self._is_gone = True

    def _confirm(self, plan: Plan) -> None:
        if self._is_confirmed or plan.simulated:
            return
        try:
            check_cost(plan)
        except ConfigurationError:
            if not self._console.is_terminal or not sys.stdin.isatty():
                raise
            question = f"The estimate is above {SETTINGS.confirm_above_usd:.2f} USD. Go on?"
            if not click.confirm(question, err=True):
                raise

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        for message in pending:
            self._say(message)

    def _say(self, message: str) -> None:
        if not self._is_quiet:
            self._print(message)

    def _print(self, message: str, *, is_whole: bool = False) -> None:
        """Print a line: on a terminal wrapped between words, unless it is to be copied."""
        if self._is_gone:
            return
        try:
            is_soft = is_whole or not self._console.is_terminal
            self._console.print(printable(message), soft_wrap=is_soft)
        except OSError:  # nobody reads any more; the paid work goes on
            self._is_gone = True


def plan_lines(plan: Plan) -> list[str]:
    """Return what is to be done, in plain lines."""
    lines = []
    if plan.unknown_requests:
        lines.append(
            f"{_count(plan.unknown_requests, 'request')} of earlier runs "
            f"({_count(plan.unknown_chunks, 'chunk')}) ended without an answer. They may have been "
            "paid for; what has no label is asked again."
        )
    others = f"{plan.reused:,} have a label, {plan.unsendable:,} cannot be sent"
    if plan.to_do == 0:
        return [*lines, f"Nothing to do: {_count(plan.rows, 'row')}, {others}."]
    figures = plan.estimate
    amount = (
        f"{_count(figures.requests, 'request')}, about {figures.input_tokens:,} input and "
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
        estimate = f"{amount}, {price}, at least {_duration(figures.duration_s)}."
    are_all = plan.reused == plan.unsendable == 0
    rows = _count(plan.rows, "row") + ("" if are_all else f": {others}, {plan.to_do:,} to do")
    return [*lines, f"{rows}. Estimate: {estimate}"]


def progress_line(*, done: int, failed: int, total: int, seconds: float, route: str | None) -> str:
    """Return how far a run is: chunks, failures, rate, time left and route."""
    parts = [f"{done:,} of {total:,} chunks"]
    if failed:
        parts.append(f"{failed:,} failed")
    if done and seconds >= 1:
        rate = done / seconds
        parts.append(f"{rate:,.0f}/s" if rate >= 1 else f"{rate * 60:,.0f}/min")
        if done < total:
            parts.append(f"{_duration((total - done) / rate)} left")
    return ", ".join([*parts, route] if route else parts)


def summary_lines(summary: RunSummary) -> list[str]:
    """Return the end of a run in plain lines."""
    mark = " (simulated)" if summary.simulated else ""
    reused = f", {summary.reused:,} of them before" if summary.reused else ""
    lines = [f"{summary.labeled:,} of {_count(summary.rows, 'row')} labelled{reused}{mark}."]
    if summary.by_label:
        labels = ", ".join(f"{label} {count:,}" for label, count in summary.by_label.items())
        lines.append(f"Labels{mark}: {labels}.")
    lines.extend(f"Not labelled: {line}" for line in failure_lines(summary))
    lines.extend(_route_line(entry, mark) for entry in summary.routes)
    lines.extend(copy_lines(summary))
    lines.extend(unknown_lines(summary))
    if summary.other_model_rows:
        lines.append(
            f"Exception: {_count(summary.other_model_rows, 'row')} labelled by another model than "
            "the first route asks for; semfn_route and semfn_model name it row by row."
        )
    if reduced := summary.record.get("packs_reduced"):
        lines.append(f"Exception: {reduced}")
    if summary.labeled_now and (alone := summary.estimate.get("alone")):
        lines.append(
            f"{_count(alone, 'chunk')} sent alone: the text looks like orders to the model, or is "
            "unusually long."
        )
    if summary.labeled_now and summary.label_s:
        rate = summary.labeled_now / summary.label_s
        lines.append(
            f"{_count(summary.labeled_now, 'chunk')} in {summary.label_s:.1f} s, {rate:,.0f}/s"
            f"{mark}."
        )
    return [*lines, *stop_lines(summary)]


def unknown_lines(summary: RunSummary) -> list[str]:
    """Return how many requests of this run may have been paid for without an answer, at what cost.

    The cost is that of as many answered requests of this run.
    """
    unknown = unanswered(summary.requests)
    if not unknown:
        return []
    line = f"{_count(unknown, 'request')} ended without an answer and may have been paid for"
    return [f"{line}{_possible_cost(summary, unknown)}."]


def copy_lines(summary: RunSummary) -> list[str]:
    """Return how many requests were given up because a second one was answered first."""
    count = summary.requests.get(GIVEN_UP, 0)
    if not count:
        return []
    were = "was" if count == 1 else "were"
    line = (
        f"{_count(count, 'request')} {were} sent a second time because they took long; "
        "the slower one of the two may have been paid for"
    )
    return [f"{line}{_possible_cost(summary, count)}."]


def _possible_cost(summary: RunSummary, requests: int) -> str:
    """Return what so many requests may have cost: as much as answered ones, or nothing known."""
    answered = summary.requests.get("done", 0)
    if summary.simulated or not answered or not summary.cost_usd:
        return " (simulated)" if summary.simulated else ""
    possible = dollars(summary.cost_usd / answered * requests)
    return f": about {possible}, not in the figures above"


def path_lines(summary: RunSummary) -> list[str]:
    """Return where the files of the run are, as the user named them."""
    output = "Partial output" if summary.stopped else "Output"
    paths = summary.paths
    return [
        f"{output}: {paths['output']}",
        f"Ledger: {paths['ledger']}",
        f"Summary: {paths['summary']}",
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
            lines.append(f"{_count(count, 'row')} {kind}, not reached.")
            continue
        example = summary.examples[kind]
        name = example["id"][:SHOWN_ID_CHARS]
        message = example["message"].rstrip(".")
        lines.append(f"{_count(count, 'row')} {kind}, first {name!r}: {message}.")
    return lines


def stop_lines(summary: RunSummary) -> list[str]:
    """Return why the run ended early and how to go on."""
    if not summary.stopped:
        return []
    is_own = summary.stopped == INTERRUPTED
    reason = "Interrupted." if is_own else f"Stopped: {summary.stopped.rstrip('.')}."
    fresh = " without --fresh" if summary.record["fresh"] == "yes" else ""
    return [
        f"{reason} To go on, give the same command again{fresh}; what is paid for is not asked "
        "again."
    ]


def dollars(amount: float) -> str:
    """Return an amount of money without showing a small one as nothing."""
    return "under 0.01 USD" if 0 < amount < 0.01 else f"{amount:,.2f} USD"


def printable(text: str) -> str:
    """Return a text with control characters escaped, so that none reaches the terminal."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else mark.encode("unicode_escape").decode()
        for mark in text
    )


def _route_line(entry: Mapping[str, Any], mark: str) -> str:
    head = f"Route {entry['route']}, {entry['model']}{mark}: {_count(entry['requests'], 'request')}"
    if not entry["input_tokens"] and not entry["output_tokens"]:
        return f"{head}, no tokens reported."
    cached = f" (of them {entry['cached_tokens']:,} cached)" if entry["cached_tokens"] else ""
    asked, answered = f"{entry['input_tokens']:,}", f"{entry['output_tokens']:,}"
    tokens = f"{asked} input{cached} and {answered} output tokens"
    if mark:
        return f"{head}, {tokens}."
    cost = "cost unknown" if entry["cost_usd"] is None else dollars(entry["cost_usd"])
    return f"{head}, {tokens}, {cost}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
