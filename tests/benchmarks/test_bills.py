"""Estimates against bills: the same job on both sides, and what the present prompts give."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bills
from benchmarks.bills import COLUMNS, ROUTES, VARIANTS, document, measured, texts


@cache
def english() -> list[dict[str, Any]]:
    """Return the rows of the English samples, ten chunks in a request."""
    return list(measured(next(texts(None)), tuple(VARIANTS), (10,), ROUTES))


def test_texts_are_the_samples_and_those_of_a_folder(tmp_path: Path) -> None:
    """Four languages each; the topic of a row is its title, too."""
    (tmp_path / "scale").mkdir()
    for language in ("en", "fr", "ru", "zh"):
        path = tmp_path / "scale" / f"{language}_1k.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "document", "position", "text", "lang", "topic"])
            writer.writerow(["1", "d", "0", "A train.", language, "Night trains"])
    found = list(texts(tmp_path))
    assert ["samples"] * 4 + ["scale"] * 4 == [text.name for text in found]
    assert ["en", "fr", "ru", "zh"] * 2 == [text.language for text in found]
    assert [16, 16, 16, 16, 1, 1, 1, 1] == [len(text.rows) for text in found]
    values = ("1", "d", "A train.", "Night trains", "Night trains")
    assert dict(zip(COLUMNS, values, strict=True)) == found[-1].rows[0]


def test_both_sides_are_of_the_same_job() -> None:
    """As many requests as estimated, no chunk failed, every variant on every route."""
    assert len(VARIANTS) * len(ROUTES) == len(english())
    for row in english():
        assert (2, 2, 0) == (
            row["estimated"]["requests"],
            row["billed"]["requests"],
            row["failed"],
        )


def test_the_present_prompts_are_estimated_near_their_bill() -> None:
    """Tokens within a tenth, and no cost that is shown more than 5 % below (simulated)."""
    for row in english():
        assert abs(row["off_by"]["tokens"]) < 0.1, row
        assert row["off_by"]["cost"] > -0.05, row


def test_the_two_costs_stand_around_the_bill_where_a_prompt_is_cached() -> None:
    """With examples everywhere: all requests write, or one does and the others read."""
    for row in english():
        if row["variant"] == "examples":
            assert row["billed"]["cached_tokens"] > 0
            assert row["off_by"]["cost"] > 0.3
            assert abs(row["off_by"]["least_cost"]) < 0.1, row


def test_what_stands_beside_the_texts_is_estimated_alike_in_all_languages() -> None:
    """So what differs between the languages is the share of a token for a character."""
    found = []
    for text in texts(None):
        (row,) = measured(text, ("chunks",), (10,), ("rest",))
        found.append(row["beside_texts"]["off_by"])
    assert max(found) - min(found) < 0.01
    assert all(0 < off < 0.1 for off in found)


def test_a_result_is_json_with_its_command_and_versions() -> None:
    """One row in a line, so that two results can be compared by lines."""
    now = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
    written = document(english()[:2], command="python benchmarks/bills.py", now=now)
    found = json.loads(written)
    assert english()[:2] == found["rows"]
    assert (True, "2026-11-22T01:02:03Z") == (found["simulated"], found["at"])
    assert {"command", "version", "machine", "prompt_version", "price_date"} <= found.keys()
    assert 2 == sum(line.startswith('  {"texts"') for line in written.splitlines())


def test_a_folder_without_the_tables_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says what to pass."""
    with pytest.raises(SystemExit):
        bills.main(["--data", str(tmp_path)])
    assert "Pass the folder that holds scale/*_1k.csv" in capsys.readouterr().err
