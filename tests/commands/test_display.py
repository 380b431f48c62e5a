"""What a person reads: plans, progress, ends; on a terminal, off it, and when nobody reads."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.analyzer import Estimate
from analysis.commands.display import (
    Display,
    RunConsole,
    copy_lines,
    dollars,
    end_lines,
    path_lines,
    plan_lines,
    printable,
    progress_line,
    summary_lines,
    unknown_lines,
)
from analysis.errors import ConfigurationError
from analysis.pipeline.report import RunSummary
from analysis.pipeline.run import INTERRUPTED, Plan, RunPaths
from analysis.records import ErrorDetail, Failed, FailureKind, Labeled, Usage
from analysis.telemetry import Event

ESTIMATE = Estimate(
    chunks=1_000,
    unsendable=0,
    requests=100,
    input_tokens=160_620,
    output_tokens=20_000,
    cost_usd=0.026,
    duration_s=150.0,
    price_date="2026-11-21",
)
PLAN = Plan(
    rows=1_000,
    reused=0,
    unsendable=0,
    to_do=1_000,
    estimate=ESTIMATE,
    unknown_requests=0,
    unknown_chunks=0,
    simulated=False,
)
PATHS = RunPaths(output=Path("a.labeled.csv"), ledger=Path("a.sqlite"))
SUMMARY = RunSummary(
    run_id="r",
    exit_code=0,
    rows=1_000,
    labeled=1_000,
    reused=0,
    labeled_now=1_000,
    errors={},
    examples={},
    routes=[
        {
            "route": "rest",
            "model": "gpt-6-luna",
            "rows": 1_000,
            "requests": 100,
            "input_tokens": 146_000,
            "cached_tokens": 0,
            "output_tokens": 11_000,
            "cost_usd": 0.0201,
        }
    ],
    other_model_rows=0,
    by_label={"example": 990, "noise": 10},
    usage=Usage(input_tokens=146_000, output_tokens=11_000),
    cost_usd=0.0201,
    price_date="2026-11-21",
    requests={"done": 100},
    unknown_requests=0,
    unknown_chunks=0,
    late_answers=0,
    started_at="",
    ended_at="",
    duration_s=11.0,
    label_s=10.0,
    simulated=False,
    stopped="",
    paths={"input": "a.csv", "output": "a.labeled.csv", "ledger": "a.sqlite", "summary": "s.json"},
    record={"fresh": "no"},
    notes=[],
    estimate={},
)
LABELED = Labeled(
    chunk_id="1",
    labels=("example",),
    route="rest",
    model="m",
    attempts=1,
    pack=1,
    latency_s=0.1,
    usage=Usage(),
)


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


def test_plan_names_rows_requests_tokens_cost_and_time() -> None:
    """One line before anything is sent."""
    expected = (
        "1,000 rows. Estimate: 100 requests, about 160,620 input and 20,000 output tokens, "
        "0.03 USD by the prices of 2026-11-21, at least 2 min."
    )
    assert [expected] == plan_lines(PLAN)


def test_plan_of_a_second_run_tells_what_is_there() -> None:
    """Reused and unsendable rows, and requests whose ending nobody knows."""
    plan = replace(PLAN, reused=10, unsendable=1, to_do=989, unknown_requests=1, unknown_chunks=10)
    unknown, line = plan_lines(plan)
    assert unknown.startswith("1 request of earlier runs (10 chunks) ended without an answer.")
    assert line.startswith("1,000 rows: 10 have a label, 1 cannot be sent, 989 to do. Estimate")
    (done,) = plan_lines(replace(PLAN, reused=999, unsendable=1, to_do=0))
    assert "Nothing to do: 1,000 rows, 999 have a label, 1 cannot be sent." == done


def test_simulated_plan_shows_no_price() -> None:
    """What is not billed does not look like a bill."""
    (line,) = plan_lines(replace(PLAN, simulated=True))
    assert line.endswith("20,000 output tokens (simulated).")


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(0.0, "0.00 USD"), (0.004, "under 0.01 USD"), (1_234.5, "1,234.50 USD")],
)
def test_small_amounts_are_not_nothing(amount: float, expected: str) -> None:
    """Money is shown with two decimals, and never as free when it is not."""
    assert expected == dollars(amount)


def test_unknown_price_is_called_unknown() -> None:
    """A model without a price is not free."""
    (line,) = plan_lines(replace(PLAN, estimate=replace(ESTIMATE, cost_usd=None)))
    assert "tokens, cost unknown, at least" in line


def test_progress_line_grows_with_what_is_known() -> None:
    """Rate and time left come after a second, failures when there are some."""
    start = progress_line(done=0, failed=0, total=1_000, seconds=0.0, route=None)
    middle = progress_line(done=500, failed=3, total=1_000, seconds=10.0, route="rest")
    slow = progress_line(done=1, failed=0, total=1_000, seconds=10.0, route="rest")
    end = progress_line(done=10, failed=0, total=10, seconds=2.0, route=None)
    assert "0 of 1,000 chunks" == start
    assert "500 of 1,000 chunks, 3 failed, 50/s, 10 s left, rest" == middle
    assert "1 of 1,000 chunks, 6/min, 2.8 h left, rest" == slow
    assert "10 of 10 chunks, 5/s" == end


def test_summary_tells_rows_labels_routes_rate_and_paths() -> None:
    """The end of a run that went well."""
    assert [
        "1,000 of 1,000 rows labelled.",
        "Labels: example 990, noise 10.",
        "Route rest, gpt-6-luna: 100 requests, 146,000 input and 11,000 output tokens, 0.02 USD.",
        "1,000 chunks in 10.0 s, 100/s.",
    ] == summary_lines(SUMMARY)
    assert ["Output: a.labeled.csv", "Ledger: a.sqlite", "Summary: s.json"] == path_lines(SUMMARY)
    assert [] == end_lines(SUMMARY)


def test_cached_tokens_are_named_where_there_are_any() -> None:
    """As a part of the input, since they cost less."""
    (entry,) = SUMMARY.routes
    cached = replace(SUMMARY, routes=[{**entry, "cached_tokens": 96_000}])
    assert (
        "Route rest, gpt-6-luna: 100 requests, 146,000 input (of them 96,000 cached) and 11,000 "
        "output tokens, 0.02 USD."
    ) == summary_lines(cached)[2]


def test_simulated_summary_marks_every_figure_and_shows_no_cost() -> None:
    """Each line with a figure says simulated."""
    lines = summary_lines(replace(SUMMARY, simulated=True))
    assert [] == [line for line in lines if "(simulated)" not in line or "USD" in line]


@pytest.mark.parametrize(
    ("requests", "is_simulated", "expected"),
    [
        (
            {"done": 100, "unknown": 50},
            False,
            [
                "50 requests ended without an answer and may have been paid for: about 0.01 USD, "
                "not in the figures above."
            ],
        ),
        (
            {"unknown": 1},
            False,
            ["1 request ended without an answer and may have been paid for."],
        ),
        (
            {"done": 100, "unknown": 2},
            True,
            ["2 requests ended without an answer and may have been paid for (simulated)."],
        ),
        ({"done": 100, "refused": 3}, False, []),
    ],
)
def test_requests_without_an_answer_are_counted_with_their_possible_cost(
    requests: dict[str, int], is_simulated: bool, expected: list[str]
) -> None:
    """At the average of the answered ones; those that the service refused cost nothing."""
    summary = replace(SUMMARY, requests=requests, simulated=is_simulated)
    assert expected == unknown_lines(summary)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        (
            {"done": 100, "given_up": 50},
            [
                "50 requests were sent a second time because they took long; the slower one of "
                "the two may have been paid for: about 0.01 USD, not in the figures above."
            ],
        ),
        ({"done": 100, "unknown": 2}, []),
    ],
)
def test_requests_that_were_sent_twice_have_a_line_of_their_own(
    requests: dict[str, int], expected: list[str]
) -> None:
    """They have not ended without an answer: their chunks have one."""
    summary = replace(SUMMARY, requests=requests, simulated=False)
    assert expected == copy_lines(summary)
    assert bool(expected) != bool(unknown_lines(summary))


def test_failures_are_grouped_with_one_example_each() -> None:
    """Kind, number, and id and message of the first."""
    examples = {"defect": {"id": "c" * 100, "message": "no label."}}
    summary = replace(
        SUMMARY,
        exit_code=1,
        labeled=997,
        errors={"defect": 3},
        examples=examples,
        other_model_rows=2,
    )
    line = f"Not labelled: 3 rows defect, first '{'c' * 60}': no label."
    assert line in summary_lines(summary)
    assert [line] == end_lines(summary)
    (other,) = [line for line in summary_lines(summary) if line.startswith("Exception: 2 rows")]
    assert "another model" in other


def test_exceptions_of_packing_are_told() -> None:
    """Smaller packs within the run, and chunks kept apart from their neighbours."""
    reduced = "Packs reduced from 10 to 5 chunks after 3 unusable answers."
    summary = replace(
        SUMMARY,
        record={"packs_reduced": reduced},
        estimate={"alone": 2},
    )
    alone = "2 chunks sent alone: the text looks like orders to the model, or is unusually long."
    assert [f"Exception: {reduced}", alone] == [
        line for line in summary_lines(summary) if "Packs" in line or "alone" in line
    ]


@pytest.mark.parametrize(
    ("reason", "fresh", "expected"),
    [
        ("The key is refused. Check it.", "no", "Stopped: The key is refused. Check it."),
        (INTERRUPTED, "no", "Interrupted."),
        (INTERRUPTED, "yes", "Interrupted."),
    ],
)
def test_stop_says_why_and_how_to_go_on(reason: str, fresh: str, expected: str) -> None:
    """A run with --fresh goes on without it, or all would be asked again."""
    summary = replace(
        SUMMARY, exit_code=3, stopped=reason, errors={"stopped": 900}, record={"fresh": fresh}
    )
    again = "again without --fresh;" if fresh == "yes" else "again;"
    end = f"{expected} To go on, give the same command {again} what is paid for is not asked again."
    assert end == summary_lines(summary)[-1]
    assert [end] == end_lines(summary)
    assert "Not labelled: 900 rows stopped, not reached." in summary_lines(summary)
    assert "Partial output: a.labeled.csv" == path_lines(summary)[0]


def test_control_characters_are_escaped() -> None:
    """Nothing that steers a terminal reaches it; letters of all languages do."""
    assert "a\\x1b[31m\\x07\\u202e\n第я" == printable("a\x1b[31m\x07\u202e\n第я")


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
