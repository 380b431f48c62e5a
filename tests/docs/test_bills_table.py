"""The tables of estimates and bills are those of the newest result, as the page says of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.docs.bills_table import by_counts, by_language, by_variant, newest, rows_of
from tests.docs.prompt_tokens import TARGET

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "money.md"


def test_the_page_has_the_newest_tables() -> None:
    """Written anew with `python -m tests.docs.bills_table`."""
    page, rows = PAGE.read_text(encoding="utf-8"), rows_of(newest())
    found = json.loads(newest().read_text(encoding="utf-8"))
    assert f"`performance_results/{newest().name}`" in page
    assert by_language(rows) in page
    assert by_counts(rows) in page
    assert by_variant(rows) in page
    assert f"Taken with version {found['prompt_version']} of the prompt" in page


@pytest.mark.parametrize(("is_russian", "least"), [(False, -0.05), (True, -0.1)])
def test_no_cost_that_is_shown_is_far_below_the_bill(*, is_russian: bool, least: float) -> None:
    """At most 5 %, and a tenth where the service bills a script at more than is published."""
    rows = [row for row in rows_of(newest()) if (row["language"] == "ru") == is_russian]
    assert rows
    assert [] == [row for row in rows if row["off_by"]["cost"] < least]
    assert [] == [row for row in rows if row["off_by"]["tokens"] < least]


def test_the_page_says_how_far_russian_is_below() -> None:
    """Tokens and cost on routes that ask with text, and on the other one."""
    rows = [row for row in rows_of(newest()) if row["language"] == "ru"]
    text = [row["off_by"] for row in rows if row["route"] != "decisions"]
    choices = [row["off_by"]["cost"] for row in rows if row["route"] == "decisions"]
    tokens, cost = (-100 * min(off[name] for off in text) for name in ("tokens", "cost"))
    stated = f"up to {tokens:.1f} % on `rest`, `responses-ws` and `realtime` (tokens; at most "
    stated += f"{cost:.1f} % in `cost`) and {-100 * min(choices):.1f} % on `decisions`"
    assert stated in PAGE.read_text(encoding="utf-8")


def test_requests_are_as_many_as_estimated_and_none_failed() -> None:
    """Else the tables would compare two different jobs."""
    for row in rows_of(newest()):
        assert (row["billed"]["requests"], 0) == (row["estimated"]["requests"], row["failed"])


def row(language: str, route: str, variant: str, tokens: float, rows: int = 16) -> dict[str, Any]:
    """Return a row of a result."""
    side = {"input_tokens": 1_000, "output_tokens": 10, "cached_tokens": 0}
    return {
        "language": language,
        "rows": rows,
        "variant": variant,
        "chunks_per_request": 1,
        "route": route,
        "estimated": side,
        "billed": side | {"requests": rows},
        "off_by": {"tokens": tokens, "cost": 2 * tokens, "least_cost": 0.0},
        "beside_texts": {"off_by": 0.01, "billed_tokens": 790},
    }


def test_the_table_by_language_is_of_the_longest_texts() -> None:
    """Rows of shorter ones are left to the ranges."""
    rows = [
        row("en", route, "chunks", tokens, size)
        for route in ("rest", "decisions")
        for tokens, size in ((0.5, 16), (-0.021, 1_000))
    ]
    cells = "1,010 | 1,010 | -2.1 % | +1.0 %"
    assert [f"| English | 1 | {cells} | {cells} |"] == by_language(rows).splitlines()[2:]


def test_counts_are_those_of_the_prompt_and_averages_those_of_texts() -> None:
    """210 tokens of texts by four bytes are 840 bytes; two ends where two are published."""
    counts = tomllib.loads(TARGET.read_text(encoding="utf-8"))["ten_functions"]
    told = sum(counts[name] for name in ("instructions", "schema", "envelope", "answer"))
    rows = [row(language, "rest", "chunks", 0.0, rows=1) for language in ("fr", "ru")]
    french, least, most = (f"{1_010 / (told + 840 / by) - 1:+.1%}"[:-1] for by in (4.0, 5.5, 6.0))
    expected = [f"| French | 4 | {french} % |", f"| Russian | 5.5 to 6 | {least} to {most} % |"]
    assert expected == by_counts(rows).splitlines()[2:]


def test_ranges_keep_russian_apart() -> None:
    """Its texts are billed by the local service at more than is published."""
    languages = (("en", 0.01), ("zh", -0.02), ("ru", -0.07))
    rows = [
        row(name, route, variant, tokens)
        for name, tokens in languages
        for route in ("rest", "realtime", "decisions")
        for variant in ("chunks", "context", "title", "examples", "sci_abstract")
    ]
    expected = "-2.0 to +1.0 % | -7.0 to -7.0 % | -4.0 to +2.0 % | -14.0 to -14.0 % |  |"
    lines = by_variant(rows).splitlines()[2:]
    assert 15 == len(lines)
    assert all(line.endswith(f" | {expected}") for line in lines)
