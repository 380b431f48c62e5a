"""How a run is shown: on a terminal, off it, and when nobody reads."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.commands.display import Display, RunConsole
from analysis.commands.wording import plan_lines, printable
from analysis.errors import ConfigurationError
from analysis.interrupts import INTERRUPTED
from analysis.records import ErrorDetail, Failed, FailureKind
from analysis.telemetry import Event
from tests.commands.examples import ESTIMATE, LABELED, PATHS, PLAN, SUMMARY


def failed(kind: FailureKind) -> Failed:
    """Make a failure of this kind."""
    return Failed(chunk_id="1", error=ErrorDetail(kind=kind, message="why"))


def display(
    *, is_terminal: bool = False, width: int = 100, **options: Any
) -> tuple[Display, io.StringIO]:
    """Make a display that writes into memory."""
    stream = io.StringIO()
    environment = {"TERM": "xterm"}
    console = RunConsole(stream, is_terminal=is_terminal, width=width, environment=environment)
    chosen = {"is_quiet": False, "is_local": False, "is_confirmed": False, **options}
    return Display(console=console, **chosen), stream


def event(name: str, message: str) -> Event:
    """Make a run event."""
    return Event(name=name, at=0.0, message=message, fields={})


def test_reason_of_a_stop_is_not_said_before_the_end() -> None:
    """What closes the last route is said once, by the summary."""
    shown, stream = display()
    for name, message in (("route_closed", "rest is out: why"), ("stopped", "why")):
        shown.on_event(event(name, message))
    assert "" == stream.getvalue()


def test_closed_route_is_said_when_the_run_goes_on() -> None:
    """With another route left, the reason belongs to the course of the run."""
    shown, stream = display()
    shown.on_event(event("route_closed", "realtime is out: why"))
    shown.on_verdict(LABELED)
    shown.on_event(event("rate_limited", "rest asks to slow down for 1.0 s."))
    shown.on_event(event("route_up", "rest answers again."))
    assert "realtime is out: why\nrest answers again.\n" == stream.getvalue()


def test_interruption_is_acknowledged_at_once() -> None:
    """The first Ctrl-C says what happens now and what a second one does."""
    shown, stream = display()
    shown.on_event(event("stopped", INTERRUPTED))
    assert "Ctrl-C again ends at once." in stream.getvalue()


def test_live_line_counts_what_was_sent(tmp_path: Path) -> None:
    """Empty, too long and stopped rows are no progress; a failed request is."""
    shown, stream = display(is_terminal=True)
    with shown:
        shown.on_plan(replace(PLAN, to_do=4), PATHS)
        for kind in (FailureKind.EMPTY, FailureKind.TOO_LONG, FailureKind.STOPPED):
            shown.on_verdict(failed(kind))
        shown.on_verdict(failed(FailureKind.DEFECT))
        shown.on_verdict(LABELED)
    assert "2 of 4 chunks, 1 failed, rest" in stream.getvalue()


@pytest.mark.parametrize(("width", "has_bar"), [(100, True), (60, False), (30, False)])
def test_live_line_fits_the_terminal(width: int, has_bar: bool) -> None:
    """A narrow terminal gets figures without a bar, on one line."""
    shown, stream = display(is_terminal=True, width=width)
    with shown:
        shown.on_plan(replace(PLAN, simulated=True), PATHS)
        before = len(stream.getvalue())
        shown.on_verdict(LABELED)
    live = stream.getvalue()[before:]
    assert "1 of 1,000 chunks" in live
    assert has_bar == ("━" in live)
    assert all(len(printable(line)) <= 3 * width for line in live.splitlines())


def test_lines_of_a_pipe_are_whole_and_plain() -> None:
    """Off a terminal nothing is wrapped, coloured or redrawn."""
    shown, stream = display(width=40)
    with shown:
        shown.on_plan(PLAN, PATHS)
        shown.on_verdict(LABELED)
    assert [*plan_lines(PLAN)] == stream.getvalue().splitlines()


def test_paths_are_whole_on_a_narrow_terminal() -> None:
    """A path can be copied; other lines break between words."""
    shown, stream = display(is_terminal=True, width=40)
    long = "a folder with spaces/and a long name of a file.labeled.csv"
    shown.on_summary(replace(SUMMARY, paths={**SUMMARY.paths, "output": long}))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert f"Output: {long}" in lines
    assert "Route rest, gpt-6-luna: 100 requests," in lines


def test_quiet_display_says_only_what_went_wrong() -> None:
    """Notes, plan, events and a good end are left out."""
    shown, stream = display(is_quiet=True)
    with shown:
        shown.on_notes(["columns"])
        shown.on_plan(PLAN, PATHS)
        shown.on_event(event("route_up", "rest answers again."))
        shown.on_summary(SUMMARY)
    assert "" == stream.getvalue()
    shown.on_summary(replace(SUMMARY, exit_code=3, stopped="why", errors={"stopped": 1}))
    assert stream.getvalue().startswith("Stopped: why. To go on")


def test_cost_above_the_limit_is_refused_off_a_terminal() -> None:
    """Without --yes, and with nobody to ask; with it, or simulated, the run goes on."""
    plan = replace(PLAN, estimate=replace(ESTIMATE, cost_usd=12.0))
    refused, _ = display()
    with pytest.raises(ConfigurationError, match=r"12\.00 USD.*--yes"):
        refused.on_plan(plan, PATHS)
    assert not refused.has_sent
    for is_confirmed in (True, False):
        allowed, _ = display(is_confirmed=is_confirmed)
        allowed.on_plan(replace(plan, simulated=not is_confirmed), PATHS)
        assert allowed.has_sent


def test_reader_that_went_away_is_left_alone() -> None:
    """A closed stderr ends the display, and the run never hears of it."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    shown = Display(is_quiet=False, is_local=True, is_confirmed=True, console=RunConsole(Closed()))
    with shown:
        shown.on_plan(PLAN, PATHS)
        shown.on_verdict(LABELED)
        shown.on_summary(SUMMARY)
    assert shown.has_sent
