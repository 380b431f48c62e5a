"""Behaviour of the reader of a batch's input file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.simulator.profile import PROFILE
from analysis.simulator.rows import read_rows
from analysis.simulator.storage import StoredFile
from tests.simulator.batch_examples import lines, row
from tests.simulator.examples import body, service


def problems(content: bytes, **rules: Any) -> list[tuple[Any, Any, Any]]:
    """Return code, line and param of what is wrong with a file."""
    stored = StoredFile(
        id="f", created_at=0, expires_at=None, filename="f", purpose="batch", content=content
    )
    profile = replace(PROFILE, batch=replace(PROFILE.batch, **rules))
    rows, found = read_rows(service(profile=profile), stored, "/v1/responses")
    assert bool(rows) != bool(found)
    return [(each["code"], each["line"], each["param"]) for each in found]


GOOD = row("a")
MODEL = "body.model"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lines(GOOD), []),
        (lines(GOOD, row("b")) + b"\n\n", []),
        (lines(row("b", body=body(model="digest-labels"))), []),
        (b"\n", [("empty_file", None, None)]),
        (b"\n{\n" + lines(GOOD), [("invalid_json_line", 2, None)]),
        (lines(GOOD, [1]), [("invalid_type", 2, "")]),
        (lines(GOOD, GOOD), [("duplicate_custom_id", 2, "custom_id")]),
        (lines(row("b", custom_id=...)), [("missing_required_parameter", 1, "custom_id")]),
        (lines(row("b", custom_id=1)), [("invalid_type", 1, "custom_id")]),
        (lines(row("b", more=1)), [("unknown_parameter", 1, "more")]),
        (lines(row("b", method="GET")), [("invalid_method", 1, "method")]),
        (lines(row("b", url="/v1/chat/completions")), [("mismatched_endpoint", 1, "url")]),
        (lines(row("b", body="x")), [("invalid_type", 1, "body")]),
        (lines(row("b", body={})), [("missing_required_parameter", 1, MODEL)]),
        (lines(row("b", body={"model": "gpt-4"})), [("model_not_found", 1, MODEL)]),
        (
            lines(GOOD, row("b", body=body(model="gpt-6-sol"))),
            [("mismatched_model", 2, MODEL)],
        ),
        (
            lines(GOOD, {}, row("b", method="PUT")),
            [("missing_required_parameter", 2, "custom_id"), ("invalid_method", 3, "method")],
        ),
    ],
)
def test_problems_name_their_lines(content: bytes, expected: list[Any]) -> None:
    """Every bad line is told with its code and place; one is enough to take no row."""
    assert expected == problems(content)


def test_number_of_rows_is_bounded() -> None:
    """The bound itself is allowed."""
    content = lines(*(row(str(index)) for index in range(3)))
    assert [] == problems(content, rows=3)
    assert [("too_many_requests", None, None)] == problems(content, rows=2)


def test_not_every_problem_is_told() -> None:
    """A file full of them is told by its first hundred."""
    assert 100 == len(problems(b"{\n" * 101))
