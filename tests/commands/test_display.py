"""How a run is shown: on a terminal, off it, and when nobody reads."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.commands.display import Display, RunConsole
from analysis.commands.wording import plan_lines, printable
from analysis.errors import ConfigurationError
from analysis.hooks import Meter
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


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_run_that_gets_dearer_is_told_once_and_shows_what_was_billed() -> None:
    """Answers that were thrown away count; the line comes as soon as the rest can be judged."""
    clock = Clock()
    shown, stream = display(clock=clock)
    with shown:
        shown.on_plan(PLAN, PATHS)
        shown.on_meter(Meter(billed_usd=lambda: 0.5, ends_at_usd=5.0))
        for _ in range(60):
            clock.now += 1.0
            shown.on_verdict(LABELED)
    lines = [line for line in stream.getvalue().splitlines() if line not in plan_lines(PLAN)]
    expected = (
        "Warning: the run will cost about 10.00 USD at this rate, 384.6 times its estimate. "
        "It stops at 5.00 USD and can go on with --yes or --budget."
    )
    assert 1 == lines.count(expected)
    assert "60 of 1,000 chunks, 1/s, 16 min left, about 0.50 USD, rest" == lines[-1]


def test_a_simulated_run_is_never_called_dear() -> None:
    """What it was billed is no money."""
    clock = Clock()
    shown, stream = display(clock=clock, is_local=True)
    with shown:
        shown.on_plan(replace(PLAN, simulated=True), PATHS)
        shown.on_meter(Meter(billed_usd=lambda: 0.5, ends_at_usd=None))
        for _ in range(60):
            clock.now += 1.0
            shown.on_verdict(LABELED)
    assert "Warning" not in stream.getvalue()
    assert "USD" not in stream.getvalue().splitlines()[-1]


def test_a_service_that_names_itself_simulated_shows_no_cost() -> None:
    """Before its first answer nobody can know; the plan has named a price."""
    clock = Clock()
    shown, stream = display(clock=clock)
    with shown:
        shown.on_plan(PLAN, PATHS)
        shown.on_meter(Meter(billed_usd=lambda: 0.5, ends_at_usd=5.0))
        for _ in range(60):
            clock.now += 1.0
            shown.on_verdict(replace(LABELED, model="digest-labels"))
    assert "60 of 1,000 chunks, 1/s, 16 min left, rest" == stream.getvalue().splitlines()[-1]
    assert "Warning" not in stream.getvalue()


def test_a_cut_of_the_rate_is_told_with_until_when() -> None:
    """Seconds from now are a time of the day."""
    shown, stream = display()
    told = Event(name="rate_cut", at=0.0, message="rest asks.", fields={"seconds": 900.0})
    shown.on_event(told)
    found = re.fullmatch(r"rest asks\. That is until about \d\d:\d\d\.\n", stream.getvalue())
    assert found is not None
