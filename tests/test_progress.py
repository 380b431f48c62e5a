"""What callers of the doors hear and see of a run on its way."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.entry import analyze_file
from analysis.errors import ConfigurationError
from analysis.hooks import Hooks, Meter, Progress
from analysis.interrupts import INTERRUPTED
from analysis.progress import Line, shown
from analysis.records import ErrorDetail, Failed, FailureKind, Labeled, Usage, Verdict
from analysis.run_options import RunOptions
from analysis.settings import SETTINGS
from analysis.telemetry import Event
from tests.commands.examples import ESTIMATE, PATHS, PLAN
from tests.commands.running import paid_service, table


class Screen(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Clock:
    """Seconds that a test moves on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(done: int, line: str = "") -> Progress:
    """Return how far a run of 100 chunks is."""
    return Progress(
        done=done,
        total=100,
        failed=0,
        seconds=1.0,
        cost_usd=None,
        route="rest",
        simulated=False,
        line=line or f"{done} of 100",
    )


def verdicts() -> Iterator[Verdict]:
    """Yield one verdict of each sort: a label, a failure, and rows that are not sent."""
    yield Labeled(
        chunk_id="a",
        labels=("example",),
        confidence=None,
        route="rest",
        model="m",
        attempts=1,
        pack=1,
        latency_s=0.1,
        usage=Usage(input_tokens=90, output_tokens=10),
    )
    for kind in (FailureKind.DEFECT, FailureKind.EMPTY, FailureKind.STOPPED):
        yield Failed(chunk_id="b", error=ErrorDetail(kind=kind, message="m"))


def test_a_function_hears_each_verdict_and_the_start(tmp_path: Path) -> None:
    """Once with nothing done, before anything is sent; then up to the total."""
    seen: list[Progress] = []
    with paid_service() as service:
        sent: list[int] = []

        def hear(told: Progress) -> None:
            seen.append(told)
            sent.append(service.chunks)

        chosen: dict[str, Any] = {"api_key": "k", "base_url": service.base_url, "progress": hear}
        analyze_file(table(tmp_path, 30), **chosen)
        assert 0 == sent[0]
        assert [(done, 30) for done in range(31)] == [(told.done, told.total) for told in seen]
        seen.clear()
        analyze_file(tmp_path / "chunks.csv", **chosen)
        assert [(0, 0)] == [(told.done, told.total) for told in seen]


def test_a_function_of_another_form_fails_before_anything_is_sent(tmp_path: Path) -> None:
    """Else the first paid answers would be lost with it."""
    with paid_service() as service:
        with pytest.raises(TypeError, match="positional argument"):
            analyze_file(
                table(tmp_path),
                api_key="k",
                base_url=service.base_url,
                progress=lambda done, total: None,
            )
        assert [] == service.records


def test_an_expensive_run_still_needs_a_yes(tmp_path: Path) -> None:
    """Wanting to see the progress agrees to no cost."""
    knobs = replace(SETTINGS, confirm_above_usd=0.0)
    with paid_service() as service:
        chosen: dict[str, Any] = {"settings": knobs, "api_key": "k", "base_url": service.base_url}
        with pytest.raises(ConfigurationError, match="yes=True"):
            analyze_file(table(tmp_path), progress=lambda told: None, **chosen)
        assert [] == service.records


def test_counts_cost_and_hooks_of_the_caller() -> None:
    """What is not sent does not count; the caller's own hooks are called as before."""
    seen: list[Progress] = []
    heard: list[object] = []
    clock = Clock()
    hooks = Hooks(
        on_plan=lambda plan, paths: heard.append(plan.to_do),
        on_meter=heard.append,
        on_verdict=heard.append,
        on_event=heard.append,
    )
    plan = replace(PLAN, estimate=replace(ESTIMATE, cost_usd=1.0))
    each = list(verdicts())
    event = Event(name="stopped", at=0.0, message=INTERRUPTED, fields={})
    meter = Meter(billed_usd=lambda: 0.5, ends_at_usd=5.0)
    options = RunOptions(progress=seen.append)
    with shown(hooks, options, clock=clock, stream=None) as told:
        assert told.on_plan and told.on_meter and told.on_verdict and told.on_event
        told.on_plan(plan, PATHS)
        told.on_meter(meter)
        clock.now = 2.0
        for verdict in each:
            told.on_verdict(verdict)
        told.on_event(event)
    assert [plan.to_do, meter, *each, event] == heard
    assert [(0, 0, 0.0, None), (1, 0, 2.0, 0.5), (2, 1, 2.0, 0.5)] == [
        (one.done, one.failed, one.seconds, one.cost_usd) for one in seen
    ]
    assert f"1 of {plan.to_do:,} chunks, 30/min, " in seen[1].line
    assert not seen[1].simulated


def test_a_run_that_gets_much_dearer_is_told_once() -> None:
    """As by the command; of a simulated service no figure is money."""
    for model, expected in (("m", 1), ("digest-labels", 0)):
        clock, screen = Clock(), Screen(is_terminal=False)
        plan = replace(PLAN, to_do=40, estimate=replace(ESTIMATE, cost_usd=1.0))
        verdict = replace(next(verdicts()), model=model)
        with shown(Hooks(), RunOptions(progress=True), clock=clock, stream=screen) as told:
            assert told.on_plan and told.on_meter and told.on_verdict
            told.on_plan(plan, PATHS)
            told.on_meter(Meter(billed_usd=lambda: 2.0, ends_at_usd=5.0))
            for _ in range(30):
                clock.now += 1.0
                told.on_verdict(verdict)
        assert expected == screen.getvalue().count("Warning: the run will cost about 4.00 USD")
        assert expected == screen.getvalue().count("30 of 40 chunks, 1/s, 10 s left, about 2.00")


def test_a_terminal_has_one_line_that_is_written_over() -> None:
    """Ten times a second at most, no wider than the terminal; it is left at the end."""
    clock, screen = Clock(), Screen(is_terminal=True)
    line = Line(screen, clock=clock)
    for done in range(5):
        line.tell(progress(done))
        clock.now += 0.05
    line.tell(progress(50, "x" * 500))
    line.end()
    first, *rest = screen.getvalue().split("\r")
    assert ("2 of 100", ["        ", "4 of 100", "        "]) == (first, rest[:3])
    assert rest[-1].endswith("x\n")
    assert len(rest[-1]) < 500


def test_elsewhere_a_line_now_and_then_and_one_at_the_end() -> None:
    """As in a notebook or a log, where nothing can be written over."""
    clock, screen = Clock(), Screen(is_terminal=False)
    line = Line(screen, clock=clock)
    for done in range(26):
        clock.now = float(done)
        line.tell(progress(done))
    line.say("Interrupted.")
    line.end()
    line.end()
    assert "10 of 100\n20 of 100\nInterrupted.\n25 of 100\n" == screen.getvalue()


def test_a_stream_that_is_gone_ends_the_line_and_not_the_run() -> None:
    """Programs without a console have no stderr at all."""
    clock, screen = Clock(), Screen(is_terminal=False)
    line = Line(screen, clock=clock)
    screen.close()
    for each in (line, Line(screen, clock=clock), Line(None, clock=clock)):
        each.say("words")
        each.tell(progress(1))
        each.end()


def test_a_stream_that_only_writes_is_written_to() -> None:
    """As programs put it in the place of stderr to copy what is said."""

    class Copy:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def write(self, text: str) -> None:
            self.heard.append(text)

    copy: Any = Copy()
    line = Line(copy, clock=Clock())
    line.say("one")
    line.say("two")
    assert ["one\n", "two\n"] == copy.heard


def test_true_writes_the_plan_and_the_end_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Marked as simulated; without the option nothing is written."""
    analyze_file(table(tmp_path, 12), route="offline", progress=True)
    said = capsys.readouterr()
    assert "" == said.out
    plan, end = said.err.splitlines()
    assert plan.startswith("12 rows. Estimate: ")
    assert end.startswith("12 of 12 chunks")
    assert end.endswith("offline (simulated)")
    analyze_file(table(tmp_path, 13), route="offline")
    assert "" == capsys.readouterr().err
