"""What a person sees of a run: a live line on a terminal, plain lines elsewhere, a summary.

io. Everything goes to stderr; stdout is left to results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from analysis.entry import check_cost
from analysis.errors import ConfigurationError
from analysis.records import FailureKind, Labeled
from analysis.settings import SETTINGS

if TYPE_CHECKING:
    from analysis.pipeline.report import RunSummary
    from analysis.pipeline.run import Plan, RunPaths
    from analysis.records import Verdict
    from analysis.telemetry import Event

LINE_EVERY_S = 10.0
"""Seconds between progress lines off a terminal."""


class Display:
    """Shows one run; use it with `with`, and hand its `on_...` methods to the run."""

    def __init__(self, *, is_quiet: bool, is_local: bool, is_confirmed: bool, command: str) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self._is_quiet = is_quiet
        self._is_local = is_local
        self._is_confirmed = is_confirmed
        self._command = command
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._total = 0
        self._done = 0
        self._failed = 0
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def on_notes(self, notes: Sequence[str]) -> None:
        """Say what was assumed about the input."""
        for note in notes:
            self._say(f"Input: {note}")

    def on_plan(self, plan: Plan, paths: RunPaths) -> None:
        """Say what will be done; ask, or refuse, where it is expensive.

        Raises:
            ConfigurationError: If the cost needs a yes that is not there.
        """
        if self._is_local:
            self._say(
                "Local service started in this process: labels come from rules, not from a "
                "language model (simulated)."
            )
        if plan.unknown_requests:
            self._say(
                f"{plan.unknown_requests} requests of earlier runs ({plan.unknown_chunks} chunks) "
                "ended without an answer; they may have been paid and are asked again."
            )
        if plan.to_do == 0:
            self._say(
                f"Nothing to do: {plan.reused} rows are labelled, {plan.unsendable} cannot be sent."
            )
            return
        figures = plan.estimate
        mark = " (simulated)" if self._is_local else ""
        cost = "unknown" if figures.cost_usd is None else f"{figures.cost_usd:.2f} USD"
        self._say(
            f"{plan.rows} rows: reused {plan.reused}, to do {plan.to_do}, not to be sent "
            f"{plan.unsendable}. {figures.requests} requests, about {figures.input_tokens:,} input "
            f"and {figures.output_tokens:,} output tokens, {cost} by prices of "
            f"{figures.price_date}, at least {_duration(figures.duration_s)}{mark}."
        )
        self._confirm(plan)
        self._start(plan.to_do)

    def on_verdict(self, verdict: Verdict) -> None:
        """Count one verdict and move the display."""
        self._done += 1
        if not isinstance(verdict, Labeled) and verdict.error.kind is not FailureKind.EMPTY:
            self._failed += 1
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self._done, failed=self._failed)
        elif time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            self._say(f"{self._done} of {self._total} chunks, {self._failed} failed")

    def on_event(self, event: Event) -> None:
        """Say what happens to routes; each rate limit would be too much."""
        if event.name != "rate_limited":
            self._say(event.message)

    def on_summary(self, summary: RunSummary) -> None:
        """Say what was done and where it is."""
        if self._progress is not None:
            self._progress.stop()
        for line in summary_lines(summary, command=self._command):
            self._say(line)

    def _start(self, total: int) -> None:
        self._total = total
        if self._is_quiet or not self._console.is_terminal:
            return
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("failed {task.fields[failed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task("chunks", total=total, failed=0)
        self._progress.start()

    def _confirm(self, plan: Plan) -> None:
        if self._is_confirmed or self._is_local:
            return
        try:
            check_cost(plan)
        except ConfigurationError:
            if not self._console.is_terminal or not sys.stdin.isatty():
                raise
            question = f"The estimate is above {SETTINGS.confirm_above_usd:.2f} USD. Go on?"
            if not click.confirm(question, err=True):
                raise

    def _say(self, message: str) -> None:
        if not self._is_quiet:
            self._console.print(printable(message))


def summary_lines(summary: RunSummary, *, command: str) -> list[str]:
    """Return the end of a run in plain lines."""
    mark = " (simulated)" if summary.simulated else ""
    lines = [
        f"{summary.labeled} of {summary.rows} rows labelled, {summary.reused} of them reused{mark}."
    ]
    for kind, count in summary.errors.items():
        example = summary.examples.get(kind)
        lines.append(f"{count} rows {kind}" + (f", such as: {example}" if example else ""))
    for entry in summary.routes:
        cost = "unknown cost" if entry["cost_usd"] is None else f"{entry['cost_usd']:.4f} USD"
        lines.append(
            f"Route {entry['route']}, model {entry['model']}: {entry['requests']} requests, "
            f"{entry['input_tokens']:,} input and {entry['output_tokens']:,} output tokens, "
            f"{cost}{mark}."
        )
    if summary.other_model_rows:
        lines.append(
            f"Exception: {summary.other_model_rows} rows have a label of another model than the "
            "first route asks for; semfn_route and semfn_model name it row by row."
        )
    if summary.labeled_now and summary.label_s:
        rate = summary.labeled_now / summary.label_s
        lines.append(
            f"{summary.labeled_now} chunks in {summary.label_s:.1f} s, {rate:.0f} chunks/s{mark}."
        )
    if summary.stopped:
        lines.append(f"Stopped: {summary.stopped.rstrip('.')}. To go on: {command}.")
    names = ("output", "ledger", "summary")
    lines.extend(f"{name.capitalize()}: {summary.paths[name]}" for name in names)
    return lines


def printable(text: str) -> str:
    """Return a text with control characters escaped, so that none reaches the terminal."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else mark.encode("unicode_escape").decode()
        for mark in text
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min"
