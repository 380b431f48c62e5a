"""What a person sees of a run: a live line on a terminal, plain lines elsewhere, a summary.

io. Everything goes to stderr; stdout is left to results. A stderr that is closed or gone ends the
display and not the run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from analysis.commands.progress import Headway
from analysis.commands.wording import (
    LINE_EVERY_S,
    STOPPING,
    end_lines,
    path_lines,
    plan_lines,
    printable,
    summary_lines,
)
from analysis.errors import ConfigurationError
from analysis.interrupts import INTERRUPTED
from analysis.run_course import check_cost
from analysis.settings import SETTINGS

if TYPE_CHECKING:
    from analysis.hooks import Meter
    from analysis.pipeline.places import RunPaths
    from analysis.pipeline.report import RunSummary
    from analysis.pipeline.run import Plan
    from analysis.records import Verdict
    from analysis.telemetry import Event

WIDE_COLUMNS = 72
"""Terminal width from which the live line has a bar."""


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or RunConsole()
        self._clock = clock
        self._is_quiet = is_quiet
        self._is_local = is_local
        self._is_confirmed = is_confirmed
        self._is_gone = False
        self._pending: list[str] = []
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = self._clock()
        self._headway = Headway(self._last_line)
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
            self._start(plan)

    def on_meter(self, meter: Meter) -> None:
        """Take what tells the cost so far."""
        self._headway.on_meter(meter)

    def on_verdict(self, verdict: Verdict) -> None:
        """Count one verdict and move the display."""
        self._flush()
        if self._headway.on_verdict(verdict):
            self._tick(verdict.route)

    def on_event(self, event: Event) -> None:
        """Say what happens to routes; each turn of pacing and of limits would be too much.

        What closes a route waits for the next event: if that stops the run, the end says it.
        """
        match event.name:
            case "rate_limited":
                self._tick(None)
            case "rate_cut":
                until = datetime.now().astimezone() + timedelta(
                    seconds=float(event.fields["seconds"])
                )
                self._flush()
                self._say(f"{event.message} That is until about {until:%H:%M}.")
            case "in_flight_limit" | "route_preferred" | "cache_awaited" | "no_confidence":
                pass  # for who watches a run by events
            case "route_closed":
                self._pending.append(event.message)
            case "stopped":
                self._pending.clear()
                if event.message == INTERRUPTED:
                    self._say(STOPPING)
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

    def _start(self, plan: Plan) -> None:
        self._last_line = self._clock()
        self._headway.on_plan(plan, self._last_line)
        if self._is_quiet or not self._console.is_terminal or self._console.is_dumb_terminal:
            return
        is_wide = self._console.width >= WIDE_COLUMNS
        columns = [
            *([BarColumn(bar_width=20)] if is_wide else []),
            TextColumn("{task.description}", table_column=Column(no_wrap=True), markup=False),
        ]
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task(f"0 of {plan.to_do:,} chunks", total=plan.to_do)
        self._progress.start()

    def _tick(self, route: str | None) -> None:
        headway = self._headway
        if not headway.total:
            return
        now = self._clock()
        if (warning := headway.warning(now)) is not None:
            self._say(warning)
        line = headway.line(route, now)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=headway.done, description=line)
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
