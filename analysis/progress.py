"""How far a run is, for callers of the doors: a line on stderr, or a call of their own.

io: writes the line. `entry` puts it around the hooks of a run; the command shows a run by itself.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from analysis.commands.progress import Headway
from analysis.commands.wording import (
    LINE_EVERY_S,
    STOPPING,
    plan_lines,
    printable,
)
from analysis.hooks import Hooks, Meter, Progress
from analysis.interrupts import INTERRUPTED
from analysis.run_course import agree

if TYPE_CHECKING:
    from analysis.pipeline.places import RunPaths
    from analysis.pipeline.run import Plan
    from analysis.records import Verdict
    from analysis.run_options import RunOptions
    from analysis.telemetry import Event

TERMINAL_EVERY_S = 0.1
"""Seconds between two forms of the line on a terminal."""


@contextlib.contextmanager
def shown(
    hooks: Hooks, options: RunOptions, *, clock: Callable[[], float], stream: TextIO | None
) -> Iterator[Hooks]:
    """Yield the hooks of a run, with those for its progress around them.

    Args:
        hooks: Of the caller; they are called as without progress.
        options: `progress` says what is wanted.
        clock: Monotonic seconds.
        stream: What a line is written to, if there is anything.
    """
    wanted = options.progress
    if not wanted:
        yield hooks
        return
    line = Line(None if callable(wanted) else stream, clock=clock)
    course = Course(
        hooks, options, tell=wanted if callable(wanted) else line.tell, line=line, clock=clock
    )
    try:
        yield replace(
            hooks,
            on_plan=course.on_plan,
            on_meter=course.on_meter,
            on_verdict=course.on_verdict,
            on_event=course.on_event,
        )
    finally:
        line.end()


class Course:
    """Counts what a run tells, and tells how far it is."""

    def __init__(
        self,
        hooks: Hooks,
        options: RunOptions,
        *,
        tell: Callable[[Progress], object],
        line: Line,
        clock: Callable[[], float],
    ) -> None:
        self._hooks = hooks
        self._options = options
        self._tell = tell
        self._line = line
        self._clock = clock
        self._headway = Headway(clock())

    def on_plan(self, plan: Plan, paths: RunPaths) -> None:
        """Agree to what is to be done, as without progress; then say it."""
        agree(plan, paths, self._hooks, self._options)
        for words in plan_lines(plan):
            self._line.say(words)
        self._headway.on_plan(plan, self._clock())
        # Also with nothing to do: a call of another form than this fails before anything is sent.
        self._tell(self._progress(None))

    def on_meter(self, meter: Meter) -> None:
        """Take what tells the cost so far."""
        if self._hooks.on_meter is not None:
            self._hooks.on_meter(meter)
        self._headway.on_meter(meter)

    def on_verdict(self, verdict: Verdict) -> None:
        """Count one verdict."""
        if self._hooks.on_verdict is not None:
            self._hooks.on_verdict(verdict)
        if self._headway.on_verdict(verdict):
            self._tell(self._progress(verdict.route))

    def on_event(self, event: Event) -> None:
        """Say that Ctrl-C was heard."""
        if self._hooks.on_event is not None:
            self._hooks.on_event(event)
        if event.name == "stopped" and event.message == INTERRUPTED:
            self._line.say(STOPPING)

    def _progress(self, route: str | None) -> Progress:
        headway, now = self._headway, self._clock()
        if (warning := headway.warning(now)) is not None:
            self._line.say(warning)
        words = headway.line(route, now)
        return Progress(
            done=headway.done,
            total=headway.total,
            failed=headway.failed,
            seconds=now - headway.started_at,
            cost_usd=headway.cost_usd,
            route=route,
            simulated=headway.is_simulated,
            line=f"{words} (simulated)" if headway.is_simulated else words,
        )


class Line:
    """One line that a terminal writes over, and a new one now and then elsewhere.

    A stream that is closed or gone ends the line and not the run.
    """

    def __init__(self, stream: TextIO | None, *, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = _is_terminal(stream)
        self._every_s = TERMINAL_EVERY_S if self._is_terminal else LINE_EVERY_S
        self._last_at = clock()
        self._waiting = ""
        self._width = 0

    def tell(self, progress: Progress) -> None:
        """Show how far the run is, if that was not just done."""
        if not progress.total:
            return
        self._waiting = printable(progress.line)
        if (now := self._clock()) - self._last_at >= self._every_s:
            self._last_at = now
            self._show()

    def say(self, words: str) -> None:
        """Write a line that stays."""
        self._write(f"{self._blank()}{printable(words)}\n")

    def end(self) -> None:
        """Write what was told last, and leave the line."""
        self._show()
        if self._width:
            self._write("\n")

    def _show(self) -> None:
        words, self._waiting = self._waiting, ""
        if not words:
            return
        if not self._is_terminal:
            self._write(f"{words}\n")
            return
        words = words[: shutil.get_terminal_size().columns - 1]  # a second row could not be erased
        self._write(f"{self._blank()}{words}")
        self._width = len(words)

    def _blank(self) -> str:
        width, self._width = self._width, 0
        return f"\r{' ' * width}\r" if width else ""

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            if (flush := getattr(self._stream, "flush", None)) is not None:
                flush()
        except (OSError, ValueError):  # closed, or nobody reads any more; the paid work goes on
            self._stream = None


def _is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a line can be written over.

    What a notebook or a program puts in the place of stderr may have no more than `write`.
    """
    is_terminal = getattr(stream, "isatty", None)
    return is_terminal is not None and not getattr(stream, "closed", False) and is_terminal()
