"""What a run says of itself: plans, progress, ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.commands.wording import (
    copy_lines,
    end_lines,
    model_lines,
    path_lines,
    plan_lines,
    printable,
    progress_line,
    stop_lines,
    summary_lines,
    unknown_lines,
)
from analysis.interrupts import INTERRUPTED
from analysis.pipeline.review import Outlook
from analysis.pipeline.room import Shortage
from analysis.run_course import NOT_ASKED
from tests.commands.examples import ESTIMATE, PLAN, SUMMARY


def test_plan_names_rows_requests_tokens_cost_and_time() -> None:
    """One line before anything is sent."""
    expected = (
        "1,000 rows. Estimate: 100 requests, about 160,620 input and 20,000 output tokens, "
        "0.03 USD by the prices of 2026-11-21, about 2 min at assumed limits, less or more once "
        "the service states its own."
    )
    assert [expected] == plan_lines(PLAN)
    learned = replace(PLAN, estimate=replace(PLAN.estimate, is_learned=True))
    assert plan_lines(learned)[0].endswith(", at least 2 min at the limits of earlier runs.")


def test_plan_tells_of_a_disk_with_too_little_room() -> None:
    """Free and needed, before anything is sent."""
    lacking = Shortage(folder=Path("/data"), free_bytes=1_200_000, needed_bytes=19_000_000)
    line, _ = plan_lines(replace(PLAN, shortage=lacking))
    assert (
        "Too little room on the disk of /data: 1 MB are free, and ledger and output take about "
        "19 MB. Make room, or the run may end early."
    ) == line


def test_plan_of_a_second_run_tells_what_is_there() -> None:
    """Reused and unsendable rows, and requests whose ending nobody knows."""
    plan = replace(PLAN, reused=10, unsendable=1, to_do=989, unknown_requests=1, unknown_chunks=10)
    unknown, line = plan_lines(plan)
    assert unknown.startswith("1 request of earlier runs (10 chunks) ended without an answer.")
    assert line.startswith("1,000 rows: 10 have a label, 1 cannot be sent, 989 to do. Estimate")
    (done,) = plan_lines(replace(PLAN, reused=999, unsendable=1, to_do=0))
    assert "Nothing to do: 1,000 rows, 999 have a label, 1 cannot be sent." == done


def test_plan_tells_of_two_models_before_it_starts() -> None:
    """Rows of one run may get either; a service in this process labels all of them."""
    one = {"responses-ws": "gpt-6-luna", "rest": "gpt-6-luna"}
    two = {"realtime": "gpt-realtime-2.1-mini", "rest": "gpt-6-luna"}
    assert 1 == len(plan_lines(replace(PLAN, models=one)))
    line, _ = plan_lines(replace(PLAN, models=two))
    assert line.startswith("Two models or more: realtime gpt-realtime-2.1-mini, rest gpt-6-luna. ")
    assert 1 == len(plan_lines(replace(PLAN, models=two, simulated=True)))
    assert 1 == len(plan_lines(replace(PLAN, models=two, to_do=0)))


def test_plan_tells_which_labels_are_marked() -> None:
    """And which routes give rows that cannot be; counts only where labels are there."""
    plan = replace(PLAN, review=Outlook(bound=0.8))
    assert (
        "Labels with a confidence below 0.8 get 'uncertain' in semfn_review."
        == (plan_lines(plan)[0])
    )
    held = Outlook(bound=0.8, silent_routes=("realtime", "rest"), uncertain=3, without_confidence=1)
    assert [
        "Labels with a confidence below 0.8 get 'uncertain' in semfn_review; of those that are "
        "there: 3 below it, 1 without a confidence (simulated).",
        "A row that is labelled over realtime or rest has no confidence and is not marked.",
    ] == plan_lines(replace(PLAN, review=held, to_do=0, simulated=True))[:2]


def test_summary_tells_how_many_rows_are_marked() -> None:
    """Rows without a confidence are named beside them, since they may be as doubtful."""
    marked = replace(SUMMARY, min_confidence=0.8, uncertain=1)
    assert "Confidence below 0.8: 1 row marked 'uncertain' in semfn_review." in summary_lines(
        marked
    )
    lines = summary_lines(replace(marked, uncertain=1_200, without_confidence=2, simulated=True))
    assert (
        "Confidence below 0.8: 1,200 rows marked 'uncertain' in semfn_review (simulated); not "
        "marked: 2 labelled rows without a confidence."
    ) in lines


def test_simulated_plan_shows_no_price() -> None:
    """What is not billed does not look like a bill."""
    (line,) = plan_lines(replace(PLAN, simulated=True))
    assert line.endswith("20,000 output tokens (simulated).")


def test_unknown_price_is_called_unknown() -> None:
    """A model without a price is not free."""
    (line,) = plan_lines(replace(PLAN, estimate=replace(ESTIMATE, cost_usd=None)))
    assert "tokens, cost unknown, about 2 min" in line


def test_progress_line_grows_with_what_is_known() -> None:
    """Rate and time left come after a while, failures when there are some."""
    start = progress_line(done=0, failed=0, total=1_000, per_s=None, route=None)
    middle = progress_line(done=500, failed=3, total=1_000, per_s=50.0, route="rest")
    slow = progress_line(done=1, failed=0, total=1_000, per_s=0.1, route="rest")
    end = progress_line(done=10, failed=0, total=10, per_s=5.0, route=None)
    assert "0 of 1,000 chunks" == start
    assert "500 of 1,000 chunks, 3 failed, 50/s, 10 s left, rest" == middle
    assert "1 of 1,000 chunks, 6/min, 2.8 h left, rest" == slow
    assert "10 of 10 chunks, 5/s" == end
    still = progress_line(done=5, failed=0, total=10, per_s=0.0, route=None)
    assert "5 of 10 chunks, 0/min" == still  # nobody knows how long it stands


@pytest.mark.parametrize(
    ("cost_usd", "shown"), [(0.0001, "under 0.01 USD"), (1.234, "about 1.23 USD"), (None, None)]
)
def test_progress_line_tells_what_was_spent(cost_usd: float | None, shown: str | None) -> None:
    """By what was billed; nothing where no price is known."""
    line = progress_line(done=5, failed=0, total=10, per_s=5.0, route="rest", cost_usd=cost_usd)
    assert "5 of 10 chunks, 5/s, 1 s left" + (f", {shown}" if shown else "") + ", rest" == line


def test_summary_tells_rows_labels_routes_rate_and_paths() -> None:
    """The end of a run that went well."""
    assert [
        "1,000 of 1,000 rows labelled.",
        "Labels: example 990, noise 10.",
        "Route rest, gpt-6-luna: 100 requests, 146,000 input and 11,000 output tokens, 0.02 USD.",
        "1,000 chunks in 10.0 s, 100/s.",
    ] == summary_lines(SUMMARY)
    assert ["Output: a.labeled.csv", "Ledger: a.sqlite", "Results: r.json"] == path_lines(SUMMARY)
    assert [] == end_lines(SUMMARY)


def test_cached_tokens_are_named_where_there_are_any() -> None:
    """As a part of the input, since they cost less."""
    (entry,) = SUMMARY.routes
    cached = replace(SUMMARY, routes=[{**entry, "cached_tokens": 96_000}])
    assert (
        "Route rest, gpt-6-luna: 100 requests, 146,000 input (of them 96,000 cached) and 11,000 "
        "output tokens, 0.02 USD."
    ) == summary_lines(cached)[2]
    first = replace(SUMMARY, routes=[{**entry, "cached_tokens": 96_000, "written_tokens": 1_200}])
    part = "146,000 input (of them 96,000 cached, 1,200 written to the cache) and"
    assert part in summary_lines(first)[2]


def test_simulated_summary_marks_every_figure() -> None:
    """Each line with a figure says simulated; a cost is by the price of the model asked for."""
    (entry,) = SUMMARY.routes
    summary = replace(SUMMARY, simulated=True, routes=[{**entry, "model": "offline-rules"}])
    lines = summary_lines(summary)
    assert [] == [line for line in lines if "(simulated)" not in line]
    (line,) = [line for line in lines if "USD" in line]
    assert line.endswith(" output tokens, 0.02 USD by the price of gpt-6-luna.")
    unpriced = replace(summary, routes=[{**entry, "cost_usd": None}])
    assert "USD" not in "".join(summary_lines(unpriced))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"unknown_requests": 50, "requests": {"done": 100, "unknown": 50}},
            [
                "50 requests ended without an answer and may have been paid for: at most 0.02 USD, "
                "not in the figures above."
            ],
        ),
        (
            {"unknown_requests": 3, "requests": {"unknown": 1}},
            [
                "3 requests, 2 of them in earlier runs, ended without an answer and may have been "
                "paid for: at most 0.02 USD, not in the figures above."
            ],
        ),
        (
            {"unknown_requests": 1, "requests": {"unknown": 1}, "unknown_cost_usd": None},
            ["1 request ended without an answer and may have been paid for, at an unknown cost."],
        ),
        (
            {"unknown_requests": 2, "requests": {"unknown": 2}, "simulated": True},
            ["2 requests ended without an answer and may have been paid for (simulated)."],
        ),
        ({"unknown_requests": 0, "requests": {"done": 100, "refused": 3}}, []),
    ],
)
def test_requests_without_an_answer_are_counted_with_their_possible_cost(
    changes: dict[str, Any], expected: list[str]
) -> None:
    """At most what they asked for; those that the service refused cost nothing."""
    values: dict[str, Any] = {"unknown_cost_usd": 0.02} | changes
    summary = replace(SUMMARY, **values)
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
        (
            {"done": 100, "given_up": 1},
            [
                "1 request was sent a second time because it took long; the slower one of "
                "the two may have been paid for: under 0.01 USD, not in the figures above."
            ],
        ),
        ({"done": 100, "unknown": 2}, []),
    ],
)
def test_requests_that_were_sent_twice_have_a_line_of_their_own(
    requests: dict[str, int], expected: list[str]
) -> None:
    """They have not ended without an answer: their chunks have one."""
    unknown = requests.get("unknown", 0)
    summary = replace(SUMMARY, requests=requests, unknown_requests=unknown)
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
    reduced = "Packs reduced from 10 to 5 chunks: why."
    summary = replace(
        SUMMARY,
        record={"packs_reduced": reduced},
        estimate={"alone": 2},
    )
    alone = (
        "2 chunks sent alone: text or topic looks like orders to the model, or the text is long."
    )
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
    how = "the command again without --fresh" if fresh == "yes" else "the same command again"
    end = f"{expected} To go on, give {how}; what is paid for is not asked again."
    assert end == summary_lines(summary)[-1]
    assert [end] == end_lines(summary)
    assert "Not labelled: 900 rows stopped, not reached." in summary_lines(summary)
    assert "Partial output: a.labeled.csv" == path_lines(summary)[0]


def test_a_model_that_is_not_known_is_not_asked_for_again() -> None:
    """The same command would stop again; another model is another form of each row."""
    reason = "The endpoint does not know this model; name another one."
    summary = replace(
        SUMMARY,
        exit_code=3,
        stopped=reason,
        refusals={"model_not_found": 2},
        record={"fresh": "no"},
    )
    (line,) = stop_lines(summary)
    assert "To go on, give the command again with another --model; " in line
    assert "the same command" not in line
    (other,) = stop_lines(replace(summary, refusals={"model_not_found": 2, "rate_limit": 1}))
    assert "give the same command again;" in other


def test_rows_that_a_retry_passed_over_are_asked_without_it() -> None:
    """The same command would pass them over again; a retry that was stopped goes on as it was."""
    record = {"fresh": "no", "retry_failed": "yes"}
    summary = replace(SUMMARY, exit_code=4, stopped=NOT_ASKED.format(7), record=record)
    (line,) = stop_lines(summary)
    assert "7 rows were never asked. To go on, give the command again without --retry" in line
    (line,) = stop_lines(replace(summary, exit_code=130, stopped=INTERRUPTED))
    assert "Interrupted. To go on, give the same command again;" in line


def test_control_characters_are_escaped() -> None:
    """Nothing that steers a terminal reaches it; letters of all languages do."""
    assert "a\\x1b[31m\\x07\\u202e\n第я" == printable("a\x1b[31m\x07\u202e\n第я")


@pytest.mark.parametrize(
    ("model", "cost", "part"),
    [
        ("gpt-6-luna", 0.1, None),
        ("gpt-6-luna-2026-09-22", 0.1, None),
        ("gpt-6-luna-preview", None, "its cost is not known by the prices of 2026-11-21, so name"),
        ("gpt-6.1-sol", 0.4, "answered as gpt-6.1-sol; the cost is by its price. A budget counts"),
        ("a\x1b[31m", None, r"answered as a\x1b[31m;"),
    ],
)
def test_a_model_that_was_not_asked_for_is_told(
    model: str, cost: float | None, part: str | None
) -> None:
    """A dated name is the same model; against the local service nothing is said."""
    entry = {**SUMMARY.routes[0], "model": model, "cost_usd": cost}
    summary = replace(SUMMARY, routes=[entry])
    found = model_lines(summary)
    assert (part is not None) == bool(found)
    assert all(line in summary_lines(summary) for line in found)
    if part is not None:
        assert found[0].startswith("Exception: rest was asked for gpt-6-luna and ")
        assert part in found[0]
    assert [] == model_lines(replace(summary, simulated=True))
